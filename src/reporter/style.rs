//! Colours and signs. Styles are empty until colour is asked for, so that text without colour is the same text.
//!
//! The only file that knows the `console` crate. It must not ask whether anything is a terminal.

use console::Style as Paint;

/// What a piece of text is, for the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tone {
    /// Ordinary text.
    Plain,
    /// Less important than what is around it.
    Dim,
    /// A heading.
    Strong,
    /// A success without change.
    Ok,
    /// A success with a change.
    Changed,
    /// Something to know, or to wait for.
    Warn,
    /// A failure.
    Bad,
    /// A way out.
    Hint,
    /// The name of a host; the number picks its colour.
    Host(usize),
}

/// Columns and rows of the terminal that standard error is, or standard output.
#[must_use]
pub fn terminal_size(stderr: bool) -> Option<(usize, usize)> {
    let term = if stderr { console::Term::stderr() } else { console::Term::stdout() };
    term.size_checked().map(|(rows, columns)| (usize::from(columns), usize::from(rows)))
}

/// Every style that is used on one stream.
#[derive(Debug, Clone, Default)]
pub struct Styles {
    color: bool,
}

impl Styles {
    /// Styles with colour, or without.
    #[must_use]
    pub fn new(color: bool) -> Self {
        Self { color }
    }

    /// The text in its style.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        // The crate asks its own idea of the terminal unless it is forced.
        let paint = Paint::new().force_styling(true);
        let paint = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Dim => paint.dim(),
            Tone::Strong => paint.bold(),
            Tone::Ok => paint.green(),
            Tone::Changed => paint.yellow(),
            Tone::Warn => paint.yellow().bold(),
            Tone::Bad => paint.red().bold(),
            Tone::Hint => paint.cyan(),
            Tone::Host(n) => match n % 6 {
                0 => paint.cyan(),
                1 => paint.green(),
                2 => paint.magenta(),
                3 => paint.yellow(),
                4 => paint.blue(),
                _ => paint.cyan().bold(),
            },
        };
        paint.apply_to(text).to_string()
    }
}

/// Signs, with a form for terminals that only know ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// A stage that is up.
    pub up: &'static str,
    /// The stage that is waited for.
    pub now: &'static str,
    /// A stage after that.
    pub later: &'static str,
    /// A stage that did not come up.
    pub missing: &'static str,
    /// Text was left out here.
    pub ellipsis: &'static str,
    /// One column of a horizontal rule.
    pub rule: &'static str,
    /// One column of a bar, done.
    pub full: &'static str,
    /// One column of a bar, to do.
    pub empty: &'static str,
}

impl Glyphs {
    /// Signs for a terminal that shows Unicode, or not.
    #[must_use]
    pub fn new(unicode: bool) -> Self {
        if unicode {
            Self {
                up: "✓", now: "…", later: "·", missing: "✗", ellipsis: "…", rule: "─", full: "━", empty: "─"
            }
        } else {
            Self { up: "+", now: "~", later: ".", missing: "x", ellipsis: "..", rule: "-", full: "#", empty: "-" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_only_where_asked_for() {
        assert_eq!(Styles::default().paint(Tone::Bad, "x"), "x");
        assert_eq!(Styles::new(true).paint(Tone::Plain, "x"), "x");
        assert_eq!(Styles::new(true).paint(Tone::Ok, "x"), "\x1b[32mx\x1b[0m");
    }
}
