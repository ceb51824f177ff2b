//! Running one command on one host and hearing it to the end.
//!
//! Says how the command ended as data. Never decides what that means for the run.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Read};
use std::time::Duration;

use super::session::Stopwatch;
use super::trailer::{self, Mark, Reader};
use crate::control::{CancelToken, Deadline, Raced, race};
use crate::event::Stream;
use crate::plan::script::killer;

/// Where output goes as it comes. Bounded: a reader that cannot keep up holds its host up, and no other.
pub type Sink = async_channel::Sender<(Stream, Vec<u8>)>;

/// A command for one host.
#[derive(Debug, Clone)]
pub struct Command {
    /// The text for the login shell.
    pub text: String,
    /// What it reads; empty is end of file at once.
    pub stdin: std::sync::Arc<[u8]>,
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
        Self {
            text: text.into(),
            stdin: std::sync::Arc::from([]),
            raw: false,
            before: String::new(),
            posix: false,
            timeout,
        }
    }
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
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
pub(super) const GOODBYE: Duration = Duration::from_secs(5);
/// Time for the rest of a signalled command's output.
pub(super) const REST: Duration = Duration::from_millis(300);
/// Time for what was under way when a command's time ran out before it had begun.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);
/// Longest text that is sent as the command itself: libssh2 sends no packet of more than 35,000 bytes.
const LONGEST: usize = 30_000;

thread_local! {
    /// One buffer a shard: reads are copied out at once.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// What has been heard so far; outlives the future that listens, so that nothing heard is lost when time runs out.
pub(super) struct Heard<'a> {
    pub(super) out: Reader,
    pub(super) err: Reader,
    stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) raw: bool,
    sink: Option<&'a Sink>,
    /// Heard, and not yet sent to the sink.
    fresh: Vec<(Stream, Vec<u8>)>,
}

impl<'a> Heard<'a> {
    fn new(mark: &Mark, raw: bool, sink: Option<&'a Sink>) -> Self {
        Self {
            out: Reader::stdout(mark),
            err: Reader::stderr(mark),
            stdout: Vec::new(),
            stderr: Vec::new(),
            raw,
            sink,
            fresh: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, stream: Stream, bytes: &[u8]) {
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
            kept.extend_from_slice(bytes);
            if wanted {
                fresh.push((stream, bytes.to_vec()));
            }
        });
    }

    pub(super) async fn flush(&mut self) {
        if let Some(sink) = self.sink {
            for piece in self.fresh.drain(..) {
                let _ = sink.send(piece).await;
            }
        }
    }

    /// Whether the command has begun, as far as anybody can tell.
    pub(super) fn begun(&self) -> bool {
        self.raw || self.out.begun()
    }

    /// Whether both trailers were read.
    pub(super) fn ended(&self) -> bool {
        !self.raw && self.out.ended() && self.err.ended()
    }
}

/// What carries commands to a host and their output back: a session of libssh2, or the system's `ssh`.
pub(super) trait Carrier {
    /// A command that is under way.
    type Line;
    /// Whether a command that had not begun by its last words never will.
    const SETTLED: bool;

    /// Starts a command and listens until it has ended, one way or another.
    async fn listen(
        &mut self,
        command: &Command,
        mark: &Mark,
        line: &mut Option<Self::Line>,
        heard: &mut Heard<'_>,
    ) -> End;

    /// Gives a command up that has not begun, and takes what had been sent before the node heard of that.
    async fn last_words(&mut self, line: &mut Self::Line, heard: &mut Heard<'_>);

    /// Gives a command up without waiting for the other end.
    fn discard(&mut self, line: Self::Line);

    /// What is known by now of why a connection was lost.
    async fn with_reason(&self, end: End) -> End;

    /// Whether the login shell does not understand POSIX syntax.
    fn foreign_shell(&mut self) -> &mut bool;
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
    let ran = if !command.raw && !*carrier.foreign_shell() && speaks_foreign(&first) {
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
    let mut heard = Heard::new(mark, command.raw, sink);
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
    let sent = line.is_some();
    if let Some(mut line) = line {
        if matches!(end, End::TimedOut { begun: false } | End::Cancelled) && !begun {
            carrier.last_words(&mut line, &mut heard).await;
        }
        carrier.discard(line);
    }
    let end = match end {
        End::TimedOut { .. } => End::TimedOut { begun: heard.begun() },
        end => end,
    };
    let killed = match (heard.out.pid(), &end) {
        (Some(pid), End::TimedOut { .. } | End::Cancelled | End::Unheard) => {
            Some(kill(carrier, pid, mark).await != Fate::Alive)
        }
        // The wrapper is dead; what it had started may not be.
        (Some(pid), End::Signal(_)) => match kill(carrier, pid, mark).await {
            Fate::Gone => None,
            fate => Some(fate == Fate::Killed),
        },
        // Without the wrapper its number is not known; and what was on its way when it was given up may still begin.
        (None, End::TimedOut { .. } | End::Cancelled) if begun && command.raw || sent && !C::SETTLED => Some(false),
        _ => None,
    };
    let noise = [heard.out.noise(), heard.err.noise()].concat();
    Ran {
        end,
        stdout: heard.stdout,
        stderr: heard.stderr,
        noise,
        killed,
        pid: heard.out.pid(),
        elapsed: Duration::ZERO,
    }
}

/// Kills a command's process group on the node.
async fn kill<C: Carrier>(carrier: &mut C, pid: u32, mark: &Mark) -> Fate {
    let command = Command::new(posix(&killer(pid)), None);
    let mut heard = Heard::new(mark, false, None);
    let mut line = None;
    let listening = carrier.listen(&command, mark, &mut line, &mut heard);
    let raced = race(listening, Deadline::after(Some(KILL_TIMEOUT)), None).await;
    if let Some(line) = line {
        carrier.discard(line);
    }
    if matches!(raced, Raced::Done(End::Exit(_))) { fate(&heard.stdout) } else { Fate::Alive }
}

/// What a command is sent as, and what it then reads.
pub(super) fn parcel<'a>(command: &'a Command, mark: &Mark, foreign: bool) -> (String, Cow<'a, [u8]>) {
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
pub fn fate(stdout: &[u8]) -> Fate {
    let said = String::from_utf8_lossy(stdout);
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
pub(super) fn exit(heard: &Heard<'_>) -> End {
    match heard.out.status() {
        Some(trailer::UNPREPARED) => End::Unprepared,
        Some(status) => End::Exit(status),
        None => End::Unheard,
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
fn speaks_foreign(ran: &Ran) -> bool {
    // Its exit status says nothing: fish ends with 0 or 127.
    let End::NotBegun { .. } = ran.end else { return false };
    let noise = String::from_utf8_lossy(&ran.noise);
    ["Badly placed", "fish:", "Unmatched '", "Missing end of"].iter().any(|sign| noise.contains(sign))
}
