//! Which node a host is, so that two runs never change one node at once, by whatever names.
//!
//! Addresses are locked before contact. Here nodes are, by what they say of themselves: on the way of the first look where
//! there is one, else by a question before the first change.

use std::time::Duration;

use crate::event::{EventKind, HostId, StepId};
use crate::outcome::{Failure, Outcome, StepResult};
use crate::plan::script::parse_node;
use crate::plan::{Action, Step};

use super::Run;
use super::executor::Executor;
use super::job::{JobResult, Work};
use super::job_result::{LONGEST_ANSWER, Parser, answer, evaluate};
use super::pump::Pump;
use super::script;

/// Time for the question.
const LIMIT: Duration = Duration::from_secs(15);

/// What is known about which node a host is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Identity {
    /// It was not asked yet.
    #[default]
    Unasked,
    /// It does not say; its address alone counts.
    Unknown,
    /// It is this one, which is not locked yet.
    Known(String),
    /// Other runs keep away from it.
    Held,
}

impl<C: Executor> Run<'_, C> {
    /// So many hosts are asked before the first of them is changed: all, where their connections are kept meanwhile.
    pub(super) fn held_at_once(&self, hosts: usize) -> usize {
        if self.settings.keep { hosts.max(1) } else { self.settings.fanout }
    }

    /// Takes note of what a look says about which node a host is. It is no part of what the look has found.
    pub(super) fn recognize(&mut self, host: HostId, step: &Step, result: &mut StepResult) {
        if !matches!(step.action, Action::Probe { .. }) || !self.plan.is_change() {
            return;
        }
        let known = &mut self.hosts[host].identity;
        if *known == Identity::Unasked && result.exit_status.is_some() {
            *known = parse_node(&answer(result)).map_or(Identity::Unknown, Identity::Known);
        }
        if let Ok(said) = result.stdout.whole(LONGEST_ANSWER)
            && let Some(rest) = without_node(&said)
        {
            result.stdout = rest.as_slice().into();
        }
    }

    /// Before hosts are changed: keeps other runs away from them, and from all that are known by now. Gives those that may be
    /// changed.
    ///
    /// Where another run is at work on one of them, the run is refused; hosts of a run that has changed something fail.
    pub(super) async fn hold(&mut self, id: StepId, hosts: &[HostId]) -> Vec<HostId> {
        if !self.plan.steps[id].action.is_change() {
            return hosts.to_vec();
        }
        if !self.log.can_hold() {
            self.changes_begun = true;
            return hosts.to_vec();
        }
        let unreachable = self.ask_nodes(id, hosts).await;
        let mut hosts: Vec<HostId> = hosts.iter().copied().filter(|host| !unreachable.contains(host)).collect();
        if self.stats.cancelled.is_some() {
            return hosts;
        }
        let known = |(host, state): (HostId, &super::HostState)| match &state.identity {
            Identity::Known(node) => Some((host, node.clone())),
            _ => None,
        };
        let mut nodes: Vec<(HostId, String)> = self.hosts.iter().enumerate().filter_map(known).collect();
        let mut busy = Vec::new();
        while !nodes.is_empty() {
            let taken = match self.log.hold(&nodes) {
                Ok(taken) => taken,
                Err(error) => {
                    let message = format!("cannot lock: {error}; nothing keeps another run away from these nodes");
                    self.emit(EventKind::Warning { message });
                    Vec::new()
                }
            };
            if taken.is_empty() {
                break;
            }
            nodes.retain(|(host, _)| taken.iter().all(|(busy, _)| busy != host));
            busy.extend(taken);
            if !self.changes_begun {
                self.refuse(id, busy);
                return Vec::new();
            }
        }
        for (host, _) in nodes {
            self.hosts[host].identity = Identity::Held;
        }
        for (host, failure) in busy {
            hosts.retain(|&of| of != host);
            self.end_step(host, id, StepResult::failed(failure));
        }
        self.changes_begun |= !hosts.is_empty();
        hosts
    }

    /// Asks the hosts that no look has asked. Gives those that cannot be reached any more.
    async fn ask_nodes(&mut self, id: StepId, hosts: &[HostId]) -> Vec<HostId> {
        let unasked = hosts.iter().filter(|&&host| self.hosts[host].identity == Identity::Unasked);
        let mut pump = Pump::new(unasked.map(|&host| (host, ())).collect::<Vec<_>>());
        let mut unreachable = Vec::new();
        let begin = |run: &mut Self, host: HostId, (): &()| {
            let begun = run.hosts[host].begun;
            let command = script::ask_node(LIMIT);
            // The step itself follows on the same connection.
            let job = super::job::Job {
                work: Work::Command(command),
                stream: false,
                waits: false,
                last: false,
                cancel: run.cancel.clone(),
            };
            run.begin(host, id, job);
            run.hosts[host].begun = begun;
            true
        };
        while let Some((host, (), done)) = self.next_end(&mut pump, begin).await {
            if matches!(done, JobResult::Unreached { .. }) {
                let result = evaluate(Parser::Reached, None, done);
                self.end_step(host, id, result);
                unreachable.push(host);
                continue;
            }
            let result = evaluate(Parser::Status, Some(LIMIT), done);
            self.hosts[host].identity = parse_node(&answer(&result)).map_or(Identity::Unknown, Identity::Known);
        }
        unreachable
    }

    /// Another run is at work on these hosts, before this one has changed anything.
    fn refuse(&mut self, id: StepId, busy: Vec<(HostId, Failure)>) {
        let name = &self.plan.steps[id].name;
        for (host, failure) in &busy {
            let result = StepResult { failure: Some(failure.clone()), ..StepResult::new(Outcome::Refused) };
            self.hosts[*host].record(name, Some(id), &result);
        }
        self.stats.refused = true;
        self.stopped = true;
        self.emit(EventKind::Refused { hosts: busy });
    }
}

/// What a look printed, without the line about the node. `None`: there is none.
fn without_node(said: &[u8]) -> Option<Vec<u8>> {
    let is_about_node = |line: &&[u8]| line.starts_with(b"gsctl-node ");
    let lines = || said.split_inclusive(|&byte| byte == b'\n');
    lines()
        .any(|line| is_about_node(&line))
        .then(|| lines().filter(|line| !is_about_node(line)).flatten().copied().collect())
}
