//! The end of a run: its journal and its reports are closed, and it has an exit status.

use std::sync::Arc;

use super::watcher::Watcher;
use crate::commands::journal::RunJournal;
use crate::commands::written::written;
use crate::event::{Event, EventKind, Reporter as _};
use crate::exit::ExitStatus;
use crate::report::RunReport;
use crate::reporter::{Hurry, ReportQueue};
use crate::stats::{CancelReason, RunStats};

/// Closes the journal and the reports of a run, and gives the exit status.
///
/// The journal is written before the reports, which may wait for a reader, and again where they made a difference.
pub(super) fn close(
    mut report: RunReport,
    mut stats: RunStats,
    journal: &mut RunJournal,
    queue: &mut ReportQueue<Watcher>,
    hurry: &Hurry,
    signals: &async_channel::Receiver<CancelReason>,
) -> (ExitStatus, Arc<RunReport>) {
    if let Some((message, broken)) = journal.close(&report) {
        stats.broken |= broken;
        report.status = stats.exit_status();
        let warning = Event { at: report.elapsed, kind: EventKind::Warning { message } };
        stats.broken |= queue.take(warning, &stats).is_err();
    }
    let report = Arc::new(report);
    queue.finish(Arc::clone(&report), &stats);
    let written = written(queue, hurry, signals);
    stats.broken |= written.reporter.as_ref().is_some_and(|watcher| !watcher.reporters.errors().is_empty());
    stats.broken |= written.is_broken;
    if let Some(reason) = written.interrupted {
        stats.cancelled.get_or_insert(reason);
    }
    let exit = stats.exit_status();
    if exit == report.status {
        return (exit, report);
    }
    let mut report = Arc::unwrap_or_clone(report);
    report.status = exit;
    // An error here was told the first time.
    let _ = journal.close(&report);
    (exit, Arc::new(report))
}
