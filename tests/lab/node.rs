//! One node: an sshd with files and processes of its own.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Component, Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;

use super::account::Account;
use super::process::Process;
use super::{sshd, tool, wait};

/// Paths that a node with namespaces has for itself, and where they lie in its directory.
const PRIVATE: [(&str, &str); 8] = [
    ("/etc/group", ".lab/etc/group"),
    ("/etc/passwd", ".lab/etc/passwd"),
    ("/etc/profile", ".lab/etc/profile"),
    ("/etc/shadow", ".lab/etc/shadow"),
    ("/etc/sudoers", ".lab/etc/sudoers"),
    ("/run", ".lab/run"),
    ("/tmp", ".lab/tmp"),
    ("/usr/local/bin", ".lab/bin"),
];

/// One node. Paths are those that the node sees; a relative one starts at [`Node::base`].
#[derive(Debug)]
pub(crate) struct Node {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    /// Where its files really are.
    pub(super) dir: PathBuf,
    /// Where the node sees them.
    pub(super) base: PathBuf,
    /// Whether it has namespaces of its own.
    pub(super) private: bool,
    pub(super) account: Account,
    pub(super) running: Mutex<Option<Running>>,
}

/// The first process of a node that is up.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// The node lives as long as this end of the pipe.
    stdin: Option<ChildStdin>,
    /// The first process, which `unshare` started, by its number on this machine.
    init: i32,
    /// Sessions that outlived their listener; only a node without namespaces has to remember them.
    orphans: Vec<Process>,
}

impl Node {
    /// `node1`, `node2` and so on.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where its sshd listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The directory that holds `app`, `data`, `log`, `home` and `cron`, as the node sees it.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// `GAUSSHOME`.
    pub(crate) fn gausshome(&self) -> PathBuf {
        self.base.join("app")
    }

    /// Who logs in.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// Where a file of the node really is.
    pub(crate) fn outside(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = self.base.join(path);
        assert!(!path.components().any(|part| part == Component::ParentDir), "{} leads out", path.display());
        if let Ok(inner) = path.strip_prefix(&self.base) {
            return self.dir.join(inner);
        }
        if !self.private {
            return path;
        }
        let inside =
            PRIVATE.iter().find_map(|(seen, real)| Some(self.dir.join(real).join(path.strip_prefix(seen).ok()?)));
        // Joining an empty path adds a slash, which a file does not bear.
        inside.map_or(path, |path| path.components().collect())
    }

    /// Whether there is something at this path, were it a dangling link.
    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.outside(path).symlink_metadata().is_ok()
    }

    /// The bytes of a file.
    #[track_caller]
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Vec<u8> {
        let file = self.outside(path);
        fs::read(&file).unwrap_or_else(|error| panic!("{}: read {}: {error}", self.name, file.display()))
    }

    /// The text of a file.
    #[track_caller]
    pub(crate) fn text(&self, path: impl AsRef<Path>) -> String {
        String::from_utf8_lossy(&self.read(path)).into_owned()
    }

    /// Writes a file that belongs to the login user, and the directories above it.
    #[track_caller]
    pub(crate) fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let path = self.base.join(path);
        if let Some(dir) = path.parent() {
            self.mkdir(dir);
        }
        let file = self.outside(&path);
        fs::write(&file, bytes).unwrap_or_else(|error| panic!("{}: write {}: {error}", self.name, file.display()));
        self.own(&file);
    }

    /// Copies a file of this machine to the node; it belongs to the login user and keeps its mode.
    #[track_caller]
    pub(crate) fn copy(&self, from: &Path, path: impl AsRef<Path>) {
        let file = self.outside(path);
        fs::copy(from, &file).unwrap_or_else(|error| panic!("{}: copy to {}: {error}", self.name, file.display()));
        self.own(&file);
    }

    /// Makes a directory that belongs to the login user, and those above it.
    #[track_caller]
    pub(crate) fn mkdir(&self, path: impl AsRef<Path>) {
        let dir = self.outside(path);
        if dir.is_dir() {
            return;
        }
        let missing: Vec<_> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
        for dir in missing.into_iter().rev() {
            fs::create_dir(dir).unwrap_or_else(|error| panic!("{}: mkdir {}: {error}", self.name, dir.display()));
            self.own(dir);
        }
    }

    /// Removes a file or a directory; nothing there is fine.
    pub(crate) fn remove(&self, path: impl AsRef<Path>) {
        let path = self.outside(path);
        let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }

    /// Sets the mode.
    #[track_caller]
    pub(crate) fn chmod(&self, path: impl AsRef<Path>, mode: u32) {
        let file = self.outside(path);
        let done = fs::set_permissions(&file, Permissions::from_mode(mode));
        done.unwrap_or_else(|error| panic!("{}: chmod {}: {error}", self.name, file.display()));
    }

    /// Sets the crontab of the login user; see `crontab.sh`.
    #[track_caller]
    pub(crate) fn crontab(&self, lines: &str) {
        self.write(Path::new("cron").join(&self.account.name), lines);
    }

    fn own(&self, path: &Path) {
        if self.private {
            let _ = chown(path, Some(self.account.uid), Some(self.account.gid));
        }
    }

    /// The processes of the node, but for its first and the `cat` which that waits for.
    pub(crate) fn processes(&self) -> Vec<Process> {
        match &*self.running() {
            Some(running) => self.processes_of(running),
            None => Vec::new(),
        }
    }

    /// The processes that run this executable (a relative path starts at [`Node::base`]); zombies do not.
    pub(crate) fn running_exe(&self, exe: impl AsRef<Path>) -> Vec<Process> {
        let exe = self.base.join(exe);
        self.processes().into_iter().filter(|process| process.runs(&exe)).collect()
    }

    fn processes_of(&self, running: &Running) -> Vec<Process> {
        let own = |process: &Process| {
            process.pid == running.init || (process.parent == running.init && process.comm == "cat")
        };
        if self.private {
            let Some(namespace) = Process::namespace(running.init) else { return Vec::new() };
            return Process::all_of(&namespace).into_iter().filter(|process| !own(process)).collect();
        }
        let all = Process::all();
        // Known by descent from sshd or by the mark that a session's environment bears.
        let mark = self.mark();
        let mut known: Vec<_> = self.listener_pid().into_iter().collect();
        known.extend(running.orphans.iter().map(|orphan| orphan.pid));
        known.extend(all.iter().filter(|process| process.has_variable(&mark)).map(|process| process.pid));
        loop {
            let children =
                all.iter().filter(|process| known.contains(&process.parent) && !known.contains(&process.pid));
            let children: Vec<_> = children.map(|process| process.pid).collect();
            if children.is_empty() {
                break;
            }
            known.extend(children);
        }
        all.into_iter().filter(|process| known.contains(&process.pid) && !own(process)).collect()
    }

    /// The variable by which a process without namespaces is known.
    pub(super) fn mark(&self) -> String {
        format!("GSCTL_LAB_NODE={}", self.dir.display())
    }

    /// Runs a shell script on the node, not over SSH: as root in its namespaces, or as the only user there is.
    /// A process left in the background must not keep its output, or this waits for it.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> Output {
        self.shell(script, false)
    }

    /// The same as the login user.
    #[track_caller]
    pub(crate) fn sh_as_user(&self, script: &str) -> Output {
        self.shell(script, true)
    }

    #[track_caller]
    fn shell(&self, script: &str, as_user: bool) -> Output {
        let init = self.running().as_ref().map(|running| running.init);
        let init = init.unwrap_or_else(|| panic!("{} is down", self.name));
        let mut command = if self.private {
            let mut command = Command::new(tool::path("nsenter"));
            command.arg(format!("--target={init}")).args(["--mount", "--pid", "--uts"]);
            if as_user && self.account.uid != 0 {
                command.args([format!("--setuid={}", self.account.uid), format!("--setgid={}", self.account.gid)]);
            }
            command.args(["--", "/bin/sh"]);
            command
        } else {
            Command::new("/bin/sh")
        };
        let home = if as_user || !self.private { self.account.home.clone() } else { self.base.join("root") };
        command.env_clear().env("HOME", home).env("PATH", self.search_path()).env("LC_ALL", "C");
        if !self.private {
            command.env("GSCTL_LAB_NODE", &self.dir).current_dir(&self.dir);
        }
        command.arg("-c").arg(script).stdin(Stdio::null());
        command.output().unwrap_or_else(|error| panic!("{}: sh: {error}", self.name))
    }

    /// `PATH` on the node: its `crontab` comes first.
    pub(super) fn search_path(&self) -> String {
        let own = if self.private { Path::new("/usr/local/bin").to_owned() } else { self.dir.join(".lab/bin") };
        format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", own.display())
    }

    /// What its sshd logged.
    pub(crate) fn sshd_log(&self) -> String {
        fs::read(self.dir.join(".lab/sshd.log"))
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    /// Ends the listener: new connections are refused, sessions go on.
    pub(crate) fn stop_sshd(&self) {
        let sessions = self.sessions();
        if let Some(listener) = self.listener() {
            listener.kill(Signal::TERM);
            wait::until("sshd is gone", || Process::read(listener.pid).is_none_or(|process| process.state == 'Z'));
        }
        if let Some(running) = self.running().as_mut()
            && !self.private
        {
            running.orphans.extend(sessions);
        }
    }

    /// Starts the listener again, after [`Node::stop_sshd`].
    #[track_caller]
    pub(crate) fn start_sshd(&self) {
        let files = self.base.join(".lab");
        let sshd = tool::path("sshd");
        let (sshd, files) = (sshd.display(), files.display());
        let output = self.sh(&format!("{sshd} -f {files}/sshd_config -E {files}/sshd.log"));
        assert!(output.status.success(), "{}: sshd: {output:?}", self.name);
        self.wait_until_up();
    }

    /// Stops the listener and starts it again.
    #[track_caller]
    pub(crate) fn restart_sshd(&self) {
        self.stop_sshd();
        self.start_sshd();
    }

    /// Kills the session processes of sshd: clients lose their connection, commands run on.
    pub(crate) fn kill_sessions(&self) {
        for session in self.sessions() {
            session.kill(Signal::KILL);
        }
        wait::until("the sessions are gone", || self.sessions().is_empty());
    }

    /// The sshd processes that serve a connection.
    pub(crate) fn sessions(&self) -> Vec<Process> {
        let listener = self.listener_pid();
        let mut processes = self.processes();
        processes.retain(|process| {
            process.state != 'Z' && process.comm.starts_with("sshd") && Some(process.pid) != listener
        });
        processes
    }

    fn listener(&self) -> Option<Process> {
        let listener = self.listener_pid()?;
        self.processes().into_iter().find(|process| process.pid == listener)
    }

    /// The number of the listener on this machine.
    fn listener_pid(&self) -> Option<i32> {
        let node_pid: i32 = fs::read_to_string(self.dir.join(".lab/sshd.pid")).ok()?.trim().parse().ok()?;
        if !self.private {
            return Some(node_pid);
        }
        let own = self.processes().into_iter().find(|process| process.node_pid == node_pid);
        own.map(|process| process.pid)
    }

    /// The power cord: everything on the node is killed at once, its files stay.
    pub(crate) fn halt(&self) {
        let Some(mut running) = self.running().take() else { return };
        drop(running.stdin.take());
        let mut gone = || running.child.try_wait().is_ok_and(|status| status.is_some());
        if !wait::within(Duration::from_secs(10), &mut gone) {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        for orphan in running.orphans {
            orphan.kill(Signal::KILL);
        }
    }

    /// Starts the node, without waiting for its sshd.
    pub(super) fn boot(&self) {
        let id = fastrand::u128(..);
        let boot_id = format!("{:08x}-{:04x}-4000-8000-{:012x}\n", id >> 96, id >> 80 & 0xffff, id & 0xffff_ffff_ffff);
        fs::write(self.dir.join(".lab/boot_id"), boot_id).expect("the lab is writable");
        let _ = fs::remove_file(self.dir.join(".lab/sshd.pid"));

        let mut command;
        if self.private {
            command = Command::new(tool::path("unshare"));
            command.args(["--mount", "--pid", "--uts", "--fork", "--kill-child", "--"]);
            command.args(["/bin/sh", "-c", include_str!("init.sh"), "init"]);
            command.args([self.dir.as_os_str(), self.base.as_os_str(), OsStr::new(&self.name)]);
        } else {
            command = Command::new("/bin/sh");
            command.args(["-c", include_str!("keeper.sh"), "keeper"]).arg(&self.dir);
        }
        let log = fs::File::create(self.dir.join(".lab/init.log")).expect("the lab is writable");
        command.arg(tool::path("sshd")).env_clear().env("PATH", self.search_path()).env("LC_ALL", "C");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let stdin = child.stdin.take();
        *self.running() = Some(Running { child, stdin, init: 0, orphans: Vec::new() });
    }

    /// Waits until the node that was booted is up.
    #[track_caller]
    pub(super) fn wait_until_booted(&self) {
        let stdout = self.running().as_mut().and_then(|running| running.child.stdout.take());
        let mut line = String::new();
        let _ = BufReader::new(stdout.expect("the node was booted")).read_line(&mut line);
        let init = line.trim().parse().unwrap_or_else(|_| {
            let log = fs::read_to_string(self.dir.join(".lab/init.log")).unwrap_or_default();
            panic!(
                "{} did not come up: {log}{}\nhint: a lab of root needs namespaces (CAP_SYS_ADMIN); any other user \
                 needs none",
                self.name,
                self.sshd_log()
            )
        });
        if let Some(running) = self.running().as_mut() {
            running.init = init;
        }
        self.wait_until_up();
    }

    /// Waits until sshd speaks, and until it has forgotten the connection that asked.
    #[track_caller]
    fn wait_until_up(&self) {
        let before: Vec<_> = self.sessions().iter().map(|session| session.pid).collect();
        wait::until("sshd speaks", || sshd::speaks(self.address));
        wait::until("sshd is idle", || {
            self.listener_pid().is_some() && self.sessions().iter().all(|session| before.contains(&session.pid))
        });
    }

    /// Kills everything and starts the node again, with the same files and another boot id.
    #[track_caller]
    pub(crate) fn reboot(&self) {
        self.halt();
        self.boot();
        self.wait_until_booted();
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.halt();
    }
}
