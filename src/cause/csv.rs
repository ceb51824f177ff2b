//! Records of a server log in CSV, as Greenplum writes them, in the form that PostgreSQL's own log has.

use std::sync::LazyLock;

use regex::Regex;

/// Severity, SQLSTATE, and the beginning of the message, which stand behind sixteen columns of the session.
static SEVERITY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"^([^,"]*),.*?,"([^",]{2,40})","[0-9A-Z]{5}",""#).ok());
/// The process that wrote it.
static PROCESS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r",p(\d+),").ok());

/// The lines of a record: what PostgreSQL would have written. `None`: it is no record, but a line in the middle of one, or no CSV.
pub(super) fn record(line: &str) -> Option<Vec<String>> {
    let found = SEVERITY.as_ref()?.captures(line)?;
    let (time, severity) = (found.get(1)?.as_str(), found.get(2)?.as_str());
    let process =
        PROCESS.as_ref()?.captures(line).and_then(|found| found.get(1)).map_or("0", |process| process.as_str());
    let mut rest = &line[found.get(0)?.end()..];
    let message = quoted(&mut rest);
    let mut lines = vec![format!("{time} [{process}] {severity}:  {message}")];
    for word in ["DETAIL", "HINT"] {
        let Some(begun) = rest.strip_prefix(",\"") else {
            rest = rest.strip_prefix(',').unwrap_or_default();
            continue;
        };
        rest = begun;
        let text = quoted(&mut rest);
        if !text.is_empty() {
            lines.push(format!("{word}:  {text}"));
        }
    }
    Some(lines)
}

/// A field behind its first quote; a line that was cut ends where it ends. Leaves in `rest` what comes after it.
fn quoted(rest: &mut &str) -> String {
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once('"') {
        text.push_str(before);
        *rest = after;
        match after.strip_prefix('"') {
            Some(after) => {
                text.push('"');
                *rest = after;
            }
            None => return text,
        }
    }
    text.push_str(rest);
    *rest = "";
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_what_postgresql_would_have_written() {
        let line = r#"2026-05-11 10:00:01.123456 CST,,,p4711,th0,,,,0,,,seg0,,,,,"FATAL","XX000","lock file ""postmaster.pid"" already exists","it is so","move it",,,,,0,,"postmaster.c",1471,"#;
        let want = [
            r#"2026-05-11 10:00:01.123456 CST [4711] FATAL:  lock file "postmaster.pid" already exists"#,
            "DETAIL:  it is so",
            "HINT:  move it",
        ];
        assert_eq!(record(line).unwrap(), want);
        let bare = r#"t,,,p1,th0,,,,0,,,seg0,,,,,"LOG","00000","ready",,,,,,,0,,"x.c",1,"#;
        assert_eq!(record(bare).unwrap(), ["t [1] LOG:  ready"]);
        let hint = r#"t,,,p1,th0,,,,0,,,seg0,,,,,"LOG","00000","bind",,"is it up?",,,,,0,,"x.c",1,"#;
        assert_eq!(record(hint).unwrap(), ["t [1] LOG:  bind", "HINT:  is it up?"]);
        let cut = r#"t,,,p1,th0,,,,0,,,seg0,,,,,"PANIC","XX000","a long ""mes"#;
        assert_eq!(record(cut).unwrap(), ["t [1] PANIC:  a long \"mes"]);
        assert_eq!(record("2026-05-11 10:00:01.348 UTC [31276] LOG:  starting PostgreSQL"), None);
    }
}
