//! What lies on the disk of a node: the installation, its settings, data directories, the catalog.

use std::fs;
use std::path::{Path, PathBuf};

/// The installation that this executable belongs to.
pub(crate) fn home() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    exe.ancestors().nth(2).unwrap_or(Path::new("/")).to_owned()
}

/// One of its programs.
pub(crate) fn program(name: &str) -> PathBuf {
    home().join("bin").join(name)
}

/// A setting of `GPHOME/standin.conf`.
pub(crate) fn setting(key: &str) -> Option<String> {
    value(&home().join("standin.conf"), key)
}

/// Up to 5 things have other names and words.
pub(crate) fn is_old() -> bool {
    setting("dialect").as_deref() == Some("5")
}

/// The `gpsegd` of a host.
pub(crate) fn agent_of(host: &str) -> Option<String> {
    setting("agents")?.split(',').find_map(|pair| Some(pair.strip_prefix(host)?.strip_prefix('=')?.to_owned()))
}

fn value(file: &Path, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix('=')?.to_owned()))
}

/// A data directory.
#[derive(Debug, Clone)]
pub(crate) struct Data(pub(crate) PathBuf);

impl Data {
    pub(crate) fn at(path: &str) -> Self {
        Self(PathBuf::from(path))
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.join("PG_VERSION").is_file()
    }

    /// The live postmaster, by its pid file.
    pub(crate) fn postmaster(&self) -> Option<i32> {
        let text = fs::read_to_string(self.0.join("postmaster.pid")).ok()?;
        let pid = text.lines().next()?.trim().parse().ok()?;
        is_postgres(pid).then_some(pid)
    }

    pub(crate) fn port(&self) -> Option<u16> {
        let text = fs::read_to_string(self.0.join("postgresql.conf")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("port=")?.trim().parse().ok())
    }

    pub(crate) fn follows(&self) -> bool {
        self.0.join("standby.signal").exists() || self.0.join("recovery.conf").exists()
    }

    /// What `pg_controldata` shows.
    pub(crate) fn control(&self, key: &str) -> String {
        value(&self.0.join("standin.control"), key).unwrap_or_default()
    }

    pub(crate) fn set_control(&self, timeline: &str, state: &str) {
        let new = self.0.join("standin.control.new");
        let written = fs::write(&new, format!("timeline={timeline}\nstate={state}\n"));
        if written.is_ok() {
            let _ = fs::rename(new, self.0.join("standin.control"));
        }
    }

    /// Whether a fault is injected here: a word of `standin.fault`.
    pub(crate) fn fails(&self, fault: &str) -> bool {
        self.faults().split_whitespace().any(|word| word == fault)
    }

    /// The milliseconds of the fault `slow=N`.
    pub(crate) fn slow(&self) -> Option<u64> {
        self.faults().split_whitespace().find_map(|word| word.strip_prefix("slow=")?.parse().ok())
    }

    fn faults(&self) -> String {
        fs::read_to_string(self.0.join("standin.fault")).unwrap_or_default()
    }

    /// The rows of `gp_segment_configuration`; a coordinator and its standby have them.
    pub(crate) fn catalog(&self) -> Vec<Row> {
        let text = fs::read_to_string(self.0.join("standin.catalog")).unwrap_or_default();
        text.lines().filter_map(Row::parse).collect()
    }
}

/// Whether a process is a postgres that runs.
pub(crate) fn is_postgres(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.starts_with("Name:\tpostgres\n") && !status.contains("State:\tZ")
}

/// A row of `gp_segment_configuration`.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) dbid: i32,
    pub(crate) content: i32,
    pub(crate) role: String,
    pub(crate) preferred: String,
    pub(crate) port: u16,
    pub(crate) host: String,
    pub(crate) address: String,
    pub(crate) data: String,
}

impl Row {
    /// `dbid|content|role|preferred_role|port|hostname|address|datadir`.
    fn parse(line: &str) -> Option<Self> {
        let parts: Vec<&str> = line.split('|').collect();
        let [dbid, content, role, preferred, port, host, address, data] = parts[..] else { return None };
        Some(Self {
            dbid: dbid.parse().ok()?,
            content: content.parse().ok()?,
            role: role.to_owned(),
            preferred: preferred.to_owned(),
            port: port.parse().ok()?,
            host: host.to_owned(),
            address: address.to_owned(),
            data: data.to_owned(),
        })
    }
}
