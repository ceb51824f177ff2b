//! The documented causes: rows of `causes.yaml`.

use std::collections::HashSet;
use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use serde::Deserialize;

use super::problem::CatalogueProblem;
use crate::outcome::cause::WaitHelps;

/// The catalogues that are compiled in, by system.
pub(super) const BUILTIN: [(&str, &str); 5] = [
    ("opengauss", include_str!("../../playbooks/opengauss/causes.yaml")),
    ("postgres", include_str!("../../playbooks/postgres/causes.yaml")),
    ("greenplum", include_str!("../../playbooks/greenplum/causes.yaml")),
    ("oracle-rac", include_str!("../../playbooks/oracle-rac/causes.yaml")),
    ("panweidb", include_str!("../../playbooks/panweidb/causes.yaml")),
];

/// How well a row is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// Its text was read in the system's source, documentation or a stored log.
    Source,
    /// It was produced in a run.
    Measured,
    /// It was told from memory: unproven.
    Recalled,
}

impl Verified {
    /// In words, for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Source => "read in source, documentation or a stored log",
            Self::Measured => "measured in a real run",
            Self::Recalled => "recalled, not proven",
        }
    }
}

/// A documented cause.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentedCause {
    /// Its id, for all time: `OG44`.
    pub id: String,
    /// The stage of the startup chain that it holds back, or another word for the part of the system.
    pub stage: String,
    /// Other stages that it holds back as well, where it does not matter which of them is missed first.
    #[serde(default)]
    pub holds_back: Vec<String>,
    /// The cause in a few words.
    pub cause: String,
    /// The logs that prove it, by the codes that evidence scripts use.
    #[serde(rename = "where")]
    pub logs: Vec<String>,
    /// The command whose output proves it, where that is no log.
    #[serde(default)]
    pub command: Option<String>,
    /// A regular expression that a line of the log matches.
    #[serde(default)]
    pub signature: Option<String>,
    /// What must hold on the node, where no line tells; the evidence script tests it.
    #[serde(default)]
    pub state: Option<String>,
    /// Only the newest line that holds this text counts.
    #[serde(default)]
    pub newest: Option<String>,
    /// A regular expression: once a later line matches it, the trouble is over.
    #[serde(default)]
    pub ended_by: Option<String>,
    /// Logs that tell more, where they hold a decisive line of their own: then this row does not count.
    #[serde(default)]
    pub unless: Vec<String>,
    /// Rows that match the same lines, and that this one is more specific than.
    #[serde(default)]
    pub over: Vec<String>,
    /// It says where to look, and not what to do: whoever knows a way out keeps it.
    #[serde(default)]
    pub frame: bool,
    /// Whether waiting helps.
    pub wait: WaitHelps,
    /// The remedy.
    pub hint: String,
    /// Where that is documented.
    pub source: String,
    /// How well it is known.
    pub verified: Verified,
}

impl DocumentedCause {
    /// Whether it can be why a stage is missing. A row about none of the `stages` of a chain can be so for each of them.
    pub(super) fn concerns(&self, missing: Option<&str>, stages: &[&str]) -> bool {
        let mut held = std::iter::once(&self.stage).chain(&self.holds_back);
        missing.is_none_or(|missing| {
            held.clone().any(|stage| stage == missing) || !held.any(|stage| stages.contains(&stage.as_str()))
        })
    }
}

/// A file of rows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CausesFile {
    causes: Vec<DocumentedCause>,
}

/// Rows of one system or of several, ready to be held against lines.
#[derive(Debug, Default, Clone)]
pub struct Catalogue {
    rows: Vec<DocumentedCause>,
    expressions: OnceLock<Expressions>,
}

/// The regular expressions of the rows, compiled when the first line is held against them.
#[derive(Debug, Clone)]
struct Expressions {
    /// One pass over a line for all rows. A row without a signature has one that nothing matches.
    signatures: RegexSet,
    /// By row.
    ended_by: Vec<Option<Regex>>,
}

impl Catalogue {
    /// Reads a catalogue.
    ///
    /// # Errors
    ///
    /// When it is not strict YAML of the right form, or an id stands twice.
    pub fn read(text: &str) -> Result<Self, CatalogueProblem> {
        let options = serde_saphyr::options! { strict_booleans: true };
        let file: CausesFile = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| CatalogueProblem::Form(error.to_string()))?;
        let mut seen = HashSet::new();
        for row in &file.causes {
            if !seen.insert(row.id.as_str()) {
                return Err(CatalogueProblem::Twice(row.id.clone()));
            }
            if row.signature.is_some() == row.state.is_some() {
                return Err(CatalogueProblem::Signature(row.id.clone()));
            }
        }
        Ok(Self { rows: file.causes, expressions: OnceLock::new() })
    }

    /// Whether each signature is a regular expression: of those that are compiled in a test knows.
    ///
    /// # Errors
    ///
    /// Names the first that is none.
    pub fn check(&self) -> Result<(), CatalogueProblem> {
        for row in &self.rows {
            for expression in row.signature.iter().chain(&row.ended_by) {
                compiled_alone(expression)
                    .map_err(|error| CatalogueProblem::Regex { id: row.id.clone(), why: error.to_string() })?;
            }
        }
        Ok(())
    }

    /// Adds the rows of another catalogue that are not here already.
    pub fn extend(&mut self, other: Self) {
        let known: HashSet<String> = self.rows.iter().map(|row| row.id.clone()).collect();
        self.rows.extend(other.rows.into_iter().filter(|row| !known.contains(&row.id)));
        self.expressions = OnceLock::new();
    }

    /// The rows, in the file's order.
    #[must_use]
    pub fn rows(&self) -> &[DocumentedCause] {
        &self.rows
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row with this id.
    #[must_use]
    pub fn row(&self, id: &str) -> Option<&DocumentedCause> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// Whether a later line says that the trouble of a row is over.
    pub(super) fn is_over(&self, index: usize, later: &[String]) -> bool {
        let ended_by = self.expressions().ended_by[index].as_ref();
        ended_by.is_some_and(|ended_by| later.iter().any(|line| ended_by.is_match(line.as_bytes())))
    }

    /// The rows whose signature matches a line, as indices.
    pub(super) fn matches(&self, line: &str) -> impl Iterator<Item = usize> {
        self.expressions().signatures.matches(line.as_bytes()).into_iter()
    }

    fn expressions(&self) -> &Expressions {
        self.expressions.get_or_init(|| {
            let signatures = self.rows.iter().map(|row| row.signature.as_deref().unwrap_or(NOTHING));
            // Each was checked alone.
            Expressions {
                signatures: compiled(signatures).unwrap_or_else(|_| RegexSet::empty()),
                ended_by: self.rows.iter().map(|row| compiled_alone(row.ended_by.as_deref()?).ok()).collect(),
            }
        })
    }
}

/// Matches no line.
const NOTHING: &str = r"[^\x00-\xff]";

/// Bytes that compiled expressions may take.
const SIZE_LIMIT: usize = 64 << 20;

/// Bytes, not letters: faster, and a log may be in any encoding.
fn compiled<'s>(signatures: impl IntoIterator<Item = &'s str>) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(signatures).unicode(false).size_limit(SIZE_LIMIT).build()
}

/// The same of one expression.
fn compiled_alone(expression: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(expression).unicode(false).size_limit(SIZE_LIMIT).build()
}

/// The catalogue of a system that ships.
#[must_use]
pub fn builtin(system: &str) -> Option<Catalogue> {
    let (_, text) = BUILTIN.iter().find(|(name, _)| *name == system)?;
    // A test reads all of them.
    Catalogue::read(text).ok()
}

/// The row with this id, and the system whose it is. Letters may be small or capital.
#[must_use]
pub fn find(id: &str) -> Option<(&'static str, DocumentedCause)> {
    BUILTIN.iter().find_map(|(system, _)| {
        let rows = builtin(system)?.rows;
        rows.into_iter().find(|row| row.id.eq_ignore_ascii_case(id)).map(|row| (*system, row))
    })
}

/// Systems that have a catalogue, and the ids of its rows.
#[must_use]
pub fn ids() -> Vec<(&'static str, Vec<String>)> {
    let of = |system| builtin(system).unwrap_or_default().rows.into_iter().map(|row| row.id).collect();
    BUILTIN.iter().map(|(system, _)| (*system, of(system))).collect()
}
