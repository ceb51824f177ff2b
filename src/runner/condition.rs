//! Whether a condition holds, and how far a chain has come. Pure.

use std::time::Duration;

use crate::outcome::{Facts, StageState};
use crate::plan::{Condition, Plan, Probe, Share, Stage, Vars};

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

fn hint(stage: &Stage, facts: &Facts, vars: &Vars) -> Option<String> {
    stage.hint.as_ref().map(|hint| hint.render_words(vars, facts))
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
