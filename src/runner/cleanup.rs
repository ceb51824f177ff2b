//! What the end of a run undoes: what its steps made on hosts, and what they may have made where nobody heard of it.

use crate::cancel::CancelToken;
use crate::event::{EventKind, HostId, StepId};
use crate::outcome::change::ChangeKind;
use crate::outcome::{Outcome, StepResult};
use crate::plan::script::parse_checks;
use crate::plan::{Action, Check, Cleanup, Step, Vars};

use super::executor::Executor;
use super::host::HostState;
use super::job::{JobResult, Work};
use super::job_result::{Parser, answer, evaluate, require_answers};
use super::pump::Pump;
use super::script;
use super::{CLEANUP_TIMEOUT, Run};

/// Steps, and what each of them made on a host.
type Paths = Vec<(StepId, Vec<String>)>;

impl<C: Executor> Run<'_, C> {
    /// Before a step whose work is undone at the end: writes down what it will make on each host, that is what is not there yet.
    /// If the connection or gsctl itself is lost in the step, that is looked for and removed all the same. Gives the hosts that
    /// are left.
    pub(super) async fn intend(&mut self, id: StepId, mut hosts: Vec<HostId>) -> Vec<HostId> {
        let step = &self.plan.steps[id];
        if step.cleanup.is_none() {
            return hosts;
        }
        let mut pump = Pump::new(hosts.iter().map(|&host| (host, ())));
        let begin = |run: &mut Self, host: HostId, (): &()| {
            let Made { checks, .. } = made(step, &run.hosts[host].run_host.vars);
            let begun = run.hosts[host].begun;
            run.begin_quietly(host, id, script::checks(&checks));
            run.hosts[host].begun = begun;
            true
        };
        while let Some((host, (), done)) = self.next_end(&mut pump, begin).await {
            if matches!(done, JobResult::Unreached { .. }) {
                hosts.retain(|&other| other != host);
                self.end_step(host, id, evaluate(Parser::Reached, None, done));
                continue;
            }
            let result = evaluate(Parser::Status, Some(CLEANUP_TIMEOUT), done);
            let Made { checks, condition, paths } = made(step, &self.hosts[host].run_host.vars);
            let mut holds = parse_checks(&answer(&result), checks.len()).into_iter().map(|held| held.is_ok());
            if condition && holds.next() != Some(true) {
                continue;
            }
            let paths: Vec<String> =
                paths.into_iter().zip(holds).filter_map(|(path, absent)| absent.then_some(path)).collect();
            if paths.is_empty() {
                continue;
            }
            if !self.write_log(|log| log.intended(id, host, &paths)) {
                return Vec::new();
            }
            self.hosts[host].to_clean.push((id, paths));
            self.hosts[host].intends = true;
        }
        // What is intended is on the disk before anything is done.
        if self.hosts.iter().any(|host| host.intends) && !self.write_log(|log| log.batch_done()) {
            return Vec::new();
        }
        hosts
    }

    /// What a step created and the end of the run removes. Where its end was not heard, what it was to make counts.
    pub(super) fn remember_cleanup(&mut self, host: HostId, id: StepId, result: &StepResult) {
        let Some(Cleanup::Remove) = self.plan.steps[id].cleanup else { return };
        let created: Vec<String> = result
            .changes
            .iter()
            .filter(|change| matches!(change.action, ChangeKind::Created | ChangeKind::Written))
            .map(|change| change.path.clone())
            .collect();
        let is_heard = result.exit_status.is_some();
        let state = &mut self.hosts[host];
        // What an earlier run has left to be removed stays so.
        let was_intended = std::mem::take(&mut state.intends);
        let to_clean = &mut state.to_clean;
        let intended = to_clean.iter().rposition(|(of, _)| *of == id).filter(|_| was_intended);
        match intended {
            Some(place) if is_heard && created.is_empty() => {
                to_clean.remove(place);
                self.write_log(|log| log.cleaned(id, host));
            }
            Some(place) if is_heard => to_clean[place].1 = created,
            None if !created.is_empty() => to_clean.push((id, created)),
            Some(_) | None => {}
        }
    }

    /// What a step of its own has removed need not be removed at the end.
    pub(super) fn forget_removed(&mut self, host: HostId, result: &StepResult) {
        let is_gone = |path: &String| {
            let gone = |change: &&crate::outcome::change::Change| {
                matches!(change.action, ChangeKind::Removed | ChangeKind::Absent) && change.path == *path
            };
            result.changes.iter().any(|change| gone(&change))
        };
        let to_clean = &mut self.hosts[host].to_clean;
        for (_, paths) in to_clean.iter_mut() {
            paths.retain(|path| !is_gone(path));
        }
        let done: Vec<StepId> = to_clean.iter().filter(|(_, paths)| paths.is_empty()).map(|(step, _)| *step).collect();
        to_clean.retain(|(_, paths)| !paths.is_empty());
        for step in done {
            self.write_log(|log| log.cleaned(step, host));
        }
    }

    /// Removes what an earlier run should have removed at its end, before this one looks at anything. What cannot be removed now
    /// is tried again at the end.
    pub(super) async fn make_up(&mut self) {
        let takes = |(host, state): (HostId, &mut HostState)| {
            let left = std::mem::take(&mut state.to_clean);
            (!left.is_empty()).then_some((host, left))
        };
        let left: Vec<(HostId, Paths)> = self.hosts.iter_mut().enumerate().filter_map(takes).collect();
        let mut pump = Pump::new(left);
        let begin = |run: &mut Self, host: HostId, left: &Paths| {
            run.begin_quietly(host, 0, script::undo(&all_paths(left)));
            true
        };
        while let Some((host, left, done)) = self.next_end(&mut pump, begin).await {
            if undone(done, &all_paths(&left)).outcome.is_success() {
                for (step, _) in left {
                    self.write_log(|log| log.cleaned(step, host));
                }
            } else {
                self.hosts[host].to_clean = left;
            }
        }
        for (host, left) in pump.into_left() {
            self.hosts[host].to_clean = left;
        }
    }

    /// Undoes what steps asked to be undone, however the run ended.
    pub(super) async fn clean_up(&mut self) {
        // A host has one job at a time, so what is to be undone there is undone one after the other.
        let takes = |state: &mut HostState| std::mem::take(&mut state.to_clean);
        let mut left: Vec<Paths> = self.hosts.iter_mut().map(takes).collect();
        let hosts = left.iter().map(Vec::len).sum();
        if hosts == 0 {
            return;
        }
        self.emit(EventKind::CleanupStarted { hosts });
        // The run may have been cancelled; this may not be.
        self.cancel = CancelToken::default();
        let first = |(host, left): (HostId, &mut Paths)| Some((host, left.pop()?));
        let mut pump = Pump::cleanup(left.iter_mut().enumerate().filter_map(first));
        let begin = |run: &mut Self, host: HostId, (step, paths): &(StepId, Vec<String>)| {
            let command = script::undo(paths);
            run.submit(host, *step, Work::Command(command), false);
            true
        };
        while let Some((host, (step, paths), done)) = self.next_end(&mut pump, begin).await {
            self.cleaned(host, step, &paths, undone(done, &paths));
            if let Some(next) = left[host].pop() {
                pump.push(host, next);
            }
        }
    }

    /// Takes in how a cleanup went.
    fn cleaned(&mut self, host: HostId, step: StepId, paths: &[String], mut result: StepResult) {
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
        let name = format!("clean up: {}", self.plan.steps[step].name).into();
        let known = &mut self.hosts[host];
        // What is left behind must be told, also where something else went wrong before.
        if let (Some(first), Some(failure)) = (&mut known.failure, &result.failure) {
            first.cause = format!("{}; {}", first.cause, failure.cause);
        }
        known.record(&name, None, &result);
        self.emit(EventKind::HostStepFinished { host, step, result });
    }
}

/// The paths of all steps.
fn all_paths(left: &Paths) -> Vec<String> {
    left.iter().flat_map(|(_, paths)| paths.iter().cloned()).collect()
}

/// How the removal of paths went, each of which the node must speak of.
fn undone(done: JobResult, paths: &[String]) -> StepResult {
    let mut result = evaluate(Parser::Changes, Some(CLEANUP_TIMEOUT), done);
    require_answers(&mut result, paths);
    result
}

/// What a step makes on a host.
struct Made {
    /// What is looked at before: the condition, then each path.
    checks: Vec<Check>,
    /// It depends on a file.
    condition: bool,
    paths: Vec<String>,
}

fn made(step: &Step, vars: &Vars) -> Made {
    let (paths, condition) = match &step.action {
        Action::Touch { paths, if_exists, .. } => {
            let paths = paths.iter().map(|path| path.render_plain(vars)).collect();
            (paths, if_exists.as_ref().map(|path| path.render_plain(vars)))
        }
        Action::Write { path, .. } => (vec![path.render_plain(vars)], None),
        _ => (Vec::new(), None),
    };
    let absent = paths.iter().cloned().map(Check::NoFile);
    let checks = condition.iter().cloned().map(Check::File).chain(absent).collect();
    Made { checks, condition: condition.is_some(), paths }
}
