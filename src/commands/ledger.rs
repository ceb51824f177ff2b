//! What a run writes down and holds while it goes on: its journal, and its lock on the nodes that it changes.

use std::io;

use crate::event::{HostId, StepId};
use crate::journal::Writer;
use crate::journal::lock::{Holder, Lock};
use crate::outcome::{Failure, Outcome, Phase};
use crate::reporter::Names;
use crate::runner::{RunLog, StepEnd};

/// A run's journal and lock. Either may be missing: then nothing is written down, or nobody kept away.
#[derive(Default)]
pub(super) struct Ledger {
    /// The journal.
    pub(super) writer: Option<Writer>,
    /// The lock.
    pub(super) lock: Option<Lock>,
    /// Names of the hosts.
    pub(super) names: Names,
}

impl RunLog for Ledger {
    fn host_done(&mut self, step: StepId, host: HostId, outcome: Outcome, created: &[String]) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.host_done(step, host, outcome, created))
    }

    fn batch_done(&mut self) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), RunLog::batch_done)
    }

    fn step_done(&mut self, step: StepId, end: StepEnd, state: Option<&str>) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.step_done(step, end, state))
    }

    fn intended(&mut self, step: StepId, host: HostId, paths: &[String]) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.intended(step, host, paths))
    }

    fn cleaned(&mut self, step: StepId, host: HostId) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.cleaned(step, host))
    }

    fn shared(&mut self, name: &str, value: &str) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.shared(name, value))
    }

    fn can_hold(&self) -> bool {
        self.lock.is_some()
    }

    fn hold(&mut self, nodes: &[(HostId, String)]) -> io::Result<Vec<(HostId, Failure)>> {
        let Some(lock) = &mut self.lock else { return Ok(Vec::new()) };
        let named: Vec<(String, String)> =
            nodes.iter().map(|(host, node)| (node.clone(), self.names.of(*host).to_owned())).collect();
        let busy = lock.add(&named)?;
        // Of two hosts that are one node, both are.
        let failure = |(host, node): &(HostId, String)| {
            let busy = busy.iter().find(|busy| busy.node == *node)?;
            let name = match &busy.name {
                name if *name == *self.names.of(*host) => String::new(),
                other => format!(", which it calls `{other}`"),
            };
            let cause = format!("another run is at work on this node{name}: {}", whose(&busy.holder));
            Some((*host, Failure::new(Phase::Command, cause).hint(way_out(&busy.holder))))
        };
        Ok(nodes.iter().filter_map(failure).collect())
    }
}

/// Which run it is.
pub(super) fn whose(holder: &Holder) -> String {
    let Holder { run, command, pid, user, started, .. } = holder;
    let started = started.split('.').next().unwrap_or(started).trim_end_matches('Z');
    format!("`{command}`, pid {pid}, user {user}, since {started}Z (run {run})")
}

/// What to do about it.
pub(super) fn way_out(holder: &Holder) -> String {
    format!("wait for it, or stop it with `kill {}`; it leaves no lock behind", holder.pid)
}
