//! The only counter in the program: folds hosts' verdicts into numbers, and numbers into one exit status.

use serde::{Deserialize, Serialize};

use crate::exit::ExitStatus;
use crate::outcome::Outcome;

/// Why a run was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CancelReason {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM or SIGHUP.
    Terminate,
    /// `--deadline` passed.
    Deadline,
    /// More hosts failed than `--max-fail` allows.
    MaxFail,
}

/// Hosts by verdict. Every host of a run is counted once, so the numbers add up to `hosts` when the run is over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Did what was asked; nothing had to change.
    pub ok: usize,
    /// Did what was asked; something changed.
    pub changed: usize,
    /// A command, check or wait failed.
    pub failed: usize,
    /// A command ran out of time.
    pub timed_out: usize,
    /// Not reached, or not heard to the end.
    pub unreachable: usize,
    /// Found in a state in which it is wrong to go on.
    pub refused: usize,
    /// Left out.
    pub skipped: usize,
    /// Stopped, or never begun.
    pub cancelled: usize,
}

impl Counts {
    /// The number of hosts with this verdict.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> usize {
        match outcome {
            Outcome::Ok => self.ok,
            Outcome::Changed => self.changed,
            Outcome::Failed => self.failed,
            Outcome::TimedOut => self.timed_out,
            Outcome::Unreachable => self.unreachable,
            Outcome::Refused => self.refused,
            Outcome::Skipped => self.skipped,
            Outcome::Cancelled => self.cancelled,
        }
    }

    /// Counts one more host.
    pub fn add(&mut self, outcome: Outcome) {
        let slot = match outcome {
            Outcome::Ok => &mut self.ok,
            Outcome::Changed => &mut self.changed,
            Outcome::Failed => &mut self.failed,
            Outcome::TimedOut => &mut self.timed_out,
            Outcome::Unreachable => &mut self.unreachable,
            Outcome::Refused => &mut self.refused,
            Outcome::Skipped => &mut self.skipped,
            Outcome::Cancelled => &mut self.cancelled,
        };
        *slot += 1;
    }

    /// Hosts that did not do what was asked.
    #[must_use]
    pub fn bad(&self) -> usize {
        self.failed + self.timed_out + self.unreachable + self.refused + self.cancelled
    }

    /// Hosts counted.
    #[must_use]
    pub fn total(&self) -> usize {
        Outcome::ALL.iter().map(|&outcome| self.of(outcome)).sum()
    }
}

/// How a run stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunStats {
    /// Hosts in the run.
    pub hosts: usize,
    /// Hosts that are done, by verdict.
    pub counts: Counts,
    /// Of the failed hosts, those whose command was killed by a signal.
    pub signalled: usize,
    /// Hosts on which something runs now.
    pub running: usize,
    /// The cluster was not as it was wanted, whatever its hosts came to.
    pub cluster_failed: bool,
    /// The run was refused before anything was changed.
    pub refused: bool,
    /// Why the run was cut short, if it was.
    pub cancelled: Option<CancelReason>,
    /// A report could not be written, or something inside gsctl broke.
    pub broken: bool,
    /// What was found counts as the exit status (`status --exit-code`), and this is it.
    pub health: Option<ExitStatus>,
    /// The highest exit status of the commands counts in the place of 0 and 5 (`--remote-status`), and this is it.
    pub remote: Option<u8>,
}

impl RunStats {
    /// Hosts that are done.
    #[must_use]
    pub fn done(&self) -> usize {
        self.counts.total()
    }

    /// The run's exit status: the highest concern of all hosts (design: 130/143, 1, 7, 3, 4, 5).
    #[must_use]
    pub fn exit_status(&self) -> ExitStatus {
        match self.cancelled {
            Some(CancelReason::Interrupt) => return ExitStatus::Interrupted,
            Some(CancelReason::Terminate) => return ExitStatus::Terminated,
            Some(CancelReason::Deadline | CancelReason::MaxFail) | None => {}
        }
        if self.broken {
            ExitStatus::Broken
        } else if self.refused || self.counts.refused > 0 {
            ExitStatus::Refused
        } else if let Some(status) = self.health {
            status
        } else if self.counts.timed_out > 0 || self.signalled > 0 || self.cancelled == Some(CancelReason::Deadline) {
            ExitStatus::TimedOut
        } else if self.counts.unreachable > 0 {
            ExitStatus::Unreachable
        } else if let Some(status @ 1..) = self.remote {
            ExitStatus::Remote(status)
        } else if self.counts.failed > 0 || self.counts.cancelled > 0 || self.cluster_failed {
            ExitStatus::Failed
        } else {
            ExitStatus::Success
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(outcomes: &[Outcome], cancelled: Option<CancelReason>, want: ExitStatus) {
        let mut stats = RunStats { cancelled, ..RunStats::default() };
        for &outcome in outcomes {
            stats.counts.add(outcome);
        }
        assert_eq!(stats.counts.total(), outcomes.len());
        assert_eq!(stats.exit_status(), want, "{outcomes:?} {cancelled:?}");
    }

    #[test]
    fn highest_concern_wins() {
        use Outcome::{Changed, Failed, Ok, Refused, Skipped, TimedOut, Unreachable};
        case(&[Ok, Changed, Skipped], None, ExitStatus::Success);
        case(&[Ok, Failed], None, ExitStatus::Failed);
        case(&[Failed, Unreachable], None, ExitStatus::Unreachable);
        case(&[Failed, Unreachable, TimedOut], None, ExitStatus::TimedOut);
        case(&[TimedOut, Refused], None, ExitStatus::Refused);
        case(&[Refused], Some(CancelReason::Interrupt), ExitStatus::Interrupted);
        case(&[Ok], Some(CancelReason::Terminate), ExitStatus::Terminated);
        case(&[Ok, Outcome::Cancelled], Some(CancelReason::Deadline), ExitStatus::TimedOut);
        case(&[Failed, Outcome::Cancelled], Some(CancelReason::MaxFail), ExitStatus::Failed);
    }

    #[test]
    fn a_signal_counts_as_a_timeout_does() {
        let mut stats = RunStats { signalled: 1, ..RunStats::default() };
        stats.counts.add(Outcome::Failed);
        stats.counts.add(Outcome::Unreachable);
        assert_eq!(stats.exit_status(), ExitStatus::TimedOut);
    }

    #[test]
    fn a_remote_status_counts_only_where_nothing_worse_happened() {
        let status = |remote, outcome: Outcome, cancelled| {
            let mut stats = RunStats { remote: Some(remote), cancelled, ..RunStats::default() };
            stats.counts.add(outcome);
            stats.exit_status()
        };
        assert_eq!(status(7, Outcome::Failed, None), ExitStatus::Remote(7));
        assert_eq!(status(0, Outcome::Ok, None), ExitStatus::Success);
        assert_eq!(status(0, Outcome::Failed, None), ExitStatus::Failed);
        assert_eq!(status(7, Outcome::TimedOut, None), ExitStatus::TimedOut);
        assert_eq!(status(7, Outcome::Unreachable, None), ExitStatus::Unreachable);
        assert_eq!(status(7, Outcome::Failed, Some(CancelReason::Interrupt)), ExitStatus::Interrupted);
    }

    #[test]
    fn a_report_that_could_not_be_written_is_said() {
        let stats = RunStats { broken: true, refused: true, ..RunStats::default() };
        assert_eq!(stats.exit_status(), ExitStatus::Broken);
    }
}
