//! pssh's lines, files and exit statuses, in two dialects: pssh 2.3's, and that of the pssh that openGauss brings along.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Zoned;

use super::lines::{LONGEST, LineBuffer};
use crate::event::{Event, EventKind, HostId, Reporter, Stream};
use crate::inventory::filename::safe_name;
use crate::outcome::{Outcome, StepResult};
use crate::output::Output;
use crate::stats::RunStats;

/// What pssh was asked to print.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct PsshFormat {
    /// `-i`.
    pub inline: bool,
    /// `--inline-stdout`.
    pub inline_stdout: bool,
    /// `-P`.
    pub print: bool,
    /// `-s`.
    pub shell: bool,
    /// The dialect of openGauss.
    pub opengauss: bool,
    /// Warnings too.
    pub verbose: bool,
    /// `-o`.
    pub outdir: Option<PathBuf>,
    /// `-e`.
    pub errdir: Option<PathBuf>,
    /// `--fileappend`.
    pub append: bool,
    /// `--no-headers`.
    pub no_headers: bool,
    /// As `pscp` and `prsync`, which have one exit status for every failure.
    pub one_failure: bool,
    /// Files are copied: what fails has scp's status and words, not ssh's.
    pub copies: bool,
}

/// How ssh would have ended on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Code(i32),
    Killed,
    Interrupted,
    Cancelled,
}

/// Speaks as pssh does.
pub struct PsshLines {
    format: PsshFormat,
    names: Vec<String>,
    files: Vec<String>,
    started: Zoned,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    ends: Vec<End>,
    reported: Vec<bool>,
    held: HashMap<(HostId, bool), LineBuffer>,
}

impl PsshLines {
    /// Makes the directories for output.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn new(
        format: PsshFormat,
        names: Vec<String>,
        started: Zoned,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> io::Result<Self> {
        for dir in [&format.outdir, &format.errdir].into_iter().flatten() {
            fs::create_dir_all(dir)?;
        }
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let mut files = Vec::new();
        for name in &names {
            let count = seen.entry(name).or_default();
            files.push(if *count == 0 { safe_name(name) } else { format!("{}.{count}", safe_name(name)) });
            *count += 1;
        }
        let reported = vec![false; names.len()];
        Ok(Self { format, names, files, started, out, err, ends: Vec::new(), reported, held: HashMap::new() })
    }

    /// pssh's exit status.
    #[must_use]
    pub fn code(&self) -> u8 {
        let failed = self.ends.iter().find(|end| **end != End::Code(0));
        match failed {
            None => 0,
            Some(_) if self.ends.contains(&End::Killed) => 3,
            Some(_) if self.format.one_failure => 4,
            Some(End::Code(code)) if self.format.shell => u8::try_from(*code).unwrap_or(u8::MAX),
            Some(_) if self.ends.contains(&End::Code(255)) => 4,
            Some(_) => 5,
        }
    }

    fn tell(&mut self, at: Duration, host: HostId, end: End, result: &StepResult) -> io::Result<()> {
        self.reported[host] = true;
        self.ends.push(end);
        let name = self.names[host].clone();
        // What ssh would have said itself comes on standard error.
        let mut stderr = result.stderr.clone();
        if let (Some(failure), End::Code(code)) = (&result.failure, end)
            && result.exit_status.is_none()
        {
            let said = super::sanitize::words(&failure.to_string());
            let who = if code == 255 { "ssh" } else { "scp" };
            let mut builder = stderr.builder();
            stderr.pieces(|piece| {
                builder.push(piece);
                Ok(())
            })?;
            builder.push(format!("{who}: {said}\n").as_bytes());
            stderr = builder.finish();
        }
        if self.format.shell {
            write_ended(&stderr, self.err.as_mut())?;
            write_ended(&result.stdout, self.out.as_mut())?;
            if end == End::Killed {
                writeln!(self.err, "{name}: Timed out, Killed by signal 9")?;
            }
        } else {
            let inline = self.format.inline || self.format.inline_stdout;
            if self.format.opengauss && !inline && !result.stdout.is_empty() {
                write!(self.out, "{name}: ")?;
                write_ended(&result.stdout, self.out.as_mut())?;
            }
            let time = self.started.saturating_add(jiff::SignedDuration::try_from(at).unwrap_or_default());
            let time = time.strftime("%H:%M:%S");
            let count = self.ends.len();
            match end {
                _ if self.format.no_headers => {}
                End::Code(0) => writeln!(self.out, "[{count}] {time} [SUCCESS] {name}")?,
                End::Code(code) => {
                    writeln!(self.out, "[{count}] {time} [FAILURE] {name} Exited with error code {code}")?;
                }
                End::Killed => writeln!(self.out, "[{count}] {time} [FAILURE] {name} Timed out, Killed by signal 9")?,
                End::Interrupted => writeln!(self.out, "[{count}] {time} [FAILURE] {name} Interrupted")?,
                End::Cancelled => writeln!(self.out, "[{count}] {time} [FAILURE] {name} Cancelled")?,
            }
            if inline {
                result.stdout.copy_to(self.out.as_mut())?;
            }
            if self.format.inline && !stderr.is_empty() {
                if !self.format.no_headers {
                    self.out.write_all(b"Stderr: ")?;
                }
                stderr.copy_to(self.out.as_mut())?;
            }
        }
        self.out.flush()?;
        self.err.flush()?;
        self.keep(self.format.outdir.clone(), host, &result.stdout)?;
        self.keep(self.format.errdir.clone(), host, &stderr)
    }

    fn keep(&self, dir: Option<PathBuf>, host: HostId, output: &Output) -> io::Result<()> {
        let Some(dir) = dir else { return Ok(()) };
        // pssh leaves no file where there is no output, OM's own does, for its owner alone.
        if output.is_empty() && !self.format.opengauss {
            return Ok(());
        }
        let mode = if self.format.opengauss { 0o600 } else { 0o666 };
        let path = dir.join(&self.files[host]);
        let mut options = OpenOptions::new();
        options.create(true).mode(mode);
        // What was appended to goes on where it ended.
        if self.format.append {
            options.append(true)
        } else {
            options.write(true).truncate(true)
        };
        output.copy_to(&mut options.open(path)?)
    }

    fn print(&mut self, host: HostId, stream: Stream, bytes: Option<&[u8]>) -> io::Result<()> {
        let is_out = stream == Stream::Stdout;
        let buffer = self.held.entry((host, is_out)).or_default();
        let mut text = Vec::new();
        let mut add = |line: &[u8]| {
            text.extend_from_slice(self.names[host].as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(line);
            text.push(b'\n');
        };
        match bytes {
            Some(bytes) => buffer.push(bytes, LONGEST, |line, _| add(line)),
            None => buffer.end().iter().for_each(|piece| add(&piece.bytes)),
        }
        let to: &mut dyn Write = if is_out { &mut *self.out } else { &mut *self.err };
        to.write_all(&text)?;
        to.flush()
    }
}

impl Reporter for PsshLines {
    fn event(&mut self, event: &Event, _: &RunStats) -> io::Result<()> {
        match &event.kind {
            EventKind::Output { host, stream, bytes, .. } if self.format.print && !self.format.opengauss => {
                self.print(*host, *stream, Some(bytes))
            }
            EventKind::HostStepFinished { host, result, .. } => {
                self.print(*host, Stream::Stdout, None)?;
                self.print(*host, Stream::Stderr, None)?;
                self.tell(event.at, *host, end(result, self.format.copies), result)
            }
            EventKind::HostFinished { host, outcome, .. } if !self.reported[*host] => {
                self.tell(event.at, *host, End::Cancelled, &StepResult::new(*outcome))
            }
            EventKind::Warning { message } if self.format.verbose => {
                writeln!(self.err, "warning: {}", super::sanitize::words(message))
            }
            _ => Ok(()),
        }
    }
}

/// How ssh, which pssh starts, would have ended. It makes a 255 of a signal and of everything of its own.
fn end(result: &StepResult, copies: bool) -> End {
    match (result.outcome, result.exit_status) {
        (Outcome::TimedOut, _) => End::Killed,
        (Outcome::Cancelled, _) => End::Interrupted,
        (Outcome::Unreachable, _) => End::Code(255),
        (_, Some(status)) => End::Code(status),
        (Outcome::Failed, None) if copies => End::Code(1),
        (outcome, None) => End::Code(if outcome.is_success() { 0 } else { 255 }),
    }
}

/// Writes an output that ends in a newline, if there is any.
fn write_ended(output: &Output, to: &mut dyn Write) -> io::Result<()> {
    output.copy_to(to)?;
    if matches!(output.last(1)?.last(), None | Some(b'\n')) { Ok(()) } else { to.write_all(b"\n") }
}
