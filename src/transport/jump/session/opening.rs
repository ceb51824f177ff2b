//! The channel that a jump host is asked for: one at a time, for whoever waits for it.

use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ssh2::Channel;

use super::JumpSession;
use crate::duration::human;
use crate::outcome::{Failure, Phase};
use crate::reactor::{Socket, spawn};
use crate::transport::classify;
use crate::transport::connect::failure::host_port;
use crate::transport::jump::channel::{self, ForwardedChannel};
use crate::transport::jump::{Tunnel, TunnelRequest};
use crate::transport::session::EAGAIN;

/// Time between two looks at a channel that is being opened.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// A channel that the jump host was asked for.
pub(super) struct Opening {
    address: Arc<str>,
    port: u16,
    since: Instant,
    /// When the last one asked for it.
    asked: Instant,
    /// Who waits for it. `None`: he has given up, libssh2 cannot.
    pub(super) request: Option<TunnelRequest>,
    /// When he did, or will.
    deadline: Instant,
}

impl JumpSession {
    /// Since when it has been waiting for one channel to open.
    pub(in crate::transport::jump) fn busy_since(&self) -> Option<Instant> {
        self.opening.borrow().as_ref().map(|opening| opening.since)
    }

    /// Takes a request for an address that an opening is under way to, and nobody waits for any more.
    pub(in crate::transport::jump) fn take_over(&self, request: TunnelRequest) -> Result<(), TunnelRequest> {
        let mut opening = self.opening.borrow_mut();
        match opening.as_mut() {
            Some(opening)
                if request.place() == (&*opening.address, opening.port)
                    && opening.request.as_ref().is_none_or(TunnelRequest::is_withdrawn) =>
            {
                opening.asked = Instant::now();
                opening.deadline = opening.asked + request.target.settings.connect_timeout;
                opening.request = Some(request);
                Ok(())
            }
            _ => Err(request),
        }
    }

    pub(super) fn is_opening(&self) -> bool {
        self.opening.borrow().is_some()
    }

    pub(super) fn begin(&self, request: TunnelRequest) {
        if request.is_withdrawn() {
            return;
        }
        let now = Instant::now();
        self.opening.replace(Some(Opening {
            address: request.target.address.clone(),
            port: request.target.port,
            since: now,
            asked: now,
            deadline: now + request.target.settings.connect_timeout,
            request: Some(request),
        }));
    }

    pub(super) fn until_deadline(&self) -> Duration {
        let opening = self.opening.borrow();
        let waits = opening.as_ref().filter(|opening| opening.request.is_some());
        waits.map_or(LOOK, |opening| opening.deadline.saturating_duration_since(Instant::now()))
    }

    /// Goes on with the channel that is being opened.
    pub(super) async fn open(self: &Rc<Self>) -> Result<(), String> {
        loop {
            let ssh = self.session.ssh();
            let tried = match &*self.opening.borrow() {
                Some(opening) => ssh.channel_direct_tcpip(&opening.address, opening.port, None),
                None => return Ok(()),
            };
            let failed = match tried {
                Ok(channel) => {
                    self.forward(channel);
                    self.wake();
                    return Ok(());
                }
                Err(error) if classify::session_code(&error) == EAGAIN => {
                    if self.is_half_sent() {
                        self.until_ready().await?;
                        continue;
                    }
                    self.expire();
                    return Ok(());
                }
                Err(error) => error,
            };
            let late = classify::is_late(&failed);
            if !late && !classify::is_refused(&failed) {
                return Err(classify::lower(failed.message()));
            }
            if let Some(Opening { request: Some(request), address, port, .. }) = self.opening.take() {
                let at = host_port(&address, port);
                request.answer(Err(if late {
                    timed_out(&self.name, &at, &request)
                } else {
                    classify::not_forwarded(&self.name, &at, failed.message())
                }));
            }
            return Ok(());
        }
    }

    /// Gives the channel that was opened to whoever waits for it.
    fn forward(self: &Rc<Self>, channel: Channel) {
        let Some(opening) = self.opening.take() else { return };
        self.used.set(true);
        // It is read no faster than the host behind it is served.
        self.session.socket().unread_channel();
        let pair = UnixStream::pair().and_then(|(near, far)| Ok((Socket::unix(near)?, far)));
        let (Some(request), Ok((near, far))) = (opening.request.filter(|request| !request.is_withdrawn()), pair) else {
            self.done.borrow_mut().push(channel);
            return;
        };
        let forward = Rc::new(ForwardedChannel::new(channel));
        self.forwards.borrow_mut().push(forward.clone());
        spawn(channel::relay(self.clone(), forward, near));
        let took = opening.asked.elapsed();
        request.answer(Ok(Tunnel { stream: far, via_status: self.via_status.clone(), keep_alive: None, took }));
    }

    /// Lets go of a request whose time is over.
    fn expire(&self) {
        if let Some(opening) = self.opening.borrow_mut().as_mut()
            && Instant::now() >= opening.deadline
            && let Some(request) = opening.request.take()
        {
            let at = host_port(&opening.address, opening.port);
            request.answer(Err(timed_out(&self.name, &at, &request)));
        }
    }
}

fn timed_out(jump: &str, at: &str, request: &TunnelRequest) -> Failure {
    let limit = human(request.target.settings.connect_timeout);
    Failure::new(Phase::Connect, format!("through {jump}: {at}: timed out after {limit}"))
        .hint("is the node up, and does a firewall between the jump host and the node drop the port?")
        .retryable()
}
