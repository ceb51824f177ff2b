//! A logged-in connection to one host: its channels, its keepalives and its end.
//!
//! Sessions are non-blocking and belong to one task at a time: libssh2 frees channels without a lock.

mod opening;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::future;
use secrecy::SecretString;
use ssh2::{Channel, DisconnectCode, ErrorCode, File, Sftp};

pub(super) use self::opening::ChannelError;
use super::socket::SessionSocket;
use super::target::Target;
use crate::output::Spool;
use crate::reactor::Ticker;
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
    /// Bytes that the server may send on a channel before they are read.
    window: u32,
    /// What sudo is told where it asks.
    sudo_password: Option<Arc<SecretString>>,
}

/// libssh2 makes of an interval of 1 s one of 2, so a shorter one would count keepalives that were never sent.
const SHORTEST_KEEPALIVE: Duration = Duration::from_secs(2);
impl Session {
    /// Takes over a session that has just logged in.
    pub(super) fn new(
        ssh: ssh2::Session,
        socket: SessionSocket,
        address: String,
        target: &Target,
        (spool, window): (&Arc<Spool>, u32),
    ) -> Self {
        let mut keepalive = target.settings.keepalive;
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
            linger: target.settings.linger,
            form: Form::default(),
            looks: None,
            keeps_looks: None,
            open_timeout: target.settings.connect_timeout,
            env: target.settings.env.clone(),
            spool: Arc::clone(spool),
            window,
            sudo_password: target.settings.sudo_password.clone(),
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
