//! Commands over the connection that an `ssh` process holds.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::Arc;

use futures_lite::future;
use rustix::net::Shutdown;
use rustix::process::Signal;

use super::Session;
use super::chatter::Ended;
use super::client::missing;
use crate::control::{Deadline, Raced, race};
use crate::event::Stream;
use crate::output::Spool;
use crate::reactor::{Socket, sleep};
use crate::transport::child::Child;
use crate::transport::classify::lower;
use crate::transport::command::{Command, End};
use crate::transport::exec::{Carrier, GOODBYE, LAST_WORDS, REST, UNDER_WAY, exit, parcel, pull};
use crate::transport::feed::{Feed, Inlet};
use crate::transport::heard::Heard;
use crate::transport::trailer::Mark;

/// The `ssh` process of one command.
pub(in crate::transport) struct Line {
    child: Child,
    input: Mouth,
    out: Ear,
    err: Ear,
}

/// What a command reads.
struct Mouth {
    socket: Socket,
    closed: bool,
}

/// One stream of a command.
struct Ear {
    socket: Socket,
    stream: Stream,
    ended: bool,
}

/// `ssh` does not say which signal it was.
const SIGNAL: &str = "UNKNOWN";

impl Carrier for Session {
    type Line = Line;

    async fn listen(&mut self, command: &Command, mark: &Mark, line: &mut Option<Line>, heard: &mut Heard<'_>) -> End {
        self.hear();
        if self.has_ended() {
            return End::NotSent(self.why());
        }
        self.heard.ended = None;
        let password = self.sudo_password.clone().filter(|_| command.sudo.is_some());
        let (text, input) = parcel(command, mark, self.foreign_shell, password.is_some());
        let mut feed = Feed::new(input, false, password.as_deref());
        let line = match self.start(&text) {
            Ok(started) => line.insert(started),
            Err(error) => return End::NotSent(missing(&error)),
        };
        loop {
            // Both streams, and the input, at every turn: whichever is left alone stops the rest.
            let written = match feed.push(&mut line.input, heard) {
                Ok(written) => written,
                Err(error) => return End::Lost(error.to_string()),
            };
            let read = line.out.take(heard) | line.err.take(heard);
            self.hear();
            if heard.ended() {
                return exit(command, heard);
            }
            heard.flush().await;
            if read || written {
                // Fair to the other hosts of the shard, whatever this one prints.
                future::yield_now().await;
                continue;
            }
            if line.out.ended && line.err.ended {
                return self.goodbye(line, heard).await;
            }
            if self.heard.ended == Some(Ended::Signal) {
                // The command is dead, yet something keeps its output open: take what is there and go on.
                return rest(line, heard).await;
            }
            let news = future::or(line.out.readable(), line.err.readable());
            let own = async {
                if self.silent {
                    future::pending::<()>().await;
                }
                let _ = self.errors.readable().await;
            };
            let room = async {
                if !feed.is_waiting(heard) {
                    future::pending::<()>().await;
                }
                let _ = line.input.socket.writable().await;
            };
            future::or(news, future::or(own, room)).await;
        }
    }

    async fn last_words(&mut self, line: &mut Line, heard: &mut Heard<'_>) -> bool {
        race(hear_until(line, heard, Heard::begun), Deadline::after(Some(UNDER_WAY)), None).await;
        if !heard.begun() {
            line.child.signal(Signal::KILL);
            race(hear_until(line, heard, Heard::begun), Deadline::after(Some(LAST_WORDS)), None).await;
        }
        // What was on its way when `ssh` was killed is not heard any more.
        heard.begun()
    }

    fn discard(&mut self, line: Line) {
        self.den.retire(line.child, Signal::KILL);
    }

    async fn with_reason(&self, end: End) -> End {
        end
    }

    fn foreign_shell(&mut self) -> &mut bool {
        &mut self.foreign_shell
    }

    fn spool(&self) -> &Arc<Spool> {
        &self.spool
    }
}

impl Session {
    /// Starts `ssh` for one command.
    fn start(&self, text: &str) -> io::Result<Line> {
        let (input, their_input) = UnixStream::pair()?;
        let (out, their_out) = UnixStream::pair()?;
        let (err, their_err) = UnixStream::pair()?;
        let ear = |socket, stream| Ok::<_, io::Error>(Ear { socket: Socket::unix(socket)?, stream, ended: false });
        let (out, err) = (ear(out, Stream::Stdout)?, ear(err, Stream::Stderr)?);
        let mut command = self.client.run(&self.socket, text);
        command.stdin(Stdio::from(OwnedFd::from(their_input)));
        command.stdout(Stdio::from(OwnedFd::from(their_out)));
        command.stderr(Stdio::from(OwnedFd::from(their_err)));
        Ok(Line {
            child: Child::start(&mut command)?,
            input: Mouth { socket: Socket::unix(input)?, closed: false },
            out,
            err,
        })
    }

    /// The output has ended: how did the command?
    async fn goodbye(&mut self, line: &mut Line, heard: &Heard<'_>) -> End {
        let status = match race(line.child.ended(), Deadline::after(Some(GOODBYE)), None).await {
            Raced::Done(status) => status.and_then(|status| status.code()),
            Raced::Late | Raced::Cancelled => None,
        };
        self.hear();
        match (self.heard.ended, status) {
            (Some(Ended::Signal), _) => return End::Signal(SIGNAL.to_owned()),
            (Some(Ended::Status), Some(status)) if heard.raw => return End::Exit(status),
            (Some(Ended::Status), Some(status)) if !heard.out.begun() => return End::NotBegun { status },
            _ => {}
        }
        let mut said = heard.err.noise().to_vec();
        if heard.raw {
            // Nobody else knows which of the last words are ssh's own.
            said.extend_from_slice(heard.stderr.recent());
        }
        let said = String::from_utf8_lossy(&said);
        let word = |text: &str| said.lines().rfind(|line| line.contains(text)).map(lower);
        // What it says after that is about the connection of its own that it then tries, and cannot make.
        if let Some(word) = word("session request failed").or_else(|| word("request failed on channel")) {
            return End::Refused(word);
        }
        if word("Control socket connect").is_some() {
            self.ends_soon().await;
            return End::NotSent(self.why());
        }
        if self.heard.ended.is_none() && self.ends_soon().await {
            return End::Lost(self.why());
        }
        match said.lines().map(str::trim).rfind(|line| !line.is_empty()) {
            // Whatever it was, ssh has spoken last.
            Some(last) if !heard.out.begun() && status == Some(255) => End::Lost(lower(last)),
            _ => End::Unheard,
        }
    }
}

/// Takes output until that is enough, or there will be no more.
async fn hear_until<'a>(line: &mut Line, heard: &mut Heard<'a>, enough: fn(&Heard<'a>) -> bool) {
    while !(enough(heard) || line.out.ended && line.err.ended) {
        if !(line.out.take(heard) | line.err.take(heard)) {
            future::or(line.out.readable(), line.err.readable()).await;
        }
    }
}

/// Takes what is left of a signalled command's output, for a short while.
async fn rest(line: &mut Line, heard: &mut Heard<'_>) -> End {
    future::or(hear_until(line, heard, |_| false), sleep(REST)).await;
    End::Signal(SIGNAL.to_owned())
}

impl Inlet for Mouth {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = (&self.socket).write(bytes);
        self.closed |= written.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock);
        written
    }

    fn end(&mut self) -> io::Result<()> {
        // Where the other end is gone already it needs no end.
        self.socket.shut(Shutdown::Write);
        Ok(())
    }

    fn is_closed(&self) -> bool {
        self.closed
    }
}

impl Ear {
    /// Takes what has come. True when there was something.
    fn take(&mut self, heard: &mut Heard<'_>) -> bool {
        if self.ended {
            return false;
        }
        match pull(&mut &self.socket, |bytes| heard.take(self.stream, bytes)) {
            Ok(Some(count @ 1..)) => count > 0,
            Ok(None) => false,
            Ok(Some(_)) | Err(_) => {
                self.ended = true;
                true
            }
        }
    }

    /// Ends when there is something to take; never, once it has ended.
    async fn readable(&self) {
        if self.ended {
            future::pending::<()>().await;
        }
        let _ = self.socket.readable().await;
    }
}
