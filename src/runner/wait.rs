//! Waiting until a chain is up or a condition holds: gentle looks, one at a time per host, until enough hosts are there.

use std::time::{Duration, Instant};

use crate::cancel::{CancelToken, WatchedLimit};
use crate::event::{EventKind, HostId, StepId};
use crate::outcome::{Failure, Outcome, StepResult};
use crate::plan::{On, OnFailure, Quorum, Share, Until, Wait};
use crate::reactor::now;

use super::executor::Executor;
use super::turn::NextEvent;
use super::wait_checks::not_yet;
use super::waiting::{WaitingHost, WaitingHosts};
use super::{Run, later};

/// Time that the other hosts still have to come up, once one is beyond help.
pub(super) const SETTLE: Duration = Duration::from_secs(15);

impl<C: Executor> Run<'_, C> {
    /// Waits on these hosts.
    pub(super) async fn wait(&mut self, id: StepId, wait: &Wait, hosts: Vec<HostId>) {
        if hosts.is_empty() {
            return;
        }
        self.waited = true;
        if self.stats.cancelled.is_none() {
            self.looks = CancelToken::default();
        }
        let step = &self.plan.steps[id];
        if step.on == On::Any || step.about_cluster {
            self.wait_for_cluster(id, wait, hosts).await;
        } else {
            self.wait_for_hosts(id, wait, hosts).await;
        }
        self.looks = self.cancel.clone();
    }

    async fn wait_for_hosts(&mut self, id: StepId, wait: &Wait, hosts: Vec<HostId>) {
        let began = now();
        let of_all = needed(wait.quorum, hosts.len());
        let hindered: Vec<bool> = hosts.iter().map(|&host| self.hosts[host].obstacles().hinders).collect();
        let mut waiting = WaitingHosts::new(hosts, wait, began);
        waiting.hinder(&hindered);
        // Whom a preflight found unable to come up is looked at, but not waited for.
        let need = of_all.min(waiting.waited_for());
        for host in waiting.hindered() {
            if let Some(cause) = self.hosts[host].obstacles().certain.first().cloned() {
                self.emit(EventKind::CauseSeen { host, cause });
            }
        }
        let mut end = WatchedLimit::at(later(began, wait.timeout));
        while self.stats.cancelled.is_none() {
            let now = now();
            if waiting.there() >= need || waiting.are_settled() || end.has_passed() {
                break;
            }
            // Where the run goes on with the hosts that are left, each of them has its own time to come up.
            if waiting.possible() < need && self.plan.steps[id].on_failure == OnFailure::Stop {
                end.no_later_than(later(waiting.hopeless_since(now), SETTLE));
            }
            self.start_due_looks(id, id, wait, &mut waiting, None);
            let next = waiting.next_due().filter(|_| waiting.looking() < self.settings.fanout);
            let end = end.next_look();
            match self.next_event(Some(next.map_or(end, |next| next.min(end)))).await {
                NextEvent::Done(host, done) => self.heard_look(id, id, wait, &mut waiting, host, done, began),
                NextEvent::Time => {}
                NextEvent::Gone => break,
            }
        }
        if wait.patient {
            // Who is not up by now may take long to answer.
            self.looks.cancel();
        }
        self.drain(&mut waiting).await;
        let enough = waiting.iter().filter(|host| host.there).count() >= of_all;
        self.collect_evidence(id, wait, &waiting, enough).await;
        for host in waiting.into_hosts() {
            self.settle(id, wait, host, began, enough);
        }
    }

    /// Waits for looks that are under way, so that no answer goes to the wrong step.
    pub(super) async fn drain(&mut self, waiting: &mut WaitingHosts) {
        while waiting.looking() > 0 {
            match self.next_event(None).await {
                NextEvent::Done(host, _) => {
                    if let Some(place) = waiting.place(host) {
                        waiting.end(place, |_| ());
                    }
                }
                NextEvent::Time => {}
                NextEvent::Gone => return,
            }
        }
    }

    /// Says how the wait went for a host.
    pub(super) fn settle(&mut self, id: StepId, wait: &Wait, host: WaitingHost, began: Instant, enough: bool) {
        let now = now();
        // A rule that holds, if not for long enough to give up on, has a hint of its own.
        let is_guessed = wait.give_up.iter().zip(&host.held).any(|(rule, held)| held.is_some() && rule.hint.is_some());
        let given_up = host.lost.is_some() && wait.looks.is_none() || is_guessed;
        let id_of_host = host.host;
        let mut result = if host.there {
            StepResult::new(Outcome::Ok)
        } else if let (Until::Checks, true) = (&wait.until, enough) {
            let lost = host.lost.as_ref().map(Failure::to_string);
            not_yet(lost.as_deref().or(host.value.as_deref()))
        } else if let Some(lost) = host.lost {
            StepResult::failed(lost)
        } else if self.stats.cancelled.is_some() {
            StepResult::new(Outcome::Cancelled)
        } else if enough {
            // Enough others are there, which is all that was asked.
            StepResult::new(Outcome::Ok)
        } else if let Some(hindered) = self.not_waited_for(host.host) {
            StepResult::failed(hindered)
        } else {
            StepResult::failed(self.not_there(wait, &host, now, now < later(began, wait.timeout)))
        };
        if !result.outcome.is_success() {
            result.stdout = std::mem::take(&mut self.hosts[host.host].evidence);
            self.add_cause(id_of_host, &mut result, given_up);
        }
        result.elapsed = now.saturating_duration_since(began);
        self.hosts[host.host].activity = None;
        // A host that one could do without, and that another one stood in for, does not fail the step.
        if self.plan.steps[id].on_failure == OnFailure::Continue && enough && !matches!(wait.until, Until::Checks) {
            result.outcome = Outcome::Ok;
        }
        self.end_step(host.host, id, result);
    }
}

/// Hosts that must be there.
pub(super) fn needed(quorum: Quorum, of: usize) -> usize {
    match quorum {
        Quorum::All => of,
        Quorum::Majority => of / 2 + 1,
        Quorum::Count(count) => count,
        Quorum::Percent(percent) => Share::Percent(percent).to_begin(of),
        Quorum::Any => 1,
    }
}
