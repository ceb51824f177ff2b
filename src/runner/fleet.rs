//! The fleet: every host's connection, spread over the cores.
//!
//! Rayon gives each core one shard; a shard is a single-threaded reactor on which every job is one straight-line
//! `async fn` over a non-blocking session. (A thread per host costs eight times the CPU and half as much memory again:
//! design.md 9.) The fleet does what it is told, host by host; what to do, when, and what it means, is the run's business.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt as _;

use crate::budget::{Budget, Reserved};
use crate::cancel::{CancelToken, Deadline, Raced, race};
use crate::event::{HostId, Stream};
use crate::outcome::{Failure, Killed, Phase};
use crate::plan::push::PartWriter;
use crate::reactor::{Reactor, sleep, spawn};
use crate::transport::{
    Begun, Command, CommandEnd, CommandResult, ConnectProgress, ConnectResult, Connection, Connector, CopyEnd,
    CopyProgress, CopyRequest, CopyResult, KillResult, Mark, Target, pause_after,
};

/// Something to do on one host.
#[derive(Debug, Clone)]
pub struct Job {
    /// What to do.
    pub work: Work,
    /// Send output as it comes.
    pub stream: bool,
    /// Close the connection afterwards.
    pub last: bool,
    /// It is part of a wait: the channel that is kept for its looks stays.
    pub waits: bool,
    /// What stops it. Cleanups have a token of their own, so that they run after the run was cancelled.
    pub cancel: CancelToken,
}

/// What is done on a host.
#[derive(Debug, Clone)]
pub enum Work {
    /// Connect and log in only.
    Login,
    /// Run a command.
    Command(Command),
    /// Copy files.
    Copy(CopyRequest),
}

/// What comes back from the fleet.
#[derive(Debug)]
pub enum FleetEvent {
    /// On the way to a connection.
    Progress(ConnectProgress),
    /// Logged in.
    Connected {
        /// The address that answered.
        address: String,
        /// The server's identification.
        banner: String,
        /// Attempts that were made.
        attempts: u32,
        /// Time from the first attempt.
        took: Duration,
    },
    /// Bytes of files that have gone over the line, and of how many.
    Moving(u64, u64),
    /// A command printed something, and keeps more from coming until it is written.
    Output(Stream, Vec<u8>, Reserved),
    /// The job is over.
    Done(JobResult),
}

/// How a job ended.
#[derive(Debug)]
pub enum JobResult {
    /// There is no connection.
    Unreached {
        /// Why; `None`: the run was stopped.
        failure: Option<Failure>,
        /// Attempts that were made.
        attempts: u32,
    },
    /// Connected, with nothing to run.
    Reached,
    /// The command was run.
    Command(Box<CommandResult>),
    /// Files were copied.
    Copied(Box<CopyResult>),
}

/// Where jobs go and notes come from. The run knows the fleet only as this, so that it can be tested without a network.
pub trait Executor {
    /// Begins a job. A host has one job at a time.
    fn submit(&mut self, host: HostId, job: Job);

    /// The next note; `None` when nothing is under way any more.
    fn next(&mut self) -> impl Future<Output = Option<(HostId, FleetEvent)>>;

    /// A note that is there already.
    fn ready(&mut self) -> Option<(HostId, FleetEvent)>;
}

/// Notes that may wait for the run before shards are held up.
const QUEUED_EVENTS: usize = 4096;
/// Bytes of output that may be under way between the connections and whoever writes them: back-pressure, so that a slow
/// terminal slows the nodes down and not the memory up.
const OUTPUT: u32 = 1024 * 1024;
/// Bytes that a piece of output takes besides its own.
const PIECE: usize = 512;

/// Time for which notes gather before the run looks at them, for each host that something is under way on, and at most.
const GATHER: Duration = Duration::from_micros(50);
const LONGEST_GATHER: Duration = Duration::from_millis(2);

/// Time between two looks at connections that nothing runs on.
///
/// sshd may be set to give up a client that leaves its `ClientAlive` messages unanswered for a second or two; a look costs
/// one system call.
const IDLE: Duration = Duration::from_secs(1);

/// All connections of a run.
pub struct Fleet {
    shards: Vec<Sender<(HostId, Job, Arc<PartWriter>)>>,
    events: Receiver<(HostId, FleetEvent)>,
    /// Hosts that something is under way on.
    busy: u32,
    /// Whose the parts of files are.
    writer: Arc<PartWriter>,
    /// Hosts whose connection has ended while nothing ran on it.
    closed: Receiver<HostId>,
    /// Closed once every shard has ended.
    ended: Receiver<()>,
}

impl Fleet {
    /// Starts the shards, on `pool`'s threads. Parts of files that they leave on nodes are `writer`'s.
    ///
    /// # Errors
    /// When the system gives no descriptors to wait with.
    pub fn start(
        pool: &rayon::ThreadPool,
        targets: &Arc<[Target]>,
        connector: &Arc<Connector>,
        writer: &Arc<PartWriter>,
    ) -> io::Result<Self> {
        let (sender, events) = async_channel::bounded(QUEUED_EVENTS);
        let count = pool.current_num_threads().min(targets.len()).max(1);
        let (alive, ended) = async_channel::bounded(1);
        let mark = Mark::default();
        let output = Budget::new(OUTPUT);
        let (closing, closed) = async_channel::unbounded();
        let shards = (0..count)
            .map(|_| {
                let (inbox, jobs) = async_channel::unbounded();
                let shard = Shard {
                    targets: targets.clone(),
                    connector: connector.clone(),
                    mark: mark.clone(),
                    events: sender.clone(),
                    closing: closing.clone(),
                    output: output.clone(),
                };
                let alive = alive.clone();
                let reactor = Reactor::new()?;
                pool.spawn(move || {
                    reactor.block_on(shard.serve(jobs));
                    drop(alive);
                });
                Ok(inbox)
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { shards, events, busy: 0, writer: writer.clone(), closed, ended })
    }
}

impl Drop for Fleet {
    /// Waits until every connection is closed. Where the program ended meanwhile, OpenSSL's own tidying up and that of the
    /// last sessions would free the same memory.
    fn drop(&mut self) {
        self.shards.clear();
        self.events.close();
        // Nothing is ever sent: this ends when the last shard has.
        while self.ended.recv_blocking().is_ok() {}
    }
}

impl Executor for Fleet {
    fn submit(&mut self, host: HostId, job: Job) {
        self.busy += 1;
        // A shard ends only when its inbox is dropped, which is when the fleet is.
        let _ = self.shards[host % self.shards.len()].try_send((host, job, self.writer.clone()));
    }

    async fn next(&mut self) -> Option<(HostId, FleetEvent)> {
        let event = self.events.recv().await.ok();
        // Notes come in swarms, and to wake a thread for each would cost more than what they say. The run has this thread to
        // itself.
        std::thread::sleep(LONGEST_GATHER.min(GATHER * self.busy));
        event.inspect(|event| self.count(event))
    }

    fn ready(&mut self) -> Option<(HostId, FleetEvent)> {
        self.events.try_recv().ok().inspect(|event| self.count(event))
    }
}

impl Fleet {
    fn count(&mut self, (_, event): &(HostId, FleetEvent)) {
        self.busy -= u32::from(matches!(event, FleetEvent::Done(_)));
    }

    /// Hosts whose connection has ended since that was asked last, while nothing ran on it.
    pub fn closed(&mut self) -> Vec<HostId> {
        std::iter::from_fn(|| self.closed.try_recv().ok()).collect()
    }
}

/// Some hosts of a fleet that goes on after the run: it keeps their connections.
pub struct FleetPart<'a> {
    fleet: &'a mut Fleet,
    /// The fleet's number of each host of the run.
    hosts: Vec<HostId>,
    /// The run's number of each host of the fleet that is in it.
    numbers: HashMap<HostId, HostId>,
    /// Keep the connections.
    keep: bool,
}

impl<'a> FleetPart<'a> {
    /// These hosts of the fleet, for a run whose parts of files are `writer`'s.
    pub fn new(fleet: &'a mut Fleet, hosts: Vec<HostId>, keep: bool, writer: Arc<PartWriter>) -> Self {
        fleet.writer = writer;
        let numbers = (0..).zip(&hosts).map(|(number, host)| (*host, number)).collect();
        Self { fleet, hosts, numbers, keep }
    }

    fn numbered(&self, (host, event): (HostId, FleetEvent)) -> Option<(HostId, FleetEvent)> {
        self.numbers.get(&host).map(|number| (*number, event))
    }
}

impl Executor for FleetPart<'_> {
    fn submit(&mut self, host: HostId, job: Job) {
        let last = job.last && !self.keep;
        self.fleet.submit(self.hosts[host], Job { last, ..job });
    }

    async fn next(&mut self) -> Option<(HostId, FleetEvent)> {
        // What an earlier run has left behind is nobody's.
        loop {
            let event = self.fleet.next().await?;
            if let Some(event) = self.numbered(event) {
                return Some(event);
            }
        }
    }

    fn ready(&mut self) -> Option<(HostId, FleetEvent)> {
        let event = self.fleet.ready()?;
        self.numbered(event)
    }
}

/// What one thread serves.
struct Shard {
    targets: Arc<[Target]>,
    connector: Arc<Connector>,
    mark: Mark,
    events: Sender<(HostId, FleetEvent)>,
    closing: Sender<HostId>,
    output: Budget,
}

/// Connections that nothing runs on.
type IdleConnections = Rc<RefCell<HashMap<HostId, Connection>>>;

impl Shard {
    async fn serve(self, jobs: Receiver<(HostId, Job, Arc<PartWriter>)>) {
        let shard = Rc::new(self);
        let idle = IdleConnections::default();
        let (tended, closing) = (idle.clone(), shard.closing.clone());
        spawn(async move { service_idle(&tended, &closing).await });
        while let Ok((host, job, writer)) = jobs.recv().await {
            let (shard, idle) = (shard.clone(), idle.clone());
            spawn(async move {
                let work = AssertUnwindSafe(shard.work(host, job, &writer, &idle)).catch_unwind();
                if work.await.is_err() {
                    shard.send(host, FleetEvent::Done(broken())).await;
                }
            });
        }
    }

    /// Does one job and says how it went.
    async fn work(&self, host: HostId, job: Job, writer: &PartWriter, idle: &IdleConnections) {
        let kept = idle.borrow_mut().remove(&host);
        let reused = kept.is_some();
        let mut session = match kept {
            Some(session) => session,
            None => match self.connect(host, &job.cancel).await {
                Ok(session) => session,
                Err(done) => return self.send(host, FleetEvent::Done(done)).await,
            },
        };
        if !job.waits {
            session.end_looks().await;
        }
        let command = match &job.work {
            Work::Command(command) => command,
            Work::Copy(request) => {
                return Box::pin(self.copy(host, session, request, (&job, writer), idle)).await;
            }
            Work::Login => {
                if !job.last {
                    idle.borrow_mut().insert(host, session);
                }
                return self.send(host, FleetEvent::Done(JobResult::Reached)).await;
            }
        };
        let mut ran = self.run(host, &mut session, command, &job).await;
        let mut attempt = u32::from(!reused);
        // What was not run may be tried again: with as many attempts as a login has, and once more where the connection died,
        // or was used up (MaxSessions), while nothing ran on it.
        while match &ran.end {
            CommandEnd::NotSent(_) => attempt < self.targets[host].attempts,
            CommandEnd::Refused(_) => attempt == 0,
            _ => false,
        } && !job.cancel.is_cancelled()
        {
            drop(session);
            if let (1.., CommandEnd::NotSent(said)) = (attempt, &ran.end) {
                self.pause(host, attempt, format!("connection lost before the command was sent: {said}"), &job.cancel)
                    .await;
            }
            attempt += 1;
            session = match self.connect(host, &job.cancel).await {
                Ok(session) => session,
                Err(done) => return self.send(host, FleetEvent::Done(done)).await,
            };
            ran = self.run(host, &mut session, command, &job).await;
        }
        if matches!(ran.end, CommandEnd::Lost(_) | CommandEnd::NotSent(_)) || ran.killed == Some(Killed::No) {
            // Nothing more can be had from this connection; the next one may need its place.
            drop(session);
            self.kill_again(host, command, &mut ran).await;
        } else if !job.last {
            idle.borrow_mut().insert(host, session);
        }
        self.send(host, FleetEvent::Done(JobResult::Command(Box::new(ran)))).await;
    }

    /// Copies files. Where the connection breaks, another attempt goes on with what has arrived.
    async fn copy(
        &self,
        host: HostId,
        mut session: Connection,
        request: &CopyRequest,
        (job, writer): (&Job, &PartWriter),
        idle: &IdleConnections,
    ) {
        let deadline = Deadline::after(request.timeout);
        let mut attempt = 1;
        // For the eye, as progress is.
        let tell = |moved, of| drop(self.events.try_send((host, FleetEvent::Moving(moved, of))));
        let progress = CopyProgress::new(&tell);
        let moved = loop {
            let moved = session.copy(request, (writer, host), &self.mark, deadline, Some(&job.cancel), &progress).await;
            let over = attempt >= self.targets[host].attempts
                || job.cancel.is_cancelled()
                || deadline.left().is_some_and(|left| left.is_zero());
            let Some(said) = moved.lost().filter(|_| !over) else { break moved };
            drop(session);
            self.pause(host, attempt, format!("connection lost during the copy: {said}"), &job.cancel).await;
            attempt += 1;
            session = match self.connect(host, &job.cancel).await {
                Ok(session) => session,
                Err(done) => return self.send(host, FleetEvent::Done(done)).await,
            };
        };
        // What was cut short has left its files open on it.
        if !job.last && matches!(moved.end, CopyEnd::Whole) {
            idle.borrow_mut().insert(host, session);
        } else {
            drop(session);
        }
        self.send(host, FleetEvent::Done(JobResult::Copied(Box::new(moved)))).await;
    }

    async fn connect(&self, host: HostId, cancel: &CancelToken) -> Result<Connection, JobResult> {
        let events = self.events.clone();
        // Progress is for the eye: where the run cannot keep up with it, it may be left out.
        let mut progress = move |progress| {
            let _ = events.try_send((host, FleetEvent::Progress(progress)));
        };
        // Boxed: a login's state is large, and of no use once there is a session.
        let ConnectResult { session, attempts, took } =
            Box::pin(self.connector.connect(&self.targets[host], Some(cancel), &mut progress)).await;
        match session {
            None => Err(JobResult::Unreached { failure: None, attempts }),
            Some(Err(failure)) => Err(JobResult::Unreached { failure: Some(failure), attempts }),
            Some(Ok(session)) => {
                let (address, banner) = (session.address().to_owned(), session.banner().to_owned());
                // Nobody was connected to for a command of this machine.
                if !matches!(session, Connection::Local(_)) {
                    self.send(host, FleetEvent::Connected { address, banner, attempts, took }).await;
                }
                Ok(session)
            }
        }
    }

    /// Tells of an attempt that came to nothing, and waits before the next.
    async fn pause(&self, host: HostId, attempt: u32, said: String, cancel: &CancelToken) {
        let retry_in = pause_after(attempt);
        let failure = Failure::new(Phase::Lost, said);
        let of = self.targets[host].attempts;
        let _ = self
            .events
            .try_send((host, FleetEvent::Progress(ConnectProgress::Retry { attempt, of, failure, retry_in })));
        let _ = race(sleep(retry_in), Deadline::default(), Some(cancel)).await;
    }

    async fn run(&self, host: HostId, session: &mut Connection, command: &Command, job: &Job) -> CommandResult {
        if !job.stream {
            return session.run(command, &self.mark, Some(&job.cancel), None).await;
        }
        let (sink, queue) = async_channel::bounded::<(Stream, Vec<u8>)>(1);
        let deadline = Deadline::after(command.timeout);
        let forward = async {
            while let Ok((stream, bytes)) = queue.recv().await {
                // Who is to be killed must not wait for a reader that has stopped; what was heard by then is little.
                let reserved = race(self.output.reserve(bytes.len() + PIECE), deadline, Some(&job.cancel)).await;
                let reserved = if let Raced::Done(reserved) = reserved { reserved } else { Reserved::default() };
                self.send(host, FleetEvent::Output(stream, bytes, reserved)).await;
            }
        };
        let work = async {
            let ran = session.run(command, &self.mark, Some(&job.cancel), Some(&sink)).await;
            sink.close();
            ran
        };
        futures_lite::future::zip(work, forward).await.0
    }

    /// After a lost connection: one more login, only to kill what may still be running. What was not heard to begin is looked for
    /// by its id, as it may have begun all the same.
    async fn kill_again(&self, host: HostId, command: &Command, ran: &mut CommandResult) {
        let was_heard = ran.place.process.is_some();
        let may_run = !command.raw && !matches!(ran.end, CommandEnd::NotSent(_) | CommandEnd::Refused(_));
        if !was_heard && !may_run {
            return;
        }
        let arrival = Box::pin(self.connector.connect(&self.targets[host], None, &mut |_| {})).await;
        let Some(Ok(mut session)) = arrival.session else {
            ran.killed = Some(Killed::No);
            return;
        };
        let found = session.kill(&ran.place, command, &self.mark).await;
        ran.killed = match found {
            // It may have ended, or not have come so far.
            KillResult::Gone if !was_heard => ran.killed,
            found => Some(found.into()),
        };
        if let (CommandEnd::TimedOut(begun), KillResult::Killed, false) = (&mut ran.end, found, was_heard) {
            *begun = Begun::Found;
        }
    }

    async fn send(&self, host: HostId, event: FleetEvent) {
        let _ = self.events.send((host, event)).await;
    }
}

/// A bug of ours on one host is that host's failure, not the end of the run.
fn broken() -> JobResult {
    let failure = Failure::new(Phase::Lost, "gsctl itself broke while it worked on this host")
        .hint("this is a bug: please report it with the lines above");
    JobResult::Unreached { failure: Some(failure), attempts: 0 }
}

/// Lets idle connections answer their servers, and drops those that have ended.
async fn service_idle(idle: &IdleConnections, closing: &Sender<HostId>) {
    loop {
        sleep(IDLE).await;
        idle.borrow_mut().retain(|host, session| {
            let is_there = session.service();
            if !is_there {
                let _ = closing.try_send(*host);
            }
            is_there
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_is_gone_only_when_its_shards_are() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let connector = Arc::new(Connector::default());
        let targets: Arc<[Target]> = Arc::from([]);
        for _ in 0..50 {
            drop(Fleet::start(&pool, &targets, &connector, &Arc::default()).unwrap());
            // Whatever a shard holds, its sessions too, is gone with it.
            assert_eq!(Arc::strong_count(&connector), 1);
        }
    }
}
