//! Waiting until a chain is up or a condition holds: gentle looks, one at a time per host, until enough hosts are there.

use std::time::{Duration, Instant};

use crate::cancel::{CancelToken, WatchedLimit};
use crate::duration::human;
use crate::event::{Activity, EventKind, HostId, StepId};
use crate::outcome::stage::StageState;
use crate::outcome::{Facts, Failure, Outcome, Phase, StepResult};
use crate::plan::{Look, On, OnFailure, Quorum, Share, Template, Until, Wait};
use crate::reactor::now;
use crate::transport::Command;

use super::cause;
use super::condition::{holds, name_state, reason, said, stages};
use super::executor::Executor;
use super::job::{JobResult, Work};
use super::job_result::{Parser, evaluate};
use super::pump::Pump;
use super::script::{self, Depth};
use super::step::is_gone;
use super::turn::NextEvent;
use super::wait_checks::{may_come, not_yet, timed_out_failure};
use super::waiting::{WaitingHost, WaitingHosts, Why};
use super::{Run, later};

/// Time that the other hosts still have to come up, once one is beyond help.
pub(super) const SETTLE: Duration = Duration::from_secs(15);
/// Time for one look, where the step does not say.
pub(super) const LOOK: Duration = Duration::from_secs(15);
/// So often, a stage that was there and is missing again comes and goes.
const SEVERAL: u32 = 2;
/// Time for the evidence of a host that did not come up.
pub(super) const EVIDENCE: Duration = Duration::from_secs(10);

impl<C: Executor> Run<'_, C> {
    /// Waits on these hosts.
    pub(super) async fn wait(&mut self, id: StepId, wait: &Wait, hosts: Vec<HostId>) {
        if hosts.is_empty() {
            return;
        }
        self.waited = true;
        if self.stats.cancelled.is_none() {
            self.looks = CancelToken::default();
        }
        let step = &self.plan.steps[id];
        if step.on == On::Any || step.about_cluster {
            self.wait_for_cluster(id, wait, hosts).await;
        } else {
            self.wait_for_hosts(id, wait, hosts).await;
        }
        self.looks = self.cancel.clone();
    }

    async fn wait_for_hosts(&mut self, id: StepId, wait: &Wait, hosts: Vec<HostId>) {
        let began = now();
        let of_all = needed(wait.quorum, hosts.len());
        let hindered: Vec<bool> = hosts.iter().map(|&host| self.hosts[host].obstacles.hinders).collect();
        let mut waiting = WaitingHosts::new(hosts, wait, began);
        waiting.hinder(&hindered);
        // Whom a preflight found unable to come up is looked at, but not waited for.
        let need = of_all.min(waiting.waited_for());
        for host in waiting.hindered() {
            if let Some(cause) = self.hosts[host].obstacles.certain.first().cloned() {
                self.emit(EventKind::CauseSeen { host, cause });
            }
        }
        let mut end = WatchedLimit::at(later(began, wait.timeout));
        while self.stats.cancelled.is_none() {
            let now = now();
            if waiting.there() >= need || waiting.are_settled() || end.has_passed() {
                break;
            }
            // Where the run goes on with the hosts that are left, each of them has its own time to come up.
            if waiting.possible() < need && self.plan.steps[id].on_failure == OnFailure::Stop {
                end.no_later_than(later(waiting.hopeless_since(now), SETTLE));
            }
            self.start_due_looks(id, id, wait, &mut waiting, None);
            let next = waiting.next_due().filter(|_| waiting.looking() < self.settings.fanout);
            let end = end.next_look();
            match self.next_event(Some(next.map_or(end, |next| next.min(end)))).await {
                NextEvent::Done(host, done) => self.heard_look(id, id, wait, &mut waiting, host, done, began),
                NextEvent::Time => {}
                NextEvent::Gone => break,
            }
        }
        if wait.patient {
            // Who is not up by now may take long to answer.
            self.looks.cancel();
        }
        self.drain(&mut waiting).await;
        let enough = waiting.iter().filter(|host| host.there).count() >= of_all;
        self.collect_evidence(id, wait, &waiting, enough).await;
        for host in waiting.into_hosts() {
            self.settle(id, wait, host, began, enough);
        }
    }

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
        let job = super::job::Job {
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

    /// Waits for looks that are under way, so that no answer goes to the wrong step.
    pub(super) async fn drain(&mut self, waiting: &mut WaitingHosts) {
        while waiting.looking() > 0 {
            match self.next_event(None).await {
                NextEvent::Done(host, _) => {
                    if let Some(place) = waiting.place(host) {
                        waiting.end(place, |_| ());
                    }
                }
                NextEvent::Time => {}
                NextEvent::Gone => return,
            }
        }
    }

    /// Asks hosts that did not come up for the last lines of their log.
    pub(super) async fn collect_evidence(&mut self, id: StepId, wait: &Wait, waiting: &WaitingHosts, enough: bool) {
        let Some(evidence) = &wait.evidence else { return };
        if enough {
            return;
        }
        let unreachable =
            |host: &&WaitingHost| host.lost.as_ref().is_some_and(|lost| lost.outcome() == Outcome::Unreachable);
        let hosts = waiting.iter().filter(|host| !host.there && !unreachable(host)).map(|host| (host.host, ()));
        let mut pump = Pump::new(hosts);
        let begin = |run: &mut Self, host: HostId, (): &()| {
            run.begin_quietly(host, id, run.evidence_command(evidence, host));
            true
        };
        while let Some((host, (), done)) = self.next_end(&mut pump, begin).await {
            let printed = evaluate(Parser::Status, Some(EVIDENCE), done).stdout;
            let (cause, shown) = self.cause_in(host, &printed);
            let state = &mut self.hosts[host];
            // What was seen while it was waited for still holds where nothing newer tells.
            state.found = cause.or(state.found.take());
            state.evidence = shown;
        }
    }

    pub(super) fn evidence_command(&self, evidence: &Look, host: HostId) -> Command {
        let state = &self.hosts[host];
        match evidence {
            // Evidence may be a script of ours; the login shell need not understand it.
            Look::Run(command) => Command::playbook(command.render_shell(&state.run_host.vars), Some(EVIDENCE)),
            Look::Probe(_) | Look::Checks { .. } => {
                script::look(self.plan, evidence, &state.run_host.vars, Depth::Full, Some(EVIDENCE))
            }
        }
    }

    /// Says how the wait went for a host.
    pub(super) fn settle(&mut self, id: StepId, wait: &Wait, host: WaitingHost, began: Instant, enough: bool) {
        let now = now();
        // A rule that holds, if not for long enough to give up on, has a hint of its own.
        let is_guessed = wait.give_up.iter().zip(&host.held).any(|(rule, held)| held.is_some() && rule.hint.is_some());
        let given_up = host.lost.is_some() && wait.looks.is_none() || is_guessed;
        let id_of_host = host.host;
        let mut result = if host.there {
            StepResult::new(Outcome::Ok)
        } else if let (Until::Checks, true) = (&wait.until, enough) {
            let lost = host.lost.as_ref().map(Failure::to_string);
            not_yet(lost.as_deref().or(host.value.as_deref()))
        } else if let Some(lost) = host.lost {
            StepResult::failed(lost)
        } else if self.stats.cancelled.is_some() {
            StepResult::new(Outcome::Cancelled)
        } else if enough {
            // Enough others are there, which is all that was asked.
            StepResult::new(Outcome::Ok)
        } else if let Some(hindered) = self.not_waited_for(host.host) {
            StepResult::failed(hindered)
        } else {
            StepResult::failed(self.not_there(wait, &host, now, now < later(began, wait.timeout)))
        };
        if !result.outcome.is_success() {
            result.stdout = std::mem::take(&mut self.hosts[host.host].evidence);
            self.add_cause(id_of_host, &mut result, given_up);
        }
        result.elapsed = now.saturating_duration_since(began);
        self.hosts[host.host].activity = None;
        // A host that one could do without, and that another one stood in for, does not fail the step.
        if self.plan.steps[id].on_failure == OnFailure::Continue && enough && !matches!(wait.until, Until::Checks) {
            result.outcome = Outcome::Ok;
        }
        self.end_step(host.host, id, result);
    }

    /// Words for a host whose time ran out; `cut`: sooner than was meant for it.
    pub(super) fn not_there(&self, wait: &Wait, host: &WaitingHost, now: Instant, cut: bool) -> Failure {
        let known = &self.hosts[host.host];
        let limit = human(wait.timeout);
        if let Until::Checks = wait.until {
            return timed_out_failure(host, wait.timeout, cut, known.address.is_some());
        }
        if let Some(trouble) = &host.trouble {
            // Its phase stays: a node that was lost is no node that answered.
            let cause = format!("not {} after {limit}: the last look failed: {}", self.plan.end_word(), trouble.cause);
            return Failure { cause, ..trouble.clone() };
        }
        let vars = &known.run_host.vars;
        let hint = wait.hint.as_ref().map(|hint| hint.render_words(vars, &known.facts));
        // What holds now, if not for long enough to give up on, is still the best guess.
        let rules = wait.give_up.iter().zip(&host.held);
        let guess = rules.filter(|(_, since)| since.is_some()).find_map(|(rule, _)| rule.hint.as_ref());
        let guess = guess.map(|hint| hint.render_words(vars, &known.facts));
        let (cause, hint) = match (&wait.until, first_missing(&known.chain)) {
            (Until::Chain, Some(stage)) => {
                if wait.looks.is_some() {
                    let value = stage.value.as_deref().unwrap_or("unknown");
                    let cause = format!("{}: {value}", stage.stage);
                    return Failure { hint: stage.hint.clone().or(hint), ..Failure::new(phase(&wait.until), cause) };
                }
                let age = match (host.setbacks, (now - host.stuck).as_secs()) {
                    // What comes and goes has been missing for no time at all when it is looked at last.
                    (SEVERAL.., _) => "again and again".to_owned(),
                    (_, age) => format!("for {}", human(Duration::from_secs(age))),
                };
                let value = stage.value.as_deref().unwrap_or("unknown");
                let why = if cut { "no longer waited for, as another host is beyond help; " } else { "" };
                let missing = if stage.is_condition() { "first stage not reached" } else { "first missing stage" };
                (format!("{why}{missing}: {} ({value}), {age}", stage.stage), stage.hint.clone().or(hint))
            }
            (Until::Chain, None) | (Until::Checks, _) => (format!("not {} after {limit}", self.plan.end_word()), hint),
            (Until::Condition(condition), _) => {
                (unmet(condition, &known.facts, vars, &after(wait)), told(condition, &known.facts).or(hint))
            }
        };
        Failure { hint: guess.or(hint), ..Failure::new(phase(&wait.until), cause) }
    }
}

/// When a wait was over: `after 600s`.
fn after(wait: &Wait) -> String {
    if wait.looks.is_some() { "now".to_owned() } else { format!("after {}", human(wait.timeout)) }
}

/// `cluster_state is Degraded after 600s, wanted Normal`.
pub(super) fn unmet(
    condition: &crate::plan::Condition,
    facts: &Facts,
    vars: &crate::plan::Vars,
    after: &str,
) -> String {
    let value = |fact: &str| facts.get(fact).map_or("unknown", String::as_str).to_owned();
    let told = |fact: &str| with_note(&value(fact), said(facts, "note", fact));
    let words = |templates: &[Template]| {
        let words: indexmap::IndexSet<String> = templates.iter().map(|template| template.render_plain(vars)).collect();
        words.into_iter().collect::<Vec<_>>().join(" or ")
    };
    let unmet: Vec<String> = condition
        .facts
        .iter()
        .filter(|(fact, wanted)| !wanted.iter().any(|wanted| wanted.render_plain(vars) == value(fact)))
        .map(|(fact, wanted)| format!("{fact} is {} {after}, wanted {}", told(fact), words(wanted)))
        .chain(
            condition
                .not
                .iter()
                .filter(|(fact, unwanted)| unwanted.iter().any(|unwanted| unwanted.render_plain(vars) == value(fact)))
                .map(|(fact, _)| format!("{fact} is still {} {after}", value(fact))),
        )
        .collect();
    if unmet.is_empty() { format!("not there {after}") } else { unmet.join("; ") }
}

/// `electing (the former primary of cm_server is missing)`.
fn with_note(value: &str, note: Option<String>) -> String {
    note.map_or_else(|| value.to_owned(), |note| format!("{value} ({note})"))
}

/// What the probe says to do about the facts of a condition.
pub(super) fn told(condition: &crate::plan::Condition, facts: &Facts) -> Option<String> {
    condition.facts.iter().chain(&condition.not).find_map(|(fact, _)| said(facts, "hint", fact))
}

/// Hosts that must be there.
pub(super) fn needed(quorum: Quorum, of: usize) -> usize {
    match quorum {
        Quorum::All => of,
        Quorum::Majority => of / 2 + 1,
        Quorum::Count(count) => count,
        Quorum::Percent(percent) => Share::Percent(percent).to_begin(of),
        Quorum::Any => 1,
    }
}

/// The fact that a condition is about.
pub(super) fn waited_for(condition: &crate::plan::Condition) -> String {
    let fact = condition.facts.first().or(condition.not.first()).map(|(fact, _)| fact.clone());
    fact.unwrap_or_else(|| "exit_status".to_owned())
}

pub(super) fn first_missing(stages: &[StageState]) -> Option<&StageState> {
    stages.iter().find(|stage| !stage.up)
}

/// True when two looks at a chain show the same, times aside.
fn same_stages(a: &[StageState], b: &[StageState]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.up == b.up && a.value == b.value)
}

/// What a wait was about, where it did not come true.
pub(super) fn phase(until: &Until) -> Phase {
    match until {
        Until::Chain => Phase::Chain,
        Until::Checks | Until::Condition(_) => Phase::Check,
    }
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
