//! What a program and all that it starts cost: processor time, wall time, memory, processes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// No run takes longer.
const LONGEST: Duration = Duration::from_secs(900);
/// Between two looks whether a run has ended, and at its processes where it is not timed.
const LOOK: Duration = Duration::from_millis(25);
/// The same where it is timed: a look at hundreds of processes takes a millisecond or two.
const SELDOM: Duration = Duration::from_millis(100);
/// Bytes of a page of memory.
const PAGE: u64 = 4096;

/// A program to be measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Job {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(&'static str, OsString)>,
    /// A file that it reads.
    pub(crate) stdin: Option<PathBuf>,
    /// Where it runs.
    pub(crate) dir: PathBuf,
    /// The exit status that it is to end with.
    pub(crate) status: u8,
}

/// What one run cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// Processor time, user and system, of the program and every process that it waited for.
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

/// How large a run was at most.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    /// Resident memory of all its processes together; what they share is counted for each.
    pub(crate) bytes: u64,
    pub(crate) processes: usize,
}

/// Runs it `times` times in a row, and says what one run cost.
pub(crate) fn cost(job: &Job, times: u32) -> io::Result<Cost> {
    timed(job, times, LOOK, |_| {})
}

/// The same, and how large it was: for what takes so long that it is run once.
pub(crate) fn cost_and_size(job: &Job, times: u32) -> io::Result<(Cost, Size)> {
    watched(job, times, SELDOM)
}

/// Runs it once, and looks at its processes now and then.
pub(crate) fn size(job: &Job) -> io::Result<Size> {
    Ok(watched(job, 1, LOOK)?.1)
}

fn watched(job: &Job, times: u32, every: Duration) -> io::Result<(Cost, Size)> {
    let mut most = Size::default();
    let cost = timed(job, times, every, |pid| {
        // bash itself is not counted.
        let (own, all) = (look_at(pid), look(pid));
        most.bytes = most.bytes.max(all.bytes.saturating_sub(own));
        most.processes = most.processes.max(all.processes.saturating_sub(1));
    })?;
    Ok((cost, most))
}

fn timed(job: &Job, times: u32, every: Duration, look: impl FnMut(u32)) -> io::Result<Cost> {
    // bash knows its children's time to the millisecond; /proc to the hundredth of a second only.
    let script = "TIMEFORMAT='%R %U %S'; exec 3>&2 2>/dev/null; n=$1; shift; s=0; \
                  { time while ((n-- > 0)); do \"$@\" >/dev/null 2>>\"$BENCH_LOG\" <\"$BENCH_INPUT\" || s=$?; done; } 2>&3; exit $s";
    let log = job.dir.join("stderr");
    fs::write(&log, "")?;
    let mut command = Command::new("bash");
    command.args(["-c", script, "bench", &times.to_string()]).arg(&job.program).args(&job.args);
    prepare(&mut command, job);
    command.env("BENCH_LOG", &log).env("BENCH_INPUT", job.stdin.clone().unwrap_or_else(|| "/dev/null".into()));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let ended = wait(&mut child, job.status, every, look)?;
    let mut text = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        io::Read::read_to_string(&mut stderr, &mut text)?;
    }
    if !ended {
        let said = fs::read_to_string(&log).unwrap_or_default();
        let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("nothing said").to_owned();
        return Err(io::Error::other(said));
    }
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.replace(',', ".").parse().ok()).collect();
    let [wall, user, system] = numbers.as_slice() else { return Err(io::Error::other(format!("bash said {text:?}"))) };
    let share = |seconds: f64| Duration::from_secs_f64(seconds / f64::from(times));
    Ok(Cost { cpu: share(user + system), wall: share(*wall) })
}

fn prepare(command: &mut Command, job: &Job) {
    use std::os::unix::process::CommandExt as _;
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", &job.dir).env("LC_ALL", "C.UTF-8").envs(job.env.iter().map(|(name, value)| (name, value)));
    command.current_dir(&job.dir).stdin(Stdio::null()).process_group(0);
}

/// Waits for a child. False: it ended otherwise than it was to, or took too long and was killed.
fn wait(child: &mut Child, wanted: u8, every: Duration, mut look: impl FnMut(u32)) -> io::Result<bool> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code() == Some(i32::from(wanted)));
        }
        if start.elapsed() > LONGEST {
            if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
                let _ = kill_process_group(pid, Signal::KILL);
            }
            child.wait()?;
            return Ok(false);
        }
        look(child.id());
        thread::sleep(every);
    }
}

/// Resident memory of one process.
fn look_at(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * PAGE
}

/// A process and all below it.
fn look(root: u32) -> Size {
    let mut parents = HashMap::new();
    let mut pages = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let text = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name may hold anything, and ends at the last parenthesis.
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        if let (Some(parent), Some(resident)) = (number(1), number(21)) {
            parents.insert(pid, parent);
            pages.insert(pid, resident);
        }
    }
    let is_below = |mut pid: u32| loop {
        if pid == root {
            return true;
        }
        match parents.get(&pid).map(|&parent| u32::try_from(parent)) {
            Some(Ok(parent @ 1..)) => pid = parent,
            _ => return false,
        }
    };
    let below: Vec<u64> = pages.iter().filter(|(pid, _)| is_below(**pid)).map(|(_, pages)| *pages).collect();
    Size { bytes: below.iter().sum::<u64>() * PAGE, processes: below.len() }
}

/// Says how far the work is.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
