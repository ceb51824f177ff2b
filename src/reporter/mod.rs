//! Words, tables and files made from events. Nothing else in the program prints.
//!
//! It must not ask the environment anything: writers, sizes and settings are given. Start at [`Reporters`].

pub mod bytes;
pub mod columns;
pub mod filter;
pub mod harmless;
pub mod html;
pub mod json;
pub mod jsonl;
pub mod junit;
mod opening;
pub mod output_dir;
mod phases;
pub mod plural;
pub mod pssh;
pub mod queue;
pub mod sanitize;
pub mod schema;
pub mod settings;
pub mod style;
pub mod table;
pub mod whole_file;

mod chain_table;
mod diff;
mod encoded;
mod excerpt;
mod gather;
mod grouping;
mod lines;
mod live;
mod names;
mod outcome_words;
mod progress;
mod results;
mod run_words;
mod screen;
mod state_table;
mod status_form;
mod status_lines;
mod stream;
mod summary;
mod terminal;
#[cfg(test)]
mod tests;
mod timeline;

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

pub(crate) use crate::inventory::hostset::fold;
pub use filter::{Keep, OutputFilter};
pub use names::Names;
pub use opening::Opening;
pub use output_dir::OutputDir;
pub use queue::{Counted, Hurry, ReportQueue};
pub use settings::{CommandKind, Mode, OutputInputs, OutputSettings, When};
pub use table::Table;
pub use whole_file::WholeFile;

use crate::event::{Event, HostId, Reporter, StepId};
use crate::report::RunReport;
use crate::stats::RunStats;
use screen::Screen;
use style::{Glyphs, Styles};
use terminal::Terminal;

/// Where a report goes.
pub enum ReportTarget {
    /// `-`: standard output, which then carries nothing else.
    Stdout,
    /// A file, opened before anything was contacted, and its name for messages.
    File(String, Box<dyn Write + Send>),
}

/// What is said about hosts and their startup chains at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndTable {
    /// How far each chain came; hosts that look the same share a row.
    Chains,
    /// A row per host with its state: for runs that only look.
    /// Facts that are named here are columns too.
    States(Vec<String>),
}

/// What the user can do after a run, for its last lines.
#[derive(Debug, Clone, Default)]
pub struct Afterwards {
    /// The command that shows how far the nodes are.
    pub status: Option<String>,
    /// What goes on by itself on the nodes.
    pub goes_on: Option<String>,
    /// The command that goes on with the run.
    pub resume: Option<String>,
}

/// What reporters are made from.
pub struct ReporterSetup {
    /// How the output looks.
    pub settings: OutputSettings,
    /// Names of the hosts, in inventory order.
    pub names: Names,
    /// Names of the steps.
    pub steps: Vec<String>,
    /// What is shown of remote output.
    pub filter: OutputFilter,
    /// What is said about hosts and their startup chains at the end.
    pub end_table: EndTable,
    /// What the user can do afterwards.
    pub afterwards: Afterwards,
    /// What is said of the run before it begins.
    pub opening: Opening,
    /// Standard output.
    pub stdout: Box<dyn Write + Send>,
    /// Standard error.
    pub stderr: Box<dyn Write + Send>,
    /// `--json`.
    pub json: Option<ReportTarget>,
    /// `--jsonl`.
    pub jsonl: Option<ReportTarget>,
    /// `--junit`.
    pub junit: Option<ReportTarget>,
    /// `--html`.
    pub html: Option<ReportTarget>,
    /// `--output-dir`.
    pub output_dir: Option<OutputDir>,
    /// Reporters of other kinds, by the name that an error gives them.
    pub more: Vec<(String, Box<dyn Reporter + Send>)>,
}

/// Everything that reports on a run. One that fails does not silence the others.
pub struct Reporters {
    terminal: Terminal,
    files: Vec<NamedReporter>,
    terminal_error: Option<String>,
    wants_output: bool,
    shows_phases: bool,
    live: bool,
}

struct NamedReporter {
    name: String,
    reporter: Box<dyn Reporter + Send>,
    error: Option<String>,
    /// A reader that goes away is no error on standard output.
    is_stdout: bool,
}

impl Reporters {
    /// All reporters of a run.
    #[must_use]
    pub fn new(setup: ReporterSetup) -> Self {
        let ReporterSetup {
            mut settings,
            names,
            steps,
            filter,
            end_table,
            afterwards,
            opening,
            stdout,
            stderr,
            json,
            jsonl,
            junit,
            html,
            output_dir,
            more,
        } = setup;
        let looks = matches!(end_table, EndTable::States(_));
        let taken = [&json, &jsonl, &junit, &html].iter().any(|target| matches!(target, Some(ReportTarget::Stdout)));
        // A report on the terminal itself and a live view would tear each other.
        settings.live &= !(taken && settings.stdout_tty);
        let screen = Screen::new(stdout, stderr, &settings);
        let mut files = Vec::new();
        let mut add =
            |name: String, is_stdout, reporter| files.push(NamedReporter { name, reporter, error: None, is_stdout });
        let wants_output =
            jsonl.is_some() || (settings.mode == Mode::Stream && settings.command == CommandKind::Output);
        let shows_phases = jsonl.is_some() || settings.verbose > 0 && !settings.live;
        if let Some(target) = jsonl {
            let (name, is_stdout, writer) = open(target, &screen);
            add(name, is_stdout, Box::new(jsonl::JsonLines::new(writer, names.clone())));
        }
        if let Some(output_dir) = output_dir {
            add("output directory".to_owned(), false, Box::new(output_dir));
        }
        if let Some(target) = json {
            let (name, is_stdout, writer) = open(target, &screen);
            add(name, is_stdout, Box::new(json::JsonReport::new(writer)));
        }
        if let Some(target) = junit {
            let (name, is_stdout, writer) = open(target, &screen);
            add(name, is_stdout, Box::new(junit::JunitReport::new(writer, names.len(), steps.clone(), looks)));
        }
        if let Some(target) = html {
            let (name, is_stdout, writer) = open(target, &screen);
            add(name, is_stdout, Box::new(html::HtmlReport::new(writer, names.len(), looks)));
        }
        for (name, reporter) in more {
            add(name, false, reporter);
        }
        let live = settings.live;
        let ctx = ViewContext {
            names,
            steps,
            filter,
            afterwards,
            opening,
            out: Styles::new(settings.color_out),
            err: Styles::new(settings.color_err),
            glyphs: Glyphs::new(settings.unicode),
            settings,
        };
        let terminal = Terminal::new(ctx, screen, taken, end_table);
        Self { terminal, files, terminal_error: None, wants_output, shows_phases, live }
    }

    /// True when [`crate::event::EventKind::Output`] is wanted as commands print.
    #[must_use]
    pub fn wants_output(&self) -> bool {
        self.wants_output
    }

    /// True when somebody may read of the phases of logins as they begin.
    #[must_use]
    pub fn shows_phases(&self) -> bool {
        self.shows_phases
    }

    /// True when a live view is drawn.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Takes one event. What could not be written is remembered, see [`Reporters::errors`].
    pub fn event(&mut self, event: &Event, stats: &RunStats) {
        let done = self.terminal.event(event, stats);
        remember_output(&mut self.terminal_error, done);
        self.files.iter_mut().for_each(|file| file.take(|reporter| reporter.event(event, stats)));
    }

    /// Takes one event of a run that is over: for the report files, and not to be seen.
    pub fn file_event(&mut self, event: &Event, stats: &RunStats) {
        self.files.iter_mut().for_each(|file| file.take(|reporter| reporter.event(event, stats)));
    }

    /// Says a warning now.
    pub fn warn(&mut self, message: &str) {
        let done = self.terminal.warn(message);
        remember_output(&mut self.terminal_error, done);
    }

    /// To be called about ten times a second.
    pub fn tick(&mut self, at: Duration) {
        let done = self.terminal.tick(at);
        remember_output(&mut self.terminal_error, done);
        self.files.iter_mut().for_each(|file| file.reporter.tick(at));
    }

    /// Takes the report, after the last event: writes reports, tables and the summary, and what could not be written.
    pub fn finish(&mut self, report: &RunReport, stats: &RunStats) {
        self.files.iter_mut().for_each(|file| file.take(|reporter| reporter.finish(report, stats)));
        let done = self.terminal.finish(report, stats, &self.errors());
        remember_output(&mut self.terminal_error, done);
    }

    /// Takes note of a new size of the terminal.
    pub fn resize(&mut self, columns: usize, rows: usize) {
        self.terminal.resize(columns, rows);
    }

    /// The first error of each reporter. Not empty: gsctl exits 1.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        let terminal = self.terminal_error.iter().cloned();
        let files = self
            .files
            .iter()
            .filter_map(|file| file.error.as_ref().map(|error| format!("cannot write {}: {error}", file.name)));
        terminal.chain(files).collect()
    }
}

impl NamedReporter {
    fn take(&mut self, write: impl FnOnce(&mut dyn Reporter) -> io::Result<()>) {
        let done = write(self.reporter.as_mut());
        match done {
            Err(error) if self.is_stdout && error.kind() == ErrorKind::BrokenPipe => {}
            done => remember(&mut self.error, done),
        }
    }
}

fn remember(first: &mut Option<String>, done: io::Result<()>) {
    if let Err(error) = done {
        first.get_or_insert_with(|| error.to_string());
    }
}

fn remember_output(first: &mut Option<String>, done: io::Result<()>) {
    if let Err(error) = done {
        first.get_or_insert_with(|| not_written(&error));
    }
}

/// That standard output or standard error, whichever the error names, could not be written to.
pub(crate) fn not_written(error: &io::Error) -> String {
    format!("cannot write to {error}")
}

fn open(target: ReportTarget, screen: &Screen) -> (String, bool, Box<dyn Write + Send>) {
    match target {
        ReportTarget::Stdout => ("report to standard output".to_owned(), true, screen.stdout()),
        ReportTarget::File(name, writer) => (format!("report `{name}`"), false, writer),
    }
}

/// What every view knows about the run.
pub(crate) struct ViewContext {
    names: Names,
    steps: Vec<String>,
    filter: OutputFilter,
    afterwards: Afterwards,
    opening: Opening,
    settings: OutputSettings,
    /// Styles of standard output.
    out: Styles,
    /// Styles of standard error.
    err: Styles,
    glyphs: Glyphs,
}

impl ViewContext {
    fn name(&self, host: HostId) -> &str {
        self.names.get(host).map_or("?", |name| name)
    }

    fn step(&self, step: StepId) -> &str {
        self.steps.get(step).map_or("?", String::as_str)
    }

    fn fold(&self, hosts: &[HostId]) -> String {
        let names: Vec<&str> = hosts.iter().map(|&host| self.name(host)).collect();
        fold(&names)
    }
}

/// A part of what is seen on the terminal or in the pipe: writes to the one screen.
pub(crate) trait View {
    fn event(&mut self, event: &Event, stats: &RunStats, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()>;
    fn tick(&mut self, at: Duration, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        let _ = (at, ctx, screen);
        Ok(())
    }
    fn finish(
        &mut self,
        report: &RunReport,
        stats: &RunStats,
        ctx: &ViewContext,
        screen: &mut Screen,
    ) -> io::Result<()>;
}
