//! A log as CM keeps them: `<program>-<date>_<time>-current.log`, in the program's own directory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// An open log.
pub(crate) struct Log {
    file: Option<File>,
}

impl Log {
    /// Goes on with the current log of the directory, or begins one; without a directory it keeps nothing.
    pub(crate) fn open(directory: &Path, program: &str) -> Self {
        let file = current(directory, program).and_then(|path| File::options().create(true).append(true).open(path));
        Self { file: file.ok() }
    }

    /// `system_call-current.log` as a file: the output of all that an agent or `cm_server` starts (second reading 8).
    pub(crate) fn output(directory: &Path) -> Option<(File, PathBuf)> {
        fs::create_dir_all(directory).ok()?;
        let path = directory.join("system_call-current.log");
        Some((File::options().create(true).append(true).open(&path).ok()?, path))
    }

    /// Writes `<time> tid=<pid>  LOG: <text>`.
    pub(crate) fn say(&mut self, text: &str) {
        self.write("", "LOG", text);
    }

    /// Writes a line of the thread that starts and stops the instances.
    pub(crate) fn thread(&mut self, level: &str, text: &str) {
        self.write("StartAndStop", level, text);
    }

    /// Writes a line after which the program gives up.
    pub(crate) fn fatal(&mut self, text: &str) {
        self.write("", "FATAL", text);
    }

    /// Appends lines as they are.
    pub(crate) fn append(&mut self, lines: &str) {
        if let Some(file) = &mut self.file {
            let _ = file.write_all(lines.as_bytes());
        }
    }

    fn write(&mut self, thread: &str, level: &str, text: &str) {
        let time = Time::now();
        let line = format!("{} tid={} {thread} {level}: {text}\n", time.stamp(), std::process::id());
        // One write, so that lines of two programs do not mix. A full disk must not stop a cluster.
        if let Some(file) = &mut self.file {
            let _ = file.write_all(line.as_bytes());
        }
    }
}

/// The log that is being written, or the name for a new one.
fn current(directory: &Path, program: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let prefix = format!("{program}-");
    let is_current = |name: &str| name.starts_with(&prefix) && name.ends_with("-current.log");
    let found = fs::read_dir(directory)?.flatten().find(|entry| entry.file_name().to_str().is_some_and(is_current));
    let name = || directory.join(format!("{program}-{}-current.log", Time::now().name()));
    Ok(found.map_or_else(name, |entry| entry.path()))
}

/// A moment, in UTC.
struct Time {
    year: u64,
    month: u64,
    day: u64,
    second: u64,
    millis: u32,
}

impl Time {
    fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::at(since.as_secs(), since.subsec_millis())
    }

    fn at(seconds: u64, millis: u32) -> Self {
        // Days are counted from 1 March of year 0, so that the leap day is the last one of a year.
        let days = seconds / 86_400 + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        Self { year, month, day: of_year - (153 * shifted + 2) / 5 + 1, second: seconds % 86_400, millis }
    }

    fn clock(&self) -> (u64, u64, u64) {
        (self.second / 3600, self.second / 60 % 60, self.second % 60)
    }

    /// As in a log's name.
    fn name(&self) -> String {
        let (hour, minute, second) = self.clock();
        format!("{:04}-{:02}-{:02}_{hour:02}{minute:02}{second:02}", self.year, self.month, self.day)
    }

    /// As before a line.
    fn stamp(&self) -> String {
        let (hour, minute, second) = self.clock();
        let Self { year, month, day, millis, .. } = self;
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{millis:03}")
    }
}
