//! A step: what it does, on which hosts, and what its failure means.

use std::sync::Arc;
use std::time::Duration;

use super::{Action, Condition, Look, Quorum, Share, Template};

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name, as the user reads it.
    pub name: Arc<str>,
    /// What it does.
    pub action: Action,
    /// Hosts it is for.
    pub on: On,
    /// A host for which this does not hold is skipped.
    pub when: Option<Condition>,
    /// Of one host for all (`on: any`): an answer for which this holds is none, so another host is asked.
    pub not_an_answer: Option<Condition>,
    /// Time for each command of the step; `None`: no limit.
    pub timeout: Option<Duration>,
    /// Times that a failed command is tried again. Only where the action is idempotent, or the author says so.
    pub retries: u32,
    /// Hosts at once, where that is less than all.
    pub serial: Option<Share>,
    /// More failed hosts than this stop the run.
    pub max_fail: Option<Share>,
    /// What a failed host means for the steps after.
    pub on_failure: OnFailure,
    /// What is undone at the end of the run, however it ends, on hosts where this step made it.
    pub cleanup: Option<Cleanup>,
    /// State of the run once the step is done.
    pub state: Option<String>,
    /// State of the run if the step fails.
    pub on_failure_state: Option<String>,
    /// Hosts that must be able to come up, by what its probe finds on them; else the run is refused.
    pub need: Vec<Need>,
    /// It is about the cluster, and not about the hosts that are asked: what it waits for in vain is no host's failure.
    pub about_cluster: bool,
    /// Done at each entry: also where an earlier run, which goes on, has done it.
    pub every_run: bool,
    /// What to do where its command fails and names no way out, or does not end in time.
    pub hint: Option<Template>,
    /// What a host on which its command failed is asked, for the report.
    pub evidence: Option<Look>,
}

impl Step {
    /// A step for all hosts, with nothing special about it.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, action: Action) -> Self {
        Self {
            name: name.into(),
            action,
            on: On::All,
            when: None,
            not_an_answer: None,
            timeout: None,
            retries: 0,
            serial: None,
            max_fail: None,
            on_failure: OnFailure::Stop,
            cleanup: None,
            state: None,
            on_failure_state: None,
            need: Vec::new(),
            about_cluster: false,
            every_run: false,
            hint: None,
            evidence: None,
        }
    }
}

/// Hosts that must be able to come up for a run to make sense.
#[derive(Debug, Clone)]
pub struct Need {
    /// So many.
    pub quorum: Quorum,
    /// Of the hosts for which this holds.
    pub of: Condition,
    /// As far as this stage of the chain; `None`: to its end.
    pub up_to: Option<String>,
}

/// Hosts that a step is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// All hosts of the run that are still in it.
    All,
    /// One host that is up; another one if it goes away.
    Any,
    /// Hosts of this group.
    Group(String),
    /// Hosts that are not of this group.
    NotGroup(String),
}

impl On {
    /// Whether a host in these groups may be one of them.
    #[must_use]
    pub fn includes(&self, groups: &[String]) -> bool {
        match self {
            Self::All | Self::Any => true,
            Self::Group(name) => groups.contains(name),
            Self::NotGroup(name) => !groups.contains(name),
        }
    }
}

/// What a failed host means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Later steps are not done, on any host.
    Stop,
    /// Later steps are done on the hosts that are left.
    Continue,
}

/// What is undone at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Remove the paths that the step created.
    Remove,
}
