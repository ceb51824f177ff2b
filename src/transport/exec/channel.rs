//! Commands on channels of a libssh2 session.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use ssh2::Channel;

use super::collector::Collector;
use super::command::{Command, CommandEnd};
use super::marks::Marks;
use super::stdin::StdinWriter;
use super::{
    ABANDON_WAIT, BEGIN_WAIT, DRAIN_TIME, EXIT_STATUS_WAIT, ExecBackend, Linger, build_request, exit, read_available,
};
use crate::cancel::{Deadline, Raced, race};
use crate::event::Stream;
use crate::output::Spool;
use crate::reactor::sleep;
use crate::transport::classify;
use crate::transport::exec::wrapper::Form;
use crate::transport::session::{ChannelError, Session};

impl ExecBackend for Session {
    type Process = Channel;

    async fn listen(
        &mut self,
        command: &Command,
        marks: &Marks,
        process: &mut Option<Channel>,
        collected: &mut Collector<'_>,
    ) -> CommandEnd {
        let password = self.sudo_password().filter(|_| command.sudo.is_some());
        let (text, pieces) = build_request(command, marks, password.is_some(), self.form);
        let mut stdin = StdinWriter::new(pieces, command.pty, password.as_deref());
        let mut opened = self.open(command.pty).await;
        if matches!(opened, Err(ChannelError::Refused(_))) && self.looks.is_some() {
            // The server may let a connection have one channel only (MaxSessions).
            self.end_looks().await;
            opened = self.open(command.pty).await;
        }
        let channel = match opened {
            Ok(channel) => process.insert(channel),
            Err(channel_error) => return channel_error.into(),
        };
        if let Err(channel_error) = self.start(channel, &text).await {
            return channel_error.into();
        }
        drop(text);
        let mut streams = Streams::new(channel);
        let mut keepalives = self.keepalives();
        let mut linger = Linger::new(self.linger());
        loop {
            // Both streams, and the input, at every turn: whichever is left alone fills its window and stops the rest.
            let written = match stdin.push(channel, collected) {
                Ok(written) => written,
                Err(error) => return CommandEnd::Lost(error.to_string()),
            };
            let read = match streams.read(channel, |stream, bytes| collected.take(stream, bytes)) {
                Ok(read) => read,
                Err(error) => {
                    return if collected.ended().is_some() {
                        exit(command, collected)
                    } else {
                        broken(channel, &error)
                    };
                }
            };
            if read.bytes > 0 {
                self.socket().used(read.bytes);
            }
            collected.flush().await;
            if linger.is_over(collected) {
                collected.held_open = self.linger().is_some_and(|limit| !limit.is_zero()) && !channel.eof();
                return exit(command, collected);
            }
            // What was read may be what the input has waited for.
            if read.more || written || read.bytes > 0 && stdin.is_waiting(collected) {
                // Fair to the other hosts of the shard, whatever this one prints.
                future::yield_now().await;
                continue;
            }
            if channel.eof() && collected.ended().is_some() {
                return exit(command, collected);
            }
            if channel.eof() {
                return self.read_exit_status(channel, collected).await;
            }
            if let Some(signal) = signal(channel) {
                // The command is dead, yet something keeps its output open: take what is there and go on.
                return self.drain_after_signal(command, channel, collected, signal).await;
            }
            let over = async {
                linger.over().await;
                Ok(())
            };
            match future::or(self.wait_readable(&mut keepalives), over).await {
                Err(_) if collected.ended().is_some() => return exit(command, collected),
                Err(cause) => return CommandEnd::Lost(cause),
                Ok(()) => {}
            }
        }
    }

    async fn abandon_unstarted(&mut self, channel: &mut Channel, collected: &mut Collector<'_>) -> bool {
        race(self.wait_for_begin(channel, collected), Deadline::after(Some(BEGIN_WAIT)), None).await;
        if collected.begun() {
            return true;
        }
        let _ = channel.close();
        // sshd does not answer that while the login shell holds its standard error; but what it answers later it read later,
        // and by then it has closed what the command would write its first word to.
        let settled = match race(self.new_channel(), Deadline::after(Some(ABANDON_WAIT)), None).await {
            Raced::Done(Ok(probe)) => {
                self.abandon(probe);
                true
            }
            Raced::Done(Err(error)) => classify::is_refused(&error),
            Raced::Late | Raced::Cancelled => false,
        };
        // The first word may have been on its way.
        while let Ok(Some(1..)) = read_available(channel, |bytes| collected.take(Stream::Stdout, bytes)) {}
        settled || collected.begun()
    }

    fn discard(&mut self, channel: Channel) {
        self.abandon(channel);
    }

    /// Where what carried the connection has ended, that is why it was lost.
    async fn with_reason(&self, end: CommandEnd) -> CommandEnd {
        if let (CommandEnd::Lost(_), Some(why)) = (&end, self.socket().cut()) {
            return CommandEnd::Lost(why);
        }
        let (CommandEnd::Lost(_) | CommandEnd::NotSent(_), Some(via_status)) = (&end, self.socket().via_status())
        else {
            return end;
        };
        match (via_status.wait_for_end().await, end) {
            (Some(why), CommandEnd::Lost(_)) => CommandEnd::Lost(why),
            (Some(why), CommandEnd::NotSent(_)) => CommandEnd::NotSent(why),
            (_, end) => end,
        }
    }

    fn linger(&self) -> Option<Duration> {
        self.linger
    }

    fn form(&mut self) -> &mut Form {
        &mut self.form
    }

    fn spool(&self) -> &Arc<Spool> {
        self.spooled()
    }
}

impl From<ChannelError> for CommandEnd {
    fn from(channel_error: ChannelError) -> Self {
        match channel_error {
            ChannelError::Refused(said) => Self::Refused(said),
            ChannelError::Broken(said) => Self::NotSent(said),
            ChannelError::Unknown(said) => Self::Lost(said),
        }
    }
}

impl Session {
    /// Waits until the command has begun, or never will.
    async fn wait_for_begin(&self, channel: &mut Channel, collected: &mut Collector<'_>) {
        let mut keepalives = self.keepalives();
        while !collected.begun() {
            let Ok(out) = read_available(channel, |bytes| collected.take(Stream::Stdout, bytes)) else { return };
            if out.unwrap_or(0) > 0 {
                future::yield_now().await;
            } else if channel.eof() || self.wait_readable(&mut keepalives).await.is_err() {
                return;
            }
        }
    }

    /// The output has ended: how did the command?
    async fn read_exit_status(&self, channel: &mut Channel, collected: &Collector<'_>) -> CommandEnd {
        let closing = self.drive(|_| channel.wait_close());
        let closed = match race(closing, Deadline::after(Some(EXIT_STATUS_WAIT)), None).await {
            Raced::Done(Ok(())) => true,
            Raced::Done(Err(error)) if classify::is_lost(&error) => return broken(channel, &error.into()),
            Raced::Done(Err(_)) | Raced::Late | Raced::Cancelled => false,
        };
        let status = channel.exit_status().unwrap_or(0);
        if let Some(signal) = signal(channel) {
            CommandEnd::Signal(signal)
        } else if collected.raw {
            // Without a trailer a status of 0 may mean that none was sent; `--raw` says so.
            if closed { CommandEnd::Exit(status) } else { CommandEnd::Unheard }
        } else if collected.any_begun() {
            CommandEnd::Unheard
        } else {
            CommandEnd::NotBegun { status }
        }
    }

    /// Takes what is left of a signalled command's output, for a short while.
    async fn drain_after_signal(
        &self,
        command: &Command,
        channel: &mut Channel,
        collected: &mut Collector<'_>,
        signal: String,
    ) -> CommandEnd {
        let mut streams = Streams::new(channel);
        let mut keepalives = self.keepalives();
        let draining = async {
            loop {
                let read = streams.read(channel, |stream, bytes| collected.take(stream, bytes));
                if read.is_ok_and(|read| read.more) {
                    future::yield_now().await;
                    continue;
                }
                // After the reads: they are what takes in the server's last word, and the socket would not tell of it again.
                if channel.eof() || self.wait_readable(&mut keepalives).await.is_err() {
                    break;
                }
            }
        };
        future::or(draining, sleep(DRAIN_TIME)).await;
        // The login shell is dead that waited for the wrapper, and perhaps nothing else.
        if collected.ended().is_some() { exit(command, collected) } else { CommandEnd::Signal(signal) }
    }
}

/// Standard output and standard error of a channel.
pub(super) struct Streams {
    errors: ssh2::Stream,
    /// Bytes of streams that nobody reads.
    foreign: u32,
}

/// What a turn of reading has brought.
pub(super) struct StreamsRead {
    pub(super) bytes: usize,
    /// libssh2 holds more, of which the socket would never tell again.
    pub(super) more: bool,
}

impl Streams {
    pub(super) fn new(channel: &Channel) -> Self {
        Self { errors: channel.stderr(), foreign: 0 }
    }

    /// Reads what is there, a buffer of each stream at most.
    ///
    /// # Errors
    /// When the connection has broken.
    pub(super) fn read(
        &mut self,
        channel: &mut Channel,
        mut take: impl FnMut(Stream, &[u8]),
    ) -> io::Result<StreamsRead> {
        let out = read_available(channel, |bytes| take(Stream::Stdout, bytes));
        // That took in what has come for the other one, too.
        let err = if channel.read_window().available == self.foreign {
            None
        } else {
            read_available(&mut self.errors, |bytes| take(Stream::Stderr, bytes))?
        };
        let bytes = out?.unwrap_or(0) + err.unwrap_or(0);
        let available = channel.read_window().available;
        // Where something was read, what is left may be either stream's; where nothing was, it is neither's.
        let last = std::mem::replace(&mut self.foreign, if bytes > 0 { 0 } else { available });
        Ok(StreamsRead { bytes, more: if bytes > 0 { available > 0 } else { available != last } })
    }
}

/// The connection broke. A signal that came first is still the truth.
fn broken(channel: &Channel, error: &io::Error) -> CommandEnd {
    match signal(channel) {
        Some(signal) => CommandEnd::Signal(signal),
        None => CommandEnd::Lost(classify::broken(&error.to_string())),
    }
}

/// The signal that ended the channel's command, if one did.
fn signal(channel: &Channel) -> Option<String> {
    channel.exit_signal().ok().and_then(|signal| signal.exit_signal)
}
