//! A YAML file as a tree in which everything knows its place.
//!
//! Must not know what a playbook is. The parser is `serde-saphyr`; a tree and not derived types, because "text or a list
//! of text" and "one action of twelve" lose their line and column in serde's untagged enums, and because `is: yes` and
//! `mode: 0600` must stay the text they are.

use serde_saphyr::{DuplicateKeyPolicy, Error, Location, MergeKeyPolicy, NonFiniteFloatPolicy, Spanned};

use super::problem::{Complaint, Position, any_of};
use crate::text::did_you_mean;
use crate::yaml::{Raw, spelling};

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub at: Position,
    pub kind: NodeKind,
}

/// What a value is. A scalar is its text: what it means is up to who reads it.
#[derive(Debug, Clone)]
pub(super) enum NodeKind {
    Nothing,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Text, Node)>),
}

/// Text and its place.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub at: Position,
    pub value: String,
    /// Characters of the file from `at` to the first of the value, where the value stands in the file as it is.
    pub skip: Option<usize>,
}

impl Text {
    /// The place of a byte of the value, as near as is known.
    pub(super) fn place(&self, offset: usize) -> Position {
        match self.skip {
            Some(skip) => self.at.right(skip + self.value[..offset].chars().count()),
            None => self.at,
        }
    }
}

/// Reads a file into a tree.
pub(super) fn parse(text: &str) -> Result<Node, Complaint> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        // They are kept for nobody, and more than a few in a row would be an error.
        emit_comments: false,
        budget: serde_saphyr::budget! { max_depth: 32 },
    };
    // The byte offsets are counted without the mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Ok(Node::new(raw, text)),
        Err(error) => Err(syntax(&error, text)),
    }
}

impl Node {
    fn new(raw: Spanned<Raw>, source: &str) -> Self {
        let place = at(raw.defined);
        let kind = match raw.value {
            Raw::Nothing => NodeKind::Nothing,
            Raw::Text(text) => NodeKind::Scalar(text),
            Raw::Other(shown) => NodeKind::Scalar(spelling(raw.defined, source).unwrap_or(shown)),
            Raw::List(items) => NodeKind::List(items.into_iter().map(|item| Self::new(item, source)).collect()),
            Raw::Map(pairs) => NodeKind::Map(
                pairs
                    .into_iter()
                    .map(|(key, value)| {
                        let key = Text { at: at(key.defined), value: key.value, skip: None };
                        (key, Self::new(value, source))
                    })
                    .collect(),
            ),
        };
        Self { at: place, kind }
    }

    /// What it is, for messages.
    fn found(&self) -> String {
        match &self.kind {
            NodeKind::Nothing => "nothing".to_owned(),
            NodeKind::Scalar(text) => format!("`{text}`"),
            NodeKind::List(_) => "a list".to_owned(),
            NodeKind::Map(_) => "a mapping".to_owned(),
        }
    }

    /// A complaint that this is not what `what` must be.
    pub(super) fn wrong(&self, what: &str, expected: &str) -> Complaint {
        Complaint::new(self.at, format!("{what} must be {expected}, found {}", self.found()))
    }

    /// One text.
    pub(super) fn text(&self, what: &str) -> Result<Text, Complaint> {
        match &self.kind {
            NodeKind::Scalar(value) => {
                // Plain, quoted without escapes, or something whose characters can't be found again.
                let skip = match self.at.len.checked_sub(value.chars().count()) {
                    _ if value.contains('\n') => None,
                    Some(0) => Some(0),
                    Some(2) => Some(1),
                    _ => None,
                };
                Ok(Text { at: self.at, value: value.clone(), skip })
            }
            NodeKind::Nothing | NodeKind::List(_) | NodeKind::Map(_) => {
                let complaint = self.wrong(what, "text");
                let braces = matches!(&self.kind, NodeKind::Map(pairs) if matches!(pairs.as_slice(), [(_, Node { kind: NodeKind::Nothing, .. })]));
                Err(if braces { complaint.hint("put quotes round text that begins with `{`") } else { complaint })
            }
        }
    }

    /// One text, or a list of them; at least one.
    pub(super) fn texts(&self, what: &str) -> Result<Vec<Text>, Complaint> {
        match &self.kind {
            NodeKind::List(items) if !items.is_empty() => items.iter().map(|item| item.text(what)).collect(),
            NodeKind::Scalar(_) | NodeKind::Map(_) => Ok(vec![self.text(what)?]),
            NodeKind::Nothing | NodeKind::List(_) => Err(self.wrong(what, "text or a list of text")),
        }
    }

    /// A list.
    pub(super) fn list(&self, what: &str) -> Result<&[Node], Complaint> {
        match &self.kind {
            NodeKind::List(items) => Ok(items),
            NodeKind::Nothing | NodeKind::Scalar(_) | NodeKind::Map(_) => Err(self.wrong(what, "a list")),
        }
    }

    /// One thing, or a list of things.
    pub(super) fn one_or_many(&self) -> &[Node] {
        match &self.kind {
            NodeKind::List(items) => items,
            NodeKind::Nothing | NodeKind::Scalar(_) | NodeKind::Map(_) => std::slice::from_ref(self),
        }
    }

    /// A mapping with keys of its own choice.
    pub(super) fn pairs(&self, what: &str) -> Result<&[(Text, Node)], Complaint> {
        match &self.kind {
            NodeKind::Map(pairs) => Ok(pairs),
            NodeKind::Nothing | NodeKind::Scalar(_) | NodeKind::List(_) => Err(self.wrong(what, "a mapping")),
        }
    }

    /// A mapping with these keys and no others.
    pub(super) fn fields<'n>(&'n self, what: &'n str, keys: &[&str]) -> Result<Fields<'n>, Complaint> {
        let pairs = self.pairs(what)?;
        for (key, _) in pairs {
            if !keys.contains(&key.value.as_str()) {
                let message =
                    format!("unknown key `{}` in {what}, expected {}", key.value, any_of(keys.iter().copied()));
                return Err(Complaint::new(key.at, message).maybe_hint(did_you_mean(&key.value, keys.iter().copied())));
            }
        }
        Ok(Fields { what, at: self.at, pairs })
    }
}

/// A mapping whose keys are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'n> {
    what: &'n str,
    /// Where the mapping begins.
    pub at: Position,
    pairs: &'n [(Text, Node)],
}

impl<'n> Fields<'n> {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// A key and its value.
    pub(super) fn entry(&self, key: &str) -> Option<(&'n Text, &'n Node)> {
        self.pairs.iter().find(|(name, _)| name.value == key).map(|(name, value)| (name, value))
    }

    /// All keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'n Text> + use<'n> {
        self.pairs.iter().map(|(name, _)| name)
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &str) -> Result<&'n Node, Complaint> {
        self.get(key).ok_or_else(|| Complaint::new(self.at, format!("{} has no `{key}`", self.what)))
    }

    /// The text of a key.
    pub(super) fn text(&self, key: &str) -> Result<Option<Text>, Complaint> {
        self.get(key).map(|node| node.text(&format!("`{key}`"))).transpose()
    }

    /// The text of a key, without its place.
    pub(super) fn string(&self, key: &str) -> Result<Option<String>, Complaint> {
        Ok(self.text(key)?.map(|text| text.value))
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, Complaint> {
        self.get(key)
            .map(|node| match &node.kind {
                NodeKind::Scalar(text) if text == "true" => Ok(true),
                NodeKind::Scalar(text) if text == "false" => Ok(false),
                _ => Err(node.wrong(&format!("`{key}`"), "`true` or `false`")),
            })
            .transpose()
    }
}

fn at(location: Location) -> Position {
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Position {
        line: number(location.line()),
        column: number(location.column()),
        len: number(location.span().len()).max(1),
    }
}

/// The parser's own complaint, in our words where they are better.
fn syntax(error: &Error, text: &str) -> Complaint {
    let error = error.without_snippet();
    let place = error.location().map(at).unwrap_or_default();
    let line = text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    // The parser tells about the line after, or the one with the tab, depending on what stands before.
    let tab = text
        .lines()
        .enumerate()
        .take(place.line.max(1))
        .skip(place.line.saturating_sub(2))
        .find(|(_, line)| line.trim_start_matches(' ').starts_with('\t'));
    if let Some((number, line)) = tab {
        let column = 1 + line.chars().take_while(|c| *c == ' ').count();
        let place = Position { line: number + 1, column, len: 1 };
        return Complaint::new(place, "a tab in the indentation, expected spaces")
            .hint("YAML is indented by spaces only");
    }
    match error {
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map(|key| format!(" `{key}`")).unwrap_or_default();
            Complaint::new(place, format!("the key{key} stands here twice")).hint("join the two, or remove one")
        }
        Error::MultipleDocuments { .. } => Complaint::new(place, "a second document, expected one")
            .hint("a playbook is one document: remove the `---`"),
        _ => {
            let message = error.to_string();
            // The place stands in front of the message already.
            let message = message.split(" at line ").next().unwrap_or(&message).trim_end_matches([':', ',']).to_owned();
            Complaint::new(place, format!("not valid YAML: {message}")).maybe_hint(syntax_hint(&message, line))
        }
    }
}

/// What most likely went wrong in a line that is not YAML.
fn syntax_hint(message: &str, line: &str) -> Option<String> {
    let value = line.split_once(": ").map_or(line, |(_, value)| value).trim_start_matches([' ', '-']);
    let hint = if message.contains("quoted scalar") {
        "a quote is opened above and not closed".to_owned()
    } else if value.starts_with('{') && value.contains('}') && !value.trim_end().ends_with('}') {
        "put quotes round text that begins with `{`".to_owned()
    } else if value.contains(": ") && !value.starts_with(['{', '[', '"', '\'']) {
        "put quotes round text that holds `: `".to_owned()
    } else if let Some(c) = value.chars().next().filter(|c| "@`%*&!|>".contains(*c)) {
        format!("put quotes round text that begins with `{c}`")
    } else {
        return None;
    };
    Some(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_may_be_many() {
        let comments = |indent: &str| format!("{indent}# one\n").repeat(200);
        let text = format!("{}a:\n{}  - b: c\n{}    d: e\n", comments(""), comments("  "), comments("    "));
        assert_eq!(parse(&text).expect("parses").fields("it", &["a"]).expect("fields").keys().count(), 1);
    }

    #[test]
    fn text_stays_what_it_is() {
        let node =
            parse("\u{feff}on: yes\r\nmode: 0600\r\nlist: [1.10, true, 0x10, 'no', \"~\", 1e3]\r\n").expect("parses");
        let fields = node.fields("it", &["on", "mode", "list"]).expect("fields");
        let text = |key| fields.string(key).expect("text").expect("there");
        assert_eq!((text("on").as_str(), text("mode").as_str()), ("yes", "0600"));
        let list: Vec<_> = fields.need("list").expect("list").texts("it").expect("texts");
        let list: Vec<_> = list.iter().map(|text| text.value.as_str()).collect();
        assert_eq!(list, ["1.10", "true", "0x10", "no", "~", "1e3"]);
    }

    #[test]
    fn places_in_a_text() {
        let node = parse("a: x{b}\nc: \"x{b}\"\nd: |\n  x{b}\n").expect("parses");
        let fields = node.fields("it", &["a", "c", "d"]).expect("fields");
        for (key, line, column) in [("a", 1, 5), ("c", 2, 6), ("d", 4, 3)] {
            let at = fields.text(key).expect("text").expect("there").place(1);
            assert_eq!((at.line, at.column), (line, column), "{key}");
        }
    }

    #[test]
    fn refused() {
        for (text, line, column, message, hint) in [
            ("a:\n\t- b\n", 2, 1, "a tab in the indentation, expected spaces", "YAML is indented by spaces only"),
            ("a: 1\na: 2\n", 2, 1, "the key `a` stands here twice", "join the two, or remove one"),
            (
                "a: b: c\n",
                1,
                5,
                "not valid YAML: mapping values are not allowed in this context",
                "put quotes round text that holds `: `",
            ),
            (
                "a: {b}/x\n",
                1,
                7,
                "not valid YAML: while parsing a block mapping, did not find expected key",
                "put quotes round text that begins with `{`",
            ),
            (
                "a: 'x\n",
                2,
                1,
                "not valid YAML: invalid indentation in multiline quoted scalar",
                "a quote is opened above and not closed",
            ),
            ("a: @b", 1, 4, "not valid YAML: unexpected character: `@'", "put quotes round text that begins with `@`"),
            (
                "a: b\n---\nc: d\n",
                3,
                1,
                "a second document, expected one",
                "a playbook is one document: remove the `---`",
            ),
        ] {
            let complaint = parse(text).expect_err(text);
            assert_eq!((complaint.at.line, complaint.at.column), (line, column), "{text:?}");
            assert_eq!((complaint.message.as_str(), complaint.hint.as_deref()), (message, Some(hint)), "{text:?}");
        }
    }
}
