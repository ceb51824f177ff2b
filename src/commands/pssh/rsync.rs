//! `prsync`: one rsync of this machine for every host, as many at once as are wanted.
//!
//! A signal ends them all: each has a process group of its own, with the ssh that it started.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::event::{Event, EventKind, Reporter};
use crate::outcome::{Failure, Outcome, Phase, StepResult};
use crate::reporter::pssh::PsshLines;
use crate::stats::RunStats;

/// One rsync.
pub(super) struct RsyncJob {
    /// Its arguments.
    pub(super) arguments: Vec<String>,
    /// What it finds in the environment besides ours.
    pub(super) env: Vec<(String, String)>,
}

/// What is running, and whether that is to go on.
#[derive(Default)]
struct State {
    groups: Vec<Pid>,
    stopped: bool,
}

/// What there is to tell.
enum Wake {
    Ended(usize, Box<StepResult>),
    Signal,
    Over,
}

/// Runs them all and reports to `lines` how each ended. False where something could not be written.
pub(super) fn run(
    jobs: Vec<RsyncJob>,
    par: usize,
    limit: Option<Duration>,
    lines: &mut PsshLines,
) -> anyhow::Result<bool> {
    let began = Instant::now();
    let signals = super::super::signals::listen()?;
    let state = Mutex::new(State::default());
    let count = jobs.len();
    let queue: Mutex<VecDeque<(usize, RsyncJob)>> = Mutex::new(jobs.into_iter().enumerate().collect());
    let (sender, ended) = async_channel::unbounded();
    let mut told = true;
    std::thread::scope(|scope| {
        for _ in 0..par.min(count) {
            let (sender, state, queue) = (sender.clone(), &state, &queue);
            scope.spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((host, job)) = next else { return };
                    let result = one(job, limit, state);
                    if sender.try_send((host, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut tell = |kind| {
            let event = Event { at: began.elapsed(), kind };
            told &= lines.event(&event, &RunStats::default()).is_ok();
        };
        loop {
            let end =
                async { ended.recv().await.map_or(Wake::Over, |(host, result)| Wake::Ended(host, Box::new(result))) };
            let signal = async {
                match signals.recv().await {
                    Ok(_) => Wake::Signal,
                    Err(_) => futures_lite::future::pending().await,
                }
            };
            match futures_lite::future::block_on(futures_lite::future::or(end, signal)) {
                Wake::Ended(host, result) if result.outcome == Outcome::Skipped => {
                    tell(EventKind::HostFinished {
                        host,
                        outcome: Outcome::Cancelled,
                        failure: None,
                        elapsed: Duration::ZERO,
                    });
                }
                Wake::Ended(host, result) => tell(EventKind::HostStepFinished { host, step: 0, result: *result }),
                Wake::Signal => {
                    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                    state.stopped = true;
                    state.groups.iter().for_each(|group| kill(*group));
                }
                Wake::Over => return,
            }
        }
    });
    Ok(told)
}

/// One rsync, from its start to its end.
fn one(job: RsyncJob, limit: Option<Duration>, state: &Mutex<State>) -> StepResult {
    match attempt(job, limit, state) {
        Ok(result) => result,
        Err(error) => {
            let failure = Failure::new(Phase::Local, format!("rsync cannot be run: {error}"));
            StepResult {
                exit_status: Some(127),
                stderr: format!("{failure}\n").as_str().into(),
                ..StepResult::failed(failure)
            }
        }
    }
}

fn attempt(job: RsyncJob, limit: Option<Duration>, state: &Mutex<State>) -> io::Result<StepResult> {
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut command = Command::new("rsync");
    command.args(job.arguments).envs(job.env).process_group(0).stdin(Stdio::null());
    command.stdout(out.try_clone()?).stderr(err.try_clone()?);
    let (mut child, group) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.stopped {
            return Ok(StepResult::new(Outcome::Skipped));
        }
        let child = command.spawn()?;
        let group = Pid::from_child(&child);
        state.groups.push(group);
        (child, group)
    };
    let (sender, ended) = channel();
    let mut late = false;
    let status = std::thread::scope(|scope| {
        scope.spawn(move || sender.send(child.wait()));
        let waited = match limit {
            Some(limit) => ended.recv_timeout(limit),
            None => ended.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match waited {
            Err(RecvTimeoutError::Timeout) => {
                late = true;
                kill(group);
                ended.recv().map_err(io::Error::other)?
            }
            Err(gone) => Err(io::Error::other(gone)),
            Ok(status) => status,
        }
    })?;
    let stopped = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.groups.retain(|other| *other != group);
        state.stopped
    };
    let outcome = match status.code() {
        _ if late => Outcome::TimedOut,
        Some(0) => Outcome::Ok,
        None if stopped => Outcome::Cancelled,
        None => Outcome::TimedOut,
        Some(_) => Outcome::Failed,
    };
    let signal = status.signal().map(|number| number.to_string());
    let (stdout, stderr) = (whole(&mut out)?.into(), whole(&mut err)?.into());
    Ok(StepResult { exit_status: status.code(), signal, stdout, stderr, ..StepResult::new(outcome) })
}

fn kill(group: Pid) {
    // It may have ended just now.
    let _ = kill_process_group(group, Signal::KILL);
}

fn whole(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
