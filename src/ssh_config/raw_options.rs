//! A host's settings in the making: the first value of a keyword wins, and tokens wait until all are known.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::DEFAULT_PORT;
use super::file::{Entry, Item};
use super::openssh_query::{HostQuery, quoted};
use super::options::{IdentityAgent, Overrides, SshOptions};
use super::origin::SourceLine;
use super::tokens::{self, Tokens};
use super::value::{ConfigValue, ProxyRoute};
use crate::credentials::known_hosts::pattern::matches_pattern;
use crate::transport::target::{Family, Method};

/// Who asks, and from where.
#[derive(Debug)]
pub(super) struct LocalUser {
    pub(super) home: PathBuf,
    pub(super) user: String,
    pub(super) uid: u32,
}

/// Values that won, and wait for the tokens' meaning.
pub(super) struct RawOptions<'a> {
    pub(super) options: SshOptions,
    /// The name asked for.
    pub(super) original: &'a str,
    local: &'a LocalUser,
    carried: Option<bool>,
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
    proxy: Option<&'a ProxyRoute>,
    /// `ProxyJump none`: jump hosts that are named later do not count.
    no_jump: bool,
    compression: Option<bool>,
    /// A file says the host's name, and not something stronger.
    host_name_found: bool,
    /// `AddressFamily` is decided, be it `any`.
    family_decided: bool,
    /// Keywords that gsctl cannot honour, and whose value for this host has been seen.
    decided: Vec<&'a str>,
    /// `CanonicalizeHostname` and its kin, as they were said.
    canonical: Vec<&'a Arc<SourceLine>>,
}

impl<'a> RawOptions<'a> {
    pub(super) fn new(local: &'a LocalUser, original: &'a str, given: &Overrides<'_>) -> Self {
        Self {
            options: SshOptions {
                host_name: given.address.map(str::to_owned),
                user: given.user.map(str::to_owned),
                port: given.port,
                ..SshOptions::default()
            },
            original,
            local,
            carried: given.carried,
            identity_files: Vec::new(),
            certificate_files: Vec::new(),
            methods: None,
            pubkey: None,
            kbd_interactive: None,
            password: None,
            user_known_hosts: None,
            global_known_hosts: None,
            identity_agent: None,
            identities_only: None,
            hash_known_hosts: None,
            batch_mode: None,
            proxy: None,
            no_jump: false,
            compression: None,
            host_name_found: false,
            family_decided: false,
            decided: Vec::new(),
            canonical: Vec::new(),
        }
    }

    /// The first value of a keyword wins; of `IdentityFile` every one counts.
    pub(super) fn take(&mut self, entry: &'a Entry) {
        let options = &mut self.options;
        match &entry.item {
            Item::Set(setting) => {
                let late = matches!(setting, ConfigValue::Proxy(_)) && self.proxy.is_some();
                if !late && options.source_of(entry.said.keyword).is_none() {
                    options.said.push(entry.said.clone());
                }
                self.set(setting, &entry.said);
            }
            Item::Impossible(kind, why) => {
                // What was said before wins, except that every file counts.
                let keyword = entry.said.keyword;
                let settled = match keyword {
                    "IdentityFile" | "CertificateFile" | "RefuseConnection" => false,
                    "ProxyCommand" => self.proxy.is_some(),
                    _ => options.source_of(keyword).is_some(),
                };
                if !settled && !kind.is_some_and(|kind| options.algorithms.chosen(kind)) {
                    first(&mut options.impossible, why.as_ref().clone());
                }
            }
            Item::Off(name) => self.decided.push(name),
            // As for all others the first value would win.
            Item::Unhonoured(what) if self.decided.contains(&what.keyword.as_str()) => {}
            Item::Unhonoured(what) => {
                self.decided.push(&what.keyword);
                options.unhonoured.push(what.as_ref().clone());
            }
        }
    }

    fn set(&mut self, setting: &'a ConfigValue, said: &'a Arc<SourceLine>) {
        let options = &mut self.options;
        match setting {
            ConfigValue::AddressFamily(family) => {
                if !std::mem::replace(&mut self.family_decided, true) {
                    options.family = *family;
                }
            }
            ConfigValue::Algorithms(choice) => options.algorithms.choose(choice),
            ConfigValue::AliveCount(count) => first(&mut options.alive_count, *count),
            ConfigValue::AliveInterval(interval) => first(&mut options.alive_interval, *interval),
            ConfigValue::BatchMode(yes) => options.batch_mode = *self.batch_mode.get_or_insert(*yes),
            ConfigValue::BindAddress(address) => first(&mut options.bind, *address),
            ConfigValue::Canonical => {
                if !self.canonical.iter().any(|other| other.keyword == said.keyword) {
                    self.canonical.push(said);
                }
            }
            ConfigValue::Compression(yes) => options.compression = *self.compression.get_or_insert(*yes),
            ConfigValue::ConnectTimeout(Some(timeout)) => first(&mut options.connect_timeout, *timeout),
            ConfigValue::ConnectTimeout(None) => {}
            ConfigValue::ConnectionAttempts(attempts) => first(&mut options.connection_attempts, *attempts),
            ConfigValue::GlobalKnownHosts(files) => first(&mut self.global_known_hosts, files.as_slice()),
            ConfigValue::HashKnownHosts(yes) => options.hash_known_hosts = *self.hash_known_hosts.get_or_insert(*yes),
            ConfigValue::HostKeyAlias(alias) => first(&mut options.host_key_alias, alias.clone()),
            ConfigValue::HostName(name) => {
                if options.host_name.is_none() {
                    options.host_name = Some(tokens::host_name(name, self.original));
                    self.host_name_found = true;
                }
            }
            ConfigValue::IdentitiesOnly(yes) => options.identities_only = *self.identities_only.get_or_insert(*yes),
            ConfigValue::IdentityAgent(agent) => first(&mut self.identity_agent, agent.as_str()),
            ConfigValue::IdentityFile(file) => self.identity_files.push(file),
            ConfigValue::CertificateFile(file) => self.certificate_files.push(file),
            ConfigValue::PreferredAuthentications(methods) => first(&mut self.methods, methods.as_slice()),
            ConfigValue::Pubkey(yes) => first(&mut self.pubkey, *yes),
            ConfigValue::KbdInteractive(yes) => first(&mut self.kbd_interactive, *yes),
            ConfigValue::Password(yes) => first(&mut self.password, *yes),
            // As in ssh: that there is no jump host does not rule a command out.
            ConfigValue::Proxy(ProxyRoute::None) if said.keyword == "ProxyJump" => self.no_jump |= self.proxy.is_none(),
            ConfigValue::Proxy(ProxyRoute::Jump(_)) if self.no_jump => {}
            ConfigValue::Proxy(proxy) => first(&mut self.proxy, proxy),
            ConfigValue::Port(port) => first(&mut options.port, *port),
            ConfigValue::SendEnv(patterns) => {
                for pattern in patterns {
                    match pattern.strip_prefix('-') {
                        Some(taken_back) => {
                            options.send_env.retain(|kept| !matches_pattern(taken_back.as_bytes(), kept.as_bytes()));
                        }
                        None => options.send_env.push(pattern.clone()),
                    }
                }
            }
            ConfigValue::SetEnv(pairs) => {
                // Not even of another name: ssh takes one line of them.
                if options.set_env.is_empty() {
                    options.set_env.clone_from(pairs);
                }
            }
            ConfigValue::StrictHostKeyChecking(policy) => first(&mut options.strict_host_key_checking, *policy),
            ConfigValue::Tag(tag) => first(&mut options.tag, tag.clone()),
            ConfigValue::User(user) => first(&mut options.user, user.clone()),
            ConfigValue::UserKnownHosts(files) => first(&mut self.user_known_hosts, files.as_slice()),
        }
    }

    /// The name to connect to, as far as it is known.
    pub(super) fn host(&self) -> &str {
        self.options.host_name.as_deref().unwrap_or(self.original)
    }

    /// The login name, as far as it is known.
    pub(super) fn user(&self) -> &str {
        self.options.user.as_deref().unwrap_or(&self.local.user)
    }

    /// What ssh must know to decide a criterion as it would for this host.
    pub(super) fn question(&self, criterion: &str) -> HostQuery {
        if !tokens::depend_on_host(criterion) {
            // One answer for all hosts.
            return HostQuery::new("localhost", []);
        }
        let mut settings = vec![
            ("HostName", quoted(&self.host().replace('%', "%%"))),
            ("User", quoted(self.user())),
            ("Port", self.options.port.unwrap_or(DEFAULT_PORT).to_string()),
        ];
        settings.extend(self.options.host_key_alias.as_ref().map(|alias| ("HostKeyAlias", quoted(alias))));
        if let Some(ProxyRoute::Jump(hops)) = self.proxy {
            let hop = |hop: &crate::inventory::spec::Spec| {
                hop.user.as_ref().map_or_else(|| hop.with_port(), |user| format!("{user}@{}", hop.with_port()))
            };
            settings.push(("ProxyJump", hops.iter().map(hop).collect::<Vec<_>>().join(",")));
        }
        HostQuery::new(self.original, settings)
    }

    /// What ssh must know to find the canonical name of the host, and where that is asked for.
    pub(super) fn canonical_question(&self) -> Option<(HostQuery, &'a SourceLine)> {
        let wish = self.canonical.iter().find(|said| said.keyword == "CanonicalizeHostname")?;
        if ["no", "false", "none"].contains(&wish.value.to_ascii_lowercase().as_str()) {
            return None;
        }
        let mut settings: Vec<(&str, String)> =
            self.canonical.iter().map(|said| (said.keyword, said.value.clone())).collect();
        settings.push(("HostName", quoted(&self.host().replace('%', "%%"))));
        settings.extend(
            self.options
                .family
                .map(|family| ("AddressFamily", if family == Family::V4 { "inet" } else { "inet6" }.to_owned())),
        );
        let carried = self.carried.unwrap_or(self.proxy.is_some_and(|proxy| *proxy != ProxyRoute::None));
        settings.extend(carried.then(|| ("ProxyCommand", "true".to_owned())));
        Some((HostQuery::new(self.original, settings), wish))
    }

    /// Expands what could not be before user, port and name were settled.
    pub(super) fn expand(self) -> SshOptions {
        let mut options = self.options;
        if self.host_name_found {
            options.host_name = options.host_name.map(|name| name.to_ascii_lowercase());
        }
        let host = options.host_name.as_deref().unwrap_or(self.original).to_ascii_lowercase();
        let user = options.user.clone();
        // As in ssh, which writes it into known_hosts so.
        options.host_key_alias = options.host_key_alias.map(|alias| alias.to_ascii_lowercase());
        let alias = options.host_key_alias.clone();
        let tokens = Tokens {
            original: self.original,
            host: &host,
            port: options.port.unwrap_or(DEFAULT_PORT),
            remote_user: user.as_deref().unwrap_or(&self.local.user),
            key_alias: alias.as_deref().unwrap_or(self.original),
            local_user: &self.local.user,
            uid: self.local.uid,
            home: Path::new(&self.local.home),
        };
        let is_none = |text: &str| text.eq_ignore_ascii_case("none");
        let paths = |list: &[String]| -> Vec<PathBuf> {
            list.iter().filter(|text| !is_none(text)).map(|text| tokens.path(text)).collect()
        };
        options.identities_given = !self.identity_files.is_empty();
        for text in self.identity_files {
            let path = tokens.path(text);
            if !is_none(text) && !options.identity_files.contains(&path) {
                options.identity_files.push(path);
            }
        }
        for text in self.certificate_files {
            let path = tokens.path(text);
            if !is_none(text) && !options.certificate_files.contains(&path) {
                options.certificate_files.push(path);
            }
        }
        let wanted = |method: &Method| {
            let switch = match method {
                Method::PublicKey => self.pubkey,
                Method::KeyboardInteractive => self.kbd_interactive,
                Method::Password => self.password,
            };
            switch != Some(false)
        };
        let switches = [self.pubkey, self.kbd_interactive, self.password];
        if self.methods.is_some() || switches.iter().any(Option::is_some) {
            options.methods = Some(self.methods.unwrap_or(&Method::ALL).iter().copied().filter(wanted).collect());
        }
        options.proxy = self.proxy.or(self.no_jump.then_some(&ProxyRoute::None)).map(|proxy| match proxy {
            ProxyRoute::Command(text) => ProxyRoute::Command(tokens.command(text)),
            ProxyRoute::None | ProxyRoute::Jump(_) => proxy.clone(),
        });
        options.user_known_hosts = self.user_known_hosts.map(paths);
        options.global_known_hosts = self.global_known_hosts.map(paths);
        options.identity_agent = self.identity_agent.map(|text| match text.strip_prefix('$') {
            _ if is_none(text) => IdentityAgent::Off,
            _ if text == "SSH_AUTH_SOCK" => IdentityAgent::Variable(text.to_owned()),
            Some(variable) if !variable.starts_with('{') => IdentityAgent::Variable(variable.to_owned()),
            _ => IdentityAgent::Socket(tokens.path(text)),
        });
        options
    }
}

fn first<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}
