//! The lines at the bottom of the terminal that the live view redraws.
//!
//! The only file that knows indicatif. It draws what it is given and must not know about hosts or steps.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

/// A writer that the screen and the live view share.
pub(crate) type SharedWriter = Arc<Mutex<Box<dyn Write + Send>>>;

/// Lines that are drawn, cleared, and drawn again.
pub(crate) struct LiveArea {
    bars: MultiProgress,
    bar: ProgressBar,
    size: Arc<Size>,
    drawn: bool,
}

impl LiveArea {
    /// A live view on this writer, which has to be a terminal of this size.
    #[must_use]
    pub(crate) fn new(writer: SharedWriter, columns: usize, rows: usize) -> Self {
        let size = Arc::new(Size { columns: AtomicU16::new(0), rows: AtomicU16::new(0) });
        size.set(columns, rows);
        let terminal = Terminal { writer, size: Arc::clone(&size) };
        // The caller's ticks set the pace, so nothing is held back here.
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(terminal)));
        let bar = bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self { bars, bar, size, drawn: false }
    }

    /// Draws these lines, each of which fits the width, in place of those before.
    pub(crate) fn draw(&mut self, lines: &[String]) {
        if lines.is_empty() {
            self.clear();
            return;
        }
        self.drawn = true;
        self.bar.set_message(lines.join("\n"));
    }

    /// Takes the lines off the terminal, so that something else can be written.
    pub(crate) fn clear(&mut self) {
        if self.drawn {
            self.drawn = false;
            // Its errors are those of the writer, which the next write meets again.
            let _ = self.bars.clear();
        }
    }

    /// Takes note of a new size.
    pub(crate) fn resize(&mut self, columns: usize, rows: usize) {
        self.clear();
        self.size.set(columns, rows);
    }
}

#[derive(Debug)]
struct Size {
    columns: AtomicU16,
    rows: AtomicU16,
}

impl Size {
    fn set(&self, columns: usize, rows: usize) {
        self.columns.store(u16::try_from(columns).unwrap_or(u16::MAX), Ordering::Relaxed);
        self.rows.store(u16::try_from(rows).unwrap_or(u16::MAX), Ordering::Relaxed);
    }
}

/// What indicatif takes for a terminal: moves the cursor by writing to the shared writer.
struct Terminal {
    writer: SharedWriter,
    size: Arc<Size>,
}

impl Terminal {
    fn put(&self, text: &str) -> io::Result<()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes())
    }

    fn moved(&self, n: usize, way: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.put(&format!("\x1b[{n}{way}")) }
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").field("size", &self.size).finish_non_exhaustive()
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.size.columns.load(Ordering::Relaxed)
    }

    fn height(&self) -> u16 {
        self.size.rows.load(Ordering::Relaxed)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'D')
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.put(s)?;
        self.put("\n")
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.put(s)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.put("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}
