//! User certificates: a signed statement beside a key, of who may log in with it and until when.

use std::fs;
use std::path::{Path, PathBuf};

use ssh_key::certificate::CertType;

/// A certificate for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The file that it came from.
    pub path: PathBuf,
    /// Its type and its bytes in base64, as an `authorized_keys` line has a key.
    pub line: String,
    /// Users that it is for; empty is everybody.
    pub principals: Vec<String>,
    /// Seconds since 1970 from which it is valid.
    pub valid_after: u64,
    /// Seconds since 1970 from which it is not valid any more.
    pub valid_before: u64,
    /// The fingerprint of the key that it is for.
    pub fingerprint: String,
}

/// Reads a certificate.
///
/// # Errors
/// When the file holds none for users; the words say what is wrong with it.
pub fn load(path: &Path) -> Result<Certificate, String> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("certificate `{name}`: {error}"))?;
    let text = text.trim();
    let read = ssh_key::Certificate::from_openssh(text);
    let certificate = read.map_err(|error| format!("certificate `{name}` cannot be read: {error}"))?;
    if certificate.cert_type() != CertType::User {
        return Err(format!("certificate `{name}` is for a host, not for a user"));
    }
    Ok(Certificate {
        path: path.to_owned(),
        line: text.split_whitespace().take(2).collect::<Vec<_>>().join(" "),
        principals: certificate.valid_principals().to_vec(),
        valid_after: certificate.valid_after(),
        valid_before: certificate.valid_before(),
        fingerprint: certificate.public_key().fingerprint(ssh_key::HashAlg::Sha256).to_string(),
    })
}

/// Where ssh looks for the certificate of a key.
#[must_use]
pub fn beside(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push("-cert.pub");
    name.into()
}
