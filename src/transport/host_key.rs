//! Whether a server is the host that it should be: what `known_hosts` says about its key, and what that means.

use std::path::{Path, PathBuf};

use super::algorithms::AlgorithmKind;
use super::target::Target;
use crate::credentials::known_hosts::{Accepted, HostKeyPolicy, HostKeyVerdict, fingerprint, key_type};
use crate::outcome::{Failure, Phase};

/// Is this the host that it should be?
pub(super) async fn check(ssh: &ssh2::Session, target: &Target) -> Result<HostKeyTrust, Failure> {
    let Some((key, _)) = ssh.host_key() else {
        return Err(Failure::new(Phase::HostKey, "the server showed no host key"));
    };
    if is_certificate(key) {
        // None is ever asked for.
        return Err(Failure::new(Phase::HostKey, "the server showed a certificate in the place of its host key"));
    }
    let (name, port) = (&*target.host_key_name, target.host_key_port);
    let mut verdict = target.settings.known_hosts.check(name, port, key);
    if (&verdict, target.settings.policy) == (&HostKeyVerdict::Unknown, HostKeyPolicy::AcceptNew) {
        // It touches the disk, and may wait for another program that holds the file.
        let (known_hosts, own_name, own_key) = (target.settings.known_hosts.clone(), name.to_owned(), key.to_owned());
        let accepted = blocking::unblock(move || known_hosts.accept(&own_name, port, &own_key)).await;
        verdict = match accepted {
            Ok(Accepted::Added { .. } | Accepted::AlreadyKnown) => HostKeyVerdict::Known,
            // Another host of the same name, or another program, was faster, and says something else.
            Ok(Accepted::Against(verdict)) => verdict,
            Err(error) => {
                let cause = format!("{}: its new key could not be recorded: {error}", shown(name, port));
                return Err(Failure::new(Phase::HostKey, cause));
            }
        };
    }
    if (&verdict, target.settings.policy) == (&HostKeyVerdict::Unknown, HostKeyPolicy::Strict)
        && target.settings.known_hosts.has_authority(name, port)
    {
        let cause = format!(
            "{}: unknown host key {}; known_hosts has only a certificate authority for it",
            shown(name, port),
            fingerprint(key)
        );
        return Err(Failure::new(Phase::HostKey, cause)
            .hint("gsctl does not check host certificates: add the plain key, with ssh-keyscan or accept-new"));
    }
    judge(verdict, key, target)
}

/// A host as `known_hosts` has it.
pub(super) fn shown(name: &str, port: u16) -> String {
    if port == 22 { name.to_owned() } else { format!("[{name}]:{port}") }
}

/// What a verdict on a host's key means under its policy.
fn judge(verdict: HostKeyVerdict, key: &[u8], target: &Target) -> Result<HostKeyTrust, Failure> {
    let shown = shown(&target.host_key_name, target.host_key_port);
    match (verdict, target.settings.policy) {
        // A revoked key is refused whatever the policy: somebody said that it is in wrong hands.
        (HostKeyVerdict::Revoked { file, line, fingerprint }, _) => Err(Failure::new(
            Phase::HostKey,
            format!("{shown}: this key is revoked ({}, line {line}): {fingerprint}", file.display()),
        )
        .hint("do not log in: find out who has this key")),
        // Under `off` a changed key matters to the password alone.
        (HostKeyVerdict::Unknown, HostKeyPolicy::Off) | (HostKeyVerdict::Known, _) => Ok(HostKeyTrust::Yes),
        (HostKeyVerdict::Changed { .. } | HostKeyVerdict::OtherType { .. }, HostKeyPolicy::Off)
            if target.settings.password.is_none() =>
        {
            Ok(HostKeyTrust::Yes)
        }
        (HostKeyVerdict::Unknown, HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew) => {
            Err(Failure::new(Phase::HostKey, format!("{shown}: unknown host key {}", fingerprint(key)))
                .hint("check the fingerprint, then use --host-key-policy accept-new once to record it"))
        }
        (HostKeyVerdict::OtherType { known, file, line }, _) => {
            Ok(HostKeyTrust::AskFor(RecordedKeys { types: known, file, line }))
        }
        (HostKeyVerdict::Changed { file, line, known_fingerprint, offered_fingerprint, key_type }, _) => {
            let cause = format!(
                "{shown}: the {key_type} host key has changed: {} line {line} has {known_fingerprint}, the server showed \
                 {offered_fingerprint}",
                file.display()
            );
            if target.settings.policy == HostKeyPolicy::Off {
                return Ok(HostKeyTrust::KeysOnly(cause));
            }
            Err(Failure::new(Phase::HostKey, cause).hint(remove_old(&shown, &file)))
        }
    }
}

/// Whether a host key is a certificate, by the name of its type.
fn is_certificate(key: &[u8]) -> bool {
    key_type(key).is_some_and(|name| name.contains("-cert-v01@"))
}

/// How to forget a key that is no longer right.
pub(super) fn remove_old(shown: &str, file: &Path) -> String {
    format!(
        "if the node was reinstalled, remove the old key: ssh-keygen -f {} -R {}",
        crate::plan::quote::quote(&file.display().to_string()),
        crate::plan::quote::quote(shown)
    )
}

pub(super) enum HostKeyTrust {
    Yes,
    /// With a key, but whoever this is does not get the password: the text says why.
    KeysOnly(String),
    /// Try again and ask for the types of host key that are recorded.
    AskFor(RecordedKeys),
}

/// What `known_hosts` has for a host that showed another type of key.
pub(super) struct RecordedKeys {
    pub(super) types: Vec<String>,
    file: PathBuf,
    line: usize,
}

impl RecordedKeys {
    /// The server has no key of a recorded type any more: as far as ssh is concerned its key has changed.
    pub(super) fn gone(&self, target: &Target) -> Failure {
        let shown = shown(&target.host_key_name, target.host_key_port);
        let (types, file, line) = (self.types.join(", "), self.file.display(), self.line);
        let cause =
            format!("{shown}: the host key has changed: {file} line {line} has {types}, the server has none such");
        Failure::new(Phase::HostKey, cause).hint(remove_old(&shown, &self.file))
    }

    /// Whether gsctl may ask for a key of these types.
    pub(super) fn may_be_asked_for(&self, target: &Target) -> bool {
        !target.settings.algorithms.for_known(&self.types).is_empty()
    }

    /// The recorded types may not be asked for, so nobody knows whether the server still has such a key.
    pub(super) fn not_allowed(&self, target: &Target) -> Failure {
        let shown = shown(&target.host_key_name, target.host_key_port);
        let (types, file, line) = (self.types.join(", "), self.file.display(), self.line);
        let cause = format!(
            "{shown}: {file} line {line} has {types}, and `{}` allows none such",
            AlgorithmKind::HostKey.keyword()
        );
        Failure::new(Phase::HostKey, cause)
            .hint("allow this type, or record a key of a type that is allowed: ssh-keyscan, then check its fingerprint")
    }
}
