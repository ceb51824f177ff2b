//! Logging in: keys, the ssh-agent and the password, in the order that `ssh_config` wants.

mod agent;
mod password;
mod words;

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_lock::Semaphore;

use self::password::PasswordResult;
use self::words::refused;
use super::classify;
use super::session::drive;
use super::socket::SessionSocket;
use super::target::{AgentUse, Method, Target};
use crate::credentials::keys::PrivateKey;
use crate::outcome::Failure;

/// Logins that may use the agent at once: it answers one after the other, and one connection per host overwhelms it.
const AGENT_LOGINS: usize = 4;

/// What the logins of a run have in common: the ssh-agent, and the keys that have opened a door.
#[derive(Debug)]
pub(super) struct AgentState {
    turns: Semaphore,
    /// Per user the public key that logged in last: tried first elsewhere, before the server has had enough.
    good: Mutex<HashMap<String, Vec<u8>>>,
}

impl Default for AgentState {
    fn default() -> Self {
        Self { turns: Semaphore::new(AGENT_LOGINS), good: Mutex::default() }
    }
}

impl AgentState {
    fn good(&self, user: &str) -> Option<Vec<u8>> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner).get(user).cloned()
    }

    fn remember(&self, user: &str, blob: &[u8]) {
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good.get(user).is_none_or(|known| known != blob) {
            good.insert(user.to_owned(), blob.to_owned());
        }
    }
}

/// Why one way to log in did not work.
enum LoginRefusal {
    /// The server does not take this; another way may do.
    Next,
    /// The connection is gone.
    Gone(String),
}

/// What was tried on one host, and what came of it.
#[derive(Debug, Default)]
struct LoginAttempts {
    /// Public keys that were offered: none is offered twice.
    blobs: HashSet<Vec<u8>>,
    /// How often a key was offered.
    offered: usize,
    /// Keys that there are.
    keys: usize,
    /// The server took a key, and wanted more than that.
    key_taken: bool,
    /// What became of the password; `None`: it was not sent.
    password: Option<PasswordResult>,
    /// The connection ended, and this was the last word.
    gone: Option<String>,
    /// Methods that the server takes, as it lists them.
    methods: String,
}

/// Logs in, or says why not.
///
/// `password_sent` is set before the password is sent, whatever comes of that.
pub(super) async fn log_in(
    ssh: &ssh2::Session,
    socket: &SessionSocket,
    target: &Target,
    agent: &AgentState,
    password_sent: &Cell<bool>,
) -> Result<(), Failure> {
    let mut tried = LoginAttempts::default();
    for method in &target.settings.methods {
        let result = match (method, &target.settings.password) {
            (Method::PublicKey, _) => with_public_keys(ssh, socket, target, agent, &mut tried).await,
            // It is sent once: a second try with the same password only brings an account nearer to being locked.
            (_, Some(password)) if tried.password.is_none() => {
                tried.methods = methods(ssh, socket, target).await;
                if ssh.authenticated() {
                    return Ok(());
                }
                if !takes(&tried.methods, *method) {
                    continue;
                }
                password_sent.set(true);
                password::log_in(ssh, socket, target, *method, password, &mut tried).await
            }
            (Method::KeyboardInteractive | Method::Password, _) => continue,
        };
        match result {
            Ok(()) => return Ok(()),
            Err(LoginRefusal::Next) => {}
            Err(LoginRefusal::Gone(said)) => {
                tried.gone = Some(said);
                break;
            }
        }
    }
    if tried.gone.is_none() && tried.methods.is_empty() {
        tried.methods = methods(ssh, socket, target).await;
    }
    // Asking which methods there are is itself a login with method `none`, and some servers take it.
    if ssh.authenticated() { Ok(()) } else { Err(refused(target, &tried)) }
}

/// The methods that the server still takes, as it lists them; nothing when it does not say.
async fn methods(ssh: &ssh2::Session, socket: &SessionSocket, target: &Target) -> String {
    drive(ssh, socket, |ssh| ssh.auth_methods(&target.user).map(str::to_owned)).await.unwrap_or_default()
}

/// Whether a server's list has this method. Where there is no list every method is worth a try.
fn takes(methods: &str, method: Method) -> bool {
    methods.is_empty() || methods.split(',').any(|name| name == method.name())
}

/// Key files and the agent, in ssh's order; what has logged in elsewhere goes first.
async fn with_public_keys(
    ssh: &ssh2::Session,
    socket: &SessionSocket,
    target: &Target,
    agent: &AgentState,
    tried: &mut LoginAttempts,
) -> Result<(), LoginRefusal> {
    let good = agent.good(&target.user);
    // A certificate is offered as a key of its own.
    tried.keys = target.settings.keys.iter().map(|key| 1 + usize::from(key.certificate.is_some())).sum();
    if let Some(key) = target.settings.keys.iter().find(|key| good.is_some() && key.public_blob == good) {
        match with_key(ssh, socket, target, agent, key, tried).await {
            Err(LoginRefusal::Next) => {}
            done => return done,
        }
    }
    let sources = match &target.settings.agent {
        AgentUse::No => [Some(KeySource::Keys), None],
        AgentUse::First(agent_socket) => [Some(KeySource::Agent(agent_socket)), Some(KeySource::Keys)],
        AgentUse::Last(agent_socket) => [Some(KeySource::Keys), Some(KeySource::Agent(agent_socket))],
    };
    for source in sources.into_iter().flatten() {
        let result = match source {
            KeySource::Keys => with_keys(ssh, socket, target, agent, tried).await,
            KeySource::Agent(agent_socket) => agent::log_in(ssh, socket, target, agent_socket, agent, tried).await,
        };
        match result {
            Err(LoginRefusal::Next) => {}
            done => return done,
        }
    }
    Err(LoginRefusal::Next)
}

#[derive(Clone, Copy)]
enum KeySource<'a> {
    Keys,
    /// The agent at this socket.
    Agent(&'a Path),
}

async fn with_keys(
    ssh: &ssh2::Session,
    socket: &SessionSocket,
    target: &Target,
    agent: &AgentState,
    tried: &mut LoginAttempts,
) -> Result<(), LoginRefusal> {
    for key in target.settings.keys.iter() {
        match with_key(ssh, socket, target, agent, key, tried).await {
            Err(LoginRefusal::Next) => {}
            done => return done,
        }
    }
    Err(LoginRefusal::Next)
}

async fn with_key(
    ssh: &ssh2::Session,
    socket: &SessionSocket,
    target: &Target,
    agent: &AgentState,
    key: &PrivateKey,
    tried: &mut LoginAttempts,
) -> Result<(), LoginRefusal> {
    if let Some(blob) = &key.public_blob
        && !tried.blobs.insert(blob.clone())
    {
        return Err(LoginRefusal::Next);
    }
    // As ssh does: the certificate goes before the key that it is for.
    for public in
        key.certificate.as_ref().map(|certificate| certificate.line.as_str()).into_iter().chain([key.public.as_str()])
    {
        tried.offered += 1;
        let result =
            drive(ssh, socket, |ssh| ssh.userauth_pubkey_memory(&target.user, Some(public), &key.pem, None)).await;
        match result {
            Ok(()) if ssh.authenticated() => {
                if let Some(blob) = &key.public_blob {
                    agent.remember(&target.user, blob);
                }
                return Ok(());
            }
            Err(error) if classify::is_lost(&error) || socket.has_ended() => {
                return Err(LoginRefusal::Gone(classify::lower(error.message())));
            }
            Err(error) => tried.key_taken |= classify::is_not_enough(&error),
            Ok(()) => {}
        }
    }
    Err(LoginRefusal::Next)
}

/// What the agent has, asked once per run.
///
/// # Errors
/// When the agent is of no use; the words say why.
pub fn agent_of_use(
    agent_socket: &Path,
    limit: Duration,
) -> Result<Vec<crate::credentials::agent::AgentIdentity>, crate::credentials::agent::AgentError> {
    crate::credentials::agent::probe(agent_socket, limit)
}
