//! Records the key of a host that is in no known hosts file.
//!
//! It only ever adds one line at the end: rewriting the file would lose the comments in it, and whatever another
//! program is adding at this moment.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::index::{Index, identity, named};

/// How long another program may hold the file.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Opens the file for adding to it, alone, and makes it and its folder where they are missing.
pub(super) fn open_locked(path: &Path) -> io::Result<File> {
    loop {
        let file = open(path).map_err(|error| named(path, &error))?;
        wait_for_lock(&file).map_err(|error| named(path, &error))?;
        // `ssh-keygen -R` may have put a new file in its place while we waited; a line in the old one would be lost.
        if fs::metadata(path).is_ok_and(|now| file.metadata().is_ok_and(|ours| identity(&now) == identity(&ours))) {
            return Ok(file);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            options.open(path)
        }
        other => other,
    }
}

fn wait_for_lock(file: &File) -> io::Result<()> {
    let since = Instant::now();
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            // Some network file systems have no locks. One write with O_APPEND is the best there is on them.
            Ok(()) | Err(Errno::NOTSUP | Errno::NOLCK | Errno::NOSYS | Errno::INVAL) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::INTR) if since.elapsed() < LOCK_PATIENCE => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(Errno::WOULDBLOCK) => {
                let message = format!("another program has kept it locked for {} s", LOCK_PATIENCE.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Takes in what others wrote to a source since it was read. False when the file is another one or shorter than it
/// was: only reading everything again is right then.
pub(super) fn catch_up(index: &mut Index, source: usize, file: &mut File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(true);
    }
    let known = &index.sources[source];
    let same = known.identity.is_none_or(|was| was == identity(&metadata));
    if !same || metadata.len() < known.len || (metadata.len() > known.len && !known.ends_clean) {
        return Ok(false);
    }
    if metadata.len() > known.len || known.identity.is_none() {
        file.seek(SeekFrom::Start(known.len))?;
        index.read_on(source, file)?;
    }
    Ok(true)
}

/// Adds one line, in one write, on a line of its own. Returns what was written.
pub(super) fn append(file: &mut File, line: &str) -> io::Result<String> {
    let metadata = file.metadata()?;
    let mut last = [b'\n'];
    if metadata.is_file() && metadata.len() > 0 {
        file.read_exact_at(&mut last, metadata.len() - 1)?;
    }
    let newline = if last == [b'\n'] { "" } else { "\n" };
    let text = format!("{newline}{line}\n");
    let written = file.write(text.as_bytes())?;
    if written == text.len() {
        return Ok(text);
    }
    // A full disk. Half a line is worse than none: take it back while the file is locked.
    file.set_len(metadata.len())?;
    Err(io::Error::new(io::ErrorKind::StorageFull, "no room for another line"))
}

/// Reads everything again, for a file that was replaced.
pub(super) fn read_again(index: &Index) -> io::Result<Index> {
    let paths: Vec<_> = index.sources.iter().map(|source| source.path.clone()).collect();
    Index::read(&paths)
}

/// Random bytes for hashing a name.
pub(super) fn salt() -> io::Result<[u8; 20]> {
    let mut salt = [0; 20];
    File::open("/dev/urandom")?.read_exact(&mut salt)?;
    Ok(salt)
}
