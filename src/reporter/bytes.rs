//! Numbers of bytes, as people read them.

use std::time::Duration;

const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];

/// `999 B`, `1.2 MB`, `56 MB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    // In tenths, rounded down, so that nothing is called whole before it is.
    let (mut tenths, mut unit) = (count / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    let unit = UNITS[unit];
    if tenths < 100 { format!("{}.{} {unit}", tenths / 10, tenths % 10) } else { format!("{} {unit}", tenths / 10) }
}

/// `56 MB/s`; nothing where it took no time.
#[must_use]
pub fn rate(count: u64, took: Duration) -> Option<String> {
    let millis = took.as_millis();
    if millis == 0 {
        return None;
    }
    let a_second = u128::from(count) * 1000 / millis;
    Some(format!("{}/s", bytes(u64::try_from(a_second).unwrap_or(u64::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_at_a_glance() {
        #[track_caller]
        fn case(count: u64, want: &str) {
            assert_eq!(bytes(count), want);
        }
        case(0, "0 B");
        case(999, "999 B");
        case(1000, "1.0 kB");
        case(9_999, "9.9 kB");
        case(56_700_000, "56 MB");
        case(999_999_999, "999 MB");
        case(1_000_000_000, "1.0 GB");
        case(u64::MAX, "18446 PB");
        assert_eq!(rate(56_000_000, Duration::from_secs(2)).as_deref(), Some("28 MB/s"));
        assert_eq!(rate(1, Duration::ZERO), None);
    }
}
