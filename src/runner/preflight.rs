//! Preflight: whether what a probe found lets the run go on.

use crate::event::{EventKind, HostId, StepId};
use crate::outcome::{Facts, Failure, Outcome, Phase};
use crate::plan::{Rule, Vars};

use super::Run;
use super::condition::holds;
use super::fleet::Executor;

impl<C: Executor> Run<'_, C> {
    /// Looks at what every host answered, once all of them have. Refuses for all if one is in a state in which it is wrong
    /// to go on.
    pub(super) fn check_preflight(&mut self, step: StepId, refuse: &[Rule]) {
        if refuse.is_empty() || self.stats.cancelled.is_some() {
            return;
        }
        let name = &self.plan.steps[step].name;
        let mut missing = Vec::new();
        let mut bad: Vec<(HostId, Failure)> = Vec::new();
        for (id, host) in self.hosts.iter().enumerate() {
            match host.steps.last() {
                Some(last) if &last.name == name && !last.outcome.is_success() => {
                    let failure = last.failure.clone().unwrap_or_else(|| Failure::new(Phase::Lost, "not heard"));
                    missing.push((id, failure));
                }
                // In a run that goes on, what is found may be its own doing.
                Some(_) | None if self.was_good(step) => {}
                Some(_) | None => {
                    let vars = &host.run_host.vars;
                    if let Some(rule) = refuse.iter().find(|rule| holds(&rule.when, &host.facts, vars)) {
                        let mut failure = Failure::new(Phase::Command, reason(rule, &host.facts, vars));
                        failure.hint = rule.hint.as_ref().map(|hint| hint.render_words(vars, &host.facts));
                        bad.push((id, failure));
                    }
                }
            }
        }
        let too_many_missing = !self.settings.allow_unreachable.permits(missing.len(), self.hosts.len());
        if self.settings.force || (bad.is_empty() && !too_many_missing) {
            if !missing.is_empty() {
                let missing: Vec<HostId> = missing.iter().map(|(id, _)| *id).collect();
                self.apply_when_missing(&missing);
            }
            return;
        }
        for (id, failure) in &bad {
            let host = &mut self.hosts[*id];
            host.failure = Some(failure.clone());
            if let Some(last) = host.steps.last_mut() {
                last.outcome = Outcome::Refused;
                last.failure = Some(failure.clone());
            }
        }
        self.stats.refused = true;
        self.stopped = true;
        let mut hosts = bad;
        if too_many_missing {
            hosts.extend(missing);
        }
        hosts.sort_by_key(|(id, _)| *id);
        self.emit(EventKind::Refused { hosts });
    }

    /// Hosts are missing, and that is put up with: what cannot be had without them is not asked for. Their groups are the
    /// variable `missing_groups`.
    fn apply_when_missing(&mut self, missing: &[HostId]) {
        let groups: std::collections::BTreeSet<&str> =
            missing.iter().flat_map(|&id| self.hosts[id].run_host.groups.iter().map(String::as_str)).collect();
        let groups = groups.into_iter().collect::<Vec<_>>().join(" ");
        for host in &mut self.hosts {
            host.run_host.vars.insert("missing_groups", groups.as_str());
        }
        let specs = self.plan.vars.iter();
        for (name, value) in specs.filter_map(|(name, spec)| Some((name, spec.when_missing.as_ref()?))) {
            for host in &mut self.hosts {
                host.run_host.vars.insert(name, value);
            }
        }
    }
}

/// Why the run is refused. Where a fact must not have a value, the one that it has is what the user wants to know.
fn reason(rule: &Rule, facts: &Facts, vars: &Vars) -> String {
    let because = rule.because.render_words(vars, facts);
    match rule.when.not.first().and_then(|(fact, _)| facts.get(fact)) {
        Some(value) if !value.is_empty() => format!("{because}: {value}"),
        _ => because,
    }
}
