//! The bytes of one file, on their way through SFTP.

use std::fs;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use futures_lite::future;
use ssh2::{ErrorCode, File, OpenFlags, OpenType, Sftp};

use super::super::classify;
use super::super::session::{EAGAIN, Pulse, Session};
use super::Ending;
use super::push::Bounds;
use crate::control::{Deadline, Raced, race};
use crate::plan::push::{Content, Copy};

/// Bytes on their way at once: what a host costs in memory, and what its line can hold.
const WINDOW: usize = 256 * 1024;

/// What became of a file's bytes.
pub(super) enum Sent {
    /// The server took them all.
    Whole,
    /// It would not, in the words of SFTP, which say little.
    Refused(String),
}

impl Session {
    /// Sends what is missing of a file after its first `have` bytes.
    pub(super) async fn send(
        &mut self,
        copy: &Copy,
        part: &str,
        have: u64,
        bounds: Bounds<'_>,
    ) -> Result<Sent, Ending> {
        let sftp = match self.sftp.take() {
            Some(sftp) => sftp,
            None => self.open_sftp(bounds).await?,
        };
        let mut slot = None;
        let sending = self.send_on(&sftp, copy, part, have, &mut slot);
        let raced = race(sending, bounds.deadline, bounds.cancel).await;
        // Dropping either would wait for the server.
        self.open_files.extend(slot);
        self.sftp = Some(sftp);
        match raced {
            Raced::Done(sent) => sent,
            Raced::Late => Err(Ending::Late),
            Raced::Cancelled => Err(Ending::Cancelled),
        }
    }

    async fn open_sftp(&mut self, bounds: Bounds<'_>) -> Result<Sftp, Ending> {
        let limit = [bounds.deadline.left(), Some(self.patience())].into_iter().flatten().min();
        let opening = self.drive(ssh2::Session::sftp);
        match race(opening, Deadline::after(limit), bounds.cancel).await {
            Raced::Done(Ok(sftp)) => Ok(sftp),
            // Where its program ended at once, libssh2 takes that for the end of the connection.
            Raced::Done(Err(error)) if classify::is_lost(&error) && self.has_ended() => {
                Err(Ending::Lost(classify::lower(error.message())))
            }
            Raced::Done(Err(error)) => Err(Ending::NoSftp(classify::lower(error.message()))),
            Raced::Late if bounds.deadline.left().is_some_and(|left| left.is_zero()) => Err(Ending::Late),
            Raced::Late => Err(Ending::NoSftp("it did not answer".to_owned())),
            Raced::Cancelled => Err(Ending::Cancelled),
        }
    }

    async fn send_on(
        &self,
        sftp: &Sftp,
        copy: &Copy,
        part: &str,
        have: u64,
        slot: &mut Option<File>,
    ) -> Result<Sent, Ending> {
        let Content::File { size, .. } = copy.content else { return Ok(Sent::Whole) };
        let mut source = Source::open(copy, have, size)?;
        // Whoever put something else in this place meanwhile must not have it written to.
        let flags =
            OpenFlags::WRITE | if have == 0 { OpenFlags::CREATE | OpenFlags::EXCLUSIVE } else { OpenFlags::empty() };
        let mut pulse = self.pulse();
        let opened = self.attend(&mut pulse, || sftp.open_mode(Path::new(part), flags, 0o600, OpenType::File)).await?;
        let file = match opened {
            Ok(file) => slot.insert(file),
            Err(said) => return Ok(Sent::Refused(said)),
        };
        if have > 0
            && let Err(error) = file.seek(SeekFrom::Start(have))
        {
            return Ok(Sent::Refused(error.to_string()));
        }
        let mut refused = None;
        while let Some(bytes) = source.window()? {
            match file.write(bytes) {
                Ok(count) => {
                    source.sent(count);
                    // Fair to the other hosts of the shard.
                    future::yield_now().await;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.heard(&mut pulse).await.map_err(Ending::Lost)?;
                }
                Err(error) => {
                    refused = Some(error.to_string());
                    break;
                }
            }
        }
        let closed = self.attend(&mut pulse, || file.close()).await?;
        *slot = None;
        Ok(match refused.or(closed.err()) {
            Some(said) => Sent::Refused(said),
            None => Sent::Whole,
        })
    }

    /// Makes one call until it is done, with keepalives meanwhile. The inner error is the server's answer.
    async fn attend<T>(
        &self,
        pulse: &mut Pulse,
        mut call: impl FnMut() -> Result<T, ssh2::Error>,
    ) -> Result<Result<T, String>, Ending> {
        loop {
            match call() {
                Ok(done) => return Ok(Ok(done)),
                Err(error) if error.code() == ErrorCode::Session(EAGAIN) => {
                    self.heard(pulse).await.map_err(Ending::Lost)?;
                }
                Err(error) if classify::is_lost(&error) => {
                    return Err(Ending::Lost(classify::lower(error.message())));
                }
                Err(error) => return Ok(Err(classify::lower(error.message()))),
            }
        }
    }
}

/// A local file, and what of it is not acknowledged yet: libssh2 wants those bytes again until it is.
struct Source<'a> {
    copy: &'a Copy,
    file: fs::File,
    unread: u64,
    bytes: Vec<u8>,
    start: usize,
}

impl<'a> Source<'a> {
    fn open(copy: &'a Copy, have: u64, size: u64) -> Result<Self, Ending> {
        let opened = fs::File::open(&copy.local)
            .and_then(|mut file| file.seek(SeekFrom::Start(have)).map(|_| file))
            .map_err(|error| Ending::Local(format!("`{}`: {error}", copy.local.display())))?;
        Ok(Self { copy, file: opened, unread: size.saturating_sub(have), bytes: Vec::new(), start: 0 })
    }

    /// What may be on its way now; `None` once everything is acknowledged.
    fn window(&mut self) -> Result<Option<&[u8]>, Ending> {
        if self.unread > 0 && self.bytes.len() - self.start <= WINDOW / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
            let room = u64::try_from(WINDOW - self.bytes.len()).unwrap_or(0).min(self.unread);
            let read = (&mut self.file).take(room).read_to_end(&mut self.bytes);
            match read {
                Ok(count) if count > 0 => self.unread -= u64::try_from(count).unwrap_or(room),
                Ok(_) => return Err(self.fault("it became shorter while it was sent")),
                Err(error) => return Err(self.fault(&error.to_string())),
            }
        }
        Ok((self.start < self.bytes.len()).then(|| &self.bytes[self.start..]))
    }

    fn sent(&mut self, count: usize) {
        self.start += count;
    }

    fn fault(&self, said: &str) -> Ending {
        Ending::Local(format!("`{}`: {said}", self.copy.local.display()))
    }
}
