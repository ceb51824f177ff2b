//! A run's hosts by what became of them: `@ok`, `@failed`, `@unreachable`.

use serde::Deserialize;

use super::order::{BEGAN, ENDED, place};
use super::{Journal, Problem};
use crate::outcome::Outcome;

/// Names of the groups.
pub const GROUPS: [&str; 3] = ["ok", "failed", "unreachable"];

/// The hosts of a run that came to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The run's id.
    pub run: String,
    /// `exec`, `opengauss/start`, ...
    pub command: String,
    /// A later run that has no end: it was killed, or still goes on.
    pub later: Option<String>,
    /// Every host.
    pub hosts: Vec<Seen>,
}

/// A host and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Seen {
    /// Its name.
    pub host: String,
    /// The login name.
    #[serde(default)]
    pub user: Option<String>,
    /// The port.
    pub port: u16,
    /// What became of it.
    pub outcome: Outcome,
}

impl Seen {
    /// Whether it is in one of the groups.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        match group {
            "ok" => self.outcome.is_success(),
            "failed" => !self.outcome.is_success(),
            "unreachable" => self.outcome == Outcome::Unreachable,
            _ => false,
        }
    }
}

/// What of a report is read here: output is passed over.
#[derive(Deserialize)]
struct Report {
    command: String,
    hosts: Vec<Seen>,
}

/// Finds the last run that came to an end.
///
/// # Errors
/// When the journal or the report cannot be read, or there is no such run.
pub fn last(journal: &Journal) -> Result<Past, Problem> {
    let ids = journal.ids()?;
    let over = ids.iter().filter_map(|id| Some((place(&journal.run_dir(id), ENDED)?, id)));
    let Some((at, id)) = over.max() else { return Err(Problem::Empty { dir: journal.dir().to_owned() }) };
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
pub fn named(journal: &Journal, run: &str) -> Result<Past, Problem> {
    let id = if run.is_empty() { return Err(Problem::NoSuchRun { run: String::new() }) } else { journal.find(run)? };
    read(journal, id, None)
}

fn read(journal: &Journal, run: String, later: Option<String>) -> Result<Past, Problem> {
    let Some(text) = journal.report(&run)? else { return Err(Problem::Endless { run }) };
    let path = journal.run_dir(&run).join("report.json");
    let report: Report = serde_json::from_slice(&text).map_err(|error| Problem::broken(&path, &error))?;
    Ok(Past { run, command: report.command, later, hosts: report.hosts })
}
