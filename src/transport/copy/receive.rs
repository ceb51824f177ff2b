//! The bytes of one file, on their way here through SFTP.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use futures_lite::future;
use ssh2::{File, Sftp};

use super::{CopyEnd, CopyLimits};
use crate::transport::session::Session;

/// Bytes read at once; libssh2 asks for four times as many ahead.
const WINDOW: usize = 64 * 1024;

/// What became of a file's bytes.
pub(super) enum ReceiveResult {
    /// All of them are there.
    Whole,
    /// The file ended before it should have.
    Short,
    /// The server would not, in the words of SFTP.
    Refused(String),
    /// This machine would not.
    Local(io::Error),
}

impl Session {
    /// Receives what is missing of a file after its first `have` bytes.
    pub(super) async fn receive(
        &mut self,
        path: &str,
        to: &mut fs::File,
        have: u64,
        size: u64,
        limits: CopyLimits<'_>,
    ) -> Result<ReceiveResult, CopyEnd> {
        if have == size && size > 0 {
            return Ok(ReceiveResult::Whole);
        }
        let work = async |session: &Self, sftp: &Sftp, slot: &mut Option<File>| -> Result<ReceiveResult, CopyEnd> {
            session.receive_on(sftp, path, to, have..size, slot, limits).await
        };
        self.with_sftp(limits, work).await
    }

    async fn receive_on(
        &self,
        sftp: &Sftp,
        path: &str,
        to: &mut fs::File,
        range: std::ops::Range<u64>,
        slot: &mut Option<File>,
        limits: CopyLimits<'_>,
    ) -> Result<ReceiveResult, CopyEnd> {
        let mut keepalives = self.keepalives();
        let file = match self.with_keepalives(&mut keepalives, || sftp.open(Path::new(path))).await? {
            Ok(file) => slot.insert(file),
            Err(said) => return Ok(ReceiveResult::Refused(said)),
        };
        let mut left = range.end - range.start;
        if range.start > 0
            && let Err(error) = file.seek(SeekFrom::Start(range.start))
        {
            return Ok(ReceiveResult::Refused(error.to_string()));
        }
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(WINDOW).min(WINDOW)];
        let mut received = ReceiveResult::Whole;
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(WINDOW).min(bytes.len());
            match file.read(&mut bytes[..room]) {
                Ok(0) => {
                    received = ReceiveResult::Short;
                    break;
                }
                Ok(count) => {
                    if let Err(error) = to.write_all(&bytes[..count]) {
                        received = ReceiveResult::Local(error);
                        break;
                    }
                    left = left.saturating_sub(u64::try_from(count).unwrap_or(left));
                    limits.progress.add(count);
                    self.socket().used(count);
                    // Fair to the other hosts of the shard.
                    future::yield_now().await;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.wait_readable(&mut keepalives).await.map_err(CopyEnd::Lost)?;
                }
                Err(_) if self.has_ended() => return Err(CopyEnd::Lost("it broke while a file was read".to_owned())),
                Err(error) => {
                    received = ReceiveResult::Refused(error.to_string());
                    break;
                }
            }
        }
        // What was read counts, whatever the server says to the end of it.
        let _ = self.with_keepalives(&mut keepalives, || file.close()).await?;
        *slot = None;
        Ok(received)
    }
}
