//! Splits a line of an `ssh_config` file, and an `-o` option, into a keyword and its arguments.
//!
//! As ssh does: quotes of both kinds, backslashes, a `=` after the keyword, and a comment at the end. It knows no
//! keyword.

/// A line's keyword and arguments. `None` for a blank line or a comment.
pub(super) fn split(line: &str) -> Result<Option<(String, Vec<String>)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (keyword, rest) = if let Some(quoted) = line.strip_prefix('"') {
        quoted.split_once('"').ok_or("a quote is not closed")?
    } else {
        line.split_at(line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len()))
    };
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Ok(Some((keyword.to_owned(), arguments(rest)?)))
}

/// What follows the keyword, as it stands: a command is for the shell to take apart.
pub(super) fn rest(line: &str) -> &str {
    let line = line.trim();
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let rest = line[end..].trim_start();
    rest.strip_prefix('=').unwrap_or(rest).trim_start()
}

/// A word, and how it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// Without quotes.
    pub(super) text: String,
    /// As it stands there.
    pub(super) raw: &'a str,
}

fn arguments(text: &str) -> Result<Vec<String>, &'static str> {
    Ok(Word::all(text)?.into_iter().map(|word| word.text).collect())
}

impl<'a> Word<'a> {
    /// The words of a text, up to a comment.
    pub(super) fn all(text: &'a str) -> Result<Vec<Self>, &'static str> {
        let mut words = Vec::new();
        let mut chars = text.char_indices().peekable();
        loop {
            while chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
            let start = match chars.peek() {
                None | Some((_, '#')) => return Ok(words),
                Some((at, _)) => *at,
            };
            let mut word = String::new();
            let mut quote: Option<char> = None;
            let mut end = text.len();
            while let Some((at, c)) = chars.next() {
                match (c, quote) {
                    // A backslash before anything else stays, as in ssh.
                    ('\\', _) => match chars.peek() {
                        Some(&(_, next)) if matches!(next, '"' | '\'' | '\\') || (quote.is_none() && next == ' ') => {
                            word.push(next);
                            chars.next();
                        }
                        _ => word.push('\\'),
                    },
                    ('"' | '\'', None) => quote = Some(c),
                    (_, Some(open)) if c == open => quote = None,
                    (_, None) if c.is_whitespace() => {
                        end = at;
                        break;
                    }
                    _ => word.push(c),
                }
            }
            if quote.is_some() {
                return Err("a quote is not closed");
            }
            words.push(Self { text: word, raw: &text[start..end] });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(line: &str, want: &[&str]) {
        let (keyword, arguments) = split(line).unwrap().unwrap();
        let got: Vec<&str> = std::iter::once(keyword.as_str()).chain(arguments.iter().map(String::as_str)).collect();
        assert_eq!(got, want, "{line}");
    }

    #[test]
    fn a_command_keeps_its_quotes() {
        for line in [
            "ProxyCommand sh -c 'a \"b\"' # c",
            " ProxyCommand=sh -c 'a \"b\"' # c",
            "ProxyCommand = sh -c 'a \"b\"' # c ",
        ] {
            assert_eq!(rest(line), "sh -c 'a \"b\"' # c", "{line}");
        }
        assert_eq!(rest("ProxyCommand"), "");
    }

    #[test]
    fn lines() {
        case("Port 22", &["Port", "22"]);
        case("  Port=22  ", &["Port", "22"]);
        case("Port = 22", &["Port", "22"]);
        case("Port\t22\r", &["Port", "22"]);
        case("Port", &["Port"]);
        case("Host a b # c", &["Host", "a", "b"]);
        case("Host a#b", &["Host", "a#b"]);
        case(r#"IdentityFile "~/my keys/id""#, &["IdentityFile", "~/my keys/id"]);
        case(r"IdentityFile ~/my\ keys/id", &["IdentityFile", "~/my keys/id"]);
        case(r"IdentityFile 'it is' \x", &["IdentityFile", "it is", r"\x"]);
        case(r#"User """#, &["User", ""]);
        case(r#""Port" 22"#, &["Port", "22"]);
        let words = Word::all(r#"host a exec "test -e '/x y'" # c"#).unwrap();
        assert_eq!(words.iter().map(|word| word.raw).collect::<Vec<_>>(), ["host", "a", "exec", r#""test -e '/x y'""#]);
        assert_eq!(split("# Port 22"), Ok(None));
        assert_eq!(split("   "), Ok(None));
        assert!(split(r#"User "omm"#).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_panic(line: String) {
            let _ = split(&line);
        }
    }
}
