//! One line per host, path or group of hosts, for commands whose results are no output: `ping`, `check`, `touch`, `rm`,
//! and `--quiet-hosts`.
//!
//! Columns are the same on a terminal and in a pipe: host, word, then what there is to say, two spaces between. These
//! lines are the command's product and go to standard output.

use std::io;

use indexmap::IndexMap;

use super::columns::{pad, width};
use super::grouping::shape;
use super::outcome_words::{tone, why};
use super::screen::Screen;
use super::settings::{CommandKind, Mode};
use super::style::Tone;
use super::{View, ViewContext, sanitize};
use crate::event::{Event, EventKind, HostId};
use crate::outcome::Outcome;
use crate::outcome::change::{Change, ChangeKind};
use crate::output::Output;
use crate::report::RunReport;
use crate::stats::RunStats;

/// Host sets are padded up to this width.
const WIDEST_NAME: usize = 32;

/// Results, one a line.
pub(crate) struct ResultsView {
    banners: Vec<Option<String>>,
    /// Lines that wait for hosts with the same, by word and text.
    gathered: IndexMap<(Tone, &'static str, String), Vec<HostId>>,
    /// Differences of files, and the hosts that have the same.
    differences: IndexMap<Output, Vec<HostId>>,
    name_width: usize,
}

impl ResultsView {
    /// For the hosts of this run.
    #[must_use]
    pub(crate) fn new(ctx: &ViewContext) -> Self {
        let longest = ctx.names.iter().map(|name| width(name)).max().unwrap_or(0);
        Self {
            banners: vec![None; ctx.names.len()],
            gathered: IndexMap::new(),
            differences: IndexMap::new(),
            name_width: longest.min(WIDEST_NAME),
        }
    }

    fn line(&self, hosts: &str, tone: Tone, word: &str, wide: usize, rest: &str, ctx: &ViewContext) -> String {
        let hosts = pad(hosts, self.name_width);
        if rest.is_empty() {
            return format!("{hosts}  {}", ctx.out.paint(tone, word));
        }
        let gap = " ".repeat(wide.saturating_sub(word.len()));
        format!("{hosts}  {}{gap}  {rest}", ctx.out.paint(tone, word))
    }

    fn change(&mut self, host: HostId, change: &Change, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        let mut text = sanitize::words(&change.path);
        if let Some(note) = &change.note {
            text.push_str("  ");
            text.push_str(&sanitize::words(note));
        }
        let tone = match change.action {
            ChangeKind::Removed
            | ChangeKind::Created
            | ChangeKind::Written
            | ChangeKind::WouldCreate
            | ChangeKind::WouldWrite => Tone::Changed,
            ChangeKind::Absent | ChangeKind::Present | ChangeKind::Same => Tone::Dim,
            ChangeKind::Denied | ChangeKind::Failed => Tone::Bad,
        };
        let word = change.action.name();
        if ctx.settings.mode == Mode::Gather {
            self.gathered.entry((tone, word, text)).or_default().push(host);
            return Ok(());
        }
        screen.out_line(&self.line(ctx.name(host), tone, word, 7, &text, ctx))
    }

    fn verdict(&mut self, event: &Event, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        let EventKind::HostFinished { host, outcome, failure, elapsed } = &event.kind else { return Ok(()) };
        let ping = ctx.settings.command == CommandKind::Ping;
        let mut text = match (failure, &self.banners[*host]) {
            (Some(failure), _) => why(failure),
            (None, Some(banner)) if ping => sanitize::words(banner),
            (None, _) => String::new(),
        };
        if ctx.settings.command == CommandKind::Check && ctx.settings.mode == Mode::Gather {
            text = shape(&text, ctx.name(*host));
            self.gathered.entry((tone(*outcome), outcome.name(), text)).or_default().push(*host);
            return Ok(());
        }
        let time = format!("{:>8}", format!("{:.3}s", elapsed.as_secs_f64()));
        let rest = if text.is_empty() { time } else { format!("{time}  {text}") };
        screen.out_line(&self.line(ctx.name(*host), tone(*outcome), outcome.name(), 11, &rest, ctx))
    }

    fn gather(&mut self, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        let mut lines: Vec<_> = std::mem::take(&mut self.gathered).into_iter().collect();
        for (_, hosts) in &mut lines {
            hosts.sort_unstable();
        }
        lines.sort_by_key(|(_, hosts)| (usize::MAX - hosts.len(), hosts.first().copied()));
        let sets: Vec<String> = lines.iter().map(|(_, hosts)| ctx.fold(hosts)).collect();
        let widest = sets.iter().map(|set| width(set)).max().unwrap_or(0);
        self.name_width = widest.min(WIDEST_NAME);
        let wide = lines.iter().map(|((_, word, _), _)| word.len()).max().unwrap_or(0);
        for (((tone, word, text), _), set) in lines.iter().zip(&sets) {
            screen.out_line(&self.line(set, *tone, word, wide, text, ctx))?;
        }
        Ok(())
    }
}

impl ResultsView {
    /// What files would change in, once under the hosts for which it is the same.
    fn show_differences(&mut self, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        for (output, mut hosts) in std::mem::take(&mut self.differences) {
            hosts.sort_unstable();
            screen.out_line(&ctx.out.paint(Tone::Strong, &format!("differences on {}:", ctx.fold(&hosts))))?;
            let mut text = Vec::new();
            output.pieces(|piece| {
                text.extend_from_slice(piece);
                Ok(())
            })?;
            for line in text.split_inclusive(|&byte| byte == b'\n') {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                let tone = match line.first() {
                    Some(b'+') => Tone::Ok,
                    Some(b'-') => Tone::Bad,
                    Some(b'@') => Tone::Hint,
                    _ => Tone::Plain,
                };
                screen.out_line(&ctx.out.paint(tone, &sanitize::line(line)))?;
            }
        }
        Ok(())
    }
}

impl View for ResultsView {
    fn event(&mut self, event: &Event, _: &RunStats, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        match &event.kind {
            EventKind::Connected { host, banner, .. } => {
                self.banners[*host] = Some(banner.clone());
                Ok(())
            }
            EventKind::HostStepFinished { host, result, .. } if shows_changes(ctx) => {
                if !result.stdout.is_empty() && result.exit_status.is_none() {
                    self.differences.entry(result.stdout.clone()).or_default().push(*host);
                }
                result.changes.iter().try_for_each(|change| self.change(*host, change, ctx, screen))
            }
            EventKind::StepFinished { .. } if shows_changes(ctx) => {
                self.gather(ctx, screen)?;
                self.show_differences(ctx, screen)
            }
            EventKind::HostFinished { outcome, .. } if !shows_changes(ctx) => {
                // A host that was never begun has nothing to say for itself; the summary counts it.
                if *outcome == Outcome::Cancelled { Ok(()) } else { self.verdict(event, ctx, screen) }
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, _: &RunReport, _: &RunStats, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        self.gather(ctx, screen)
    }
}

fn shows_changes(ctx: &ViewContext) -> bool {
    ctx.settings.command == CommandKind::Changes && ctx.settings.mode != Mode::QuietHosts
}

/// True when every host has a line of its own on standard output, so that standard error need not repeat it.
pub(crate) fn has_verdicts(ctx: &ViewContext) -> bool {
    match ctx.settings.command {
        CommandKind::Ping | CommandKind::Check => true,
        CommandKind::Output | CommandKind::Changes => ctx.settings.mode == Mode::QuietHosts,
        CommandKind::Playbook => false,
    }
}
