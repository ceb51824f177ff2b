//! Identical output once, under the folded set of the hosts that printed it.
//!
//! Biggest group first, then by first host. Output is kept once however many hosts printed it; it must not be changed on
//! its way into a file or pipe.

use std::fmt::Write as _;
use std::io;

use indexmap::IndexMap;

use super::columns::width;
use super::filter::FilteredOutput;
use super::lines::LONGEST;
use super::screen::Screen;
use super::style::{Styles, Tone};
use super::{OutputFilter, View, ViewContext, diff, plural, sanitize};
use crate::event::{Event, EventKind, HostId, StepId, Stream};
use crate::outcome::StepResult;
use crate::output::Output;
use crate::report::RunReport;
use crate::stats::RunStats;

/// Longer outputs are not compared line by line.
const MOST_COMPARED: usize = 4 * 1024 * 1024;

/// How a command ended, as far as a header says it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum GroupEnd {
    Well,
    Status(i32),
    Signal(String),
    Unknown,
}

impl GroupEnd {
    fn of(result: &StepResult) -> Self {
        match (&result.signal, result.exit_status) {
            (Some(signal), _) => Self::Signal(signal.clone()),
            (None, Some(0)) => Self::Well,
            (None, Some(status)) => Self::Status(status),
            (None, None) if result.outcome.is_success() => Self::Well,
            (None, None) => Self::Unknown,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Well => String::new(),
            Self::Status(status) => format!(", exit status {status}"),
            Self::Signal(signal) => format!(", killed by signal {signal}"),
            Self::Unknown => ", incomplete".to_owned(),
        }
    }
}

type Groups = IndexMap<(GroupEnd, Output), Vec<HostId>>;

/// Outputs of one step.
#[derive(Debug, Default)]
struct Gathered {
    stdout: Groups,
    stderr: Groups,
    silent: Vec<HostId>,
}

/// The `--gather` view.
#[derive(Debug, Default)]
pub(crate) struct GatherView {
    steps: IndexMap<StepId, Gathered>,
    shown: FilteredOutput,
}

impl GatherView {
    /// With nothing gathered yet.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn take(&mut self, host: HostId, step: StepId, result: &StepResult, filter: &OutputFilter) -> io::Result<()> {
        let gathered = self.steps.entry(step).or_default();
        let ending = GroupEnd::of(result);
        if result.stdout.is_empty() && result.stderr.is_empty() {
            if result.outcome.is_success() {
                gathered.silent.push(host);
            }
            return Ok(());
        }
        for (groups, all) in [(&mut gathered.stdout, &result.stdout), (&mut gathered.stderr, &result.stderr)] {
            let shown = filter.apply(all)?;
            if filter.leaves_out() {
                self.shown.count(all, &shown)?;
            }
            if !shown.is_empty() {
                groups.entry((ending.clone(), with_line_end(shown)?)).or_default().push(host);
            }
        }
        Ok(())
    }

    fn write(gathered: Gathered, step: StepId, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        for (stream, groups) in [(Stream::Stdout, gathered.stdout), (Stream::Stderr, gathered.stderr)] {
            let mut groups: Vec<_> = groups.into_iter().collect();
            for (_, hosts) in &mut groups {
                hosts.sort_unstable();
            }
            groups.sort_by_key(|(_, hosts)| (usize::MAX - hosts.len(), hosts.first().copied()));
            let common = groups.first().map(|((_, output), hosts)| (output.clone(), ctx.fold(hosts)));
            let alone = groups.len() == 1;
            for (number, ((ending, output), hosts)) in groups.into_iter().enumerate() {
                let against = match &common {
                    Some((output, hosts)) if ctx.filter.diff && number > 0 => DiffBase::Other(output, hosts),
                    _ if ctx.filter.diff && alone && hosts.len() > 1 => DiffBase::Same,
                    _ => DiffBase::Nothing,
                };
                write_group(stream, step, &ending, &output, &hosts, &against, ctx, screen)?;
            }
        }
        // To differ from the others by saying nothing is a difference, too.
        let wanted = ctx.settings.verbose > 0 || (ctx.filter.diff && !ctx.settings.quiet);
        if wanted && !gathered.silent.is_empty() {
            let mut hosts = gathered.silent;
            hosts.sort_unstable();
            screen.err_line(&ctx.err.paint(Tone::Dim, &format!("no output: {}", ctx.fold(&hosts))))?;
        }
        Ok(())
    }
}

/// The output with its last line ended, as it is shown: two that look alike are alike. What is too long for memory is not copied for
/// that.
fn with_line_end(output: Output) -> io::Result<Output> {
    if output.cut().is_some() || output.in_memory().is_none() || output.last(1)?.ends_with(b"\n") {
        return Ok(output);
    }
    let mut builder = output.builder();
    output.pieces(|piece| {
        builder.push(piece);
        Ok(())
    })?;
    builder.push(b"\n");
    Ok(builder.finish())
}

impl View for GatherView {
    fn event(&mut self, event: &Event, _: &RunStats, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        match &event.kind {
            EventKind::HostStepFinished { host, step, result } => self.take(*host, *step, result, &ctx.filter),
            EventKind::StepFinished { step } => match self.steps.shift_remove(step) {
                Some(gathered) => Self::write(gathered, *step, ctx, screen),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn finish(&mut self, _: &RunReport, _: &RunStats, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        // A run that was cut short never said that its step is over.
        std::mem::take(&mut self.steps)
            .into_iter()
            .try_for_each(|(step, gathered)| Self::write(gathered, step, ctx, screen))?;
        match self.shown.words().filter(|_| !ctx.settings.quiet) {
            Some(words) => screen.err_line(&ctx.err.paint(Tone::Dim, &words)),
            None => Ok(()),
        }
    }
}

/// What `--diff` says about a group.
enum DiffBase<'a> {
    /// Shown whole.
    Nothing,
    /// All hosts said this.
    Same,
    /// The most common output, and its hosts.
    Other(&'a Output, &'a str),
}

#[expect(clippy::too_many_arguments, reason = "a group is what it is")]
fn write_group(
    stream: Stream,
    step: StepId,
    ending: &GroupEnd,
    output: &Output,
    hosts: &[HostId],
    against: &DiffBase<'_>,
    ctx: &ViewContext,
    screen: &mut Screen,
) -> io::Result<()> {
    let (styles, tty): (&Styles, bool) = match stream {
        Stream::Stdout => (&ctx.out, ctx.settings.stdout_tty),
        Stream::Stderr => (&ctx.err, ctx.settings.stderr_tty),
    };
    let folded = ctx.fold(hosts);
    let mut rest = format!(" ({})", plural::hosts(hosts.len()));
    if ctx.steps.len() > 1 {
        let _ = write!(rest, ", step `{}`", sanitize::words(ctx.step(step)));
    }
    if stream == Stream::Stderr {
        rest.push_str(", stderr");
    }
    rest.push_str(&ending.words());
    if let Some(cut) = output.cut() {
        let _ = write!(rest, ", {}", sanitize::words(&cut));
    }
    match against {
        DiffBase::Nothing => {}
        DiffBase::Same => rest.push_str(", all the same"),
        DiffBase::Other(common, others) if *common == output => {
            let _ = write!(rest, ", same output as {others}");
        }
        DiffBase::Other(_, others) => {
            let _ = write!(rest, ", differs from {others}");
        }
    }
    let room = ctx.settings.columns.filter(|_| tty).unwrap_or(usize::MAX);
    let rule = "-".repeat((width(&folded) + width(&rest)).min(room).min(120));
    let tone = if *ending == GroupEnd::Well { Tone::Strong } else { Tone::Bad };
    let header = format!(
        "{rule}\n{}{}\n{rule}\n",
        styles.paint(if stream == Stream::Stderr { Tone::Bad } else { tone }, &folded),
        styles.paint(if *ending == GroupEnd::Well { Tone::Dim } else { tone }, &rest),
        rule = styles.paint(Tone::Dim, &rule),
    );
    let mut put = |text: &[u8]| match stream {
        Stream::Stdout => screen.out(text),
        Stream::Stderr => screen.err(text),
    };
    put(header.as_bytes())?;
    match against {
        DiffBase::Other(common, _) => match (common.whole(MOST_COMPARED), output.whole(MOST_COMPARED)) {
            (Ok(common), Ok(bytes)) => put(&diff::unified(&common, &bytes, styles, tty)),
            _ => put(format!("{} bytes against {}: too long to be compared\n", output.len(), common.len()).as_bytes()),
        },
        _ if tty => write_safely(output, &mut put),
        _ => {
            output.pieces(&mut put)?;
            if output.last(1)?.ends_with(b"\n") { Ok(()) } else { put(b"\n") }
        }
    }
}

/// Writes an output to a terminal, so many lines at a time. A line that is too long to be held is broken.
fn write_safely(output: &Output, put: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut held = Vec::new();
    output.pieces(|piece| {
        held.extend_from_slice(piece);
        let whole = match held.iter().rposition(|&byte| byte == b'\n') {
            Some(at) => at + 1,
            None if held.len() > LONGEST => held.len(),
            None => 0,
        };
        let rest = held.split_off(whole);
        if !held.is_empty() {
            put(sanitize::block(&held).as_bytes())?;
        }
        held = rest;
        Ok(())
    })?;
    if held.is_empty() { Ok(()) } else { put(sanitize::block(&held).as_bytes()) }
}
