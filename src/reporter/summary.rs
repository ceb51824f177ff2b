//! The end of a run in words: the numbers, then every host that failed, by name, with its reason and the way out.
//!
//! Reads the finished report only. Hosts that failed alike share a line, biggest groups first; a hint is said once.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use indexmap::IndexMap;

use super::bytes::{bytes, rate};
use super::columns::{pad_left, short_time, width};
use super::grouping::shape;
use super::outcome_words::{cluster_words, killed_words, tone, why, word};
use super::results::has_verdicts;
use super::screen::Screen;
use super::settings::CommandKind;
use super::status_form::plain_line;
use super::style::Tone;
use super::{Afterwards, ViewContext, fold, plural, sanitize};
use crate::event::HostId;
use crate::outcome::cause::Proof;
use crate::outcome::change::{Change, ChangeKind};
use crate::outcome::{Failure, Outcome, Phase};
use crate::report::{ClusterReport, HostReport, Merged, RecordedKey, RunReport};
use crate::stats::{CancelReason, Counts, RunStats};

/// Hosts that failed in the same way.
struct FailureGroup {
    outcome: Outcome,
    detail: String,
    shape: String,
    hint: Option<String>,
    /// Where the cause was seen on the first of them.
    proof: Option<Proof>,
    /// What they share where their words differ: step and cause.
    shared: String,
    hosts: Vec<HostId>,
}

/// Writes the summary.
pub(crate) fn write(report: &RunReport, stats: &RunStats, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
    let groups = groups(report, stats, ctx);
    let single = report.hosts.len() == 1 && ctx.settings.command != CommandKind::Playbook;
    let moved: u64 = report.hosts.iter().flat_map(|host| &host.steps).map(|step| step.bytes).sum();
    if !ctx.settings.quiet && (!single || stats.cancelled.is_some() || moved > 0) {
        let rule = ctx.glyphs.rule.repeat(12);
        screen.err_line(&ctx.err.paint(Tone::Dim, &rule))?;
        let (head, head_tone) = headline(report, stats);
        let text = counts(&report.counts, report.hosts.len());
        let text = if stats.refused { format!("{text}; nothing was changed") } else { text };
        let text = match rate(moved, report.elapsed) {
            Some(rate) if moved > 0 => format!("{text}; {} copied, {rate}", bytes(moved)),
            _ => text,
        };
        let text = match (report.partition, &report.merged) {
            (Some(partition), _) => format!("{text}; part {partition}"),
            (None, Some(merged)) => {
                format!("{text}; {} of {}", plural::parts(merged.parts.len()), merged.of)
            }
            (None, None) => text,
        };
        let text = match &report.state {
            Some(name) => format!("{text}; state {}", sanitize::words(name)),
            None => text,
        };
        let text = format!("[{:>8.3}s] {text}", report.elapsed.as_secs_f64());
        screen.err_line(&plain_line(head, head_tone, &text, ctx))?;
    }
    write_missing(report, ctx, screen)?;
    write_recorded(report, ctx, screen)?;
    write_cluster(report, ctx, screen)?;
    // The one host's line stands right above, on the same terminal.
    let shown = has_verdicts(ctx) || report.hosts.iter().all(|host| has_refused_path(host, ctx));
    let told = single && shown && ctx.settings.stdout_tty && ctx.settings.stderr_tty;
    for (i, group) in groups.iter().enumerate() {
        let is_one = group.hosts.len() == 1;
        let detail = if is_one { &group.detail } else { &group.shape };
        let hosts = ctx.fold(&group.hosts);
        let hosts = if group.hosts.len() > 1 && ctx.settings.columns.is_none_or(|columns| width(&hosts) + 30 < columns)
        {
            format!("{hosts} ({})", plural::hosts(group.hosts.len()))
        } else {
            hosts
        };
        if !told {
            screen.err_line(&plain_line(word(group.outcome), tone(group.outcome), &join(&hosts, detail), ctx))?;
        }
        let of = if is_one { None } else { group.hosts.first().map(|&host| ctx.name(host)) };
        write_proof(group.proof.as_ref(), of, ctx, screen)?;
        let Some(hint) = &group.hint else { continue };
        // Said below the last of the groups that it is for.
        if !groups[i + 1..].iter().any(|later| later.hint.as_ref() == Some(hint)) {
            screen.err_line(&format!(
                "{} {}",
                ctx.err.paint(Tone::Hint, &pad_left("hint:", 18)),
                sanitize::words(hint)
            ))?;
        }
    }
    write_afterwards(report, stats, ctx, screen)
}

/// Whether a line about a path says why the host failed.
fn has_refused_path(host: &HostReport, ctx: &ViewContext) -> bool {
    let is_refused = |change: &Change| matches!(change.action, ChangeKind::Denied | ChangeKind::Failed);
    ctx.settings.command == CommandKind::Changes
        && host.outcome == Outcome::Failed
        && host.steps.iter().flat_map(|step| &step.changes).any(is_refused)
}

/// The lines that prove a cause: once for all hosts that have it, of the one that is named.
fn write_proof(proof: Option<&Proof>, of: Option<&str>, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
    let Some(proof) = proof else { return Ok(()) };
    let of = of.map(|name| format!(" on {}", sanitize::words(name))).unwrap_or_default();
    let head = pad_left("proof:", 18);
    let age =
        proof.age_s.map(|age| format!(", written {} ago", short_time(Duration::from_secs(age)))).unwrap_or_default();
    screen.err_line(&format!("{} {}{of}{age}", ctx.err.paint(Tone::Dim, &head), sanitize::words(&proof.file)))?;
    for line in &proof.lines {
        screen.err_line(&ctx.err.paint(Tone::Dim, &format!("{:>19}{}", "", sanitize::line(line.as_bytes()))))?;
    }
    Ok(())
}

/// Parts of the run that there is no report of.
fn write_missing(report: &RunReport, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
    let Some(merged) = &report.merged else { return Ok(()) };
    let missing = merged.missing();
    let Some(first) = missing.first() else { return Ok(()) };
    let names: Vec<String> = missing.iter().map(|part| format!("{part}/{}", merged.of)).collect();
    let Failure { cause, hint, .. } = self::missing(*first, Some(merged));
    let (text, hint) = if let [name] = names.as_slice() {
        (format!("part {name} is missing: {cause}"), hint.unwrap_or_default())
    } else {
        let text = format!(
            "parts {} are missing: there is no report of them, so nothing is known of their hosts",
            names.join(", ")
        );
        let hint = format!("do each again, as in --partition {}, with the same hosts, and merge once more", names[0]);
        (text, hint)
    };
    screen.err_line(&plain_line("MISSING", Tone::Bad, &text, ctx))?;
    screen.err_line(&format!("{} {hint}", ctx.err.paint(Tone::Hint, &pad_left("hint:", 18))))
}

/// Why a part is no success of which there is no report.
pub(crate) fn missing(part: usize, merged: Option<&Merged>) -> Failure {
    let of = merged.map_or(part, |merged| merged.of);
    Failure::new(Phase::Lost, "there is no report of it, so nothing is known of its hosts")
        .hint(format!("do it again with --partition {part}/{of} and the same hosts, and merge once more"))
}

/// Host keys that were taken on trust: which hosts', and with -v their fingerprints.
fn write_recorded(report: &RunReport, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
    if ctx.settings.quiet {
        return Ok(());
    }
    let mut files: IndexMap<&str, Vec<&RecordedKey>> = IndexMap::new();
    for key in &report.recorded_keys {
        files.entry(&key.file).or_default().push(key);
    }
    for (file, keys) in files {
        let mut hosts: Vec<&str> = keys.iter().map(|key| key.host.as_str()).collect();
        hosts.dedup();
        let many = if hosts.len() == 1 { "host key" } else { "host keys" };
        let text = format!("{many} of {} recorded in {}", fold(&hosts), sanitize::words(file));
        screen.err_line(&plain_line("new:", Tone::Warn, &text, ctx))?;
        for key in keys.iter().filter(|_| ctx.settings.verbose > 0) {
            let text = format!("{} {} {}", sanitize::words(&key.host), key.key_type, key.fingerprint);
            screen.err_line(&plain_line("", Tone::Plain, &text, ctx))?;
        }
    }
    Ok(())
}

/// What goes on by itself, and what the user can do now.
fn write_afterwards(report: &RunReport, stats: &RunStats, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
    if ctx.settings.quiet || stats.refused {
        return Ok(());
    }
    let Afterwards { status, goes_on, resume } = &ctx.afterwards;
    let has_chain = report.hosts.iter().any(|host| !host.chain.is_empty());
    let changed = report.hosts.iter().any(|host| host.changed);
    let is_cut_short = stats.cancelled.is_some();
    let mut lines = Vec::new();
    if let Some(status) = status.as_ref().filter(|_| has_chain && !report.waited && (changed || !is_cut_short)) {
        lines.push(format!("the nodes were not waited for: `{status}` shows how far they are"));
    }
    if changed && (is_cut_short || !report.waited) {
        lines.extend(goes_on.clone());
    }
    if is_cut_short || report.counts.bad() > 0 || stats.cluster_failed {
        lines.extend(resume.as_ref().map(|resume| format!("`{resume}` goes on with this run")));
    }
    for line in lines {
        screen.err_line(&format!("{} {line}", ctx.err.paint(Tone::Hint, &pad_left("note:", 18))))?;
    }
    Ok(())
}

/// What is wrong with the cluster: no host's failure. Whom it was asked of stands with it where they did not agree.
fn write_cluster(report: &RunReport, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
    let Some(ClusterReport { failure: Some(failure), asked, cause, .. }) = &report.cluster else { return Ok(()) };
    let text = join("cluster", &cluster_words(failure));
    screen.err_line(&plain_line("FAILED", Tone::Bad, &text, ctx))?;
    let mut answers: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for asked in asked {
        answers.entry(&asked.answer).or_default().push(&asked.host);
    }
    let answers = answers.iter().map(|(answer, hosts)| format!("{} said {}", fold(hosts), sanitize::words(answer)));
    screen.err_line(&plain_line("asked:", Tone::Plain, &answers.collect::<Vec<_>>().join(", "), ctx))?;
    write_proof(cause.as_ref().and_then(|cause| cause.proof.as_ref()), None, ctx, screen)?;
    let Some(hint) = &failure.hint else { return Ok(()) };
    screen.err_line(&format!("{} {}", ctx.err.paint(Tone::Hint, &pad_left("hint:", 18)), sanitize::words(hint)))
}

fn join(hosts: &str, detail: &str) -> String {
    if detail.is_empty() { hosts.to_owned() } else { format!("{hosts}  {detail}") }
}

fn headline(report: &RunReport, stats: &RunStats) -> (&'static str, Tone) {
    match stats.cancelled {
        Some(CancelReason::Interrupt) => ("Interrupted", Tone::Bad),
        Some(CancelReason::Terminate) => ("Terminated", Tone::Bad),
        Some(CancelReason::Deadline) => ("Deadline", Tone::Bad),
        Some(CancelReason::MaxFail) => ("Stopped", Tone::Bad),
        None if stats.refused => ("Refused", Tone::Bad),
        None if report.counts.bad() > 0 || stats.cluster_failed || report.lacks_parts() => ("Summary", Tone::Bad),
        None => ("Summary", Tone::Ok),
    }
}

/// `12 hosts: 10 ok (4 changed), 1 failed, 1 unreachable`.
pub(crate) fn counts(counts: &Counts, hosts: usize) -> String {
    let mut parts = Vec::new();
    let ok = counts.ok + counts.changed;
    match (ok, counts.changed) {
        (0, _) => {}
        (ok, 0) => parts.push(format!("{ok} ok")),
        (ok, changed) => parts.push(format!("{ok} ok ({changed} changed)")),
    }
    for outcome in Outcome::ALL {
        let words = match outcome {
            Outcome::Ok | Outcome::Changed => continue,
            Outcome::TimedOut => "timed out",
            other => other.name(),
        };
        let n = counts.of(outcome);
        if n > 0 {
            parts.push(format!("{n} {words}"));
        }
    }
    if parts.is_empty() { plural::hosts(hosts) } else { format!("{}: {}", plural::hosts(hosts), parts.join(", ")) }
}

fn groups(report: &RunReport, stats: &RunStats, ctx: &ViewContext) -> Vec<FailureGroup> {
    let mut groups: indexmap::IndexMap<(Outcome, String, Option<String>), FailureGroup> = indexmap::IndexMap::new();
    for (id, host) in report.hosts.iter().enumerate().filter(|(_, host)| !host.outcome.is_success()) {
        // The table of the refused, just above, has their reasons.
        let reported = stats.refused && host.outcome == Outcome::Refused;
        let detail = if reported { String::new() } else { detail(host, ctx) };
        let shape = shape(&detail, &host.host);
        let hint = host.failure.as_ref().and_then(|failure| failure.hint.clone());
        // A documented cause is one thing, however its time, its paths and its process ids differ from node to node.
        let cause = host.cause.as_ref().filter(|cause| cause.id.is_some() && !reported);
        let shared = cause.map(|cause| format!("{}{}", step_words(host, ctx), sanitize::words(&cause.words())));
        let key = match &shared {
            Some(shared) => (host.outcome, shared.clone(), None),
            None => (host.outcome, shape.clone(), hint.clone()),
        };
        let new = || FailureGroup {
            outcome: host.outcome,
            detail,
            shape: shape.clone(),
            hint,
            proof: host.cause.as_ref().and_then(|cause| cause.proof.clone()),
            shared: shared.unwrap_or_default(),
            hosts: Vec::new(),
        };
        let group = groups.entry(key).or_insert_with(new);
        if group.shape != shape {
            group.shape.clone_from(&group.shared);
        }
        group.hosts.push(id);
    }
    let mut groups: Vec<FailureGroup> = groups.into_values().collect();
    groups.sort_by_key(|group| (rank(group.outcome), usize::MAX - group.hosts.len(), group.hosts[0]));
    groups
}

/// Least concern first, so that what matters most stands last, next to the prompt.
fn rank(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Ok | Outcome::Changed | Outcome::Skipped => 0,
        Outcome::Cancelled => 1,
        Outcome::Failed => 2,
        Outcome::Unreachable => 3,
        Outcome::TimedOut => 4,
        Outcome::Refused => 5,
    }
}

/// The step of a playbook at which a host failed: the first one, whose failure the host's is.
fn step_words(host: &HostReport, ctx: &ViewContext) -> String {
    let step = host.steps.iter().find(|step| !step.outcome.is_success());
    let step = step.filter(|_| ctx.settings.command == CommandKind::Playbook);
    step.map(|step| format!("step `{}`: ", sanitize::words(&step.name))).unwrap_or_default()
}

fn detail(host: &HostReport, ctx: &ViewContext) -> String {
    let mut out = step_words(host, ctx);
    if host.outcome == Outcome::Unreachable && host.attempts > 1 {
        let _ = write!(out, "after {}: ", plural::attempts(host.attempts));
    }
    match &host.failure {
        Some(failure) => out.push_str(&why(failure)),
        // What is said to be killed there was that look.
        None if host.outcome == Outcome::Cancelled && !host.begun && host.remote_killed.is_some() => {
            out.push_str("only a look was begun");
        }
        None if host.outcome == Outcome::Cancelled && !host.begun => out.push_str("not begun"),
        None if host.outcome == Outcome::Cancelled => out.push_str("not finished"),
        None => {}
    }
    out.push_str(killed_words(host.outcome, host.remote_killed));
    out
}
