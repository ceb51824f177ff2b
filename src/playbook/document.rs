//! The top of a playbook: its name, variables, probes and chain.
//!
//! Must not read steps, nor files: scripts are named here and read by the loader.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::condition::{Test, condition};
use super::node::{Node, NodeKind, Text};
use super::problem::{Complaint, Position};
use super::scope::Scope;
use crate::plan::template::is_name;
use crate::plan::vars::BUILTIN;
use crate::plan::{Stage, StateRule, VarCheck, VarSpec};
use crate::text::did_you_mean;

pub(super) const KEYS: [&str; 15] = [
    "name",
    "summary",
    "max_hosts",
    "vars",
    "probes",
    "chain",
    "causes",
    "table",
    "state_file",
    "state_groups",
    "goes_on",
    "serial",
    "max_fail",
    "last",
    "steps",
];
pub(super) const VAR_KEYS: [&str; 8] =
    ["default", "env", "check", "one_of", "help", "required", "when_missing", "found"];
/// This shell variable tells a probe that only what changes matters.
const LIGHT: &str = "light";

/// A playbook whose names are known and whose steps are still to be read.
#[derive(Debug)]
pub(super) struct Document<'n> {
    pub name: Option<Text>,
    pub summary: Option<String>,
    pub vars: IndexMap<String, VarSpec>,
    pub probes: Vec<ProbeNode<'n>>,
    pub chain: Option<&'n Node>,
    /// Catalogues of documented causes: systems that ship, or files.
    pub causes: Vec<Text>,
    pub table: Option<Vec<Text>>,
    pub max_hosts: Option<usize>,
    pub state_file: Option<Text>,
    pub goes_on: Option<String>,
    /// Batches in which all its steps are done.
    pub serial: Option<Text>,
    pub max_fail: Option<Text>,
    /// Hosts that go last.
    pub last: Option<&'n Node>,
    pub state_groups: Vec<Text>,
    pub steps: &'n [Node],
}

/// A probe as it is named in the file.
#[derive(Debug)]
pub(super) struct ProbeNode<'n> {
    pub name: String,
    pub at: Position,
    /// Files that make one script, in order.
    pub script: Vec<Text>,
    pub states: Option<&'n Node>,
    pub facts: Option<Vec<Text>>,
}

/// Reads the top of a playbook.
pub(super) fn document(node: &Node) -> Result<Document<'_>, Complaint> {
    if let NodeKind::Nothing = node.kind {
        return Err(Complaint::new(Position::default(), "the file is empty, expected a mapping with `steps`"));
    }
    let fields = node.fields("a playbook", &KEYS)?;
    let mut vars = IndexMap::new();
    if let Some(node) = fields.get("vars") {
        for (name, node) in node.pairs("`vars`")? {
            vars.insert(var_name(name)?, var(node)?);
        }
    }
    let mut probes = Vec::new();
    if let Some(node) = fields.get("probes") {
        for (name, node) in node.pairs("`probes`")? {
            let fields = node.fields("a probe", &["script", "states", "facts"])?;
            probes.push(ProbeNode {
                name: name.value.clone(),
                at: name.at,
                script: fields.need("script")?.texts("`script`")?,
                states: fields.get("states"),
                facts: fields.get("facts").map(|node| node.texts("`facts`")).transpose()?,
            });
        }
    }
    let steps = fields.need("steps")?;
    if steps.list("`steps`")?.is_empty() {
        return Err(Complaint::new(steps.at, "`steps` is empty, expected at least one step"));
    }
    Ok(Document {
        name: fields.text("name")?,
        summary: fields.string("summary")?,
        vars,
        probes,
        chain: fields.get("chain"),
        causes: fields.get("causes").map(|node| node.texts("`causes`")).transpose()?.unwrap_or_default(),
        table: fields.get("table").map(|node| node.texts("`table`")).transpose()?,
        max_hosts: fields.text("max_hosts")?.map(|text| max_hosts(&text)).transpose()?,
        state_file: fields.text("state_file")?,
        goes_on: fields.string("goes_on")?,
        serial: fields.text("serial")?,
        max_fail: fields.text("max_fail")?,
        last: fields.get("last"),
        state_groups: fields
            .get("state_groups")
            .map(|node| node.texts("`state_groups`"))
            .transpose()?
            .unwrap_or_default(),
        steps: steps.list("`steps`")?,
    })
}

impl Document<'_> {
    /// Every fact there is, where all probes tell theirs. Commands in waits have facts of their own, so then nothing is known.
    pub(super) fn facts(&self) -> Option<BTreeSet<&str>> {
        if self.steps.iter().any(asks_a_command) {
            return None;
        }
        let mut facts = BTreeSet::from(["state", "exit_status"]);
        for probe in &self.probes {
            facts.extend(probe.facts.as_ref()?.iter().map(|text| text.value.as_str()));
        }
        (!self.probes.is_empty()).then_some(facts)
    }
}

/// True for a step that waits on what a command prints.
fn asks_a_command(step: &Node) -> bool {
    let inside = |node: &Node, key: &str| -> Option<Node> {
        let NodeKind::Map(pairs) = &node.kind else { return None };
        pairs.iter().find(|(name, _)| name.value == key).map(|(_, node)| node.clone())
    };
    inside(step, "wait").is_some_and(|wait| inside(&wait, "run").is_some())
}

/// Reads the startup chain.
pub(super) fn chain(scope: &Scope<'_>, node: &Node) -> Result<Vec<Stage>, Complaint> {
    let mut stages: Vec<Stage> = Vec::new();
    for node in node.list("`chain`")? {
        let fields = node.fields("a stage", &["stage", "fact", "up", "hint"])?;
        let name = fields.need("stage")?.text("`stage`")?;
        if stages.iter().any(|stage| stage.name == name.value) {
            return Err(Complaint::new(name.at, format!("stage `{}` stands in the chain twice", name.value)));
        }
        stages.push(Stage {
            fact: scope.fact(&fields.need("fact")?.text("`fact`")?)?,
            up: fields.need("up")?.texts("`up`")?.into_iter().map(|text| text.value).collect(),
            hint: scope.optional(&fields, "hint")?,
            name: name.value,
        });
    }
    if stages.is_empty() { Err(node.wrong("`chain`", "a list of at least one stage")) } else { Ok(stages) }
}

/// Reads the named states of a probe: a mapping from state to condition, in order, or a list of `{ state, when }`.
pub(super) fn states(scope: &Scope<'_>, node: &Node) -> Result<Vec<StateRule>, Complaint> {
    let mut named = Vec::new();
    match &node.kind {
        NodeKind::Map(pairs) => {
            for (name, node) in pairs {
                let fields = node.fields("a state", &["when"])?;
                named.push((name.value.clone(), fields.need("when")?));
            }
        }
        NodeKind::List(items) => {
            for item in items {
                let fields = item.fields("a state", &["state", "when"])?;
                named.push((fields.need("state")?.text("`state`")?.value, fields.need("when")?));
            }
        }
        NodeKind::Nothing | NodeKind::Scalar(_) => {
            return Err(node.wrong("`states`", "a mapping from state to `{ when: ... }`"));
        }
    }
    let mut rules = Vec::new();
    for (state, node) in named {
        if let Test::Where(when) = condition(scope, node, "`when`")? {
            if !when.exists.is_empty() || !when.missing.is_empty() {
                return Err(Complaint::new(node.at, "a state tests a file, expected facts"));
            }
            rules.push(StateRule { state, when });
        }
    }
    Ok(rules)
}

fn max_hosts(text: &Text) -> Result<usize, Complaint> {
    match text.value.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(Complaint::new(text.at, format!("`{}` is no number of hosts, expected 1 or more", text.value))),
    }
}

fn var_name(text: &Text) -> Result<String, Complaint> {
    let name = text.value.as_str();
    if !is_name(name) {
        return Err(Complaint::new(text.at, format!("`{name}` is no name for a variable"))
            .hint("names are lower case letters, digits and `_`"));
    }
    if BUILTIN.contains(&name) || name == LIGHT {
        return Err(Complaint::new(
            text.at,
            format!("variable `{name}` is there already: gsctl sets it for every host"),
        ));
    }
    Ok(name.to_owned())
}

fn var(node: &Node) -> Result<VarSpec, Complaint> {
    if let NodeKind::Scalar(_) = node.kind {
        let default = Some(node.text("a variable")?.value);
        return Ok(VarSpec { default, ..VarSpec::default() });
    }
    let fields = node.fields("a variable", &VAR_KEYS)?;
    let check = match (fields.text("check")?, fields.get("one_of")) {
        (None, None) => VarCheck::Any,
        (Some(text), None) => var_check(&text)?,
        (None, Some(node)) => VarCheck::OneOf(node.texts("`one_of`")?.into_iter().map(|text| text.value).collect()),
        (Some(text), Some(_)) => return Err(Complaint::new(text.at, "`check` beside `one_of`, expected one of them")),
    };
    let default = fields.text("default")?;
    let when_missing = fields.text("when_missing")?;
    for (what, text) in [("the default", &default), ("`when_missing`", &when_missing)] {
        if let Some(text) = text
            && !text.value.is_empty()
        {
            check
                .check(&text.value)
                .map_err(|expected| Complaint::new(text.at, format!("{what} `{}` must be {expected}", text.value)))?;
        }
    }
    // An empty default says that the variable may be empty.
    let optional = default.as_ref().is_some_and(|text| text.value.is_empty());
    Ok(VarSpec {
        required: fields.flag("required")?.unwrap_or(!optional),
        default: default.map(|text| text.value),
        env: fields.string("env")?,
        check,
        help: fields.string("help")?,
        run_wide: false,
        when_missing: when_missing.map(|text| text.value),
        found: fields.flag("found")?.unwrap_or(false),
    })
}

fn var_check(text: &Text) -> Result<VarCheck, Complaint> {
    const CHECKS: [&str; 6] = ["any", "abs-path", "int", "name", "bool", "duration"];
    Ok(match text.value.as_str() {
        "any" => VarCheck::Any,
        "abs-path" => VarCheck::AbsPath,
        "int" => VarCheck::Int,
        "name" => VarCheck::Name,
        "bool" => VarCheck::Bool,
        "duration" => VarCheck::Duration,
        other => {
            let message = format!("unknown check `{other}`, expected {}", super::problem::any_of(CHECKS));
            return Err(Complaint::new(text.at, message).hint(
                did_you_mean(other, CHECKS).unwrap_or_else(|| "a list of values is `one_of: [a, b]`".to_owned()),
            ));
        }
    })
}
