//! The fleet: every host's connection, spread over the cores.
//!
//! Rayon gives each core one shard; a shard is a single-threaded reactor on which every job is one straight-line
//! `async fn` over a non-blocking session. (A thread per host costs eight times the CPU and half as much memory again:
//! design.md 9.) The fleet does what it is told, host by host; what to do, when, and what it means, is the run's business.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};

use super::event_queue::{EventReceiver, event_queue};
use super::executor::{Executor, FleetEvent};
use super::job::Job;
use super::shard::Shard;
use crate::budget::Budget;
use crate::event::HostId;
use crate::plan::push::PartWriter;
use crate::reactor::Reactor;
use crate::transport::{Connector, Mark, Target};

/// Notes that may wait for the run before shards are held up: of each host, and in all.
const QUEUED_OF_HOST: usize = 64;
const QUEUED_EVENTS: usize = 4096;
/// Bytes of output that may be under way between the connections and whoever writes them: back-pressure, so that a slow
/// terminal slows the nodes down and not the memory up.
const OUTPUT: u32 = 1024 * 1024;

/// Time for which notes gather before the run looks at them, for each host that something is under way on, and at most. Where the
/// run had to wait longer than that for the first, it looks at once.
const GATHER: Duration = Duration::from_micros(50);
const LONGEST_GATHER: Duration = Duration::from_millis(2);

/// All connections of a run.
pub struct Fleet {
    shards: Vec<Sender<(HostId, Job, Arc<PartWriter>)>>,
    events: EventReceiver,
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
        let (sender, events) = event_queue((targets.len() * QUEUED_OF_HOST).clamp(QUEUED_OF_HOST, QUEUED_EVENTS));
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
        loop {
            let asked = Instant::now();
            let will_come = self.events.woken().await;
            // Notes come in swarms, and to wake a thread for each would cost more than what they say. The run has this thread to
            // itself.
            let gather = LONGEST_GATHER.min(GATHER * self.busy);
            if asked.elapsed() < gather {
                std::thread::sleep(gather);
            }
            if let Some(event) = self.ready() {
                return Some(event);
            }
            if !will_come {
                return None;
            }
        }
    }

    fn ready(&mut self) -> Option<(HostId, FleetEvent)> {
        self.events.next().inspect(|event| self.count(event))
    }

    fn follow(&mut self, each: bool) {
        self.events.follow(each);
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
            if let Some(event) = self.numbered(event).or_else(|| self.ready()) {
                return Some(event);
            }
        }
    }

    fn ready(&mut self) -> Option<(HostId, FleetEvent)> {
        while let Some(event) = self.fleet.ready() {
            if let Some(event) = self.numbered(event) {
                return Some(event);
            }
        }
        None
    }

    fn follow(&mut self, each: bool) {
        self.fleet.follow(each);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_is_gone_only_when_its_shards_are() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let connector = Arc::new(Connector::new(1));
        let targets: Arc<[Target]> = Arc::from([]);
        for _ in 0..50 {
            drop(Fleet::start(&pool, &targets, &connector, &Arc::default()).unwrap());
            // Whatever a shard holds, its sessions too, is gone with it.
            assert_eq!(Arc::strong_count(&connector), 1);
        }
    }
}
