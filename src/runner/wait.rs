//! Waiting until a chain is up or a condition holds: gentle looks, one at a time per host, until enough hosts are there.

use std::time::{Duration, Instant};

use crate::cancel::CancelToken;
use crate::duration::human;
use crate::event::{Activity, EventKind, HostId, StepId};
use crate::outcome::{Facts, Failure, Outcome, Phase, StageState, StepResult};
use crate::plan::{Action, Look, On, OnFailure, Quorum, Rule, Share, Step, Template, Until, Wait};
use crate::transport::Command;

use super::condition::{holds, name_state, stages};
use super::fleet::{Executor, Work};
use super::job_result::evaluate;
use super::script::{self, Depth};
use super::step::is_gone;
use super::wait_checks::{may_come, not_yet, timed_out_failure};
use super::{NextEvent, Run};

/// Time that the other hosts still have to come up, once one is beyond help.
const SETTLE: Duration = Duration::from_secs(15);
/// Time for one look, where the step does not say.
const LOOK: Duration = Duration::from_secs(15);
/// Time for the evidence of a host that did not come up.
pub(super) const EVIDENCE: Duration = Duration::from_secs(10);

/// A host that is waited for.
pub(super) struct WaitingHost {
    pub(super) host: HostId,
    /// When the next look is due.
    due: Instant,
    /// A look is under way since.
    looking: Option<Instant>,
    /// The latest look found it where it is wanted.
    pub(super) there: bool,
    /// It will not come, and this is why.
    lost: Option<Failure>,
    /// Since when each `give_up` rule has held.
    held: Vec<Option<Instant>>,
    /// Since when its first missing stage has been the first missing one.
    pub(super) stuck: Instant,
    /// What the latest look said about the fact that is waited for, or what it missed.
    pub(super) value: Option<String>,
    /// Why the latest look failed, if it did.
    pub(super) trouble: Option<Failure>,
    /// The boot id that was found first, where a reboot is waited for.
    pub(super) boot: Option<String>,
    pub(super) looks: u32,
}

impl WaitingHost {
    fn new(host: HostId, wait: &Wait, now: Instant) -> Self {
        Self {
            host,
            due: now,
            looking: None,
            there: false,
            lost: None,
            held: vec![None; wait.give_up.len()],
            stuck: now,
            value: None,
            trouble: None,
            boot: None,
            looks: 0,
        }
    }

    fn settled(&self) -> bool {
        self.there || self.lost.is_some()
    }
}

impl<C: Executor> Run<'_, C> {
    /// Waits on these hosts.
    pub(super) async fn wait(&mut self, id: StepId, wait: &Wait, hosts: Vec<HostId>) {
        let began = Instant::now();
        let step = &self.plan.steps[id];
        let any = step.on == On::Any;
        // One host is asked for all; the others stand by in case it goes away.
        let mut spare: std::collections::VecDeque<HostId> = hosts.into();
        let mut waiting: Vec<WaitingHost> = if any {
            spare.pop_front().map(|host| WaitingHost::new(host, wait, began)).into_iter().collect()
        } else {
            spare.drain(..).map(|host| WaitingHost::new(host, wait, began)).collect()
        };
        if waiting.is_empty() {
            return;
        }
        let need = if any { 1 } else { needed(wait.quorum, waiting.len()) };
        let mut end = began + wait.timeout;
        let mut cannot_reach_quorum = false;
        if self.stats.cancelled.is_none() {
            self.looks = CancelToken::default();
        }
        while self.stats.cancelled.is_none() {
            let now = Instant::now();
            if any
                && waiting[0].lost.as_ref().is_some_and(|lost| lost.outcome() == Outcome::Unreachable)
                && let Some(host) = spare.pop_front()
            {
                let gone = std::mem::replace(&mut waiting[0], WaitingHost::new(host, wait, now));
                self.settle(id, wait, gone, began, false);
            }
            if waiting.iter().filter(|host| host.there).count() >= need
                || waiting.iter().all(WaitingHost::settled)
                || now >= end
            {
                break;
            }
            let possible = waiting.iter().filter(|host| host.lost.is_none()).count();
            // Where the run goes on with the hosts that are left, each of them has its own time to come up.
            if possible < need && !cannot_reach_quorum && step.on_failure == OnFailure::Stop {
                cannot_reach_quorum = true;
                end = end.min(now + SETTLE);
            }
            let more = self.start_due_looks(id, step, wait, &mut waiting, now);
            let idle = waiting.iter().filter(|host| more && host.looking.is_none() && host.lost.is_none());
            let next = idle.map(|host| host.due).min();
            let until = next.map_or(end, |next| next.min(end));
            if let NextEvent::Done(host, done) = self.next_event(Some(until)).await {
                self.stats.running -= 1;
                let Some(index) = waiting.iter().position(|waiting| waiting.host == host) else { continue };
                let gone = is_gone(&done);
                let limit = Some(script::limit(step, &self.hosts[host].run_host).unwrap_or(LOOK).min(LOOK));
                let result = evaluate(&step.action, limit, done);
                self.handle_look(id, wait, &mut waiting[index], result, gone, began);
            }
        }
        if wait.patient {
            // Who is not up by now may take long to answer.
            self.looks.cancel();
        }
        self.drain(&mut waiting).await;
        self.looks = self.cancel.clone();
        let enough = waiting.iter().filter(|host| host.there).count() >= need;
        self.collect_evidence(id, wait, &waiting, enough).await;
        for host in waiting {
            self.settle(id, wait, host, began, enough);
        }
    }

    /// Begins a look on every host where one is due, the longest due first. True where there is room for more.
    fn start_due_looks(
        &mut self,
        id: StepId,
        step: &Step,
        wait: &Wait,
        waiting: &mut [WaitingHost],
        now: Instant,
    ) -> bool {
        let mut running = waiting.iter().filter(|host| host.looking.is_some()).count();
        let is_due = |host: &&mut WaitingHost| host.looking.is_none() && host.lost.is_none() && host.due <= now;
        let mut due: Vec<&mut WaitingHost> = waiting.iter_mut().filter(is_due).collect();
        due.sort_by_key(|host| host.due);
        for host in due {
            if running >= self.settings.fanout {
                break;
            }
            let state = &self.hosts[host.host];
            let Ok(Some(command)) = script::command(self.plan, step, &state.run_host, Depth::Light(&state.facts))
            else {
                continue;
            };
            let limit = command.timeout.unwrap_or(LOOK).min(LOOK);
            let command = Command { timeout: Some(limit), ..command };
            host.looking = Some(now);
            host.due = now + wait.every;
            host.looks += 1;
            self.begin_quietly(host.host, id, command);
            if host.there {
                self.hosts[host.host].activity = None;
            }
            running += 1;
        }
        running < self.settings.fanout
    }

    /// Begins a look: not worth an event of its own, once a second on every host.
    pub(super) fn begin_quietly(&mut self, host: HostId, step: StepId, command: Command) {
        let since = self.hosts[host].activity.take();
        let job = super::Job {
            work: Work::Command(command),
            stream: false,
            last: !self.settings.keep,
            cancel: self.looks.clone(),
        };
        self.begin(host, step, job);
        if let Some(since) = since {
            self.hosts[host].activity = Some(since);
        }
    }

    /// Takes in what a look brought.
    fn handle_look(
        &mut self,
        id: StepId,
        wait: &Wait,
        host: &mut WaitingHost,
        result: StepResult,
        gone: bool,
        began: Instant,
    ) {
        let now = Instant::now();
        host.looking = None;
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
        let state = &mut self.hosts[host.host];
        state.facts.extend(facts);
        let vars = &state.run_host.vars;
        match &wait.until {
            Until::Checks => {}
            Until::Chain => {
                let since = now.saturating_duration_since(began);
                let seen = stages(self.plan, &state.facts, vars, &state.chain, Some(since));
                host.there = seen.iter().all(|stage| stage.up);
                if first_missing(&seen) != first_missing(&state.chain) {
                    host.stuck = now;
                }
                if let Some(stage) = first_missing(&seen) {
                    state.activity = Some((Activity::Stage(id, stage.stage.clone()), host.stuck));
                }
                if !same_stages(&seen, &state.chain) {
                    state.chain.clone_from(&seen);
                    self.emit(EventKind::ChainSeen { host: host.host, stages: seen });
                }
            }
            Until::Condition(condition) => {
                host.there = holds(condition, &state.facts, vars);
                // What is waited for is one fact; the look told about the whole chain.
                if matches!(wait.look, Look::Probe(_)) && !self.plan.chain.is_empty() {
                    let since = now.saturating_duration_since(began);
                    let seen = stages(self.plan, &state.facts, vars, &state.chain, Some(since));
                    if !same_stages(&seen, &state.chain) {
                        state.chain.clone_from(&seen);
                        self.emit(EventKind::ChainSeen { host: host.host, stages: seen });
                    }
                }
                let state = &mut self.hosts[host.host];
                let fact = condition.facts.first().or(condition.not.first()).map(|(fact, _)| fact.clone());
                let fact = fact.unwrap_or_else(|| "exit_status".to_owned());
                let value = state.facts.get(&fact).cloned();
                let seen = value.as_deref().unwrap_or("unknown");
                state.activity = Some((Activity::Stage(id, format!("{fact} {seen}")), host.stuck));
                if host.looks == 1 || value != host.value {
                    host.value.clone_from(&value);
                    self.emit(EventKind::Waiting { host: host.host, step: id, fact, value });
                }
            }
        }
        if !host.there {
            let state = &self.hosts[host.host];
            host.lost = gave_up(&wait.give_up, &mut host.held, &state.facts, &state.run_host.vars, now);
        }
    }

    /// Waits for looks that are under way, so that no answer goes to the wrong step.
    async fn drain(&mut self, waiting: &mut [WaitingHost]) {
        while waiting.iter().any(|host| host.looking.is_some()) {
            if let NextEvent::Done(host, _) = self.next_event(None).await {
                self.stats.running -= 1;
                if let Some(waiting) = waiting.iter_mut().find(|waiting| waiting.host == host) {
                    waiting.looking = None;
                }
            }
        }
    }

    /// Asks hosts that did not come up for the last lines of their log.
    async fn collect_evidence(&mut self, id: StepId, wait: &Wait, waiting: &[WaitingHost], enough: bool) {
        let Some(evidence) = &wait.evidence else { return };
        if enough || self.stats.cancelled.is_some() {
            return;
        }
        let mut running = 0;
        for host in waiting.iter().filter(|host| !host.there) {
            if host.lost.as_ref().is_some_and(|lost| lost.outcome() == Outcome::Unreachable) {
                continue;
            }
            let text = self.evidence_text(evidence, host.host);
            self.begin_quietly(host.host, id, Command::new(text, Some(EVIDENCE)));
            running += 1;
        }
        while running > 0 {
            let NextEvent::Done(host, done) = self.next_event(None).await else { continue };
            running -= 1;
            self.stats.running -= 1;
            let asked = Action::Run { command: Template::default(), exec_options: crate::plan::ExecOptions::default() };
            let result = evaluate(&asked, Some(EVIDENCE), done);
            self.hosts[host].evidence = result.stdout;
        }
    }

    pub(super) fn evidence_text(&self, evidence: &Look, host: HostId) -> String {
        let state = &self.hosts[host];
        match evidence {
            // Evidence may be a script of ours; the login shell need not understand it.
            Look::Run(command) => crate::transport::posix(&command.render_shell(&state.run_host.vars)),
            Look::Probe(_) | Look::Checks { .. } => {
                script::look_text(self.plan, evidence, &state.run_host.vars, Depth::Full)
            }
        }
    }

    /// Says how the wait went for a host.
    fn settle(&mut self, id: StepId, wait: &Wait, host: WaitingHost, began: Instant, enough: bool) {
        let now = Instant::now();
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
        } else {
            StepResult::failed(self.not_there(wait, &host, now, now < began + wait.timeout))
        };
        if !result.outcome.is_success() {
            result.stdout = std::mem::take(&mut self.hosts[host.host].evidence);
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
    fn not_there(&self, wait: &Wait, host: &WaitingHost, now: Instant, cut: bool) -> Failure {
        let known = &self.hosts[host.host];
        let limit = human(wait.timeout);
        if let Until::Checks = wait.until {
            return timed_out_failure(host, wait.timeout, cut, known.address.is_some());
        }
        if let Some(trouble) = &host.trouble {
            // Its phase stays: a node that was lost is no node that answered.
            let cause = format!("not up after {limit}: the last look failed: {}", trouble.cause);
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
                let age = human(Duration::from_secs((now - host.stuck).as_secs()));
                let value = stage.value.as_deref().unwrap_or("unknown");
                let why = if cut { "no longer waited for, as another host is beyond help; " } else { "" };
                (format!("{why}first missing stage: {} ({value}), for {age}", stage.stage), stage.hint.clone().or(hint))
            }
            (Until::Chain, None) | (Until::Checks, _) => (format!("not up after {limit}"), hint),
            (Until::Condition(condition), _) => (unmet(condition, &known.facts, vars, &limit), hint),
        };
        Failure { hint: guess.or(hint), ..Failure::new(Phase::Command, cause) }
    }
}

/// `cluster_state is Degraded after 600s, wanted Normal`.
fn unmet(condition: &crate::plan::Condition, facts: &Facts, vars: &crate::plan::Vars, limit: &str) -> String {
    let value = |fact: &str| facts.get(fact).map_or("unknown", String::as_str).to_owned();
    let words = |templates: &[Template]| {
        let words: indexmap::IndexSet<String> = templates.iter().map(|template| template.render_plain(vars)).collect();
        words.into_iter().collect::<Vec<_>>().join(" or ")
    };
    let unmet: Vec<String> = condition
        .facts
        .iter()
        .filter(|(fact, wanted)| !wanted.iter().any(|wanted| wanted.render_plain(vars) == value(fact)))
        .map(|(fact, wanted)| format!("{fact} is {} after {limit}, wanted {}", value(fact), words(wanted)))
        .chain(
            condition
                .not
                .iter()
                .filter(|(fact, unwanted)| unwanted.iter().any(|unwanted| unwanted.render_plain(vars) == value(fact)))
                .map(|(fact, _)| format!("{fact} is still {} after {limit}", value(fact))),
        )
        .collect();
    if unmet.is_empty() { format!("not there after {limit}") } else { unmet.join("; ") }
}

/// Hosts that must be there.
fn needed(quorum: Quorum, of: usize) -> usize {
    match quorum {
        Quorum::All => of,
        Quorum::Majority => of / 2 + 1,
        Quorum::Count(count) => count,
        Quorum::Percent(percent) => Share::Percent(percent).to_begin(of),
        Quorum::Any => 1,
    }
}

fn first_missing(stages: &[StageState]) -> Option<&StageState> {
    stages.iter().find(|stage| !stage.up)
}

/// True when two looks at a chain show the same, times aside.
fn same_stages(a: &[StageState], b: &[StageState]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.up == b.up && a.value == b.value)
}

/// The first rule that has held for as long as it must.
fn gave_up(
    rules: &[Rule],
    held: &mut [Option<Instant>],
    facts: &Facts,
    vars: &crate::plan::Vars,
    now: Instant,
) -> Option<Failure> {
    let mut verdict = None;
    for (rule, since) in rules.iter().zip(held) {
        if !holds(&rule.when, facts, vars) {
            *since = None;
            continue;
        }
        let since = *since.get_or_insert(now);
        if verdict.is_none() && now - since >= rule.after {
            let mut failure = Failure::new(Phase::Command, rule.because.render_words(vars, facts));
            failure.hint = rule.hint.as_ref().map(|hint| hint.render_words(vars, facts));
            verdict = Some(failure);
        }
    }
    verdict
}
