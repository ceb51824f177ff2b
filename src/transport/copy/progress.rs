//! Bytes of one order, as they go over the line.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Time between two words about it.
const PAUSE: Duration = Duration::from_millis(200);

/// How many bytes of an order have gone, and of how many, over all its attempts.
pub struct CopyProgress<'a> {
    moved: Cell<u64>,
    of: Cell<u64>,
    said: Cell<Option<Instant>>,
    tell: &'a dyn Fn(u64, u64),
}

impl<'a> CopyProgress<'a> {
    /// One that tells so now and then: how many, and of how many.
    pub fn new(tell: &'a dyn Fn(u64, u64)) -> Self {
        Self { moved: Cell::new(0), of: Cell::new(0), said: Cell::new(None), tell }
    }

    /// Bytes that have gone.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.moved.get()
    }

    /// So many are still to go.
    pub(super) fn expect(&self, bytes: u64) {
        self.of.set(self.moved.get().saturating_add(bytes));
    }

    /// So many need not go: they are there already.
    pub(super) fn spare(&self, bytes: u64) {
        self.of.set(self.of.get().saturating_sub(bytes));
    }

    /// So many more have gone.
    pub(super) fn add(&self, bytes: usize) {
        self.moved.set(self.moved.get().saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX)));
        if self.said.get().is_none_or(|said| said.elapsed() >= PAUSE) {
            self.said.set(Some(Instant::now()));
            (self.tell)(self.moved.get(), self.of.get().max(self.moved.get()));
        }
    }
}
