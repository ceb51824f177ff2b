//! How to log in, as most hosts of a run have it in common.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::{AgentUse, Family, Method};
use crate::credentials::keys::PrivateKey;
use crate::credentials::known_hosts::{HostKeyPolicy, KnownHosts};
use crate::transport::algorithms::AlgorithmLists;

/// How to log in: what hosts mostly have in common.
/// `Debug` shows no secret: neither keys nor the password have one that does.
#[derive(Debug, Clone)]
pub struct TargetSettings {
    /// Host keys that are trusted; shared by all hosts that have the same files.
    pub known_hosts: Arc<KnownHosts>,
    /// What to do about the host's key.
    pub policy: HostKeyPolicy,
    /// Keys to log in with, in order; shared by all hosts that use the same ones.
    pub keys: Arc<[Arc<PrivateKey>]>,
    /// Also try the keys of the ssh-agent: before the key files, as ssh does, unless these were named explicitly.
    pub agent: AgentUse,
    /// Of the agent's keys only these are tried; `None`: all of them.
    pub agent_keys: Option<Arc<[Vec<u8>]>>,
    /// The password for all hosts, where the user gave one.
    pub password: Option<Arc<SecretString>>,
    /// What sudo is told where it asks for a password, where the user gave one.
    pub sudo_password: Option<Arc<SecretString>>,
    /// Ways to log in, in order.
    pub methods: Vec<Method>,
    /// Time for one attempt: resolve, connect, key exchange, login.
    pub connect_timeout: Duration,
    /// Attempts, at least one.
    pub attempts: u32,
    /// Interval of keepalives, and how many may go unanswered. Zero interval: none are sent.
    pub keepalive: (Duration, u32),
    /// Whether to compress what goes over the connection, where the server does so too.
    pub compression: bool,
    /// What is offered in the key exchange.
    pub algorithms: AlgorithmLists,
    /// Connect to addresses of this family only.
    pub family: Option<Family>,
    /// Connect from this address.
    pub bind: Option<IpAddr>,
    /// Environment to ask for before each command. The server takes what its `AcceptEnv` names.
    pub env: Arc<[(String, String)]>,
    /// How long output is read on after a command's own end, while a child holds it open; `None`: until it is closed.
    pub linger: Option<Duration>,
}

impl TargetSettings {
    /// Whether everything in it is the same. Keys and passwords are only where they are the very same ones in memory.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let at = |password: &Option<Arc<SecretString>>| password.as_ref().map(Arc::as_ptr);
        // Each is named, so that what is added is not forgotten here.
        let Self {
            known_hosts,
            policy,
            keys,
            agent,
            agent_keys,
            password,
            sudo_password,
            methods,
            connect_timeout,
            attempts,
            keepalive,
            compression,
            algorithms,
            family,
            bind,
            env,
            linger,
        } = self;
        Arc::ptr_eq(known_hosts, &other.known_hosts)
            && (*policy, *compression, *family, *bind) == (other.policy, other.compression, other.family, other.bind)
            && keys.len() == other.keys.len()
            && keys.iter().zip(&*other.keys).all(|(own, others)| Arc::ptr_eq(own, others))
            && *agent == other.agent
            && *agent_keys == other.agent_keys
            && at(password) == at(&other.password)
            && at(sudo_password) == at(&other.sudo_password)
            && *methods == other.methods
            && (*connect_timeout, *attempts, *keepalive, *linger)
                == (other.connect_timeout, other.attempts, other.keepalive, other.linger)
            && *algorithms == other.algorithms
            && *env == other.env
    }
}
