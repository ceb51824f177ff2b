//! Which algorithms are offered to a server: libssh2's, as far as `ssh_config` lets them.
//!
//! Names and lists only; whether a server has one of them is found out in the key exchange.

use std::sync::OnceLock;

use ssh2::MethodType;

use crate::credentials::known_hosts::pattern::matches_pattern;

/// What an algorithm is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlgorithmKind {
    /// Agreeing on keys.
    Kex,
    /// Proving who the server is.
    HostKey,
    /// Encryption.
    Cipher,
    /// Noticing changed bytes.
    Mac,
}

impl AlgorithmKind {
    /// In the order in which client and server agree on them.
    pub(super) const ALL: [Self; 4] = [Self::Kex, Self::HostKey, Self::Cipher, Self::Mac];

    /// The keyword of `ssh_config`.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Kex => "KexAlgorithms",
            Self::HostKey => "HostKeyAlgorithms",
            Self::Cipher => "Ciphers",
            Self::Mac => "MACs",
        }
    }

    /// For the middle of a sentence.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Kex => "key exchange",
            Self::HostKey => "type of host key",
            Self::Cipher => "cipher",
            Self::Mac => "MAC",
        }
    }

    /// What libssh2 calls it, in each direction that has one of its own.
    fn methods(self) -> &'static [MethodType] {
        match self {
            Self::Kex => &[MethodType::Kex],
            Self::HostKey => &[MethodType::HostKey],
            Self::Cipher => &[MethodType::CryptCs, MethodType::CryptSc],
            Self::Mac => &[MethodType::MacCs, MethodType::MacSc],
        }
    }

    /// Everything that libssh2 has, best first.
    fn all(self) -> &'static [&'static str] {
        static ALL: OnceLock<[Vec<&'static str>; 4]> = OnceLock::new();
        let all = ALL.get_or_init(|| {
            let ssh = ssh2::Session::new().ok();
            Self::ALL.map(|kind| {
                let names = ssh.as_ref().and_then(|ssh| ssh.supported_algs(kind.methods()[0]).ok());
                // The last two of the key exchanges are none, but say what the client can do.
                let offered = |name: &&str| !is_marker(name) && !is_certificate(name);
                let mut names: Vec<&str> = names.unwrap_or_default().into_iter().filter(offered).collect();
                if kind == Self::Cipher && has_aes() {
                    names.sort_by_key(|name| !name.contains("-gcm@"));
                }
                names
            })
        });
        &all[self.index()]
    }

    fn index(self) -> usize {
        match self {
            Self::Kex => 0,
            Self::HostKey => 1,
            Self::Cipher => 2,
            Self::Mac => 3,
        }
    }
}

/// The ciphers that a server is offered where nobody chose any, best first.
#[must_use]
pub fn default_ciphers() -> &'static [&'static str] {
    AlgorithmKind::Cipher.all()
}

/// Whether this machine computes AES in GCM by instructions of its own. Then that is the fastest cipher at both ends; without them
/// libssh2's own order, which begins with `chacha20-poly1305`, is.
#[cfg(target_arch = "x86_64")]
fn has_aes() -> bool {
    std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn has_aes() -> bool {
    std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn has_aes() -> bool {
    false
}

/// Names in a list of key exchanges that are none.
pub(super) fn is_marker(name: &str) -> bool {
    name.starts_with("ext-info-") || name.starts_with("kex-strict-")
}

/// Whether it proves a host by a certificate, which gsctl cannot check: it would be taken for a key.
fn is_certificate(name: &str) -> bool {
    name.contains("-cert-v01@")
}

/// What to offer of a kind, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlgorithmChoice {
    /// What it is for.
    pub kind: AlgorithmKind,
    /// At least one.
    names: Vec<&'static str>,
}

impl AlgorithmChoice {
    /// What a value of `ssh_config` comes to: a list, or one after `+` (in addition), `-` (without) or `^` (these first). Names
    /// that libssh2 does not have are left out, as a file is often written for more than one program.
    ///
    /// # Errors
    /// When nothing is left; the text says what there is.
    pub fn parse(kind: AlgorithmKind, text: &str) -> Result<Self, String> {
        let names = select(text, kind.all());
        if names.is_empty() {
            let all = kind.all().join(",");
            return Err(format!("`{}` leaves none that gsctl has in `{text}`; it has {all}", kind.keyword()));
        }
        Ok(Self { kind, names })
    }
}

/// The names of `all` that a value of `ssh_config` selects, in its order.
fn select<'a>(text: &str, all: &[&'a str]) -> Vec<&'a str> {
    let matching = |pattern: &str, name: &str| matches_pattern(pattern.as_bytes(), name.as_bytes());
    if let Some(list) = text.strip_prefix('-') {
        return all.iter().filter(|name| !list.split(',').any(|pattern| matching(pattern, name))).copied().collect();
    }
    let (before, list, after): (&[&str], _, &[&str]) = match text.split_at_checked(1) {
        Some(("+", list)) => (all, list, &[]),
        Some(("^", list)) => (&[], list, all),
        _ => (&[], text, &[]),
    };
    let mut names: Vec<&str> = before.to_vec();
    for pattern in list.split(',').map(str::trim) {
        names.extend(all.iter().filter(|name| matching(pattern, name)));
    }
    names.extend(after);
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    names
}

/// What is offered to a server: the choices of `ssh_config`, and everything where it makes none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlgorithmLists(Vec<AlgorithmChoice>);

impl AlgorithmLists {
    /// Takes a choice in, unless there is one of its kind: the first value wins.
    pub fn choose(&mut self, choice: &AlgorithmChoice) {
        if !self.chosen(choice.kind) {
            self.0.push(choice.clone());
        }
    }

    /// Whether there is a choice of a kind.
    #[must_use]
    pub fn chosen(&self, kind: AlgorithmKind) -> bool {
        self.0.iter().any(|made| made.kind == kind)
    }

    /// What is offered of a kind, best first.
    pub(super) fn of(&self, kind: AlgorithmKind) -> &[&'static str] {
        self.0.iter().find(|choice| choice.kind == kind).map_or(kind.all(), |choice| &choice.names)
    }

    /// Tells a session that has not begun yet.
    pub(super) fn apply(&self, ssh: &ssh2::Session) -> Result<(), ssh2::Error> {
        if !self.chosen(AlgorithmKind::HostKey) {
            // libssh2 would offer certificates too.
            prefer(ssh, AlgorithmKind::HostKey, AlgorithmKind::HostKey.all())?;
        }
        if !self.chosen(AlgorithmKind::Cipher) {
            prefer(ssh, AlgorithmKind::Cipher, AlgorithmKind::Cipher.all())?;
        }
        for choice in &self.0 {
            prefer(ssh, choice.kind, &choice.names)?;
        }
        Ok(())
    }

    /// The algorithms for host keys of these types in `known_hosts`, as far as they may be used.
    pub(super) fn for_known(&self, types: &[String]) -> Vec<&'static str> {
        let fits = |name: &&&str| types.iter().any(|known| is_of_type(name, known));
        self.of(AlgorithmKind::HostKey).iter().filter(fits).copied().collect()
    }
}

/// Whether an algorithm proves a key of this type: old RSA keys make new signatures, too.
fn is_of_type(algorithm: &str, key_type: &str) -> bool {
    match key_type {
        "ssh-rsa" => matches!(algorithm, "ssh-rsa" | "rsa-sha2-256" | "rsa-sha2-512"),
        other => algorithm == other,
    }
}

/// Offers these, best first, and no others of the kind.
pub(super) fn prefer(ssh: &ssh2::Session, kind: AlgorithmKind, names: &[&str]) -> Result<(), ssh2::Error> {
    let list = names.join(",");
    kind.methods().iter().try_for_each(|&method| ssh.method_pref(method, &list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_openssh_reads_them() {
        let all = ["a-256", "a-128", "b", "c"];
        for (text, want) in [
            ("c,a-128", vec!["c", "a-128"]),
            ("a-*", vec!["a-256", "a-128"]),
            ("c,newer@example.com", vec!["c"]),
            ("c,c,*", vec!["c", "a-256", "a-128", "b"]),
            ("+b,newer", vec!["a-256", "a-128", "b", "c"]),
            ("-a-*,c", vec!["b"]),
            ("-nothing", vec!["a-256", "a-128", "b", "c"]),
            ("^c,b", vec!["c", "b", "a-256", "a-128"]),
            ("-*", vec![]),
            ("newer", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(select(text, &all), want, "{text}");
        }
    }

    #[test]
    fn the_cipher_that_the_processor_computes_comes_first() {
        let all = AlgorithmKind::Cipher.all();
        assert_eq!(all[0].contains("-gcm@"), has_aes(), "{all:?}");
        assert!(all.iter().any(|name| name.starts_with("chacha20")), "{all:?}");
        let ssh = ssh2::Session::new().unwrap();
        AlgorithmLists::default().apply(&ssh).unwrap();
    }

    #[test]
    fn every_kind_has_names_and_nothing_left_is_an_error() {
        for kind in AlgorithmKind::ALL {
            assert!(kind.all().len() > 2, "{kind:?}: {:?}", kind.all());
            assert!(!kind.all().iter().any(|name| is_marker(name)), "{kind:?}");
            let said = AlgorithmChoice::parse(kind, "nothing-such").unwrap_err();
            assert!(said.starts_with(&format!("`{}` leaves none", kind.keyword())), "{said}");
        }
    }

    #[test]
    fn the_first_choice_of_a_kind_wins() {
        let mut offer = AlgorithmLists::default();
        assert_eq!(offer.of(AlgorithmKind::Cipher), AlgorithmKind::Cipher.all());
        offer.choose(&AlgorithmChoice::parse(AlgorithmKind::Cipher, "aes256-ctr,aes128-ctr").unwrap());
        offer.choose(&AlgorithmChoice::parse(AlgorithmKind::Cipher, "aes128-ctr").unwrap());
        assert_eq!(offer.of(AlgorithmKind::Cipher), ["aes256-ctr", "aes128-ctr"]);
        assert_eq!(offer.of(AlgorithmKind::Mac), AlgorithmKind::Mac.all());
    }

    #[test]
    fn old_rsa_lines_ask_for_new_signatures() {
        let mut offer = AlgorithmLists::default();
        offer.choose(&AlgorithmChoice::parse(AlgorithmKind::HostKey, "ssh-ed25519,rsa-sha2-*").unwrap());
        let mut names = offer.for_known(&["ssh-rsa".into()]);
        names.sort_unstable();
        assert_eq!(names, ["rsa-sha2-256", "rsa-sha2-512"]);
        assert_eq!(offer.for_known(&["ecdsa-sha2-nistp256".into()]), <[&str; 0]>::default());
    }
}
