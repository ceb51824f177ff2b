//! The directory on this machine that files are copied to. Every part of a path is opened by itself and never through a
//! link, so that nothing that a node calls its files leads out of it.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, fchmod, flock, fstat, futimens,
    mkdirat, open, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

/// A directory, and the only gsctl that writes into it.
#[derive(Debug)]
pub(super) struct LocalTree {
    root: OwnedFd,
}

/// What is there under a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LocalEntry {
    Nothing,
    Dir,
    File {
        size: u64,
        mode: u32,
        modified: i64,
    },
    /// A link, or something special.
    Other,
}

/// The beginning of a file, under another name.
#[derive(Debug)]
pub(super) struct PartFile {
    /// Stands after what is there.
    pub(super) file: File,
    /// Bytes that are there already.
    pub(super) have: u64,
}

impl LocalTree {
    /// Makes the directory where it is missing.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let root = open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        match flock(&root, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(io::Error::other("another gsctl is copying into it")),
            // Not every file system has locks.
            _ => Ok(Self { root }),
        }
    }

    /// The directory that a name is in, and its last part.
    fn parent<'n>(&self, name: &'n str) -> io::Result<(OwnedFd, &'n str)> {
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(io::Error::other("its name leads out of the directory"));
        }
        let (dirs, last) = name.rsplit_once('/').map_or((None, name), |(dirs, last)| (Some(dirs), last));
        let mut dir = dir_in(&self.root, ".")?;
        for part in dirs.into_iter().flat_map(|dirs| dirs.split('/')) {
            dir = dir_in(&dir, part)?;
        }
        Ok((dir, last))
    }

    /// What is there under this name.
    pub(super) fn look(&self, name: &str) -> io::Result<LocalEntry> {
        let (dir, last) = self.parent(name)?;
        let stat = match statat(&dir, last, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(LocalEntry::Nothing),
            Err(error) => return Err(error.into()),
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => LocalEntry::Dir,
            FileType::RegularFile => LocalEntry::File {
                size: u64::try_from(stat.st_size).unwrap_or_default(),
                mode: stat.st_mode & 0o7777,
                modified: stat.st_mtime,
            },
            _ => LocalEntry::Other,
        })
    }

    /// Makes a directory, for us alone until it is full. False where it was there.
    pub(super) fn make(&self, name: &str) -> io::Result<bool> {
        let (dir, last) = self.parent(name)?;
        match mkdirat(&dir, last, Mode::RWXU) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => dir_in(&dir, last).map(|_| false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a directory its mode and time; we must be able to come back to it. True where it had another mode.
    pub(super) fn close(&self, name: &str, mode: u32, modified: i64) -> io::Result<bool> {
        let (dir, last) = self.parent(name)?;
        let dir = dir_in(&dir, last)?;
        let mode = mode | 0o700;
        let other = fstat(&dir)?.st_mode & 0o777 != mode;
        if other {
            fchmod(&dir, Mode::from_raw_mode(mode))?;
        }
        futimens(&dir, &times(modified))?;
        Ok(other)
    }

    /// Opens a file to read it.
    pub(super) fn read(&self, name: &str) -> io::Result<File> {
        let (dir, last) = self.parent(name)?;
        file_in(&dir, last, OFlags::RDONLY)
    }

    /// Opens the part of a file, to go on or from the beginning.
    pub(super) fn part(&self, name: &str, go_on: bool, size: u64) -> io::Result<PartFile> {
        let (dir, _) = self.parent(name)?;
        let mut file = file_in(&dir, &part_of(name), OFlags::RDWR | OFlags::CREATE)?;
        let mut have = file.metadata()?.len();
        if !go_on || have > size {
            file.set_len(0)?;
            have = 0;
        }
        file.seek(SeekFrom::Start(have))?;
        Ok(PartFile { file, have })
    }

    /// Gives a whole part its mode, time and name.
    pub(super) fn finish(&self, name: &str, mode: u32, modified: i64) -> io::Result<()> {
        let (dir, last) = self.parent(name)?;
        let part = part_of(name);
        set(&file_in(&dir, &part, OFlags::RDWR)?, mode, modified)?;
        Ok(renameat(&dir, &*part, &dir, last)?)
    }

    /// Gives a file mode and time.
    pub(super) fn label(&self, name: &str, mode: u32, modified: i64) -> io::Result<()> {
        set(&self.read(name)?, mode, modified)
    }

    /// Removes a part.
    pub(super) fn forget(&self, name: &str) {
        if let Ok((dir, _)) = self.parent(name) {
            // It may never have been there.
            let _ = unlinkat(&dir, &*part_of(name), AtFlags::empty());
        }
    }
}

fn set(file: &File, mode: u32, modified: i64) -> io::Result<()> {
    fchmod(file, Mode::from_raw_mode(mode))?;
    Ok(futimens(file, &times(modified))?)
}

fn times(modified: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: modified, tv_nsec: 0 },
    }
}

fn dir_in(dir: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(dir, name, flags, Mode::empty())?)
}

fn file_in(dir: &OwnedFd, name: &str, flags: OFlags) -> io::Result<File> {
    // A pipe in its place must not hold us up.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("Is no regular file")) }
}

/// What a file is called until it is whole: beside its place, and the same for whoever goes on.
fn part_of(name: &str) -> String {
    let mut tag = format!("{:x}", Sha256::digest(name));
    tag.truncate(24);
    format!(".gsctl-{tag}.part")
}

/// The SHA-256 of a whole file, in hexadecimal. Takes its time.
pub(super) fn sum(mut file: File) -> io::Result<String> {
    let mut whole = Sha256::new();
    let mut bytes = vec![0; 128 * 1024];
    file.seek(SeekFrom::Start(0))?;
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(format!("{:x}", whole.finalize())),
            count => whole.update(&bytes[..count]),
        }
    }
}

/// An error of this machine, without its number.
pub(super) fn words(error: &io::Error) -> String {
    crate::text::io_cause(error)
}

/// Whether every other file will meet it too.
pub(super) fn is_final(error: &io::Error) -> bool {
    if error.kind() == io::ErrorKind::StorageFull {
        return true;
    }
    let raw = Errno::from_io_error(error);
    matches!(raw, Some(Errno::NOSPC | Errno::DQUOT | Errno::ROFS | Errno::IO | Errno::MFILE | Errno::NFILE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn nothing_leads_out_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("file"), "untouched").unwrap();
        let tree = LocalTree::open(&root).unwrap();
        std::os::unix::fs::symlink(&outside, root.join("link")).unwrap();
        std::os::unix::fs::symlink(outside.join("file"), root.join("file")).unwrap();
        std::os::unix::fs::symlink(outside.join("new"), root.join(part_of("x"))).unwrap();
        assert!(tree.make("link").is_err() && tree.make("link/d").is_err() && tree.look("link/file").is_err());
        assert!(tree.part("link/f", true, 9).is_err() && tree.part("x", true, 9).is_err());
        for name in ["../outside/new", "..", "/etc/new", "a/../../outside/new", ".", ""] {
            assert!(tree.make(name).is_err() && tree.part(name, true, 9).is_err(), "{name}");
        }
        assert!(tree.read("file").is_err() && tree.label("file", 0o777, 0).is_err());
        assert_eq!(tree.look("file").unwrap(), LocalEntry::Other);
        // A link in the place of a file is replaced, not followed.
        tree.part("file", true, 9).unwrap().file.write_all(b"new").unwrap();
        tree.finish("file", 0o640, 7).unwrap();
        assert_eq!(tree.look("file").unwrap(), LocalEntry::File { size: 3, mode: 0o640, modified: 7 });
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"untouched");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }

    #[test]
    fn a_part_is_gone_on_with_and_one_gsctl_is_alone() {
        let dir = tempfile::tempdir().unwrap();
        let tree = LocalTree::open(dir.path()).unwrap();
        assert!(words(&LocalTree::open(dir.path()).unwrap_err()).contains("another gsctl"));
        tree.part("f", true, 9).unwrap().file.write_all(b"abc").unwrap();
        let mut part = tree.part("f", true, 9).unwrap();
        assert_eq!(part.have, 3);
        part.file.write_all(b"def").unwrap();
        assert_eq!(sum(part.file).unwrap(), format!("{:x}", Sha256::digest("abcdef")));
        assert_eq!(tree.part("f", true, 5).unwrap().have, 0, "longer than the file");
        tree.forget("f");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
