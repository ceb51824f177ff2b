//! Bytes of logs as text: encodings, and secrets that must not travel on.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// A line as text: UTF-8, else GBK, which Chinese locales still write; both stand in one file where a profile changed.
pub(super) fn decoded(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(text) => text.to_owned(),
        Err(_) => match encoding_rs::GBK.decode_without_bom_handling_and_without_replacement(line) {
            Some(text) => text.into_owned(),
            None => String::from_utf8_lossy(line).into_owned(),
        },
    }
}

/// The same line with passwords replaced: context lines of configuration errors quote whole connection strings.
pub(super) fn mask_secrets(line: &str) -> String {
    /// What stands before a secret, and the secret itself.
    const SECRETS: [&str; 3] = [
        r#"(?i)((?:password|passwd|passphrase|pwd|secret)['"]?\s*[=:]\s*)(?:'[^']*'|"[^"]*"|[^\s'",;&]+)"#,
        r#"(?i)((?:password|identified by)\s+)(?:'[^']*'|"[^"]*")"#,
        r"(://[^:/@\s]+:)[^@\s]+",
    ];
    static COMPILED: LazyLock<Vec<Regex>> =
        LazyLock::new(|| SECRETS.iter().filter_map(|secret| Regex::new(secret).ok()).collect());
    COMPILED.iter().fold(line.to_owned(), |line, secret| match secret.replace_all(&line, "${1}***") {
        Cow::Borrowed(_) => line.clone(),
        Cow::Owned(masked) => masked,
    })
}
