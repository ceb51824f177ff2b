//! What one thread of the fleet serves: the connections of some hosts, and the jobs on them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt as _;

use super::event_queue::EventSender;
use super::executor::FleetEvent;
use super::job::{Job, JobResult, Work};
use crate::budget::{Budget, Reserved};
use crate::cancel::{CancelToken, Deadline, Raced, race};
use crate::event::{HostId, Stream};
use crate::outcome::{Failure, Killed, Phase};
use crate::plan::push::PartWriter;
use crate::reactor::{now, sleep, spawn};
use crate::transport::{
    Begun, Command, CommandEnd, CommandResult, ConnectProgress, ConnectResult, Connection, Connector, CopyEnd,
    CopyProgress, CopyRequest, KillResult, Mark, Target, pause_after,
};

/// Bytes that a piece of output takes besides its own.
const PIECE: usize = 512;

/// Time between two looks at connections that nothing runs on.
///
/// sshd may be set to give up a client that leaves its `ClientAlive` messages unanswered for a second or two; a look costs
/// one system call.
const IDLE: Duration = Duration::from_secs(1);

/// What one thread serves.
pub(super) struct Shard {
    pub(super) targets: Arc<[Target]>,
    pub(super) connector: Arc<Connector>,
    pub(super) mark: Mark,
    pub(super) events: EventSender,
    pub(super) closing: Sender<HostId>,
    pub(super) output: Budget,
}

/// Connections that nothing runs on.
type IdleConnections = Rc<RefCell<HashMap<HostId, Connection>>>;

impl Shard {
    pub(super) async fn serve(self, jobs: Receiver<(HostId, Job, Arc<PartWriter>)>) {
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
            CommandEnd::NotSent(_) => attempt < self.targets[host].settings.attempts,
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
        let tell = |moved, of| self.events.show(host, FleetEvent::Moving(moved, of));
        let progress = CopyProgress::new(&tell);
        let moved = loop {
            let moved = session.copy(request, (writer, host), &self.mark, deadline, Some(&job.cancel), &progress).await;
            let over = attempt >= self.targets[host].settings.attempts
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
            events.show(host, FleetEvent::Progress(progress, now()));
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
                    self.send(host, FleetEvent::Connected { address, banner, attempts, took, at: now() }).await;
                }
                Ok(session)
            }
        }
    }

    /// Tells of an attempt that came to nothing, and waits before the next.
    async fn pause(&self, host: HostId, attempt: u32, said: String, cancel: &CancelToken) {
        let retry_in = pause_after(attempt);
        let failure = Failure::new(Phase::Lost, said);
        let of = self.targets[host].settings.attempts;
        let retry = ConnectProgress::Retry { attempt, of, failure, retry_in };
        self.events.show(host, FleetEvent::Progress(retry, now()));
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
        self.events.send(host, event).await;
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
