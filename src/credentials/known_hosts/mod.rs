//! Which host keys are known, from the files that ssh uses.
//!
//! It says what the files say about a key and never what to do about it: policy and wording are the caller's. Nothing
//! is written but by [`KnownHosts::accept`], which adds one line.
//!
//! libssh2 has a reader for these files too; it takes `@revoked` and wildcard lines for unknown hosts, so that
//! accept-new would accept a revoked key.

mod append;
mod index;
mod line;
mod lookup;
pub(crate) mod pattern;

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use openssl::sha::sha256;

use self::index::{Index, IndexedKey, named};
use self::line::Marker;
pub(crate) use self::line::key_type;

/// The port whose number is left out in `known_hosts`.
const SSH_PORT: u16 = 22;

/// What to do about host keys that are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostKeyPolicy {
    /// Only hosts whose key is recorded.
    Strict,
    /// Record the key of a host never seen before; refuse one that changed.
    AcceptNew,
    /// Take any key, except a revoked one.
    Off,
}

/// What the files say about the key that a host showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyVerdict {
    /// This key is recorded for this host.
    Known,
    /// The host is in no file.
    Unknown,
    /// The host is recorded, but only with keys of other types. Connecting again and asking for one of those settles
    /// it; where the host has none of those, its key has changed as far as ssh is concerned.
    OtherType {
        /// The types recorded.
        known: Vec<String>,
        /// Where the first of them stands.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// Another key of the same type is recorded for this host.
    Changed {
        /// Where the recorded key stands.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// The recorded key's fingerprint.
        known_fingerprint: String,
        /// The fingerprint of the key that the host showed.
        offered_fingerprint: String,
        /// The type of both, such as `ssh-ed25519`.
        key_type: String,
    },
    /// The key is marked `@revoked` for this host.
    Revoked {
        /// Where the mark stands.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// The key's fingerprint.
        fingerprint: String,
    },
}

/// What became of a key that was to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// A line was added.
    Added {
        /// The file that it was added to.
        file: PathBuf,
    },
    /// The key is recorded already, by this run or by another program since the files were read.
    AlreadyKnown,
    /// The files say something against this key, perhaps only since they were read. Nothing was written.
    ///
    /// Another type is against it too, as in ssh: who could answer in the host's place need only show another type.
    Against(HostKeyVerdict),
}

/// The known hosts of a run: read once, shared by all hosts.
#[derive(Debug)]
pub struct KnownHosts {
    index: RwLock<Index>,
    /// The file that new keys are added to.
    writable: Option<PathBuf>,
    /// Held while a line is added. `flock` alone would do between programs; this keeps hundreds of hosts of one run
    /// from polling for it.
    adding: Mutex<()>,
    hash_names: bool,
    /// What this run has recorded.
    added: Mutex<Vec<Added>>,
}

/// A key that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// The name that ssh looks up.
    pub name: String,
    /// The port.
    pub port: u16,
    /// `ssh-ed25519`, ...
    pub key_type: String,
    /// `SHA256:...`
    pub fingerprint: String,
    /// The file that it was added to.
    pub file: PathBuf,
}

impl KnownHosts {
    /// Reads the files. One that is missing is empty.
    ///
    /// # Errors
    ///
    /// When a file is there but cannot be read; the error names it.
    pub fn load(user_files: &[PathBuf], global_files: &[PathBuf]) -> io::Result<Self> {
        let index = Index::read(&[user_files, global_files].concat())?;
        let writable = user_files.first().cloned();
        let (adding, added) = (Mutex::new(()), Mutex::new(Vec::new()));
        Ok(Self { index: RwLock::new(index), writable, adding, hash_names: false, added })
    }

    /// What was recorded since the last time somebody asked.
    #[must_use]
    pub fn take_added(&self) -> Vec<Added> {
        std::mem::take(&mut *lock(&self.added))
    }

    /// Whether names are hashed when keys are recorded, as ssh does with `HashKnownHosts`.
    #[must_use]
    pub fn hash_names(mut self, hash_names: bool) -> Self {
        self.hash_names = hash_names;
        self
    }

    /// What the files say about `key_blob` for a host.
    ///
    /// `name` is what ssh would look up: `HostName`, or `HostKeyAlias`, which goes with port 22 whatever the real one
    /// is. As in ssh, a host on another port is looked up as `[name]:port`, and its key is known also when `name`
    /// alone has that very key.
    #[must_use]
    pub fn check(&self, name: &str, port: u16, key_blob: &[u8]) -> HostKeyVerdict {
        verdict(&self.index(), name, port, key_blob)
    }

    /// The key types recorded for a host, in the files' order. Asking for these first in the key exchange keeps a
    /// host that has several keys from showing one that is not recorded.
    ///
    /// These are types of keys, not algorithms: for `ssh-rsa` ask for `rsa-sha2-512` and `rsa-sha2-256`.
    ///
    /// Costs an HMAC for each hashed line: where there are tens of thousands, it is
    /// cheaper to connect first and again only on `HostKeyVerdict::OtherType`.
    #[must_use]
    pub fn key_types(&self, name: &str, port: u16) -> Vec<String> {
        let index = self.index();
        let types = Index::types(&index.with_name(&target(name, port)));
        if types.is_empty() && port != SSH_PORT {
            Index::types(&index.with_name(&target(name, SSH_PORT)))
        } else {
            types
        }
    }

    /// True when a `@cert-authority` line is for this host. gsctl cannot check host certificates yet; this is for
    /// saying so.
    #[must_use]
    pub fn has_authority(&self, name: &str, port: u16) -> bool {
        let index = self.index();
        index.with_name(&target(name, port)).iter().any(|entry| entry.line.marker == Marker::CertAuthority)
    }

    /// Lines that could not be understood, and were passed over as ssh does: of each file that has some, their numbers.
    #[must_use]
    pub fn bad_lines(&self) -> Vec<(PathBuf, Vec<usize>)> {
        let index = self.index();
        let of_file = |(source, file): (usize, &index::KnownHostsFile)| {
            let numbers: Vec<usize> =
                index.bad_lines.iter().filter(|(of, _)| *of == source).map(|&(_, number)| number).collect();
            (!numbers.is_empty()).then(|| (file.path.clone(), numbers))
        };
        index.sources.iter().enumerate().filter_map(of_file).collect()
    }

    /// Lines whose names are hashed.
    #[cfg(test)]
    fn hashed_lines(&self) -> usize {
        self.index().hashed_lines()
    }

    /// Records a key: adds one line to the first user file, which is made if it is missing.
    ///
    /// Safe against other hosts of this run and against other programs. What they recorded since the files were read
    /// counts. It touches the disk, and waits up to five seconds while another program holds the file: call it where
    /// blocking is allowed.
    ///
    /// # Errors
    ///
    /// When there is no user file, or it cannot be locked, read or written; the error names it.
    pub fn accept(&self, name: &str, port: u16, key_blob: &[u8]) -> io::Result<Accepted> {
        let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidInput, message);
        let path = self.writable.as_ref().ok_or_else(|| invalid("no known hosts file to record the key in".into()))?;
        let target = target(name, port);
        if name.is_empty() || target.contains(|c: char| c.is_whitespace() || c.is_control() || "*?!,|#@".contains(c)) {
            return Err(invalid(format!("`{}` cannot stand in a known hosts file", name.escape_debug())));
        }
        let key_type = line::key_type(key_blob).ok_or_else(|| invalid("the host key is not a key".into()))?;

        let _adding = lock(&self.adding);
        // Most often another host of the same name was faster.
        match self.check(name, port, key_blob) {
            HostKeyVerdict::Unknown => {}
            HostKeyVerdict::Known => return Ok(Accepted::AlreadyKnown),
            against => return Ok(Accepted::Against(against)),
        }
        let mut file = append::open_locked(path)?;
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let source = index.sources.iter().position(|source| source.path == *path).unwrap_or_default();
        if !append::catch_up(&mut index, source, &mut file).map_err(|error| named(path, &error))? {
            *index = append::read_again(&index)?;
        }
        match verdict(&index, name, port, key_blob) {
            HostKeyVerdict::Unknown => {}
            HostKeyVerdict::Known => return Ok(Accepted::AlreadyKnown),
            against => return Ok(Accepted::Against(against)),
        }
        let names = if self.hash_names { line::hashed_field(&append::salt()?, &target) } else { target };
        let text = append::append(&mut file, &format!("{names} {key_type} {}", STANDARD.encode(key_blob)))
            .map_err(|error| named(path, &error))?;
        index.take_in(source, text.into_bytes());
        lock(&self.added).push(Added {
            name: name.to_owned(),
            port,
            key_type: key_type.to_owned(),
            fingerprint: fingerprint(key_blob),
            file: path.clone(),
        });
        Ok(Accepted::Added { file: path.clone() })
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key's fingerprint as ssh prints it: `SHA256:...`.
#[must_use]
pub fn fingerprint(key_blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(sha256(key_blob)))
}

/// What ssh looks up for a name and port.
fn target(name: &str, port: u16) -> String {
    let name = name.to_ascii_lowercase();
    if port == SSH_PORT { name } else { format!("[{name}]:{port}") }
}

fn verdict(index: &Index, name: &str, port: u16, key_blob: &[u8]) -> HostKeyVerdict {
    let key = STANDARD.encode(key_blob);
    let key_type = line::key_type(key_blob).unwrap_or_default();
    let full = target(name, port);
    let bare = target(name, SSH_PORT);

    // The key first: a healthy host is found here without looking at any other line.
    let (mut known, mut known_bare) = (false, false);
    let targets = [full.as_str(), bare.as_str()];
    let targets = if bare == full { &targets[..1] } else { &targets };
    for entry in index.with_key(targets, &key).iter().filter(|entry| *entry.line.key_type == *key_type) {
        match entry.line.marker {
            Marker::HostKey if entry.line.names.matches(&full) => known = true,
            Marker::HostKey => known_bare = true,
            Marker::Revoked => {
                let (file, line) = index.place(entry);
                return HostKeyVerdict::Revoked { file, line, fingerprint: fingerprint(key_blob) };
            }
            Marker::CertAuthority => {}
        }
    }
    if known {
        return HostKeyVerdict::Known;
    }
    let recorded: Vec<IndexedKey<'_>> = index
        .with_name(&full)
        .into_iter()
        .filter(|entry| entry.line.marker == Marker::HostKey && entry.line.blob().is_some())
        .collect();
    if let Some(entry) = recorded.iter().find(|entry| *entry.line.key_type == *key_type) {
        let (file, line) = index.place(entry);
        return HostKeyVerdict::Changed {
            file,
            line,
            known_fingerprint: fingerprint(&entry.line.blob().unwrap_or_default()),
            offered_fingerprint: fingerprint(key_blob),
            key_type: key_type.to_owned(),
        };
    }
    match recorded.first() {
        // As in ssh: the name alone is asked for only where the name with the port has no key at all.
        None if known_bare => HostKeyVerdict::Known,
        Some(first) => {
            let (file, line) = index.place(first);
            HostKeyVerdict::OtherType { known: Index::types(&recorded), file, line }
        }
        None => HostKeyVerdict::Unknown,
    }
}

/// A lock that a panic elsewhere does not spoil: what it guards is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
