//! A file on this machine that is received: what is empty stays a hole, and the disk is never filled to its last byte.

use std::fs::File;
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};

use rustix::fs::fstatvfs;

/// Of a disk this part is left to others, ...
const RESERVED_PART: u64 = 20;
/// ... and at most so much.
const MOST_RESERVED: u64 = 256 << 20;
/// Hosts that may be written from at once between two looks at the disk.
const WRITERS: u64 = 256;
/// Bytes between two looks, at least and at most.
const LOOKS: (u64, u64) = (64 << 10, 16 << 20);

/// Writes one file.
pub(super) struct DiskWriter<'a> {
    file: &'a mut File,
    /// Where the next byte belongs.
    at: u64,
    /// What comes before is a hole so far.
    in_hole: bool,
    /// Bytes that may be written before the disk is looked at again.
    unlooked: u64,
}

impl<'a> DiskWriter<'a> {
    /// Goes on after the first `at` bytes, at which the file stands.
    pub(super) fn new(file: &'a mut File, at: u64) -> Self {
        Self { file, at, in_hole: false, unlooked: 0 }
    }

    /// Writes what comes next.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let count = bytes.len() as u64;
        // Where the node's file has a hole, or might as well have one.
        if bytes.iter().all(|&byte| byte == 0) {
            self.in_hole = true;
            self.at += count;
            return Ok(());
        }
        if self.unlooked < count {
            self.unlooked = room(self.file, count)?;
        }
        if self.in_hole {
            self.file.seek(SeekFrom::Start(self.at))?;
            self.in_hole = false;
        }
        self.file.write_all(bytes)?;
        self.at += count;
        self.unlooked -= count;
        Ok(())
    }

    /// All has come: gives the file its length. Returns that.
    pub(super) fn finish(self) -> io::Result<u64> {
        if self.in_hole {
            self.file.set_len(self.at)?;
        }
        Ok(self.at)
    }
}

/// Bytes that may be written to the disk of this file before it is looked at again, `count` at least.
///
/// # Errors
/// When there would be only the reserve left.
fn room(file: &File, count: u64) -> io::Result<u64> {
    // Not every file system says.
    let Ok(known) = fstatvfs(file) else { return Ok(LOOKS.1.max(count)) };
    let (size, free) = (known.f_blocks.saturating_mul(known.f_frsize), known.f_bavail.saturating_mul(known.f_frsize));
    if size == 0 {
        return Ok(LOOKS.1.max(count));
    }
    let reserve = (size / RESERVED_PART).min(MOST_RESERVED);
    let room = free.saturating_sub(reserve);
    if room < count {
        return Err(io::Error::new(
            ErrorKind::StorageFull,
            format!("stopped before the disk was full: {free} bytes are free, and gsctl leaves {reserve} to others"),
        ));
    }
    Ok((room / WRITERS).clamp(LOOKS.0, LOOKS.1).min(room).max(count))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn holes_stay_holes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(b"head").unwrap();
        let mut writer = DiskWriter::new(&mut file, 4);
        let hole = vec![0; 1 << 20];
        let mut want = b"head".to_vec();
        for bytes in [&b"one"[..], &hole, &hole, b"\0two\0", &hole] {
            writer.write(bytes).unwrap();
            want.extend_from_slice(bytes);
        }
        assert_eq!(writer.finish().unwrap(), want.len() as u64);
        assert!(fs::read(&path).unwrap() == want);
        assert!(fs::metadata(&path).unwrap().blocks() * 512 < 1 << 20, "it is not sparse");
    }
}
