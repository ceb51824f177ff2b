//! Logging in: key files and the ssh-agent, in ssh's order.

use std::path::Path;
use std::time::Duration;

use super::classify;
use super::session::drive;
use super::target::{AgentUse, Target};
use super::wire::Wire;
use crate::outcome::{Failure, Phase};
use async_lock::Semaphore;

/// Logins that may use the agent at once: it answers one after the other, and one connection per host overwhelms it.
const AGENT_LOGINS: usize = 4;

/// The ssh-agent of this run.
#[derive(Debug)]
pub(super) struct Agent {
    turns: Semaphore,
}

impl Default for Agent {
    fn default() -> Self {
        Self { turns: Semaphore::new(AGENT_LOGINS) }
    }
}

/// Why one way to log in did not work.
enum Refusal {
    /// The server does not take this key; another may do.
    Next,
    /// The connection is gone.
    Gone(String),
}

/// Logs in, or says why not.
pub(super) async fn log_in(ssh: &ssh2::Session, wire: &Wire, target: &Target, agent: &Agent) -> Result<(), Failure> {
    let mut offered = 0;
    let mut gone = None;
    let ways = match &target.agent {
        AgentUse::No => [Some(Way::Keys), None],
        AgentUse::First(socket) => [Some(Way::Agent(socket)), Some(Way::Keys)],
        AgentUse::Last(socket) => [Some(Way::Keys), Some(Way::Agent(socket))],
    };
    for way in ways.into_iter().flatten() {
        let result = match way {
            Way::Keys => with_keys(ssh, wire, target, &mut offered).await,
            Way::Agent(socket) => with_agent(ssh, wire, target, socket, agent, &mut offered).await,
        };
        match result {
            Ok(()) => return Ok(()),
            Err(Refusal::Next) => {}
            Err(Refusal::Gone(said)) => {
                gone = Some(said);
                break;
            }
        }
    }
    let methods = match &gone {
        Some(_) => String::new(),
        None => drive(ssh, wire, |ssh| ssh.auth_methods(&target.user).map(str::to_owned)).await.unwrap_or_default(),
    };
    // Asking which methods there are is itself a login with method `none`, and some servers take it.
    if ssh.authenticated() { Ok(()) } else { Err(refused(target, offered, &methods, gone)) }
}

#[derive(Clone, Copy)]
enum Way<'a> {
    Keys,
    /// The agent at this socket.
    Agent(&'a Path),
}

async fn with_keys(ssh: &ssh2::Session, wire: &Wire, target: &Target, offered: &mut usize) -> Result<(), Refusal> {
    for key in target.keys.iter() {
        *offered += 1;
        let tried = drive(ssh, wire, |ssh| ssh.userauth_pubkey_memory(&target.user, None, &key.pem, None)).await;
        match tried {
            Ok(()) if ssh.authenticated() => return Ok(()),
            Err(error) if classify::is_lost(&error) || wire.has_ended() => {
                return Err(Refusal::Gone(classify::lower(error.message())));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Err(Refusal::Next)
}

/// Talks to the agent on another thread: libssh2's agent calls block, and a slow agent must not hold up other hosts.
async fn with_agent(
    ssh: &ssh2::Session,
    wire: &Wire,
    target: &Target,
    socket: &Path,
    agent: &Agent,
    offered: &mut usize,
) -> Result<(), Refusal> {
    let _turn = agent.turns.acquire().await;
    let (session, wire, user, socket) = (ssh.clone(), wire.clone(), target.user.clone(), socket.to_owned());
    let limit = u32::try_from(target.connect_timeout.as_millis()).unwrap_or(u32::MAX);
    let (result, tried) = blocking::unblock(move || {
        session.set_blocking(true);
        session.set_timeout(limit);
        let mut tried = 0;
        let result = try_identities(&session, &wire, &user, &socket, &mut tried);
        session.set_blocking(false);
        (result, tried)
    })
    .await;
    *offered += tried;
    result
}

fn try_identities(
    session: &ssh2::Session,
    wire: &Wire,
    user: &str,
    socket: &Path,
    tried: &mut usize,
) -> Result<(), Refusal> {
    let next = |_: ssh2::Error| Refusal::Next;
    let mut agent = session.agent().map_err(next)?;
    agent.set_identity_path(socket).map_err(next)?;
    agent.connect().map_err(next)?;
    agent.list_identities().map_err(next)?;
    for identity in agent.identities().map_err(next)? {
        *tried += 1;
        match agent.userauth(user, &identity) {
            Ok(()) if session.authenticated() => return Ok(()),
            Err(error) if classify::is_lost(&error) || wire.has_ended() => {
                return Err(Refusal::Gone(classify::lower(error.message())));
            }
            // An RSA certificate in the agent fails on our side (-18); the next identity may do.
            Ok(()) | Err(_) => {}
        }
    }
    Err(Refusal::Next)
}

/// Words for a login that was refused.
fn refused(target: &Target, offered: usize, methods: &str, gone: Option<String>) -> Failure {
    let Target { user, address, .. } = target;
    if let Some(said) = gone {
        let failure = Failure::new(Phase::Auth, format!("{user}@{address}: connection closed during login: {said}"));
        return if offered > 4 {
            failure.hint(format!("{offered} keys were offered; name the right one with -i (MaxAuthTries)"))
        } else {
            failure.retryable()
        };
    }
    let keys = crate::transport::plural(offered, "key");
    let cause = if methods.is_empty() {
        format!("permission denied for `{user}` ({keys} offered)")
    } else {
        format!("permission denied for `{user}` ({keys} offered; the server takes {methods})")
    };
    let hint = if offered == 0 {
        "no key to offer: name one with -i, or start an ssh-agent".to_owned()
    } else {
        format!(
            "is the public key in ~{user}/.ssh/authorized_keys on the node, and `{user}` the right user, with a login shell that exists?"
        )
    };
    Failure::new(Phase::Auth, cause).hint(hint)
}

/// Where the agent listens, and whether it has anything to offer, is asked once per run.
///
/// # Errors
/// When the agent is of no use; the words say why.
pub fn agent_of_use(socket: &Path, limit: Duration) -> Result<usize, String> {
    super::agent::probe(socket, limit).map(|identities| identities.len()).map_err(|error| error.to_string())
}
