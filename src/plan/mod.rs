//! What a run will do, checked and complete, before anything is contacted.
//!
//! Ad hoc commands and playbooks both end as a [`Plan`]. Pure: no files, no network, no clock.

pub mod exec_options;
pub mod pull;
pub mod push;
pub mod quote;
pub mod script;
pub mod shebang;
pub mod template;
pub mod vars;

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::cause::Catalogue;
use crate::outcome::goes_down;

pub use exec_options::ExecOptions;
pub use pull::Pull;
pub use push::Push;
pub use template::Template;
pub use vars::{VarCheck, VarSpec, Vars};

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
                return Err(UnknownGroup { step: step.name.clone(), group: group.clone(), known: groups.to_vec() });
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

/// A look at a node: a POSIX sh script that prints `key=value` lines.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Where the script came from, for messages: `opengauss/node.sh`.
    pub source: String,
    /// The script's text. Every variable of the plan is set in it as a shell variable of that name.
    pub script: Arc<str>,
    /// Named states of a node; the first that matches becomes the fact `state`. Empty where the script prints `state` itself.
    pub states: Vec<StateRule>,
}

/// A named state of a node and what makes it so.
#[derive(Debug, Clone)]
pub struct StateRule {
    /// The state's name: `stopped`, `stopping`, ...
    pub state: String,
    /// What must hold.
    pub when: Condition,
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

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name, as the user reads it.
    pub name: String,
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
    pub fn new(name: impl Into<String>, action: Action) -> Self {
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

/// A number of hosts, or a part of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many.
    Count(usize),
    /// So many per cent, rounded up where hosts are begun, down where failures are allowed.
    Percent(u8),
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

/// What a step does on a host.
#[derive(Debug, Clone)]
pub enum Action {
    /// Connect and log in only.
    Ping,
    /// Copy files to the node.
    Push(std::sync::Arc<Push>),
    /// Copy files from the node.
    Pull(std::sync::Arc<Pull>),
    /// Run a command in the user's login shell.
    Run {
        /// The command. Variables in it are quoted for the shell.
        command: Template,
        /// How.
        exec_options: ExecOptions,
    },
    /// Run a script of the playbook's own in /bin/sh, which finds every variable set, as a probe does. Its `key=value`
    /// lines are facts; of those `changed`, `because` and `hint` are its own word on what it did and why it failed.
    Script {
        /// Where the script came from, for messages.
        source: String,
        /// The script's text.
        script: String,
        /// More shell variables.
        with: Vec<(String, Template)>,
        /// How it is run.
        exec_options: ExecOptions,
    },
    /// Look, and perhaps refuse to go on.
    Probe {
        /// Name of the probe.
        probe: String,
        /// States in which it is wrong to go on; the first that holds is the reason.
        refuse: Vec<Rule>,
        /// What is worth a word before the run goes on.
        warn: Vec<Remark>,
    },
    /// Hold only where every check does.
    Check {
        /// The checks.
        checks: Vec<Check>,
    },
    /// Remove files. Globs in the last component only.
    Remove {
        /// The paths.
        paths: Vec<Template>,
        /// As this user, through the node's sudo.
        sudo: Option<Template>,
    },
    /// Create empty files where they are not there.
    Touch {
        /// The paths.
        paths: Vec<Template>,
        /// Only where this file is there.
        if_exists: Option<Template>,
        /// As this user, through the node's sudo.
        sudo: Option<Template>,
    },
    /// Write a small file, atomically.
    Write {
        /// Where.
        path: Template,
        /// What; variables are put in as they are.
        content: Template,
        /// Permission bits.
        mode: u32,
    },
    /// Look again and again until something holds.
    Wait(Box<Wait>),
    /// Name the state of the whole run, in the journal.
    State {
        /// The state's name.
        name: String,
    },
}

impl Action {
    /// The user that sudo makes of the login user for it.
    #[must_use]
    pub fn sudo(&self) -> Option<&Template> {
        match self {
            Self::Run { exec_options, .. } | Self::Script { exec_options, .. } => exec_options.sudo.as_ref(),
            Self::Remove { sudo, .. } | Self::Touch { sudo, .. } => sudo.as_ref(),
            Self::Push(push) => push.sudo.as_ref(),
            Self::Pull(pull) => pull.sudo.as_ref(),
            _ => None,
        }
    }

    /// Whether it may change something on a node. A command may, whatever it is.
    #[must_use]
    pub fn is_change(&self) -> bool {
        match self {
            Self::Run { .. } | Self::Script { .. } | Self::Remove { .. } | Self::Touch { .. } | Self::Write { .. } => {
                true
            }
            Self::Push(push) => push.check.is_none(),
            Self::Ping
            | Self::Pull(_)
            | Self::Probe { .. }
            | Self::Check { .. }
            | Self::Wait(_)
            | Self::State { .. } => false,
        }
    }
}

/// What to look at while waiting.
#[derive(Debug, Clone)]
pub enum Look {
    /// A probe of the plan, as a light look (`$light` is 1 in the script).
    Probe(String),
    /// A command; its `key=value` and `key : value` lines are facts, and so is `exit_status`.
    Run(Template),
    /// Checks, as those of [`Action::Check`].
    Checks {
        /// The checks.
        checks: Vec<Check>,
        /// And the node has booted since the wait began.
        rebooted: bool,
    },
}

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

/// A condition and what it means.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What must hold.
    pub when: Condition,
    /// The reason, for the report.
    pub because: Template,
    /// What to do about it.
    pub hint: Option<Template>,
    /// Must have held for this long before it counts (waits only).
    pub after: Duration,
}

/// Something that the user should know once every host was looked at.
#[derive(Debug, Clone)]
pub struct Remark {
    /// What must hold on a host.
    pub when: Condition,
    /// It is about hosts that could not be looked at, not about those that were.
    pub hosts_missing: bool,
    /// What to say.
    pub because: Template,
    /// What to do about it.
    pub hint: Option<Template>,
}

/// Tests that must all hold.
#[derive(Debug, Clone, Default)]
pub struct Condition {
    /// Facts and the values that they may have. A fact that is not known is empty text.
    pub facts: Vec<(String, Vec<Template>)>,
    /// Facts and the values that they must not have.
    pub not: Vec<(String, Vec<Template>)>,
    /// Files that must be there (looked at on the node just before the step).
    pub exists: Vec<Template>,
    /// Files that must not be there.
    pub missing: Vec<Template>,
}

impl Condition {
    /// Whether there is no test in it, so that it always holds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.not.is_empty() && self.exists.is_empty() && self.missing.is_empty()
    }
}

/// One thing to check on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// A process of this name runs, and where a path is given, from this executable. A zombie does not count.
    Process {
        /// The name as in `/proc/PID/comm`.
        name: String,
        /// The executable.
        path: Option<String>,
    },
    /// No such process runs.
    NoProcess {
        /// As that of [`Check::Process`].
        name: String,
        /// The executable.
        path: Option<String>,
    },
    /// A command ends with status 0.
    Command(String),
    /// Something listens on this TCP port of the node.
    Port(u16),
    /// A file is there.
    File(String),
    /// A file is gone.
    NoFile(String),
}
