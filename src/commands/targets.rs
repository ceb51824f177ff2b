//! From hosts, `ssh_config` and options to targets: where and how to log in, decided before anything is contacted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::{self, SshOptions};
use crate::credentials::known_hosts::{HostKeyPolicy, KnownHosts};
use crate::inventory::host::Host;
use crate::inventory::spec::Spec;
use crate::ssh_config;
use crate::ssh_config::{ProxyRoute, SshConfig};
use crate::transport::algorithms::AlgorithmLists;
use crate::transport::target::Family;
use crate::transport::{AgentUse, Method, ProxyCommand, Target, TargetSettings, Via};

use super::environment::Environment;
use super::identities::{AgentCache, Identities, LoginKeys};
use super::jumps::{self, Role};
use super::openssh;
use super::routes::{Route, ask_ahead, load_config, route};
use super::selection::Selected;
use crate::diagnostic::Diagnostic;

/// Time for one attempt, by default.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts, by default.
pub(super) const ATTEMPTS: u32 = 3;
/// Keepalives, by default.
pub(super) const KEEPALIVE: (Duration, u32) = (Duration::from_secs(15), 3);

/// Everything that connections need.
#[derive(Debug)]
pub(super) struct Targets {
    /// One for each host, in order.
    pub(super) list: Arc<[Target]>,
    /// What was found and cannot be honoured.
    pub(super) warnings: Vec<String>,
}

/// Decides for every host.
///
/// # Errors
/// When a key file or a known hosts file cannot be used, or something is asked for that cannot be honoured.
pub(super) fn build(
    selected: &Selected,
    options: &SshOptions,
    environment: &Environment,
) -> Result<Targets, Diagnostic> {
    if options.transport == cli::Transport::OpenSsh {
        return openssh::build(selected, options, environment);
    }
    let config = load_config(options, environment)?;
    ask_ahead(&selected.hosts, options, &config)?;
    let warnings = config.general_warnings().into_iter().map(str::to_owned).collect();
    let mut builder = TargetBuilder {
        selected,
        options,
        environment,
        config,
        identities: Identities::new(environment),
        agent: AgentCache::default(),
        known: HashMap::new(),
        jumps: HashMap::new(),
        warnings,
    };
    let mut list: Vec<Target> = Vec::with_capacity(selected.hosts.len());
    for host in &selected.hosts {
        let mut target = builder.target(host)?;
        if let Some(other) = list.last() {
            target.share(other);
        }
        list.push(target);
    }
    let mut warnings = builder.warnings;
    warnings.append(&mut builder.identities.warnings);
    warnings.sort();
    warnings.dedup();
    Ok(Targets { list: list.into(), warnings })
}

/// Targets of commands that run on this machine, each for a host: who and where that is, and no key or password is looked at.
///
/// # Errors
/// When a host has a name that must not reach a shell, or `ssh_config` is wrong.
pub(super) fn local(
    selected: &Selected,
    options: &SshOptions,
    environment: &Environment,
) -> Result<Targets, Diagnostic> {
    let config = load_config(options, environment)?;
    ask_ahead(&selected.hosts, options, &config)?;
    let known_hosts = KnownHosts::load(&[], &[]).map_err(|error| Diagnostic::usage(format!("known hosts: {error}")))?;
    let settings = Arc::new(TargetSettings {
        known_hosts: Arc::new(known_hosts),
        policy: HostKeyPolicy::Strict,
        keys: Arc::from([]),
        agent: AgentUse::No,
        agent_keys: None,
        password: None,
        sudo_password: None,
        methods: Vec::new(),
        connect_timeout: CONNECT_TIMEOUT,
        attempts: 1,
        keepalive: KEEPALIVE,
        compression: false,
        algorithms: AlgorithmLists::default(),
        family: None,
        bind: None,
        env: Arc::from([]),
        linger: Some(options.linger),
    });
    let target = |host: &Arc<Host>| {
        let Route { address, port, user, .. } = route(host, options, &config, Role::Selected)?;
        let address: Arc<str> = address.into();
        Ok(Target {
            name: host.name.clone(),
            host_key_port: port,
            host_key_name: address.clone(),
            address,
            port,
            user: user.into(),
            via: Via::Local,
            settings: settings.clone(),
        })
    };
    let list = selected.hosts.iter().map(target).collect::<Result<Arc<[_]>, Diagnostic>>()?;
    Ok(Targets { list, warnings: Vec::new() })
}

/// Targets in the making.
struct TargetBuilder<'a> {
    selected: &'a Selected,
    options: &'a SshOptions,
    environment: &'a Environment,
    config: SshConfig,
    identities: Identities<'a>,
    agent: AgentCache,
    /// What `known_hosts` files hold, by the files and by whether names are hashed: each set of files is read once.
    known: HashMap<(Vec<PathBuf>, Vec<PathBuf>, bool), Arc<KnownHosts>>,
    /// Jump hosts, by how they are written and the chain before them: each is one for the whole run.
    jumps: HashMap<(String, String), Arc<Target>>,
    warnings: Vec<String>,
}

impl TargetBuilder<'_> {
    fn target(&mut self, host: &Host) -> Result<Target, Diagnostic> {
        let route = route(host, self.options, &self.config, Role::Selected)?;
        let via = self.via(host, &route.options, Role::Selected, &mut Vec::new())?;
        self.aim(host, route, Role::Selected, via)
    }

    /// What carries the connection to a host. `under_way` are jump hosts whose own way is being looked for.
    fn via(
        &mut self,
        host: &Host,
        found: &ssh_config::SshOptions,
        role: Role,
        under_way: &mut Vec<String>,
    ) -> Result<Via, Diagnostic> {
        match jumps::way(host, self.options, found, role)? {
            ProxyRoute::None => Ok(Via::Network),
            ProxyRoute::Command(text) => {
                let shell = self.environment.var("SHELL").unwrap_or("/bin/sh").into();
                Ok(Via::Command(Box::new(ProxyCommand { text, shell })))
            }
            ProxyRoute::Jump(hops) => {
                let mut via = None;
                for hop in hops {
                    via = Some(Via::Jump(self.jump(&hop, via, under_way)?));
                }
                Ok(via.unwrap_or(Via::Network))
            }
        }
    }

    /// A jump host. `before`: what carries the connection to it; `None` for the first of a list, which may have jump hosts of
    /// its own.
    fn jump(
        &mut self,
        hop: &Spec,
        before: Option<Via>,
        under_way: &mut Vec<String>,
    ) -> Result<Arc<Target>, Diagnostic> {
        let text = jumps::shown(std::slice::from_ref(hop));
        let chain = match &before {
            Some(Via::Jump(jump)) => jump.chain(),
            _ => String::new(),
        };
        let key = (text.clone(), chain);
        if let Some(target) = self.jumps.get(&key) {
            return Ok(target.clone());
        }
        let host = jumps::host_of(hop, &self.selected.known);
        let route = route(&host, self.options, &self.config, Role::Jump)?;
        if under_way.contains(&text) {
            under_way.push(text);
            return Err(circle(&host.name, &under_way.join(" -> ")));
        }
        let via = if let Some(via) = before {
            via
        } else {
            under_way.push(text);
            let via = self.via(&host, &route.options, Role::Jump, under_way)?;
            under_way.pop();
            via
        };
        let target = Arc::new(self.aim(&host, route, Role::Jump, via)?);
        self.jumps.insert(key, target.clone());
        Ok(target)
    }

    /// Everything about one host is decided.
    fn aim(&mut self, host: &Host, route: Route, role: Role, via: Via) -> Result<Target, Diagnostic> {
        let Route { address, port, user, options: found } = route;
        let (options, environment) = (self.options, self.environment);
        let mut next = &via;
        while let Via::Jump(jump) = next {
            if (&*jump.user, &*jump.address, jump.port) == (user.as_str(), address.as_str(), port) {
                return Err(circle(&host.name, &format!("{} -> {}", jump.name, host.name)));
            }
            next = &jump.via;
        }
        for item in &found.unhonoured {
            let place = format!("ssh config `{}`, line {}", item.file.display(), item.line);
            let (keyword, value, hint) = (&item.keyword, &item.value, item.hint());
            self.warnings.push(format!("{place}: `{keyword} {value}` cannot be honoured yet: {hint}"));
        }
        // What is typed is about the hosts that are selected; a jump host of which nothing else is known may share it.
        let own = role == Role::Jump && (host.identity().is_some() || found.identities_given);
        let typed = if own { &[] } else { options.identity.as_slice() };
        let from_agent = self.agent.keys_of(&found, environment, &mut self.warnings);
        let LoginKeys { keys, explicit, held } = self.identities.choose(host, typed, &found, &from_agent)?;
        let agent_keys = found.identities_only.then(|| {
            let own = keys.iter().filter_map(|key| key.public_blob.clone());
            own.chain(held.iter().cloned()).collect()
        });
        let agent = from_agent.usage(explicit);
        let known_hosts = self.known_hosts(&found)?;
        let (family, env) = (family(&found, &host.name)?, found.environment(&environment.env).into());
        let settings = TargetSettings {
            known_hosts,
            policy: policy(options, &found),
            keys,
            agent,
            agent_keys,
            password: None,
            sudo_password: None,
            methods: found.methods.unwrap_or_else(|| Method::ALL.to_vec()),
            connect_timeout: options
                .connect_timeout
                .or(host.connect_timeout())
                .or(found.connect_timeout)
                .map_or(CONNECT_TIMEOUT, no_limit_where_zero),
            attempts: options.connect_attempts.or(found.connection_attempts).unwrap_or(ATTEMPTS).max(1),
            keepalive: options
                .keepalive
                .unwrap_or((found.alive_interval.unwrap_or(KEEPALIVE.0), found.alive_count.unwrap_or(KEEPALIVE.1))),
            compression: found.compression,
            family,
            bind: found.bind,
            env,
            linger: Some(options.linger),
            algorithms: found.algorithms,
        };
        Ok(Target {
            name: host.name.clone(),
            host_key_port: if found.host_key_alias.is_some() { 22 } else { port },
            host_key_name: found.host_key_alias.as_deref().unwrap_or(&address).into(),
            address: address.into(),
            port,
            user: user.into(),
            via,
            settings: Arc::new(settings),
        })
    }

    /// The host keys that a host's files hold.
    fn known_hosts(&mut self, found: &ssh_config::SshOptions) -> Result<Arc<KnownHosts>, Diagnostic> {
        let users = found.user_known_hosts.clone();
        let machines = found.global_known_hosts.clone();
        let files = (
            users.unwrap_or_else(|| ssh_config::default_user_known_hosts(&self.environment.home)),
            machines.unwrap_or_else(ssh_config::default_global_known_hosts),
            found.hash_known_hosts,
        );
        if let Some(known) = self.known.get(&files) {
            return Ok(known.clone());
        }
        if let Some(named) = &found.user_known_hosts
            && !named.is_empty()
            && !named.iter().any(|file| file.exists())
        {
            let names: Vec<String> = named.iter().map(|file| format!("`{}`", file.display())).collect();
            self.warnings.push(format!("known hosts: {} is not there", names.join(", ")));
        }
        let known = KnownHosts::load(&files.0, &files.1);
        let known = known.map_err(|error| Diagnostic::usage(format!("known hosts: {error}")))?.hash_names(files.2);
        self.warnings.extend(known.bad_lines().iter().map(|(file, lines)| bad_lines(file, lines)));
        let known = Arc::new(known);
        self.known.insert(files, known.clone());
        Ok(known)
    }
}

/// Lines of a known hosts file that count for nothing: a key that is not found there may stand in one of them.
fn bad_lines(file: &Path, lines: &[usize]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = lines.iter().take(SHOWN).map(usize::to_string).collect();
    let more = if lines.len() > SHOWN { format!(" and {} more", lines.len() - SHOWN) } else { String::new() };
    let (noun, verb) = if lines.len() == 1 { ("line", "is") } else { ("lines", "are") };
    let (file, shown) = (file.display(), shown.join(", "));
    format!("known hosts file `{file}`, {noun} {shown}{more}: {verb} not understood, and passed over as ssh does")
}

/// A time for an attempt; zero is no limit.
pub(super) fn no_limit_where_zero(limit: Duration) -> Duration {
    // Longer than any run.
    const EVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    if limit.is_zero() { EVER } else { limit }
}

/// A jump host that is reached through itself.
fn circle(name: &str, path: &str) -> Diagnostic {
    Diagnostic::usage(format!("host `{name}`: its jump hosts go round in a circle: {path}")).hint(format!(
        "let it be reached without: `{name} jump=none` in the hosts file, or `ProxyJump none` for it in ssh_config"
    ))
}

/// The family of addresses that a host may be connected to at: that of the address to connect from, too.
fn family(found: &ssh_config::SshOptions, host: &str) -> Result<Option<Family>, Diagnostic> {
    let bound = found.bind.as_ref().map(Family::of);
    match (found.family, bound) {
        (Some(wanted), Some(bound)) if wanted != bound => Err(Diagnostic::usage(format!(
            "host `{host}`: `AddressFamily` wants {wanted} and `BindAddress` is {bound}"
        ))),
        (wanted, bound) => Ok(wanted.or(bound)),
    }
}

fn policy(options: &SshOptions, found: &ssh_config::SshOptions) -> HostKeyPolicy {
    match options.host_key_policy {
        Some(cli::HostKeyPolicy::Strict) => HostKeyPolicy::Strict,
        Some(cli::HostKeyPolicy::AcceptNew) => HostKeyPolicy::AcceptNew,
        Some(cli::HostKeyPolicy::Off) => HostKeyPolicy::Off,
        None => found.strict_host_key_checking.unwrap_or(HostKeyPolicy::Strict),
    }
}
