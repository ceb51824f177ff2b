//! Settings for a host from `ssh_config` files and `-o` options, as ssh reads them.
//!
//! It reads the local files once, when loaded, and contacts nobody. Whatever it finds and cannot give is named, never
//! passed over: an error for an option, a warning for a line of a file. What it cannot decide the installed `ssh` is asked.
//!
//! Why not the `ssh2-config` crate (0.9.0): in a block it lets the last of two values win where ssh takes the first;
//! it skips a `Match` line but not what stands under it, which then applies to the `Host` block above; its errors
//! have neither file nor line; one value that it does not know (`AddKeysToAgent confirm`) makes the whole file an
//! error; and `StrictHostKeyChecking`, `UserKnownHostsFile`, `HostKeyAlias`, `IdentitiesOnly` and
//! `ServerAliveCountMax` are not among what it reads.

mod arguments;
mod criterion;
mod file;
mod glob;
mod ignored;
mod keywords;
mod openssh_query;
mod options;
mod origin;
mod problem;
mod raw_options;
mod resolution;
mod tokens;
mod value;

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::account;

use self::file::{Block, FileOwner, FileReader, Warning, WarningScope};
use self::openssh_query::OpensshQuery;
pub use self::options::{IdentityAgent, Overrides, SshOptions, default_global_known_hosts, default_user_known_hosts};
pub use self::origin::SourceLine;
pub use self::problem::{ConfigError, Impossible, Unhonoured};
use self::raw_options::{LocalUser, RawOptions};
use self::resolution::{Resolution, undecided};
pub use self::value::ProxyRoute;

/// The file of all users of this machine.
const SYSTEM_FILE: &str = "/etc/ssh/ssh_config";

/// The port that ssh uses when none is set.
const DEFAULT_PORT: u16 = 22;

/// How many `ssh -G` run at once.
const ASKERS: usize = 8;

/// `ssh_config` files and options, read once for a run.
#[derive(Debug)]
pub struct SshConfig {
    blocks: Vec<Block>,
    /// How many of the blocks, from the front, are `-o` options.
    from_options: usize,
    warnings: Vec<Warning>,
    names: Vec<String>,
    local: LocalUser,
    /// Whether something in the files may have to be asked.
    asks: bool,
    /// Whether a `Match final` asks for a second reading.
    twice: bool,
    ssh: OpensshQuery,
}

impl SshConfig {
    /// Reads `file` (`-F`; `none` is no file), or else `~/.ssh/config` and `/etc/ssh/ssh_config`, under the `-o`
    /// options, which win.
    ///
    /// # Errors
    ///
    /// When `file` is missing, a file cannot be read or understood, others can write `~/.ssh/config`, or an option is
    /// wrong, unknown or cannot be honoured.
    pub fn load(
        file: Option<&Path>,
        home: &Path,
        environment: &BTreeMap<String, String>,
        options: &[String],
    ) -> Result<Self, ConfigError> {
        Self::load_from(file, home, environment, options, Path::new(SYSTEM_FILE))
    }

    fn load_from(
        file: Option<&Path>,
        home: &Path,
        environment: &BTreeMap<String, String>,
        options: &[String],
        system: &Path,
    ) -> Result<Self, ConfigError> {
        let mut reader = FileReader::new(home, environment);
        for option in options {
            reader.option(option)?;
        }
        let from_options = reader.blocks.len();
        match file {
            Some(file) if file == Path::new("none") => {}
            Some(file) => reader.file(file, FileOwner::User)?,
            None => {
                reader.user_file(&home.join(".ssh/config"))?;
                if system.exists() {
                    reader.file(system, FileOwner::System)?;
                }
            }
        }
        let uid = rustix::process::getuid().as_raw();
        let user = account::name_of(uid).unwrap_or_else(|| uid.to_string());
        Ok(Self {
            asks: reader.asks,
            twice: reader.twice,
            blocks: reader.blocks,
            from_options,
            warnings: reader.warnings,
            names: reader.names,
            local: LocalUser { home: home.to_owned(), user, uid },
            ssh: OpensshQuery::default(),
        })
    }

    /// Another name for the user that runs gsctl.
    #[cfg(test)]
    fn with_local_user(mut self, name: impl Into<String>) -> Self {
        self.local.user = name.into();
        self
    }

    /// The user that runs gsctl, and so the user on a host for which nothing else is said.
    #[must_use]
    pub fn local_user(&self) -> &str {
        &self.local.user
    }

    /// The hosts that `Host` lines name, each once and in their order; patterns name none.
    #[must_use]
    pub fn hosts(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let names = self.names.iter().map(String::as_str);
        names.filter(|name| !name.contains(['*', '?', '!']) && seen.insert(*name)).collect()
    }

    /// What was found in files and cannot be honoured, once a keyword, with file and line, as far as it is about all hosts: what
    /// concerns one host is in its [`SshOptions::unhonoured`].
    #[must_use]
    pub fn general_warnings(&self) -> Vec<&str> {
        let general = self.warnings.iter().filter(|warning| warning.about == WarningScope::Everything);
        general.map(|warning| warning.text.as_str()).collect()
    }

    /// All of them.
    #[cfg(test)]
    fn warnings(&self) -> Vec<&str> {
        self.warnings.iter().map(|warning| warning.text.as_str()).collect()
    }

    /// The settings of a host without any overrides.
    #[cfg(test)]
    fn resolve(&self, host: &str) -> SshOptions {
        self.resolve_with(host, &Overrides::default())
    }

    /// The settings of a host, by the name that it was asked for; some may be given by what is stronger. They are in the answer too.
    #[must_use]
    pub fn resolve_with(&self, host: &str, given: &Overrides<'_>) -> SshOptions {
        let mut raw = RawOptions::new(&self.local, host, given);
        let foreign = if given.as_jump { self.from_options } else { 0 };
        let mut pass = Resolution::new(&self.ssh, &self.local.user, host, false);
        pass.read(&self.blocks, foreign, &mut raw);
        let mut once_more = self.twice;
        if let Some((question, said)) = raw.canonical_question() {
            once_more = true;
            match self.ssh.host_name(&question) {
                Ok(name) => raw.options.host_name = Some(name),
                Err(silence) => {
                    let why = || undecided(said.keyword, &said.origin, silence);
                    raw.options.impossible.get_or_insert_with(why);
                }
            }
        }
        if once_more {
            let name = raw.host().to_ascii_lowercase();
            // It is settled: a `HostName` of the second reading comes too late, as in ssh.
            raw.options.host_name = Some(name.clone());
            Resolution::new(&self.ssh, &self.local.user, &name, true).read(&self.blocks, foreign, &mut raw);
        }
        raw.expand()
    }

    /// Has ssh asked, for these hosts, what it must be asked for them: several at once. Once there is no answer for one of
    /// them nobody will be contacted, and the others are left.
    pub fn ask_ahead(&self, hosts: &[(&str, Overrides<'_>)]) {
        if !self.asks {
            return;
        }
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..ASKERS.min(hosts.len()) {
                scope.spawn(|| {
                    while let Some((host, given)) = hosts.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if self.resolve_with(host, given).impossible.is_some() {
                            next.store(hosts.len(), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
    }
}

#[cfg(test)]
mod tests;
