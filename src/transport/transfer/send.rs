//! The bytes of one file, on their way through SFTP.

use std::fs;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use futures_lite::future;
use ssh2::{File, OpenFlags, OpenType, Sftp};

use super::super::session::Session;
use super::{Bounds, Ending};
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
        self.with_sftp(bounds, async |session, sftp, slot| session.send_on(sftp, copy, part, have, slot, bounds).await)
            .await
    }

    async fn send_on(
        &self,
        sftp: &Sftp,
        copy: &Copy,
        part: &str,
        have: u64,
        slot: &mut Option<File>,
        bounds: Bounds<'_>,
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
                    bounds.tally.add(count);
                    self.wire().used(count);
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
