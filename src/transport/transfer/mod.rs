//! Copying files over SFTP, between scripts that look at the node before and have the last word afterwards.

mod list;
mod local;
mod pull;
mod push;
mod receive;
mod send;
mod tally;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ssh2::{ErrorCode, File, Sftp};

use super::classify;
use super::command::{Command, End, Ran};
use super::exec;
use super::session::{EAGAIN, Pulse, Session, Stopwatch};
use super::trailer::Mark;
use crate::control::{CancelToken, Deadline, Raced, race};
use crate::outcome::{Change, ChangeKind};
use crate::plan::pull::Source;
use crate::plan::push::Push;
use crate::plan::script::copy::{self, Answers};
pub use tally::Tally;

/// Bytes of a script's answer.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;
/// Bytes of an answer over SFTP, on the wire.
const ANSWER: usize = 8 * 1024;

/// Files for, or from, one host.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is copied.
    pub what: What,
    /// Time for all of it; `None`: no limit.
    pub timeout: Option<Duration>,
}

/// What is copied, and in which direction.
#[derive(Debug, Clone)]
pub enum What {
    /// To the host.
    Push {
        /// The files.
        push: Arc<Push>,
        /// Where to on this host.
        dest: String,
    },
    /// From the host.
    Pull {
        /// The files there.
        sources: Vec<Source>,
        /// The directory here.
        dir: PathBuf,
        /// Directories too.
        dirs: bool,
    },
}

/// What became of an order.
#[derive(Debug)]
pub struct Moved {
    /// How it ended.
    pub end: Ending,
    /// What became of each path, as far as it got.
    pub changes: Vec<Change>,
    /// Bytes of files that went over the line.
    pub bytes: u64,
    /// Wall time.
    pub elapsed: Duration,
}

/// How an order ended.
#[derive(Debug)]
pub enum Ending {
    /// Every file was dealt with, though some may have been denied.
    Whole,
    /// A script did not end well.
    Script(Box<Ran>),
    /// The server has no SFTP, in its words.
    NoSftp(String),
    /// The connection broke while bytes were on their way.
    Lost(String),
    /// Its time ran out.
    Late,
    /// The run was stopped.
    Cancelled,
    /// A file on this machine could not be read, or written.
    Local(String),
    /// There are more files than these on the host.
    TooMany(usize),
}

impl Moved {
    /// What the connection died of, where it did: another attempt goes on where this one stopped.
    #[must_use]
    pub fn lost(&self) -> Option<&str> {
        match &self.end {
            Ending::Lost(said) => Some(said),
            Ending::Script(ran) => match &ran.end {
                End::Lost(said) | End::NotSent(said) => Some(said),
                _ => None,
            },
            _ => None,
        }
    }
}

/// What every part of an order needs.
#[derive(Clone, Copy)]
struct Bounds<'a> {
    mark: &'a Mark,
    deadline: Deadline,
    cancel: Option<&'a CancelToken>,
    tally: &'a Tally<'a>,
}

impl Session {
    /// Copies files.
    pub async fn copy(
        &mut self,
        order: &Order,
        mark: &Mark,
        deadline: Deadline,
        cancel: Option<&CancelToken>,
        tally: &Tally<'_>,
    ) -> Moved {
        let watch = Stopwatch::start();
        let mut changes = Vec::new();
        let bounds = Bounds { mark, deadline, cancel, tally };
        let done = match &order.what {
            What::Push { push, dest } => self.push_all(push, dest, bounds, &mut changes).await,
            What::Pull { sources, dir, dirs } => self.pull_all((sources, *dirs), dir, bounds, &mut changes).await,
        };
        Moved { end: done.err().unwrap_or(Ending::Whole), changes, bytes: tally.moved(), elapsed: watch.elapsed() }
    }

    /// Runs a script of ours and reads its answers.
    async fn ask(&mut self, script: String, bounds: Bounds<'_>) -> Result<Answers, Ending> {
        let command =
            Command { stdin: script.into_bytes().into(), ..Command::new("exec /bin/sh -s", bounds.deadline.left()) };
        let ran = exec::run(self, &command, bounds.mark, bounds.cancel, None).await;
        match ran.end {
            End::Exit(0) => match ran.stdout.whole(LONGEST_ANSWER) {
                Ok(said) => Ok(copy::parse(&said)),
                Err(error) => Err(Ending::Local(format!("the node's answer cannot be understood: {error}"))),
            },
            _ => Err(Ending::Script(Box::new(ran))),
        }
    }

    /// Does something with SFTP. What it opens it keeps in the slot while it has it open: dropping that, or SFTP itself,
    /// would wait for the server.
    async fn with_sftp<T>(
        &mut self,
        bounds: Bounds<'_>,
        work: impl AsyncFnOnce(&Self, &Sftp, &mut Option<File>) -> Result<T, Ending>,
    ) -> Result<T, Ending> {
        let sftp = match self.sftp.take() {
            Some(sftp) => sftp,
            None => self.open_sftp(bounds).await?,
        };
        let mut slot = None;
        let raced = race(work(&*self, &sftp, &mut slot), bounds.deadline, bounds.cancel).await;
        self.open_files.extend(slot);
        self.sftp = Some(sftp);
        match raced {
            Raced::Done(done) => done,
            Raced::Late => Err(Ending::Late),
            Raced::Cancelled => Err(Ending::Cancelled),
        }
    }

    async fn open_sftp(&mut self, bounds: Bounds<'_>) -> Result<Sftp, Ending> {
        let limit = [bounds.deadline.left(), Some(self.patience())].into_iter().flatten().min();
        let opening = self.drive(ssh2::Session::sftp);
        match race(opening, Deadline::after(limit), bounds.cancel).await {
            Raced::Done(Ok(sftp)) => Ok(sftp),
            // Where its program ended at once, libssh2 takes that for the end of the connection.
            Raced::Done(Err(error)) if self.wire().is_over() || classify::is_lost(&error) && self.has_ended() => {
                Err(Ending::Lost(classify::lower(error.message())))
            }
            Raced::Done(Err(error)) => Err(Ending::NoSftp(classify::lower(error.message()))),
            Raced::Late if bounds.deadline.left().is_some_and(|left| left.is_zero()) => Err(Ending::Late),
            Raced::Late => Err(Ending::NoSftp("it did not answer".to_owned())),
            Raced::Cancelled => Err(Ending::Cancelled),
        }
    }

    /// Makes one call until it is done, with keepalives meanwhile. The inner error is the server's answer.
    async fn attend<T>(
        &self,
        pulse: &mut Pulse,
        mut call: impl FnMut() -> Result<T, ssh2::Error>,
    ) -> Result<Result<T, String>, Ending> {
        loop {
            match call() {
                Ok(done) => {
                    self.wire().used(ANSWER);
                    return Ok(Ok(done));
                }
                Err(error) if error.code() == ErrorCode::Session(EAGAIN) => {
                    self.heard(pulse).await.map_err(Ending::Lost)?;
                }
                Err(error) if classify::is_lost(&error) => {
                    return Err(Ending::Lost(classify::lower(error.message())));
                }
                Err(error) => return Ok(Err(classify::lower(error.message()))),
            }
        }
    }
}

fn denied(path: String, why: impl Into<String>) -> Change {
    Change { path, action: ChangeKind::Denied, note: Some(why.into()) }
}
