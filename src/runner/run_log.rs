//! What a run writes down while it goes on, and what it is told of an earlier one, so that it can be resumed.
//!
//! The run knows a ledger only as this trait: it must not touch files itself.

use std::collections::{HashMap, HashSet};
use std::io;

use crate::event::{HostId, StepId};
use crate::outcome::{Failure, Outcome};

/// Where a run writes down what is done. An error ends the run before its next step: what is not written down cannot be
/// resumed.
pub trait RunLog {
    /// A host is done with a step. `created` is what the end of the run is to remove again.
    ///
    /// # Errors
    /// When it could not be written.
    fn host_done(&mut self, step: StepId, host: HostId, outcome: Outcome, created: &[String]) -> io::Result<()>;

    /// A batch of hosts is done, and the step goes on with the next one.
    ///
    /// # Errors
    /// When what was told so far is not safe on the disk.
    fn batch_done(&mut self) -> io::Result<()>;

    /// A step is over for all its hosts, and the run now has this state, if it changed. Both are safe on the disk
    /// together, or neither.
    ///
    /// # Errors
    /// When they are not.
    fn step_done(&mut self, step: StepId, end: StepEnd, state: Option<&str>) -> io::Result<()>;

    /// A step is about to make this on a host, which the end of the run removes again.
    ///
    /// # Errors
    /// When it could not be written.
    fn intended(&mut self, step: StepId, host: HostId, paths: &[String]) -> io::Result<()>;

    /// What a step had created on a host is removed again.
    ///
    /// # Errors
    /// When it could not be written.
    fn cleaned(&mut self, step: StepId, host: HostId) -> io::Result<()>;

    /// What one host has for all: a variable of every host from now on. Secrets are not told here.
    ///
    /// # Errors
    /// When it could not be written.
    fn shared(&mut self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    /// Whether other runs can be kept away from nodes, so that it is worth asking which node a host is.
    fn can_hold(&self) -> bool {
        false
    }

    /// Keeps other runs away from these nodes: all of them, or none where another run is at work on one. Gives those, with
    /// what there is to say.
    ///
    /// # Errors
    /// When nobody can be kept away.
    fn hold(&mut self, _: &[(HostId, String)]) -> io::Result<Vec<(HostId, Failure)>> {
        Ok(Vec::new())
    }
}

/// How a step ended for the run as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEnd {
    /// As it should, on every host that it was for.
    Good,
    /// Some host failed at it.
    Failed,
    /// The run was refused there, or cut short.
    Stopped,
    /// The user said to begin after it.
    Passed,
}

/// A ledger that nobody keeps.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRunLog;

impl RunLog for NoRunLog {
    fn host_done(&mut self, _: StepId, _: HostId, _: Outcome, _: &[String]) -> io::Result<()> {
        Ok(())
    }

    fn batch_done(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn step_done(&mut self, _: StepId, _: StepEnd, _: Option<&str>) -> io::Result<()> {
        Ok(())
    }

    fn intended(&mut self, _: StepId, _: HostId, _: &[String]) -> io::Result<()> {
        Ok(())
    }

    fn cleaned(&mut self, _: StepId, _: HostId) -> io::Result<()> {
        Ok(())
    }
}

/// What is done already. Steps that only look are done again all the same: later steps need what they learn.
#[derive(Debug, Clone, Default)]
pub struct Resume {
    /// Steps before this one are passed over.
    pub from: StepId,
    /// Steps that ended well, for the run as a whole.
    pub good: HashSet<StepId>,
    /// Hosts that are done with a step, whatever became of the others.
    pub done: HashMap<StepId, HashSet<HostId>>,
    /// What earlier steps created and nobody has removed yet.
    pub to_clean: Vec<(HostId, StepId, Vec<String>)>,
    /// The state in which the run goes on.
    pub state: Option<String>,
    /// The states that steps came to, in order, without those of failures.
    pub states: Vec<(StepId, String)>,
    /// What hosts had for all.
    pub shared: Vec<(String, String)>,
}

impl Resume {
    /// Whether a host is done with a step.
    #[must_use]
    pub fn has(&self, step: StepId, host: HostId) -> bool {
        step < self.from || self.done.get(&step).is_some_and(|hosts| hosts.contains(&host))
    }

    /// Whether a step is done for the run as a whole.
    #[must_use]
    pub fn is_good(&self, step: StepId) -> bool {
        step < self.from || self.good.contains(&step)
    }
}
