//! The patterns of ssh's files: `*`, `?`, and lists with `!`.
//!
//! Letters are compared as they are: whoever asks has put both sides in lower case.

use crate::text::wildcard_by;

/// As ssh matches a list: a negated pattern that matches rules the name out, whatever else does.
pub(crate) fn matches_list(patterns: impl IntoIterator<Item = impl AsRef<str>>, target: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        let pattern = pattern.as_ref();
        if let Some(negated) = pattern.strip_prefix('!') {
            if matches_pattern(negated.as_bytes(), target.as_bytes()) {
                return false;
            }
        } else {
            found = found || matches_pattern(pattern.as_bytes(), target.as_bytes());
        }
    }
    found
}

/// `*` is any run of bytes, `?` any one.
pub(crate) fn matches_pattern(pattern: &[u8], text: &[u8]) -> bool {
    wildcard_by(pattern, text, |part| *part == b'*', |part, byte| *part == b'?' || part == byte)
}
