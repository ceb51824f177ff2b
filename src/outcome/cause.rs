//! What is behind a failure: a documented cause, or the lines that tell.

use serde::{Deserialize, Serialize};

/// What is behind a failure: the documented cause of a node or a cluster that does not come up, or the lines that tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Its id in the catalogue of causes; `None` where that does not have it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// The stage of the startup chain that it holds back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stage: Option<String>,
    /// The cause in words.
    pub cause: String,
    /// Whether waiting helps.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wait: Option<WaitHelps>,
    /// The way out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// Where it was seen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub proof: Option<Proof>,
}

impl Cause {
    /// On one line: `OG44 postgresql.conf has errors`.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.id {
            Some(id) => format!("{id} {}", self.cause),
            None => self.cause.clone(),
        }
    }
}

impl Cause {
    /// How far what passes by itself has come, as its newest line says: ` (LINE)`. Empty for all that does not pass.
    #[must_use]
    pub fn progress(&self) -> String {
        /// Letters that are shown.
        const MOST: usize = 100;
        let newest = self.proof.as_ref().and_then(|proof| proof.lines.last());
        let newest = newest.filter(|_| self.wait == Some(WaitHelps::Passes));
        newest.map(|line| format!(" ({})", line.trim().chars().take(MOST).collect::<String>())).unwrap_or_default()
    }
}

/// Whether a cause passes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitHelps {
    /// It stays until something is done.
    No,
    /// It may pass.
    MayPass,
    /// It passes.
    Passes,
}

/// Where a cause was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The file on the node.
    pub file: String,
    /// Its decisive lines.
    pub lines: Vec<String>,
    /// Seconds since the file was written to, where the lines need not be of a start that was just asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub age_s: Option<u64>,
}
