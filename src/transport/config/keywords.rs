//! Every keyword of `ssh_config(5)`, and what it means to gsctl: one table.
//!
//! Nothing is read or resolved here. A keyword that is in no row is unknown; none is passed over by default.

/// What gsctl does with a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It takes effect.
    Honoured(Key),
    /// It makes no difference to what gsctl does: forwarding, the terminal, how ssh asks and logs.
    Harmless,
    /// As harmless, when it has one of these values: what gsctl does anyway.
    HarmlessWhen(&'static [&'static str]),
    /// It would make a difference, and gsctl cannot give it yet.
    Unsupported,
}

/// The keywords that take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
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
    SendEnv,
    ServerAliveCountMax,
    ServerAliveInterval,
    SetEnv,
    StrictHostKeyChecking,
    Tag,
    User,
    UserKnownHostsFile,
}

use Effect::{Harmless, HarmlessWhen, Honoured, Unsupported};

const NO: &[&str] = &["no", "false", "none"];

/// In the order of the manual page. `ssh -G` of OpenSSH 9.2 prints no keyword that is not here (a test holds that).
const KEYWORDS: &[(&str, Effect)] = &[
    ("AddKeysToAgent", Harmless),
    ("AddressFamily", Honoured(Key::AddressFamily)),
    ("BatchMode", Honoured(Key::BatchMode)),
    ("BindAddress", Honoured(Key::BindAddress)),
    ("BindInterface", Unsupported),
    ("CanonicalDomains", Honoured(Key::Canonical)),
    ("CanonicalizeFallbackLocal", Honoured(Key::Canonical)),
    ("CanonicalizeHostname", Honoured(Key::Canonical)),
    ("CanonicalizeMaxDots", Honoured(Key::Canonical)),
    ("CanonicalizePermittedCNAMEs", Honoured(Key::Canonical)),
    ("CASignatureAlgorithms", Harmless), // gsctl takes no host certificate at all
    ("CertificateFile", Honoured(Key::CertificateFile)),
    ("ChannelTimeout", Harmless), // forwarded connections
    ("CheckHostIP", HarmlessWhen(NO)),
    ("ChallengeResponseAuthentication", Honoured(Key::KbdInteractiveAuthentication)),
    ("Ciphers", Honoured(Key::Ciphers)),
    ("ClearAllForwardings", Harmless),
    ("Compression", Honoured(Key::Compression)),
    ("ConnectTimeout", Honoured(Key::ConnectTimeout)),
    ("ConnectionAttempts", Honoured(Key::ConnectionAttempts)),
    ("ControlMaster", Harmless),
    ("ControlPath", Harmless),
    ("ControlPersist", Harmless),
    ("DSAAuthentication", Harmless),
    ("DynamicForward", Harmless),
    ("EnableEscapeCommandline", Harmless),
    ("EnableSSHKeysign", Harmless),
    ("EscapeChar", Harmless),
    ("ExitOnForwardFailure", Harmless),
    ("FingerprintHash", Harmless),
    ("ForkAfterAuthentication", Harmless),
    ("ForwardAgent", HarmlessWhen(NO)),
    ("ForwardX11", Harmless),
    ("ForwardX11Timeout", Harmless),
    ("ForwardX11Trusted", Harmless),
    ("GatewayPorts", Harmless),
    ("GlobalKnownHostsFile", Honoured(Key::GlobalKnownHostsFile)),
    // On in Debian's own file, and only one more way to log in: a host that has no other says so when it refuses.
    ("GSSAPIAuthentication", Harmless),
    ("GSSAPIClientIdentity", Harmless),
    ("GSSAPIDelegateCredentials", Harmless),
    ("GSSAPIKexAlgorithms", Harmless),
    ("GSSAPIKeyExchange", Harmless),
    ("GSSAPIRenewalForcesRekey", Harmless),
    ("GSSAPIServerIdentity", Harmless),
    ("GSSAPITrustDns", Harmless),
    ("HashKnownHosts", Honoured(Key::HashKnownHosts)),
    ("Host", Honoured(Key::Host)),
    ("HostbasedAcceptedAlgorithms", Harmless),
    ("HostbasedAuthentication", HarmlessWhen(NO)),
    ("HostbasedKeyTypes", Harmless),
    ("HostKeyAlgorithms", Honoured(Key::HostKeyAlgorithms)),
    ("HostKeyAlias", Honoured(Key::HostKeyAlias)),
    ("HostName", Honoured(Key::HostName)),
    ("IdentitiesOnly", Honoured(Key::IdentitiesOnly)),
    ("IdentityAgent", Honoured(Key::IdentityAgent)),
    ("IdentityFile", Honoured(Key::IdentityFile)),
    ("IgnoreUnknown", Honoured(Key::IgnoreUnknown)),
    ("Include", Honoured(Key::Include)),
    ("IPQoS", Harmless),
    ("KbdInteractiveAuthentication", Honoured(Key::KbdInteractiveAuthentication)),
    ("KbdInteractiveDevices", Harmless),
    ("KexAlgorithms", Honoured(Key::KexAlgorithms)),
    ("KeyboardInteractiveAuthentication", Honoured(Key::KbdInteractiveAuthentication)),
    ("KnownHostsCommand", HarmlessWhen(NO)),
    ("LocalCommand", Harmless), // means nothing without PermitLocalCommand
    ("LocalForward", Harmless),
    ("LogLevel", Harmless),
    ("LogVerbose", Harmless),
    ("MACs", Honoured(Key::MACs)),
    ("Match", Honoured(Key::Match)),
    ("NoHostAuthenticationForLocalhost", HarmlessWhen(NO)),
    ("NumberOfPasswordPrompts", Harmless),
    ("ObscureKeystrokeTiming", Harmless),
    ("PasswordAuthentication", Honoured(Key::PasswordAuthentication)),
    ("PermitLocalCommand", HarmlessWhen(NO)),
    ("PermitRemoteOpen", Harmless),
    ("PKCS11Provider", HarmlessWhen(NO)),
    ("Port", Honoured(Key::Port)),
    ("PreferredAuthentications", Honoured(Key::PreferredAuthentications)),
    ("Protocol", HarmlessWhen(&["2"])),
    ("ProxyCommand", Honoured(Key::ProxyCommand)),
    ("ProxyJump", Honoured(Key::ProxyJump)),
    ("ProxyUseFdpass", HarmlessWhen(NO)),
    ("PubkeyAcceptedAlgorithms", Unsupported),
    ("PubkeyAcceptedKeyTypes", Unsupported),
    ("PubkeyAuthentication", Honoured(Key::PubkeyAuthentication)),
    ("RefuseConnection", Unsupported),
    ("RekeyLimit", Harmless),
    ("RemoteCommand", HarmlessWhen(NO)),
    ("RemoteForward", Harmless),
    ("RequestTTY", HarmlessWhen(&["no", "false", "auto"])),
    ("RequiredRSASize", Harmless),
    ("RevokedHostKeys", HarmlessWhen(NO)),
    ("RhostsRSAAuthentication", Harmless),
    ("RSAAuthentication", Harmless),
    ("SecurityKeyProvider", Harmless),
    ("SendEnv", Honoured(Key::SendEnv)),
    ("ServerAliveCountMax", Honoured(Key::ServerAliveCountMax)),
    ("ServerAliveInterval", Honoured(Key::ServerAliveInterval)),
    ("SessionType", HarmlessWhen(&["default"])),
    ("SetEnv", Honoured(Key::SetEnv)),
    ("SmartcardDevice", Unsupported),
    ("StdinNull", Harmless),
    ("StreamLocalBindMask", Harmless),
    ("StreamLocalBindUnlink", Harmless),
    ("StrictHostKeyChecking", Honoured(Key::StrictHostKeyChecking)),
    ("SyslogFacility", Harmless),
    ("Tag", Honoured(Key::Tag)),
    ("TCPKeepAlive", Harmless),
    ("Tunnel", HarmlessWhen(NO)),
    ("TunnelDevice", Harmless),
    ("UpdateHostKeys", Harmless),
    ("UseKeychain", Harmless),
    ("UsePrivilegedPort", Harmless),
    ("User", Honoured(Key::User)),
    ("UserKnownHostsFile", Honoured(Key::UserKnownHostsFile)),
    ("VerifyHostKeyDNS", HarmlessWhen(&["no", "false", "ask"])),
    ("VersionAddendum", Harmless),
    ("VisualHostKey", Harmless),
    ("WarnWeakCrypto", Harmless),
    ("XAuthLocation", Harmless),
];

/// The keyword as the manual spells it, and its effect.
pub(super) fn find(keyword: &str) -> Option<(&'static str, Effect)> {
    KEYWORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(keyword)).copied()
}

/// What to do instead of a keyword that cannot be honoured.
pub(super) fn hint(name: &str) -> &'static str {
    match name {
        "ProxyUseFdpass" => "let the command carry the connection itself: `nc` without -F",
        "ProxyJump" => "write the name of the jump host: of tokens none is expanded here",
        "PubkeyAcceptedAlgorithms" | "PubkeyAcceptedKeyTypes" => {
            "gsctl offers every algorithm that it has: leave this out"
        }
        "RemoteCommand" => "put it into the command that gsctl runs",
        "BindInterface" => "name one of its addresses: `BindAddress`",
        "BindAddress" => "give the address itself, not its name",
        "RevokedHostKeys" | "KnownHostsCommand" => {
            "put the keys into a known hosts file; `@revoked` lines are honoured"
        }
        "ForwardAgent" => "gsctl forwards no agent",
        _ => "leave it out, or use ssh for these hosts",
    }
}

/// The keyword that was probably meant.
pub(super) fn nearest(keyword: &str) -> Option<&'static str> {
    let wanted = keyword.to_ascii_lowercase();
    KEYWORDS
        .iter()
        .map(|(name, _)| (distance(&wanted, &name.to_ascii_lowercase()), *name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 5))
        .min()
        .map(|(_, name)| name)
}

/// Edits that make one text the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
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
