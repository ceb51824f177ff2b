//! A YAML or JSON text as a tree in which everything knows its line and column.
//!
//! Knows nothing of inventories. A scalar is its text, so that `port: 0022` and `name: no` stay what they are.

use serde_saphyr::{DuplicateKeyPolicy, Error, Location, MergeKeyPolicy, NonFiniteFloatPolicy, Spanned};

use super::super::problem::PieceError;
use crate::yaml::{Raw, spelling};

/// A line and a column, from 1.
pub(in crate::inventory) type Position = (usize, usize);

/// A value and its place.
#[derive(Debug, Clone)]
pub(in crate::inventory) struct TreeNode {
    pub(in crate::inventory) at: Position,
    pub(in crate::inventory) kind: TreeKind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(in crate::inventory) enum TreeKind {
    Nothing,
    /// A number, a word: text without quotes. Others than Ansible's variables are names, which it is as it is.
    Plain(String),
    /// Text in quotes, or a block.
    Scalar(String),
    List(Vec<TreeNode>),
    Map(Vec<(TreeKey, TreeNode)>),
}

/// A key and its place.
#[derive(Debug, Clone)]
pub(in crate::inventory) struct TreeKey {
    pub(in crate::inventory) at: Position,
    pub(in crate::inventory) name: String,
}

impl TreeNode {
    /// The value of a key, if this is a mapping that has it.
    pub(in crate::inventory) fn get(&self, key: &str) -> Option<&Self> {
        let TreeKind::Map(pairs) = &self.kind else { return None };
        pairs.iter().find(|(name, _)| name.name == key).map(|(_, node)| node)
    }

    /// The text, if it is one.
    pub(in crate::inventory) fn text(&self) -> Option<&str> {
        match &self.kind {
            TreeKind::Plain(text) | TreeKind::Scalar(text) => Some(text),
            TreeKind::Nothing | TreeKind::List(_) | TreeKind::Map(_) => None,
        }
    }

    fn new(raw: Spanned<Raw>, source: &str) -> Self {
        let kind = match raw.value {
            Raw::Nothing => TreeKind::Nothing,
            Raw::Text(text) => match spelling(raw.defined, source) {
                Some(written) if written == text => TreeKind::Plain(text),
                _ => TreeKind::Scalar(text),
            },
            Raw::Other(shown) => TreeKind::Plain(spelling(raw.defined, source).unwrap_or(shown)),
            Raw::List(items) => TreeKind::List(items.into_iter().map(|item| Self::new(item, source)).collect()),
            Raw::Map(pairs) => {
                let pair = |(key, value): (Spanned<String>, Spanned<Raw>)| {
                    (TreeKey { at: at(key.defined), name: key.value }, Self::new(value, source))
                };
                TreeKind::Map(pairs.into_iter().map(pair).collect())
            }
        };
        Self { at: at(raw.defined), kind }
    }
}

/// Reads a text into a tree. `syntax` is its name for messages: YAML or JSON.
pub(in crate::inventory) fn parse(text: &str, syntax: &str) -> Result<TreeNode, (usize, PieceError)> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Merge,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        with_snippet: false,
        // They are kept for nobody, and more than a few in a row would be an error.
        emit_comments: false,
        // `!vault` and `!unsafe` are text to gsctl.
        reject_unsupported_tags: false,
        // As much as a cluster of a hundred thousand hosts takes.
        budget: serde_saphyr::budget! {
            max_depth: 64,
            max_nodes: 20_000_000,
            max_events: 60_000_000,
            max_total_scalar_bytes: 256 << 20,
        },
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Ok(TreeNode::new(raw, text)),
        Err(error) => Err(wrong(&error, text, syntax)),
    }
}

/// The parser's own complaint, in our words where they are better.
fn wrong(error: &Error, text: &str, syntax: &str) -> (usize, PieceError) {
    let error = error.without_snippet();
    let (line, column) = error.location().map_or((1, 1), at);
    let message = error.to_string();
    // The place stands in front of the message already.
    let message = message.split(" at line ").next().unwrap_or(&message).trim_end_matches([':', ',']).to_owned();
    let tab =
        text.lines().nth(line.saturating_sub(1)).is_some_and(|line| line.trim_start_matches(' ').starts_with('\t'));
    let fault = match error {
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map(|key| format!(" `{key}`")).unwrap_or_default();
            PieceError::new(column, format!("the key{key} stands here twice")).hint("join the two, or remove one")
        }
        Error::MultipleDocuments { .. } => {
            PieceError::new(column, "a second document").hint("an inventory is one document: remove the second `---`")
        }
        _ if tab && syntax == "YAML" => {
            PieceError::new(column, "a tab in the indentation").hint("YAML is indented by spaces only")
        }
        _ => PieceError::new(column, format!("not valid {syntax}: {message}")),
    };
    (line, fault)
}

fn at(location: Location) -> Position {
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX).max(1);
    (number(location.line()), number(location.column()))
}
