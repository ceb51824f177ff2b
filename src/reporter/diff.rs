//! One output as a unified difference from another, for `--diff`.
//!
//! The only file here that knows the `similar` crate. Bytes that are no text are compared all the same.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use super::sanitize;
use super::style::{Styles, Tone};

/// What takes longer to compare is compared more roughly.
const PATIENCE: Duration = Duration::from_secs(2);
/// Lines around a difference that are shown.
const AROUND: usize = 3;

/// The difference in lines, made harmless for a terminal where it is to be.
#[must_use]
pub(crate) fn unified(common: &[u8], other: &[u8], styles: &Styles, tty: bool) -> Vec<u8> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(common, other);
    let mut out = Vec::new();
    for hunk in diff.unified_diff().context_radius(AROUND).iter_hunks() {
        out.extend_from_slice(styles.paint(Tone::Hint, &hunk.header().to_string()).as_bytes());
        out.push(b'\n');
        for change in hunk.iter_changes() {
            let (sign, tone) = match change.tag() {
                ChangeTag::Delete => ("-", Tone::Bad),
                ChangeTag::Insert => ("+", Tone::Ok),
                ChangeTag::Equal => (" ", Tone::Plain),
            };
            let line: &[u8] = change.value();
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            if tty {
                out.extend_from_slice(styles.paint(tone, &format!("{sign}{}", sanitize::line(line))).as_bytes());
            } else {
                out.extend_from_slice(sign.as_bytes());
                out.extend_from_slice(line);
            }
            out.push(b'\n');
            if change.missing_newline() {
                out.extend_from_slice(b"\\ no newline at the end\n");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ() {
        let diff = |common: &[u8], other: &[u8], tty| unified(common, other, &Styles::default(), tty);
        assert_eq!(diff(b"a\nb\n", b"a\nc\xff\n", false), b"@@ -1,2 +1,2 @@\n a\n-b\n+c\xff\n");
        assert_eq!(diff(b"a\n", b"\x1b[2J\n", true), b"@@ -1 +1 @@\n-a\n+\\x1b[2J\n");
        assert_eq!(diff(b"a\n", b"a", false), b"@@ -1 +1 @@\n-a\n+a\n\\ no newline at the end\n");
        assert_eq!(diff(b"a\n", b"a\n", false), b"");
    }
}
