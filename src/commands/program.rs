//! A program that prints an inventory: run once with `--list`, as Ansible does, and read to its end.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::diagnostic::Diagnostic;

/// Time for it, all in all.
const LIMIT: Duration = Duration::from_secs(60);
/// The most that it may print.
const MOST: u64 = 256 << 20;
/// How much of its standard error an error message repeats.
const MOST_SAID: u64 = 2000;
/// The bit of a directory in which everybody may change only what is his own.
const STICKY: u32 = 0o1000;
/// Time between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(5);

/// What it prints.
///
/// # Errors
/// When it cannot be run, fails, prints too much, or does not end in time.
pub(super) fn output(path: &Path, name: &str) -> Result<Vec<u8>, Diagnostic> {
    let program = format!("inventory program `{name}`");
    refuse_writable(path, &program)?;
    let mut command = Command::new(here(path));
    let (bytes, mut said) = printed(command.arg("--list"), &program)?;
    if bytes.trim_ascii().is_empty() {
        let diagnostic = Diagnostic::usage(format!("{program} prints nothing"))
            .hint("with `--list` it has to print an inventory as JSON");
        return Err(told(diagnostic, &mut said));
    }
    Ok(bytes)
}

/// Refuses to run what others can change: `program`, with `path` as the file that says what is run.
///
/// # Errors
/// When others can change it, or it cannot be looked at.
pub(super) fn refuse_writable(path: &Path, program: &str) -> Result<(), Diagnostic> {
    match writable_by_others(path) {
        Ok(None) => Ok(()),
        Ok(Some(why)) => Err(Diagnostic::usage(format!("{program} is not run: {why}"))
            .hint("whoever can change it would run what he likes as you")),
        Err(error) => Err(Diagnostic::usage(format!("{program} cannot be run: {error}"))),
    }
}

/// What a command prints, and what it says beside that. `program` is its name for messages.
///
/// # Errors
/// When it cannot be run, fails, prints too much, or does not end in time.
pub(super) fn printed(command: &mut Command, program: &str) -> Result<(Vec<u8>, File), Diagnostic> {
    let diagnostic = |what: &str| Diagnostic::usage(format!("{program} {what}"));
    let broken = |error: io::Error| diagnostic(&format!("cannot be run: {error}"));
    // Into files, so that a child that it leaves behind cannot keep gsctl waiting for the end of a pipe.
    let (mut printed, mut said) = (tempfile::tempfile().map_err(broken)?, tempfile::tempfile().map_err(broken)?);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(printed.try_clone().map_err(broken)?)
        .stderr(said.try_clone().map_err(broken)?)
        .spawn()
        .map_err(broken)?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(broken)? {
            break status;
        }
        let size = printed.metadata().map_err(broken)?.len();
        if begun.elapsed() > LIMIT || size > MOST {
            let _ = child.kill();
            let _ = child.wait();
            let what = if size > MOST { "prints more than 256 MiB" } else { "has not ended within 60 seconds" };
            return Err(told(diagnostic(what), &mut said));
        }
        thread::sleep(LOOK);
    };
    if !status.success() {
        return Err(told(diagnostic(&ended(status)), &mut said));
    }
    let bytes = all(&mut printed, MOST).map_err(broken)?;
    Ok((bytes, said))
}

/// The path as a path: a bare name would be looked for in `PATH`.
fn here(path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// What lets others change a program, if something does. The sticky bit keeps them from it in a directory such as `/tmp`; a
/// group counts where it is not one's own.
fn writable_by_others(path: &Path) -> io::Result<Option<String>> {
    let path = fs::canonicalize(path)?;
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    for (depth, place) in path.ancestors().enumerate() {
        let metadata = fs::metadata(place)?;
        let (mode, name) = (metadata.mode(), place.display());
        // Further up it may be nobody's, as in a container.
        if depth < 2 && ![0, uid].contains(&metadata.uid()) {
            return Ok(Some(format!("`{name}` belongs to another user")));
        }
        if metadata.is_dir() && mode & STICKY != 0 {
            continue;
        }
        if mode & 0o002 != 0 {
            return Ok(Some(format!("everybody may write to `{name}`")));
        }
        if mode & 0o020 != 0 && ![0, gid].contains(&metadata.gid()) {
            return Ok(Some(format!("a group that is not yours may write to `{name}`")));
        }
    }
    Ok(None)
}

/// With what the program itself says about it.
fn told(mut diagnostic: Diagnostic, said: &mut File) -> Diagnostic {
    let said = all(said, MOST_SAID).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    for line in said.trim_end().lines() {
        diagnostic.message = format!("{}\n  {line}", diagnostic.message);
    }
    diagnostic
}

fn all(file: &mut File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
