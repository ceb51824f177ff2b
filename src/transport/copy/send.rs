//! The bytes of one file, on their way through SFTP.

use std::fs;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use futures_lite::future;
use ssh2::{File, OpenFlags, OpenType, Sftp};

use super::{CopyEnd, CopyLimits};
use crate::plan::push::{Content, PushFile};
use crate::transport::session::Session;

/// Bytes on their way at once: what a host costs in memory, and what its line can hold.
const WINDOW: usize = 256 * 1024;

/// Where sending begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum PartStart {
    /// With a part that must not be there yet.
    New,
    /// After the first so many bytes of one that is there.
    There(u64),
}

/// What became of a file's bytes.
pub(super) enum SendResult {
    /// The server took them all.
    Whole,
    /// It would not, in the words of SFTP, which say little.
    Refused(String),
}

impl Session {
    /// Sends what is missing of a file.
    pub(super) async fn send(
        &mut self,
        copy: &PushFile,
        part: &str,
        start: PartStart,
        limits: CopyLimits<'_>,
    ) -> Result<SendResult, CopyEnd> {
        self.with_sftp(limits, async |session, sftp, slot| session.send_on(sftp, copy, part, start, slot, limits).await)
            .await
    }

    async fn send_on(
        &self,
        sftp: &Sftp,
        copy: &PushFile,
        part: &str,
        start: PartStart,
        slot: &mut Option<File>,
        limits: CopyLimits<'_>,
    ) -> Result<SendResult, CopyEnd> {
        let Content::File { size, .. } = copy.content else { return Ok(SendResult::Whole) };
        let (have, flags) = match start {
            // Whoever put something else in this place meanwhile must not have it written to.
            PartStart::New => (0, OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE),
            PartStart::There(have) => (have, OpenFlags::WRITE),
        };
        let mut source = SendBuffer::open(copy, have, size)?;
        let mut keepalives = self.keepalives();
        let opened = self
            .with_keepalives(&mut keepalives, || sftp.open_mode(Path::new(part), flags, 0o600, OpenType::File))
            .await?;
        let file = match opened {
            Ok(file) => slot.insert(file),
            Err(said) => return Ok(SendResult::Refused(said)),
        };
        if have > 0
            && let Err(error) = file.seek(SeekFrom::Start(have))
        {
            return Ok(SendResult::Refused(error.to_string()));
        }
        let mut refused = None;
        while let Some(bytes) = source.window()? {
            match file.write(bytes) {
                Ok(count) => {
                    source.sent(count);
                    limits.progress.add(count);
                    self.socket().used(count);
                    // Fair to the other hosts of the shard.
                    future::yield_now().await;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.wait_readable(&mut keepalives).await.map_err(CopyEnd::Lost)?;
                }
                Err(error) => {
                    refused = Some(error.to_string());
                    break;
                }
            }
        }
        let closed = self.with_keepalives(&mut keepalives, || file.close()).await?;
        *slot = None;
        Ok(match refused.or(closed.err()) {
            Some(said) => SendResult::Refused(said),
            None => SendResult::Whole,
        })
    }
}

/// A local file, and what of it is not acknowledged yet: libssh2 wants those bytes again until it is.
struct SendBuffer<'a> {
    copy: &'a PushFile,
    file: fs::File,
    unread: u64,
    bytes: Vec<u8>,
    start: usize,
}

impl<'a> SendBuffer<'a> {
    fn open(copy: &'a PushFile, have: u64, size: u64) -> Result<Self, CopyEnd> {
        let opened = fs::File::open(&copy.local)
            .and_then(|mut file| file.seek(SeekFrom::Start(have)).map(|_| file))
            .map_err(|error| CopyEnd::Local(format!("`{}`: {error}", copy.local.display())))?;
        Ok(Self { copy, file: opened, unread: size.saturating_sub(have), bytes: Vec::new(), start: 0 })
    }

    /// What may be on its way now; `None` once everything is acknowledged.
    fn window(&mut self) -> Result<Option<&[u8]>, CopyEnd> {
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

    fn fault(&self, said: &str) -> CopyEnd {
        CopyEnd::Local(format!("`{}`: {said}", self.copy.local.display()))
    }
}
