//! Waiting for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until the condition holds; panics with `what` when it never does.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    assert!(within(Duration::from_secs(30), &mut holds), "waited 30s in vain until {what}");
}

/// Whether the condition comes to hold within a time.
pub(crate) fn within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if started.elapsed() >= limit {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
