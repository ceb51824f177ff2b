//! Private keys, read and decrypted once for a run.
//!
//! A key leaves here as text without a passphrase, in a form that libssh2 takes from memory: with the file and the
//! passphrase libssh2 would hash the passphrase once a host, which takes longer than the rest of the login. Nothing
//! here is printed, logged or kept on disk, and whom to ask for a passphrase is the caller's business.

mod certificate;
mod error;
mod openssh;
mod pem;

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

pub use self::certificate::{Certificate, beside, load as load_certificate};
pub use self::error::{KeyError, KeyFault, LooksLike};
use self::openssh::OpensshKey;
use self::pem::PemResult;
use super::known_hosts;
use crate::text::is_absent;

/// As often as ssh asks.
const ATTEMPTS: u32 = 3;

/// More than any key is long: 16,384 bits of RSA are 13 KiB.
const MAX_LEN: u64 = 256 * 1024;

/// What gsctl can log in with.
const ALGORITHMS: [&str; 5] =
    ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];

/// A key to log in with. `Debug` shows nothing secret.
pub struct PrivateKey {
    /// The file that it came from.
    pub path: PathBuf,
    /// Its type, such as `ssh-ed25519`.
    pub algorithm: String,
    /// The key without a passphrase, as `userauth_pubkey_memory` takes it.
    pub pem: Zeroizing<String>,
    /// The public key as an agent lists it. Both forms of key have it, so it is always there.
    pub public_blob: Option<Vec<u8>>,
    /// The public key as `authorized_keys` has it. Beside the private one it saves libssh2 from reading that twice a host.
    pub public: String,
    /// The public key's fingerprint: `SHA256:...`.
    pub fingerprint: String,
    /// A certificate for it; who loads the key may add one.
    pub certificate: Option<Certificate>,
}

impl PrivateKey {
    /// The same key with a certificate for it.
    #[must_use]
    pub fn certified(&self, certificate: Certificate) -> Self {
        Self {
            path: self.path.clone(),
            algorithm: self.algorithm.clone(),
            pem: self.pem.clone(),
            public_blob: self.public_blob.clone(),
            public: self.public.clone(),
            fingerprint: self.fingerprint.clone(),
            certificate: Some(certificate),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey")
            .field("path", &self.path)
            .field("algorithm", &self.algorithm)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// Reads a key and, where it is encrypted, decrypts it with what `ask` answers: up to three tries, as ssh gives.
/// `ask` answers `None` when there is no terminal to ask on.
///
/// # Errors
///
/// When the file cannot be used; the error has a hint.
pub fn load(
    path: &Path,
    ask: &mut dyn FnMut(&Path) -> io::Result<Option<Zeroizing<String>>>,
) -> Result<PrivateKey, KeyError> {
    let found = read(path).and_then(|text| unlock(path, &text, ask));
    found.map_err(|fault| KeyError { path: path.to_owned(), fault })
}

/// The keys that ssh tries when none is named, in its order, as far as they are there.
///
/// ssh would also try `id_ecdsa_sk` and `id_ed25519_sk`, which need a token that libssh2 cannot talk to.
#[must_use]
pub fn default_identities(home: &Path) -> Vec<PathBuf> {
    let folder = home.join(".ssh");
    ["id_rsa", "id_ecdsa", "id_ed25519"].iter().map(|name| folder.join(name)).filter(|path| path.exists()).collect()
}

/// The public key in a file, or in the `.pub` file beside a private one, as an agent lists it.
#[must_use]
pub fn public_blob(path: &Path) -> Option<Vec<u8>> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    [path, Path::new(&beside)].iter().find_map(|file| {
        let mut text = String::new();
        File::open(file).ok()?.take(MAX_LEN).read_to_string(&mut text).ok()?;
        let mut words = text.split_whitespace();
        let (key_type, key) = (words.next()?, words.next()?);
        let blob = STANDARD.decode(key).ok()?;
        (openssh::take(&mut &*blob)? == key_type.as_bytes()).then_some(blob)
    })
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
    let unreadable =
        |error: io::Error| if is_absent(&error) { KeyFault::NotFound } else { KeyFault::Unreadable(error) };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(KeyFault::NotAKey(LooksLike::Folder));
    }
    // Room for all of it at once, so that no copy is left behind in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len().min(MAX_LEN)).unwrap_or(0) + 1));
    file.take(MAX_LEN).read_to_end(&mut bytes).map_err(unreadable)?;
    let what = looks_like(&bytes);
    // A public key may be read by all; that it is none to log in with is the better news.
    if let Some(what) = what {
        return Err(KeyFault::NotAKey(what));
    }
    // ssh's rule: a file of somebody else (root's, say) may be as open as its owner likes.
    if metadata.uid() == rustix::process::getuid().as_raw() && metadata.mode() & 0o077 != 0 {
        return Err(KeyFault::TooOpen { mode: metadata.mode() & 0o777 });
    }
    Ok(bytes)
}

/// What a file is, if it is no private key.
fn looks_like(bytes: &[u8]) -> Option<LooksLike> {
    const PUBLIC: [&str; 5] = ["ssh-", "ecdsa-sha2-", "sk-", "-----BEGIN PUBLIC KEY", "-----BEGIN RSA PUBLIC KEY"];
    let text = String::from_utf8_lossy(bytes);
    let start = text.trim_start();
    if start.is_empty() {
        return Some(LooksLike::Empty);
    }
    if text.lines().any(|line| line.starts_with("-----BEGIN") && line.contains("PRIVATE KEY-----")) {
        return None;
    }
    let first_word = start.split_whitespace().next().unwrap_or_default();
    Some(if first_word.ends_with("-cert-v01@openssh.com") {
        LooksLike::SshCertificate
    } else if PUBLIC.iter().any(|prefix| start.starts_with(prefix)) || start.starts_with("---- BEGIN SSH2 PUBLIC") {
        LooksLike::PublicKey
    } else if start.starts_with("PuTTY-User-Key-File") {
        LooksLike::Putty
    } else if start.starts_with("-----BEGIN CERTIFICATE") || start.starts_with("-----BEGIN X509") {
        LooksLike::X509
    } else if start.starts_with("SSH PRIVATE KEY FILE FORMAT 1") {
        LooksLike::Ssh1
    } else {
        LooksLike::Other
    })
}

type AskPassphrase<'a> = &'a mut dyn FnMut(&Path) -> io::Result<Option<Zeroizing<String>>>;

fn unlock(path: &Path, bytes: &[u8], ask: AskPassphrase<'_>) -> Result<PrivateKey, KeyFault> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| openssh::is_openssh(text));
    let (pem, blob) = match text {
        Some(text) => unlock_openssh(path, text, ask)?,
        None => unlock_pem(path, bytes, ask)?,
    };
    let algorithm = algorithm(&blob)?;
    Ok(PrivateKey {
        path: path.to_owned(),
        public: format!("{algorithm} {}", STANDARD.encode(&blob)),
        algorithm,
        pem,
        fingerprint: known_hosts::fingerprint(&blob),
        public_blob: Some(blob),
        certificate: None,
    })
}

fn unlock_openssh(path: &Path, text: &str, ask: AskPassphrase<'_>) -> Result<(Zeroizing<String>, Vec<u8>), KeyFault> {
    let container = OpensshKey::parse(text).map_err(KeyFault::Broken)?;
    // Before asking for the passphrase of a key that is of no use.
    algorithm(&container.public)?;
    let pem = if container.is_encrypted() {
        with_passphrase(path, ask, |passphrase| container.open(passphrase))?
    } else {
        container.open("").ok_or_else(|| KeyFault::Broken("its two halves do not fit".into()))?
    };
    Ok((pem, container.public))
}

fn unlock_pem(path: &Path, bytes: &[u8], ask: AskPassphrase<'_>) -> Result<(Zeroizing<String>, Vec<u8>), KeyFault> {
    if String::from_utf8_lossy(bytes).contains("-----BEGIN DSA PRIVATE KEY-----") {
        return Err(KeyFault::Unsupported { algorithm: "ssh-dss".into() });
    }
    let key = match pem::open(bytes, None) {
        PemResult::Key(key) => key,
        PemResult::NeedsPassphrase => {
            with_passphrase(path, ask, |passphrase| match pem::open(bytes, Some(passphrase)) {
                PemResult::Key(key) => Some(key),
                PemResult::NeedsPassphrase | PemResult::WrongPassphrase | PemResult::Broken(_) => None,
            })?
        }
        PemResult::WrongPassphrase => return Err(KeyFault::WrongPassphrase { attempts: 1 }),
        PemResult::Broken(why) => return Err(KeyFault::Broken(why)),
    };
    let blob = pem::public_blob(&key).map_err(|algorithm| KeyFault::Unsupported { algorithm })?;
    Ok((pem::text(&key).map_err(KeyFault::Broken)?, blob))
}

fn with_passphrase<T>(path: &Path, ask: AskPassphrase<'_>, open: impl Fn(&str) -> Option<T>) -> Result<T, KeyFault> {
    for _ in 0..ATTEMPTS {
        let passphrase = ask(path).map_err(KeyFault::Ask)?.ok_or(KeyFault::NeedsPassphrase)?;
        if let Some(opened) = open(&passphrase) {
            return Ok(opened);
        }
    }
    Err(KeyFault::WrongPassphrase { attempts: ATTEMPTS })
}

/// The type of a public key, when it is one to log in with.
fn algorithm(blob: &[u8]) -> Result<String, KeyFault> {
    let name = openssh::take(&mut &*blob).and_then(|name| std::str::from_utf8(name).ok());
    let name = name.ok_or_else(|| KeyFault::Broken("its public half is damaged".into()))?;
    if ALGORITHMS.contains(&name) {
        Ok(name.to_owned())
    } else {
        Err(KeyFault::Unsupported { algorithm: name.to_owned() })
    }
}

#[cfg(test)]
mod tests;
