//! What stands between a run and its reporters: it has the warnings from before the run, and looks at the terminal's size.

use crate::commands::environment::Environment;
use crate::commands::output_inputs::terminal_size;
use crate::event::{Event, EventKind, Reporter};
use crate::report::RunReport;
use crate::reporter::Reporters;
use crate::stats::RunStats;

/// Passes events on, with the warnings from before the run in front.
pub(super) struct Watcher {
    pub(super) reporters: Reporters,
    pub(super) warnings: Vec<String>,
    /// Of the terminal, as last seen.
    pub(super) size: Option<(usize, usize)>,
    pub(super) environment: Environment,
}

impl Watcher {
    /// The live view must know the width that its lines have by now, before anything is written over them.
    fn look_at_the_terminal(&mut self) {
        if !self.reporters.is_live() {
            return;
        }
        let size = terminal_size(&self.environment);
        if size != self.size
            && let Some((columns, rows)) = size
        {
            self.size = size;
            self.reporters.resize(columns, rows);
        }
    }
}

impl Reporter for Watcher {
    fn event(&mut self, event: &Event, stats: &RunStats) -> std::io::Result<()> {
        self.look_at_the_terminal();
        self.reporters.event(event, stats);
        for message in self.warnings.drain(..) {
            let warning = Event { at: event.at, kind: EventKind::Warning { message } };
            self.reporters.event(&warning, stats);
        }
        Ok(())
    }

    fn finish(&mut self, report: &RunReport, stats: &RunStats) -> std::io::Result<()> {
        if self.reporters.errors().is_empty() || stats.broken {
            self.reporters.finish(report, stats);
            return Ok(());
        }
        let stats = RunStats { broken: true, ..stats.clone() };
        self.reporters.finish(&RunReport { status: stats.exit_status(), ..report.clone() }, &stats);
        Ok(())
    }

    fn tick(&mut self, at: std::time::Duration) {
        self.look_at_the_terminal();
        self.reporters.tick(at);
    }
}
