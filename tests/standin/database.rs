//! `gaussdb`: a process with the right name that keeps `postmaster.pid` while it runs.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};

use crate::conf::Misbehaviour;
use crate::home::Home;

use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

/// Runs until a signal ends it: SIGINT is the fast shutdown of `cm_agent` (facts 2).
pub(crate) fn run() -> ExitCode {
    // Handlers before the pid file: whoever reads the pid may signal at once.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGQUIT]) else { return ExitCode::FAILURE };
    let arguments: Vec<String> = env::args().collect();
    // The fenced master is given a directory too, but is no datanode (measured 1.7).
    let fenced = arguments.iter().any(|argument| argument == "--fenced");
    let directory = arguments.iter().position(|argument| argument == "-D").and_then(|at| arguments.get(at + 1));
    if let Some(directory) = directory.filter(|_| !fenced)
        && let Some(ended) = in_trouble(Path::new(directory))
    {
        return ended;
    }
    let own_file = directory.filter(|_| !fenced).map(|directory| pid_file(Path::new(directory)));
    if let Some(path) = &own_file {
        let written = fs::write(path, format!("{}\n{}\n", process::id(), directory.map_or("", String::as_str)));
        if written.is_err() {
            return ExitCode::FAILURE;
        }
    }
    // One that hangs hears no polite signal; SIGKILL asks nobody.
    let hangs = !fenced && Home::find().conf().is_ok_and(|conf| conf.does(Misbehaviour::Hang));
    let mut asked = signals.forever();
    while asked.next().is_some() && hangs {}
    if let Some(path) = own_file.filter(|path| postmaster(path) == Some(process::id())) {
        let _ = fs::remove_file(path);
    }
    ExitCode::SUCCESS
}

/// Says what a test wants it to die of: before its own log exists on standard error, which is `system_call-current.log`, else in
/// a new log of its own.
fn in_trouble(directory: &Path) -> Option<ExitCode> {
    let home = Home::find();
    if let Some(last_words) = home.trouble("DNERR") {
        let _ = std::io::stderr().write_all(last_words.as_bytes());
        return Some(ExitCode::FAILURE);
    }
    let last_words = home.trouble("PGLOG")?;
    let logs = directory.join("pg_log");
    let _ = fs::create_dir_all(&logs);
    let _ = fs::write(logs.join(format!("postgresql-{}.log", process::id())), last_words);
    Some(ExitCode::FAILURE)
}

/// Lays out what a data directory must hold.
pub(crate) const DIRECTORIES: [&str; 3] = ["base", "global", "pg_xlog"];

/// Whether CM would start a datanode here: one of the directories that is empty makes the disk a damaged one, and so does a
/// missing `pg_tblspc` (second reading 7).
pub(crate) fn is_whole(directory: &Path) -> bool {
    let holds = |name: &&str| fs::read_dir(directory.join(name)).is_ok_and(|mut entries| entries.next().is_some());
    DIRECTORIES.iter().all(holds) && directory.join("pg_tblspc").is_dir()
}

/// The pid file of a data directory.
pub(crate) fn pid_file(directory: &Path) -> PathBuf {
    directory.join("postmaster.pid")
}

/// The process that a pid file names, alive or not.
pub(crate) fn postmaster(pid_file: &Path) -> Option<u32> {
    fs::read_to_string(pid_file).ok()?.lines().next()?.trim().parse().ok()
}
