//! A child process in a process group of its own: a Ctrl-C is gsctl's to answer, which may still need it.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{self, Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::reactor::sleep;

/// Time between two looks whether a child has ended.
const LOOK: Duration = Duration::from_millis(20);

/// A child process. Unless it is released, nothing of it stays: neither the process nor its number.
#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    status: Option<ExitStatus>,
    /// Whether it is killed where it is given up.
    killed: bool,
}

impl Child {
    /// Starts it.
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        Ok(Self { process: command.process_group(0).spawn()?, status: None, killed: true })
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.process.try_wait().ok().flatten();
        }
        self.status.is_some()
    }

    /// Waits until it has ended. `None`: nobody knows how.
    pub(super) async fn ended(&mut self) -> Option<ExitStatus> {
        let mut pause = Duration::from_millis(1);
        while self.status.is_none() {
            match self.process.try_wait() {
                Ok(None) => sleep(pause).await,
                Ok(status) => {
                    self.status = status;
                    break;
                }
                Err(_) => return None,
            }
            pause = LOOK.min(pause * 2);
        }
        self.status
    }

    /// It has done what it is for: what it has left running may go on, and it ends by itself.
    pub(super) fn release(&mut self) {
        self.killed = false;
    }

    /// Sends a signal to it and to what it has started, unless it has ended.
    pub(super) fn signal(&mut self, signal: Signal) {
        if !self.has_ended()
            && let Some(group) = Pid::from_raw(self.process.id().cast_signed())
        {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.has_ended() && self.killed {
            self.signal(Signal::KILL);
            let _ = self.process.wait();
        }
    }
}
