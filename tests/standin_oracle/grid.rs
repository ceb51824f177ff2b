//! The grid home: its programs, its marks, and which of its daemons run.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::conf::Conf;
use crate::stage::{STAGES, Stage};

/// The grid home of this process.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    root: PathBuf,
}

impl Grid {
    /// The one that this executable lies in.
    pub(crate) fn own() -> Self {
        let exe = env::current_exe().unwrap_or_default();
        Self { root: exe.parent().and_then(Path::parent).map(Path::to_path_buf).unwrap_or_default() }
    }

    /// Something in the grid home.
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A program.
    pub(crate) fn bin(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    /// The configuration as it is now. A file that is just being replaced is waited for.
    pub(crate) fn conf(&self) -> Conf {
        let path = self.bin("standin.conf");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Conf::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The node's name as Clusterware has it: in lower case, without its domain.
    pub(crate) fn host() -> String {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        host.trim().split('.').next().unwrap_or_default().to_lowercase()
    }

    /// `ohasdrun` or `ohasdstr` (facts 6.3).
    pub(crate) fn mark(&self, name: &str) -> PathBuf {
        let conf = self.conf();
        let beside = conf.olr_loc.with_file_name("scls_scr");
        beside.join(Self::host()).join(conf.owner).join(name)
    }

    /// Rewrites a mark.
    pub(crate) fn set_mark(&self, name: &str, word: &str) {
        let path = self.mark(name);
        if let Some(dir) = path.parent() {
            let _ = fs::create_dir_all(dir);
        }
        let _ = fs::write(path, format!("{word}\n"));
    }

    /// Whether the OLR, which `olr.loc` names, is there.
    pub(crate) fn has_olr(&self) -> bool {
        let text = fs::read_to_string(self.conf().olr_loc).unwrap_or_default();
        text.lines().filter_map(|line| line.strip_prefix("olrconfig_loc=")).any(|olr| Path::new(olr).exists())
    }

    /// What the stand-ins of one node tell each other.
    pub(crate) fn note(&self, name: &str) -> PathBuf {
        self.root.join("standin").join(name)
    }

    /// Writes a note.
    pub(crate) fn set_note(&self, name: &str, text: &str) {
        let _ = fs::create_dir_all(self.root.join("standin"));
        let _ = fs::write(self.note(name), text);
    }

    /// Removes a note.
    pub(crate) fn drop_note(&self, name: &str) {
        let _ = fs::remove_file(self.note(name));
    }

    /// Whether `crsctl stop cluster` was the last word on the stack.
    pub(crate) fn stack_is_unwanted(&self) -> bool {
        self.note("stack-unwanted").exists()
    }

    /// The process of a program, by the number that it left when it came up.
    pub(crate) fn process(&self, program: &str) -> Option<i32> {
        let pid = fs::read_to_string(self.note(&format!("{program}.pid"))).ok()?.trim().parse().ok()?;
        // The number may be another's by now; arguments, unlike the executable, can be read by anybody.
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
            // The real ones speak over sockets: processes may be hidden from who asks.
            let hidden = Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid) == Err(rustix::io::Errno::PERM));
            return hidden.then_some(pid);
        };
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let called = self.bin(program).display().to_string();
        let known = arguments.starts_with(called.as_bytes()) || arguments.starts_with(b"asm_pmon_+");
        (known && !status.contains("State:\tZ")).then_some(pid)
    }

    /// Whether a program not only runs but is of use.
    pub(crate) fn is_online(&self, program: &str) -> bool {
        self.process(program).is_some() && !self.conf().hollow.iter().any(|hollow| hollow == program)
    }

    /// Whether a daemon is one of this node's kind.
    pub(crate) fn has(&self, stage: &Stage) -> bool {
        let conf = self.conf();
        (stage.restart || !conf.restart) && !(stage.program == "oracle" && conf.without_asm)
    }

    /// Whether a resource is: the stack is only up where ohasd is.
    pub(crate) fn resource_is_online(&self, resource: &str) -> bool {
        STAGES.iter().any(|Stage { program, resource: own, .. }| *own == resource && self.is_online(program))
    }

    /// Sends a signal to a program.
    pub(crate) fn signal(&self, program: &str, signal: Signal) {
        if let Some(pid) = self.process(program).and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Which program this process is: the name of its file.
pub(crate) fn own_name() -> String {
    let exe = env::current_exe().unwrap_or_default();
    let name = exe.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.trim_end_matches(" (deleted)").to_owned()
}
