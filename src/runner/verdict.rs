//! How a step ended on a host, and the verdict on the host in the end.

use super::Run;
use super::executor::Executor;
use crate::event::{EventKind, HostId, StepId};
use crate::outcome::{Failure, Outcome, Phase, StepResult};
use crate::reactor::now;
use crate::stats::CancelReason;

impl<C: Executor> Run<'_, C> {
    /// A step is over on a host.
    pub(super) fn end_step(&mut self, id: HostId, step: StepId, mut result: StepResult) {
        if result.outcome == Outcome::Cancelled && self.stats.cancelled == Some(CancelReason::Deadline) {
            let limit = self.settings.deadline.map(crate::duration::human).unwrap_or_default();
            result.outcome = Outcome::TimedOut;
            result.failure = Some(Failure::new(Phase::Timeout, format!("the run's deadline of {limit} passed")));
        }
        for (stream, output) in [("output", &result.stdout), ("standard error", &result.stderr)] {
            if let Some(cut) = output.cut() {
                // Whoever reads the report must not take it for whole.
                self.stats.broken = true;
                let message = format!("{}: its {stream} is {cut}", self.hosts[id].run_host.name);
                self.emit(EventKind::Warning { message });
            }
        }
        let signalled = result.signal.is_some();
        self.step_failed |= !result.outcome.is_success() && result.outcome != Outcome::Cancelled;
        self.log_host_done(id, step, result.outcome);
        let name = &self.plan.steps[step].name;
        let host = &mut self.hosts[id];
        let was_out = host.out;
        host.record(name, Some(step), &result);
        self.out += usize::from(host.out && !was_out);
        if result.exit_status.is_some() || !result.outcome.is_success() {
            host.keep_last(&result);
        }
        if signalled {
            self.stats.signalled += 1;
        }
        self.emit(EventKind::HostStepFinished { host: id, step, result });
    }

    /// Gives a host its verdict.
    pub(super) fn conclude_host(&mut self, id: HostId) {
        if self.hosts[id].verdict.is_some() {
            return;
        }
        let outcome = match self.hosts[id].sum() {
            outcome if !outcome.is_success() => outcome,
            _ if self.stats.refused => Outcome::Skipped,
            _ if self.is_unfinished(id) => Outcome::Cancelled,
            outcome => outcome,
        };
        let host = &mut self.hosts[id];
        host.verdict = Some(outcome);
        host.elapsed = host.began.map(|began| now() - began).unwrap_or_default();
        let (failure, elapsed) = (host.failure.as_deref().cloned(), host.elapsed);
        self.stats.counts.add(outcome);
        self.emit(EventKind::HostFinished { host: id, outcome, failure, elapsed });
    }

    /// Whether a host has not ended the last step that concerns it.
    fn is_unfinished(&self, id: HostId) -> bool {
        let host = &self.hosts[id];
        let last = self.plan.steps.iter().rposition(|step| host.is_concerned_by(step));
        last.is_some_and(|last| host.ended.is_none_or(|ended| ended < last))
    }
}
