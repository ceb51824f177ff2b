//! Cuts a stream of bytes into lines, in bounded memory.
//!
//! A line of up to 1 MiB stays whole; a longer one comes in pieces that say so. It must not look into the bytes.

use memchr::memchr;

/// Longest line that is kept whole.
pub(crate) const LONGEST: usize = 1024 * 1024;
/// Longest piece of a line while all hosts together hold back too much.
pub(crate) const SCARCE: usize = 64 * 1024;

/// A line, or a piece of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinePiece {
    /// Its bytes, without the newline.
    pub(crate) bytes: Vec<u8>,
    /// True when the piece before was the start of the same line.
    pub(crate) continues: bool,
}

/// Bytes of a line that has not ended yet.
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    held: Vec<u8>,
    continues: bool,
}

impl LineBuffer {
    /// Takes bytes, and gives the lines that are complete with them, and pieces of a line that is longer than `limit`: bytes without
    /// the newline, and whether the piece before was the start of the same line.
    pub(crate) fn push(&mut self, bytes: &[u8], limit: usize, mut give: impl FnMut(&[u8], bool)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest);
            let (mut part, next) = end.map_or((rest, &[][..]), |end| (&rest[..end], &rest[end + 1..]));
            rest = next;
            if end.is_some() && self.held.is_empty() && part.len() <= limit {
                give(part, std::mem::take(&mut self.continues));
                continue;
            }
            while self.held.len() + part.len() > limit {
                let (now, later) = part.split_at(limit.saturating_sub(self.held.len()).min(part.len()));
                self.held.extend_from_slice(now);
                part = later;
                let LinePiece { bytes, continues } = self.cut(true);
                give(&bytes, continues);
            }
            self.held.extend_from_slice(part);
            if end.is_some() {
                let LinePiece { bytes, continues } = self.cut(false);
                give(&bytes, continues);
            }
        }
    }

    /// What is held of a line that never ended.
    pub(crate) fn end(&mut self) -> Option<LinePiece> {
        let piece = (!self.held.is_empty()).then(|| self.cut(false));
        self.continues = false;
        piece
    }

    /// What is held, although its line goes on. A character that is not complete stays.
    pub(crate) fn so_far(&mut self) -> Option<LinePiece> {
        let tail = self.held.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len());
        let rest = self.held.split_off(self.held.len() - tail);
        let piece = (!self.held.is_empty()).then(|| self.cut(true));
        self.held = rest;
        piece
    }

    /// Bytes held.
    #[must_use]
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    fn cut(&mut self, more_follows: bool) -> LinePiece {
        let piece = LinePiece { bytes: std::mem::take(&mut self.held), continues: self.continues };
        self.continues = more_follows;
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(buffer: &mut LineBuffer, bytes: &[u8], limit: usize) -> Vec<(String, bool)> {
        let mut pieces = Vec::new();
        buffer.push(bytes, limit, |line, continues| {
            pieces.push((String::from_utf8_lossy(line).into_owned(), continues));
        });
        pieces
    }

    #[test]
    fn lines_stay_whole_however_they_are_cut() {
        let mut buffer = LineBuffer::default();
        assert!(push(&mut buffer, b"on", 100).is_empty());
        assert_eq!(
            push(&mut buffer, b"e\ntwo\n\nth", 100),
            [("one".into(), false), ("two".into(), false), (String::new(), false)]
        );
        assert_eq!(buffer.held(), 2);
        assert_eq!(buffer.end().unwrap().bytes, b"th");
        assert_eq!(buffer.end(), None);
    }

    #[test]
    fn a_line_of_the_longest_length_is_whole_and_a_longer_one_is_not() {
        let mut buffer = LineBuffer::default();
        let mut line = vec![b'x'; LONGEST];
        line.push(b'\n');
        let mut pieces = Vec::new();
        for chunk in line.chunks(30_000) {
            pieces.extend(push(&mut buffer, chunk, LONGEST));
        }
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].0.len(), LONGEST);

        assert_eq!(
            push(&mut buffer, b"abcdefgh\nij", 3),
            [("abc".into(), false), ("def".into(), true), ("gh".into(), true)]
        );
        assert_eq!(buffer.end().unwrap(), LinePiece { bytes: b"ij".to_vec(), continues: false });
    }

    #[test]
    fn what_there_is_so_far() {
        let mut buffer = LineBuffer::default();
        push(&mut buffer, b"wait \xe6\xbc", 100);
        assert_eq!(buffer.so_far().unwrap(), LinePiece { bytes: b"wait ".to_vec(), continues: false });
        assert_eq!(buffer.so_far(), None);
        assert_eq!(push(&mut buffer, b"\xa2\n", 100), [("漢".into(), true)]);
        assert_eq!(buffer.end(), None);
    }

    #[test]
    fn a_limit_that_shrank_cuts_what_is_held() {
        let mut buffer = LineBuffer::default();
        push(&mut buffer, b"abcdef", 100);
        assert_eq!(push(&mut buffer, b"g\n", 3), [("abcdef".into(), false), ("g".into(), true)]);
    }
}
