//! The program under test, run against a lab. Nothing here waits for ever: a watchdog kills it and shows what it said.

#![allow(dead_code, reason = "tests take from it what they need")]

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::lab::{Lab, wait};

/// How long any run may take before it counts as hanging.
const WATCHDOG: Duration = Duration::from_secs(120);

impl Lab {
    /// `gsctl` with the lab's hosts file, key and known hosts; add the command.
    pub(crate) fn gsctl(&self) -> Gsctl {
        let mut known_hosts = OsString::from("UserKnownHostsFile=");
        known_hosts.push(self.known_hosts());
        let gsctl =
            self.bare_gsctl().hosts_file(self.hosts_file()).arg("-i").arg(self.key()).arg("-o").arg(known_hosts);
        // What one node prints is compared as it is; `prefix` is about its name in front.
        if self.nodes().len() == 1 { gsctl.arg("-N") } else { gsctl }
    }

    /// `gsctl` with the lab's environment and no option.
    pub(crate) fn bare_gsctl(&self) -> Gsctl {
        Gsctl::at_home(&self.client_home())
    }
}

/// A run to be.
#[derive(Debug)]
#[must_use]
pub(crate) struct Gsctl {
    command: Command,
    hosts_file: Option<OsString>,
    arguments: Vec<OsString>,
    stdin: Option<Vec<u8>>,
    watchdog: Duration,
    /// How signals are to be when it begins, as env(1) takes it.
    signals: Option<&'static str>,
}

impl Gsctl {
    /// `gsctl` with this home, in it, and with nothing of the caller's environment that could change what it does.
    pub(crate) fn at_home(home: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gsctl"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("LC_ALL", "C.UTF-8").env("TERM", "xterm").env("HOME", home);
        for (variable, dir) in [
            ("XDG_CACHE_HOME", ".cache"),
            ("XDG_CONFIG_HOME", ".config"),
            ("XDG_DATA_HOME", ".local/share"),
            ("XDG_STATE_HOME", ".local/state"),
        ] {
            command.env(variable, home.join(dir));
        }
        // A group of its own, so that the watchdog gets whatever it started too.
        command.current_dir(home).process_group(0);
        Self { command, hosts_file: None, arguments: Vec::new(), stdin: None, watchdog: WATCHDOG, signals: None }
    }

    /// Another hosts file than the lab's.
    pub(crate) fn hosts_file(mut self, path: impl AsRef<OsStr>) -> Self {
        self.hosts_file = Some(path.as_ref().to_owned());
        self
    }

    /// One more argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// More arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Reports in JSON on stdout. Goes to the front, since everything behind `exec` is the command.
    pub(crate) fn json(mut self) -> Self {
        self.arguments.splice(0..0, ["--json".into(), "-".into()]);
        self
    }

    /// With at most so many open files; `hard` too.
    pub(crate) fn open_files(mut self, soft: u32, hard: u32) -> Self {
        self.through_shell(&format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\""));
        self
    }

    fn through_shell(&mut self, text: &str) {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(text).arg(self.command.get_program()).env_clear().process_group(0);
        shell.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(dir) = self.command.get_current_dir() {
            shell.current_dir(dir);
        }
        self.command = shell;
    }

    /// With standard output on a disk that is full.
    pub(crate) fn full_stdout(mut self) -> Self {
        self.through_shell("exec \"$0\" \"$@\" >/dev/full");
        self
    }

    /// With these files in the place of others, for this program alone: real paths, and where it sees them.
    pub(crate) fn with_files(mut self, files: &[(std::path::PathBuf, String)]) -> Self {
        let mounts = files
            .iter()
            .fold(String::new(), |text, (from, to)| format!("{text}mount --bind '{}' '{to}' && ", from.display()));
        self.mounted(&mounts);
        self
    }

    /// With a disk of so many kilobytes in the place of a directory, for this program alone.
    pub(crate) fn with_small_disk(mut self, dir: &Path, kilobytes: usize) -> Self {
        self.mounted(&format!("mount -t tmpfs -o size={kilobytes}k none '{}' && ", dir.display()));
        self
    }

    fn mounted(&mut self, mounts: &str) {
        let mut shell = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            shell.arg("--map-root-user");
        }
        shell.args(["--mount", "/bin/sh", "-c", &format!("{mounts}exec \"$0\" \"$@\"")]);
        shell.arg(self.command.get_program()).env_clear().process_group(0);
        shell.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(dir) = self.command.get_current_dir() {
            shell.current_dir(dir);
        }
        self.command = shell;
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Where it runs; the client's home if not said.
    pub(crate) fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// What it reads; nothing if not said.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// With signals ignored from the beginning, as under nohup: `--ignore-signal=HUP`.
    pub(crate) fn signals(mut self, signals: &'static str) -> Self {
        self.signals = Some(signals);
        self
    }

    /// How long it may take.
    pub(crate) fn watchdog(mut self, limit: Duration) -> Self {
        self.watchdog = limit;
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(self) -> Run {
        self.spawn().wait()
    }

    /// Runs it to its end, and counts the most descriptors that it had open meanwhile.
    #[track_caller]
    pub(crate) fn run_counting_descriptors(self) -> (usize, Run) {
        let mut run = self.spawn();
        let mut most = 0;
        while !run.has_ended() {
            run.bark("it did not end");
            let now = std::fs::read_dir(format!("/proc/{}/fd", run.pid())).map_or(0, Iterator::count);
            most = most.max(now);
            thread::sleep(Duration::from_millis(20));
        }
        (most, run.wait())
    }

    /// Starts it.
    #[track_caller]
    pub(crate) fn spawn(mut self) -> Running {
        if let Some(path) = &self.hosts_file {
            self.command.arg("-f").arg(path);
        }
        self.command.args(&self.arguments);
        let arguments = self.command.get_args();
        let line = arguments.fold(String::new(), |line, argument| format!("{line} {}", argument.display()));
        self.command = under_env(&self.command, self.signals);
        let stdin = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("gsctl starts");
        if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), self.stdin) {
            // Not joined: it ends when gsctl has read all, or has gone.
            thread::spawn(move || pipe.write_all(&bytes));
        }
        let stdout = Stream::follow(child.stdout.take().expect("stdout is piped"));
        let stderr = Stream::follow(child.stderr.take().expect("stderr is piped"));
        Running { child, stdout, stderr, line, started: Instant::now(), watchdog: self.watchdog }
    }
}

/// The same command by env(1), which sees to signals and then becomes it.
fn under_env(command: &Command, signals: Option<&str>) -> Command {
    let mut env = Command::new("/usr/bin/env");
    // Whatever the suite was started with, such as nohup or `&`.
    env.arg("--default-signal")
        .args(signals)
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .process_group(0);
    env.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = command.get_current_dir() {
        env.current_dir(dir);
    }
    env
}

/// What a stream has brought so far.
#[derive(Debug)]
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Stream {
    fn follow(mut from: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
            }
        });
        Self { bytes, reader }
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}

/// A run that goes on. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
    line: String,
    started: Instant,
    watchdog: Duration,
}

impl Running {
    /// Its process number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to gsctl alone.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a child has a number");
        kill_process(pid, signal).expect("the child is ours");
    }

    /// Sends a signal to gsctl and everything in its process group, as Ctrl-C on a terminal does.
    pub(crate) fn signal_group(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a child has a number");
        kill_process_group(pid, signal).expect("the child is ours");
    }

    /// What it wrote to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until stderr holds this text.
    #[track_caller]
    pub(crate) fn wait_for_stderr(&mut self, text: &str) {
        self.wait_for(text, |running| running.stderr.text());
    }

    /// Waits until stdout holds this text.
    #[track_caller]
    pub(crate) fn wait_for_stdout(&mut self, text: &str) {
        self.wait_for(text, |running| running.stdout.text());
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str, stream: impl Fn(&Self) -> String) {
        loop {
            let ended = self.has_ended();
            if stream(self).contains(text) {
                return;
            }
            assert!(!(ended && self.streams_ended()), "gsctl ended without `{text}`\n{}", self.transcript());
            self.bark(&format!("`{text}` did not come"));
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the child is ours").is_some()
    }

    fn streams_ended(&self) -> bool {
        self.stdout.reader.is_finished() && self.stderr.reader.is_finished()
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Run {
        while !self.has_ended() {
            self.bark("it did not end");
            thread::sleep(Duration::from_millis(5));
        }
        let elapsed = self.started.elapsed();
        let closed = wait::within(Duration::from_secs(10), || self.streams_ended());
        assert!(closed, "gsctl ended, but something holds its output open\n{}", self.transcript());
        let status = self.child.wait().expect("the child is ours");
        let status = status.code().unwrap_or_else(|| -status.signal().unwrap_or(0));
        Run { status, stdout: self.stdout.bytes(), stderr: self.stderr.text(), elapsed, line: self.line.clone() }
    }

    /// Panics once the watchdog's time is over; the drop kills.
    #[track_caller]
    fn bark(&self, what: &str) {
        let limit = self.watchdog;
        assert!(self.started.elapsed() < limit, "watchdog: {what} within {limit:?}\n{}", self.transcript());
    }

    fn transcript(&self) -> String {
        transcript(&self.line, &self.stdout.bytes(), &self.stderr.text())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Once waited for, its number may be another's.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
                let _ = kill_process_group(pid, Signal::KILL);
            }
            let _ = self.child.wait();
        }
    }
}

/// A run that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The exit status; for a run killed by a signal, minus its number.
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) elapsed: Duration,
    line: String,
}

impl Run {
    /// stdout as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("stdout is not JSON: {error}\n{self}"))
    }

    /// Asserts the exit status; shows the whole run when it is another.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "wrong exit status\n{self}");
        self
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}exit status {}", transcript(&self.line, &self.stdout, &self.stderr), self.status)
    }
}

fn transcript(line: &str, stdout: &[u8], stderr: &str) -> String {
    format!("$ gsctl{line}\n--- stdout\n{}\n--- stderr\n{stderr}\n---\n", String::from_utf8_lossy(stdout))
}
