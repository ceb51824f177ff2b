//! Waiting for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until the condition holds; panics with `what` when it never does. `LAB_WAIT` (seconds, 30) is for machines that have
/// much else to do.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = std::env::var("LAB_WAIT").ok().and_then(|limit| limit.parse().ok()).unwrap_or(30);
    assert!(within(Duration::from_secs(limit), &mut holds), "waited {limit}s in vain until {what}");
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
