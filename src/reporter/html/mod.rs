//! A run as one page that loads nothing: a lane per host, what failed first.
//!
//! The page is the same for every run; the run is JSON inside it. Remote bytes go through the sanitizer and reach the page as
//! text only. Written once, at the end.

use std::io::{self, Write};

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

    fn page(&self, report: &RunReport) -> io::Result<String> {
        let title = format!("{} {}", report.command, report.run);
        let data = serde_json::to_string(&self.data(report))?;
        let parts = [
            ("{TITLE}", in_text(&title)),
            ("{CSS}", STYLE.into()),
            ("{DATA}", in_script(&data)),
            ("{JS}", SCRIPT.into()),
        ];
        let mut page = String::with_capacity(data.len() + 32 * 1024);
        let mut rest = PAGE;
        // In order, so that nothing that is put in is looked at again.
        for (mark, text) in parts {
            let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
            page.push_str(before);
            page.push_str(&text);
            rest = after;
        }
        page.push_str(rest);
        Ok(page)
    }

    fn data(&self, report: &RunReport) -> Value {
        let nothing = HostTimeline::default();
        let hosts = report
            .hosts
            .iter()
            .enumerate()
            .map(|(id, host)| data(host, self.timelines.of(id).unwrap_or(&nothing), self.looks));
        json!({
            "run": report.run,
            "command": sanitize::words(&report.command),
            "started": report.started,
            "elapsed_ms": ms(report.elapsed),
            "status": { "code": report.status.code(), "name": report.status.name() },
            "parts": parts(report),
            "state": report.state.as_deref().map(sanitize::words),
            "counts": report.counts,
            "steps": self.steps.iter().map(|step| sanitize::words(step)).collect::<Vec<_>>(),
            "hosts": hosts.collect::<Vec<_>>(),
        })
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
        let page = self.page(report)?;
        self.writer.write_all(page.as_bytes())?;
        self.writer.flush()
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

/// JSON that can stand in a script element: nothing in it ends the element or begins a comment.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
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
        let inside = in_script(&text);
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
