//! The run: a plan carried out on a fleet, told as events.
//!
//! One task, on the caller's thread, decides everything: which host does what next, what an answer means, when to stop.
//! The fleet only does single commands. Nothing here prints, reads files or asks the environment.

mod canary;
mod cause;
mod cleanup;
mod cluster;
mod condition;
mod copy_request;
mod copy_result;
mod deal;
mod executor;
pub mod fleet;
mod hold;
mod host;
mod job;
mod job_result;
mod obstacle;
mod preflight;
mod pump;
mod resume;
mod rolling;
mod run_log;
mod script;
mod shard;
mod step;
mod sudo_failure;
#[cfg(test)]
mod tests;
mod wait;
mod wait_checks;
mod waiting;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::Receiver;
use futures_lite::future;

use crate::cancel::{CancelToken, WatchedLimit};
use crate::event::{Activity, Event, EventKind, HostId, Reporter, StepId};
use crate::outcome::{Failure, Outcome, Phase, StepResult};
use crate::plan::push::PartWriter;
use crate::plan::{Action, Plan, Share};
use crate::reactor::{now, sleep_until};
use crate::report::{ClusterReport, HostReport};
use crate::stats::{CancelReason, RunStats};
use crate::transport::ConnectProgress;
pub use canary::{Canary, Confirm};
use executor::{Executor, FleetEvent};
use host::HostState;
pub use host::RunHost;
use job::{Job, JobResult};
use rolling::Batch;
pub use run_log::{NoRunLog, Resume, RunLog, StepEnd};
pub use script::rehearse;

/// How a run is carried out.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct RunSettings {
    /// Hosts worked on at once.
    pub fanout: usize,
    /// Keep each host's connection from step to step. Off where there are too few descriptors for that.
    pub keep: bool,
    /// Hosts that go first, in a plan of one step.
    pub canary: Option<Canary>,
    /// Hosts in a batch, for steps that do not say.
    pub serial: Option<Share>,
    /// More failed hosts than this stop the run, for steps that do not say.
    pub max_fail: Option<Share>,
    /// Time for the whole run.
    pub deadline: Option<Duration>,
    /// Unreachable hosts that a preflight puts up with.
    pub allow_unreachable: AllowUnreachable,
    /// Go on whatever a preflight finds.
    pub force: bool,
    /// Somebody wants output as it comes.
    pub stream: bool,
    /// Somebody watches, who need not be told now and then who is still at what.
    pub live: bool,
    /// What an earlier run has done already.
    pub resume: Option<Resume>,
    /// Whose the parts of files are that it leaves on nodes.
    pub writer: Arc<PartWriter>,
}

/// Hosts that may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowUnreachable {
    /// So many.
    Count(usize),
    /// Fewer than half.
    Minority,
}

impl AllowUnreachable {
    /// True when this many of so many may be missing.
    #[must_use]
    pub fn permits(self, missing: usize, of: usize) -> bool {
        match self {
            Self::Count(count) => missing <= count,
            Self::Minority => missing * 2 < of,
        }
    }
}

/// What a finished run leaves.
#[derive(Debug)]
pub struct RunResult {
    /// Every host, in inventory order.
    pub hosts: Vec<HostReport>,
    /// A step that waits was begun.
    pub waited: bool,
    /// What was heard about the cluster, where a step asked one host for all.
    pub cluster: Option<ClusterReport>,
    /// The numbers.
    pub stats: RunStats,
    /// Wall time.
    pub elapsed: Duration,
    /// The state of the run, where its playbook names one.
    pub state: Option<String>,
}

/// Time without news after which a run that nobody watches says who is still at what.
const STILL_RUNNING_AFTER: Duration = Duration::from_secs(10);
/// Time between two ticks.
const TICK: Duration = Duration::from_millis(100);
/// Time for each cleanup command, and for each that it undoes.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(15);

/// Carries out `plan` on `run_hosts`, tells `reporter` all about it, and writes down in `log` what is done. `signals` may
/// cut it short.
pub async fn run<C: Executor>(
    plan: &Plan,
    run_hosts: Vec<RunHost>,
    settings: RunSettings,
    executor: C,
    signals: Receiver<CancelReason>,
    log: &mut dyn RunLog,
    reporter: &mut dyn Reporter,
) -> RunResult {
    let start = now();
    let stats = RunStats { hosts: run_hosts.len(), ..RunStats::default() };
    let mut run = Run {
        plan,
        hosts: run_hosts.into_iter().map(HostState::new).collect(),
        executor,
        signals,
        log,
        reporter,
        stats,
        cancel: CancelToken::default(),
        looks: CancelToken::default(),
        stopped: false,
        step_failed: false,
        batch: None,
        failed_before: HashSet::new(),
        waited: false,
        chain_wait: None,
        cluster_failed_at: None,
        cluster: None,
        out: 0,
        log_failed: false,
        changes_begun: false,
        state: None,
        unsent_states: BTreeMap::new(),
        start,
        deadline: settings.deadline.map(|limit| WatchedLimit::at(later(start, limit))),
        said: start,
        ticked: start,
        unflushed: false,
        settings,
    };
    run.carry_out().await;
    run.finish()
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the run")]
struct Run<'a, C> {
    plan: &'a Plan,
    hosts: Vec<HostState>,
    executor: C,
    signals: Receiver<CancelReason>,
    log: &'a mut dyn RunLog,
    reporter: &'a mut dyn Reporter,
    stats: RunStats,
    cancel: CancelToken,
    /// Stops looks that nobody waits for any more.
    looks: CancelToken,
    /// No further step is begun.
    stopped: bool,
    /// Some host failed at the step that is under way.
    step_failed: bool,
    /// The hosts that a block of steps is done on at the moment.
    batch: Option<Batch>,
    /// Steps of a block that failed in an earlier batch.
    failed_before: HashSet<StepId>,
    /// A step that waits was begun.
    waited: bool,
    /// The latest step that waited for the chain: its hosts are looked at while the cluster is waited for.
    chain_wait: Option<StepId>,
    /// The step at which the cluster was not as it is wanted.
    cluster_failed_at: Option<StepId>,
    /// What was heard about the cluster.
    cluster: Option<ClusterReport>,
    /// Hosts that are out of the run.
    out: usize,
    /// The ledger has failed, and that was said.
    log_failed: bool,
    /// A step that changes something was begun on some host.
    changes_begun: bool,
    /// The state of the run.
    state: Option<String>,
    /// The state that hosts have not been told yet.
    unsent_states: BTreeMap<HostId, State>,
    start: Instant,
    /// When the whole run must be over.
    deadline: Option<WatchedLimit>,
    /// When something was last said in a run that nobody watches.
    said: Instant,
    ticked: Instant,
    /// Something was told since the last tick.
    unflushed: bool,
    settings: RunSettings,
}

/// A state that hosts are told.
#[derive(Debug)]
struct State {
    name: String,
    /// An earlier run came to it, and may have told them.
    again: bool,
}

/// What a turn of the run brought.
enum NextEvent {
    /// A job is over.
    Done(HostId, JobResult),
    /// The time that was waited for has come, or the run was cut short.
    Time,
    /// Nothing will ever come again.
    Gone,
}

impl<C: Executor> Run<'_, C> {
    async fn carry_out(&mut self) {
        let steps = self.plan.steps.iter().map(|step| step.name.clone()).collect();
        self.emit(EventKind::RunStarted { steps, fanout: self.settings.fanout });
        self.restore_resumed();
        self.make_up().await;
        let mut next = 0;
        while next < self.plan.steps.len() && !self.stopped && self.stats.cancelled.is_none() {
            let plan = self.plan;
            if let Some(block) = plan.blocks.iter().find(|block| block.steps.start == next) {
                self.roll(block).await;
                next = block.steps.end;
            } else {
                self.step(next).await;
                next += 1;
            }
        }
        self.clean_up().await;
        for host in 0..self.hosts.len() {
            self.conclude_host(host);
        }
        self.emit(EventKind::RunFinished);
    }

    fn finish(self) -> RunResult {
        RunResult {
            hosts: self.hosts.into_iter().map(HostState::report).collect(),
            waited: self.waited,
            cluster: self.cluster,
            stats: self.stats,
            elapsed: now() - self.start,
            state: self.state,
        }
    }

    /// Tells the reporter. One that fails is remembered; the run goes on.
    fn emit(&mut self, kind: EventKind) {
        let event = Event { at: now() - self.start, kind };
        self.unflushed = true;
        if self.reporter.take(event, &self.stats).is_err() {
            self.stats.broken = true;
        }
    }

    /// Waits for the end of a job, or for `until`. Everything else that happens meanwhile is dealt with here.
    ///
    /// Signals, the deadline, `until` and ticks come first each time: hosts may send faster than their notes can be taken.
    async fn next_event(&mut self, until: Option<Instant>) -> NextEvent {
        loop {
            if self.is_cut_short_now() {
                return NextEvent::Time;
            }
            let now = now();
            if until.is_some_and(|until| until <= now) {
                return NextEvent::Time;
            }
            self.report_liveness(now);
            let event = match self.executor.ready() {
                Some(event) => Some(event),
                None => match self.woken(until).await {
                    Wake::Event(Some(event)) => Some(event),
                    Wake::Event(None) => {
                        // The fleet is gone, which is a bug; say so rather than hang.
                        self.stats.broken = true;
                        self.stopped = true;
                        return NextEvent::Gone;
                    }
                    Wake::Signal(reason) if self.cancel_run(reason) => return NextEvent::Time,
                    Wake::Signal(_) | Wake::Time => None,
                },
            };
            if let Some((host, event)) = event
                && let Some(done) = self.handle(host, event)
            {
                self.stats.running -= 1;
                return NextEvent::Done(host, done);
            }
        }
    }

    /// Takes a signal or the deadline into account. True where the run was cut short just now.
    fn is_cut_short_now(&mut self) -> bool {
        if let Ok(reason) = self.signals.try_recv()
            && self.cancel_run(reason)
        {
            return true;
        }
        self.deadline.as_mut().is_some_and(WatchedLimit::has_passed) && self.cancel_run(CancelReason::Deadline)
    }

    /// Waits for whatever comes next.
    async fn woken(&mut self, until: Option<Instant>) -> Wake {
        self.reporter.settle();
        let deadline = self.deadline.map(WatchedLimit::next_look).filter(|_| !self.is_stopping());
        let wake = [until, Some(self.next_liveness_check()), deadline];
        let pause = async {
            match wake.into_iter().flatten().min() {
                Some(at) => sleep_until(at).await,
                None => future::pending().await,
            }
            Wake::Time
        };
        let event = async { Wake::Event(self.executor.next().await) };
        let signal = async {
            match self.signals.recv().await {
                Ok(reason) => Wake::Signal(reason),
                Err(_) => future::pending().await,
            }
        };
        future::or(event, future::or(signal, pause)).await
    }

    fn next_liveness_check(&self) -> Instant {
        // Also in a pipe somebody may read along: what was told must not wait in a buffer.
        if self.settings.live || self.unflushed { self.ticked + TICK } else { self.said + STILL_RUNNING_AFTER }
    }

    /// Ticks, on which also what is kept for a pipe is written; and for whoever does not watch, a line now and then that
    /// names who is still at what.
    fn report_liveness(&mut self, now: Instant) {
        if (self.settings.live || self.unflushed) && now >= self.ticked + TICK {
            self.ticked = now;
            self.unflushed = false;
            self.reporter.tick(now - self.start);
        }
        if !self.settings.live && now >= self.said + STILL_RUNNING_AFTER {
            self.said = now;
            let mut hosts: Vec<(HostId, Activity, Duration)> = self
                .hosts
                .iter()
                .enumerate()
                .filter_map(|(id, host)| host.activity.as_ref().map(|(what, since)| (id, what.clone(), now - *since)))
                .collect();
            hosts.sort_by_key(|(_, _, age)| std::cmp::Reverse(*age));
            if !hosts.is_empty() {
                self.emit(EventKind::StillRunning { hosts });
            }
        }
    }

    /// Takes a note in. Gives back the end of a job; everything else is only told on.
    fn handle(&mut self, id: HostId, event: FleetEvent) -> Option<JobResult> {
        let host = &mut self.hosts[id];
        match event {
            FleetEvent::Done(done) => {
                host.activity = None;
                if let JobResult::Unreached { attempts, .. } = &done {
                    host.attempts = *attempts;
                }
                return Some(done);
            }
            FleetEvent::Progress(ConnectProgress::Phase(phase)) => {
                host.set_activity(Activity::Connecting(phase));
                self.emit(EventKind::PhaseStarted { host: id, phase });
            }
            FleetEvent::Progress(ConnectProgress::Retry { attempt, of, failure, retry_in }) => {
                self.emit(EventKind::AttemptFailed { host: id, attempt, of, failure, retry_in });
            }
            FleetEvent::Connected { address, banner, attempts, took } => {
                host.address = Some(address.clone());
                host.attempts = attempts;
                host.connect.get_or_insert(took);
                host.set_activity(Activity::Step(host.step));
                self.emit(EventKind::Connected { host: id, address, took, banner });
            }
            FleetEvent::Moving(moved, of) => {
                let step = host.step;
                self.emit(EventKind::Moving { host: id, step, moved, of });
            }
            FleetEvent::Output(stream, bytes, reserved) => {
                let step = host.step;
                self.emit(EventKind::Output { host: id, step, stream, bytes, reserved });
            }
        }
        None
    }

    /// Whether what runs was told to end.
    fn is_stopping(&self) -> bool {
        self.stats.cancelled.is_some_and(|reason| reason != CancelReason::MaxFail)
    }

    /// Begins nothing more, and stops what runs; too many failures leave that to end by itself. Cleanups still come. False
    /// where that was so already.
    fn cancel_run(&mut self, reason: CancelReason) -> bool {
        if self.is_stopping() || self.stats.cancelled == Some(reason) {
            return false;
        }
        self.stats.cancelled = Some(reason);
        self.emit(EventKind::CancelRequested { reason, running: self.stats.running });
        if self.is_stopping() {
            self.cancel.cancel();
            self.looks.cancel();
        }
        true
    }

    /// Begins a job on a host.
    fn begin(&mut self, id: HostId, step: StepId, job: Job) {
        let host = &mut self.hosts[id];
        let first = host.began.is_none();
        host.began.get_or_insert_with(now);
        host.begun |= !matches!(self.plan.steps[step].action, Action::Probe { .. });
        host.step = step;
        host.activity = Some((Activity::Step(step), now()));
        self.stats.running += 1;
        if first {
            self.emit(EventKind::HostStarted { host: id });
        }
        self.executor.submit(id, job);
    }

    /// A step is over on a host.
    fn end_step(&mut self, id: HostId, step: StepId, mut result: StepResult) {
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
            host.last = Some(result.clone());
        }
        if signalled {
            self.stats.signalled += 1;
        }
        self.emit(EventKind::HostStepFinished { host: id, step, result });
    }

    /// Gives a host its verdict.
    fn conclude_host(&mut self, id: HostId) {
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
        let (failure, elapsed) = (host.failure.clone(), host.elapsed);
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

/// A time so much later, or one that no run lives to see.
fn later(at: Instant, time: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    at.checked_add(time.min(NEVER)).unwrap_or(at)
}

enum Wake {
    Event(Option<(HostId, FleetEvent)>),
    Signal(CancelReason),
    Time,
}
