//! What an evidence script sends: pieces of logs, and states that it tested itself.
//!
//! ```text
//! >> DNERR since /var/log/omm/cm/cm_agent/system_call-current.log
//!  each line of the log behind one blank
//! >> AGENT unreadable /var/log/omm/cm/cm_agent/cm_agent-2026-current.log
//! >> OG05: no line of the crontab starts om_monitor
//! ```
//!
//! `since`: written after the start was requested. `newest:SECONDS`: since the newest start that the log itself tells of, or the
//! last minutes; so long ago it was written to. `unreadable`: the user may not read it, which is a finding of its own. What a script prints before the first such
//! line, as scripts without them do, is kept as it is.

use crate::outcome::cause::Cause;

use super::csv::record;
use super::words::{decoded, mask_secrets};

/// The beginning of a line of the script's own.
const MARK: &[u8] = b">> ";

/// A log that was looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogPiece {
    /// Its codes, as the catalogue has them: a server without a log of its own has all in one file.
    pub(super) codes: Vec<String>,
    /// Its path on the node.
    pub(super) path: String,
    /// The user may not read it.
    pub(super) unreadable: bool,
    /// Seconds since it was written to, where it was not looked at from a mark on.
    pub(super) age: Option<u64>,
    /// Its lines, without secrets, at most so many as the script sends.
    pub(super) lines: Vec<String>,
}

impl LogPiece {
    /// Whether its lines are records of CSV, as Greenplum writes them.
    fn is_csv(&self) -> bool {
        self.codes.iter().any(|code| code == "GPCSV" || code == "STARTUP")
    }
}

/// What the evidence script of a node printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Pieces of logs, in the order in which they count.
    pub(super) logs: Vec<LogPiece>,
    /// Rows of the catalogue whose state holds, by id, and what was seen.
    pub(super) states: Vec<(String, String)>,
    /// What does not have this form.
    pub(super) rest: Vec<String>,
}

impl Evidence {
    /// Reads what a script printed.
    #[must_use]
    pub fn read(printed: &[u8]) -> Self {
        let mut evidence = Self::default();
        for line in printed.split(|byte| *byte == b'\n') {
            match line.strip_prefix(MARK) {
                Some(head) => evidence.head(&decoded(head)),
                None => evidence.line(line),
            }
        }
        while evidence.rest.last().is_some_and(String::is_empty) {
            evidence.rest.pop();
        }
        evidence
    }

    /// Whether the script speaks this form at all.
    #[must_use]
    pub fn is_structured(&self) -> bool {
        !self.logs.is_empty() || !self.states.is_empty()
    }

    /// The lines that a report shows: the proof, or where nothing tells, what was looked into.
    #[must_use]
    pub fn shown(&self, cause: Option<&Cause>) -> Vec<String> {
        let mut shown = self.rest.clone();
        match cause.and_then(|cause| cause.proof.as_ref()) {
            Some(proof) => {
                shown.push(format!("{}:", proof.file));
                shown.extend(proof.lines.iter().cloned());
            }
            None => shown.extend(self.logs.iter().map(|log| match (log.unreadable, log.lines.len()) {
                (true, _) => format!("{}: not readable", log.path),
                (false, 0) => format!("{}: nothing new", log.path),
                (false, 1) => format!("{}: 1 line, and it does not say why", log.path),
                (false, lines) => format!("{}: {lines} lines, and none says why", log.path),
            })),
        }
        shown
    }

    fn head(&mut self, head: &str) {
        let (word, rest) = head.split_once(' ').unwrap_or((head, ""));
        if let Some(id) = word.strip_suffix(':') {
            self.states.push((id.to_owned(), mask_secrets(rest)));
            return;
        }
        let (state, path) = rest.split_once(' ').unwrap_or((rest, ""));
        self.logs.push(LogPiece {
            codes: word.split(',').map(str::to_owned).collect(),
            path: path.to_owned(),
            unreadable: state == "unreadable",
            age: state.strip_prefix("newest:").and_then(|age| age.parse().ok()),
            lines: Vec::new(),
        });
    }

    fn line(&mut self, line: &[u8]) {
        match self.logs.last_mut() {
            // A line that is cut on its way has no blank.
            Some(log) => {
                if let Some(line) = line.strip_prefix(b" ") {
                    let line = mask_secrets(&decoded(line));
                    match record(&line).filter(|_| log.is_csv()) {
                        Some(lines) => log.lines.extend(lines),
                        None => log.lines.push(line),
                    }
                }
            }
            None => self.rest.push(mask_secrets(&decoded(line))),
        }
    }
}
