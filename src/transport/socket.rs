//! A connected socket, what goes over it, and waiting for that. Knows nothing of SSH but the limits of `intake`.
//!
//! A call of libssh2 goes on as long as there is something to read, also where it is told not to block: a server that sends fast
//! enough would never let it come back. So until the keys are exchanged libssh2 has one end of a pair, over which it gets a piece
//! at a time, and nothing is handed over while it runs. From then on it reads from the network itself, which costs half as many
//! system calls, and a descriptor less; where a thread is kept by that for long, the pair comes back (`direct`).

mod direct;
mod pair;
#[cfg(test)]
mod tests;

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_lite::future;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv, sockopt};
use ssh2::BlockDirections;

use self::pair::{Pair, Received};
use super::intake::{Greeting, Intake};
use super::jump::status::{KeepAlive, TunnelStatus};
use crate::reactor::Socket;

/// A connection shared by a session and whoever waits for it.
///
/// libssh2 keeps only the number of the descriptor, so every session holds one of these for as long as it lives.
#[derive(Debug, Clone)]
pub(super) struct SessionSocket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// To the server.
    socket: Socket,
    state: Mutex<State>,
    /// What carries it, where that is not the network.
    via_status: Option<Arc<TunnelStatus>>,
    /// Tells whoever carries it that nobody wants it any more.
    _keep_alive: Option<KeepAlive>,
}

#[derive(Debug)]
struct State {
    intake: Intake,
    /// libssh2's end: the far end of the pair, or the connection itself.
    far: OwnedFd,
    /// `None`: libssh2 reads from the network itself.
    pair: Option<Pair>,
    /// The pair is to stay.
    keeps_pair: bool,
    /// Why it was cut off from here.
    cut: Option<String>,
}

impl SessionSocket {
    /// Connects over TCP, from an address of this machine where one is given.
    pub(super) async fn connect(address: SocketAddr, from: Option<IpAddr>, dead_after: Duration) -> io::Result<Self> {
        let socket = Socket::connect(address, from).await?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        // libssh2 never counts unanswered keepalives; TCP notices a peer that went away while we send. Not every kernel
        // has the option, and the connection is as good without it.
        let _ = sockopt::set_socket_keepalive(&socket, true);
        #[cfg(target_os = "linux")]
        let _ = sockopt::set_tcp_user_timeout(&socket, u32::try_from(dead_after.as_millis()).unwrap_or(u32::MAX));
        #[cfg(not(target_os = "linux"))]
        let _ = dead_after;
        Self::new(socket, None, None)
    }

    /// One end of a pair of sockets; what is behind the other end says in `via_status` why it ended.
    pub(super) fn over(
        stream: UnixStream,
        via_status: Arc<TunnelStatus>,
        keep_alive: Option<KeepAlive>,
    ) -> io::Result<Self> {
        Self::new(Socket::unix(stream)?, Some(via_status), keep_alive)
    }

    fn new(socket: Socket, via_status: Option<Arc<TunnelStatus>>, keep_alive: Option<KeepAlive>) -> io::Result<Self> {
        let (pair, far) = Pair::new()?;
        let state = State { intake: Intake::new(), far, pair: Some(pair), keeps_pair: true, cut: None };
        Ok(Self(Arc::new(Inner { socket, state: Mutex::new(state), via_status, _keep_alive: keep_alive })))
    }

    /// What carries it, where that is not the network.
    pub(super) fn via_status(&self) -> Option<&Arc<TunnelStatus>> {
        self.0.via_status.as_ref()
    }

    /// Why what carries it has ended, if it has.
    pub(super) fn tunnel_end(&self) -> Option<String> {
        self.via_status()?.ended()
    }

    /// Why it was cut off from here, if it was.
    pub(super) fn cut(&self) -> Option<String> {
        self.state().cut.clone()
    }

    /// How far the server has got.
    pub(super) fn greeting(&self) -> Greeting {
        self.state().intake.greeting()
    }

    /// Keys are exchanged.
    pub(super) fn exchanged(&self) {
        let mut state = self.state();
        state.intake.shaken();
        state.keeps_pair = !direct::are_watched();
    }

    /// The user is logged in.
    pub(super) fn logged_in(&self) {
        self.state().intake.logged_in();
    }

    /// Has libssh2 read over a pair for as long as this is there: a thread of its own calls it, and `serve` hands over.
    pub(super) fn over_pair(&self) -> OverPair {
        let kept = std::mem::replace(&mut self.state().keeps_pair, true);
        self.0.put_pair_between();
        OverPair { socket: self.clone(), kept }
    }

    /// Bytes that came since the keys were exchanged.
    pub(super) fn login_bytes(&self) -> usize {
        self.state().intake.login_bytes()
    }

    /// So many bytes of what came were of use.
    pub(super) fn used(&self, bytes: usize) {
        self.state().intake.used(bytes);
    }

    /// There is a channel that nobody may read.
    pub(super) fn unread_channel(&self) {
        self.state().intake.unread_channel();
    }

    /// True when a packet of a few dozen bytes would be taken at once, and whole.
    pub(super) fn has_room(&self) -> bool {
        self.flush();
        self.state().is_ready(PollFlags::OUT)
    }

    /// Waits until what libssh2 waits for may go on.
    pub(super) async fn ready(&self, directions: BlockDirections) -> io::Result<()> {
        // `None`: nothing is known to be in the way, so wait for news.
        let (inbound, outbound) = match directions {
            BlockDirections::Outbound => (false, true),
            BlockDirections::Both => (true, true),
            BlockDirections::Inbound | BlockDirections::None => (true, false),
        };
        let mut waited = false;
        loop {
            if self.may_go_on(inbound, outbound, waited) {
                if !waited {
                    // Fair to the other hosts of the thread, and to the clock.
                    future::yield_now().await;
                }
                return Ok(());
            }
            self.news(inbound, outbound).await?;
            waited = true;
        }
    }

    /// Whether libssh2 may go on. `waited`: it was not called since this was last asked.
    fn may_go_on(&self, inbound: bool, outbound: bool, waited: bool) -> bool {
        let mut guard = self.state();
        let state = &mut *guard;
        let moved = match &mut state.pair {
            None => return self.0.may_go_on_directly(state, (inbound, outbound), waited),
            // Only libssh2 has anything for the network that was not there before.
            Some(pair) if waited => {
                pair.send_rest(&self.0.socket);
                self.0.receive(state)
            }
            Some(_) => self.0.turn(state),
        };
        // libssh2 may have stopped in the middle of what is there.
        let ready = inbound && (moved || state.is_ready(PollFlags::IN)) || outbound && state.is_ready(PollFlags::OUT);
        if !ready && !state.keeps_pair && self.0.go_direct(state) {
            direct::add(&self.0);
        }
        ready
    }

    /// Hands over what comes and goes while another thread calls libssh2. Never ends.
    pub(super) async fn serve(&self, _pair: &OverPair) -> io::Result<()> {
        let near = match &self.state().pair {
            Some(pair) => pair.watched()?,
            None => return Err(io::ErrorKind::NotConnected.into()),
        };
        let waits = |in_what: fn(&Pair) -> bool| self.state().pair.as_ref().is_some_and(in_what);
        loop {
            self.turn();
            let said = async {
                // While the network takes no more nothing is asked for.
                if waits(Pair::is_held_up) {
                    future::pending::<()>().await;
                }
                near.readable_afresh().await
            };
            let taken = async {
                if !waits(Pair::is_full) {
                    future::pending::<()>().await;
                }
                near.writable_afresh().await
            };
            future::or(said, future::or(taken, self.news(true, false))).await?;
            future::yield_now().await;
        }
    }

    /// Waits until the network has something, or takes what it did not take.
    async fn news(&self, inbound: bool, outbound: bool) -> io::Result<()> {
        let (deaf, full) = match &self.state().pair {
            None => (!inbound, outbound),
            Some(pair) => (pair.has_ended() || pair.is_full(), pair.is_held_up()),
        };
        match (deaf, full) {
            (false, false) => self.0.socket.readable().await,
            (false, true) => self.0.socket.readable_or_writable().await,
            (true, true) => self.0.socket.writable().await,
            // Only libssh2 can go on.
            (true, false) => future::pending().await,
        }
    }

    /// Hands over what there is in both directions, a piece of it at most, without waiting.
    pub(super) fn turn(&self) {
        self.0.turn(&mut self.state());
    }

    /// Sends what libssh2 has said, as far as the network takes it at once.
    pub(super) fn flush(&self) {
        if let Some(pair) = &mut self.state().pair {
            pair.send(&self.0.socket);
        }
    }

    /// Sends all of it, past libssh2.
    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match (&self.0.socket).write(bytes) {
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.0.socket.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Appends what comes next, past libssh2; 0 is the end.
    pub(super) async fn read(&self, to: &mut Vec<u8>) -> io::Result<usize> {
        let mut buffer = vec![0_u8; 4096];
        let count = self.0.socket.read_some(&mut buffer).await?;
        to.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    /// Whether the other end has ended the connection, and everything that it said is read.
    pub(super) fn has_ended(&self) -> bool {
        let state = self.state();
        let ended = match &state.pair {
            Some(pair) if pair.is_full() || state.has_unread() => return false,
            Some(pair) => pair.has_ended(),
            None => false,
        };
        ended || self.peeked_end()
    }

    /// Whether the network brings nothing any more, as the system knows it.
    fn peeked_end(&self) -> bool {
        match recv(&self.0.socket, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, count)) => count == 0,
            Err(error) => error != Errno::AGAIN && error != Errno::INTR,
        }
    }

    /// Whether nothing more comes, be something unread or not.
    pub(super) fn is_over(&self) -> bool {
        self.turn();
        // The reactor may not have told of the end yet.
        let ended = match &self.state().pair {
            Some(pair) => pair.has_ended(),
            None => self.0.socket.has_hung_up(),
        };
        ended || self.peeked_end()
    }

    /// Ends the connection at once, in both directions: nothing on it can block any more.
    pub(super) fn shut(&self) {
        self.flush();
        self.0.socket.shut(Shutdown::Both);
        if let Some(pair) = &self.state().pair {
            pair.shut();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state()
    }
}

/// While it is there, libssh2 reads over a pair.
pub(super) struct OverPair {
    socket: SessionSocket,
    /// The pair was to stay anyway.
    kept: bool,
}

impl Drop for OverPair {
    fn drop(&mut self) {
        self.socket.state().keeps_pair = self.kept;
    }
}

impl State {
    /// Whether libssh2's end is ready for this.
    fn is_ready(&self, flags: PollFlags) -> bool {
        let mut fds = [PollFd::new(&self.far, flags)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Whether libssh2's end has bytes that it has not read.
    fn has_unread(&self) -> bool {
        recv(&self.far, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT).is_ok_and(|(_, count)| count > 0)
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over what there is in both directions. True when something came in, be it the end.
    fn turn(&self, state: &mut State) -> bool {
        if let Some(pair) = &mut state.pair {
            pair.send(&self.socket);
        }
        self.receive(state)
    }

    fn receive(&self, state: &mut State) -> bool {
        let Some(pair) = &mut state.pair else {
            self.count(state);
            return false;
        };
        match pair.receive(&self.socket, &mut state.intake) {
            Received::Nothing => false,
            Received::Some => true,
            Received::TooMuch(why) => {
                self.cut_off(&mut state.cut, why);
                true
            }
        }
    }

    /// Counts what is there for libssh2 to read by itself. How many bytes, unless they are too many.
    fn count(&self, state: &mut State) -> Option<u64> {
        let bytes = self.socket.available();
        let Err(why) = state.intake.count(bytes) else { return Some(bytes) };
        self.cut_off(&mut state.cut, why);
        None
    }

    fn cut_off(&self, cut: &mut Option<String>, why: String) {
        *cut = Some(why);
        self.socket.shut(Shutdown::Both);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        direct::remove(self);
    }
}

/// It may be tried again.
pub(super) fn is_moment(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl AsRawFd for SessionSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.state().far.as_raw_fd()
    }
}
