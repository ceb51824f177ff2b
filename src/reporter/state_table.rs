//! One row per host: its state, and what each stage of its chain looks like. The product of a run that only looks.
//!
//! Never folds hosts together: one row is one node. It must not know what the stages are; they
//! come from the playbook.

use std::io;

use indexmap::IndexMap;

use super::chain_table::{ChainMoment, first_missing, missing_words, stages_row};
use super::columns::{fit_middle, pad, width};
use super::screen::Screen;
use super::style::Tone;
use super::table::Table;
use super::{View, ViewContext, outcome_words, sanitize};
use crate::event::{Event, HostId};
use crate::outcome::{Failure, Phase};
use crate::report::{HostReport, RunReport};
use crate::stats::RunStats;

/// On narrower terminals a table has no room.
const NARROW: usize = 60;

/// The table at the end of a run that only looks.
pub(crate) struct StateTable {
    /// Facts that are columns too.
    pub(crate) facts: Vec<String>,
}

impl View for StateTable {
    fn event(&mut self, _: &Event, _: &RunStats, _: &ViewContext, _: &mut Screen) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, report: &RunReport, _: &RunStats, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        let stages: Vec<&str> = report
            .hosts
            .iter()
            .find(|host| !host.chain.is_empty())
            .map(|host| host.chain.iter().map(|stage| stage.stage.as_str()).collect())
            .unwrap_or_default();
        let facts = self.facts.iter().map(String::as_str);
        let mut table = Table::new(["host", "state"].into_iter().chain(stages.iter().copied()).chain(facts));
        for host in &report.hosts {
            let mut cells = vec![(Tone::Plain, host.host.to_string()), state(host)];
            cells.extend(host.chain.iter().map(|stage| {
                let tone = if stage.up { Tone::Ok } else { Tone::Bad };
                (tone, stage.value.clone().unwrap_or_default())
            }));
            // A host that did not answer has no stages.
            cells.resize(2 + stages.len(), (Tone::Plain, String::new()));
            let fact = |name: &String| (Tone::Plain, host.facts.get(name).cloned().unwrap_or_default());
            cells.extend(self.facts.iter().map(fact));
            table.toned(cells);
        }
        let columns = ctx.settings.columns.filter(|_| ctx.settings.stdout_tty);
        if let Some(columns) = columns.filter(|columns| *columns < NARROW && table.width() > *columns) {
            write_narrow(report, columns, ctx, screen)?;
        } else {
            let mut text = Vec::new();
            table.write(&mut text, &ctx.out, columns, ctx.glyphs.ellipsis)?;
            screen.out(&text)?;
        }
        if let Some(line) = cluster(report) {
            screen.out_line(&line)?;
        }
        if ctx.settings.quiet {
            return Ok(());
        }
        for (hint, hosts) in hints(report) {
            let hosts = ctx.fold(&hosts);
            screen.err_line(&format!("{} {hosts}: {}", ctx.err.paint(Tone::Hint, "hint:"), sanitize::words(hint)))?;
        }
        Ok(())
    }
}

/// A line per host where a table has no room: its state, and its chain as a start shows it.
fn write_narrow(report: &RunReport, columns: usize, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
    let states: Vec<(Tone, String)> = report
        .hosts
        .iter()
        .map(|host| {
            let (tone, state) = state(host);
            // Which stages it lacks is seen beside it.
            (tone, sanitize::words(state.split(" (").next().unwrap_or_default()))
        })
        .collect();
    let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or(0);
    let names = widest(&mut report.hosts.iter().map(|host| width(&host.host))).min(columns / 3);
    let wide = widest(&mut states.iter().map(|(_, state)| width(state)));
    for (host, (tone, state)) in report.hosts.iter().zip(states) {
        let name = pad(&fit_middle(&host.host, names, ctx.glyphs.ellipsis), names);
        let room = columns.saturating_sub(names + wide + 4);
        // What was stopped on purpose lacks nothing.
        let chain = if host.is_stopped() {
            String::new()
        } else {
            stages_row(&host.chain, ChainMoment::AtTheEnd, &ctx.glyphs, room).paint_all(&ctx.out)
        };
        let gap = pad("", wide - width(&state));
        screen.out_line(format!("{name}  {}{gap}  {chain}", ctx.out.paint(tone, &state)).trim_end())?;
    }
    Ok(())
}

/// The state that its probe gave; where no probe ended well, the outcome. One that claims to run and lacks something is incomplete.
fn state(host: &HostReport) -> (Tone, String) {
    if !host.outcome.is_success() {
        return (Tone::Bad, outcome_words::word(host.outcome).to_lowercase());
    }
    let state = host.facts.get("state").cloned().unwrap_or_else(|| "unknown".to_owned());
    if !host.chain.is_empty() && host.chain.iter().all(|stage| stage.up) {
        return (Tone::Ok, state);
    }
    match incomplete(host) {
        None => (Tone::Warn, state),
        Some(incomplete) if state == "running" => (Tone::Bad, incomplete),
        Some(_) => (Tone::Bad, state),
    }
}

/// `incomplete (cm_server, gaussdb)`.
fn incomplete(host: &HostReport) -> Option<String> {
    let lacks = host.lacks();
    let names: Vec<&str> = lacks.iter().map(|stage| stage.stage.as_str()).collect();
    (!names.is_empty()).then(|| format!("incomplete ({})", names.join(", ")))
}

/// What a look found missing on a host, for reports that know only success and failure.
pub(crate) fn finding(host: &HostReport) -> Option<Failure> {
    let lacks = host.lacks();
    let first = lacks.first()?;
    let each: Vec<String> = lacks.iter().map(|stage| missing_words(stage, "")).collect();
    let state = host.facts.get("state").map(String::as_str).filter(|state| *state != "running");
    let cause = format!("{}: {}", state.unwrap_or("incomplete"), each.join(", "));
    Some(Failure { hint: first.hint.clone(), ..Failure::new(Phase::Chain, cause) })
}

/// What the host that was asked says of the whole: `cluster: Normal (1 Primary Normal, 2 Standby Normal)`.
fn cluster(report: &RunReport) -> Option<String> {
    if report
        .hosts
        .iter()
        .all(|host| host.outcome.is_success() && host.is_stopped() && host.facts["state"] == "stopped")
    {
        // Nobody is there to be asked, and nobody should be.
        return Some("cluster: stopped".to_owned());
    }
    // Of several who were asked, the last one had the answer.
    let asked = report.cluster.as_ref().and_then(|cluster| cluster.asked.last());
    let said = |host: &&HostReport| asked.is_none_or(|asked| *asked.host == *host.host);
    let reported = |host: &&HostReport| host.facts.contains_key("cluster_state");
    let facts =
        report.hosts.iter().filter(reported).find(said).or_else(|| report.hosts.iter().find(reported))?.facts.clone();
    let fact = |name: &str| facts.get(name).map(|value| sanitize::words(value)).filter(|value| !value.is_empty());
    let mut line = format!("cluster: {}", fact("cluster_state").unwrap_or_else(|| "unknown".to_owned()));
    if let Some(members) = fact("datanodes") {
        line.push_str(&format!(" ({})", members.replace(',', ", ")));
    }
    if let Some(note) = fact("note_cluster_state") {
        line.push_str(&format!(", {note}"));
    }
    if let Some(pair) = fact("disaster_recovery") {
        line.push_str(&format!("; disaster recovery: {pair}"));
    }
    if fact("pausing").as_deref() == Some("Yes") {
        line.push_str(", paused");
    }
    if let Some(because) = fact("cluster_because") {
        line.push_str(": ");
        line.push_str(&because);
    }
    Some(line)
}

/// Each hint once, with the hosts whose first missing stage has it.
fn hints(report: &RunReport) -> IndexMap<&str, Vec<HostId>> {
    let mut hints: IndexMap<&str, Vec<HostId>> = IndexMap::new();
    for (id, host) in report.hosts.iter().enumerate().filter(|(_, host)| host.outcome.is_success()) {
        if let Some(hint) = first_missing(&host.chain).and_then(|stage| stage.hint.as_deref()) {
            hints.entry(hint).or_default().push(id);
        }
    }
    hints
}
