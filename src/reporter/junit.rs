//! The report of a run as JUnit XML, for CI: the suite is the run, a test case is a host, or a step on a host where there are
//! several.
//!
//! XML cannot hold every byte, so output stands there as on a terminal: control characters are visible. A host that did not end
//! well is never green: where none of its steps says so, a case of its own does.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::sanitize;
use super::summary;
use super::timeline::{Timelines, shown};
use crate::event::{Event, Reporter};
use crate::outcome::cause::Cause;
use crate::outcome::{Failure, Outcome, StepResult};
use crate::report::{HostReport, Merged, RunReport};
use crate::stats::RunStats;

/// Keeps what the steps came to, and writes it at the end.
pub struct JunitReport {
    writer: Box<dyn Write + Send>,
    timelines: Timelines,
    steps: Vec<String>,
    /// The run only looks: what it found missing is a failure, though none of its steps failed.
    looks: bool,
}

impl JunitReport {
    /// A report to this writer, opened before anything was contacted.
    #[must_use]
    pub fn new(writer: Box<dyn Write + Send>, hosts: usize, steps: Vec<String>, looks: bool) -> Self {
        Self { writer, timelines: Timelines::new(hosts), steps, looks }
    }

    fn suite(&self, report: &RunReport) -> TestSuite {
        let mut suite = TestSuite::new(sanitize::words(&report.command));
        suite.timestamp = report.started.parse().ok();
        suite.set_time(report.elapsed);
        suite.add_property(("run", report.run.as_str()));
        suite.add_property(("status", report.status.name()));
        if let Some(partition) = report.partition {
            suite.add_property(("partition", partition.to_string().as_str()));
        }
        for (id, host) in report.hosts.iter().enumerate() {
            let steps = self.timelines.of(id).map(|timeline| timeline.steps.as_slice()).unwrap_or_default();
            let name = sanitize::words(&host.host);
            for (step, result) in steps {
                let verdict = Verdict {
                    outcome: result.outcome,
                    failure: result.failure.as_ref(),
                    cause: result.cause.as_deref(),
                    took: result.elapsed,
                };
                let mut case = if self.steps.len() > 1 {
                    let step = self.steps.get(*step).map(|step| sanitize::words(step)).unwrap_or_default();
                    case(&name, &step, &verdict)
                } else {
                    case(suite.name.as_str(), &name, &verdict)
                };
                add_output(&mut case, result);
                suite.add_test_case(case);
            }
            let reported = steps.iter().any(|(_, result)| result.outcome == host.outcome);
            if steps.is_empty() || !host.outcome.is_success() && !reported {
                suite.add_test_case(whole(&name, suite.name.as_str(), self.steps.len() > 1, host));
            }
            if let Some(finding) = super::state_table::finding(host).filter(|_| self.looks) {
                let outcome = Outcome::Failed;
                let verdict =
                    Verdict { outcome, failure: Some(&finding), cause: host.cause.as_deref(), took: host.elapsed };
                suite.add_test_case(case(&name, "startup chain", &verdict));
            }
        }
        for part in report.merged.iter().flat_map(Merged::missing) {
            let failure = summary::missing(part, report.merged.as_ref());
            let name = format!("part {part}");
            let verdict =
                Verdict { outcome: Outcome::Unreachable, failure: Some(&failure), cause: None, took: Duration::ZERO };
            suite.add_test_case(case(suite.name.as_str(), &name, &verdict));
        }
        suite
    }
}

impl Reporter for JunitReport {
    fn event(&mut self, event: &Event, _: &RunStats) -> io::Result<()> {
        self.timelines.event(event);
        Ok(())
    }

    fn finish(&mut self, report: &RunReport, _: &RunStats) -> io::Result<()> {
        let mut whole = Report::new("gsctl");
        whole.set_time(report.elapsed);
        whole.add_test_suite(self.suite(report));
        whole.serialize(&mut self.writer).map_err(io::Error::other)?;
        self.writer.flush()
    }
}

/// A host whose steps do not tell its verdict.
fn whole(name: &str, suite: &str, many: bool, host: &HostReport) -> TestCase {
    let (class, name) = if many { (name, "the whole run") } else { (suite, name) };
    let (failure, cause) = (host.failure.as_deref(), host.cause.as_deref());
    case(class, name, &Verdict { outcome: host.outcome, failure, cause, took: host.elapsed })
}

/// How something ended, and why.
struct Verdict<'a> {
    outcome: Outcome,
    failure: Option<&'a Failure>,
    cause: Option<&'a Cause>,
    took: Duration,
}

fn case(class: &str, name: &str, verdict: &Verdict<'_>) -> TestCase {
    let Verdict { outcome, failure, cause, took } = *verdict;
    let mut status = match outcome {
        Outcome::Ok | Outcome::Changed => TestCaseStatus::success(),
        Outcome::Skipped => TestCaseStatus::skipped(),
        Outcome::Failed | Outcome::TimedOut | Outcome::Refused => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Unreachable | Outcome::Cancelled => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if !outcome.is_success() {
        status.set_type(outcome.name());
        let message = failure.map_or_else(|| "not finished".to_owned(), super::outcome_words::why);
        status.set_message(message.as_str());
        let hint = failure.and_then(|failure| failure.hint.as_deref());
        let hint = hint.map(|hint| format!("\nhint: {}", sanitize::words(hint))).unwrap_or_default();
        let cause = cause.map(cause_words).unwrap_or_default();
        if !hint.is_empty() || !cause.is_empty() {
            status.set_description(format!("{message}{hint}{cause}"));
        }
    }
    let mut case = TestCase::new(name, status);
    case.set_classname(class).set_time(took);
    case
}

/// The cause and the lines that prove it.
fn cause_words(cause: &Cause) -> String {
    let mut words = format!("\ncause: {}", sanitize::words(&cause.words()));
    if let Some(proof) = &cause.proof {
        words += &format!("\nproof: {}", sanitize::words(&proof.file));
        for line in &proof.lines {
            words += &format!("\n    {}", sanitize::line(line.as_bytes()));
        }
    }
    words
}

fn add_output(case: &mut TestCase, result: &StepResult) {
    if !result.stdout.is_empty() {
        case.set_system_out(shown(&result.stdout));
    }
    if !result.stderr.is_empty() {
        case.set_system_err(shown(&result.stderr));
    }
}
