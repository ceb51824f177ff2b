//! `gsctl --version -v`: what this program was made of.

use std::env::consts::{ARCH, OS};
use std::ffi::OsString;

use crate::transport;

/// Whether words that ask for the version ask for all that belongs to it.
#[must_use]
pub fn asked_in_full(words: &[OsString]) -> bool {
    words.iter().skip(1).any(|word| ["-v", "--verbose", "-vV", "-Vv"].iter().any(|verbose| word == verbose))
}

/// Version, commit, target and libraries, a line each.
#[must_use]
pub fn in_full() -> String {
    let mut text = format!("gsctl {}\n", env!("CARGO_PKG_VERSION"));
    // Given by `make build` and `make dist`: cargo alone does not know it, and to ask git would compile anew for every commit.
    let commit = option_env!("GSCTL_COMMIT").filter(|commit| !commit.is_empty());
    text.push_str(&format!("commit: {}\n", commit.unwrap_or("not known")));
    let libc = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    text.push_str(&format!("target: {ARCH}-unknown-{OS}-{libc}\n"));
    text.push_str(&format!("libraries: {}\n", transport::libraries().join(", ")));
    text
}
