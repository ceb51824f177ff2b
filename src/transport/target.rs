//! Where and how to log in to one host: everything decided, nothing left to look up.

mod settings;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use self::settings::TargetSettings;
use super::openssh::SshClient;
use crate::shared::share;

/// Where and how to log in to one host.
#[derive(Debug, Clone)]
pub struct Target {
    /// The host's name as the user wrote it.
    pub name: Arc<str>,
    /// Name or address to connect to.
    pub address: Arc<str>,
    /// TCP port.
    pub port: u16,
    /// Login name.
    pub user: Arc<str>,
    /// The name under which `known_hosts` has the host.
    pub host_key_name: Arc<str>,
    /// The port under which `known_hosts` has it: 22, where a `HostKeyAlias` is that name.
    pub host_key_port: u16,
    /// What carries the connection to it.
    pub via: Via,
    /// What most hosts have in common.
    pub settings: Arc<TargetSettings>,
}

/// What carries a connection to a host.
#[derive(Debug, Clone)]
pub enum Via {
    /// The network, from here.
    Network,
    /// The connection to another host.
    Jump(Arc<Target>),
    /// A command on this machine.
    Command(Box<ProxyCommand>),
    /// The system's `ssh`, which makes the whole connection.
    OpenSsh(Arc<SshClient>),
    /// None: its commands run on this machine.
    Local,
}

/// A command whose standard input and output are the connection to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyCommand {
    /// Its text, for the shell.
    pub text: String,
    /// The user's shell.
    pub shell: PathBuf,
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(address: &IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Whether an address belongs to it.
    #[must_use]
    pub fn has(self, address: &SocketAddr) -> bool {
        Self::of(&address.ip()) == self
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// Whether, and when, the keys of the ssh-agent at a socket are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentUse {
    /// Not at all.
    No,
    /// Before the key files.
    First(PathBuf),
    /// After the key files.
    Last(PathBuf),
}

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Key files and the ssh-agent.
    PublicKey,
    /// The server asks questions; the password is the answer.
    KeyboardInteractive,
    /// The password.
    Password,
}

impl Method {
    /// All, in ssh's order.
    pub const ALL: [Self; 3] = [Self::PublicKey, Self::KeyboardInteractive, Self::Password];

    /// Its name in the protocol, and in `PreferredAuthentications`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PublicKey => "publickey",
            Self::KeyboardInteractive => "keyboard-interactive",
            Self::Password => "password",
        }
    }

    /// The method of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

impl Target {
    /// Keeps once what is the same for another host, as it mostly is, and there may be very many of them.
    pub fn share(&mut self, other: &Self) {
        share(&mut self.host_key_name, &self.address);
        share(&mut self.user, &other.user);
        if !Arc::ptr_eq(&self.settings, &other.settings) && self.settings.is_same(&other.settings) {
            self.settings.clone_from(&other.settings);
        }
    }

    /// Changes the settings of all of these. What was kept once still is.
    pub fn change_all(targets: &mut [Self], change: impl Fn(&mut TargetSettings)) {
        // The latest as they were, and as they are now.
        let mut last: Option<(Arc<TargetSettings>, Arc<TargetSettings>)> = None;
        for target in targets {
            match &last {
                Some((was, is)) if Arc::ptr_eq(was, &target.settings) => target.settings.clone_from(is),
                _ => {
                    let was = target.settings.clone();
                    change(Arc::make_mut(&mut target.settings));
                    last = Some((was, target.settings.clone()));
                }
            }
        }
    }

    /// Time without any answer after which a connection is given up. Zero: never.
    #[must_use]
    pub fn dead_after(&self) -> Duration {
        self.settings.keepalive.0 * self.settings.keepalive.1
    }

    /// The jump hosts before it, from the last to the first.
    pub fn hops(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(self.hop(), |hop| hop.hop())
    }

    fn hop(&self) -> Option<&Self> {
        match &self.via {
            Via::Jump(jump) => Some(jump),
            Via::Network | Via::Command(_) | Via::OpenSsh(_) | Via::Local => None,
        }
    }

    /// Login, address and port, after those of the jump hosts before it: what tells one chain of jump hosts from another.
    #[must_use]
    pub fn chain(&self) -> String {
        let own = format!("{}@{}:{}", self.user, self.address, self.port);
        match &self.via {
            Via::Network | Via::Local => own,
            Via::Jump(jump) => format!("{},{own}", jump.chain()),
            Via::Command(command) => format!("{},{own}", command.text),
            Via::OpenSsh(client) => client.through.as_ref().map_or(own, Clone::clone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::known_hosts::{HostKeyPolicy, KnownHosts};
    use crate::transport::algorithms::AlgorithmLists;

    #[test]
    fn what_was_kept_once_is_kept_once_after_a_change() {
        let settings = TargetSettings {
            known_hosts: Arc::new(KnownHosts::load(&[], &[]).unwrap()),
            policy: HostKeyPolicy::Strict,
            keys: Arc::from([]),
            agent: AgentUse::No,
            agent_keys: None,
            password: None,
            sudo_password: None,
            methods: Vec::new(),
            connect_timeout: Duration::ZERO,
            attempts: 3,
            keepalive: (Duration::ZERO, 0),
            compression: false,
            algorithms: AlgorithmLists::default(),
            family: None,
            bind: None,
            env: Arc::from([]),
            linger: None,
        };
        let (most, other) = (Arc::new(settings.clone()), Arc::new(TargetSettings { compression: true, ..settings }));
        let name: Arc<str> = "node".into();
        let mut targets = [&most, &most, &other, &most].map(|settings| Target {
            name: name.clone(),
            address: name.clone(),
            port: 22,
            user: name.clone(),
            host_key_name: name.clone(),
            host_key_port: 22,
            via: Via::Network,
            settings: settings.clone(),
        });
        Target::change_all(&mut targets, |settings| settings.attempts = 1);
        let seen = targets.each_ref().map(|target| (target.settings.attempts, target.settings.compression));
        assert_eq!(seen, [(1, false), (1, false), (1, true), (1, false)]);
        assert!(Arc::ptr_eq(&targets[0].settings, &targets[1].settings));
        assert_eq!(most.attempts, 3);
    }

    /// A run of a hundred thousand hosts has so many of them.
    #[test]
    fn a_target_is_small() {
        assert!(size_of::<Target>() <= 104, "{}", size_of::<Target>());
    }
}
