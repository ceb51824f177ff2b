//! Text in columns: how wide it is on a terminal, and how it is made to fit.
//!
//! Works on text without colour; styles go on afterwards, or as tones of a [`StyledRow`].

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::{Styles, Tone};

/// Columns that the text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text, cut at its end to so many columns.
#[must_use]
pub fn fit(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (head, _) = take(text.chars(), columns.saturating_sub(width(ellipsis)));
    let mut out: String = head;
    let (mark, _) = take(ellipsis.chars(), columns);
    out.push_str(&mark);
    out
}

/// The text, cut in its middle to so many columns: for names and paths, whose ends tell them apart.
#[must_use]
pub fn fit_middle(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let Some(room) = columns.checked_sub(width(ellipsis)) else { return fit(text, columns, ellipsis) };
    let (head, _) = take(text.chars(), room - room / 2);
    let (tail, _) = take(text.chars().rev(), room / 2);
    let tail: String = tail.chars().rev().collect();
    format!("{head}{ellipsis}{tail}")
}

/// The text with spaces behind it, to so many columns.
#[must_use]
pub fn pad(text: &str, columns: usize) -> String {
    let mut out = text.to_owned();
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(text))));
    out
}

/// The text with spaces before it, to so many columns.
#[must_use]
pub fn pad_left(text: &str, columns: usize) -> String {
    let mut out = " ".repeat(columns.saturating_sub(width(text)));
    out.push_str(text);
    out
}

fn take(chars: impl Iterator<Item = char>, columns: usize) -> (String, usize) {
    let mut out = String::new();
    let mut used = 0;
    for c in chars {
        let wide = c.width().unwrap_or(0);
        if used + wide > columns {
            break;
        }
        used += wide;
        out.push(c);
    }
    (out, used)
}

/// A short duration for the eye: `4s`, `59s`, `2m05s`, `1h02m`.
#[must_use]
pub fn short_time(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        _ => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
    }
}

/// A line made of pieces with tones, which can be cut before it is painted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StyledRow {
    pieces: Vec<(Tone, String)>,
}

impl StyledRow {
    /// Adds a piece.
    pub fn push(&mut self, tone: Tone, text: impl Into<String>) {
        self.pieces.push((tone, text.into()));
    }

    /// The same row with one more piece.
    #[must_use]
    pub fn with(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.push(tone, text);
        self
    }

    /// Its pieces.
    #[must_use]
    pub fn into_pieces(self) -> Vec<(Tone, String)> {
        self.pieces
    }

    /// Columns that it takes.
    #[must_use]
    pub fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| width(text)).sum()
    }

    /// The painted line, cut to so many columns.
    #[must_use]
    pub fn paint(&self, styles: &Styles, columns: usize, ellipsis: &str) -> String {
        let fits = self.width() <= columns;
        let mut room = if fits { columns } else { columns.saturating_sub(width(ellipsis)) };
        let mut out = String::new();
        for (tone, text) in &self.pieces {
            let (cut, used) = take(text.chars(), room);
            out.push_str(&styles.paint(*tone, &cut));
            room -= used;
            if cut.len() < text.len() {
                break;
            }
        }
        if !fits {
            out.push_str(ellipsis);
        }
        out
    }

    /// The painted line, whole.
    #[must_use]
    pub fn paint_all(&self, styles: &Styles) -> String {
        self.paint(styles, usize::MAX, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitting() {
        assert_eq!(fit("abcdef", 6, "…"), "abcdef");
        assert_eq!(fit("abcdef", 5, "…"), "abcd…");
        assert_eq!(fit("abcdef", 5, ".."), "abc..");
        assert_eq!(fit("漢字漢字", 6, "…"), "漢字…");
        assert_eq!(fit("abc", 0, "…"), "");
        assert_eq!(fit_middle("node01.example.com", 11, "…"), "node0…e.com");
        assert_eq!(fit_middle("abcdef", 1, "…"), "…");
        assert_eq!(pad("漢", 4), "漢  ");
        assert_eq!(pad_left("ok", 4), "  ok");
    }

    #[test]
    fn times() {
        assert_eq!(short_time(Duration::from_millis(4900)), "4s");
        assert_eq!(short_time(Duration::from_secs(125)), "2m05s");
        assert_eq!(short_time(Duration::from_secs(3720)), "1h02m");
    }

    #[test]
    fn rows_are_cut_before_they_are_painted() {
        let row = StyledRow::default().with(Tone::Ok, "abc").with(Tone::Plain, "defgh");
        assert_eq!(row.paint(&Styles::default(), 8, "…"), "abcdefgh");
        assert_eq!(row.paint(&Styles::default(), 5, "…"), "abcd…");
        assert_eq!(row.paint(&Styles::new(true), 3, "…"), "\x1b[32mab\x1b[0m…");
        assert_eq!(row.paint_all(&Styles::default()), "abcdefgh");
    }
}
