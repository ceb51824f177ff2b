//! A turn of the run: what comes while it waits, whether that is a note of a host, a signal, the deadline or a tick.

use std::time::{Duration, Instant};

use futures_lite::future;

use super::Run;
use super::executor::{Executor, FleetEvent};
use super::job::JobResult;
use crate::cancel::WatchedLimit;
use crate::event::{Activity, EventKind, HostId};
use crate::reactor::{now, sleep_until};
use crate::stats::CancelReason;
use crate::transport::ConnectProgress;

/// Time without news after which a run that nobody watches says who is still at what.
const STILL_RUNNING_AFTER: Duration = Duration::from_secs(10);
/// Time without news after which it takes in what they are at.
const TAKING_IN_AFTER: Duration = STILL_RUNNING_AFTER.saturating_sub(TICK);
/// Time between two ticks.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// What a turn of the run brought.
pub(super) enum NextEvent {
    /// A job is over.
    Done(HostId, JobResult),
    /// The time that was waited for has come, or the run was cut short.
    Time,
    /// Nothing will ever come again.
    Gone,
}

impl<C: Executor> Run<'_, C> {
    /// Waits for the end of a job, or for `until`. Everything else that happens meanwhile is dealt with here.
    ///
    /// Signals, the deadline, `until` and ticks come first each time: hosts may send faster than their notes can be taken.
    pub(super) async fn next_event(&mut self, until: Option<Instant>) -> NextEvent {
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
        if self.settings.live || self.unflushed {
            return self.ticked + TICK;
        }
        // What hosts are at is taken in first: nobody was woken for that.
        let takes_in = self.said + TAKING_IN_AFTER;
        if now() < takes_in { takes_in } else { self.said + STILL_RUNNING_AFTER }
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
            FleetEvent::Progress(ConnectProgress::Phase(phase), at) => {
                host.set_activity(Activity::Connecting(phase), at);
                self.emit_at(at, EventKind::PhaseStarted { host: id, phase });
            }
            FleetEvent::Progress(ConnectProgress::Retry { attempt, of, failure, retry_in }, _) => {
                self.emit(EventKind::AttemptFailed { host: id, attempt, of, failure, retry_in });
            }
            FleetEvent::Connected { address, banner, attempts, took, at } => {
                host.address = Some(address.clone());
                host.attempts = attempts;
                host.connect.get_or_insert(took);
                host.set_activity(Activity::Step(host.step), at);
                self.emit_at(at, EventKind::Connected { host: id, address, took, banner });
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
}

enum Wake {
    Event(Option<(HostId, FleetEvent)>),
    Signal(CancelReason),
    Time,
}
