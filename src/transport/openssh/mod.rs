//! The system's `ssh` instead of libssh2, for what that cannot do: GSSAPI, FIDO keys, PKCS#11, `Match exec`.
//!
//! One `ssh` process for each host logs in and stays (`ControlMaster`); one more for each command goes over its socket. So a
//! login and a command are told apart, a second step or a kill needs no second login, and a command is judged by the same
//! trailer as everywhere: the exit status of `ssh` alone is never a result.

mod client;
mod command;
mod control_dir;
mod failure;
mod log;

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

pub use self::client::{SshClient, SshSettings};
pub(super) use self::control_dir::ControlDir;
use self::log::{LoginStage, SshLog};
use super::child::Child;
use super::exec::read_available;
use super::target::Target;
use crate::cancel::{Deadline, race};
use crate::outcome::{Failure, Phase};
use crate::output::Spool;
use crate::reactor::{Socket, sleep};
use crate::transport::exec::wrapper::Form;

/// Time for `ssh` to end, once the connection has.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A logged-in connection: an `ssh` process, and the socket at which it takes commands.
pub struct Session {
    client: Arc<SshClient>,
    control_dir: Arc<ControlDir>,
    socket: PathBuf,
    /// `None` only while it is dropped.
    master: Option<Child>,
    errors: Socket,
    /// It has closed its standard error.
    silent: bool,
    log: SshLog,
    /// How long output is read on after a command's own end; `None`: until it is closed.
    linger: Option<Duration>,
    /// The login shell runs no program by its path.
    form: Form,
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
pub(super) struct LoginAttempt(Option<Session>);

impl LoginAttempt {
    /// Starts `ssh` and follows it until it serves commands, or ends.
    pub(super) async fn log_in(
        &mut self,
        client: &Arc<SshClient>,
        control_dir: &Arc<ControlDir>,
        target: &Target,
        spool: &Arc<Spool>,
        enter: &mut dyn FnMut(Phase),
    ) -> Result<(), Failure> {
        let started = start(client, control_dir, target, spool)
            .map_err(|error| Failure::new(Phase::Connect, client::missing(&error)));
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
            let log = &session.log;
            enter(match log.stage {
                LoginStage::Start => Phase::Resolve,
                LoginStage::Connecting | LoginStage::Connected | LoginStage::Banner | LoginStage::Offer => {
                    Phase::Connect
                }
                LoginStage::HostKey => Phase::HostKey,
                LoginStage::Auth | LoginStage::In => Phase::Auth,
            });
            if log.serving && session.socket.exists() {
                session.address = log.address.as_ref().map_or_else(|| target.address.to_string(), |(ip, _)| ip.clone());
                session.banner.clone_from(&log.banner);
                session.log.words.clear();
                return Ok(());
            }
            if closed {
                return Err(failure::refused(target, log));
            }
        }
    }

    /// The connection that came of it.
    pub(super) fn session(&mut self) -> Option<Session> {
        self.0.take()
    }

    /// Its time is over.
    pub(super) fn late(&self, target: &Target) -> Failure {
        failure::late(target, self.log().unwrap_or(&SshLog::default()))
    }

    /// The server was too busy to hear it.
    pub(super) fn was_dropped(&self) -> bool {
        self.log().is_some_and(failure::was_dropped)
    }

    fn log(&self) -> Option<&SshLog> {
        self.0.as_ref().map(|session| &session.log)
    }
}

fn start(
    client: &Arc<SshClient>,
    control_dir: &Arc<ControlDir>,
    target: &Target,
    spool: &Arc<Spool>,
) -> io::Result<Session> {
    let socket = control_dir.socket()?;
    let (errors, theirs) = UnixStream::pair()?;
    let errors = Socket::unix(errors)?;
    let mut command = client.master(&socket);
    command.stdout(Stdio::null()).stderr(Stdio::from(OwnedFd::from(theirs)));
    Ok(Session {
        client: client.clone(),
        control_dir: control_dir.clone(),
        socket,
        master: Some(Child::start(&mut command)?),
        errors,
        silent: false,
        log: SshLog::default(),
        linger: target.settings.linger,
        form: Form::default(),
        spool: spool.clone(),
        sudo_password: target.settings.sudo_password.clone(),
        address: String::new(),
        banner: String::new(),
    })
}

impl Session {
    /// Looks at what `ssh` says while no command runs. False when the connection has ended.
    pub fn service(&mut self) -> bool {
        self.hear();
        !self.has_ended()
    }

    /// Takes what `ssh` has said. True when it will say no more.
    fn hear(&mut self) -> bool {
        while !self.silent {
            match read_available(&mut &self.errors, |bytes| self.log.feed(bytes)) {
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
        super::classify::lower(self.log.last_message().unwrap_or("ssh ended without a word"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(master) = self.master.take() {
            self.control_dir.reap(master, Signal::TERM);
        }
    }
}
