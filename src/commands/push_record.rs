//! What the journal knows of a run that sends files: that it lives, and once it has ended, that it may have left parts behind.

use std::sync::Arc;

use super::environment::Environment;
use crate::journal::pushes::{PushRun, ended};
use crate::journal::{Journal, new_id};
use crate::outcome::Outcome;
use crate::plan::push::PartWriter;
use crate::plan::{Action, Plan};
use crate::runner::RunResult;

/// A run's place among those that send files.
pub(super) struct PushRecord {
    writer: Arc<PartWriter>,
    /// `None`: it sends none, or the journal cannot be written. Then nobody goes on with what it leaves.
    run: Option<PushRun>,
}

impl PushRecord {
    /// Begins it, where the plan sends files. Each process has an id of its own, also one that goes on with an earlier run.
    pub(super) fn begin(plan: &Plan, environment: &Environment, started: jiff::Timestamp) -> Self {
        if !plan.steps.iter().any(|step| matches!(step.action, Action::Push(_))) {
            return Self { writer: Arc::default(), run: None };
        }
        let journal = Journal::new(environment.state_dir());
        let ended = ended(&journal);
        let id = new_id(started);
        let run = PushRun::begin(&journal, &id).ok();
        Self { writer: Arc::new(PartWriter { run: id, ended }), run }
    }

    /// Whose the parts are.
    pub(super) fn writer(&self) -> Arc<PartWriter> {
        self.writer.clone()
    }

    /// It is over. Where every host was heard to the end nothing was left.
    pub(super) fn end(self, finished: &RunResult) {
        let is_heard = |outcome| !matches!(outcome, Outcome::TimedOut | Outcome::Unreachable | Outcome::Cancelled);
        if let Some(run) = self.run
            && finished.hosts.iter().all(|host| is_heard(host.outcome))
        {
            run.left_nothing();
        }
    }
}
