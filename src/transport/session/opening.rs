//! Opening a channel for a command on a logged-in connection: asked for again where the server has no room yet, given the
//! environment and a terminal, and the command.

use std::time::{Duration, Instant};

use ssh2::{Channel, PtyModeOpcode, PtyModes};

use super::Session;
use crate::cancel::{Deadline, Raced, race};
use crate::duration::human;
use crate::reactor::sleep;
use crate::transport::classify;

/// Why there is no channel with a command on it.
pub(in crate::transport) enum ChannelError {
    /// The server will not; the connection is fine.
    Refused(String),
    /// The connection broke, or went silent, before the command was sent.
    Broken(String),
    /// It broke after the command was sent: nobody knows whether it was run.
    Unknown(String),
}

/// Time for the server to be done with the last channel. It counts one (`MaxSessions`) until its shell has ended, which may be
/// after all that this said.
const ROOM_WAIT: Duration = Duration::from_secs(2);
/// Most bytes of output in one packet: what every SSH takes (RFC 4253, section 6.1).
const LONGEST_DATA: u32 = 32_768;
/// First pause before a channel is asked for again; each is twice as long as the one before.
const FIRST_ROOM_PAUSE: Duration = Duration::from_millis(10);

impl Session {
    /// Opens a channel for a command, with a terminal where it wants one.
    pub(in crate::transport) async fn open(&mut self, pty: bool) -> Result<Channel, ChannelError> {
        self.sweep();
        let deadline = Deadline::after(Some(self.open_timeout));
        let mut channel = match race(self.new_channel_in_time(), deadline, None).await {
            Raced::Done(Ok(channel)) => channel,
            Raced::Done(Err(error)) => {
                let said = classify::lower(error.message());
                return Err(if classify::is_refused(&error) {
                    ChannelError::Refused(said)
                } else {
                    ChannelError::Broken(said)
                });
            }
            Raced::Late | Raced::Cancelled => {
                return Err(ChannelError::Broken(format!("no channel was opened within {}", human(self.open_timeout))));
            }
        };
        let silence_limit = self.silence_limit();
        let announced = match race(self.send_env(&mut channel), Deadline::after(silence_limit), None).await {
            Raced::Done(done) => done.map_err(|error| classify::lower(error.message())),
            Raced::Late | Raced::Cancelled => Err("no answer about the environment".to_owned()),
        };
        if let Err(said) = announced {
            self.abandon(channel);
            return Err(ChannelError::Broken(said));
        }
        if pty && let Err(channel_error) = self.request_pty(&mut channel, silence_limit).await {
            self.abandon(channel);
            return Err(channel_error);
        }
        Ok(channel)
    }

    /// Opens a channel. The server is given time where it may not be done with the last one yet.
    async fn new_channel_in_time(&mut self) -> Result<Channel, ssh2::Error> {
        let no_room_since = Instant::now();
        let mut pause = FIRST_ROOM_PAUSE;
        loop {
            match self.new_channel().await {
                Err(error)
                    if classify::is_refused(&error)
                        && self.live == 0
                        && !self.done.is_empty()
                        && no_room_since.elapsed() < ROOM_WAIT =>
                {
                    sleep(pause).await;
                    pause *= 2;
                }
                opened => return opened,
            }
        }
    }

    /// Opens a channel, which is live until it is given up.
    pub(in crate::transport) async fn new_channel(&mut self) -> Result<Channel, ssh2::Error> {
        let window = self.window;
        let channel = self.drive(|ssh| ssh.channel_open("session", window, LONGEST_DATA, None)).await?;
        self.live += 1;
        Ok(channel)
    }

    /// Asks for a command to be run on a channel. Where this is cut short the command may run all the same.
    pub(in crate::transport) async fn start(&self, channel: &mut Channel, command: &str) -> Result<(), ChannelError> {
        let starting = self.drive(|_| channel.exec(command));
        match race(starting, Deadline::after(self.silence_limit()), None).await {
            Raced::Done(Ok(())) => Ok(()),
            Raced::Done(Err(error)) if classify::is_refused(&error) => {
                Err(ChannelError::Refused(classify::lower(error.message())))
            }
            Raced::Done(Err(error)) => Err(ChannelError::Unknown(classify::lower(error.message()))),
            Raced::Late | Raced::Cancelled => {
                Err(ChannelError::Unknown("no answer to the request to run it".to_owned()))
            }
        }
    }

    /// The server may take its time to start a command, but not to say that it is alive.
    fn silence_limit(&self) -> Option<Duration> {
        Some(self.keepalive.0 * (self.keepalive.1 + 1)).filter(|limit| !limit.is_zero())
    }

    /// Sends the environment that the next command on this channel is to have, as far as the server takes it.
    async fn send_env(&self, channel: &mut Channel) -> Result<(), ssh2::Error> {
        for (name, value) in self.env.iter() {
            match self.drive(|_| channel.setenv(name, value)).await {
                // A server takes what it likes, and ssh does not mind either.
                Err(error) if !classify::is_refused(&error) => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Asks for a terminal: one that leaves ends of lines alone and repeats nothing that it reads, or nobody could tell what
    /// the command wrote. It can do nothing, so that programs draw nothing.
    async fn request_pty(&self, channel: &mut Channel, silence_limit: Option<Duration>) -> Result<(), ChannelError> {
        let asking = self.drive(|_| {
            let mut modes = PtyModes::new();
            for mode in [PtyModeOpcode::ONLCR, PtyModeOpcode::ECHO, PtyModeOpcode::ECHONL, PtyModeOpcode::ECHOCTL] {
                modes.set_boolean(mode, false);
            }
            channel.request_pty("dumb", Some(modes), None)
        });
        match race(asking, Deadline::after(silence_limit), None).await {
            Raced::Done(Ok(())) => Ok(()),
            Raced::Done(Err(error)) if classify::is_refused(&error) => {
                Err(ChannelError::Refused("it gives no terminal (PermitTTY, or `no-pty` of the key)".to_owned()))
            }
            Raced::Done(Err(error)) => Err(ChannelError::Broken(classify::lower(error.message()))),
            Raced::Late | Raced::Cancelled => Err(ChannelError::Broken("no answer about the terminal".to_owned())),
        }
    }
}
