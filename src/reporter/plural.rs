//! The counts of a report with their nouns: `1 host`, `3 hosts`.
//!
//! No other file may write `host(s)` or decide on an ending by itself.

/// `1 host`, `3 hosts`.
#[must_use]
pub fn hosts(n: usize) -> String {
    count(n, "host", "hosts")
}

/// `1 part`, `3 parts`.
#[must_use]
pub fn parts(n: usize) -> String {
    count(n, "part", "parts")
}

/// `1 step`, `3 steps`.
#[must_use]
pub fn steps(n: usize) -> String {
    count(n, "step", "steps")
}

/// `1 stage`, `3 stages`.
#[must_use]
pub fn stages(n: usize) -> String {
    count(n, "stage", "stages")
}

/// `1 attempt`, `3 attempts`.
#[must_use]
pub fn attempts(n: u32) -> String {
    count(n as usize, "attempt", "attempts")
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_many() {
        assert_eq!(hosts(0), "0 hosts");
        assert_eq!(hosts(1), "1 host");
        assert_eq!(steps(2), "2 steps");
        assert_eq!(stages(1), "1 stage");
        assert_eq!(attempts(3), "3 attempts");
    }
}
