//! From a name to a logged-in session: resolve, connect, key exchange, host key, login; with attempts and backoff.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::algorithms::{self, AlgorithmKind};
use super::classify::{self, HandshakeProgress};
use super::connection::Connection;
use super::jump::{JumpThread, TunnelRequests};
use super::kexinit;
use super::login::{AgentState, log_in};
use super::login_limit::{LoginLimiter, MOST_THROTTLED};
use super::openssh::{ControlDir, LoginAttempt, SshClient};
use super::resolve::resolve;
use super::session::{Session, Stopwatch, drive};
use super::socket::SessionSocket;
use super::target::{Target, Via};
use crate::cancel::{CancelToken, Deadline, Raced, race};
use crate::credentials::known_hosts::{Accepted, HostKeyPolicy, HostKeyVerdict, fingerprint};
use crate::duration::human;
use crate::outcome::{Failure, Phase};
use crate::output::Spool;
use crate::reactor::sleep;

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
            };
            session.map(|session| Connection::Native(Box::new(session)))
        };
        match race(work, Deadline::default(), cancel).await {
            Raced::Done(Ok(session)) => Some(Ok(session)),
            Raced::Done(Err(Some(failure))) => Some(Err(failure)),
            Raced::Done(Err(None)) => Some(Err(through(
                target,
                timed_out(target, phase.get().unwrap_or(Phase::Resolve), &trace.seen.borrow()),
            ))),
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
        let shown = address.map_or_else(|| host_port(&target.address, target.port), |address| address.to_string());
        let mut asked_for: Option<RecordedKeys> = None;
        loop {
            let mut ssh = ssh2::Session::new().map_err(|e| Failure::new(Phase::Connect, e.message().to_owned()))?;
            ssh.set_blocking(false);
            ssh.set_tcp_stream(socket.clone());
            ssh.set_compress(target.compression);
            let mut offered = target.algorithms.apply(&ssh);
            if let Some(recorded) = &asked_for {
                let names = target.algorithms.for_known(&recorded.types);
                if names.is_empty() {
                    return Err(recorded.not_allowed(target));
                }
                offered = offered.and_then(|()| algorithms::prefer(&ssh, AlgorithmKind::HostKey, &names));
            }
            offered.map_err(|e| Failure::new(Phase::Connect, e.message().to_owned()))?;
            trace.seen.replace(PeerProgress::Connection);
            let exchanged = handshake(&mut ssh, &socket, trace).await;
            if let Err(error) = exchanged {
                if let Some(recorded) = &asked_for
                    && classify::nothing_in_common(&error)
                {
                    return Err(recorded.gone(target));
                }
                if classify::no_algorithm(&error)
                    && *trace.seen.borrow() == PeerProgress::Offer
                    && let Ok(socket) = self.connect_again(target, address).await
                    && let Some(lists) = Box::pin(kexinit::ask(&socket)).await
                {
                    let missing = lists.missing(&target.algorithms);
                    if !missing.is_empty() {
                        return Err(classify::no_common(&shown, &missing));
                    }
                }
                let seen = trace.seen.borrow();
                return Err(match &*seen {
                    PeerProgress::Words(words) => not_ssh(&shown, words),
                    PeerProgress::Nothing | PeerProgress::Connection => {
                        classify::handshake(&shown, &error, HandshakeProgress::Silence)
                    }
                    PeerProgress::Banner => classify::handshake(&shown, &error, HandshakeProgress::Banner),
                    PeerProgress::Offer if socket.has_ended() => {
                        classify::handshake(&shown, &error, HandshakeProgress::OfferAndEnd)
                    }
                    PeerProgress::Offer => classify::handshake(&shown, &error, HandshakeProgress::Offer),
                });
            }
            enter(Phase::HostKey);
            match (Self::check_host_key(&ssh, target).await?, &asked_for) {
                (HostKeyTrust::Yes, _) => {}
                (HostKeyTrust::AskFor(recorded), None) => {
                    // The server showed another type of key than the one we know it by: ask for that one, as ssh does.
                    asked_for = Some(recorded);
                    socket.shut();
                    socket = self.connect_again(target, address).await?;
                    continue;
                }
                (HostKeyTrust::AskFor(recorded), Some(_)) => return Err(recorded.gone(target)),
            }
            enter(Phase::Auth);
            let outcome = log_in(&ssh, &socket, target, &self.agent).await;
            let reached = address.map_or_else(|| target.address.clone(), |address| address.ip().to_string());
            let session = Session::new(ssh, socket, reached, target, &self.spool);
            return outcome.map(|()| session);
        }
    }

    /// One more connection to the same server, the same way.
    async fn connect_again(&self, target: &Target, address: Option<SocketAddr>) -> Result<SessionSocket, Failure> {
        match address {
            Some(address) => connect_to(target, address).await,
            None => Ok(self.gate.open_tunnel(target).await?.0),
        }
    }

    /// Is this the host that it should be?
    async fn check_host_key(ssh: &ssh2::Session, target: &Target) -> Result<HostKeyTrust, Failure> {
        let Some((key, _)) = ssh.host_key() else {
            return Err(Failure::new(Phase::HostKey, "the server showed no host key"));
        };
        let (name, port) = (target.host_key_name.as_str(), target.port);
        let mut verdict = target.known_hosts.check(name, port, key);
        if (&verdict, target.policy) == (&HostKeyVerdict::Unknown, HostKeyPolicy::AcceptNew) {
            // It touches the disk, and may wait for another program that holds the file.
            let (known_hosts, own_name, own_key) = (target.known_hosts.clone(), name.to_owned(), key.to_owned());
            let accepted = blocking::unblock(move || known_hosts.accept(&own_name, port, &own_key)).await;
            verdict = match accepted {
                Ok(Accepted::Added { .. } | Accepted::AlreadyKnown) => HostKeyVerdict::Known,
                // Another host of the same name, or another program, was faster, and says something else.
                Ok(Accepted::Against(verdict)) => verdict,
                Err(error) => {
                    let cause = format!("{}: its new key could not be recorded: {error}", shown(name, port));
                    return Err(Failure::new(Phase::HostKey, cause));
                }
            };
        }
        if (&verdict, target.policy) == (&HostKeyVerdict::Unknown, HostKeyPolicy::Strict)
            && target.known_hosts.has_authority(name, port)
        {
            let cause = format!(
                "{}: unknown host key {}; known_hosts has only a certificate authority for it",
                shown(name, port),
                fingerprint(key)
            );
            return Err(Failure::new(Phase::HostKey, cause)
                .hint("gsctl does not check host certificates: add the plain key, with ssh-keyscan or accept-new"));
        }
        judge(verdict, key, target)
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

/// A host as `known_hosts` has it.
pub(super) fn shown(name: &str, port: u16) -> String {
    if port == 22 { name.to_owned() } else { format!("[{name}]:{port}") }
}

/// What a verdict on a host's key means under its policy.
fn judge(verdict: HostKeyVerdict, key: &[u8], target: &Target) -> Result<HostKeyTrust, Failure> {
    let shown = shown(&target.host_key_name, target.port);
    match (verdict, target.policy) {
        // A revoked key is refused whatever the policy: somebody said that it is in wrong hands.
        (HostKeyVerdict::Revoked { file, line, fingerprint }, _) => Err(Failure::new(
            Phase::HostKey,
            format!("{shown}: this key is revoked ({}, line {line}): {fingerprint}", file.display()),
        )
        .hint("do not log in: find out who has this key")),
        (_, HostKeyPolicy::Off) | (HostKeyVerdict::Known, _) => Ok(HostKeyTrust::Yes),
        (HostKeyVerdict::Unknown, HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew) => {
            Err(Failure::new(Phase::HostKey, format!("{shown}: unknown host key {}", fingerprint(key)))
                .hint("check the fingerprint, then use --host-key-policy accept-new once to record it"))
        }
        (HostKeyVerdict::OtherType { known, file, line }, _) => {
            Ok(HostKeyTrust::AskFor(RecordedKeys { types: known, file, line }))
        }
        (HostKeyVerdict::Changed { file, line, known_fingerprint, offered_fingerprint, key_type }, _) => {
            let cause = format!(
                "{shown}: the {key_type} host key has changed: {} line {line} has {known_fingerprint}, the server showed \
                 {offered_fingerprint}",
                file.display()
            );
            Err(Failure::new(Phase::HostKey, cause).hint(remove_old(&shown, &file)))
        }
    }
}

/// How to forget a key that is no longer right.
pub(super) fn remove_old(shown: &str, file: &Path) -> String {
    format!(
        "if the node was reinstalled, remove the old key: ssh-keygen -f {} -R {}",
        crate::plan::quote::quote(&file.display().to_string()),
        crate::plan::quote::quote(shown)
    )
}

enum HostKeyTrust {
    Yes,
    /// Try again and ask for the types of host key that are recorded.
    AskFor(RecordedKeys),
}

/// What `known_hosts` has for a host that showed another type of key.
struct RecordedKeys {
    types: Vec<String>,
    file: PathBuf,
    line: usize,
}

impl RecordedKeys {
    /// The server has no key of a recorded type any more: as far as ssh is concerned its key has changed.
    fn gone(&self, target: &Target) -> Failure {
        let shown = shown(&target.host_key_name, target.port);
        let (types, file, line) = (self.types.join(", "), self.file.display(), self.line);
        let cause =
            format!("{shown}: the host key has changed: {file} line {line} has {types}, the server has none such");
        Failure::new(Phase::HostKey, cause).hint(remove_old(&shown, &self.file))
    }

    /// The recorded types may not be asked for, so nobody knows whether the server still has such a key.
    fn not_allowed(&self, target: &Target) -> Failure {
        let shown = shown(&target.host_key_name, target.port);
        let (types, file, line) = (self.types.join(", "), self.file.display(), self.line);
        let cause = format!(
            "{shown}: {file} line {line} has {types}, and `{}` allows none such",
            AlgorithmKind::HostKey.keyword()
        );
        Failure::new(Phase::HostKey, cause)
            .hint("allow this type, or record a key of a type that is allowed: ssh-keyscan, then check its fingerprint")
    }
}

/// Exchanges keys, and notes what the peer says first, for the day that it is not SSH.
async fn handshake(ssh: &mut ssh2::Session, socket: &SessionSocket, trace: &AttemptTrace) -> Result<(), ssh2::Error> {
    let mut own = ssh.clone();
    let call = |ssh: &ssh2::Session| {
        if matches!(*trace.seen.borrow(), PeerProgress::Connection)
            && let Some(words) = socket.peek()
        {
            trace.seen.replace(PeerProgress::Words(words));
        } else if matches!(*trace.seen.borrow(), PeerProgress::Banner) && socket.peek().is_some() {
            trace.seen.replace(PeerProgress::Offer);
        }
        let done = own.handshake();
        if let Some(first) = ssh.banner_bytes()
            && *trace.seen.borrow() != PeerProgress::Offer
        {
            // libssh2 also keeps a first line that is nothing of the kind.
            let words = String::from_utf8_lossy(first);
            trace.seen.replace(if words.starts_with("SSH-") {
                PeerProgress::Banner
            } else {
                PeerProgress::Words(words.into_owned())
            });
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
}

impl Default for AttemptTrace {
    fn default() -> Self {
        Self { seen: RefCell::new(PeerProgress::Nothing), server_busy: Cell::new(false), logins_done: Cell::new(0) }
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
    /// It has said which algorithms it takes.
    Offer,
}

impl PeerProgress {
    /// sshd closes a connection over its `MaxStartups` without a word, or, as of late, with these.
    fn was_dropped(&self) -> bool {
        match self {
            Self::Connection => true,
            Self::Words(words) => words.starts_with("Exceeded MaxStartups"),
            Self::Nothing | Self::Banner | Self::Offer => false,
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

fn timed_out(target: &Target, phase: Phase, seen: &PeerProgress) -> Failure {
    let limit = human(target.connect_timeout);
    let at = host_port(&target.address, target.port);
    if let PeerProgress::Words(words) = seen {
        return not_ssh(&at, words);
    }
    match phase {
        Phase::Resolve => Failure::new(Phase::Resolve, format!("no answer about `{}` within {limit}", target.address))
            .hint("the name server does not answer; an address in the hosts file needs none"),
        Phase::Auth => Failure::new(Phase::Auth, format!("{at}: no end of the login within {limit}")).hint(
            "the node is overloaded, or its login waits for something (DNS, LDAP, PAM); try --connect-timeout 30s",
        ),
        _ if matches!(seen, PeerProgress::Banner | PeerProgress::Offer) => {
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
