//! The bytes of one file, on their way here through SFTP.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use futures_lite::future;
use ssh2::{File, Sftp};

use super::super::session::Session;
use super::{Bounds, Ending};

/// Bytes read at once; libssh2 asks for four times as many ahead.
const WINDOW: usize = 64 * 1024;

/// What became of a file's bytes.
pub(super) enum Received {
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
        bounds: Bounds<'_>,
    ) -> Result<Received, Ending> {
        if have == size && size > 0 {
            return Ok(Received::Whole);
        }
        let work = async |session: &Self, sftp: &Sftp, slot: &mut Option<File>| -> Result<Received, Ending> {
            session.receive_on(sftp, path, to, have..size, slot, bounds).await
        };
        self.with_sftp(bounds, work).await
    }

    async fn receive_on(
        &self,
        sftp: &Sftp,
        path: &str,
        to: &mut fs::File,
        range: std::ops::Range<u64>,
        slot: &mut Option<File>,
        bounds: Bounds<'_>,
    ) -> Result<Received, Ending> {
        let mut pulse = self.pulse();
        let file = match self.attend(&mut pulse, || sftp.open(Path::new(path))).await? {
            Ok(file) => slot.insert(file),
            Err(said) => return Ok(Received::Refused(said)),
        };
        let mut left = range.end - range.start;
        if range.start > 0
            && let Err(error) = file.seek(SeekFrom::Start(range.start))
        {
            return Ok(Received::Refused(error.to_string()));
        }
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(WINDOW).min(WINDOW)];
        let mut received = Received::Whole;
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(WINDOW).min(bytes.len());
            match file.read(&mut bytes[..room]) {
                Ok(0) => {
                    received = Received::Short;
                    break;
                }
                Ok(count) => {
                    if let Err(error) = to.write_all(&bytes[..count]) {
                        received = Received::Local(error);
                        break;
                    }
                    left = left.saturating_sub(u64::try_from(count).unwrap_or(left));
                    bounds.tally.add(count);
                    self.wire().used(count);
                    // Fair to the other hosts of the shard.
                    future::yield_now().await;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.heard(&mut pulse).await.map_err(Ending::Lost)?;
                }
                Err(_) if self.has_ended() => return Err(Ending::Lost("it broke while a file was read".to_owned())),
                Err(error) => {
                    received = Received::Refused(error.to_string());
                    break;
                }
            }
        }
        // What was read counts, whatever the server says to the end of it.
        let _ = self.attend(&mut pulse, || file.close()).await?;
        *slot = None;
        Ok(received)
    }
}
