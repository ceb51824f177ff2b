//! Commands on channels of a libssh2 session.

use std::io;
use std::sync::Arc;

use futures_lite::future;
use ssh2::Channel;

use super::classify;
use super::command::{Command, End};
use super::exec::{Carrier, GOODBYE, LAST_WORDS, REST, UNDER_WAY, exit, parcel, pull};
use super::feed::Feed;
use super::heard::Heard;
use super::session::{Session, Unopened};
use super::trailer::Mark;
use crate::control::{Deadline, Raced, race};
use crate::event::Stream;
use crate::output::Spool;
use crate::reactor::sleep;

impl Carrier for Session {
    type Line = Channel;

    async fn listen(
        &mut self,
        command: &Command,
        mark: &Mark,
        line: &mut Option<Channel>,
        heard: &mut Heard<'_>,
    ) -> End {
        let password = self.sudo_password().filter(|_| command.sudo.is_some());
        let (text, input) = parcel(command, mark, self.foreign_shell, password.is_some());
        let mut feed = Feed::new(input, command.pty, password.as_deref());
        let channel = match self.open(command.pty).await {
            Ok(channel) => line.insert(channel),
            Err(unopened) => return unopened.into(),
        };
        if let Err(unopened) = self.start(channel, &text).await {
            return unopened.into();
        }
        let mut errors = channel.stderr();
        let mut pulse = self.pulse();
        let mut foreign = 0;
        loop {
            // Both streams, and the input, at every turn: whichever is left alone fills its window and stops the rest.
            let written = match feed.push(channel, heard) {
                Ok(written) => written,
                Err(error) => return End::Lost(error.to_string()),
            };
            let out = pull(channel, |bytes| heard.take(Stream::Stdout, bytes));
            let err = pull(&mut errors, |bytes| heard.take(Stream::Stderr, bytes));
            let read = match (out, err) {
                (Ok(out), Ok(err)) => out.unwrap_or(0) + err.unwrap_or(0),
                (Err(error), _) | (_, Err(error)) => {
                    return if heard.ended() { exit(command, heard) } else { broken(channel, &error) };
                }
            };
            if heard.ended() {
                return exit(command, heard);
            }
            if read > 0 {
                self.wire().used(read);
            }
            heard.flush().await;
            if read > 0 || written || queued(channel, &mut foreign) {
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

    async fn last_words(&mut self, channel: &mut Channel, heard: &mut Heard<'_>) -> bool {
        race(self.hear_begin(channel, heard), Deadline::after(Some(UNDER_WAY)), None).await;
        if heard.out.begun() {
            return true;
        }
        let _ = channel.close();
        // sshd does not answer that while the login shell holds its standard error; but what it answers later it read later,
        // and by then it has closed what the command would write its first word to.
        let asking = self.drive(ssh2::Session::channel_session);
        let settled = match race(asking, Deadline::after(Some(LAST_WORDS)), None).await {
            Raced::Done(Ok(probe)) => {
                self.abandon(probe);
                true
            }
            Raced::Done(Err(error)) => classify::is_refused(&error),
            Raced::Late | Raced::Cancelled => false,
        };
        // The first word may have been on its way.
        while let Ok(Some(1..)) = pull(channel, |bytes| heard.take(Stream::Stdout, bytes)) {}
        settled || heard.out.begun()
    }

    fn discard(&mut self, channel: Channel) {
        self.abandon(channel);
    }

    /// Where what carried the connection has ended, that is why it was lost.
    async fn with_reason(&self, end: End) -> End {
        if let (End::Lost(_), Some(why)) = (&end, self.wire().cut()) {
            return End::Lost(why);
        }
        let (End::Lost(_) | End::NotSent(_), Some(passage)) = (&end, self.wire().passage()) else { return end };
        match (passage.ended_soon().await, end) {
            (Some(why), End::Lost(_)) => End::Lost(why),
            (Some(why), End::NotSent(_)) => End::NotSent(why),
            (_, end) => end,
        }
    }

    fn foreign_shell(&mut self) -> &mut bool {
        &mut self.foreign_shell
    }

    fn spool(&self) -> &Arc<Spool> {
        self.spooled()
    }
}

impl From<Unopened> for End {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::Refused(said) => Self::Refused(said),
            Unopened::Broken(said) => Self::NotSent(said),
            Unopened::Unknown(said) => Self::Lost(said),
        }
    }
}

impl Session {
    /// Waits until the command has begun, or never will.
    async fn hear_begin(&self, channel: &mut Channel, heard: &mut Heard<'_>) {
        let mut pulse = self.pulse();
        while !heard.out.begun() {
            let Ok(out) = pull(channel, |bytes| heard.take(Stream::Stdout, bytes)) else { return };
            if out.unwrap_or(0) == 0 && (channel.eof() || self.heard(&mut pulse).await.is_err()) {
                return;
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
        let mut foreign = 0;
        let draining = async {
            while !channel.eof() {
                let out = pull(channel, |bytes| heard.take(Stream::Stdout, bytes)).ok().flatten().unwrap_or(0);
                let err = pull(&mut errors, |bytes| heard.take(Stream::Stderr, bytes)).ok().flatten().unwrap_or(0);
                if out + err == 0 && !queued(channel, &mut foreign) && self.heard(&mut pulse).await.is_err() {
                    break;
                }
            }
        };
        future::or(draining, sleep(REST)).await;
        End::Signal(signal)
    }
}

/// Whether libssh2 holds output that nobody has read, besides the bytes of streams that nobody reads. A look at one stream
/// takes in what has come for the other too, of which the socket would never tell again.
fn queued(channel: &Channel, foreign: &mut u32) -> bool {
    let available = channel.read_window().available;
    std::mem::replace(foreign, available) != available
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
