//! Why a selection cannot be made.
//!
//! Words only; whether a selection is empty is no error here.

use std::fmt;

use crate::inventory::hostset::SetError;
use crate::inventory::problem::{harmless, quoted};
use crate::inventory::spec::SpecError;
use crate::text::nearest;

/// Most groups that an error lists where the named one does not exist.
const MOST_GROUPS: usize = 10;

/// Why there is no selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectError {
    /// No group has this name.
    UnknownGroup {
        /// The name.
        group: String,
        /// The groups that there are.
        known: Vec<String>,
    },
    /// A pattern that no host of the file fits.
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// The set's grammar is broken.
    Set(SetError),
    /// A name in the set cannot be a host.
    Spec {
        /// The set.
        set: String,
        /// What is wrong with the name.
        error: SpecError,
    },
}

impl fmt::Display for SelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownGroup { group, known } => {
                write!(f, "there is no group {}\nhint: ", quoted(group))?;
                if known.is_empty() {
                    return f.write_str("the hosts file has no groups");
                }
                if let Some(near) = nearest(group, known.iter().map(String::as_str)) {
                    write!(f, "did you mean `{near}`? ")?;
                }
                let first = &known[..known.len().min(MOST_GROUPS)];
                let more = if known.len() > MOST_GROUPS { ", ..." } else { "" };
                write!(f, "groups are `{}`{more}", first.join("`, `"))
            }
            Self::NoMatch { pattern } => {
                let pattern = quoted(pattern);
                write!(f, "no host of the hosts file fits {pattern}\nhint: `gsctl hosts` prints the hosts that it has")
            }
            Self::Set(error) => error.fmt(f),
            Self::Spec { set, error } => write!(f, "host set `{}`: {error}", harmless(set, 80)),
        }
    }
}

impl std::error::Error for SelectError {}

impl From<SetError> for SelectError {
    fn from(error: SetError) -> Self {
        Self::Set(error)
    }
}
