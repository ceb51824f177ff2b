//! Where each setting of a host was said: what `gsctl hosts -v` shows.
//!
//! It tells what `targets` decides, in the same order of strength: command line, environment, hosts file, `ssh_config`,
//! default.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{HostKeyPolicy, Options, SshOptions};
use crate::duration::human;
use crate::inventory::host::{Host, Origin};
use crate::ssh_config;
use crate::ssh_config::{ProxyRoute, SourceLine};

use super::environment::Environment;
use super::jumps;
use super::routes::Route;
use super::targets::{ATTEMPTS, CONNECT_TIMEOUT, KEEPALIVE};

/// A setting, its value, and where it was said.
pub(super) struct Stated {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) from: String,
}

/// Keywords of `ssh_config` that say the same as a setting of gsctl's.
const TWINS: [&str; 13] = [
    "HostName",
    "Port",
    "User",
    "IdentityFile",
    "ProxyJump",
    "ProxyCommand",
    "ConnectTimeout",
    "ConnectionAttempts",
    "ServerAliveInterval",
    "ServerAliveCountMax",
    "StrictHostKeyChecking",
    "UserKnownHostsFile",
    "GlobalKnownHostsFile",
];

/// Every setting of a host, with its origin.
pub(super) fn stated(
    host: &Host,
    route: &Route,
    way: &ProxyRoute,
    all: &Options,
    environment: &Environment,
) -> Vec<Stated> {
    let options = &all.ssh;
    let mut list = List { host, found: &route.options, all, environment, stated: Vec::new() };
    list.address(route);
    let typed = options.port.map(|port| port.to_string());
    list.add("port", typed, &["Port"], route.port.to_string());
    list.add("user", options.user.clone(), &["User"], route.user.clone());
    let typed = (!options.identity.is_empty()).then(|| paths(&options.identity));
    let found = list.found;
    let keys = if found.identities_given { paths(&found.identity_files) } else { "~/.ssh/id_*".to_owned() };
    list.add("identity", typed, &["IdentityFile"], keys);
    list.way(way, options);
    let limit = |limit: Duration| if limit.is_zero() { "none".to_owned() } else { human(limit) };
    let timeout = found.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
    list.add("connect_timeout", options.connect_timeout.map(limit), &["ConnectTimeout"], limit(timeout));
    let attempts = found.connection_attempts.unwrap_or(ATTEMPTS).to_string();
    let typed = options.connect_attempts.map(|attempts| attempts.to_string());
    list.add("connect_attempts", typed, &["ConnectionAttempts"], attempts);
    let shown = |(interval, count): (Duration, u32)| format!("{}x{count}", human(interval));
    let keepalive = (found.alive_interval.unwrap_or(KEEPALIVE.0), found.alive_count.unwrap_or(KEEPALIVE.1));
    let keywords = ["ServerAliveInterval", "ServerAliveCountMax"];
    list.add("keepalive", options.keepalive.map(shown), &keywords, shown(keepalive));
    let typed = options.host_key_policy.map(|policy| match policy {
        HostKeyPolicy::Strict => "strict".to_owned(),
        HostKeyPolicy::AcceptNew => "accept-new".to_owned(),
        HostKeyPolicy::Off => "off".to_owned(),
    });
    let policy = found.source_of("StrictHostKeyChecking").map_or("strict", |said| &said.value).to_owned();
    list.add("host_key_policy", typed, &["StrictHostKeyChecking"], policy);
    list.known_hosts();
    list.rest();
    list.stated
}

struct List<'a> {
    host: &'a Host,
    found: &'a ssh_config::SshOptions,
    all: &'a Options,
    environment: &'a Environment,
    stated: Vec<Stated>,
}

impl List<'_> {
    fn push(&mut self, name: &str, value: String, from: String) {
        self.stated.push(Stated { name: name.to_owned(), value, from });
    }

    /// A setting that an option, the hosts file or `ssh_config` may say. `other`: its value where no option says one, and
    /// the hosts file neither.
    fn add(&mut self, name: &str, typed: Option<String>, keywords: &[&str], other: String) {
        let (value, from) = match (typed, self.host.settings.get(name)) {
            (Some(value), _) => (value, self.option(name)),
            (None, Some(setting)) => (setting.value.clone(), origin(&setting.origin)),
            (None, None) => (other, self.said(keywords)),
        };
        self.push(name, value, from);
    }

    fn option(&self, id: &str) -> String {
        let is_in = |names: &[String]| names.iter().any(|name| name == id);
        if is_in(&self.all.from_environment) {
            format!("environment GSCTL_{}", id.to_ascii_uppercase())
        } else if is_in(&self.all.from_config) {
            "config file".to_owned()
        } else {
            "command line".to_owned()
        }
    }

    fn said(&self, keywords: &[&str]) -> String {
        let said = keywords.iter().find_map(|keyword| self.found.source_of(keyword));
        said.map_or_else(|| "default".to_owned(), |said| said.origin.to_string())
    }

    fn address(&mut self, route: &Route) {
        let canonical = |said: &&SourceLine| !["no", "false", "none"].contains(&said.value.as_str());
        let canonical = self.found.source_of("CanonicalizeHostname").filter(canonical);
        let keyword = if canonical.is_some() { "CanonicalizeHostname" } else { "HostName" };
        self.add("address", None, &[keyword], route.address.clone());
    }

    fn way(&mut self, way: &ProxyRoute, options: &SshOptions) {
        let (name, value) = match way {
            ProxyRoute::None => ("jump", "none".to_owned()),
            ProxyRoute::Jump(hops) => ("jump", jumps::shown(hops)),
            ProxyRoute::Command(command) => ("proxy_command", command.clone()),
        };
        self.add(name, options.jump.clone(), &["ProxyJump", "ProxyCommand"], value);
    }

    fn known_hosts(&mut self) {
        let user = self.found.user_known_hosts.clone();
        let user = user.unwrap_or_else(|| ssh_config::default_user_known_hosts(&self.environment.home));
        let global = self.found.global_known_hosts.clone().unwrap_or_else(ssh_config::default_global_known_hosts);
        for (name, files) in [("UserKnownHostsFile", user), ("GlobalKnownHostsFile", global)] {
            let from = self.said(&[name]);
            self.push(name, paths(&files), from);
        }
    }

    /// What has no twin: other keywords of `ssh_config`, other words of the hosts file.
    fn rest(&mut self) {
        let found = self.found;
        for said in found.said.iter().filter(|said| !TWINS.contains(&said.keyword)) {
            let value = match said.keyword {
                // Every one counts.
                "CertificateFile" => paths(&found.certificate_files),
                "HostKeyAlias" => found.host_key_alias.clone().unwrap_or_default(),
                _ => said.value.clone(),
            };
            self.push(said.keyword, value, said.origin.to_string());
        }
        let host = self.host;
        for (key, setting) in host.settings.iter() {
            if !self.stated.iter().any(|stated| *stated.name == **key) {
                self.push(key, setting.value.clone(), origin(&setting.origin));
            }
        }
    }
}

fn paths(paths: &[PathBuf]) -> String {
    let texts: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(",") }
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::CommandLine => "command line".to_owned(),
        Origin::HostSet => "host set".to_owned(),
        Origin::HostLine { file, line } => format!("{file}:{line}"),
        Origin::Group { name, file, line } => format!("group {name}, {file}:{line}"),
    }
}
