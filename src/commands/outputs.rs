//! `gsctl runs outputs`: what each host said in a past run, as far as the journal has it.

use std::io::{self, Write};

use serde_json::Value;

use crate::inventory::hostset;
use crate::reporter::sanitize;

use super::environment::Environment;
use crate::diagnostic::Diagnostic;

/// Hosts of a report that are asked for: of this set, and those that failed.
///
/// # Errors
/// When the set is wrong, or names a host that is not in the run.
pub(super) fn chosen<'a>(report: &'a Value, sets: &[String], failed: bool) -> Result<Vec<&'a Value>, Diagnostic> {
    let all = || report["hosts"].as_array().into_iter().flatten();
    let mut names = Vec::new();
    for set in sets {
        names.extend(hostset::expand(set).map_err(|error| Diagnostic::usage(format!("`-w {set}`: {error}")))?);
    }
    if let Some(stranger) = names.iter().find(|name| all().all(|host| host["host"] != **name)) {
        return Err(Diagnostic::usage(format!("host `{stranger}` is not in this run"))
            .hint("`gsctl runs show RUN` names its hosts"));
    }
    let bad = |host: &Value| !matches!(host["outcome"].as_str(), Some("ok" | "changed" | "skipped"));
    Ok(all()
        .filter(|host| names.is_empty() || names.iter().any(|name| host["host"] == **name))
        .filter(|host| !failed || bad(host))
        .collect())
}

/// Writes what they said, each line behind its host's name; made harmless on a terminal.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(hosts: &[&Value], environment: &Environment, out: &mut dyn Write) -> io::Result<()> {
    for host in hosts {
        let name = sanitize::words(host["host"].as_str().unwrap_or_default());
        for stream in ["stdout", "stderr"] {
            let text = host[stream].as_str().unwrap_or_default();
            for line in text.lines() {
                if environment.stdout_tty {
                    writeln!(out, "{name}: {}", sanitize::line(line.as_bytes()))?;
                } else {
                    writeln!(out, "{name}: {line}")?;
                }
            }
        }
    }
    out.flush()
}
