//! Standard output and standard error, whose reader may stop reading: a pager, a paused terminal.
//!
//! A run that goes on waits for its reader, however long. One that was cut short gives a reader up that has taken nothing
//! for a while, so that Ctrl-C and `--deadline` hold whoever reads. Descriptors are shared with other programs, so they
//! are never made non-blocking: each write is small enough for the room that `poll` promises.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};

use crate::reporter::Hurry;

/// Bytes that a pipe takes at once where it takes any (`PIPE_BUF`).
const PORTION: usize = 4096;
/// Time that a reader has to take something, once the run was cut short.
const GRACE: Duration = Duration::from_secs(1);
/// Time between two looks whether the run was cut short.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Bytes that wait on standard input, where that is a pipe.
pub(super) fn waiting_in_pipe() -> Option<u64> {
    let input = io::stdin();
    let is_pipe = fstat(input.as_fd()).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
    rustix::io::ioctl_fionread(input.as_fd()).ok().filter(|bytes| is_pipe && *bytes > 0)
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A writer to one of them.
pub(super) struct StandardStream {
    which: Which,
    hurry: Hurry,
    /// Something that can be waited for: no file, which always takes everything.
    waits: bool,
    /// Its reader was given up.
    given_up: bool,
}

impl StandardStream {
    pub(super) fn new(which: Which, hurry: Hurry) -> Self {
        let mut stream = Self { which, hurry, waits: false, given_up: false };
        stream.waits = stream
            .with(|fd| fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile));
        stream
    }

    fn with<T>(&self, work: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        match self.which {
            Which::Out => work(io::stdout().as_fd()),
            Which::Err => work(io::stderr().as_fd()),
        }
    }

    /// Waits for room. False where the reader is given up.
    fn has_room(&self) -> bool {
        let mut since = None;
        loop {
            let ready = self.with(|fd| poll(&mut [PollFd::new(&fd, PollFlags::OUT)], Some(&LOOK)));
            match ready {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                // Errors, too, are for the write to tell.
                Ok(_) | Err(_) => return true,
            }
            if self.hurry.has_begun() && since.get_or_insert_with(Instant::now).elapsed() >= GRACE {
                return false;
            }
        }
    }
}

impl Write for StandardStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.given_up {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let portion = if self.waits { &bytes[..bytes.len().min(PORTION)] } else { bytes };
        if self.waits && !self.has_room() {
            self.given_up = true;
            if self.which == Which::Out {
                // What is missing there must not look like all there was.
                let said = b"warning: nobody reads standard output any more: the rest of it was dropped\n";
                let _ = Self::new(Which::Err, self.hurry.clone()).write_all(said);
            }
            return Err(ErrorKind::BrokenPipe.into());
        }
        match self.with(|fd| rustix::io::write(fd, portion)) {
            // Somebody else made it non-blocking, and took the room.
            Err(rustix::io::Errno::AGAIN) => Err(ErrorKind::Interrupted.into()),
            written => Ok(written.inspect(|_| self.hurry.wrote())?),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
