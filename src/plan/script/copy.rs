//! What scripts about copied files have in common: answers are by number, so that names may hold anything.

use std::collections::HashMap;

use super::compose;

const COPY: &str = include_str!("copy.sh");

/// What a node found, or did, about one copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyAnswer {
    /// About a push `absent`, `differs`, `labels`, `same`, `present`, `created`, `written`, `mismatch`, `denied`, `because`, `into`
    /// or `box`; about a pull `sum`.
    pub word: String,
    /// A reason, the bytes that are there already, or a SHA-256.
    pub rest: String,
}

/// The answers by number.
pub type CopyAnswers = HashMap<usize, CopyAnswer>;

/// A script that makes these calls.
pub(super) fn whole(functions: &str, calls: &str) -> String {
    compose(&["gs_bad=0", COPY, functions], calls)
}

/// Reads the answers.
#[must_use]
pub fn parse(stdout: &[u8]) -> CopyAnswers {
    let text = String::from_utf8_lossy(stdout);
    let line = |line: &str| {
        let mut words = line.splitn(3, '\t');
        let number = words.next()?.parse().ok()?;
        let word = words.next()?.to_owned();
        Some((number, CopyAnswer { word, rest: words.next().unwrap_or_default().to_owned() }))
    };
    text.lines().filter_map(line).collect()
}
