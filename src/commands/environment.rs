//! The environment that gsctl runs in: variables, home directory, terminals; read once and passed down as values.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Where gsctl runs.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The environment; variables that are not UTF-8 are left out.
    pub env: BTreeMap<String, String>,
    /// The user's home directory.
    pub home: PathBuf,
    /// Standard input is a terminal.
    pub stdin_tty: bool,
    /// Standard output is a terminal.
    pub stdout_tty: bool,
    /// Standard error is a terminal.
    pub stderr_tty: bool,
}

impl Environment {
    /// Reads it.
    #[must_use]
    pub fn look() -> Self {
        let env: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            home: home(std::env::var_os("HOME").map(PathBuf::from)),
            env,
            stdin_tty: std::io::stdin().is_terminal(),
            stdout_tty: std::io::stdout().is_terminal(),
            stderr_tty: std::io::stderr().is_terminal(),
        }
    }

    /// The working directory, where there is one.
    #[must_use]
    pub fn directory() -> Option<PathBuf> {
        std::env::current_dir().ok()
    }

    /// An environment variable that is set and not empty.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A path as users write it: `~/` is the home directory.
    #[must_use]
    pub fn path(&self, text: &str) -> PathBuf {
        match text.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None => PathBuf::from(text),
        }
    }

    /// The directory for gsctl's own configuration.
    #[must_use]
    pub fn config_dir(&self) -> PathBuf {
        let base = self.var("XDG_CONFIG_HOME").map_or_else(|| self.home.join(".config"), PathBuf::from);
        base.join("gsctl")
    }

    /// The directory for what gsctl remembers between runs. A relative one counts for nothing, as the XDG rules want it.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        let given = self.var("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        given.unwrap_or_else(|| self.home.join(".local/state")).join("gsctl")
    }
}

/// What HOME names, where that is a directory; else what the password database has, as for ssh. Service accounts often have
/// a HOME of `/dev/null`, or none.
fn home(named: Option<PathBuf>) -> PathBuf {
    let own = || crate::account::home_of_id(rustix::process::getuid().as_raw());
    named.filter(|home| home.is_dir()).or_else(own).unwrap_or_else(|| PathBuf::from("/"))
}

/// Where this program lies.
///
/// # Errors
/// As the system has it.
pub(super) fn own_program() -> std::io::Result<std::path::PathBuf> {
    std::env::current_exe()
}
