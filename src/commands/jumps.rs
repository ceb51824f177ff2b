//! What carries the connection to a host: the network, jump hosts, or a command. Contacts no host.

use crate::cli::SshOptions;
use crate::inventory::Hosts;
use crate::inventory::host::{Host, Origin};
use crate::inventory::jump::parse_jump;
use crate::inventory::spec::Spec;
use crate::ssh_config;
use crate::ssh_config::ProxyRoute;

use crate::diagnostic::Diagnostic;

/// What a host is to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Something is to be done on it.
    Selected,
    /// Others are reached through it: options that say who, where and through what are about those.
    Jump,
}

/// What carries the connection to a host. Strongest first: command line, hosts file, `ssh_config`.
///
/// # Errors
/// When a jump host is not written as one.
pub(super) fn way(
    host: &Host,
    options: &SshOptions,
    found: &ssh_config::SshOptions,
    role: Role,
) -> Result<ProxyRoute, Diagnostic> {
    if let Some(proxy) = said(host, options, role)? {
        return Ok(proxy);
    }
    let proxy = found.proxy.clone().unwrap_or(ProxyRoute::None);
    if matches!(proxy, ProxyRoute::Command(_))
        && let Some(item) = found.unhonoured.iter().find(|item| item.keyword == "ProxyUseFdpass")
    {
        let cause = format!("host `{}`: `ProxyUseFdpass {}` cannot be honoured", host.name, item.value);
        return Err(Diagnostic::usage(cause).hint(item.hint()));
    }
    Ok(proxy)
}

/// A jump host as the hosts file knows it, with what is written of it where it is named.
pub(super) fn host_of(hop: &Spec, known: &Hosts) -> Host {
    let mut host = known.get(hop.host.as_str()).map_or_else(|| Host::new(&*hop.host), |host| Host::clone(host));
    for (setting, value) in [("user", hop.user.clone()), ("port", hop.port.map(|port| port.to_string()))] {
        if let Some(value) = value {
            host.set(setting, value, Origin::CommandLine);
        }
    }
    host
}

/// What the command line or the hosts file says about it.
///
/// # Errors
/// When a jump host is not written as one.
pub(super) fn said(host: &Host, options: &SshOptions, role: Role) -> Result<Option<ProxyRoute>, Diagnostic> {
    let typed = options.jump.as_deref().filter(|_| role == Role::Selected);
    let said = match (typed, host.jump()) {
        (Some(text), _) => Some((text, format!("`--jump {text}`"))),
        (None, Some(text)) => Some((text, format!("host `{}`", host.name))),
        (None, None) => None,
    };
    if let Some((text, place)) = said {
        let hops = parse_jump(text)
            .map_err(|error| Diagnostic::usage(format!("{place}: {}", error.message)).maybe_hint(error.hint))?;
        return Ok(Some(if hops.is_empty() { ProxyRoute::None } else { ProxyRoute::Jump(hops) }));
    }
    Ok(None)
}

/// Jump hosts as `-J` takes them.
#[must_use]
pub(super) fn shown(hops: &[Spec]) -> String {
    let texts: Vec<String> = hops.iter().map(hop).collect();
    texts.join(",")
}

fn hop(spec: &Spec) -> String {
    let place = spec.with_port();
    spec.user.as_ref().map_or_else(|| place.clone(), |user| format!("{user}@{place}"))
}
