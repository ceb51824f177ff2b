//! Running one command on one host and hearing it to the end.
//!
//! Says how the command ended as data. Never decides what that means for the run.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Read};
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;
use ssh2::Channel;

use super::classify;
use super::command::{Command, End, Ran};
use super::feed::Feed;
use super::heard::Heard;
use super::session::{Session, Stopwatch, Unopened};
use super::sudo::{Call, Refusal};
use super::trailer::{self, Mark, Shape};
use crate::control::{CancelToken, Deadline, Raced, race};
use crate::event::Stream;
use crate::output::Output;
use crate::plan::script::killer;

/// Where output goes as it comes. Bounded: a reader that cannot keep up holds its host up, and no other.
pub type Sink = async_channel::Sender<(Stream, Vec<u8>)>;

/// Time that a kill on the node may take.
const KILL_TIMEOUT: Duration = Duration::from_secs(8);
/// Time for the server to say how a command ended, once its output has.
const GOODBYE: Duration = Duration::from_secs(5);
/// Time for the rest of a signalled command's output.
const REST: Duration = Duration::from_millis(300);
/// Time for what was under way when a command's time ran out before it had begun.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Bytes of the killer's answer that are looked at.
const LONGEST_ANSWER: usize = 4096;
/// Longest text that is sent as the command itself: libssh2 sends no packet of more than 35,000 bytes.
const LONGEST: usize = 30_000;

thread_local! {
    /// One buffer a shard: reads are copied out at once.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

impl Session {
    /// Runs a command to its end, its timeout or the run's, whichever is first. `sink` gets output as it comes.
    pub async fn run(
        &mut self,
        command: &Command,
        mark: &Mark,
        cancel: Option<&CancelToken>,
        sink: Option<&Sink>,
    ) -> Ran {
        let watch = Stopwatch::start();
        let first = self.run_once(command, mark, cancel, sink).await;
        let ran = if !command.raw && !self.foreign_shell && speaks_foreign(&first.end, &first.noise) {
            // The wrapper's first word is a syntax error in csh and fish: nothing was run, so it may be sent again.
            self.foreign_shell = true;
            self.run_once(command, mark, cancel, sink).await
        } else {
            first
        };
        Ran { elapsed: watch.elapsed(), end: self.with_reason(ran.end).await, ..ran }
    }

    /// Where what carried the connection has ended, that is why it was lost.
    async fn with_reason(&self, end: End) -> End {
        let (End::Lost(_) | End::NotSent(_), Some(passage)) = (&end, self.wire().passage()) else { return end };
        match (passage.ended_soon().await, end) {
            (Some(why), End::Lost(_)) => End::Lost(why),
            (Some(why), End::NotSent(_)) => End::NotSent(why),
            (_, end) => end,
        }
    }

    async fn run_once(
        &mut self,
        command: &Command,
        mark: &Mark,
        cancel: Option<&CancelToken>,
        sink: Option<&Sink>,
    ) -> Ran {
        let mut heard = Heard::new(mark, command, sink, self.spool());
        let mut channel = None;
        let listening = self.listen(command, mark, &mut channel, &mut heard);
        let raced = race(listening, Deadline::after(command.timeout), cancel).await;
        heard.finish();
        heard.flush().await;
        let begun = heard.begun();
        let end = match raced {
            Raced::Done(end) => end,
            Raced::Late => End::TimedOut { begun },
            Raced::Cancelled => End::Cancelled,
        };
        if let Some(mut channel) = channel {
            if matches!(end, End::TimedOut { begun: false } | End::Cancelled) && !begun {
                self.last_words(&mut channel, &mut heard).await;
            }
            self.discard(channel);
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
            ) => Some(self.kill(pid, command, heard.out.entered(), mark).await != Fate::Alive),
            // The wrapper is dead; what it had started may not be.
            (Some(pid), End::Signal(_)) => match self.kill(pid, command, heard.out.entered(), mark).await {
                Fate::Gone => None,
                fate => Some(fate == Fate::Killed),
            },
            // Without the wrapper its number is not known.
            (None, End::TimedOut { .. } | End::Cancelled) if begun && command.raw => Some(false),
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

    /// Starts the command and listens until it has ended, one way or another.
    async fn listen(
        &mut self,
        command: &Command,
        mark: &Mark,
        slot: &mut Option<Channel>,
        heard: &mut Heard<'_>,
    ) -> End {
        let password = self.sudo_password().filter(|_| command.sudo.is_some());
        let (text, input) = parcel(command, mark, self.foreign_shell, password.is_some());
        let mut feed = Feed::new(input, command.pty, password.as_deref());
        let channel = match self.open(&text, command.pty).await {
            Ok(channel) => slot.insert(channel),
            Err(Unopened::Refused(said)) => return End::Refused(said),
            Err(Unopened::Broken(said)) => return End::NotSent(said),
            Err(Unopened::Unknown(said)) => return End::Lost(said),
        };
        let mut errors = channel.stderr();
        let mut pulse = self.pulse();
        loop {
            // Both streams, and the input, at every turn: whichever is left alone fills its window and stops the rest.
            let written = match feed.push(channel, heard) {
                Ok(written) => written,
                Err(error) => return End::Lost(error.to_string()),
            };
            let out = pull(channel, |bytes| heard.take(Stream::Stdout, bytes));
            let err = pull(&mut errors, |bytes| heard.take(Stream::Stderr, bytes));
            let read = match (out, err) {
                (Ok(out), Ok(err)) => out + err,
                (Err(error), _) | (_, Err(error)) => {
                    return if heard.ended() { exit(command, heard) } else { broken(channel, &error) };
                }
            };
            if heard.ended() {
                return exit(command, heard);
            }
            heard.flush().await;
            if read > 0 || written {
                // Fair to the other hosts of the shard, whatever this one prints.
                future::yield_now().await;
                continue;
            }
            if channel.eof() {
                return self.goodbye(channel, heard).await;
            }
            if let Some(signal) = signal(channel) {
                // The command is dead, yet something keeps its output open: take what is there and go on.
                return self.rest(channel, heard, signal).await;
            }
            if let Err(cause) = self.heard(&mut pulse).await {
                return End::Lost(cause);
            }
        }
    }

    /// The output has ended: how did the command?
    async fn goodbye(&self, channel: &mut Channel, heard: &Heard<'_>) -> End {
        let closing = self.drive(|_| channel.wait_close());
        let closed = match race(closing, Deadline::after(Some(GOODBYE)), None).await {
            Raced::Done(Ok(())) => true,
            Raced::Done(Err(error)) if classify::is_lost(&error) => return broken(channel, &error.into()),
            Raced::Done(Err(_)) | Raced::Late | Raced::Cancelled => false,
        };
        let status = channel.exit_status().unwrap_or(0);
        if let Some(signal) = signal(channel) {
            End::Signal(signal)
        } else if heard.raw {
            // Without a trailer a status of 0 may mean that none was sent; `--raw` says so.
            if closed { End::Exit(status) } else { End::Unheard }
        } else if heard.out.begun() {
            End::Unheard
        } else {
            End::NotBegun { status }
        }
    }

    /// Takes what is left of a signalled command's output, for a short while.
    async fn rest(&self, channel: &mut Channel, heard: &mut Heard<'_>, signal: String) -> End {
        let mut errors = channel.stderr();
        let mut pulse = self.pulse();
        let draining = async {
            while !channel.eof() {
                let out = pull(channel, |bytes| heard.take(Stream::Stdout, bytes)).unwrap_or(0);
                let err = pull(&mut errors, |bytes| heard.take(Stream::Stderr, bytes)).unwrap_or(0);
                if out + err == 0 && self.heard(&mut pulse).await.is_err() {
                    break;
                }
            }
        };
        let pause = async {
            Timer::after(REST).await;
        };
        future::or(draining, pause).await;
        End::Signal(signal)
    }

    /// Closes a channel and takes what the server had sent before it heard of that: the command may have begun.
    async fn last_words(&self, channel: &mut Channel, heard: &mut Heard<'_>) {
        let mut pulse = self.pulse();
        let draining = async {
            let _ = self.drive(|_| channel.close()).await;
            while !heard.out.begun() {
                let Ok(out) = pull(channel, |bytes| heard.take(Stream::Stdout, bytes)) else { return };
                if out == 0 && (channel.eof() || self.heard(&mut pulse).await.is_err()) {
                    return;
                }
            }
        };
        race(draining, Deadline::after(Some(LAST_WORDS)), None).await;
    }

    /// Kills a command's process group on the node. `entered`: sudo, where it was to be run by that, has let it begin.
    pub async fn kill(&mut self, pid: u32, command: &Command, entered: bool, mark: &Mark) -> Fate {
        let own = Command::new(posix(&killer(pid)), None);
        if command.sudo.is_none() {
            return self.kill_by(&own, mark).await;
        }
        // What runs as another user hears no signal of the login user's: the way there is the way to kill it.
        let same = Command { sudo: command.sudo.clone(), pty: command.pty, ..own.clone() };
        // Until sudo lets the command begin there is only sudo itself, which ends with its input.
        let ways = if entered { [&same, &own] } else { [&own, &same] };
        let first = self.kill_by(ways[0], mark).await;
        if first != Fate::Alive {
            return first;
        }
        let second = self.kill_by(ways[1], mark).await;
        // Of another user's processes the login user has no word: /proc may hide them from him.
        if entered { Fate::Alive } else { second }
    }

    async fn kill_by(&mut self, killer: &Command, mark: &Mark) -> Fate {
        loop {
            let mut heard = Heard::new(mark, killer, None, self.spool());
            let mut channel = None;
            let listening = self.listen(killer, mark, &mut channel, &mut heard);
            let raced = race(listening, Deadline::after(Some(KILL_TIMEOUT)), None).await;
            if let Some(channel) = channel {
                self.discard(channel);
            }
            match raced {
                Raced::Done(End::Exit(_)) => return fate(&heard.stdout.finish()),
                // A connection of its own does not know yet.
                Raced::Done(end) if !self.foreign_shell && speaks_foreign(&end, &heard.noise()) => {
                    self.foreign_shell = true;
                }
                Raced::Done(_) | Raced::Late | Raced::Cancelled => return Fate::Alive,
            }
        }
    }
}

/// What a command is sent as, and what it then reads.
fn parcel<'a>(command: &'a Command, mark: &Mark, foreign: bool, asks: bool) -> (String, Cow<'a, [u8]>) {
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
fn exit(command: &Command, heard: &Heard<'_>) -> End {
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

/// The connection broke. A signal that came first is still the truth.
fn broken(channel: &Channel, error: &io::Error) -> End {
    match signal(channel) {
        Some(signal) => End::Signal(signal),
        None => End::Lost(error.to_string()),
    }
}

/// The signal that ended the channel's command, if one did.
fn signal(channel: &Channel) -> Option<String> {
    channel.exit_signal().ok().and_then(|signal| signal.exit_signal)
}

/// Reads what is there without waiting.
fn pull(from: &mut impl Read, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
    BUFFER.with_borrow_mut(|buffer| match from.read(buffer) {
        Ok(count) => {
            take(&buffer[..count]);
            Ok(count)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
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
