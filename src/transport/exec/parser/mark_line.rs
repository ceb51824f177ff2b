//! What stands behind a mark on its line: whether it is one of ours, which process the wrapper is, and how the command ended.

use super::{Ended, Process};

pub(super) enum Closing {
    /// One of ours, this long.
    Whole(usize),
    /// May become one of ours.
    Unfinished,
    /// Not ours: the mark stands in the output for another reason (`set -x`).
    Other,
}

pub(super) fn is_mark_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" -~\r".contains(&byte)
}

pub(super) fn is_process(text: &[u8]) -> bool {
    text.is_empty() || std::str::from_utf8(text).ok().and_then(process).is_some()
}

pub(super) fn process(text: &str) -> Option<Process> {
    let mut words = text.split(' ');
    let pid = words.next()?.parse().ok()?;
    let start = words.next()?.parse().ok()?;
    let boot = words.next()?.to_owned();
    let lead = words.next().map_or(Some(0), |word| word.parse().ok())?;
    (words.next().is_none() && boot.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
        .then_some(Process { pid, start, boot, lead })
}

pub(super) fn is_status(text: &[u8]) -> bool {
    std::str::from_utf8(text).ok().and_then(ended).is_some()
}

pub(super) fn ended(text: &str) -> Option<Ended> {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
    match text.strip_prefix('~') {
        Some(signal) => number(signal).map(Ended::Signal),
        None => number(text).map(Ended::Status),
    }
}
