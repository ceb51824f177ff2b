//! The fleet as the run knows it: where jobs go, and where notes of hosts come from.

use std::time::{Duration, Instant};

use super::job::{Job, JobResult};
use crate::budget::Reserved;
use crate::event::{HostId, Stream};
use crate::transport::ConnectProgress;

/// Where jobs go and notes come from. The run knows the fleet only as this, so that it can be tested without a network.
pub trait Executor {
    /// Begins a job. A host has one job at a time.
    fn submit(&mut self, host: HostId, job: Job);

    /// The next note; `None` when nothing is under way any more.
    fn next(&mut self) -> impl Future<Output = Option<(HostId, FleetEvent)>>;

    /// A note that is there already.
    fn ready(&mut self) -> Option<(HostId, FleetEvent)>;

    /// Whether `next` is to end for each note; else what [may wait](FleetEvent::may_wait) is found only by `ready`.
    fn follow(&mut self, each: bool);
}

/// What comes back from the fleet.
#[derive(Debug)]
pub enum FleetEvent {
    /// On the way to a connection, since when.
    Progress(ConnectProgress, Instant),
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
        /// When.
        at: Instant,
    },
    /// Bytes of files that have gone over the line, and of how many.
    Moving(u64, u64),
    /// A command printed something, and keeps more from coming until it is written.
    Output(Stream, Vec<u8>, Reserved),
    /// The job is over.
    Done(JobResult),
}

impl FleetEvent {
    /// Whether it is only for whoever watches.
    pub(super) fn may_wait(&self) -> bool {
        matches!(self, Self::Progress(ConnectProgress::Phase(_), _) | Self::Connected { .. } | Self::Moving(..))
    }
}
