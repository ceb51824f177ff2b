//! Everything that is seen while a run goes: remote output, results, status lines, the live view.
//!
//! Puts the views in order over the one screen. It must not word anything itself.

use std::io;
use std::time::Duration;

use super::chain_table::ChainTable;
use super::gather::GatherView;
use super::live::Live;
use super::results::ResultsView;
use super::screen::Screen;
use super::settings::{CommandKind, Mode, OutputSettings};
use super::state_table::StateTable;
use super::status_lines::StatusLines;
use super::stream::StreamView;
use super::style::Tone;
use super::{EndTable, View, ViewContext, sanitize};
use crate::event::{Event, EventKind};
use crate::report::RunReport;
use crate::stats::RunStats;

/// The views of a run.
pub(crate) struct Terminal {
    ctx: ViewContext,
    screen: Screen,
    views: Vec<Box<dyn View + Send>>,
    live: Option<Live>,
    stats: RunStats,
}

impl Terminal {
    /// `stdout_taken`: a report goes there, so nothing else may.
    pub(crate) fn new(ctx: ViewContext, screen: Screen, stdout_taken: bool, end_table: EndTable) -> Self {
        let chain_news = end_table == EndTable::Chains;
        let mut views: Vec<Box<dyn View + Send>> = Vec::new();
        if !stdout_taken {
            views.extend(output_view(&ctx.settings, &ctx));
            match end_table {
                EndTable::Chains => views.push(Box::new(ChainTable::default())),
                EndTable::States(facts) => views.push(Box::new(StateTable { facts })),
            }
        }
        views.push(Box::new(StatusLines::new(&ctx, stdout_taken, chain_news)));
        let live = screen.is_live().then(|| Live::new(ctx.names.len()));
        let stats = RunStats { hosts: ctx.names.len(), ..RunStats::default() };
        Self { ctx, screen, views, live, stats }
    }

    pub(crate) fn event(&mut self, event: &Event, stats: &RunStats) -> io::Result<()> {
        if let EventKind::RunStarted { steps, .. } = &event.kind {
            self.ctx.steps.clone_from(steps);
        }
        if let Some(live) = &mut self.live {
            live.event(event);
            self.stats.clone_from(stats);
        }
        let mut first = Ok(());
        for view in &mut self.views {
            first = first.and(view.event(event, stats, &self.ctx, &mut self.screen));
        }
        first.and(self.screen.settle())
    }

    pub(crate) fn warn(&mut self, message: &str) -> io::Result<()> {
        let text = format!("{} {}", self.ctx.err.paint(Tone::Warn, "warning:"), sanitize::words(message));
        self.screen.err_line(&text).and_then(|()| self.screen.flush())
    }

    pub(crate) fn tick(&mut self, at: Duration) -> io::Result<()> {
        let mut first = Ok(());
        for view in &mut self.views {
            first = first.and(view.tick(at, &self.ctx, &mut self.screen));
        }
        // A reader of a pipe must not wait for a full buffer.
        first = first.and(self.screen.flush());
        if let Some(live) = &self.live {
            self.screen.draw(&live.lines(at, &self.stats, &self.ctx));
        }
        first
    }

    pub(crate) fn finish(&mut self, report: &RunReport, stats: &RunStats, errors: &[String]) -> io::Result<()> {
        self.live = None;
        self.screen.hide();
        let mut first = Ok(());
        for view in &mut self.views {
            first = first.and(view.finish(report, stats, &self.ctx, &mut self.screen));
        }
        // A full disk is met here at the latest, and must be said while there is something left to say it with.
        first = first.and(self.screen.flush());
        let late = first.as_ref().err().map(super::not_written).filter(|text| !errors.contains(text));
        for error in errors.iter().chain(&late) {
            let text = format!("{} {error}", self.ctx.err.paint(Tone::Bad, "error:"));
            first = first.and(self.screen.err_line(&text));
        }
        first.and(self.screen.flush())
    }

    pub(crate) fn resize(&mut self, columns: usize, rows: usize) {
        self.ctx.settings.columns = self.ctx.settings.columns.map(|_| columns.max(20));
        self.ctx.settings.rows = rows;
        self.screen.resize(columns, rows);
    }
}

fn output_view(settings: &OutputSettings, ctx: &ViewContext) -> Option<Box<dyn View + Send>> {
    match (settings.command, settings.mode) {
        (CommandKind::Output, Mode::Gather) => Some(Box::new(GatherView::new())),
        (CommandKind::Output, Mode::Stream) => Some(Box::new(StreamView::new(ctx))),
        (CommandKind::Output, Mode::QuietHosts)
        | (CommandKind::Ping | CommandKind::Check | CommandKind::Changes, _) => Some(Box::new(ResultsView::new(ctx))),
        // Steps of a playbook are work, not questions; their output is for those who ask.
        (CommandKind::Playbook, _) => {
            (settings.verbose > 0).then(|| Box::new(GatherView::new()) as Box<dyn View + Send>)
        }
    }
}
