//! A run as one page that loads nothing: a lane per host, what failed first.
//!
//! The page is the same for every run; the run is JSON inside it. Remote bytes go through the sanitizer and reach the page as
//! text only. Written once, at the end, host by host.

use std::io::{self, Write};

use memchr::memchr3;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::json::ms;
use super::sanitize;
use super::timeline::{HostTimeline, SpanKind, Timelines, shown};
use crate::event::{Event, EventKind, Reporter};
use crate::outcome::Outcome;
use crate::outcome::cause::Cause;
use crate::report::{HostReport, RunReport};
use crate::stats::RunStats;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Keeps the course of a run, and draws it at its end.
pub struct HtmlReport {
    writer: Box<dyn Write + Send>,
    timelines: Timelines,
    steps: Vec<String>,
    /// The run only looks: a host on which something is missing is shown as failed.
    looks: bool,
}

impl HtmlReport {
    /// A page to this writer, tried before anything was contacted.
    #[must_use]
    pub fn new(writer: Box<dyn Write + Send>, hosts: usize, looks: bool) -> Self {
        Self { writer, timelines: Timelines::new(hosts), steps: Vec::new(), looks }
    }
}

/// Writes the page host by host, as there may be very many.
fn write_page(data: &PageData<'_>, page: &mut dyn Write) -> io::Result<()> {
    let title = in_text(&format!("{} {}", data.report.command, data.report.run));
    let mut rest = PAGE;
    // In order, so that nothing that is put in is looked at again.
    for (mark, text) in [("{TITLE}", title.as_str()), ("{CSS}", STYLE), ("{DATA}", ""), ("{JS}", SCRIPT)] {
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        page.write_all(before.as_bytes())?;
        page.write_all(text.as_bytes())?;
        if mark == "{DATA}" {
            serde_json::to_writer(InScript(&mut *page), data)?;
        }
        rest = after;
    }
    page.write_all(rest.as_bytes())
}

/// The run as the page's script reads it, made as it is written.
struct PageData<'a> {
    report: &'a RunReport,
    timelines: &'a Timelines,
    steps: &'a [String],
    looks: bool,
}

impl Serialize for PageData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.report;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("run", &report.run)?;
        map.serialize_entry("command", &sanitize::words(&report.command))?;
        map.serialize_entry("started", &report.started)?;
        map.serialize_entry("elapsed_ms", &ms(report.elapsed))?;
        map.serialize_entry("status", &json!({ "code": report.status.code(), "name": report.status.name() }))?;
        map.serialize_entry("parts", &parts(report))?;
        map.serialize_entry("state", &report.state.as_deref().map(sanitize::words))?;
        map.serialize_entry("counts", &report.counts)?;
        let steps: Vec<_> = self.steps.iter().map(|step| sanitize::words(step)).collect();
        map.serialize_entry("steps", &steps)?;
        map.serialize_entry("hosts", &PageHosts(self))?;
        map.end()
    }
}

struct PageHosts<'a>(&'a PageData<'a>);

impl Serialize for PageHosts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(PageData { report, timelines, looks, .. }) = self;
        let nothing = HostTimeline::default();
        let hosts = report.hosts.iter().enumerate();
        serializer.collect_seq(hosts.map(|(id, host)| data(host, timelines.of(id).unwrap_or(&nothing), *looks)))
    }
}

/// Writes JSON so that it can stand in a script element: nothing in it ends the element or begins a comment.
struct InScript<W>(W);

impl<W: Write> Write for InScript<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(at) = memchr3(b'<', b'>', b'&', rest) {
            self.0.write_all(&rest[..at])?;
            write!(self.0, "\\u{:04x}", rest[at])?;
            rest = &rest[at + 1..];
        }
        self.0.write_all(rest)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Reporter for HtmlReport {
    fn event(&mut self, event: &Event, _: &RunStats) -> io::Result<()> {
        if let EventKind::RunStarted { steps, .. } = &event.kind {
            self.steps.clone_from(steps);
        }
        self.timelines.event(event);
        Ok(())
    }

    fn finish(&mut self, report: &RunReport, _: &RunStats) -> io::Result<()> {
        self.timelines.finish(report.elapsed);
        let Self { writer, timelines, steps, looks } = self;
        let mut writer = io::BufWriter::new(writer);
        write_page(&PageData { report, timelines, steps, looks: *looks }, &mut writer)?;
        writer.flush()
    }
}

/// The part that it is, or those that it is made of.
fn parts(report: &RunReport) -> Option<String> {
    if let Some(partition) = report.partition {
        return Some(format!("part {partition}"));
    }
    let merged = report.merged.as_ref()?;
    let missing: Vec<String> = merged.missing().iter().map(usize::to_string).collect();
    let what = if missing.is_empty() { String::new() } else { format!(", missing: {}", missing.join(", ")) };
    Some(format!("{} of {} parts{what}", merged.parts.len(), merged.of))
}

fn data(host: &HostReport, timeline: &HostTimeline, looks: bool) -> Value {
    let finding = super::state_table::finding(host).filter(|_| looks);
    let spans: Vec<Value> = timeline.spans.iter().map(span).collect();
    let ups = timeline.ups.iter().map(|(stage, at)| json!({ "stage": sanitize::words(stage), "at": ms(*at) }));
    let chain = host.chain.iter().map(|stage| {
        json!({ "stage": sanitize::words(&stage.stage), "up": stage.up, "value": stage.value.as_deref().map(sanitize::words) })
    });
    let failure = finding.as_ref().or(host.failure.as_deref());
    json!({
        "host": sanitize::words(&host.host),
        "address": host.address.as_deref().map(sanitize::words),
        "user": host.user.as_deref().map(sanitize::words),
        "port": host.port,
        "outcome": if finding.is_some() { Outcome::Failed } else { host.outcome },
        "phase": failure.map(|failure| failure.phase.words()),
        "error": failure.map(|failure| sanitize::words(&failure.cause)),
        "hint": failure.and_then(|failure| failure.hint.as_deref()).map(sanitize::words),
        "cause": host.cause.as_deref().map(cause),
        "attempts": host.attempts,
        "elapsed_ms": ms(host.elapsed),
        "spans": spans,
        "ups": ups.collect::<Vec<_>>(),
        "chain": chain.collect::<Vec<_>>(),
        "steps": timeline.steps.iter().map(|(step, result)| json!({
            "step": step,
            "outcome": result.outcome,
            "elapsed_ms": ms(result.elapsed),
            "exit_status": result.exit_status,
            "error": result.failure.as_ref().map(|failure| sanitize::words(&failure.cause)),
            "changes": result.changes.iter().map(|change| format!("{} {}", change.action.name(), sanitize::words(&change.path))).collect::<Vec<_>>(),
            "stdout": shown(&result.stdout),
            "stderr": shown(&result.stderr),
        })).collect::<Vec<_>>(),
    })
}

/// The cause of a host that does not come up, and the lines that prove it.
fn cause(cause: &Cause) -> Value {
    let proof = cause.proof.as_ref().map(|proof| {
        let lines = proof.lines.iter().map(|line| sanitize::line(line.as_bytes()));
        json!({ "file": sanitize::words(&proof.file), "lines": lines.collect::<Vec<_>>() })
    });
    json!({ "words": sanitize::words(&cause.words()), "proof": proof })
}

fn span(span: &super::timeline::Span) -> Value {
    let mut value = json!({ "from": ms(span.from), "to": ms(span.to) });
    match span.at {
        SpanKind::Phase(phase) => value["phase"] = json!(phase),
        SpanKind::Pause => {}
        SpanKind::Step(step) => {
            value["step"] = json!(step);
            value["outcome"] = json!(span.outcome);
        }
    }
    if span.broken {
        value["broken"] = json!(true);
    }
    value
}

/// Text that can stand between tags.
fn in_text(text: &str) -> String {
    sanitize::words(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_the_script() {
        let text = json!({ "a": "</script><!-- <script> & \u{2028}" }).to_string();
        let mut inside = Vec::new();
        InScript(&mut inside).write_all(text.as_bytes()).unwrap();
        let inside = String::from_utf8(inside).unwrap();
        assert!(!inside.contains(['<', '>', '&']), "{inside}");
        assert_eq!(serde_json::from_str::<Value>(&inside).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
        assert_eq!(in_text("a<b>&\x1b"), "a&lt;b&gt;&amp;\\x1b");
    }

    #[test]
    fn the_page_has_every_part_once_and_in_order() {
        let at: Vec<_> = ["{TITLE}", "{CSS}", "{DATA}", "{JS}"].iter().map(|mark| PAGE.find(mark).unwrap()).collect();
        assert!(at.is_sorted(), "{at:?}");
        for loads in ["http://", "https://", "src=", "@import", "url("] {
            let text = [PAGE, STYLE, SCRIPT].concat().replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains(loads), "{loads}");
        }
    }
}
