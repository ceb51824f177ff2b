//! Waiting for checks: what a look at a node leaves to be wished for, and what that means at the end.

use std::time::{Duration, Instant};

use crate::duration::human;
use crate::event::{Activity, EventKind, StepId};
use crate::outcome::{Facts, Failure, Outcome, Phase, StepResult};
use crate::plan::{Look, script};
use crate::reactor::now;

use super::Run;
use super::executor::Executor;
use super::job_result::{answer, unmet};
use super::waiting::WaitingHost;

/// Said of a host that nobody has had the time to look at.
const UNSEEN: &str = "no look at it came to an end";

impl<C: Executor> Run<'_, C> {
    /// Takes in what a look at checks brought.
    pub(super) fn handle_checks(
        &mut self,
        id: StepId,
        look: &Look,
        host: &mut WaitingHost,
        result: &StepResult,
        began: Instant,
    ) {
        let Look::Checks { checks, rebooted } = look else { return };
        let mut missing = match (&host.trouble, result.exit_status) {
            // Not heard to the end, whatever it said before.
            (Some(trouble), None) => vec![trouble.to_string()],
            _ => unmet(checks, &script::parse_checks(&answer(result), checks.len())),
        };
        if result.exit_status.is_some() {
            host.trouble = None;
            if *rebooted {
                missing.extend(not_rebooted(&mut host.boot, &result.facts, now().saturating_duration_since(began)));
            }
        }
        host.there = missing.is_empty();
        self.report_missing(id, host, (!missing.is_empty()).then(|| missing.join("; ")));
    }

    /// Keeps and tells what a host that cannot be reached yet is missing.
    pub(super) fn handle_unreachable(&mut self, id: StepId, host: &mut WaitingHost, failure: Failure) {
        host.there = false;
        let said = failure.to_string();
        host.trouble = Some(failure);
        self.report_missing(id, host, Some(said));
    }

    fn report_missing(&mut self, id: StepId, host: &mut WaitingHost, missing: Option<String>) {
        if host.looks == 1 || missing != host.value {
            host.stuck = now();
            host.value.clone_from(&missing);
            self.emit(EventKind::Missing { host: host.host, step: id, what: missing.clone() });
        }
        // Only who is still waited for is at something.
        self.hosts[host.host].activity = missing.map(|missing| (Activity::Stage(id, missing), host.stuck));
    }
}

/// Whether a host that could not be reached may still come up.
pub(super) fn may_come(failure: &Failure) -> bool {
    failure.retryable || matches!(failure.phase, Phase::Resolve | Phase::Connect | Phase::Lost)
}

/// The result for a host that is not where it is wanted, although enough others are.
pub(super) fn not_yet(missing: Option<&str>) -> StepResult {
    let cause = format!("not yet: {}", missing.unwrap_or(UNSEEN));
    StepResult { failure: Some(Failure::new(Phase::Check, cause)), ..StepResult::new(Outcome::Skipped) }
}

/// Words for a host whose time ran out; `cut`: sooner than was meant for it, `reached`: somebody has logged in to it.
pub(super) fn timed_out_failure(host: &WaitingHost, limit: Duration, cut: bool, reached: bool) -> Failure {
    let after = if cut { "no longer waited for, as another host is beyond help".to_owned() } else { human(limit) };
    let (open, close) = if cut { ("", "; missing: ") } else { ("not true after ", ": ") };
    let (missing, phase) = match &host.trouble {
        // Its phase stays: a node that cannot be reached is no node that answered. But one whose look took too long did.
        Some(trouble) if trouble.phase != Phase::Timeout => (trouble.cause.clone(), trouble.phase),
        Some(trouble) => (trouble.cause.clone(), Phase::Check),
        None if !reached => ("no login came to an end".to_owned(), Phase::Connect),
        None => (host.value.clone().unwrap_or_else(|| UNSEEN.to_owned()), Phase::Check),
    };
    let hint = host.trouble.as_ref().filter(|trouble| trouble.phase != Phase::Timeout);
    let hint = hint.and_then(|trouble| trouble.hint.clone());
    Failure { hint, ..Failure::new(phase, format!("{open}{after}{close}{missing}")) }
}

/// Why a node does not count as rebooted; `first`: the boot id that was found first, `waited`: how long ago the wait began.
fn not_rebooted(first: &mut Option<String>, facts: &Facts, waited: Duration) -> Option<String> {
    let Some(id) = facts.get("boot_id").filter(|id| !id.is_empty()) else {
        return Some("the node has no /proc/sys/kernel/random/boot_id to tell a reboot by".to_owned());
    };
    // A node that was down already at the first look has no earlier id, but it has not been up for long.
    let uptime = facts.get("uptime").and_then(|uptime| uptime.parse::<u64>().ok());
    let is_young = uptime.is_some_and(|uptime| uptime.saturating_add(1) <= waited.as_secs());
    let first = first.get_or_insert_with(|| id.clone());
    // Without the id, so that hosts in the same state share a line; it is a fact in the report.
    (first == id && !is_young).then(|| "not rebooted yet".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reboot_is_another_id_or_a_short_life() {
        let look = |first: &mut Option<String>, id: &str, uptime: &str, waited| {
            let facts = [("boot_id", id), ("uptime", uptime)];
            let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            not_rebooted(first, &facts, Duration::from_secs(waited))
        };
        let mut first = None;
        let said = look(&mut first, "a", "500", 100).expect("not rebooted");
        assert_eq!(said, "not rebooted yet");
        assert_eq!(look(&mut first, "b", "500", 101), None);
        // Down at the first look: only its age tells, and a second is not known better.
        for (uptime, rebooted) in [("98", true), ("99", true), ("100", false), ("", false), ("-1", false)] {
            assert_eq!(look(&mut None, "a", uptime, 100).is_none(), rebooted, "{uptime}");
        }
        assert!(look(&mut None, "", "1", 100).is_some());
    }
}
