//! What the live view shows: how far the run is, who is slow and in which phase, and every node's startup chain.
//!
//! Makes lines from events and a time; drawing them is `progress`' business.

use std::cmp::Reverse;
use std::time::Duration;

use indexmap::IndexMap;

use super::bytes::{bytes, rate};
use super::chain_table::{ChainMoment, end_word, first_missing, stages_row};
use super::columns::{StyledRow, fit, fit_middle, pad, short_time, width};
use super::settings::{CommandKind, Mode};
use super::style::Tone;
use super::{ViewContext, plural, sanitize};
use crate::event::{Activity, Event, EventKind, HostId, StepId};
use crate::outcome::stage::StageState;
use crate::outcome::{Outcome, Phase};
use crate::stats::RunStats;

/// Lines of the terminal that the live view leaves alone.
const SPARED: usize = 4;
/// Time without output after which the view says why there is none.
const SILENT: Duration = Duration::from_secs(5);
/// Columns of the bar.
const BAR: usize = 20;
/// Narrower terminals get no bar.
const BAR_FROM: usize = 60;

#[derive(Debug, Clone, Default)]
struct LiveHost {
    activity: Option<(Activity, Duration)>,
    /// The step that it connects for.
    step: Option<StepId>,
    chain: Vec<StageState>,
    /// Bytes that have gone over the line, and of how many.
    moving: Option<(u64, u64)>,
    /// Since when the first missing stage is that one.
    stage_since: Duration,
    /// What holds it back, by the stage that it is about.
    cause: Option<(Option<String>, String)>,
    done: bool,
}

#[derive(Debug, Clone)]
struct LiveStep {
    id: StepId,
    hosts: usize,
    done: usize,
    since: Duration,
    /// It waits for a chain: hosts whose chain is up count as done.
    chain: bool,
}

/// How the run stands, for the live view.
#[derive(Debug, Default)]
pub(crate) struct Live {
    hosts: Vec<LiveHost>,
    step: Option<LiveStep>,
    /// The host, fact and value that the run waits for, and since when.
    waiting: Option<(HostId, String, Option<String>, Duration)>,
    /// When the first bytes of files went over the line.
    moving_since: Option<Duration>,
    cancelling: bool,
    /// When a host ended last, so that its output could be seen.
    shown: Duration,
}

impl Live {
    /// For so many hosts.
    #[must_use]
    pub(crate) fn new(hosts: usize) -> Self {
        Self { hosts: vec![LiveHost::default(); hosts], ..Self::default() }
    }

    /// Takes one event.
    pub(crate) fn event(&mut self, event: &Event) {
        let at = event.at;
        match &event.kind {
            EventKind::HostStarted { host } => self.at(*host, Activity::Connecting(Phase::Resolve), at),
            EventKind::PhaseStarted { host, phase } => self.at(*host, Activity::Connecting(*phase), at),
            EventKind::Connected { host, .. } if !self.is_missed(*host) => {
                let state = &mut self.hosts[*host];
                state.activity = state.step.map(|step| (Activity::Step(step), at));
            }
            EventKind::StepStarted { step, hosts } => {
                self.moving_since = None;
                for host in &mut self.hosts {
                    host.moving = None;
                }
                self.step = Some(LiveStep { id: *step, hosts: *hosts, done: 0, since: at, chain: false });
                self.waiting = None;
            }
            EventKind::HostStepStarted { host, step } => {
                self.hosts[*host].step = Some(*step);
                self.at(*host, Activity::Step(*step), at);
            }
            EventKind::ChainSeen { host, stages } => {
                let state = &mut self.hosts[*host];
                let name = |stages: &[StageState]| first_missing(stages).map(|stage| stage.stage.clone());
                if state.chain.is_empty() || name(&state.chain) != name(stages) {
                    state.stage_since = at;
                    // What is known of a later stage still is.
                    let first = stages.iter().position(|stage| !stage.up);
                    let of = |name: &String| stages.iter().position(|stage| stage.stage == *name);
                    state.cause.take_if(|(stage, _)| {
                        stage.as_ref().and_then(of).is_none_or(|of| first.is_none_or(|first| of < first))
                    });
                }
                state.chain.clone_from(stages);
                if let Some(step) = &mut self.step {
                    step.chain = true;
                }
            }
            EventKind::CauseSeen { host, cause } => {
                self.hosts[*host].cause = Some((cause.stage.clone(), format!("{}{}", cause.words(), cause.progress())));
            }
            EventKind::Waiting { host, fact, value, .. } => {
                self.waiting = Some((*host, fact.clone(), value.clone(), at));
            }
            EventKind::Moving { host, moved, of, .. } => {
                self.moving_since.get_or_insert(at);
                self.hosts[*host].moving = Some((*moved, *of));
            }
            EventKind::Missing { host, step, what } => {
                self.hosts[*host].activity = None;
                if let Some(what) = what {
                    self.at(*host, Activity::Stage(*step, what.clone()), at);
                }
            }
            EventKind::HostStepFinished { host, step, result } => {
                self.hosts[*host].activity = None;
                if let Some((moved, of)) = &mut self.hosts[*host].moving {
                    (*moved, *of) = (result.bytes, result.bytes);
                }
                if let Some(current) = self.step.as_mut().filter(|current| current.id == *step) {
                    current.done += 1;
                }
            }
            EventKind::StepFinished { step } if self.step.as_ref().is_some_and(|current| current.id == *step) => {
                self.waiting = None;
            }
            EventKind::HostFinished { host, .. } => {
                self.shown = at;
                self.hosts[*host].activity = None;
                self.hosts[*host].done = true;
            }
            EventKind::CancelRequested { .. } => self.cancelling = true,
            _ => {}
        }
    }

    fn at(&mut self, host: HostId, activity: Activity, at: Duration) {
        if !self.is_missed(host) {
            self.hosts[host].activity = Some((activity, at));
        }
    }

    /// What a host misses says more than how it is being asked.
    fn is_missed(&self, host: HostId) -> bool {
        matches!(self.hosts[host].activity, Some((Activity::Stage(..), _)))
    }

    /// The lines to draw now. Each fits the width, and all fit the height.
    #[must_use]
    pub(crate) fn lines(&self, at: Duration, stats: &RunStats, ctx: &ViewContext) -> Vec<String> {
        // One column stays free: a full line makes some terminals wrap.
        let room = ctx.settings.columns.unwrap_or(80).saturating_sub(1);
        let mut rows = vec![self.head(at, stats, ctx, room)];
        let height = ctx.settings.rows.saturating_sub(SPARED).max(1);
        let chains: Vec<HostId> = (0..self.hosts.len()).filter(|&host| !self.hosts[host].chain.is_empty()).collect();
        if !chains.is_empty() {
            if chains.len() <= height {
                rows.extend(self.chain_by_host(&chains, at, ctx, room));
            } else {
                rows.extend(self.chain_by_stage(&chains, at, ctx, room));
            }
        }
        rows.extend(self.moving(at));
        if let Some((host, fact, value, since)) = &self.waiting {
            let value = value.as_deref().map_or("no answer".to_owned(), sanitize::words);
            let text = format!("{}: {value}", sanitize::words(fact));
            let place = format!("  {} {}", ctx.name(*host), short_time(at.saturating_sub(*since)));
            rows.push(StyledRow::default().with(Tone::Plain, text).with(Tone::Dim, place));
        }
        // Who waits for output should know that there may be some.
        let is_gathered = ctx.settings.command == CommandKind::Output && ctx.settings.mode == Mode::Gather;
        if is_gathered && at.saturating_sub(self.shown) >= SILENT {
            let whole = "output is gathered until a host has ended; --stream shows it as it comes";
            let text = if room >= width(whole) { whole } else { "gathered; --stream shows it now" };
            rows.push(StyledRow::default().with(Tone::Dim, text));
        }
        if chains.is_empty()
            && let Some(row) = self.slowest(at, ctx, room)
        {
            rows.push(row);
        }
        rows.truncate(height.max(2));
        rows.iter().map(|row| row.paint(&ctx.err, room, ctx.glyphs.ellipsis)).collect()
    }

    fn head(&self, at: Duration, stats: &RunStats, ctx: &ViewContext, room: usize) -> StyledRow {
        let mut row = StyledRow::default();
        let step = self.step.as_ref().filter(|_| ctx.settings.command == CommandKind::Playbook);
        let (done, of) = match step {
            None => (stats.done(), stats.hosts.max(self.hosts.len())),
            Some(step) => (step.done.max(if step.chain { self.chains_up() } else { 0 }), step.hosts),
        };
        if room >= BAR_FROM {
            let full = (BAR * done.min(of)).checked_div(of).unwrap_or(0);
            row.push(Tone::Ok, ctx.glyphs.full.repeat(full));
            row.push(Tone::Dim, ctx.glyphs.empty.repeat(BAR - full));
            row.push(Tone::Plain, " ");
        }
        let of = if room >= BAR_FROM { plural::hosts(of) } else { of.to_string() };
        row.push(Tone::Plain, format!("{done}/{of}"));
        for outcome in [Outcome::Failed, Outcome::TimedOut, Outcome::Unreachable] {
            let n = stats.counts.of(outcome);
            if n > 0 {
                let words = if outcome == Outcome::TimedOut { "timed out" } else { outcome.name() };
                row.push(Tone::Plain, ", ");
                row.push(Tone::Bad, format!("{n} {words}"));
            }
        }
        if self.cancelling {
            row.push(Tone::Warn, ", stopping");
        }
        let since = step.map_or(Duration::ZERO, |step| step.since);
        row.push(Tone::Dim, format!("  {}", short_time(at.saturating_sub(since))));
        if let Some(step) = step {
            row.push(Tone::Dim, format!("  [{}/{}] ", step.id + 1, ctx.steps.len()));
            row.push(Tone::Strong, sanitize::words(ctx.step(step.id)));
        }
        row
    }

    /// `1.2 GB of 3.4 GB, 56 MB/s`: of the hosts that have begun.
    fn moving(&self, at: Duration) -> Option<StyledRow> {
        let since = self.moving_since?;
        let (moved, of) = self
            .hosts
            .iter()
            .filter_map(|host| host.moving)
            .fold((0u64, 0u64), |sum, one| (sum.0.saturating_add(one.0), sum.1.saturating_add(one.1)));
        let mut row = StyledRow::default().with(Tone::Plain, format!("{} of {}", bytes(moved), bytes(of)));
        if let Some(rate) = rate(moved, at.saturating_sub(since)) {
            row.push(Tone::Dim, format!(", {rate}"));
        }
        Some(row)
    }

    fn chains_up(&self) -> usize {
        let up = |host: &&LiveHost| !host.chain.is_empty() && first_missing(&host.chain).is_none();
        self.hosts.iter().filter(up).count()
    }

    /// `running: node07 (connect 4s), node19 (auth 2s), +120`: slowest first, as many as fit.
    fn slowest(&self, at: Duration, ctx: &ViewContext, room: usize) -> Option<StyledRow> {
        let mut active: Vec<(Duration, HostId, &Activity)> = self
            .hosts
            .iter()
            .enumerate()
            .filter_map(|(host, state)| state.activity.as_ref().map(|(activity, since)| (*since, host, activity)))
            .collect();
        if active.is_empty() {
            return None;
        }
        active.sort_unstable_by_key(|&(since, host, _)| (since, host));
        let mut row = StyledRow::default().with(Tone::Dim, "running: ");
        for (i, (since, host, activity)) in active.iter().enumerate() {
            let left = active.len() - i;
            let comma = if i == 0 { "" } else { ", " };
            let what = match activity {
                Activity::Connecting(phase) => format!("{} ", phase.words()),
                Activity::Step(_) => match self.hosts[*host].moving {
                    Some((moved, of)) => format!("{}% ", moved.saturating_mul(100).checked_div(of).unwrap_or(100)),
                    None => String::new(),
                },
                Activity::Stage(_, stage) => format!("{} ", sanitize::words(stage)),
            };
            let name = fit_middle(ctx.name(*host), 32, ctx.glyphs.ellipsis);
            let item = format!("{comma}{name} ({what}{})", short_time(at.saturating_sub(*since)));
            let rest = if left > 1 { format!(", +{}", left - 1) } else { String::new() };
            if i > 0 && row.width() + width(&item) + width(&rest) > room {
                row.push(Tone::Dim, format!(", +{left}"));
                break;
            }
            row.push(Tone::Plain, item);
        }
        Some(row)
    }

    fn chain_by_host(&self, hosts: &[HostId], at: Duration, ctx: &ViewContext, room: usize) -> Vec<StyledRow> {
        let widest = hosts.iter().map(|&host| width(ctx.name(host))).max().unwrap_or(0).min(room / 3);
        hosts
            .iter()
            .map(|&host| {
                let state = &self.hosts[host];
                let name = pad(&fit_middle(ctx.name(host), widest, ctx.glyphs.ellipsis), widest);
                let time = match first_missing(&state.chain) {
                    Some(_) => format!("  {}", short_time(at.saturating_sub(state.stage_since))),
                    None => String::new(),
                };
                // Room for the time is kept, so that a row does not change its form when a minute is full.
                let mut row = StyledRow::default().with(Tone::Host(host), name).with(Tone::Plain, "  ");
                let space = room.saturating_sub(widest + 2 + 8);
                for piece in stages_row(&state.chain, ChainMoment::Now, &ctx.glyphs, space).into_pieces() {
                    row.push(piece.0, piece.1);
                }
                let cause = state.cause.as_ref().filter(|_| first_missing(&state.chain).is_some());
                let cause = cause.map(|(_, words)| format!("  {}", sanitize::words(words))).unwrap_or_default();
                row.with(Tone::Dim, time).with(Tone::Warn, cause)
            })
            .collect()
    }

    /// For more hosts than lines: `cm_agent  node[01-12] (12 hosts)  34s`.
    fn chain_by_stage(&self, hosts: &[HostId], at: Duration, ctx: &ViewContext, room: usize) -> Vec<StyledRow> {
        let stages: Vec<&str> = self.hosts[hosts[0]].chain.iter().map(|stage| stage.stage.as_str()).collect();
        let all = format!("all {}", end_word(&self.hosts[hosts[0]].chain));
        let widest = stages.iter().map(|stage| width(stage)).max().unwrap_or(0).max(width(&all)).min(room / 3);
        let mut rows = Vec::new();
        for (stage, tone) in stages.iter().map(|&s| (Some(s), Tone::Warn)).chain([(None, Tone::Ok)]) {
            let here: Vec<HostId> = hosts
                .iter()
                .copied()
                .filter(|&host| first_missing(&self.hosts[host].chain).map(|s| s.stage.as_str()) == stage)
                .collect();
            if here.is_empty() {
                continue;
            }
            let longest = here.iter().map(|&host| Reverse(self.hosts[host].stage_since)).max();
            let time = match (stage, longest) {
                (Some(_), Some(Reverse(since))) => format!("  {}", short_time(at.saturating_sub(since))),
                _ => String::new(),
            };
            let count = format!(" ({})", plural::hosts(here.len()));
            // The one that most of them have.
            let mut causes: IndexMap<&str, usize> = IndexMap::new();
            for (_, words) in here.iter().filter_map(|&host| self.hosts[host].cause.as_ref()) {
                *causes.entry(words).or_default() += 1;
            }
            let cause = causes.into_iter().max_by_key(|(_, hosts)| *hosts).filter(|_| stage.is_some());
            let cause =
                cause.map(|(words, hosts)| format!("  {} ({hosts})", sanitize::words(words))).unwrap_or_default();
            let space = room.saturating_sub(widest + 2 + width(&count) + width(&time));
            let name = fit(&sanitize::words(stage.unwrap_or(&all)), widest, ctx.glyphs.ellipsis);
            rows.push(
                StyledRow::default()
                    .with(tone, pad(&name, widest))
                    .with(Tone::Plain, "  ")
                    .with(Tone::Plain, fit(&ctx.fold(&here), space, ctx.glyphs.ellipsis))
                    .with(Tone::Dim, count)
                    .with(Tone::Dim, time)
                    .with(Tone::Warn, cause),
            );
        }
        rows
    }
}
