//! How a run is carried out: how many hosts at once, what may fail, and what stops it.

use std::sync::Arc;
use std::time::Duration;

use super::canary::Canary;
use super::run_log::Resume;
use crate::plan::Share;
use crate::plan::push::PartWriter;

/// How a run is carried out.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct RunSettings {
    /// Hosts worked on at once.
    pub fanout: usize,
    /// Keep each host's connection from step to step. Off where there are too few descriptors for that.
    pub keep: bool,
    /// Hosts that go first, in a plan of one step.
    pub canary: Option<Canary>,
    /// Hosts in a batch, for steps that do not say.
    pub serial: Option<Share>,
    /// More failed hosts than this stop the run, for steps that do not say.
    pub max_fail: Option<Share>,
    /// Time for the whole run.
    pub deadline: Option<Duration>,
    /// Unreachable hosts that a preflight puts up with.
    pub allow_unreachable: AllowUnreachable,
    /// Go on whatever a preflight finds.
    pub force: bool,
    /// Somebody wants output as it comes.
    pub stream: bool,
    /// Somebody watches, who need not be told now and then who is still at what.
    pub live: bool,
    /// Somebody reads of each phase of a login as it begins.
    pub follow: bool,
    /// What an earlier run has done already.
    pub resume: Option<Resume>,
    /// Whose the parts of files are that it leaves on nodes.
    pub writer: Arc<PartWriter>,
}

/// Hosts that may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowUnreachable {
    /// So many.
    Count(usize),
    /// Fewer than half.
    Minority,
}

impl AllowUnreachable {
    /// True when this many of so many may be missing.
    #[must_use]
    pub fn permits(self, missing: usize, of: usize) -> bool {
        match self {
            Self::Count(count) => missing <= count,
            Self::Minority => missing * 2 < of,
        }
    }
}
