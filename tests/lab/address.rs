//! A block of loopback addresses that no other lab uses.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// The port whose listener says that a block is taken; the kernel gives it back however the test ends.
const LOCK_PORT: u16 = 20_001;

/// `127.A.B.*`, with one port that is free on each address.
#[derive(Debug)]
pub(crate) struct Block {
    a: u8,
    b: u8,
    port: u16,
    _lock: TcpListener,
}

impl Block {
    /// Takes a block with room for this many hosts.
    pub(crate) fn take(hosts: usize) -> Self {
        assert!(hosts <= 250, "a lab has at most 250 nodes, not {hosts}");
        for _ in 0..1_000 {
            let (a, b) = (fastrand::u8(1..=254), fastrand::u8(..));
            let Ok(lock) = TcpListener::bind((Ipv4Addr::new(127, a, b, 254), LOCK_PORT)) else { continue };
            // Below the range from which the kernel takes ports for outgoing connections.
            let block = Self { a, b, port: fastrand::u16(21_000..32_000), _lock: lock };
            if (0..hosts).all(|host| TcpListener::bind(block.host(host)).is_ok()) {
                return block;
            }
        }
        panic!("no free block of loopback addresses in 1,000 attempts");
    }

    /// The address of a host, counted from 0.
    pub(crate) fn host(&self, index: usize) -> SocketAddr {
        let last = u8::try_from(index + 1).expect("a block has at most 250 hosts");
        SocketAddr::from((Ipv4Addr::new(127, self.a, self.b, last), self.port))
    }
}

/// Some loopback address, for a peer of its own.
pub(crate) fn any_loopback() -> Ipv4Addr {
    Ipv4Addr::new(127, fastrand::u8(1..=254), fastrand::u8(..), fastrand::u8(1..=250))
}
