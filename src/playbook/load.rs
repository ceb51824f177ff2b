//! From the name of a playbook to a plan.
//!
//! Must not touch a file: texts come from [`Sources`]. Playbooks that a `play` step names are put in where it stands.

mod lookup;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use indexmap::IndexMap;

use super::builtin;
use super::condition::{Test, condition};
use super::document::{Document, chain, document, states};
use super::node::{Node, Text, parse};
use super::problem::{Complaint, Position, Problem};
use super::scope::{Scope, names};
use super::sources::Sources;
use super::step::{StepItem, share, step};
use crate::cause::Catalogue;
use crate::plan::{Block, Plan, Probe, Share};
use lookup::{beside, unreadable};

/// Playbooks that play playbooks. One that plays itself under another name (a link) ends here.
const MAX_DEPTH: usize = 16;

/// Loads playbooks.
pub struct Loader<'a> {
    /// Files.
    pub sources: &'a dyn Sources,
    /// Variables from the command line, those that options stand for among them.
    pub given: &'a IndexMap<String, String>,
    /// The environment of gsctl.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Time for each command of a step that says nothing about it.
    pub step_timeout: Option<Duration>,
}

impl Loader<'_> {
    /// Loads a playbook: one that is compiled in (`opengauss/start`), or else a file.
    ///
    /// # Errors
    ///
    /// The first thing wrong with it, with its place.
    pub fn load(&self, name: &str) -> Result<Plan, Problem> {
        let mut plan = Plan::default();
        let text = self.find(name).map_err(|error| unreadable(name, Position::default(), &error).in_file(name, ""))?;
        self.add(&mut plan, &mut vec![beside("", name)], &text, None)?;
        Ok(plan)
    }

    /// Adds the playbook at the end of `stack` to the plan.
    fn add(&self, plan: &mut Plan, stack: &mut Vec<String>, text: &str, prefix: Option<&str>) -> Result<(), Problem> {
        let file = stack.last().cloned().unwrap_or_default();
        let problem = |complaint: Complaint| complaint.in_file(&file, text);
        let node = parse(text).map_err(problem)?;
        let document = document(&node).map_err(problem)?;
        if stack.len() == 1 {
            plan.name = document.name.as_ref().map_or_else(|| stem(&file).to_owned(), |name| name.value.clone());
            plan.summary.clone_from(&document.summary);
            plan.max_hosts = document.max_hosts;
        }
        // What the outer playbook says about a variable stands.
        for (name, spec) in &document.vars {
            let mut spec = spec.clone();
            // What somebody asked for in so many words is not overruled.
            spec.when_missing = spec.when_missing.filter(|_| !self.given.contains_key(name));
            plan.vars.entry(name.clone()).or_insert(spec);
        }
        let vars = plan.vars.clone();
        let plays = document
            .steps
            .iter()
            .any(|node| node.pairs("a step").is_ok_and(|p| p.iter().any(|(key, _)| key.value == "play")));
        let notes = RefCell::new(Vec::new());
        let scope = Scope {
            vars: &vars,
            probes: document.probes.iter().map(|probe| probe.name.as_str()).collect(),
            // The facts of playbooks still to be read are not known.
            // One that is compiled in has all that it uses, also where another one plays it.
            facts: document.facts().filter(|_| !plays && (stack.len() == 1 || builtin::source(&file).is_some())),
            has_chain: document.chain.is_some(),
            given: self.given,
            env: self.env,
            read_scripts: &|scripts| self.scripts(&file, scripts, &notes),
            read_input: &|input| self.input(&file, input),
            read_files: &|text, path| self.copies(&file, text, path),
            run_wide: RefCell::new(BTreeSet::new()),
        };
        Self::head(plan, &scope, &document).map_err(problem)?;
        if plan.goes_on.is_none() {
            plan.goes_on.clone_from(&document.goes_on);
        }
        if let Some(path) = &document.state_file {
            plan.state_file = Some(scope.path(path, false).map_err(problem)?);
            plan.state_groups = document.state_groups.iter().map(|text| text.value.clone()).collect();
        }
        for node in document.steps {
            self.entry(plan, &scope, node, stack, text, prefix)?;
        }
        if let Some(serial) = &document.serial {
            if stack.len() > 1 || !plan.blocks.is_empty() {
                let message =
                    "`serial` at the head of a playbook that is played by another one, or has blocks of its own";
                return Err(problem(
                    Complaint::new(serial.at, message).hint("give the steps a `block` with its own `serial`"),
                ));
            }
            let batches = batches(&scope, serial, document.max_fail.as_ref(), document.last).map_err(problem)?;
            plan.blocks.push(Block { steps: 0..plan.steps.len(), ..batches });
        } else if let Some(key) = document.max_fail.as_ref().map(|text| text.at).or(document.last.map(|node| node.at)) {
            return Err(problem(Complaint::new(
                key,
                "`max_fail` and `last` at the head of a playbook are for one with `serial`",
            )));
        }
        let run_wide = scope.run_wide.into_inner();
        for note in notes.into_inner() {
            if !plan.notes.contains(&note) {
                plan.notes.push(note);
            }
        }
        for name in run_wide {
            if let Some(spec) = plan.vars.get_mut(&name) {
                spec.run_wide = true;
            }
        }
        Ok(())
    }

    /// Probes and chain.
    fn head(plan: &mut Plan, scope: &Scope<'_>, document: &Document<'_>) -> Result<(), Complaint> {
        if plan.table.is_empty() {
            let table = document.table.iter().flatten().map(|fact| scope.fact(fact));
            plan.table = table.collect::<Result<_, _>>()?;
        }
        for text in &document.causes {
            plan.causes.extend(causes(scope, text)?);
        }
        for probe in &document.probes {
            let source = names(&probe.script);
            let script = (scope.read_scripts)(&probe.script)?;
            let states = probe.states.map(|node| states(scope, node)).transpose()?.unwrap_or_default();
            if plan.probes.get(&probe.name).is_some_and(|other| *other.script != *script) {
                let message = format!("probe `{}` is another one in a playbook round this one", probe.name);
                return Err(Complaint::new(probe.at, message).hint("give one of them another name"));
            }
            plan.probes.insert(probe.name.clone(), Probe { source, script: script.into(), states });
        }
        if let Some(node) = document.chain {
            let stages = chain(scope, node)?;
            if plan.chain != stages {
                plan.follow(stages);
            }
        }
        Ok(())
    }

    /// One entry of `steps`.
    fn entry(
        &self,
        plan: &mut Plan,
        scope: &Scope<'_>,
        node: &Node,
        stack: &mut Vec<String>,
        text: &str,
        prefix: Option<&str>,
    ) -> Result<(), Problem> {
        let file = stack.last().cloned().unwrap_or_default();
        let problem = |complaint: Complaint| complaint.in_file(&file, text);
        let joined = |name: &str| prefix.map_or_else(|| name.to_owned(), |prefix| format!("{prefix}: {name}"));
        if node.pairs("a step").is_ok_and(|pairs| pairs.iter().any(|(key, _)| key.value == "block")) {
            return self.block(plan, scope, node, stack, text, prefix);
        }
        match step(scope, node, self.step_timeout).map_err(problem)? {
            StepItem::Nothing => {}
            StepItem::Step { mut step, at } => {
                step.name = joined(&step.name).into();
                if plan.steps.iter().any(|other| other.name == step.name) {
                    let hint = if prefix.is_none() && stack.len() > 1 {
                        "give the `play` step a name: it is put in front of its steps' names"
                    } else {
                        "`--from STEP` and the journal need each name once"
                    };
                    return Err(problem(Complaint::new(at, format!("two steps are named `{}`", step.name)).hint(hint)));
                }
                plan.steps.push(*step);
            }
            StepItem::Play { playbook, name } => {
                let (inner, inner_text) = self.nested(&file, &playbook).map_err(problem)?;
                if stack.contains(&inner) {
                    let way = stack.iter().skip_while(|name| **name != inner).chain([&inner]);
                    let way: Vec<_> = way.map(|name| format!("`{name}`")).collect();
                    let message = format!("playbook `{inner}` plays itself: {}", way.join(" plays "));
                    return Err(problem(Complaint::new(playbook.at, message)));
                }
                if stack.len() >= MAX_DEPTH {
                    return Err(problem(Complaint::new(playbook.at, format!("more than {MAX_DEPTH} playbooks deep"))));
                }
                let prefix = name.map(|name| joined(&name)).or_else(|| prefix.map(str::to_owned));
                stack.push(inner);
                self.add(plan, stack, &inner_text, prefix.as_deref())?;
                stack.pop();
            }
        }
        Ok(())
    }

    /// A block of steps that is done batch by batch.
    fn block(
        &self,
        plan: &mut Plan,
        scope: &Scope<'_>,
        node: &Node,
        stack: &mut Vec<String>,
        text: &str,
        prefix: Option<&str>,
    ) -> Result<(), Problem> {
        let file = stack.last().cloned().unwrap_or_default();
        let problem = |complaint: Complaint| complaint.in_file(&file, text);
        let fields = node.fields("a block", &["name", "block", "serial", "max_fail", "last"]).map_err(problem)?;
        let serial = fields.text("serial").map_err(problem)?;
        let Some(serial) = serial else {
            let hint = "write how many hosts a batch has; without batches the steps need no block";
            return Err(problem(Complaint::new(fields.at, "a `block` has no `serial`").hint(hint)));
        };
        let max_fail = fields.text("max_fail").map_err(problem)?;
        let batches = batches(scope, &serial, max_fail.as_ref(), fields.get("last")).map_err(problem)?;
        let name = fields.text("name").map_err(problem)?.map(|name| name.value);
        let prefix = match (prefix, name) {
            (Some(prefix), Some(name)) => Some(format!("{prefix}: {name}")),
            (prefix, name) => name.or_else(|| prefix.map(str::to_owned)),
        };
        let (first, blocks) = (plan.steps.len(), plan.blocks.len());
        let steps = fields.need("block").and_then(|node| node.list("`block`")).map_err(problem)?;
        for node in steps {
            self.entry(plan, scope, node, stack, text, prefix.as_deref())?;
        }
        if plan.blocks.len() > blocks {
            return Err(problem(Complaint::new(fields.at, "a block inside a block, expected steps")));
        }
        if plan.steps.len() > first {
            plan.blocks.push(Block { steps: first..plan.steps.len(), ..batches });
        }
        Ok(())
    }
}

/// A catalogue of causes: that of a system that ships, or a file beside the playbook.
fn causes(scope: &Scope<'_>, text: &Text) -> Result<Catalogue, Complaint> {
    if let Some(catalogue) = crate::cause::builtin(&text.value) {
        return Ok(catalogue);
    }
    let bytes = (scope.read_input)(text).map_err(|complaint| {
        let systems: Vec<&str> = crate::cause::ids().into_iter().map(|(system, _)| system).collect();
        complaint.hint(format!("name a system that has a catalogue ({}), or a file", systems.join(", ")))
    })?;
    let catalogue = Catalogue::read(&String::from_utf8_lossy(&bytes));
    catalogue
        .and_then(|catalogue| catalogue.check().map(|()| catalogue))
        .map_err(|problem| Complaint::new(text.at, format!("causes `{}`: {problem}", text.value)))
}

/// The batches of a block, whose steps are not known yet.
fn batches(scope: &Scope<'_>, serial: &Text, max_fail: Option<&Text>, last: Option<&Node>) -> Result<Block, Complaint> {
    let last = match last.map(|node| condition(scope, node, "`last`")).transpose()? {
        Some(Test::Where(condition)) => Some(condition).filter(|condition| !condition.is_empty()),
        Some(Test::Never) | None => None,
    };
    Ok(Block {
        steps: 0..0,
        serial: share(scope, serial, 1)?,
        max_fail: max_fail.map(|text| share(scope, text, 0)).transpose()?.unwrap_or(Share::Count(0)),
        first: None,
        last,
    })
}

fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}
