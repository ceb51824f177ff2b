//! Logging in with the keys of an ssh-agent.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use futures_lite::future;

use super::{Agent, Refusal, Tried};
use crate::transport::classify;
use crate::transport::target::Target;
use crate::transport::wire::Wire;

/// What one login may offer, and what it came to; it goes to another thread and back.
struct Offer {
    user: String,
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
    wire: &Wire,
    target: &Target,
    socket: &Path,
    agent: &Agent,
    tried: &mut Tried,
) -> Result<(), Refusal> {
    let _turn = agent.turns.acquire().await;
    let (session, wire, socket) = (ssh.clone(), wire.clone(), socket.to_owned());
    let limit = u32::try_from(target.connect_timeout.as_millis()).unwrap_or(u32::MAX);
    let mut offer = Offer {
        user: target.user.clone(),
        only: target.agent_keys.clone(),
        good: agent.good(&target.user),
        blobs: std::mem::take(&mut tried.blobs),
        offered: 0,
        keys: 0,
        taken: None,
    };
    let served = wire.clone();
    let asking = blocking::unblock(move || {
        session.set_blocking(true);
        session.set_timeout(limit);
        let result = try_identities(&session, &wire, &socket, &mut offer);
        session.set_blocking(false);
        (result, offer)
    });
    // That thread waits for what this one hands over.
    let serving = async {
        let _ = served.serve().await;
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

fn try_identities(session: &ssh2::Session, wire: &Wire, socket: &Path, offer: &mut Offer) -> Result<(), Refusal> {
    let next = |_: ssh2::Error| Refusal::Next;
    let mut agent = session.agent().map_err(next)?;
    agent.set_identity_path(socket).map_err(next)?;
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
            Err(error) if classify::is_lost(&error) || wire.has_ended() => {
                return Err(Refusal::Gone(classify::lower(error.message())));
            }
            // An RSA certificate in the agent fails on our side (-18); the next identity may do.
            Ok(()) | Err(_) => {}
        }
    }
    Err(Refusal::Next)
}
