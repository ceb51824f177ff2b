//! The timeline of every host in a run, kept from events: phases, pauses and steps with their results.
//!
//! For reports that are made at the end and say more than the report of the run does. It must not word or write anything.

use std::time::Duration;

use super::sanitize;
use crate::event::{Event, EventKind, HostId, StepId};
use crate::outcome::{Outcome, Phase, StepResult};
use crate::output::Output;

/// Bytes of one stream of one step that are kept; of what is longer, the beginning and the end.
const KEPT_OF_A_STEP: usize = 64 * 1024;
/// The same once all hosts together have printed much.
const KEPT_OF_A_STEP_LATER: usize = 4 * 1024;
/// How much is much.
const KEPT_IN_FULL: u64 = 64 * 1024 * 1024;

/// What a host was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanKind {
    /// A phase of its connection.
    Phase(Phase),
    /// Between two attempts to connect.
    Pause,
    /// A step.
    Step(StepId),
}

/// A time in which a host was doing one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) at: SpanKind,
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    /// The attempt ended here.
    pub(crate) broken: bool,
    /// The verdict on a step.
    pub(crate) outcome: Option<Outcome>,
}

/// One host's timeline.
#[derive(Debug, Default)]
pub(crate) struct HostTimeline {
    /// In order of time.
    pub(crate) spans: Vec<Span>,
    /// Stages of the chain that came up, and when.
    pub(crate) ups: Vec<(String, Duration)>,
    /// Steps that are done, with as much output as is kept.
    pub(crate) steps: Vec<(StepId, StepResult)>,
    open: Option<(SpanKind, Duration)>,
    step: Option<StepId>,
    chain_seen: bool,
}

/// The timelines of all hosts.
#[derive(Debug, Default)]
pub(crate) struct Timelines {
    hosts: Vec<HostTimeline>,
    kept: u64,
}

impl Timelines {
    /// For so many hosts.
    #[must_use]
    pub(crate) fn new(hosts: usize) -> Self {
        Self { hosts: std::iter::repeat_with(HostTimeline::default).take(hosts).collect(), kept: 0 }
    }

    /// A host's timeline.
    #[must_use]
    pub(crate) fn of(&self, host: HostId) -> Option<&HostTimeline> {
        self.hosts.get(host)
    }

    /// Takes one event.
    pub(crate) fn event(&mut self, event: &Event) {
        let now = event.at;
        let Some(host) = host_of(&event.kind) else { return };
        let Some(timeline) = self.hosts.get_mut(host) else { return };
        match &event.kind {
            EventKind::HostStepStarted { step, .. } => {
                timeline.step = Some(*step);
                timeline.enter(SpanKind::Step(*step), now);
            }
            EventKind::PhaseStarted { phase, .. } => timeline.enter(SpanKind::Phase(*phase), now),
            EventKind::Connected { .. } => match timeline.step {
                Some(step) => timeline.enter(SpanKind::Step(step), now),
                None => timeline.close(now, false, None),
            },
            EventKind::AttemptFailed { .. } => {
                timeline.close(now, true, None);
                timeline.enter(SpanKind::Pause, now);
            }
            EventKind::ChainSeen { stages, .. } => {
                for stage in stages.iter().filter(|stage| stage.up) {
                    // What is up at the first look came up before the run.
                    if timeline.chain_seen && timeline.ups.iter().all(|(name, _)| *name != stage.stage) {
                        timeline.ups.push((stage.stage.clone(), now));
                    } else if !timeline.chain_seen {
                        timeline.ups.push((stage.stage.clone(), Duration::MAX));
                    }
                }
                timeline.chain_seen = true;
            }
            EventKind::HostStepFinished { step, result, .. } => {
                let broken = matches!(timeline.open, Some((SpanKind::Phase(_), _)));
                // A wait looks again and again, and is one time all the same.
                if timeline.open.is_none() && !result.elapsed.is_zero() {
                    let after = timeline.spans.last().map_or(Duration::ZERO, |span| span.to);
                    timeline.open = Some((SpanKind::Step(*step), now.saturating_sub(result.elapsed).max(after)));
                }
                timeline.close(now, broken, Some(result.outcome));
                let most = if self.kept > KEPT_IN_FULL { KEPT_OF_A_STEP_LATER } else { KEPT_OF_A_STEP };
                let mut kept = result.clone();
                kept.stdout = cut(&result.stdout, most);
                kept.stderr = cut(&result.stderr, most);
                self.kept += kept.stdout.len() + kept.stderr.len();
                timeline.steps.push((*step, kept));
                timeline.step = None;
            }
            EventKind::HostFinished { .. } => timeline.close(now, false, None),
            _ => {}
        }
    }

    /// Closes what is still open.
    pub(crate) fn finish(&mut self, now: Duration) {
        for timeline in &mut self.hosts {
            timeline.close(now, false, None);
            timeline.ups.retain(|(_, at)| *at != Duration::MAX);
        }
    }
}

impl HostTimeline {
    fn enter(&mut self, at: SpanKind, now: Duration) {
        self.close(now, false, None);
        self.open = Some((at, now));
    }

    fn close(&mut self, now: Duration, broken: bool, outcome: Option<Outcome>) {
        let Some((at, from)) = self.open.take() else { return };
        // A step that only waited for its connection took no time.
        if from < now || outcome.is_some() {
            self.spans.push(Span { at, from, to: now, broken, outcome });
        }
    }
}

fn host_of(kind: &EventKind) -> Option<HostId> {
    match kind {
        EventKind::HostStepStarted { host, .. }
        | EventKind::PhaseStarted { host, .. }
        | EventKind::Connected { host, .. }
        | EventKind::AttemptFailed { host, .. }
        | EventKind::ChainSeen { host, .. }
        | EventKind::HostStepFinished { host, .. }
        | EventKind::HostFinished { host, .. } => Some(*host),
        _ => None,
    }
}

/// The beginning and the end of what is too long, with a line between that says so.
fn cut(output: &Output, most: usize) -> Output {
    let Some(left @ 1..) = output.len().checked_sub(most as u64) else { return output.clone() };
    let head = most / 4;
    match (output.first(head), output.last(most - head)) {
        (Ok(head), Ok(tail)) => {
            [&head, format!("\n[gsctl: {left} bytes left out]\n").as_bytes(), &tail].concat().into()
        }
        (Err(error), _) | (_, Err(error)) => format!("[gsctl: cannot be read back: {error}]\n").as_str().into(),
    }
}

/// An output that was cut, for a report that shows it as a terminal would.
pub(crate) fn shown(output: &Output) -> String {
    match output.first(usize::MAX) {
        Ok(bytes) if bytes.is_empty() => String::new(),
        Ok(bytes) => sanitize::block(&bytes),
        Err(error) => format!("[gsctl: cannot be read back: {error}]\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_is_what_happened() {
        let ms = Duration::from_millis;
        let mut timelines = Timelines::new(1);
        let mut send = |at, kind| timelines.event(&Event { at: ms(at), kind });
        send(0, EventKind::HostStepStarted { host: 0, step: 0 });
        send(0, EventKind::PhaseStarted { host: 0, phase: Phase::Resolve });
        send(2, EventKind::PhaseStarted { host: 0, phase: Phase::Connect });
        send(9, EventKind::Connected { host: 0, address: "a".into(), took: ms(9), banner: "b".into() });
        let result = StepResult { stdout: vec![b'x'; KEPT_OF_A_STEP + 1].into(), ..StepResult::new(Outcome::Ok) };
        send(12, EventKind::HostStepFinished { host: 0, step: 0, result });
        timelines.finish(ms(20));
        let timeline = timelines.of(0).unwrap();
        let spans: Vec<_> = timeline.spans.iter().map(|span| (span.at, span.from, span.to)).collect();
        assert_eq!(
            spans,
            [
                (SpanKind::Phase(Phase::Resolve), ms(0), ms(2)),
                (SpanKind::Phase(Phase::Connect), ms(2), ms(9)),
                (SpanKind::Step(0), ms(9), ms(12))
            ]
        );
        let kept = shown(&timeline.steps[0].1.stdout);
        assert!(kept.contains("\n[gsctl: 1 bytes left out]\n"));
    }
}
