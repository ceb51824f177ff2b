//! Peers on loopback that misbehave, each under the name of what it does.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};

use super::address::any_loopback;

/// A peer; dropping it frees its port and closes what it held.
#[derive(Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// A port that is bound and nothing else.
    _bound: Option<OwnedFd>,
    /// Connections that fill a queue.
    _fillers: Vec<TcpStream>,
}

impl Peer {
    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// A peer that greets and then holds every connection open.
    fn greets(greeting: &'static [u8]) -> Self {
        Self::greets_at(greeting, 0)
    }

    fn greets_at(greeting: &'static [u8], port: u16) -> Self {
        let listener = TcpListener::bind((any_loopback(), port)).expect("a loopback address is free");
        let address = listener.local_addr().expect("it is bound");
        let (connections, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (count, stopped) = (Arc::clone(&connections), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(greeting);
                held.push(stream);
            }
        });
        Self { address, connections, stop, thread: Some(thread), _bound: None, _fillers: Vec::new() }
    }

    fn without_thread(address: SocketAddr, bound: OwnedFd, fillers: Vec<TcpStream>) -> Self {
        let (connections, stop) = (Arc::default(), Arc::default());
        Self { address, connections, stop, thread: None, _bound: Some(bound), _fillers: fillers }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.stop.store(true, Ordering::SeqCst);
            // Wakes it from its accept.
            if TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok() {
                let _ = thread.join();
            }
        }
    }
}

/// Nobody listens: the connection is refused. The port is held, so that nobody comes to listen either.
pub(crate) fn closed_port() -> Peer {
    let (address, bound) = bound_socket(0);
    Peer::without_thread(address, bound, Vec::new())
}

/// The queue is full, so the kernel drops what comes: connecting takes until the caller gives up.
pub(crate) fn silent_address() -> Peer {
    silent_at(0)
}

/// The same on this port.
pub(crate) fn silent_at(port: u16) -> Peer {
    let (address, bound) = bound_socket(port);
    listen(&bound, 0).expect("it is bound");
    let mut fillers = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        fillers.push(stream);
        assert!(fillers.len() < 100, "a queue of no length does not get full");
    }
    Peer::without_thread(address, bound, fillers)
}

/// Accepts and never says a word.
pub(crate) fn mute_port() -> Peer {
    Peer::greets(b"")
}

/// The same on this port.
pub(crate) fn mute_at(port: u16) -> Peer {
    Peer::greets_at(b"", port)
}

/// Speaks, but not SSH.
pub(crate) fn garbage_banner() -> Peer {
    Peer::greets(b"220 mail.example ESMTP ready\r\n\x00\xff\x1b[31mgarbage\r\n")
}

/// Says that it is an SSH server, and no more.
pub(crate) fn banner_then_hang() -> Peer {
    Peer::greets(b"SSH-2.0-OpenSSH_9.2\r\n")
}

fn bound_socket(port: u16) -> (SocketAddr, OwnedFd) {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("sockets can be made");
    let wish: SocketAddr = SocketAddrV4::new(any_loopback(), port).into();
    bind(&socket, &wish).expect("a loopback address is free");
    let name = getsockname(&socket).expect("it is bound");
    let address = SocketAddrV4::try_from(name).expect("it is IPv4");
    assert_ne!(*address.ip(), Ipv4Addr::UNSPECIFIED);
    (address.into(), socket)
}
