//! Keys, made by the real ssh-keygen.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::tool;

/// A key to make: which kind, which form, which passphrase.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    kind: &'static str,
    pem: bool,
    passphrase: &'static str,
}

impl Key {
    /// An ed25519 key, in OpenSSH's own form.
    pub(crate) const fn ed25519() -> Self {
        Self { kind: "ed25519", pem: false, passphrase: "" }
    }

    /// An ECDSA key on the curve P-256.
    pub(crate) const fn ecdsa() -> Self {
        Self { kind: "ecdsa", ..Self::ed25519() }
    }

    /// An RSA key of 3,072 bits; slow to make.
    pub(crate) const fn rsa() -> Self {
        Self { kind: "rsa", ..Self::ed25519() }
    }

    /// In PEM form (`BEGIN RSA PRIVATE KEY`); ed25519 has none.
    pub(crate) const fn pem(self) -> Self {
        Self { pem: true, ..self }
    }

    /// Encrypted.
    pub(crate) const fn passphrase(self, passphrase: &'static str) -> Self {
        Self { passphrase, ..self }
    }

    /// The word that ssh-keygen uses for the kind.
    pub(crate) const fn kind(&self) -> &'static str {
        self.kind
    }

    /// Makes the key at `path`, and `path.pub` beside it.
    pub(crate) fn make(&self, path: &Path) {
        finish(self.start_making(path));
    }

    /// Starts making the key, so that several are made at once.
    pub(crate) fn start_making(&self, path: &Path) -> Child {
        let mut command = Command::new(tool::path("ssh-keygen"));
        command.args(["-q", "-t", self.kind, "-C", "gsctl-lab", "-N", self.passphrase]);
        if self.pem {
            command.args(["-m", "PEM"]);
        }
        command.arg("-f").arg(path).stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().expect("ssh-keygen starts")
    }
}

/// Waits until a key is made.
pub(crate) fn finish(mut making: Child) {
    let status = making.wait().expect("ssh-keygen was started");
    assert!(status.success(), "ssh-keygen failed: {status}");
}
