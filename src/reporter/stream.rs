//! Remote output as it comes: `host: line`, standard output to standard output, standard error to standard error.
//!
//! Lines are never torn. The bytes of a single host without a prefix go through as ssh would pass them. It must not hold more than a
//! bounded amount back.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use super::columns;
use super::filter::FilteredOutput;
use super::lines::{LONGEST, LineBuffer, LinePiece, SCARCE};
use super::screen::Screen;
use super::style::{Styles, Tone};
use super::{View, ViewContext, sanitize};
use crate::event::{Event, EventKind, HostId, Stream};
use crate::report::RunReport;
use crate::stats::RunStats;

/// Bytes that all hosts together may hold back before lines are cut shorter.
const BUDGET: usize = 64 * 1024 * 1024;
/// Names are padded up to this width, so that one long name does not push all text to the right.
const WIDEST_NAME: usize = 32;

/// The `--stream` view.
pub(crate) struct StreamView {
    buffers: HashMap<(HostId, Stream), LineBuffer>,
    held: usize,
    /// Width of the names on a terminal; nothing is padded elsewhere, so that `host: ` is all there is to strip.
    name_width: usize,
    /// The bytes of one host go through as they come.
    pass_through: bool,
    shown: FilteredOutput,
    /// What is written next.
    text: Vec<u8>,
}

/// How lines of a host are shown.
struct LineForm<'a> {
    name_width: usize,
    ctx: &'a ViewContext,
    host: HostId,
    stream: Stream,
    /// What stands before a line, and before the rest of one.
    begins: [Option<String>; 2],
    /// Where it is counted, and where what is to be shown goes.
    shown: &'a mut FilteredOutput,
    text: &'a mut Vec<u8>,
}

impl LineForm<'_> {
    /// Adds a line, where it is to be shown.
    fn add(&mut self, line: &[u8], continues: bool, newline: bool) {
        let Self { name_width, ctx, host, stream, begins, shown, text } = self;
        shown.of += 1;
        if !ctx.filter.keeps(line) {
            return;
        }
        shown.lines += 1;
        if ctx.settings.prefix {
            let begin = begins[usize::from(continues)].get_or_insert_with(|| {
                let styles = match stream {
                    Stream::Stdout => &ctx.out,
                    Stream::Stderr => &ctx.err,
                };
                prefix(ctx.name(*host), *host, *stream, continues, *name_width, styles)
            });
            text.extend_from_slice(begin.as_bytes());
        }
        if tty(*stream, ctx) {
            text.extend_from_slice(sanitize::line(line).as_bytes());
        } else {
            text.extend_from_slice(line);
        }
        if newline {
            text.push(b'\n');
        }
    }
}

impl StreamView {
    /// For the hosts of this run.
    #[must_use]
    pub(crate) fn new(ctx: &ViewContext) -> Self {
        let longest = ctx.names.iter().map(|name| columns::width(name)).max().unwrap_or(0);
        Self {
            buffers: HashMap::new(),
            held: 0,
            name_width: if ctx.settings.stdout_tty { longest.min(WIDEST_NAME) } else { 0 },
            pass_through: ctx.names.len() == 1 && !ctx.settings.prefix,
            shown: FilteredOutput::default(),
            text: Vec::new(),
        }
    }

    fn take(
        &mut self,
        host: HostId,
        stream: Stream,
        bytes: &[u8],
        ctx: &ViewContext,
        screen: &mut Screen,
    ) -> io::Result<()> {
        // What nobody reads any more need not be made.
        if screen.is_closed(stream) {
            return Ok(());
        }
        let tty = tty(stream, ctx);
        if self.pass_through && !tty && ctx.filter.keep.is_none() {
            return put(stream, bytes, screen);
        }
        let limit = if self.held > BUDGET { SCARCE } else { LONGEST };
        let buffer = self.buffers.entry((host, stream)).or_default();
        let before = buffer.held();
        // All that has come is written at once.
        self.text.clear();
        let (shown, text) = (&mut self.shown, &mut self.text);
        let mut form = LineForm { name_width: self.name_width, ctx, host, stream, begins: [None, None], shown, text };
        buffer.push(bytes, limit, |line, continues| form.add(line, continues, true));
        self.held = self.held - before + buffer.held();
        put(stream, &self.text, screen)
    }

    fn write(
        &mut self,
        host: HostId,
        stream: Stream,
        piece: &LinePiece,
        newline: bool,
        ctx: &ViewContext,
        screen: &mut Screen,
    ) -> io::Result<()> {
        self.text.clear();
        let (shown, text) = (&mut self.shown, &mut self.text);
        let mut form = LineForm { name_width: self.name_width, ctx, host, stream, begins: [None, None], shown, text };
        form.add(&piece.bytes, piece.continues, newline);
        put(stream, &self.text, screen)
    }

    fn end(&mut self, host: HostId, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let Some(mut buffer) = self.buffers.remove(&(host, stream)) else { continue };
            self.held -= buffer.held();
            if let Some(piece) = buffer.end() {
                self.write(host, stream, &piece, true, ctx, screen)?;
            }
        }
        Ok(())
    }
}

impl View for StreamView {
    fn event(&mut self, event: &Event, _: &RunStats, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        match &event.kind {
            EventKind::Output { host, stream, bytes, .. } => self.take(*host, *stream, bytes, ctx, screen),
            EventKind::HostStepFinished { host, .. } | EventKind::HostFinished { host, .. } => {
                self.end(*host, ctx, screen)
            }
            _ => Ok(()),
        }
    }

    /// The standard output of a single host without a prefix is seen as it comes, as with ssh: also what has no end yet.
    fn tick(&mut self, _: Duration, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        if !self.pass_through || ctx.filter.keep.is_some() {
            return Ok(());
        }
        let Some(buffer) = self.buffers.get_mut(&(0, Stream::Stdout)) else { return Ok(()) };
        self.held -= buffer.held();
        let piece = buffer.so_far();
        self.held += buffer.held();
        piece.map_or(Ok(()), |piece| self.write(0, Stream::Stdout, &piece, false, ctx, screen))
    }

    fn finish(&mut self, _: &RunReport, _: &RunStats, ctx: &ViewContext, screen: &mut Screen) -> io::Result<()> {
        let mut hosts: Vec<HostId> = self.buffers.keys().map(|&(host, _)| host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts.into_iter().try_for_each(|host| self.end(host, ctx, screen))?;
        match self.shown.words().filter(|_| !ctx.settings.quiet) {
            Some(words) => screen.err_line(&ctx.err.paint(Tone::Dim, &words)),
            None => Ok(()),
        }
    }
}

fn tty(stream: Stream, ctx: &ViewContext) -> bool {
    match stream {
        Stream::Stdout => ctx.settings.stdout_tty,
        Stream::Stderr => ctx.settings.stderr_tty,
    }
}

fn put(stream: Stream, bytes: &[u8], screen: &mut Screen) -> io::Result<()> {
    match stream {
        Stream::Stdout => screen.out(bytes),
        Stream::Stderr => screen.err(bytes),
    }
}

/// `node01: `, or `node01:+` before the rest of a line that was too long to be held.
fn prefix(name: &str, host: HostId, stream: Stream, continues: bool, width: usize, styles: &Styles) -> String {
    let tone = match stream {
        Stream::Stdout => Tone::Host(host),
        Stream::Stderr => Tone::Bad,
    };
    let gap = " ".repeat(width.saturating_sub(columns::width(name)));
    let sign = if continues { ":+" } else { ": " };
    format!("{}{gap}", styles.paint(tone, &format!("{name}{sign}")))
}
