//! The PEM forms of a private key (PKCS#1, SEC 1, PKCS#8): decrypted by OpenSSL, and written again as PKCS#8 without
//! a passphrase.
//!
//! It knows nothing of files, and asks nobody.

use std::cell::Cell;

use openssl::bn::{BigNumContext, BigNumRef};
use openssl::ec::PointConversionForm;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use zeroize::Zeroizing;

use super::openssh::put;

/// What came of reading a PEM key.
pub(super) enum PemResult {
    /// The key.
    Key(PKey<Private>),
    /// It is encrypted, and no passphrase was given.
    NeedsPassphrase,
    /// It is encrypted, with another passphrase; or it is damaged, which cannot be told apart then.
    WrongPassphrase,
    /// It cannot be read.
    Broken(String),
}

/// Reads a PEM key.
pub(super) fn open(pem: &[u8], passphrase: Option<&str>) -> PemResult {
    let asked = Cell::new(false);
    let read = PKey::private_key_from_pem_callback(pem, |buffer| {
        asked.set(true);
        let passphrase = passphrase.unwrap_or_default().as_bytes();
        let room = buffer.get_mut(..passphrase.len()).ok_or_else(ErrorStack::get)?;
        room.copy_from_slice(passphrase);
        Ok(passphrase.len())
    });
    match (read, asked.get(), passphrase) {
        (Ok(key), ..) => PemResult::Key(key),
        (Err(_), true, None) => PemResult::NeedsPassphrase,
        (Err(_), true, Some(_)) => PemResult::WrongPassphrase,
        (Err(error), false, _) => PemResult::Broken(reason(&error)),
    }
}

fn reason(error: &ErrorStack) -> String {
    error.errors().first().and_then(openssl::error::Error::reason).unwrap_or("unknown form").to_owned()
}

/// The public key as ssh writes it, or the type of a key that ssh has no use for.
pub(super) fn public_blob(key: &PKey<Private>) -> Result<Vec<u8>, String> {
    let damaged = |_: ErrorStack| "damaged".to_owned();
    let mut blob = Vec::new();
    match key.id() {
        Id::RSA => {
            let rsa = key.rsa().map_err(damaged)?;
            put(&mut blob, b"ssh-rsa");
            put(&mut blob, &mpint(rsa.e()));
            put(&mut blob, &mpint(rsa.n()));
        }
        Id::ED25519 => {
            put(&mut blob, b"ssh-ed25519");
            put(&mut blob, &key.raw_public_key().map_err(damaged)?);
        }
        Id::EC => {
            let ec = key.ec_key().map_err(damaged)?;
            let curve = match ec.group().curve_name() {
                Some(Nid::X9_62_PRIME256V1) => "nistp256",
                Some(Nid::SECP384R1) => "nistp384",
                Some(Nid::SECP521R1) => "nistp521",
                other => {
                    let name = other.and_then(|nid| nid.short_name().ok()).unwrap_or("of its own");
                    return Err(format!("ecdsa on the curve {name}"));
                }
            };
            let mut context = BigNumContext::new().map_err(damaged)?;
            let form = PointConversionForm::UNCOMPRESSED;
            let point = ec.public_key().to_bytes(ec.group(), form, &mut context).map_err(damaged)?;
            put(&mut blob, format!("ecdsa-sha2-{curve}").as_bytes());
            put(&mut blob, curve.as_bytes());
            put(&mut blob, &point);
        }
        Id::DSA => return Err("ssh-dss".into()),
        Id::ED448 => return Err("ed448".into()),
        other => return Err(format!("OpenSSL's number {}", other.as_raw())),
    }
    Ok(blob)
}

/// A positive number, with a zero before a leading bit that would make it negative.
fn mpint(number: &BigNumRef) -> Vec<u8> {
    let mut bytes = number.to_vec();
    if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    bytes
}

/// The key as text, without a passphrase.
pub(super) fn text(key: &PKey<Private>) -> Result<Zeroizing<String>, String> {
    let pem = key.private_key_to_pem_pkcs8().map_err(|error| reason(&error))?;
    String::from_utf8(pem).map(Zeroizing::new).map_err(|_| "it is not text".to_owned())
}
