//! One step on its hosts: who takes part, batches, retries, cleanups.

use std::collections::VecDeque;

use crate::cancel::CancelToken;
use crate::event::{EventKind, HostId, StepId};
use crate::outcome::{ChangeKind, Facts, Failure, Outcome, Phase, StepResult};
use crate::plan::script::{self as node, Tested};
use crate::plan::{Action, Cleanup, On, OnFailure, Step};
use crate::stats::CancelReason;
use crate::transport::Command;

use super::condition::holds;
use super::fleet::{Executor, Job, JobResult, Work};
use super::job_result::{answer, evaluate};
use super::script;
use super::wait::EVIDENCE;
use super::{CLEANUP_TIMEOUT, NextEvent, Run};

impl<C: Executor> Run<'_, C> {
    /// Does one step on every host that it is for.
    pub(super) async fn step(&mut self, id: StepId) {
        let plan = self.plan;
        let step = &plan.steps[id];
        let hosts = self.hosts_for(step);
        self.emit(EventKind::StepStarted { step: id, hosts: hosts.len() });
        self.step_failed = false;
        let hosts = self.skip_done(id, hosts);
        // A state is named where the step is for somebody.
        let mut named = false;
        match &step.action {
            Action::State { .. } => named = !self.filter_by_when(id, hosts).await.is_empty(),
            Action::Wait(wait) if wait.timeout.is_zero() => {}
            Action::Wait(wait) => {
                let hosts = self.filter_by_when(id, hosts).await;
                self.wait(id, wait, hosts).await;
            }
            _ if step.on == On::Any => self.run_on_any(id, hosts).await,
            _ => self.run_in_batches(id, hosts).await,
        }
        self.emit(EventKind::StepFinished { step: id });
        if let Action::Probe { refuse, .. } = &step.action {
            self.check_preflight(id, refuse);
        } else if step.on_failure == OnFailure::Stop && self.failed_at(step) {
            self.stopped = true;
        }
        self.log_step_done(id, named);
        self.send_state(id).await;
    }

    /// Hosts that a step is for: in its group, and still in the run.
    fn hosts_for(&self, step: &Step) -> Vec<HostId> {
        let wanted = |groups: &[String]| match &step.on {
            On::All | On::Any => true,
            On::Group(name) => groups.contains(name),
            On::NotGroup(name) => !groups.contains(name),
        };
        (0..self.hosts.len())
            .filter(|&id| !self.hosts[id].out && self.hosts[id].verdict.is_none())
            .filter(|&id| wanted(&self.hosts[id].run_host.groups))
            .collect()
    }

    /// True when the step failed on some host, and no other one could stand in.
    fn failed_at(&self, step: &Step) -> bool {
        let name = &step.name;
        if step.on == On::Any && self.any_succeeded(step) {
            return false;
        }
        self.hosts.iter().any(|host| {
            host.out && host.steps.last().is_some_and(|last| &last.name == name && !last.outcome.is_success())
        })
    }

    /// One batch after the other.
    async fn run_in_batches(&mut self, id: StepId, hosts: Vec<HostId>) {
        let serial = self.plan.steps[id].serial.or(self.settings.serial);
        let size = serial.map_or(hosts.len(), |share| share.to_begin(hosts.len())).max(1);
        let mut hosts = self.filter_by_when(id, hosts).await;
        if let Some(canary) = self.settings.canary.clone()
            && canary.first < hosts.len()
        {
            let others = hosts.split_off(canary.first);
            if !self.run_canary(id, &canary, &hosts, others.len()).await {
                return;
            }
            hosts = others;
        }
        for batch in hosts.chunks(size) {
            if self.stats.cancelled.is_some() {
                break;
            }
            self.run_on_hosts(id, batch).await;
            if batch.len() < hosts.len() && !self.write_log(|log| log.batch_done()) {
                break;
            }
        }
    }

    /// One host after the other, until one can be reached.
    async fn run_on_any(&mut self, id: StepId, hosts: Vec<HostId>) {
        for host in hosts {
            self.run_on_hosts(id, &[host]).await;
            let reached = self.hosts[host].steps.last().is_none_or(|last| last.outcome != Outcome::Unreachable);
            if reached || self.stats.cancelled.is_some() {
                return;
            }
        }
    }

    /// Leaves out the hosts for which the step's `when` does not hold.
    async fn filter_by_when(&mut self, id: StepId, hosts: Vec<HostId>) -> Vec<HostId> {
        let step = &self.plan.steps[id];
        let Some(when) = &step.when else { return hosts };
        let (mut hosts, out): (Vec<_>, Vec<_>) =
            hosts.into_iter().partition(|&host| holds(when, &self.hosts[host].facts, &self.hosts[host].run_host.vars));
        for host in out {
            self.end_step(host, id, StepResult::new(Outcome::Skipped));
        }
        if when.exists.is_empty() && when.missing.is_empty() {
            return hosts;
        }
        let mut passed = Vec::new();
        let mut queue: VecDeque<HostId> = std::mem::take(&mut hosts).into();
        let mut running = 0;
        loop {
            while running < self.settings.fanout && self.stats.cancelled.is_none() {
                let Some(host) = queue.pop_front() else { break };
                let text = script::file_tests(step, &self.hosts[host].run_host.vars).unwrap_or_default();
                let limit = script::limit(step, &self.hosts[host].run_host);
                self.submit(host, id, Work::Command(Command::new(text, limit)), false);
                running += 1;
            }
            if running == 0 {
                break;
            }
            let NextEvent::Done(host, done) = self.next_event(None).await else { continue };
            running -= 1;
            self.stats.running -= 1;
            let limit = script::limit(step, &self.hosts[host].run_host);
            let asked = Action::Run {
                command: crate::plan::Template::default(),
                exec_options: crate::plan::ExecOptions::default(),
            };
            let result = evaluate(&asked, limit, done);
            if result.outcome == Outcome::Ok || result.outcome == Outcome::Failed {
                match node::parse_tests(&answer(&result)) {
                    Tested::Holds => passed.push(host),
                    Tested::Fails(_) => self.end_step(host, id, StepResult::new(Outcome::Skipped)),
                    Tested::Unknown(said) => {
                        let failure =
                            Failure::new(Phase::Command, format!("cannot tell whether the step is for it: {said}"));
                        self.end_step(host, id, StepResult::failed(failure));
                    }
                }
            } else {
                self.end_step(host, id, result);
            }
        }
        passed.sort_unstable();
        passed
    }

    /// A step's command on some hosts, as many at once as the fanout allows.
    pub(super) async fn run_on_hosts(&mut self, id: StepId, hosts: &[HostId]) {
        let plan = self.plan;
        let step = &plan.steps[id];
        let last = self.is_last(id);
        let mut queue: VecDeque<(HostId, u32)> = hosts.iter().map(|&host| (host, step.retries)).collect();
        let mut left: std::collections::HashMap<HostId, u32> = std::collections::HashMap::new();
        // Hosts on which it failed, and that are asked why.
        let mut asked: std::collections::HashMap<HostId, StepResult> = std::collections::HashMap::new();
        let mut running = 0;
        loop {
            while running < self.settings.fanout && self.stats.cancelled.is_none() {
                let Some((host, retries)) = queue.pop_front() else { break };
                left.insert(host, retries);
                match script::work(plan, step, &self.hosts[host].run_host) {
                    Ok(work) => {
                        self.submit(host, id, work, last);
                        running += 1;
                    }
                    // Said before contact for every host, so this is a bug; the host must not be lost over it.
                    Err(said) => self.end_step(host, id, StepResult::failed(Failure::new(Phase::Command, said))),
                }
            }
            if running == 0 {
                break;
            }
            let NextEvent::Done(host, done) = self.next_event(None).await else { continue };
            running -= 1;
            self.stats.running -= 1;
            if let Some(failed) = asked.remove(&host) {
                self.end_step(host, id, with_evidence(failed, done));
                self.check_max_fail(step);
                continue;
            }
            let limit = script::limit(step, &self.hosts[host].run_host);
            let gone = is_gone(&done);
            let mut result = evaluate(&step.action, limit, done);
            if let Action::Probe { probe, .. } = &step.action {
                self.add_probe_facts(host, probe, &mut result);
            }
            let again = left.remove(&host).unwrap_or(0);
            if result.outcome == Outcome::Failed && again > 0 && self.stats.cancelled.is_none() {
                queue.push_back((host, again - 1));
                continue;
            }
            self.remember_cleanup(host, id, &result);
            self.name_way_out(step, host, &mut result);
            if let Some(evidence) = step.evidence.as_ref().filter(|_| !gone && wants_evidence(&result)) {
                let command = Command::new(self.evidence_text(evidence, host), Some(EVIDENCE));
                self.begin_quietly(host, id, command);
                asked.insert(host, result);
                running += 1;
                continue;
            }
            self.end_step(host, id, result);
            if last && !self.hosts[host].has_cleanup() {
                self.conclude_host(host);
            }
            self.check_max_fail(step);
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
        let job = Job { work, stream: self.settings.stream, last, cancel };
        self.begin(host, step, job);
        self.emit(EventKind::HostStepStarted { host, step });
    }

    /// True when nothing comes after this step but cleanups.
    fn is_last(&self, id: StepId) -> bool {
        id + 1 == self.plan.steps.len()
            && self.plan.state_file.is_none()
            && !self.plan.steps.iter().any(|step| step.cleanup.is_some())
    }

    /// What a step created and the end of the run removes.
    fn remember_cleanup(&mut self, host: HostId, id: StepId, result: &StepResult) {
        let Some(Cleanup::Remove) = self.plan.steps[id].cleanup else { return };
        let created: Vec<String> = result
            .changes
            .iter()
            .filter(|change| matches!(change.action, ChangeKind::Created | ChangeKind::Written))
            .map(|change| change.path.clone())
            .collect();
        if !created.is_empty() {
            self.hosts[host].to_clean.push((id, created));
        }
    }

    /// Stops the run once more hosts failed than are allowed to.
    fn check_max_fail(&mut self, step: &Step) {
        let Some(share) = step.max_fail.or(self.settings.max_fail) else { return };
        if self.out > share.to_bear(self.hosts.len()) {
            self.cancel_run(CancelReason::MaxFail);
        }
    }

    /// Undoes what steps asked to be undone, however the run ended.
    pub(super) async fn clean_up(&mut self) {
        let mut queue: VecDeque<(HostId, StepId, Vec<String>)> = VecDeque::new();
        for (host, state) in self.hosts.iter_mut().enumerate() {
            for (step, paths) in std::mem::take(&mut state.to_clean) {
                queue.push_back((host, step, paths));
            }
        }
        if queue.is_empty() {
            return;
        }
        self.emit(EventKind::CleanupStarted { hosts: queue.len() });
        // The run may have been cancelled; this may not be.
        self.cancel = CancelToken::default();
        let mut under_way: std::collections::HashMap<HostId, (StepId, Vec<String>)> = std::collections::HashMap::new();
        loop {
            let mut later = VecDeque::new();
            while let Some((host, step, paths)) = queue.pop_front() {
                if under_way.len() >= self.settings.fanout || under_way.contains_key(&host) {
                    later.push_back((host, step, paths));
                    continue;
                }
                let command = Command::new(script::undo(&paths), Some(CLEANUP_TIMEOUT));
                under_way.insert(host, (step, paths));
                self.submit(host, step, Work::Command(command), false);
            }
            queue = later;
            if under_way.is_empty() {
                return;
            }
            let NextEvent::Done(host, done) = self.next_event(None).await else { continue };
            self.stats.running -= 1;
            let Some((step, paths)) = under_way.remove(&host) else { continue };
            let removal = Action::Remove { paths: Vec::new() };
            let mut result = evaluate(&removal, Some(CLEANUP_TIMEOUT), done);
            if result.outcome == Outcome::Changed {
                // Taking back what the run itself made leaves the node as it was.
                result.outcome = Outcome::Ok;
            }
            if result.outcome == Outcome::Ok {
                self.write_log(|log| log.cleaned(step, host));
            } else if let Some(failure) = &mut result.failure {
                failure.cause = format!("`{}` was left behind: {}", paths.join("`, `"), failure.cause);
                failure.hint = Some("remove it by hand".to_owned());
            }
            let name = format!("clean up: {}", self.plan.steps[step].name);
            let known = &mut self.hosts[host];
            // What is left behind must be told, also where something else went wrong before.
            if let (Some(first), Some(failure)) = (&mut known.failure, &result.failure) {
                first.cause = format!("{}; {}", first.cause, failure.cause);
            }
            known.record(&name, &result);
            self.emit(EventKind::HostStepFinished { host, step, result });
        }
    }

    /// Tells every host what one of them has to say to all: facts whose names begin with `share_` are from now on variables
    /// of that name on each, where the playbook has such a variable and its `check:` would take the value from `--var` too.
    pub(super) fn publish_facts(&mut self, facts: &Facts) {
        let plan = self.plan;
        for (name, value) in facts.iter().filter(|(name, _)| name.starts_with("share_")) {
            let Some(spec) = plan.vars.get(name) else { continue };
            if let Err(expected) = spec.check.check(value)
                && !value.is_empty()
            {
                let message = format!("a host says `{name}={value}`, which is not taken: it wants {expected}");
                self.emit(EventKind::Warning { message });
                continue;
            }
            for host in &mut self.hosts {
                host.run_host.vars.insert(name.as_str(), value.as_str());
            }
        }
    }

    /// Takes in what a probe learned.
    pub(super) fn add_probe_facts(&mut self, host: HostId, probe: &str, result: &mut StepResult) {
        let plan = self.plan;
        let state = &mut self.hosts[host];
        super::condition::name_state(&plan.probes[probe], &mut result.facts, &state.run_host.vars);
        self.publish_facts(&result.facts);
        let state = &mut self.hosts[host];
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

/// Whether a command that ended so leaves a host that can be asked why.
fn wants_evidence(result: &StepResult) -> bool {
    matches!(result.outcome, Outcome::Failed | Outcome::TimedOut)
}

/// What failed, and after what it printed what the host says of it.
fn with_evidence(mut failed: StepResult, said: JobResult) -> StepResult {
    let evidence =
        Action::Run { command: crate::plan::Template::default(), exec_options: crate::plan::ExecOptions::default() };
    let evidence = evaluate(&evidence, Some(EVIDENCE), said).stdout;
    let mut both = failed.stdout.builder();
    // What cannot be read again is missing from the report, as it is without evidence.
    for output in [&failed.stdout, &evidence] {
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
