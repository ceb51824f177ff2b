//! The processes of a node, as /proc shows them from outside.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

/// One process.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// Its number on this machine.
    pub(crate) pid: i32,
    /// Its number on the node.
    pub(crate) node_pid: i32,
    /// Its parent's number on this machine.
    pub(crate) parent: i32,
    /// The user it runs as.
    pub(crate) uid: u32,
    /// `R`, `S`, `Z` for a zombie and so on.
    pub(crate) state: char,
    /// The first 15 bytes of its name.
    pub(crate) comm: String,
    /// Its executable, under the path that the node sees; a zombie has none.
    pub(crate) exe: Option<PathBuf>,
    /// Its arguments, without empty ones at the end: a program that writes its title there leaves many.
    pub(crate) cmdline: Vec<String>,
}

impl Process {
    /// Reads one process; `None` once it is gone.
    pub(crate) fn read(pid: i32) -> Option<Self> {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        let status = fs::read_to_string(dir.join("status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let cmdline = fs::read(dir.join("cmdline")).ok()?;
        let cmdline = String::from_utf8_lossy(&cmdline);
        Some(Self {
            pid,
            node_pid: field("NSpid:")?.split_whitespace().next_back()?.parse().ok()?,
            parent: field("PPid:")?.parse().ok()?,
            uid: field("Uid:")?.split_whitespace().next()?.parse().ok()?,
            state: field("State:")?.chars().next()?,
            comm: field("Name:")?.to_owned(),
            exe: fs::read_link(dir.join("exe")).ok(),
            cmdline: cmdline.trim_end_matches('\0').split('\0').map(str::to_owned).collect(),
        })
    }

    /// Every process of this machine.
    pub(crate) fn all() -> Vec<Self> {
        numbers().filter_map(Self::read).collect()
    }

    /// The processes of a process-number namespace. Waits ask for them all the time: only these are read.
    pub(crate) fn all_of(namespace: &Path) -> Vec<Self> {
        let inside = |pid: &i32| Self::namespace(*pid).as_deref() == Some(namespace);
        numbers().filter(inside).filter_map(Self::read).collect()
    }

    /// The process-number namespace a process is in.
    pub(crate) fn namespace(pid: i32) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
    }

    /// Whether the process carries this variable in its first environment.
    pub(crate) fn has_variable(&self, variable: &str) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    }

    /// Whether it runs this executable.
    pub(crate) fn runs(&self, exe: impl AsRef<Path>) -> bool {
        self.state != 'Z' && self.exe.as_deref() == Some(exe.as_ref())
    }

    /// Sends a signal; a process that is gone is fine.
    pub(crate) fn kill(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// The numbers of all processes of this machine.
fn numbers() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").expect("/proc is readable");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}
