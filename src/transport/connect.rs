//! From a name to a logged-in session: resolve, connect, key exchange, host key, login; with attempts and backoff.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::algorithms::{self, AlgorithmKind};
use super::classify::{self, HandshakeProgress};
use super::connection::Connection;
use super::host_key::{self, HostKeyTrust, RecordedKeys};
use super::intake::Greeting;
use super::jump::{JumpThread, TunnelRequests};
use super::kexinit;
use super::local;
use super::login::{AgentState, log_in};
use super::login_limit::{LoginLimiter, MOST_THROTTLED};
use super::openssh::{ControlDir, LoginAttempt, SshClient};
use super::resolve::resolve;
use super::session::{Session, Stopwatch, drive};
use super::socket::SessionSocket;
use super::target::{Target, Via};
use crate::cancel::{CancelToken, Deadline, Raced, race};
use crate::credentials::known_hosts::HostKeyPolicy;
use crate::duration::human;
use crate::outcome::{Failure, Phase};
use crate::output::Spool;
use crate::reactor::sleep;

/// The longest packet that libssh2 takes, less what is around a banner.
const LONGEST_PACKET: usize = 34_900;

/// What all connections of a run share.
#[derive(Debug)]
pub struct Connector {
    dialer: Dialer,
    gate: JumpThread,
}

/// Gets sessions; the shards and the gate's thread have one each.
#[derive(Debug, Clone)]
pub(super) struct Dialer {
    agent: Arc<AgentState>,
    login_limiter: Arc<LoginLimiter>,
    control_dir: Arc<ControlDir>,
    gate: TunnelRequests,
    spool: Arc<Spool>,
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

impl Default for Connector {
    fn default() -> Self {
        let (gate, requests) = JumpThread::new();
        let dialer = Dialer {
            agent: Arc::default(),
            login_limiter: Arc::default(),
            gate: requests,
            spool: Arc::default(),
            control_dir: Arc::default(),
        };
        Self { dialer, gate }
    }
}

impl Connector {
    /// Connects to a host and logs in, with as many attempts as it has.
    pub async fn connect(
        &self,
        target: &Target,
        cancel: Option<&CancelToken>,
        progress: &mut dyn FnMut(ConnectProgress),
    ) -> ConnectResult {
        if matches!(target.via, Via::Jump(_) | Via::Command(_)) {
            self.gate.open(&self.dialer);
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
            if !failure.retryable || attempt >= target.attempts + was_dropped && !server_busy {
                break Some(Err(failure));
            }
            was_dropped += u32::from(server_busy);
            let retry_in = pause_after(attempt);
            progress(ConnectProgress::Retry { attempt, of: target.attempts, failure, retry_in });
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
        let mut left = target.connect_timeout;
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
        let (socket, took) = self.gate.open_tunnel(target).await?;
        let left = target.connect_timeout.saturating_sub(took);
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
        let raced = race(work, Deadline::after(Some(target.connect_timeout)), None).await;
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

    async fn log_in_at(
        &self,
        target: &Target,
        address: Option<SocketAddr>,
        mut socket: SessionSocket,
        trace: &AttemptTrace,
        enter: &mut dyn FnMut(Phase),
    ) -> Result<Session, Failure> {
        let off = target.policy == HostKeyPolicy::Off;
        let mut asked_for: Option<RecordedKeys> = None;
        let mut keys_only = None;
        let ssh = loop {
            match self.exchange_keys(target, address, &socket, asked_for.as_ref(), trace).await {
                Ok(ssh) => {
                    socket.exchanged();
                    enter(Phase::HostKey);
                    match host_key::check(&ssh, target).await? {
                        HostKeyTrust::Yes => break ssh,
                        HostKeyTrust::KeysOnly(why) => {
                            keys_only = Some(why);
                            break ssh;
                        }
                        // Another type of key than the one we know it by: ask for that one, as ssh does.
                        HostKeyTrust::AskFor(recorded)
                            if asked_for.is_none()
                                && keys_only.is_none()
                                && (!off || recorded.may_be_asked_for(target)) =>
                        {
                            asked_for = Some(recorded);
                        }
                        HostKeyTrust::AskFor(recorded) if off => {
                            keys_only.get_or_insert_with(|| recorded.gone(target).cause);
                            break ssh;
                        }
                        HostKeyTrust::AskFor(recorded) => return Err(recorded.gone(target)),
                    }
                }
                // It has no such key any more. Under `off` any other will do, but not for the password.
                Err(gone) if off && asked_for.take().is_some() && gone.phase == Phase::HostKey => {
                    keys_only = Some(gone.cause);
                }
                Err(failure) => return Err(failure),
            }
            socket.shut();
            socket = self.connect_again(target, address).await?;
        };
        enter(Phase::Auth);
        let outcome = self.authenticate(&ssh, &socket, target, keys_only, trace).await;
        if let Some(why) = socket.cut() {
            return Err(too_much(&shown(target, address), &why));
        }
        if let Err(failure) = &outcome
            && socket.login_bytes() > LONGEST_PACKET
        {
            // libssh2 takes no longer packet, and says of that only that it waits.
            let why = "it sent a packet of more than 35,000 bytes in the login, most likely its banner";
            return Err(too_much(&shown(target, address), &format!("{why}: {}", failure.cause)));
        }
        socket.logged_in();
        let reached = address.map_or_else(|| target.address.clone(), |address| address.ip().to_string());
        let session = Session::new(ssh, socket, reached, target, &self.spool);
        outcome.map(|()| session)
    }

    /// Exchanges keys. `asked_for`: of host keys only these types will do.
    async fn exchange_keys(
        &self,
        target: &Target,
        address: Option<SocketAddr>,
        socket: &SessionSocket,
        asked_for: Option<&RecordedKeys>,
        trace: &AttemptTrace,
    ) -> Result<ssh2::Session, Failure> {
        let own_fault = |e: ssh2::Error| Failure::new(Phase::Connect, e.message().to_owned());
        let mut ssh = ssh2::Session::new().map_err(own_fault)?;
        ssh.set_blocking(false);
        ssh.set_tcp_stream(socket.clone());
        ssh.set_compress(target.compression);
        target.algorithms.apply(&ssh).map_err(own_fault)?;
        if let Some(recorded) = asked_for {
            let names = target.algorithms.for_known(&recorded.types);
            if names.is_empty() {
                return Err(recorded.not_allowed(target));
            }
            algorithms::prefer(&ssh, AlgorithmKind::HostKey, &names).map_err(own_fault)?;
        }
        trace.seen.replace(PeerProgress::Connection);
        let Err(error) = handshake(&mut ssh, socket, trace).await else { return Ok(ssh) };
        if let Some(recorded) = asked_for
            && classify::nothing_in_common(&error)
        {
            return Err(recorded.gone(target));
        }
        let at = shown(target, address);
        if classify::no_algorithm(&error) && *trace.seen.borrow() == PeerProgress::Offer && socket.cut().is_none() {
            // The same number stands for a connection that was lost meanwhile: only the server's lists tell.
            let lists = match self.connect_again(target, address).await {
                Ok(socket) => Box::pin(kexinit::ask(&socket)).await,
                Err(_) => None,
            };
            match lists.map(|lists| lists.missing(&target.algorithms)) {
                Some(missing) if !missing.is_empty() => return Err(classify::no_common(&at, &missing)),
                _ if socket.is_over() => return Err(classify::lost_in_key_exchange(&at)),
                _ => {}
            }
        }
        if let Some(why) = socket.cut() {
            return Err(cut_off(&at, &why, Phase::Connect));
        }
        let seen = trace.seen.borrow();
        Err(match &*seen {
            PeerProgress::Words(words) => not_ssh(&at, words),
            PeerProgress::Noise => cut_off(&at, "not SSH: what follows its version is no key exchange", Phase::Connect),
            PeerProgress::Nothing | PeerProgress::Connection => {
                classify::handshake(&at, &error, HandshakeProgress::Silence)
            }
            PeerProgress::Banner => classify::handshake(&at, &error, HandshakeProgress::Banner),
            PeerProgress::Offer if socket.has_ended() => {
                classify::handshake(&at, &error, HandshakeProgress::OfferAndEnd)
            }
            PeerProgress::Offer => classify::handshake(&at, &error, HandshakeProgress::Offer),
        })
    }

    /// Logs in. `keys_only`: why the server is not to get the password.
    async fn authenticate(
        &self,
        ssh: &ssh2::Session,
        socket: &SessionSocket,
        target: &Target,
        keys_only: Option<String>,
        trace: &AttemptTrace,
    ) -> Result<(), Failure> {
        let (Some(why), Some(_)) = (keys_only, &target.password) else {
            return log_in(ssh, socket, target, &self.agent, &trace.password_sent).await;
        };
        // As ssh does: whoever sits in the host's place would have the password.
        let without = Target { password: None, ..target.clone() };
        let outcome = log_in(ssh, socket, &without, &self.agent, &trace.password_sent).await;
        outcome.map_err(|failure| {
            Failure::new(Phase::Auth, format!("{}; the password was not sent, as {why}", failure.cause))
                .hint("find out why the key has changed; `ssh-keygen -R` takes the old one out of known_hosts")
        })
    }

    /// One more connection to the same server, the same way.
    async fn connect_again(&self, target: &Target, address: Option<SocketAddr>) -> Result<SessionSocket, Failure> {
        match address {
            Some(address) => connect_to(target, address).await,
            None => Ok(self.gate.open_tunnel(target).await?.0),
        }
    }
}

/// Connects to one address of a host.
async fn connect_to(target: &Target, address: SocketAddr) -> Result<SessionSocket, Failure> {
    SessionSocket::connect(address, target.bind, target.dead_after())
        .await
        .map_err(|error| classify::connect(&address.to_string(), &error))
}

/// An address and a port, for messages.
pub(super) fn host_port(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// A failure to connect, with the name of the jump host in front.
pub(super) fn through(target: &Target, mut failure: Failure) -> Failure {
    if let Via::Jump(jump) = &target.via
        && failure.phase == Phase::Connect
    {
        failure.cause = format!("through {}: {}", jump.name, failure.cause);
    }
    failure
}

/// Where a host is, for messages.
fn shown(target: &Target, address: Option<SocketAddr>) -> String {
    address.map_or_else(|| host_port(&target.address, target.port), |address| address.to_string())
}

/// A server that was cut off because it sends too much.
fn cut_off(at: &str, why: &str, phase: Phase) -> Failure {
    Failure::new(phase, format!("{at}: {why}")).hint("is this really sshd's port?")
}

/// A server that says more in a login than libssh2, or gsctl, takes.
fn too_much(at: &str, why: &str) -> Failure {
    Failure::new(Phase::Auth, format!("{at}: {why}")).hint(
        "gsctl's own transport takes no such banner: `--transport openssh` does, or shorten what `Banner` of sshd_config names",
    )
}

/// Exchanges keys, and notes how far the server has got.
async fn handshake(ssh: &mut ssh2::Session, socket: &SessionSocket, trace: &AttemptTrace) -> Result<(), ssh2::Error> {
    let mut own = ssh.clone();
    let call = |_: &ssh2::Session| {
        let done = own.handshake();
        match socket.greeting() {
            Greeting::Nothing => {}
            Greeting::Words(words) => drop(trace.seen.replace(PeerProgress::Words(words))),
            Greeting::Version => drop(trace.seen.replace(PeerProgress::Banner)),
            Greeting::Noise => drop(trace.seen.replace(PeerProgress::Noise)),
            Greeting::Offer => drop(trace.seen.replace(PeerProgress::Offer)),
        }
        done
    };
    drive(ssh, socket, call).await
}

/// What an attempt left behind, however it ended.
#[derive(Debug)]
struct AttemptTrace {
    /// How far the peer has got.
    seen: RefCell<PeerProgress>,
    /// Logins at its address that had succeeded when it was last turned away.
    logins_done: Cell<usize>,
    /// It was turned away where others were let in: the server is busy, not broken.
    server_busy: Cell<bool>,
    /// The password was on its way: it is not sent again, lest the account be locked.
    password_sent: Cell<bool>,
}

impl Default for AttemptTrace {
    fn default() -> Self {
        Self {
            seen: RefCell::new(PeerProgress::Nothing),
            server_busy: Cell::new(false),
            logins_done: Cell::new(0),
            password_sent: Cell::new(false),
        }
    }
}

/// How far a peer has got.
#[derive(Debug, PartialEq, Eq)]
enum PeerProgress {
    Nothing,
    /// It took the connection.
    Connection,
    /// It said this, and has not said yet that it speaks SSH.
    Words(String),
    /// It speaks SSH.
    Banner,
    /// It said so, and then something else.
    Noise,
    /// It has said which algorithms it takes.
    Offer,
}

impl PeerProgress {
    /// sshd closes a connection over its `MaxStartups` without a word, or, as of late, with these.
    fn was_dropped(&self) -> bool {
        match self {
            Self::Connection => true,
            Self::Words(words) => words.starts_with("Exceeded MaxStartups"),
            Self::Nothing | Self::Banner | Self::Noise | Self::Offer => false,
        }
    }
}

/// A peer that said something, but not that it speaks SSH.
pub(super) fn not_ssh(at: &str, words: &str) -> Failure {
    let failure = if words.starts_with("Exceeded MaxStartups") {
        Failure::new(Phase::Connect, format!("{at}: turned away, too many connect at once (MaxStartups)"))
            .hint("a smaller --fanout helps, or a greater MaxStartups in sshd_config")
    } else if words.starts_with("SSH-") {
        Failure::new(Phase::Connect, format!("{at}: the connection ended within the server's first line"))
    } else {
        let first = words.lines().next().unwrap_or_default().trim_end();
        Failure::new(Phase::Connect, format!("{at}: not SSH: it says `{first}`")).hint("is this really sshd's port?")
    };
    failure.retryable()
}

fn timed_out(target: &Target, phase: Option<Phase>, trace: &AttemptTrace) -> Failure {
    let (phase, seen) = (phase.unwrap_or(Phase::Resolve), &*trace.seen.borrow());
    let limit = human(target.connect_timeout);
    let at = host_port(&target.address, target.port);
    if let PeerProgress::Words(words) = seen {
        return not_ssh(&at, words);
    }
    match phase {
        Phase::Resolve => Failure::new(Phase::Resolve, format!("no answer about `{}` within {limit}", target.address))
            .hint("the name server does not answer; an address in the hosts file needs none"),
        Phase::Auth if trace.password_sent.get() => {
            Failure::new(Phase::Auth, format!("{at}: no end of the login within {limit} after the password was sent"))
                .hint("it is not sent again, lest the account be locked; a slow login needs --connect-timeout 30s")
        }
        Phase::Auth => Failure::new(Phase::Auth, format!("{at}: no end of the login within {limit}")).hint(
            "the node is overloaded, or its login waits for something (DNS, LDAP, PAM); try --connect-timeout 30s",
        ),
        _ if matches!(seen, PeerProgress::Banner | PeerProgress::Noise | PeerProgress::Offer) => {
            Failure::new(Phase::Connect, format!("{at}: no end of the key exchange within {limit}"))
                .hint("the node is overloaded, or the network loses large packets (MTU); try --connect-timeout 30s")
        }
        _ if *seen == PeerProgress::Connection => {
            Failure::new(Phase::Connect, format!("{at}: connected, but the server said nothing within {limit}"))
                .hint("is this really sshd's port? An overloaded node needs --connect-timeout 30s")
        }
        _ => Failure::new(Phase::Connect, format!("{at}: timed out after {limit}"))
            .hint("is the node up, and does a firewall drop the port? A slow one needs --connect-timeout 30s"),
    }
    .retryable()
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
