//! Whether a condition holds, and how far a chain has come. Pure.

use std::time::Duration;

use crate::outcome::Facts;
use crate::outcome::stage::StageState;
use crate::plan::{Condition, Plan, Probe, Rule, Share, Stage, Vars};

/// True when every test on facts holds. Tests on files are answered by the node, before.
#[must_use]
pub(super) fn holds(condition: &Condition, facts: &Facts, vars: &Vars) -> bool {
    let value = |fact: &str| facts.get(fact).map_or("", String::as_str);
    let among = |fact: &str, wanted: &[crate::plan::Template]| {
        wanted.iter().any(|template| template.render_plain(vars) == value(fact))
    };
    condition.facts.iter().all(|(fact, wanted)| among(fact, wanted))
        && condition.not.iter().all(|(fact, unwanted)| !among(fact, unwanted))
}

/// Adds the fact `state`, where the probe has a table of states. The first that holds is it.
pub(super) fn name_state(probe: &Probe, facts: &mut Facts, vars: &Vars) {
    if let Some(rule) = probe.states.iter().find(|rule| holds(&rule.when, facts, vars)) {
        facts.insert("state".to_owned(), rule.state.clone());
    }
}

/// Every stage of a chain as these facts show it. `since` is the time from the start of the wait; a stage that was up
/// before keeps the time at which it came up, one that was up at the first look has none.
#[must_use]
pub(super) fn stages(
    plan: &Plan,
    facts: &Facts,
    vars: &Vars,
    before: &[StageState],
    since: Option<Duration>,
) -> Vec<StageState> {
    plan.chain
        .iter()
        .enumerate()
        .map(|(index, stage)| {
            let value = facts.get(&stage.fact).cloned();
            let up = value.as_ref().is_some_and(|value| stage.up.contains(value));
            let was = before.get(index);
            let after = match was {
                Some(was) if up && was.up => was.after,
                Some(_) if up => since,
                Some(_) | None => None,
            };
            StageState { stage: stage.name.clone(), up, value, after, hint: hint(stage, facts, vars) }
        })
        .collect()
}

pub(super) fn first_missing(stages: &[StageState]) -> Option<&StageState> {
    stages.iter().find(|stage| !stage.up)
}

/// What to do about a stage: what the probe says (`hint_FACT`), which knows more, else what the playbook says.
fn hint(stage: &Stage, facts: &Facts, vars: &Vars) -> Option<String> {
    said(facts, "hint", &stage.fact).or_else(|| stage.hint.as_ref().map(|hint| hint.render_words(vars, facts)))
}

/// What a probe has to say about one of its facts: `hint_FACT`, what to do about it; `note_FACT`, what it means.
pub(super) fn said(facts: &Facts, what: &str, fact: &str) -> Option<String> {
    facts.get(&format!("{what}_{fact}")).filter(|text| !text.is_empty()).cloned()
}

/// Why a rule counts. Where a fact must not have a value, the one that it has is what the user wants to know.
pub(super) fn reason(verdict: &Rule, facts: &Facts, vars: &Vars) -> String {
    let because = verdict.because.render_words(vars, facts);
    match verdict.when.not.first().and_then(|(fact, _)| facts.get(fact)) {
        Some(value) if !value.is_empty() => format!("{because}: {value}"),
        _ => because,
    }
}

impl Share {
    /// As a number of hosts to begin: at least one.
    #[must_use]
    pub(super) fn to_begin(self, of: usize) -> usize {
        match self {
            Self::Count(count) => count.max(1),
            Self::Percent(percent) => (of * usize::from(percent)).div_ceil(100).max(1),
        }
    }

    /// As a number of failures to put up with.
    #[must_use]
    pub(super) fn to_bear(self, of: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => of * usize::from(percent) / 100,
        }
    }
}
