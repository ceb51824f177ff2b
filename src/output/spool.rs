//! Where output goes that is too long for memory: one file without a name for the whole run.
//!
//! One file, because a file for each of ten thousand hosts would take the descriptors that connections need. What is not
//! wanted any more is given back to the disk. Writing waits for the disk as long as the kernel does, which is seldom: it
//! goes to the page cache.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::fs::{FallocateFlags, fallocate};

/// Bytes of one stream of one host that are kept in memory.
const MOST_IN_MEMORY: usize = 256 * 1024;
/// The same while all hosts together hold much.
const MOST_WHEN_SCARCE: usize = 16 * 1024;
/// How much is much.
const SCARCE_ABOVE: usize = 16 * 1024 * 1024;

/// The same where nothing can be written.
const MOST_WITHOUT_DISK: usize = 1024 * 1024;
const SCARCE_WITHOUT_DISK: usize = 64 * 1024 * 1024;

/// The file, and how much is held in memory besides.
#[derive(Debug, Default)]
pub struct Spool {
    /// Made when it is needed first. `Err`: why it could not be.
    file: OnceLock<Result<File, String>>,
    end: AtomicU64,
    held: AtomicUsize,
}

impl Spool {
    /// Bytes that one stream of one host may hold in memory now.
    pub(super) fn limit(&self) -> usize {
        self.within(MOST_IN_MEMORY, SCARCE_ABOVE)
    }

    /// The same where nothing can be written: what is not held then is lost.
    pub(super) fn limit_without_disk(&self) -> usize {
        self.within(MOST_WITHOUT_DISK, SCARCE_WITHOUT_DISK)
    }

    fn within(&self, most: usize, scarce_above: usize) -> usize {
        if self.holds_more_than(scarce_above) { MOST_WHEN_SCARCE } else { most }
    }

    /// True while all hosts together hold much.
    pub(super) fn is_scarce(&self) -> bool {
        self.holds_more_than(SCARCE_ABOVE)
    }

    fn holds_more_than(&self, bytes: usize) -> bool {
        self.held.load(Ordering::Relaxed) > bytes
    }

    pub(super) fn take(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Writes bytes, and says where.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<u64, String> {
        let made = self.file.get_or_init(|| tempfile::tempfile().map_err(|error| said(&error)));
        let file = made.as_ref().map_err(Clone::clone)?;
        let at = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        file.write_all_at(bytes, at).map_err(|error| said(&error))?;
        Ok(at)
    }

    /// A disk on which nothing can be written.
    #[cfg(test)]
    pub(super) fn refuse(&self, why: &str) {
        let _ = self.file.set(Err(why.to_owned()));
    }

    /// Reads what was written.
    pub(super) fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        match self.file.get() {
            Some(Ok(file)) => file.read_exact_at(into, at),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Gives what was written back to the disk, where the file system can do that.
    pub(super) fn forget(&self, at: u64, len: u64) {
        if let Some(Ok(file)) = self.file.get() {
            let _ = fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, len);
        }
    }
}

fn said(error: &io::Error) -> String {
    format!("temporary file in {}: {error}", tempfile::env::temp_dir().display())
}
