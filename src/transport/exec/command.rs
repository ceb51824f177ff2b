//! A command for a host, and what it did, as data.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::looks::Looks;
use super::parser::Process;
use super::sudo::SudoRefusal;
use super::wrapper::Runner;
pub use crate::outcome::{CommandNote, Killed};
use crate::output::Output;

/// A command for one host.
#[derive(Debug, Clone)]
pub struct Command {
    /// Its text.
    pub text: String,
    /// A look of a wait, which then is what the text would be.
    pub looks: Option<Looks>,
    /// Who runs the text.
    pub runner: Runner,
    /// Another shell than the login shell, for a user's command.
    pub shell: Option<String>,
    /// What it reads; empty is end of file at once.
    pub stdin: Arc<[u8]>,
    /// What it reads is closed by a line of ours, so that the script can tell whether all of it has come.
    pub sealed: bool,
    /// Send it as it is, without the wrapper: no process id, no trailer, no kill.
    pub raw: bool,
    /// POSIX shell text that comes first; empty is none. Where it fails the command is not run.
    pub before: String,
    /// Run it as this user, through sudo; then it is for /bin/sh.
    pub sudo: Option<String>,
    /// Give it a pseudo terminal, which makes one stream of its output.
    pub pty: bool,
    /// Time for it on the node; `None`: no limit.
    pub timeout: Option<Duration>,
}

impl Command {
    /// A user's command, which reads nothing.
    #[must_use]
    pub fn new(text: impl Into<String>, timeout: Option<Duration>) -> Self {
        Self::of(Runner::LoginShell, text, timeout)
    }

    /// A script of ours, which reads nothing and depends on nothing of the login's.
    #[must_use]
    pub fn own(text: impl Into<String>, timeout: Option<Duration>) -> Self {
        Self::of(Runner::OwnShell, text, timeout)
    }

    /// A script of a playbook, which may look for programs of the login's.
    #[must_use]
    pub fn playbook(text: impl Into<String>, timeout: Option<Duration>) -> Self {
        Self::of(Runner::Playbook, text, timeout)
    }

    /// A script of a playbook that is run again and again while a host is waited for.
    #[must_use]
    pub fn look(looks: Looks, timeout: Option<Duration>) -> Self {
        Self { looks: Some(looks), ..Self::playbook("", timeout) }
    }

    /// All of its text.
    #[must_use]
    pub fn whole_text(&self) -> Cow<'_, str> {
        match &self.looks {
            Some(looks) => Cow::Owned(looks.once()),
            None => Cow::Borrowed(&self.text),
        }
    }

    fn of(runner: Runner, text: impl Into<String>, timeout: Option<Duration>) -> Self {
        Self {
            text: text.into(),
            looks: None,
            runner,
            shell: None,
            stdin: Arc::from([]),
            sealed: false,
            raw: false,
            before: String::new(),
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
    pub killed: Option<Killed>,
    /// What carries it on the node, as far as that was heard.
    pub place: CommandPlace,
    /// What is worth knowing of how it was heard.
    pub notes: Vec<CommandNote>,
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
    /// Its time ran out.
    TimedOut(Begun),
    /// The run was stopped.
    Cancelled,
    /// The server refused a channel, or to run anything on it. Nothing ran.
    Refused(String),
    /// This machine could not start it. Nothing ran.
    NotStarted(String),
    /// The connection broke before the command was sent. Nothing ran, so it may be tried again.
    NotSent(String),
}

/// Whether a command whose time ran out had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It was heard to.
    Heard,
    /// Nothing was heard, though it was found running: something holds back what it prints.
    Found,
    /// The login shell had not come to it, and never will.
    Never,
    /// Nothing was heard, and nothing was found.
    Unknown,
}

/// Where a command is on its node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandPlace {
    /// The public id: it stands in the arguments of what carries the command.
    pub id: String,
    /// The wrapper, once it was heard.
    pub process: Option<Process>,
}
