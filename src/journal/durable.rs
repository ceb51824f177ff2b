//! Files that are whole or not there at all, whatever happens to the machine in between.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// What a file must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A killed process.
    Rename,
    /// A power cut, too.
    Fsync,
}

/// Writes a file of ours alone. Readers see what was there before, or all of this.
///
/// # Errors
/// When it could not be written; what was there before is there still.
pub fn write(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    write_with(path, durability, |file| file.write_all(bytes))
}

/// As [`write()`], of what is written as it is made.
///
/// # Errors
/// As there, and when it cannot be made.
pub fn write_with(
    path: &Path,
    durability: Durability,
    make: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let temp = path.with_extension("tmp");
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temp)?;
        make(&mut file)?;
        if durability == Durability::Fsync {
            file.sync_all()?;
        }
        fs::rename(&temp, path)
    })();
    if written.is_err() {
        // Where the disk is full, half a file takes room that the next try needs.
        let _ = fs::remove_file(&temp);
    }
    written?;
    match durability {
        Durability::Rename => Ok(()),
        Durability::Fsync => sync_dir(dir),
    }
}

/// Makes the names in a directory safe.
///
/// # Errors
/// As the system does.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes a directory and those above it, readable by the user alone.
///
/// # Errors
/// As the system does.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
