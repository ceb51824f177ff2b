//! A process on this machine that carries one command: its input and both its outputs, which the reactor watches.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use futures_lite::future;
use rustix::net::Shutdown;
use rustix::process::Signal;

use super::child::Child;
use super::exec::collector::Collector;
use super::exec::stdin::StdinSink;
use super::exec::{ABANDON_WAIT, BEGIN_WAIT, read_available};
use crate::cancel::{Deadline, race};
use crate::event::Stream;
use crate::reactor::Socket;

/// A process on this machine that carries one command, or is it.
pub(super) struct CommandProcess {
    pub(super) child: Child,
    pub(super) input: ChildStdin,
    pub(super) out: ChildOutput,
    pub(super) err: ChildOutput,
}

/// What a command reads.
pub(super) struct ChildStdin {
    pub(super) socket: Socket,
    closed: bool,
}

/// One stream of a command.
pub(super) struct ChildOutput {
    socket: Socket,
    stream: Stream,
    pub(super) ended: bool,
}

impl CommandProcess {
    /// Starts it. Afterwards nobody here holds the other ends of its streams, which is why the command is taken.
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        let (input, their_input) = UnixStream::pair()?;
        let (out, their_out) = UnixStream::pair()?;
        let (err, their_err) = UnixStream::pair()?;
        let output =
            |socket, stream| Ok::<_, io::Error>(ChildOutput { socket: Socket::unix(socket)?, stream, ended: false });
        let (out, err) = (output(out, Stream::Stdout)?, output(err, Stream::Stderr)?);
        command.stdin(Stdio::from(OwnedFd::from(their_input)));
        command.stdout(Stdio::from(OwnedFd::from(their_out)));
        command.stderr(Stdio::from(OwnedFd::from(their_err)));
        Ok(Self {
            child: Child::start(&mut command)?,
            input: ChildStdin { socket: Socket::unix(input)?, closed: false },
            out,
            err,
        })
    }

    /// Both outputs have ended.
    pub(super) fn is_silent(&self) -> bool {
        self.out.ended && self.err.ended
    }

    /// Waits a while for its beginning, then kills it and takes what had come; whether it was heard to begin.
    pub(super) async fn abandon_unstarted(&mut self, collected: &mut Collector<'_>) -> bool {
        race(self.collect_until(collected, Collector::begun), Deadline::after(Some(BEGIN_WAIT)), None).await;
        if !collected.begun() {
            self.child.signal(Signal::KILL);
            race(self.collect_until(collected, Collector::begun), Deadline::after(Some(ABANDON_WAIT)), None).await;
        }
        collected.begun()
    }

    /// Takes output until that is enough, or there will be no more.
    pub(super) async fn collect_until<'a>(
        &mut self,
        collected: &mut Collector<'a>,
        enough: fn(&Collector<'a>) -> bool,
    ) {
        while !(enough(collected) || self.is_silent()) {
            if !(self.out.take(collected) | self.err.take(collected)) {
                future::or(self.out.readable(), self.err.readable()).await;
            }
        }
    }
}

impl StdinSink for ChildStdin {
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

impl ChildOutput {
    /// Takes what has come. True when there was something.
    pub(super) fn take(&mut self, collected: &mut Collector<'_>) -> bool {
        if self.ended {
            return false;
        }
        match read_available(&mut &self.socket, |bytes| collected.take(self.stream, bytes)) {
            Ok(Some(count @ 1..)) => count > 0,
            Ok(None) => false,
            Ok(Some(_)) | Err(_) => {
                self.ended = true;
                true
            }
        }
    }

    /// Ends when there is something to take; never, once it has ended.
    pub(super) async fn readable(&self) {
        if self.ended {
            future::pending::<()>().await;
        }
        let _ = self.socket.readable().await;
    }
}
