//! Runs that send files to nodes: one file each, in `pushes/`, locked by the kernel for as long as the run lives.
//!
//! What such a run has sent of a file bears its id on the node, and is its own. One whose file nobody holds has ended, so that
//! another run may go on with what it left. A run that left nothing takes its file away.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};

use super::{Journal, durable, is_id};

/// What was cut short is gone on with for so long.
const KEEP: Duration = Duration::from_secs(30 * 24 * 3600);
/// Ended runs that are known at most: every node is told all of them.
const MOST: usize = 100;

/// A run that sends files, under way.
#[derive(Debug)]
pub struct PushRun {
    path: PathBuf,
    _file: File,
}

impl PushRun {
    /// Begins one.
    ///
    /// # Errors
    /// When its file cannot be made, or not be locked: then nobody will go on with what it leaves.
    pub fn begin(journal: &Journal, id: &str) -> io::Result<Self> {
        let dir = journal.dir().join("pushes");
        durable::make_dir(&dir)?;
        let path = dir.join(id);
        // Nobody may see it before it is locked.
        let hidden = dir.join(format!(".{id}"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&hidden)?;
        let begun = flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(io::Error::from)
            .and_then(|()| fs::rename(&hidden, &path));
        if let Err(error) = begun {
            let _ = fs::remove_file(&hidden);
            return Err(error);
        }
        Ok(Self { path, _file: file })
    }

    /// It has left nothing on any node.
    pub fn left_nothing(self) {
        // Removed while it is held. One that stays is only looked for in vain.
        let _ = fs::remove_file(&self.path);
    }
}

/// Ids of the runs that have ended and may have left something, the latest first. What is too old is forgotten.
#[must_use]
pub fn ended(journal: &Journal) -> Vec<String> {
    let Ok(entries) = fs::read_dir(journal.dir().join("pushes")) else { return Vec::new() };
    let mut ids = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let Ok(name) = entry.file_name().into_string() else { continue };
        // A shared lock: two that only look do not take each other for the run.
        let is_free =
            File::open(entry.path()).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_ok());
        if !is_free || !is_id(&name) {
            continue;
        }
        let modified = entry.metadata().and_then(|known| known.modified()).ok();
        let age = modified.and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age > KEEP) {
            let _ = fs::remove_file(entry.path());
        } else {
            ids.push(name);
        }
    }
    ids.sort_unstable();
    ids.reverse();
    ids.truncate(MOST);
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::new_id;

    #[test]
    fn a_run_has_ended_when_nobody_holds_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(dir.path());
        assert!(ended(&journal).is_empty());
        let ids = ["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z", "2026-01-01T00:00:03Z"]
            .map(|at| new_id(at.parse().unwrap()));
        let runs = ids.each_ref().map(|id| PushRun::begin(&journal, id).unwrap());
        assert!(ended(&journal).is_empty(), "all of them live");
        let [first, second, third] = runs;
        first.left_nothing();
        drop(second);
        assert_eq!(ended(&journal), [ids[1].clone()]);
        drop(third);
        assert_eq!(ended(&journal), [ids[2].clone(), ids[1].clone()]);
        let old = File::options().write(true).open(dir.path().join("pushes").join(&ids[2])).unwrap();
        old.set_modified(SystemTime::now() - KEEP - Duration::from_secs(60)).unwrap();
        assert_eq!(ended(&journal), [ids[1].clone()]);
        assert!(!dir.path().join("pushes").join(&ids[2]).exists());
    }
}
