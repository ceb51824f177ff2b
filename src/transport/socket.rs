//! A connected socket, and waiting for it. Knows nothing of SSH.

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv, sockopt};
use ssh2::BlockDirections;

use super::jump::status::{KeepAlive, TunnelStatus};
use crate::reactor::Socket;

/// A socket shared by a session and whoever waits for it.
///
/// libssh2 keeps only the number of the descriptor, so every session holds one of these for as long as it lives.
#[derive(Debug, Clone)]
pub(super) struct SessionSocket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    socket: Socket,
    /// What carries it, where that is not the network.
    via_status: Option<Arc<TunnelStatus>>,
    /// Tells whoever carries it that nobody wants it any more.
    _keep_alive: Option<KeepAlive>,
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
        Ok(Self(Arc::new(Inner { socket, via_status: None, _keep_alive: None })))
    }

    /// One end of a pair of sockets; what is behind the other end says in `via_status` why it ended.
    pub(super) fn over(
        stream: UnixStream,
        via_status: Arc<TunnelStatus>,
        keep_alive: Option<KeepAlive>,
    ) -> io::Result<Self> {
        let socket = Socket::unix(stream)?;
        Ok(Self(Arc::new(Inner { socket, via_status: Some(via_status), _keep_alive: keep_alive })))
    }

    /// What carries it, where that is not the network.
    pub(super) fn via_status(&self) -> Option<&Arc<TunnelStatus>> {
        self.0.via_status.as_ref()
    }

    /// Why what carries it has ended, if it has.
    pub(super) fn tunnel_end(&self) -> Option<String> {
        self.via_status()?.ended()
    }

    /// True when a packet of a few dozen bytes would go out at once, and whole.
    pub(super) fn has_room(&self) -> bool {
        self.0.socket.has_room()
    }

    /// Waits until what libssh2 waits for may go on.
    pub(super) async fn ready(&self, directions: BlockDirections) -> io::Result<()> {
        match directions {
            BlockDirections::Outbound => self.0.socket.writable().await,
            BlockDirections::Both => self.0.socket.readable_or_writable().await,
            // `None`: nothing is known to be in the way, so wait for news.
            BlockDirections::Inbound | BlockDirections::None => self.0.socket.readable().await,
        }
    }

    /// What the peer said first, as far as it is there; it stays there to be read.
    pub(super) fn peek(&self) -> Option<String> {
        let mut words = [0_u8; 80];
        let (_, count) = recv(&self.0.socket, &mut words, RecvFlags::PEEK | RecvFlags::DONTWAIT).ok()?;
        (count > 0).then(|| String::from_utf8_lossy(&words[..count]).into_owned())
    }

    /// Sends all of it.
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

    /// Appends what comes next; 0 is the end.
    pub(super) async fn read(&self, to: &mut Vec<u8>) -> io::Result<usize> {
        let mut buffer = vec![0_u8; 4096];
        let count = self.0.socket.read_some(&mut buffer).await?;
        to.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    /// Whether the other end has ended the connection, and everything that it said is read.
    pub(super) fn has_ended(&self) -> bool {
        match recv(&self.0.socket, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, count)) => count == 0,
            Err(error) => error != Errno::AGAIN && error != Errno::INTR,
        }
    }

    /// Ends the connection at once, in both directions: nothing on it can block any more.
    pub(super) fn shut(&self) {
        self.0.socket.shut(Shutdown::Both);
    }
}

impl AsRawFd for SessionSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.socket.as_fd().as_raw_fd()
    }
}
