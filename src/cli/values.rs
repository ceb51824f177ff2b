//! Values on the command line, and how they are read.

use std::time::Duration;

use clap::ValueEnum;

use crate::plan::Share;
use crate::plan::push::{read_mode, validate_owner};

/// When to do something that a terminal wants and a pipe does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do about host keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HostKeyPolicy {
    /// Only hosts whose key is in `known_hosts`.
    Strict,
    /// Record the key of a new host; refuse one that has changed.
    AcceptNew,
    /// Do not check.
    Off,
}

/// Who makes the connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// gsctl itself.
    #[default]
    Native,
    /// The system's `ssh`, two processes a host: slower, for what gsctl cannot do itself (GSSAPI, FIDO keys, PKCS#11, `Match
    /// exec`).
    #[value(name = "openssh")]
    OpenSsh,
}

/// A cluster state that will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Accept {
    /// Every instance is up.
    Normal,
    /// A primary is up, and some instance is not.
    Degraded,
}

/// How to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StopMode {
    /// Roll back what is under way, then stop.
    Fast,
    /// Kill; the next start recovers.
    Immediate,
    /// Wait until sessions end by themselves, where the system has that.
    Smart,
}

impl StopMode {
    /// As the playbook has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Immediate => "immediate",
            Self::Smart => "smart",
        }
    }
}

/// Unreachable nodes that a preflight puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowUnreachable {
    /// So many.
    Count(usize),
    /// Fewer than half.
    Minority,
}

impl std::str::FromStr for AllowUnreachable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "minority" {
            return Ok(Self::Minority);
        }
        text.parse().map(Self::Count).map_err(|_| "write a number of nodes, or `minority`".to_owned())
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    crate::duration::parse(text)
}

/// A duration, or `none`, which is zero.
pub(super) fn limit(text: &str) -> Result<Duration, String> {
    if text == "none" { Ok(Duration::ZERO) } else { duration(text) }
}

/// `15sx3`, `30s`.
pub(super) fn keepalive(text: &str) -> Result<(Duration, u32), String> {
    let (interval, count) = match text.rsplit_once('x') {
        Some((interval, count)) => {
            let count = count.parse().ok().filter(|&count| count > 0);
            (interval, count.ok_or_else(|| format!("`{text}` has no count after the x: write `15sx3`"))?)
        }
        None => (text, 3),
    };
    Ok((crate::duration::parse(interval)?, count))
}

/// `5`, `20%`.
pub(super) fn share(text: &str) -> Result<Share, String> {
    let wrong = || format!("`{text}` is neither a number of hosts nor a part of them: write `5` or `20%`");
    match text.strip_suffix('%') {
        Some(number) => match number.parse::<u8>() {
            Ok(percent) if percent <= 100 => Ok(Share::Percent(percent)),
            Ok(_) | Err(_) => Err(wrong()),
        },
        None => text.parse().map(Share::Count).map_err(|_| wrong()),
    }
}

/// Hosts in a batch.
pub(super) fn batch(text: &str) -> Result<Share, String> {
    match share(text)? {
        Share::Count(0) | Share::Percent(0) => Err(format!("a batch of `{text}` is nobody: write `5` or `20%`")),
        share => Ok(share),
    }
}

/// `NAME=VALUE`.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err(format!("`{text}` is not a variable: write NAME=VALUE")),
    }
}

/// A mode as chmod(1) takes it, in octal.
pub(super) fn mode(text: &str) -> Result<u32, String> {
    read_mode(text).ok_or_else(|| format!("`{text}` is no mode in octal: write `0640` or `755`"))
}

/// `USER` or `USER:GROUP`.
pub(super) fn owner(text: &str) -> Result<String, String> {
    validate_owner(text).map(|()| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keepalives_have_an_interval_and_a_count() {
        assert_eq!(keepalive("15sx3"), Ok((Duration::from_secs(15), 3)));
        assert_eq!(keepalive("30"), Ok((Duration::from_secs(30), 3)));
        assert!(keepalive("15sx0").is_err() && keepalive("15sx").is_err());
    }

    #[test]
    fn modes_and_owners() {
        assert_eq!((mode("0640"), mode("755"), mode("0o4755")), (Ok(0o640), Ok(0o755), Ok(0o4755)));
        assert!(["", "7", "u+x", "0800", "17777", "-644"].into_iter().all(|text| mode(text).is_err()));
        for text in ["omm", "omm:dbgrp", "1000:1000"] {
            assert_eq!(owner(text), Ok(text.to_owned()));
        }
        assert!(["", ":g", "u:", "-R", "a b", "u:g:x", "u/g"].into_iter().all(|text| owner(text).is_err()));
    }

    #[test]
    fn shares_are_numbers_or_parts() {
        assert_eq!(share("5"), Ok(Share::Count(5)));
        assert_eq!(share("20%"), Ok(Share::Percent(20)));
        assert!(batch("0").is_err() && batch("0%").is_err() && batch("1") == Ok(Share::Count(1)));
        assert!(share("120%").is_err() && share("-1").is_err() && share("many").is_err());
    }
}
