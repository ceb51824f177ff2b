//! Why a private key cannot be used, and what to do about it.
//!
//! Only words: nothing is read here.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A key file that cannot be used.
#[derive(Debug)]
pub struct KeyError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: KeyFault,
}

/// What is wrong with a key file.
#[derive(Debug)]
pub enum KeyFault {
    /// There is no such file.
    NotFound,
    /// It cannot be read.
    Unreadable(io::Error),
    /// Others can read it, and ssh refuses such a key too.
    TooOpen {
        /// Its permission bits.
        mode: u32,
    },
    /// It holds something else.
    NotAKey(LooksLike),
    /// It begins as a private key does, and what follows cannot be read.
    Broken(String),
    /// A key of a kind that gsctl cannot log in with.
    Unsupported {
        /// Its type, such as `ssh-dss`.
        algorithm: String,
    },
    /// The passphrase was wrong each time.
    WrongPassphrase {
        /// How often it was given.
        attempts: u32,
    },
    /// It is encrypted, and there is nobody to ask.
    NeedsPassphrase,
    /// Asking for the passphrase failed.
    Ask(io::Error),
}

/// What a file holds instead of a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LooksLike {
    /// Nothing at all.
    Empty,
    /// The public half of a key.
    PublicKey,
    /// A key of `PuTTY`.
    Putty,
    /// An X.509 certificate.
    X509,
    /// A certificate of OpenSSH.
    SshCertificate,
    /// A key of SSH 1.
    Ssh1,
    /// A folder.
    Folder,
    /// Something else.
    Other,
}

impl KeyError {
    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let path = self.path.display();
        match &self.fault {
            KeyFault::NotFound => Some("name the key file with `-i`".into()),
            KeyFault::TooOpen { .. } => Some(format!("chmod 600 {path}")),
            KeyFault::NotAKey(LooksLike::PublicKey | LooksLike::SshCertificate) => {
                Some(format!("name the private key, most often `{}`", private_half(&self.path).display()))
            }
            KeyFault::NotAKey(LooksLike::Putty) => Some(format!(
                "convert it: puttygen {path} -O private-openssh -o {}",
                self.path.with_extension("key").display()
            )),
            KeyFault::NotAKey(LooksLike::Other) => Some(format!(
                "`ssh-keygen -y -f {path}` tells if ssh can read it; a hosts file or an inventory is named with -f"
            )),
            KeyFault::NotAKey(_) | KeyFault::Broken(_) => {
                Some(format!("`ssh-keygen -y -f {path}` tells if ssh can read it"))
            }
            KeyFault::Unsupported { algorithm } if algorithm.starts_with("sk-") => {
                Some("load it into an ssh-agent, use another key, or `--transport openssh`".into())
            }
            KeyFault::Unsupported { .. } => Some("use an ed25519, ecdsa or rsa key".into()),
            KeyFault::WrongPassphrase { .. } | KeyFault::NeedsPassphrase => {
                Some(format!("load it into an ssh-agent: ssh-add {path}"))
            }
            KeyFault::Unreadable(_) | KeyFault::Ask(_) => None,
        }
    }
}

fn private_half(path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    let text = text.strip_suffix(".pub").unwrap_or(&text);
    PathBuf::from(text.strip_suffix("-cert").unwrap_or(text))
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key file `{}`", self.path.display())?;
        match &self.fault {
            KeyFault::NotFound => write!(f, " does not exist"),
            KeyFault::Unreadable(error) => write!(f, ": {error}"),
            KeyFault::TooOpen { mode } => write!(f, " has mode {mode:03o}: others can read it"),
            KeyFault::NotAKey(what) => write!(f, " is {what}, not a private key"),
            KeyFault::Broken(why) => write!(f, " cannot be read as a key: {why}"),
            KeyFault::Unsupported { algorithm } => write!(f, " is of type {algorithm}, which gsctl cannot use"),
            KeyFault::WrongPassphrase { attempts: 1 } => write!(f, ": wrong passphrase"),
            KeyFault::WrongPassphrase { attempts } => write!(f, ": wrong passphrase, {attempts} times"),
            KeyFault::NeedsPassphrase => {
                write!(f, " is encrypted, and there is no terminal to ask for its passphrase on")
            }
            KeyFault::Ask(error) => write!(f, ": asking for its passphrase failed: {error}"),
        }
    }
}

impl std::error::Error for KeyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            KeyFault::Unreadable(error) | KeyFault::Ask(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for LooksLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::PublicKey => "a public key",
            Self::Putty => "a PuTTY key",
            Self::X509 => "an X.509 certificate",
            Self::SshCertificate => "an ssh certificate",
            Self::Ssh1 => "a key of SSH 1",
            Self::Folder => "a folder",
            Self::Other => "something else",
        })
    }
}
