//! From a connection to a logged-in session: key exchange, host key, login.

use std::net::SocketAddr;
use std::sync::Arc;

use super::attempt::{AttemptTrace, PeerProgress};
use super::failure::{cut_off, not_ssh, shown, too_much};
use super::{Dialer, connect_to};
use crate::credentials::known_hosts::HostKeyPolicy;
use crate::outcome::{Failure, Phase};
use crate::transport::algorithms::{self, AlgorithmKind};
use crate::transport::classify::{self, HandshakeProgress};
use crate::transport::host_key::{self, HostKeyTrust, RecordedKeys};
use crate::transport::intake::Greeting;
use crate::transport::kexinit;
use crate::transport::login::log_in;
use crate::transport::session::{Session, drive};
use crate::transport::socket::SessionSocket;
use crate::transport::target::Target;

/// The longest packet that libssh2 takes, less what is around a banner.
const LONGEST_PACKET: usize = 34_900;

impl Dialer {
    pub(super) async fn log_in_at(
        &self,
        target: &Target,
        address: Option<SocketAddr>,
        mut socket: SessionSocket,
        trace: &AttemptTrace,
        enter: &mut dyn FnMut(Phase),
    ) -> Result<Session, Failure> {
        let off = target.settings.policy == HostKeyPolicy::Off;
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
        let reached = address.map_or_else(|| target.address.to_string(), |address| address.ip().to_string());
        let session = Session::new(ssh, socket, reached, target, (&self.spool, self.window));
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
        ssh.set_compress(target.settings.compression);
        target.settings.algorithms.apply(&ssh).map_err(own_fault)?;
        if let Some(recorded) = asked_for {
            let names = target.settings.algorithms.for_known(&recorded.types);
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
            match lists.map(|lists| lists.missing(&target.settings.algorithms)) {
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
        let (Some(why), Some(_)) = (keys_only, &target.settings.password) else {
            return log_in(ssh, socket, target, &self.agent, &trace.password_sent).await;
        };
        // As ssh does: whoever sits in the host's place would have the password.
        let mut without = target.clone();
        Arc::make_mut(&mut without.settings).password = None;
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
            None => Ok(self.tunnel_requests.open_tunnel(target).await?.0),
        }
    }
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
