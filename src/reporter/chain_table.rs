//! The startup chain as a table at the end of a run, the table of refused hosts, and one host's stages on a line.
//!
//! Hosts that look the same share a row. It must not know what the stages are; they come from the playbook.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use indexmap::IndexMap;

use super::columns::{StyledRow, fit_middle, pad, short_time, width};
use super::screen::Screen;
use super::style::{Glyphs, Tone};
use super::table::Table;
use super::{View, ViewContext, outcome_words, plural, sanitize, status_form};
use crate::event::{Event, EventKind, HostId};
use crate::outcome::stage::StageState;
use crate::outcome::{Failure, Outcome};
use crate::report::RunReport;
use crate::stats::RunStats;

/// Host sets are not cut to less than this.
const NARROWEST_NAME: usize = 12;

/// Whether what is missing may still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChainMoment {
    /// The wait goes on.
    Now,
    /// The run is over.
    AtTheEnd,
}

/// The stage that is waited for.
pub(crate) fn first_missing(stages: &[StageState]) -> Option<&StageState> {
    stages.iter().find(|stage| !stage.up)
}

/// What a stage is once it is where it should be: the chain of a stop goes down.
pub(crate) fn end_word(stages: &[StageState]) -> &'static str {
    if StageState::lead_down(stages) { "done" } else { "up" }
}

/// What is wrong with the first missing stage of a host, for so long: `gaussdb missing for 17s`, `gaussdb gone not reached for 17s (1)`.
pub(crate) fn missing_words(stage: &StageState, time: &str) -> String {
    let name = sanitize::words(&stage.stage);
    let verb = if stage.is_condition() { "not reached" } else { "missing" };
    match stage.value.as_deref().map(sanitize::words) {
        // It would say the same again.
        Some(value) if verb == "missing" && matches!(value.as_str(), "missing" | "none" | "absent") => {
            format!("{name} {verb}{time}")
        }
        Some(value) => format!("{name} {verb}{time} ({value})"),
        None => format!("{name} {verb}{time} (no answer)"),
    }
}

/// A host's stages on one line: with names where they fit, else as signs and the name of the first missing stage.
pub(crate) fn stages_row(stages: &[StageState], when: ChainMoment, glyphs: &Glyphs, room: usize) -> StyledRow {
    let mut row = StyledRow::default();
    let mut signs = StyledRow::default();
    let mut missing = None;
    for stage in stages {
        let (sign, tone) = match (stage.up, missing, when) {
            (true, _, _) => (glyphs.up, Tone::Ok),
            (false, None, ChainMoment::Now) => (glyphs.now, Tone::Warn),
            (false, None, ChainMoment::AtTheEnd) => (glyphs.missing, Tone::Bad),
            (false, Some(_), _) => (glyphs.later, Tone::Dim),
        };
        if !stage.up && missing.is_none() {
            missing = Some(stage);
        }
        if row.width() > 0 {
            row.push(Tone::Plain, "  ");
        }
        let name_tone = if stage.up || missing == Some(stage) { Tone::Plain } else { Tone::Dim };
        row.push(name_tone, sanitize::words(&stage.stage));
        row.push(tone, format!(" {sign}"));
        signs.push(tone, sign);
    }
    if row.width() <= room {
        return row;
    }
    if let Some(stage) = missing {
        signs.push(Tone::Plain, format!(" {}", sanitize::words(&stage.stage)));
    }
    signs
}

/// Remembers since when stages are missing, and writes the table at the end.
#[derive(Default)]
pub(crate) struct ChainTable {
    /// For each host the first missing stage, and since when it is that one.
    since: HashMap<HostId, (String, Duration)>,
    over: Option<Duration>,
}

impl ChainTable {
    fn missing_for(&self, host: HostId, stage: &str, end: Duration) -> Option<Duration> {
        self.since.get(&host).filter(|(name, _)| name == stage).map(|&(_, at)| end.saturating_sub(at))
    }
}

impl View for ChainTable {
    fn event(&mut self, event: &Event, _: &RunStats, _: &ViewContext, _: &mut Screen) -> io::Result<()> {
        match &event.kind {
            EventKind::ChainSeen { host, stages } => {
                let name = first_missing(stages).map(|stage| stage.stage.clone()).unwrap_or_default();
                if self.since.get(host).is_none_or(|(before, _)| *before != name) {
                    self.since.insert(*host, (name, event.at));
                }
            }
            EventKind::RunFinished => self.over = Some(event.at),
            _ => {}
        }
        Ok(())
    }

    fn finish(
        &mut self,
        report: &RunReport,
        stats: &RunStats,
        ctx: &ViewContext,
        screen: &mut Screen,
    ) -> io::Result<()> {
        // A refused run has a table of its own, and nothing was to come up in it.
        // Where nothing was waited for, what the first look found is no outcome.
        if ctx.settings.quiet || stats.refused || !report.waited {
            return Ok(());
        }
        // Who was interrupted did not wait to the end: what is missing by then is no fault.
        let is_fault = stats.cancelled.is_none();
        let end = self.over.unwrap_or(report.elapsed);
        let mut groups: IndexMap<Vec<(bool, Option<&str>)>, Vec<HostId>> = IndexMap::new();
        for (id, host) in report.hosts.iter().enumerate().filter(|(_, host)| !host.chain.is_empty()) {
            // What an up stage says of itself (a process id) is no reason for a row of its own.
            let key = host.chain.iter().map(|s| (s.up, s.value.as_deref().filter(|_| !s.up))).collect();
            groups.entry(key).or_default().push(id);
        }
        let mut groups: Vec<Vec<HostId>> = groups.into_values().collect();
        groups.sort_by_key(|hosts| {
            let up = report.hosts[hosts[0]].chain.iter().filter(|stage| stage.up).count();
            (usize::MAX - up, usize::MAX - hosts.len(), hosts[0])
        });
        let columns = ctx.settings.columns.filter(|_| ctx.settings.stdout_tty);
        let sets: Vec<String> = groups.iter().map(|hosts| ctx.fold(hosts)).collect();
        let widest = sets.iter().map(|set| width(set)).max().unwrap_or(0);
        let names = columns.map_or(widest, |columns| widest.min((columns / 3).max(NARROWEST_NAME)));
        for (hosts, set) in groups.iter().zip(&sets) {
            let chain = &report.hosts[hosts[0]].chain;
            let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(names + 2));
            // Where rows are cut the set stands whole on a line before it: a name must never be lost.
            let set_row = if width(set) > names {
                screen.out_line(set)?;
                pad("", names)
            } else {
                pad(&fit_middle(set, names, ctx.glyphs.ellipsis), names)
            };
            let row =
                stages_row(chain, if is_fault { ChainMoment::AtTheEnd } else { ChainMoment::Now }, &ctx.glyphs, room)
                    .paint_all(&ctx.out);
            screen.out_line(&format!("{set_row}  {row}"))?;
            let Some(stage) = first_missing(chain).filter(|_| is_fault) else { continue };
            let indent = pad("", names);
            let longest = hosts.iter().filter_map(|&host| self.missing_for(host, &stage.stage, end)).max();
            let time = longest.map_or(String::new(), |time| format!(" for {}", short_time(time)));
            let text = missing_words(stage, &time);
            screen.out_line(&format!("{indent}  {}", ctx.out.paint(Tone::Bad, &text)))?;
            // A host has one hint: that of its failure, which knows more than the stage and stands in the summary, next to the
            // prompt.
            let reported =
                |&host: &HostId| report.hosts[host].failure.as_ref().is_some_and(|failure| failure.hint.is_some());
            if let Some(hint) = stage.hint.as_ref().filter(|_| !hosts.iter().any(reported)) {
                screen.out_line(&format!(
                    "{indent}  {} {}",
                    ctx.out.paint(Tone::Hint, "hint:"),
                    sanitize::words(hint)
                ))?;
            }
        }
        Ok(())
    }
}

/// Writes why the run was refused: host by host its state and the reason.
pub(crate) fn write_refused(
    hosts: &[(HostId, Failure)],
    states: &HashMap<HostId, String>,
    at: Duration,
    ctx: &ViewContext,
    screen: &mut Screen,
) -> io::Result<()> {
    let text = format!("{} must not go on; nothing was changed", plural::hosts(hosts.len()));
    screen.err_line(&status_form::timed_line("Refused", Tone::Bad, at, &text, ctx))?;
    let mut groups: IndexMap<(String, String), Vec<HostId>> = IndexMap::new();
    for (host, failure) in hosts {
        let state = states.get(host).cloned().unwrap_or_else(|| match failure.outcome() {
            Outcome::Failed => "refused".to_owned(),
            outcome => outcome_words::word(outcome).to_lowercase(),
        });
        // The state says that the node answered; the phase would only say that it was looked at.
        let cause = match failure.phase {
            crate::outcome::Phase::Check => sanitize::words(&failure.cause),
            _ => outcome_words::why(failure),
        };
        groups.entry((state, cause)).or_default().push(*host);
    }
    refused_table(&groups, ctx, screen)?;
    let missing = hosts.iter().filter(|(_, failure)| failure.outcome() == Outcome::Unreachable).count();
    if missing > 0 {
        let text = format!(
            "to go on without hosts that can't be reached: --allow-unreachable {missing}, or leave them out with -x"
        );
        screen.err_line(&format!("{} {text}", ctx.err.paint(Tone::Hint, "hint:")))?;
    }
    Ok(())
}

fn refused_table(
    groups: &IndexMap<(String, String), Vec<HostId>>,
    ctx: &ViewContext,
    screen: &mut Screen,
) -> io::Result<()> {
    let columns = ctx.settings.columns.filter(|_| ctx.settings.stderr_tty);
    if columns.is_some_and(|columns| columns < 72) {
        // A table would cut the reasons; lines wrap.
        for ((state, cause), hosts) in groups {
            screen.err_line(&format!("{}  {}", ctx.fold(hosts), ctx.err.paint(Tone::Bad, state)))?;
            screen.err_line(&format!("    {cause}"))?;
        }
        return Ok(());
    }
    let mut table = Table::new(["host", "state", "reason"]);
    for ((state, cause), hosts) in groups {
        table.toned([(Tone::Plain, ctx.fold(hosts).as_str()), (Tone::Bad, state), (Tone::Plain, cause)]);
    }
    let mut text = Vec::new();
    // The reason stands last and may wrap, so the table is not cut to the width.
    table.write(&mut text, &ctx.err, None, ctx.glyphs.ellipsis)?;
    screen.err(&text)
}
