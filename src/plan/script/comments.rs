//! Shell text without its comments: a playbook's scripts are sent once a second and more, and the node reads no comments.
//!
//! Leaves a text as it is where it cannot tell for certain what is a comment.

/// Where the scanner is inside a script.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    SingleQuotes,
    DoubleQuotes,
    /// Inside `$( )`, with so many parentheses open.
    Substitution(usize),
}

/// The script without blank lines and without lines that hold nothing but a comment. Lines of a quoted text stay, whatever they look
/// like.
#[must_use]
pub fn without_comments(text: &str) -> String {
    // A here-document may hold anything.
    if text.contains("<<") { text.to_owned() } else { strip(text).unwrap_or_else(|| text.to_owned()) }
}

/// A script of our own without comments, blank lines and indentation: in none of ours does a quoted text have them.
#[must_use]
pub fn own_lines(script: &str) -> String {
    let lines = script.lines().map(str::trim_start);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect()
}

/// `None`: the quotes do not come out even, or the text has something in it that only some shells know.
fn strip(text: &str) -> Option<String> {
    let mut kept = String::with_capacity(text.len());
    let mut open: Vec<Context> = Vec::new();
    let mut continued = false;
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        let quoted = open.iter().any(|context| !matches!(context, Context::Substitution(_)));
        if !quoted && !continued && (bare.is_empty() || bare.starts_with('#')) {
            continue;
        }
        kept.push_str(line);
        continued = scan(line.trim_end_matches('\n'), &mut open)?;
    }
    open.is_empty().then_some(kept)
}

/// Follows the quotes of one line; whether the next line belongs to it.
fn scan(line: &str, open: &mut Vec<Context>) -> Option<bool> {
    let mut previous = ' ';
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (open.last().copied(), c) {
            (Some(Context::SingleQuotes), '\'') | (Some(Context::DoubleQuotes), '"') => drop(open.pop()),
            (Some(Context::SingleQuotes), _) => {}
            // With it goes the character that it quotes, if the line has one more.
            (context, '\\') if chars.next().is_none() => return Some(context != Some(Context::DoubleQuotes)),
            (_, '$') if chars.peek() == Some(&'(') => {
                chars.next();
                open.push(Context::Substitution(0));
            }
            (Some(Context::DoubleQuotes), _) => {}
            // Only some shells know `$'...'`.
            (_, '\'') if previous == '$' => return None,
            (_, '\'') => open.push(Context::SingleQuotes),
            (_, '"') => open.push(Context::DoubleQuotes),
            (_, '#') if previous.is_whitespace() || ";&|()".contains(previous) => return Some(false),
            (Some(Context::Substitution(_)), '(' | ')') => parenthesis(c, open),
            _ => {}
        }
        previous = c;
    }
    Some(false)
}

fn parenthesis(c: char, open: &mut Vec<Context>) {
    match (open.pop(), c) {
        (Some(Context::Substitution(depth)), '(') => open.push(Context::Substitution(depth + 1)),
        (Some(Context::Substitution(depth @ 1..)), _) => open.push(Context::Substitution(depth - 1)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines_go_and_nothing_else_does() {
        for (text, want) in [
            ("# a\n\n  # b\necho 1 # c\n", "echo 1 # c\n"),
            ("echo '\n# kept\n\n'\n# gone\n", "echo '\n# kept\n\n'\n"),
            ("echo \"\n# kept $(date\n)\n# kept\"\n# gone", "echo \"\n# kept $(date\n)\n# kept\"\n"),
            ("x=$(\n# gone\ndate)\n# gone\n", "x=$(\ndate)\n"),
            ("x=\"$(echo \"it's\" 'a')\" # don't\n# gone\n", "x=\"$(echo \"it's\" 'a')\" # don't\n"),
            ("echo a \\\n# part of it\n# gone\n", "echo a \\\n# part of it\n"),
            ("echo ${x#\"a\"} $# \\' a#'b\n# kept'\n# gone\n", "echo ${x#\"a\"} $# \\' a#'b\n# kept'\n"),
            ("x=$((1 + (2)))\n# gone\necho", "x=$((1 + (2)))\necho"),
        ] {
            assert_eq!(without_comments(text), want, "{text}");
        }
    }

    #[test]
    fn in_doubt_a_text_stays_as_it_is() {
        for text in ["cat <<end\n# kept\nend\n", "echo $'it\\'s'\n# kept\n", "echo 'open\n# kept\n"] {
            assert_eq!(without_comments(text), text);
        }
    }
}
