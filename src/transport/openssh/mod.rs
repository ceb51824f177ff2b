//! The system's `ssh` instead of libssh2, for what that cannot do: GSSAPI, FIDO keys, PKCS#11, `Match exec`.
//!
//! One `ssh` process for each host logs in and stays (`ControlMaster`); one more for each command goes over its socket. So a
//! login and a command are told apart, a second step or a kill needs no second login, and a command is judged by the same
//! trailer as everywhere: the exit status of `ssh` alone is never a result.

mod chatter;
mod client;
mod den;
mod line;
mod words;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use rustix::process::Signal;
use secrecy::SecretString;

use self::chatter::{Chatter, Stage};
pub use self::client::{Client, Settled};
pub(super) use self::den::Den;
use super::child::Child;
use super::exec::pull;
use super::target::Target;
use crate::control::{Deadline, race};
use crate::outcome::{Failure, Phase};
use crate::output::Spool;
use crate::reactor::{Socket, sleep};

/// Time for `ssh` to end, once the connection has.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A logged-in connection: an `ssh` process, and the socket at which it takes commands.
pub struct Session {
    client: Arc<Client>,
    den: Arc<Den>,
    socket: PathBuf,
    /// `None` only while it is dropped.
    master: Option<Child>,
    errors: Socket,
    /// It has closed its standard error.
    silent: bool,
    heard: Chatter,
    foreign_shell: bool,
    spool: Arc<Spool>,
    /// What sudo is told where it asks.
    sudo_password: Option<Arc<SecretString>>,
    /// The address that answered.
    pub address: String,
    /// The server's identification without `SSH-2.0-`.
    pub banner: String,
}

/// An attempt to log in, and what was heard meanwhile, however it ends.
#[derive(Default)]
pub(super) struct Attempt(Option<Session>);

impl Attempt {
    /// Starts `ssh` and follows it until it serves commands, or ends.
    pub(super) async fn log_in(
        &mut self,
        client: &Arc<Client>,
        den: &Arc<Den>,
        target: &Target,
        spool: &Arc<Spool>,
        enter: &mut dyn FnMut(Phase),
    ) -> Result<(), Failure> {
        let started =
            start(client, den, target, spool).map_err(|error| Failure::new(Phase::Connect, client::missing(&error)));
        let session = self.0.insert(started?);
        loop {
            let over = async {
                match &mut session.master {
                    Some(master) => drop(master.ended().await),
                    None => future::pending().await,
                }
            };
            let news = async { drop(session.errors.readable().await) };
            future::or(news, over).await;
            // What a jump host's `ssh` holds open says nothing more about this one.
            let closed = session.hear() || session.has_ended();
            let heard = &session.heard;
            enter(match heard.stage {
                Stage::Start => Phase::Resolve,
                Stage::Connecting | Stage::Connected | Stage::Banner | Stage::Offer => Phase::Connect,
                Stage::HostKey => Phase::HostKey,
                Stage::Auth | Stage::In => Phase::Auth,
            });
            if heard.serving && session.socket.exists() {
                session.address = heard.address.as_ref().map_or_else(|| target.address.clone(), |(ip, _)| ip.clone());
                session.banner.clone_from(&heard.banner);
                session.heard.words.clear();
                return Ok(());
            }
            if closed {
                return Err(words::refused(target, heard));
            }
        }
    }

    /// The connection that came of it.
    pub(super) fn session(&mut self) -> Option<Session> {
        self.0.take()
    }

    /// Its time is over.
    pub(super) fn late(&self, target: &Target) -> Failure {
        words::late(target, self.heard().unwrap_or(&Chatter::default()))
    }

    /// The server was too busy to hear it.
    pub(super) fn turned_away(&self) -> bool {
        self.heard().is_some_and(words::turned_away)
    }

    fn heard(&self) -> Option<&Chatter> {
        self.0.as_ref().map(|session| &session.heard)
    }
}

fn start(client: &Arc<Client>, den: &Arc<Den>, target: &Target, spool: &Arc<Spool>) -> io::Result<Session> {
    let socket = den.socket()?;
    let (errors, theirs) = UnixStream::pair()?;
    let errors = Socket::unix(errors)?;
    let mut command = client.master(&socket);
    command.stdout(Stdio::null()).stderr(Stdio::from(OwnedFd::from(theirs)));
    Ok(Session {
        client: client.clone(),
        den: den.clone(),
        socket,
        master: Some(Child::start(&mut command)?),
        errors,
        silent: false,
        heard: Chatter::default(),
        foreign_shell: false,
        spool: spool.clone(),
        sudo_password: target.sudo_password.clone(),
        address: String::new(),
        banner: String::new(),
    })
}

impl Session {
    /// Looks at what `ssh` says while no command runs. False when the connection has ended.
    pub fn pump(&mut self) -> bool {
        self.hear();
        !self.has_ended()
    }

    /// Takes what `ssh` has said. True when it will say no more.
    fn hear(&mut self) -> bool {
        while !self.silent {
            match pull(&mut &self.errors, |bytes| self.heard.feed(bytes)) {
                Ok(Some(0)) | Err(_) => self.silent = true,
                Ok(Some(_)) => {}
                Ok(None) => break,
            }
        }
        self.silent
    }

    fn has_ended(&mut self) -> bool {
        self.master.as_mut().is_none_or(Child::has_ended)
    }

    /// The same, after a moment in which it may still end.
    async fn ends_soon(&mut self) -> bool {
        let ending = async {
            while !self.has_ended() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        race(ending, Deadline::after(Some(LAST_WORDS)), None).await;
        self.hear();
        self.has_ended()
    }

    /// Why the connection was lost.
    fn why(&self) -> String {
        super::classify::lower(self.heard.last_word().unwrap_or("ssh ended without a word"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(master) = self.master.take() {
            self.den.retire(master, Signal::TERM);
        }
    }
}
