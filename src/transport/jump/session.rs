//! One connection to a jump host, and the channels on it.
//!
//! libssh2 reads packets of all channels whichever call comes first, so a call for one channel may bring data for another
//! without the socket being readable any more. Therefore every call is followed by a look at all channels, and whoever has
//! something to do is told. A packet that is sent in part has to be finished by the same call before any other, so calls
//! are made one at a time, by whoever holds the pen.

mod opening;

use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_lock::Mutex;
use futures_lite::future;
use ssh2::{BlockDirections, Channel};

use super::TunnelRequest;
use super::channel::ForwardedChannel;
use super::pool::PoolMessage;
use crate::cancel::{Deadline, Raced, race};
use crate::duration::human;
use crate::reactor::{Ticker, sleep};
use crate::transport::classify;
use crate::transport::jump::status::TunnelStatus;
use crate::transport::session::Session;
use crate::transport::target::Target;
use opening::{LOOK, Opening};

/// Time without any progress after which a connection is given up, where no keepalives say it earlier.
const STANDSTILL: Duration = Duration::from_secs(60);

/// One connection to a jump host.
pub(super) struct JumpSession {
    /// Tells it from the jump host's others.
    pub(super) number: u64,
    /// When it was made.
    pub(super) since: Instant,
    /// The jump host's name.
    name: Arc<str>,
    /// Channels that are in use.
    forwards: RefCell<Vec<Rc<ForwardedChannel>>>,
    /// Channels that are done with, and whose end the jump host has not confirmed yet.
    done: RefCell<Vec<Channel>>,
    opening: RefCell<Option<Opening>>,
    queue: Receiver<TunnelRequest>,
    session: Session,
    call_lock: Mutex<()>,
    /// Told when a call may have brought something for another channel.
    woken: (Sender<()>, Receiver<()>),
    /// Shared by all who are carried.
    via_status: Arc<TunnelStatus>,
    /// Some channel was opened.
    used: Cell<bool>,
    idle_at_end: Cell<bool>,
}

impl JumpSession {
    pub(super) fn new(number: u64, session: Session, target: &Target, queue: Receiver<TunnelRequest>) -> Self {
        Self {
            number,
            since: Instant::now(),
            name: target.name.clone(),
            forwards: RefCell::default(),
            done: RefCell::default(),
            opening: RefCell::default(),
            queue,
            session,
            call_lock: Mutex::new(()),
            woken: async_channel::bounded(1),
            via_status: Arc::default(),
            used: Cell::new(false),
            idle_at_end: Cell::new(false),
        }
    }

    /// Serves until the connection ends.
    pub(super) async fn serve(self: Rc<Self>, jump: Sender<PoolMessage>) {
        let said = self.watch().await;
        self.fail(&said);
        let unopened = self.opening.take().and_then(|opening| opening.request);
        for forward in &*self.forwards.borrow() {
            forward.notify();
        }
        let why = self.via_status.ended().unwrap_or(said);
        let _ = jump.try_send(PoolMessage::Ended { session: self.number, why, unopened });
    }

    /// Whether nobody was carried when it ended, and others had been before.
    pub(super) fn was_idle(&self) -> bool {
        self.idle_at_end.get()
    }

    /// Why it has ended, if it has.
    pub(super) fn ended(&self) -> bool {
        self.via_status.ended().is_some()
    }

    /// It has ended: everybody on it is told.
    fn fail(&self, said: &str) {
        if !self.ended() {
            self.idle_at_end.set(self.used.get() && self.forwards.borrow().is_empty());
            let socket = self.session.socket();
            let why = match socket.tunnel_end().or_else(|| socket.cut()) {
                Some(why) => format!("through {}: {why}", self.name),
                None => format!("through {}: the connection to the jump host was lost: {said}", self.name),
            };
            self.via_status.end(why);
        }
        self.wake();
    }

    fn wake(&self) {
        let _ = self.woken.0.try_send(());
    }

    /// Reads what comes, opens channels and sends keepalives. Says how the connection ended.
    async fn watch(self: &Rc<Self>) -> String {
        let (interval, count) = self.session.keepalive();
        let mut ticker = (!interval.is_zero()).then(|| Ticker::every(interval));
        let mut unanswered = 0;
        loop {
            let event = {
                let readable = async {
                    // Without a channel there is nothing to read with, and nobody whom it could concern.
                    let deaf = self.forwards.borrow().iter().all(|forward| forward.at_eof());
                    if deaf && !self.is_opening() {
                        future::pending::<()>().await;
                    }
                    Event::Readable(self.session.socket().ready(BlockDirections::Inbound).await)
                };
                let wanted = async {
                    if self.is_opening() {
                        sleep(LOOK.min(self.until_deadline())).await;
                        Event::Stirred
                    } else {
                        self.queue.recv().await.map_or(Event::Stirred, Event::Wanted)
                    }
                };
                let woken = async {
                    let _ = self.woken.1.recv().await;
                    Event::Stirred
                };
                let ticker = async {
                    match &mut ticker {
                        Some(ticker) => ticker.next().await,
                        None => future::pending().await,
                    }
                    Event::Beat
                };
                future::or(future::or(woken, readable), future::or(ticker, wanted)).await
            };
            if self.ended() {
                return String::new();
            }
            let turn = match event {
                Event::Readable(Err(error)) => Err(error.to_string()),
                Event::Readable(Ok(())) => {
                    unanswered = 0;
                    self.turn().await
                }
                Event::Wanted(request) => {
                    self.begin(request);
                    self.turn().await
                }
                Event::Stirred => self.turn().await,
                Event::Beat if unanswered >= count => {
                    Err(format!("no answer to {count} keepalives, {}s apart", interval.as_secs()))
                }
                Event::Beat => {
                    unanswered += u32::from(!self.forwards.borrow().is_empty());
                    self.keep_alive().await
                }
            };
            if let Err(said) = turn {
                return said;
            }
        }
    }

    /// Everything that can be done now, and then word to whoever got something.
    async fn turn(self: &Rc<Self>) -> Result<(), String> {
        if !self.is_opening()
            && let Ok(request) = self.queue.try_recv()
        {
            self.begin(request);
        }
        {
            let _call = self.call_lock.lock().await;
            self.sweep().await?;
            if self.is_opening() { self.open().await? } else { self.drain().await? }
        }
        for forward in &*self.forwards.borrow() {
            if forward.has_work() {
                forward.notify();
            }
        }
        Ok(())
    }

    /// Lets libssh2 read everything that is there.
    async fn drain(&self) -> Result<(), String> {
        loop {
            let live = self.forwards.borrow().iter().find(|forward| !forward.at_eof()).cloned();
            let Some(forward) = live else { return Ok(()) };
            match forward.channel.borrow_mut().read(&mut []) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => {
                    return Err(classify::lower(&error.to_string()));
                }
                Err(_) if !self.is_half_sent() => return Ok(()),
                Err(_) => {}
            }
            self.until_ready().await?;
        }
    }

    /// Ends channels that are done with. Freeing one before both sides agree would leave it behind in libssh2.
    async fn sweep(&self) -> Result<(), String> {
        let waiting = self.done.take();
        for mut channel in waiting {
            while !self.session.socket().has_room() {
                self.until_ready_for(BlockDirections::Outbound).await?;
            }
            if channel.close().is_err() && !self.ended() {
                self.done.borrow_mut().push(channel);
            }
        }
        self.session.socket().flush();
        Ok(())
    }

    async fn keep_alive(&self) -> Result<(), String> {
        let _call = self.call_lock.lock().await;
        if self.session.socket().has_room() {
            self.session.ssh().keepalive_send().map(drop).map_err(|error| classify::lower(error.message()))?;
            self.session.socket().flush();
        }
        Ok(())
    }

    /// Reads for a channel. Zero: there is nothing now.
    pub(super) async fn read(&self, forward: &ForwardedChannel, buffer: &mut [u8]) -> Result<usize, ()> {
        if !forward.has_data() {
            return Ok(0);
        }
        let _call = self.call_lock.lock().await;
        loop {
            if self.ended() {
                return Err(());
            }
            let read = forward.channel.borrow_mut().read(buffer);
            match read {
                Ok(count) => {
                    self.session.socket().used(count);
                    self.wake();
                    return Ok(count);
                }
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => {
                    self.fail(&classify::lower(&error.to_string()));
                    return Err(());
                }
                Err(_) if !self.is_half_sent() => {
                    self.wake();
                    return Ok(0);
                }
                Err(_) => self.until_ready().await.map_err(|said| self.fail(&said))?,
            }
        }
    }

    /// Writes for a channel. Zero: the other end takes no more now, and the seat is told when it does.
    pub(super) async fn write(&self, forward: &ForwardedChannel, bytes: &[u8]) -> Result<usize, ()> {
        let _call = self.call_lock.lock().await;
        loop {
            if self.ended() {
                return Err(());
            }
            if forward.is_full() {
                return Ok(0);
            }
            let written = forward.channel.borrow_mut().write(bytes);
            match written {
                Ok(count) => {
                    self.session.socket().used(0);
                    self.session.socket().flush();
                    self.wake();
                    return Ok(count);
                }
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => {
                    self.fail(&classify::lower(&error.to_string()));
                    return Err(());
                }
                // Half sent, or held up by an exchange of new keys: nobody else may send before it is out.
                Err(_) => self.until_ready().await.map_err(|said| self.fail(&said))?,
            }
        }
    }

    /// A channel is done with.
    pub(super) fn leave(&self, forward: &Rc<ForwardedChannel>) {
        self.forwards.borrow_mut().retain(|other| !Rc::ptr_eq(other, forward));
        self.done.borrow_mut().push(forward.channel.borrow().clone());
        self.wake();
    }

    /// Whether the last call has a packet under way that did not fit into the socket.
    fn is_half_sent(&self) -> bool {
        matches!(self.session.ssh().block_directions(), BlockDirections::Outbound | BlockDirections::Both)
    }

    async fn until_ready(&self) -> Result<(), String> {
        self.until_ready_for(self.session.ssh().block_directions()).await
    }

    async fn until_ready_for(&self, directions: BlockDirections) -> Result<(), String> {
        let (interval, count) = self.session.keepalive();
        let limit = if interval.is_zero() { STANDSTILL } else { interval * (count + 1) };
        let ready = self.session.socket().ready(directions);
        match race(ready, Deadline::after(Some(limit)), None).await {
            Raced::Done(result) => result.map_err(|error| error.to_string()),
            Raced::Late | Raced::Cancelled => Err(format!("it has taken nothing for {}", human(limit))),
        }
    }
}

enum Event {
    Readable(std::io::Result<()>),
    Wanted(TunnelRequest),
    Stirred,
    Beat,
}
