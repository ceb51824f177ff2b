//! Hosts that are done with the step under way: a line each, appended, so that thousands of hosts do not cost thousands of
//! whole files. Each line says which `run.json` it adds to; lines for another one count for nothing.
//!
//! A line that is cut off by a crash or a full disk is passed over: that host does its step again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::JournalError;
use super::record::{CreatedRecord, PlaybookRecord, RunRecord};
use crate::outcome::Outcome;

/// The file's name.
const FILE: &str = "progress.jsonl";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProgressLine {
    /// The `run.json` that it adds to.
    pub(super) written: u64,
    /// The step.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) step: String,
    /// The host.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) host: String,
    /// What the step came to there; absent where what it had made was removed again, or is about to be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<Outcome>,
    /// What is to be removed at the end of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) created: Vec<String>,
    /// A variable that a host had for all, and its value. Such a line says nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shared: Option<(String, String)>,
}

impl ProgressLine {
    /// Takes it into account.
    pub(super) fn apply(self, played: &mut PlaybookRecord) {
        let Self { step, host, outcome, created, shared, .. } = self;
        if let Some((name, value)) = shared {
            played.shared.insert(name, value);
            return;
        }
        if outcome.is_none() || !created.is_empty() {
            played.cleanup.retain(|one| one.step != step || one.host != host);
        }
        if !created.is_empty() {
            played.cleanup.push(CreatedRecord { step: step.clone(), host: host.clone(), paths: created });
        }
        if let Some(outcome) = outcome
            && let Some(step) = played.steps.iter_mut().find(|known| known.name == step)
        {
            step.hosts.insert(host, outcome);
        }
    }
}

/// Opens the file of a run, empty.
pub(super) fn open(dir: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(dir.join(FILE))?;
    file.set_len(0)?;
    Ok(file)
}

/// Adds a line.
pub(super) fn append(file: &mut File, line: &ProgressLine) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)
}

/// Adds to a record what happened after it was written.
pub(super) fn replay(record: &mut RunRecord, dir: &Path) -> Result<(), JournalError> {
    let Some(played) = &mut record.playbook else { return Ok(()) };
    let path = dir.join(FILE);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(JournalError::unreadable(&path, &error)),
    };
    for line in text.split(|byte| *byte == b'\n') {
        if let Ok(line) = serde_json::from_slice::<ProgressLine>(line)
            && line.written == played.written
        {
            line.apply(played);
        }
    }
    Ok(())
}
