//! The queue between the run and its reporters, and the thread that empties it: what decides never waits for a terminal,
//! a pipe or a disk.
//!
//! The queue is bounded in bytes by what events reserve (`budget`). What is only for the eye is left out while much waits.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::event::{Event, EventKind, Reporter};
use crate::report::RunReport;
use crate::stats::{CancelReason, RunStats};

/// Events that are handed over at once.
const PORTION: usize = 64;
/// Bytes of output that may wait for a tick.
const LITTLE: u64 = 1024;
/// With more events than this waiting, those that are only for the eye are left out.
const CROWDED: usize = 4096;

/// Whether writers still have time. Once the run is cut short they give up on a reader that has stopped reading.
#[derive(Debug, Clone, Default)]
pub struct Hurry(Arc<HurryState>);

#[derive(Debug, Default)]
struct HurryState {
    begun: AtomicBool,
    writes: AtomicU64,
}

impl Hurry {
    /// From now on, who has stopped reading is not waited for.
    pub fn begin(&self) {
        self.0.begun.store(true, Ordering::SeqCst);
    }

    /// True once the run was cut short.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.begun.load(Ordering::SeqCst)
    }

    /// To be said by each writer after each write.
    pub fn wrote(&self) {
        self.0.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts writes: where it stands still, nothing is taken any more.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::Relaxed)
    }
}

/// A writer that says each of its writes.
pub struct Counted<W> {
    inner: W,
    hurry: Hurry,
}

impl<W> Counted<W> {
    /// Says the writes of this one.
    pub fn new(inner: W, hurry: Hurry) -> Self {
        Self { inner, hurry }
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes).inspect(|_| self.hurry.wrote())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

enum Item {
    Event(Box<Event>, RunStats),
    Tick(Duration),
    /// Everything before it is written.
    Shown(std::sync::mpsc::SyncSender<()>),
    Finish(Arc<RunReport>, RunStats),
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    filled: Condvar,
}

impl Shared {
    fn push(&self, items: &mut Vec<Item>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.items.extend(items.drain(..));
        self.filled.notify_one();
    }

    /// Everything that waits; `None` at the end.
    fn pop_all(&self) -> Option<VecDeque<Item>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.items.is_empty() && !state.closed {
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let items = std::mem::take(&mut state.items);
        (!items.is_empty()).then_some(items)
    }

    fn waiting(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).items.len()
    }
}

/// The run's end of the queue: a reporter that never blocks.
pub struct ReportQueue<R> {
    shared: Arc<Shared>,
    portion: Vec<Item>,
    hurry: Hurry,
    thread: Option<JoinHandle<R>>,
    done: std::sync::mpsc::Receiver<()>,
    failed: Arc<AtomicBool>,
}

impl<R: Reporter + Send + 'static> ReportQueue<R> {
    /// Starts the thread that hands events to `reporter`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(mut reporter: R, hurry: Hurry) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let failed = Arc::new(AtomicBool::new(false));
        let (tell, done) = std::sync::mpsc::sync_channel(1);
        let (queue, broken, progress) = (shared.clone(), failed.clone(), hurry.clone());
        let thread = thread::Builder::new().name("reporter".to_owned()).spawn(move || {
            while let Some(items) = queue.pop_all() {
                for item in items {
                    progress.wrote();
                    if give(&mut reporter, item).is_err() {
                        broken.store(true, Ordering::SeqCst);
                    }
                }
            }
            drop(tell);
            reporter
        })?;
        Ok(Self { shared, portion: Vec::new(), hurry, thread: Some(thread), done, failed })
    }

    /// Hands over the report, once, after the last event.
    pub fn finish(&mut self, report: Arc<RunReport>, stats: &RunStats) {
        self.portion.push(Item::Finish(report, stats.clone()));
    }

    /// True once a reporter could not write something.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Waits until everything is written, for at most so long. Gives the reporter back.
    pub fn join(&mut self, limit: Duration) -> Option<thread::Result<R>> {
        self.hand_over();
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.filled.notify_one();
        match self.done.recv_timeout(limit) {
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => None,
            // Nothing is ever sent: the thread is done.
            Ok(()) | Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => self.thread.take().map(JoinHandle::join),
        }
    }
}

fn give(reporter: &mut impl Reporter, item: Item) -> io::Result<()> {
    match item {
        Item::Event(event, stats) => reporter.take(*event, &stats),
        Item::Tick(at) => {
            reporter.tick(at);
            Ok(())
        }
        Item::Shown(tell) => {
            let _ = tell.try_send(());
            Ok(())
        }
        Item::Finish(report, stats) => reporter.finish(&report, &stats),
    }
}

/// What may be left out while much waits: it says how things stand at a time that is past by then.
fn is_for_the_eye(kind: &EventKind) -> bool {
    matches!(kind, EventKind::StillRunning { .. } | EventKind::Moving { .. } | EventKind::PhaseStarted { .. })
}

/// What need not be shown before the next tick: that all is well. To wake a thread for each would cost more than to make the event.
fn may_wait(item: &Item) -> bool {
    let Item::Event(event, _) = item else { return false };
    match &event.kind {
        EventKind::StepStarted { .. }
        | EventKind::StepFinished { .. }
        | EventKind::HostStarted { .. }
        | EventKind::PhaseStarted { .. }
        | EventKind::Connected { .. }
        | EventKind::HostStepStarted { .. } => true,
        // What waits is kept, and takes the room of what comes.
        EventKind::HostStepFinished { result, .. } => {
            result.outcome.is_success() && result.stdout.len() + result.stderr.len() <= LITTLE
        }
        EventKind::HostFinished { outcome, .. } => outcome.is_success(),
        _ => false,
    }
}

impl<R> ReportQueue<R> {
    fn hand_over(&mut self) {
        if !self.portion.is_empty() {
            self.shared.push(&mut self.portion);
        }
    }
}

impl<R: Reporter + Send + 'static> Reporter for ReportQueue<R> {
    fn event(&mut self, event: &Event, stats: &RunStats) -> io::Result<()> {
        self.take(event.clone(), stats)
    }

    fn take(&mut self, event: Event, stats: &RunStats) -> io::Result<()> {
        if let EventKind::CancelRequested { reason, .. } = &event.kind
            && *reason != CancelReason::MaxFail
        {
            self.hurry.begin();
        }
        if is_for_the_eye(&event.kind) && self.shared.waiting() > CROWDED {
            return Ok(());
        }
        self.portion.push(Item::Event(Box::new(event), stats.clone()));
        if self.portion.len() >= PORTION {
            self.hand_over();
        }
        if self.failed.load(Ordering::SeqCst) { Err(io::Error::other("a report could not be written")) } else { Ok(()) }
    }

    fn settle(&mut self) {
        if !self.portion.iter().all(may_wait) {
            self.hand_over();
        }
    }

    fn tick(&mut self, at: Duration) {
        // Where the last one still waits, another would say nothing new.
        if self.shared.waiting() == 0 {
            self.portion.push(Item::Tick(at));
        }
        self.hand_over();
    }

    fn shown(&mut self) -> Box<dyn FnOnce() + Send> {
        let (tell, reported) = std::sync::mpsc::sync_channel(1);
        self.portion.push(Item::Shown(tell));
        self.hand_over();
        Box::new(move || {
            let _ = reported.recv();
        })
    }
}

impl<R> Drop for ReportQueue<R> {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.filled.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Takes an event each time it is told to.
    struct Slow {
        go: Receiver<()>,
        seen: Vec<String>,
        reported: Sender<()>,
    }

    impl Reporter for Slow {
        fn event(&mut self, event: &Event, _: &RunStats) -> io::Result<()> {
            let _ = self.reported.send(());
            let _ = self.go.recv();
            self.seen.push(format!("{:?}", event.kind));
            Ok(())
        }

        fn tick(&mut self, _: Duration) {
            self.seen.push("tick".to_owned());
        }
    }

    fn warning(text: &str) -> Event {
        Event { at: Duration::ZERO, kind: EventKind::Warning { message: text.to_owned() } }
    }

    #[test]
    fn who_decides_does_not_wait_for_who_writes_and_nothing_is_lost() {
        let ((go, wait), (reported, stuck)) = (channel(), channel());
        let slow = Slow { go: wait, seen: Vec::new(), reported };
        let mut queue = ReportQueue::start(slow, Hurry::default()).unwrap();
        let stats = RunStats::default();
        queue.take(warning("0"), &stats).unwrap();
        queue.settle();
        stuck.recv().unwrap();
        // The reporter is stuck; all of this returns at once.
        for number in 1..10_000 {
            queue.take(warning(&number.to_string()), &stats).unwrap();
            queue.tick(Duration::ZERO);
        }
        let eye = Event { at: Duration::ZERO, kind: EventKind::StillRunning { hosts: Vec::new() } };
        queue.take(eye, &stats).unwrap();
        assert!(queue.join(Duration::from_millis(1)).is_none(), "it cannot be done yet");
        drop(go);
        let slow = queue.join(Duration::from_secs(60)).expect("in time").expect("no panic");
        let numbers: Vec<&String> = slow.seen.iter().filter(|seen| seen.starts_with("Warning")).collect();
        assert_eq!(numbers.len(), 10_000);
        assert!(numbers[9_999].contains("\"9999\""), "{}", numbers[9_999]);
        assert!(!slow.seen.iter().any(|seen| seen.starts_with("StillRunning")), "that was past");
    }

    #[test]
    fn a_run_that_is_cut_short_is_in_a_hurry_and_one_with_failures_is_not() {
        struct Deaf;
        impl Reporter for Deaf {
            fn event(&mut self, _: &Event, _: &RunStats) -> io::Result<()> {
                Ok(())
            }
        }
        for (reason, hurries) in [
            (CancelReason::Interrupt, true),
            (CancelReason::Terminate, true),
            (CancelReason::Deadline, true),
            (CancelReason::MaxFail, false),
        ] {
            let hurry = Hurry::default();
            let mut queue = ReportQueue::start(Deaf, hurry.clone()).unwrap();
            let kind = EventKind::CancelRequested { reason, running: 0 };
            queue.take(Event { at: Duration::ZERO, kind }, &RunStats::default()).unwrap();
            assert_eq!(hurry.has_begun(), hurries, "{reason:?}");
        }
    }
}
