//! Cancellation tokens and deadlines, and racing work against both.
//!
//! Knows nothing about hosts or SSH.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_lite::future;

use crate::reactor::{now, sleep_until};

/// So late, a limit was not watched: the process was stopped (Ctrl-Z), or had no turn for long.
const UNWATCHED: Duration = Duration::from_millis(100);
/// Longest time in which what arrived meanwhile is read.
const CATCH_UP: Duration = Duration::from_secs(1);

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
        Self(limit.and_then(|limit| now().checked_add(limit)))
    }

    /// Time left, zero once passed. `None`: no limit.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(now()))
    }

    /// Ends when the deadline passes; never, where there is none. Where nobody could watch it pass, what has arrived
    /// meanwhile is heard first.
    pub async fn passed(self) {
        let Some(at) = self.0 else { return future::pending().await };
        sleep_until(at).await;
        if let Some(later) = put_off(at, now()) {
            sleep_until(later).await;
        }
    }
}

/// When a limit that is found to have passed is judged, where that is not now.
fn put_off(at: Instant, now: Instant) -> Option<Instant> {
    let late = now.saturating_duration_since(at);
    (late > UNWATCHED).then(|| now + late.min(CATCH_UP))
}

/// A deadline for whoever looks at the clock between other things: it is judged no earlier than a `Deadline` is.
#[derive(Debug, Clone, Copy)]
pub struct WatchedLimit {
    at: Instant,
    was_put_off: bool,
}

impl WatchedLimit {
    /// Passes then.
    #[must_use]
    pub fn at(at: Instant) -> Self {
        Self { at, was_put_off: false }
    }

    /// When it is to be looked at again.
    #[must_use]
    pub fn next_look(self) -> Instant {
        self.at
    }

    /// Brings it forward, if that is earlier.
    pub fn no_later_than(&mut self, at: Instant) {
        self.at = self.at.min(at);
    }

    /// Whether it has passed. Where nobody looked when it did, it is put off once, for what has arrived meanwhile.
    pub fn has_passed(&mut self) -> bool {
        let now = now();
        if now < self.at {
            return false;
        }
        match put_off(self.at, now).filter(|_| !self.was_put_off) {
            Some(later) => {
                *self = Self { at: later, was_put_off: true };
                false
            }
            None => true,
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
    use crate::reactor::{Reactor, virtual_time};

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

    /// Takes several turns to read what is there.
    async fn reading(turns: usize) {
        for _ in 0..turns {
            virtual_time::wake_at(now());
            future::yield_now().await;
        }
    }

    #[test]
    fn what_has_arrived_while_the_process_was_stopped_is_read_before_a_deadline_is_judged() {
        let second = Duration::from_secs(1);
        virtual_time::block_on(async {
            let deadline = Deadline::after(Some(second));
            virtual_time::pass(second * 5);
            let raced = race(reading(3), deadline, None).await;
            assert!(matches!(raced, Raced::Done(())), "{raced:?}");
            // Who has nothing to read is not waited for without end.
            let raced = race(future::pending::<()>(), deadline, None).await;
            assert!(matches!(raced, Raced::Late), "{raced:?}");
        });
    }

    #[test]
    fn a_deadline_that_was_watched_is_judged_when_it_passes() {
        virtual_time::block_on(async {
            let began = now();
            let raced = race(future::pending::<()>(), Deadline::after(Some(Duration::from_secs(1))), None).await;
            assert!(matches!(raced, Raced::Late), "{raced:?}");
            assert_eq!(now() - began, Duration::from_secs(1));
            let mut limit = WatchedLimit::at(now());
            assert!(limit.has_passed());
        });
    }

    #[test]
    fn a_limit_that_nobody_saw_pass_is_put_off_once() {
        virtual_time::block_on(async {
            let second = Duration::from_secs(1);
            let mut limit = WatchedLimit::at(now() + second);
            assert!(!limit.has_passed());
            virtual_time::pass(second * 3);
            assert!(!limit.has_passed(), "it is put off");
            assert_eq!(limit.next_look(), now() + CATCH_UP);
            virtual_time::pass(second * 30);
            assert!(limit.has_passed(), "and no second time");
        });
    }
}
