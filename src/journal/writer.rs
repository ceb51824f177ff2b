//! Writes the journal of a run while it goes on.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use super::Journal;
use super::durable::{self, Durability};
use super::order::{self, BEGAN, ENDED};
use super::progress::{self, ProgressLine};
use super::record::{RunRecord, StateRecord, is_secret};
use crate::event::{HostId, StepId};
use crate::outcome::Outcome;
use crate::output::Output;
use crate::report::RunReport;
use crate::reporter::json::write_report;
use crate::runner::{RunLog, StepEnd};

/// Remote output of a whole run that is kept. What is more is seen once, and goes where the user sent it.
const MOST_OUTPUT: u64 = 8 << 20;

/// A run that is being written down.
#[derive(Debug)]
pub struct Writer {
    journal: Journal,
    dir: PathBuf,
    record: RunRecord,
    progress: Option<File>,
}

impl Writer {
    /// Begins a new run. One that can be resumed is on the disk for good when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(journal: &Journal, record: RunRecord) -> io::Result<Self> {
        let dir = journal.run_dir(&record.run);
        if let Some(runs) = dir.parent() {
            durable::make_dir(runs)?;
        }
        durable::make_dir(&dir)?;
        let mut writer = Self { journal: journal.clone(), dir, record, progress: None };
        let written = writer.open();
        if written.is_err() {
            let _ = fs::remove_dir_all(&writer.dir);
        }
        written.map(|()| writer)
    }

    /// Goes on with a run, whose record is given as it now is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn go_on(journal: &Journal, record: RunRecord) -> io::Result<Self> {
        let mut writer = Self { journal: journal.clone(), dir: journal.run_dir(&record.run), record, progress: None };
        writer.open()?;
        // It tells of an end that was none.
        match fs::remove_file(writer.dir.join("report.json")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(writer),
        }
    }

    fn open(&mut self) -> io::Result<()> {
        order::write_next(&self.journal, &self.dir, BEGAN)?;
        if let Some(played) = &mut self.record.playbook {
            // Lines of an earlier process are in the record by now, and those left on the disk count no more.
            played.written += 1;
            self.write()?;
            self.progress = Some(progress::open(&self.dir)?);
            return durable::sync_dir(self.dir.parent().unwrap_or(&self.dir));
        }
        self.write()
    }

    /// Whether the run can be resumed, so that what is written must be safe.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.record.playbook.is_some()
    }

    /// Writes down that the run is over: its report first, so that a run that is over has one.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn finish(&mut self, report: &RunReport, now: &str) -> io::Result<()> {
        let output: u64 = report.hosts.iter().map(|host| host.stdout.len() + host.stderr.len()).sum();
        let without = (output > MOST_OUTPUT).then(|| {
            let mut report = report.clone();
            for host in &mut report.hosts {
                host.stdout = Output::default();
                host.stderr = Output::default();
            }
            report
        });
        self.record.output_left_out |= without.is_some();
        let report = without.as_ref().unwrap_or(report);
        order::write_next(&self.journal, &self.dir, ENDED)?;
        durable::write_with(&self.dir.join("report.json"), self.durability(), |file| write_report(report, file))?;
        self.record.ended = Some(now.to_owned());
        self.record.status = Some(report.status.into());
        self.record.counts = Some(report.counts.clone());
        self.write_next()
    }

    fn durability(&self) -> Durability {
        if self.is_durable() { Durability::Fsync } else { Durability::Rename }
    }

    fn write(&self) -> io::Result<()> {
        durable::write(&self.dir.join("run.json"), &self.record.text()?, self.durability())
    }

    /// Writes the record with everything from the progress file, and starts that anew.
    fn write_next(&mut self) -> io::Result<()> {
        if let Some(played) = &mut self.record.playbook {
            played.written += 1;
        }
        self.write()?;
        match &self.progress {
            Some(file) => file.set_len(0),
            None => Ok(()),
        }
    }

    fn tell(&mut self, step: StepId, host: HostId, outcome: Option<Outcome>, created: &[String]) -> io::Result<()> {
        let Some(played) = &mut self.record.playbook else { return Ok(()) };
        let (Some(step), Some(host)) = (played.steps.get(step), played.hosts.get(host)) else { return Ok(()) };
        let (step, host) = (step.name.clone(), host.host.clone());
        let line =
            ProgressLine { written: played.written, step, host, outcome, created: created.to_vec(), shared: None };
        self.add(&line)
    }

    fn add(&mut self, line: &ProgressLine) -> io::Result<()> {
        if let Some(played) = &mut self.record.playbook {
            line.clone().apply(played);
        }
        match &mut self.progress {
            Some(file) => progress::append(file, line),
            None => Ok(()),
        }
    }
}

impl RunLog for Writer {
    fn host_done(&mut self, step: StepId, host: HostId, outcome: Outcome, created: &[String]) -> io::Result<()> {
        self.tell(step, host, Some(outcome), created)
    }

    fn batch_done(&mut self) -> io::Result<()> {
        self.progress.as_ref().map_or(Ok(()), File::sync_data)
    }

    fn step_done(&mut self, step: StepId, end: StepEnd, state: Option<&str>) -> io::Result<()> {
        let Some(played) = &mut self.record.playbook else { return Ok(()) };
        let Some(step) = played.steps.get_mut(step) else { return Ok(()) };
        let now = jiff::Timestamp::now().to_string();
        step.end = Some(end_name(end).to_owned());
        step.ended = Some(now.clone());
        if let Some(state) = state {
            let failure = end == StepEnd::Failed;
            played.states.push(StateRecord { state: state.to_owned(), at: now, step: step.name.clone(), failure });
            self.record.state = Some(state.to_owned());
        }
        self.write_next()
    }

    fn intended(&mut self, step: StepId, host: HostId, paths: &[String]) -> io::Result<()> {
        self.tell(step, host, None, paths)
    }

    fn shared(&mut self, name: &str, value: &str) -> io::Result<()> {
        let Some(played) = &self.record.playbook else { return Ok(()) };
        if is_secret(name) || played.shared.get(name).is_some_and(|known| known == value) {
            return Ok(());
        }
        let shared = Some((name.to_owned(), value.to_owned()));
        let line = ProgressLine {
            written: played.written,
            step: String::new(),
            host: String::new(),
            outcome: None,
            created: Vec::new(),
            shared,
        };
        self.add(&line)
    }

    fn cleaned(&mut self, step: StepId, host: HostId) -> io::Result<()> {
        self.tell(step, host, None, &[])
    }
}

/// As `run.json` has it.
#[must_use]
pub(super) fn end_name(end: StepEnd) -> &'static str {
    match end {
        StepEnd::Good => "good",
        StepEnd::Failed => "failed",
        StepEnd::Stopped => "stopped",
        StepEnd::Passed => "passed",
    }
}
