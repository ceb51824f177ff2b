//! The jump thread: one for whatever carries the connections of others, that is the jump hosts' sessions and the
//! `ProxyCommand`s.
//!
//! A jump host's session belongs to this thread, and the hosts behind it may be on any shard, so each of them gets one end
//! of a pair of sockets, with which it does what it would do with a network connection.

mod channel;
mod pool;
pub(crate) mod proxy_command;
mod session;
pub(crate) mod status;

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_channel::{Receiver, Sender};

use self::pool::{JumpPool, PoolMessage};
use super::connect::Dialer;
use super::connect::failure::host_port;
use super::jump::status::{KeepAlive, TunnelStatus};

use super::socket::SessionSocket;
use super::target::{Target, Via};
use crate::outcome::{Failure, Phase};
use crate::reactor::{Reactor, spawn};

/// The jump thread, once somebody needs it.
#[derive(Debug)]
pub(super) struct JumpThread {
    inbox: Receiver<TunnelRequest>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where the jump thread is asked.
#[derive(Debug, Clone)]
pub(super) struct TunnelRequests(Sender<TunnelRequest>);

/// Somebody wants to be carried to a host.
#[derive(Debug)]
pub(super) struct TunnelRequest {
    /// To whom; how is in its [`Via`].
    pub(super) target: Arc<Target>,
    answer: Sender<Result<Tunnel, Failure>>,
}

/// A connection that was made for somebody: what a wire is made of, by whoever is to wait for it.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) stream: UnixStream,
    /// What is behind the other end says there why it ended.
    pub(super) via_status: Arc<TunnelStatus>,
    pub(super) keep_alive: Option<KeepAlive>,
    pub(super) took: Duration,
}

impl JumpThread {
    /// A jump thread that does not run yet, and where to ask.
    pub(super) fn new() -> (Self, TunnelRequests) {
        let (sender, inbox) = async_channel::unbounded();
        (Self { inbox, thread: Mutex::default() }, TunnelRequests(sender))
    }

    /// Starts the thread, unless it runs.
    pub(super) fn open(&self, dialer: &Dialer) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let (dialer, inbox) = (dialer.clone(), self.inbox.clone());
            let started = Reactor::new().and_then(|reactor| {
                let serving = move || reactor.block_on(serve(&dialer, &inbox));
                std::thread::Builder::new().name("jump".to_owned()).spawn(serving)
            });
            match started {
                Ok(handle) => *thread = Some(handle),
                // Whoever asks hears that there is no answer.
                Err(_) => drop(self.inbox.close()),
            }
        }
    }
}

impl Drop for JumpThread {
    /// Waits until every session is closed, and every command has ended.
    fn drop(&mut self) {
        self.inbox.close();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            let _ = thread.join();
        }
    }
}

impl TunnelRequests {
    /// A connection to a host, through whatever carries it, and how long it took without the time spent waiting for others.
    pub(super) async fn open_tunnel(&self, target: &Target) -> Result<(SessionSocket, Duration), Failure> {
        let (answer, answered) = async_channel::bounded(1);
        let sent = self.0.send(TunnelRequest { target: Arc::new(target.clone()), answer }).await;
        let gone = || {
            Failure::new(Phase::Connect, "gsctl itself broke while it worked on what carries this connection")
                .hint("this is a bug: please report it with the lines above")
        };
        sent.map_err(|_| gone())?;
        let Tunnel { stream, via_status, keep_alive, took } = answered.recv().await.map_err(|_| gone())??;
        let socket = SessionSocket::over(stream, via_status, keep_alive).map_err(|error| {
            let at = host_port(&target.address, target.port);
            Failure::new(Phase::Connect, format!("{at}: {error}"))
        })?;
        Ok((socket, took))
    }
}

impl TunnelRequest {
    /// Answers. Whoever asked may be gone.
    fn answer(&self, answer: Result<Tunnel, Failure>) {
        let _ = self.answer.try_send(answer);
    }

    /// Whoever asked does not wait any more.
    fn is_withdrawn(&self) -> bool {
        self.answer.is_closed()
    }

    /// The host's address and port.
    fn place(&self) -> (&str, u16) {
        (&self.target.address, self.target.port)
    }
}

async fn serve(dialer: &Dialer, requests: &Receiver<TunnelRequest>) {
    let mut jumps: HashMap<String, Sender<PoolMessage>> = HashMap::new();
    while let Ok(request) = requests.recv().await {
        match request.target.via.clone() {
            // The network needs nobody, this machine neither, and ssh sees to that itself.
            Via::Network | Via::OpenSsh(_) | Via::Local => {}
            Via::Command(command) => spawn(async move {
                let target = &request.target;
                proxy_command::carry(&command, target, |carried| request.answer(carried)).await;
            }),
            Via::Jump(target) => {
                let inbox = jumps.entry(target.chain()).or_insert_with(|| start(dialer, Arc::clone(&target)));
                let _ = inbox.try_send(PoolMessage::Request(request));
            }
        }
    }
}

fn start(dialer: &Dialer, target: Arc<Target>) -> Sender<PoolMessage> {
    let (inbox, notes) = async_channel::unbounded();
    spawn(JumpPool::new(target, dialer.clone(), inbox.clone()).serve(notes));
    inbox
}
