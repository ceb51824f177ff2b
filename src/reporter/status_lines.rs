//! Status lines on standard error: what happens, as it happens, in words that `grep` finds.
//!
//! The word stands right-aligned in 12 columns, then the time in brackets, the count of hosts, the hosts, and what there is
//! to say. It must not show remote output; the other views do.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use indexmap::IndexMap;

use super::columns::pad_left;
use super::grouping::{Grouping, Notice, NoticeGroup};
use super::phases::Phases;
use super::results::has_verdicts;
use super::screen::Screen;
use super::settings::CommandKind;
use super::style::Tone;
use super::{View, ViewContext, chain_table, plural, sanitize, summary};
use crate::event::{Activity, Event, EventKind, HostId, StepId};
use crate::outcome::change::{Change, ChangeKind};
use crate::outcome::stage::StageState;
use crate::outcome::{CommandNote, Failure, Killed, Outcome, Phase, StepResult};
use crate::report::{ClusterReport, RunReport};
use crate::stats::{CancelReason, RunStats};

/// Narrower terminals get lines without times and counts.
const NARROW: usize = 60;
/// Lines of a failed command's output that are shown.
const EXCERPT: usize = 5;
/// Bytes of its end in which they are looked for.
const EXCERPT_BYTES: usize = 16 * 1024;
/// Time before a stage that a host is at again is said again.
const FLAPPING: Duration = Duration::from_secs(30);
/// Digits that a time of day has at least: fewer in front of a line are a number of its own.
const LEAST_TIME: usize = 6;
/// Groups of slow hosts that one line names.
const SLOW: usize = 6;

/// Status lines and the summary.
pub(crate) struct StatusLines {
    grouping: Grouping,
    /// Every host has a line of its own on standard output.
    verdicts_reported: bool,
    /// Chains are watched as they come up; a run that only looks shows them at its end.
    chain_news: bool,
    /// Failures that were shown when their step ended.
    said: Vec<bool>,
    /// First missing stage of each host's chain, as last shown.
    stages: Vec<Option<String>>,
    /// The stages that were said of each host, and when last.
    chains_told: Vec<Vec<(String, Duration)>>,
    changes: IndexMap<String, Vec<HostId>>,
    /// The fact `state` of each host, as probed.
    states: Vec<Option<String>>,
    /// With -v: how long a host's phases took, and its last command.
    phases: Phases,
    commands: Vec<Option<Duration>>,
    /// The cause of each host that was said last.
    causes: Vec<Option<String>>,
    notes_told: HashSet<(HostId, CommandNote)>,
}

impl StatusLines {
    /// For the hosts of this run.
    #[must_use]
    pub(crate) fn new(ctx: &ViewContext, stdout_taken: bool, chain_news: bool) -> Self {
        let hosts = ctx.names.len();
        Self {
            grouping: Grouping::new(hosts),
            verdicts_reported: has_verdicts(ctx) && !stdout_taken,
            chain_news,
            said: vec![false; hosts],
            stages: vec![None; hosts],
            chains_told: vec![Vec::new(); hosts],
            changes: IndexMap::new(),
            notes_told: HashSet::new(),
            states: vec![None; hosts],
            phases: Phases::new(hosts),
            commands: vec![None; hosts],
            causes: vec![None; hosts],
        }
    }

    fn say(&mut self, host: HostId, word: &'static str, tone: Tone, detail: String, at: Duration, ctx: &ViewContext) {
        let notice = Notice { word, tone, detail, took: at, done: None, excerpt: Vec::new() };
        self.grouping.push(host, ctx.name(host), notice, at);
    }

    fn step_finished(&mut self, host: HostId, step: StepId, result: &StepResult, at: Duration, ctx: &ViewContext) {
        for note in &result.notes {
            if self.notes_told.insert((host, *note)) {
                self.say(host, "Note", Tone::Warn, note.words().to_owned(), at, ctx);
            }
        }
        if ctx.settings.command != CommandKind::Playbook {
            return;
        }
        if let Some(state) = result.facts.get("state") {
            self.states[host] = Some(sanitize::words(state));
        }
        let changes = change_words(&result.changes, ctx.settings.verbose > 0);
        if !changes.is_empty() {
            self.changes.entry(changes).or_default().push(host);
        }
        match &result.failure {
            Some(failure) if !result.outcome.is_success() && result.outcome != Outcome::Refused => {
                self.said[host] = true;
                let detail = format!("{}{}", why(failure), killed_words(result.outcome, result.remote_killed));
                let notice = Notice {
                    word: word(result.outcome),
                    tone: tone(result.outcome),
                    detail,
                    took: at,
                    done: None,
                    excerpt: excerpt(result),
                };
                self.grouping.push(host, ctx.name(host), notice, at);
            }
            _ if ctx.settings.verbose > 0 => {
                let detail = format!("step `{}`", sanitize::words(ctx.step(step)));
                self.say(host, word(result.outcome), tone(result.outcome), detail, at, ctx);
            }
            _ => {}
        }
    }

    fn host_finished(&mut self, event: &Event, stats: &RunStats, ctx: &ViewContext) {
        let EventKind::HostFinished { host, outcome, failure, .. } = &event.kind else { return };
        let wanted = match outcome {
            Outcome::Ok | Outcome::Changed | Outcome::Skipped => {
                ctx.settings.verbose > 0 && ctx.settings.command != CommandKind::Playbook
            }
            // The refused have their table, the cancelled their count in the summary.
            Outcome::Refused | Outcome::Cancelled => false,
            Outcome::Failed | Outcome::TimedOut | Outcome::Unreachable => !self.said[*host],
        };
        let playbook = ctx.settings.command == CommandKind::Playbook;
        // The summary follows, and says it of the one host.
        let alone = !playbook && ctx.names.len() == 1 && !outcome.is_success();
        if !wanted || self.verdicts_reported || alone {
            return;
        }
        let notice = Notice {
            word: word(*outcome),
            tone: tone(*outcome),
            detail: match failure {
                Some(failure) => why(failure),
                // Nothing ran.
                None if *outcome == Outcome::Skipped => String::new(),
                None => self.command_time(*host, ctx),
            },
            took: event.at,
            done: (!playbook).then(|| stats.done()),
            excerpt: Vec::new(),
        };
        self.grouping.push(*host, ctx.name(*host), notice, event.at);
    }

    /// With -v: how long the host's command took, without the way there.
    fn command_time(&self, host: HostId, ctx: &ViewContext) -> String {
        let took = self.commands[host].filter(|_| ctx.settings.verbose > 0);
        took.map(|took| format!("{} {:.3}s", Phase::Command.words(), took.as_secs_f64())).unwrap_or_default()
    }

    fn chain_seen(&mut self, host: HostId, stages: &[StageState], at: Duration, ctx: &ViewContext) {
        let up = stages.iter().filter(|stage| stage.up).count();
        let (all, end) = (plural::stages(stages.len()), chain_table::end_word(stages));
        let (key, detail) = match stages.iter().find(|stage| !stage.up) {
            Some(stage) => {
                let name = sanitize::words(&stage.stage);
                let detail = format!("waiting for {name} ({up} of {all} {end})");
                (name, detail)
            }
            None => (String::new(), format!("all {all} {end}")),
        };
        if self.stages[host].as_ref() != Some(&key) {
            self.stages[host] = Some(key.clone());
            // A stage that comes and goes all the time is said now and then.
            let told = self.chains_told[host].iter_mut().find(|(known, _)| *known == key);
            match told {
                Some((_, last)) if at.saturating_sub(*last) < FLAPPING => return,
                Some((_, last)) => *last = at,
                None => self.chains_told[host].push((key, at)),
            }
            // The live view shows the chain itself.
            if self.chain_news && !ctx.settings.live {
                self.say(host, "Chain", Tone::Plain, detail, at, ctx);
            }
        }
    }

    fn flush_changes(&mut self, at: Duration, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        let mut groups: Vec<_> = std::mem::take(&mut self.changes).into_iter().collect();
        for (_, hosts) in &mut groups {
            hosts.sort_unstable();
        }
        groups.sort_by_key(|(_, hosts)| (usize::MAX - hosts.len(), hosts.first().copied()));
        for (detail, hosts) in groups {
            screen.err_line(&line("CHANGED", Tone::Changed, at, None, &ctx.fold(&hosts), &detail, ctx))?;
        }
        Ok(())
    }

    fn write(groups: Vec<NoticeGroup>, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        for group in groups {
            let Notice { word, tone, took, done, ref excerpt, .. } = group.notice;
            screen.err_line(&line(word, tone, took, done, &ctx.fold(&group.hosts), group.detail(), ctx))?;
            for text in excerpt {
                screen.err_line(&ctx.err.paint(Tone::Dim, &format!("{:>13}{text}", "| ")))?;
            }
        }
        Ok(())
    }

    /// Lines about the run as a whole. Everything said before about hosts comes before them.
    fn run_line(&mut self, text: &str, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        Self::write(self.grouping.drain(), ctx, screen)?;
        screen.err_line(text)
    }
}

impl View for StatusLines {
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of event")]
    fn event(&mut self, event: &Event, stats: &RunStats, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        let at = event.at;
        let verbose = ctx.settings.verbose;
        let playbook = ctx.settings.command == CommandKind::Playbook;
        match &event.kind {
            EventKind::Warning { message } => {
                let text = format!("{} {}", ctx.err.paint(Tone::Warn, "warning:"), sanitize::words(message));
                self.run_line(&text, ctx, screen)?;
            }
            // With -q only warnings, and the summary of what failed.
            _ if ctx.settings.quiet => return Ok(()),
            EventKind::RunStarted { steps, fanout } if playbook || verbose > 0 || ctx.opening.always => {
                let text = ctx.opening.words(steps.len(), *fanout, ctx);
                self.run_line(&plain_line(ctx.opening.verb, Tone::Strong, &text, ctx), ctx, screen)?;
            }
            EventKind::PhaseStarted { host, phase } if verbose > 0 => {
                self.phases.begin(*host, *phase, at);
                if verbose > 1 {
                    self.say(*host, "Phase", Tone::Dim, phase.words().to_owned(), at, ctx);
                }
            }
            EventKind::Connected { host, address, took, banner } if verbose > 0 => {
                let (address, banner) = (sanitize::words(address), sanitize::words(banner));
                let mut detail = format!("{address} in {:.3}s, {banner}", took.as_secs_f64());
                let phases = self.phases.take(*host, at);
                if !phases.is_empty() {
                    let _ = write!(detail, ": {phases}");
                }
                self.say(*host, "Connected", Tone::Dim, detail, at, ctx);
            }
            EventKind::AttemptFailed { host, attempt, of, failure, .. } => {
                self.phases.forget(*host);
                let detail = format!("attempt {attempt} of {of}: {}", why(failure));
                self.say(*host, "RETRY", Tone::Warn, detail, at, ctx);
            }
            EventKind::BatchStarted { batch, of, hosts } => {
                let text = format!("{batch} of {of}: {} ({})", ctx.fold(hosts), plural::hosts(hosts.len()));
                let text = timed_line("Batch", Tone::Strong, at, &text, ctx);
                self.run_line(&text, ctx, screen)?;
            }
            EventKind::BatchStopped { batch, of, failed, left } => {
                let failed =
                    if failed.is_empty() { "failed".to_owned() } else { format!("failed on {}", ctx.fold(failed)) };
                let text = format!(
                    "batch {batch} of {of} {failed}: the other {} were left alone: {}",
                    plural::hosts(left.len()),
                    ctx.fold(left)
                );
                let text = timed_line("Stopped", Tone::Bad, at, &text, ctx);
                self.run_line(&text, ctx, screen)?;
            }
            // One that concerns no host is not done.
            EventKind::StepStarted { hosts: 0, .. } => {}
            EventKind::StepStarted { step, hosts } if playbook => {
                let mut text = sanitize::words(ctx.step(*step));
                if *hosts != ctx.names.len() {
                    let _ = write!(text, " ({})", plural::hosts(*hosts));
                }
                let text = timed_line("Step", Tone::Strong, at, &text, ctx);
                self.run_line(&text, ctx, screen)?;
            }
            EventKind::ChainSeen { host, stages } => self.chain_seen(*host, stages, at, ctx),
            // Where only its progress is new, that is for the live view.
            EventKind::CauseSeen { host, cause }
                if (!ctx.settings.live || verbose > 0) && self.causes[*host].as_ref() != Some(&cause.words()) =>
            {
                self.causes[*host] = Some(cause.words());
                self.say(*host, "Cause", Tone::Warn, sanitize::words(&cause.words()), at, ctx);
            }
            EventKind::Waiting { host, fact, value, .. } if !ctx.settings.live || verbose > 0 => {
                let value = value.as_deref().map_or_else(|| "no answer".to_owned(), sanitize::words);
                self.say(*host, "Waiting", Tone::Plain, format!("{}: {value}", sanitize::words(fact)), at, ctx);
            }
            EventKind::Missing { host, what, .. } if !ctx.settings.live || verbose > 0 => {
                let (word, tone) = if what.is_some() { ("Waiting", Tone::Plain) } else { ("There", Tone::Ok) };
                self.say(*host, word, tone, what.as_deref().map(sanitize::words).unwrap_or_default(), at, ctx);
            }
            EventKind::HostStepFinished { host, step, result } => {
                self.commands[*host] = Some(result.elapsed);
                self.step_finished(*host, *step, result, at, ctx);
            }
            EventKind::ClusterSeen { step, cluster: ClusterReport { failure: Some(failure), .. } } => {
                let text = format!("cluster  step `{}`: {}", sanitize::words(ctx.step(*step)), cluster_words(failure));
                let text = timed_line("FAILED", Tone::Bad, at, &text, ctx);
                self.run_line(&text, ctx, screen)?;
            }
            EventKind::StepFinished { .. } => {
                Self::write(self.grouping.drain(), ctx, screen)?;
                self.flush_changes(at, ctx, screen)?;
            }
            EventKind::HostFinished { .. } => self.host_finished(event, stats, ctx),
            EventKind::Refused { hosts } => {
                for (host, _) in hosts {
                    self.said[*host] = true;
                }
                Self::write(self.grouping.drain(), ctx, screen)?;
                chain_table::write_refused(hosts, &self.states, at, ctx, screen)?;
            }
            EventKind::CancelRequested { reason, running } => {
                let text = cancel_words(*reason, *running);
                let text = timed_line("Cancelling", Tone::Warn, at, &text, ctx);
                self.run_line(&text, ctx, screen)?;
            }
            EventKind::StateChanged { state } => {
                let text = timed_line("State", Tone::Strong, at, &sanitize::words(state), ctx);
                self.run_line(&text, ctx, screen)?;
            }
            EventKind::CleanupStarted { hosts } => {
                let text = timed_line("Cleanup", Tone::Strong, at, &plural::hosts(*hosts), ctx);
                self.run_line(&text, ctx, screen)?;
            }
            EventKind::StillRunning { hosts } if !ctx.settings.live && !hosts.is_empty() => {
                let text = still_running(hosts, at, ctx);
                self.run_line(&text, ctx, screen)?;
            }
            _ => {}
        }
        Self::write(self.grouping.due(at), ctx, screen)
    }

    fn tick(&mut self, at: Duration, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        Self::write(self.grouping.due(at), ctx, screen)
    }

    fn finish(
        &mut self,
        report: &RunReport,
        stats: &RunStats,
        ctx: &ViewContext,
        screen: &mut Screen,
    ) -> io::Result<()> {
        Self::write(self.grouping.drain(), ctx, screen)?;
        self.flush_changes(report.elapsed, ctx, screen)?;
        summary::write(report, stats, ctx, screen)
    }
}

/// A status line: word, time, count, hosts, detail.
pub(crate) fn line(
    word: &str,
    tone: Tone,
    took: Duration,
    done: Option<usize>,
    hosts: &str,
    detail: &str,
    ctx: &ViewContext,
) -> String {
    let mut middle = String::new();
    if ctx.settings.columns.is_none_or(|columns| columns >= NARROW) {
        middle = format!("[{:>8.3}s] ", took.as_secs_f64());
        let total = ctx.names.len();
        let digits = total.to_string().len();
        if let Some(done) = done {
            let _ = write!(middle, "({done:>digits$}/{total}) ");
        } else if ctx.settings.command != CommandKind::Playbook {
            middle.push_str(&" ".repeat(2 * digits + 4));
        }
    }
    let gap = if detail.is_empty() { "" } else { "  " };
    format!("{} {middle}{hosts}{gap}{detail}", ctx.err.paint(tone, &pad_left(word, 12)))
}

/// A status line about the run as a whole: word, time, text.
pub(crate) fn timed_line(word: &str, tone: Tone, at: Duration, text: &str, ctx: &ViewContext) -> String {
    if ctx.settings.columns.is_some_and(|columns| columns < NARROW) {
        return plain_line(word, tone, text, ctx);
    }
    plain_line(word, tone, &format!("[{:>8.3}s] {text}", at.as_secs_f64()), ctx)
}

/// A status line without time and hosts.
pub(crate) fn plain_line(word: &str, tone: Tone, text: &str, ctx: &ViewContext) -> String {
    format!("{} {text}", ctx.err.paint(tone, &pad_left(word, 12)))
}

/// The status word of an outcome.
pub(crate) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "OK",
        Outcome::Changed => "CHANGED",
        Outcome::Skipped => "SKIPPED",
        Outcome::Failed => "FAILED",
        Outcome::TimedOut => "TIMED OUT",
        Outcome::Unreachable => "UNREACHABLE",
        Outcome::Refused => "REFUSED",
        Outcome::Cancelled => "CANCELLED",
    }
}

/// The style of an outcome.
pub(crate) fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Ok => Tone::Ok,
        Outcome::Changed => Tone::Changed,
        Outcome::Skipped => Tone::Dim,
        Outcome::Cancelled => Tone::Warn,
        Outcome::Failed | Outcome::TimedOut | Outcome::Unreachable | Outcome::Refused => Tone::Bad,
    }
}

/// A failure in words, on one line: `connect: connection refused`.
pub(crate) fn why(failure: &Failure) -> String {
    let cause = sanitize::words(&failure.cause);
    let phase = failure.phase.words();
    // `connect: connect to ...` says the phase twice.
    if cause.strip_prefix(phase).is_some_and(|rest| rest.starts_with(' ')) {
        cause
    } else {
        format!("{phase}: {cause}")
    }
}

/// Why the cluster is not as it was wanted. It is no host's failure, so there is no phase of a host.
pub(crate) fn cluster_words(failure: &Failure) -> String {
    sanitize::words(&failure.cause)
}

/// What is known about a command that was stopped.
pub(crate) fn killed_words(outcome: Outcome, remote_killed: Option<Killed>) -> &'static str {
    match (outcome, remote_killed) {
        (_, Some(Killed::Yes)) => "; killed on the node",
        (_, Some(Killed::No)) => "; not seen gone on the node, it may still be running there",
        (_, Some(Killed::Ended)) => "; it had ended on the node by then",
        (_, None) => "",
    }
}

/// What became of paths: `removed /a, /b; absent /c`.
fn change_words(changes: &[Change], all: bool) -> String {
    let mut by_kind: IndexMap<ChangeKind, Vec<String>> = IndexMap::new();
    for change in changes.iter().filter(|change| all || change.action.is_change()) {
        by_kind.entry(change.action).or_default().push(sanitize::words(&change.path));
    }
    let parts: Vec<String> =
        by_kind.iter().map(|(kind, paths)| format!("{} {}", kind.name(), paths.join(", "))).collect();
    parts.join("; ")
}

/// The last lines of what a failed command printed: its standard error if there is any.
fn excerpt(result: &StepResult) -> Vec<String> {
    // The summary has the proof of a cause, once for all hosts that share it.
    if result.cause.as_ref().is_some_and(|cause| cause.proof.is_some()) {
        return Vec::new();
    }
    let output = if result.stderr.is_empty() { &result.stdout } else { &result.stderr };
    let text = sanitize::block(&output.last(EXCERPT_BYTES).unwrap_or_default());
    // Who fails again and again says the same again and again; of such lines the newest stands there.
    let mut lines: Vec<(&str, usize)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match lines.last_mut() {
            Some((last, times)) if without_time(last) == without_time(line) => (*last, *times) = (line, *times + 1),
            _ => lines.push((line, 1)),
        }
    }
    let shown = |(line, times): &(&str, usize)| match times {
        1 => (*line).to_owned(),
        times => format!("{line} ({times} times)"),
    };
    lines[lines.len().saturating_sub(EXCERPT)..].iter().map(shown).collect()
}

/// A line of a log without the time that it begins with.
fn without_time(line: &str) -> &str {
    let is_of_time = |c: char| c.is_ascii_digit() || ":.,-/+[] TZ".contains(c);
    let rest = line.trim_start_matches(is_of_time);
    let time = &line[..line.len() - rest.len()];
    // A large number alone (a process, a size) is none.
    let is_time =
        time.contains(':') && time.bytes().filter(u8::is_ascii_digit).count() >= LEAST_TIME && !rest.is_empty();
    if is_time { rest } else { line }
}

fn cancel_words(reason: CancelReason, running: usize) -> String {
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
pub(crate) fn activity_words(activity: &Activity, ctx: &ViewContext) -> String {
    match activity {
        Activity::Connecting(phase) => phase.words().to_owned(),
        Activity::Step(_) if ctx.steps.len() < 2 => Phase::Command.words().to_owned(),
        Activity::Step(step) => format!("step {}", sanitize::words(ctx.step(*step))),
        Activity::Stage(step, stage) => {
            format!("step {}: {}", sanitize::words(ctx.step(*step)), sanitize::words(stage))
        }
    }
}

/// `still running after 10s: node07 (connect), node[09-12] (step wait: cm_agent)`, for logs without a live view.
fn still_running(hosts: &[(HostId, Activity, Duration)], at: Duration, ctx: &ViewContext) -> String {
    let mut groups: IndexMap<String, Vec<HostId>> = IndexMap::new();
    for (host, activity, _) in hosts {
        groups.entry(activity_words(activity, ctx)).or_default().push(*host);
    }
    let named: Vec<String> = groups
        .iter_mut()
        .take(SLOW)
        .map(|(words, hosts)| {
            hosts.sort_unstable();
            format!("{} ({words})", ctx.fold(hosts))
        })
        .collect();
    let left: usize = groups.values().skip(SLOW).map(Vec::len).sum();
    let more = if left > 0 { format!(", and {} more", plural::hosts(left)) } else { String::new() };
    format!("still running after {}: {}{more}", super::columns::short_time(at), named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::without_time;

    #[test]
    fn the_time_in_front_of_a_line_is_known_from_a_number() {
        for (line, rest) in [
            ("2026-11-29 10:00:01.123 LOG: x", "LOG: x"),
            ("[2026-11-29T10:00:01Z] x", "x"),
            ("20261128:19:34:28:006086 gpstart: x", "gpstart: x"),
            ("1048576 kB left", "1048576 kB left"),
            ("3 left", "3 left"),
            ("10:00:01", "10:00:01"),
        ] {
            assert_eq!(without_time(line), rest);
        }
    }
}
