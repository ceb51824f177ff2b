//! A wait: what is looked at, until when, and how many hosts must be there.

use std::time::Duration;

use super::{Check, Condition, Rule, Template};

/// A wait.
#[derive(Debug, Clone)]
pub struct Wait {
    /// What is looked at.
    pub look: Look,
    /// When a host is there.
    pub until: Until,
    /// Hosts that cannot be reached are tried again, as they may still be on their way up; else they are given up.
    pub patient: bool,
    /// How many hosts must be there.
    pub quorum: Quorum,
    /// Pause from the start of one look to the start of the next, on one host.
    pub every: Duration,
    /// Time for the whole wait.
    pub timeout: Duration,
    /// A host that is not there after so many looks is not waited for.
    pub looks: Option<u32>,
    /// States from which a node will not come up by itself: the wait ends for it at once.
    pub give_up: Vec<Rule>,
    /// What to do where the time runs out.
    pub hint: Option<Template>,
    /// A command whose output (last lines of a log) goes into the report of a host that did not come up.
    pub evidence: Option<Look>,
}

/// What to look at while waiting.
#[derive(Debug, Clone)]
pub enum Look {
    /// A probe of the plan, as a light look (`$light` is 1 in the script).
    Probe(String),
    /// A command; its `key=value` and `key : value` lines are facts, and so is `exit_status`.
    Run(Template),
    /// Checks, as those of [`Action::Check`](super::Action::Check).
    Checks {
        /// The checks.
        checks: Vec<Check>,
        /// And the node has booted since the wait began.
        rebooted: bool,
    },
}

/// When a host is where a wait wants it.
#[derive(Debug, Clone)]
pub enum Until {
    /// Every stage of the plan's chain is up.
    Chain,
    /// A condition on facts holds.
    Condition(Condition),
    /// Everything looked at holds ([`Look::Checks`]).
    Checks,
}

/// How many hosts a wait wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quorum {
    /// Every host of the step.
    All,
    /// More than half.
    Majority,
    /// So many.
    Count(usize),
    /// So many per cent, rounded up.
    Percent(u8),
    /// One.
    Any,
}
