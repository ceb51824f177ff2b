//! The evidence of hosts that do not come up: the last lines of their logs, for the report and for their cause.

use std::time::Duration;

use crate::event::{HostId, StepId};
use crate::outcome::Outcome;
use crate::plan::{Look, Wait};
use crate::transport::Command;

use super::Run;
use super::executor::Executor;
use super::job_result::{Parser, evaluate};
use super::pump::Pump;
use super::script::{self, Depth};
use super::waiting::{WaitingHost, WaitingHosts};

/// Time for the evidence of a host that did not come up.
pub(super) const EVIDENCE: Duration = Duration::from_secs(10);

impl<C: Executor> Run<'_, C> {
    /// Asks hosts that did not come up for the last lines of their log.
    pub(super) async fn collect_evidence(&mut self, id: StepId, wait: &Wait, waiting: &WaitingHosts, enough: bool) {
        let Some(evidence) = &wait.evidence else { return };
        if enough {
            return;
        }
        let unreachable =
            |host: &&WaitingHost| host.lost.as_ref().is_some_and(|lost| lost.outcome() == Outcome::Unreachable);
        let hosts = waiting.iter().filter(|host| !host.there && !unreachable(host)).map(|host| (host.host, ()));
        let mut pump = Pump::new(hosts);
        let begin = |run: &mut Self, host: HostId, (): &()| {
            run.begin_quietly(host, id, run.evidence_command(evidence, host));
            true
        };
        while let Some((host, (), done)) = self.next_end(&mut pump, begin).await {
            let printed = evaluate(Parser::Status, Some(EVIDENCE), done).stdout;
            let (cause, shown) = self.cause_in(host, &printed);
            let state = &mut self.hosts[host];
            // What was seen while it was waited for still holds where nothing newer tells.
            state.found = cause.or(state.found.take());
            state.evidence = shown;
        }
    }

    pub(super) fn evidence_command(&self, evidence: &Look, host: HostId) -> Command {
        let state = &self.hosts[host];
        match evidence {
            // Evidence may be a script of ours; the login shell need not understand it.
            Look::Run(command) => Command::playbook(command.render_shell(&state.run_host.vars), Some(EVIDENCE)),
            Look::Probe(_) | Look::Checks { .. } => {
                script::look(self.plan, evidence, &state.run_host.vars, Depth::Full, Some(EVIDENCE))
            }
        }
    }
}
