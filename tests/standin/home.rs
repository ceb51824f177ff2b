//! GAUSSHOME: where the programs, the marker files and the lock files of a node lie.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};

use crate::conf::Conf;

/// Present = "do not run": the gate of `om_monitor` and the stop signal of `cm_agent` (facts 1.11).
pub(crate) const MANUAL_START: &str = "cluster_manual_start";
/// Present = arbitration is frozen (facts 1.11).
pub(crate) const MANUAL_PAUSE: &str = "cluster_manual_pause";
/// Present = the static configuration is being changed: the agent must not start (facts 1.11).
pub(crate) const DILATATION: &str = "cluster_dilatation_status";

/// The programs that this executable can be.
const NAMES: [&str; 5] = ["om_monitor", "cm_agent", "cm_server", "gaussdb", "cm_ctl"];

/// The GAUSSHOME of this process.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    /// Without a slash at its end.
    pub(crate) root: PathBuf,
}

impl Home {
    /// The environment's GAUSSHOME, as the real programs take it, and else the one this executable lies in.
    pub(crate) fn find() -> Self {
        let root = env::var_os("GAUSSHOME").filter(|value| !value.is_empty()).map_or_else(own_home, PathBuf::from);
        // Collecting the components drops a slash at the end, which would show in command lines.
        Self { root: root.components().collect() }
    }

    /// A file in `bin`: a program, a marker, a lock.
    pub(crate) fn bin(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    /// Whether a marker file is there.
    pub(crate) fn has(&self, marker: &str) -> bool {
        self.bin(marker).exists()
    }

    /// What a test wants written into a log in place of a healthy start: `bin/trouble-DNERR` and the like.
    pub(crate) fn trouble(&self, code: &str) -> Option<String> {
        std::fs::read_to_string(self.bin(&format!("trouble-{code}"))).ok()
    }

    /// The configuration as it is now.
    pub(crate) fn conf(&self) -> Result<Conf, String> {
        Conf::load(self)
    }

    /// Takes the lock that makes a daemon the only one of its GAUSSHOME; held for as long as the file is open.
    pub(crate) fn lock(&self, name: &str) -> Option<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let file = open(self.bin(name), flags, Mode::RUSR | Mode::WUSR).ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(File::from(file))
    }
}

/// The id of the datanode of a node, as CM numbers them (measured 1.7).
pub(crate) fn datanode_id(node: u32) -> u32 {
    6000 + node
}

/// The marker that holds one instance (facts 1.11).
pub(crate) fn instance_marker(node: u32) -> String {
    format!("instance_manual_start_{}", datanode_id(node))
}

/// The GAUSSHOME that this executable lies in.
pub(crate) fn own_home() -> PathBuf {
    let exe = env::current_exe().unwrap_or_default();
    exe.parent().and_then(Path::parent).map(Path::to_path_buf).unwrap_or_default()
}

/// Which program this process is: the name of its file, or, behind a symbolic link, the name it was called by.
pub(crate) fn own_name() -> Option<String> {
    let called = env::args_os().next().map(PathBuf::from);
    [env::current_exe().ok(), called]
        .into_iter()
        .flatten()
        .filter_map(|path| Some(path.file_name()?.to_str()?.trim_end_matches(" (deleted)").to_owned()))
        .find(|name| NAMES.contains(&name.as_str()))
}

/// The real programs refuse root; a lab that has no other user says so in the environment.
pub(crate) fn refuses_user() -> bool {
    rustix::process::getuid().is_root() && env::var_os("STANDIN_ALLOW_ROOT").is_none_or(|value| value != "1")
}
