//! Running one command on one host and hearing it to the end.
//!
//! Says how the command ended as data. Never decides what that means for the run.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use super::command::{Command, End, Ran};
use super::heard::Heard;
use super::session::Stopwatch;
use super::sudo::{Call, Refusal};
use super::trailer::{self, Mark, Shape};
use crate::control::{CancelToken, Deadline, Raced, race};
use crate::event::Stream;
use crate::output::{Output, Spool};
use crate::plan::script::killer;

/// Where output goes as it comes. Bounded: a reader that cannot keep up holds its host up, and no other.
pub type Sink = async_channel::Sender<(Stream, Vec<u8>)>;

/// Time that a kill on the node may take.
const KILL_TIMEOUT: Duration = Duration::from_secs(8);
/// Time for the server to say how a command ended, once its output has.
pub(super) const GOODBYE: Duration = Duration::from_secs(5);
/// Time for the rest of a signalled command's output.
pub(super) const REST: Duration = Duration::from_millis(300);
/// Time for a command's beginning that was under way when its time ran out.
pub(super) const UNDER_WAY: Duration = Duration::from_secs(2);
/// Time for the node to hear that a command which has not begun is not wanted any more.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);
/// Bytes of the killer's answer that are looked at.
const LONGEST_ANSWER: usize = 4096;
/// Longest text that is sent as the command itself: libssh2 sends no packet of more than 35,000 bytes.
const LONGEST: usize = 30_000;

thread_local! {
    /// One buffer a shard: reads are copied out at once.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// What carries commands to a host and their output back: a session of libssh2, or the system's `ssh`.
pub(super) trait Carrier {
    /// A command that is under way.
    type Line;

    /// Starts a command and listens until it has ended, one way or another.
    async fn listen(
        &mut self,
        command: &Command,
        mark: &Mark,
        line: &mut Option<Self::Line>,
        heard: &mut Heard<'_>,
    ) -> End;

    /// Gives a command up that has not begun, after a while for its beginning to arrive: what has begun can be killed.
    /// True when nothing of it is left to chance: it was heard to begin, or it never will.
    async fn last_words(&mut self, line: &mut Self::Line, heard: &mut Heard<'_>) -> bool;

    /// Gives a command up without waiting for the other end.
    fn discard(&mut self, line: Self::Line);

    /// What is known by now of why a connection was lost.
    async fn with_reason(&self, end: End) -> End;

    /// Whether the login shell does not understand POSIX syntax.
    fn foreign_shell(&mut self) -> &mut bool;

    /// Where output goes that is too long for memory.
    fn spool(&self) -> &Arc<Spool>;
}

/// Runs a command to its end, its timeout or the run's, whichever is first. `sink` gets output as it comes.
pub(super) async fn run<C: Carrier>(
    carrier: &mut C,
    command: &Command,
    mark: &Mark,
    cancel: Option<&CancelToken>,
    sink: Option<&Sink>,
) -> Ran {
    let watch = Stopwatch::start();
    let first = run_once(carrier, command, mark, cancel, sink).await;
    let ran = if !command.raw && !*carrier.foreign_shell() && speaks_foreign(&first.end, &first.noise) {
        // The wrapper's first word is a syntax error in csh and fish: nothing was run, so it may be sent again.
        *carrier.foreign_shell() = true;
        run_once(carrier, command, mark, cancel, sink).await
    } else {
        first
    };
    Ran { elapsed: watch.elapsed(), end: carrier.with_reason(ran.end).await, ..ran }
}

async fn run_once<C: Carrier>(
    carrier: &mut C,
    command: &Command,
    mark: &Mark,
    cancel: Option<&CancelToken>,
    sink: Option<&Sink>,
) -> Ran {
    let mut heard = Heard::new(mark, command, sink, carrier.spool());
    let mut line = None;
    let listening = carrier.listen(command, mark, &mut line, &mut heard);
    let raced = race(listening, Deadline::after(command.timeout), cancel).await;
    heard.finish();
    heard.flush().await;
    let begun = heard.begun();
    let end = match raced {
        Raced::Done(end) => end,
        Raced::Late => End::TimedOut { begun },
        Raced::Cancelled => End::Cancelled,
    };
    let mut settled = true;
    if let Some(mut line) = line {
        if matches!(end, End::TimedOut { begun: false } | End::Cancelled) && !begun {
            settled = carrier.last_words(&mut line, &mut heard).await;
        }
        carrier.discard(line);
    }
    let end = match end {
        End::TimedOut { .. } => match &command.sudo {
            Some(user) if heard.begun() && heard.sudo_asks() => {
                End::Unprivileged { user: user.clone(), why: Refusal::Late }
            }
            _ => End::TimedOut { begun: heard.begun() },
        },
        end => end,
    };
    let killed = match (heard.out.pid(), &end) {
        (
            Some(pid),
            End::TimedOut { .. } | End::Cancelled | End::Unheard | End::Unprivileged { why: Refusal::Late, .. },
        ) => Some(kill(carrier, pid, command, heard.out.entered(), mark).await != Fate::Alive),
        // The wrapper is dead; what it had started may not be.
        (Some(pid), End::Signal(_)) => match kill(carrier, pid, command, heard.out.entered(), mark).await {
            Fate::Gone => None,
            fate => Some(fate == Fate::Killed),
        },
        // Without the wrapper its number is not known; and what was on its way when it was given up may still begin.
        (None, End::TimedOut { .. } | End::Cancelled) if begun && command.raw || !settled => Some(false),
        _ => None,
    };
    let noise = heard.noise();
    Ran {
        end,
        stdout: heard.stdout.finish(),
        stderr: heard.stderr.finish(),
        noise,
        killed,
        pid: heard.out.pid(),
        elapsed: Duration::ZERO,
    }
}

/// Kills a command's process group on the node. `entered`: sudo, where it was to be run by that, has let it begin.
pub(super) async fn kill<C: Carrier>(carrier: &mut C, pid: u32, command: &Command, entered: bool, mark: &Mark) -> Fate {
    // csh takes no line ends between quotes, so where the login shell is one, it must not get this to read.
    let own = Command { posix: true, ..Command::new(posix(&killer(pid)), None) };
    if command.sudo.is_none() {
        return kill_by(carrier, &own, mark).await;
    }
    // What runs as another user hears no signal of the login user's: the way there is the way to kill it.
    let same = Command { sudo: command.sudo.clone(), pty: command.pty, ..own.clone() };
    // Until sudo lets the command begin there is only sudo itself, which ends with its input.
    let ways = if entered { [&same, &own] } else { [&own, &same] };
    let first = kill_by(carrier, ways[0], mark).await;
    if first != Fate::Alive {
        return first;
    }
    let second = kill_by(carrier, ways[1], mark).await;
    // Of another user's processes the login user has no word: /proc may hide them from him.
    if entered { Fate::Alive } else { second }
}

async fn kill_by<C: Carrier>(carrier: &mut C, killer: &Command, mark: &Mark) -> Fate {
    loop {
        let mut heard = Heard::new(mark, killer, None, carrier.spool());
        let mut line = None;
        let listening = carrier.listen(killer, mark, &mut line, &mut heard);
        let raced = race(listening, Deadline::after(Some(KILL_TIMEOUT)), None).await;
        if let Some(line) = line {
            carrier.discard(line);
        }
        match raced {
            Raced::Done(End::Exit(_)) => return fate(&heard.stdout.finish()),
            // A connection of its own does not know yet.
            Raced::Done(end) if !*carrier.foreign_shell() && speaks_foreign(&end, &heard.noise()) => {
                *carrier.foreign_shell() = true;
            }
            Raced::Done(_) | Raced::Late | Raced::Cancelled => return Fate::Alive,
        }
    }
}

/// What a command is sent as, and what it then reads.
pub(super) fn parcel<'a>(command: &'a Command, mark: &Mark, foreign: bool, asks: bool) -> (String, Cow<'a, [u8]>) {
    let stdin = Cow::Borrowed(&*command.stdin);
    if command.raw {
        return (command.text.clone(), stdin);
    }
    let sudo = command.sudo.as_deref().map(|user| Call { user, asks });
    let shape = Shape { before: &command.before, sudo, pty: command.pty };
    let script = if foreign && !command.posix && sudo.is_none() {
        Cow::Owned(Mark::for_login_shell(&command.text))
    } else {
        Cow::Borrowed(command.text.as_str())
    };
    let send = |text: String| if foreign { trailer::encode(&text) } else { text };
    let whole = send(mark.wrap(&shape, &script));
    // What a terminal reads is keys, and lines that end at 4096 bytes: there is no other way.
    if whole.len() <= LONGEST || command.pty {
        return (whole, stdin);
    }
    let text = send(mark.wrap_read(&shape, script.len()));
    (text, Cow::Owned([script.as_bytes(), &stdin].concat()))
}

/// What became of a command that was to be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
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
fn fate(stdout: &Output) -> Fate {
    let said = stdout.first(LONGEST_ANSWER).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let mut words = said.lines().map(str::trim);
    words
        .find_map(|word| match word {
            "killed" => Some(Fate::Killed),
            "gone" => Some(Fate::Gone),
            _ => None,
        })
        .unwrap_or(Fate::Alive)
}

/// Every trailer was read.
pub(super) fn exit(command: &Command, heard: &Heard<'_>) -> End {
    match (heard.out.status(), &command.sudo) {
        (Some(status), Some(user)) if !heard.out.entered() => {
            let why = Refusal::of(status, &String::from_utf8_lossy(&heard.noise()), heard.prompts());
            End::Unprivileged { user: user.clone(), why }
        }
        (Some(trailer::UNPREPARED), _) => End::Unprepared,
        (Some(status), _) => End::Exit(status),
        (None, _) => End::Unheard,
    }
}

/// Reads what is there without waiting. `None`: there is nothing now.
pub(super) fn pull(from: &mut impl Read, mut take: impl FnMut(&[u8])) -> io::Result<Option<usize>> {
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
fn speaks_foreign(end: &End, noise: &[u8]) -> bool {
    // Its exit status says nothing: fish ends with 0 or 127.
    let End::NotBegun { .. } = end else { return false };
    let noise = String::from_utf8_lossy(noise);
    ["Badly placed", "Missing '}'", "Event not found", "fish:", "Unmatched '", "Missing end of"]
        .iter()
        .any(|sign| noise.contains(sign))
}
