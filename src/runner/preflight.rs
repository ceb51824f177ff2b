//! Preflight: whether what a probe found lets the run go on.

use std::sync::Arc;

use crate::event::{EventKind, HostId, StepId};
use crate::outcome::{Failure, Outcome, Phase, StepResult};
use crate::plan::{Remark, Rule};

use super::Run;
use super::condition::{holds, reason, said};
use super::executor::Executor;
use super::host::HostState;

/// Hosts that a remark names.
const NAMED: usize = 8;

impl<C: Executor> Run<'_, C> {
    /// Looks at what every host answered that was asked, once all of them have. Refuses for all if one is in a state in
    /// which it is wrong to go on.
    pub(super) fn check_preflight(&mut self, step: StepId, refuse: &[Rule], asked: &[HostId]) {
        let has_needs = !self.plan.steps[step].need.is_empty();
        if refuse.is_empty() && !has_needs || self.stats.cancelled.is_some() {
            return;
        }
        let mut missing = Vec::new();
        let mut bad: Vec<(HostId, Failure)> = Vec::new();
        for &id in asked {
            let host = &self.hosts[id];
            // Without a row it was not asked: of any host, one is enough.
            let Some(row) = host.row_of(step) else { continue };
            if !row.outcome.is_success() {
                let failure = row.failure.as_deref().cloned().unwrap_or_else(|| Failure::new(Phase::Lost, "not heard"));
                missing.push((id, failure));
            } else if !self.was_good(step) {
                // In a run that goes on, what is found may be its own doing.
                let vars = &host.run_host.vars;
                if let Some(rule) = refuse.iter().find(|rule| holds(&rule.when, &host.facts, vars)) {
                    let mut failure = Failure::new(Phase::Check, reason(rule, &host.facts, vars));
                    let hint = rule.hint.as_ref().map(|hint| hint.render_words(vars, &host.facts));
                    let seen = rule.when.facts.iter().chain(&rule.when.not);
                    // A probe that says what to do about what was found knows more.
                    failure.hint = seen.map(|(fact, _)| said(&host.facts, "hint", fact)).find_map(|hint| hint).or(hint);
                    bad.push((id, failure));
                }
            }
        }
        let is_late = self.batch.as_ref().is_some_and(|batch| batch.is_late)
            || self.plan.late_from.is_some_and(|from| step >= from);
        let too_many_missing = !self.settings.allow_unreachable.permits(missing.len(), asked.len());
        let is_refused = !self.settings.force && (!bad.is_empty() || too_many_missing);
        if has_needs {
            // Where other hosts were changed by now, or an earlier run went on, it is too late to refuse for all.
            let can_refuse = !self.settings.force && !is_late && !self.was_good(step) && !is_refused;
            let hindered = self.hinder(step, asked, can_refuse, is_refused);
            self.tell_risks(asked);
            for (id, _) in &hindered {
                self.hosts[*id].cause = self.hosts[*id].obstacles().certain.first().cloned().map(Box::new);
            }
            bad.extend(hindered);
        }
        if self.settings.force || (bad.is_empty() && !too_many_missing) {
            if !missing.is_empty() {
                let missing: Vec<HostId> = missing.iter().map(|(id, _)| *id).collect();
                self.apply_when_missing(&missing);
            }
            return;
        }
        if is_late {
            // Other hosts were changed by now, so this is no refusal: these hosts fail, before they are touched.
            for (id, failure) in bad {
                let host = &mut self.hosts[id];
                if let Some(row) = host.steps.iter_mut().rfind(|row| row.step == Some(step)) {
                    row.outcome = Outcome::Failed;
                    row.failure = Some(Box::new(failure.clone()));
                }
                host.failure = Some(Box::new(failure.clone()));
                self.out += usize::from(!std::mem::replace(&mut host.out, true));
                let result = StepResult::failed(failure);
                self.emit(EventKind::HostStepFinished { host: id, step, result });
            }
            self.step_failed = true;
            return;
        }
        for (id, failure) in &bad {
            let host = &mut self.hosts[*id];
            host.failure = Some(Box::new(failure.clone()));
            if let Some(row) = host.steps.iter_mut().rfind(|row| row.step == Some(step)) {
                row.outcome = Outcome::Refused;
                row.failure = Some(Box::new(failure.clone()));
            }
        }
        self.stats.refused = true;
        self.stopped = true;
        let mut hosts = bad;
        if too_many_missing {
            let without = format!("`--allow-unreachable {}` goes on without them", missing.len());
            for (id, failure) in &mut missing {
                failure.add_hint(&without);
                self.hosts[*id].failure = Some(Box::new(failure.clone()));
            }
            hosts.extend(missing);
        }
        hosts.sort_by_key(|(id, _)| *id);
        self.emit(EventKind::Refused { hosts });
    }

    /// Says what the user should know of what was found before the run goes on.
    pub(super) fn remark(&mut self, step: StepId, remarks: &[Remark]) {
        if self.batch.as_ref().is_some_and(|batch| batch.is_late) {
            // It was said of all hosts before the first batch.
            return;
        }
        let mut told = Vec::new();
        for remark in remarks {
            let concerned: Vec<&HostState> = self
                .hosts
                .iter()
                .filter(|host| host.row_of(step).is_some_and(|row| row.outcome.is_success() != remark.hosts_missing))
                .filter(|host| holds(&remark.when, &host.facts, &host.run_host.vars))
                .collect();
            let Some(first) = concerned.first() else { continue };
            let names: Vec<&str> = concerned.iter().map(|host| &*host.run_host.name).collect();
            let names = named(&names);
            let because = remark.because.render_plain(&first.run_host.vars);
            let hint = remark.hint.as_ref().map(|hint| format!(": {}", hint.render_plain(&first.run_host.vars)));
            told.push(format!("{names}: {because}{}", hint.unwrap_or_default()));
        }
        for message in told {
            self.emit(EventKind::Warning { message });
        }
    }

    /// Hosts are missing, and that is put up with: what cannot be had without them is not asked for. Their groups are the
    /// variable `missing_groups`.
    fn apply_when_missing(&mut self, missing: &[HostId]) {
        let groups: std::collections::BTreeSet<&str> =
            missing.iter().flat_map(|&id| self.hosts[id].run_host.groups.iter().map(String::as_str)).collect();
        let groups = groups.into_iter().collect::<Vec<_>>().join(" ");
        let specs = self.plan.vars.iter();
        let values = specs.filter_map(|(name, spec)| Some((name.as_str(), spec.when_missing.as_deref()?)));
        for (name, value) in std::iter::once(("missing_groups", groups.as_str())).chain(values) {
            let (name, value): (Arc<str>, Arc<str>) = (name.into(), value.into());
            for host in &mut self.hosts {
                host.run_host.vars.insert(name.clone(), value.clone());
            }
        }
    }
}

/// `node1, node2 and 40 more`.
pub(super) fn named(names: &[&str]) -> String {
    match names.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..NAMED].join(", ")),
    }
}
