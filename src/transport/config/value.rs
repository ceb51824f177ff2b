//! One setting: a keyword's arguments as a value.
//!
//! It checks values, and neither expands paths nor decides which setting wins.

use std::net::IpAddr;
use std::time::Duration;

use super::keywords::{self, Effect, Key};
use super::tokens;
use crate::inventory::jump::parse_jump;
use crate::inventory::spec::Spec;
use crate::transport::algorithms::{Choice, Kind};
use crate::transport::known_hosts::HostKeyPolicy;
use crate::transport::target::{Family, Method};

/// A setting as it stands in a file or an option; paths and names not yet expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    /// `None` is any.
    AddressFamily(Option<Family>),
    Algorithms(Choice),
    AliveCount(u32),
    AliveInterval(Duration),
    BatchMode(bool),
    BindAddress(IpAddr),
    /// `CanonicalizeHostname` or what belongs to it: for ssh.
    Canonical,
    CertificateFile(String),
    Compression(bool),
    /// Zero is no limit; `None` is as if nothing had been said.
    ConnectTimeout(Option<Duration>),
    ConnectionAttempts(u32),
    GlobalKnownHosts(Vec<String>),
    HashKnownHosts(bool),
    HostKeyAlias(String),
    HostName(String),
    IdentitiesOnly(bool),
    IdentityAgent(String),
    IdentityFile(String),
    KbdInteractive(bool),
    Password(bool),
    PreferredAuthentications(Vec<Method>),
    Pubkey(bool),
    Port(u16),
    Proxy(Proxy),
    /// Patterns; one after `-` takes back what went before.
    SendEnv(Vec<String>),
    /// Names and values.
    SetEnv(Vec<(String, String)>),
    StrictHostKeyChecking(HostKeyPolicy),
    Tag(String),
    User(String),
    UserKnownHosts(Vec<String>),
}

/// What carries the connection to a host; `ProxyJump` and `ProxyCommand` are two words for it, and the first one counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// Nothing: it goes over the network.
    None,
    /// These jump hosts, in the order in which they are passed.
    Jump(Vec<Spec>),
    /// A command, for the user's shell.
    Command(String),
}

/// What a keyword and its arguments come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A setting.
    Set(Setting),
    /// A setting, and something to say about it.
    SetWith(Setting, &'static str),
    /// `Host`, `Match`, `Include` or `IgnoreUnknown`: not a setting, but the file's own business.
    Structure(Key),
    /// Nothing that matters here.
    Nothing,
    /// A keyword that gsctl cannot honour, switched off: what comes later for it does not count.
    Off(&'static str),
    /// Something that matters, and that gsctl cannot do yet.
    Unsupported,
    /// No connection can be made: a choice of algorithms leaves none, or the file says so. The text says why.
    Impossible(Option<Kind>, String),
    /// Not a keyword.
    Unknown,
}

/// What a line says.
pub(super) fn meaning(keyword: &str, arguments: &[String]) -> Result<Meaning, String> {
    let Some((name, effect)) = keywords::find(keyword) else { return Ok(Meaning::Unknown) };
    let first = arguments.first().ok_or_else(|| format!("`{name}` wants a value"))?;
    match effect {
        Effect::Ignored(_) => Ok(Meaning::Nothing),
        Effect::RefusedUnless(values, _) if values.iter().any(|value| value.eq_ignore_ascii_case(first)) => {
            Ok(Meaning::Off(name))
        }
        Effect::RefusedUnless(..) => Ok(Meaning::Unsupported),
        Effect::Honoured(key @ (Key::Host | Key::Match | Key::Include | Key::IgnoreUnknown)) => {
            Ok(Meaning::Structure(key))
        }
        Effect::Honoured(Key::UserKnownHostsFile) => {
            files(name, arguments)?;
            templates(arguments, Setting::UserKnownHosts(arguments.to_vec()))
        }
        Effect::Honoured(Key::GlobalKnownHostsFile) => {
            files(name, arguments)?;
            templates(arguments, Setting::GlobalKnownHosts(arguments.to_vec()))
        }
        Effect::Honoured(Key::Canonical) => Ok(Meaning::Set(Setting::Canonical)),
        Effect::Honoured(Key::ProxyJump) => jump(first),
        Effect::Honoured(Key::RefuseConnection) => {
            Ok(Meaning::Impossible(None, format!("`RefuseConnection`: {}", arguments.join(" "))))
        }
        Effect::Honoured(Key::ProxyCommand) => command(first),
        Effect::Honoured(Key::SendEnv) if arguments.iter().any(|name| name.contains('=')) => {
            Err("`SendEnv` wants names; values are for `SetEnv`".to_owned())
        }
        Effect::Honoured(Key::SendEnv) => Ok(Meaning::Set(Setting::SendEnv(arguments.to_vec()))),
        Effect::Honoured(Key::SetEnv) => set_env(arguments),
        Effect::Honoured(key) => {
            if let Some(extra) = arguments.get(1) {
                return Err(format!("`{name}` takes one value; `{extra}` is one too many"));
            }
            single(key, first).map_err(|want| format!("`{name}` wants {want}, not `{first}`"))?.check(arguments)
        }
    }
}

/// Names of files, as ssh takes them.
fn files(keyword: &str, arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(String::is_empty) {
        return Err(format!("`{keyword}` wants names of files; one is empty"));
    }
    if arguments.len() > 1 && arguments.iter().any(|file| file.eq_ignore_ascii_case("none")) {
        return Err(format!("`{keyword}`: `none` stands alone"));
    }
    Ok(())
}

impl Meaning {
    /// The same, unless its value has tokens that cannot be expanded.
    fn check(self, arguments: &[String]) -> Result<Self, String> {
        match self {
            Self::Set(
                setting @ (Setting::CertificateFile(_) | Setting::IdentityFile(_) | Setting::IdentityAgent(_)),
            ) => templates(arguments, setting),
            other => Ok(other),
        }
    }
}

fn templates(arguments: &[String], setting: Setting) -> Result<Meaning, String> {
    for argument in arguments {
        match tokens::check(argument) {
            Ok(true) => {}
            Ok(false) => return Ok(Meaning::Unsupported),
            // ssh sees to tokens only where the value is for the host.
            Err(said) => return Ok(Meaning::Impossible(None, said)),
        }
    }
    Ok(Meaning::Set(setting))
}

fn jump(text: &str) -> Result<Meaning, String> {
    if text.contains('%') {
        return Ok(Meaning::Unsupported);
    }
    let hops = parse_jump(text).map_err(|error| format!("`ProxyJump {text}`: {}", error.message))?;
    Ok(Meaning::Set(Setting::Proxy(if hops.is_empty() { Proxy::None } else { Proxy::Jump(hops) })))
}

fn command(text: &str) -> Result<Meaning, String> {
    if text.is_empty() {
        return Err("`ProxyCommand` wants a value".to_owned());
    }
    if text.eq_ignore_ascii_case("none") {
        return Ok(Meaning::Set(Setting::Proxy(Proxy::None)));
    }
    if let Err(said) = tokens::check_command(text) {
        return Ok(Meaning::Impossible(None, said));
    }
    Ok(Meaning::Set(Setting::Proxy(Proxy::Command(text.to_owned()))))
}

/// A keyword of one value. The error says what is wanted instead.
fn single(key: Key, text: &str) -> Result<Meaning, &'static str> {
    const SECONDS: &str = "a time such as `10` or `1m30s`";
    const NAME: &str = "a name";
    let name = || if text.is_empty() { Err(NAME) } else { Ok(text.to_owned()) };
    Ok(Meaning::Set(match key {
        Key::AddressFamily => Setting::AddressFamily(match text.to_ascii_lowercase().as_str() {
            "any" => None,
            "inet" => Some(Family::V4),
            "inet6" => Some(Family::V6),
            _ => return Err("`any`, `inet` or `inet6`"),
        }),
        Key::Ciphers => return Ok(algorithms(Kind::Cipher, text)),
        Key::HostKeyAlgorithms => return Ok(algorithms(Kind::HostKey, text)),
        Key::KexAlgorithms => return Ok(algorithms(Kind::Kex, text)),
        Key::MACs => return Ok(algorithms(Kind::Mac, text)),
        Key::BindAddress => match text.parse() {
            Ok(address) => Setting::BindAddress(address),
            Err(_) => return Ok(Meaning::Unsupported),
        },
        Key::BatchMode => Setting::BatchMode(flag(text)?),
        Key::Compression => Setting::Compression(flag(text)?),
        Key::ConnectTimeout if text == "none" => Setting::ConnectTimeout(None),
        Key::ConnectTimeout => Setting::ConnectTimeout(Some(duration(text).ok_or(SECONDS)?)),
        Key::ConnectionAttempts => {
            const WANT: &str = "a number from 1";
            Setting::ConnectionAttempts(text.parse().ok().filter(|&n| n > 0).ok_or(WANT)?)
        }
        Key::HashKnownHosts => Setting::HashKnownHosts(flag(text)?),
        Key::HostKeyAlias => Setting::HostKeyAlias(name()?),
        Key::HostName => {
            if !tokens::only_host(text) {
                return Err("a name or address; of tokens only %h and %%");
            }
            Setting::HostName(name()?)
        }
        Key::IdentitiesOnly => Setting::IdentitiesOnly(flag(text)?),
        Key::IdentityAgent => {
            const WANT: &str = "a socket, `none`, `SSH_AUTH_SOCK` or `$NAME`";
            let variable = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            match text.strip_prefix('$') {
                Some(rest) if !rest.starts_with('{') && !variable(rest) => return Err(WANT),
                _ => Setting::IdentityAgent(name()?),
            }
        }
        Key::IdentityFile => Setting::IdentityFile(name()?),
        Key::CertificateFile => Setting::CertificateFile(name()?),
        Key::KbdInteractiveAuthentication => Setting::KbdInteractive(flag(text)?),
        Key::PasswordAuthentication => Setting::Password(flag(text)?),
        Key::PreferredAuthentications => return Ok(methods(text)),
        // The two ways that ssh can bind a login to the host: gsctl does as old ssh did.
        Key::PubkeyAuthentication if ["unbound", "host-bound"].contains(&text.to_ascii_lowercase().as_str()) => {
            Setting::Pubkey(true)
        }
        Key::PubkeyAuthentication => Setting::Pubkey(flag(text)?),
        Key::Port => Setting::Port(text.parse().ok().filter(|&port| port > 0).ok_or("a number from 1 to 65535")?),
        Key::ServerAliveCountMax => Setting::AliveCount(text.parse().map_err(|_| "a number")?),
        Key::ServerAliveInterval if text.eq_ignore_ascii_case("none") => Setting::AliveInterval(Duration::ZERO),
        Key::ServerAliveInterval => Setting::AliveInterval(duration(text).ok_or(SECONDS)?),
        Key::StrictHostKeyChecking => return strictness(text),
        Key::Tag => Setting::Tag(text.to_owned()),
        Key::User => Setting::User(name()?),
        Key::Canonical
        | Key::GlobalKnownHostsFile
        | Key::Host
        | Key::IgnoreUnknown
        | Key::Include
        | Key::Match
        | Key::ProxyCommand
        | Key::ProxyJump
        | Key::RefuseConnection
        | Key::SendEnv
        | Key::SetEnv
        | Key::UserKnownHostsFile => return Ok(Meaning::Nothing),
    }))
}

fn algorithms(kind: Kind, text: &str) -> Meaning {
    match Choice::parse(kind, text) {
        Ok(choice) => Meaning::Set(Setting::Algorithms(choice)),
        Err(said) => Meaning::Impossible(Some(kind), said),
    }
}

fn set_env(arguments: &[String]) -> Result<Meaning, String> {
    let pair = |argument: &String| match argument.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`SetEnv` wants NAME=VALUE, not `{argument}`")),
    };
    Ok(Meaning::Set(Setting::SetEnv(arguments.iter().map(pair).collect::<Result<_, _>>()?)))
}

fn strictness(text: &str) -> Result<Meaning, &'static str> {
    let policy = match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => HostKeyPolicy::Strict,
        "accept-new" => HostKeyPolicy::AcceptNew,
        "no" | "off" | "false" => HostKeyPolicy::Off,
        "ask" => {
            let note = "gsctl does not ask about host keys: `ask` means `yes`, and only recorded keys are accepted";
            return Ok(Meaning::SetWith(Setting::StrictHostKeyChecking(HostKeyPolicy::Strict), note));
        }
        _ => return Err("`yes`, `accept-new`, `no` or `ask`"),
    };
    Ok(Meaning::Set(Setting::StrictHostKeyChecking(policy)))
}

/// The ways to log in, in order. ssh passes over names that it does not know, and so over those of gsctl's lack.
fn methods(text: &str) -> Meaning {
    let methods: Vec<Method> = text.split(',').filter_map(|name| Method::named(name.trim())).collect();
    if methods.is_empty() {
        let why = format!(
            "`PreferredAuthentications` wants some of `publickey`, `keyboard-interactive` and `password`, not `{text}`"
        );
        return Meaning::Impossible(None, why);
    }
    Meaning::Set(Setting::PreferredAuthentications(methods))
}

fn flag(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("`yes` or `no`"),
    }
}

/// ssh's times: `90`, `1m30s`, `2h`, `1w2d`.
fn duration(text: &str) -> Option<Duration> {
    let mut total = 0_u64;
    let mut number: Option<u64> = None;
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(digit))?);
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    if total == 0 && number.is_none() && !text.contains('0') {
        return None;
    }
    // ssh counts these in an int.
    total.checked_add(number.unwrap_or(0)).filter(|&seconds| i32::try_from(seconds).is_ok()).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, want) in [
            ("0", Some(0)),
            ("10", Some(10)),
            ("1m30s", Some(90)),
            ("1m30", Some(90)),
            ("2H", Some(7_200)),
            ("1w2d", Some(777_600)),
            ("0s", Some(0)),
            ("", None),
            ("m", None),
            ("1x", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("99999999999w", None),
        ] {
            assert_eq!(duration(text).map(|d| d.as_secs()), want, "{text:?}");
        }
    }

    #[track_caller]
    fn wrong(keyword: &str, arguments: &[&str], want: &str) {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        assert_eq!(meaning(keyword, &arguments), Err(want.to_owned()));
    }

    #[test]
    fn a_bad_value_is_named_with_its_keyword() {
        wrong("port", &["abc"], "`Port` wants a number from 1 to 65535, not `abc`");
        wrong("Port", &["0"], "`Port` wants a number from 1 to 65535, not `0`");
        wrong("Port", &[], "`Port` wants a value");
        wrong("Port", &["1", "2"], "`Port` takes one value; `2` is one too many");
        wrong(
            "StrictHostKeyChecking",
            &["maybe"],
            "`StrictHostKeyChecking` wants `yes`, `accept-new`, `no` or `ask`, not `maybe`",
        );
        wrong("ConnectTimeout", &["soon"], "`ConnectTimeout` wants a time such as `10` or `1m30s`, not `soon`");
        wrong("IdentitiesOnly", &["1"], "`IdentitiesOnly` wants `yes` or `no`, not `1`");
        wrong("UserKnownHostsFile", &["none", "b"], "`UserKnownHostsFile`: `none` stands alone");
        wrong("SendEnv", &["A=B"], "`SendEnv` wants names; values are for `SetEnv`");
        wrong(
            "IdentityAgent",
            &["$foo-x"],
            "`IdentityAgent` wants a socket, `none`, `SSH_AUTH_SOCK` or `$NAME`, not `$foo-x`",
        );
        wrong("HostName", &["%p"], "`HostName` wants a name or address; of tokens only %h and %%, not `%p`");
    }
}
