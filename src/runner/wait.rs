//! Waiting until a chain is up or a condition holds: gentle looks, one at a time per host, until enough hosts are there.

use std::time::{Duration, Instant};

use crate::control::CancelToken;
use crate::duration::human;
use crate::event::{Activity, EventKind, HostId, StepId};
use crate::outcome::{Facts, Failure, Outcome, Phase, StageState, StepResult};
use crate::plan::{Action, Look, On, OnFailure, Quorum, Share, Step, Template, Until, Verdict, Wait};
use crate::transport::Command;

use super::conclude::conclude;
use super::condition::{holds, name_state, reason, said, stages};
use super::fleet::{Crew, Work};
use super::missing::{in_vain, may_come, not_yet};
use super::script::{self, Depth};
use super::step::is_gone;
use super::{Run, Turn};

/// Time that the other hosts still have to come up, once one is beyond help.
const SETTLE: Duration = Duration::from_secs(15);
/// Time for one look, where the step does not say.
const LOOK: Duration = Duration::from_secs(15);
/// Time for the evidence of a host that did not come up.
const EVIDENCE: Duration = Duration::from_secs(10);

/// A host that is waited for.
pub(super) struct Waiting {
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

impl Waiting {
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

impl<C: Crew> Run<'_, C> {
    /// Waits on these hosts.
    pub(super) async fn wait(&mut self, id: StepId, wait: &Wait, hosts: Vec<HostId>) {
        let began = Instant::now();
        let step = &self.plan.steps[id];
        let any = step.on == On::Any;
        // One host is asked for all; the others stand by in case it goes away.
        let mut spare: std::collections::VecDeque<HostId> = hosts.into();
        let mut waiting: Vec<Waiting> = if any {
            spare.pop_front().map(|host| Waiting::new(host, wait, began)).into_iter().collect()
        } else {
            spare.drain(..).map(|host| Waiting::new(host, wait, began)).collect()
        };
        if waiting.is_empty() {
            return;
        }
        let need = if any { 1 } else { needed(wait.quorum, waiting.len()) };
        let mut end = began + wait.timeout;
        let mut hopeless = false;
        if self.stats.cancelled.is_none() {
            self.looks = CancelToken::default();
        }
        while self.stats.cancelled.is_none() {
            let now = Instant::now();
            if any
                && waiting[0].lost.as_ref().is_some_and(|lost| lost.outcome() == Outcome::Unreachable)
                && let Some(host) = spare.pop_front()
            {
                let gone = std::mem::replace(&mut waiting[0], Waiting::new(host, wait, now));
                self.settle(id, wait, gone, began, false);
            }
            if waiting.iter().filter(|host| host.there).count() >= need
                || waiting.iter().all(Waiting::settled)
                || now >= end
            {
                break;
            }
            let possible = waiting.iter().filter(|host| host.lost.is_none()).count();
            if possible < need && !hopeless {
                hopeless = true;
                end = end.min(now + SETTLE);
            }
            let more = self.look_where_due(id, step, wait, &mut waiting, now);
            let idle = waiting.iter().filter(|host| more && host.looking.is_none() && host.lost.is_none());
            let next = idle.map(|host| host.due).min();
            let until = next.map_or(end, |next| next.min(end));
            if let Turn::Done(host, done) = self.turn(Some(until)).await {
                self.stats.running -= 1;
                let Some(index) = waiting.iter().position(|waiting| waiting.host == host) else { continue };
                let gone = is_gone(&done);
                let limit = Some(script::limit(step, &self.hosts[host].member).unwrap_or(LOOK).min(LOOK));
                let result = conclude(&step.action, limit, done);
                self.seen(id, wait, &mut waiting[index], result, gone, began);
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
    fn look_where_due(&mut self, id: StepId, step: &Step, wait: &Wait, waiting: &mut [Waiting], now: Instant) -> bool {
        let mut running = waiting.iter().filter(|host| host.looking.is_some()).count();
        let is_due = |host: &&mut Waiting| host.looking.is_none() && host.lost.is_none() && host.due <= now;
        let mut due: Vec<&mut Waiting> = waiting.iter_mut().filter(is_due).collect();
        due.sort_by_key(|host| host.due);
        for host in due {
            if running >= self.settings.fanout {
                break;
            }
            let state = &self.hosts[host.host];
            let Ok(Some(command)) = script::command(self.plan, step, &state.member, Depth::Light(&state.facts)) else {
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
    fn begin_quietly(&mut self, host: HostId, step: StepId, command: Command) {
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
    fn seen(&mut self, id: StepId, wait: &Wait, host: &mut Waiting, result: StepResult, gone: bool, began: Instant) {
        let now = Instant::now();
        host.looking = None;
        self.hosts[host.host].activity = Some((Activity::Step(id), began));
        if result.outcome == Outcome::Cancelled {
            return;
        }
        if let Some(failure) = result.failure.clone().filter(|failure| gone && wait.patient && may_come(failure)) {
            self.seen_away(id, host, failure);
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
            self.seen_checks(id, &wait.look, host, &result, began);
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
            name_state(&self.plan.probes[probe.as_str()], &mut facts, &self.hosts[host.host].member.vars);
        }
        self.share(&facts);
        let state = &mut self.hosts[host.host];
        state.facts.extend(facts);
        let vars = &state.member.vars;
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
                let note = said(&state.facts, "note", &fact);
                let value = state.facts.get(&fact).cloned().map(|value| with_note(value, note));
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
            let lost = beyond_help(&wait.give_up, &mut host.held, &state.facts, &state.member.vars, now);
            // The stage that is missed knows what to do where the rule does not.
            let hint = first_missing(&state.chain).and_then(|stage| stage.hint.clone());
            host.lost = lost.map(|lost| Failure { hint: lost.hint.clone().or(hint), ..lost });
        }
    }

    /// Waits for looks that are under way, so that no answer goes to the wrong step.
    async fn drain(&mut self, waiting: &mut [Waiting]) {
        while waiting.iter().any(|host| host.looking.is_some()) {
            if let Turn::Done(host, _) = self.turn(None).await {
                self.stats.running -= 1;
                if let Some(waiting) = waiting.iter_mut().find(|waiting| waiting.host == host) {
                    waiting.looking = None;
                }
            }
        }
    }

    /// Asks hosts that did not come up for the last lines of their log.
    async fn collect_evidence(&mut self, id: StepId, wait: &Wait, waiting: &[Waiting], enough: bool) {
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
            let Turn::Done(host, done) = self.turn(None).await else { continue };
            running -= 1;
            self.stats.running -= 1;
            let asked = Action::Run { command: Template::default(), manner: crate::plan::Manner::default() };
            let result = conclude(&asked, Some(EVIDENCE), done);
            self.hosts[host].evidence = result.stdout;
        }
    }

    fn evidence_text(&self, evidence: &Look, host: HostId) -> String {
        let state = &self.hosts[host];
        match evidence {
            // Evidence may be a script of ours; the login shell need not understand it.
            Look::Run(command) => crate::transport::posix(&command.render_shell(&state.member.vars)),
            Look::Probe(_) | Look::Checks { .. } => {
                script::look_text(self.plan, evidence, &state.member.vars, Depth::Full)
            }
        }
    }

    /// Says how the wait went for a host.
    fn settle(&mut self, id: StepId, wait: &Wait, host: Waiting, began: Instant, enough: bool) {
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
    fn not_there(&self, wait: &Wait, host: &Waiting, now: Instant, cut: bool) -> Failure {
        let known = &self.hosts[host.host];
        let limit = human(wait.timeout);
        if let Until::Checks = wait.until {
            return in_vain(host, wait.timeout, cut, known.address.is_some());
        }
        if let Some(trouble) = &host.trouble {
            // Its phase stays: a node that was lost is no node that answered.
            let cause = format!("not up after {limit}: the last look failed: {}", trouble.cause);
            return Failure { cause, ..trouble.clone() };
        }
        let vars = &known.member.vars;
        let hint = wait.hint.as_ref().map(|hint| hint.render_plain(vars));
        // What holds now, if not for long enough to give up on, is still the best guess.
        let rules = wait.give_up.iter().zip(&host.held);
        let guess = rules.filter(|(_, since)| since.is_some()).find_map(|(rule, _)| rule.hint.as_ref());
        let guess = guess.map(|hint| hint.render_plain(vars));
        let (cause, hint) = match (&wait.until, first_missing(&known.chain)) {
            (Until::Chain, Some(stage)) => {
                let age = human(Duration::from_secs((now - host.stuck).as_secs()));
                let value = stage.value.as_deref().unwrap_or("unknown");
                let why = if cut { "no longer waited for, as another host is beyond help; " } else { "" };
                (format!("{why}first missing stage: {} ({value}), for {age}", stage.stage), stage.hint.clone().or(hint))
            }
            (Until::Chain, None) | (Until::Checks, _) => (format!("not up after {limit}"), hint),
            (Until::Condition(condition), _) => {
                let seen = condition.facts.iter().chain(&condition.not).map(|(fact, _)| fact);
                let told = seen.map(|fact| said(&known.facts, "hint", fact)).find_map(|hint| hint);
                (unmet(condition, &known.facts, vars, &limit), told.or(hint))
            }
        };
        Failure { hint: guess.or(hint), ..Failure::new(Phase::Command, cause) }
    }
}

/// `cluster_state is Degraded after 600s, wanted Normal`.
fn unmet(condition: &crate::plan::Condition, facts: &Facts, vars: &crate::plan::Vars, limit: &str) -> String {
    let value = |fact: &str| facts.get(fact).map_or("unknown", String::as_str).to_owned();
    let told = |fact: &str| with_note(value(fact), said(facts, "note", fact));
    let words = |templates: &[Template]| {
        let mut words: Vec<String> = templates.iter().map(|template| template.render_plain(vars)).collect();
        words.dedup();
        words.join(" or ")
    };
    let unmet: Vec<String> = condition
        .facts
        .iter()
        .filter(|(fact, wanted)| !wanted.iter().any(|wanted| wanted.render_plain(vars) == value(fact)))
        .map(|(fact, wanted)| format!("{fact} is {} after {limit}, wanted {}", told(fact), words(wanted)))
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

/// `electing (the former primary of cm_server is missing)`.
fn with_note(value: String, note: Option<String>) -> String {
    note.map_or(value.clone(), |note| format!("{value} ({note})"))
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
fn beyond_help(
    rules: &[Verdict],
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
            let mut failure = Failure::new(Phase::Command, reason(rule, facts, vars));
            failure.hint = rule.hint.as_ref().map(|hint| hint.render_plain(vars));
            verdict = Some(failure);
        }
    }
    verdict
}
