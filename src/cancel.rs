//! Cancellation tokens and deadlines, and racing work against both.
//!
//! Knows nothing about hosts or SSH.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_lite::future;

use crate::reactor::sleep_until;

/// Tells any number of waiting tasks, on any thread, to stop. Cancelling is for good.
#[derive(Debug, Clone)]
pub struct CancelToken {
    flag: Arc<AtomicBool>,
    open: async_channel::Sender<()>,
    closed: async_channel::Receiver<()>,
}

impl Default for CancelToken {
    fn default() -> Self {
        let (open, closed) = async_channel::bounded(1);
        Self { flag: Arc::default(), open, closed }
    }
}

impl CancelToken {
    /// Wakes everything that waits for this token.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::SeqCst);
        self.open.close();
    }

    /// True once cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// Ends when the token is cancelled.
    pub async fn cancelled(&self) {
        // Nothing is ever sent: `recv` ends when the channel is closed.
        while self.closed.recv().await.is_ok() {}
    }
}

/// A point in time by which something must be done, or none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// So far from now; `None` never passes.
    #[must_use]
    pub fn after(limit: Option<Duration>) -> Self {
        Self(limit.and_then(|limit| Instant::now().checked_add(limit)))
    }

    /// Time left, zero once passed. `None`: no limit.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Ends when the deadline passes; never, where there is none.
    pub async fn passed(self) {
        match self.0 {
            Some(at) => sleep_until(at).await,
            None => future::pending().await,
        }
    }
}

/// How a race between some work and what may cut it short went.
#[derive(Debug)]
pub enum Raced<T> {
    /// The work was done.
    Done(T),
    /// The deadline passed first.
    Late,
    /// The token was cancelled first.
    Cancelled,
}

/// Runs `work` until it is done, its deadline passes, or the token is cancelled. Work that is cut short is dropped.
///
/// The work is boxed: moved into the race as it is, it would lie there three times over, in each of ten thousand hosts.
pub fn race<'a, T: 'a>(
    work: impl Future<Output = T> + 'a,
    deadline: Deadline,
    cancel: Option<&'a CancelToken>,
) -> impl Future<Output = Raced<T>> + 'a {
    let work = Box::pin(work);
    let cancelled = async move {
        match cancel {
            Some(token) => token.cancelled().await,
            None => future::pending().await,
        }
        Raced::Cancelled
    };
    let late = async move {
        deadline.passed().await;
        Raced::Late
    };
    future::or(async { Raced::Done(work.await) }, future::or(cancelled, late))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::Reactor;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        Reactor::new().unwrap().block_on(work)
    }

    #[test]
    fn work_that_is_ready_wins_over_everything() {
        let cancel = CancelToken::default();
        cancel.cancel();
        let raced = block_on(race(async { 7 }, Deadline::after(Some(Duration::ZERO)), Some(&cancel)));
        assert!(matches!(raced, Raced::Done(7)), "{raced:?}");
    }

    #[test]
    fn cancelling_wakes_a_waiter_on_another_thread() {
        let cancel = CancelToken::default();
        let other = cancel.clone();
        let waiter =
            std::thread::spawn(move || block_on(race(future::pending::<()>(), Deadline::default(), Some(&other))));
        cancel.cancel();
        assert!(matches!(waiter.join().unwrap(), Raced::Cancelled));
        assert!(cancel.is_cancelled());
    }

    #[test]
    fn a_deadline_passes() {
        let raced = block_on(race(future::pending::<()>(), Deadline::after(Some(Duration::from_millis(5))), None));
        assert!(matches!(raced, Raced::Late));
        assert_eq!(Deadline::default().left(), None);
    }
}
