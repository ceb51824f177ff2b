//! Logging in with the keys of an ssh-agent.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use futures_lite::future;

use super::{AgentState, LoginAttempts, LoginRefusal};
use crate::transport::classify;
use crate::transport::socket::SessionSocket;
use crate::transport::target::Target;

/// What one login may offer, and what it came to; it goes to another thread and back.
struct AgentOffer {
    user: Arc<str>,
    /// Only these; `None`: all.
    only: Option<Arc<[Vec<u8>]>>,
    /// The key that logged in elsewhere.
    good: Option<Vec<u8>>,
    /// Keys that were offered already.
    blobs: HashSet<Vec<u8>>,
    /// Offered now.
    offered: usize,
    /// Keys that there are.
    keys: usize,
    /// The key that logged in.
    taken: Option<Vec<u8>>,
}

/// Talks to the agent on another thread: libssh2's agent calls block, and a slow agent must not hold up other hosts.
pub(super) async fn log_in(
    ssh: &ssh2::Session,
    socket: &SessionSocket,
    target: &Target,
    agent_socket: &Path,
    agent: &AgentState,
    tried: &mut LoginAttempts,
) -> Result<(), LoginRefusal> {
    let _turn = agent.turns.acquire().await;
    let (session, socket, agent_socket) = (ssh.clone(), socket.clone(), agent_socket.to_owned());
    let limit = u32::try_from(target.settings.connect_timeout.as_millis()).unwrap_or(u32::MAX);
    let mut offer = AgentOffer {
        user: target.user.clone(),
        only: target.settings.agent_keys.clone(),
        good: agent.good(&target.user),
        blobs: std::mem::take(&mut tried.blobs),
        offered: 0,
        keys: 0,
        taken: None,
    };
    let served = socket.clone();
    let pair = socket.over_pair();
    let asking = blocking::unblock(move || {
        session.set_blocking(true);
        session.set_timeout(limit);
        let result = try_identities(&session, &socket, &agent_socket, &mut offer);
        session.set_blocking(false);
        (result, offer)
    });
    // That thread waits for what this one hands over.
    let serving = async {
        let _ = served.serve(&pair).await;
        future::pending().await
    };
    let (result, offer) = future::or(asking, serving).await;
    tried.offered += offer.offered;
    tried.keys += offer.keys;
    tried.blobs = offer.blobs;
    if let Some(blob) = offer.taken {
        agent.remember(&target.user, &blob);
    }
    result
}

fn try_identities(
    session: &ssh2::Session,
    socket: &SessionSocket,
    agent_socket: &Path,
    offer: &mut AgentOffer,
) -> Result<(), LoginRefusal> {
    let next = |_: ssh2::Error| LoginRefusal::Next;
    let mut agent = session.agent().map_err(next)?;
    agent.set_identity_path(agent_socket).map_err(next)?;
    agent.connect().map_err(next)?;
    agent.list_identities().map_err(next)?;
    let mut identities = agent.identities().map_err(next)?;
    identities.retain(|key| {
        let wanted = offer.only.as_ref().is_none_or(|only| only.iter().any(|blob| blob == key.blob()));
        wanted && !offer.blobs.contains(key.blob())
    });
    // A stable sort: the others keep the agent's order.
    identities.sort_by_key(|key| offer.good.as_deref() != Some(key.blob()));
    offer.keys = identities.len();
    for identity in identities {
        offer.offered += 1;
        offer.blobs.insert(identity.blob().to_owned());
        match agent.userauth(&offer.user, &identity) {
            Ok(()) if session.authenticated() => {
                offer.taken = Some(identity.blob().to_owned());
                return Ok(());
            }
            Err(error) if classify::is_lost(&error) || socket.has_ended() => {
                return Err(LoginRefusal::Gone(classify::lower(error.message())));
            }
            // An RSA certificate in the agent fails on our side (-18); the next identity may do.
            Ok(()) | Err(_) => {}
        }
    }
    Err(LoginRefusal::Next)
}
