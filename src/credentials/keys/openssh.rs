//! The OpenSSH form of a private key: taken apart, decrypted, and put together again without a passphrase.
//!
//! The key itself is never looked into. `ssh-key` has the ciphers, but its own reader refuses keys that ssh takes,
//! such as one with a comment that is not UTF-8.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_key::{Cipher, Kdf};
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// A key file of this form, its private half perhaps encrypted.
pub(super) struct OpensshKey {
    /// The public key.
    pub(super) public: Vec<u8>,
    cipher: Cipher,
    kdf: Kdf,
    private: Zeroizing<Vec<u8>>,
    tag: Option<[u8; 16]>,
}

/// Whether a file is of this form.
pub(super) fn is_openssh(text: &str) -> bool {
    text.contains(BEGIN)
}

impl OpensshKey {
    /// Reads a file of this form. The error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let cut = || "it is cut short".to_owned();
        let body = text.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).ok_or_else(cut)?.0;
        let base64: Zeroizing<String> = Zeroizing::new(body.chars().filter(|c| !c.is_whitespace()).collect());
        let bytes = Zeroizing::new(STANDARD.decode(base64.as_bytes()).map_err(|_| "it is not base64".to_owned())?);
        let rest = &mut bytes.strip_prefix(MAGIC).ok_or("it is no openssh-key-v1")?;

        let cipher = text_of(take(rest).ok_or_else(cut)?)?;
        let kdf = text_of(take(rest).ok_or_else(cut)?)?;
        let kdf_options = take(rest).ok_or_else(cut)?;
        if number(rest).ok_or_else(cut)? != 1 {
            return Err("it holds more than one key".into());
        }
        let public = take(rest).ok_or_else(cut)?.to_vec();
        let private = Zeroizing::new(take(rest).ok_or_else(cut)?.to_vec());
        let cipher: Cipher = cipher.parse().map_err(|_| format!("it is encrypted with {cipher}"))?;
        let kdf = match kdf.as_str() {
            "none" => Kdf::None,
            "bcrypt" => {
                let options = &mut &*kdf_options;
                let salt = take(options).ok_or_else(cut)?.to_vec();
                Kdf::Bcrypt { salt, rounds: number(options).ok_or_else(cut)? }
            }
            other => return Err(format!("its passphrase is hashed with {other}")),
        };
        let tag = if cipher.has_tag() { Some(*rest.first_chunk::<16>().ok_or_else(cut)?) } else { None };
        if cipher.is_some() != kdf.is_some() {
            return Err("it has a cipher without a passphrase".into());
        }
        Ok(Self { public, cipher, kdf, private, tag })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.cipher.is_some()
    }

    /// The key without a passphrase, in the same form. `None` when the passphrase is not the right one.
    pub(super) fn open(&self, passphrase: &str) -> Option<Zeroizing<String>> {
        let mut private = self.private.clone();
        if self.is_encrypted() {
            let (key, iv) = self.kdf.derive_key_and_iv(self.cipher, passphrase).ok()?;
            self.cipher.decrypt(&key, &iv, &mut private, self.tag).ok()?;
        }
        // The same random number twice, and the key's type: this is how ssh knows that it decrypted well.
        let rest = &mut &**private;
        let twice = (number(rest)?, number(rest)?);
        let key_type = take(rest)?;
        if twice.0 != twice.1 || Some(key_type) != take(&mut &*self.public) {
            return None;
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(private.len() + self.public.len() + 64));
        bytes.extend_from_slice(MAGIC);
        put(&mut bytes, b"none");
        put(&mut bytes, b"none");
        put(&mut bytes, b"");
        bytes.extend_from_slice(&1_u32.to_be_bytes());
        put(&mut bytes, &self.public);
        put(&mut bytes, &private);
        Some(armour(&bytes))
    }
}

/// Text between the lines that begin and end a key.
fn armour(bytes: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(bytes));
    // Reserved at once: a string that grows leaves copies of the key behind in memory.
    let mut text = Zeroizing::new(String::with_capacity(base64.len() + base64.len() / 70 + 80));
    text.push_str(BEGIN);
    text.push('\n');
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(70));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str(END);
    text.push('\n');
    text
}

fn text_of(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "it is damaged".to_owned())
}

/// A number of four bytes.
fn number(rest: &mut &[u8]) -> Option<u32> {
    let (number, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(u32::from_be_bytes(*number))
}

/// A string of the ssh protocol: its length, then its bytes.
pub(super) fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(number(rest)?).ok()?;
    let (string, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(string)
}

/// The reverse of [`take`].
pub(super) fn put(bytes: &mut Vec<u8>, string: &[u8]) {
    // No part of a key is anywhere near 4 GiB long.
    let len = u32::try_from(string.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(string);
}
