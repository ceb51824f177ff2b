//! A YAML or JSON text as a tree in which everything knows its line and column.
//!
//! Knows nothing of inventories. A scalar is its text, so that `port: 0022` and `name: no` stay what they are.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, MergeKeyPolicy, NonFiniteFloatPolicy, Spanned};

use super::super::problem::Fault;

/// A line and a column, from 1.
pub(super) type At = (usize, usize);

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Nothing,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) at: At,
    pub(super) name: String,
}

impl Node {
    /// The value of a key, if this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Kind::Map(pairs) = &self.kind else { return None };
        pairs.iter().find(|(name, _)| name.name == key).map(|(_, node)| node)
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text) => Some(text),
            Kind::Nothing | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    fn new(raw: Spanned<Raw>, source: &str) -> Self {
        let kind = match raw.value {
            Raw::Nothing => Kind::Nothing,
            Raw::Text(text) => Kind::Scalar(text),
            Raw::Other(shown) => Kind::Scalar(spelling(raw.defined, source).unwrap_or(shown)),
            Raw::List(items) => Kind::List(items.into_iter().map(|item| Self::new(item, source)).collect()),
            Raw::Map(pairs) => {
                let pair = |(key, value): (Spanned<String>, Spanned<Raw>)| {
                    (Key { at: at(key.defined), name: key.value }, Self::new(value, source))
                };
                Kind::Map(pairs.into_iter().map(pair).collect())
            }
        };
        Self { at: at(raw.defined), kind }
    }
}

/// Reads a text into a tree. `syntax` is its name for messages: YAML or JSON.
pub(super) fn parse(text: &str, syntax: &str) -> Result<Node, (usize, Fault)> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Merge,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        with_snippet: false,
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
        Ok(raw) => Ok(Node::new(raw, text)),
        Err(error) => Err(wrong(&error, text, syntax)),
    }
}

/// The parser's own complaint, in our words where they are better.
fn wrong(error: &Error, text: &str, syntax: &str) -> (usize, Fault) {
    let error = error.without_snippet();
    let (line, column) = error.location().map_or((1, 1), at);
    let message = error.to_string();
    // The place is told in front of the message already.
    let message = message.split(" at line ").next().unwrap_or(&message).trim_end_matches([':', ',']).to_owned();
    let tab =
        text.lines().nth(line.saturating_sub(1)).is_some_and(|line| line.trim_start_matches(' ').starts_with('\t'));
    let fault = match error {
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map(|key| format!(" `{key}`")).unwrap_or_default();
            Fault::new(column, format!("the key{key} stands here twice")).hint("join the two, or remove one")
        }
        Error::MultipleDocuments { .. } => {
            Fault::new(column, "a second document").hint("an inventory is one document: remove the second `---`")
        }
        _ if tab && syntax == "YAML" => {
            Fault::new(column, "a tab in the indentation").hint("YAML is indented by spaces only")
        }
        _ => Fault::new(column, format!("not valid {syntax}: {message}")),
    };
    (line, fault)
}

fn at(location: Location) -> At {
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX).max(1);
    (number(location.line()), number(location.column()))
}

/// How a number or boolean is written in the file.
fn spelling(location: Location, source: &str) -> Option<String> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
    source.get(start..end).map(|text| text.trim().to_owned())
}

/// What serde sees. Its numbers and booleans are only notes that the text has to be taken from the file.
enum Raw {
    Nothing,
    Text(String),
    Other(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a list or a mapping")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = entries.next_entry()? {
            pairs.push(pair);
        }
        Ok(Raw::Map(pairs))
    }
}
