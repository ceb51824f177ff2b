//! One row per host: its state, and what each stage of its chain looks like. The product of a run that only looks.
//!
//! Never folds hosts together: who asks for the state of his nodes counts rows. It must not know what the stages are; they
//! come from the playbook.

use std::io;

use indexmap::IndexMap;

use super::chain_table::first_missing;
use super::screen::Screen;
use super::style::Tone;
use super::table::Table;
use super::{View, ViewContext, sanitize, status_lines};
use crate::event::{Event, HostId};
use crate::report::{HostReport, RunReport};
use crate::stats::RunStats;

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
            let mut cells = vec![(Tone::Plain, host.host.clone()), state(host)];
            cells.extend(host.chain.iter().map(|stage| {
                let tone = if stage.up { Tone::Ok } else { Tone::Bad };
                (tone, stage.value.clone().unwrap_or_default())
            }));
            // A host that was not heard has no stages.
            cells.resize(2 + stages.len(), (Tone::Plain, String::new()));
            let fact = |name: &String| (Tone::Plain, host.facts.get(name).cloned().unwrap_or_default());
            cells.extend(self.facts.iter().map(fact));
            table.toned(cells);
        }
        let mut text = Vec::new();
        let columns = ctx.settings.columns.filter(|_| ctx.settings.stdout_tty);
        table.write(&mut text, &ctx.out, columns, ctx.glyphs.ellipsis)?;
        screen.out(&text)?;
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

/// What its probe calls it; where none was heard to the end, why not.
fn state(host: &HostReport) -> (Tone, String) {
    if !host.outcome.is_success() {
        return (Tone::Bad, status_lines::word(host.outcome).to_lowercase());
    }
    let up = !host.chain.is_empty() && host.chain.iter().all(|stage| stage.up);
    let tone = if up { Tone::Ok } else { Tone::Warn };
    (tone, host.facts.get("state").cloned().unwrap_or_else(|| "unknown".to_owned()))
}

/// What the host that was asked says of the whole: `cluster: Normal (1 Primary Normal, 2 Standby Normal)`.
fn cluster(report: &RunReport) -> Option<String> {
    let facts = report.hosts.iter().map(|host| &host.facts).find(|facts| facts.contains_key("cluster_state"))?;
    let fact = |name: &str| facts.get(name).map(|value| sanitize::words(value)).filter(|value| !value.is_empty());
    let mut line = format!("cluster: {}", fact("cluster_state").unwrap_or_else(|| "unknown".to_owned()));
    if let Some(members) = fact("datanodes") {
        line.push_str(&format!(" ({})", members.replace(',', ", ")));
    }
    if let Some(pair) = fact("disaster_recovery") {
        line.push_str(&format!("; disaster recovery: {pair}"));
    }
    if fact("pausing").as_deref() == Some("Yes") {
        line.push_str(", paused");
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
