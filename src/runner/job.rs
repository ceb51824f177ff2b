//! What the fleet is told to do on a host, and how that ended.

use crate::cancel::CancelToken;
use crate::outcome::Failure;
use crate::transport::{Command, CommandResult, CopyRequest, CopyResult};

/// Something to do on one host.
#[derive(Debug, Clone)]
pub struct Job {
    /// What to do.
    pub work: Work,
    /// Send output as it comes.
    pub stream: bool,
    /// Close the connection afterwards.
    pub last: bool,
    /// It is part of a wait: the channel that is kept for its looks stays.
    pub waits: bool,
    /// What stops it. Cleanups have a token of their own, so that they run after the run was cancelled.
    pub cancel: CancelToken,
}

/// What is done on a host.
#[derive(Debug, Clone)]
pub enum Work {
    /// Connect and log in only.
    Login,
    /// Run a command.
    Command(Command),
    /// Copy files.
    Copy(CopyRequest),
}

/// How a job ended.
#[derive(Debug)]
pub enum JobResult {
    /// There is no connection.
    Unreached {
        /// Why; `None`: the run was stopped.
        failure: Option<Failure>,
        /// Attempts that were made.
        attempts: u32,
    },
    /// Connected, with nothing to run.
    Reached,
    /// The command was run.
    Command(Box<CommandResult>),
    /// Files were copied.
    Copied(Box<CopyResult>),
}
