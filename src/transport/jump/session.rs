//! One connection to a jump host, and the channels on it.
//!
//! libssh2 reads packets of all channels whichever call comes first, so a call for one channel may bring data for another
//! without the socket being readable any more. Therefore every call is followed by a look at all channels, and whoever has
//! something to do is told. A packet that is sent in part has to be finished by the same call before any other, so calls
//! are made one at a time, by whoever holds the pen.

use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_lock::Mutex;
use futures_lite::future;
use ssh2::{BlockDirections, Channel};

use super::channel;
use super::channel::ForwardedChannel;
use super::pool::PoolMessage;
use super::{Tunnel, TunnelRequest};
use crate::cancel::{Deadline, Raced, race};
use crate::duration::human;
use crate::outcome::{Failure, Phase};
use crate::reactor::{Socket, Ticker, sleep, spawn};
use crate::transport::classify;
use crate::transport::connect::failure::host_port;
use crate::transport::jump::status::TunnelStatus;
use crate::transport::session::{EAGAIN, Session};
use crate::transport::target::Target;

/// Time between two looks at a channel that is being opened.
const LOOK: Duration = Duration::from_secs(1);
/// Time without any progress after which a connection is given up, where no keepalives say it earlier.
const STANDSTILL: Duration = Duration::from_secs(60);

/// One connection to a jump host.
pub(super) struct JumpSession {
    /// Tells it from the jump host's others.
    pub(super) number: u64,
    /// When it was made.
    pub(super) since: Instant,
    /// The jump host's name.
    name: String,
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

/// A channel that the jump host was asked for.
struct Opening {
    address: String,
    port: u16,
    since: Instant,
    /// When the last one asked for it.
    asked: Instant,
    /// Who waits for it. `None`: he has given up, libssh2 cannot.
    request: Option<TunnelRequest>,
    /// When he did, or will.
    deadline: Instant,
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

    /// Since when it has been waiting for one channel to open.
    pub(super) fn busy_since(&self) -> Option<Instant> {
        self.opening.borrow().as_ref().map(|opening| opening.since)
    }

    /// Takes a request for an address that an opening is under way to, and nobody waits for any more.
    pub(super) fn take_over(&self, request: TunnelRequest) -> Result<(), TunnelRequest> {
        let mut opening = self.opening.borrow_mut();
        match opening.as_mut() {
            Some(opening)
                if request.place() == (opening.address.as_str(), opening.port)
                    && opening.request.as_ref().is_none_or(TunnelRequest::is_withdrawn) =>
            {
                opening.asked = Instant::now();
                opening.deadline = opening.asked + request.target.connect_timeout;
                opening.request = Some(request);
                Ok(())
            }
            _ => Err(request),
        }
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

    fn is_opening(&self) -> bool {
        self.opening.borrow().is_some()
    }

    fn begin(&self, request: TunnelRequest) {
        if request.is_withdrawn() {
            return;
        }
        let now = Instant::now();
        self.opening.replace(Some(Opening {
            address: request.target.address.clone(),
            port: request.target.port,
            since: now,
            asked: now,
            deadline: now + request.target.connect_timeout,
            request: Some(request),
        }));
    }

    fn until_deadline(&self) -> Duration {
        let opening = self.opening.borrow();
        let waits = opening.as_ref().filter(|opening| opening.request.is_some());
        waits.map_or(LOOK, |opening| opening.deadline.saturating_duration_since(Instant::now()))
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

    /// Goes on with the channel that is being opened.
    async fn open(self: &Rc<Self>) -> Result<(), String> {
        loop {
            let ssh = self.session.ssh();
            let tried = match &*self.opening.borrow() {
                Some(opening) => ssh.channel_direct_tcpip(&opening.address, opening.port, None),
                None => return Ok(()),
            };
            let failed = match tried {
                Ok(channel) => {
                    self.forward(channel);
                    self.wake();
                    return Ok(());
                }
                Err(error) if classify::session_code(&error) == EAGAIN => {
                    if self.is_half_sent() {
                        self.until_ready().await?;
                        continue;
                    }
                    self.expire();
                    return Ok(());
                }
                Err(error) => error,
            };
            let late = classify::is_late(&failed);
            if !late && !classify::is_refused(&failed) {
                return Err(classify::lower(failed.message()));
            }
            if let Some(Opening { request: Some(request), address, port, .. }) = self.opening.take() {
                let at = host_port(&address, port);
                request.answer(Err(if late {
                    timed_out(&self.name, &at, &request)
                } else {
                    classify::not_forwarded(&self.name, &at, failed.message())
                }));
            }
            return Ok(());
        }
    }

    /// Gives the channel that was opened to whoever waits for it.
    fn forward(self: &Rc<Self>, channel: Channel) {
        let Some(opening) = self.opening.take() else { return };
        self.used.set(true);
        // It is read no faster than the host behind it is served.
        self.session.socket().unread_channel();
        let pair = UnixStream::pair().and_then(|(near, far)| Ok((Socket::unix(near)?, far)));
        let (Some(request), Ok((near, far))) = (opening.request.filter(|request| !request.is_withdrawn()), pair) else {
            self.done.borrow_mut().push(channel);
            return;
        };
        let forward = Rc::new(ForwardedChannel::new(channel));
        self.forwards.borrow_mut().push(forward.clone());
        spawn(channel::relay(self.clone(), forward, near));
        let took = opening.asked.elapsed();
        request.answer(Ok(Tunnel { stream: far, via_status: self.via_status.clone(), keep_alive: None, took }));
    }

    /// Lets go of a request whose time is over.
    fn expire(&self) {
        if let Some(opening) = self.opening.borrow_mut().as_mut()
            && Instant::now() >= opening.deadline
            && let Some(request) = opening.request.take()
        {
            let at = host_port(&opening.address, opening.port);
            request.answer(Err(timed_out(&self.name, &at, &request)));
        }
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

fn timed_out(jump: &str, at: &str, request: &TunnelRequest) -> Failure {
    let limit = human(request.target.connect_timeout);
    Failure::new(Phase::Connect, format!("through {jump}: {at}: timed out after {limit}"))
        .hint("is the node up, and does a firewall between the jump host and the node drop the port?")
        .retryable()
}
