//! A line of a hosts file as words.
//!
//! Knows white space, comments, and quotes round a value; does not know what a word means.

use super::problem::{PieceError, quoted};

/// One word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// Column of its first character, from 1.
    pub(super) column: usize,
    /// The word as it stands in the line, quotes and all.
    pub(super) text: &'a str,
    /// Key and value, quotes taken off, where the word has a `=`.
    pub(super) pair: Option<(&'a str, String)>,
}

/// The words of a line. A `#` begins a comment at the start of a word only, so that `a#b` is a word.
pub(super) fn words(line: &str) -> Result<Vec<Word<'_>>, PieceError> {
    let mut words = Vec::new();
    let mut rest = line;
    let mut column = 1;
    loop {
        let trimmed = rest.trim_start();
        column += rest[..rest.len() - trimmed.len()].chars().count();
        rest = trimmed;
        if rest.is_empty() || rest.starts_with('#') {
            return Ok(words);
        }
        let (word, after) = word(rest, column)?;
        column += word.text.chars().count();
        words.push(word);
        rest = after;
    }
}

/// The first word of `rest`, and what is left.
fn word(rest: &str, column: usize) -> Result<(Word<'_>, &str), PieceError> {
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let Some((key, value)) = rest[..end].split_once('=') else {
        return Ok((Word { column, text: &rest[..end], pair: None }, &rest[end..]));
    };
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let pair = Some((key, value.to_owned()));
        return Ok((Word { column, text: &rest[..end], pair }, &rest[end..]));
    };
    let open = key.len() + 1;
    let at = column + key.chars().count() + 1;
    let (value, length) = unquote(&rest[open + 1..], quote).ok_or_else(|| {
        PieceError::new(at, format!("the quote after `{}=` is not closed", super::problem::harmless(key, 40)))
    })?;
    let end = open + 1 + length;
    let (text, after) = rest.split_at(end);
    if after.starts_with(|c: char| !c.is_whitespace()) {
        return Err(PieceError::new(
            column + text.chars().count(),
            format!("text follows the closing quote of {}", quoted(text)),
        )
        .hint(format!("put all of the value between the quotes, or a blank after {}", quoted(text))));
    }
    Ok((Word { column, text, pair: Some((key, value)) }, after))
}

/// The text up to the closing quote, and the bytes that it took, quote included.
/// Between double quotes a backslash keeps the `"` or `\` after it; between single quotes it is nothing special.
fn unquote(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some((value, at + 1));
        }
        match chars.peek() {
            Some((_, next @ ('"' | '\\'))) if c == '\\' && quote == '"' => {
                value.push(*next);
                chars.next();
            }
            _ => value.push(c),
        }
    }
    None
}

/// The value as it is written after `key=`: in quotes where it needs them.
pub(super) fn quote(value: &str) -> String {
    let plain = !value.is_empty() && !value.starts_with(['"', '\'']) && !value.contains(char::is_whitespace);
    if plain {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(line: &str, want: &[(usize, &str)]) {
        let words = words(line).unwrap();
        let got: Vec<(usize, &str)> = words.iter().map(|word| (word.column, word.text)).collect();
        assert_eq!(got, want, "{line}");
    }

    #[track_caller]
    fn value(line: &str, want: &str) {
        let words = words(line).unwrap();
        assert_eq!(words[0].pair.as_ref().map(|(_, value)| value.as_str()), Some(want), "{line}");
    }

    #[track_caller]
    fn bad(line: &str, column: usize, message: &str) {
        let fault = words(line).unwrap_err();
        assert_eq!((fault.column, fault.message.as_str()), (column, message));
    }

    #[test]
    fn blanks_and_comments() {
        case("", &[]);
        case("  \t ", &[]);
        case("# all of it", &[]);
        case("node1 # the rest", &[(1, "node1")]);
        case("node1#2", &[(1, "node1#2")]);
        case("\tnode1\tomm", &[(2, "node1"), (8, "omm")]);
        case("nöde k=v", &[(1, "nöde"), (6, "k=v")]);
        case("node1\u{3000}omm", &[(1, "node1"), (7, "omm")]);
        case("n k='a # b' # c", &[(1, "n"), (3, "k='a # b'")]);
    }

    #[test]
    fn values() {
        value("k=v", "v");
        value("k=a=b", "a=b");
        value("k=", "");
        value("k=\"\"", "");
        value("k='two words'", "two words");
        value("k=\"two  words\" x", "two  words");
        value(r#"k="a\"b\\c\d""#, r#"a"b\c\d"#);
        value(r"k='a\'", r"a\");
        value("k=it's", "it's");
    }

    #[test]
    fn quotes_that_do_not_fit() {
        bad("n k='a b", 5, "the quote after `k=` is not closed");
        bad("k='a'b", 6, "text follows the closing quote of `k='a'`");
    }

    #[test]
    fn what_is_quoted_reads_back() {
        for text in ["", "plain", "two words", "\"", "a\\", "\\ \"", "'x'", "#", "it's"] {
            value(&format!("k={}", quote(text)), text);
        }
    }
}
