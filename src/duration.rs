//! Durations as people write them: `60`, `90s`, `5m`, `1h30m`, `500ms`. The only grammar: for options, the hosts file, playbooks
//! and their variables.
//!
//! Text in, text out. No clock is read here, and nothing waits.

use std::fmt::Write as _;
use std::time::Duration;

/// The longest duration that is taken: a deadline must stay a point in time that the system's clock can name.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Units, biggest first, with their length in nanoseconds.
const UNITS: [(&str, u128); 5] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// Reads a duration. A number without a unit is seconds; units go from big to small, each at most once.
///
/// # Errors
///
/// Says what is wrong and how a duration is written.
pub fn parse(text: &str) -> Result<Duration, String> {
    let nanos = nanos(text).ok_or_else(|| format!("`{text}` is not a duration: write `60`, `90s`, `5m` or `1h30m`"))?;
    let duration = u64::try_from(nanos / 1_000_000_000).ok().map(|secs| {
        let rest = u32::try_from(nanos % 1_000_000_000).unwrap_or(0);
        Duration::new(secs, rest)
    });
    duration
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| format!("`{text}` is too long a time: `365d` is the most"))
}

fn nanos(text: &str) -> Option<u128> {
    let mut rest = text;
    let mut total = 0_u128;
    let mut units = &UNITS[..];
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let number = billionths(number)?;
        if after.is_empty() {
            // A bare number is seconds, but only on its own: `1h30` could mean minutes.
            return (rest == text).then_some(number);
        }
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = if unit == "min" { "m" } else { unit };
        let at = units.iter().position(|(name, _)| *name == unit)?;
        total += number * units[at].1 / 1_000_000_000;
        units = &units[at + 1..];
        rest = after;
        if rest.is_empty() {
            return Some(total);
        }
    }
}

/// `1.5` as 1,500,000,000. At most nine digits on either side of the point, more make no sense and might overflow.
fn billionths(number: &str) -> Option<u128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || part.is_empty() || part.contains('.') || part.len() > 9 {
        return None;
    }
    // What is too long to count is still a number; `parse` says that it is too long a time.
    let whole: u128 = if whole.len() > 15 { 1_000_000_000_000_000 } else { whole.parse().ok()? };
    let part: u128 = format!("{part:0<9}").parse().ok()?;
    Some(whole * 1_000_000_000 + part)
}

/// A duration as text that [`parse`] reads back as the same one.
#[must_use]
pub fn exact(d: Duration) -> String {
    match d.subsec_nanos() {
        0 => human(d),
        nanos if nanos % 1_000_000 == 0 => format!("{}ms", d.as_millis()),
        nanos => format!("{}.{nanos:09}s", d.as_secs()),
    }
}

/// A duration for messages: `0.4s`, `5s`, `1m30s`, `2h`. Rounded to what a reader cares for.
#[must_use]
pub fn human(d: Duration) -> String {
    let millis = d.as_millis();
    if millis < 100 {
        return match millis {
            0 => "0s".to_owned(),
            millis => format!("{millis}ms"),
        };
    }
    let tenths = (millis + 50) / 100;
    if tenths < 100 {
        return match tenths % 10 {
            0 => format!("{}s", tenths / 10),
            tenth => format!("{}.{tenth}s", tenths / 10),
        };
    }
    let mut rest = (millis + 500) / 1000;
    let mut text = String::new();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if rest >= length {
            let _ = write!(text, "{}{unit}", rest / length);
            rest %= length;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn case(input: &str, want: u64) {
        assert_eq!(parse(input), Ok(Duration::from_millis(want)), "{input}");
    }

    #[track_caller]
    fn bad(input: &str, want: &str) {
        assert_eq!(parse(input), Err(want.to_owned()));
    }

    #[track_caller]
    fn shown(millis: u64, want: &str) {
        assert_eq!(human(Duration::from_millis(millis)), want);
    }

    #[test]
    fn what_is_a_duration() {
        case("60", 60_000);
        case("60s", 60_000);
        case("5m", 300_000);
        case("1h30m", 5_400_000);
        case("1h5s", 3_605_000);
        case("500ms", 500);
        case("10min", 600_000);
        case("1h5min", 3_900_000);
        case("1m500ms", 60_500);
        case("0", 0);
        case("0s", 0);
        case("0.4s", 400);
        case("1.5", 1_500);
        case("1.5h", 5_400_000);
        case("2d", 172_800_000);
        case("007", 7_000);
        case("365d", 31_536_000_000);
    }

    #[test]
    fn what_is_not() {
        for text in [
            "", "5x", "s", "-5", "+5", "5 s", " 5", "1h30", "30m1h", "1h1h", "5S", "1..5s", ".5s", "5.", "1,5", "٣",
            "5m ", "inf", "1e3",
        ] {
            bad(text, &format!("`{text}` is not a duration: write `60`, `90s`, `5m` or `1h30m`"));
        }
        bad("366d", "`366d` is too long a time: `365d` is the most");
        bad("99999999999999999999999", "`99999999999999999999999` is too long a time: `365d` is the most");
    }

    #[test]
    fn in_messages() {
        shown(0, "0s");
        shown(20, "20ms");
        shown(99, "99ms");
        shown(400, "0.4s");
        shown(412, "0.4s");
        shown(999, "1s");
        shown(1_500, "1.5s");
        shown(5_003, "5s");
        shown(9_960, "10s");
        shown(15_020, "15s");
        shown(59_700, "1m");
        shown(90_000, "1m30s");
        shown(600_000, "10m");
        shown(3_600_000, "1h");
        shown(3_605_000, "1h5s");
        shown(90_061_000, "1d1h1m1s");
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_shown_can_be_read(secs in 0_u64..31_000_000) {
            let d = Duration::from_secs(secs);
            prop_assert_eq!(parse(&human(d)), Ok(d));
        }

        #[test]
        fn exact_text_is_read_back(secs in 0_u64..31_000_000, nanos in 0_u32..1_000_000_000, unit in 0_u32..3) {
            let step = 1000_u32.pow(unit);
            let d = Duration::new(secs, nanos / step * step);
            prop_assert_eq!(parse(&exact(d)), Ok(d));
        }
    }
}
