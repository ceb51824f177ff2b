//! What libssh2 and the system said, as a [`Failure`] with a way out.
//!
//! One function for each phase, each a table. Nothing here does input or output.

use std::io;

use ssh2::ErrorCode;

use crate::outcome::{Failure, Phase};
use crate::text::io_cause;

/// libssh2's error numbers that mean something of their own here (libssh2.h).
mod code {
    pub(super) const BANNER_RECV: i32 = -2;
    pub(super) const BANNER_SEND: i32 = -3;
    pub(super) const KEX_FAILURE: i32 = -5;
    pub(super) const KEY_EXCHANGE_FAILURE: i32 = -8;
    pub(super) const SOCKET_SEND: i32 = -7;
    pub(super) const TIMEOUT: i32 = -9;
    pub(super) const HOSTKEY_INIT: i32 = -10;
    pub(super) const HOSTKEY_SIGN: i32 = -11;
    pub(super) const SOCKET_DISCONNECT: i32 = -13;
    pub(super) const PROTO: i32 = -14;
    pub(super) const PASSWORD_EXPIRED: i32 = -15;
    pub(super) const METHOD_NONE: i32 = -17;
    pub(super) const AUTHENTICATION_FAILED: i32 = -18;
    pub(super) const PUBLICKEY_UNVERIFIED: i32 = -19;
    pub(super) const CHANNEL_FAILURE: i32 = -21;
    pub(super) const REQUEST_DENIED: i32 = -22;
    pub(super) const SOCKET_RECV: i32 = -43;
    pub(super) const ALGO_UNSUPPORTED: i32 = -51;
}

/// libssh2's number, where the error is one of the session.
pub(super) fn session_code(error: &ssh2::Error) -> i32 {
    match error.code() {
        ErrorCode::Session(code) => code,
        ErrorCode::SFTP(_) => 0,
    }
}

/// True when the server said no to a channel, or to what was asked of it: the connection is fine.
pub(super) fn is_refused(error: &ssh2::Error) -> bool {
    matches!(session_code(error), code::CHANNEL_FAILURE | code::REQUEST_DENIED)
}

/// True when the other end, or the network, ended the connection.
pub(super) fn is_lost(error: &ssh2::Error) -> bool {
    match session_code(error) {
        code::SOCKET_SEND | code::SOCKET_DISCONNECT | code::SOCKET_RECV | code::BANNER_RECV => true,
        // In a login libssh2 hides it behind the number for a refusal; only the words tell: `Waiting for USERAUTH response`.
        code::AUTHENTICATION_FAILED | code::PUBLICKEY_UNVERIFIED => error.message().starts_with("Waiting for "),
        _ => false,
    }
}

/// True when the server wanted a key, had its signature, and did not let the user in: it wants more than a key.
pub(super) fn is_not_enough(error: &ssh2::Error) -> bool {
    session_code(error) == code::PUBLICKEY_UNVERIFIED && error.message().starts_with("Invalid signature for supplied")
}

/// True when the server takes the password, and wants another one.
pub(super) fn is_expired(error: &ssh2::Error) -> bool {
    session_code(error) == code::PASSWORD_EXPIRED
}

/// True when libssh2 gave up waiting for an answer.
pub(super) fn is_late(error: &ssh2::Error) -> bool {
    session_code(error) == code::TIMEOUT
}

/// A jump host that did not open a channel to a host.
pub(super) fn not_forwarded(jump: &str, at: &str, said: &str) -> Failure {
    // libssh2's words: `Channel open failure (connect failed)`.
    let reason =
        said.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("refused", |(inside, _)| inside);
    match reason {
        "administratively prohibited" => {
            Failure::new(Phase::Connect, format!("through {jump}: {jump} may not connect to {at}: {reason}"))
                .hint(format!("{jump}'s sshd forbids forwarding: AllowTcpForwarding, PermitOpen, or the key's options"))
        }
        "connect failed" => {
            Failure::new(Phase::Connect, format!("through {jump}: {jump} cannot connect to {at}: {reason}"))
                // libssh2 keeps the kind of a refusal and drops the server's text; ssh prints it.
                .hint(format!(
                    "is the node up, and does {jump} reach it by this name or address and port? `--transport openssh` \
                     shows the reason in {jump}'s own words"
                ))
                .retryable()
        }
        _ => Failure::new(Phase::Connect, format!("through {jump}: {jump} did not connect to {at}: {reason}"))
            .retryable(),
    }
}

/// True when client and server found no algorithm that both have.
pub(super) fn nothing_in_common(error: &ssh2::Error) -> bool {
    matches!(
        session_code(error),
        code::KEX_FAILURE | code::KEY_EXCHANGE_FAILURE | code::METHOD_NONE | code::ALGO_UNSUPPORTED
    )
}

/// True when the lists of client and server were compared, and nothing fitted.
pub(super) fn no_algorithm(error: &ssh2::Error) -> bool {
    matches!(session_code(error), code::KEX_FAILURE | code::METHOD_NONE | code::ALGO_UNSUPPORTED)
}

/// Client and server have nothing in common; each kind that is missing is a sentence.
pub(super) fn no_common(address: &str, missing: &[String]) -> Failure {
    let cause = format!("{address}: no common algorithms with the server: {}", missing.join(", "));
    Failure::new(Phase::Connect, cause).hint(
        "update sshd on the node, allow more in its sshd_config, or in ssh_config here where that leaves some out; ssh \
         knows other algorithms: `--transport openssh`",
    )
}

/// A name that was not found.
pub(super) fn resolve(name: &str, error: &io::Error) -> Failure {
    // getaddrinfo's temporary failure is worth another attempt; a name that does not exist is not.
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    let temporary = text.contains("Temporary failure") || text.contains("Try again");
    let failure = Failure::new(Phase::Resolve, format!("`{name}` has no address: {}", lower(text)))
        .hint("check the spelling, or give the address in the hosts file: `address=10.0.0.7`");
    if temporary { failure.retryable() } else { failure }
}

/// A TCP connection that did not come about.
pub(super) fn connect(address: &str, error: &io::Error) -> Failure {
    let (cause, hint) = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            ("connection refused".to_owned(), Some("nothing listens there: is sshd up, and is this its port?"))
        }
        io::ErrorKind::ConnectionReset => ("connection reset by the other end".to_owned(), None),
        io::ErrorKind::TimedOut => ("no answer".to_owned(), Some("is the node up, and does a firewall drop the port?")),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ("no route to the host".to_owned(), Some("is the node up, and is its network reachable from here?"))
        }
        io::ErrorKind::AddrNotAvailable => (
            "no free local port or address".to_owned(),
            Some("fewer hosts at once (--fanout), or more local ports: sysctl net.ipv4.ip_local_port_range"),
        ),
        _ => (lower(&io_cause(error)), None),
    };
    let failure = Failure::new(Phase::Connect, format!("{address}: {cause}")).retryable();
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// How far a server got in a key exchange that failed. libssh2 has one number for "no algorithm in common" and for "gone before
/// it said which algorithms it takes".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HandshakeProgress {
    /// It said nothing.
    Silence,
    /// It said that it speaks SSH.
    Banner,
    /// It said which algorithms it takes.
    Offer,
    /// The same, and then it ended the connection.
    OfferAndEnd,
}

/// A key exchange that failed.
pub(super) fn handshake(address: &str, error: &ssh2::Error, reach: HandshakeProgress) -> Failure {
    let number = session_code(error);
    let said = lower(error.message());
    match number {
        code::BANNER_RECV | code::BANNER_SEND | code::SOCKET_RECV | code::SOCKET_DISCONNECT | code::SOCKET_SEND
            if reach == HandshakeProgress::Silence =>
        {
            Failure::new(Phase::Connect, format!("{address}: connection closed before the server said who it is"))
                .hint("sshd drops connections when too many come at once (MaxStartups); a smaller --fanout helps")
                .retryable()
        }
        code::SOCKET_RECV | code::SOCKET_DISCONNECT | code::SOCKET_SEND => lost_in_key_exchange(address),
        code::KEX_FAILURE if reach == HandshakeProgress::Banner => lost_in_key_exchange(address),
        code::KEY_EXCHANGE_FAILURE if reach != HandshakeProgress::Offer => lost_in_key_exchange(address),
        code::KEY_EXCHANGE_FAILURE => Failure::new(Phase::Connect, format!("{address}: key exchange failed: {said}"))
            .hint("the server's proof of its host key is wrong, or something between here and there changes bytes"),
        code::KEX_FAILURE | code::METHOD_NONE | code::ALGO_UNSUPPORTED => {
            Failure::new(Phase::Connect, format!("{address}: no common algorithms with the server: {said}")).hint(
                "old servers offer only what is no longer safe (ssh-rsa, SHA-1 key exchange); update sshd on the node",
            )
        }
        code::HOSTKEY_INIT | code::HOSTKEY_SIGN => {
            Failure::new(Phase::HostKey, format!("{address}: the server could not prove its host key: {said}"))
        }
        code::PROTO => {
            Failure::new(Phase::Connect, format!("{address}: not SSH: {said}")).hint("is this really sshd's port?")
        }
        code::TIMEOUT => Failure::new(Phase::Connect, format!("{address}: {said}")).retryable(),
        _ => Failure::new(Phase::Connect, format!("{address}: key exchange failed: {said} ({number})")).retryable(),
    }
}

/// A connection that was lost before the keys were exchanged.
pub(super) fn lost_in_key_exchange(address: &str) -> Failure {
    Failure::new(Phase::Connect, format!("{address}: connection lost in the key exchange")).retryable()
}

/// Why a connection broke while an answer was read: where libssh2 names the function in which it noticed, what happened.
pub(super) fn broken(said: &str) -> String {
    match said {
        "transport read" => "the server ended it, or the network did".to_owned(),
        said => lower(said),
    }
}

/// A message as a fragment for the middle of a sentence: first letter small, no period.
pub(super) fn lower(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        // An acronym (`SSH ...`) stays as it is.
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(number: i32, reach: HandshakeProgress, phase: Phase, retryable: bool) {
        let error = ssh2::Error::new(ErrorCode::Session(number), "Some words.");
        let failure = handshake("10.0.0.7:22", &error, reach);
        assert_eq!((failure.phase, failure.retryable), (phase, retryable), "{failure}");
        assert!(failure.cause.starts_with("10.0.0.7:22: ") && !failure.cause.ends_with('.'), "{failure}");
    }

    #[test]
    fn what_can_pass_is_tried_again() {
        case(-13, HandshakeProgress::Silence, Phase::Connect, true);
        case(-43, HandshakeProgress::Silence, Phase::Connect, true);
        case(-43, HandshakeProgress::Banner, Phase::Connect, true);
        case(-8, HandshakeProgress::OfferAndEnd, Phase::Connect, true);
        case(-8, HandshakeProgress::Offer, Phase::Connect, false);
        case(-5, HandshakeProgress::Banner, Phase::Connect, true);
        case(-5, HandshakeProgress::OfferAndEnd, Phase::Connect, false);
        case(-5, HandshakeProgress::Offer, Phase::Connect, false);
        case(-11, HandshakeProgress::Offer, Phase::HostKey, false);
        case(-14, HandshakeProgress::Silence, Phase::Connect, false);
    }

    #[test]
    fn a_login_that_was_cut_off_is_no_refusal() {
        for (number, words, lost) in [
            (-13, "socket disconnect", true),
            (-18, "Username/PublicKey combination invalid", false),
            (-18, "Waiting for keyboard USERAUTH response", true),
            (-19, "Waiting for USERAUTH response", true),
            (-19, "Callback returned error", false),
        ] {
            assert_eq!(is_lost(&ssh2::Error::new(ErrorCode::Session(number), words)), lost, "{number} {words}");
        }
    }

    #[test]
    fn system_errors_become_sentences() {
        let refused = connect("10.0.0.7:22", &io::Error::from_raw_os_error(111));
        assert_eq!(refused.cause, "10.0.0.7:22: connection refused");
        let ports = connect("10.0.0.7:22", &io::Error::from_raw_os_error(99));
        assert_eq!((ports.cause.as_str(), ports.retryable), ("10.0.0.7:22: no free local port or address", true));
        let other = connect("10.0.0.7:22", &io::Error::from_raw_os_error(13));
        assert_eq!(other.cause, "10.0.0.7:22: permission denied");
    }

    #[test]
    fn sentences_lose_their_capital_but_acronyms_do_not() {
        assert_eq!(lower("Failed getting banner."), "failed getting banner");
        assert_eq!(lower("SSH is fine"), "SSH is fine");
        assert_eq!(lower(""), "");
    }
}
