//! What is kept of remote output before it is shown: the last lines, or those that match.
//!
//! Only for what is shown; reports and files always hold everything.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::lines::LONGEST;
use crate::output::Output;

/// Says whether a line is to be shown.
pub type Keep = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// What is kept of a command's output.
#[derive(Clone, Default)]
pub struct OutputFilter {
    /// `--tail`: so many lines of the end. Only where output is gathered.
    pub tail: Option<usize>,
    /// `--grep`: lines that this holds for.
    pub keep: Option<Keep>,
    /// `--diff`: as a difference from the most common output.
    pub diff: bool,
}

/// Lines that were shown, and lines that there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilteredOutput {
    /// Shown.
    pub lines: u64,
    /// All.
    pub of: u64,
}

impl FilteredOutput {
    /// Counts the lines of an output, and what was shown of it.
    ///
    /// # Errors
    /// When they cannot be read back.
    pub fn count(&mut self, all: &Output, shown: &Output) -> io::Result<()> {
        self.of += all.lines()?;
        self.lines += shown.lines()?;
        Ok(())
    }

    /// What was left out, in words, where something was.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let Self { lines, of } = self;
        (lines < of).then(|| format!("{lines} of {of} lines shown; reports keep everything"))
    }
}

impl fmt::Debug for OutputFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shaping")
            .field("tail", &self.tail)
            .field("keep", &self.keep.is_some())
            .field("diff", &self.diff)
            .finish()
    }
}

impl OutputFilter {
    /// True when not everything is shown.
    #[must_use]
    pub fn leaves_out(&self) -> bool {
        self.keep.is_some() || self.tail.is_some()
    }

    /// The part of the output that is shown.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub fn apply(&self, output: &Output) -> io::Result<Output> {
        let kept = match &self.keep {
            Some(keep) => matching(output, keep)?,
            None => output.clone(),
        };
        self.tail.map_or_else(|| Ok(kept.clone()), |tail| kept.last_lines(tail))
    }

    /// True when a line is to be shown.
    #[must_use]
    pub fn keeps(&self, line: &[u8]) -> bool {
        self.keep.as_ref().is_none_or(|keep| keep(bare(line)))
    }
}

/// The lines that match. One that is too long to be held is looked at in pieces.
fn matching(output: &Output, keep: &Keep) -> io::Result<Output> {
    let mut builder = output.builder();
    let mut line = Vec::new();
    let mut judge = |line: &mut Vec<u8>| {
        if keep(bare(line)) {
            builder.push(line);
        }
        line.clear();
    };
    output.pieces(|piece| {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") || line.len() > LONGEST {
                judge(&mut line);
            }
        }
        Ok(())
    })?;
    if !line.is_empty() {
        judge(&mut line);
    }
    Ok(builder.finish())
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
        let text = Output::from("a1\nb\r\na2\na3");
        let case = |filter: &OutputFilter, want: &[u8]| assert_eq!(filter.apply(&text).unwrap(), want.into());
        case(&OutputFilter::default(), b"a1\nb\r\na2\na3");
        case(&OutputFilter { tail: Some(2), keep: None, diff: false }, b"a2\na3");
        case(&OutputFilter { tail: Some(9), keep: None, diff: false }, b"a1\nb\r\na2\na3");
        case(&OutputFilter { tail: None, keep: Some(Arc::clone(&keep)), diff: false }, b"a1\na2\na3");
        case(&OutputFilter { tail: Some(1), keep: Some(Arc::clone(&keep)), diff: false }, b"a3");
        assert!(OutputFilter { tail: None, keep: Some(keep), diff: false }.keeps(b"a\r\n"));
    }
}
