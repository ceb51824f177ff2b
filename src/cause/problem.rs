//! What is wrong with a catalogue.

use thiserror::Error;

/// A catalogue of causes that cannot be used.
#[derive(Debug, Error)]
pub enum CatalogueProblem {
    /// It is no YAML of the right form; the text has line and column.
    #[error("{0}")]
    Form(String),
    /// An id stands twice.
    #[error("cause `{0}` stands there twice")]
    Twice(String),
    /// A row has neither a signature nor a state, or both.
    #[error("cause `{0}` has no `signature`, or has a `state` beside it: expected one of them")]
    Signature(String),
    /// A signature that is no regular expression.
    #[error("cause `{id}`: `signature` is no regular expression: {why}")]
    Regex {
        /// The row.
        id: String,
        /// What is wrong with it.
        why: String,
    },
}
