//! What is wrong with a playbook, and where.
//!
//! Must not decide what is wrong: only says it.

use std::fmt;

use crate::text::is_hidden;

/// A place in a playbook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// From 1; 0 where the place is the whole file.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Characters to underline.
    pub len: usize,
}

impl Position {
    /// A place `offset` characters to the right, one character long.
    pub(super) fn right(self, offset: usize) -> Self {
        Self { line: self.line, column: self.column + offset, len: 1 }
    }
}

/// A fault in the file that is being read. Becomes a [`Problem`] once it is known which file that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub at: Position,
    pub message: String,
    pub hint: Option<String>,
}

impl Complaint {
    pub(super) fn new(at: Position, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    pub(super) fn in_file(self, file: &str, text: &str) -> Problem {
        let snippet = snippet(text, self.at);
        let Self { at, message, hint } = self;
        Problem { file: file.to_owned(), line: at.line, column: at.column, message, hint, snippet }
    }
}

/// What is wrong with a playbook, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The playbook, as it was named.
    pub file: String,
    /// From 1; 0 where the fault is the whole file.
    pub line: usize,
    /// From 1, in characters; 0 where the fault is the whole file.
    pub column: usize,
    /// What was found and what was expected.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line of the file, with a mark below it.
    pub snippet: Option<String>,
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "playbook `{}`", self.file)?;
        if self.line > 0 {
            write!(f, ", line {}, column {}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(snippet) = &self.snippet {
            write!(f, "\n{snippet}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

/// The line with a mark below; not more of it than fits beside its number on a narrow terminal.
fn snippet(text: &str, at: Position) -> Option<String> {
    const WIDTH: usize = 100;
    let line = text.lines().nth(at.line.checked_sub(1)?)?;
    let line = if at.line == 1 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
    let start = at.column.saturating_sub(1);
    let skipped = if start >= WIDTH { start - WIDTH / 2 } else { 0 };
    // One character a column: tabs and control characters would shift the mark, or worse.
    let shown: String =
        line.chars().skip(skipped).take(WIDTH).map(|c| if c.is_control() || is_hidden(c) { ' ' } else { c }).collect();
    if shown.trim().is_empty() {
        return None;
    }
    let room = shown.chars().count().saturating_sub(start - skipped).max(1);
    let mark = "^".repeat(at.len.clamp(1, room));
    let number = at.line.to_string();
    let gutter = " ".repeat(number.len());
    let indent = " ".repeat(start - skipped);
    Some(format!("{gutter} |\n{number} | {}\n{gutter} | {indent}{mark}", shown.trim_end()))
}

/// `one of ...`, for keys and values.
pub(super) fn any_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        _ => format!("one of {}", quoted.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_like_this() {
        let complaint = Complaint::new(Position { line: 2, column: 1, len: 6 }, "unknown key `steeps`")
            .hint("did you mean `steps`?");
        let problem = complaint.in_file("my.yaml", "name: x\nsteeps: []\n");
        assert_eq!(
            problem.to_string(),
            "playbook `my.yaml`, line 2, column 1: unknown key `steeps`\n  |\n2 | steeps: []\n  | ^^^^^^\n\
             hint: did you mean `steps`?"
        );
    }

    #[test]
    fn a_place_outside_the_text_has_no_snippet() {
        for at in [Position::default(), Position { line: 9, column: 1, len: 1 }] {
            assert_eq!(Complaint::new(at, "x").in_file("f", "a\nb").snippet, None);
        }
    }

    #[test]
    fn a_long_line_is_cut_round_the_place() {
        let text = format!("{}x{}", "a".repeat(300), "b".repeat(300));
        let snippet =
            Complaint::new(Position { line: 1, column: 301, len: 1 }, "").in_file("f", &text).snippet.expect("snippet");
        let lines: Vec<_> = snippet.lines().collect();
        assert_eq!(lines[1].chars().nth(lines[2].find('^').expect("a mark")), Some('x'));
        assert!(lines[1].len() < 120);
    }
}
