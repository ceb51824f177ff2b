//! Work for hosts, as many at once as the fanout allows: the one loop that begins jobs and waits for their ends.

use std::collections::{HashMap, VecDeque};

use crate::event::HostId;

use super::Run;
use super::executor::Executor;
use super::job::JobResult;
use super::turn::NextEvent;

/// What is to be done on hosts, and what is under way. `T` says what it is about.
pub(super) struct Pump<T> {
    queue: VecDeque<(HostId, T)>,
    running: HashMap<HostId, T>,
    /// Goes on also where the run was cut short.
    is_cleanup: bool,
}

impl<T> Pump<T> {
    /// Does this, unless the run is cut short.
    pub(super) fn new(work: impl IntoIterator<Item = (HostId, T)>) -> Self {
        Self { queue: work.into_iter().collect(), running: HashMap::new(), is_cleanup: false }
    }

    /// Does this whatever happens.
    pub(super) fn cleanup(work: impl IntoIterator<Item = (HostId, T)>) -> Self {
        Self { is_cleanup: true, ..Self::new(work) }
    }

    /// Adds something at the end. A host has one job at a time: only for one that nothing runs on.
    pub(super) fn push(&mut self, host: HostId, about: T) {
        self.queue.push_back((host, about));
    }

    /// What was not begun.
    pub(super) fn into_left(self) -> impl Iterator<Item = (HostId, T)> {
        self.queue.into_iter()
    }
}

impl<C: Executor> Run<'_, C> {
    /// Begins what there is room for with `begin`, which says whether it began something, and waits for the next end.
    /// `None`: nothing is under way, and nothing more is begun.
    pub(super) async fn next_end<T>(
        &mut self,
        pump: &mut Pump<T>,
        mut begin: impl FnMut(&mut Self, HostId, &T) -> bool,
    ) -> Option<(HostId, T, JobResult)> {
        loop {
            while pump.running.len() < self.settings.fanout && (pump.is_cleanup || self.stats.cancelled.is_none()) {
                let Some((host, about)) = pump.queue.pop_front() else { break };
                if begin(self, host, &about) {
                    pump.running.insert(host, about);
                }
            }
            if pump.running.is_empty() {
                return None;
            }
            match self.next_event(None).await {
                NextEvent::Done(host, done) => {
                    if let Some(about) = pump.running.remove(&host) {
                        return Some((host, about, done));
                    }
                }
                NextEvent::Time => {}
                NextEvent::Gone => return None,
            }
        }
    }
}
