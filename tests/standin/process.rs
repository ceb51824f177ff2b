//! Processes of this machine, found and watched the way CM does it: through /proc.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};

/// Every process, as its directory in /proc.
pub(crate) fn all() -> impl Iterator<Item = (u32, PathBuf)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}

/// The arguments of a process; none for a zombie, which therefore does not count as running (measured 1.1).
pub(crate) fn arguments(process: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(process.join("cmdline")).unwrap_or_default();
    let mut arguments: Vec<_> = bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    // What follows the last NUL is no argument.
    arguments.pop();
    arguments
}

/// Whether a process runs this executable. A zombie has none.
fn runs(process: &Path, exe: &Path) -> bool {
    fs::read_link(process.join("exe")).is_ok_and(|link| link == exe)
}

/// A daemon that somebody keeps alive: its own child, or one it found when it came up.
pub(crate) struct Watched {
    /// The process.
    pub(crate) pid: u32,
    exe: PathBuf,
    child: Option<Child>,
}

/// What became of a watched process.
pub(crate) enum Fate {
    /// It runs.
    Alive,
    /// It is gone, with the raw wait status if it was our child.
    Gone(Option<i32>),
}

impl Watched {
    /// Starts a program.
    pub(crate) fn start(exe: &Path, command: &mut Command) -> io::Result<Self> {
        let child = command.spawn()?;
        Ok(Self { pid: child.id(), exe: real(exe), child: Some(child) })
    }

    /// Finds a process that somebody before us started: daemons outlive a killed agent or monitor.
    pub(crate) fn find(exe: &Path, accept: impl Fn(&[Vec<u8>]) -> bool) -> Option<Self> {
        let exe = real(exe);
        let own = std::process::id();
        let mut found = all().filter(|(pid, path)| *pid != own && runs(path, &exe) && accept(&arguments(path)));
        found.next().map(|(pid, _)| Self { pid, exe: exe.clone(), child: None })
    }

    /// Looks, and reaps a child that ended.
    pub(crate) fn look(&mut self) -> Fate {
        use std::os::unix::process::ExitStatusExt;
        let Some(child) = &mut self.child else {
            let alive = runs(Path::new(&format!("/proc/{}", self.pid)), &self.exe);
            return if alive { Fate::Alive } else { Fate::Gone(None) };
        };
        match child.try_wait() {
            Ok(None) => Fate::Alive,
            Ok(Some(status)) => Fate::Gone(Some(status.into_raw())),
            Err(_) => Fate::Gone(None),
        }
    }

    /// Sends it a signal; it may be gone by now.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// The path as /proc shows it.
fn real(exe: &Path) -> PathBuf {
    fs::canonicalize(exe).unwrap_or_else(|_| exe.to_path_buf())
}
