//! From a name to a logged-in session: resolve, connect, key exchange, host key, login; with attempts and backoff.

mod attempt;
pub(super) mod failure;
mod handshake;

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::classify;
use super::connection::Connection;
use super::jump::{JumpThread, TunnelRequests};
use super::local;
use super::login::AgentState;
use super::login_limit::{LoginLimiter, MOST_THROTTLED};
use super::openssh::{ControlDir, LoginAttempt, SshClient};
use super::resolve::resolve;
use super::session::{Session, Stopwatch};
use super::socket::SessionSocket;
use super::target::{Target, Via};
use crate::cancel::{CancelToken, Deadline, Raced, race};
use crate::outcome::{Failure, Phase};
use crate::output::Spool;
use crate::reactor::sleep;
use attempt::{AttemptTrace, PeerProgress};
use failure::{through, timed_out};

/// What all connections of a run share.
#[derive(Debug)]
pub struct Connector {
    dialer: Dialer,
    jump_thread: JumpThread,
}

/// Gets sessions; the shards and the jump thread have one each.
#[derive(Debug, Clone)]
pub(super) struct Dialer {
    agent: Arc<AgentState>,
    login_limiter: Arc<LoginLimiter>,
    control_dir: Arc<ControlDir>,
    tunnel_requests: TunnelRequests,
    spool: Arc<Spool>,
    /// Bytes that a server may send on a channel before they are read.
    window: u32,
}

/// What happens while a host is being connected to.
#[derive(Debug, Clone)]
pub enum ConnectProgress {
    /// A phase begins.
    Phase(Phase),
    /// An attempt failed and another one follows.
    Retry {
        /// Number of the failed attempt, from 1.
        attempt: u32,
        /// Attempts in all.
        of: u32,
        /// Why it failed.
        failure: Failure,
        /// Pause before the next.
        retry_in: Duration,
    },
}

/// A host that was reached, or not.
pub struct ConnectResult {
    /// The session, or why there is none. `None`: the run was stopped meanwhile.
    pub session: Option<Result<Connection, Failure>>,
    /// Attempts that were made.
    pub attempts: u32,
    /// Time from the first attempt.
    pub took: Duration,
}

/// Bytes of output that all servers together may have under way before they are read, and what one may have at least and at most.
/// libssh2 holds them in memory. Ten times that a second is most of a gigabit.
const ALL_WINDOWS: usize = 8 * 1024 * 1024;
const WINDOWS: (usize, usize) = (256 * 1024, 2 * 1024 * 1024);

impl Connector {
    /// For a run that works on so many hosts at once.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        let window = (ALL_WINDOWS / at_once.max(1)).clamp(WINDOWS.0, WINDOWS.1);
        let (jump_thread, tunnel_requests) = JumpThread::new();
        let dialer = Dialer {
            agent: Arc::default(),
            login_limiter: Arc::default(),
            tunnel_requests,
            spool: Arc::default(),
            control_dir: Arc::default(),
            window: u32::try_from(window).unwrap_or(u32::MAX),
        };
        Self { dialer, jump_thread }
    }

    /// Connects to a host and logs in, with as many attempts as it has.
    pub async fn connect(
        &self,
        target: &Target,
        cancel: Option<&CancelToken>,
        progress: &mut dyn FnMut(ConnectProgress),
    ) -> ConnectResult {
        if matches!(target.via, Via::Jump(_) | Via::Command(_)) {
            self.jump_thread.open(&self.dialer);
        }
        self.dialer.connect(target, cancel, progress).await
    }
}

impl Dialer {
    /// Connects to a host and logs in, with as many attempts as it has.
    pub(super) async fn connect(
        &self,
        target: &Target,
        cancel: Option<&CancelToken>,
        progress: &mut dyn FnMut(ConnectProgress),
    ) -> ConnectResult {
        let watch = Stopwatch::start();
        let mut attempt = 1;
        // Turns away at a busy door are no fault of the host's, within reason.
        let mut was_dropped = 0;
        let mut logins_done = 0;
        let session = loop {
            let trace = AttemptTrace { logins_done: Cell::new(logins_done), ..AttemptTrace::default() };
            let failure = match self.attempt(target, &trace, cancel, progress).await {
                None => break None,
                Some(Ok(session)) => break Some(Ok(session)),
                Some(Err(failure)) => failure,
            };
            if trace.password_sent.get() {
                break Some(Err(Failure { retryable: false, ..failure }));
            }
            logins_done = trace.logins_done.get();
            let server_busy = trace.server_busy.get() && was_dropped < MOST_THROTTLED;
            if !failure.retryable || attempt >= target.settings.attempts + was_dropped && !server_busy {
                break Some(Err(failure));
            }
            was_dropped += u32::from(server_busy);
            let retry_in = pause_after(attempt);
            progress(ConnectProgress::Retry { attempt, of: target.settings.attempts, failure, retry_in });
            if matches!(race(sleep(retry_in), Deadline::default(), cancel).await, Raced::Cancelled) {
                break None;
            }
            attempt += 1;
        };
        ConnectResult { session, attempts: attempt, took: watch.elapsed() }
    }

    /// One attempt. `None`: the run was stopped.
    async fn attempt(
        &self,
        target: &Target,
        trace: &AttemptTrace,
        cancel: Option<&CancelToken>,
        progress: &mut dyn FnMut(ConnectProgress),
    ) -> Option<Result<Connection, Failure>> {
        let phase = Cell::new(None);
        let mut enter = |next: Phase| {
            if phase.replace(Some(next)) != Some(next) {
                progress(ConnectProgress::Phase(next));
            }
        };
        let work = async {
            let session = match &target.via {
                Via::Network => self.over_network(target, trace, &mut enter).await,
                Via::Jump(_) | Via::Command(_) => self.over_tunnel(target, trace, &mut enter).await,
                Via::OpenSsh(client) => {
                    return self.by_openssh(client, target, trace, &mut enter).await;
                }
                Via::Local => return Ok(Connection::Local(Box::new(local::Session::new(target, &self.spool)))),
            };
            session.map(|session| Connection::Native(Box::new(session)))
        };
        match race(work, Deadline::default(), cancel).await {
            Raced::Done(Ok(session)) => Some(Ok(session)),
            Raced::Done(Err(Some(failure))) => Some(Err(failure)),
            Raced::Done(Err(None)) => Some(Err(through(target, timed_out(target, phase.get(), trace)))),
            Raced::Late | Raced::Cancelled => None,
        }
    }

    /// Tries the host's addresses in turn. `Err(None)`: the time ran out.
    ///
    /// The clock stands still while the host waits for its turn at a busy address: that is not the host's fault.
    async fn over_network(
        &self,
        target: &Target,
        trace: &AttemptTrace,
        enter: &mut dyn FnMut(Phase),
    ) -> Result<Session, Option<Failure>> {
        enter(Phase::Resolve);
        let mut left = target.settings.connect_timeout;
        let watch = Stopwatch::start();
        let addresses = match race(resolve(target), Deadline::after(Some(left)), None).await {
            Raced::Done(found) => found?,
            Raced::Late | Raced::Cancelled => return Err(None),
        };
        left = left.saturating_sub(watch.elapsed());
        let mut last = None;
        for (tried, &address) in addresses.iter().enumerate() {
            enter(Phase::Connect);
            let address_limit = self.login_limiter.address(&address.to_string());
            let permit = address_limit.acquire().await;
            trace.seen.replace(PeerProgress::Nothing);
            // Each address has its share of what is left, so that a dead first one does not cost the time of the second.
            let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let watch = Stopwatch::start();
            let work = async {
                let socket = connect_to(target, address).await?;
                self.log_in_at(target, Some(address), socket, trace, enter).await
            };
            let raced = race(work, Deadline::after(Some(share)), None).await;
            left = left.saturating_sub(watch.elapsed());
            trace.server_busy.set(permit.release(&raced, trace.seen.borrow().was_dropped(), &trace.logins_done));
            match raced {
                Raced::Done(Ok(session)) => return Ok(session),
                Raced::Done(Err(failure)) if failure.phase != Phase::Connect => return Err(Some(failure)),
                Raced::Done(Err(failure)) => last = Some(failure),
                Raced::Late | Raced::Cancelled if trace.password_sent.get() => return Err(None),
                Raced::Late | Raced::Cancelled => last = None,
            }
        }
        Err(last)
    }

    /// Goes through a jump host, or a command. `Err(None)`: the time ran out.
    ///
    /// The clock stands still while others are before the host: the jump host's own login is no fault of the host's.
    async fn over_tunnel(
        &self,
        target: &Target,
        trace: &AttemptTrace,
        enter: &mut dyn FnMut(Phase),
    ) -> Result<Session, Option<Failure>> {
        enter(Phase::Connect);
        let jump_permit = self.login_limiter.jump_permit(target).await;
        let address_limit = self.login_limiter.address(&target.chain());
        let permit = address_limit.acquire().await;
        trace.seen.replace(PeerProgress::Nothing);
        let (socket, took) = self.tunnel_requests.open_tunnel(target).await?;
        let left = target.settings.connect_timeout.saturating_sub(took);
        // Held to the end: as long as somebody has it, what carries it tells why it ended.
        let held = socket.clone();
        let raced = race(self.log_in_at(target, None, socket, trace, enter), Deadline::after(Some(left)), None).await;
        trace.server_busy.set(permit.release(&raced, trace.seen.borrow().was_dropped(), &trace.logins_done));
        drop(jump_permit);
        match raced {
            Raced::Done(Ok(session)) => Ok(session),
            // The other end's own answer, which more attempts will not change.
            Raced::Done(Err(failure)) if !failure.retryable => Err(Some(through(target, failure))),
            Raced::Done(Err(failure)) => {
                let why = match (&target.via, held.via_status()) {
                    // A command may end its output a moment before itself.
                    (Via::Command(_), Some(via_status)) => via_status.wait_for_end().await,
                    _ => held.tunnel_end(),
                };
                Err(Some(match (why, &target.via) {
                    (None, _) => through(target, failure),
                    (Some(why), Via::Command(_)) => Failure { cause: format!("{}: {why}", failure.cause), ..failure },
                    (Some(why), _) => Failure::new(Phase::Connect, why).retryable(),
                }))
            }
            Raced::Late | Raced::Cancelled => match held.tunnel_end() {
                Some(why) => Err(Some(Failure::new(Phase::Connect, why).retryable())),
                None => Err(None),
            },
        }
    }

    /// Lets the system's `ssh` make the connection. The clock stands still while the host waits for its turn.
    async fn by_openssh(
        &self,
        client: &Arc<SshClient>,
        target: &Target,
        trace: &AttemptTrace,
        enter: &mut dyn FnMut(Phase),
    ) -> Result<Connection, Option<Failure>> {
        enter(Phase::Connect);
        let address_limit = self.login_limiter.address(&target.chain());
        let permit = address_limit.acquire().await;
        let mut attempt = LoginAttempt::default();
        let work = attempt.log_in(client, &self.control_dir, target, &self.spool, enter);
        let raced = race(work, Deadline::after(Some(target.settings.connect_timeout)), None).await;
        trace.server_busy.set(permit.release(&raced, attempt.was_dropped(), &trace.logins_done));
        match raced {
            Raced::Done(Ok(())) => match attempt.session() {
                Some(session) => Ok(Connection::OpenSsh(Box::new(session))),
                None => Err(None),
            },
            Raced::Done(Err(failure)) => Err(Some(failure)),
            Raced::Late | Raced::Cancelled => Err(Some(attempt.late(target))),
        }
    }
}

/// Connects to one address of a host.
async fn connect_to(target: &Target, address: SocketAddr) -> Result<SessionSocket, Failure> {
    SessionSocket::connect(address, target.settings.bind, target.dead_after())
        .await
        .map_err(|error| classify::connect(&address.to_string(), &error))
}

/// The pause after a failed attempt, counted from 1: half a second, doubled each time up to eight seconds, each stretched at
/// random so that hosts that were dropped together do not come back together.
#[must_use]
pub fn pause_after(attempt: u32) -> Duration {
    Duration::from_millis(500 << attempt.saturating_sub(1).min(4)).mul_f64(0.5 + fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ() {
        let pauses: Vec<Duration> = (1..=8).map(pause_after).collect();
        for (round, pause) in pauses.iter().enumerate() {
            let base = Duration::from_millis(500 << round.min(4));
            assert!(*pause >= base / 2 && *pause < base * 3 / 2, "{pauses:?}");
        }
    }
}
