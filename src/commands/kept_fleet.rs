//! Connections that outlive a run: those of `gsctl shell`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use anyhow::Context as _;
use async_channel::Receiver;

use crate::event::Reporter;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::reactor::Reactor;
use crate::report::RunReport;
use crate::runner::fleet::{Fleet, FleetPart};
use crate::runner::{self, RunHost, RunLog, RunResult, RunSettings};
use crate::stats::CancelReason;
use crate::transport::{Connector, Target};

use super::fleet::pool;
use super::selection::Selected;

/// A fleet, and what is known of its hosts from one run to the next.
pub(super) struct KeptFleet {
    // Before the pool, whose threads it waits for.
    fleet: Fleet,
    _pool: rayon::ThreadPool,
    targets: Arc<[Target]>,
    numbers: HashMap<Arc<str>, usize>,
    /// Hosts without a connection that had one, or could not be had.
    lost: BTreeSet<usize>,
    signals: Receiver<CancelReason>,
    /// The latest run.
    pub(super) last: Option<Arc<RunReport>>,
}

impl KeptFleet {
    /// Starts it; nobody is connected to yet.
    ///
    /// # Errors
    /// When the system gives no threads or descriptors.
    pub(super) fn start(targets: Arc<[Target]>, signals: Receiver<CancelReason>) -> anyhow::Result<Self> {
        let pool = pool(targets.len())?;
        let numbers = (0..).zip(&*targets).map(|(number, target)| (target.name.clone(), number)).collect();
        let fleet = Fleet::start(&pool, &targets, &Arc::new(Connector::new(targets.len())), &Arc::default())
            .context("cannot wait for connections")?;
        Ok(Self { fleet, _pool: pool, targets, numbers, lost: BTreeSet::new(), signals, last: None })
    }

    /// The targets of hosts that it has.
    pub(super) fn targets(&self, selected: &Selected) -> Arc<[Target]> {
        let numbers = selected.hosts.iter().filter_map(|host| self.numbers.get(&host.name));
        numbers.map(|number| self.targets[*number].clone()).collect()
    }

    /// Whether it has this host.
    pub(super) fn has(&self, host: &str) -> bool {
        self.numbers.contains_key(host)
    }

    /// Reasons to stop a run.
    pub(super) fn signals(&self) -> Receiver<CancelReason> {
        self.signals.clone()
    }

    /// Carries a plan out on some of the hosts, and remembers which of them were lost.
    ///
    /// # Errors
    /// When the system gives no descriptors.
    pub(super) fn carry_out<'a>(
        &mut self,
        plan: &Plan,
        (names, run_hosts): (impl Iterator<Item = &'a str>, Vec<RunHost>),
        settings: RunSettings,
        run_log: &mut dyn RunLog,
        reporter: &mut dyn Reporter,
    ) -> anyhow::Result<RunResult> {
        let hosts: Vec<usize> = names.filter_map(|name| self.numbers.get(name).copied()).collect();
        // Whatever closed before is found out by the run.
        self.fleet.closed();
        let reactor = Reactor::new().context("cannot wait for anything")?;
        let part = FleetPart::new(&mut self.fleet, hosts.clone(), settings.keep, settings.writer.clone());
        let signals = self.signals.clone();
        let finished = reactor.block_on(runner::run(plan, run_hosts, settings, part, signals, run_log, reporter));
        for (number, host) in hosts.iter().zip(&finished.hosts) {
            match host.outcome {
                Outcome::Unreachable => drop(self.lost.insert(*number)),
                Outcome::Ok | Outcome::Changed | Outcome::Failed => drop(self.lost.remove(number)),
                _ => {}
            }
        }
        Ok(finished)
    }

    /// Names of hosts that are lost, as far as is known now.
    pub(super) fn lost(&mut self) -> Vec<&str> {
        self.lost.extend(self.fleet.closed());
        self.lost.iter().map(|number| &*self.targets[*number].name).collect()
    }
}
