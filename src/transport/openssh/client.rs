//! The system's `ssh` for one host: how it is called, and what it makes of its own configuration.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::plan::quote::quote;

/// Hosts about which `ssh` is asked at once.
const AT_ONCE: usize = 8;

/// How `ssh` is called for one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshClient {
    /// The host, as `ssh_config` knows it.
    pub name: String,
    /// Options that say who, where and how, strongest first.
    pub options: Vec<OsString>,
    /// What the connection goes through, where it does not go over the network alone; as `-J` takes it, or a command.
    pub through: Option<String>,
    /// Patterns of variables that commands are to have.
    pub send_env: Vec<String>,
}

/// What `ssh -G` says about a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshSettings {
    /// Name or address to connect to.
    pub host_name: String,
    /// TCP port.
    pub port: u16,
    /// Login name.
    pub user: String,
    /// `HostKeyAlias`
    pub host_key_alias: Option<String>,
    /// `ProxyJump`, or `ProxyCommand`.
    pub through: Option<String>,
    /// `ConnectTimeout`
    pub connect_timeout: Option<Duration>,
    /// `ConnectionAttempts`
    pub connection_attempts: u32,
    /// `ServerAliveInterval` in seconds; 0 is none.
    pub alive_interval: u64,
    /// `ServerAliveCountMax`
    pub alive_count: u32,
    /// `SendEnv`
    pub send_env: Vec<String>,
}

impl SshClient {
    /// Asks `ssh` what it makes of these options. Contacts nobody, but runs what a `Match exec` says.
    ///
    /// # Errors
    /// When `ssh` is not there, or does not understand its configuration; in its words.
    pub fn resolve(&self) -> Result<SshSettings, String> {
        let output = Self::command().arg("-G").args(&self.options).arg("--").arg(&self.name).output();
        let output = output.map_err(|error| missing(&error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            return Err(if lines.is_empty() { "it did not say why".to_owned() } else { lines.join("; ") });
        }
        Ok(read(&String::from_utf8_lossy(&output.stdout)))
    }

    /// The same for many, a few at a time.
    #[must_use]
    pub fn resolve_all(clients: &[Self]) -> Vec<Result<SshSettings, String>> {
        let share = clients.len().div_ceil(AT_ONCE).max(1);
        std::thread::scope(|scope| {
            let parts = clients.chunks(share);
            let parts: Vec<_> =
                parts.map(|part| scope.spawn(|| part.iter().map(Self::resolve).collect::<Vec<_>>())).collect();
            let broken = |_| vec![Err("gsctl itself broke".to_owned())];
            parts.into_iter().flat_map(|part| part.join().unwrap_or_else(broken)).collect()
        })
    }

    /// What carries connections of another host: `ssh` to this one, as a `ProxyCommand`.
    #[must_use]
    pub fn as_proxy(&self) -> String {
        let mut text = "ssh -o BatchMode=yes".to_owned();
        for option in &self.options {
            text.push(' ');
            // What is to reach the shell as `%` is a token for the `ssh` that reads this.
            text.push_str(&quote(&option.to_string_lossy()).replace('%', "%%"));
        }
        format!("{text} -W '[%h]:%p' -- {}", quote(&self.name).replace('%', "%%"))
    }

    /// Makes the connection that all commands share, and stays with it.
    pub(super) fn master(&self, socket: &Path) -> Command {
        let mut command = Self::command();
        // Of two values the first one counts. LogLevel, not -v: that would be passed on to the `ssh` of a jump host.
        for option in [
            "LogLevel=DEBUG1",
            "ControlMaster=yes",
            "ControlPersist=no",
            "BatchMode=yes",
            "ForkAfterAuthentication=no",
            "ClearAllForwardings=yes",
            "PermitLocalCommand=no",
            "RemoteCommand=none",
            // gsctl counts attempts and time itself.
            "ConnectionAttempts=1",
            "ConnectTimeout=none",
        ] {
            command.arg("-o").arg(option);
        }
        command.args(["-N", "-T", "-S"]).arg(socket).args(&self.options).arg("--").arg(&self.name);
        command
    }

    /// Runs a command over that connection, and never over one of its own.
    pub(super) fn run(&self, socket: &Path, text: &str) -> Command {
        let mut command = Self::command();
        command.args(["-F", "none", "-T", "-S"]).arg(socket);
        for option in ["ControlMaster=no", "ProxyCommand=false", "BatchMode=yes", "LogLevel=ERROR"] {
            command.arg("-o").arg(option);
        }
        for pattern in &self.send_env {
            command.arg("-o").arg(format!("SendEnv={pattern}"));
        }
        command.arg("--").arg(&self.name).arg(text);
        command
    }

    /// `ssh`, which can ask nobody.
    fn command() -> Command {
        let mut command = Command::new("ssh");
        command.stdin(Stdio::null()).env("SSH_ASKPASS", "/bin/false").env("SSH_ASKPASS_REQUIRE", "force");
        command
    }
}

/// `ssh` cannot be started.
pub(super) fn missing(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        "there is no `ssh` on this machine".to_owned()
    } else {
        format!("`ssh` cannot be started: {error}")
    }
}

/// Reads what `ssh -G` prints: a keyword in small letters and its value in each line.
fn read(text: &str) -> SshSettings {
    let mut settings = SshSettings { port: 22, connection_attempts: 1, alive_count: 3, ..SshSettings::default() };
    for line in text.lines() {
        let Some((keyword, value)) = line.split_once(' ') else { continue };
        let some = || (value != "none").then(|| value.to_owned());
        match keyword {
            "hostname" => value.clone_into(&mut settings.host_name),
            "port" => settings.port = value.parse().unwrap_or(settings.port),
            "user" => value.clone_into(&mut settings.user),
            "hostkeyalias" => settings.host_key_alias = some(),
            "proxyjump" | "proxycommand" => settings.through = some().or(settings.through),
            "connecttimeout" => settings.connect_timeout = value.parse().ok().map(Duration::from_secs),
            "connectionattempts" => settings.connection_attempts = value.parse().unwrap_or(1),
            "serveraliveinterval" => settings.alive_interval = value.parse().unwrap_or(0),
            "serveralivecountmax" => settings.alive_count = value.parse().unwrap_or(3),
            "sendenv" => settings.send_env.extend(value.split(' ').map(str::to_owned)),
            _ => {}
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_says_is_read() {
        let settings =
            read("user omm\nhostname 10.0.0.7\nport 2222\nproxyjump none\nconnecttimeout none\nsendenv A B_*\n");
        assert_eq!((settings.user.as_str(), settings.host_name.as_str(), settings.port), ("omm", "10.0.0.7", 2222));
        assert_eq!((settings.through, settings.connect_timeout), (None, None));
        assert_eq!(settings.send_env, ["A", "B_*"]);
    }
}
