//! Who is asked about the cluster, who after him, and what each has answered.

use std::collections::VecDeque;
use std::time::Instant;

use crate::event::HostId;
use crate::plan::Wait;
use crate::reactor::now;

use super::later;
use super::waiting::WaitingHost;

/// Who is asked about the cluster.
pub(super) struct Asking {
    /// Hosts that can be asked; the first one is.
    pub(super) hosts: VecDeque<HostId>,
    pub(super) waiting: WaitingHost,
    pub(super) due: Instant,
    /// When the question that is under way began.
    pub(super) under_way: Option<Instant>,
    /// Hosts in a row that had no answer.
    pub(super) without_answer: usize,
    /// What each host that was asked said last, in the order in which they were asked first.
    pub(super) answers: Vec<(HostId, String)>,
    /// The latest answer.
    pub(super) state: Option<String>,
}

impl Asking {
    pub(super) fn host(&self) -> Option<HostId> {
        self.hosts.front().copied()
    }

    /// The host whose answer counts.
    pub(super) fn speaker(&self) -> HostId {
        self.host().or(self.answers.last().map(|(host, _)| *host)).unwrap_or_default()
    }

    /// Hosts that may know more, the one that was asked last first.
    pub(super) fn candidates(&self) -> Vec<HostId> {
        self.hosts.iter().copied().collect()
    }

    pub(super) fn answered(&mut self, host: HostId, answer: String) {
        match self.answers.iter_mut().find(|(known, _)| *known == host) {
            Some((_, known)) => *known = answer,
            None => self.answers.push((host, answer)),
        }
    }

    /// Goes on to the next host; once all had no answer, only after a pause.
    pub(super) fn ask_another(&mut self, wait: &Wait) {
        self.hosts.rotate_left(1);
        self.without_answer += 1;
        if self.without_answer >= self.hosts.len() {
            self.without_answer = 0;
            self.due = later(now(), wait.every);
        } else {
            self.due = now();
        }
        // What has held for a while, as `give_up` wants it, holds whoever says it.
        let held = std::mem::take(&mut self.waiting.held);
        if let Some(host) = self.host() {
            let looks = self.waiting.looks;
            self.waiting = WaitingHost::new(host, wait, now());
            (self.waiting.held, self.waiting.looks) = (held, looks);
        }
    }
}
