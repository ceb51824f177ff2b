//! Where the control sockets of the system's `ssh` lie, and those of its processes that have been told to end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::transport::child::Child;

/// Time for all that have been told to end, at the end of the run.
const GRACE: Duration = Duration::from_secs(2);
/// Time between two looks at them.
const LOOK: Duration = Duration::from_millis(2);
/// Longest folder for sockets: a socket's path has 108 bytes, of which `ssh` wants some for a name of its own.
const LONGEST: usize = 60;

/// One for a run; made once somebody needs it.
#[derive(Debug, Default)]
pub(crate) struct ControlDir(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Only its owner may enter.
    folder: Option<TempDir>,
    count: u64,
    retired: Vec<Child>,
}

impl ControlDir {
    /// A place for one more socket.
    pub(super) fn socket(&self) -> io::Result<PathBuf> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.count += 1;
        let name = inner.count.to_string();
        if let Some(folder) = &inner.folder {
            return Ok(folder.path().join(name));
        }
        let usual = tempfile::env::temp_dir();
        let place = if usual.as_os_str().len() <= LONGEST { usual.as_path() } else { Path::new("/tmp") };
        // Mode 700.
        let folder = tempfile::Builder::new().prefix("gsctl-").tempdir_in(place)?;
        let path = folder.path().join(name);
        inner.folder = Some(folder);
        Ok(path)
    }

    /// Tells a process to end; nobody waits for that before the end of the run.
    pub(super) fn reap(&self, mut child: Child, signal: Signal) {
        child.signal(signal);
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.retired.retain_mut(|child| !child.has_ended());
        inner.retired.push(child);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let end = Instant::now() + GRACE;
        for child in &mut self.retired {
            while !child.has_ended() && Instant::now() < end {
                std::thread::sleep(LOOK);
            }
        }
    }
}
