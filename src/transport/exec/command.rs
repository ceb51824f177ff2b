//! A command for a host, and what it did, as data.

use std::sync::Arc;
use std::time::Duration;

use super::sudo::SudoRefusal;
use crate::output::Output;

/// A command for one host.
#[derive(Debug, Clone)]
pub struct Command {
    /// The text for the login shell.
    pub text: String,
    /// What it reads; empty is end of file at once.
    pub stdin: Arc<[u8]>,
    /// Send it as it is, without the wrapper: no process id, no trailer, no kill.
    pub raw: bool,
    /// POSIX shell text that comes first; empty is none. Where it fails the command is not run.
    pub before: String,
    /// The text is for /bin/sh where the login shell does not understand POSIX syntax.
    pub posix: bool,
    /// Run it as this user, through sudo; then it is for /bin/sh.
    pub sudo: Option<String>,
    /// Give it a pseudo terminal, which makes one stream of its output.
    pub pty: bool,
    /// Time for it on the node; `None`: no limit.
    pub timeout: Option<Duration>,
}

impl Command {
    /// A command that reads nothing.
    #[must_use]
    pub fn new(text: impl Into<String>, timeout: Option<Duration>) -> Self {
        Self {
            text: text.into(),
            stdin: Arc::from([]),
            raw: false,
            before: String::new(),
            posix: false,
            sudo: None,
            pty: false,
            timeout,
        }
    }
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandResult {
    /// How it ended.
    pub end: CommandEnd,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// What the login shell printed before the command began, and sudo.
    pub preamble: Vec<u8>,
    /// After a stop: whether its processes were seen gone. `None`: there was nothing to kill.
    pub killed: Option<bool>,
    /// Process id of the wrapper on the node, which leads the command's process group.
    pub pid: Option<u32>,
    /// Wall time.
    pub elapsed: Duration,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandEnd {
    /// With this exit status, heard to the end.
    Exit(i32),
    /// What comes before the command failed, and the command was not run.
    Unprepared,
    /// sudo did not run it, nor what comes before it.
    Unprivileged {
        /// The user that it was to be run as.
        user: String,
        /// Why, as far as that is understood.
        why: SudoRefusal,
    },
    /// Killed by this signal (name without `SIG`).
    Signal(String),
    /// The connection broke before the result was heard.
    Lost(String),
    /// The server closed the channel before the result was heard, and said nothing wrong.
    Unheard,
    /// The login shell ended before the command began.
    NotBegun {
        /// The login shell's exit status.
        status: i32,
    },
    /// Its time ran out. False: before the login shell had begun it.
    TimedOut {
        /// Whether it had begun.
        begun: bool,
    },
    /// The run was stopped.
    Cancelled,
    /// The server refused a channel, or to run anything on it. Nothing ran.
    Refused(String),
    /// The connection broke before the command was sent. Nothing ran, so it may be tried again.
    NotSent(String),
}
