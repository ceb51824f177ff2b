//! Why a host does not come up: when a wait asks, and what the answer means for it.

use std::time::Instant;

use crate::cause::{Evidence, diagnose};
use crate::event::{Activity, EventKind, HostId, StepId};
use crate::outcome::{Cause, Failure, Outcome, Phase, StepResult, WaitHelps};
use crate::output::Output;
use crate::plan::{Until, Wait};
use crate::reactor::now;

use super::Run;
use super::condition::said;
use super::fleet::{Executor, JobResult};
use super::job_result::{Parser, evaluate};
use super::step::is_gone;
use super::wait::{EVIDENCE, first_missing};
use super::waiting::WaitingHost;

/// Bytes of evidence that are read: four pieces of 64 KiB, and their heads.
const MOST: usize = 300 * 1024;
/// Looks that find the same stage missing before a host is asked why, and between one time and the next.
pub(super) const LOOKS: u32 = 5;

impl<C: Executor> Run<'_, C> {
    /// Whether the looks of a wait ask for the cause now and then.
    pub(super) fn asks_for_causes(&self, wait: &Wait) -> bool {
        matches!(wait.until, Until::Chain) && wait.evidence.is_some() && !self.plan.causes.is_empty()
    }

    /// Takes in what a host that misses a stage says about the cause. One that does not pass, and is found twice, ends the wait.
    pub(super) fn handle_cause(&mut self, id: StepId, waiting: &mut WaitingHost, done: JobResult, began: Instant) {
        let host = waiting.host;
        let gone = is_gone(&done);
        let result = evaluate(Parser::Status, Some(EVIDENCE), done);
        self.hosts[host].activity = None;
        self.set_stage_activity(id, waiting, began);
        if result.outcome == Outcome::Cancelled {
            return;
        }
        // It stood in the place of a look, which is made up for.
        waiting.look_again(now());
        if gone {
            waiting.there = false;
            waiting.lost.clone_from(&result.failure);
            return;
        }
        let (found, shown) = self.cause_in(host, &result.stdout);
        waiting.why.passing = found.as_ref().is_some_and(|cause| cause.wait == Some(WaitHelps::Passes));
        let hopeless =
            found.as_ref().filter(|cause| cause.wait == Some(WaitHelps::No)).and_then(|cause| cause.id.clone());
        if hopeless.is_some() && waiting.why.hopeless == hopeless {
            let why = match first_missing(&self.hosts[host].chain) {
                Some(stage) if stage.is_condition() => format!("{} is not reached", stage.stage),
                Some(stage) => format!("{} does not come up", stage.stage),
                None => "it does not come up".to_owned(),
            };
            let why = format!("{why}: waiting does not help");
            waiting.lost = Some(Failure::new(Phase::Chain, why));
            self.hosts[host].evidence = shown;
        }
        waiting.why.hopeless = hopeless;
        let state = &mut self.hosts[host];
        let is_news = found.as_ref().map(|cause| (&cause.id, &cause.cause))
            != state.found.as_ref().map(|cause| (&cause.id, &cause.cause));
        state.found.clone_from(&found);
        if let Some(cause) = found.filter(|_| is_news) {
            self.set_stage_activity(id, waiting, began);
            self.emit(EventKind::CauseSeen { host, cause });
        }
    }

    /// The cause in what an evidence script printed, and what of it the report shows.
    pub(super) fn cause_in(&self, host: HostId, printed: &Output) -> (Option<Cause>, Output) {
        let Ok(bytes) = printed.whole(MOST) else { return (None, printed.clone()) };
        let evidence = Evidence::read(&bytes);
        if !evidence.is_structured() {
            return (None, printed.clone());
        }
        let stages: Vec<&str> = self.plan.chain.iter().map(|stage| stage.name.as_str()).collect();
        let stage = first_missing(&self.hosts[host].chain).map(|stage| stage.stage.as_str());
        let cause = diagnose(&self.plan.causes, stage, &stages, &evidence);
        let mut shown = printed.builder();
        for line in evidence.shown(cause.as_ref()) {
            shown.push(line.as_bytes());
            shown.push(b"\n");
        }
        (cause, shown.finish())
    }

    /// What a host that is still waited for is at: its first missing stage, and the cause as soon as it is known.
    pub(super) fn set_stage_activity(&mut self, id: StepId, waiting: &WaitingHost, began: Instant) {
        let state = &mut self.hosts[waiting.host];
        let cause = state.found.as_ref().map(|cause| format!(": {}", cause.words())).unwrap_or_default();
        let at = |stage: &str| (Activity::Stage(id, format!("{stage}{cause}")), waiting.stuck);
        state.activity = match first_missing(&state.chain) {
            Some(missing) => Some(at(&missing.stage)),
            None => Some((Activity::Step(id), began.min(now()))),
        };
    }

    /// Puts the cause that was found on a host into its result. `keeps_hint`: the failure knows itself what to do.
    pub(super) fn add_cause(&mut self, host: HostId, result: &mut StepResult, keeps_hint: bool) {
        let Some(cause) = self.hosts[host].found.take() else { return };
        if let Some(failure) = result.failure.as_mut().filter(|failure| failure.outcome() == Outcome::Failed) {
            failure.cause = format!("{}: {}", failure.cause, cause.words());
            let known = &self.hosts[host];
            let of_chain = |name: &str| self.plan.chain.iter().find(|stage| stage.name == name);
            let missing = first_missing(&known.chain).and_then(|missing| of_chain(&missing.stage));
            // What the probe says of this very node is nearer than what is said of all.
            let is_told = missing.is_some_and(|stage| said(&known.facts, "hint", &stage.fact).is_some());
            if failure.hint.is_none() || !keeps_hint && !is_told {
                failure.hint = cause.hint.clone().or(failure.hint.take());
            }
            result.cause = Some(Box::new(cause));
        }
    }
}
