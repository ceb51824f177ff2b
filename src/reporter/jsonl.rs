//! Events as JSON Lines: one a line, as they happen, in the words of the report.
//!
//! A line is written at once, so that a reader that follows the file does not see half an event, unless it is too long to be held. What
//! both forms share stands in `json`.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::Names;
use super::encoded;
use super::json::{Cluster, JsonList, StageJson, StatusJson, failure, ms, notes, some, write_line};
use crate::event::{Activity, Event, EventKind, HostId, Reporter, Stream};
use crate::outcome::{Failure, StepResult};
use crate::report::{RunReport, SCHEMA};
use crate::stats::{CancelReason, RunStats};

/// Writes one event a line, as it happens, and the result of the run last.
pub struct JsonLines {
    writer: Box<dyn Write + Send>,
    names: Names,
    steps: Vec<String>,
}

impl JsonLines {
    /// Events to this writer; hosts are named as in the list of the run.
    #[must_use]
    pub fn new(writer: Box<dyn Write + Send>, names: Names) -> Self {
        Self { writer, names, steps: Vec::new() }
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        write_line(value, &mut self.writer)
    }
}

impl Reporter for JsonLines {
    fn event(&mut self, event: &Event, _: &RunStats) -> io::Result<()> {
        if let EventKind::Moving { .. } = &event.kind {
            // For the eye: some a second and host. How much it was stands at the end of the step.
            return Ok(());
        }
        if let EventKind::RunStarted { steps, .. } = &event.kind {
            self.steps.clone_from(steps);
        }
        let (names, steps) = (self.names.clone(), std::mem::take(&mut self.steps));
        let done = self.line(&EventLine { event, names: &names, steps: &steps });
        self.steps = steps;
        done
    }

    fn finish(&mut self, report: &RunReport, _: &RunStats) -> io::Result<()> {
        self.line(&ResultLine(report))
    }
}

/// The last line of the JSON Lines form.
struct ResultLine<'a>(&'a RunReport);

impl Serialize for ResultLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let run = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at_ms", &ms(run.elapsed))?;
        map.serialize_entry("event", "summary")?;
        map.serialize_entry("run", &run.run)?;
        map.serialize_entry("command", &run.command)?;
        map.serialize_entry("started", &run.started)?;
        map.serialize_entry("elapsed_ms", &ms(run.elapsed))?;
        map.serialize_entry("status", &StatusJson(run.status))?;
        some(&mut map, "state", run.state.as_ref())?;
        map.serialize_entry("counts", &run.counts)?;
        map.end()
    }
}

/// One event.
struct EventLine<'a> {
    event: &'a Event,
    names: &'a [Arc<str>],
    steps: &'a [String],
}

impl EventLine<'_> {
    fn host<M: SerializeMap>(&self, map: &mut M, host: HostId) -> Result<(), M::Error> {
        some(map, "host", self.name(host))
    }

    fn name(&self, host: HostId) -> Option<&str> {
        self.names.get(host).map(|name| &**name)
    }

    fn step<M: SerializeMap>(&self, map: &mut M, step: usize) -> Result<(), M::Error> {
        some(map, "step", self.steps.get(step))
    }

    fn activity<M: SerializeMap>(&self, map: &mut M, activity: &Activity) -> Result<(), M::Error> {
        match activity {
            Activity::Connecting(phase) => map.serialize_entry("phase", phase),
            Activity::Step(step) => self.step(map, *step),
            Activity::Stage(step, stage) => {
                self.step(map, *step)?;
                map.serialize_entry("stage", stage)
            }
        }
    }
}

impl Serialize for EventLine<'_> {
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of event")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at_ms", &ms(self.event.at))?;
        map.serialize_entry("event", name(&self.event.kind))?;
        match &self.event.kind {
            EventKind::RunStarted { steps, fanout } => {
                map.serialize_entry("schema", SCHEMA)?;
                map.serialize_entry("hosts", &JsonList(self.names, AsRef::<str>::as_ref))?;
                map.serialize_entry("steps", steps)?;
                map.serialize_entry("fanout", fanout)?;
            }
            EventKind::HostStarted { host } => self.host(&mut map, *host)?,
            EventKind::PhaseStarted { host, phase } => {
                self.host(&mut map, *host)?;
                map.serialize_entry("phase", phase)?;
            }
            EventKind::Connected { host, address, took, banner } => {
                self.host(&mut map, *host)?;
                map.serialize_entry("address", address)?;
                map.serialize_entry("connect_ms", &ms(*took))?;
                map.serialize_entry("banner", banner)?;
            }
            EventKind::AttemptFailed { host, attempt, of, failure: why, retry_in } => {
                self.host(&mut map, *host)?;
                map.serialize_entry("attempt", attempt)?;
                map.serialize_entry("of", of)?;
                failure(&mut map, Some(why))?;
                map.serialize_entry("retry_in_ms", &ms(*retry_in))?;
            }
            EventKind::BatchStarted { batch, of, hosts } => {
                map.serialize_entry("batch", batch)?;
                map.serialize_entry("of", of)?;
                map.serialize_entry("hosts", &JsonList(hosts, |host: &HostId| self.name(*host)))?;
            }
            EventKind::BatchStopped { batch, of, failed, left } => {
                map.serialize_entry("batch", batch)?;
                map.serialize_entry("of", of)?;
                map.serialize_entry("failed", &JsonList(failed, |host: &HostId| self.name(*host)))?;
                map.serialize_entry("left", &JsonList(left, |host: &HostId| self.name(*host)))?;
            }
            EventKind::StepStarted { step, hosts } => {
                self.step(&mut map, *step)?;
                map.serialize_entry("hosts", hosts)?;
            }
            EventKind::HostStepStarted { host, step } => {
                self.host(&mut map, *host)?;
                self.step(&mut map, *step)?;
            }
            EventKind::Output { host, step, stream, bytes: raw, .. } => {
                self.host(&mut map, *host)?;
                self.step(&mut map, *step)?;
                match stream {
                    Stream::Stdout => encoded::bytes(&mut map, &encoded::STDOUT, raw)?,
                    Stream::Stderr => encoded::bytes(&mut map, &encoded::STDERR, raw)?,
                }
            }
            EventKind::ChainSeen { host, stages } => {
                self.host(&mut map, *host)?;
                map.serialize_entry("chain", &JsonList(stages, StageJson))?;
            }
            EventKind::CauseSeen { host, cause } => {
                self.host(&mut map, *host)?;
                map.serialize_entry("cause", cause)?;
            }
            EventKind::Waiting { host, step, fact, value } => {
                self.host(&mut map, *host)?;
                self.step(&mut map, *step)?;
                map.serialize_entry("fact", fact)?;
                some(&mut map, "value", value.as_ref())?;
            }
            EventKind::Missing { host, step, what } => {
                self.host(&mut map, *host)?;
                self.step(&mut map, *step)?;
                some(&mut map, "what", what.as_ref())?;
            }
            EventKind::ClusterSeen { step, cluster } => {
                self.step(&mut map, *step)?;
                map.serialize_entry("cluster", &Cluster(cluster))?;
            }
            EventKind::HostStepFinished { host, step, result } => {
                self.host(&mut map, *host)?;
                self.step(&mut map, *step)?;
                step_result(&mut map, result)?;
            }
            EventKind::StepFinished { step } => self.step(&mut map, *step)?,
            EventKind::Refused { hosts } => {
                map.serialize_entry("hosts", &JsonList(hosts, |item| RefusedHost { line: self, item }))?;
            }
            EventKind::HostFinished { host, outcome, failure: why, elapsed } => {
                self.host(&mut map, *host)?;
                map.serialize_entry("outcome", outcome)?;
                failure(&mut map, why.as_ref())?;
                map.serialize_entry("elapsed_ms", &ms(*elapsed))?;
            }
            EventKind::CancelRequested { reason, running } => {
                map.serialize_entry("reason", reason_name(*reason))?;
                map.serialize_entry("running", running)?;
            }
            EventKind::StateChanged { state } => map.serialize_entry("state", state)?,
            EventKind::CleanupStarted { hosts } => map.serialize_entry("hosts", hosts)?,
            EventKind::StillRunning { hosts } => {
                map.serialize_entry("hosts", &JsonList(hosts, |item| BusyHost { line: self, item }))?;
            }
            EventKind::Warning { message } => map.serialize_entry("message", message)?,
            EventKind::Moving { .. } | EventKind::RunFinished => {}
        }
        map.end()
    }
}

fn step_result<M: SerializeMap>(map: &mut M, result: &StepResult) -> Result<(), M::Error> {
    map.serialize_entry("outcome", &result.outcome)?;
    failure(map, result.failure.as_ref())?;
    map.serialize_entry("elapsed_ms", &ms(result.elapsed))?;
    some(map, "exit_status", result.exit_status.as_ref())?;
    some(map, "signal", result.signal.as_ref())?;
    some(map, "remote_killed", result.remote_killed.as_ref())?;
    notes(map, &result.notes)?;
    if !result.stdout.is_empty() {
        encoded::output(map, &encoded::STDOUT, &result.stdout)?;
    }
    if !result.stderr.is_empty() {
        encoded::output(map, &encoded::STDERR, &result.stderr)?;
    }
    if !result.facts.is_empty() {
        map.serialize_entry("facts", &result.facts)?;
    }
    if !result.changes.is_empty() {
        map.serialize_entry("changes", &result.changes)?;
    }
    if result.bytes > 0 {
        map.serialize_entry("bytes", &result.bytes)?;
    }
    Ok(())
}

struct RefusedHost<'a> {
    line: &'a EventLine<'a>,
    item: &'a (HostId, Failure),
}

impl Serialize for RefusedHost<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.line.host(&mut map, self.item.0)?;
        failure(&mut map, Some(&self.item.1))?;
        map.end()
    }
}

struct BusyHost<'a> {
    line: &'a EventLine<'a>,
    item: &'a (HostId, Activity, Duration),
}

impl Serialize for BusyHost<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (host, activity, time) = self.item;
        let mut map = serializer.serialize_map(None)?;
        self.line.host(&mut map, *host)?;
        self.line.activity(&mut map, activity)?;
        map.serialize_entry("elapsed_ms", &ms(*time))?;
        map.end()
    }
}

fn name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::RunStarted { .. } => "run_started",
        EventKind::HostStarted { .. } => "host_started",
        EventKind::PhaseStarted { .. } => "phase_started",
        EventKind::Connected { .. } => "connected",
        EventKind::AttemptFailed { .. } => "attempt_failed",
        EventKind::BatchStarted { .. } => "batch_started",
        EventKind::BatchStopped { .. } => "batch_stopped",
        EventKind::StepStarted { .. } => "step_started",
        EventKind::HostStepStarted { .. } => "host_step_started",
        EventKind::Output { .. } => "output",
        EventKind::Moving { .. } => "moving",
        EventKind::ChainSeen { .. } => "chain_seen",
        EventKind::CauseSeen { .. } => "cause_seen",
        EventKind::Waiting { .. } => "waiting",
        EventKind::Missing { .. } => "missing",
        EventKind::ClusterSeen { .. } => "cluster_seen",
        EventKind::HostStepFinished { .. } => "host_step_finished",
        EventKind::StepFinished { .. } => "step_finished",
        EventKind::Refused { .. } => "refused",
        EventKind::HostFinished { .. } => "host_finished",
        EventKind::CancelRequested { .. } => "cancel_requested",
        EventKind::StateChanged { .. } => "state_changed",
        EventKind::CleanupStarted { .. } => "cleanup_started",
        EventKind::StillRunning { .. } => "still_running",
        EventKind::Warning { .. } => "warning",
        EventKind::RunFinished => "run_finished",
    }
}

fn reason_name(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::Interrupt => "interrupt",
        CancelReason::Terminate => "terminate",
        CancelReason::Deadline => "deadline",
        CancelReason::MaxFail => "max_fail",
    }
}
