//! What is written down about a run: `run.json`, `gsctl.journal/1`.
//!
//! Plain data. Values of variables that look like secrets never get in: see [`is_secret`].

use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::JournalError;
use crate::exit::ExitStatus;
use crate::outcome::Outcome;
use crate::stats::Counts;

/// Name and version of the form.
pub const SCHEMA: &str = "gsctl.journal/1";

/// A run. What is absent is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunRecord {
    /// [`SCHEMA`].
    pub schema: String,
    /// The run's id.
    pub run: String,
    /// `exec`, `opengauss/start`, ...
    pub command: String,
    /// What a single command did: the beginning of its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// The process that did it, or does.
    pub pid: u32,
    /// Who ran it.
    pub user: String,
    /// Its hosts, folded; only their number where there are many.
    pub selection: String,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusRecord>,
    /// Hosts by verdict, once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// The state that its playbook names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Remote output was too much to keep in the report.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub output_left_out: bool,
    /// What can be resumed; absent for what cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playbook: Option<PlaybookRecord>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRecord {
    /// The exit status.
    pub code: u8,
    /// Its name.
    pub name: String,
}

/// The playbook of a run, and how far it has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlaybookRecord {
    /// A built-in's name, or the path of a file from the root.
    pub file: String,
    /// `sha256:` and the digest of its text and of the texts that it uses.
    pub digest: String,
    /// Variables from the command line, without secrets.
    pub given: IndexMap<String, String>,
    /// Names of those that were kept out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
    /// Every variable and a digest of its values on all hosts, so that a change is seen.
    pub vars: IndexMap<String, String>,
    /// Its hosts, in inventory order.
    pub hosts: Vec<HostRecord>,
    /// Its steps, in order.
    pub steps: Vec<StepRecord>,
    /// States that the run has had, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<StateRecord>,
    /// What the run has made on nodes and will remove at its end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cleanup: Vec<CreatedRecord>,
    /// What hosts had for all (`share_NAME`), without secrets.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub shared: IndexMap<String, String>,
    /// When it was resumed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<String>,
    /// Counts the times that this was written; `progress.jsonl` says what it adds to.
    pub written: u64,
}

/// A host of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    /// Its name.
    pub host: String,
    /// What is connected to.
    pub address: String,
    /// The port.
    pub port: u16,
    /// The login name.
    pub user: String,
}

/// A step and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepRecord {
    /// Its name.
    pub name: String,
    /// How it ended for the run: `good`, `failed`, `stopped`, or `passed` where `--from` begins after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// What it came to on each host that is done with it.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub hosts: IndexMap<String, Outcome>,
}

/// A state that a run has had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRecord {
    /// Its name.
    pub state: String,
    /// Since when.
    pub at: String,
    /// The step that it came of.
    pub step: String,
    /// It came of the step's failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failure: bool,
}

/// Something that a step made and the end of the run removes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedRecord {
    /// The step.
    pub step: String,
    /// Where.
    pub host: String,
    /// What.
    pub paths: Vec<String>,
}

impl From<ExitStatus> for StatusRecord {
    fn from(status: ExitStatus) -> Self {
        Self { code: status.code(), name: status.name().to_owned() }
    }
}

impl RunRecord {
    /// Reads `run.json`.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn parse(path: &Path) -> Result<Self, JournalError> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            schema: String,
        }
        let text = std::fs::read(path).map_err(|error| JournalError::unreadable(path, &error))?;
        let head: Head = serde_json::from_slice(&text).map_err(|error| JournalError::broken(path, &error))?;
        if head.schema != SCHEMA {
            return Err(JournalError::Schema { path: path.to_owned(), found: head.schema });
        }
        serde_json::from_slice(&text).map_err(|error| JournalError::broken(path, &error))
    }

    /// Its JSON text.
    ///
    /// # Errors
    /// Never, with values that JSON can hold.
    pub fn text(&self) -> std::io::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Whether it can be resumed: a playbook that did not come to its end, and not because it was refused. One that was refused
    /// only when it was to go on is no further than before.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        let Some(played) = &self.playbook else { return false };
        self.status.as_ref().is_none_or(|status| match status.code {
            code if code == ExitStatus::Success.code() => false,
            code if code == ExitStatus::Refused.code() => !played.resumed.is_empty(),
            _ => true,
        })
    }
}

impl HostRecord {
    /// `10.0.0.1:22`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }
}

/// Whether a variable's name says that its value is a secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 8] =
        ["password", "passwd", "passphrase", "pwd", "secret", "token", "credential", "private_key"];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word)) || name.split('_').any(|word| word == "pass")
}
