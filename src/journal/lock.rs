//! One run at a time on a node: locks that the kernel holds, so that a killed run leaves none behind.
//!
//! Each run that changes something has one file, locked for as long as its process lives, that names its nodes: by address
//! and port before any is contacted, and by what a node says it is ([`Lock::add`]) before it is changed. A later run looks
//! through the locked files for a node of its own. A mutex file, held for that moment only, keeps two from looking at once.
//! One open file a run, however many nodes it has.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::{Journal, durable};

/// Time to wait for others that look just now.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// A lock on the nodes of a run. Dropped, or with its process gone, it is free.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
    holder: Holder,
}

/// Who holds a lock, and on what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run.
    pub run: String,
    /// `opengauss/start`, ...
    pub command: String,
    /// Its process.
    pub pid: u32,
    /// Who runs it.
    pub user: String,
    /// When it began.
    pub started: String,
    /// `address:port` of every host.
    pub places: Vec<String>,
    /// What nodes have said that they are, and what the run calls them.
    #[serde(default)]
    pub nodes: BTreeMap<String, String>,
}

/// A node that another run is at work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busy {
    /// The node, as it was asked for.
    pub node: String,
    /// What the other run calls it.
    pub name: String,
    /// The other run.
    pub holder: Holder,
}

/// Why there is no lock.
#[derive(Debug)]
pub enum LockError {
    /// Another run is at work on one of the hosts.
    Held(Box<Holder>),
    /// The lock files cannot be used.
    Broken(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Takes the lock, or says who has it.
///
/// # Errors
/// When another run is at work on one of the hosts, or lock files cannot be used.
pub fn take(journal: &Journal, holder: &Holder) -> Result<Lock, LockError> {
    let dir = journal.locks();
    durable::make_dir(&dir)?;
    let _turn = take_turn(&dir)?;
    let ours: HashSet<&str> = holder.places.iter().map(String::as_str).collect();
    let path = dir.join(format!("{}.lock", holder.run));
    for other in others(&dir, &path)? {
        if other.places.iter().any(|place| ours.contains(place.as_str())) {
            return Err(LockError::Held(Box::new(other)));
        }
    }
    let file = open(path.clone())?;
    if !try_lock(&file)? {
        return Err(LockError::Held(Box::new(holder.clone())));
    }
    let mut lock = Lock { path, file, holder: holder.clone() };
    lock.write()?;
    Ok(lock)
}

impl Lock {
    /// Takes nodes as well, by what they say they are and what the run calls them: all of them, or none. Two that are the same
    /// are one. Gives those that another run has.
    ///
    /// # Errors
    /// When lock files cannot be used.
    pub fn add(&mut self, nodes: &[(String, String)]) -> io::Result<Vec<Busy>> {
        let dir = self.path.parent().unwrap_or(Path::new(".")).to_owned();
        let _turn = take_turn(&dir)?;
        let mut busy = Vec::new();
        for holder in others(&dir, &self.path)? {
            let theirs = nodes.iter().filter_map(|(node, _)| Some((node, holder.nodes.get(node)?)));
            busy.extend(theirs.map(|(node, name)| Busy {
                node: node.clone(),
                name: name.clone(),
                holder: Holder { places: Vec::new(), nodes: BTreeMap::new(), ..holder.clone() },
            }));
        }
        if busy.is_empty() {
            self.holder.nodes.extend(nodes.iter().cloned());
            self.write()?;
        }
        Ok(busy)
    }

    fn write(&mut self) -> io::Result<()> {
        let mut text = serde_json::to_vec(&self.holder).map_err(io::Error::from)?;
        text.push(b'\n');
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(&text)
    }
}

/// Waits until nobody else looks at the locks. What it gives back keeps others waiting.
fn take_turn(dir: &Path) -> io::Result<File> {
    let turn = open(dir.join("gate"))?;
    let since = Instant::now();
    while !try_lock(&turn)? {
        if since.elapsed() > TURN_WAIT {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "another gsctl keeps the lock directory busy"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(turn)
}

/// The runs that go on, but for the one whose file is `own`. Files that runs have left behind are removed.
fn others(dir: &Path, own: &Path) -> io::Result<Vec<Holder>> {
    let mut others = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path == own || path.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let file = match open(path.clone()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let is_free = try_lock(&file)? || {
            // Another run may just have tested whether it is held.
            std::thread::sleep(Duration::from_millis(20));
            try_lock(&file)?
        };
        if is_free {
            // Its run is gone.
            let _ = fs::remove_file(&path);
            continue;
        }
        others.push(serde_json::from_slice(&fs::read(&path)?).map_err(io::Error::from)?);
    }
    Ok(others)
}

/// Whether a run's lock is held: it goes on.
#[must_use]
pub fn is_held(journal: &Journal, run: &str) -> bool {
    // A shared lock: two that only look do not take each other for the run.
    let Ok(file) = File::open(journal.locks().join(format!("{run}.lock"))) else { return false };
    matches!(flock(&file, FlockOperation::NonBlockingLockShared), Err(rustix::io::Errno::WOULDBLOCK))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is held, so that no other run finds it free and half gone.
        let _ = fs::remove_file(&self.path);
    }
}

fn open(path: PathBuf) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
