//! What a run writes down at its steps' ends, and how it passes over what an earlier run has done.
//!
//! Must not decide what a step means for the run: `step` and `refuse` do.

use std::io;

use crate::event::{EventKind, HostId, StepId};
use crate::outcome::{Outcome, StepResult};
use crate::plan::{Action, On, Step};

use super::executor::Executor;
use super::job::Work;
use super::job_result::{Parser, evaluate};
use super::pump::Pump;
use super::run_log::{RunLog, StepEnd};
use super::{CLEANUP_TIMEOUT, Resume, Run, State, script};

impl<C: Executor> Run<'_, C> {
    /// Takes up what an earlier run left: its state, and what it could not remove any more.
    pub(super) fn restore_resumed(&mut self) {
        let Some(resume) = &mut self.settings.resume else { return };
        for (host, step, paths) in std::mem::take(&mut resume.to_clean) {
            if let Some(host) = self.hosts.get_mut(host) {
                host.to_clean.push((step, paths));
            }
        }
        // Hosts that had it may have nothing to say any more.
        for (name, value) in std::mem::take(&mut resume.shared) {
            for host in &mut self.hosts {
                host.run_host.vars.insert(name.as_str(), value.as_str());
            }
        }
        let of_steps = std::mem::take(&mut resume.states);
        if let Some(state) = resume.state.take() {
            self.state = Some(state.clone());
            // It may have been written down here, and not there any more.
            if self.plan.state_groups.is_empty() {
                (0..self.hosts.len()).for_each(|host| self.is_to_be_told(host, &state, true));
            }
            self.emit(EventKind::StateChanged { state });
        }
        // Where groups have a state of their own, each is told the last one of its steps.
        if !self.plan.state_groups.is_empty() {
            for (step, state) in of_steps {
                self.are_to_be_told(step, &state, true);
            }
        }
    }

    /// The hosts that still need a step; says of the others that they are left out.
    pub(super) fn skip_done(&mut self, id: StepId, hosts: Vec<HostId>) -> Vec<HostId> {
        let Some(resume) = &self.settings.resume else { return hosts };
        let step = &self.plan.steps[id];
        let (passed, hosts): (Vec<HostId>, Vec<HostId>) =
            hosts.into_iter().partition(|&host| is_done(resume, id, step, host));
        for host in passed {
            // Not written down: that would put "skipped" in the place of what it had come to.
            let result = StepResult::new(Outcome::Skipped);
            self.hosts[host].record(&step.name, Some(id), &result);
            self.emit(EventKind::HostStepFinished { host, step: id, result });
        }
        hosts
    }

    /// Whether a preflight let an earlier run pass.
    pub(super) fn was_good(&self, step: StepId) -> bool {
        self.settings.resume.as_ref().is_some_and(|resume| resume.good.contains(&step))
    }

    /// Writes down what became of a step on a host.
    pub(super) fn log_host_done(&mut self, host: HostId, step: StepId, outcome: Outcome) {
        let created = self.hosts[host].to_clean.iter().rfind(|(of, _)| *of == step);
        let created = created.map(|(_, paths)| paths.clone()).unwrap_or_default();
        self.write_log(|log| log.host_done(step, host, outcome, &created));
    }

    /// Writes down that a step is over, and the state that the run has now. `named`: a `state` step that is for somebody.
    pub(super) fn log_step_done(&mut self, id: StepId, named: bool) {
        let step = &self.plan.steps[id];
        let end = self.end_of(id, step);
        // The state that came of a step which an earlier run did may be past.
        let again = self.settings.resume.as_ref().is_some_and(|resume| resume.is_good(id));
        let state = match (&step.action, end) {
            (Action::State { name }, _) => Some(name).filter(|_| named),
            (_, StepEnd::Good) => step.state.as_ref().filter(|_| !again),
            (_, StepEnd::Failed) if self.stopped => step.on_failure_state.as_ref(),
            // The run goes on without the hosts that failed.
            (_, StepEnd::Failed) => step.on_failure_state.as_ref().or(step.state.as_ref()),
            (_, StepEnd::Stopped | StepEnd::Passed) => None,
        };
        let written = self.write_log(|log| log.step_done(id, end, state.map(String::as_str)));
        if let Some(state) = state.filter(|_| written) {
            self.state = Some(state.clone());
            self.are_to_be_told(id, state, false);
            self.emit(EventKind::StateChanged { state: state.clone() });
        }
    }

    /// Marks those for whom a step's state is, so that they are told.
    fn are_to_be_told(&mut self, id: StepId, state: &str, again: bool) {
        let plan = self.plan;
        let own = match &plan.steps[id].on {
            On::Group(group) if plan.state_groups.contains(group) => Some(group),
            On::All | On::Any | On::Group(_) | On::NotGroup(_) => None,
        };
        for host in 0..self.hosts.len() {
            if own.is_none_or(|group| self.hosts[host].run_host.groups.contains(group)) {
                self.is_to_be_told(host, state, again);
            }
        }
    }

    fn is_to_be_told(&mut self, host: HostId, state: &str, again: bool) {
        self.unsent_states.insert(host, State { name: state.to_owned(), again });
    }

    /// Tells the hosts the state that the run has come to, where the playbook names a file for it: those as well that
    /// have failed, as long as they can be reached.
    pub(super) async fn send_state(&mut self, id: StepId) {
        let plan = self.plan;
        let Some(path) = &plan.state_file else { return };
        if self.stats.refused || self.stats.cancelled.is_some() {
            return;
        }
        let unsent = std::mem::take(&mut self.unsent_states);
        let gone = |host: &super::HostState| host.steps.iter().any(|step| step.outcome == Outcome::Unreachable);
        let told: Vec<(HostId, State)> = unsent.into_iter().filter(|&(host, _)| !gone(&self.hosts[host])).collect();
        let mut pump = Pump::new(told);
        let begin = |run: &mut Self, host: HostId, state: &State| {
            let path = path.render_plain(&run.hosts[host].run_host.vars);
            let command = script::write_state(&path, state);
            run.submit(host, id, Work::Command(command), false);
            true
        };
        while let Some((host, state, done)) = self.next_end(&mut pump, begin).await {
            let mut result = evaluate(Parser::Changes, Some(CLEANUP_TIMEOUT), done);
            if let Some(failure) = &mut result.failure {
                let state = &state.name;
                let hint = format!("the run's own record says `{state}`; write that into the file by hand");
                failure.cause = format!("the state `{state}` is not written on this host: {}", failure.cause);
                failure.hint = Some(hint);
                self.stopped = true;
            }
            self.hosts[host].record(&format!("state: {}", state.name).into(), None, &result);
            self.emit(EventKind::HostStepFinished { host, step: id, result });
        }
    }

    fn end_of(&self, id: StepId, step: &Step) -> StepEnd {
        // A preflight has judged already who may be missing.
        let preflight = matches!(&step.action, Action::Probe { refuse, .. } if !refuse.is_empty());
        if self.stats.refused || (self.stats.cancelled.is_some() && !self.step_failed) {
            StepEnd::Stopped
        } else if self.settings.resume.as_ref().is_some_and(|resume| id < resume.from) && !is_look(step) {
            StepEnd::Passed
        } else if self.step_failed && !preflight && !self.is_done_by_another(id) {
            StepEnd::Failed
        } else {
            StepEnd::Good
        }
    }

    /// Whether a step is for any host, and some host did it as it should.
    pub(super) fn is_done_by_another(&self, id: StepId) -> bool {
        if self.plan.steps[id].on != On::Any || self.cluster_failed_at == Some(id) {
            return false;
        }
        self.hosts.iter().any(|host| host.row_of(id).is_some_and(|row| row.outcome.is_success()))
    }

    /// Writes something down. Where that fails, the run is stopped before its next step, and that is said once.
    pub(super) fn write_log(&mut self, write: impl FnOnce(&mut dyn RunLog) -> io::Result<()>) -> bool {
        let Err(error) = write(self.log) else { return true };
        self.stats.broken = true;
        self.stopped = true;
        if !std::mem::replace(&mut self.log_failed, true) {
            let message = format!("the journal cannot be written: {error}; the run stops before its next step");
            self.emit(EventKind::Warning { message });
        }
        false
    }
}

/// Whether it is done again even where the user says to begin after it: later steps need what it learns.
fn is_look(step: &Step) -> bool {
    matches!(step.action, Action::Probe { .. })
}

/// Whether a host need not do a step again.
fn is_done(resume: &Resume, id: StepId, step: &Step, host: HostId) -> bool {
    match &step.action {
        _ if step.every_run => id < resume.from,
        Action::Probe { .. } => !is_look(step),
        Action::Ping | Action::Check { .. } => id < resume.from,
        // What they made is removed at every run's end; made already, it is not made again.
        Action::Touch { .. } | Action::Write { .. } if step.cleanup.is_some() => id < resume.from,
        // Hosts that were there may have gone since, so all of them are waited for again.
        Action::State { .. } | Action::Wait(_) => resume.is_good(id),
        Action::Run { .. }
        | Action::Script { .. }
        | Action::Remove { .. }
        | Action::Touch { .. }
        | Action::Write { .. }
        | Action::Pull(_)
        | Action::Push(_) => resume.has(id, host) || (step.on == On::Any && resume.is_good(id)),
    }
}
