//! Every keyword of `ssh_config(5)`, and what it means to gsctl: one table.
//!
//! Nothing is read or resolved here. A keyword that is in no row is unknown; none is passed over by default.

/// What gsctl does with a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeywordEffect {
    /// It takes effect.
    Honoured(Keyword),
    /// It makes no difference to what gsctl does, and why.
    Ignored(&'static str),
    /// It would make a difference and gsctl cannot give it, unless it has one of these values: what gsctl does anyway. What
    /// to do instead.
    RefusedUnless(&'static [&'static str], &'static str),
}

/// The keywords that take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    AddressFamily,
    BatchMode,
    BindAddress,
    Canonical,
    CertificateFile,
    Ciphers,
    Compression,
    ConnectTimeout,
    ConnectionAttempts,
    GlobalKnownHostsFile,
    HashKnownHosts,
    Host,
    HostKeyAlgorithms,
    HostKeyAlias,
    HostName,
    IdentitiesOnly,
    IdentityAgent,
    IdentityFile,
    IgnoreUnknown,
    Include,
    KbdInteractiveAuthentication,
    KexAlgorithms,
    MACs,
    Match,
    PasswordAuthentication,
    Port,
    PreferredAuthentications,
    PubkeyAuthentication,
    ProxyCommand,
    ProxyJump,
    RefuseConnection,
    SendEnv,
    ServerAliveCountMax,
    ServerAliveInterval,
    SetEnv,
    StrictHostKeyChecking,
    Tag,
    User,
    UserKnownHostsFile,
}

use KeywordEffect::{Honoured, Ignored, RefusedUnless};

const NO: &[&str] = &["no", "false", "none"];

/// In the order of the manual page. `ssh -G` of OpenSSH 9.2 prints no keyword that is not here (a test holds that).
const KEYWORDS: &[(&str, KeywordEffect)] = &[
    ("AddKeysToAgent", Ignored("gsctl puts no key into an agent")),
    ("AddressFamily", Honoured(Keyword::AddressFamily)),
    ("BatchMode", Honoured(Keyword::BatchMode)),
    ("BindAddress", Honoured(Keyword::BindAddress)),
    ("BindInterface", RefusedUnless(&[], "name one of its addresses: `BindAddress`")),
    ("CanonicalDomains", Honoured(Keyword::Canonical)),
    ("CanonicalizeFallbackLocal", Honoured(Keyword::Canonical)),
    ("CanonicalizeHostname", Honoured(Keyword::Canonical)),
    ("CanonicalizeMaxDots", Honoured(Keyword::Canonical)),
    ("CanonicalizePermittedCNAMEs", Honoured(Keyword::Canonical)),
    ("CASignatureAlgorithms", Ignored("gsctl takes no host certificate")),
    ("CertificateFile", Honoured(Keyword::CertificateFile)),
    ("ChannelTimeout", Ignored("gsctl forwards no port")),
    ("CheckHostIP", RefusedUnless(NO, "`known_hosts` is asked for the name alone: leave this out")),
    ("ChallengeResponseAuthentication", Honoured(Keyword::KbdInteractiveAuthentication)),
    ("Ciphers", Honoured(Keyword::Ciphers)),
    ("ClearAllForwardings", Ignored("gsctl forwards no port")),
    ("Compression", Honoured(Keyword::Compression)),
    ("ConnectTimeout", Honoured(Keyword::ConnectTimeout)),
    ("ConnectionAttempts", Honoured(Keyword::ConnectionAttempts)),
    ("ControlMaster", Ignored("gsctl has one connection a host, for the whole run")),
    ("ControlPath", Ignored("gsctl has one connection a host, for the whole run")),
    ("ControlPersist", Ignored("gsctl has one connection a host, for the whole run")),
    ("DSAAuthentication", Ignored("DSA keys are gone")),
    ("DynamicForward", Ignored("gsctl forwards no port")),
    ("EnableEscapeCommandline", Ignored("nobody types into a session")),
    ("EnableSSHKeysign", Ignored("gsctl cannot log in by the host's own key")),
    ("EscapeChar", Ignored("nobody types into a session")),
    ("ExitOnForwardFailure", Ignored("gsctl forwards no port")),
    ("FingerprintHash", Ignored("fingerprints are SHA256 always")),
    ("ForkAfterAuthentication", Ignored("gsctl waits for its commands")),
    ("ForwardAgent", RefusedUnless(NO, "gsctl forwards no agent: `--transport openssh` does")),
    ("ForwardX11", Ignored("gsctl forwards no X11")),
    ("ForwardX11Timeout", Ignored("gsctl forwards no X11")),
    ("ForwardX11Trusted", Ignored("gsctl forwards no X11")),
    ("GatewayPorts", Ignored("gsctl forwards no port")),
    ("GlobalKnownHostsFile", Honoured(Keyword::GlobalKnownHostsFile)),
    ("GSSAPIAuthentication", Ignored("gsctl logs in with keys and passwords; a host that takes neither says so")),
    ("GSSAPIClientIdentity", Ignored("gsctl logs in with keys and passwords; a host that takes neither says so")),
    ("GSSAPIDelegateCredentials", Ignored("gsctl logs in with keys and passwords; a host that takes neither says so")),
    ("GSSAPIKexAlgorithms", Ignored("gsctl logs in with keys and passwords; a host that takes neither says so")),
    ("GSSAPIKeyExchange", Ignored("gsctl logs in with keys and passwords; a host that takes neither says so")),
    ("GSSAPIRenewalForcesRekey", Ignored("gsctl logs in with keys and passwords; a host that takes neither says so")),
    ("GSSAPIServerIdentity", Ignored("gsctl logs in with keys and passwords; a host that takes neither says so")),
    ("GSSAPITrustDns", Ignored("gsctl logs in with keys and passwords; a host that takes neither says so")),
    ("HashKnownHosts", Honoured(Keyword::HashKnownHosts)),
    ("Host", Honoured(Keyword::Host)),
    ("HostbasedAcceptedAlgorithms", Ignored("gsctl cannot log in by the host's own key")),
    ("HostbasedAuthentication", RefusedUnless(NO, "log in with a key")),
    ("HostbasedKeyTypes", Ignored("gsctl cannot log in by the host's own key")),
    ("HostKeyAlgorithms", Honoured(Keyword::HostKeyAlgorithms)),
    ("HostKeyAlias", Honoured(Keyword::HostKeyAlias)),
    ("HostName", Honoured(Keyword::HostName)),
    ("IdentitiesOnly", Honoured(Keyword::IdentitiesOnly)),
    ("IdentityAgent", Honoured(Keyword::IdentityAgent)),
    ("IdentityFile", Honoured(Keyword::IdentityFile)),
    ("IgnoreUnknown", Honoured(Keyword::IgnoreUnknown)),
    ("Include", Honoured(Keyword::Include)),
    ("IPQoS", Ignored("packets are not marked")),
    ("KbdInteractiveAuthentication", Honoured(Keyword::KbdInteractiveAuthentication)),
    ("KbdInteractiveDevices", Ignored("the server chooses what it asks")),
    ("KexAlgorithms", Honoured(Keyword::KexAlgorithms)),
    ("KeyboardInteractiveAuthentication", Honoured(Keyword::KbdInteractiveAuthentication)),
    ("KnownHostsCommand", RefusedUnless(NO, "put the keys into a known hosts file; `@revoked` lines are honoured")),
    ("LocalCommand", Ignored("means nothing without `PermitLocalCommand`")),
    ("LocalForward", Ignored("gsctl forwards no port")),
    ("LogLevel", Ignored("`-q` and `-v` say how much gsctl tells")),
    ("LogVerbose", Ignored("`-q` and `-v` say how much gsctl tells")),
    ("MACs", Honoured(Keyword::MACs)),
    ("Match", Honoured(Keyword::Match)),
    ("NoHostAuthenticationForLocalhost", RefusedUnless(NO, "say `StrictHostKeyChecking no` for these hosts")),
    ("NumberOfPasswordPrompts", Ignored("a password is sent once to each host")),
    ("ObscureKeystrokeTiming", Ignored("nobody types into a session")),
    ("PasswordAuthentication", Honoured(Keyword::PasswordAuthentication)),
    ("PermitLocalCommand", RefusedUnless(NO, "run the command before gsctl, or after it")),
    ("PermitRemoteOpen", Ignored("gsctl forwards no port")),
    ("PKCS11Provider", RefusedUnless(NO, "put the token's keys into the agent: `ssh-add -s`")),
    ("Port", Honoured(Keyword::Port)),
    ("PreferredAuthentications", Honoured(Keyword::PreferredAuthentications)),
    ("Protocol", RefusedUnless(&["2"], "there is only protocol 2")),
    ("ProxyCommand", Honoured(Keyword::ProxyCommand)),
    ("ProxyJump", Honoured(Keyword::ProxyJump)),
    ("ProxyUseFdpass", RefusedUnless(NO, "let the command carry the connection itself: `nc` without -F")),
    ("PubkeyAcceptedAlgorithms", RefusedUnless(&[], "gsctl offers every algorithm that it has: leave this out")),
    ("PubkeyAcceptedKeyTypes", RefusedUnless(&[], "gsctl offers every algorithm that it has: leave this out")),
    ("PubkeyAuthentication", Honoured(Keyword::PubkeyAuthentication)),
    ("RefuseConnection", Honoured(Keyword::RefuseConnection)),
    ("RekeyLimit", Ignored("the server says when keys are changed")),
    ("RemoteCommand", RefusedUnless(NO, "put it into the command that gsctl runs")),
    ("RemoteForward", Ignored("gsctl forwards no port")),
    ("RequestTTY", Ignored("commands have no terminal, unless `--pty` asks for one")),
    ("RequiredRSASize", Ignored("RSA keys are taken as the server and `known_hosts` have them")),
    ("RevokedHostKeys", RefusedUnless(NO, "put the keys into a known hosts file; `@revoked` lines are honoured")),
    ("RhostsRSAAuthentication", Ignored("protocol 1 is gone")),
    ("RSAAuthentication", Ignored("protocol 1 is gone")),
    ("SecurityKeyProvider", Ignored("keys on a security key are used through the agent")),
    ("SendEnv", Honoured(Keyword::SendEnv)),
    ("ServerAliveCountMax", Honoured(Keyword::ServerAliveCountMax)),
    ("ServerAliveInterval", Honoured(Keyword::ServerAliveInterval)),
    ("SessionType", RefusedUnless(&["default"], "gsctl runs commands: leave this out")),
    ("SetEnv", Honoured(Keyword::SetEnv)),
    ("SmartcardDevice", RefusedUnless(&[], "put the card's keys into the agent: `ssh-add -s`")),
    ("StdinNull", Ignored("commands read nothing, unless `--stdin` says what")),
    ("StreamLocalBindMask", Ignored("gsctl forwards no port")),
    ("StreamLocalBindUnlink", Ignored("gsctl forwards no port")),
    ("StrictHostKeyChecking", Honoured(Keyword::StrictHostKeyChecking)),
    ("SyslogFacility", Ignored("gsctl does not write to syslog")),
    ("Tag", Honoured(Keyword::Tag)),
    ("TCPKeepAlive", Ignored("`ServerAliveInterval` finds dead connections")),
    ("Tunnel", RefusedUnless(NO, "gsctl opens no tunnel: use ssh")),
    ("TunnelDevice", Ignored("means nothing without `Tunnel`")),
    ("UpdateHostKeys", Ignored("no host key is recorded but those that `accept-new` accepts")),
    ("UseKeychain", Ignored("passphrases are asked for, or the agent's business")),
    ("UsePrivilegedPort", Ignored("no server asks for it any more")),
    ("User", Honoured(Keyword::User)),
    ("UserKnownHostsFile", Honoured(Keyword::UserKnownHostsFile)),
    ("VerifyHostKeyDNS", RefusedUnless(&["no", "false", "ask"], "put the keys into a known hosts file")),
    ("VersionAddendum", Ignored("gsctl's own version is what servers see")),
    ("VisualHostKey", Ignored("no host key is drawn")),
    ("WarnWeakCrypto", Ignored("which algorithms are good enough is for `KexAlgorithms` and the like to say")),
    ("XAuthLocation", Ignored("gsctl forwards no X11")),
];

/// The keyword as the manual spells it, and its effect.
pub(super) fn find(keyword: &str) -> Option<(&'static str, KeywordEffect)> {
    KEYWORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(keyword)).copied()
}

/// What to do instead of a keyword that cannot be honoured.
pub(super) fn hint(name: &str) -> &'static str {
    match (name, find(name)) {
        // Honoured, but not every value.
        ("ProxyJump", _) => "write the name of the jump host: of tokens none is expanded here",
        ("BindAddress", _) => "give the address itself, not its name",
        (_, Some((_, RefusedUnless(_, instead)))) => instead,
        _ => "leave it out, or let ssh make the connections: `--transport openssh`",
    }
}

/// The keyword that was probably meant.
pub(super) fn nearest(keyword: &str) -> Option<&'static str> {
    crate::text::nearest(keyword, KEYWORDS.iter().map(|(name, _)| *name))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_slip_finds_what_was_meant() {
        for (typed, meant) in [
            ("ProxyJmp", Some("ProxyJump")),
            ("identityfiles", Some("IdentityFile")),
            ("ServerAliveIntervall", Some("ServerAliveInterval")),
            ("Usr", Some("User")),
            ("Frobnicate", None),
        ] {
            assert_eq!(nearest(typed), meant, "{typed}");
        }
    }

    /// The rows of a table of `docs/ssh.md`.
    fn rows(section: &str) -> Vec<&'static str> {
        let text = include_str!("../../docs/ssh.md");
        let section = text.split("\n## ").find(|text| text.starts_with(section)).unwrap();
        section.lines().filter(|line| line.starts_with("| ")).skip(1).collect()
    }

    #[test]
    fn the_document_says_the_same() {
        let (mut honoured, mut ignored, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for (name, effect) in KEYWORDS {
            match effect {
                Honoured(_) => honoured.push(*name),
                Ignored(why) => ignored.push(format!("| {name} | {why} |")),
                RefusedUnless(values, instead) => {
                    let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
                    refused.push(format!("| {name} | {} | {instead} |", values.join(", ")));
                }
            }
        }
        assert_eq!(rows("Ignored"), ignored);
        assert_eq!(rows("Refused"), refused);
        let named: Vec<&str> = rows("Honoured").iter().filter_map(|row| row.split(" | ").next()?.get(2..)).collect();
        assert_eq!(named, honoured);
    }

    #[test]
    fn no_keyword_that_ssh_prints_is_missing() {
        let output = Command::new("ssh")
            .args(["-G", "-F", "none", "-o", "ProxyCommand=x", "-o", "IdentityAgent=/x", "-o", "CertificateFile=/x"])
            .arg("host")
            .output()
            .expect("ssh: install openssh-client");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.lines().count() > 40, "{text}");
        for keyword in text.lines().filter_map(|line| line.split(' ').next()) {
            assert!(find(keyword).is_some(), "{keyword}");
        }
    }
}
