//! The bytes of one file, on their way here: through SFTP, or printed by a command that sudo runs.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use futures_lite::future;
use ssh2::{File, Sftp};

use super::disk::DiskWriter;
use super::{CopyEnd, CopyLimits};
use crate::plan::script::pull as node;
use crate::transport::exec::command::CommandEnd;
use crate::transport::session::Session;

/// Bytes read at once; libssh2 asks for four times as many ahead.
const WINDOW: usize = 64 * 1024;
/// Blocks that one command prints.
const BLOCKS: u64 = 128;
/// Bytes of a file without a size that one command prints.
const MOST_UNSIZED: u64 = 64 << 20;
/// Bytes of what a command says in which its reason is looked for.
const LAST_WORDS: usize = 4096;

/// What became of a file's bytes.
pub(super) enum ReceiveResult {
    /// All of them are there: so many.
    Whole(u64),
    /// The file ended before it should have.
    Short,
    /// The server would not, in the words of SFTP.
    Refused(String),
    /// This machine would not.
    Local(io::Error),
}

impl Session {
    /// Receives what is missing of a file after its first `have` bytes, up to `size`, or to its end where that says nothing.
    pub(super) async fn receive(
        &mut self,
        path: &str,
        to: &mut fs::File,
        have: u64,
        size: Option<u64>,
        limits: CopyLimits<'_>,
    ) -> Result<ReceiveResult, CopyEnd> {
        if let Some(size) = size
            && have == size
            && size > 0
        {
            return Ok(ReceiveResult::Whole(size));
        }
        let mut to = DiskWriter::new(to, have);
        let received = if limits.sudo.is_some() {
            self.receive_printed(path, &mut to, have, size, limits).await?
        } else {
            let work = async |session: &Self, sftp: &Sftp, slot: &mut Option<File>| {
                session.receive_on(sftp, path, &mut to, (have, size), slot, limits).await
            };
            self.with_sftp(limits, work).await?
        };
        Ok(match received {
            None => match to.finish() {
                Ok(count) => ReceiveResult::Whole(count),
                Err(error) => ReceiveResult::Local(error),
            },
            Some(other) => other,
        })
    }

    /// `None`: all has come.
    async fn receive_on(
        &self,
        sftp: &Sftp,
        path: &str,
        to: &mut DiskWriter<'_>,
        (have, size): (u64, Option<u64>),
        slot: &mut Option<File>,
        limits: CopyLimits<'_>,
    ) -> Result<Option<ReceiveResult>, CopyEnd> {
        let mut keepalives = self.keepalives();
        let file = match self.with_keepalives(&mut keepalives, || sftp.open(Path::new(path))).await? {
            Ok(file) => slot.insert(file),
            Err(said) => return Ok(Some(ReceiveResult::Refused(said))),
        };
        let mut left = size.map_or(u64::MAX, |size| size - have);
        if have > 0
            && let Err(error) = file.seek(SeekFrom::Start(have))
        {
            return Ok(Some(ReceiveResult::Refused(error.to_string())));
        }
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(WINDOW).min(WINDOW)];
        let mut received = None;
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(WINDOW).min(bytes.len());
            match file.read(&mut bytes[..room]) {
                Ok(0) => {
                    received = size.map(|_| ReceiveResult::Short);
                    break;
                }
                Ok(count) => {
                    if let Err(error) = to.write(&bytes[..count]) {
                        received = Some(ReceiveResult::Local(error));
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
                    received = Some(ReceiveResult::Refused(error.to_string()));
                    break;
                }
            }
        }
        // What was read counts, whatever the server says to the end of it.
        let _ = self.with_keepalives(&mut keepalives, || file.close()).await?;
        *slot = None;
        Ok(received)
    }

    /// The same as another user, whose files SFTP cannot read: a command prints them, some blocks at a time.
    async fn receive_printed(
        &mut self,
        path: &str,
        to: &mut DiskWriter<'_>,
        have: u64,
        size: Option<u64>,
        limits: CopyLimits<'_>,
    ) -> Result<Option<ReceiveResult>, CopyEnd> {
        let mut at = have;
        loop {
            let (script, mut skip, mut room) = match size {
                Some(size) if at >= size => return Ok(None),
                Some(size) => {
                    let (first, skip) = (at / node::BLOCK, at % node::BLOCK);
                    (node::blocks(path, first, BLOCKS), skip, (size - at).min(BLOCKS * node::BLOCK - skip))
                }
                None => (node::all(path, MOST_UNSIZED), 0, MOST_UNSIZED),
            };
            let wanted = room;
            let ran = self.run_script(script, limits).await;
            match &ran.end {
                CommandEnd::Exit(0) => {}
                CommandEnd::Exit(_) => {
                    let said = ran.stderr.last(LAST_WORDS).unwrap_or_default();
                    let said = String::from_utf8_lossy(&said);
                    let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("the node did not say why");
                    let said = said.rsplit(": ").next().unwrap_or(said);
                    return Ok(Some(ReceiveResult::Refused(said.to_owned())));
                }
                _ => return Err(CopyEnd::Script(Box::new(ran))),
            }
            let mut failed = None;
            let read = ran.stdout.pieces(|piece| {
                let dropped = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
                skip -= dropped as u64;
                let piece = &piece[dropped..];
                // It may have grown.
                let piece = &piece[..usize::try_from(room).unwrap_or(usize::MAX).min(piece.len())];
                room -= piece.len() as u64;
                limits.progress.add(piece.len());
                if failed.is_none() {
                    failed = to.write(piece).err();
                }
                Ok(())
            });
            if let Some(error) = failed.or(read.err()) {
                return Ok(Some(ReceiveResult::Local(error)));
            }
            if let Some(cut) = ran.stdout.cut() {
                return Ok(Some(ReceiveResult::Local(io::Error::other(cut))));
            }
            match size {
                Some(_) if room > 0 => return Ok(Some(ReceiveResult::Short)),
                Some(_) => at += wanted,
                None if room == 0 => {
                    let said = format!("it has no end within {} MB", MOST_UNSIZED >> 20);
                    return Ok(Some(ReceiveResult::Refused(said)));
                }
                None => return Ok(None),
            }
        }
    }
}
