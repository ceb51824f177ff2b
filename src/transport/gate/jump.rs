//! One jump host: logs in when the first host behind it is asked for, and once more when the connection is lost.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::{FutureExt as _, future};

use super::Request;
use super::line::Line;
use crate::outcome::Failure;
use crate::reactor::{sleep, spawn};
use crate::transport::Connection;
use crate::transport::connect::Dialer;
use crate::transport::target::Target;

/// Most connections to one jump host. One is enough, as long as it opens what it is asked for: libssh2 asks for one channel
/// after the other, so a host that does not answer the jump host would hold up all others.
const MOST_LINES: usize = 8;
/// A connection that lasted so long was no failure of the jump host's: when it ends, another one may follow.
const STEADY: Duration = Duration::from_secs(60);

/// What a jump host is told.
#[derive(Debug)]
pub(super) enum Note {
    /// Somebody wants to be carried.
    Request(Request),
    /// A connection has ended.
    Ended {
        /// Its number.
        line: u64,
        /// Why.
        why: String,
        /// What it was asked for and has not begun.
        unserved: Option<Request>,
    },
}

/// Serves a connection. Where that panics, which is a bug of ours, the jump host hears that the connection has ended: else
/// whoever waits for it would wait for ever.
async fn guarded(line: u64, serving: impl Future<Output = ()>, inbox: Sender<Note>) {
    if AssertUnwindSafe(serving).catch_unwind().await.is_err() {
        let why = "gsctl itself broke while it worked on the jump host".to_owned();
        let _ = inbox.send(Note::Ended { line, why, unserved: None }).await;
    }
}

/// One jump host.
pub(super) struct Jump {
    target: Arc<Target>,
    dialer: Dialer,
    inbox: Sender<Note>,
    /// What the connections take from.
    queue: (Sender<Request>, Receiver<Request>),
    lines: Vec<Rc<Line>>,
    /// Numbers of connections.
    count: u64,
    /// Logins that may replace a lost connection.
    spare: u32,
    /// How the last one that was of use ended.
    last_words: Option<String>,
    /// Why there will be no more.
    given_up: Option<Failure>,
    most: usize,
}

impl Jump {
    pub(super) fn new(target: Arc<Target>, dialer: Dialer, inbox: Sender<Note>) -> Self {
        Self {
            target,
            dialer,
            inbox,
            queue: async_channel::unbounded(),
            lines: Vec::new(),
            count: 0,
            spare: 1,
            last_words: None,
            given_up: None,
            most: MOST_LINES,
        }
    }

    pub(super) async fn serve(mut self, notes: Receiver<Note>) {
        loop {
            let note = future::or(async { notes.recv().await.map(Some) }, self.stuck()).await;
            match note {
                Ok(Some(Note::Request(request))) => self.take(request).await,
                Ok(Some(Note::Ended { line, why, unserved })) => self.lost(line, &why, unserved).await,
                Ok(None) => self.widen().await,
                Err(_) => return,
            }
        }
    }

    async fn take(&mut self, request: Request) {
        if request.is_withdrawn() {
            return;
        }
        // An earlier attempt at the same address may still be under way: libssh2 cannot give one up.
        let Some(request) = self.lines.iter().try_fold(request, |request, line| line.adopt(request).err()) else {
            return;
        };
        if let Some(failure) = &self.given_up {
            return request.answer(Err(failure.clone()));
        }
        let _ = self.queue.0.try_send(request);
        if self.lines.is_empty() {
            self.log_in().await;
        }
    }

    /// Logs in. Where that fails, nobody behind this jump host will be reached any more.
    async fn log_in(&mut self) {
        match self.dial().await {
            Ok(line) => self.lines.push(line),
            Err(failure) => {
                let cause = match &self.last_words {
                    Some(why) => format!("{why}; the new login failed: {}", failure.cause),
                    None => format!("through {}: {}", self.target.name, failure.cause),
                };
                // Its attempts have been made: those of each host behind it would be a storm.
                self.give_up(Failure { cause, retryable: false, ..failure });
            }
        }
    }

    async fn dial(&mut self) -> Result<Rc<Line>, Failure> {
        let arrival = self.dialer.connect(&self.target, None, &mut |_| {}).await;
        let session = match arrival.session.transpose()? {
            Some(Connection::Native(session)) => *session,
            Some(Connection::OpenSsh(_)) | None => {
                return Err(Failure::new(crate::outcome::Phase::Connect, "the run was stopped"));
            }
        };
        self.count += 1;
        let line = Rc::new(Line::new(self.count, session, &self.target, self.queue.1.clone()));
        spawn(guarded(self.count, line.clone().serve(self.inbox.clone()), self.inbox.clone()));
        Ok(line)
    }

    fn give_up(&mut self, failure: Failure) {
        while let Ok(request) = self.queue.1.try_recv() {
            request.answer(Err(failure.clone()));
        }
        self.given_up = Some(failure);
    }

    /// A connection was lost: one login for those that it has not begun with.
    async fn lost(&mut self, number: u64, why: &str, unserved: Option<Request>) {
        let Some(at) = self.lines.iter().position(|line| line.number == number) else { return };
        let line = self.lines.remove(at);
        if let Some(request) = unserved {
            let _ = self.queue.0.try_send(request);
        }
        let steady = line.since.elapsed() >= STEADY || line.was_idle();
        drop(line);
        if steady {
            self.spare = 1;
        } else if self.spare == 0 {
            let hint = format!("the connection to {} does not last: look at its sshd's log", self.target.name);
            return self.give_up(
                Failure::new(crate::outcome::Phase::Connect, format!("{why}, not for the first time")).hint(hint),
            );
        } else {
            self.spare -= 1;
        }
        self.last_words = Some(why.to_owned());
        if self.lines.is_empty() && !self.queue.1.is_empty() {
            self.log_in().await;
        }
    }

    fn patience(&self) -> Duration {
        self.target.connect_timeout / 2
    }

    /// Ends when hosts have been waiting for a while, and another connection might help.
    async fn stuck<T>(&self) -> Result<Option<Note>, T> {
        if self.queue.1.is_empty() || self.lines.is_empty() || self.lines.len() >= self.most {
            future::pending::<()>().await;
        }
        sleep(self.patience() / 2).await;
        Ok(None)
    }

    /// Logs in beside connections that are stuck with hosts that do not answer.
    async fn widen(&mut self) {
        let now = Instant::now();
        let stuck =
            |line: &Rc<Line>| line.busy_since().is_some_and(|since| now.duration_since(since) >= self.patience());
        if self.queue.1.is_empty() || !self.lines.iter().all(stuck) {
            return;
        }
        match self.dial().await {
            Ok(line) => self.lines.push(line),
            Err(_) => self.most = self.lines.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::Reactor;

    #[test]
    fn a_connection_whose_task_panics_has_ended() {
        Reactor::new().unwrap().block_on(async {
            let (inbox, notes) = async_channel::unbounded();
            spawn(guarded(7, async { panic!("as a bug would") }, inbox));
            assert!(matches!(notes.recv().await, Ok(Note::Ended { line: 7, unserved: None, .. })));
        });
    }
}
