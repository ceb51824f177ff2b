//! One host behind a jump host: bytes between its end of a pair of sockets and its channel.

use std::cell::{Cell, RefCell};
use std::io::{self, Read as _, Write as _};
use std::rc::Rc;

use async_channel::{Receiver, Sender};
use futures_lite::future;
use rustix::net::Shutdown;
use ssh2::Channel;

use super::session::JumpSession;
use crate::reactor::Socket;
use crate::transport::socket::is_moment;

/// Most bytes that wait in each direction, beside what sockets and windows hold.
const BUFFER: usize = 32 * 1024;

/// A channel's place on a connection to a jump host.
pub(super) struct ForwardedChannel {
    pub(super) channel: RefCell<Channel>,
    notified: (Sender<()>, Receiver<()>),
    /// The other end took no more when it was last offered something.
    full: Cell<bool>,
}

impl ForwardedChannel {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel: RefCell::new(channel), notified: async_channel::bounded(1), full: Cell::new(false) }
    }

    /// There is something to do.
    pub(super) fn notify(&self) {
        let _ = self.notified.0.try_send(());
    }

    /// Whether there is something to do that was not there before.
    pub(super) fn has_work(&self) -> bool {
        self.has_data() || self.at_eof() || self.full.get() && self.room() > 0
    }

    pub(super) fn has_data(&self) -> bool {
        self.channel.borrow().read_window().available > 0
    }

    /// Whether the other end has ended, and everything that it said is read.
    pub(super) fn at_eof(&self) -> bool {
        self.channel.borrow().eof()
    }

    /// Whether the other end takes no more now.
    pub(super) fn is_full(&self) -> bool {
        self.full.set(self.room() == 0);
        self.full.get()
    }

    fn room(&self) -> u32 {
        self.channel.borrow().write_window().remaining
    }
}

/// Carries bytes until either end has ended.
pub(super) async fn relay(session: Rc<JumpSession>, forward: Rc<ForwardedChannel>, local: Socket) {
    let _ = copy_both_ways(&session, &forward, &local).await;
    // Whatever ended it, nothing on either side has to wait for the other any more. SSH never ends one direction alone.
    local.shut(Shutdown::Both);
    session.leave(&forward);
}

async fn copy_both_ways(session: &JumpSession, forward: &ForwardedChannel, local: &Socket) -> Result<(), ()> {
    let mut down = RelayBuffer::default();
    let mut up = RelayBuffer::default();
    let mut ended = false;
    loop {
        let mut moved = false;
        if session.ended() {
            return Err(());
        }
        if down.is_empty() {
            down.filled = session.read(forward, down.space()).await?;
        }
        if !down.is_empty() {
            moved |= down.take_with(|bytes| would_block((&mut { local }).write(bytes)))? > 0;
        }
        if down.is_empty() && forward.at_eof() {
            return Ok(());
        }
        if up.is_empty() && !ended {
            up.filled = match (&mut { local }).read(up.space()) {
                Ok(0) => {
                    ended = true;
                    0
                }
                read => would_block(read)?,
            };
        }
        if !up.is_empty() {
            let count = session.write(forward, up.bytes()).await?;
            moved |= up.take_with(|_| Ok(count))? > 0;
        }
        if ended && (up.is_empty() || !moved) {
            return Ok(());
        }
        if moved {
            // Fair to the others, whatever this one sends.
            future::yield_now().await;
            continue;
        }
        down.shrink();
        up.shrink();
        let notified = async {
            let _ = forward.notified.1.recv().await;
        };
        let writable = async {
            if down.is_empty() {
                future::pending::<()>().await;
            }
            let _ = local.writable().await;
        };
        let readable = async {
            if !up.is_empty() {
                future::pending::<()>().await;
            }
            let _ = local.readable().await;
        };
        future::or(notified, future::or(writable, readable)).await;
    }
}

/// Bytes on their way.
#[derive(Default)]
struct RelayBuffer {
    buffer: Vec<u8>,
    begun: usize,
    filled: usize,
}

impl RelayBuffer {
    fn is_empty(&self) -> bool {
        self.begun == self.filled
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[self.begun..self.filled]
    }

    /// All of it, for new bytes.
    fn space(&mut self) -> &mut [u8] {
        (self.begun, self.filled) = (0, 0);
        self.buffer.resize(BUFFER, 0);
        &mut self.buffer
    }

    /// Holds no memory while there is nothing in it.
    fn shrink(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Lets somebody take bytes; he says how many.
    fn take_with(&mut self, take: impl FnOnce(&[u8]) -> Result<usize, ()>) -> Result<usize, ()> {
        let count = take(self.bytes())?;
        self.begun += count;
        Ok(count)
    }
}

fn would_block(result: io::Result<usize>) -> Result<usize, ()> {
    match result {
        Ok(count) => Ok(count),
        Err(error) if is_moment(&error) => Ok(0),
        Err(_) => Err(()),
    }
}
