//! One step on its hosts: who takes part, batches, retries, cleanups.

use crate::cancel::CancelToken;
use crate::event::{EventKind, HostId, StepId};
use crate::outcome::{Facts, Failure, Outcome, Phase, StepResult};
use crate::output::Output;
use crate::plan::script::{self as node, Tested};
use crate::plan::{Action, Look, On, OnFailure, Plan, Step, Until, Vars};
use crate::report::{Asked, ClusterReport};
use crate::stats::CancelReason;

use super::Run;
use super::condition::holds;
use super::evidence::EVIDENCE;
use super::executor::Executor;
use super::job::{Job, JobResult, Work};
use super::job_result::{Parser, answer, evaluate, require_answers};
use super::pump::Pump;
use super::script;
use super::wait_failure::waited_for;

/// What the names of secrets that one host tells to all begin with.
const SECRET: &str = "share_secret_";

impl<C: Executor> Run<'_, C> {
    /// Does one step on every host that it is for.
    pub(super) async fn step(&mut self, id: StepId) {
        let plan = self.plan;
        let step = &plan.steps[id];
        let hosts = self.hosts_for(step);
        if hosts.is_empty() && self.batch.as_ref().is_some_and(|batch| !batch.is_last) {
            return;
        }
        let concerned = |id: &&HostId| {
            let host = &self.hosts[**id];
            step.when.as_ref().is_none_or(|when| holds(when, &host.facts, &host.run_host.vars))
        };
        let concerned = hosts.iter().filter(concerned).count();
        self.emit(EventKind::StepStarted { step: id, hosts: concerned });
        self.step_failed = false;
        let hosts = self.skip_done(id, hosts);
        let waits_for_nothing = matches!(&step.action, Action::Wait(wait) if wait.timeout.is_zero());
        let asked = if waits_for_nothing { Vec::new() } else { self.filter_by_when(id, hosts).await };
        // A state is named where the step is for somebody.
        let named = !asked.is_empty();
        match &step.action {
            Action::State { .. } => {}
            Action::Wait(wait) => {
                self.wait(id, wait, asked.clone()).await;
                if matches!((&wait.until, &wait.look), (Until::Chain, Look::Probe(_))) && step.on != On::Any {
                    self.chain_wait = Some(id);
                }
            }
            _ if step.on == On::Any => self.run_on_any(id, &asked).await,
            _ => self.run_in_batches(id, asked.clone()).await,
        }
        self.emit(EventKind::StepFinished { step: id });
        if let Action::Probe { refuse, warn, .. } = &step.action {
            self.check_preflight(id, refuse, &asked);
            if !self.stopped && self.stats.cancelled.is_none() {
                self.remark(id, warn);
            }
        } else if step.on_failure == OnFailure::Stop && self.failed_at(id) {
            // In a batch the hosts that are left go on to its end: `max_fail` says whether another one begins.
            self.stopped |= self.batch.is_none() || self.cluster_failed_at == Some(id);
        }
        if let Some(batch) = &self.batch {
            if self.step_failed {
                self.failed_before.insert(id);
            }
            if !batch.is_last {
                return;
            }
            self.step_failed |= self.failed_before.contains(&id);
        }
        self.log_step_done(id, named);
        self.send_state(id).await;
    }

    /// Hosts that a step is for: in its group, and still in the run.
    pub(super) fn hosts_for(&self, step: &Step) -> Vec<HostId> {
        (0..self.hosts.len())
            .filter(|&id| self.batch.as_ref().is_none_or(|batch| batch.has(id)))
            .filter(|&id| !self.hosts[id].out && self.hosts[id].verdict.is_none())
            .filter(|&id| step.on.includes(&self.hosts[id].run_host.groups))
            .collect()
    }

    /// True when the step failed on some host, and no other one could stand in.
    fn failed_at(&self, id: StepId) -> bool {
        if self.is_done_by_another(id) {
            return false;
        }
        self.cluster_failed_at == Some(id)
            || self.hosts.iter().any(|host| host.out && host.row_of(id).is_some_and(|row| !row.outcome.is_success()))
    }

    /// One batch after the other.
    async fn run_in_batches(&mut self, id: StepId, mut hosts: Vec<HostId>) {
        let serial = self.plan.steps[id].serial.or(self.settings.serial);
        let size = serial.map_or(hosts.len(), |share| share.to_begin(hosts.len())).max(1);
        if let Some(canary) = self.settings.canary.clone()
            && canary.first < hosts.len()
        {
            let others = hosts.split_off(canary.first);
            if !self.run_canary(id, &hosts, others.len()).await {
                return;
            }
            hosts = others;
        }
        let count = hosts.len().div_ceil(size);
        // In a rolling run the batch was told already.
        let is_told = count > 1 && self.batch.is_none() && self.plan.steps[id].action.is_change();
        for (index, batch) in hosts.chunks(size).enumerate() {
            if self.stats.cancelled.is_some() {
                break;
            }
            if is_told {
                self.emit(EventKind::BatchStarted { batch: index + 1, of: count, hosts: batch.to_vec() });
            }
            self.run_on_hosts(id, batch).await;
            if batch.len() < hosts.len() && !self.write_log(|log| log.batch_done()) {
                break;
            }
        }
    }

    /// One host after the other, until one can be reached and has an answer.
    async fn run_on_any(&mut self, id: StepId, hosts: &[HostId]) {
        let step = &self.plan.steps[id];
        let mut asked = Vec::new();
        for &host in hosts {
            self.run_on_hosts(id, &[host]).await;
            let row = self.hosts[host].row_of(id);
            let reached = row.is_none_or(|row| row.outcome != Outcome::Unreachable);
            let failed = row.and_then(|row| row.failure.as_deref()).map(Failure::to_string);
            let Some(no_answer) = &step.not_an_answer else {
                if reached || self.stats.cancelled.is_some() {
                    return;
                }
                continue;
            };
            let state = &self.hosts[host];
            let fact = waited_for(no_answer);
            let answer = failed.clone().or_else(|| state.facts.get(&fact).cloned());
            asked.push((host, answer.unwrap_or_else(|| "no answer".to_owned())));
            let answered = failed.is_none() && !holds(no_answer, &state.facts, &state.run_host.vars);
            if answered || self.stats.cancelled.is_some() {
                break;
            }
        }
        if let Some((_, state)) = asked.last().filter(|_| self.stats.cancelled.is_none()) {
            let state = Some(state.clone());
            let asked = asked
                .into_iter()
                .map(|(host, answer)| Asked { host: self.hosts[host].run_host.name.to_string(), answer });
            let cluster = ClusterReport { state, asked: asked.collect(), failure: None, cause: None };
            self.cluster = Some(cluster.clone());
            self.emit(EventKind::ClusterSeen { step: id, cluster });
        }
    }

    /// Leaves out the hosts for which the step's `when` does not hold.
    async fn filter_by_when(&mut self, id: StepId, hosts: Vec<HostId>) -> Vec<HostId> {
        let step = &self.plan.steps[id];
        let Some(when) = &step.when else { return hosts };
        let (hosts, out): (Vec<_>, Vec<_>) =
            hosts.into_iter().partition(|&host| holds(when, &self.hosts[host].facts, &self.hosts[host].run_host.vars));
        for host in out {
            self.end_step(host, id, StepResult::new(Outcome::Skipped));
        }
        if when.exists.is_empty() && when.missing.is_empty() {
            return hosts;
        }
        let mut passed = Vec::new();
        let mut pump = Pump::new(hosts.into_iter().map(|host| (host, ())));
        let begin = |run: &mut Self, host: HostId, (): &()| {
            let run_host = &run.hosts[host].run_host;
            let Some(command) = script::file_tests(step, run_host) else { return false };
            run.submit(host, id, Work::Command(command), false);
            true
        };
        while let Some((host, (), done)) = self.next_end(&mut pump, begin).await {
            let limit = script::limit(step, &self.hosts[host].run_host);
            let result = evaluate(Parser::Status, limit, done);
            if result.outcome != Outcome::Ok && result.outcome != Outcome::Failed {
                self.end_step(host, id, result);
                continue;
            }
            match node::parse_tests(&answer(&result)) {
                Tested::Holds => passed.push(host),
                Tested::Fails(_) => self.end_step(host, id, StepResult::new(Outcome::Skipped)),
                Tested::Unknown(said) => {
                    let cause = format!("cannot tell whether the step is for it: {said}");
                    self.end_step(host, id, StepResult::failed(Failure::new(Phase::Check, cause)));
                }
            }
        }
        passed.sort_unstable();
        passed
    }

    /// A step's command on some hosts, as many at once as the fanout allows. Where it changes something, no other run may be at
    /// work on one of them.
    pub(super) async fn run_on_hosts(&mut self, id: StepId, hosts: &[HostId]) {
        for hosts in hosts.chunks(self.held_at_once(hosts.len())) {
            let hosts = self.hold(id, hosts).await;
            if self.stats.refused {
                return;
            }
            let hosts = self.intend(id, hosts).await;
            self.work_on_hosts(id, &hosts).await;
        }
    }

    async fn work_on_hosts(&mut self, id: StepId, hosts: &[HostId]) {
        let plan = self.plan;
        let step = &plan.steps[id];
        let last = self.is_last(id);
        let mut pump = Pump::new(hosts.iter().map(|&host| (host, Task::Do { retries: step.retries })));
        let begin = |run: &mut Self, host: HostId, task: &Task| match task {
            Task::AskWhy(_) => {
                if let Some(evidence) = &step.evidence {
                    let command = run.evidence_command(evidence, host);
                    run.begin_quietly(host, id, command);
                }
                step.evidence.is_some()
            }
            Task::Do { .. } => match script::work(plan, step, &run.hosts[host].run_host) {
                Ok(work) => {
                    run.submit(host, id, work, last);
                    true
                }
                // Said before contact for every host, so this is a bug; the host must not be lost over it.
                Err(said) => {
                    run.end_step(host, id, StepResult::failed(Failure::new(Phase::Local, said)));
                    false
                }
            },
        };
        while let Some((host, task, done)) = self.next_end(&mut pump, begin).await {
            let retries = match task {
                Task::Do { retries } => retries,
                Task::AskWhy(failed) => {
                    let said = evaluate(Parser::Status, Some(EVIDENCE), done).stdout;
                    let (cause, shown) = self.cause_in(host, &said);
                    let mut result = with_evidence(*failed, &shown);
                    if result.cause.is_none() {
                        self.hosts[host].found = cause;
                        self.add_cause(host, &mut result, false);
                    }
                    self.end_step(host, id, result);
                    self.check_max_fail(step);
                    continue;
                }
            };
            let limit = script::limit(step, &self.hosts[host].run_host);
            let gone = is_gone(&done);
            let mut result = evaluate(Parser::of(&step.action), limit, done);
            self.recognize(host, step, &mut result);
            require_answers(&mut result, &script::paths(step, &self.hosts[host].run_host.vars));
            match &step.action {
                Action::Probe { probe, .. } => {
                    // What another probe does not ask for is still so.
                    if !step.need.is_empty() && result.outcome.is_success() {
                        self.note_obstacles(host, &result.facts, result.elapsed);
                    }
                    self.add_probe_facts(host, probe, &mut result);
                }
                Action::Script { .. } => self.hand_on(host, &mut result),
                Action::Remove { .. } => self.forget_removed(host, &result),
                _ => {}
            }
            let goes_on = self.stats.cancelled.is_none();
            if result.outcome == Outcome::Failed && retries > 0 && goes_on {
                pump.push(host, Task::Do { retries: retries - 1 });
                continue;
            }
            self.remember_cleanup(host, id, &result);
            self.name_way_out(step, host, &mut result);
            self.add_own_cause(host, &mut result);
            if step.evidence.is_some() && goes_on && !gone && wants_evidence(&result) {
                pump.push(host, Task::AskWhy(Box::new(result)));
                continue;
            }
            self.end_step(host, id, result);
            if last && !self.hosts[host].has_cleanup() {
                self.conclude_host(host);
            }
            self.check_max_fail(step);
        }
        // Where the run was cut short meanwhile, what failed is told without more.
        for (host, task) in pump.into_left() {
            if let Task::AskWhy(failed) = task {
                self.end_step(host, id, *failed);
            }
        }
    }

    /// Adds the step's own hint where the command had none, or only the one that any command has whose time ran out.
    fn name_way_out(&self, step: &Step, host: HostId, result: &mut StepResult) {
        let (Some(hint), Some(failure)) = (&step.hint, &mut result.failure) else { return };
        if failure.hint.is_none() || failure.phase == Phase::Timeout {
            let host = &self.hosts[host];
            failure.hint = Some(hint.render_words(&host.run_host.vars, &host.facts));
        }
    }

    /// Sends a job to a host.
    pub(super) fn submit(&mut self, host: HostId, step: StepId, work: Work, last: bool) {
        // What is to be undone must be heard to its end, or nobody knows whether there is something to undo.
        let undone = self.plan.steps[step].cleanup.is_some();
        let cancel = if undone { CancelToken::default() } else { self.cancel.clone() };
        let last = last || !self.settings.keep;
        let secret = matches!(&self.plan.steps[step].action, Action::Script { script, .. } if script.contains(SECRET));
        let job = Job { work, stream: self.settings.stream && !secret, waits: false, last, cancel };
        self.begin(host, step, job);
        self.emit(EventKind::HostStepStarted { host, step });
    }

    /// True when nothing comes after this step but cleanups.
    fn is_last(&self, id: StepId) -> bool {
        id + 1 == self.plan.steps.len()
            && self.plan.state_file.is_none()
            && !self.plan.steps.iter().any(|step| step.cleanup.is_some())
    }

    /// Stops the run once more hosts failed than are allowed to.
    fn check_max_fail(&mut self, step: &Step) {
        let Some(share) = step.max_fail.or(self.settings.max_fail) else { return };
        if self.out > share.to_bear(self.hosts.len()) {
            self.cancel_run(CancelReason::MaxFail);
        }
    }

    /// Tells every host what a script has for all. A secret (`share_secret_...`) is told to them and to nothing else: it
    /// stands in no fact and no output of the result.
    fn hand_on(&mut self, host: HostId, result: &mut StepResult) {
        self.publish_facts(host, &mut result.facts);
        if result.facts.keys().any(|name| name.starts_with(SECRET)) {
            result.facts.retain(|name, _| !name.starts_with(SECRET));
            result.stdout = crate::output::Output::default();
        }
    }

    /// Takes in what a probe learned.
    pub(super) fn add_probe_facts(&mut self, host: HostId, probe: &str, result: &mut StepResult) {
        let plan = self.plan;
        let state = &mut self.hosts[host];
        super::condition::name_state(&plan.probes[probe], &mut result.facts, &state.run_host.vars);
        self.publish_facts(host, &mut result.facts);
        let state = &mut self.hosts[host];
        take_found(plan, &mut state.run_host.vars, &result.facts);
        if plan.chain.is_empty() || !result.outcome.is_success() {
            return;
        }
        let mut facts = state.facts.clone();
        facts.extend(result.facts.iter().map(|(key, value)| (key.clone(), value.clone())));
        let stages = super::condition::stages(plan, &facts, &state.run_host.vars, &state.chain, None);
        if stages != state.chain {
            state.chain.clone_from(&stages);
            self.emit(EventKind::ChainSeen { host, stages });
        }
    }
}

/// What is done on a host for a step.
enum Task {
    /// The step, which may be tried again so many times.
    Do { retries: u32 },
    /// It failed so; the host is asked why.
    AskWhy(Box<StepResult>),
}

/// Whether a command that ended so leaves a host that can be asked why.
fn wants_evidence(result: &StepResult) -> bool {
    matches!(result.outcome, Outcome::Failed | Outcome::TimedOut)
}

/// What failed, and after what it printed what the host says of it.
fn with_evidence(mut failed: StepResult, evidence: &Output) -> StepResult {
    let mut both = failed.stdout.builder();
    // What cannot be read again is missing from the report, as it is without evidence.
    for output in [&failed.stdout, evidence] {
        let _ = output.pieces(|piece| {
            both.push(piece);
            Ok(())
        });
    }
    failed.stdout = both.finish();
    failed
}

/// True for an end after which the same host cannot be asked again.
pub(super) fn is_gone(done: &JobResult) -> bool {
    matches!(done, JobResult::Unreached { .. })
}

/// Variables that nothing gave a value, and that a probe has found on the host.
fn take_found(plan: &Plan, vars: &mut Vars, facts: &Facts) {
    for (name, spec) in plan.vars.iter().filter(|(_, spec)| spec.found) {
        if vars.get(name).is_none_or(str::is_empty)
            && let Some(value) = facts.get(&format!("found_{name}")).filter(|value| spec.check.check(value).is_ok())
        {
            vars.insert(name.as_str(), value.as_str());
        }
    }
}
