//! The journal: what every run leaves on this machine, so that it can be looked at, resumed, and its hosts selected again.
//!
//! ```text
//! $XDG_STATE_HOME/gsctl/      0700
//!   runs/ID/run.json          what is done: `gsctl.journal/1`, see [`record`]
//!   runs/ID/progress.jsonl    hosts that finished the step under way, see [`progress`]
//!   runs/ID/report.json       the report, once the run is over: `gsctl.run/1`
//!   runs/ID/began, ended      when, in numbers that the clock has no part in, see [`order`]
//!   locks/ID.lock             held by the kernel for as long as the run lives, see [`lock`]
//!   pushes/ID                 the same, of runs that send files; what one leaves on nodes another may go on with, see [`pushes`]
//! ```
//!
//! Must not decide what a run does, nor put anything secret on the disk. Start at [`Journal`].

pub mod compare;
pub mod durable;
pub mod lock;
mod order;
pub mod past;
pub mod problem;
pub mod progress;
pub mod pushes;
pub mod record;
pub mod writer;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

pub use problem::JournalError;
pub use record::RunRecord;
pub use writer::Writer;

use crate::text::is_absent;

/// Runs that are kept, at least.
const KEEP: usize = 100;
/// In so many runs it is looked for older ones once: which they are is in a file of each.
const RUNS_A_PRUNE: u64 = 16;
/// A run that can be resumed is kept for so long, however many follow it.
const KEEP_UNFINISHED: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);

/// All runs of a user on this machine.
#[derive(Debug, Clone)]
pub struct Journal {
    dir: PathBuf,
}

impl Journal {
    /// The journal in this directory, which need not be there yet.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directory of a run.
    #[must_use]
    pub fn run_dir(&self, id: &str) -> PathBuf {
        self.dir.join("runs").join(id)
    }

    pub(super) fn locks(&self) -> PathBuf {
        self.dir.join("locks")
    }

    /// Ids of all runs in the order in which they began, or went on. No journal has none.
    ///
    /// # Errors
    /// When the directory is there and cannot be read.
    pub fn ids(&self) -> Result<Vec<String>, JournalError> {
        let dir = self.dir.join("runs");
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(JournalError::unreadable(&dir, &error)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut ids: Vec<String> = names.filter(|name| is_id(name)).collect();
        ids.sort_by_cached_key(|id| (order::number(&self.run_dir(id), order::BEGAN), id.clone()));
        Ok(ids)
    }

    /// The run that a user means: its id, the beginning of it, or `last`.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find(&self, text: &str) -> Result<String, JournalError> {
        let ids = self.ids()?;
        if text == "last" {
            let last = ids.into_iter().max_by_key(|id| order::place(&self.run_dir(id), order::BEGAN));
            return last.ok_or_else(|| JournalError::Empty { dir: self.dir.clone() });
        }
        let fits: Vec<&String> = ids.iter().filter(|id| id.starts_with(text)).collect();
        match fits.as_slice() {
            [] => Err(JournalError::NoSuchRun { run: text.to_owned() }),
            [only] => Ok((*only).clone()),
            [first, .., last] => {
                Err(JournalError::Several { run: text.to_owned(), first: (*first).clone(), last: (*last).clone() })
            }
        }
    }

    /// What is written down about a run, with what its last step had come to.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn load(&self, id: &str) -> Result<RunRecord, JournalError> {
        let dir = self.run_dir(id);
        let mut record = RunRecord::parse(&dir.join("run.json"))?;
        progress::replay(&mut record, &dir)?;
        Ok(record)
    }

    /// The text of a run's report, if it came to one.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn report(&self, id: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let path = self.run_dir(id).join("report.json");
        match fs::read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(JournalError::unreadable(&path, &error)),
        }
    }

    /// Removes the oldest runs, if it is this run's turn to do so.
    pub fn prune_in_turn(&self, id: &str, now: jiff::Timestamp) {
        // A run that has ended has taken two numbers.
        if order::number(&self.run_dir(id), order::BEGAN) % (2 * RUNS_A_PRUNE) < 2 {
            self.prune(now);
        }
    }

    /// Removes the oldest runs, but for those that can be resumed or are under way. One that cannot be removed is left
    /// for the next time.
    fn prune(&self, now: jiff::Timestamp) {
        let Ok(ids) = self.ids() else { return };
        for id in &ids[..ids.len().saturating_sub(KEEP)] {
            let wanted = self.load(id).is_ok_and(|record| {
                let started: Option<jiff::Timestamp> = record.started.parse().ok();
                let resumable =
                    record.is_resumable() && started.is_some_and(|at| now.duration_since(at) < KEEP_UNFINISHED);
                resumable || (record.status.is_none() && is_alive(record.pid))
            });
            if !wanted && !lock::is_held(self, id) {
                let _ = fs::remove_dir_all(self.run_dir(id));
            }
        }
    }
}

/// Whether there is a process of this number. It may be another one by now: then a run is kept longer than need be.
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(
        |pid| !matches!(rustix::process::test_kill_process(pid), Err(error) if error == rustix::io::Errno::SRCH),
    )
}

/// `20261121T094311Z-abcde`: sorts by time, to a fraction of a second.
#[must_use]
pub fn new_id(started: jiff::Timestamp) -> String {
    const LETTERS: u32 = 26;
    let nanos = u32::try_from(started.subsec_nanosecond()).unwrap_or_default();
    let mut fraction = nanos / (1_000_000_000 / LETTERS.pow(3) + 1);
    let mut letters = [b'a'; 3];
    for letter in letters.iter_mut().rev() {
        *letter += u8::try_from(fraction % LETTERS).unwrap_or_default();
        fraction /= LETTERS;
    }
    let letters = String::from_utf8_lossy(&letters).into_owned();
    let random: String = std::iter::repeat_with(fastrand::lowercase).take(2).collect();
    format!("{}-{letters}{random}", started.strftime("%Y%m%dT%H%M%SZ"))
}

/// A directory of another name is none of ours, and a name with a slash leads elsewhere.
fn is_id(name: &str) -> bool {
    name.len() > 16
        && name.as_bytes()[..15].iter().all(|byte| byte.is_ascii_digit() || *byte == b'T')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
