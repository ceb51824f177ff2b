//! The form of a status line: the word in 12 columns, then the time in brackets, the count of hosts, the hosts, the detail.

use std::fmt::Write as _;
use std::time::Duration;

use super::ViewContext;
use super::columns::pad_left;
use super::settings::CommandKind;
use super::style::Tone;

/// Narrower terminals get lines without times and counts.
const NARROW: usize = 60;

/// A status line: word, time, count, hosts, detail.
pub(crate) fn line(
    word: &str,
    tone: Tone,
    took: Duration,
    done: Option<usize>,
    hosts: &str,
    detail: &str,
    ctx: &ViewContext,
) -> String {
    let mut middle = String::new();
    if ctx.settings.columns.is_none_or(|columns| columns >= NARROW) {
        middle = format!("[{:>8.3}s] ", took.as_secs_f64());
        let total = ctx.names.len();
        let digits = total.to_string().len();
        if let Some(done) = done {
            let _ = write!(middle, "({done:>digits$}/{total}) ");
        } else if ctx.settings.command != CommandKind::Playbook {
            middle.push_str(&" ".repeat(2 * digits + 4));
        }
    }
    let gap = if detail.is_empty() { "" } else { "  " };
    format!("{} {middle}{hosts}{gap}{detail}", ctx.err.paint(tone, &pad_left(word, 12)))
}

/// A status line about the run as a whole: word, time, text.
pub(crate) fn timed_line(word: &str, tone: Tone, at: Duration, text: &str, ctx: &ViewContext) -> String {
    if ctx.settings.columns.is_some_and(|columns| columns < NARROW) {
        return plain_line(word, tone, text, ctx);
    }
    plain_line(word, tone, &format!("[{:>8.3}s] {text}", at.as_secs_f64()), ctx)
}

/// A status line without time and hosts.
pub(crate) fn plain_line(word: &str, tone: Tone, text: &str, ctx: &ViewContext) -> String {
    format!("{} {text}", ctx.err.paint(tone, &pad_left(word, 12)))
}
