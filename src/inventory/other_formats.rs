//! Files that are no hosts files, and how to tell.
//!
//! Guesses from a line; only ever used to say more about what would be refused, or misread, anyway.

use super::spec::is_address;

/// What a file is whose first line that counts looks like this, and what to do about it.
pub(super) fn whole_file(line: &str) -> Option<(&'static str, &'static str)> {
    let line = line.trim();
    let guess = if line.starts_with('{') || matches!(line, "[" | "[{" | "[]") {
        ("JSON", "a hosts file has one host a line; see hosts.example")
    } else if line.starts_with("NodeHeader:") {
        ("the output of `cm_ctl view`", "make a hosts file from it: `gsctl hosts --from-cm-view FILE`")
    } else if line == "---" || line.starts_with("%YAML") || line.starts_with("- ") || is_yaml_key(line) {
        ("YAML", "a hosts file has one host a line; see hosts.example")
    } else if line.starts_with('<') {
        (
            "XML",
            "a hosts file has one host a line; `gsctl hosts --from-cm-view FILE` makes one of what `cm_ctl view` prints",
        )
    } else if line.starts_with("-----BEGIN ") {
        ("a key or certificate", "the hosts file is `--hosts-file`, the key `--identity`")
    } else if is_known_hosts(line) {
        ("a known_hosts or authorized_keys file", "a hosts file has one host a line, without keys")
    } else {
        return None;
    };
    Some(guess)
}

/// `all:`, `hosts:`: a key alone on its line. `2001:db8::` is an address.
fn is_yaml_key(line: &str) -> bool {
    let key = line.split(" #").next().unwrap_or(line).trim_end();
    key.strip_suffix(':')
        .is_some_and(|key| !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)))
}

fn is_known_hosts(line: &str) -> bool {
    let key_type =
        |word: &str| ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| word.starts_with(start));
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default();
    let second = words.next().unwrap_or_default();
    first.starts_with("|1|")
        || matches!(first, "@cert-authority" | "@revoked")
        || (key_type(second) && words.next().is_some_and(|key| key.starts_with("AAAA")))
        || (key_type(first) && second.starts_with("AAAA"))
}

/// What a host line is that looks like a line of another file: first and second word.
pub(super) fn host_line(first: &str, second: &str) -> Option<(&'static str, &'static str)> {
    // In lower case they are good names for a host.
    if matches!(first, "Host" | "HostName" | "Hostname" | "Include" | "Match") {
        return Some(("a line of ssh_config", "a hosts file has one host a line: `node1 address=10.0.0.1 user=omm`"));
    }
    let loopback = matches!(first, "127.0.0.1" | "127.0.1.1" | "::1");
    let name = second == "localhost" || second.starts_with("localhost.") || second.starts_with("ip6-");
    if name && (loopback || first.starts_with("fe") || first.starts_with("ff")) {
        return Some(("a line of /etc/hosts", ETC_HOSTS));
    }
    None
}

/// A user in the second column of a host line.
#[derive(Debug)]
pub(super) struct SecondColumn {
    /// The line, from 1.
    pub(super) line: usize,
    /// The first word.
    pub(super) host: String,
    /// The second.
    pub(super) user: String,
}

/// Where users of the second column look like names of hosts, as in `/etc/hosts`: the first line, and what to say.
pub(super) fn users_that_are_hosts(
    seconds: &[SecondColumn],
    is_host: impl Fn(&str) -> bool,
) -> Option<(usize, String)> {
    let ends_in_digit = |user: &str| user.ends_with(|c: char| c.is_ascii_digit());
    // Users are few, and names of hosts are all different.
    let differ = |user: &str| seconds.iter().filter(|second| second.user == user).count() == 1;
    let likely = |second: &&SecondColumn| {
        is_host(&second.user) || (is_address(&second.host) && ends_in_digit(&second.user) && differ(&second.user))
    };
    let found: Vec<&SecondColumn> = seconds.iter().filter(likely).collect();
    let SecondColumn { line, host, user } = found.first()?;
    let more = match found.len() - 1 {
        0 => String::new(),
        1 => " (likewise on 1 more line)".to_owned(),
        more => format!(" (likewise on {more} more lines)"),
    };
    let message = format!("`{user}` is taken as the login name on `{host}`{more}");
    Some((*line, format!("{message}; if it is the name of that host, write `{user} address={host}`")))
}

/// The file that a line of a hosts file of pdsh takes in: `#include FILE`.
pub(super) fn pdsh_include(line: &str) -> Option<&str> {
    let file = line.strip_prefix("#include")?;
    let name = file.trim().trim_matches(['"', '<', '>']);
    (file.starts_with(char::is_whitespace) && !name.is_empty() && !name.contains(char::is_whitespace)).then_some(name)
}

/// The range that a name may be meant as: `node1-node5` and `node[1-5]`.
pub(super) fn dashed_range(name: &str) -> Option<String> {
    let parts = |text: &str| {
        let digits = text.len() - text.bytes().rev().take_while(u8::is_ascii_digit).count();
        (digits > 0 && digits < text.len()).then(|| (text[..digits].to_owned(), text[digits..].to_owned()))
    };
    let (first, last) = name.split_once('-')?;
    let ((stem, from), (other, to)) = (parts(first)?, parts(last)?);
    let rises = from.parse::<u64>().ok()? < to.parse::<u64>().ok()?;
    (stem == other && rises).then(|| format!("{stem}[{from}-{to}]"))
}

/// What to do with a file of genders.
pub(super) const GENDERS: &str = "the second word of a line is the user; a file of genders, whose second word is \
    attributes, is read as such with -f genders:FILE";

/// How a line of `/etc/hosts` is said in a hosts file.
pub(super) const ETC_HOSTS: &str =
    "the second word of a line is the user; a name for an address is written `node1 address=10.0.0.1`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_tools_mean() {
        assert_eq!(pdsh_include("#include more"), Some("more"));
        assert_eq!(pdsh_include("#include \"/etc/more\" "), Some("/etc/more"));
        for comment in ["#include", "#include all of these", "# include more", "#included"] {
            assert_eq!(pdsh_include(comment), None, "{comment}");
        }
        assert_eq!(dashed_range("node01-node05").as_deref(), Some("node[01-05]"));
        for name in ["node1-db5", "node5-node1", "rack1-2", "a-b", "1-5", "node1-node1"] {
            assert_eq!(dashed_range(name), None, "{name}");
        }
    }

    #[test]
    fn users_that_look_like_hosts() {
        let said = |lines: &[(&str, &str)]| {
            let column = |(at, (host, user)): (usize, &(&str, &str))| SecondColumn {
                line: at + 1,
                host: (*host).to_owned(),
                user: (*user).to_owned(),
            };
            let seconds: Vec<SecondColumn> = lines.iter().enumerate().map(column).collect();
            users_that_are_hosts(&seconds, |name| name == "db7")
        };
        let (line, text) = said(&[("10.0.0.1", "node01"), ("10.0.0.2", "node02")]).unwrap();
        assert_eq!(line, 1);
        assert!(text.contains("(likewise on 1 more line)") && text.contains("`node01 address=10.0.0.1`"), "{text}");
        assert_eq!(said(&[("node1", "omm"), ("node2", "db7")]).unwrap().0, 2);
        assert!(said(&[("10.0.0.1", "omm"), ("10.0.0.2", "postgres")]).is_none());
        assert!(said(&[("10.0.0.1", "oracle1"), ("10.0.0.2", "oracle1")]).is_none());
    }

    #[track_caller]
    fn case(line: &str, want: Option<&str>) {
        assert_eq!(whole_file(line).map(|(what, _)| what), want, "{line}");
    }

    #[test]
    fn telling_files_apart() {
        case("---", Some("YAML"));
        case("all:", Some("YAML"));
        case("hosts: # ours", Some("YAML"));
        case("- node1", Some("YAML"));
        case("{\"hosts\": []}", Some("JSON"));
        case("[", Some("JSON"));
        case("<?xml version=\"1.0\"?>", Some("XML"));
        case("NodeHeader:", Some("the output of `cm_ctl view`"));
        case("-----BEGIN OPENSSH PRIVATE KEY-----", Some("a key or certificate"));
        case("node1 ssh-ed25519 AAAAC3", Some("a known_hosts or authorized_keys file"));
        case("ssh-rsa AAAAB3 omm@node1", Some("a known_hosts or authorized_keys file"));
        case("|1|abc=|def= ssh-rsa AAAA", Some("a known_hosts or authorized_keys file"));
        case("node1", None);
        case("2001:db8::", None);
        case("node1 omm", None);
        case("[primary]", None);
        case("[::1]:22", None);
        case("ssh-gateway omm", None);
    }

    #[test]
    fn lines_of_other_files() {
        assert!(host_line("Host", "node1").is_some());
        assert!(host_line("host", "omm").is_none());
        assert!(host_line("127.0.0.1", "localhost").is_some());
        assert!(host_line("::1", "ip6-localhost").is_some());
        assert!(host_line("127.0.0.1", "omm").is_none());
        assert!(host_line("node1", "localhost").is_none());
    }
}
