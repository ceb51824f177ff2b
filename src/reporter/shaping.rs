//! What is kept of remote output before it is shown: the last lines, or those that match.
//!
//! Only for what is shown; reports and files always hold everything.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Says whether a line is to be shown.
pub type Keep = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// What is kept of a command's output.
#[derive(Clone, Default)]
pub struct Shaping {
    /// `--tail`: so many lines of the end. Only where output is gathered.
    pub tail: Option<usize>,
    /// `--grep`: lines that this holds for.
    pub keep: Option<Keep>,
    /// `--diff`: as a difference from the most common output.
    pub diff: bool,
}

/// Lines that were shown, and lines that there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// Shown.
    pub lines: usize,
    /// All.
    pub of: usize,
}

impl Shown {
    /// Counts the lines of an output, and what was shown of it.
    pub fn count(&mut self, all: &[u8], shown: &[u8]) {
        let lines = |bytes: &[u8]| bytes.split_inclusive(|&byte| byte == b'\n').count();
        self.of += lines(all);
        self.lines += lines(shown);
    }

    /// What was left out, in words, where something was.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let Self { lines, of } = self;
        (lines < of).then(|| format!("{lines} of {of} lines shown; reports keep everything"))
    }
}

impl fmt::Debug for Shaping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shaping")
            .field("tail", &self.tail)
            .field("keep", &self.keep.is_some())
            .field("diff", &self.diff)
            .finish()
    }
}

impl Shaping {
    /// The part of the output that is shown.
    #[must_use]
    pub fn apply<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut shown = Cow::Borrowed(bytes);
        if let Some(keep) = &self.keep {
            shown = Cow::Owned(
                bytes.split_inclusive(|&b| b == b'\n').filter(|l| keep(bare(l))).flatten().copied().collect(),
            );
        }
        if let Some(tail) = self.tail {
            let lines: Vec<&[u8]> = shown.split_inclusive(|&b| b == b'\n').collect();
            let skip: usize = lines.iter().take(lines.len().saturating_sub(tail)).map(|line| line.len()).sum();
            shown = match shown {
                Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[skip..]),
                Cow::Owned(mut bytes) => Cow::Owned(bytes.split_off(skip)),
            };
        }
        shown
    }

    /// True when a line is to be shown.
    #[must_use]
    pub fn keeps(&self, line: &[u8]) -> bool {
        self.keep.as_ref().is_none_or(|keep| keep(bare(line)))
    }
}

fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_and_grep() {
        let keep: Keep = Arc::new(|line| line.starts_with(b"a"));
        let text = b"a1\nb\r\na2\na3";
        let case = |shaping: &Shaping, want: &[u8]| assert_eq!(shaping.apply(text).as_ref(), want);
        case(&Shaping::default(), text);
        case(&Shaping { tail: Some(2), keep: None, diff: false }, b"a2\na3");
        case(&Shaping { tail: Some(9), keep: None, diff: false }, text);
        case(&Shaping { tail: None, keep: Some(Arc::clone(&keep)), diff: false }, b"a1\na2\na3");
        case(&Shaping { tail: Some(1), keep: Some(Arc::clone(&keep)), diff: false }, b"a3");
        assert!(Shaping { tail: None, keep: Some(keep), diff: false }.keeps(b"a\r\n"));
    }
}
