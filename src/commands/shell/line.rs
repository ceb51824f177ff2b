//! A line of the shell: a command for the hosts, or a word that begins with `:`.

use std::time::Duration;

use crate::duration;
use crate::text::did_you_mean;

/// The words, each with what follows it and what it does.
pub(super) const WORDS: [(&str, &str, &str); 11] = [
    (
        ":hosts",
        "[SET]",
        "run on these hosts from now on, as in `:hosts node[1-3]`, `@primary`, `@all`; alone: say which",
    ),
    (":gather", "", "show identical output once, under the hosts that have it"),
    (":stream", "", "show lines as they come, with the host in front"),
    (":timeout", "[DUR]", "time for each command, `0` none; alone: say it"),
    (":push", "SRC... DEST", "copy to the hosts, with the options of `gsctl push`"),
    (":pull", "SRC DEST", "copy from the hosts, with the options of `gsctl pull`"),
    (":status", "", "which hosts are there, which were lost, and how the last line ended"),
    (":reconnect", "", "log in again to the hosts that were lost"),
    (":save", "FILE", "write what the last line printed, host by host, into a new file"),
    (":help", "", "this list"),
    (":quit", "", "end, as Ctrl-D does"),
];

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing.
    Empty,
    /// A command for the hosts.
    Command(String),
    /// `:hosts`
    Hosts(Option<String>),
    /// `:gather`
    Gather,
    /// `:stream`
    Stream,
    /// `:timeout`
    Timeout(Option<Duration>),
    /// `:push` or `:pull`, with their words.
    Copy(Vec<String>),
    /// `:status`
    Status,
    /// `:reconnect`
    Reconnect,
    /// `:save`
    Save(String),
    /// `:help`
    Help,
    /// `:quit`
    Quit,
}

/// Reads a line.
///
/// # Errors
/// Says what is wrong with a word of the shell.
pub(super) fn read(text: &str) -> Result<Line, String> {
    let line = text.trim();
    if line.is_empty() || (line.starts_with('#') && !line.contains('\n')) {
        return Ok(Line::Empty);
    }
    // `: > file` is a command like any other.
    if !line.starts_with(':') || line[1..].starts_with(|c: char| !c.is_ascii_alphabetic()) || line == ":" {
        return Ok(Line::Command(line.to_owned()));
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let given = || (!rest.is_empty()).then(|| rest.to_owned());
    let alone = |line: Line| if rest.is_empty() { Ok(line) } else { Err(format!("nothing can follow `{word}`")) };
    match word {
        ":hosts" => Ok(Line::Hosts(given())),
        ":gather" => alone(Line::Gather),
        ":stream" => alone(Line::Stream),
        ":timeout" => {
            let time = given().map(|text| duration::parse(&text)).transpose();
            time.map(Line::Timeout).map_err(|error| format!("`:timeout`: {error}"))
        }
        ":push" | ":pull" => {
            let mut words = vec![word[1..].to_owned()];
            words.extend(split(rest)?);
            Ok(Line::Copy(words))
        }
        ":status" => alone(Line::Status),
        ":reconnect" => alone(Line::Reconnect),
        ":save" => match &split(rest)?[..] {
            [file] => Ok(Line::Save(file.clone())),
            _ => Err("`:save` takes one file".to_owned()),
        },
        ":help" => alone(Line::Help),
        ":quit" | ":q" | ":exit" => alone(Line::Quit),
        other => {
            let near = did_you_mean(other, WORDS.iter().map(|(word, ..)| *word));
            let hint = near.unwrap_or_else(|| "`:help` lists them".to_owned());
            Err(format!("there is no word `{other}`; {hint}"))
        }
    }
}

/// Words, parted by blanks; quotes and backslashes hold a blank.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        return Err(format!("a `{open}` is not closed"));
    }
    words.extend(word);
    Ok(words)
}

/// Whether a shell would go on reading after this: a quote is open, or a `\` ends it.
pub(super) fn is_open(text: &str) -> bool {
    let mut quote = None;
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') if before.is_whitespace() => while chars.next_if(|c| *c != '\n').is_some() {},
            (None | Some('"'), '\\') => match chars.next() {
                None => return true,
                Some('\n') if chars.peek().is_none() => return true,
                Some(_) => {}
            },
            _ => {}
        }
        before = c;
    }
    quote.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_commands() {
        for (text, want) in [
            ("", Line::Empty),
            ("  # nothing", Line::Empty),
            (" uptime ", Line::Command("uptime".to_owned())),
            (": > /tmp/x", Line::Command(": > /tmp/x".to_owned())),
            (":", Line::Command(":".to_owned())),
            (":hosts", Line::Hosts(None)),
            (":hosts  node[1-2],@a ", Line::Hosts(Some("node[1-2],@a".to_owned()))),
            (":timeout 1m", Line::Timeout(Some(Duration::from_secs(60)))),
            (":timeout", Line::Timeout(None)),
            (":push 'a b' c\\ d /x", Line::Copy(["push", "a b", "c d", "/x"].map(str::to_owned).to_vec())),
            (":save \"数据\"", Line::Save("数据".to_owned())),
            (":q", Line::Quit),
        ] {
            assert_eq!(read(text), Ok(want), "{text}");
        }
        for (text, want) in [
            (":gahter", "there is no word `:gahter`; did you mean `:gather`?"),
            (":gather now", "nothing can follow `:gather`"),
            (":push 'a", "a `'` is not closed"),
            (":save", "`:save` takes one file"),
            (":timeout x", "`:timeout`: `x` is not a duration: write `60`, `90s`, `5m` or `1h30m`"),
        ] {
            assert_eq!(read(text), Err(want.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_goes_on() {
        for open in ["echo 'a", "echo \"a'", "a \\", "a \\\n", "echo \"\\\"", "echo 'a\nb", "x # it's\necho '"] {
            assert!(is_open(open), "{open}");
        }
        for whole in ["", "a", "echo 'a\nb'", "a \\\nb", "echo \"'\"", "x # it's", "echo 'a\\'", "a#'b'", "echo \\'"] {
            assert!(!is_open(whole), "{whole}");
        }
    }
}
