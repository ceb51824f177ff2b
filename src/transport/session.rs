//! A logged-in connection to one host, and the only place that touches libssh2 after login.
//!
//! Sessions are non-blocking and belong to one task at a time: libssh2 frees channels without a lock.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::future;
use secrecy::SecretString;
use ssh2::{Channel, DisconnectCode, ErrorCode, File, PtyModeOpcode, PtyModes, Sftp};

use super::classify;
use super::socket::SessionSocket;
use super::target::Target;
use crate::cancel::{Deadline, Raced, race};
use crate::duration::human;
use crate::output::Spool;
use crate::reactor::{Ticker, sleep};
use crate::transport::exec::looks::LookChannel;
use crate::transport::exec::wrapper::Form;

/// libssh2's "try again when the socket is ready".
pub(super) const EAGAIN: i32 = -37;

/// A logged-in connection.
pub struct Session {
    ssh: ssh2::Session,
    socket: SessionSocket,
    keepalive: (Duration, u32),
    /// The address that answered.
    pub address: String,
    /// The server's identification without `SSH-2.0-`.
    pub banner: String,
    /// Channels that are done with: the last one is kept, because reading it is the only way to let libssh2 answer the
    /// server while no command runs.
    done: Vec<Channel>,
    /// Channels that are not done with.
    live: usize,
    /// SFTP, once it was needed. Dropping it waits for the server, unless the socket is shut.
    pub(super) sftp: Option<Sftp>,
    /// Files whose transfer was cut short: the same is true of them.
    pub(super) open_files: Vec<File>,
    /// How long output is read on after a command's own end; `None`: until it is closed.
    pub(super) linger: Option<Duration>,
    /// The login shell runs no program by its path.
    pub(super) form: Form,
    /// The channel that is kept while the host is waited for.
    pub(super) looks: Option<LookChannel>,
    /// Whether such a channel can be had: unknown until a command was heard to its end.
    pub(super) keeps_looks: Option<bool>,
    /// Time for the server to open a channel.
    open_timeout: Duration,
    /// Environment to ask for before each command.
    env: Arc<[(String, String)]>,
    /// Where output goes that is too long for memory.
    spool: Arc<Spool>,
    /// What sudo is told where it asks.
    sudo_password: Option<Arc<SecretString>>,
}

/// Why there is no channel with a command on it.
pub(super) enum ChannelError {
    /// The server will not; the connection is fine.
    Refused(String),
    /// The connection broke, or went silent, before the command was sent.
    Broken(String),
    /// It broke after the command was sent: nobody knows whether it was run.
    Unknown(String),
}

/// libssh2 makes of an interval of 1 s one of 2, so a shorter one would count keepalives that were never sent.
const SHORTEST_KEEPALIVE: Duration = Duration::from_secs(2);
/// Time for the server to be done with the last channel. It counts one (`MaxSessions`) until its shell has ended, which may be
/// after all that this said.
const ROOM_WAIT: Duration = Duration::from_secs(2);
/// First pause before a channel is asked for again; each is twice as long as the one before.
const FIRST_ROOM_PAUSE: Duration = Duration::from_millis(10);

impl Session {
    /// Takes over a session that has just logged in.
    pub(super) fn new(
        ssh: ssh2::Session,
        socket: SessionSocket,
        address: String,
        target: &Target,
        spool: &Arc<Spool>,
    ) -> Self {
        let mut keepalive = target.keepalive;
        let banner = ssh.banner().unwrap_or_default();
        let banner = banner.strip_prefix("SSH-2.0-").unwrap_or(banner).to_owned();
        if !keepalive.0.is_zero() {
            keepalive.0 = keepalive.0.max(SHORTEST_KEEPALIVE);
            ssh.set_keepalive(true, u32::try_from(keepalive.0.as_secs()).unwrap_or(u32::MAX).max(1));
        }
        Self {
            ssh,
            socket,
            keepalive,
            address,
            banner,
            done: Vec::new(),
            live: 0,
            sftp: None,
            open_files: Vec::new(),
            linger: target.linger,
            form: Form::default(),
            looks: None,
            keeps_looks: None,
            open_timeout: target.connect_timeout,
            env: target.env.clone(),
            spool: Arc::clone(spool),
            sudo_password: target.sudo_password.clone(),
        }
    }

    /// What libssh2 knows of it.
    pub(super) fn ssh(&self) -> &ssh2::Session {
        &self.ssh
    }

    /// What it goes over.
    pub(super) fn socket(&self) -> &SessionSocket {
        &self.socket
    }

    /// Where output goes that is too long for memory.
    pub(super) fn spooled(&self) -> &Arc<Spool> {
        &self.spool
    }

    /// Interval of keepalives, and how many may go unanswered.
    pub(super) fn keepalive(&self) -> (Duration, u32) {
        self.keepalive
    }

    /// What sudo is told where it asks.
    pub(super) fn sudo_password(&self) -> Option<Arc<SecretString>> {
        self.sudo_password.clone()
    }

    /// Opens a channel for a command, with a terminal where it wants one.
    pub(super) async fn open(&mut self, pty: bool) -> Result<Channel, ChannelError> {
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
    pub(super) async fn new_channel(&mut self) -> Result<Channel, ssh2::Error> {
        let channel = self.drive(ssh2::Session::channel_session).await?;
        self.live += 1;
        Ok(channel)
    }

    /// Asks for a command to be run on a channel. Where this is cut short the command may run all the same.
    pub(super) async fn start(&self, channel: &mut Channel, command: &str) -> Result<(), ChannelError> {
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

    /// Whether the other end has ended the connection.
    pub(super) fn has_ended(&self) -> bool {
        self.socket.has_ended()
    }

    /// Time for the server to open a channel.
    pub(super) fn open_timeout(&self) -> Duration {
        self.open_timeout
    }

    /// Runs one libssh2 call until it is done.
    pub(super) async fn drive<T>(
        &self,
        call: impl FnMut(&ssh2::Session) -> Result<T, ssh2::Error>,
    ) -> Result<T, ssh2::Error> {
        let done = drive(&self.ssh, &self.socket, call).await;
        self.socket.used(0);
        done
    }

    /// Waits until there is something to read, sending keepalives meanwhile.
    ///
    /// # Errors
    /// When so many keepalives in a row went unanswered that the peer is taken for dead.
    pub(super) async fn wait_readable(&self, keepalives: &mut Keepalives) -> Result<(), String> {
        loop {
            let ready = async { Some(self.socket.ready(self.ssh.block_directions()).await) };
            let ticker = async {
                match &mut keepalives.ticker {
                    Some(ticker) => ticker.next().await,
                    None => future::pending().await,
                }
                None
            };
            match future::or(ready, ticker).await {
                Some(Ok(())) => {
                    keepalives.unanswered = 0;
                    return self.socket.cut().map_or(Ok(()), Err);
                }
                Some(Err(error)) => return Err(error.to_string()),
                None if keepalives.unanswered >= self.keepalive.1 => {
                    return Err(format!(
                        "no answer to {} keepalives, {}s apart",
                        self.keepalive.1,
                        self.keepalive.0.as_secs()
                    ));
                }
                None => {
                    keepalives.unanswered += 1;
                    if let Err(error) = self.ssh.keepalive_send()
                        && error.code() != ErrorCode::Session(EAGAIN)
                    {
                        return Err(error.message().to_owned());
                    }
                }
            }
        }
    }

    /// Keepalives for one command.
    pub(super) fn keepalives(&self) -> Keepalives {
        let ticker = (!self.keepalive.0.is_zero()).then(|| Ticker::every(self.keepalive.0));
        Keepalives { ticker, unanswered: 0 }
    }

    /// Gives a channel up without waiting for the other end.
    pub(super) fn abandon(&mut self, mut channel: Channel) {
        self.live = self.live.saturating_sub(1);
        let _ = channel.close();
        self.socket.unread_channel();
        self.done.push(channel);
        self.sweep();
        self.socket.flush();
    }

    /// Lets libssh2 read what the server sent while no command runs, so that its keepalives are answered. False when the
    /// connection has ended.
    pub fn service(&mut self) -> bool {
        if !self.keepalive.0.is_zero() {
            // Sent only when one is due. A firewall forgets a connection on which nothing passes.
            let _ = self.ssh.keepalive_send();
        }
        let Some(channel) = self.done.last_mut() else {
            self.socket.flush();
            return !self.socket.is_over();
        };
        let mut scratch = [0; 1024];
        self.socket.turn();
        let read = io::Read::read(channel, &mut scratch);
        self.socket.flush();
        // A channel that has ended reads as such, whatever became of the connection.
        let is_read = read.map_or_else(|error| error.kind() == io::ErrorKind::WouldBlock, |_| true);
        is_read && !self.socket.is_over()
    }

    /// Frees channels whose end both sides have agreed on. Freeing one earlier would leave it behind in libssh2.
    fn sweep(&mut self) {
        let mut index = 0;
        while index + 1 < self.done.len() {
            if self.done[index].close().is_ok() {
                drop(self.done.remove(index));
            } else {
                index += 1;
            }
        }
    }
}

impl Drop for Session {
    /// Says goodbye, then cuts the socket, so that nothing that libssh2 frees can wait for the other end.
    fn drop(&mut self) {
        let _ = self.ssh.disconnect(Some(DisconnectCode::ByApplication), "done", None);
        self.socket.shut();
    }
}

/// Keepalives of one command: when the next is due, how many went unanswered.
pub(super) struct Keepalives {
    ticker: Option<Ticker>,
    unanswered: u32,
}

/// Runs one libssh2 call until it is done, waiting for the socket in between.
pub(super) async fn drive<T>(
    ssh: &ssh2::Session,
    socket: &SessionSocket,
    mut call: impl FnMut(&ssh2::Session) -> Result<T, ssh2::Error>,
) -> Result<T, ssh2::Error> {
    loop {
        match call(ssh) {
            Err(error) if error.code() == ErrorCode::Session(EAGAIN) => {
                if socket.ready(ssh.block_directions()).await.is_err() {
                    return Err(error);
                }
            }
            result => return result,
        }
    }
}

/// When something was begun, for reports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
