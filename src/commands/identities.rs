//! Which keys each host is offered: key files, each read and asked about once, and what the agents hold.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::credentials::agent::AgentIdentity;
use crate::credentials::keys;
use crate::credentials::keys::{Certificate, KeyFault, LooksLike, PrivateKey};
use crate::inventory::host::Host;
use crate::ssh_config;
use crate::ssh_config::IdentityAgent;
use crate::transport::{AgentUse, agent_of_use};

use super::environment::Environment;
use super::passwords;
use crate::diagnostic::Diagnostic;

/// Time for the agent to say what it has.
const AGENT: Duration = Duration::from_secs(3);

/// The keys of a host, shared with every host that has the same.
#[derive(Debug, Clone)]
pub(super) struct LoginKeys {
    /// Keys in memory.
    pub(super) keys: Arc<[Arc<PrivateKey>]>,
    /// They were named, rather than found in their usual places.
    pub(super) explicit: bool,
    /// Public keys that were named, and whose private half only the agent has.
    pub(super) held: Arc<[Vec<u8>]>,
}

/// What the choice depends on: two hosts with the same are offered the same keys.
#[derive(Debug, PartialEq, Eq, Hash)]
struct LoginKeysFor {
    identities: Vec<PathBuf>,
    certificates: Vec<PathBuf>,
    agent: Option<PathBuf>,
}

/// Keys in use, each read and decrypted once.
pub(super) struct Identities<'a> {
    environment: &'a Environment,
    loaded: HashMap<PathBuf, Option<Arc<PrivateKey>>>,
    choices: HashMap<LoginKeysFor, LoginKeys>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Identities<'a> {
    pub(super) fn new(environment: &'a Environment) -> Self {
        Self { environment, loaded: HashMap::new(), choices: HashMap::new(), warnings: Vec::new() }
    }

    /// The keys of a host; `typed` are those of the command line.
    ///
    /// # Errors
    /// When a key file that was named cannot be used.
    pub(super) fn choose(
        &mut self,
        host: &Host,
        typed: &[PathBuf],
        found: &ssh_config::SshOptions,
        from_agent: &AgentKeys,
    ) -> Result<LoginKeys, Diagnostic> {
        let (identities, named) = if !typed.is_empty() {
            (typed.to_vec(), KeyOrigin::Explicitly)
        } else if let Some(identity) = host.identity() {
            (vec![self.environment.path(identity)], KeyOrigin::Explicitly)
        } else if found.identities_given {
            (found.identity_files.clone(), KeyOrigin::InConfig)
        } else {
            (keys::default_identities(&self.environment.home), KeyOrigin::Not)
        };
        let certificates = found.certificate_files.clone();
        let wanted = LoginKeysFor { identities, certificates, agent: from_agent.socket.clone() };
        if let Some(choice) = self.choices.get(&wanted) {
            return Ok(choice.clone());
        }
        let (mut identities, mut held) = (Vec::new(), Vec::new());
        for path in &wanted.identities {
            // What comes through a pipe comes once.
            let once = fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
            let blob = (!once).then(|| keys::public_blob(path)).flatten().filter(|blob| from_agent.has(blob));
            let key = self.load(path, named, !found.batch_mode, blob.is_some())?;
            let own = key.as_ref().filter(|_| once).and_then(|key| key.public_blob.clone());
            identities.extend(key);
            held.extend(blob.or(own.filter(|blob| from_agent.has(blob))));
        }
        self.certify(&mut identities, &wanted.certificates);
        let choice = LoginKeys { keys: identities.into(), explicit: named == KeyOrigin::Explicitly, held: held.into() };
        self.choices.insert(wanted, choice.clone());
        Ok(choice)
    }

    /// Gives each key the certificate that is for it: one that is named, else the one beside it.
    fn certify(&mut self, identities: &mut [Arc<PrivateKey>], named: &[PathBuf]) {
        let mut certificates: Vec<Certificate> = Vec::new();
        for path in named {
            match keys::load_certificate(path) {
                Ok(certificate) if !identities.iter().any(|key| key.fingerprint == certificate.fingerprint) => {
                    let path = path.display();
                    self.warnings
                        .push(format!("certificate `{path}` is for none of the key files; going on without it"));
                }
                Ok(certificate) => certificates.push(certificate),
                Err(said) => self.warnings.push(format!("{said}; going on without it")),
            }
        }
        for key in identities {
            let own = certificates.iter().find(|certificate| certificate.fingerprint == key.fingerprint).cloned();
            let beside = keys::beside(&key.path);
            let own = match own {
                None if beside.exists() => match keys::load_certificate(&beside) {
                    Ok(certificate) if certificate.fingerprint == key.fingerprint => Some(certificate),
                    Ok(_) => {
                        let (beside, path) = (beside.display(), key.path.display());
                        self.warnings
                            .push(format!("certificate `{beside}` is not for the key `{path}`; going on without it"));
                        None
                    }
                    Err(said) => {
                        self.warnings.push(format!("{said}; going on without it"));
                        None
                    }
                },
                own => own,
            };
            if let Some(certificate) = own {
                *key = Arc::new(key.certified(certificate));
            }
        }
    }

    /// Reads a key file. `held`: the agent has its private half, so it need not be there, and no question is asked about its
    /// passphrase.
    fn load(
        &mut self,
        path: &Path,
        named: KeyOrigin,
        may_ask: bool,
        held: bool,
    ) -> Result<Option<Arc<PrivateKey>>, Diagnostic> {
        if let Some(key) = self.loaded.get(path) {
            return Ok(key.clone());
        }
        // There may be a terminal on standard error and none to ask on.
        let terminal = may_ask && !held && (self.environment.stdin_tty || self.environment.stderr_tty);
        let mut ask = |path: &Path| Ok(if terminal { passwords::passphrase(path) } else { None });
        let key = match keys::load(path, &mut ask) {
            Ok(key) => Some(Arc::new(key)),
            Err(error) if held && is_not_needed(&error.fault) => None,
            // ssh passes over keys in its usual places that it cannot use, and over ssh_config's that are not there.
            Err(error) if named != KeyOrigin::Explicitly && matches!(error.fault, KeyFault::NotFound) => None,
            Err(error) if named == KeyOrigin::Not => {
                self.warnings.push(format!("{error}; going on without it"));
                None
            }
            Err(error) => {
                let hint = error.hint();
                return Err(Diagnostic::usage(error.to_string()).maybe_hint(hint));
            }
        };
        self.loaded.insert(path.to_owned(), key.clone());
        Ok(key)
    }
}

/// Whether it does not matter that a key file cannot be used when the agent has the key.
fn is_not_needed(fault: &KeyFault) -> bool {
    matches!(fault, KeyFault::NotFound | KeyFault::NeedsPassphrase | KeyFault::NotAKey(LooksLike::PublicKey))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyOrigin {
    /// With `-i` or `identity=`: it must be there and fit.
    Explicitly,
    /// In `ssh_config`: it may be missing.
    InConfig,
    /// Nowhere: it is one of ssh's usual places.
    Not,
}

/// What is known about each agent; each is asked once.
#[derive(Default)]
pub(super) struct AgentCache {
    answers: HashMap<PathBuf, Arc<[AgentIdentity]>>,
}

/// The agent of a host, and what it has.
#[derive(Debug)]
pub(super) struct AgentKeys {
    socket: Option<PathBuf>,
    identities: Arc<[AgentIdentity]>,
}

impl AgentCache {
    /// Finds the agent of a host and asks it.
    pub(super) fn keys_of(
        &mut self,
        found: &ssh_config::SshOptions,
        environment: &Environment,
        warnings: &mut Vec<String>,
    ) -> AgentKeys {
        let socket = match &found.identity_agent {
            Some(IdentityAgent::Off) => None,
            Some(IdentityAgent::Variable(name)) => environment.var(name).map(PathBuf::from),
            Some(IdentityAgent::Socket(path)) => Some(path.clone()),
            None => environment.var("SSH_AUTH_SOCK").map(PathBuf::from),
        };
        let Some(socket) = socket else { return AgentKeys { socket: None, identities: Arc::from([]) } };
        let ask = |socket: &PathBuf| match agent_of_use(socket, AGENT) {
            Ok(identities) => identities.into(),
            Err(error) => {
                let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                warnings.push(format!("the ssh-agent is of no use: {error}{hint}"));
                Arc::from([])
            }
        };
        let identities = self.answers.entry(socket.clone()).or_insert_with_key(ask).clone();
        AgentKeys { socket: Some(socket), identities }
    }
}

impl AgentKeys {
    /// Whether it has this public key.
    fn has(&self, blob: &[u8]) -> bool {
        self.identities.iter().any(|identity| identity.blob == blob)
    }

    /// When it is asked to log in; `explicit`: key files were named.
    pub(super) fn usage(self, explicit: bool) -> AgentUse {
        match self.socket {
            Some(socket) if !self.identities.is_empty() && explicit => AgentUse::Last(socket),
            Some(socket) if !self.identities.is_empty() => AgentUse::First(socket),
            _ => AgentUse::No,
        }
    }
}
