//! Copying files over SFTP, between scripts that look at the node before and have the last word afterwards.

mod disk;
mod list;
mod list_by_script;
mod local;
mod progress;
mod pull;
mod pull_state;
mod push;
mod push_check;
mod receive;
mod send;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ssh2::{ErrorCode, File, Sftp};

use super::classify;
use super::exec;
use super::exec::command::{Command, CommandEnd, CommandResult};
use super::exec::marks::Mark;
use super::session::{EAGAIN, Keepalives, Session, Stopwatch};
use crate::cancel::{CancelToken, Deadline, Raced, race};
use crate::outcome::change::{Change, ChangeKind};
use crate::plan::pull::PullSource;
use crate::plan::push::{PartWriter, Push};
use crate::plan::script::copy::{self, CopyAnswers};
pub use progress::CopyProgress;

/// Bytes of a script's answer.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;
/// Time for a profile to print something, once there is a channel.
const AFTER_OPEN: Duration = Duration::from_secs(2);
/// Bytes of what a profile prints that are shown.
const PROFILE_WORDS: usize = 200;
/// Bytes of an answer over SFTP, on the wire.
const ANSWER: usize = 8 * 1024;

/// Files for, or from, one host.
#[derive(Debug, Clone)]
pub struct CopyRequest {
    /// What is copied.
    pub what: CopyDirection,
    /// Time for all of it; `None`: no limit.
    pub timeout: Option<Duration>,
}

/// What is copied, and in which direction.
#[derive(Debug, Clone)]
pub enum CopyDirection {
    /// To the host.
    Push {
        /// The files.
        push: Arc<Push>,
        /// Where to on this host.
        dest: String,
        /// As this user, through sudo.
        sudo: Option<String>,
    },
    /// From the host.
    Pull {
        /// The files there.
        sources: Vec<PullSource>,
        /// The directory here.
        dir: PathBuf,
        /// Directories too.
        dirs: bool,
        /// As this user, through sudo.
        sudo: Option<String>,
    },
}

/// What became of an order.
#[derive(Debug)]
pub struct CopyResult {
    /// How it ended.
    pub end: CopyEnd,
    /// What became of each path, as far as it got.
    pub changes: Vec<Change>,
    /// Differences of files, where they were asked for.
    pub differences: Vec<u8>,
    /// Bytes of files that went over the line.
    pub bytes: u64,
    /// Wall time.
    pub elapsed: Duration,
}

/// How an order ended.
#[derive(Debug)]
pub enum CopyEnd {
    /// Every file was dealt with, though some may have been denied.
    Whole,
    /// A script did not end well.
    Script(Box<CommandResult>),
    /// The server has no SFTP, in its words.
    NoSftp(String),
    /// What the login shell's profile prints comes before SFTP's first word, so that nobody understands it: these words.
    ProfileSpeaks(String),
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

impl CopyResult {
    /// What the connection died of, where it did: another attempt goes on where this one stopped.
    #[must_use]
    pub fn lost(&self) -> Option<&str> {
        match &self.end {
            CopyEnd::Lost(said) => Some(said),
            CopyEnd::Script(ran) => match &ran.end {
                CommandEnd::Lost(said) | CommandEnd::NotSent(said) => Some(said),
                _ => None,
            },
            _ => None,
        }
    }
}

/// What every part of an order needs.
#[derive(Clone, Copy)]
struct CopyLimits<'a> {
    mark: &'a Mark,
    deadline: Deadline,
    cancel: Option<&'a CancelToken>,
    progress: &'a CopyProgress<'a>,
    /// The scripts run as this user, through sudo.
    sudo: Option<&'a str>,
}

impl Session {
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
        let watch = Stopwatch::start();
        let (mut changes, mut differences) = (Vec::new(), Vec::new());
        let (CopyDirection::Push { sudo, .. } | CopyDirection::Pull { sudo, .. }) = &request.what;
        let limits = CopyLimits { mark, deadline, cancel, progress, sudo: sudo.as_deref() };
        let done = match &request.what {
            CopyDirection::Push { push, dest, .. } => {
                let pushed = self.push_all(push, dest, writer, limits, &mut changes).await;
                pushed.map(|shown| differences = shown)
            }
            CopyDirection::Pull { sources, dir, dirs, .. } => {
                self.pull_all((sources, *dirs), dir, limits, &mut changes).await
            }
        };
        CopyResult {
            end: done.err().unwrap_or(CopyEnd::Whole),
            changes,
            differences,
            bytes: progress.moved(),
            elapsed: watch.elapsed(),
        }
    }

    /// Runs a script of ours and reads its answers.
    async fn ask(&mut self, script: String, limits: CopyLimits<'_>) -> Result<CopyAnswers, CopyEnd> {
        let ran = self.run_script(script, limits).await;
        match ran.end {
            CommandEnd::Exit(0) => match ran.stdout.whole(LONGEST_ANSWER) {
                Ok(said) => Ok(copy::parse(&said)),
                Err(error) => Err(CopyEnd::Local(format!("the node's answer cannot be understood: {error}"))),
            },
            _ => Err(CopyEnd::Script(Box::new(ran))),
        }
    }

    /// Runs a script of ours, as the user that the order is carried out as.
    async fn run_script(&mut self, script: String, limits: CopyLimits<'_>) -> CommandResult {
        let command = Command { sudo: limits.sudo.map(str::to_owned), ..Command::own(script, limits.deadline.left()) };
        exec::run(self, &command, limits.mark, limits.cancel, None).await
    }

    /// Does something with SFTP. What it opens it keeps in the slot while it has it open: dropping that, or SFTP itself,
    /// would wait for the server.
    async fn with_sftp<T>(
        &mut self,
        limits: CopyLimits<'_>,
        work: impl AsyncFnOnce(&Self, &Sftp, &mut Option<File>) -> Result<T, CopyEnd>,
    ) -> Result<T, CopyEnd> {
        let sftp = match self.sftp.take() {
            Some(sftp) => sftp,
            None => self.open_sftp(limits).await?,
        };
        let mut slot = None;
        let raced = race(work(&*self, &sftp, &mut slot), limits.deadline, limits.cancel).await;
        self.open_files.extend(slot);
        self.sftp = Some(sftp);
        match raced {
            Raced::Done(done) => done,
            Raced::Late => Err(CopyEnd::Late),
            Raced::Cancelled => Err(CopyEnd::Cancelled),
        }
    }

    async fn open_sftp(&mut self, limits: CopyLimits<'_>) -> Result<Sftp, CopyEnd> {
        let said = match self.try_sftp(limits).await? {
            Ok(sftp) => return Ok(sftp),
            Err((said, true)) => return Err(CopyEnd::NoSftp(said)),
            Err((said, false)) => said,
        };
        // A program that speaks SFTP may be there, behind a profile that speaks first; or the connection is gone.
        // A channel that is not even opened says more than a shell that is slow.
        let timeout = [limits.deadline.left(), Some(self.open_timeout() + AFTER_OPEN)].into_iter().flatten().min();
        let silent = Command { raw: true, ..Command::new("exit 0", timeout) };
        let ran = exec::run(self, &silent, limits.mark, limits.cancel, None).await;
        Err(match ran.end {
            CommandEnd::Lost(said) | CommandEnd::NotSent(said) => CopyEnd::Lost(said),
            CommandEnd::Cancelled => CopyEnd::Cancelled,
            _ if ran.stdout.is_empty() => CopyEnd::NoSftp(said),
            _ => {
                let words = ran.stdout.first(PROFILE_WORDS).unwrap_or_default();
                CopyEnd::ProfileSpeaks(String::from_utf8_lossy(&words).trim().to_owned())
            }
        })
    }

    /// Opens SFTP. Where that fails, what was said, and whether the server itself said no.
    async fn try_sftp(&mut self, limits: CopyLimits<'_>) -> Result<Result<Sftp, (String, bool)>, CopyEnd> {
        let limit = [limits.deadline.left(), Some(self.open_timeout())].into_iter().flatten().min();
        let opening = self.drive(ssh2::Session::sftp);
        match race(opening, Deadline::after(limit), limits.cancel).await {
            Raced::Done(Ok(sftp)) => Ok(Ok(sftp)),
            // Where its program ended at once, libssh2 takes that for the end of the connection.
            Raced::Done(Err(error)) if self.socket().is_over() || classify::is_lost(&error) && self.has_ended() => {
                Err(CopyEnd::Lost(classify::lower(error.message())))
            }
            Raced::Done(Err(error)) => Ok(Err((classify::lower(error.message()), classify::is_refused(&error)))),
            Raced::Late if limits.deadline.left().is_some_and(|left| left.is_zero()) => Err(CopyEnd::Late),
            Raced::Late => Ok(Err(("it did not answer".to_owned(), false))),
            Raced::Cancelled => Err(CopyEnd::Cancelled),
        }
    }

    /// Makes one call until it is done, with keepalives meanwhile. The inner error is the server's answer.
    async fn with_keepalives<T>(
        &self,
        keepalives: &mut Keepalives,
        mut call: impl FnMut() -> Result<T, ssh2::Error>,
    ) -> Result<Result<T, String>, CopyEnd> {
        loop {
            match call() {
                Ok(done) => {
                    self.socket().used(ANSWER);
                    return Ok(Ok(done));
                }
                Err(error) if error.code() == ErrorCode::Session(EAGAIN) => {
                    self.wait_readable(keepalives).await.map_err(CopyEnd::Lost)?;
                }
                Err(error) if classify::is_lost(&error) => {
                    return Err(CopyEnd::Lost(classify::lower(error.message())));
                }
                Err(error) => return Ok(Err(classify::lower(error.message()))),
            }
        }
    }
}

/// Nothing came of a path.
fn refused(path: String, why: impl Into<String>) -> Change {
    let why = why.into();
    Change { path, action: ChangeKind::refused(&why), note: Some(why) }
}
