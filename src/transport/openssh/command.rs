//! Commands over the connection that an `ssh` process holds.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use rustix::process::Signal;

use super::Session;
use super::client::missing;
use super::log::EndSeen;
use crate::cancel::{Deadline, Raced, race};
use crate::output::Spool;
use crate::reactor::sleep;
use crate::transport::child_process::CommandProcess;
use crate::transport::classify::lower;
use crate::transport::exec::collector::Collector;
use crate::transport::exec::command::{Command, CommandEnd};
use crate::transport::exec::marks::Marks;
use crate::transport::exec::stdin::StdinWriter;
use crate::transport::exec::wrapper::Form;
use crate::transport::exec::{DRAIN_TIME, EXIT_STATUS_WAIT, ExecBackend, Linger, build_request, exit};

/// `ssh` does not say which signal it was.
const SIGNAL: &str = "UNKNOWN";

impl ExecBackend for Session {
    type Process = CommandProcess;

    async fn listen(
        &mut self,
        command: &Command,
        marks: &Marks,
        process: &mut Option<CommandProcess>,
        collected: &mut Collector<'_>,
    ) -> CommandEnd {
        self.hear();
        if self.has_ended() {
            return CommandEnd::NotSent(self.why());
        }
        self.log.ended = None;
        let password = self.sudo_password.clone().filter(|_| command.sudo.is_some());
        let (text, pieces) = build_request(command, marks, password.is_some(), self.form);
        let mut linger = Linger::new(self.linger);
        let mut stdin = StdinWriter::new(pieces, false, password.as_deref());
        let process = match self.start(&text) {
            Ok(started) => process.insert(started),
            Err(error) => return CommandEnd::NotSent(missing(&error)),
        };
        loop {
            // Both streams, and the input, at every turn: whichever is left alone stops the rest.
            let written = match stdin.push(&mut process.input, collected) {
                Ok(written) => written,
                Err(error) => return CommandEnd::Lost(error.to_string()),
            };
            let read = process.out.take(collected) | process.err.take(collected);
            self.hear();
            collected.flush().await;
            let closed = process.is_silent();
            if linger.is_over(collected) || closed && collected.ended().is_some() {
                collected.held_open = self.linger.is_some_and(|limit| !limit.is_zero()) && !closed;
                return exit(command, collected);
            }
            if read || written {
                // Fair to the other hosts of the shard, whatever this one prints.
                future::yield_now().await;
                continue;
            }
            if closed {
                return self.read_exit_status(process, collected).await;
            }
            if self.log.ended == Some(EndSeen::Signal) {
                // The command is dead, yet something keeps its output open: take what is there and go on.
                return drain_after_signal(command, process, collected).await;
            }
            let news = future::or(process.out.readable(), process.err.readable());
            let own = async {
                if self.silent {
                    future::pending::<()>().await;
                }
                let _ = self.errors.readable().await;
            };
            let room = async {
                if !stdin.is_waiting(collected) {
                    future::pending::<()>().await;
                }
                let _ = process.input.socket.writable().await;
            };
            future::or(news, future::or(own, future::or(room, linger.over()))).await;
        }
    }

    async fn abandon_unstarted(&mut self, process: &mut CommandProcess, collected: &mut Collector<'_>) -> bool {
        // What was on its way when `ssh` was killed is not heard any more.
        process.abandon_unstarted(collected).await
    }

    fn discard(&mut self, process: CommandProcess) {
        self.control_dir.reap(process.child, Signal::KILL);
    }

    fn linger(&self) -> Option<Duration> {
        self.linger
    }

    fn form(&mut self) -> &mut Form {
        &mut self.form
    }

    fn spool(&self) -> &Arc<Spool> {
        &self.spool
    }
}

impl Session {
    /// Starts `ssh` for one command.
    fn start(&self, text: &str) -> io::Result<CommandProcess> {
        CommandProcess::start(self.client.run(&self.socket, text))
    }

    /// The output has ended: how did the command?
    async fn read_exit_status(&mut self, process: &mut CommandProcess, collected: &Collector<'_>) -> CommandEnd {
        let status = match race(process.child.ended(), Deadline::after(Some(EXIT_STATUS_WAIT)), None).await {
            Raced::Done(status) => status.and_then(|status| status.code()),
            Raced::Late | Raced::Cancelled => None,
        };
        self.hear();
        match (self.log.ended, status) {
            (Some(EndSeen::Signal), _) => return CommandEnd::Signal(SIGNAL.to_owned()),
            (Some(EndSeen::Status), Some(status)) if collected.raw => return CommandEnd::Exit(status),
            (Some(EndSeen::Status), Some(status)) if !collected.any_begun() => return CommandEnd::NotBegun { status },
            _ => {}
        }
        let mut said = collected.err.preamble().to_vec();
        if collected.raw {
            // Nobody else knows which of the last words are ssh's own.
            said.extend_from_slice(collected.stderr.recent());
        }
        let said = String::from_utf8_lossy(&said);
        let word = |text: &str| said.lines().rfind(|process| process.contains(text)).map(lower);
        // What it says after that is about the connection of its own that it then tries, and cannot make.
        if let Some(word) = word("session request failed").or_else(|| word("request failed on channel")) {
            return CommandEnd::Refused(word);
        }
        if word("Control socket connect").is_some() {
            self.ends_soon().await;
            return CommandEnd::NotSent(self.why());
        }
        if self.log.ended.is_none() && self.ends_soon().await {
            return CommandEnd::Lost(self.why());
        }
        match said.lines().map(str::trim).rfind(|process| !process.is_empty()) {
            // Whatever it was, ssh has spoken last.
            Some(last) if !collected.begun() && status == Some(255) => CommandEnd::Lost(lower(last)),
            _ => CommandEnd::Unheard,
        }
    }
}

/// Takes what is left of a signalled command's output, for a short while.
async fn drain_after_signal(
    command: &Command,
    process: &mut CommandProcess,
    collected: &mut Collector<'_>,
) -> CommandEnd {
    future::or(process.collect_until(collected, |_| false), sleep(DRAIN_TIME)).await;
    if collected.ended().is_some() { exit(command, collected) } else { CommandEnd::Signal(SIGNAL.to_owned()) }
}
