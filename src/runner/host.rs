//! What a run knows about one host.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use crate::event::{Activity, StepId};
use crate::outcome::cause::Cause;
use crate::outcome::stage::StageState;
use crate::outcome::{CommandNote, Facts, Failure, Killed, Outcome, StepResult};
use crate::output::Output;
use crate::plan::{Action, On, Step, Vars};
use crate::report::{HostReport, StepReport};
use crate::shared::share;

use super::condition::holds;
use super::hold::Identity;
use super::obstacle::Obstacles;

/// A host as a run is given it.
#[derive(Debug, Clone)]
pub struct RunHost {
    /// Its name, as the user wrote it.
    pub name: Arc<str>,
    /// Groups it belongs to.
    pub groups: Arc<[String]>,
    /// Values of the plan's variables on it.
    pub vars: Vars,
    /// Login name, for reports.
    pub user: Arc<str>,
    /// Port, for reports.
    pub port: u16,
    /// Its own limit for each command, stronger than the run's.
    pub timeout: Option<Duration>,
}

impl RunHost {
    /// Keeps once what is the same for another host.
    pub fn share(&mut self, other: &Self) {
        share(&mut self.groups, &other.groups);
        self.vars.share(&other.vars);
    }
}

/// What a report says of the last command on a host.
#[derive(Debug, Default)]
struct LastCommand {
    exit_status: Option<i32>,
    signal: Option<String>,
    remote_killed: Option<Killed>,
    notes: Vec<CommandNote>,
    stdout: Output,
    stderr: Output,
}

/// What is known of a host by name; of most there is nothing.
#[derive(Debug, Default)]
pub(super) struct HostFacts(Option<Box<Facts>>);

impl Deref for HostFacts {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        static NONE: LazyLock<Facts> = LazyLock::new(Facts::new);
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for HostFacts {
    fn deref_mut(&mut self) -> &mut Facts {
        self.0.get_or_insert_default()
    }
}

/// What a run knows about one host. A run has as many as it has hosts, so what few hosts have is boxed.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the host")]
pub(super) struct HostState {
    pub(super) run_host: RunHost,
    /// When it was first worked on.
    pub(super) began: Option<Instant>,
    /// Its verdict, once it takes part in nothing more.
    pub(super) verdict: Option<Outcome>,
    pub(super) failure: Option<Box<Failure>>,
    /// What is behind the failure, where it is known.
    pub(super) cause: Option<Box<Cause>>,
    /// Which node it is.
    pub(super) identity: Identity,
    /// Something was begun on it that is more than a look.
    pub(super) begun: bool,
    /// Why it is out of the run, although its verdict comes at the end.
    pub(super) out: bool,
    pub(super) changed: bool,
    /// Attempts that the latest connection took, or that failed to make one.
    pub(super) attempts: u32,
    pub(super) connect: Option<Duration>,
    pub(super) address: Option<String>,
    pub(super) facts: HostFacts,
    pub(super) chain: Vec<StageState>,
    pub(super) steps: Vec<StepReport>,
    /// The latest step of the plan that it has ended.
    pub(super) ended: Option<StepId>,
    /// The step that it is at, or was at last.
    pub(super) step: StepId,
    /// What it is at, and since when.
    pub(super) activity: Option<(Activity, Instant)>,
    /// The last command's end and output.
    last: LastCommand,
    /// Paths that this run created here and cleans up at its end, with the step that did.
    pub(super) to_clean: Vec<(usize, Vec<String>)>,
    /// What holds back its first missing stage, by the latest look that asked why.
    pub(super) found: Option<Box<Cause>>,
    /// What a preflight found that will keep it down, or may.
    pub(super) obstacles: Option<Box<Obstacles>>,
    /// The latest of them is not made yet, as far as is known.
    pub(super) intends: bool,
    /// Last lines of a log, where a wait for it failed.
    pub(super) evidence: Output,
    pub(super) elapsed: Duration,
}

impl HostState {
    pub(super) fn new(run_host: RunHost) -> Self {
        Self {
            run_host,
            began: None,
            verdict: None,
            failure: None,
            cause: None,
            identity: Identity::default(),
            begun: false,
            out: false,
            changed: false,
            attempts: 0,
            connect: None,
            address: None,
            facts: HostFacts::default(),
            chain: Vec::new(),
            steps: Vec::new(),
            ended: None,
            step: 0,
            activity: None,
            last: LastCommand::default(),
            to_clean: Vec::new(),
            found: None,
            obstacles: None,
            intends: false,
            evidence: Output::default(),
            elapsed: Duration::ZERO,
        }
    }

    /// True when the run has something to undo here.
    pub(super) fn has_cleanup(&self) -> bool {
        !self.to_clean.is_empty()
    }

    /// Remembers what it is at. What it is waited for says more than how it is being asked.
    pub(super) fn set_activity(&mut self, activity: Activity, since: Instant) {
        if !matches!(self.activity, Some((Activity::Stage(..), _))) {
            self.activity = Some((activity, since));
        }
    }

    /// Whether a step is for this host by what is known now. One for any host concerns none, as another may do it.
    pub(super) fn is_concerned_by(&self, step: &Step) -> bool {
        let waits_for_nothing = matches!(&step.action, Action::Wait(wait) if wait.timeout.is_zero());
        step.on != On::Any
            && !step.about_cluster
            && step.on.includes(&self.run_host.groups)
            && !matches!(step.action, Action::State { .. })
            && !waits_for_nothing
            && step.when.as_ref().is_none_or(|when| holds(when, &self.facts, &self.run_host.vars))
    }

    /// The latest row about a step of the plan.
    pub(super) fn row_of(&self, step: StepId) -> Option<&StepReport> {
        self.steps.iter().rfind(|row| row.step == Some(step))
    }

    /// Takes a result into account: of a step of the plan, or of what the run does besides (cleanups, states).
    pub(super) fn record(&mut self, name: &Arc<str>, step: Option<StepId>, result: &StepResult) {
        self.ended = self.ended.max(step);
        self.changed |=
            result.outcome == Outcome::Changed || result.changes.iter().any(|change| change.action.is_change());
        if !result.facts.is_empty() {
            self.facts.extend(result.facts.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        // Most hosts take part in a single step, and the least that a list grows by is four.
        self.steps.reserve_exact(1);
        self.steps.push(StepReport {
            name: name.clone(),
            step,
            outcome: result.outcome,
            failure: result.failure.clone().map(Box::new),
            elapsed: result.elapsed,
            exit_status: result.exit_status,
            changes: result.changes.clone(),
            bytes: result.bytes,
        });
        if !result.outcome.is_success() {
            if !self.out || self.failure.is_none() {
                self.failure = result.failure.clone().map(Box::new);
                self.cause.clone_from(&result.cause);
            }
            self.out = true;
        } else if result.outcome == Outcome::Skipped && self.failure.is_none() {
            // No failure of the run, but why it was left out is worth a word.
            self.failure = result.failure.clone().map(Box::new);
        }
    }

    /// Remembers the end and the output of its last command.
    pub(super) fn keep_last(&mut self, result: &StepResult) {
        self.last = LastCommand {
            exit_status: result.exit_status,
            signal: result.signal.clone(),
            remote_killed: result.remote_killed,
            notes: result.notes.clone(),
            stdout: result.stdout.clone(),
            stderr: result.stderr.clone(),
        };
    }

    /// What its steps add up to.
    pub(super) fn sum(&self) -> Outcome {
        match self.steps.iter().find(|step| !step.outcome.is_success()) {
            Some(step) => step.outcome,
            None if self.changed || self.steps.iter().any(|step| step.outcome == Outcome::Changed) => Outcome::Changed,
            None if !self.steps.is_empty() && self.steps.iter().all(|step| step.outcome == Outcome::Skipped) => {
                Outcome::Skipped
            }
            None => Outcome::Ok,
        }
    }

    pub(super) fn report(self) -> HostReport {
        let last = self.last;
        HostReport {
            host: self.run_host.name,
            address: self.address,
            user: Some(self.run_host.user),
            port: self.run_host.port,
            outcome: self.verdict.unwrap_or(Outcome::Cancelled),
            changed: self.changed,
            failure: self.failure,
            cause: self.cause,
            begun: self.begun,
            attempts: self.attempts,
            connect: self.connect,
            elapsed: self.elapsed,
            exit_status: last.exit_status,
            signal: last.signal,
            remote_killed: last.remote_killed,
            notes: last.notes,
            stdout: last.stdout,
            stderr: last.stderr,
            facts: self.facts.0.map(|facts| *facts).unwrap_or_default(),
            chain: self.chain,
            steps: self.steps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of a hundred thousand hosts has so many of each.
    #[test]
    fn what_is_there_for_each_host_is_small() {
        let sizes = [size_of::<HostState>(), size_of::<StepReport>(), size_of::<HostReport>(), size_of::<RunHost>()];
        let most = [480, 104, 312, 96];
        assert!(sizes.iter().zip(most).all(|(size, most)| *size <= most), "{sizes:?}");
    }
}
