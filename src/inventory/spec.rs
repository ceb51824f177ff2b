//! One host as people write it: `[user@]host[:port]`, and what that means with IPv6.
//!
//! Reads a single host; ranges were expanded before (`hostset`), settings come after (`settings`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::problem::quoted;

/// A host as it was written, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// What stood before the last `@`.
    pub user: Option<String>,
    /// Name or address, without brackets.
    pub host: String,
    /// What stood after the `:` or `,`.
    pub port: Option<u16>,
}

impl Spec {
    /// Host and port in one name, for hosts that only their port tells apart: `10.0.0.1:2201`, `[::1]:2201`.
    #[must_use]
    pub fn with_port(&self) -> String {
        match self.port {
            Some(port) if self.host.contains(':') => format!("[{}]:{port}", self.host),
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

/// What is wrong with a host or a setting, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// A lower-case fragment.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl SpecError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SpecError {}

/// Reads `[user@]host[:port]`, `host,port`, `[v6]:port`, bare `v6` and `v6%zone`; `ssh://` may stand before it.
///
/// The user ends at the last `@`, as in ssh(1): `someone@corp.example@node1` is a domain user.
/// Two or more colons without brackets are an IPv6 address, never a port.
///
/// # Errors
///
/// Says which part is wrong.
pub fn parse_spec(text: &str) -> Result<Spec, SpecError> {
    // As people paste it.
    let text = text.strip_prefix("ssh://").map_or(text, |rest| rest.strip_suffix('/').unwrap_or(rest));
    let (user, place) = match text.rsplit_once('@') {
        Some(("", group)) if !group.is_empty() => {
            return Err(SpecError::new(format!("{} has nothing before the `@`", quoted(text)))
                .hint("a user goes there; a group (`@GROUP`) can stand in a host set only"));
        }
        Some((user, place)) => (Some(user), place),
        None => (None, text),
    };
    if let Some(user) = user {
        check_user(user)?;
    }
    let (host, port) = split_port(text, place)?;
    check_host(host)?;
    let port = port.map(parse_port).transpose()?;
    Ok(Spec { user: user.map(str::to_owned), host: host.to_owned(), port })
}

fn split_port<'a>(text: &str, place: &'a str) -> Result<(&'a str, Option<&'a str>), SpecError> {
    if let Some(rest) = place.strip_prefix('[') {
        let Some((inside, after)) = rest.split_once(']') else {
            return Err(SpecError::new(format!("{} has a `[` that is not closed", quoted(text))));
        };
        if !is_address(inside) {
            return Err(SpecError::new(format!("{} is not an IP address", quoted(inside)))
                .hint("brackets at the front hold an IPv6 address: `[2001:db8::7]:22`"));
        }
        return match after.strip_prefix([':', ',']) {
            Some(port) => Ok((inside, Some(port))),
            None if after.is_empty() => Ok((inside, None)),
            None => Err(SpecError::new(format!("{} is not `:port`", quoted(after))).hint("write `[2001:db8::7]:22`")),
        };
    }
    if let Some((host, port)) = place.split_once(',') {
        if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) {
            return Ok((host, Some(port)));
        }
        return Err(SpecError::new(format!("{} is not `host,port`", quoted(place)))
            .hint("one host a line, or a range: `node[1-3]`"));
    }
    if is_v6(place) {
        return Ok((place, None));
    }
    match place.matches(':').count() {
        0 => Ok((place, None)),
        1 => Ok(place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)))),
        _ => Err(SpecError::new(format!("{} is neither `host:port` nor an IPv6 address", quoted(place)))
            .hint("an IPv6 address with a port is written `[2001:db8::7]:22`")),
    }
}

/// Reads a port.
pub(super) fn parse_port(text: &str) -> Result<u16, SpecError> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ if digits => {
            Err(SpecError::new(format!("port {} is out of range", quoted(text))).hint("ports go from 1 to 65535"))
        }
        _ if text.is_empty() => Err(SpecError::new("the port is missing").hint("write `node1:22`, or no `:`")),
        _ => Err(SpecError::new(format!("port {} is not a number", quoted(text)))),
    }
}

/// Refuses what cannot be a login name, above all what ssh would take for an option.
pub(super) fn check_user(user: &str) -> Result<(), SpecError> {
    if user.is_empty() {
        return Err(SpecError::new("the user is missing"));
    }
    if user.starts_with('-') || user.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':') {
        return Err(SpecError::new(format!("{} is not a user name", quoted(user))));
    }
    Ok(())
}

/// Refuses what cannot be the name or address of a host.
pub(super) fn check_host(host: &str) -> Result<(), SpecError> {
    if is_v6(host) {
        return Ok(());
    }
    if host.is_empty() {
        return Err(SpecError::new("the host name is missing"));
    }
    if let Some((first, last)) = host.split_once('-').filter(|(first, _)| first.parse::<Ipv4Addr>().is_ok())
        && (last.parse::<Ipv4Addr>().is_ok() || last.parse::<u8>().is_ok())
    {
        return Err(SpecError::new(format!("{} is a range of addresses, and not a host name", quoted(host)))
            .hint(format!("a range is written {}", address_range(first, last))));
    }
    let odd = host.chars().find(|c| !c.is_alphanumeric() && !matches!(c, '.' | '-' | '_'));
    if let Some(odd) = odd {
        let error = SpecError::new(format!("{} is not a host name: {} cannot stand in one", quoted(host), named(odd)));
        return Err(match odd {
            '*' | '?' => {
                error.hint("patterns stand in `--hosts` and `--exclude` only; here, write a range: `node[1-3]`")
            }
            _ => error,
        });
    }
    if host.starts_with('-') {
        return Err(SpecError::new(format!("{} is not a host name: it begins with `-`", quoted(host))));
    }
    if host.len() > 253 {
        return Err(SpecError::new(format!("{} is too long for a host name", quoted(host))));
    }
    // The resolver would read `10.0.0` as 10.0.0.0: an address that was not meant.
    let numeric = host.contains('.') && host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(SpecError::new(format!("{} is not an IPv4 address", quoted(host))));
    }
    Ok(())
}

/// How a range of addresses is written: `10.0.0.[1-5]`.
fn address_range(first: &str, last: &str) -> String {
    let (net, from) = first.rsplit_once('.').unwrap_or(("10.0.0", "1"));
    match last.rsplit_once('.') {
        Some((other, to)) if other == net => format!("`{net}.[{from}-{to}]`"),
        None => format!("`{net}.[{from}-{last}]`"),
        Some((other, to)) => format!("with brackets in one part of the address: `{net}.[{from}-255],{other}.[0-{to}]`"),
    }
}

fn named(c: char) -> String {
    if c.is_control() || !c.is_ascii() { format!("U+{:04X}", u32::from(c)) } else { format!("`{c}`") }
}

/// True for an IPv4 or IPv6 address; an IPv6 address may have a zone.
pub(super) fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || is_v6(text)
}

fn is_v6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "x"));
    let zone_is_name = !zone.is_empty() && zone.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    zone_is_name && address.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn case(text: &str, user: Option<&str>, host: &str, port: Option<u16>) {
        let want = Spec { user: user.map(str::to_owned), host: host.to_owned(), port };
        assert_eq!(parse_spec(text), Ok(want), "{text}");
    }

    #[track_caller]
    fn bad(text: &str, want: &str) {
        assert_eq!(parse_spec(text).unwrap_err().message, want);
    }

    #[test]
    fn every_form() {
        case("node01", None, "node01", None);
        case("10.0.0.1", None, "10.0.0.1", None);
        case("omm@node01", Some("omm"), "node01", None);
        case("omm@node01:2222", Some("omm"), "node01", Some(2222));
        case("10.0.0.3,2222", None, "10.0.0.3", Some(2222));
        case("2001:db8::7", None, "2001:db8::7", None);
        case("::1", None, "::1", None);
        case("[2001:db8::7]", None, "2001:db8::7", None);
        case("[2001:db8::7]:22", None, "2001:db8::7", Some(22));
        case("omm@[2001:db8::7]:22", Some("omm"), "2001:db8::7", Some(22));
        case("2001:db8::7,22", None, "2001:db8::7", Some(22));
        case("2001:db8::7:22", None, "2001:db8::7:22", None);
        case("fe80::1%eth0", None, "fe80::1%eth0", None);
        case("[fe80::1%eth0]:22", None, "fe80::1%eth0", Some(22));
        case("::ffff:10.0.0.1", None, "::ffff:10.0.0.1", None);
        case("[10.0.0.1]:22", None, "10.0.0.1", Some(22));
        case("ssh://omm@node1:2222/", Some("omm"), "node1", Some(2222));
        case("ssh://node1", None, "node1", None);
        case("a@corp@node1", Some("a@corp"), "node1", None);
        case("node_1.example.com", None, "node_1.example.com", None);
        case("knoten-ä", None, "knoten-ä", None);
    }

    #[test]
    fn what_is_refused() {
        bad("", "the host name is missing");
        bad("omm@", "the host name is missing");
        bad("@node1", "`@node1` has nothing before the `@`");
        bad("node1:", "the port is missing");
        bad("node1:0", "port `0` is out of range");
        bad("node1:65536", "port `65536` is out of range");
        bad("node1:99999999999", "port `99999999999` is out of range");
        bad("node1:+22", "port `+22` is not a number");
        bad("node1:ssh", "port `ssh` is not a number");
        bad("node1,node2", "`node1,node2` is not `host,port`");
        bad("a:b:c", "`a:b:c` is neither `host:port` nor an IPv6 address");
        bad("[node1]:22", "`node1` is not an IP address");
        bad("[::1", "`[::1` has a `[` that is not closed");
        bad("[::1]22", "`22` is not `:port`");
        bad("-oProxyCommand=x", "`-oProxyCommand=x` is not a host name: `=` cannot stand in one");
        bad("-v", "`-v` is not a host name: it begins with `-`");
        bad("-x@node1", "`-x` is not a user name");
        bad("a/b", "`a/b` is not a host name: `/` cannot stand in one");
        bad("a\u{200b}b", "`a\\u{200b}b` is not a host name: U+200B cannot stand in one");
        bad("10.0.0.256", "`10.0.0.256` is not an IPv4 address");
        bad("10.0.0", "`10.0.0` is not an IPv4 address");
        bad("10.0.0.1-10.0.0.5", "`10.0.0.1-10.0.0.5` is a range of addresses, and not a host name");
        bad("10.0.0.1-5", "`10.0.0.1-5` is a range of addresses, and not a host name");
    }

    #[test]
    fn a_range_of_addresses_comes_with_the_form_that_it_has_here() {
        for (text, want) in [
            ("10.0.0.1-10.0.0.5", "`10.0.0.[1-5]`"),
            ("10.0.0.1-5", "`10.0.0.[1-5]`"),
            ("10.0.0.250-10.0.1.5", "`10.0.0.[250-255],10.0.1.[0-5]`"),
        ] {
            let hint = parse_spec(text).unwrap_err().hint.unwrap();
            assert!(hint.ends_with(want), "{text}: {hint}");
        }
        assert!(parse_spec("10-0-0-1.example").is_ok() && parse_spec("node1-node5").is_ok());
    }

    #[test]
    fn names_with_a_port() {
        assert_eq!(parse_spec("omm@10.0.0.1:2201").unwrap().with_port(), "10.0.0.1:2201");
        assert_eq!(parse_spec("[::1]:2201").unwrap().with_port(), "[::1]:2201");
        assert_eq!(parse_spec("node1").unwrap().with_port(), "node1");
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = parse_spec(&text);
        }
    }
}
