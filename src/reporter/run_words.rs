//! What a run is at, in words: who is still at what, and why it is cut short.

use std::time::Duration;

use indexmap::IndexMap;

use super::{ViewContext, columns, plural, sanitize};
use crate::event::{Activity, HostId};
use crate::outcome::Phase;
use crate::stats::CancelReason;

/// Groups of slow hosts that one line names.
const SLOW: usize = 6;

pub(super) fn cancel_words(reason: CancelReason, running: usize) -> String {
    let is_idle = running == 0;
    let running = plural::hosts(running);
    match reason {
        CancelReason::Interrupt if is_idle => "interrupted: nothing runs on the nodes".to_owned(),
        CancelReason::Terminate if is_idle => "terminated: nothing runs on the nodes".to_owned(),
        CancelReason::Deadline if is_idle => "deadline passed: nothing runs on the nodes".to_owned(),
        CancelReason::MaxFail if is_idle => "too many hosts failed: no new host is begun".to_owned(),
        CancelReason::Interrupt => {
            format!("interrupted, {running} running: killing what runs on the nodes; Ctrl-C again leaves at once")
        }
        CancelReason::Terminate => format!("terminated, {running} running: killing what runs on the nodes"),
        CancelReason::Deadline => format!("deadline passed, {running} running: killing what runs on the nodes"),
        CancelReason::MaxFail => format!("too many hosts failed, {running} running: no new host is begun"),
    }
}

/// What a host is at: `connect`, `host key`, or the step and its stage.
fn activity_words(activity: &Activity, ctx: &ViewContext) -> String {
    match activity {
        Activity::Connecting(phase) => phase.words().to_owned(),
        Activity::Step(_) if ctx.steps.len() < 2 => Phase::Command.words().to_owned(),
        Activity::Step(step) => format!("step {}", sanitize::words(ctx.step(*step))),
        Activity::Stage(step, stage) => {
            format!("step {}: {}", sanitize::words(ctx.step(*step)), sanitize::words(stage))
        }
    }
}

/// Hosts that have been at the same for long, longest first, folded: those that fit, or the first few and how many more.
fn longest_of(hosts: &mut [HostId], ctx: &ViewContext) -> String {
    const FEW: usize = 5;
    const FITS: usize = 100;
    let mut longest: Vec<HostId> = hosts.iter().copied().take(FEW).collect();
    hosts.sort_unstable();
    let all = ctx.fold(hosts);
    if all.len() <= FITS || hosts.len() <= FEW {
        return all;
    }
    longest.sort_unstable();
    format!("{} and {} more", ctx.fold(&longest), hosts.len() - FEW)
}

/// `still running after 10s: node07 (connect), node[09-12] (step wait: cm_agent)`, for logs without a live view.
pub(super) fn still_running(hosts: &[(HostId, Activity, Duration)], at: Duration, ctx: &ViewContext) -> String {
    let mut groups: IndexMap<String, Vec<HostId>> = IndexMap::new();
    for (host, activity, _) in hosts {
        groups.entry(activity_words(activity, ctx)).or_default().push(*host);
    }
    let named: Vec<String> =
        groups.iter_mut().take(SLOW).map(|(words, hosts)| format!("{} ({words})", longest_of(hosts, ctx))).collect();
    let left: usize = groups.values().skip(SLOW).map(Vec::len).sum();
    let more = if left > 0 { format!(", and {} more", plural::hosts(left)) } else { String::new() };
    format!("still running after {}: {}{more}", columns::short_time(at), named.join(", "))
}
