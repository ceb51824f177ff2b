//! Running one command on one host and hearing it to the end.
//!
//! Says how the command ended as data. Never decides what that means for the run.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;
use ssh2::Channel;

use super::classify;
use super::session::{Session, Stopwatch, Unopened};
use super::trailer::{self, Mark, Reader};
use crate::control::{CancelToken, Deadline, Raced, race};
use crate::event::Stream;
use crate::output::{Draft, Output, Spool};
use crate::plan::script::killer;

/// Where output goes as it comes. Bounded: a reader that cannot keep up holds its host up, and no other.
pub type Sink = async_channel::Sender<(Stream, Vec<u8>)>;

/// A command for one host.
#[derive(Debug, Clone)]
pub struct Command {
    /// The text for the login shell.
    pub text: String,
    /// What it reads; empty is end of file at once.
    pub stdin: Arc<[u8]>,
    /// Send it as it is, without the wrapper: no process id, no trailer, no kill.
    pub raw: bool,
    /// POSIX shell text that comes first; empty is none. Where it fails the command is not run.
    pub before: String,
    /// The text is for /bin/sh where the login shell does not understand POSIX syntax.
    pub posix: bool,
    /// Time for it on the node; `None`: no limit.
    pub timeout: Option<Duration>,
}

impl Command {
    /// A command that reads nothing.
    #[must_use]
    pub fn new(text: impl Into<String>, timeout: Option<Duration>) -> Self {
        Self { text: text.into(), stdin: Arc::from([]), raw: false, before: String::new(), posix: false, timeout }
    }
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// What the login shell printed before the command began.
    pub noise: Vec<u8>,
    /// After a stop: whether its processes were seen gone. `None`: there was nothing to kill.
    pub killed: Option<bool>,
    /// Process id of the wrapper on the node, which leads the command's process group.
    pub pid: Option<u32>,
    /// Wall time.
    pub elapsed: Duration,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With this exit status, heard to the end.
    Exit(i32),
    /// What comes before the command failed, and the command was not run.
    Unprepared,
    /// Killed by this signal (name without `SIG`).
    Signal(String),
    /// The connection broke before the result was heard.
    Lost(String),
    /// The server closed the channel before the result was heard, and said nothing wrong.
    Unheard,
    /// The login shell ended before the command began.
    NotBegun {
        /// The login shell's exit status.
        status: i32,
    },
    /// Its time ran out. False: before the login shell had begun it.
    TimedOut {
        /// Whether it had begun.
        begun: bool,
    },
    /// The run was stopped.
    Cancelled,
    /// The server refused a channel, or to run anything on it. Nothing ran.
    Refused(String),
    /// The connection broke before the command was sent. Nothing ran, so it may be tried again.
    NotSent(String),
}

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

/// What has been heard so far; outlives the future that listens, so that nothing heard is lost when time runs out.
struct Heard<'a> {
    out: Reader,
    err: Reader,
    stdout: Draft,
    stderr: Draft,
    raw: bool,
    sink: Option<&'a Sink>,
    /// Heard, and not yet sent to the sink.
    fresh: Vec<(Stream, Vec<u8>)>,
}

impl<'a> Heard<'a> {
    fn new(mark: &Mark, raw: bool, sink: Option<&'a Sink>, spool: &Arc<Spool>) -> Self {
        Self {
            out: Reader::stdout(mark),
            err: Reader::stderr(mark),
            stdout: Draft::new(spool),
            stderr: Draft::new(spool),
            raw,
            sink,
            fresh: Vec::new(),
        }
    }

    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let raw = self.raw;
        self.keep(stream, |reader, keep| if raw { keep(bytes) } else { reader.feed(bytes, keep) });
    }

    /// Gives what a missing trailer left in doubt to the output it came with.
    fn finish(&mut self) {
        self.keep(Stream::Stdout, |reader, keep| reader.finish(keep));
        self.keep(Stream::Stderr, |reader, keep| reader.finish(keep));
    }

    fn keep(&mut self, stream: Stream, give: impl FnOnce(&mut Reader, &mut dyn FnMut(&[u8]))) {
        let (reader, kept) = match stream {
            Stream::Stdout => (&mut self.out, &mut self.stdout),
            Stream::Stderr => (&mut self.err, &mut self.stderr),
        };
        let (wanted, fresh) = (self.sink.is_some(), &mut self.fresh);
        give(reader, &mut |bytes| {
            kept.push(bytes);
            if wanted {
                fresh.push((stream, bytes.to_vec()));
            }
        });
    }

    async fn flush(&mut self) {
        if let Some(sink) = self.sink {
            for piece in self.fresh.drain(..) {
                let _ = sink.send(piece).await;
            }
        }
    }

    fn ended(&self) -> bool {
        !self.raw && self.out.ended() && self.err.ended()
    }
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
        let ran = if !command.raw && !self.foreign_shell && speaks_foreign(&first) {
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
        let mut heard = Heard::new(mark, command.raw, sink, self.spool());
        let mut channel = None;
        let listening = self.listen(command, mark, &mut channel, &mut heard);
        let raced = race(listening, Deadline::after(command.timeout), cancel).await;
        heard.finish();
        heard.flush().await;
        let begun = heard.raw || heard.out.begun();
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
            End::TimedOut { .. } => End::TimedOut { begun: heard.raw || heard.out.begun() },
            end => end,
        };
        let killed = match (heard.out.pid(), &end) {
            (Some(pid), End::TimedOut { .. } | End::Cancelled | End::Unheard) => {
                Some(self.kill(pid, mark).await != Fate::Alive)
            }
            // The wrapper is dead; what it had started may not be.
            (Some(pid), End::Signal(_)) => match self.kill(pid, mark).await {
                Fate::Gone => None,
                fate => Some(fate == Fate::Killed),
            },
            // Without the wrapper its number is not known.
            (None, End::TimedOut { .. } | End::Cancelled) if begun && command.raw => Some(false),
            _ => None,
        };
        let noise = [heard.out.noise(), heard.err.noise()].concat();
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
        let (text, input) = parcel(command, mark, self.foreign_shell);
        let channel = match self.open(&text).await {
            Ok(channel) => slot.insert(channel),
            Err(Unopened::Refused(said)) => return End::Refused(said),
            Err(Unopened::Broken(said)) => return End::NotSent(said),
            Err(Unopened::Unknown(said)) => return End::Lost(said),
        };
        let mut errors = channel.stderr();
        let mut input = Input { rest: &input, eof_sent: false };
        let mut pulse = self.pulse();
        loop {
            // Both streams, and the input, at every turn: whichever is left alone fills its window and stops the rest.
            let fed = match input.push(channel) {
                Ok(fed) => fed,
                Err(error) => return End::Lost(error.to_string()),
            };
            let out = pull(channel, |bytes| heard.take(Stream::Stdout, bytes));
            let err = pull(&mut errors, |bytes| heard.take(Stream::Stderr, bytes));
            let read = match (out, err) {
                (Ok(out), Ok(err)) => out + err,
                (Err(error), _) | (_, Err(error)) => {
                    return if heard.ended() { exit(heard) } else { broken(channel, &error) };
                }
            };
            if heard.ended() {
                return exit(heard);
            }
            heard.flush().await;
            if read > 0 || fed {
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

    /// Kills a command's process group on the node.
    async fn kill(&mut self, pid: u32, mark: &Mark) -> Fate {
        let command = Command::new(posix(&killer(pid)), None);
        let mut heard = Heard::new(mark, false, None, self.spool());
        let mut channel = None;
        let listening = self.listen(&command, mark, &mut channel, &mut heard);
        let raced = race(listening, Deadline::after(Some(KILL_TIMEOUT)), None).await;
        if let Some(channel) = channel {
            self.discard(channel);
        }
        if matches!(raced, Raced::Done(End::Exit(_))) { fate(&heard.stdout.finish()) } else { Fate::Alive }
    }
}

/// What a command is sent as, and what it then reads.
fn parcel<'a>(command: &'a Command, mark: &Mark, foreign: bool) -> (String, Cow<'a, [u8]>) {
    let stdin = Cow::Borrowed(&*command.stdin);
    if command.raw {
        return (command.text.clone(), stdin);
    }
    let script = if foreign && !command.posix {
        Cow::Owned(Mark::for_login_shell(&command.text))
    } else {
        Cow::Borrowed(command.text.as_str())
    };
    let send = |text: String| if foreign { trailer::encode(&text) } else { text };
    let whole = send(mark.wrap(&command.before, &script));
    if whole.len() <= LONGEST {
        return (whole, stdin);
    }
    let text = send(mark.wrap_read(&command.before, script.len()));
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
pub fn fate(stdout: &Output) -> Fate {
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

/// Both trailers were read.
fn exit(heard: &Heard<'_>) -> End {
    match heard.out.status() {
        Some(trailer::UNPREPARED) => End::Unprepared,
        Some(status) => End::Exit(status),
        None => End::Unheard,
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

/// What a command reads, and how far it has got.
struct Input<'a> {
    rest: &'a [u8],
    eof_sent: bool,
}

impl Input<'_> {
    /// Most bytes offered at once. After a partial write libssh2 wants the same bytes again, so they are never skipped.
    const PIECE: usize = 32 * 1024;

    /// Writes what fits. True when something went out.
    fn push(&mut self, channel: &mut Channel) -> io::Result<bool> {
        if self.eof_sent {
            return Ok(false);
        }
        if self.rest.is_empty() {
            return match channel.send_eof() {
                Ok(()) => {
                    self.eof_sent = true;
                    Ok(true)
                }
                Err(error) => would_block(error.into()),
            };
        }
        let piece = &self.rest[..self.rest.len().min(Self::PIECE)];
        match channel.write(piece) {
            Ok(count) => {
                self.rest = &self.rest[count..];
                Ok(count > 0)
            }
            // The command closed its input, or has ended: what it says counts, not what it did not read.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock && channel.eof() => {
                self.eof_sent = true;
                Ok(false)
            }
            Err(error) => would_block(error),
        }
    }
}

fn would_block(error: io::Error) -> io::Result<bool> {
    if error.kind() == io::ErrorKind::WouldBlock { Ok(false) } else { Err(error) }
}

/// True when the login shell refused the wrapper's syntax in words that only csh and fish use.
fn speaks_foreign(ran: &Ran) -> bool {
    // Its exit status says nothing: fish ends with 0 or 127.
    let End::NotBegun { .. } = ran.end else { return false };
    let noise = String::from_utf8_lossy(&ran.noise);
    ["Badly placed", "fish:", "Unmatched '", "Missing end of"].iter().any(|sign| noise.contains(sign))
}
