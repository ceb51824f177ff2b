//! The last of what a run writes: it is waited for, but not for a reader that has stopped.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::event::Reporter;
use crate::reporter::{Hurry, ReportQueue};
use crate::stats::CancelReason;

use super::standard_stream::{StandardStream, Which};

/// Time in which at least something must have been written, once the run was cut short.
const LONGEST_WRITE: Duration = Duration::from_secs(5);

/// How the end of a run was written.
pub(super) struct Written<R> {
    /// The reporter, unless it was left behind.
    pub(super) reporter: Option<R>,
    /// The reporter panicked.
    pub(super) is_broken: bool,
    /// The user did not want to wait for it.
    pub(super) interrupted: Option<CancelReason>,
}

/// Waits until all is written. A signal, and the end of a run that was cut short, wait for no reader that has stopped.
pub(super) fn written<R: Reporter + Send + 'static>(
    queue: &mut ReportQueue<R>,
    hurry: &Hurry,
    signals: &async_channel::Receiver<CancelReason>,
) -> Written<R> {
    let mut interrupted = None;
    let (mut writes, mut since) = (hurry.writes(), Instant::now());
    loop {
        match queue.join(Duration::from_millis(20)) {
            Some(Ok(reporter)) => return Written { reporter: Some(reporter), is_broken: false, interrupted },
            Some(Err(_)) => return Written { reporter: None, is_broken: true, interrupted },
            None => {}
        }
        if let Ok(reason) = signals.try_recv() {
            interrupted.get_or_insert(reason);
            hurry.begin();
        }
        if hurry.writes() != writes || !hurry.has_begun() {
            (writes, since) = (hurry.writes(), Instant::now());
        } else if since.elapsed() >= LONGEST_WRITE {
            let said = b"warning: a report was not written to its end: its reader has stopped reading\n";
            let _ = StandardStream::new(Which::Err, hurry.clone()).write_all(said);
            return Written { reporter: None, is_broken: false, interrupted };
        }
    }
}
