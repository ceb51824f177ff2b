//! Why the system's `ssh` got no further, in the words that gsctl's own transport has for it, with `ssh`'s last one.

use std::io;

use super::log::{LoginStage, SshLog};
use crate::duration::human;
use crate::outcome::{Failure, Phase};
use crate::text::plural;
use crate::transport::classify;
use crate::transport::connect::failure::{host_port, not_ssh};
use crate::transport::host_key::{remove_old, shown};
use crate::transport::target::{Target, Via};

/// `ssh` ended without a login.
pub(super) fn refused(target: &Target, log: &SshLog) -> Failure {
    let at = address(target, log);
    let last = classify::lower(log.last_message().unwrap_or("it did not say why"));
    let connect = |cause: String| Failure::new(Phase::Connect, cause);
    if let Some(word) = log.said_before_login("Could not resolve hostname") {
        let (name, why) = word.rsplit_once(": ").unwrap_or((word, ""));
        let name = name.trim_start_matches("ssh: ").trim_start_matches("Could not resolve hostname ");
        return classify::resolve(name, &io::Error::other(why.to_owned()));
    }
    if let Some(through) = through(target).filter(|_| log.stage < LoginStage::Banner) {
        // Its own `ssh` has spoken first; what follows is only that nothing came through.
        let own = |word: &&String| !word.contains("UNKNOWN port") && !word.starts_with("kex_exchange_identification");
        let said: Vec<&str> = log.words.iter().filter(own).map(|word| word.trim_end_matches('.')).collect();
        let said = if said.is_empty() { last } else { said.join("; ") };
        return connect(format!("through {through}: {said}")).retryable();
    }
    match log.stage {
        LoginStage::Start | LoginStage::Connecting => not_connected(&at, &last),
        LoginStage::Connected if !log.greeting.is_empty() => not_ssh(&at, &log.greeting),
        LoginStage::Connected => classify::handshake(&at, &lost(), classify::HandshakeProgress::Silence),
        LoginStage::Banner | LoginStage::Offer | LoginStage::HostKey
            if log.said_before_login("Unable to negotiate").is_some() =>
        {
            let (what, theirs) = last.split_once(". Their offer: ").unwrap_or((&last, "nothing"));
            let what = what.rsplit_once(": ").map_or(what, |(_, what)| what);
            classify::no_common(&at, &[format!("{what} (server: {theirs})")])
        }
        _ if log.said_before_login("Host key verification failed").is_some() => host_key(target, log),
        LoginStage::Banner | LoginStage::Offer => classify::handshake(&at, &lost(), classify::HandshakeProgress::Offer),
        LoginStage::HostKey | LoginStage::Auth | LoginStage::In => login(target, log, &last),
    }
}

/// The time for a login is over.
pub(super) fn late(target: &Target, log: &SshLog) -> Failure {
    if !log.greeting.is_empty() && log.stage < LoginStage::Banner {
        return not_ssh(&address(target, log), &log.greeting);
    }
    let (limit, at) = (human(target.settings.connect_timeout), host_port(&target.address, target.port));
    let (phase, cause, hint) = match log.stage {
        LoginStage::Start => (
            Phase::Resolve,
            format!("no answer about `{}` within {limit}", target.address),
            "the name server does not answer; an address in the hosts file needs none",
        ),
        LoginStage::Connecting => (
            Phase::Connect,
            format!("{at}: timed out after {limit}"),
            "is the node up, and does a firewall drop the port? A slow one needs --connect-timeout 30s",
        ),
        LoginStage::Connected => (
            Phase::Connect,
            format!("{at}: connected, but the server said nothing within {limit}"),
            "is this really sshd's port? An overloaded node needs --connect-timeout 30s",
        ),
        LoginStage::Banner | LoginStage::Offer => (
            Phase::Connect,
            format!("{at}: no end of the key exchange within {limit}"),
            "the node is overloaded, or the network loses large packets (MTU); try --connect-timeout 30s",
        ),
        LoginStage::HostKey | LoginStage::Auth | LoginStage::In => (
            Phase::Auth,
            format!("{at}: no end of the login within {limit}"),
            "the node is overloaded, or its login waits for something (DNS, LDAP, PAM, a touch of a security key); try \
             --connect-timeout 30s",
        ),
    };
    let failure = Failure::new(phase, cause).hint(hint).retryable();
    match through(target).filter(|_| failure.phase == Phase::Connect) {
        Some(through) => Failure { cause: format!("through {through}: {}", failure.cause), ..failure },
        None => failure,
    }
}

/// Whether the server let nobody in who it might have let in: it is busy.
pub(super) fn was_dropped(log: &SshLog) -> bool {
    log.stage == LoginStage::Connected && (log.greeting.is_empty() || log.greeting.starts_with("Exceeded MaxStartups"))
}

/// What the connection goes through.
fn through(target: &Target) -> Option<&str> {
    let Via::OpenSsh(client) = &target.via else { return None };
    client.through.as_deref()
}

fn address(target: &Target, log: &SshLog) -> String {
    match &log.address {
        Some((address, port)) => host_port(address, *port),
        None => host_port(&target.address, target.port),
    }
}

fn lost() -> ssh2::Error {
    // libssh2's number for a connection that the other end has closed.
    ssh2::Error::new(ssh2::ErrorCode::Session(-13), "connection closed")
}

/// No connection came about: `connect to host db1 port 22: connection refused`.
fn not_connected(at: &str, last: &str) -> Failure {
    let why = last.rsplit_once(": ").map_or(last, |(_, why)| why);
    let kind = match why.to_lowercase().as_str() {
        "connection refused" => io::ErrorKind::ConnectionRefused,
        "connection reset by peer" => io::ErrorKind::ConnectionReset,
        "connection timed out" | "operation timed out" => io::ErrorKind::TimedOut,
        "no route to host" => io::ErrorKind::HostUnreachable,
        "network is unreachable" => io::ErrorKind::NetworkUnreachable,
        _ => io::ErrorKind::Other,
    };
    classify::connect(at, &io::Error::new(kind, why.to_owned()))
}

fn host_key(target: &Target, log: &SshLog) -> Failure {
    let host = shown(&target.host_key_name, target.host_key_port);
    let (kind, print) = log.host_key.clone().unwrap_or_default();
    let failure = |cause| Failure::new(Phase::HostKey, cause);
    if log.said_before_login("is marked as revoked").is_some() || log.said_before_login("REVOKED HOST KEY").is_some() {
        return failure(format!("{host}: this key is revoked: {print}"))
            .hint("do not log in: find out who has this key");
    }
    if log.said_before_login("REMOTE HOST IDENTIFICATION HAS CHANGED").is_none() {
        return failure(format!("{host}: unknown host key {print}"))
            .hint("check the fingerprint, then use --host-key-policy accept-new once to record it");
    }
    // `Offending ED25519 key in /home/omm/.ssh/known_hosts:7`
    let found = log.said_before_login("Offending ").and_then(|word| word.split_once(" key in ")?.1.rsplit_once(':'));
    match found {
        Some((file, line)) => failure(format!(
            "{host}: the {kind} host key has changed: {file} line {line} has another, the server showed {print}"
        ))
        .hint(remove_old(&host, file.as_ref())),
        None => failure(format!("{host}: the {kind} host key has changed, the server showed {print}")),
    }
}

/// The server did not let in.
fn login(target: &Target, log: &SshLog, last: &str) -> Failure {
    let user = &target.user;
    let at = format!("{user}@{}", target.address);
    if log.said_last("Too many authentication failures").is_some() {
        let keys = plural(log.offered, "key");
        return Failure::new(
            Phase::Auth,
            format!("{at}: too many authentication failures: the server ended the login after {keys}"),
        )
        .hint("name the right one: -i KEY -o IdentitiesOnly=yes (the server's MaxAuthTries)");
    }
    if log.said_last("Permission denied (").is_none() {
        return Failure::new(Phase::Auth, format!("{at}: connection closed during login: {last}")).retryable();
    }
    let keys = plural(log.offered, "key");
    let cause = format!("permission denied for `{user}` ({keys} offered; the server takes {})", log.methods);
    let failure = Failure::new(Phase::Auth, cause);
    if log.offered == 0 {
        return failure.hint(
            "ssh offered no key: name one with -i; one with a passphrase has to be in an ssh-agent. gsctl lets ssh ask \
             nobody; a password goes with --transport native",
        );
    }
    failure.hint(format!(
        "is the public key in ~{user}/.ssh/authorized_keys on the node, and `{user}` the right user, not locked, with a \
         login shell that exists? sshd tells only its log on the node which of these it is"
    ))
}
