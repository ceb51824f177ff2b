//! What lies on the disk of a node: the installation, its settings, and data directories.

use std::fs;
use std::io::Write as _;
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

/// A setting that is a number.
pub(crate) fn number(key: &str, default: u64) -> u64 {
    setting(key).and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// 7 has other names and words.
pub(crate) fn is_seven() -> bool {
    setting("dialect").as_deref() == Some("7")
}

/// The `gpsegd` of a host.
pub(crate) fn agent_of(host: &str) -> Option<String> {
    setting("agents")?.split(',').find_map(|pair| Some(pair.strip_prefix(host)?.strip_prefix('=')?.to_owned()))
}

fn value(file: &Path, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix('=')?.to_owned()))
}

/// The lock file of a port.
pub(crate) fn lock_file(port: u16) -> PathBuf {
    PathBuf::from(format!("/tmp/.s.PGSQL.{port}.lock"))
}

/// The live process that holds a port, by its lock file.
pub(crate) fn holder(port: u16) -> Option<i32> {
    let text = fs::read_to_string(lock_file(port)).ok()?;
    let pid = text.lines().next()?.trim().parse().ok()?;
    is_postgres(pid).then_some(pid)
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

    /// Somebody has taken away the right to look into it.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.0.is_dir() && fs::read_dir(&self.0).is_err()
    }

    /// The live postmaster, by its pid file.
    pub(crate) fn postmaster(&self) -> Option<i32> {
        let text = fs::read_to_string(self.0.join("postmaster.pid")).ok()?;
        let pid = text.lines().next()?.trim().parse().ok()?;
        is_postgres(pid).then_some(pid)
    }

    /// `port=6000 ##port 5432`, as the real one has it.
    pub(crate) fn port(&self) -> Option<u16> {
        let text = fs::read_to_string(self.0.join("postgresql.conf")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("port=")?.split_whitespace().next()?.parse().ok())
    }

    /// The file that makes it follow another one.
    pub(crate) fn follow_file(&self) -> PathBuf {
        self.0.join(if is_seven() { "standby.signal" } else { "recovery.conf" })
    }

    pub(crate) fn follows(&self) -> bool {
        self.follow_file().exists()
    }

    /// Host and port of the one that it follows.
    pub(crate) fn source(&self) -> Option<(String, u16)> {
        let file = if is_seven() { self.0.join("postgresql.auto.conf") } else { self.follow_file() };
        let text = fs::read_to_string(file).ok()?;
        let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c == '\'').collect();
        let find = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)).map(str::to_owned);
        Some((find("host=")?, find("port=")?.parse().ok()?))
    }

    /// Makes it follow.
    pub(crate) fn follow(&self, host: &str, port: u16) {
        let line = format!(
            "primary_conninfo = 'user=gpadmin host={host} port={port} sslmode=disable sslcompression=1 krbsrvname=postgres \
             application_name=gp_walreceiver'\n"
        );
        if is_seven() {
            let _ = fs::write(self.follow_file(), "");
            let _ = fs::write(self.0.join("postgresql.auto.conf"), line);
        } else {
            let text = format!("standby_mode = 'on'\n{line}primary_slot_name = 'internal_wal_replication_slot'\n");
            let _ = fs::write(self.follow_file(), text);
        }
    }

    /// Where it writes its logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join(if is_seven() { "log" } else { "pg_log" })
    }

    pub(crate) fn startup_log(&self) -> String {
        let _ = fs::create_dir_all(self.logs());
        self.logs().join("startup.log").display().to_string()
    }

    /// Lines that a test wants in a log in place of a healthy start: `standin.trouble-STARTUP`, `standin.trouble-GPCSV`.
    pub(crate) fn trouble(&self, code: &str) -> Option<String> {
        fs::read_to_string(self.0.join(format!("standin.trouble-{code}"))).ok()
    }

    /// Adds these lines to the server's log.
    pub(crate) fn log_lines(&self, lines: &str) {
        let _ = fs::create_dir_all(self.logs());
        let file = self.logs().join("gpdb-2026-11-28_193428.csv");
        if let Ok(mut file) = fs::OpenOptions::new().create(true).append(true).open(file) {
            let _ = file.write_all(lines.as_bytes());
        }
    }

    /// A line in the server's log.
    pub(crate) fn log(&self, level: &str, text: &str) {
        let text = text.lines().next().unwrap_or_default().replace('"', "\"\"");
        self.log_lines(&format!(
            "2026-11-28 19:34:28.006086 UTC,,,p1,th1,,,,0,,,seg-1,,,,,\"{level}\",\"57P03\",\"{text}\",,,,,,,0\n"
        ));
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
}

/// Whether a process is a postgres that runs.
pub(crate) fn is_postgres(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.starts_with("Name:\tpostgres\n") && !status.contains("State:\tZ")
}
