//! What is known of whatever carries a connection that does not go over the network itself: a jump host's connection, or a
//! command.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_channel::{Receiver, Sender};

use crate::cancel::{Deadline, race};

/// Held by those who use a passage; whoever provides it sees when the last one is gone.
pub(crate) type KeepAlive = Sender<()>;

/// Time for what carried a connection to say why it ended, once the connection has.
const END_REASON_WAIT: Duration = Duration::from_secs(1);
/// Most bytes of what a command said that are kept.
const MOST_STDERR: usize = 2000;

/// Shared by whoever provides it and all who use it.
#[derive(Debug)]
pub(crate) struct TunnelStatus {
    lock: Mutex<StatusInner>,
    /// Closed once it has ended.
    open: Sender<()>,
    closed: Receiver<()>,
}

#[derive(Debug, Default)]
struct StatusInner {
    ended: Option<String>,
    stderr_tail: Vec<u8>,
}

impl Default for TunnelStatus {
    fn default() -> Self {
        let (open, closed) = async_channel::bounded(1);
        Self { lock: Mutex::default(), open, closed }
    }
}

impl TunnelStatus {
    /// It has ended. The first reason counts.
    pub(crate) fn end(&self, why: impl Into<String>) {
        self.lock().ended.get_or_insert_with(|| why.into());
        self.open.close();
    }

    /// Why it has ended, if it has.
    pub(crate) fn ended(&self) -> Option<String> {
        self.lock().ended.clone()
    }

    /// The same, after a moment in which it may still come.
    pub(crate) async fn wait_for_end(&self) -> Option<String> {
        let closing = async { while self.closed.recv().await.is_ok() {} };
        race(closing, Deadline::after(Some(END_REASON_WAIT)), None).await;
        self.ended()
    }

    /// Keeps what a command said, the last of it.
    pub(crate) fn add_stderr(&self, bytes: &[u8]) {
        let stderr_tail = &mut self.lock().stderr_tail;
        stderr_tail.extend_from_slice(bytes);
        let surplus = stderr_tail.len().saturating_sub(MOST_STDERR);
        stderr_tail.drain(..surplus);
    }

    /// What a command said, in one line.
    pub(crate) fn stderr_tail(&self) -> String {
        let lock = self.lock();
        let text = String::from_utf8_lossy(&lock.stderr_tail);
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
    }

    fn lock(&self) -> MutexGuard<'_, StatusInner> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::Reactor;

    #[test]
    fn the_first_reason_counts_and_is_waited_for() {
        let via_status = std::sync::Arc::new(TunnelStatus::default());
        assert_eq!(via_status.ended(), None);
        let other = via_status.clone();
        let waiter = std::thread::spawn(move || Reactor::new().unwrap().block_on(other.wait_for_end()));
        via_status.end("one");
        via_status.end("two");
        assert_eq!(waiter.join().unwrap().as_deref(), Some("one"));
    }

    #[test]
    fn of_many_words_the_last_are_kept() {
        let via_status = TunnelStatus::default();
        via_status.add_stderr(b"nc: no\n\n  really \n");
        assert_eq!(via_status.stderr_tail(), "nc: no; really");
        via_status.add_stderr(&[b'x'; MOST_STDERR]);
        assert_eq!(via_status.stderr_tail(), "x".repeat(MOST_STDERR));
    }
}
