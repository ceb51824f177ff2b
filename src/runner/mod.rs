//! The run: a plan carried out on a fleet, told as events.
//!
//! One task, on the caller's thread, decides everything: which host does what next, what an answer means, when to stop.
//! The fleet only does single commands. Nothing here prints, reads files or asks the environment.

mod asking;
mod canary;
mod cause;
mod cleanup;
mod cluster;
mod condition;
mod copy_request;
mod copy_result;
mod deal;
mod event_queue;
mod evidence;
mod executor;
pub mod fleet;
mod hold;
mod host;
mod job;
mod job_result;
mod look;
mod obstacle;
mod preflight;
mod pump;
mod resume;
mod rolling;
mod run_log;
mod script;
mod settings;
mod shard;
mod step;
mod sudo_failure;
#[cfg(test)]
mod tests;
mod turn;
mod verdict;
mod wait;
mod wait_checks;
mod wait_failure;
mod waiting;

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use async_channel::Receiver;

use crate::cancel::{CancelToken, WatchedLimit};
use crate::event::{Activity, Event, EventKind, HostId, Reporter, StepId};
use crate::plan::{Action, Plan};
use crate::reactor::now;
use crate::report::{ClusterReport, HostReport};
use crate::stats::{CancelReason, RunStats};
pub use canary::{Canary, Confirm};
use executor::Executor;
use host::HostState;
pub use host::RunHost;
use job::Job;
use rolling::Batch;
pub use run_log::{NoRunLog, Resume, RunLog, StepEnd};
pub use script::rehearse;
pub use settings::{AllowUnreachable, RunSettings};

/// What a finished run leaves.
#[derive(Debug)]
pub struct RunResult {
    /// Every host, in inventory order.
    pub hosts: Vec<HostReport>,
    /// A step that waits was begun.
    pub waited: bool,
    /// What was heard about the cluster, where a step asked one host for all.
    pub cluster: Option<ClusterReport>,
    /// The numbers.
    pub stats: RunStats,
    /// Wall time.
    pub elapsed: Duration,
    /// The state of the run, where its playbook names one.
    pub state: Option<String>,
}

/// Time for each cleanup command, and for each that it undoes.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(15);

/// Carries out `plan` on `run_hosts`, tells `reporter` all about it, and writes down in `log` what is done. `signals` may
/// cut it short.
pub async fn run<C: Executor>(
    plan: &Plan,
    run_hosts: Vec<RunHost>,
    settings: RunSettings,
    executor: C,
    signals: Receiver<CancelReason>,
    log: &mut dyn RunLog,
    reporter: &mut dyn Reporter,
) -> RunResult {
    let start = now();
    let stats = RunStats { hosts: run_hosts.len(), ..RunStats::default() };
    let mut run = Run {
        plan,
        hosts: run_hosts.into_iter().map(HostState::new).collect(),
        executor,
        signals,
        log,
        reporter,
        stats,
        cancel: CancelToken::default(),
        looks: CancelToken::default(),
        stopped: false,
        step_failed: false,
        batch: None,
        failed_before: HashSet::new(),
        waited: false,
        chain_wait: None,
        cluster_failed_at: None,
        cluster: None,
        out: 0,
        log_failed: false,
        changes_begun: false,
        state: None,
        unsent_states: BTreeMap::new(),
        start,
        deadline: settings.deadline.map(|limit| WatchedLimit::at(later(start, limit))),
        said: start,
        ticked: start,
        unflushed: false,
        settings,
    };
    run.executor.follow(run.settings.follow);
    run.carry_out().await;
    run.finish()
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the run")]
struct Run<'a, C> {
    plan: &'a Plan,
    hosts: Vec<HostState>,
    executor: C,
    signals: Receiver<CancelReason>,
    log: &'a mut dyn RunLog,
    reporter: &'a mut dyn Reporter,
    stats: RunStats,
    cancel: CancelToken,
    /// Stops looks that nobody waits for any more.
    looks: CancelToken,
    /// No further step is begun.
    stopped: bool,
    /// Some host failed at the step that is under way.
    step_failed: bool,
    /// The hosts that a block of steps is done on at the moment.
    batch: Option<Batch>,
    /// Steps of a block that failed in an earlier batch.
    failed_before: HashSet<StepId>,
    /// A step that waits was begun.
    waited: bool,
    /// The latest step that waited for the chain: its hosts are looked at while the cluster is waited for.
    chain_wait: Option<StepId>,
    /// The step at which the cluster was not as it is wanted.
    cluster_failed_at: Option<StepId>,
    /// What was heard about the cluster.
    cluster: Option<ClusterReport>,
    /// Hosts that are out of the run.
    out: usize,
    /// The ledger has failed, and that was said.
    log_failed: bool,
    /// A step that changes something was begun on some host.
    changes_begun: bool,
    /// The state of the run.
    state: Option<String>,
    /// The state that hosts have not been told yet.
    unsent_states: BTreeMap<HostId, State>,
    start: Instant,
    /// When the whole run must be over.
    deadline: Option<WatchedLimit>,
    /// When something was last said in a run that nobody watches.
    said: Instant,
    ticked: Instant,
    /// Something was told since the last tick.
    unflushed: bool,
    settings: RunSettings,
}

/// A state that hosts are told.
#[derive(Debug)]
struct State {
    name: String,
    /// An earlier run came to it, and may have told them.
    again: bool,
}

impl<C: Executor> Run<'_, C> {
    async fn carry_out(&mut self) {
        let steps = self.plan.steps.iter().map(|step| step.name.to_string()).collect();
        self.emit(EventKind::RunStarted { steps, fanout: self.settings.fanout });
        self.restore_resumed();
        self.make_up().await;
        let mut next = 0;
        while next < self.plan.steps.len() && !self.stopped && self.stats.cancelled.is_none() {
            let plan = self.plan;
            if let Some(block) = plan.blocks.iter().find(|block| block.steps.start == next) {
                self.roll(block).await;
                next = block.steps.end;
            } else {
                self.step(next).await;
                next += 1;
            }
        }
        self.clean_up().await;
        for host in 0..self.hosts.len() {
            self.conclude_host(host);
        }
        self.emit(EventKind::RunFinished);
    }

    fn finish(self) -> RunResult {
        RunResult {
            hosts: self.hosts.into_iter().map(HostState::report).collect(),
            waited: self.waited,
            cluster: self.cluster,
            stats: self.stats,
            elapsed: now() - self.start,
            state: self.state,
        }
    }

    /// Tells the reporter. One that fails is remembered; the run goes on.
    fn emit(&mut self, kind: EventKind) {
        self.emit_at(now(), kind);
    }

    /// Tells the reporter what happened then.
    fn emit_at(&mut self, at: Instant, kind: EventKind) {
        let event = Event { at: at.saturating_duration_since(self.start), kind };
        self.unflushed = true;
        if self.reporter.take(event, &self.stats).is_err() {
            self.stats.broken = true;
        }
    }

    /// Whether what runs was told to end.
    fn is_stopping(&self) -> bool {
        self.stats.cancelled.is_some_and(|reason| reason != CancelReason::MaxFail)
    }

    /// Begins nothing more, and stops what runs; too many failures leave that to end by itself. Cleanups still come. False
    /// where that was so already.
    fn cancel_run(&mut self, reason: CancelReason) -> bool {
        if self.is_stopping() || self.stats.cancelled == Some(reason) {
            return false;
        }
        self.stats.cancelled = Some(reason);
        self.emit(EventKind::CancelRequested { reason, running: self.stats.running });
        if self.is_stopping() {
            self.cancel.cancel();
            self.looks.cancel();
        }
        true
    }

    /// Begins a job on a host.
    fn begin(&mut self, id: HostId, step: StepId, job: Job) {
        let host = &mut self.hosts[id];
        let first = host.began.is_none();
        host.began.get_or_insert_with(now);
        host.begun |= !matches!(self.plan.steps[step].action, Action::Probe { .. });
        host.step = step;
        host.activity = Some((Activity::Step(step), now()));
        self.stats.running += 1;
        if first {
            self.emit(EventKind::HostStarted { host: id });
        }
        self.executor.submit(id, job);
    }
}

/// A time so much later, or one that no run lives to see.
fn later(at: Instant, time: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    at.checked_add(time.min(NEVER)).unwrap_or(at)
}
