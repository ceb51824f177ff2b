//! A proxy in front of a real node, which breaks the connection at a chosen point.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use futures_lite::future::{or, pending};
use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use super::address::any_loopback;
use super::wait;

/// How a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// With a reset (RST), as when the node's kernel does not know it any more.
    Reset,
    /// With an orderly end (FIN), as when sshd was killed.
    Close,
    /// Not at all: nothing comes any more, and the connection stays open.
    Hang,
}

/// Where in the server's words a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Accepted, not a byte sent.
    Accept,
    /// The server's banner has passed.
    Banner,
    /// The server's offer of algorithms has passed, its key has not.
    KeyExchange,
    /// Keys are exchanged, the login has not begun.
    Auth,
    /// This many bytes of the server's have passed.
    Bytes(usize),
    /// This many bytes of the client's have passed, and not one more.
    Sent(usize),
}

/// A proxy to be.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    to: SocketAddr,
    fault: Option<(Point, Fault)>,
    faults: usize,
    drop_first: usize,
    lateness: Duration,
}

impl Plan {
    /// What the server says comes so much later than it was said.
    pub(crate) fn late(mut self, lateness: Duration) -> Self {
        self.lateness = lateness;
        self
    }

    /// Every connection breaks at this point.
    pub(crate) fn at(mut self, point: Point, fault: Fault) -> Self {
        self.fault = Some((point, fault));
        self
    }

    /// Only the first `n` connections break; what comes later passes.
    pub(crate) fn first(mut self, n: usize) -> Self {
        self.faults = n;
        self
    }

    /// Every connection is reset at this point.
    pub(crate) fn reset_at(self, point: Point) -> Self {
        self.at(point, Fault::Reset)
    }

    /// Every connection is reset after this many bytes of the server's.
    pub(crate) fn reset_after_bytes(self, n: usize) -> Self {
        self.at(Point::Bytes(n), Fault::Reset)
    }

    /// Every connection hangs after this many bytes of the server's.
    pub(crate) fn hang_after_bytes(self, n: usize) -> Self {
        self.at(Point::Bytes(n), Fault::Hang)
    }

    /// The first `n` connections are closed before the banner, as MaxStartups does.
    pub(crate) fn drop_first(mut self, n: usize) -> Self {
        self.drop_first = n;
        self
    }

    /// Starts listening, on an address of its own.
    pub(crate) fn start(self) -> Proxy {
        let listener = TcpListener::bind((any_loopback(), 0)).expect("a loopback address is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::<Shared>::default();
        let (stop, stopped) = async_channel::bounded(1);
        let serving = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a reactor");
            let serve = async {
                let _ = or(serve(listener, Arc::new(self), serving), async {
                    let _ = stopped.recv().await;
                    Ok(())
                })
                .await;
            };
            LocalSet::new().block_on(&runtime, serve);
        });
        Proxy { address, shared, stop, thread: Some(thread) }
    }
}

/// A running proxy; dropping it closes everything.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    connections: AtomicUsize,
    live: AtomicUsize,
    hanging: AtomicUsize,
    /// Bytes of all clients that have passed, and of all servers.
    sent: AtomicUsize,
    received: AtomicUsize,
    frozen: AtomicBool,
    orders: Mutex<Vec<Sender<Fault>>>,
}

impl Proxy {
    /// A proxy to this address, which passes everything on until told otherwise.
    pub(crate) fn to(address: SocketAddr) -> Plan {
        Plan { to: address, fault: None, faults: usize::MAX, drop_first: 0, lateness: Duration::ZERO }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Bytes of all clients that have passed, and of all servers.
    pub(crate) fn passed(&self) -> (usize, usize) {
        (self.shared.sent.load(Ordering::SeqCst), self.shared.received.load(Ordering::SeqCst))
    }

    /// How many connections are open.
    pub(crate) fn live(&self) -> usize {
        self.shared.live.load(Ordering::SeqCst)
    }

    /// Resets every open connection; what comes later passes.
    pub(crate) fn cut(&self) {
        self.order(Fault::Reset);
        wait::until("the connections are cut", || self.live() == 0);
    }

    /// Closes every open connection in an orderly way; what comes later passes.
    pub(crate) fn close(&self) {
        self.order(Fault::Close);
        wait::until("the connections are closed", || self.live() == 0);
    }

    /// From now on no byte passes, on no connection, old or new; all stay open.
    pub(crate) fn freeze(&self) {
        self.shared.frozen.store(true, Ordering::SeqCst);
        self.order(Fault::Hang);
        wait::until("the connections hang", || self.live() == self.shared.hanging.load(Ordering::SeqCst));
    }

    fn order(&self, fault: Fault) {
        for order in self.shared.orders.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = order.try_send(fault);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.stop.try_send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, plan: Arc<Plan>, shared: Arc<Shared>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let number = shared.connections.fetch_add(1, Ordering::SeqCst);
        if number < plan.drop_first {
            continue;
        }
        let fault = plan.fault.filter(|_| number - plan.drop_first < plan.faults);
        let (order, orders) = async_channel::unbounded();
        shared.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        shared.live.fetch_add(1, Ordering::SeqCst);
        let (plan, shared) = (Arc::clone(&plan), Arc::clone(&shared));
        spawn_local(async move {
            let _ = carry(client, &plan, fault, &orders, &shared).await;
            shared.live.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Carries one connection until it ends or breaks.
async fn carry(
    mut client: TcpStream,
    plan: &Plan,
    fault: Option<(Point, Fault)>,
    orders: &Receiver<Fault>,
    shared: &Shared,
) -> io::Result<()> {
    let fault = if shared.frozen.load(Ordering::SeqCst) { Some((Point::Accept, Fault::Hang)) } else { fault };
    if let Some((Point::Accept, fault)) = fault {
        return break_with(fault, client, None, orders, shared).await;
    }
    let mut server = TcpStream::connect(plan.to).await?;
    let broken = {
        let ((mut client, to_client), (server, mut to_server)) = (client.split(), server.split());
        let up = async {
            if let Some(fault) = up(&mut client, &mut to_server, fault, &shared.sent).await? {
                return Ok(Some(fault));
            }
            // The client has nothing more to say; the server may have.
            let _ = to_server.shutdown().await;
            pending().await
        };
        let down = down(server, to_client, fault, plan.lateness, &shared.received);
        let ordered = async { Ok(orders.recv().await.ok()) };
        or(ordered, or(down, up)).await?
    };
    match broken {
        Some(fault) => break_with(fault, client, Some(server), orders, shared).await,
        None => Ok(()),
    }
}

/// Passes the client's bytes on; `Some` when the point of the fault has come.
async fn up(
    client: &mut ReadHalf<'_>,
    server: &mut WriteHalf<'_>,
    fault: Option<(Point, Fault)>,
    passed: &AtomicUsize,
) -> io::Result<Option<Fault>> {
    let mut left = match fault {
        Some((Point::Sent(count), fault)) => Some((count, fault)),
        _ => None,
    };
    let mut buffer = vec![0; 16 * 1024];
    loop {
        if let Some((0, fault)) = left {
            return Ok(Some(fault));
        }
        let Ok(count @ 1..) = client.read(&mut buffer).await else { return Ok(None) };
        let count = left.map_or(count, |(left, _)| left.min(count));
        if server.write_all(&buffer[..count]).await.is_err() {
            return Ok(None);
        }
        passed.fetch_add(count, Ordering::SeqCst);
        left = left.map(|(left, fault)| (left - count, fault));
    }
}

/// Passes the server's bytes on; `Some` when the point of the fault has come.
async fn down(
    mut server: ReadHalf<'_>,
    mut client: WriteHalf<'_>,
    fault: Option<(Point, Fault)>,
    lateness: Duration,
    received: &AtomicUsize,
) -> io::Result<Option<Fault>> {
    // Somebody else looks at what the client says.
    let fault = fault.filter(|(point, _)| !matches!(point, Point::Sent(_)));
    let mut place = Place::default();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = server.read(&mut buffer).await?;
        if count == 0 {
            return Ok(None);
        }
        received.fetch_add(count, Ordering::SeqCst);
        if !lateness.is_zero() {
            sleep(lateness).await;
        }
        let Some((point, fault)) = fault else {
            client.write_all(&buffer[..count]).await?;
            continue;
        };
        let passes = buffer[..count].iter().take_while(|byte| !place.pass(**byte, point)).count();
        // The byte that reaches the point passes too.
        client.write_all(&buffer[..count.min(passes + 1)]).await?;
        if place.reached {
            // A client that writes into a reset connection never reads what came before; let it read.
            sleep(Duration::from_millis(100)).await;
            return Ok(Some(fault));
        }
    }
}

async fn break_with(
    fault: Fault,
    client: TcpStream,
    server: Option<TcpStream>,
    orders: &Receiver<Fault>,
    shared: &Shared,
) -> io::Result<()> {
    let mut fault = fault;
    if fault == Fault::Hang {
        shared.hanging.fetch_add(1, Ordering::SeqCst);
        while fault == Fault::Hang {
            match orders.recv().await {
                Ok(order) => fault = order,
                Err(_) => pending().await,
            }
        }
        shared.hanging.fetch_sub(1, Ordering::SeqCst);
    }
    if fault == Fault::Reset {
        set_socket_linger(&client, Some(Duration::ZERO))?;
    }
    drop((client, server));
    Ok(())
}

/// How far the server's side of the handshake has come; RFC 4253 sections 4.2 and 6.
#[derive(Debug, Default)]
struct Place {
    passed: usize,
    after_banner: bool,
    line: Vec<u8>,
    /// The head of a packet: its length, the length of its padding, its type.
    head: Vec<u8>,
    /// How much of a packet is still to come after its head.
    rest: usize,
    reached: bool,
}

impl Place {
    /// Passes one byte; whether it reaches the point.
    fn pass(&mut self, byte: u8, point: Point) -> bool {
        self.passed += 1;
        self.reached = match point {
            Point::Bytes(n) => self.passed >= n,
            Point::Banner | Point::KeyExchange | Point::Auth if !self.after_banner => {
                self.line.push(byte);
                if byte == b'\n' {
                    self.after_banner = self.line.starts_with(b"SSH-");
                    self.line.clear();
                }
                self.after_banner && point == Point::Banner
            }
            Point::Sent(_) => false,
            Point::Accept | Point::Banner => true,
            Point::KeyExchange => self.packet(byte) == Some(20),
            Point::Auth => self.packet(byte) == Some(21),
        };
        self.reached
    }

    /// Takes one byte of a plain packet; its type once it is complete.
    fn packet(&mut self, byte: u8) -> Option<u8> {
        if self.head.len() < 6 {
            self.head.push(byte);
            let [a, b, c, d, _, _] = *self.head.first_chunk::<6>()?;
            let length = u32::from_be_bytes([a, b, c, d]);
            // Of the length, the padding's length and the type are here already.
            self.rest = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(2);
        } else {
            self.rest -= 1;
        }
        if self.rest > 0 {
            return None;
        }
        let kind = self.head[5];
        self.head.clear();
        Some(kind)
    }
}
