//! The fleet that carries out a plan, and the threads that serve it.

use std::sync::Arc;

use anyhow::Context as _;

use crate::event::Reporter;
use crate::plan::Plan;
use crate::reactor::Reactor;
use crate::runner::{self, RunHost, RunSettings, fleet::Fleet};
use crate::stats::CancelReason;
use crate::transport::{Connector, Target};

/// Hosts at once that one thread serves with ease.
const HOSTS_A_SHARD: usize = 16;

/// Starts the fleet and carries out the plan.
pub(super) fn carry_out(
    plan: &Plan,
    run_hosts: Vec<RunHost>,
    settings: RunSettings,
    targets: &Arc<[Target]>,
    run_log: &mut dyn runner::RunLog,
    reporter: &mut dyn Reporter,
    signals: async_channel::Receiver<CancelReason>,
) -> anyhow::Result<runner::RunResult> {
    let at_once = settings.fanout.min(targets.len());
    let pool = pool(at_once)?;
    let reactor = Reactor::new().context("cannot wait for anything")?;
    let connector = Arc::new(Connector::new(at_once));
    let executor = Fleet::start(&pool, targets, &connector, &settings.writer).context("cannot wait for connections")?;
    Ok(reactor.block_on(runner::run(plan, run_hosts, settings, executor, signals, run_log, reporter)))
}

/// Threads for so many hosts at once.
pub(super) fn pool(at_once: usize) -> anyhow::Result<rayon::ThreadPool> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // A thread that serves fewer finds less to do each time it wakes up, and wakes up more often.
    let busy = at_once.div_ceil(HOSTS_A_SHARD).max(1);
    rayon::ThreadPoolBuilder::new()
        .num_threads(cores.min(busy))
        .thread_name(|index| format!("shard-{index}"))
        .build()
        .context("cannot start threads")
}
