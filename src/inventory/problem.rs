//! What is wrong with a file, and where.
//!
//! Says it in words; does not print, and shows no control character that a file may hold.

use std::fmt;

use crate::text::is_hidden;

/// The longest piece of a file that a message repeats, in characters.
const LONGEST: usize = 80;

/// The kind of text that a problem is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// A hosts file.
    HostsFile,
    /// What a command printed, such as `cm_ctl view`.
    Output,
}

/// A place in a text, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of text it is in.
    pub text: Text,
    /// The file as the user named it, or the command whose output it is.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// The way out, where there is one.
    pub hint: Option<String>,
    /// The line itself, harmless on a terminal.
    pub excerpt: String,
}

impl Problem {
    /// A fault, and where it stands. The column counts in the line, which is given as it is in the text.
    pub(super) fn new(text: Text, file: &str, line: usize, excerpt: &str, fault: PieceError) -> Self {
        Self {
            text,
            file: file.to_owned(),
            line,
            column: fault.column,
            message: fault.message,
            hint: fault.hint,
            excerpt: harmless(excerpt.trim_end_matches('\r'), 200),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.text {
            Text::HostsFile => "hosts file",
            Text::Output => "output of",
        };
        let Self { file, line, column, message, .. } = self;
        write!(f, "{what} `{file}`, line {line}, column {column}: {message}")?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// An error in a piece of text, before its file and line are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PieceError {
    /// Column in the piece, from 1.
    pub(super) column: usize,
    /// What is wrong.
    pub(super) message: String,
    /// The way out.
    pub(super) hint: Option<String>,
}

impl PieceError {
    pub(super) fn new(column: usize, message: impl Into<String>) -> Self {
        Self { column, message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The text in backticks, control characters made visible, cut where it is too long to read.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", harmless(text, LONGEST))
}

/// The text without anything that a terminal would obey, at most `longest` characters of it.
pub(super) fn harmless(text: &str, longest: usize) -> String {
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == longest {
            out.push_str("...");
            break;
        }
        if (c.is_control() && c != '\t') || is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_what_and_the_way_out() {
        let problem = Problem {
            text: Text::HostsFile,
            file: "hosts".to_owned(),
            line: 7,
            column: 5,
            message: "`node[3-1]` is an empty range".to_owned(),
            hint: Some("write the smaller number first: `node[1-3]`".to_owned()),
            excerpt: "node[3-1]".to_owned(),
        };
        assert_eq!(
            problem.to_string(),
            "hosts file `hosts`, line 7, column 5: `node[3-1]` is an empty range\nhint: write the smaller number first: `node[1-3]`"
        );
    }

    #[test]
    fn text_from_a_file_is_harmless() {
        assert_eq!(quoted("a\u{1b}[2Jb"), "`a\\u{1b}[2Jb`");
        for hidden in ["ad", "61c", "200b", "2028", "202e", "fff9", "e0041"] {
            let c = u32::from_str_radix(hidden, 16).ok().and_then(char::from_u32).unwrap();
            assert_eq!(quoted(&format!("a{c}b")), format!("`a\\u{{{hidden}}}b`"));
        }
        assert_eq!(quoted(&"x".repeat(100)), format!("`{}...`", "x".repeat(80)));
    }
}
