//! One setting: a keyword's arguments as a value.
//!
//! It checks values, and neither expands paths nor decides which setting wins.

use std::net::IpAddr;
use std::time::Duration;

use super::ignored;
use super::keywords::{self, Keyword, KeywordEffect};
use super::tokens;
use crate::credentials::known_hosts::HostKeyPolicy;
use crate::inventory::jump::parse_jump;
use crate::inventory::spec::Spec;
use crate::transport::algorithms::{AlgorithmChoice, AlgorithmKind};
use crate::transport::target::{Family, Method};

/// A setting as it stands in a file or an option; paths and names not yet expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConfigValue {
    /// `None` is any.
    AddressFamily(Option<Family>),
    Algorithms(AlgorithmChoice),
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
    Proxy(ProxyRoute),
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
pub enum ProxyRoute {
    /// Nothing: it goes over the network.
    None,
    /// These jump hosts, in the order in which they are passed.
    Jump(Vec<Spec>),
    /// A command, for the user's shell.
    Command(String),
}

/// What a keyword and its arguments come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LineMeaning {
    /// A setting.
    Set(ConfigValue),
    /// A setting, and something to say about it.
    SetWith(ConfigValue, &'static str),
    /// `Host`, `Match`, `Include` or `IgnoreUnknown`: not a setting, but the file's own business.
    Structure(Keyword),
    /// Nothing that matters here.
    Nothing,
    /// A keyword that gsctl cannot honour, switched off: what comes later for it does not count.
    Off(&'static str),
    /// Something that matters, and that gsctl cannot do yet.
    Unsupported,
    /// No connection can be made: a choice of algorithms leaves none, or the file says so. The text says why.
    Impossible(Option<AlgorithmKind>, String),
    /// Not a keyword.
    Unknown,
}

/// What a line says.
pub(super) fn meaning(keyword: &str, arguments: &[String]) -> Result<LineMeaning, String> {
    let Some((name, effect)) = keywords::find(keyword) else { return Ok(LineMeaning::Unknown) };
    let first = arguments.first().ok_or_else(|| format!("`{name}` wants a value"))?;
    match effect {
        KeywordEffect::Ignored(_) => ignored::check(name, first).map(|()| LineMeaning::Nothing),
        KeywordEffect::RefusedUnless(values, _) if values.iter().any(|value| value.eq_ignore_ascii_case(first)) => {
            Ok(LineMeaning::Off(name))
        }
        KeywordEffect::RefusedUnless(..) => Ok(LineMeaning::Unsupported),
        KeywordEffect::Honoured(key @ (Keyword::Host | Keyword::Match | Keyword::Include | Keyword::IgnoreUnknown)) => {
            Ok(LineMeaning::Structure(key))
        }
        KeywordEffect::Honoured(Keyword::UserKnownHostsFile) => {
            files(name, arguments)?;
            Ok(templates(arguments, ConfigValue::UserKnownHosts(arguments.to_vec())))
        }
        KeywordEffect::Honoured(Keyword::GlobalKnownHostsFile) => {
            files(name, arguments)?;
            Ok(templates(arguments, ConfigValue::GlobalKnownHosts(arguments.to_vec())))
        }
        KeywordEffect::Honoured(Keyword::Canonical) => Ok(LineMeaning::Set(ConfigValue::Canonical)),
        KeywordEffect::Honoured(Keyword::ProxyJump) => jump(first),
        KeywordEffect::Honoured(Keyword::RefuseConnection) => {
            Ok(LineMeaning::Impossible(None, format!("`RefuseConnection`: {}", arguments.join(" "))))
        }
        KeywordEffect::Honoured(Keyword::ProxyCommand) => command(first),
        KeywordEffect::Honoured(Keyword::SendEnv) if arguments.iter().any(|name| name.contains('=')) => {
            Err("`SendEnv` wants names; values are for `SetEnv`".to_owned())
        }
        KeywordEffect::Honoured(Keyword::SendEnv) => Ok(LineMeaning::Set(ConfigValue::SendEnv(arguments.to_vec()))),
        KeywordEffect::Honoured(Keyword::SetEnv) => set_env(arguments),
        KeywordEffect::Honoured(key) => {
            if let Some(extra) = arguments.get(1) {
                return Err(format!("`{name}` takes one value; `{extra}` is one too many"));
            }
            Ok(single(key, first).map_err(|want| format!("`{name}` wants {want}, not `{first}`"))?.check(arguments))
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

impl LineMeaning {
    /// The same, unless its value has tokens that cannot be expanded.
    fn check(self, arguments: &[String]) -> Self {
        match self {
            Self::Set(
                setting @ (ConfigValue::CertificateFile(_)
                | ConfigValue::IdentityFile(_)
                | ConfigValue::IdentityAgent(_)),
            ) => templates(arguments, setting),
            other => other,
        }
    }
}

fn templates(arguments: &[String], setting: ConfigValue) -> LineMeaning {
    for argument in arguments {
        match tokens::check(argument) {
            Ok(true) => {}
            Ok(false) => return LineMeaning::Unsupported,
            // ssh sees to tokens only where the value is for the host.
            Err(said) => return LineMeaning::Impossible(None, said),
        }
    }
    LineMeaning::Set(setting)
}

fn jump(text: &str) -> Result<LineMeaning, String> {
    if text.contains('%') {
        return Ok(LineMeaning::Unsupported);
    }
    if text.contains(['"', '\'']) {
        let why = format!("`ProxyJump {text}`: the quotes are a part of the name, as for ssh; leave them out");
        return Ok(LineMeaning::Impossible(None, why));
    }
    let hops = parse_jump(text).map_err(|error| format!("`ProxyJump {text}`: {}", error.message))?;
    Ok(LineMeaning::Set(ConfigValue::Proxy(if hops.is_empty() { ProxyRoute::None } else { ProxyRoute::Jump(hops) })))
}

fn command(text: &str) -> Result<LineMeaning, String> {
    if text.is_empty() {
        return Err("`ProxyCommand` wants a value".to_owned());
    }
    if text.eq_ignore_ascii_case("none") {
        return Ok(LineMeaning::Set(ConfigValue::Proxy(ProxyRoute::None)));
    }
    if let Err(said) = tokens::check_command(text) {
        return Ok(LineMeaning::Impossible(None, said));
    }
    Ok(LineMeaning::Set(ConfigValue::Proxy(ProxyRoute::Command(text.to_owned()))))
}

/// A keyword of one value. The error says what is wanted instead.
fn single(key: Keyword, text: &str) -> Result<LineMeaning, &'static str> {
    const SECONDS: &str = "a time such as `10` or `1m30s`";
    const NAME: &str = "a name";
    let name = || if text.is_empty() { Err(NAME) } else { Ok(text.to_owned()) };
    Ok(LineMeaning::Set(match key {
        Keyword::AddressFamily => ConfigValue::AddressFamily(match text.to_ascii_lowercase().as_str() {
            "any" => None,
            "inet" => Some(Family::V4),
            "inet6" => Some(Family::V6),
            _ => return Err("`any`, `inet` or `inet6`"),
        }),
        Keyword::Ciphers => return Ok(algorithms(AlgorithmKind::Cipher, text)),
        Keyword::HostKeyAlgorithms => return Ok(algorithms(AlgorithmKind::HostKey, text)),
        Keyword::KexAlgorithms => return Ok(algorithms(AlgorithmKind::Kex, text)),
        Keyword::MACs => return Ok(algorithms(AlgorithmKind::Mac, text)),
        Keyword::BindAddress => match text.parse() {
            Ok(address) => ConfigValue::BindAddress(address),
            Err(_) => return Ok(LineMeaning::Unsupported),
        },
        Keyword::BatchMode => ConfigValue::BatchMode(flag(text)?),
        Keyword::Compression => ConfigValue::Compression(flag(text)?),
        Keyword::ConnectTimeout if text == "none" => ConfigValue::ConnectTimeout(None),
        Keyword::ConnectTimeout => ConfigValue::ConnectTimeout(Some(duration(text).ok_or(SECONDS)?)),
        Keyword::ConnectionAttempts => {
            const WANT: &str = "a number from 1";
            ConfigValue::ConnectionAttempts(text.parse().ok().filter(|&n| n > 0).ok_or(WANT)?)
        }
        Keyword::HashKnownHosts => ConfigValue::HashKnownHosts(flag(text)?),
        Keyword::HostKeyAlias => ConfigValue::HostKeyAlias(name()?),
        Keyword::HostName => {
            if !tokens::only_host(text) {
                return Err("a name or address; of tokens only %h and %%");
            }
            ConfigValue::HostName(name()?)
        }
        Keyword::IdentitiesOnly => ConfigValue::IdentitiesOnly(flag(text)?),
        Keyword::IdentityAgent => {
            const WANT: &str = "a socket, `none`, `SSH_AUTH_SOCK` or `$NAME`";
            let variable = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            match text.strip_prefix('$') {
                Some(rest) if !rest.starts_with('{') && !variable(rest) => return Err(WANT),
                _ => ConfigValue::IdentityAgent(name()?),
            }
        }
        Keyword::IdentityFile => ConfigValue::IdentityFile(name()?),
        Keyword::CertificateFile => ConfigValue::CertificateFile(name()?),
        Keyword::KbdInteractiveAuthentication => ConfigValue::KbdInteractive(flag(text)?),
        Keyword::PasswordAuthentication => ConfigValue::Password(flag(text)?),
        Keyword::PreferredAuthentications => return Ok(methods(text)),
        // The two ways that ssh can bind a login to the host: gsctl does as old ssh did.
        Keyword::PubkeyAuthentication if ["unbound", "host-bound"].contains(&text.to_ascii_lowercase().as_str()) => {
            ConfigValue::Pubkey(true)
        }
        Keyword::PubkeyAuthentication => ConfigValue::Pubkey(flag(text)?),
        Keyword::Port => {
            ConfigValue::Port(text.parse().ok().filter(|&port| port > 0).ok_or("a number from 1 to 65535")?)
        }
        Keyword::ServerAliveCountMax => ConfigValue::AliveCount(text.parse().map_err(|_| "a number")?),
        Keyword::ServerAliveInterval if text.eq_ignore_ascii_case("none") => ConfigValue::AliveInterval(Duration::ZERO),
        Keyword::ServerAliveInterval => ConfigValue::AliveInterval(duration(text).ok_or(SECONDS)?),
        Keyword::StrictHostKeyChecking => return strictness(text),
        Keyword::Tag => ConfigValue::Tag(text.to_owned()),
        Keyword::User => ConfigValue::User(name()?),
        Keyword::Canonical
        | Keyword::GlobalKnownHostsFile
        | Keyword::Host
        | Keyword::IgnoreUnknown
        | Keyword::Include
        | Keyword::Match
        | Keyword::ProxyCommand
        | Keyword::ProxyJump
        | Keyword::RefuseConnection
        | Keyword::SendEnv
        | Keyword::SetEnv
        | Keyword::UserKnownHostsFile => return Ok(LineMeaning::Nothing),
    }))
}

fn algorithms(kind: AlgorithmKind, text: &str) -> LineMeaning {
    match AlgorithmChoice::parse(kind, text) {
        Ok(choice) => LineMeaning::Set(ConfigValue::Algorithms(choice)),
        Err(said) => LineMeaning::Impossible(Some(kind), said),
    }
}

fn set_env(arguments: &[String]) -> Result<LineMeaning, String> {
    let pair = |argument: &String| match argument.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`SetEnv` wants NAME=VALUE, not `{argument}`")),
    };
    Ok(LineMeaning::Set(ConfigValue::SetEnv(arguments.iter().map(pair).collect::<Result<_, _>>()?)))
}

fn strictness(text: &str) -> Result<LineMeaning, &'static str> {
    let policy = match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => HostKeyPolicy::Strict,
        "accept-new" => HostKeyPolicy::AcceptNew,
        "no" | "off" | "false" => HostKeyPolicy::Off,
        "ask" => {
            let note = "gsctl does not ask about host keys: `ask` means `yes`, and only recorded keys are accepted";
            return Ok(LineMeaning::SetWith(ConfigValue::StrictHostKeyChecking(HostKeyPolicy::Strict), note));
        }
        _ => return Err("`yes`, `accept-new`, `no` or `ask`"),
    };
    Ok(LineMeaning::Set(ConfigValue::StrictHostKeyChecking(policy)))
}

/// The ways to log in, in order. ssh passes over names that it does not know, and so over those of gsctl's lack.
fn methods(text: &str) -> LineMeaning {
    let methods: Vec<Method> = text.split(',').filter_map(|name| Method::named(name.trim())).collect();
    if methods.is_empty() {
        let why = format!(
            "`PreferredAuthentications` wants some of `publickey`, `keyboard-interactive` and `password`, not `{text}`"
        );
        return LineMeaning::Impossible(None, why);
    }
    LineMeaning::Set(ConfigValue::PreferredAuthentications(methods))
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
