//! A run's hosts by what became of them: `@ok`, `@failed`, `@unreachable`, `@not-begun`, `@retry`.

use serde::Deserialize;

use super::order::{BEGAN, ENDED, place};
use super::{Journal, JournalError};
use crate::outcome::Outcome;

/// Names of the groups.
pub const GROUPS: [&str; 5] = ["ok", "failed", "unreachable", "not-begun", "retry"];

/// The hosts of a run that came to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    /// The run's id.
    pub run: String,
    /// `exec`, `opengauss/start`, ...
    pub command: String,
    /// A later run that has no end: it was killed, or still goes on.
    pub later: Option<String>,
    /// Every host.
    pub hosts: Vec<PastHost>,
}

/// A host and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PastHost {
    /// Its name.
    pub host: String,
    /// The login name.
    #[serde(default)]
    pub user: Option<String>,
    /// The port.
    pub port: u16,
    /// What became of it.
    pub outcome: Outcome,
    /// Something was begun on it that is more than a look.
    #[serde(default = "yes")]
    pub begun: bool,
}

fn yes() -> bool {
    true
}

impl PastHost {
    /// Whether it is in one of the groups.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        match group {
            "ok" => self.outcome.is_success(),
            // Tried, and not done.
            "failed" => matches!(self.outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Unreachable),
            "not-begun" => self.outcome == Outcome::Cancelled && !self.begun,
            "retry" => !self.outcome.is_success(),
            "unreachable" => self.outcome == Outcome::Unreachable,
            _ => false,
        }
    }
}

/// What of a report is read here: output is passed over.
#[derive(Deserialize)]
struct PastReport {
    command: String,
    hosts: Vec<PastHost>,
}

/// Finds the last run that came to an end.
///
/// # Errors
/// When the journal or the report cannot be read, or there is no such run.
pub fn last(journal: &Journal) -> Result<PastRun, JournalError> {
    let ids = journal.ids()?;
    let over = ids.iter().filter_map(|id| Some((place(&journal.run_dir(id), ENDED)?, id)));
    let Some((at, id)) = over.max() else { return Err(JournalError::Empty { dir: journal.dir().to_owned() }) };
    let goes_on = |id: &&String| {
        let dir = journal.run_dir(id);
        place(&dir, ENDED).is_none() && place(&dir, BEGAN).is_some_and(|began| began > at)
    };
    let later = ids.iter().rfind(goes_on).cloned();
    read(journal, id.clone(), later)
}

/// Finds a run by its id, or by the beginning of it.
///
/// # Errors
/// When the journal or the report cannot be read, or there is no such run, or it has no end.
pub fn named(journal: &Journal, run: &str) -> Result<PastRun, JournalError> {
    let id =
        if run.is_empty() { return Err(JournalError::NoSuchRun { run: String::new() }) } else { journal.find(run)? };
    read(journal, id, None)
}

fn read(journal: &Journal, run: String, later: Option<String>) -> Result<PastRun, JournalError> {
    let Some(text) = journal.report(&run)? else { return Err(JournalError::Endless { run }) };
    let path = journal.run_dir(&run).join("report.json");
    let report: PastReport = serde_json::from_slice(&text).map_err(|error| JournalError::broken(&path, &error))?;
    Ok(PastRun { run, command: report.command, later, hosts: report.hosts })
}
