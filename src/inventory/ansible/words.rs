//! A line of an Ansible INI inventory as words, as Python's `shlex` parts them.

use super::super::problem::PieceError;

/// One word of a line, quotes taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Column of its first character, from 1.
    pub(super) column: usize,
    /// The word.
    pub(super) text: String,
}

/// The words of a line. A `#` begins a comment wherever it stands outside quotes.
pub(super) fn words(line: &str) -> Result<Vec<Word>, PieceError> {
    let mut words: Vec<Word> = Vec::new();
    let mut inside = false;
    let mut quote: Option<(usize, char)> = None;
    let mut chars = (1..).zip(line.chars()).peekable();
    while let Some((column, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            inside = false;
            continue;
        }
        if quote.is_none() && c == '#' {
            return Ok(words);
        }
        if !inside {
            words.push(Word { column, text: String::new() });
            inside = true;
        }
        let Some(word) = words.last_mut() else { continue };
        match (c, quote) {
            ('\\', None | Some((_, '"'))) => {
                let Some((_, next)) = chars.next() else {
                    return Err(PieceError::new(column, "nothing follows the `\\`"));
                };
                if quote.is_some() && !matches!(next, '"' | '\\') {
                    word.text.push('\\');
                }
                word.text.push(next);
            }
            ('"' | '\'', None) => quote = Some((column, c)),
            (c, Some((_, open))) if c == open => quote = None,
            _ => word.text.push(c),
        }
    }
    match quote {
        Some((column, _)) => Err(PieceError::new(column, "the quote is not closed")),
        None => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(line: &str, want: &[(usize, &str)]) {
        let words = words(line).unwrap();
        let got: Vec<(usize, &str)> = words.iter().map(|word| (word.column, word.text.as_str())).collect();
        assert_eq!(got, want, "{line}");
    }

    #[test]
    fn as_shlex() {
        case("", &[]);
        case("  # all", &[]);
        case("n1 a=1#x", &[(1, "n1"), (4, "a=1")]);
        case("n1 a='x y' b=\"z \\\" \\n\" c=d\\ e", &[(1, "n1"), (4, "a=x y"), (12, "b=z \" \\n"), (24, "c=d e")]);
        case("n1 a='-o X=\"y z\"'", &[(1, "n1"), (4, "a=-o X=\"y z\"")]);
        assert_eq!(words("n1 a='x").unwrap_err().column, 6);
        assert!(words("n1 a\\").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_panic(line: String) {
            let _ = words(&line);
        }
    }
}
