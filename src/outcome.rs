//! What happened on a host, as data.
//!
//! Nothing here is an `Err`: a host that could not be reached is a fact about the host, not a failure of gsctl.
//! This file must not know about SSH, terminals or files; `transport` makes these values and `reporter` words them.

use std::fmt;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::output::Output;

/// Facts that a probe printed about a node: `key=value` lines, in the order they came.
pub type Facts = IndexMap<String, String>;

/// The verdict on one host, or on one step on one host. The set is closed: every host ends as exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Did what was asked; nothing on the node had to change.
    Ok,
    /// Did what was asked, and something on the node, or what was copied from it, is different now.
    Changed,
    /// Was left out by a `when`, or because a step before it was refused elsewhere.
    Skipped,
    /// Answered, but a command, check or wait failed.
    Failed,
    /// A command ran out of time on the node.
    TimedOut,
    /// Could not be reached, logged in to, or heard to the end.
    Unreachable,
    /// Was found in a state in which it is wrong to go on; nothing was changed.
    Refused,
    /// Was stopped, or never begun, because the run was.
    Cancelled,
}

impl Outcome {
    /// Every outcome, in the order in which reports count them.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Changed,
        Self::Failed,
        Self::TimedOut,
        Self::Unreachable,
        Self::Refused,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// True when the host did what was asked.
    #[must_use]
    pub fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::Changed | Self::Skipped)
    }

    /// The word used in reports: `timed_out`, `ok`, ...
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Changed => "changed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where in its life with a host a run was when something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Finding the address of a name.
    Resolve,
    /// TCP connection, banner and key exchange.
    Connect,
    /// Checking the server's host key.
    HostKey,
    /// Logging in.
    Auth,
    /// Running a command, or copying.
    Command,
    /// Looking at a node: a check, a fact, a condition.
    Check,
    /// Placing or removing files.
    Marker,
    /// Waiting for the startup chain.
    Chain,
    /// Something on this machine, and not on the node.
    Local,
    /// A command's time, or the run's deadline, ran out.
    Timeout,
    /// The connection or the channel ended before the result was heard.
    Lost,
}

impl Phase {
    /// The phase in words, as in `node07: host key: ...`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::HostKey => "host key",
            Self::Auth => "auth",
            Self::Command => "command",
            Self::Check => "check",
            Self::Marker => "marker",
            Self::Chain => "chain",
            Self::Local => "local",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// Why a host did not do what was asked.
///
/// `cause` is a lower-case fragment without a final period; `hint` says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where it happened.
    pub phase: Phase,
    /// What happened, in words that name the address, path or number concerned.
    pub cause: String,
    /// The way out, where there is one.
    pub hint: Option<String>,
    /// True when no command can have run, so that another attempt is safe.
    pub retryable: bool,
}

impl Failure {
    /// A failure that another attempt will not mend.
    #[must_use]
    pub fn new(phase: Phase, cause: impl Into<String>) -> Self {
        Self { phase, cause: cause.into(), hint: None, retryable: false }
    }

    /// The same failure with a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure, worth another attempt: nothing can have run on the node yet.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// The outcome that this failure gives a host.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.phase {
            Phase::Resolve | Phase::Connect | Phase::HostKey | Phase::Auth | Phase::Lost => Outcome::Unreachable,
            Phase::Timeout => Outcome::TimedOut,
            Phase::Command | Phase::Check | Phase::Marker | Phase::Chain | Phase::Local => Outcome::Failed,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.phase, self.cause)
    }
}

/// What is behind a failure: the documented cause of a node or a cluster that does not come up, or the lines that tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Its id in the catalogue of causes; `None` where that does not have it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// The stage of the startup chain that it holds back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stage: Option<String>,
    /// The cause in words.
    pub cause: String,
    /// Whether waiting helps.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wait: Option<WaitHelps>,
    /// The way out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// Where it was seen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub proof: Option<Proof>,
}

impl Cause {
    /// On one line: `OG44 postgresql.conf has errors`.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.id {
            Some(id) => format!("{id} {}", self.cause),
            None => self.cause.clone(),
        }
    }
}

impl Cause {
    /// How far what passes by itself has come, as its newest line says: ` (LINE)`. Empty for all that does not pass.
    #[must_use]
    pub fn progress(&self) -> String {
        /// Letters that are shown.
        const MOST: usize = 100;
        let newest = self.proof.as_ref().and_then(|proof| proof.lines.last());
        let newest = newest.filter(|_| self.wait == Some(WaitHelps::Passes));
        newest.map(|line| format!(" ({})", line.trim().chars().take(MOST).collect::<String>())).unwrap_or_default()
    }
}

/// Whether a cause passes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitHelps {
    /// It stays until something is done.
    No,
    /// It may pass.
    MayPass,
    /// It passes.
    Passes,
}

/// Where a cause was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The file on the node.
    pub file: String,
    /// Its decisive lines.
    pub lines: Vec<String>,
    /// Seconds since the file was written to, where the lines need not be of a start that was just asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub age_s: Option<u64>,
}

/// What was done, or found already done, about one path on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The path as it was on the node, globs expanded.
    pub path: String,
    /// What became of it.
    pub action: ChangeKind,
    /// The node's own words when nothing came of it, and whatever else there is to say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Was there and is gone; verified.
    Removed,
    /// Was not there to begin with.
    Absent,
    /// Was not there and is now.
    Created,
    /// Was there already.
    Present,
    /// Has new content.
    Written,
    /// Had that content already.
    Same,
    /// Somebody may not do this.
    Denied,
    /// Nothing came of it for another reason.
    Failed,
    /// Is not there, and would be made.
    WouldCreate,
    /// Would get another content, mode, time or owner.
    WouldWrite,
}

impl ChangeKind {
    /// True when the node is different now.
    #[must_use]
    pub fn is_change(self) -> bool {
        matches!(self, Self::Removed | Self::Created | Self::Written)
    }

    /// What it is called that nothing came of a path, for this reason: denied only where somebody may not.
    #[must_use]
    pub fn refused(why: &str) -> Self {
        let why = why.to_lowercase();
        let denied = ["permission denied", "not permitted", "access denied"].iter().any(|words| why.contains(words));
        if denied { Self::Denied } else { Self::Failed }
    }

    /// True when nothing came of it.
    #[must_use]
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Denied | Self::Failed)
    }

    /// The word that people read.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Absent => "absent",
            Self::Created => "created",
            Self::Present => "present",
            Self::Written => "written",
            Self::Same => "same",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::WouldCreate => "would create",
            Self::WouldWrite => "would write",
        }
    }
}

/// One stage of a startup chain on one host, as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageState {
    /// The stage's name in the playbook.
    pub stage: String,
    /// True when its fact says that it is up.
    pub up: bool,
    /// The fact's value as last seen, `None` where the probe said nothing.
    pub value: Option<String>,
    /// When it was first seen up, from the start of the wait. `None` where it is not up, or was up before the wait.
    pub after: Option<Duration>,
    /// The playbook's hint for this stage.
    pub hint: Option<String>,
}

impl StageState {
    /// True where it is named after what is to be true (`gaussdb gone`, `marker there`), and not after a thing: that is not
    /// missing, but not reached.
    #[must_use]
    pub fn is_condition(&self) -> bool {
        goes_down(&self.stage) || self.stage.ends_with(" there")
    }

    /// True where these stages are those of a stop: its chain goes down.
    #[must_use]
    pub fn lead_down(stages: &[Self]) -> bool {
        stages.last().is_some_and(|stage| goes_down(&stage.stage))
    }
}

/// True where a stage of this name is reached when something is gone (`gaussdb gone`), as those of a stop are.
#[must_use]
pub fn goes_down(stage: &str) -> bool {
    stage.ends_with(" gone")
}

/// What became of a command that was to be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Killed {
    /// It was there, and was seen gone.
    Yes,
    /// It may still be there.
    No,
    /// It had ended by itself before.
    Ended,
}

impl serde::Serialize for Killed {
    /// `true`, `false` or `"ended"`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Yes => serializer.serialize_bool(true),
            Self::No => serializer.serialize_bool(false),
            Self::Ended => serializer.serialize_str("ended"),
        }
    }
}

/// What is worth knowing of how a command was heard, whatever came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandNote {
    /// A child of the command still holds its output open: it is not listened to any more.
    HeldOpen,
    /// Nothing of standard error comes back.
    NoErrors,
    /// Standard error comes in standard output.
    OneStream,
}

impl CommandNote {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::HeldOpen => {
                "a child of the command still holds its output open; what it prints later is not heard (--linger)"
            }
            Self::NoErrors => {
                "standard error does not come back from the node: a start-up file of the shell, or sshd's settings, send it elsewhere"
            }
            Self::OneStream => {
                "standard error comes in standard output: a start-up file of the shell, or sshd's settings, make one stream of both"
            }
        }
    }
}

/// What one step did on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepResult {
    /// The verdict.
    pub outcome: Outcome,
    /// Why, where the verdict is not a success.
    pub failure: Option<Failure>,
    /// Exit status of the command, where it was heard.
    pub exit_status: Option<i32>,
    /// Name of the signal that ended the command, without `SIG`.
    pub signal: Option<String>,
    /// After a timeout or a stop: whether the command's processes were seen gone on the node. `None`: nothing to kill.
    pub remote_killed: Option<Killed>,
    /// What is worth knowing of how the command was heard.
    pub notes: Vec<CommandNote>,
    /// Standard output, raw.
    pub stdout: Output,
    /// Standard error, raw.
    pub stderr: Output,
    /// Paths that the step was about.
    pub changes: Vec<Change>,
    /// Bytes of files that went over the line.
    pub bytes: u64,
    /// Facts that the step learned.
    pub facts: Facts,
    /// What is behind the failure, where it is known.
    pub cause: Option<Box<Cause>>,
    /// Wall time of the step on this host.
    pub elapsed: Duration,
}

impl StepResult {
    /// A result that says only this.
    #[must_use]
    pub fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            failure: None,
            exit_status: None,
            signal: None,
            remote_killed: None,
            notes: Vec::new(),
            stdout: Output::default(),
            stderr: Output::default(),
            changes: Vec::new(),
            bytes: 0,
            facts: Facts::new(),
            cause: None,
            elapsed: Duration::ZERO,
        }
    }

    /// The result of a step that failed this way.
    #[must_use]
    pub fn failed(failure: Failure) -> Self {
        let outcome = failure.outcome();
        Self { failure: Some(failure), ..Self::new(outcome) }
    }
}
