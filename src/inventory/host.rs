//! A host and what is known about how to reach it.
//!
//! Holds settings and where each came from; does not decide which of two wins (`resolve`) or what the default is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::duration;
use crate::shared::ByName;

/// Settings that gsctl knows; every other key is a variable for playbooks.
pub const KNOWN_SETTINGS: [&str; 7] = ["address", "user", "port", "identity", "jump", "timeout", "connect_timeout"];

/// One host of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name, by which every report calls it.
    pub name: Arc<str>,
    /// Settings and variables that count for it, strongest source only.
    pub settings: Settings,
    /// Every group that it belongs to, parents too, in the order of the file. Never `all`.
    pub groups: Vec<String>,
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The value; checked, where gsctl knows the setting.
    pub value: String,
    /// Where it was said.
    pub origin: Origin,
}

/// Settings by name.
pub type Settings = ByName<Setting>;

/// Where a setting was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// By an option of the command line.
    CommandLine,
    /// On a line that names the host.
    HostLine {
        /// The hosts file.
        file: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
    /// In the `:vars` section of a group, or of `all`.
    Group {
        /// The group.
        name: Arc<str>,
        /// The hosts file.
        file: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
    /// By `user@` or `:port` in a host set on the command line.
    HostSet,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::HostLine { file, line } => write!(f, "{file}:{line}"),
            Self::Group { name, file, line } => write!(f, "[{name}] {file}:{line}"),
            Self::HostSet => f.write_str("host set"),
        }
    }
}

impl Host {
    /// A host of which nothing is known but its name.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), settings: Settings::default(), groups: Vec::new() }
    }

    /// Puts a setting in the place of what was there.
    pub fn set(&mut self, key: impl Into<Arc<str>>, value: impl Into<String>, origin: Origin) {
        self.settings.insert(key, Setting { value: value.into(), origin });
    }

    /// A setting's or variable's value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(|setting| setting.value.as_str())
    }

    /// What to connect to: the `address` setting, else the name.
    #[must_use]
    pub fn address(&self) -> &str {
        self.get("address").unwrap_or(&self.name)
    }

    /// The login name, where the inventory has one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.get("user")
    }

    /// The port, where the inventory has one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.get("port")?.parse().ok()
    }

    /// The key file, `~` not expanded.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        self.get("identity")
    }

    /// The jump host, as ssh -J takes it.
    #[must_use]
    pub fn jump(&self) -> Option<&str> {
        self.get("jump")
    }

    /// Time for each command. Zero: no limit.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        duration::parse(self.get("timeout")?).ok()
    }

    /// Time to connect and log in.
    #[must_use]
    pub fn connect_timeout(&self) -> Option<Duration> {
        duration::parse(self.get("connect_timeout")?).ok()
    }

    /// Variables for playbooks: everything that is not a setting gsctl knows.
    pub fn vars(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings
            .iter()
            .map(|(key, setting)| (&**key, setting.value.as_str()))
            .filter(|(key, _)| !KNOWN_SETTINGS.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_host_is_its_own_address() {
        let host = Host::new("node1");
        assert_eq!(host.address(), "node1");
        assert_eq!((host.user(), host.port(), host.identity(), host.jump()), (None, None, None, None));
        assert_eq!((host.timeout(), host.connect_timeout()), (None, None));
        assert_eq!(host.vars().count(), 0);
    }

    #[test]
    fn settings_are_typed_and_the_rest_are_variables() {
        let mut host = Host::new("db7");
        for (key, value) in
            [("address", "10.0.0.7"), ("port", "2222"), ("timeout", "5m"), ("az", "AZ2"), ("user", "omm")]
        {
            host.set(key, value, Origin::CommandLine);
        }
        assert_eq!(host.address(), "10.0.0.7");
        assert_eq!(host.port(), Some(2222));
        assert_eq!(host.timeout(), Some(Duration::from_secs(300)));
        assert_eq!(host.vars().collect::<Vec<_>>(), [("az", "AZ2")]);
    }

    #[test]
    fn origins_in_words() {
        let group = Origin::Group { name: "primary".into(), file: "hosts".into(), line: 9 };
        assert_eq!(group.to_string(), "[primary] hosts:9");
        assert_eq!(Origin::HostLine { file: "hosts".into(), line: 3 }.to_string(), "hosts:3");
        assert_eq!(Origin::HostSet.to_string(), "host set");
    }
}
