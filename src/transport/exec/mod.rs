//! Running one command on one host and hearing it to the end.
//!
//! Says how the command ended as data. Never decides what that means for the run.

pub(crate) mod channel;
pub(crate) mod collector;
pub(crate) mod command;
pub mod parser;
pub(crate) mod stdin;
pub mod sudo;
pub mod wrapper;

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use super::exec::collector::Collector;
use super::exec::command::{Command, CommandEnd, CommandResult};
use super::exec::sudo::{SudoCall, SudoRefusal};
use super::exec::wrapper::{Mark, WrapOptions};
use super::session::Stopwatch;
use crate::cancel::{CancelToken, Deadline, Raced, race};
use crate::event::Stream;
use crate::output::{Output, Spool};
use crate::plan::script::killer;

/// Where output goes as it comes. Bounded: a reader that cannot keep up holds its host up, and no other.
pub type OutputSink = async_channel::Sender<(Stream, Vec<u8>)>;

/// Time that a kill on the node may take.
const KILL_TIMEOUT: Duration = Duration::from_secs(8);
/// Time for the server to say how a command ended, once its output has.
pub(super) const EXIT_STATUS_WAIT: Duration = Duration::from_secs(5);
/// Time for the rest of a signalled command's output.
pub(super) const DRAIN_TIME: Duration = Duration::from_millis(300);
/// Time for a command's beginning that was under way when its time ran out.
pub(super) const BEGIN_WAIT: Duration = Duration::from_secs(2);
/// Time for the node to hear that a command which has not begun is not wanted any more.
pub(super) const ABANDON_WAIT: Duration = Duration::from_secs(2);
/// Bytes of the killer's answer that are looked at.
const LONGEST_ANSWER: usize = 4096;
/// Longest text that is sent as the command itself: libssh2 sends no packet of more than 35,000 bytes.
const LONGEST: usize = 30_000;

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
        mark: &Mark,
        process: &mut Option<Self::Process>,
        collected: &mut Collector<'_>,
    ) -> CommandEnd;

    /// Gives a command up that has not begun, after a while for its beginning to arrive: what has begun can be killed.
    /// True when nothing of it is left to chance: it was heard to begin, or it never will.
    async fn abandon_unstarted(&mut self, process: &mut Self::Process, collected: &mut Collector<'_>) -> bool;

    /// Gives a command up without waiting for the other end.
    fn discard(&mut self, process: Self::Process);

    /// What is known by now of why a connection was lost.
    async fn with_reason(&self, end: CommandEnd) -> CommandEnd;

    /// Whether the login shell does not understand POSIX syntax.
    fn non_posix_shell(&mut self) -> &mut bool;

    /// Where output goes that is too long for memory.
    fn spool(&self) -> &Arc<Spool>;
}

/// Runs a command to its end, its timeout or the run's, whichever is first. `sink` gets output as it comes.
pub(super) async fn run<C: ExecBackend>(
    backend: &mut C,
    command: &Command,
    mark: &Mark,
    cancel: Option<&CancelToken>,
    sink: Option<&OutputSink>,
) -> CommandResult {
    let watch = Stopwatch::start();
    let first = run_once(backend, command, mark, cancel, sink).await;
    let ran = if !command.raw && !*backend.non_posix_shell() && is_foreign_syntax(&first.end, &first.preamble) {
        // The wrapper's first word is a syntax error in csh and fish: nothing was run, so it may be sent again.
        *backend.non_posix_shell() = true;
        run_once(backend, command, mark, cancel, sink).await
    } else {
        first
    };
    CommandResult { elapsed: watch.elapsed(), end: backend.with_reason(ran.end).await, ..ran }
}

async fn run_once<C: ExecBackend>(
    backend: &mut C,
    command: &Command,
    mark: &Mark,
    cancel: Option<&CancelToken>,
    sink: Option<&OutputSink>,
) -> CommandResult {
    let mut collected = Collector::new(mark, command, sink, backend.spool());
    let mut process = None;
    let listening = backend.listen(command, mark, &mut process, &mut collected);
    let raced = race(listening, Deadline::after(command.timeout), cancel).await;
    collected.finish();
    collected.flush().await;
    let begun = collected.begun();
    let end = match raced {
        Raced::Done(end) => end,
        Raced::Late => CommandEnd::TimedOut { begun },
        Raced::Cancelled => CommandEnd::Cancelled,
    };
    let mut settled = true;
    if let Some(mut process) = process {
        if matches!(end, CommandEnd::TimedOut { begun: false } | CommandEnd::Cancelled) && !begun {
            settled = backend.abandon_unstarted(&mut process, &mut collected).await;
        }
        backend.discard(process);
    }
    let end = match end {
        CommandEnd::TimedOut { .. } => match &command.sudo {
            Some(user) if collected.begun() && collected.sudo_asks() => {
                CommandEnd::Unprivileged { user: user.clone(), why: SudoRefusal::Late }
            }
            _ => CommandEnd::TimedOut { begun: collected.begun() },
        },
        end => end,
    };
    let killed = match (collected.out.pid(), &end) {
        (
            Some(pid),
            CommandEnd::TimedOut { .. }
            | CommandEnd::Cancelled
            | CommandEnd::Unheard
            | CommandEnd::Unprivileged { why: SudoRefusal::Late, .. },
        ) => Some(kill(backend, pid, command, collected.out.command_begun(), mark).await != KillResult::Alive),
        // The wrapper is dead; what it had started may not be.
        (Some(pid), CommandEnd::Signal(_)) => {
            match kill(backend, pid, command, collected.out.command_begun(), mark).await {
                KillResult::Gone => None,
                kill_result => Some(kill_result == KillResult::Killed),
            }
        }
        // Without the wrapper its number is not known; and what was on its way when it was given up may still begin.
        (None, CommandEnd::TimedOut { .. } | CommandEnd::Cancelled) if begun && command.raw || !settled => Some(false),
        _ => None,
    };
    let preamble = collected.preamble();
    CommandResult {
        end,
        stdout: collected.stdout.finish(),
        stderr: collected.stderr.finish(),
        preamble,
        killed,
        pid: collected.out.pid(),
        elapsed: Duration::ZERO,
    }
}

/// Kills a command's process group on the node. `command_begun`: sudo, where it was to be run by that, has let it begin.
pub(super) async fn kill<C: ExecBackend>(
    backend: &mut C,
    pid: u32,
    command: &Command,
    command_begun: bool,
    mark: &Mark,
) -> KillResult {
    // csh takes no line ends between quotes, so where the login shell is one, it must not get this to read.
    let own = Command { posix: true, ..Command::new(posix(&killer(pid)), None) };
    if command.sudo.is_none() {
        return kill_by(backend, &own, mark).await;
    }
    // What runs as another user hears no signal of the login user's: the way there is the way to kill it.
    let same = Command { sudo: command.sudo.clone(), pty: command.pty, ..own.clone() };
    // Until sudo lets the command begin there is only sudo itself, which ends with its input.
    let ways = if command_begun { [&same, &own] } else { [&own, &same] };
    let first = kill_by(backend, ways[0], mark).await;
    if first != KillResult::Alive {
        return first;
    }
    let second = kill_by(backend, ways[1], mark).await;
    // Of another user's processes the login user has no word: /proc may hide them from him.
    if command_begun { KillResult::Alive } else { second }
}

async fn kill_by<C: ExecBackend>(backend: &mut C, killer: &Command, mark: &Mark) -> KillResult {
    loop {
        let mut collected = Collector::new(mark, killer, None, backend.spool());
        let mut process = None;
        let listening = backend.listen(killer, mark, &mut process, &mut collected);
        let raced = race(listening, Deadline::after(Some(KILL_TIMEOUT)), None).await;
        if let Some(process) = process {
            backend.discard(process);
        }
        match raced {
            Raced::Done(CommandEnd::Exit(_)) => return kill_result(&collected.stdout.finish()),
            // A connection of its own does not know yet.
            Raced::Done(end) if !*backend.non_posix_shell() && is_foreign_syntax(&end, &collected.preamble()) => {
                *backend.non_posix_shell() = true;
            }
            Raced::Done(_) | Raced::Late | Raced::Cancelled => return KillResult::Alive,
        }
    }
}

/// What a command is sent as, and what it then reads.
pub(super) fn build_request<'a>(
    command: &'a Command,
    mark: &Mark,
    foreign: bool,
    asks: bool,
) -> (String, Cow<'a, [u8]>) {
    let stdin = Cow::Borrowed(&*command.stdin);
    if command.raw {
        return (command.text.clone(), stdin);
    }
    let sudo = command.sudo.as_deref().map(|user| SudoCall { user, asks });
    let options = WrapOptions { before: &command.before, sudo, pty: command.pty };
    let script = if foreign && !command.posix && sudo.is_none() {
        Cow::Owned(Mark::for_login_shell(&command.text))
    } else {
        Cow::Borrowed(command.text.as_str())
    };
    let send = |text: String| if foreign { wrapper::encode(&text) } else { text };
    let whole = send(mark.wrap(&options, &script));
    // What a terminal reads is keys, and lines that end at 4096 bytes: there is no other way.
    if whole.len() <= LONGEST || command.pty {
        return (whole, stdin);
    }
    let text = send(mark.wrap_read(&options, script.len()));
    (text, Cow::Owned([script.as_bytes(), &stdin].concat()))
}

/// What became of a command that was to be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillResult {
    /// It was there, and was seen gone.
    Killed,
    /// It was not there any more.
    Gone,
    /// It is still there, or nobody knows.
    Alive,
}

/// A script of ours as a command for any login shell: it is always run by `/bin/sh`.
#[must_use]
pub fn posix(script: &str) -> String {
    format!("exec /bin/sh -c {}", crate::plan::quote::quote(script))
}

/// Reads the killer's answer.
#[must_use]
fn kill_result(stdout: &Output) -> KillResult {
    let said = stdout.first(LONGEST_ANSWER).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let mut words = said.lines().map(str::trim);
    words
        .find_map(|word| match word {
            "killed" => Some(KillResult::Killed),
            "gone" => Some(KillResult::Gone),
            _ => None,
        })
        .unwrap_or(KillResult::Alive)
}

/// Every trailer was read.
pub(super) fn exit(command: &Command, collected: &Collector<'_>) -> CommandEnd {
    match (collected.out.status(), &command.sudo) {
        (Some(status), Some(user)) if !collected.out.command_begun() => {
            let why = SudoRefusal::of(status, &String::from_utf8_lossy(&collected.preamble()), collected.prompts());
            CommandEnd::Unprivileged { user: user.clone(), why }
        }
        (Some(wrapper::UNPREPARED), _) => CommandEnd::Unprepared,
        (Some(status), _) => CommandEnd::Exit(status),
        (None, _) => CommandEnd::Unheard,
    }
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

/// True when the login shell refused the wrapper's syntax in words that only csh and fish use.
fn is_foreign_syntax(end: &CommandEnd, preamble: &[u8]) -> bool {
    // Its exit status says nothing: fish ends with 0 or 127.
    let CommandEnd::NotBegun { .. } = end else { return false };
    let preamble = String::from_utf8_lossy(preamble);
    ["Badly placed", "Missing '}'", "Event not found", "fish:", "Unmatched '", "Missing end of"]
        .iter()
        .any(|sign| preamble.contains(sign))
}
