//! What happens during a run, as typed facts: the seam between the run and the reporters.
//!
//! An event carries times and values, never words or colours. Reporters need no clock of their own.

use std::time::Duration;

use crate::budget::Reserved;
use crate::outcome::cause::Cause;
use crate::outcome::stage::StageState;
use crate::outcome::{Failure, Outcome, Phase, StepResult};
use crate::report::ClusterReport;
use crate::stats::{CancelReason, RunStats};

/// A host's place in the run's list of hosts.
pub type HostId = usize;
/// A step's place in the plan.
pub type StepId = usize;

/// Something that happened, and when.
#[derive(Debug, Clone)]
pub struct Event {
    /// Time since the run began.
    pub at: Duration,
    /// What happened.
    pub kind: EventKind,
}

/// Which stream of a command some output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// The run begins.
    RunStarted {
        /// Names of the steps, in order.
        steps: Vec<String>,
        /// Hosts worked on at once.
        fanout: usize,
    },
    /// A host is worked on for the first time.
    HostStarted {
        /// Which host.
        host: HostId,
    },
    /// A host entered a phase of its connection.
    PhaseStarted {
        /// Which host.
        host: HostId,
        /// The phase that begins.
        phase: Phase,
    },
    /// A host is logged in.
    Connected {
        /// Which host.
        host: HostId,
        /// The address that answered.
        address: String,
        /// Time from the first attempt to the login.
        took: Duration,
        /// The server's identification, as in `OpenSSH_9.2p1 Debian-2`.
        banner: String,
    },
    /// An attempt to connect failed and another one follows.
    AttemptFailed {
        /// Which host.
        host: HostId,
        /// Number of the attempt, from 1.
        attempt: u32,
        /// Attempts in all.
        of: u32,
        /// Why.
        failure: Failure,
        /// Pause before the next attempt.
        retry_in: Duration,
    },
    /// A block of steps, or one step that is done in batches, begins on its next hosts.
    BatchStarted {
        /// Its number, from 1.
        batch: usize,
        /// Batches in all.
        of: usize,
        /// Its hosts.
        hosts: Vec<HostId>,
    },
    /// Too many hosts have failed, so no further batch begins.
    BatchStopped {
        /// The batch that was the last one.
        batch: usize,
        /// Batches in all.
        of: usize,
        /// Its hosts that failed; none where it was the cluster.
        failed: Vec<HostId>,
        /// Hosts of later batches, which are left alone.
        left: Vec<HostId>,
    },
    /// A step begins on the run as a whole.
    StepStarted {
        /// Which step.
        step: StepId,
        /// Hosts that it is for.
        hosts: usize,
    },
    /// A host begins a step.
    HostStepStarted {
        /// Which host.
        host: HostId,
        /// Which step.
        step: StepId,
    },
    /// A command printed something. Only when a reporter wants output as it comes.
    Output {
        /// Which host.
        host: HostId,
        /// Which step.
        step: StepId,
        /// Which stream.
        stream: Stream,
        /// Raw bytes, cut anywhere.
        bytes: Vec<u8>,
        /// Keeps more from coming until these are written.
        reserved: Reserved,
    },
    /// Files are on their way to or from a host. Now and then, while it lasts.
    Moving {
        /// Which host.
        host: HostId,
        /// Which step.
        step: StepId,
        /// Bytes that have gone over the line.
        moved: u64,
        /// Bytes in all, as far as is known.
        of: u64,
    },
    /// A look at a startup chain; sent when something about it changed.
    ChainSeen {
        /// Which host.
        host: HostId,
        /// Every stage, in order.
        stages: Vec<StageState>,
    },
    /// What holds back the first missing stage of a host; sent when another cause was found.
    CauseSeen {
        /// Which host.
        host: HostId,
        /// The cause.
        cause: Cause,
    },
    /// A look at a fact that a step waits for; sent when its value changed.
    Waiting {
        /// The host that was asked.
        host: HostId,
        /// Which step.
        step: StepId,
        /// The fact's name.
        fact: String,
        /// Its value, `None` where there was no answer.
        value: Option<String>,
    },
    /// A look at what a wait misses on a host; sent when it changed.
    Missing {
        /// The host that was looked at.
        host: HostId,
        /// Which step.
        step: StepId,
        /// What is not true yet, or why that is not known; `None` where nothing is missing.
        what: Option<String>,
    },
    /// A step that asks one host for all is over: what was heard about the cluster.
    ClusterSeen {
        /// Which step.
        step: StepId,
        /// What was heard, and why it is not enough, if it is not.
        cluster: ClusterReport,
    },
    /// A host is done with a step.
    HostStepFinished {
        /// Which host.
        host: HostId,
        /// Which step.
        step: StepId,
        /// What the step did.
        result: StepResult,
    },
    /// A step is over for every host it was for.
    StepFinished {
        /// Which step.
        step: StepId,
    },
    /// The run was refused: states were found in which it is wrong to go on. Nothing was changed.
    Refused {
        /// Hosts and reasons, in inventory order.
        hosts: Vec<(HostId, Failure)>,
    },
    /// A host is done with the run.
    HostFinished {
        /// Which host.
        host: HostId,
        /// Its verdict.
        outcome: Outcome,
        /// Why, where it is not a success.
        failure: Option<Failure>,
        /// Time from its start.
        elapsed: Duration,
    },
    /// The run is being cut short.
    CancelRequested {
        /// Why.
        reason: CancelReason,
        /// Hosts on which something runs now.
        running: usize,
    },
    /// The run as a whole has another state, which its playbook names.
    StateChanged {
        /// The state.
        state: String,
    },
    /// What earlier steps asked to be undone is being undone.
    CleanupStarted {
        /// Hosts concerned.
        hosts: usize,
    },
    /// Nothing happened for a while: what is still going on, and where.
    StillRunning {
        /// Hosts, what each is at, and for how long.
        hosts: Vec<(HostId, Activity, Duration)>,
    },
    /// Something that the user should know and that does not change the verdict.
    Warning {
        /// The warning, a lower-case fragment.
        message: String,
    },
    /// The run is over.
    RunFinished,
}

/// What a host is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activity {
    /// In a phase of its connection.
    Connecting(Phase),
    /// At a step.
    Step(StepId),
    /// At a step, and the chain stands at this stage.
    Stage(StepId, String),
}

/// Receives what happens during a run.
///
/// `stats` stands as after the event. An error is remembered by the caller and the run goes on: half a cluster start is
/// worse than a missing line.
pub trait Reporter {
    /// Takes one event.
    ///
    /// # Errors
    /// When the event could not be written.
    fn event(&mut self, event: &Event, stats: &RunStats) -> std::io::Result<()>;

    /// Takes one event for good. One that writes later overrides this, so that output need not be copied.
    ///
    /// # Errors
    /// As [`Reporter::event`].
    fn take(&mut self, event: Event, stats: &RunStats) -> std::io::Result<()> {
        self.event(&event, stats)
    }

    /// No event follows for now: what is kept to be handed over in larger portions must not wait any longer.
    fn settle(&mut self) {}

    /// Takes the whole report, once, after the last event.
    ///
    /// # Errors
    /// When the report could not be written.
    fn finish(&mut self, report: &crate::report::RunReport, stats: &RunStats) -> std::io::Result<()> {
        let _ = (report, stats);
        Ok(())
    }

    /// Gives what waits until everything so far can be read by the user, for a question that is about it.
    fn shown(&mut self) -> Box<dyn FnOnce() + Send> {
        Box::new(|| ())
    }

    /// Called about ten times a second, for what moves on a terminal.
    fn tick(&mut self, at: Duration) {
        let _ = at;
    }
}
