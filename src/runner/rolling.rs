//! Steps that are done batch by batch: all of them for some hosts before the next hosts begin, until too many failed.

use std::collections::HashSet;

use crate::event::{EventKind, HostId, StepId};
use crate::outcome::{Outcome, StepResult};
use crate::plan::{Action, Block};
use crate::stats::CancelReason;

use super::Run;
use super::condition::holds;
use super::executor::Executor;

/// The hosts that a block of steps is done on at the moment.
#[derive(Debug)]
pub(super) struct Batch {
    hosts: HashSet<HostId>,
    /// The steps are over for the run once these hosts have done them.
    pub(super) is_last: bool,
    /// Hosts of earlier batches were changed.
    pub(super) is_late: bool,
}

impl Batch {
    pub(super) fn has(&self, host: HostId) -> bool {
        self.hosts.contains(&host)
    }
}

impl<C: Executor> Run<'_, C> {
    /// Does a block of steps, batch by batch.
    pub(super) async fn roll(&mut self, block: &Block) {
        // Nothing is changed on any host before all were looked at.
        for id in block.steps.clone() {
            if !self.may_refuse(id) {
                continue;
            }
            if self.stopped || self.stats.cancelled.is_some() {
                return;
            }
            self.step(id).await;
        }
        let hosts = self.leave_out_done(block);
        let out_before = self.out;
        let bearable = block.max_fail.to_bear(hosts.len());
        let batches = self.batches_of(block, hosts);
        let count = batches.len();
        for (index, hosts) in batches.iter().enumerate() {
            if self.stopped || self.stats.cancelled.is_some() {
                return;
            }
            self.emit(EventKind::BatchStarted { batch: index + 1, of: count, hosts: hosts.clone() });
            let is_last = index + 1 == count;
            self.batch = Some(Batch { hosts: hosts.iter().copied().collect(), is_last, is_late: index > 0 });
            for id in block.steps.clone() {
                if self.stopped || self.stats.cancelled.is_some() {
                    break;
                }
                // The first batch was looked at just now.
                if index > 0 || !self.may_refuse(id) {
                    self.step(id).await;
                }
            }
            self.clean_up().await;
            self.batch = None;
            let left: Vec<HostId> = batches[index + 1..].concat();
            if self.stats.cancelled.is_some() || left.is_empty() {
                return;
            }
            let failed: Vec<HostId> = hosts.iter().copied().filter(|&host| self.hosts[host].out).collect();
            if self.stopped || self.out - out_before > bearable {
                self.emit(EventKind::BatchStopped { batch: index + 1, of: count, failed, left });
                self.cancel_run(CancelReason::MaxFail);
                return;
            }
            let write_log = self.write_log(|log| log.batch_done());
            if !write_log || (index == 0 && block.first.is_some() && !self.may_follow(hosts.len(), left.len()).await) {
                return;
            }
        }
    }

    /// Whether a step may refuse to go on.
    fn may_refuse(&self, id: StepId) -> bool {
        matches!(&self.plan.steps[id].action, Action::Probe { refuse, .. } if !refuse.is_empty())
    }

    /// Hosts of a block; those that an earlier run has done it on are left out.
    fn leave_out_done(&mut self, block: &Block) -> Vec<HostId> {
        let plan = self.plan;
        let all: Vec<HostId> =
            (0..self.hosts.len()).filter(|&id| !self.hosts[id].out && self.hosts[id].verdict.is_none()).collect();
        let Some(resume) = self.settings.resume.clone() else { return all };
        let changes = |id: &StepId| plan.steps[*id].action.is_change();
        let is_done = |host: HostId| {
            let concerns = |id: &StepId| self.hosts[host].is_concerned_by(&plan.steps[*id]);
            let mut changing = block.steps.clone().filter(changes).filter(concerns).peekable();
            changing.peek().is_some() && changing.all(|id| resume.has(id, host))
        };
        let (done, left): (Vec<HostId>, Vec<HostId>) = all.into_iter().partition(|&host| is_done(host));
        for host in done {
            for id in block.steps.clone() {
                if self.may_refuse(id) {
                    continue;
                }
                let result = StepResult::new(Outcome::Skipped);
                self.hosts[host].record(&plan.steps[id].name, Some(id), &result);
                self.emit(EventKind::HostStepFinished { host, step: id, result });
            }
        }
        left
    }

    /// The batches, in order: who goes first, then as many at a time as the block says, and at the end who goes last.
    fn batches_of(&self, block: &Block, hosts: Vec<HostId>) -> Vec<Vec<HostId>> {
        let size = block.serial.to_begin(hosts.len());
        let goes_last = |host: HostId| {
            let state = &self.hosts[host];
            block.last.as_ref().is_some_and(|last| holds(last, &state.facts, &state.run_host.vars))
        };
        let (last, mut hosts): (Vec<HostId>, Vec<HostId>) = hosts.into_iter().partition(|&host| goes_last(host));
        let mut batches = Vec::new();
        if let Some(first) = block.first.filter(|&first| first < hosts.len()) {
            let others = hosts.split_off(first);
            batches.push(std::mem::replace(&mut hosts, others));
        }
        // Who goes last shares no batch with the others.
        for hosts in [hosts, last] {
            batches.extend(hosts.chunks(size).map(<[HostId]>::to_vec));
        }
        batches
    }
}
