//! Looks: what a wait asks of a host again and again, and what an answer means for it.

use std::time::{Duration, Instant};

use crate::event::{Activity, EventKind, HostId, StepId};
use crate::outcome::stage::StageState;
use crate::outcome::{Facts, Failure, Outcome, Phase, StepResult};
use crate::plan::{Look, Until, Wait};
use crate::reactor::now;
use crate::transport::Command;

use super::Run;
use super::cause;
use super::condition::{first_missing, holds, name_state, reason, said, stages};
use super::executor::Executor;
use super::job::{Job, JobResult, Work};
use super::job_result::{Parser, evaluate};
use super::script::{self, Depth};
use super::step::is_gone;
use super::wait_checks::may_come;
use super::wait_failure::{phase, waited_for, with_note};
use super::waiting::{WaitingHost, WaitingHosts, Why};

/// Time for one look, where the step does not say.
pub(super) const LOOK: Duration = Duration::from_secs(15);

impl<C: Executor> Run<'_, C> {
    /// Begins a look on every host where one is due, the longest due first, as of the step `of`. Not on the one that is
    /// `asked` something else at the moment.
    pub(super) fn start_due_looks(
        &mut self,
        id: StepId,
        of: StepId,
        wait: &Wait,
        waiting: &mut WaitingHosts,
        asked: Option<HostId>,
    ) {
        let now = now();
        let busy = usize::from(asked.is_some());
        while waiting.looking() + busy < self.settings.fanout
            && let Some(place) = waiting.pop_due(now)
        {
            let host = waiting.host(place);
            if asked == Some(host) {
                // It comes back with `WaitingHosts::resume`, once that is answered.
                continue;
            }
            if let Some(evidence) = wait.evidence.as_ref().filter(|_| self.asks_for_causes(wait))
                && waiting.asks_why(place, cause::LOOKS)
            {
                let command = self.evidence_command(evidence, host);
                waiting.begin(place, now, wait.every);
                self.begin_quietly(host, id, command);
                continue;
            }
            let state = &self.hosts[host];
            let command = script::command(self.plan, &self.plan.steps[of], &state.run_host, Depth::Light(&state.facts));
            let Ok(Some(command)) = command else {
                // Said before contact for every host, so this is a bug; the host must not be lost over it.
                waiting.give_up(place, Failure::new(Phase::Local, "there is nothing to look at it with"));
                continue;
            };
            let limit = command.timeout.unwrap_or(LOOK).min(LOOK);
            waiting.begin(place, now, wait.every);
            self.begin_quietly(host, id, Command { timeout: Some(limit), ..command });
            if waiting.is_there(place) {
                self.hosts[host].activity = None;
            }
        }
    }

    /// Takes in the end of a look, as of the step `of`.
    #[expect(clippy::too_many_arguments, reason = "the wait, and what came")]
    pub(super) fn heard_look(
        &mut self,
        id: StepId,
        of: StepId,
        wait: &Wait,
        waiting: &mut WaitingHosts,
        host: HostId,
        done: JobResult,
        began: Instant,
    ) {
        let Some(place) = waiting.place(host) else { return };
        if waiting.takes_why(place) {
            waiting.end(place, |waiting| self.handle_cause(id, waiting, done, began));
            return;
        }
        let gone = is_gone(&done);
        let result = self.look_result(of, host, done);
        waiting.end(place, |waiting| self.handle_look(id, wait, waiting, result, gone, began));
    }

    /// What a look at a host came to.
    pub(super) fn look_result(&self, of: StepId, host: HostId, done: JobResult) -> StepResult {
        let step = &self.plan.steps[of];
        let limit = Some(script::limit(step, &self.hosts[host].run_host).unwrap_or(LOOK).min(LOOK));
        evaluate(Parser::of(&step.action), limit, done)
    }

    /// Begins a look: not worth an event of its own, once a second on every host.
    pub(super) fn begin_quietly(&mut self, host: HostId, step: StepId, command: Command) {
        let since = self.hosts[host].activity.take();
        let job = Job {
            work: Work::Command(command),
            stream: false,
            waits: true,
            last: !self.settings.keep,
            cancel: self.looks.clone(),
        };
        self.begin(host, step, job);
        if let Some(since) = since {
            self.hosts[host].activity = Some(since);
        }
    }

    /// Takes in what a look brought.
    pub(super) fn handle_look(
        &mut self,
        id: StepId,
        wait: &Wait,
        host: &mut WaitingHost,
        result: StepResult,
        gone: bool,
        began: Instant,
    ) {
        let now = now();
        self.hosts[host.host].activity = Some((Activity::Step(id), began));
        if result.outcome == Outcome::Cancelled {
            return;
        }
        if let Some(failure) = result.failure.clone().filter(|failure| gone && wait.patient && may_come(failure)) {
            self.handle_unreachable(id, host, failure);
            return;
        }
        if gone {
            host.there = false;
            host.lost.clone_from(&result.failure);
            return;
        }
        if let Until::Checks = wait.until {
            host.trouble.clone_from(&result.failure);
            self.hosts[host.host].facts.extend(result.facts.clone());
            self.handle_checks(id, &wait.look, host, &result, began);
            return;
        }
        let mut facts = result.facts;
        if let Some(status) = result.exit_status {
            facts.insert("exit_status".to_owned(), status.to_string());
        }
        host.trouble = result.failure;
        if let Look::Probe(probe) = &wait.look {
            if host.trouble.is_some() {
                // A probe that did not run to its end said nothing that can be relied on.
                host.there = false;
                return;
            }
            name_state(&self.plan.probes[probe.as_str()], &mut facts, &self.hosts[host.host].run_host.vars);
        }
        self.publish_facts(host.host, &mut facts);
        self.hosts[host.host].facts.extend(facts);
        match &wait.until {
            Until::Checks => {}
            Until::Chain => self.seen_chain(id, host, began),
            Until::Condition(condition) => self.seen_condition(id, wait, condition, host, began),
        }
        // What passes by itself is never given up early.
        if !host.there && !host.why.passing {
            let state = &self.hosts[host.host];
            let lost = gave_up(wait, &mut host.held, &state.facts, &state.run_host.vars, now);
            // The stage that is missed knows what to do where the rule does not.
            let hint = first_missing(&state.chain).and_then(|stage| stage.hint.clone());
            host.lost = lost.map(|lost| Failure { hint: lost.hint.clone().or(hint), ..lost });
        }
        if !host.there && host.lost.is_none() && wait.looks.is_some_and(|looks| host.looks >= looks) {
            host.lost = Some(self.not_there(wait, host, now, false));
        }
    }

    /// Takes in how far a host's chain has come.
    fn seen_chain(&mut self, id: StepId, host: &mut WaitingHost, began: Instant) {
        let now = now();
        let state = &mut self.hosts[host.host];
        let since = now.saturating_duration_since(began);
        let seen = stages(self.plan, &state.facts, &state.run_host.vars, &state.chain, Some(since));
        host.there = seen.iter().all(|stage| stage.up);
        let missing = |seen: &[StageState]| first_missing(seen).map(|stage| stage.stage.clone());
        if first_missing(&seen) != first_missing(&state.chain) {
            host.stuck = now;
            let place = |chain: &[StageState]| chain.iter().position(|stage| !stage.up).unwrap_or(chain.len());
            host.setbacks += u32::from(place(&seen) < place(&state.chain));
        }
        if missing(&seen) != missing(&state.chain) {
            host.why = Why::default();
            state.found = None;
        }
        self.tell_chain(host.host, seen);
        self.set_stage_activity(id, host, began);
    }

    /// Takes in what a host says about the one fact that is waited for.
    fn seen_condition(
        &mut self,
        id: StepId,
        wait: &Wait,
        condition: &crate::plan::Condition,
        host: &mut WaitingHost,
        began: Instant,
    ) {
        let state = &self.hosts[host.host];
        host.there = holds(condition, &state.facts, &state.run_host.vars);
        // What is waited for is one fact; the look told about the whole chain.
        if matches!(wait.look, Look::Probe(_)) && !self.plan.chain.is_empty() {
            let since = now().saturating_duration_since(began);
            let seen = stages(self.plan, &state.facts, &state.run_host.vars, &state.chain, Some(since));
            self.tell_chain(host.host, seen);
        }
        let state = &mut self.hosts[host.host];
        let fact = waited_for(condition);
        let note = said(&state.facts, "note", &fact);
        let value = state.facts.get(&fact).cloned().map(|value| with_note(&value, note));
        let seen = value.as_deref().unwrap_or("unknown");
        // Only who is still waited for is at something.
        let waited = (!host.there).then(|| (Activity::Stage(id, format!("{fact} {seen}")), host.stuck));
        state.activity = waited;
        if host.looks == 1 || value != host.value {
            host.value.clone_from(&value);
            self.emit(EventKind::Waiting { host: host.host, step: id, fact, value });
        }
    }

    fn tell_chain(&mut self, host: HostId, seen: Vec<StageState>) {
        let state = &mut self.hosts[host];
        if !same_stages(&seen, &state.chain) {
            state.chain.clone_from(&seen);
            self.emit(EventKind::ChainSeen { host, stages: seen });
        }
    }
}

/// True when two looks at a chain show the same, times aside.
fn same_stages(a: &[StageState], b: &[StageState]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.up == b.up && a.value == b.value)
}

/// The first rule that has held for as long as it must.
fn gave_up(
    wait: &Wait,
    held: &mut [Option<Instant>],
    facts: &Facts,
    vars: &crate::plan::Vars,
    now: Instant,
) -> Option<Failure> {
    let mut verdict = None;
    for (rule, since) in wait.give_up.iter().zip(held) {
        if !holds(&rule.when, facts, vars) {
            *since = None;
            continue;
        }
        let since = *since.get_or_insert(now);
        if verdict.is_none() && now - since >= rule.after {
            let mut failure = Failure::new(phase(&wait.until), reason(rule, facts, vars));
            failure.hint = rule.hint.as_ref().map(|hint| hint.render_words(vars, facts));
            verdict = Some(failure);
        }
    }
    verdict
}
