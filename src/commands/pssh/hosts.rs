//! Hosts as pssh takes them: `[user@]host[:port] [user]`, each as often as it is named.

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

/// Whether a name fits a pattern as Python's `fnmatch` has it: `*`, `?`, `[a-z]`, `[!a-z]`.
pub(super) fn fits(pattern: &[char], name: &[char]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => fits(rest, name) || name.split_first().is_some_and(|(_, name)| fits(pattern, name)),
        (Some(('?', rest)), Some((_, name))) => fits(rest, name),
        (Some(('[', rest)), Some((c, tail))) => match class(rest) {
            Some((set, not, rest)) => in_class(set, *c) != not && fits(rest, tail),
            None => *c == '[' && fits(rest, tail),
        },
        (Some((one, rest)), Some((other, name))) => one == other && fits(rest, name),
        _ => false,
    }
}

/// What stands between brackets, whether it is turned round, and what comes after; `None` where they are not closed.
fn class(rest: &[char]) -> Option<(&[char], bool, &[char])> {
    let not = rest.first() == Some(&'!');
    let set = if not { &rest[1..] } else { rest };
    let end = 1 + set.iter().skip(1).position(|c| *c == ']')?;
    Some((&set[..end], not, &set[end + 1..]))
}

fn in_class(mut set: &[char], c: char) -> bool {
    while let Some((first, rest)) = set.split_first() {
        set = rest;
        if let ['-', last, more @ ..] = rest {
            if (*first..=*last).contains(&c) {
                return true;
            }
            set = more;
        } else if *first == c {
            return true;
        }
    }
    false
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
            let [pattern, name] = [pattern, name].map(|text| text.chars().collect::<Vec<_>>());
            assert_eq!(fits(&pattern, &name), want);
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
    }
}
