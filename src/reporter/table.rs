//! Small tables that fit the terminal: `gsctl hosts`, `gsctl status`, the refused.
//!
//! Takes text cells and widths; it must not know what they mean.

use std::io::{self, Write};

use super::columns::{fit_middle, pad, width};
use super::sanitize;
use super::style::{Styles, Tone};

/// Columns are not made narrower than this.
const NARROWEST: usize = 6;

/// A table with a heading.
#[derive(Debug, Clone, Default)]
pub struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<(Tone, String)>>,
}

impl Table {
    /// An empty table with these headings, which are shown in capitals.
    #[must_use]
    pub fn new<S: AsRef<str>>(heading: impl IntoIterator<Item = S>) -> Self {
        let heading = heading.into_iter().map(|text| text.as_ref().to_uppercase()).collect();
        Self { heading, rows: Vec::new() }
    }

    /// Adds a row of plain cells.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.toned(cells.into_iter().map(|text| (Tone::Plain, text)));
    }

    /// Adds a row of cells with tones.
    pub fn toned<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = (Tone, S)>) {
        let mut row: Vec<(Tone, String)> =
            cells.into_iter().map(|(tone, text)| (tone, sanitize::words(text.as_ref()))).collect();
        row.resize(self.heading.len(), (Tone::Plain, String::new()));
        self.rows.push(row);
    }

    /// How wide it is where nothing is cut.
    #[must_use]
    pub fn width(&self) -> usize {
        let widths = self.widths();
        widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.heading.iter().map(|text| width(text)).collect();
        for row in &self.rows {
            for (widest, (_, text)) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(text)).max(1);
            }
        }
        widths
    }

    /// Writes it, two spaces between columns, made to fit so many columns if there is a limit. The last column is not
    /// padded. Empty cells are shown as `-`, so that every line has as many words as columns.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn write(
        &self,
        writer: &mut dyn Write,
        styles: &Styles,
        columns: Option<usize>,
        ellipsis: &str,
    ) -> io::Result<()> {
        let mut widths = self.widths();
        if let Some(columns) = columns {
            shrink(&mut widths, columns);
        }
        let heading: Vec<(Tone, String)> = self.heading.iter().map(|text| (Tone::Strong, text.clone())).collect();
        for row in std::iter::once(&heading).chain(&self.rows) {
            let mut line = String::new();
            for (i, ((tone, text), &wide)) in row.iter().zip(&widths).enumerate() {
                let text = if text.is_empty() { "-" } else { text };
                let text = fit_middle(text, wide, ellipsis);
                if i + 1 == widths.len() {
                    line.push_str(&styles.paint(*tone, &text));
                } else {
                    line.push_str(&styles.paint(*tone, &text));
                    line.push_str(&pad("", wide - width(&text) + 2));
                }
            }
            writeln!(writer, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Takes from the widest column until all fit.
fn shrink(widths: &mut [usize], columns: usize) {
    let gaps = 2 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > columns {
        let Some(widest) = widths.iter_mut().max() else { return };
        if *widest <= NARROWEST {
            return;
        }
        *widest -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(columns: Option<usize>, want: &str) {
        let mut table = Table::new(["host", "address", "state"]);
        table.row(["node01", "10.0.0.1", "running"]);
        table.row(["node02.a-long-domain.example.com", "", "stopped\x1b"]);
        let mut out = Vec::new();
        table.write(&mut out, &Styles::default(), columns, "…").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn tables() {
        case(
            None,
            "HOST                              ADDRESS   STATE\n\
             node01                            10.0.0.1  running\n\
             node02.a-long-domain.example.com  -         stopped\\x1b\n",
        );
        case(
            Some(40),
            "HOST               ADDRESS   STATE\n\
             node01             10.0.0.1  running\n\
             node02.a…mple.com  -         stopped\\x1b\n",
        );
    }
}
