//! The report of a run: everything that was learned, host by host, in inventory order.
//!
//! Plain data. `reporter` writes it as JSON, JUnit or a table; nothing here knows about files or terminals.

use std::sync::Arc;
use std::time::Duration;

use crate::event::StepId;
use crate::exit::ExitStatus;
use crate::outcome::cause::Cause;
use crate::outcome::change::Change;
use crate::outcome::stage::StageState;
use crate::outcome::{CommandNote, Facts, Failure, Killed, Outcome};
use crate::output::Output;
use crate::partition::Partition;
use crate::stats::Counts;

/// Name and version of the JSON form.
pub const SCHEMA: &str = "gsctl.run/1";

/// A whole run.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// The run's id: its start in UTC and a few random letters, so that ids sort by time.
    pub run: String,
    /// The command line, without secrets: `exec`, `play opengauss/start`, ...
    pub command: String,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// Wall time.
    pub elapsed: Duration,
    /// How gsctl will exit.
    pub status: ExitStatus,
    /// The state of the run, where its playbook names one.
    pub state: Option<String>,
    /// Hosts by verdict.
    pub counts: Counts,
    /// The part of the selection that its hosts are.
    pub partition: Option<Partition>,
    /// The parts that it was made of.
    pub merged: Option<Merged>,
    /// A step that waits was begun, so that the chains tell how it ended.
    pub waited: bool,
    /// What was heard about the cluster, where a step asked one host for all.
    pub cluster: Option<ClusterReport>,
    /// Host keys that were recorded (accept-new).
    pub recorded_keys: Vec<RecordedKey>,
    /// Every host of the run, in inventory order.
    pub hosts: Vec<HostReport>,
}

impl RunReport {
    /// Whether it was made of parts, and not of all.
    #[must_use]
    pub fn lacks_parts(&self) -> bool {
        self.merged.as_ref().is_some_and(|merged| !merged.missing().is_empty())
    }
}

/// The parts that a report was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// How many there are in all.
    pub of: usize,
    /// Those that were there, in order, and their runs.
    pub parts: Vec<(usize, String)>,
}

impl Merged {
    /// Parts that were not there. Nothing is known of their hosts.
    #[must_use]
    pub fn missing(&self) -> Vec<usize> {
        let is_there = |index: &usize| self.parts.binary_search_by_key(index, |(there, _)| *there).is_ok();
        (1..=self.of).filter(|index| !is_there(index)).collect()
    }
}

/// A host key that was recorded, as its host had none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedKey {
    /// The host, or a jump host.
    pub host: String,
    /// `ssh-ed25519`, ...
    pub key_type: String,
    /// `SHA256:...`
    pub fingerprint: String,
    /// The known hosts file that it was added to.
    pub file: String,
}

/// One host of a run.
#[derive(Debug, Clone)]
pub struct HostReport {
    /// The host's name as the user wrote it.
    pub host: Arc<str>,
    /// What was connected to, as far as it is known.
    pub address: Option<String>,
    /// The login name.
    pub user: Option<Arc<str>>,
    /// The port.
    pub port: u16,
    /// The verdict.
    pub outcome: Outcome,
    /// True when something on the node is different now, whatever the verdict.
    pub changed: bool,
    /// Why, where the verdict is not a success. Boxed, as what is behind it is: few hosts have any.
    pub failure: Option<Box<Failure>>,
    /// What is behind that, where it is known.
    pub cause: Option<Box<Cause>>,
    /// False where nothing was begun on it but looks.
    pub begun: bool,
    /// Attempts to connect that were made.
    pub attempts: u32,
    /// Time from the first attempt to the login.
    pub connect: Option<Duration>,
    /// Time from the host's start to its end.
    pub elapsed: Duration,
    /// Exit status of the last command.
    pub exit_status: Option<i32>,
    /// Signal that ended the last command.
    pub signal: Option<String>,
    /// Whether a stopped command was seen gone on the node.
    pub remote_killed: Option<Killed>,
    /// What is worth knowing of how its last command was heard.
    pub notes: Vec<CommandNote>,
    /// Standard output of the last command.
    pub stdout: Output,
    /// Standard error of the last command.
    pub stderr: Output,
    /// Everything that probes learned.
    pub facts: Facts,
    /// The startup chain as last seen.
    pub chain: Vec<StageState>,
    /// Steps that the host took part in, in order.
    pub steps: Vec<StepReport>,
}

impl HostReport {
    /// One of which nothing but this is known.
    #[cfg(test)]
    pub(crate) fn example(host: &str, outcome: Outcome) -> Self {
        Self {
            host: host.into(),
            address: None,
            user: None,
            port: 22,
            outcome,
            changed: false,
            failure: None,
            cause: None,
            begun: true,
            attempts: 1,
            connect: None,
            elapsed: Duration::ZERO,
            exit_status: None,
            signal: None,
            remote_killed: None,
            notes: Vec::new(),
            stdout: Output::default(),
            stderr: Output::default(),
            facts: Facts::new(),
            chain: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Stages that are missing on a host that was heard and that nobody has stopped on purpose.
    #[must_use]
    pub fn lacks(&self) -> Vec<&StageState> {
        if !self.outcome.is_success() || self.is_stopped() {
            return Vec::new();
        }
        self.chain.iter().filter(|stage| !stage.up).collect()
    }

    /// Whether it is down, or going down, because somebody wanted it so.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        const ON_PURPOSE: [&str; 3] = ["stopped", "stopping", "stack-stopped"];
        self.facts.get("state").is_some_and(|state| ON_PURPOSE.contains(&state.as_str()))
    }
}

/// What a look at a cluster comes to for a script (`status --exit-code`): success only where every host has all its stages and
/// the cluster, where it has a word for itself, says Normal. Where one host was asked for all, and another one in its place, the
/// last answer counts.
#[must_use]
pub fn health(hosts: &[HostReport], cluster: Option<&ClusterReport>) -> ExitStatus {
    let unseen = |host: &HostReport| !host.outcome.is_success() && !host.facts.contains_key("state");
    let well = |host: &HostReport| host.outcome.is_success() && host.chain.iter().all(|stage| stage.up);
    let asked = cluster.and_then(|cluster| cluster.state.as_ref());
    let of_hosts = hosts.iter().filter_map(|host| host.facts.get("cluster_state")).filter(|_| asked.is_none());
    let mut words = asked.into_iter().chain(of_hosts);
    if hosts.iter().any(unseen) {
        ExitStatus::Unreachable
    } else if hosts.iter().all(well) && words.all(|word| word == "Normal") {
        ExitStatus::Success
    } else {
        ExitStatus::Failed
    }
}

/// A cluster, as the hosts that were asked about it said. What is wrong with it is no host's failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterReport {
    /// The latest answer.
    pub state: Option<String>,
    /// Hosts that were asked, and what each said last.
    pub asked: Vec<Asked>,
    /// Why, where it is not as it was wanted.
    pub failure: Option<Failure>,
    /// What is behind that, where it is known.
    pub cause: Option<Cause>,
}

/// A host that was asked about the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The host's name.
    pub host: String,
    /// What it said.
    pub answer: String,
}

/// One step on one host.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// The step's name; the hosts share it.
    pub name: Arc<str>,
    /// Its place in the plan; `None` for what the run does besides: cleanups, states that the hosts are told.
    pub step: Option<StepId>,
    /// The verdict.
    pub outcome: Outcome,
    /// Why, where it is not a success.
    pub failure: Option<Box<Failure>>,
    /// Wall time on this host.
    pub elapsed: Duration,
    /// Exit status of the step's command.
    pub exit_status: Option<i32>,
    /// Paths that the step was about.
    pub changes: Vec<Change>,
    /// Bytes of files that went over the line.
    pub bytes: u64,
}
