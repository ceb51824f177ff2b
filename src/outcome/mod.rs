//! What happened on a host, as data.
//!
//! Nothing here is an `Err`: a host that could not be reached is a fact about the host, not a failure of gsctl.
//! This folder must not know about SSH, terminals or files; `transport` makes these values and `reporter` words them.

pub mod cause;
pub mod change;
pub mod stage;

use std::fmt;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::output::Output;
use crate::text::joined_hints;
use cause::Cause;
use change::Change;

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

    /// Says one more thing that may be done.
    pub fn add_hint(&mut self, more: &str) {
        self.hint = Some(joined_hints(self.hint.as_deref(), more));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_stand_side_by_side() {
        let hinted = |hint: &str| {
            let mut failure = Failure::new(Phase::Connect, "refused").hint(hint);
            failure.add_hint("leave it out");
            failure.hint.unwrap()
        };
        assert_eq!(hinted("is this its port?"), "is this its port? leave it out");
        assert_eq!(hinted("begin it"), "begin it; leave it out");
    }
}
