//! Running one command on one host and hearing it to the end.
//!
//! Says how the command ended as data. Never decides what that means for the run.

pub(crate) mod channel;
pub(crate) mod collector;
pub(crate) mod command;
pub(super) mod kill;
mod linger;
pub mod looks;
pub mod marks;
pub mod parser;
pub(crate) mod stdin;
pub mod sudo;
pub mod wrapper;

use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use self::collector::Collector;
use self::command::{Begun, Command, CommandEnd, CommandPlace, CommandResult, Killed};
use self::kill::{KillFrom, KillResult, kill};
pub(super) use self::linger::Linger;
use self::marks::{Mark, Marks};
use self::parser::Ended;
use self::stdin::Piece;
use self::sudo::{SudoCall, SudoRefusal};
use self::wrapper::{Form, WrapOptions};
use super::session::Stopwatch;
use crate::cancel::{CancelToken, Deadline, Raced, race};
use crate::event::Stream;
use crate::output::Spool;

/// Where output goes as it comes. Bounded: a reader that cannot keep up holds its host up, and no other.
pub type OutputSink = async_channel::Sender<(Stream, Vec<u8>)>;

/// Time for the server to say how a command ended, once its output has.
pub(super) const EXIT_STATUS_WAIT: Duration = Duration::from_secs(5);
/// Time for the rest of a signalled command's output.
pub(super) const DRAIN_TIME: Duration = Duration::from_millis(300);
/// Time for a command's beginning that was under way when its time ran out.
pub(super) const BEGIN_WAIT: Duration = Duration::from_secs(2);
/// Time for the node to hear that a command which has not begun is not wanted any more.
pub(super) const ABANDON_WAIT: Duration = Duration::from_secs(2);

thread_local! {
    /// One buffer a shard: reads are copied out at once.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// What carries commands to a host and their output back: a session of libssh2, or the system's `ssh`.
pub(super) trait ExecBackend {
    /// A command that is under way.
    type Process;

    /// Starts a command and listens until it has ended, one way or another.
    async fn listen(
        &mut self,
        command: &Command,
        marks: &Marks,
        process: &mut Option<Self::Process>,
        collected: &mut Collector<'_>,
    ) -> CommandEnd;

    /// Gives a command up that has not begun, after a while for its beginning to arrive: what has begun can be killed.
    /// True when nothing of it is left to chance: it was heard to begin, or it never will.
    async fn abandon_unstarted(&mut self, process: &mut Self::Process, collected: &mut Collector<'_>) -> bool;

    /// Gives a command up without waiting for the other end.
    fn discard(&mut self, process: Self::Process);

    /// What is known by now of why a connection was lost.
    async fn with_reason(&self, end: CommandEnd) -> CommandEnd {
        end
    }

    /// How long output is read on after a command's own end, while somebody holds it open. `None`: until it is closed.
    fn linger(&self) -> Option<Duration>;

    /// Where output goes that is too long for memory.
    fn spool(&self) -> &Arc<Spool>;

    /// How the login shell takes what is sent, as far as is known.
    fn form(&mut self) -> &mut Form;
}

/// Runs a command to its end, its timeout or the run's, whichever is first. `sink` gets output as it comes.
pub(super) async fn run<C: ExecBackend>(
    backend: &mut C,
    command: &Command,
    mark: &Mark,
    cancel: Option<&CancelToken>,
    sink: Option<&OutputSink>,
) -> CommandResult {
    let ran = run_once(backend, command, mark, cancel, sink).await;
    if !wants_another_form(backend, command, &ran.end, &ran.preamble) {
        return ran;
    }
    // Nothing was run, so it may be sent again.
    run_once(backend, command, mark, cancel, sink).await
}

/// Whether nothing was run because the login shell takes what is sent in another form, which is known from now on.
fn wants_another_form<C: ExecBackend>(backend: &mut C, command: &Command, end: &CommandEnd, preamble: &[u8]) -> bool {
    let CommandEnd::NotBegun { .. } = end else { return false };
    if command.raw {
        return false;
    }
    let next = backend.form().after(&String::from_utf8_lossy(preamble));
    next.is_some_and(|form| {
        *backend.form() = form;
        true
    })
}

async fn run_once<C: ExecBackend>(
    backend: &mut C,
    command: &Command,
    mark: &Mark,
    cancel: Option<&CancelToken>,
    sink: Option<&OutputSink>,
) -> CommandResult {
    let watch = Stopwatch::start();
    let marks = mark.command();
    let mut collected = Collector::new(&marks, command, sink, backend.spool());
    let mut process = None;
    let listening = backend.listen(command, &marks, &mut process, &mut collected);
    let raced = race(listening, Deadline::after(command.timeout), cancel).await;
    collected.finish();
    collected.flush().await;
    let begun = collected.begun();
    let end = match raced {
        Raced::Done(end) => end,
        // It has ended by itself; only what a child of its might still say was waited for.
        Raced::Late | Raced::Cancelled if collected.ended().is_some() && backend.linger().is_some() => {
            exit(command, &collected)
        }
        Raced::Late => CommandEnd::TimedOut(if begun { Begun::Heard } else { Begun::Unknown }),
        Raced::Cancelled => CommandEnd::Cancelled,
    };
    let is_stopped = matches!(end, CommandEnd::TimedOut(_) | CommandEnd::Cancelled);
    let mut settled = true;
    if let Some(process) = process.as_mut().filter(|_| is_stopped && !begun) {
        settled = backend.abandon_unstarted(process, &mut collected).await;
    }
    let place = CommandPlace { id: marks.id, process: collected.process().cloned() };
    // Killed before its channel is closed: some programs end by themselves once nobody reads what they print, and then it would be
    // said that they had.
    let mut stopped = None;
    let asked_first = process.is_some() && is_stopped && begun;
    if asked_first {
        let first = stop(backend, command, mark, &collected, &place, end.clone(), settled).await;
        stopped = Some(first).filter(|(_, killed)| *killed != Some(Killed::No));
    }
    if let Some(process) = process {
        backend.discard(process);
    }
    let (end, killed) = match stopped {
        Some(stopped) => stopped,
        // Where the server lets a connection have one channel only, or a packet was half sent, there is room now.
        None => match stop(backend, command, mark, &collected, &place, end, settled).await {
            // It had not ended when its channel was closed, and that is what ended it.
            (end, Some(Killed::Ended)) if asked_first && collected.ended().is_none() => (end, Some(Killed::Yes)),
            stopped => stopped,
        },
    };
    let notes = if matches!(end, CommandEnd::Exit(_) | CommandEnd::Signal(_)) { collected.notes() } else { Vec::new() };
    let preamble = collected.preamble();
    CommandResult {
        end: backend.with_reason(end).await,
        stdout: collected.stdout.finish(),
        stderr: collected.stderr.finish(),
        preamble,
        killed,
        place,
        notes,
        elapsed: watch.elapsed(),
    }
}

/// Kills what a command has left running that has not ended as it should.
async fn stop<C: ExecBackend>(
    backend: &mut C,
    command: &Command,
    mark: &Mark,
    collected: &Collector<'_>,
    place: &CommandPlace,
    end: CommandEnd,
    settled: bool,
) -> (CommandEnd, Option<Killed>) {
    let end = match (end, &command.sudo) {
        (CommandEnd::TimedOut(_), Some(user)) if collected.begun() && collected.sudo_asks() => {
            CommandEnd::Unprivileged { user: user.clone(), why: SudoRefusal::Late }
        }
        (CommandEnd::TimedOut(_), _) if collected.begun() => CommandEnd::TimedOut(Begun::Heard),
        (end, _) => end,
    };
    let was_stopped = matches!(
        end,
        CommandEnd::TimedOut(_)
            | CommandEnd::Cancelled
            | CommandEnd::Unheard
            | CommandEnd::Unprivileged { why: SudoRefusal::Late, .. }
    );
    if command.raw {
        // Without the wrapper it can not be found.
        let killed = was_stopped && collected.begun() && !matches!(end, CommandEnd::Unheard);
        return (end, killed.then_some(Killed::No));
    }
    let from = KillFrom::SameConnection { command_begun: collected.command_begun() };
    if place.process.is_some() && was_stopped {
        let killed = match kill(backend, place, command, from, mark).await {
            // With its terminal everything on it has got a signal, before anybody could look.
            KillResult::Gone if command.pty => Killed::Yes,
            kill_result => kill_result.into(),
        };
        return (end, Some(killed));
    }
    if place.process.is_some() && matches!(end, CommandEnd::Signal(_)) {
        // The command is dead; what it had started may not be.
        return match kill(backend, place, command, from, mark).await {
            KillResult::Gone => (end, None),
            kill_result => (end, Some(kill_result.into())),
        };
    }
    if !matches!(end, CommandEnd::TimedOut(_) | CommandEnd::Cancelled) {
        return (end, None);
    }
    // Nothing was heard of it. What carries it can be found all the same: its id stands in the arguments of that.
    let found = kill(backend, place, command, from, mark).await;
    let begun = match found {
        KillResult::Killed => Begun::Found,
        KillResult::NeverBegun => Begun::Never,
        // The other end has closed what the wrapper would write its first word to, and without that it runs nothing.
        KillResult::Gone if settled => Begun::Never,
        KillResult::Gone | KillResult::Alive => Begun::Unknown,
    };
    let killed = match found {
        KillResult::Killed => Some(Killed::Yes),
        KillResult::Alive => Some(Killed::No),
        KillResult::NeverBegun | KillResult::Gone => (!settled).then_some(Killed::No),
    };
    let end = if matches!(end, CommandEnd::TimedOut(_)) { CommandEnd::TimedOut(begun) } else { end };
    (end, killed)
}

/// What a command is sent as, and what is then written to it.
pub(super) fn build_request<'a>(
    command: &'a Command,
    marks: &Marks,
    asks: bool,
    form: Form,
) -> (String, Vec<Piece<'a>>) {
    let stdin = Piece::input(&command.stdin);
    if command.raw {
        return (command.text.clone(), vec![stdin]);
    }
    let sudo = command.sudo.as_deref().map(|user| SudoCall { user, asks });
    let options = WrapOptions {
        runner: command.runner,
        shell: command.shell.as_deref(),
        before: &command.before,
        sudo,
        pty: command.pty,
        form,
    };
    let wrapped = wrapper::wrap(marks, &options, &command.whole_text());
    let programs = wrapped.programs.into_iter().map(|(after, bytes)| Piece::program(after, bytes));
    let seal = command.sealed.then(|| Piece::text(format!("\n{}", wrapper::closing_line(marks))));
    (wrapped.request, programs.chain([stdin]).chain(seal).collect())
}

/// What goes over the line for a user's command: the request, and all that is written after it. For what is held against gsctl.
#[must_use]
pub fn wire_text(text: &str) -> (String, Vec<u8>) {
    let command = Command::new(text, None);
    let (request, pieces) = build_request(&command, &Mark::default().command(), false, Form::default());
    (request, pieces.iter().flat_map(Piece::bytes).copied().collect())
}

/// The trailer was read.
pub(super) fn exit(command: &Command, collected: &Collector<'_>) -> CommandEnd {
    match (collected.ended(), &command.sudo) {
        (Some(Ended::Status(status)), Some(user)) if !collected.command_begun() => {
            let why = SudoRefusal::of(status, &String::from_utf8_lossy(&collected.preamble()), collected.prompts());
            CommandEnd::Unprivileged { user: user.clone(), why }
        }
        (Some(Ended::Status(wrapper::UNPREPARED)), _) => CommandEnd::Unprepared,
        (Some(Ended::Status(status)), _) => CommandEnd::Exit(status),
        (Some(Ended::Signal(number)), _) => CommandEnd::Signal(signal_name(number)),
        (None, _) => CommandEnd::Unheard,
    }
}

/// The name of a signal of Linux, without `SIG`.
fn signal_name(number: i32) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ];
    let name = usize::try_from(number).ok().and_then(|number| NAMES.get(number.checked_sub(1)?));
    name.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

/// Reads what is there without waiting. `None`: there is nothing now.
pub(super) fn read_available(from: &mut impl Read, mut take: impl FnMut(&[u8])) -> io::Result<Option<usize>> {
    BUFFER.with_borrow_mut(|buffer| match from.read(buffer) {
        Ok(count) => {
            take(&buffer[..count]);
            Ok(Some(count))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    })
}
