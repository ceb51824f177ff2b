//! A connected socket, what goes over it, and waiting for that. Knows nothing of SSH but the limits of `intake`.
//!
//! libssh2 has a socket of its own, one end of a pair. A call of it goes on as long as there is something to read, also
//! where it is told not to block: a server that sends fast enough would never let it come back. What it gets here is a
//! piece at a time, and nothing is handed over while it runs.

use std::cell::RefCell;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_lite::future;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use ssh2::BlockDirections;

use super::intake::{Greeting, Intake};
use super::jump::status::{KeepAlive, TunnelStatus};
use crate::reactor::Socket;

/// Most bytes that are handed over at once.
const PIECE: usize = 64 * 1024;

thread_local! {
    /// One buffer a thread: what is read is handed on at once.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE]);
}

/// A connection shared by a session and whoever waits for it.
///
/// libssh2 keeps only the number of the descriptor, so every session holds one of these for as long as it lives.
#[derive(Debug, Clone)]
pub(super) struct SessionSocket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// To the server.
    socket: Socket,
    /// Our end of the pair.
    near: UnixStream,
    /// libssh2's end.
    far: UnixStream,
    state: Mutex<State>,
    /// What carries it, where that is not the network.
    via_status: Option<Arc<TunnelStatus>>,
    /// Tells whoever carries it that nobody wants it any more.
    _keep_alive: Option<KeepAlive>,
}

#[derive(Debug)]
struct State {
    intake: Intake,
    /// From libssh2, and not taken by the network yet.
    outgoing: Vec<u8>,
    /// For libssh2, and not taken by the pair yet.
    incoming: Vec<u8>,
    /// The server has ended, or the connection has broken: nothing more comes.
    ended: bool,
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
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        let state =
            State { intake: Intake::new(), outgoing: Vec::new(), incoming: Vec::new(), ended: false, cut: None };
        Ok(Self(Arc::new(Inner { socket, near, far, state: Mutex::new(state), via_status, _keep_alive: keep_alive })))
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
        self.state().intake.shaken();
    }

    /// The user is logged in.
    pub(super) fn logged_in(&self) {
        self.state().intake.logged_in();
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
        self.0.is_ready(PollFlags::OUT)
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
            // Only libssh2 has anything for the network that was not there before, and it was not called meanwhile.
            let moved = if waited { self.take_in() } else { self.turn() };
            // libssh2 may have stopped in the middle of what is there.
            if inbound && (moved || self.0.is_ready(PollFlags::IN)) || outbound && self.0.is_ready(PollFlags::OUT) {
                if !waited {
                    // Fair to the other hosts of the thread, and to the clock.
                    future::yield_now().await;
                }
                return Ok(());
            }
            waited = true;
            self.news().await?;
        }
    }

    /// Hands over what comes and goes while another thread calls libssh2. Never ends.
    pub(super) async fn serve(&self) -> io::Result<()> {
        let near = Socket::unix(self.0.near.try_clone()?)?;
        loop {
            self.turn();
            let said = async {
                // While the network takes no more nothing is asked for.
                if !self.state().outgoing.is_empty() {
                    future::pending::<()>().await;
                }
                near.readable_afresh().await
            };
            let taken = async {
                if self.state().incoming.is_empty() {
                    future::pending::<()>().await;
                }
                near.writable_afresh().await
            };
            future::or(said, future::or(taken, self.news())).await?;
            future::yield_now().await;
        }
    }

    /// Waits until the network has something, or takes what it did not take.
    async fn news(&self) -> io::Result<()> {
        let (deaf, full) = {
            let state = self.state();
            (state.ended || !state.incoming.is_empty(), !state.outgoing.is_empty())
        };
        match (deaf, full) {
            (false, false) => self.0.socket.readable().await,
            (false, true) => self.0.socket.readable_or_writable().await,
            (true, true) => self.0.socket.writable().await,
            // Only libssh2 can go on.
            (true, false) => future::pending().await,
        }
    }

    /// Hands over what there is in both directions, a piece of it at most, without waiting. True when something came in.
    pub(super) fn turn(&self) -> bool {
        let mut state = self.state();
        self.0.send(&mut state);
        self.0.receive(&mut state)
    }

    /// Hands over what came, and what the network did not take before.
    fn take_in(&self) -> bool {
        let mut state = self.state();
        if !state.outgoing.is_empty() {
            self.0.send(&mut state);
        }
        self.0.receive(&mut state)
    }

    /// Sends what libssh2 has said, as far as the network takes it at once.
    pub(super) fn flush(&self) {
        self.0.send(&mut self.state());
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
        if !state.incoming.is_empty() || self.0.has_bytes() {
            return false;
        }
        state.ended || self.peeked_end()
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
        let ended = self.state().ended;
        ended || self.peeked_end()
    }

    /// Ends the connection at once, in both directions: nothing on it can block any more.
    pub(super) fn shut(&self) {
        self.flush();
        self.0.socket.shut(Shutdown::Both);
        let _ = shutdown(&self.0.near, Shutdown::Both);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether libssh2's end is ready for this.
    fn is_ready(&self, flags: PollFlags) -> bool {
        let mut fds = [PollFd::new(&self.far, flags)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Whether there are bytes that libssh2 has not read.
    fn has_bytes(&self) -> bool {
        recv(&self.far, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT).is_ok_and(|(_, count)| count > 0)
    }

    /// From libssh2 to the network.
    fn send(&self, state: &mut State) {
        loop {
            if state.outgoing.is_empty() {
                let whole = BUFFER.with_borrow_mut(|buffer| match (&self.near).read(buffer) {
                    Ok(count @ 1..) => {
                        let sent = self.offer(state, &buffer[..count]);
                        state.outgoing.extend_from_slice(&buffer[sent..count]);
                        Some(count == buffer.len())
                    }
                    _ => None,
                });
                // Less than a piece was all.
                if whole != Some(true) {
                    return;
                }
            } else {
                let rest = std::mem::take(&mut state.outgoing);
                let sent = self.offer(state, &rest);
                state.outgoing.extend_from_slice(&rest[sent..]);
            }
            if !state.outgoing.is_empty() {
                return;
            }
        }
    }

    /// Offers bytes to the network. How many it took; where it is broken, all of them.
    fn offer(&self, state: &mut State, bytes: &[u8]) -> usize {
        match (&self.socket).write(bytes) {
            Ok(sent) => sent,
            Err(error) if is_moment(&error) => 0,
            Err(_) => {
                // What the server said before can still be read.
                if state.ended {
                    self.end(state);
                }
                bytes.len()
            }
        }
    }

    /// From the network to libssh2, a piece at most. True when something came, be it the end.
    fn receive(&self, state: &mut State) -> bool {
        if !state.incoming.is_empty() {
            let rest = std::mem::take(&mut state.incoming);
            self.hand_over(state, &rest);
            return true;
        }
        if state.ended {
            return false;
        }
        BUFFER.with_borrow_mut(|buffer| match self.socket.read_known(buffer) {
            Ok(count @ 1..) => {
                match state.intake.take(&buffer[..count]) {
                    Ok(bytes) => self.hand_over(state, &bytes),
                    Err(why) => {
                        state.cut = Some(why);
                        self.socket.shut(Shutdown::Both);
                        self.end(state);
                    }
                }
                true
            }
            Err(error) if is_moment(&error) => false,
            Ok(_) | Err(_) => {
                self.end(state);
                true
            }
        })
    }

    fn hand_over(&self, state: &mut State, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match send(&self.near, bytes, SendFlags::NOSIGNAL) {
            Ok(count) => state.incoming.extend_from_slice(&bytes[count..]),
            Err(Errno::AGAIN | Errno::INTR) => state.incoming.extend_from_slice(bytes),
            // libssh2's end is shut.
            Err(_) => {}
        }
        if state.ended && state.incoming.is_empty() {
            self.end(state);
        }
    }

    /// Nothing more comes: libssh2 reads that as soon as it has read what came before.
    fn end(&self, state: &mut State) {
        state.ended = true;
        if state.incoming.is_empty() {
            let _ = shutdown(&self.near, Shutdown::Write);
        }
    }
}

/// It may be tried again.
pub(super) fn is_moment(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl AsRawFd for SessionSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.far.as_fd().as_raw_fd()
    }
}
