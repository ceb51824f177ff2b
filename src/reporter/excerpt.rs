//! The last lines of what a failed command printed.

use super::sanitize;
use crate::outcome::StepResult;

/// Lines of a failed command's output that are shown.
const EXCERPT: usize = 5;
/// Bytes of its end in which they are looked for.
const EXCERPT_BYTES: usize = 16 * 1024;
/// Digits that a time of day has at least: fewer in front of a line are a number of its own.
const LEAST_TIME: usize = 6;

/// The last lines of what a failed command printed: its standard error if there is any.
pub(super) fn excerpt(result: &StepResult) -> Vec<String> {
    // The summary has the proof of a cause, once for all hosts that share it.
    if result.cause.as_ref().is_some_and(|cause| cause.proof.is_some()) {
        return Vec::new();
    }
    let output = if result.stderr.is_empty() { &result.stdout } else { &result.stderr };
    let text = sanitize::block(&output.last(EXCERPT_BYTES).unwrap_or_default());
    // Who fails again and again says the same again and again; of such lines the newest stands there.
    let mut lines: Vec<(&str, usize)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match lines.last_mut() {
            Some((last, times)) if without_time(last) == without_time(line) => (*last, *times) = (line, *times + 1),
            _ => lines.push((line, 1)),
        }
    }
    let shown = |(line, times): &(&str, usize)| match times {
        1 => (*line).to_owned(),
        times => format!("{line} ({times} times)"),
    };
    lines[lines.len().saturating_sub(EXCERPT)..].iter().map(shown).collect()
}

/// A line of a log without the time that it begins with.
fn without_time(line: &str) -> &str {
    let is_of_time = |c: char| c.is_ascii_digit() || ":.,-/+[] TZ".contains(c);
    let rest = line.trim_start_matches(is_of_time);
    let time = &line[..line.len() - rest.len()];
    // A large number alone (a process, a size) is none.
    let is_time =
        time.contains(':') && time.bytes().filter(u8::is_ascii_digit).count() >= LEAST_TIME && !rest.is_empty();
    if is_time { rest } else { line }
}

#[cfg(test)]
mod tests {
    use super::without_time;

    #[test]
    fn the_time_in_front_of_a_line_is_known_from_a_number() {
        for (line, rest) in [
            ("2026-11-29 10:00:01.123 LOG: x", "LOG: x"),
            ("[2026-11-29T10:00:01Z] x", "x"),
            ("20261128:19:34:28:006086 gpstart: x", "gpstart: x"),
            ("1048576 kB left", "1048576 kB left"),
            ("3 left", "3 left"),
            ("10:00:01", "10:00:01"),
        ] {
            assert_eq!(without_time(line), rest);
        }
    }
}
