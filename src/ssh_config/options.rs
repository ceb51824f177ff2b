//! The settings of one host, out of everything that `ssh_config` and stronger sources say.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::origin::SourceLine;
use super::problem::{Impossible, Unhonoured};
use super::value::ProxyRoute;
use crate::credentials::known_hosts::HostKeyPolicy;
use crate::credentials::known_hosts::pattern::matches_pattern;
use crate::transport::algorithms::AlgorithmLists;
use crate::transport::target::{Family, Method};

/// The variables of a locale (locale(7)), which `SendEnv` does not send.
const LOCALE: [&str; 15] = [
    "LANG",
    "LANGUAGE",
    "LC_ADDRESS",
    "LC_ALL",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_IDENTIFICATION",
    "LC_MEASUREMENT",
    "LC_MESSAGES",
    "LC_MONETARY",
    "LC_NAME",
    "LC_NUMERIC",
    "LC_PAPER",
    "LC_TELEPHONE",
    "LC_TIME",
];

/// Which agent to ask for keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityAgent {
    /// None.
    Off,
    /// The one whose socket this environment variable names.
    Variable(String),
    /// The one at this socket.
    Socket(PathBuf),
}

/// What stronger sources than `ssh_config` say about a host: the command line and the hosts file. It wins, and tokens
/// stand for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides<'a> {
    /// The user.
    pub user: Option<&'a str>,
    /// The port.
    pub port: Option<u16>,
    /// The address to connect to.
    pub address: Option<&'a str>,
    /// Whether something else than the network carries the connection.
    pub carried: Option<bool>,
    /// It is a jump host: `-o` options that say who, where and through what are about the hosts behind it.
    pub as_jump: bool,
}

/// The settings of one host. `None` is for what nothing sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one keyword")]
pub struct SshOptions {
    /// `HostName`: where to connect.
    pub host_name: Option<String>,
    /// `User`
    pub user: Option<String>,
    /// `Port`
    pub port: Option<u16>,
    /// Every `IdentityFile` that applies, in order.
    pub identity_files: Vec<PathBuf>,
    /// True when some `IdentityFile` applies, be it `none`: the default identities are not tried then.
    pub identities_given: bool,
    /// Every `CertificateFile` that applies, in order.
    pub certificate_files: Vec<PathBuf>,
    /// `PreferredAuthentications`, without what `PubkeyAuthentication`, `KbdInteractiveAuthentication` and
    /// `PasswordAuthentication` switch off.
    pub methods: Option<Vec<Method>>,
    /// `IdentitiesOnly`: of the agent's keys only those in `identity_files`.
    pub identities_only: bool,
    /// `ConnectTimeout`; zero is no limit.
    pub connect_timeout: Option<Duration>,
    /// `ConnectionAttempts`
    pub connection_attempts: Option<u32>,
    /// `ServerAliveInterval`; zero is never.
    pub alive_interval: Option<Duration>,
    /// `ServerAliveCountMax`
    pub alive_count: Option<u32>,
    /// `UserKnownHostsFile`; empty when it is `none`.
    pub user_known_hosts: Option<Vec<PathBuf>>,
    /// `GlobalKnownHostsFile`; empty when it is `none`.
    pub global_known_hosts: Option<Vec<PathBuf>>,
    /// `StrictHostKeyChecking`; `ask` is strict.
    pub strict_host_key_checking: Option<HostKeyPolicy>,
    /// `HostKeyAlias`: looked up in known hosts files instead of the name, without a port.
    pub host_key_alias: Option<String>,
    /// `HashKnownHosts`
    pub hash_known_hosts: bool,
    /// `IdentityAgent`
    pub identity_agent: Option<IdentityAgent>,
    /// `BatchMode`: ask for nothing.
    pub batch_mode: bool,
    /// `ProxyJump` or `ProxyCommand`
    pub proxy: Option<ProxyRoute>,
    /// `Compression`
    pub compression: bool,
    /// `HostKeyAlgorithms`, `KexAlgorithms`, `Ciphers` and `MACs`
    pub algorithms: AlgorithmLists,
    /// `AddressFamily`; `None` is any.
    pub family: Option<Family>,
    /// `BindAddress`
    pub bind: Option<IpAddr>,
    /// Patterns of `SendEnv`, for names in gsctl's own environment.
    pub send_env: Vec<String>,
    /// `SetEnv`: names and values.
    pub set_env: Vec<(String, String)>,
    /// `Tag`
    pub tag: Option<String>,
    /// What was said of each keyword, and where; of several that apply the first.
    pub said: Vec<Arc<SourceLine>>,
    /// Why the host cannot be connected to under what a file says.
    pub impossible: Option<Impossible>,
    /// What a file says about this host and gsctl cannot honour.
    pub unhonoured: Vec<Unhonoured>,
}

impl SshOptions {
    /// What was said of a keyword.
    #[must_use]
    pub fn source_of(&self, keyword: &str) -> Option<&SourceLine> {
        self.said.iter().find(|said| said.keyword == keyword).map(AsRef::as_ref)
    }

    /// What to ask the server to put into the environment of commands, out of this environment and `SetEnv`.
    #[must_use]
    pub fn environment(&self, own: &BTreeMap<String, String>) -> Vec<(String, String)> {
        // Debian's own file sends the locale. What gsctl reads must be in one language, and each variable is a round trip.
        let wanted = |name: &str| {
            !LOCALE.contains(&name) && self.send_env.iter().any(|p| matches_pattern(p.as_bytes(), name.as_bytes()))
        };
        let replaced = |name: &str| self.set_env.iter().any(|(set, _)| set == name);
        let sent = own.iter().filter(|(name, _)| wanted(name) && !replaced(name));
        sent.map(|(name, value)| (name.clone(), value.clone())).chain(self.set_env.iter().cloned()).collect()
    }
}

/// The files in which ssh looks for known hosts when nothing else is set: the user's.
#[must_use]
pub fn default_user_known_hosts(home: &Path) -> Vec<PathBuf> {
    vec![home.join(".ssh/known_hosts"), home.join(".ssh/known_hosts2")]
}

/// The files in which ssh looks for known hosts when nothing else is set: the machine's.
#[must_use]
pub fn default_global_known_hosts() -> Vec<PathBuf> {
    vec!["/etc/ssh/ssh_known_hosts".into(), "/etc/ssh/ssh_known_hosts2".into()]
}
