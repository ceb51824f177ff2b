//! Targets for the system's `ssh`: it reads its own configuration, and gsctl says what is its own to say.

use std::ffi::OsString;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::{self, SshOptions};
use crate::credentials::known_hosts::{HostKeyPolicy, KnownHosts};
use crate::inventory::host::Host;
use crate::inventory::spec::Spec;
use crate::plan::{Action, Plan};
use crate::ssh_config::ProxyRoute;
use crate::transport::algorithms::AlgorithmLists;
use crate::transport::openssh::{SshClient, SshSettings};
use crate::transport::{AgentUse, Method, Target, TargetSettings, Via};

use super::environment::Environment;
use super::jumps::{self, Role};
use super::names;
use super::routes::asked_for;
use super::selection::Selected;
use super::targets::{ATTEMPTS, CONNECT_TIMEOUT, KEEPALIVE, Targets, no_limit_where_zero};
use crate::diagnostic::Diagnostic;

/// Keywords of `ssh_config` that are about the host that is named, and not about its jump hosts.
const ABOUT_ONE_HOST: &[&str] = &["hostname", "port", "user", "hostkeyalias", "proxyjump", "proxycommand"];

/// What this transport cannot do, said before anybody is contacted.
///
/// # Errors
/// When the plan copies files, or a password is to be given.
pub(super) fn check(plan: &Plan, options: &SshOptions) -> Result<(), Diagnostic> {
    if options.transport != cli::Transport::OpenSsh {
        return Ok(());
    }
    let native = "use --transport native for that";
    if options.ask_password || options.password_file.is_some() {
        let cause = "`--ask-password` and `--password-file`: not with `--transport openssh`, which lets ssh ask nobody";
        return Err(Diagnostic::usage(cause).hint(native));
    }
    if plan.steps.iter().any(|step| matches!(step.action, Action::Push(_) | Action::Pull(_))) {
        let cause = format!("`{}` copies files: not with `--transport openssh`", plan.name);
        return Err(Diagnostic::usage(cause).hint(format!("{native}, or `script`, which needs no file on the nodes")));
    }
    let on_terminal = |action: &Action| match action {
        Action::Run { exec_options, .. } | Action::Script { exec_options, .. } => exec_options.pty,
        _ => false,
    };
    if plan.steps.iter().any(|step| on_terminal(&step.action)) {
        return Err(Diagnostic::usage("a pseudo terminal: not with `--transport openssh`").hint(native));
    }
    Ok(())
}

/// Decides for every host.
///
/// # Errors
/// When `ssh` is not there or does not understand its configuration, or a key file that was named does not exist.
pub(super) fn build(
    selected: &Selected,
    options: &SshOptions,
    environment: &Environment,
) -> Result<Targets, Diagnostic> {
    // They are for ssh to read.
    let known_hosts = KnownHosts::load(&[], &[]).map_err(|error| Diagnostic::usage(format!("known hosts: {error}")))?;
    let builder = ClientBuilder { selected, options, environment, known_hosts: Arc::new(known_hosts) };
    let clients = selected.hosts.iter().map(|host| builder.client(host)).collect::<Result<Vec<_>, _>>()?;
    let settings = SshClient::resolve_all(&clients);
    let list = selected.hosts.iter().zip(clients).zip(settings).map(|((host, client), settings)| match settings {
        Ok(settings) => Ok(builder.target(host, client, settings)),
        Err(said) => Err(Diagnostic::usage(format!("host `{}`: ssh: {said}", host.name))
            .hint("`--transport openssh` hands -F and -o to the system's ssh: `ssh -G` shows what it makes of them")),
    });
    let list = list.collect::<Result<Arc<[_]>, _>>()?;
    Ok(Targets { list, warnings: Vec::new() })
}

struct ClientBuilder<'a> {
    selected: &'a Selected,
    options: &'a SshOptions,
    environment: &'a Environment,
    known_hosts: Arc<KnownHosts>,
}

impl ClientBuilder<'_> {
    /// How `ssh` is called for a host. Strongest first: command line, hosts file, and what is `ssh`'s own.
    fn client(&self, host: &Host) -> Result<SshClient, Diagnostic> {
        let given = self.options;
        let mut client = self.named(host, Role::Selected)?;
        match jumps::said(host, given, Role::Selected)? {
            None => {}
            Some(ProxyRoute::Jump(hops)) => {
                client.through = Some(jumps::shown(&hops));
                let command = self.chain(&hops)?;
                push(&mut client.options, format!("ProxyCommand={command}"));
            }
            Some(ProxyRoute::None | ProxyRoute::Command(_)) => push(&mut client.options, "ProxyJump=none"),
        }
        if let Some((interval, count)) = given.keepalive {
            push(&mut client.options, format!("ServerAliveInterval={}", interval.as_secs()));
            push(&mut client.options, format!("ServerAliveCountMax={count}"));
        }
        given.ssh_option.iter().for_each(|option| push(&mut client.options, option));
        Ok(client)
    }

    /// Who and where, by the command line and the hosts file.
    fn named(&self, host: &Host, role: Role) -> Result<SshClient, Diagnostic> {
        let given = self.options;
        let typed = role == Role::Selected;
        let mut options = Vec::new();
        names::check_host(&host.name, asked_for(host))?;
        if let Some(file) = &given.ssh_config {
            options.extend(["-F".into(), file.clone().into_os_string()]);
        }
        if let Some(address) = host.get("address") {
            names::check_host(&host.name, address)?;
            // Of tokens none is meant.
            push(&mut options, format!("HostName={}", address.replace('%', "%%")));
        }
        if let Some(user) = given.user.as_deref().filter(|_| typed).or(host.user()) {
            names::check_user(&host.name, user)?;
            push(&mut options, format!("User={user}"));
        }
        if let Some(port) = given.port.filter(|_| typed).or(host.port()) {
            push(&mut options, format!("Port={port}"));
        }
        // What is typed is about the hosts that are selected; a jump host of which nothing else is known may share it.
        let own = host.identity().map(|path| vec![self.environment.path(path)]);
        let identities = if typed && !given.identity.is_empty() { None } else { own };
        for path in identities.unwrap_or_else(|| given.identity.clone()) {
            options.extend(["-i".into(), named_key(path)?]);
        }
        if let Some(policy) = given.host_key_policy {
            push(&mut options, format!("StrictHostKeyChecking={}", strictness(policy)));
        }
        Ok(SshClient { name: asked_for(host).to_owned(), options, through: None, send_env: Vec::new() })
    }

    /// A command that carries a connection through jump hosts, the last of which is the nearest to the host.
    fn chain(&self, hops: &[Spec]) -> Result<String, Diagnostic> {
        let mut command = None;
        for hop in hops {
            let mut client = self.named(&jumps::host_of(hop, &self.selected.known), Role::Jump)?;
            if let Some(before) = command {
                push(&mut client.options, format!("ProxyCommand={before}"));
            }
            for option in &self.options.ssh_option {
                let keyword = option.trim_start().split(|c: char| c == '=' || c.is_whitespace()).next().unwrap_or("");
                if !ABOUT_ONE_HOST.contains(&keyword.to_ascii_lowercase().as_str()) {
                    push(&mut client.options, option);
                }
            }
            command = Some(client.as_proxy());
        }
        Ok(command.unwrap_or_default())
    }

    fn target(&self, host: &Host, mut client: SshClient, settings: SshSettings) -> Target {
        let given = self.options;
        client.through = client.through.or(settings.through);
        // As gsctl's own transport does: without the locale, since what it reads must be in one language.
        let locale = |pattern: &String| pattern.starts_with("LC_") || pattern.starts_with("LANG");
        client.send_env = settings.send_env.into_iter().filter(|pattern| !locale(pattern)).collect();
        let mut keepalive = (std::time::Duration::from_secs(settings.alive_interval), settings.alive_count);
        if given.keepalive.is_none() && settings.alive_interval == 0 {
            keepalive = KEEPALIVE;
            push(&mut client.options, format!("ServerAliveInterval={}", keepalive.0.as_secs()));
            push(&mut client.options, format!("ServerAliveCountMax={}", keepalive.1));
        }
        let limit = given.connect_timeout.or(host.connect_timeout()).or(settings.connect_timeout);
        let in_common = TargetSettings {
            // ssh's own business.
            policy: HostKeyPolicy::Strict,
            keys: Arc::from([]),
            agent: AgentUse::No,
            agent_keys: None,
            known_hosts: self.known_hosts.clone(),
            password: None,
            sudo_password: None,
            methods: Method::ALL.to_vec(),
            connect_timeout: limit.map_or(CONNECT_TIMEOUT, no_limit_where_zero),
            // 1 is ssh's default.
            attempts: given
                .connect_attempts
                .or(Some(settings.connection_attempts).filter(|&attempts| attempts > 1))
                .unwrap_or(ATTEMPTS)
                .max(1),
            keepalive,
            compression: false,
            linger: Some(given.linger),
            algorithms: AlgorithmLists::default(),
            family: None,
            bind: None,
            env: Arc::from([]),
        };
        Target {
            name: host.name.clone(),
            host_key_port: if settings.host_key_alias.is_some() { 22 } else { settings.port },
            host_key_name: settings.host_key_alias.as_ref().unwrap_or(&settings.host_name).as_str().into(),
            address: settings.host_name.into(),
            port: settings.port,
            user: settings.user.into(),
            via: Via::OpenSsh(Arc::new(client)),
            settings: Arc::new(in_common),
        }
    }
}

fn push(options: &mut Vec<OsString>, option: impl Into<OsString>) {
    options.extend(["-o".into(), option.into()]);
}

/// `ssh` would only warn of a key file that is not there.
fn named_key(path: PathBuf) -> Result<OsString, Diagnostic> {
    if path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo()) {
        return Err(Diagnostic::usage(format!(
            "key `{}` comes through a pipe: not with `--transport openssh`",
            path.display()
        ))
        .hint("ssh would read it once for each host; put it into a file, or an agent"));
    }
    if path.exists() {
        return Ok(path.into_os_string());
    }
    Err(Diagnostic::usage(format!("key file `{}` does not exist", path.display())).hint("`-i` or `identity=` names it"))
}

fn strictness(policy: cli::HostKeyPolicy) -> &'static str {
    match policy {
        cli::HostKeyPolicy::Strict => "yes",
        cli::HostKeyPolicy::AcceptNew => "accept-new",
        cli::HostKeyPolicy::Off => "no",
    }
}
