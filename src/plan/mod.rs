//! What a run will do, checked and complete, before anything is contacted.
//!
//! Ad hoc commands and playbooks both end as a [`Plan`]. Pure: no files, no network, no clock.

mod action;
mod check;
mod condition;
pub mod exec_options;
mod probe;
pub mod pull;
pub mod push;
pub mod quote;
pub mod script;
pub mod shebang;
mod step;
pub mod template;
pub mod vars;
mod wait;

use indexmap::IndexMap;

use crate::cause::Catalogue;
use crate::outcome::stage::goes_down;

pub use action::Action;
pub use check::Check;
pub use condition::{Condition, Remark, Rule};
pub use exec_options::ExecOptions;
pub use probe::{Probe, StateRule};
pub use pull::Pull;
pub use push::Push;
pub use step::{Cleanup, Need, On, OnFailure, Step};
pub use template::Template;
pub use vars::{VarCheck, VarSpec, Vars};
pub use wait::{Look, Quorum, Until, Wait};

/// A whole run: what to do, in order.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// `exec`, `opengauss/start`, ...
    pub name: String,
    /// One line that says what it is for; of a single command, what it does.
    pub summary: Option<String>,
    /// Variables that its templates use.
    pub vars: IndexMap<String, VarSpec>,
    /// Probes by name.
    pub probes: IndexMap<String, Probe>,
    /// The startup chain, in order; empty where the plan has none.
    pub chain: Vec<Stage>,
    /// The documented causes of a chain that does not come up.
    pub causes: Catalogue,
    /// Steps from this one on come after those of a playbook that has changed the nodes: what a preflight finds there is no
    /// refusal any more, but the failure of a host.
    pub late_from: Option<usize>,
    /// Where the hosts, too, keep the state of the run; `None`: it is in the journal alone.
    pub state_file: Option<Template>,
    /// Groups of which each has a state of its own there: one that comes of a step for such a group stays on its hosts.
    pub state_groups: Vec<String>,
    /// Steps, in order. Each is done on all its hosts before the next begins.
    pub steps: Vec<Step>,
    /// Steps that are done batch by batch, in order.
    pub blocks: Vec<Block>,
    /// More hosts than this must not be selected.
    pub max_hosts: Option<usize>,
    /// Facts that are columns of the table at the end of a run that only looks.
    pub table: Vec<String>,
    /// What goes on by itself on the nodes once the run is cut short, or does not wait for it.
    pub goes_on: Option<String>,
    /// What the user should know about how it was put together.
    pub notes: Vec<String>,
}

/// Steps that are done batch by batch: all of them for some hosts before the next hosts begin.
#[derive(Debug, Clone)]
pub struct Block {
    /// The steps.
    pub steps: std::ops::Range<usize>,
    /// Hosts in a batch.
    pub serial: Share,
    /// With more failed hosts than this, no further batch begins.
    pub max_fail: Share,
    /// Hosts that go first, in a batch of their own.
    pub first: Option<usize>,
    /// Hosts for which this holds go last.
    pub last: Option<Condition>,
}

impl Plan {
    /// Does all steps batch by batch.
    pub fn roll(&mut self, serial: Share, max_fail: Share, first: Option<usize>) {
        let last = self.blocks.first().and_then(|block| block.last.clone());
        self.blocks = vec![Block { steps: 0..self.steps.len(), serial, max_fail, first, last }];
    }

    /// True when nothing is changed and nothing waited for: what the probes learn is all that is wanted.
    #[must_use]
    pub fn only_looks(&self) -> bool {
        !self.chain.is_empty() && self.steps.iter().all(|step| matches!(step.action, Action::Probe { .. }))
    }

    /// What hosts are once they are at the end of the chain: up, or down where it is the chain of a stop.
    #[must_use]
    pub fn end_word(&self) -> &'static str {
        if self.chain.last().is_some_and(|stage| goes_down(&stage.name)) { "down" } else { "up" }
    }

    /// Gives the plan another chain for the steps that follow. Waits for the chain that it had wait for what that says, stage by
    /// stage.
    pub fn follow(&mut self, chain: Vec<Stage>) {
        let before = std::mem::replace(&mut self.chain, chain);
        if before.is_empty() {
            return;
        }
        let up = |stage: &Stage| (stage.fact.clone(), stage.up.iter().map(Template::literal).collect());
        let facts: Vec<(String, Vec<Template>)> = before.iter().map(up).collect();
        for step in &mut self.steps {
            if let Action::Wait(wait) = &mut step.action
                && matches!(wait.until, Until::Chain)
            {
                wait.until = Until::Condition(Condition { facts: facts.clone(), ..Condition::default() });
            }
        }
        if self.is_change() {
            self.late_from.get_or_insert(self.steps.len());
        }
    }

    /// Whether the inventory has every group that a step is for.
    ///
    /// # Errors
    ///
    /// Names the first step whose group isn't there, and the groups that are.
    pub fn check_groups(&self, groups: &[String]) -> Result<(), UnknownGroup> {
        for step in &self.steps {
            if let On::Group(group) | On::NotGroup(group) = &step.on
                && !groups.contains(group)
            {
                return Err(UnknownGroup { step: step.name.to_string(), group: group.clone(), known: groups.to_vec() });
            }
        }
        Ok(())
    }

    /// Whether it may change something on a node.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.steps.iter().any(|step| step.action.is_change())
    }

    /// Whether it waits for hosts that cannot be reached yet, and does nothing else.
    #[must_use]
    pub fn is_patient(&self) -> bool {
        self.steps.iter().all(|step| matches!(&step.action, Action::Wait(wait) if wait.patient))
    }

    /// Hosts that such a wait wants, where that is a number of its own.
    #[must_use]
    pub fn wanted(&self) -> Option<usize> {
        self.steps.iter().find_map(|step| match &step.action {
            Action::Wait(wait) if wait.patient => match wait.quorum {
                Quorum::Count(count) => Some(count),
                _ => None,
            },
            _ => None,
        })
    }

    /// Why it cannot be done on a part of the hosts: something in it is about all of them together.
    #[must_use]
    pub fn about_whole(&self) -> Option<String> {
        let about = |step: &Step| {
            let name = &step.name;
            match &step.action {
                _ if step.on == On::Any => Some(format!("step `{name}` asks one host for all")),
                _ if step.about_cluster => Some(format!("step `{name}` is about the cluster")),
                Action::Wait(wait) if wait.quorum != Quorum::All => {
                    Some(format!("step `{name}` waits for a number of all hosts"))
                }
                _ => None,
            }
        };
        if !self.chain.is_empty() {
            return Some("its startup chain is that of a whole cluster".to_owned());
        }
        if let Some(most) = self.max_hosts {
            return Some(format!("it is for {most} of the hosts only"));
        }
        if self.names_states() {
            return Some("its states are those of the whole run".to_owned());
        }
        self.steps.iter().find_map(about)
    }

    /// Whether it is one command, or none, whose text is the same for every host, and says nothing of one.
    #[must_use]
    pub fn is_same_for_all(&self) -> bool {
        let [step] = self.steps.as_slice() else { return false };
        let is_bare = step.when.is_none()
            && step.not_an_answer.is_none()
            && step.cleanup.is_none()
            && step.state.is_none()
            && step.need.is_empty()
            && step.hint.is_none()
            && step.evidence.is_none();
        let is_literal = match &step.action {
            Action::Ping => true,
            Action::Run { command, exec_options: ExecOptions { before, sudo, .. } } => {
                command.is_literal() && before.is_literal() && sudo.as_ref().is_none_or(Template::is_literal)
            }
            _ => false,
        };
        is_bare && is_literal && self.vars.is_empty() && self.state_file.is_none() && self.chain.is_empty()
    }

    /// Whether it names states of the run, which only a journal keeps.
    #[must_use]
    pub fn names_states(&self) -> bool {
        let named = |step: &Step| {
            step.state.is_some() || step.on_failure_state.is_some() || matches!(step.action, Action::State { .. })
        };
        self.steps.iter().any(named)
    }
}

/// A step for a group that the hosts file doesn't have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step `{step}` is for group `{group}`, which the hosts file does not have")]
pub struct UnknownGroup {
    /// The step.
    pub step: String,
    /// The group.
    pub group: String,
    /// The groups that there are.
    pub known: Vec<String>,
}

impl UnknownGroup {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        if self.known.is_empty() {
            format!("add a line `[{}]` and its hosts to the hosts file", self.group)
        } else {
            format!("groups of the hosts file: {}", self.known.join(", "))
        }
    }
}

/// One stage of a startup chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its name: `cm_agent`.
    pub name: String,
    /// The fact that tells.
    pub fact: String,
    /// Values of the fact that mean up.
    pub up: Vec<String>,
    /// What to do where it does not come up.
    pub hint: Option<Template>,
}

/// A number of hosts, or a part of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many.
    Count(usize),
    /// So many per cent, rounded up where hosts are begun, down where failures are allowed.
    Percent(u8),
}
