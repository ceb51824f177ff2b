//! The order in which runs began and ended, as numbers that are counted. The clock may have been set back or forward in
//! between, so neither time stamps nor ids tell it.
//!
//! `order` holds the last number that was given out, `runs/ID/began` and `runs/ID/ended` the numbers of a run. Runs of an
//! older gsctl have none: they come first, in the order of their ids.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

use super::Journal;
use super::durable;

/// File in a run's directory with the number of its beginning, or of the last time that it was resumed.
pub(super) const BEGAN: &str = "began";
/// File in a run's directory with the number of its end.
pub(super) const ENDED: &str = "ended";

/// Where something stands in the order: by number, and, for what an older gsctl wrote, by time.
pub(super) type Place = (u64, Option<SystemTime>);

/// Gives out the next number and writes it into a run's file.
///
/// # Errors
/// When either file cannot be written.
pub(super) fn write_next(journal: &Journal, run: &Path, name: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(journal.dir().join("order"))?;
    // Held for these few lines; the kernel frees it with the process.
    flock(&file, FlockOperation::LockExclusive)?;
    let mut text = String::new();
    // A counter that cannot be read is made anew from the runs.
    let last = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
    let number = last.unwrap_or_else(|| highest(journal)).saturating_add(1);
    let text = format!("{number}\n");
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)?;
    durable::write(&run.join(name), text.as_bytes(), durable::Durability::Rename)
}

/// The place of a run's beginning or end. `None`: it has none.
pub(super) fn place(run: &Path, name: &str) -> Option<Place> {
    let of = if name == ENDED { "report.json" } else { "run.json" };
    let written = fs::metadata(run.join(of)).ok()?.modified().ok();
    match number(run, name) {
        0 => Some((0, written)),
        number => Some((number, None)),
    }
}

/// The number in a run's file; 0 where there is none.
pub(super) fn number(run: &Path, name: &str) -> u64 {
    fs::read_to_string(run.join(name)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn highest(journal: &Journal) -> u64 {
    let runs = fs::read_dir(journal.dir().join("runs")).into_iter().flatten().flatten();
    runs.flat_map(|run| [BEGAN, ENDED].map(|name| number(&run.path(), name))).max().unwrap_or(0)
}
