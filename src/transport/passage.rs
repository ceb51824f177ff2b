//! What is known of whatever carries a connection that does not go over the network itself: a jump host's connection, or a
//! command.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_channel::{Receiver, Sender};

use crate::control::{Deadline, race};

/// Held by those who use a passage; whoever provides it sees when the last one is gone.
pub(super) type Lease = Sender<()>;

/// Time for what carried a connection to say why it ended, once the connection has.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Most bytes of what a command said that are kept.
const MOST_WORDS: usize = 2000;

/// Shared by whoever provides it and all who use it.
#[derive(Debug)]
pub(super) struct Passage {
    known: Mutex<Known>,
    /// Closed once it has ended.
    open: Sender<()>,
    closed: Receiver<()>,
}

#[derive(Debug, Default)]
struct Known {
    ended: Option<String>,
    words: Vec<u8>,
}

impl Default for Passage {
    fn default() -> Self {
        let (open, closed) = async_channel::bounded(1);
        Self { known: Mutex::default(), open, closed }
    }
}

impl Passage {
    /// It has ended. The first reason counts.
    pub(super) fn end(&self, why: impl Into<String>) {
        self.known().ended.get_or_insert_with(|| why.into());
        self.open.close();
    }

    /// Why it has ended, if it has.
    pub(super) fn ended(&self) -> Option<String> {
        self.known().ended.clone()
    }

    /// The same, after a moment in which it may still come.
    pub(super) async fn ended_soon(&self) -> Option<String> {
        let closing = async { while self.closed.recv().await.is_ok() {} };
        race(closing, Deadline::after(Some(LAST_WORDS)), None).await;
        self.ended()
    }

    /// Keeps what a command said, the last of it.
    pub(super) fn hear(&self, bytes: &[u8]) {
        let words = &mut self.known().words;
        words.extend_from_slice(bytes);
        let surplus = words.len().saturating_sub(MOST_WORDS);
        words.drain(..surplus);
    }

    /// What a command said, in one line.
    pub(super) fn words(&self) -> String {
        let known = self.known();
        let text = String::from_utf8_lossy(&known.words);
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::Reactor;

    #[test]
    fn the_first_reason_counts_and_is_waited_for() {
        let passage = std::sync::Arc::new(Passage::default());
        assert_eq!(passage.ended(), None);
        let other = passage.clone();
        let waiter = std::thread::spawn(move || Reactor::new().unwrap().block_on(other.ended_soon()));
        passage.end("one");
        passage.end("two");
        assert_eq!(waiter.join().unwrap().as_deref(), Some("one"));
    }

    #[test]
    fn of_many_words_the_last_are_kept() {
        let passage = Passage::default();
        passage.hear(b"nc: no\n\n  really \n");
        assert_eq!(passage.words(), "nc: no; really");
        passage.hear(&[b'x'; MOST_WORDS]);
        assert_eq!(passage.words(), "x".repeat(MOST_WORDS));
    }
}
