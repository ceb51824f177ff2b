//! The one place where text becomes a word of the shell.
//!
//! Nothing else in gsctl puts quotes around anything.

/// The text as one word of a POSIX shell, whatever is in it (a NUL cannot be).
#[must_use]
pub fn quote(text: &str) -> String {
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The path as one word in which `*`, `?` and `[...]` of the last component still match.
#[must_use]
pub fn quote_glob(path: &str) -> String {
    let (dir, last) = path.rsplit_once('/').map_or(("", path), |(_, last)| (&path[..path.len() - last.len()], last));
    let mut word = if dir.is_empty() { String::new() } else { quote(dir) };
    let chars: Vec<char> = last.chars().collect();
    let mut plain = String::new();
    let mut at = 0;
    while at < chars.len() {
        let end = if chars[at] == '[' { bracket_end(&chars, at) } else { None };
        match (chars[at], end) {
            ('*' | '?', _) => {
                flush(&mut word, &mut plain);
                word.push(chars[at]);
            }
            (_, Some(end)) => {
                flush(&mut word, &mut plain);
                for &c in &chars[at..=end] {
                    let special = matches!(c, '[' | ']' | '!' | '^');
                    if special || is_plain(c) { word.push(c) } else { word.push_str(&quote(&c.to_string())) }
                }
                at = end;
            }
            (c, None) => plain.push(c),
        }
        at += 1;
    }
    flush(&mut word, &mut plain);
    if word.is_empty() { quote("") } else { word }
}

fn flush(word: &mut String, plain: &mut String) {
    if !plain.is_empty() {
        word.push_str(&quote(plain));
        plain.clear();
    }
}

/// Where the bracket expression that opens at `open` ends. A `]` that comes first is a member.
fn bracket_end(chars: &[char], open: usize) -> Option<usize> {
    let negated = usize::from(matches!(chars.get(open + 1), Some('!' | '^')));
    let first = open + 1 + negated;
    (first + 1..chars.len()).find(|&at| chars[at] == ']')
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_./:@%+=,-".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (text, word) in [
            ("", "''"),
            ("/opt/app/bin", "/opt/app/bin"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("a\n", "'a\n'"),
            ("~", "'~'"),
        ] {
            assert_eq!(quote(text), word);
        }
    }

    #[test]
    fn patterns() {
        for (path, word) in [
            ("/a b/x_*", "'/a b/'x_*"),
            ("/a*/x", "'/a*/'x"),
            ("it's?", r"'it'\''s'?"),
            ("x[a-c]", "x[a-c]"),
            ("x[! b]", "x[!' 'b]"),
            ("x[", "'x['"),
            ("x[]]", "x[]]"),
            ("-*", "-*"),
        ] {
            assert_eq!(quote_glob(path), word);
        }
    }
}
