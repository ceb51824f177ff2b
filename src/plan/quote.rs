//! Text as one word of a POSIX shell: the only quoting function of the program.
//!
//! Must not know what the text is for, and must not be worked around: shell text is built from literals and from what
//! this file returns.

/// Quotes `text`, so that a POSIX shell reads it as one word, as it is. Plain words stay bare.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_quoted(&mut out, text);
    if out.is_empty() { "''".to_owned() } else { out }
}

/// A path that no program takes for an option. Not quoted.
#[must_use]
pub fn operand(path: &str) -> String {
    if path.starts_with('-') { format!("./{path}") } else { path.to_owned() }
}

/// Quotes a path, but leaves `*`, `?` and `[...]` in its last component to the shell.
#[must_use]
pub fn quote_glob(path: &str) -> String {
    let last = path.rfind('/').map_or(0, |slash| slash + 1);
    let (directory, name) = path.split_at(last);
    let mut out = String::with_capacity(path.len() + 2);
    push_quoted(&mut out, directory);
    push_pattern(&mut out, name);
    if out.is_empty() { "''".to_owned() } else { out }
}

/// Quotes a path, but leaves `*`, `?` and `[...]` in every component to the shell.
#[must_use]
pub fn quote_pattern(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 2);
    push_pattern(&mut out, path);
    if out.is_empty() { "''".to_owned() } else { out }
}

fn push_pattern(out: &mut String, name: &str) {
    let mut literal = String::new();
    let mut previous = ' ';
    for c in name.chars() {
        // A quoted `!` would no longer turn the meaning of the brackets round.
        let glob = matches!(c, '*' | '?' | '[' | ']') || (c == '!' && previous == '[');
        if glob {
            push_quoted(out, &literal);
            literal.clear();
            out.push(c);
        } else {
            literal.push(c);
        }
        previous = c;
    }
    push_quoted(out, &literal);
}

/// The words of a text, as Python's `shlex.split` finds them: quotes and backslashes, nothing else of the shell. `None` where
/// a quote has no other end.
#[must_use]
pub fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => loop {
                match chars.next()? {
                    '\'' => break,
                    c => word.get_or_insert_default().push(c),
                }
            },
            '"' => loop {
                let word = word.get_or_insert_default();
                match chars.next()? {
                    '"' => break,
                    '\\' => match chars.next()? {
                        c @ ('"' | '\\') => word.push(c),
                        c => word.extend(['\\', c]),
                    },
                    c => word.push(c),
                }
            },
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c => word.get_or_insert_default().push(c),
        }
        if c == '\'' {
            // An empty word is one too.
            word.get_or_insert_default();
        }
    }
    words.extend(word);
    Some(words)
}

fn push_quoted(out: &mut String, text: &str) {
    if text.bytes().all(is_plain) {
        out.push_str(text);
        return;
    }
    out.push('\'');
    for c in text.chars() {
        if c == '\'' {
            out.push_str(r"'\''");
        } else {
            out.push(c);
        }
    }
    out.push('\'');
}

/// Bytes that mean nothing to any shell, wherever they stand in a word. `=` and `~` do, in front.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@' | b'%' | b'+' | b':' | b',' | b'.' | b'/' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (text, want) in [
            ("", "''"),
            ("plain-word_1.2/3:4,5@6%7+8", "plain-word_1.2/3:4,5@6%7+8"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("'", r"''\'''"),
            ("$HOME `id` \"x\" \\", "'$HOME `id` \"x\" \\'"),
            ("~omm", "'~omm'"),
            ("A=b", "'A=b'"),
            ("a\nb", "'a\nb'"),
            ("größe", "'größe'"),
        ] {
            assert_eq!(quote(text), want, "{text:?}");
        }
    }

    #[test]
    fn globs() {
        for (path, want) in [
            ("/a/b", "/a/b"),
            ("/a b/instance_manual_start_*", "'/a b/'instance_manual_start_*"),
            ("/a*/b*", "'/a*/'b*"),
            ("/a/x y?[!0-9]z", "/a/'x y'?[!0-9]z"),
            ("/a/!", "/a/'!'"),
            ("*", "*"),
            ("", "''"),
        ] {
            assert_eq!(quote_glob(path), want, "{path:?}");
        }
    }

    #[test]
    fn a_shell_gives_it_back() {
        for text in ["", "it's", "a  b\t$(id) `id` ${x} \\ \" ! * ? [a] ~ # ; & | < > ( )", "-n", "a\n\nb"] {
            let script = format!("printf '%s.' {}", quote(text));
            let output = std::process::Command::new("sh").arg("-c").arg(script).output().expect("sh runs");
            assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{text}."));
        }
    }

    #[test]
    fn words_are_those_of_shlex() {
        let is = |text: &str, want: &[&str]| assert_eq!(split(text).unwrap(), want, "{text}");
        is("", &[]);
        is("  a  b\tc ", &["a", "b", "c"]);
        is("a'b c'd \"e \\\" f\" '' \\ x", &["ab cd", "e \" f", "", " x"]);
        is(r#""a\nb" a\nb"#, &["a\\nb", "anb"]);
        for bad in ["'", "a \"b", "\\"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
