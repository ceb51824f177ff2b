//! Finds threads that one task keeps for long, while the others wait.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// How often threads are looked at. One that is in the same turn of the same task at two looks in a row has stalled.
const EVERY: Duration = Duration::from_millis(100);

static THREADS: Mutex<Vec<Turns>> = Mutex::new(Vec::new());

thread_local! {
    static COUNT: Arc<AtomicU64> = {
        let count = Arc::default();
        all().push(Turns { count: Arc::downgrade(&count), last: 0 });
        count
    };
}

/// The turns of a thread's tasks.
struct Turns {
    /// How often one has begun or ended: odd while one is under way.
    count: Weak<AtomicU64>,
    /// What that was at the last look.
    last: u64,
}

impl Turns {
    /// Whether the turn that was under way at the last look still is.
    fn have_stalled(&mut self, count: u64) -> bool {
        std::mem::replace(&mut self.last, count) == count && count % 2 == 1
    }
}

fn all() -> MutexGuard<'static, Vec<Turns>> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This work, so that its turns are counted.
pub fn counted<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let mut work = Box::pin(work);
    poll_fn(move |context| {
        let _turn = Turn::begin();
        work.as_mut().poll(context)
    })
}

/// A turn on this thread.
struct Turn {
    /// It is within another one, which counts.
    is_inner: bool,
}

impl Turn {
    fn begin() -> Self {
        let is_inner = COUNT.with(|count| count.load(Ordering::Relaxed) % 2 == 1);
        let turn = Self { is_inner };
        turn.count();
        turn
    }

    fn count(&self) {
        if !self.is_inner {
            COUNT.with(|count| count.fetch_add(1, Ordering::Relaxed));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.count();
    }
}

/// Calls this from a thread of its own at each look at which a thread has stalled, as long as the process lives.
///
/// # Errors
/// When the system gives no thread.
pub fn watch(act: fn()) -> std::io::Result<()> {
    let looking = move || {
        loop {
            thread::sleep(EVERY);
            if look() {
                act();
            }
        }
    };
    thread::Builder::new().name("stalls".to_owned()).spawn(looking).map(drop)
}

/// Whether a thread has stalled.
fn look() -> bool {
    let mut stalled = false;
    all().retain_mut(|turns| {
        let count = turns.count.upgrade();
        stalled |= count.as_ref().is_some_and(|count| turns.have_stalled(count.load(Ordering::Relaxed)));
        count.is_some()
    });
    stalled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_turn_that_lasts_is_a_stall() {
        let mut turns = Turns { count: Weak::new(), last: 0 };
        let seen = [0, 1, 3, 3, 3, 4, 4, 5].map(|count| turns.have_stalled(count));
        assert_eq!(seen, [false, false, false, true, true, false, false, false]);
    }

    #[test]
    fn a_turn_is_counted_when_it_begins_and_when_it_ends_however_it_ends() {
        let count = || COUNT.with(|count| count.load(Ordering::Relaxed));
        let before = count();
        let inside = futures_lite::future::block_on(counted(counted(async { count() })));
        assert_eq!((inside, count()), (before + 1, before + 2));
        let broken = std::panic::catch_unwind(|| futures_lite::future::block_on(counted(async { panic!("as meant") })));
        assert!(broken.is_err());
        assert_eq!(count(), before + 4);
    }
}
