//! A directory with every host's output: `DIR/<host>.stdout` and `DIR/<host>.stderr`, raw.
//!
//! A file appears whole or not at all, and never under a name that a host could use to leave the directory.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::Names;
use crate::event::{Event, EventKind, HostId, Reporter};
use crate::inventory::filename::safe_name;
use crate::output::Output;
use crate::report::RunReport;
use crate::stats::RunStats;

/// Writes files as hosts are done with their steps. A later step's output takes the place of an earlier one's, so that in
/// the end files and report say the same.
#[derive(Debug)]
pub struct OutputDir {
    path: PathBuf,
    names: Names,
    written: Vec<bool>,
}

impl OutputDir {
    /// Makes the directory where it is missing, and tries whether a file can be made in it.
    ///
    /// # Errors
    /// When it cannot be made, or not written to.
    pub fn create(path: &Path, names: Names) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let this = Self { path: path.to_owned(), written: vec![false; names.len()], names };
        let (probe, _) = this.temporary("probe")?;
        fs::remove_file(probe)?;
        Ok(this)
    }

    fn put(&mut self, host: HostId, stdout: &Output, stderr: &Output) -> io::Result<()> {
        let Some(name) = self.names.get(host).map(|name| safe_name(name)) else { return Ok(()) };
        self.file(&format!("{name}.stdout"), stdout)?;
        self.file(&format!("{name}.stderr"), stderr)?;
        self.written[host] = true;
        Ok(())
    }

    fn file(&self, name: &str, output: &Output) -> io::Result<()> {
        let (temporary, mut file) = self.temporary(name)?;
        let done = output.copy_to(&mut file).and_then(|()| fs::rename(&temporary, self.path.join(name)));
        if done.is_err() {
            // What could not be finished must not stay behind; the first error is the one that counts.
            let _ = fs::remove_file(&temporary);
        }
        done
    }

    fn temporary(&self, name: &str) -> io::Result<(PathBuf, File)> {
        let path = self.path.join(format!(".{name}.{}.tmp", std::process::id()));
        // A file of that name is left from a killed process whose number came back.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok((path, file))
    }
}

impl Reporter for OutputDir {
    fn event(&mut self, event: &Event, _: &RunStats) -> io::Result<()> {
        match &event.kind {
            EventKind::HostStepFinished { host, result, .. } => self.put(*host, &result.stdout, &result.stderr),
            _ => Ok(()),
        }
    }

    fn finish(&mut self, report: &RunReport, _: &RunStats) -> io::Result<()> {
        // Also a host that was never reached has its files: an older run's would be taken for this one's.
        for (host, result) in report.hosts.iter().enumerate() {
            if self.written.get(host) == Some(&false) {
                self.put(host, &result.stdout, &result.stderr)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, StepResult};
    use std::time::Duration;

    #[test]
    fn files_are_whole_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let names = Names::from_iter(["node01", "../x"]);
        let mut out = OutputDir::create(&path, names).unwrap();
        for stdout in [&b"first"[..], b"\xff\x1b raw"] {
            let result = StepResult { stdout: stdout.into(), ..StepResult::new(Outcome::Ok) };
            let kind = EventKind::HostStepFinished { host: 0, step: 0, result };
            out.event(&Event { at: Duration::ZERO, kind }, &RunStats::default()).unwrap();
        }
        out.put(1, &"".into(), &"no".into()).unwrap();
        assert_eq!(fs::read(path.join("node01.stdout")).unwrap(), b"\xff\x1b raw");
        assert_eq!(fs::read(path.join("node01.stderr")).unwrap(), b"");
        assert_eq!(fs::read(path.join("%2e.%2fx.stderr")).unwrap(), b"no");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 4);
    }

    #[test]
    fn a_file_in_the_way_is_an_error_before_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        assert!(OutputDir::create(&path, Names::default()).is_err());
    }
}
