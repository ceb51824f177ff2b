//! Where a host is and who logs in there, by the command line, the hosts file and `ssh_config`: without its keys, and before
//! anything is contacted.

use std::sync::Arc;

use crate::cli::SshOptions;
use crate::diagnostic::Diagnostic;
use crate::inventory::host::Host;
use crate::ssh_config;
use crate::ssh_config::{Overrides, SshConfig};
use crate::text::joined_hints;

use super::environment::Environment;
use super::jumps::Role;
use super::names;

/// How to reach each host, without its keys: what `gsctl hosts` shows.
#[derive(Debug)]
pub(super) struct Route {
    /// Name or address to connect to.
    pub(super) address: String,
    /// TCP port.
    pub(super) port: u16,
    /// Login name.
    pub(super) user: String,
    /// Everything that `ssh_config` says.
    pub(super) options: ssh_config::SshOptions,
}

/// Loads `ssh_config`.
///
/// # Errors
/// When a file or an option is wrong or cannot be honoured.
pub(super) fn load_config(options: &SshOptions, environment: &Environment) -> Result<SshConfig, Diagnostic> {
    SshConfig::load(options.ssh_config.as_deref(), &environment.home, &environment.env, &options.ssh_option).map_err(
        |error| {
            let directory = options.ssh_option.iter().find(|option| !option.contains(['=', ' ']));
            let hint =
                directory.map(|name| format!("-o takes KEY=VALUE; --output-dir {name} keeps what each host printed"));
            Diagnostic::usage(error.to_string()).maybe_hint(error.hint().or(hint))
        },
    )
}

/// Where a host is. Strongest first: command line, hosts file, `ssh_config`, default.
///
/// # Errors
/// When under what `ssh_config` says there is no way to it, or it cannot be told what it says.
pub(super) fn route(host: &Host, options: &SshOptions, config: &SshConfig, role: Role) -> Result<Route, Diagnostic> {
    let given = given(host, options, role);
    check_names(host, &given)?;
    let found = config.resolve_with(asked_for(host), &given);
    if let Some(why) = &found.impossible {
        let concerned = format!("host `{}` is one of those it is for", host.name);
        let hint = joined_hints(why.hint.as_deref(), &concerned);
        return Err(Diagnostic::usage(why.to_string()).hint(hint));
    }
    let address = found.host_name.clone().unwrap_or_else(|| host.address().to_owned());
    let user = found.user.clone().unwrap_or_else(|| config.local_user().to_owned());
    names::check_host(&host.name, &address)?;
    names::check_user(&host.name, &user)?;
    Ok(Route { address, port: found.port.unwrap_or(22), user, options: found })
}

/// Before anything is asked of a shell about them.
fn check_names(host: &Host, given: &Overrides<'_>) -> Result<(), Diagnostic> {
    names::check_host(&host.name, asked_for(host))?;
    given.address.map_or(Ok(()), |address| names::check_host(&host.name, address))?;
    given.user.map_or(Ok(()), |user| names::check_user(&host.name, user))
}

/// Asks what must be asked of the installed `ssh` about all hosts, several questions at once.
///
/// # Errors
/// When one of them has a name that must not reach a shell.
pub(super) fn ask_ahead(hosts: &[Arc<Host>], options: &SshOptions, config: &SshConfig) -> Result<(), Diagnostic> {
    let mut asked = Vec::with_capacity(hosts.len());
    for host in hosts {
        let given = given(host, options, Role::Selected);
        check_names(host, &given)?;
        asked.push((asked_for(host), given));
    }
    config.ask_ahead(&asked);
    Ok(())
}

/// What is stronger than `ssh_config`.
fn given<'a>(host: &'a Host, options: &'a SshOptions, role: Role) -> Overrides<'a> {
    let as_jump = role == Role::Jump;
    let jump = options.jump.as_deref().filter(|_| !as_jump).or(host.jump());
    Overrides {
        user: options.user.as_deref().filter(|_| !as_jump).or(host.user()),
        port: options.port.filter(|_| !as_jump).or(host.port()),
        address: host.get("address"),
        carried: jump.map(|jump| jump != "none"),
        as_jump,
    }
}

/// The name that `ssh_config` knows a host by: its own, unless that was made of an address and a port or user.
pub(super) fn asked_for(host: &Host) -> &str {
    let address = host.address();
    let made_of_it = host.name.match_indices(address).any(|(at, _)| {
        let (before, after) = (&host.name[..at], &host.name[at + address.len()..]);
        (before.is_empty() || before.ends_with(['@', '['])) && (after.is_empty() || after.starts_with([':', ']']))
    });
    if made_of_it { address } else { &host.name }
}
