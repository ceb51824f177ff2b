//! Hosts as pssh takes them: `[user@]host[:port] [user]`, each as often as it is named.

use crate::text::wildcard_by;

/// A host as pssh knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Name or address, without brackets.
    pub(super) host: String,
    /// Port, where one is given.
    pub(super) port: Option<String>,
    /// Login name, where one is given.
    pub(super) user: Option<String>,
}

impl Entry {
    /// `[user@]host[:port]`.
    pub(super) fn parse(text: &str) -> Self {
        let (user, rest) = match text.split_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, text),
        };
        let (host, port) = match rest.rsplit_once(':') {
            // More colons without brackets are an IPv6 address, which pssh takes for a port.
            Some((host, port)) if (!host.contains(':') || host.ends_with(']')) && is_number(port) => {
                (host, Some(port.to_owned()))
            }
            _ => (rest, None),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Self { host: host.to_owned(), port, user }
    }

    /// The name in pssh's lines and files.
    pub(super) fn shown(&self, default_user: Option<&str>) -> String {
        let user = self.user.as_deref().filter(|user| Some(*user) != default_user);
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let port = self.port.as_ref().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{user}{}{port}", self.host)
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// One line of a hosts file; `None` is nothing.
///
/// # Errors
/// pssh's words for a line that it passes over.
pub(super) fn line(text: &str) -> Result<Option<Entry>, String> {
    let text = text.split('#').next().unwrap_or_default().trim();
    let mut fields = text.split_whitespace();
    let (Some(host), user, more) = (fields.next(), fields.next(), fields.next()) else { return Ok(None) };
    if more.is_some() {
        return Err(format!("Bad line: \"{text}\". Format should be [user@]host[:port] [user]"));
    }
    let mut entry = Entry::parse(host);
    if user.is_some() && entry.user.is_some() {
        return Err(format!("User specified twice in line: \"{text}\""));
    }
    entry.user = entry.user.or(user.map(str::to_owned));
    Ok(Some(entry))
}

/// A part of a pattern as Python's `fnmatch` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// `*`
    Any,
    /// `?`
    One,
    /// `[a-z]`, or `[!a-z]` where it is negated.
    Class(Vec<(char, char)>, bool),
    /// The character itself.
    Char(char),
}

/// A pattern as Python's `fnmatch` has it: `*`, `?`, `[a-z]`, `[!a-z]`.
pub(super) struct Glob(Vec<Part>);

impl Glob {
    pub(super) fn parse(text: &str) -> Self {
        let text: Vec<char> = text.chars().collect();
        let (mut parts, mut rest) = (Vec::new(), text.as_slice());
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            parts.push(match first {
                '*' => Part::Any,
                '?' => Part::One,
                '[' => match class(after) {
                    Some((part, after)) => {
                        rest = after;
                        part
                    }
                    None => Part::Char('['),
                },
                c => Part::Char(*c),
            });
        }
        Self(parts)
    }

    /// Whether it fits the whole name.
    pub(super) fn fits(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let fits = |part: &Part, c: &char| match part {
            Part::Any => false,
            Part::One => true,
            Part::Class(ranges, negated) => ranges.iter().any(|(from, to)| (from..=to).contains(&c)) != *negated,
            Part::Char(own) => own == c,
        };
        wildcard_by(&self.0, &name, |part| *part == Part::Any, fits)
    }
}

/// What stands between brackets, and what comes after; `None` where they are not closed.
fn class(rest: &[char]) -> Option<(Part, &[char])> {
    let negated = rest.first() == Some(&'!');
    let set = if negated { &rest[1..] } else { rest };
    let end = 1 + set.iter().skip(1).position(|c| *c == ']')?;
    let (mut inside, after) = (&set[..end], &set[end + 1..]);
    let mut ranges = Vec::new();
    while let Some((first, more)) = inside.split_first() {
        (inside, ranges) = match more {
            ['-', last, more @ ..] => (more, [ranges, vec![(*first, *last)]].concat()),
            _ => (more, [ranges, vec![(*first, *first)]].concat()),
        };
    }
    Some((Part::Class(ranges, negated), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        #[track_caller]
        fn case(text: &str, want: &str) {
            assert_eq!(line(text).unwrap().unwrap().shown(Some("me")), want);
        }
        case("n1", "n1");
        case(" root@n1:22 # comment", "root@n1:22");
        case("n1:2222 omm", "omm@n1:2222");
        case("me@n1", "n1");
        case("[::1]:22", "::1:22");
        case("2001:db8::7", "2001:db8::7");
        assert_eq!(line("# nothing").unwrap(), None);
        assert!(line("a b c").unwrap_err().starts_with("Bad line: \"a b c\""));
        assert!(line("u@a b").unwrap_err().starts_with("User specified twice"));
    }

    #[test]
    fn globs() {
        #[track_caller]
        fn case(pattern: &str, name: &str, want: bool) {
            assert_eq!(Glob::parse(pattern).fits(name), want, "{pattern} {name}");
        }
        case("*", "", true);
        case("n*1", "node1", true);
        case("n*1", "node12", false);
        case("node[1-3]", "node2", true);
        case("node[1-3]", "node4", false);
        case("node[!1-3]", "node4", true);
        case("[]x]", "]", true);
        case("[", "[", true);
        case("a?", "a", false);
        case("[a-c-]x", "-x", true);
        // Exponential where every star is tried at every place.
        case(&"*a".repeat(40), &"a".repeat(2000).replace("aaaaa", "b"), false);
    }
}
