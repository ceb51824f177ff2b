//! Why there is no session, in words: what an attempt saw before it failed, or its time ran out.

use std::net::SocketAddr;

use super::attempt::{AttemptTrace, PeerProgress};
use crate::duration::human;
use crate::outcome::{Failure, Phase};
use crate::transport::target::{Target, Via};

/// An address and a port, for messages.
pub(in crate::transport) fn host_port(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// A failure to connect, with the name of the jump host in front.
pub(super) fn through(target: &Target, mut failure: Failure) -> Failure {
    if let Via::Jump(jump) = &target.via
        && failure.phase == Phase::Connect
    {
        failure.cause = format!("through {}: {}", jump.name, failure.cause);
    }
    failure
}

/// Where a host is, for messages.
pub(super) fn shown(target: &Target, address: Option<SocketAddr>) -> String {
    address.map_or_else(|| host_port(&target.address, target.port), |address| address.to_string())
}

/// A server that was cut off because it sends too much.
pub(super) fn cut_off(at: &str, why: &str, phase: Phase) -> Failure {
    Failure::new(phase, format!("{at}: {why}")).hint("is this really sshd's port?")
}

/// A server that says more in a login than libssh2, or gsctl, takes.
pub(super) fn too_much(at: &str, why: &str) -> Failure {
    Failure::new(Phase::Auth, format!("{at}: {why}")).hint(
        "gsctl's own transport takes no such banner: `--transport openssh` does, or shorten what `Banner` of sshd_config names",
    )
}

/// A peer that said something, but not that it speaks SSH.
pub(in crate::transport) fn not_ssh(at: &str, words: &str) -> Failure {
    let failure = if words.starts_with("Exceeded MaxStartups") {
        Failure::new(Phase::Connect, format!("{at}: turned away, too many connect at once (MaxStartups)"))
            .hint("a smaller --fanout helps, or a greater MaxStartups in sshd_config")
    } else if words.starts_with("SSH-") {
        Failure::new(Phase::Connect, format!("{at}: the connection ended within the server's first line"))
    } else {
        let first = words.lines().next().unwrap_or_default().trim_end();
        Failure::new(Phase::Connect, format!("{at}: not SSH: it says `{first}`")).hint("is this really sshd's port?")
    };
    failure.retryable()
}

pub(super) fn timed_out(target: &Target, phase: Option<Phase>, trace: &AttemptTrace) -> Failure {
    let (phase, seen) = (phase.unwrap_or(Phase::Resolve), &*trace.seen.borrow());
    let limit = human(target.settings.connect_timeout);
    let at = host_port(&target.address, target.port);
    if let PeerProgress::Words(words) = seen {
        return not_ssh(&at, words);
    }
    match phase {
        Phase::Resolve => Failure::new(Phase::Resolve, format!("no answer about `{}` within {limit}", target.address))
            .hint("the name server does not answer; an address in the hosts file needs none"),
        Phase::Auth if trace.password_sent.get() => {
            Failure::new(Phase::Auth, format!("{at}: no end of the login within {limit} after the password was sent"))
                .hint("it is not sent again, lest the account be locked; a slow login needs --connect-timeout 30s")
        }
        Phase::Auth => Failure::new(Phase::Auth, format!("{at}: no end of the login within {limit}")).hint(
            "the node is overloaded, or its login waits for something (DNS, LDAP, PAM); try --connect-timeout 30s",
        ),
        _ if matches!(seen, PeerProgress::Banner | PeerProgress::Noise | PeerProgress::Offer) => {
            Failure::new(Phase::Connect, format!("{at}: no end of the key exchange within {limit}"))
                .hint("the node is overloaded, or the network loses large packets (MTU); try --connect-timeout 30s")
        }
        _ if *seen == PeerProgress::Connection => {
            Failure::new(Phase::Connect, format!("{at}: connected, but the server said nothing within {limit}"))
                .hint("is this really sshd's port? An overloaded node needs --connect-timeout 30s")
        }
        _ => Failure::new(Phase::Connect, format!("{at}: timed out after {limit}"))
            .hint("is the node up, and does a firewall drop the port? A slow one needs --connect-timeout 30s"),
    }
    .retryable()
}
