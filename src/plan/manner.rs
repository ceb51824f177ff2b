//! How a command is run: what it reads, and what is done on the node just before it.

use std::sync::Arc;

use super::quote::quote;

/// How a command is run.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// Send it as it is, without the wrapper that makes trailer and kill possible.
    pub raw: bool,
    /// What it reads; `None` is nothing.
    pub stdin: Option<Arc<[u8]>>,
    /// POSIX shell text of ours that the wrapper runs first. Where it fails, the command is not run.
    pub before: String,
    /// The command is POSIX shell text of ours, for /bin/sh where the login shell is something else.
    pub posix: bool,
}

/// Text that sets variables and changes the directory, and fails where it can't.
#[must_use]
pub fn surroundings(env: &[(String, String)], directory: Option<&str>) -> String {
    let mut parts = Vec::new();
    if !env.is_empty() {
        let words: Vec<String> = env.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
        parts.push(format!("export {}", words.join(" ")));
    }
    if let Some(directory) = directory {
        // `cd -` would be the directory before, and CDPATH another one of the same name.
        let here = if directory.starts_with('-') { "./" } else { "" };
        parts.push(format!("CDPATH= cd -- {}", quote(&format!("{here}{directory}"))));
    }
    parts.join("&&")
}
