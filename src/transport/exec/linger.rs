//! The time after a command's end in which its output is read on.

use std::time::{Duration, Instant};

use futures_lite::future;

use super::DRAIN_TIME;
use super::collector::Collector;
use crate::reactor::sleep;

/// Until when a command's output is read after its own end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linger {
    limit: Option<Duration>,
    /// When the trailer was read, and when the last that the wrapper says.
    ended: Option<Instant>,
    whole: Option<Instant>,
}

impl Linger {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self { limit, ended: None, whole: None }
    }

    /// True once enough was read of a command that has ended.
    pub(crate) fn is_over(&mut self, collected: &Collector<'_>) -> bool {
        if collected.ended().is_none() {
            return false;
        }
        let now = Instant::now();
        self.ended.get_or_insert(now);
        if collected.is_whole() {
            self.whole.get_or_insert(now);
        }
        self.left().is_some_and(|left| left.is_zero())
    }

    /// Ends when enough was read; never, where the command has not ended, or is listened to until its output is closed.
    pub(crate) async fn over(&self) {
        match self.left() {
            Some(left) => sleep(left).await,
            None => future::pending().await,
        }
    }

    fn left(&self) -> Option<Duration> {
        let limit = self.limit?;
        match (self.whole, self.ended) {
            (Some(whole), _) => Some(limit.saturating_sub(whole.elapsed())),
            // The end of standard error comes on another way, or not at all.
            (None, Some(ended)) => Some(limit.max(DRAIN_TIME).saturating_sub(ended.elapsed())),
            (None, None) => None,
        }
    }
}
