//! One jump host: logs in when the first host behind it is asked for, and once more when the connection is lost.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::{FutureExt as _, future};

use super::TunnelRequest;
use super::session::JumpSession;
use crate::outcome::Failure;
use crate::reactor::{sleep, spawn};
use crate::transport::Connection;
use crate::transport::connect::Dialer;
use crate::transport::target::Target;

/// Most connections to one jump host. One is enough, as long as it opens what it is asked for: libssh2 asks for one channel
/// after the other, so a host that does not answer the jump host would hold up all others.
const MOST_SESSIONS: usize = 8;
/// A connection that lasted so long was no failure of the jump host's: when it ends, another one may follow.
const STEADY: Duration = Duration::from_secs(60);

/// What a jump host is told.
#[derive(Debug)]
pub(super) enum PoolMessage {
    /// Somebody wants to be carried.
    Request(TunnelRequest),
    /// A connection has ended.
    Ended {
        /// Its number.
        session: u64,
        /// Why.
        why: String,
        /// What it was asked for and has not begun.
        unopened: Option<TunnelRequest>,
    },
}

/// Serves a connection. Where that panics, which is a bug of ours, the jump host hears that the connection has ended: else
/// whoever waits for it would wait for ever.
async fn guarded(session: u64, serving: impl Future<Output = ()>, inbox: Sender<PoolMessage>) {
    if AssertUnwindSafe(serving).catch_unwind().await.is_err() {
        let why = "gsctl itself broke while it worked on the jump host".to_owned();
        let _ = inbox.send(PoolMessage::Ended { session, why, unopened: None }).await;
    }
}

/// One jump host.
pub(super) struct JumpPool {
    target: Arc<Target>,
    dialer: Dialer,
    inbox: Sender<PoolMessage>,
    /// What the connections take from.
    queue: (Sender<TunnelRequest>, Receiver<TunnelRequest>),
    sessions: Vec<Rc<JumpSession>>,
    /// Numbers of connections.
    count: u64,
    /// Logins that may replace a lost connection.
    logins_left: u32,
    /// How the last one that was of use ended.
    last_end: Option<String>,
    /// Why there will be no more.
    given_up: Option<Failure>,
    most: usize,
}

impl JumpPool {
    pub(super) fn new(target: Arc<Target>, dialer: Dialer, inbox: Sender<PoolMessage>) -> Self {
        Self {
            target,
            dialer,
            inbox,
            queue: async_channel::unbounded(),
            sessions: Vec::new(),
            count: 0,
            logins_left: 1,
            last_end: None,
            given_up: None,
            most: MOST_SESSIONS,
        }
    }

    pub(super) async fn serve(mut self, notes: Receiver<PoolMessage>) {
        loop {
            let note = future::or(async { notes.recv().await.map(Some) }, self.until_stuck()).await;
            match note {
                Ok(Some(PoolMessage::Request(request))) => self.take(request).await,
                Ok(Some(PoolMessage::Ended { session, why, unopened })) => self.lost(session, &why, unopened).await,
                Ok(None) => self.add_session().await,
                Err(_) => return,
            }
        }
    }

    async fn take(&mut self, request: TunnelRequest) {
        if request.is_withdrawn() {
            return;
        }
        // An earlier attempt at the same address may still be under way: libssh2 cannot give one up.
        let Some(request) = self.sessions.iter().try_fold(request, |request, session| session.take_over(request).err())
        else {
            return;
        };
        if let Some(failure) = &self.given_up {
            return request.answer(Err(failure.clone()));
        }
        let _ = self.queue.0.try_send(request);
        if self.sessions.is_empty() {
            self.log_in().await;
        }
    }

    /// Logs in. Where that fails, nobody behind this jump host will be reached any more.
    async fn log_in(&mut self) {
        match self.dial().await {
            Ok(session) => self.sessions.push(session),
            Err(failure) => {
                let cause = match &self.last_end {
                    Some(why) => format!("{why}; the new login failed: {}", failure.cause),
                    None => format!("through {}: {}", self.target.name, failure.cause),
                };
                // Its attempts have been made: those of each host behind it would be a storm.
                self.give_up(Failure { cause, retryable: false, ..failure });
            }
        }
    }

    async fn dial(&mut self) -> Result<Rc<JumpSession>, Failure> {
        let arrival = self.dialer.connect(&self.target, None, &mut |_| {}).await;
        let session = match arrival.session.transpose()? {
            Some(Connection::Native(session)) => *session,
            Some(Connection::OpenSsh(_) | Connection::Local(_)) | None => {
                return Err(Failure::new(crate::outcome::Phase::Connect, "the run was stopped"));
            }
        };
        self.count += 1;
        let session = Rc::new(JumpSession::new(self.count, session, &self.target, self.queue.1.clone()));
        spawn(guarded(self.count, session.clone().serve(self.inbox.clone()), self.inbox.clone()));
        Ok(session)
    }

    fn give_up(&mut self, failure: Failure) {
        while let Ok(request) = self.queue.1.try_recv() {
            request.answer(Err(failure.clone()));
        }
        self.given_up = Some(failure);
    }

    /// A connection was lost: one login for those that it has not begun with.
    async fn lost(&mut self, number: u64, why: &str, unopened: Option<TunnelRequest>) {
        let Some(at) = self.sessions.iter().position(|session| session.number == number) else { return };
        let session = self.sessions.remove(at);
        if let Some(request) = unopened {
            let _ = self.queue.0.try_send(request);
        }
        let steady = session.since.elapsed() >= STEADY || session.was_idle();
        drop(session);
        if steady {
            self.logins_left = 1;
        } else if self.logins_left == 0 {
            let hint = format!("the connection to {} does not last: look at its sshd's log", self.target.name);
            return self.give_up(
                Failure::new(crate::outcome::Phase::Connect, format!("{why}, not for the first time")).hint(hint),
            );
        } else {
            self.logins_left -= 1;
        }
        self.last_end = Some(why.to_owned());
        if self.sessions.is_empty() && !self.queue.1.is_empty() {
            self.log_in().await;
        }
    }

    fn stuck_after(&self) -> Duration {
        self.target.settings.connect_timeout / 2
    }

    /// Ends when hosts have been waiting for a while, and another connection might help.
    async fn until_stuck<T>(&self) -> Result<Option<PoolMessage>, T> {
        if self.queue.1.is_empty() || self.sessions.is_empty() || self.sessions.len() >= self.most {
            future::pending::<()>().await;
        }
        sleep(self.stuck_after() / 2).await;
        Ok(None)
    }

    /// Logs in beside connections that are stuck with hosts that do not answer.
    async fn add_session(&mut self) {
        let now = Instant::now();
        let until_stuck = |session: &Rc<JumpSession>| {
            session.busy_since().is_some_and(|since| now.duration_since(since) >= self.stuck_after())
        };
        if self.queue.1.is_empty() || !self.sessions.iter().all(until_stuck) {
            return;
        }
        match self.dial().await {
            Ok(session) => self.sessions.push(session),
            Err(_) => self.most = self.sessions.len(),
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
            assert!(matches!(notes.recv().await, Ok(PoolMessage::Ended { session: 7, unopened: None, .. })));
        });
    }
}
