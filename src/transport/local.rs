//! Commands on this machine, one for each host: `gsctl local`. Nobody is connected to.
//!
//! A command is carried as on a node, by the wrapper: it is heard to its trailer, and killed with all that it has started.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;

use super::child_process::CommandProcess;
use super::exec::collector::Collector;
use super::exec::command::{Command, CommandEnd};
use super::exec::marks::Marks;
use super::exec::stdin::StdinWriter;
use super::exec::wrapper::Form;
use super::exec::{DRAIN_TIME, EXIT_STATUS_WAIT, ExecBackend, Linger, build_request, exit};
use super::target::Target;
use crate::cancel::{Deadline, Raced, race};
use crate::output::Spool;
use crate::reactor::{sleep, spawn};

/// Time between two looks whether a process was killed whose outputs somebody else holds open.
const LOOK: Duration = Duration::from_millis(250);

/// What runs a host's commands here.
pub struct Session {
    /// How long output is read on after a command's own end; `None`: until it is closed.
    linger: Option<Duration>,
    form: Form,
    spool: Arc<Spool>,
}

/// The process of a command.
pub(super) struct LocalProcess {
    process: CommandProcess,
    /// It was heard to its end.
    heard: bool,
}

impl Session {
    pub(super) fn new(target: &Target, spool: &Arc<Spool>) -> Self {
        Self { linger: target.settings.linger, form: Form::default(), spool: spool.clone() }
    }
}

impl ExecBackend for Session {
    type Process = LocalProcess;

    async fn listen(
        &mut self,
        command: &Command,
        marks: &Marks,
        process: &mut Option<LocalProcess>,
        collected: &mut Collector<'_>,
    ) -> CommandEnd {
        let (text, pieces) = build_request(command, marks, false, self.form);
        let mut linger = Linger::new(self.linger);
        let mut stdin = StdinWriter::new(pieces, false, None);
        let mut shell = std::process::Command::new("/bin/sh");
        shell.arg("-c").arg(&text);
        let started = match CommandProcess::start(shell) {
            Ok(started) => process.insert(LocalProcess { process: started, heard: false }),
            Err(error) => return CommandEnd::NotStarted(format!("/bin/sh cannot be started: {error}")),
        };
        let LocalProcess { process, heard } = started;
        loop {
            let written = match stdin.push(&mut process.input, collected) {
                Ok(written) => written,
                Err(error) => return CommandEnd::Lost(error.to_string()),
            };
            let read = process.out.take(collected) | process.err.take(collected);
            collected.flush().await;
            let closed = process.is_silent();
            if linger.is_over(collected) || closed && collected.ended().is_some() {
                collected.held_open = self.linger.is_some_and(|limit| !limit.is_zero()) && !closed;
                *heard = true;
                return exit(command, collected);
            }
            if read || written {
                // Fair to the other hosts, whatever this one prints.
                future::yield_now().await;
                continue;
            }
            if closed {
                return how_it_ended(process, collected).await;
            }
            if process.child.has_ended() && collected.ended().is_none() {
                // Killed, yet something keeps its output open: take what is there and go on.
                future::or(process.collect_until(collected, |_| false), sleep(DRAIN_TIME)).await;
                return if collected.ended().is_some() {
                    exit(command, collected)
                } else {
                    how_it_ended(process, collected).await
                };
            }
            let news = future::or(process.out.readable(), process.err.readable());
            let room = async {
                if !stdin.is_waiting(collected) {
                    future::pending::<()>().await;
                }
                let _ = process.input.socket.writable().await;
            };
            future::or(news, future::or(room, future::or(linger.over(), sleep(LOOK)))).await;
        }
    }

    async fn abandon_unstarted(&mut self, process: &mut LocalProcess, collected: &mut Collector<'_>) -> bool {
        process.process.abandon_unstarted(collected).await || process.process.child.has_ended()
    }

    fn discard(&mut self, process: LocalProcess) {
        let LocalProcess { mut process, heard } = process;
        if heard {
            process.child.release();
        }
        // It ends by itself soon, and nobody waits for that.
        spawn(async move {
            race(process.child.ended(), Deadline::after(Some(EXIT_STATUS_WAIT)), None).await;
        });
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

/// The output has ended without a trailer.
async fn how_it_ended(process: &mut CommandProcess, collected: &Collector<'_>) -> CommandEnd {
    use std::os::unix::process::ExitStatusExt as _;
    let Raced::Done(Some(status)) = race(process.child.ended(), Deadline::after(Some(EXIT_STATUS_WAIT)), None).await
    else {
        return CommandEnd::Unheard;
    };
    match (status.signal(), status.code()) {
        (Some(signal), _) => CommandEnd::Signal(name_of(signal)),
        (None, Some(status)) if !collected.begun() => CommandEnd::NotBegun { status },
        _ => CommandEnd::Unheard,
    }
}

/// The name of a signal without `SIG`.
fn name_of(signal: i32) -> String {
    let name = signal_hook::low_level::signal_name(signal).and_then(|name| name.strip_prefix("SIG"));
    name.map_or_else(|| signal.to_string(), str::to_owned)
}
