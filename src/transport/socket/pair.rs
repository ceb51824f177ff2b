//! What stands between the network and libssh2, where libssh2 is not to read from the network itself: a pair of sockets,
//! and what goes over it, a piece at a time.

use std::cell::RefCell;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown, send, shutdown};

use super::is_moment;
use crate::reactor::Socket;
use crate::transport::intake::Intake;

/// Most bytes that are handed over at once.
const PIECE: usize = 64 * 1024;

thread_local! {
    /// One buffer a thread: what is read is handed on at once.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE]);
}

/// Our end of a pair, whose other end libssh2 has.
#[derive(Debug)]
pub(super) struct Pair {
    near: UnixStream,
    /// From libssh2, and not taken by the network yet.
    outgoing: Vec<u8>,
    /// For libssh2, and not taken by the pair yet.
    incoming: Vec<u8>,
    /// The server has ended, or the connection has broken: nothing more comes.
    ended: bool,
}

/// What became of a piece from the network.
pub(super) enum Received {
    /// There was none.
    Nothing,
    /// Some, or the end.
    Some,
    /// It is more than a server may send: why.
    TooMuch(String),
}

impl Pair {
    /// A pair, and the end that is for libssh2.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        Ok((Self { near, outgoing: Vec::new(), incoming: Vec::new(), ended: false }, far.into()))
    }

    /// Our end, to wait for.
    pub(super) fn watched(&self) -> io::Result<Socket> {
        Socket::unix(self.near.try_clone()?)
    }

    /// Nothing more comes from the network.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Something waits for room in the pair.
    pub(super) fn is_full(&self) -> bool {
        !self.incoming.is_empty()
    }

    /// Something waits for room in the network.
    pub(super) fn is_held_up(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// From libssh2 to the network.
    pub(super) fn send(&mut self, socket: &Socket) {
        self.send_rest(socket);
        while self.outgoing.is_empty() {
            let is_whole = BUFFER.with_borrow_mut(|buffer| match (&self.near).read(buffer) {
                Ok(count @ 1..) => {
                    let sent = self.offer(socket, &buffer[..count]);
                    self.outgoing.extend_from_slice(&buffer[sent..count]);
                    count == buffer.len()
                }
                _ => false,
            });
            // Less than a piece was all.
            if !is_whole {
                return;
            }
        }
    }

    /// To the network what it did not take before.
    pub(super) fn send_rest(&mut self, socket: &Socket) {
        if self.outgoing.is_empty() {
            return;
        }
        let rest = std::mem::take(&mut self.outgoing);
        let sent = self.offer(socket, &rest);
        self.outgoing.extend_from_slice(&rest[sent..]);
    }

    /// Offers bytes to the network. How many it took; where it is broken, all of them.
    fn offer(&mut self, mut socket: &Socket, bytes: &[u8]) -> usize {
        match socket.write(bytes) {
            Ok(sent) => sent,
            Err(error) if is_moment(&error) => 0,
            Err(_) => {
                // What the server said before can still be read.
                if self.ended {
                    self.end();
                }
                bytes.len()
            }
        }
    }

    /// From the network to libssh2, a piece at most.
    pub(super) fn receive(&mut self, socket: &Socket, intake: &mut Intake) -> Received {
        if !self.incoming.is_empty() {
            let rest = std::mem::take(&mut self.incoming);
            self.hand_over(&rest);
            return Received::Some;
        }
        if self.ended {
            return Received::Nothing;
        }
        BUFFER.with_borrow_mut(|buffer| match socket.read_known(buffer) {
            Ok(count @ 1..) => match intake.take(&buffer[..count]) {
                Ok(bytes) => {
                    self.hand_over(&bytes);
                    Received::Some
                }
                Err(why) => {
                    self.end();
                    Received::TooMuch(why)
                }
            },
            Err(error) if is_moment(&error) => Received::Nothing,
            Ok(_) | Err(_) => {
                self.end();
                Received::Some
            }
        })
    }

    fn hand_over(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match send(&self.near, bytes, SendFlags::NOSIGNAL) {
            Ok(count) => self.incoming.extend_from_slice(&bytes[count..]),
            Err(Errno::AGAIN | Errno::INTR) => self.incoming.extend_from_slice(bytes),
            // libssh2's end is shut.
            Err(_) => {}
        }
        if self.ended && self.incoming.is_empty() {
            self.end();
        }
    }

    /// Nothing more comes: libssh2 reads that as soon as it has read what came before.
    fn end(&mut self) {
        self.ended = true;
        if self.incoming.is_empty() {
            let _ = shutdown(&self.near, Shutdown::Write);
        }
    }

    /// Ends it in both directions.
    pub(super) fn shut(&self) {
        let _ = shutdown(&self.near, Shutdown::Both);
    }
}
