//! Status lines on standard error: what happens, as it happens, in words that `grep` finds.
//!
//! The word stands right-aligned in 12 columns, then the time in brackets, the count of hosts, the hosts, and what there is
//! to say. It must not show remote output; the other views do.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use indexmap::IndexMap;

use super::excerpt::excerpt;
use super::grouping::{Grouping, Notice, NoticeGroup};
use super::outcome_words::{change_words, cluster_words, killed_words, tone, why, word};
use super::phases::Phases;
use super::results::has_verdicts;
use super::run_words::{cancel_words, still_running};
use super::screen::Screen;
use super::settings::CommandKind;
use super::status_form::{line, plain_line, timed_line};
use super::style::Tone;
use super::{View, ViewContext, chain_table, plural, sanitize, summary};
use crate::event::{Event, EventKind, HostId, StepId};
use crate::outcome::stage::StageState;
use crate::outcome::{CommandNote, Outcome, Phase, StepResult};
use crate::report::{ClusterReport, RunReport};
use crate::stats::RunStats;

/// Time before a stage that a host is at again is said again.
const FLAPPING: Duration = Duration::from_secs(30);

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
    stages: HashMap<HostId, String>,
    /// The stages that were said of each host, and when last.
    chains_told: HashMap<HostId, Vec<(String, Duration)>>,
    changes: IndexMap<String, Vec<HostId>>,
    /// The fact `state` of each host, as probed.
    states: HashMap<HostId, String>,
    /// With -v: how long a host's phases took, and its last command.
    phases: Phases,
    commands: HashMap<HostId, Duration>,
    /// The cause of each host that was said last.
    causes: HashMap<HostId, String>,
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
            stages: HashMap::new(),
            chains_told: HashMap::new(),
            changes: IndexMap::new(),
            notes_told: HashSet::new(),
            states: HashMap::new(),
            phases: Phases::default(),
            commands: HashMap::new(),
            causes: HashMap::new(),
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
            self.states.insert(host, sanitize::words(state));
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
                None => self.command_time(*host),
            },
            took: event.at,
            done: (!playbook).then(|| stats.done()),
            excerpt: Vec::new(),
        };
        self.grouping.push(*host, ctx.name(*host), notice, event.at);
    }

    /// With -v: how long the host's command took, without the way there.
    fn command_time(&self, host: HostId) -> String {
        let took = self.commands.get(&host);
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
        if self.stages.get(&host) != Some(&key) {
            self.stages.insert(host, key.clone());
            // A stage that comes and goes all the time is said now and then.
            let told = self.chains_told.entry(host).or_default();
            match told.iter_mut().find(|(known, _)| *known == key) {
                Some((_, last)) if at.saturating_sub(*last) < FLAPPING => return,
                Some((_, last)) => *last = at,
                None => told.push((key, at)),
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
                if (!ctx.settings.live || verbose > 0) && self.causes.get(host) != Some(&cause.words()) =>
            {
                self.causes.insert(*host, cause.words());
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
                if verbose > 0 {
                    self.commands.insert(*host, result.elapsed);
                }
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
