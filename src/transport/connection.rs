//! A logged-in connection to one host, whoever made it.

use super::command::{Command, Ran};
use super::exec::{self, Fate, Sink};
use super::trailer::Mark;
use super::transfer::{Ending, Moved, Order, Tally};
use super::{openssh, session};
use crate::control::{CancelToken, Deadline};

/// A logged-in connection to one host.
pub enum Connection {
    /// By libssh2.
    Native(Box<session::Session>),
    /// By the system's `ssh`.
    OpenSsh(Box<openssh::Session>),
}

impl Connection {
    /// The address that answered.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Self::Native(session) => &session.address,
            Self::OpenSsh(session) => &session.address,
        }
    }

    /// The server's identification without `SSH-2.0-`.
    #[must_use]
    pub fn banner(&self) -> &str {
        match self {
            Self::Native(session) => &session.banner,
            Self::OpenSsh(session) => &session.banner,
        }
    }

    /// Runs a command to its end, its timeout or the run's, whichever is first. `sink` gets output as it comes.
    pub async fn run(
        &mut self,
        command: &Command,
        mark: &Mark,
        cancel: Option<&CancelToken>,
        sink: Option<&Sink>,
    ) -> Ran {
        match self {
            Self::Native(session) => exec::run(&mut **session, command, mark, cancel, sink).await,
            Self::OpenSsh(session) => exec::run(&mut **session, command, mark, cancel, sink).await,
        }
    }

    /// Kills a command's process group on the node. `entered`: sudo, where it was to be run by that, has let it begin.
    pub async fn kill(&mut self, pid: u32, command: &Command, entered: bool, mark: &Mark) -> Fate {
        match self {
            Self::Native(session) => exec::kill(&mut **session, pid, command, entered, mark).await,
            Self::OpenSsh(session) => exec::kill(&mut **session, pid, command, entered, mark).await,
        }
    }

    /// Copies files.
    pub async fn copy(
        &mut self,
        order: &Order,
        mark: &Mark,
        deadline: Deadline,
        cancel: Option<&CancelToken>,
        tally: &Tally<'_>,
    ) -> Moved {
        match self {
            Self::Native(session) => session.copy(order, mark, deadline, cancel, tally).await,
            // Said before anybody is contacted; this is only in case.
            Self::OpenSsh(_) => Moved {
                end: Ending::NoSftp("not with --transport openssh".to_owned()),
                changes: Vec::new(),
                bytes: 0,
                elapsed: std::time::Duration::ZERO,
            },
        }
    }

    /// Lets a connection that nothing runs on answer its server. False when it has ended.
    pub fn pump(&mut self) -> bool {
        match self {
            Self::Native(session) => session.pump(),
            Self::OpenSsh(session) => session.pump(),
        }
    }
}
