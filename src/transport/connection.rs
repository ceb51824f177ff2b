//! A logged-in connection to one host, whoever made it.

use super::copy::{CopyEnd, CopyProgress, CopyRequest, CopyResult};
use super::exec::command::{Command, CommandEnd, CommandPlace, CommandResult};
use super::exec::kill::{KillFrom, KillResult, kill};
use super::exec::marks::Mark;
use super::exec::{self, OutputSink};
use super::{local, openssh, session};
use crate::cancel::{CancelToken, Deadline};
use crate::plan::push::PartWriter;

/// A logged-in connection to one host.
pub enum Connection {
    /// By libssh2.
    Native(Box<session::Session>),
    /// By the system's `ssh`.
    OpenSsh(Box<openssh::Session>),
    /// None: commands run here.
    Local(Box<local::Session>),
}

impl Connection {
    /// The address that answered.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Self::Native(session) => &session.address,
            Self::OpenSsh(session) => &session.address,
            Self::Local(_) => "",
        }
    }

    /// The server's identification without `SSH-2.0-`.
    #[must_use]
    pub fn banner(&self) -> &str {
        match self {
            Self::Native(session) => &session.banner,
            Self::OpenSsh(session) => &session.banner,
            Self::Local(_) => "",
        }
    }

    /// Runs a command to its end, its timeout or the run's, whichever is first. `sink` gets output as it comes.
    pub async fn run(
        &mut self,
        command: &Command,
        mark: &Mark,
        cancel: Option<&CancelToken>,
        sink: Option<&OutputSink>,
    ) -> CommandResult {
        match self {
            Self::Native(session) => {
                if command.looks.is_some()
                    && sink.is_none()
                    && let Some(result) = Box::pin(session.look(command, mark, cancel)).await
                {
                    return result;
                }
                let result = exec::run(&mut **session, command, mark, cancel, sink).await;
                if let CommandEnd::Exit(_) = result.end {
                    session.keeps_looks.get_or_insert(true);
                }
                result
            }
            Self::OpenSsh(session) => exec::run(&mut **session, command, mark, cancel, sink).await,
            Self::Local(session) => exec::run(&mut **session, command, mark, cancel, sink).await,
        }
    }

    /// Ends what is kept for looks: nothing is waited for any more.
    pub async fn end_looks(&mut self) {
        if let Self::Native(session) = self {
            session.end_looks().await;
        }
    }

    /// Kills what another connection has left running of a command.
    pub async fn kill(&mut self, place: &CommandPlace, command: &Command, mark: &Mark) -> KillResult {
        let from = KillFrom::OtherConnection;
        match self {
            Self::Native(session) => kill(&mut **session, place, command, from, mark).await,
            Self::OpenSsh(session) => kill(&mut **session, place, command, from, mark).await,
            Self::Local(session) => kill(&mut **session, place, command, from, mark).await,
        }
    }

    /// Copies files. `writer` says whose the parts are that it leaves on the node.
    pub async fn copy(
        &mut self,
        request: &CopyRequest,
        writer: (&PartWriter, usize),
        mark: &Mark,
        deadline: Deadline,
        cancel: Option<&CancelToken>,
        progress: &CopyProgress<'_>,
    ) -> CopyResult {
        match self {
            Self::Native(session) => session.copy(request, writer, mark, deadline, cancel, progress).await,
            // Said before anybody is contacted; this is only in case.
            Self::OpenSsh(_) | Self::Local(_) => CopyResult {
                end: CopyEnd::NoSftp("not over this connection".to_owned()),
                changes: Vec::new(),
                differences: Vec::new(),
                bytes: 0,
                elapsed: std::time::Duration::ZERO,
            },
        }
    }

    /// Lets a connection that nothing runs on answer its server. False when it has ended.
    pub fn service(&mut self) -> bool {
        match self {
            Self::Native(session) => session.service(),
            Self::OpenSsh(session) => session.service(),
            Self::Local(_) => true,
        }
    }
}
