//! Settings for a host from `ssh_config` files and `-o` options, as ssh reads them.
//!
//! It reads the local files once, when loaded, and contacts nobody. Whatever it finds and cannot give is named, never
//! passed over: an error for an option, a warning for a line of a file.
//!
//! Why not the `ssh2-config` crate (0.9.0): in a block it lets the last of two values win where ssh takes the first;
//! it skips a `Match` line but not what stands under it, which then applies to the `Host` block above; its errors
//! have neither file nor line; one value that it does not know (`AddKeysToAgent confirm`) makes the whole file an
//! error; and `StrictHostKeyChecking`, `UserKnownHostsFile`, `HostKeyAlias`, `IdentitiesOnly` and
//! `ServerAliveCountMax` are not among what it reads.

mod file;
mod keywords;
mod tokens;
mod value;
mod words;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::file::{About, Block, Condition, Item, Owner, Reader, Subject, Warning};
use self::tokens::Tokens;
pub use self::value::Proxy;
use self::value::Setting;
use super::algorithms::Offer;
use super::known_hosts::HostKeyPolicy;
use super::known_hosts::pattern::{matches_list, matches_pattern};
use super::target::{Family, Method};

/// The file of all users of this machine.
const SYSTEM_FILE: &str = "/etc/ssh/ssh_config";

/// The port that ssh uses when none is set.
const DEFAULT_PORT: u16 = 22;

/// What is wrong with a file or an option. Nothing has been contacted: exit status 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named, or is there, cannot be read.
    #[error("ssh config `{}`: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could write the user's own file.
    #[error("ssh config `{}` has mode {mode:03o} or another owner: others could write it", file.display())]
    Permissions {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line says what cannot be understood.
    #[error("ssh config `{}`, line {line}: {message}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// An `-o` option is wrong, or cannot be honoured.
    #[error("ssh option `{option}`: {message}")]
    Option {
        /// The option as given.
        option: String,
        /// What is wrong.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
}

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

impl ConfigError {
    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Permissions { file, .. } => Some(format!("chmod 600 {}", file.display())),
            Self::Option { hint, .. } => hint.clone(),
            Self::Unreadable { .. } | Self::Line { .. } => None,
        }
    }
}

/// Something in a file that is meant for a host, and that gsctl cannot give it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhonoured {
    /// The keyword as the manual spells it.
    pub keyword: String,
    /// Its value as it stands in the file.
    pub value: String,
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
}

impl Unhonoured {
    /// What it means for the host, and what to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        if self.keyword == "Match" { "its block has no effect" } else { keywords::hint(&self.keyword) }
    }
}

/// A line under which no connection to its hosts can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impossible {
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// Why.
    pub message: String,
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ssh config `{}`, line {}: {}", self.file.display(), self.line, self.message)
    }
}

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
pub struct Given<'a> {
    /// The user.
    pub user: Option<&'a str>,
    /// The port.
    pub port: Option<u16>,
    /// The address to connect to.
    pub address: Option<&'a str>,
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
    pub proxy: Option<Proxy>,
    /// `Compression`
    pub compression: bool,
    /// `HostKeyAlgorithms`, `KexAlgorithms`, `Ciphers` and `MACs`
    pub algorithms: Offer,
    /// `AddressFamily`; `None` is any.
    pub family: Option<Family>,
    /// `BindAddress`
    pub bind: Option<IpAddr>,
    /// Patterns of `SendEnv`, for names in gsctl's own environment.
    pub send_env: Vec<String>,
    /// `SetEnv`: names and values.
    pub set_env: Vec<(String, String)>,
    /// Why the host cannot be connected to under what a file says.
    pub impossible: Option<Impossible>,
    /// What a file says about this host and gsctl cannot honour.
    pub unhonoured: Vec<Unhonoured>,
}

/// `ssh_config` files and options, read once for a run.
#[derive(Debug)]
pub struct SshConfig {
    blocks: Vec<Block>,
    /// How many of the blocks, from the front, are `-o` options.
    from_options: usize,
    warnings: Vec<Warning>,
    names: Vec<String>,
    home: PathBuf,
    local_user: String,
    uid: u32,
}

impl SshConfig {
    /// Reads `file` (`-F`; `none` is no file), or else `~/.ssh/config` and `/etc/ssh/ssh_config`, under the `-o`
    /// options, which win.
    ///
    /// # Errors
    ///
    /// When `file` is missing, a file cannot be read or understood, others can write `~/.ssh/config`, or an option is
    /// wrong, unknown or cannot be honoured.
    pub fn load(file: Option<&Path>, home: &Path, options: &[String]) -> Result<Self, ConfigError> {
        Self::load_from(file, home, options, Path::new(SYSTEM_FILE))
    }

    fn load_from(file: Option<&Path>, home: &Path, options: &[String], system: &Path) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(home);
        for option in options {
            reader.option(option)?;
        }
        let from_options = reader.blocks.len();
        match file {
            Some(file) if file == Path::new("none") => {}
            Some(file) => reader.file(file, Owner::User)?,
            None => {
                reader.user_file(&home.join(".ssh/config"))?;
                if system.exists() {
                    reader.file(system, Owner::System)?;
                }
            }
        }
        let uid = rustix::process::getuid().as_raw();
        Ok(Self {
            blocks: reader.blocks,
            from_options,
            warnings: reader.warnings,
            names: reader.names,
            home: home.to_owned(),
            local_user: local_user(uid).unwrap_or_else(|| uid.to_string()),
            uid,
        })
    }

    /// The user that runs gsctl, for `%u`, `Match localuser` and hosts without a user. Without this it is the name
    /// that `/etc/passwd` has.
    #[must_use]
    pub fn with_local_user(mut self, name: impl Into<String>) -> Self {
        self.local_user = name.into();
        self
    }

    /// The user that runs gsctl, and so the user on a host for which nothing else is said.
    #[must_use]
    pub fn local_user(&self) -> &str {
        &self.local_user
    }

    /// The hosts that `Host` lines name, each once and in their order; patterns name none.
    #[must_use]
    pub fn hosts(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let names = self.names.iter().map(String::as_str);
        names.filter(|name| !name.contains(['*', '?', '!']) && seen.insert(*name)).collect()
    }

    /// What was found in files and cannot be honoured, once a keyword, with file and line. It is about all hosts that
    /// the files name; what concerns one host is in its [`SshOptions::unhonoured`].
    #[must_use]
    pub fn warnings(&self) -> Vec<&str> {
        self.warnings.iter().map(|warning| warning.text.as_str()).collect()
    }

    /// Those of [`Self::warnings`] that no host's [`SshOptions::unhonoured`] repeats.
    #[must_use]
    pub fn general_warnings(&self) -> Vec<&str> {
        let general = self.warnings.iter().filter(|warning| warning.about == About::Everything);
        general.map(|warning| warning.text.as_str()).collect()
    }

    /// The settings of a host, by the name that it was asked for.
    #[must_use]
    pub fn resolve(&self, host: &str) -> SshOptions {
        self.resolve_with(host, &Given::default())
    }

    /// The same, where some settings are given by what is stronger. They are in the answer too.
    #[must_use]
    pub fn resolve_with(&self, host: &str, given: &Given<'_>) -> SshOptions {
        let mut options = SshOptions {
            host_name: given.address.map(str::to_owned),
            user: given.user.map(str::to_owned),
            port: given.port,
            ..SshOptions::default()
        };
        let mut draft = Draft::default();
        for (number, block) in self.blocks.iter().enumerate() {
            let foreign = given.as_jump && number < self.from_options;
            match self.applies(&block.conditions, host, &options) {
                Applies::Yes => {
                    for item in block.items.iter().filter(|item| !foreign || !item.is_about_one_host()) {
                        draft.take(item, host, &mut options);
                    }
                }
                Applies::No => {}
                Applies::Undecided(matching) => {
                    if !options.unhonoured.contains(matching) {
                        options.unhonoured.push(matching.clone());
                    }
                }
            }
        }
        self.expand(draft, host, &mut options);
        options
    }

    fn applies<'a>(&self, conditions: &'a [Condition], host: &str, options: &SshOptions) -> Applies<'a> {
        let mut undecided = None;
        for condition in conditions {
            let holds = match condition {
                Condition::Host(patterns) => matches_list(patterns, host),
                Condition::Match(criteria, place) => criteria.iter().all(|criterion| match criterion.subject {
                    Subject::All => !criterion.negated,
                    Subject::Host => criterion.holds(options.host_name.as_deref().unwrap_or(host)),
                    Subject::OriginalHost => criterion.holds(host),
                    Subject::User => criterion.holds(options.user.as_deref().unwrap_or(&self.local_user)),
                    Subject::LocalUser => criterion.holds(&self.local_user),
                    Subject::Undecided => {
                        undecided.get_or_insert(place);
                        true
                    }
                }),
            };
            if !holds {
                return Applies::No;
            }
        }
        undecided.map_or(Applies::Yes, |place| Applies::Undecided(place))
    }

    /// Expands what could not be before user, port and name were settled.
    fn expand(&self, draft: Draft<'_>, host: &str, options: &mut SshOptions) {
        let alias = options.host_key_alias.clone();
        let name = options.host_name.clone();
        let user = options.user.clone();
        let tokens = Tokens {
            original: host,
            host: name.as_deref().unwrap_or(host),
            port: options.port.unwrap_or(DEFAULT_PORT),
            remote_user: user.as_deref().unwrap_or(&self.local_user),
            key_alias: alias.as_deref().unwrap_or(host),
            local_user: &self.local_user,
            uid: self.uid,
            home: &self.home,
        };
        let is_none = |text: &str| text.eq_ignore_ascii_case("none");
        let paths = |list: &[String]| -> Vec<PathBuf> {
            list.iter().filter(|text| !is_none(text)).map(|text| tokens.path(text)).collect()
        };
        options.identities_given = !draft.identity_files.is_empty();
        for text in draft.identity_files {
            let path = tokens.path(text);
            if !is_none(text) && !options.identity_files.contains(&path) {
                options.identity_files.push(path);
            }
        }
        options.certificate_files =
            draft.certificate_files.iter().filter(|t| !is_none(t)).map(|t| tokens.path(t)).collect();
        let wanted = |method: &Method| {
            let switch = match method {
                Method::PublicKey => draft.pubkey,
                Method::KeyboardInteractive => draft.kbd_interactive,
                Method::Password => draft.password,
            };
            switch != Some(false)
        };
        let switches = [draft.pubkey, draft.kbd_interactive, draft.password];
        if draft.methods.is_some() || switches.iter().any(Option::is_some) {
            options.methods = Some(draft.methods.unwrap_or(&Method::ALL).iter().copied().filter(wanted).collect());
        }
        options.proxy = draft.proxy.map(|proxy| match proxy {
            Proxy::Command(text) => Proxy::Command(tokens.command(text)),
            Proxy::None | Proxy::Jump(_) => proxy.clone(),
        });
        options.user_known_hosts = draft.user_known_hosts.map(paths);
        options.global_known_hosts = draft.global_known_hosts.map(paths);
        options.identity_agent = draft.identity_agent.map(|text| match text.strip_prefix('$') {
            _ if is_none(text) => IdentityAgent::Off,
            _ if text == "SSH_AUTH_SOCK" => IdentityAgent::Variable(text.to_owned()),
            Some(variable) if !variable.starts_with('{') => IdentityAgent::Variable(variable.to_owned()),
            _ => IdentityAgent::Socket(tokens.path(text)),
        });
    }
}

impl SshOptions {
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

enum Applies<'a> {
    Yes,
    No,
    Undecided(&'a Unhonoured),
}

/// Values that won, and wait for the tokens' meaning.
#[derive(Default)]
struct Draft<'a> {
    identity_files: Vec<&'a str>,
    certificate_files: Vec<&'a str>,
    methods: Option<&'a [Method]>,
    pubkey: Option<bool>,
    kbd_interactive: Option<bool>,
    password: Option<bool>,
    user_known_hosts: Option<&'a [String]>,
    global_known_hosts: Option<&'a [String]>,
    identity_agent: Option<&'a str>,
    identities_only: Option<bool>,
    hash_known_hosts: Option<bool>,
    batch_mode: Option<bool>,
    proxy: Option<&'a Proxy>,
    compression: Option<bool>,
    /// `AddressFamily` is decided, be it `any`.
    family_decided: bool,
    /// Keywords that gsctl cannot honour, and whose value for this host has been seen.
    decided: Vec<&'a str>,
}

impl<'a> Draft<'a> {
    /// The first value of a keyword wins; of `IdentityFile` every one counts.
    fn take(&mut self, item: &'a Item, host: &str, options: &mut SshOptions) {
        let setting = match item {
            Item::Set(setting) => setting,
            Item::Impossible(kind, why) => {
                if !options.algorithms.chosen(*kind) {
                    first(&mut options.impossible, why.as_ref().clone());
                }
                return;
            }
            Item::Off(name) => return self.decided.push(name),
            Item::Unhonoured(what) => {
                // As for all others the first value would win.
                if !self.decided.contains(&what.keyword.as_str()) {
                    self.decided.push(&what.keyword);
                    options.unhonoured.push(what.as_ref().clone());
                }
                return;
            }
        };
        match setting {
            Setting::AddressFamily(family) => {
                if !std::mem::replace(&mut self.family_decided, true) {
                    options.family = *family;
                }
            }
            Setting::Algorithms(choice) => options.algorithms.choose(choice),
            Setting::AliveCount(count) => first(&mut options.alive_count, *count),
            Setting::AliveInterval(interval) => first(&mut options.alive_interval, *interval),
            Setting::BatchMode(yes) => {
                first(&mut self.batch_mode, *yes);
                options.batch_mode = self.batch_mode == Some(true);
            }
            Setting::BindAddress(address) => first(&mut options.bind, *address),
            Setting::Compression(yes) => {
                first(&mut self.compression, *yes);
                options.compression = self.compression == Some(true);
            }
            Setting::ConnectTimeout(timeout) => first(&mut options.connect_timeout, *timeout),
            Setting::ConnectionAttempts(attempts) => first(&mut options.connection_attempts, *attempts),
            Setting::GlobalKnownHosts(files) => first(&mut self.global_known_hosts, files.as_slice()),
            Setting::HashKnownHosts(yes) => {
                first(&mut self.hash_known_hosts, *yes);
                options.hash_known_hosts = self.hash_known_hosts == Some(true);
            }
            Setting::HostKeyAlias(alias) => first(&mut options.host_key_alias, alias.clone()),
            Setting::HostName(name) => first(&mut options.host_name, tokens::host_name(name, host)),
            Setting::IdentitiesOnly(yes) => {
                first(&mut self.identities_only, *yes);
                options.identities_only = self.identities_only == Some(true);
            }
            Setting::IdentityAgent(agent) => first(&mut self.identity_agent, agent.as_str()),
            Setting::IdentityFile(file) => self.identity_files.push(file),
            Setting::CertificateFile(file) => self.certificate_files.push(file),
            Setting::PreferredAuthentications(methods) => first(&mut self.methods, methods.as_slice()),
            Setting::Pubkey(yes) => first(&mut self.pubkey, *yes),
            Setting::KbdInteractive(yes) => first(&mut self.kbd_interactive, *yes),
            Setting::Password(yes) => first(&mut self.password, *yes),
            Setting::Proxy(proxy) => first(&mut self.proxy, proxy),
            Setting::Port(port) => first(&mut options.port, *port),
            Setting::SendEnv(patterns) => {
                for pattern in patterns {
                    match pattern.strip_prefix('-') {
                        Some(taken_back) => {
                            options.send_env.retain(|kept| !matches_pattern(taken_back.as_bytes(), kept.as_bytes()));
                        }
                        None => options.send_env.push(pattern.clone()),
                    }
                }
            }
            Setting::SetEnv(pairs) => {
                // Not even of another name: ssh takes one line of them.
                if options.set_env.is_empty() {
                    options.set_env.clone_from(pairs);
                }
            }
            Setting::StrictHostKeyChecking(policy) => first(&mut options.strict_host_key_checking, *policy),
            Setting::User(user) => first(&mut options.user, user.clone()),
            Setting::UserKnownHosts(files) => first(&mut self.user_known_hosts, files.as_slice()),
        }
    }
}

fn first<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

/// The name of a user of this machine.
pub(crate) fn local_user(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests;
