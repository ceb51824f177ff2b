//! Waiting for sockets and for time, and the tasks of one thread.
//!
//! Each thread that waits has a reactor of its own, so that no socket of one wakes another: with one for all of them, a
//! login cost a third more of the client's CPU time. Knows nothing about hosts or SSH; the only file that knows tokio.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use tokio::io::Interest;
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use tokio::time::MissedTickBehavior;

use crate::stall;

/// What a thread waits with.
#[derive(Debug)]
pub struct Reactor(Runtime);

impl Reactor {
    /// A reactor for whichever thread will use it.
    ///
    /// # Errors
    /// When the system gives no more descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Builder::new_current_thread().enable_all().build()?))
    }

    /// Runs this, and what it spawns, on this thread until it is done. What is still under way then is dropped.
    pub fn block_on<T>(self, work: impl Future<Output = T>) -> T {
        LocalSet::new().block_on(&self.0, stall::counted(work))
    }
}

/// Runs this beside what the thread's reactor runs already. Only for what runs there itself.
pub fn spawn(work: impl Future<Output = ()> + 'static) {
    drop(tokio::task::spawn_local(stall::counted(work)));
}

/// The time that waits are measured by. Tests may play it (`virtual_time`).
#[must_use]
pub fn now() -> Instant {
    #[cfg(test)]
    if let Some(now) = virtual_time::now() {
        return now;
    }
    Instant::now()
}

/// Waits so long.
pub async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Waits until then.
pub async fn sleep_until(at: Instant) {
    #[cfg(test)]
    if virtual_time::now().is_some() {
        return virtual_time::reached(at).await;
    }
    tokio::time::sleep_until(at.into()).await;
}

/// Time that passes only while everything waits, so that a test of ten minutes takes none.
#[cfg(test)]
pub(crate) mod virtual_time {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Instant;

    thread_local! {
        static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
        /// The earliest time that something waits for.
        static NEXT: Cell<Option<Instant>> = const { Cell::new(None) };
    }

    /// The time, where it is played on this thread.
    pub(crate) fn now() -> Option<Instant> {
        NOW.get()
    }

    /// Has everything looked at again then.
    pub(crate) fn wake_at(at: Instant) {
        NEXT.set(Some(NEXT.get().map_or(at, |next| next.min(at))));
    }

    /// Lets time pass for what does not wait.
    pub(crate) fn pass(time: std::time::Duration) {
        NOW.set(now().map(|now| now + time));
    }

    /// Waits until then.
    pub(crate) async fn reached(at: Instant) {
        poll_fn(|_| {
            if now().is_some_and(|now| now >= at) {
                return Poll::Ready(());
            }
            wake_at(at);
            Poll::Pending
        })
        .await;
    }

    /// Runs this on this thread, which it must not leave. Where nothing is left to wait for, it hangs: a panic says so.
    pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
        NOW.set(Some(Instant::now()));
        let mut work = pin!(work);
        let done = loop {
            NEXT.set(None);
            if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                break done;
            }
            let next = NEXT.get().expect("it waits for nothing that will ever come");
            NOW.set(NOW.get().max(Some(next)));
        };
        NOW.set(None);
        done
    }
}

/// A wait that comes back at regular intervals.
#[derive(Debug)]
pub struct Ticker(tokio::time::Interval);

impl Ticker {
    /// The first one comes after one interval, which is longer than zero.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        let mut ticker = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
        // After a process was stopped for a while, missed ticks are not made up for.
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(ticker)
    }

    /// Waits for the next.
    pub async fn next(&mut self) {
        self.0.tick().await;
    }
}

/// A connected socket that the thread's reactor watches. Reading and writing never block.
#[derive(Debug)]
pub enum Socket {
    /// To another machine.
    Tcp(TcpStream),
    /// To something on this one.
    Unix(UnixStream),
}

impl Socket {
    /// Connects over TCP, from an address of this machine where one is given.
    ///
    /// # Errors
    /// When the connection is refused or times out, or this machine cannot connect.
    pub async fn connect(to: SocketAddr, from: Option<IpAddr>) -> io::Result<Self> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(from) = from {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        Ok(Self::Tcp(socket.connect(to).await?))
    }

    /// One end of a pair.
    ///
    /// # Errors
    /// When the system cannot watch it.
    pub fn unix(stream: net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self::Unix(UnixStream::from_std(stream)?))
    }

    /// Waits for something to read, or the end.
    ///
    /// # Errors
    /// When the socket cannot be watched any more.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await
    }

    /// Waits for room to write.
    ///
    /// # Errors
    /// When the socket cannot be watched any more.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await
    }

    /// Waits for whichever comes first.
    ///
    /// # Errors
    /// When the socket cannot be watched any more.
    pub async fn readable_or_writable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE | Interest::WRITABLE).await
    }

    /// Reads what comes next, as soon as there is something; 0 is the end.
    ///
    /// # Errors
    /// When the connection has broken.
    pub async fn read_some(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match { self }.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// Reads what the reactor has told of: where it has told of nothing since all was read, the system is not asked.
    ///
    /// # Errors
    /// `WouldBlock` where nothing is known to be there; another one when the connection has broken.
    pub fn read_known(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.try_io(Interest::READABLE, || Ok(recv(self, &mut buffer[..], RecvFlags::empty())?.1));
        self.note_read(&read, buffer.len());
        read
    }

    /// Bytes that are there to be read; 0 at the end, too.
    #[must_use]
    pub fn available(&self) -> u64 {
        ioctl_fionread(self).unwrap_or(0)
    }

    /// Whether the other end has ended, be something unread or not.
    #[must_use]
    pub fn has_hung_up(&self) -> bool {
        #[cfg(target_os = "linux")]
        let flags = PollFlags::RDHUP;
        #[cfg(not(target_os = "linux"))]
        let flags = PollFlags::empty();
        self.polled(flags)
    }

    /// Whether there is room to write now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.is_ready(Interest::WRITABLE)
    }

    /// Whoever reads past this has met the end of what was there.
    pub fn all_is_read(&self) {
        self.forget(Interest::READABLE);
    }

    /// Whoever writes past this was told that there is no room.
    pub fn is_filled(&self) {
        self.forget(Interest::WRITABLE);
    }

    /// Waits for something to read where it is read past this, so that nothing is known of what is left.
    ///
    /// # Errors
    /// When the socket cannot be watched any more.
    pub async fn readable_afresh(&self) -> io::Result<()> {
        self.ready_afresh(Interest::READABLE).await
    }

    /// Waits for room to write where it is written to past this.
    ///
    /// # Errors
    /// When the socket cannot be watched any more.
    pub async fn writable_afresh(&self) -> io::Result<()> {
        self.ready_afresh(Interest::WRITABLE).await
    }

    async fn ready_afresh(&self, interest: Interest) -> io::Result<()> {
        self.forget(interest);
        if self.is_ready(interest) { Ok(()) } else { self.ready(interest).await }
    }

    async fn ready(&self, interest: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.ready(interest).await,
            Self::Unix(stream) => stream.ready(interest).await,
        }
        .map(drop)
    }

    fn try_io<T>(&self, interest: Interest, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, call),
            Self::Unix(stream) => stream.try_io(interest, call),
        }
    }

    /// All was read, or there is no room any more: whoever waits then waits for what the reactor tells of next. It tells of each
    /// change once, and only while this thread waits, so nothing that comes meanwhile is missed.
    fn forget(&self, interest: Interest) {
        let _ = self.try_io(interest, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    }

    /// A read that did not fill its buffer took all that there was, unless it met the end.
    fn note_read(&self, read: &io::Result<usize>, most: usize) {
        let took_all = match read {
            Ok(count) => (1..most).contains(count),
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if took_all {
            self.forget(Interest::READABLE);
        }
    }

    fn is_ready(&self, interest: Interest) -> bool {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, interest.is_readable());
        flags.set(PollFlags::OUT, interest.is_writable());
        self.polled(flags)
    }

    fn polled(&self, flags: PollFlags) -> bool {
        let mut fds = [PollFd::new(self, flags)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Ends the connection, in these directions.
    pub fn shut(&self, how: Shutdown) {
        let _ = shutdown(self, how);
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = recv(*self, &mut *buffer, RecvFlags::empty()).map(|(_, count)| count).map_err(io::Error::from);
        self.note_read(&read, buffer.len());
        read
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = send(*self, bytes, SendFlags::NOSIGNAL).map_err(io::Error::from);
        let is_full = match &sent {
            Ok(count) => *count < bytes.len(),
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if is_full {
            self.forget(Interest::WRITABLE);
        }
        sent
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::cancel::{Deadline, Raced, race};

    #[test]
    fn a_socket_wakes_whoever_was_told_that_it_would_block() {
        let (near, mut far) = net::UnixStream::pair().unwrap();
        let read = Reactor::new().unwrap().block_on(async {
            let socket = Socket::unix(near).unwrap();
            let mut heard = Vec::new();
            let mut buffer = [0; 2];
            for part in [b"one".as_slice(), b"two"] {
                far.write_all(part).unwrap();
                while heard.len() % 3 != 0 || !heard.ends_with(part) {
                    match (&socket).read(&mut buffer) {
                        Ok(count) => heard.extend_from_slice(&buffer[..count]),
                        Err(error) => {
                            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                            socket.readable().await.unwrap();
                        }
                    }
                }
            }
            drop(far);
            while (&socket).read(&mut buffer).is_err() {
                socket.readable().await.unwrap();
            }
            heard
        });
        assert_eq!(read, b"onetwo");
    }

    #[test]
    fn what_was_left_unread_is_no_less_a_reason_to_wake() {
        let (near, mut far) = net::UnixStream::pair().unwrap();
        Reactor::new().unwrap().block_on(async {
            let socket = Socket::unix(near).unwrap();
            far.write_all(b"many").unwrap();
            let mut buffer = [0; 1];
            for byte in *b"many" {
                socket.readable().await.unwrap();
                assert_eq!(((&socket).read(&mut buffer).unwrap(), buffer[0]), (1, byte));
            }
        });
    }

    #[test]
    fn room_to_write_is_waited_for() {
        let (near, mut far) = net::UnixStream::pair().unwrap();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            far.read_to_end(&mut bytes).unwrap();
            bytes.len()
        });
        Reactor::new().unwrap().block_on(async {
            let socket = Socket::unix(near).unwrap();
            let mut left = 10_000_000;
            while left > 0 {
                match (&socket).write(&vec![7; left]) {
                    Ok(count) => left -= count,
                    Err(_) => socket.readable_or_writable().await.unwrap(),
                }
            }
        });
        assert_eq!(reader.join().unwrap(), 10_000_000);
    }

    #[test]
    fn a_full_socket_is_waited_for_without_haste() {
        let (near, _far) = net::UnixStream::pair().unwrap();
        Reactor::new().unwrap().block_on(async {
            let socket = Socket::unix(near).unwrap();
            // The reactor hears that there was room.
            sleep(Duration::from_millis(1)).await;
            while (&socket).write(&[7; 4096]).is_ok() {}
            for _ in 0..3 {
                let waited =
                    race(socket.readable_or_writable(), Deadline::after(Some(Duration::from_millis(5))), None).await;
                assert!(matches!(waited, Raced::Late), "{waited:?}");
            }
        });
    }

    #[test]
    fn tasks_run_beside_each_other_and_go_with_the_reactor() {
        let count = Rc::new(Cell::new(0));
        let (here, there) = (Rc::clone(&count), Rc::clone(&count));
        Reactor::new().unwrap().block_on(async move {
            spawn(async move {
                let mut ticker = Ticker::every(Duration::from_millis(1));
                loop {
                    ticker.next().await;
                    there.set(there.get() + 1);
                }
            });
            while here.get() < 3 {
                sleep_until(Instant::now() + Duration::from_millis(1)).await;
            }
        });
        assert_eq!(Rc::strong_count(&count), 1);
    }
}
