//! What happened on a host, in words: its outcome, its failure, and what became of its paths and its command.

use indexmap::IndexMap;

use super::sanitize;
use super::style::Tone;
use crate::outcome::change::{Change, ChangeKind};
use crate::outcome::{Failure, Killed, Outcome};

/// The status word of an outcome.
pub(crate) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "OK",
        Outcome::Changed => "CHANGED",
        Outcome::Skipped => "SKIPPED",
        Outcome::Failed => "FAILED",
        Outcome::TimedOut => "TIMED OUT",
        Outcome::Unreachable => "UNREACHABLE",
        Outcome::Refused => "REFUSED",
        Outcome::Cancelled => "CANCELLED",
    }
}

/// The style of an outcome.
pub(crate) fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Ok => Tone::Ok,
        Outcome::Changed => Tone::Changed,
        Outcome::Skipped => Tone::Dim,
        Outcome::Cancelled => Tone::Warn,
        Outcome::Failed | Outcome::TimedOut | Outcome::Unreachable | Outcome::Refused => Tone::Bad,
    }
}

/// A failure in words, on one line: `connect: connection refused`.
pub(crate) fn why(failure: &Failure) -> String {
    let cause = sanitize::words(&failure.cause);
    let phase = failure.phase.words();
    // `connect: connect to ...` says the phase twice.
    if cause.strip_prefix(phase).is_some_and(|rest| rest.starts_with(' ')) {
        cause
    } else {
        format!("{phase}: {cause}")
    }
}

/// Why the cluster is not as it was wanted. It is no host's failure, so there is no phase of a host.
pub(crate) fn cluster_words(failure: &Failure) -> String {
    sanitize::words(&failure.cause)
}

/// What is known about a command that was stopped.
pub(crate) fn killed_words(outcome: Outcome, remote_killed: Option<Killed>) -> &'static str {
    match (outcome, remote_killed) {
        (_, Some(Killed::Yes)) => "; killed on the node",
        (_, Some(Killed::No)) => "; not seen gone on the node, it may still be running there",
        (_, Some(Killed::Ended)) => "; it had ended on the node by then",
        (_, None) => "",
    }
}

/// What became of paths: `removed /a, /b; absent /c`.
pub(super) fn change_words(changes: &[Change], all: bool) -> String {
    let mut by_kind: IndexMap<ChangeKind, Vec<String>> = IndexMap::new();
    for change in changes.iter().filter(|change| all || change.action.is_change()) {
        by_kind.entry(change.action).or_default().push(sanitize::words(&change.path));
    }
    let parts: Vec<String> =
        by_kind.iter().map(|(kind, paths)| format!("{} {}", kind.name(), paths.join(", "))).collect();
    parts.join("; ")
}
