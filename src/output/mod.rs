//! What a command printed: in memory while it is little, and past a limit in a file without a name.
//!
//! A copy of an [`Output`] shares its bytes. They are read back in pieces, so that no view or report needs them all at once.
//! Nothing is lost silently: where the disk is full the output says that it is [cut](Output::cut).

mod spool;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::sync::Arc;

use memchr::{memchr_iter, memrchr_iter};
pub use spool::Spool;

/// Bytes that are read back at once.
const PIECE: usize = 64 * 1024;
/// Bytes of each end that are hashed before whole outputs are compared.
const SAMPLE: usize = 256;
/// Bytes of a finished output that stay in memory where the rest is on the disk, or memory is scarce.
const KEEP_IN_MEMORY: usize = 1024;

/// What a command printed on one stream.
#[derive(Clone, Default)]
pub struct Output(Option<Arc<Kept>>);

/// Bytes on the disk, and those that come after them.
struct Kept {
    spool: Option<Arc<Spool>>,
    extents: Vec<Extent>,
    /// Bytes on the disk.
    spilled: u64,
    rest: Vec<u8>,
    cut: Option<Cut>,
}

/// A part that is on the disk.
struct Extent {
    /// Where it begins in the output.
    start: u64,
    /// Where it lies in the file.
    at: u64,
    len: u64,
}

/// Bytes that could not be kept.
struct Cut {
    lost: u64,
    why: String,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(spool) = &self.spool {
            spool.give_back(self.rest.len());
            self.extents.iter().for_each(|extent| spool.forget(extent.at, extent.len));
        }
    }
}

impl Kept {
    fn new(spool: Option<Arc<Spool>>, rest: Vec<u8>) -> Self {
        Self { spool, extents: Vec::new(), spilled: 0, rest, cut: None }
    }

    fn len(&self) -> u64 {
        self.spilled + self.rest.len() as u64
    }

    /// Takes what is in memory to the disk. Where that fails it stays, and nothing more is taken once that is `most`.
    fn spill(&mut self, most: usize) {
        let Some(spool) = &self.spool else { return };
        let (start, len) = (self.spilled, self.rest.len() as u64);
        match spool.write(&self.rest) {
            Ok(at) => {
                match self.extents.last_mut().filter(|last| last.at + last.len == at) {
                    Some(last) => last.len += len,
                    None => self.extents.push(Extent { start, at, len }),
                }
                self.spilled += len;
                spool.give_back(self.rest.len());
                self.rest.clear();
                // Room that is not held counts as well.
                self.rest.shrink_to(spool.limit());
            }
            Err(_) if self.rest.len() < most => {}
            Err(why) => self.cut = Some(Cut { lost: 0, why }),
        }
    }

    fn read_at(&self, from: u64, into: &mut [u8]) -> io::Result<usize> {
        if let Some(rest) = from.checked_sub(self.spilled) {
            let rest = usize::try_from(rest).ok().and_then(|rest| self.rest.get(rest..)).unwrap_or_default();
            let count = rest.len().min(into.len());
            into[..count].copy_from_slice(&rest[..count]);
            return Ok(count);
        }
        let index = self.extents.partition_point(|extent| extent.start <= from);
        let (Some(spool), Some(extent)) = (&self.spool, index.checked_sub(1).and_then(|index| self.extents.get(index)))
        else {
            return Ok(0);
        };
        let skip = from - extent.start;
        let count = usize::try_from(extent.len - skip).unwrap_or(usize::MAX).min(into.len());
        spool.read(extent.at + skip, &mut into[..count])?;
        Ok(count)
    }
}

/// An output that is still being printed.
pub struct OutputBuilder(Kept);

impl OutputBuilder {
    /// With nothing printed yet.
    #[must_use]
    pub fn new(spool: &Arc<Spool>) -> Self {
        Self(Kept::new(Some(Arc::clone(spool)), Vec::new()))
    }

    /// Takes what was printed next.
    pub fn push(&mut self, bytes: &[u8]) {
        let Self(kept) = self;
        let Some(spool) = &kept.spool else { return };
        if kept.cut.is_none() && kept.rest.len() + bytes.len() > spool.limit() && !kept.rest.is_empty() {
            kept.spill(spool.limit_without_disk().saturating_sub(bytes.len()));
        }
        match (&mut kept.cut, &kept.spool) {
            (Some(cut), _) => cut.lost += bytes.len() as u64,
            (None, Some(spool)) => {
                spool.take(bytes.len());
                kept.rest.extend_from_slice(bytes);
            }
            (None, None) => {}
        }
    }

    /// The last of it, as far as it is in memory.
    #[must_use]
    pub fn recent(&self) -> &[u8] {
        &self.0.rest
    }

    /// The output is complete.
    #[must_use]
    pub fn finish(mut self) -> Output {
        let Self(kept) = &mut self;
        let scarce = kept.spool.as_ref().is_some_and(|spool| spool.is_scarce());
        if kept.cut.is_none() && kept.rest.len() > KEEP_IN_MEMORY && (scarce || kept.spilled > 0) {
            kept.spill(0);
            // Nothing is missing where what could not be written is still there.
            kept.cut = None;
        }
        kept.rest.shrink_to_fit();
        if kept.len() == 0 && kept.cut.is_none() { Output::default() } else { Output(Some(Arc::new(self.0))) }
    }
}

impl Output {
    /// An output out of a report: its bytes, and what [`Output::cut`] said of it. `None` where that is not understood.
    #[must_use]
    pub fn read_back(bytes: Vec<u8>, cut: Option<&str>) -> Option<Self> {
        let Some(said) = cut else { return Some(bytes.into()) };
        let (_, rest) = said.strip_prefix("cut after ")?.split_once(" bytes, ")?;
        let (lost, why) = rest.split_once(" more were lost: ")?;
        let mut kept = Kept::new(None, bytes);
        kept.cut = Some(Cut { lost: lost.parse().ok()?, why: why.to_owned() });
        Some(Self(Some(Arc::new(kept))))
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.as_ref().map_or(0, |kept| kept.len())
    }

    /// True where nothing was printed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it, where it is in memory.
    #[must_use]
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.0 {
            None => Some(&[]),
            Some(kept) => (kept.spilled == 0).then_some(kept.rest.as_slice()),
        }
    }

    /// Why it is not whole, where it is not.
    #[must_use]
    pub fn cut(&self) -> Option<String> {
        let kept = self.0.as_ref()?;
        let Cut { lost, why } = kept.cut.as_ref()?;
        Some(format!("cut after {} bytes, {lost} more were lost: {why}", kept.len()))
    }

    /// Reads it from the beginning.
    #[must_use]
    pub fn reader(&self) -> OutputReader<'_> {
        self.reader_from(0)
    }

    fn reader_from(&self, at: u64) -> OutputReader<'_> {
        OutputReader { kept: self.0.as_deref(), at }
    }

    /// Gives it to `take` piece by piece.
    ///
    /// # Errors
    /// When it cannot be read back, or `take` failed.
    pub fn pieces(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if let Some(bytes) = self.in_memory() {
            return if bytes.is_empty() { Ok(()) } else { take(bytes) };
        }
        let mut reader = self.reader();
        let mut buffer = vec![0; PIECE];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(()),
                count => take(&buffer[..count])?,
            }
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be read back, or not be written.
    pub fn copy_to(&self, writer: &mut (impl Write + ?Sized)) -> io::Result<()> {
        self.pieces(|piece| writer.write_all(piece))
    }

    /// Its first bytes.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub fn first(&self, most: usize) -> io::Result<Cow<'_, [u8]>> {
        self.range(0, most)
    }

    /// Its last bytes.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub fn last(&self, most: usize) -> io::Result<Cow<'_, [u8]>> {
        self.range(self.len().saturating_sub(most as u64), most)
    }

    /// All of it in memory, for what has to be understood as a whole.
    ///
    /// # Errors
    /// When it is longer than `most`, not whole, or cannot be read back.
    pub fn whole(&self, most: usize) -> io::Result<Cow<'_, [u8]>> {
        match self.cut() {
            Some(cut) => Err(io::Error::other(cut)),
            None if self.len() > most as u64 => {
                Err(io::Error::other(format!("{} bytes are more than the {most} that can be understood", self.len())))
            }
            None => self.range(0, most),
        }
    }

    fn range(&self, from: u64, most: usize) -> io::Result<Cow<'_, [u8]>> {
        if let Some(bytes) = self.in_memory() {
            let bytes = usize::try_from(from).ok().and_then(|from| bytes.get(from..)).unwrap_or_default();
            return Ok(Cow::Borrowed(&bytes[..bytes.len().min(most)]));
        }
        let mut bytes = Vec::new();
        self.reader_from(from).take(most as u64).read_to_end(&mut bytes)?;
        Ok(Cow::Owned(bytes))
    }

    /// Lines of it; the last one need not end.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub fn lines(&self) -> io::Result<u64> {
        let (mut lines, mut open) = (0, false);
        self.pieces(|piece| {
            lines += memchr_iter(b'\n', piece).count() as u64;
            open = piece.last() != Some(&b'\n');
            Ok(())
        })?;
        Ok(lines + u64::from(open))
    }

    /// So many lines of its end.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub fn last_lines(&self, count: usize) -> io::Result<Self> {
        let from = self.start_of_last(count)?;
        if from == 0 {
            return Ok(self.clone());
        }
        let mut builder = self.builder();
        let mut reader = self.reader_from(from);
        let mut buffer = vec![0; PIECE];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(builder.finish()),
                count => builder.push(&buffer[..count]),
            }
        }
    }

    /// Where the last so many lines begin.
    fn start_of_last(&self, count: usize) -> io::Result<u64> {
        if count == 0 {
            return Ok(self.len());
        }
        // A newline at the very end ends the last line, and begins none.
        let mut end = self.len();
        if self.last(1)?.first() == Some(&b'\n') {
            end -= 1;
        }
        let mut left = count;
        while end > 0 {
            let from = end.saturating_sub(PIECE as u64);
            let piece = self.range(from, usize::try_from(end - from).unwrap_or(PIECE))?;
            for at in memrchr_iter(b'\n', &piece) {
                left -= 1;
                if left == 0 {
                    return Ok(from + at as u64 + 1);
                }
            }
            end = from;
        }
        Ok(0)
    }

    /// A new output that is kept where this one is.
    #[must_use]
    pub fn builder(&self) -> OutputBuilder {
        let spool = self.0.as_ref().and_then(|kept| kept.spool.clone());
        OutputBuilder::new(&spool.unwrap_or_default())
    }
}

impl From<Vec<u8>> for Output {
    fn from(rest: Vec<u8>) -> Self {
        if rest.is_empty() { Self::default() } else { Self(Some(Arc::new(Kept::new(None, rest)))) }
    }
}

impl From<&[u8]> for Output {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl From<&str> for Output {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl PartialEq for Output {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(two)) if Arc::ptr_eq(one, two) => true,
            _ if self.len() != other.len() || self.cut() != other.cut() => false,
            _ => match (self.in_memory(), other.in_memory()) {
                (Some(one), Some(two)) => one == two,
                // What cannot be read back is like nothing else.
                _ => same(self.reader(), other.reader()).unwrap_or(false),
            },
        }
    }
}

impl Eq for Output {}

impl Hash for Output {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        for end in [self.first(SAMPLE), self.last(SAMPLE)] {
            end.unwrap_or_default().hash(state);
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.first(SAMPLE).unwrap_or_default();
        write!(f, "Output({} bytes: {:?})", self.len(), String::from_utf8_lossy(&text))
    }
}

/// Whether two readers, of as many bytes, read the same.
fn same(mut one: OutputReader<'_>, mut two: OutputReader<'_>) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let count = one.read(&mut left)?;
        if count == 0 {
            return Ok(true);
        }
        two.read_exact(&mut right[..count])?;
        if left[..count] != right[..count] {
            return Ok(false);
        }
    }
}

/// Reads an [`Output`].
pub struct OutputReader<'a> {
    kept: Option<&'a Kept>,
    at: u64,
}

impl Read for OutputReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.kept.map_or(Ok(0), |kept| kept.read_at(self.at, into))?;
        self.at += count as u64;
        Ok(count)
    }
}
