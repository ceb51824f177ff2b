//! Waiting for the cluster: one host is asked for all, another one where it has no answer, and all nodes are looked at
//! until the end. What is wrong then is a node's failure, or the cluster's and no node's.

use std::time::Instant;

use crate::cancel::WatchedLimit;
use crate::duration::human;
use crate::event::{EventKind, HostId, StepId};
use crate::outcome::cause::Cause;
use crate::outcome::{Failure, Outcome, Phase, StepResult};
use crate::plan::{Action, Look, On, Until, Wait};
use crate::reactor::now;
use crate::report::{Asked, ClusterReport};
use crate::transport::Command;

use super::asking::Asking;
use super::condition::{holds, name_state};
use super::executor::Executor;
use super::job::JobResult;
use super::look::LOOK;
use super::script::{self, Depth};
use super::step::is_gone;
use super::turn::NextEvent;
use super::wait::{SETTLE, needed};
use super::wait_failure::{phase, told, unmet, waited_for};
use super::waiting::{WaitingHost, WaitingHosts};
use super::{Run, later};

/// The nodes that are looked at while the cluster is waited for, as an earlier step did.
struct Nodes<'a> {
    step: StepId,
    wait: &'a Wait,
    hosts: WaitingHosts,
    need: usize,
}

impl<'a, C: Executor> Run<'a, C> {
    /// Waits until one of these hosts says that it is so, and all nodes are up at that time.
    pub(super) async fn wait_for_cluster(&mut self, id: StepId, wait: &Wait, hosts: Vec<HostId>) {
        let began = now();
        let Some(&first) = hosts.first() else { return };
        let mut asking = Asking {
            waiting: WaitingHost::new(first, wait, began),
            hosts: hosts.into(),
            due: began,
            under_way: None,
            without_answer: 0,
            answers: Vec::new(),
            state: None,
        };
        // Where hosts of a group are asked, the nodes were seen up by steps of their own.
        let mut nodes = if self.plan.steps[id].on == On::Any { self.nodes(began) } else { None };
        let mut end = WatchedLimit::at(later(began, wait.timeout));
        // Since when the cluster is as it is wanted.
        let mut reached = None;
        while self.stats.cancelled.is_none() {
            let now = now();
            let all_up = nodes.as_ref().is_none_or(|nodes| {
                reached.is_some() && nodes.hosts.is_round_over() && nodes.hosts.there() >= nodes.need
            });
            let is_over = asking.host().is_none() || asking.waiting.lost.is_some();
            if (reached.is_some() && all_up) || is_over || end.has_passed() {
                break;
            }
            if let Some(nodes) = &mut nodes
                && nodes.hosts.possible() < nodes.need
            {
                end.no_later_than(later(nodes.hosts.hopeless_since(now), SETTLE));
            }
            let next = self.ask_where_due(id, wait, &mut asking, nodes.as_mut());
            let end = end.next_look();
            match self.next_event(Some(next.map_or(end, |next| next.min(end)))).await {
                NextEvent::Done(host, done) if asking.under_way.is_some() && asking.host() == Some(host) => {
                    let asked = asking.under_way.take().unwrap_or(now);
                    let is_watched = nodes.as_ref().is_some_and(|nodes| nodes.hosts.place(host).is_some());
                    self.heard_answer(id, wait, &mut asking, done, is_watched, began);
                    if let Some(nodes) = &mut nodes {
                        nodes.hosts.resume(host, now);
                    }
                    let is_there = asking.waiting.there;
                    if is_there && reached.is_none() {
                        // What was seen before it came to be so may be past.
                        nodes.as_mut().into_iter().for_each(|nodes| nodes.hosts.begin_round(asked));
                    }
                    reached = is_there.then(|| reached.unwrap_or(asked));
                }
                NextEvent::Done(host, done) => {
                    if let Some(nodes) = &mut nodes {
                        self.heard_look(id, nodes.step, nodes.wait, &mut nodes.hosts, host, done, began);
                    }
                }
                NextEvent::Time => {}
                NextEvent::Gone => break,
            }
        }
        self.drain_cluster(&mut asking, nodes.as_mut()).await;
        let cause = if reached.is_some() { None } else { self.cause_of_cluster(id, wait, &asking.candidates()).await };
        self.conclude_cluster(id, wait, &asking, reached.is_some(), cause, began);
        if let Some(nodes) = nodes {
            self.conclude_nodes(id, nodes, began).await;
        }
    }

    /// The nodes of the latest step that waited for the chain.
    fn nodes(&self, now: Instant) -> Option<Nodes<'a>> {
        let step = self.chain_wait?;
        let plan = self.plan;
        let Action::Wait(wait) = &plan.steps[step].action else { return None };
        // Where each host is looked at once, that was it.
        if wait.looks.is_some() {
            return None;
        }
        let hosts: Vec<HostId> = self.hosts_for(&plan.steps[step]);
        let need = needed(wait.quorum, hosts.len());
        (!hosts.is_empty()).then(|| Nodes { step, wait, hosts: WaitingHosts::new(hosts, wait, now), need })
    }

    /// Begins what is due: the question, and looks at the nodes. Gives when something is due next.
    fn ask_where_due(
        &mut self,
        id: StepId,
        wait: &Wait,
        asking: &mut Asking,
        nodes: Option<&mut Nodes<'_>>,
    ) -> Option<Instant> {
        let now = now();
        let is_free = |host| {
            nodes
                .as_ref()
                .is_none_or(|nodes| !nodes.hosts.is_looking(host) && nodes.hosts.looking() < self.settings.fanout)
        };
        if let Some(host) = asking.host()
            && asking.under_way.is_none()
            && asking.due <= now
            && is_free(host)
        {
            self.ask(id, wait, asking, host);
        }
        // A question that is due waits for the look that is under way there.
        let question = asking.under_way.is_none().then_some(asking.due).filter(|due| *due > now);
        let asked = asking.host().filter(|_| asking.under_way.is_some());
        let look = nodes.and_then(|nodes| {
            self.start_due_looks(id, nodes.step, nodes.wait, &mut nodes.hosts, asked);
            let busy = nodes.hosts.looking() + usize::from(asked.is_some());
            nodes.hosts.next_due().filter(|_| busy < self.settings.fanout)
        });
        question.into_iter().chain(look).min()
    }

    fn ask(&mut self, id: StepId, wait: &Wait, asking: &mut Asking, host: HostId) {
        let state = &self.hosts[host];
        let command = script::command(self.plan, &self.plan.steps[id], &state.run_host, Depth::Light(&state.facts));
        let Ok(Some(command)) = command else {
            // Said before contact for every host, so this is a bug.
            asking.waiting.lost = Some(Failure::new(Phase::Local, "there is nothing to ask it with"));
            return;
        };
        let limit = command.timeout.unwrap_or(LOOK).min(LOOK);
        asking.under_way = Some(now());
        asking.due = later(now(), wait.every);
        asking.waiting.looks += 1;
        self.begin_quietly(host, id, Command { timeout: Some(limit), ..command });
    }

    /// Takes in what the host that was asked said.
    fn heard_answer(
        &mut self,
        id: StepId,
        wait: &Wait,
        asking: &mut Asking,
        done: JobResult,
        is_watched: bool,
        began: Instant,
    ) {
        let Some(host) = asking.host() else { return };
        let gone = is_gone(&done);
        let result = self.look_result(id, host, done);
        if result.outcome == Outcome::Cancelled {
            return;
        }
        let is_probe = matches!(wait.look, Look::Probe(_));
        if gone || (result.failure.is_some() && (is_probe || result.exit_status.is_none())) {
            let failure = result.failure.unwrap_or_else(|| Failure::new(Phase::Lost, "not heard"));
            asking.answered(host, failure.to_string());
            asking.ask_another(wait);
            if failure.outcome() == Outcome::Unreachable {
                asking.hosts.retain(|&other| other != host);
                // Where the nodes are looked at, that look says it; here, nothing else would.
                if !is_watched {
                    self.hosts[host].activity = None;
                    self.end_step(host, id, StepResult::failed(failure));
                }
            }
            return;
        }
        let mut facts = result.facts.clone();
        if let Look::Probe(probe) = &wait.look {
            name_state(&self.plan.probes[probe.as_str()], &mut facts, &self.hosts[host].run_host.vars);
        }
        let said = match &wait.until {
            Until::Condition(condition) => facts.get(&waited_for(condition)).cloned(),
            Until::Chain | Until::Checks => facts.get("state").cloned(),
        };
        asking.answered(host, said.clone().unwrap_or_else(|| "no answer".to_owned()));
        let step = &self.plan.steps[id];
        let no_answer = step.not_an_answer.as_ref();
        if no_answer.is_some_and(|no_answer| holds(no_answer, &facts, &self.hosts[host].run_host.vars)) {
            asking.state = said.or(asking.state.take());
            asking.ask_another(wait);
            return;
        }
        asking.without_answer = 0;
        asking.state = said;
        self.handle_look(id, wait, &mut asking.waiting, result, gone, began);
    }

    /// Waits for what is under way, so that no answer goes to the wrong step.
    async fn drain_cluster(&mut self, asking: &mut Asking, mut nodes: Option<&mut Nodes<'_>>) {
        while asking.under_way.is_some() || nodes.as_ref().is_some_and(|nodes| nodes.hosts.looking() > 0) {
            match self.next_event(None).await {
                NextEvent::Done(host, _) if asking.under_way.is_some() && asking.host() == Some(host) => {
                    asking.under_way = None;
                }
                NextEvent::Done(host, _) => {
                    if let Some(nodes) = nodes.as_deref_mut()
                        && let Some(place) = nodes.hosts.place(host)
                    {
                        nodes.hosts.end(place, |_| ());
                    }
                }
                NextEvent::Time => {}
                NextEvent::Gone => return,
            }
        }
    }

    /// Says what became of the cluster. Where it is not as it is wanted, that is no host's failure.
    fn conclude_cluster(
        &mut self,
        id: StepId,
        wait: &Wait,
        asking: &Asking,
        reached: bool,
        cause: Option<Cause>,
        began: Instant,
    ) {
        for &(host, _) in &asking.answers {
            self.hosts[host].activity = None;
        }
        let is_cut_short = self.stats.cancelled.is_some();
        let mut failure = (!reached && !is_cut_short).then(|| self.cluster_failure(wait, asking, began));
        if let (Some(failure), Some(cause)) = (&mut failure, &cause) {
            failure.cause = format!("{}: {}", failure.cause, cause.words());
            // What a rule knows, or the probe said, is nearer than what is said of all.
            if failure.hint.is_none() || failure.hint == self.hint_for_all(wait, asking) {
                failure.hint = cause.hint.clone().or(failure.hint.take());
            }
        }
        let elapsed = now().saturating_duration_since(began);
        for (host, _) in asking.answers.iter().filter(|_| !is_cut_short) {
            if self.hosts[*host].row_of(id).is_none() && asking.hosts.contains(host) {
                self.end_step(*host, id, StepResult { elapsed, ..StepResult::new(Outcome::Ok) });
            }
        }
        let asked = asking
            .answers
            .iter()
            .map(|(host, answer)| Asked { host: self.hosts[*host].run_host.name.to_string(), answer: answer.clone() });
        let cluster = ClusterReport { state: asking.state.clone(), asked: asked.collect(), failure, cause };
        if cluster.failure.is_some() {
            self.stats.cluster_failed = true;
            self.step_failed = true;
            self.cluster_failed_at = Some(id);
        }
        self.cluster = Some(cluster.clone());
        self.emit(EventKind::ClusterSeen { step: id, cluster });
    }

    /// What the step says to do about a cluster that is not as it is wanted, whatever it is.
    fn hint_for_all(&self, wait: &Wait, asking: &Asking) -> Option<String> {
        let state = &self.hosts[asking.speaker()];
        wait.hint.as_ref().map(|hint| hint.render_words(&state.run_host.vars, &state.facts))
    }

    /// Why the cluster is not as it is wanted.
    fn cluster_failure(&self, wait: &Wait, asking: &Asking, began: Instant) -> Failure {
        let limit = human(wait.timeout);
        let state = &self.hosts[asking.speaker()];
        let vars = &state.run_host.vars;
        let hint = self.hint_for_all(wait, asking);
        if let Some(lost) = &asking.waiting.lost {
            return Failure { hint: lost.hint.clone().or(hint), ..lost.clone() };
        }
        if asking.host().is_none() {
            return Failure::new(Phase::Check, "no host is left that could be asked");
        }
        let cut = now() < later(began, wait.timeout);
        let after = if cut { "at the end".to_owned() } else { format!("after {limit}") };
        let cause = match &wait.until {
            Until::Condition(condition) => unmet(condition, &state.facts, vars, &after),
            Until::Chain | Until::Checks => format!("not {} {after}", self.plan.end_word()),
        };
        // What holds now, if not for long enough to give up on, is still the best guess.
        let rules = wait.give_up.iter().zip(&asking.waiting.held);
        let guess = rules.filter(|(_, since)| since.is_some()).find_map(|(rule, _)| rule.hint.as_ref());
        let guess = guess.map(|hint| hint.render_words(vars, &state.facts));
        let hint = match &wait.until {
            Until::Condition(condition) => told(condition, &state.facts).or(hint),
            Until::Chain | Until::Checks => hint,
        };
        Failure { hint: guess.or(hint), ..Failure::new(phase(&wait.until), cause) }
    }

    /// Says which nodes are not up any more.
    async fn conclude_nodes(&mut self, id: StepId, nodes: Nodes<'_>, began: Instant) {
        let Nodes { wait, hosts, need, .. } = nodes;
        let enough = hosts.there() >= need;
        if self.stats.cancelled.is_some() || enough {
            for host in hosts.iter() {
                self.hosts[host.host].activity = None;
            }
            return;
        }
        self.collect_evidence(id, wait, &hosts, false).await;
        let now = now();
        for host in hosts.into_hosts() {
            let evidence = std::mem::take(&mut self.hosts[host.host].evidence);
            self.hosts[host.host].activity = None;
            if host.there {
                continue;
            }
            let given_up = host.lost.is_some();
            let failure = host.lost.clone().unwrap_or_else(|| self.not_there(wait, &host, now, false));
            if failure.outcome() == Outcome::Unreachable {
                // What was seen before is no longer known.
                for stage in &mut self.hosts[host.host].chain {
                    (stage.up, stage.value, stage.after) = (false, None, None);
                }
            }
            let elapsed = now.saturating_duration_since(began);
            let mut result = StepResult { stdout: evidence, elapsed, ..StepResult::failed(failure) };
            self.add_cause(host.host, &mut result, given_up);
            self.end_step(host.host, id, result);
        }
    }
}
