//! What the scripts of this module, and probes, answer.
//!
//! Nothing here fails: a line that is not understood is no answer, and whoever asked sees that one is missing.

use std::borrow::Cow;

use crate::outcome::Facts;
use crate::outcome::change::{Change, ChangeKind};

/// The answer of a [`tests`](super::tests) script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tested {
    /// Every test holds.
    Holds,
    /// One does not, for this reason.
    Fails(String),
    /// One could not be made, or there was no answer.
    Unknown(String),
}

/// What was done about each path, from the output of [`remove`](super::remove), [`touch`](super::touch) or
/// [`write`](super::write). A skipped path is no change and is left out.
#[must_use]
pub fn parse_changes(stdout: &[u8]) -> Vec<Change> {
    let text = String::from_utf8_lossy(stdout);
    text.lines().filter_map(change).collect()
}

fn change(line: &str) -> Option<Change> {
    let (word, rest) = line.split_once(' ')?;
    let action = match word {
        "removed" => ChangeKind::Removed,
        "absent" => ChangeKind::Absent,
        "created" => ChangeKind::Created,
        "present" => ChangeKind::Present,
        "written" => ChangeKind::Written,
        "same" => ChangeKind::Same,
        "denied" => ChangeKind::Denied,
        _ => return None,
    };
    // The reason holds no tab, a path might.
    let (path, note) = match rest.rsplit_once('\t') {
        Some((path, note)) if action == ChangeKind::Denied => {
            (path, Some(without_path(without_place(note), path).to_owned()))
        }
        _ => (rest, None),
    };
    let action = note.as_deref().map_or(action, ChangeKind::refused);
    (!path.is_empty()).then(|| Change { path: path.to_owned(), action, note })
}

/// What each of `count` checks came to. A check that was not heard of has failed.
#[must_use]
pub fn parse_checks(stdout: &[u8], count: usize) -> Vec<Result<(), String>> {
    let mut results = vec![Err("the node gave no answer".to_owned()); count];
    for line in String::from_utf8_lossy(stdout).lines() {
        let (head, reason) = line.split_once('\t').unwrap_or((line, ""));
        let Some((word, n)) = head.split_once(' ') else { continue };
        let Some(slot) = n.parse::<usize>().ok().and_then(|n| results.get_mut(n)) else { continue };
        match word {
            "ok" => *slot = Ok(()),
            "failed" => *slot = Err(without_place(reason).to_owned()),
            _ => {}
        }
    }
    results
}

/// A shell's words about a path without the path, which is known: `cannot create /x: Permission denied`.
fn without_path<'a>(said: &'a str, path: &str) -> &'a str {
    let rest =
        ["cannot create ", "can't create ", ""].iter().find_map(|verb| said.strip_prefix(verb)?.strip_prefix(path));
    rest.and_then(|rest| rest.strip_prefix(": ")).unwrap_or(said)
}

/// A shell's words without its own name and the line of our script: `/bin/sh: 45: cannot create /x`, `sh: line 45: /x: ...`.
fn without_place(said: &str) -> &str {
    let place = || {
        let (shell, rest) = said.split_once(": ")?;
        let (line, rest) = rest.split_once(": ")?;
        let number = line.strip_prefix("line ").unwrap_or(line);
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_shell = shell.rsplit('/').next().is_some_and(|name| name.ends_with("sh"));
        (is_shell && is_number).then_some(rest)
    };
    let named = || said.strip_prefix("sh: ").or_else(|| said.strip_prefix("/bin/sh: "));
    let said = place().or_else(named).unwrap_or(said);
    // What is sent is read by eval.
    said.strip_prefix("eval: ").unwrap_or(said)
}

/// What a [`tests`](super::tests) script found.
#[must_use]
pub fn parse_tests(stdout: &[u8]) -> Tested {
    let text = String::from_utf8_lossy(stdout);
    for line in text.lines() {
        let words = |rest: &str| match rest.rsplit_once('\t') {
            Some((path, reason)) => format!("`{path}`: {}", without_place(reason)),
            None => format!("`{rest}`"),
        };
        if line == "holds" {
            return Tested::Holds;
        } else if let Some(rest) = line.strip_prefix("fails ") {
            return Tested::Fails(words(rest));
        } else if let Some(rest) = line.strip_prefix("unknown ") {
            return Tested::Unknown(words(rest));
        }
    }
    Tested::Unknown("the node gave no answer".to_owned())
}

/// Which node it is, from the output of [`node`](super::node), wherever in it the line stands: machine id and boot id.
/// `None`: it does not know one of them.
#[must_use]
pub fn parse_node(stdout: &[u8]) -> Option<String> {
    let line = stdout.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"gsctl-node "))?;
    let (machine, boot) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    // A node may say what it likes.
    let is_id =
        |id: &str| (8..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    (is_id(machine) && is_id(boot)).then(|| format!("{machine}/{boot}"))
}

/// The facts in some output: `key=value` lines as our probes print them, and `key : value` lines as `cm_ctl` does.
///
/// Other lines are no facts. A fact that comes again has its later value.
#[must_use]
pub fn parse_facts(stdout: &[u8]) -> Facts {
    let text: Cow<'_, str> = String::from_utf8_lossy(stdout);
    text.lines().filter_map(fact).collect()
}

fn fact(line: &str) -> Option<(String, String)> {
    let equals = line.find('=').map(|at| (at, at + 1));
    // A colon needs space before it and after: `cm_ctl: can't connect to cm_server.` is no fact.
    let colon = line.match_indices(':').map(|(at, _)| at).find(|&at| {
        line[..at].ends_with([' ', '\t']) && (line[at + 1..].is_empty() || line[at + 1..].starts_with([' ', '\t']))
    });
    let colon = colon.map(|at| (at, at + 1));
    let (end, start) = match (equals, colon) {
        (Some(a), Some(b)) => a.min(b),
        (a, b) => a.or(b)?,
    };
    let key = line[..end].trim();
    is_fact_name(key).then(|| (key.to_owned(), line[start..].trim().to_owned()))
}

/// Whether this can be the name of a fact: a letter or `_`, then letters, digits, `_` and spaces.
#[must_use]
pub fn is_fact_name(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes() {
        let out = b"removed /a b\nabsent /c\ndenied /d\te\trm: no\nskipped /f\nhello world\ncreated \ndenied /i\trm: Permission denied\nsame /\xff\nwritten /g\th\n";
        let seen: Vec<_> = parse_changes(out).into_iter().map(|c| (c.action, c.path, c.note)).collect();
        let want = [
            (ChangeKind::Removed, "/a b", None),
            (ChangeKind::Absent, "/c", None),
            (ChangeKind::Failed, "/d\te", Some("rm: no".to_owned())),
            (ChangeKind::Denied, "/i", Some("rm: Permission denied".to_owned())),
            (ChangeKind::Same, "/\u{fffd}", None),
            (ChangeKind::Written, "/g\th", None),
        ];
        assert_eq!(seen, want.map(|(action, path, note)| (action, path.to_owned(), note)));
    }

    #[test]
    fn checks() {
        let seen = parse_checks(b"noise\nok 0\nfailed 1\tno such\nok 7\nok x\n", 3);
        assert_eq!(seen, [Ok(()), Err("no such".to_owned()), Err("the node gave no answer".to_owned())]);
    }

    #[test]
    fn tested() {
        for (out, want) in [
            ("holds\n", Tested::Holds),
            ("fails /a\tis not there\n", Tested::Fails("`/a`: is not there".to_owned())),
            ("unknown /a\tdenied\n", Tested::Unknown("`/a`: denied".to_owned())),
            ("", Tested::Unknown("the node gave no answer".to_owned())),
        ] {
            assert_eq!(parse_tests(out.as_bytes()), want);
        }
    }

    #[test]
    fn no_line_of_our_own_scripts_is_named() {
        for (said, want) in [
            ("/bin/sh: 45: cannot create /etc/x: Permission denied", "cannot create /etc/x: Permission denied"),
            ("/bin/bash: line 7: /etc/x: Permission denied", "/etc/x: Permission denied"),
            ("sh: can't create /etc/x: Permission denied", "can't create /etc/x: Permission denied"),
            ("rm: cannot remove '/x': Permission denied", "rm: cannot remove '/x': Permission denied"),
            ("x.sh: 9: y", "y"),
            ("", ""),
        ] {
            assert_eq!(without_place(said), want);
        }
        let change = &parse_changes(b"denied /etc/x\t/bin/sh: 45: cannot create /etc/x: Permission denied\n")[0];
        assert_eq!(change.note.as_deref(), Some("Permission denied"));
        let change = &parse_changes(b"denied /x\tsh: can't create /x: Read-only file system\n")[0];
        assert_eq!(change.note.as_deref(), Some("Read-only file system"));
    }

    #[test]
    fn nodes() {
        let machine = "3d1219c7c4c5404aaa1f6d2a48adfda4";
        let boot = "eb377e5c-fb93-4e3e-9138-6cc1d1e3dfa9";
        let said = |text: String| parse_node(text.as_bytes());
        assert_eq!(said(format!("motd\ngsctl-node {machine} {boot}\nstate=up\n")), Some(format!("{machine}/{boot}")));
        assert_eq!(said(format!("gsctl-node - {boot}\n")), None);
        assert_eq!(said(format!("gsctl-node {machine} -\n")), None);
        assert_eq!(said(format!("gsctl-node {machine} {boot} more\n")), None);
        assert_eq!(said(format!("gsctl-node {machine} {}\n", "a".repeat(65))), None);
        assert_eq!(said("state=up\n".to_owned()), None);
    }

    #[test]
    fn facts() {
        for (line, want) in [
            ("marker=present", Some(("marker", "present"))),
            ("empty=", Some(("empty", ""))),
            ("cluster_state   : Normal", Some(("cluster_state", "Normal"))),
            ("current az : AZ_ALL\r", Some(("current az", "AZ_ALL"))),
            ("nothing :", Some(("nothing", ""))),
            ("path=/a : b=c", Some(("path", "/a : b=c"))),
            ("state : a=b", Some(("state", "a=b"))),
            ("  padded = x ", Some(("padded", "x"))),
            ("cm_ctl: can't connect to cm_server.", None),
            ("time 10:20", None),
            ("1=2", None),
            ("[  CMServer State   ]", None),
            ("-----", None),
            ("a-b=c", None),
            ("=x", None),
            ("", None),
        ] {
            let want: Facts = want.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect();
            assert_eq!(parse_facts(line.as_bytes()), want, "{line}");
        }
        assert_eq!(
            parse_facts(b"a=1\nb=\xff\na=2\n").into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), "2".to_owned()), ("b".to_owned(), "\u{fffd}".to_owned())]
        );
    }
}
