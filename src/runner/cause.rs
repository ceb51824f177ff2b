//! Why a host does not come up: when a wait asks, and what the answer means for it.

use std::time::Instant;

use crate::cause::{Evidence, diagnose};
use crate::event::{Activity, EventKind, HostId, StepId};
use crate::outcome::cause::{Cause, WaitHelps};
use crate::outcome::{Failure, Outcome, Phase, StepResult};
use crate::output::Output;
use crate::plan::{Until, Wait};
use crate::reactor::now;

use super::Run;
use super::condition::{first_missing, said};
use super::evidence::EVIDENCE;
use super::executor::Executor;
use super::job::JobResult;
use super::job_result::{Parser, evaluate};
use super::pump::Pump;
use super::step::is_gone;
use super::waiting::WaitingHost;

/// Bytes of evidence that are read: four pieces of 64 KiB, and their heads.
const MOST: usize = 300 * 1024;
/// The stage behind the chain: nodes that are up, and a cluster that is not what was wanted.
const CLUSTER: &str = "cluster";
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
        let told = |cause: &Cause| (cause.id.clone(), cause.cause.clone(), cause.progress());
        let is_news = found.as_deref().map(told) != state.found.as_deref().map(told);
        state.found.clone_from(&found);
        if let Some(cause) = found.filter(|_| is_news) {
            self.set_stage_activity(id, waiting, began);
            self.emit(EventKind::CauseSeen { host, cause: *cause });
        }
    }

    /// The cause in what an evidence script printed, and what of it the report shows.
    pub(super) fn cause_in(&self, host: HostId, printed: &Output) -> (Option<Box<Cause>>, Output) {
        let Ok(bytes) = printed.whole(MOST) else { return (None, printed.clone()) };
        let evidence = Evidence::read(&bytes);
        if !evidence.is_structured() {
            return (None, printed.clone());
        }
        let stage = first_missing(&self.hosts[host].chain).map(|stage| stage.stage.as_str());
        let cause = diagnose(&self.plan.causes, stage, &self.stages(), &evidence);
        let mut shown = printed.builder();
        for line in evidence.shown(cause.as_ref()) {
            shown.push(line.as_bytes());
            shown.push(b"\n");
        }
        (cause.map(Box::new), shown.finish())
    }

    /// What the logs of these hosts say of a cluster that is not what was wanted, though its nodes are up. Whoever knows it tells:
    /// what a node decided for all stands in its log alone.
    pub(super) async fn cause_of_cluster(&mut self, id: StepId, wait: &Wait, hosts: &[HostId]) -> Option<Cause> {
        let evidence = wait.evidence.as_ref().filter(|_| !self.plan.causes.is_empty())?;
        if self.stats.cancelled.is_some() {
            return None;
        }
        let mut pump = Pump::new(hosts.iter().map(|&host| (host, ())));
        let begin = |run: &mut Self, host: HostId, (): &()| {
            run.begin_quietly(host, id, run.evidence_command(evidence, host));
            true
        };
        let mut found: Vec<(usize, Cause)> = Vec::new();
        while let Some((host, (), done)) = self.next_end(&mut pump, begin).await {
            self.hosts[host].activity = None;
            let printed = evaluate(Parser::Status, Some(EVIDENCE), done).stdout;
            let Ok(bytes) = printed.whole(MOST) else { continue };
            let cause = diagnose(&self.plan.causes, Some(CLUSTER), &self.stages(), &Evidence::read(&bytes));
            // A server's last words alone are no verdict on a cluster.
            let Some(mut cause) = cause.filter(|cause| cause.id.is_some()) else { continue };
            if let Some(proof) = &mut cause.proof {
                proof.file = format!("{}: {}", self.hosts[host].run_host.name, proof.file);
            }
            let place = hosts.iter().position(|other| *other == host).unwrap_or_default();
            found.push((place, cause));
        }
        found.into_iter().min_by_key(|(place, _)| *place).map(|(_, cause)| cause)
    }

    /// What a step that failed printed of the cause itself, in the form of evidence. What the report shows of it then is the proof.
    pub(super) fn add_own_cause(&mut self, host: HostId, result: &mut StepResult) {
        if self.plan.causes.is_empty() || result.outcome != Outcome::Failed {
            return;
        }
        let (cause, shown) = self.cause_in(host, &result.stdout);
        let Some(cause) = cause.filter(|cause| cause.id.is_some()) else { return };
        self.hosts[host].found = Some(cause);
        result.stdout = shown;
        self.add_cause(host, result, true);
    }

    /// All stages that a cause can be about: those of the chain, and what comes after them.
    fn stages(&self) -> Vec<&str> {
        self.plan.chain.iter().map(|stage| stage.name.as_str()).chain([CLUSTER]).collect()
    }

    /// What a host that is still waited for is at: its first missing stage, and the cause as soon as it is known.
    pub(super) fn set_stage_activity(&mut self, id: StepId, waiting: &WaitingHost, began: Instant) {
        let state = &mut self.hosts[waiting.host];
        let known = state.found.as_deref().or(state.obstacles().certain.first());
        let cause = known.map(|cause| format!(": {}{}", cause.words(), cause.progress())).unwrap_or_default();
        let at = |stage: &str| (Activity::Stage(id, format!("{stage}{cause}")), waiting.stuck);
        state.activity = match first_missing(&state.chain) {
            Some(missing) => Some(at(&missing.stage)),
            None => Some((Activity::Step(id), began.min(now()))),
        };
    }

    /// Puts the cause that was found on a host into its result. `keeps_hint`: the failure knows itself what to do.
    pub(super) fn add_cause(&mut self, host: HostId, result: &mut StepResult, keeps_hint: bool) {
        let found = self.hosts[host].found.take();
        let Some(cause) = self.explained(host, found) else { return };
        if let Some(failure) = result.failure.as_mut().filter(|failure| failure.outcome() == Outcome::Failed) {
            failure.cause = format!("{}: {}", failure.cause, cause.words());
            let known = &self.hosts[host];
            let of_chain = |name: &str| self.plan.chain.iter().find(|stage| stage.name == name);
            let missing = first_missing(&known.chain).and_then(|missing| of_chain(&missing.stage));
            // What the probe says of this very node is nearer than what is said of all.
            let is_told = missing.is_some_and(|stage| said(&known.facts, "hint", &stage.fact).is_some());
            let is_frame = cause.id.as_deref().and_then(|id| self.plan.causes.row(id)).is_some_and(|row| row.frame);
            if failure.hint.is_none() || !keeps_hint && !is_told && !is_frame {
                failure.hint = cause.hint.clone().or(failure.hint.take());
            }
            result.cause = Some(cause);
        }
    }
}
