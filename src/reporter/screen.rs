//! The one writer: owns standard output, standard error and the live view, so that nothing is torn.
//!
//! It must not word anything. A reader that went away (`| head`) is no error: the rest is dropped in silence.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::Stream;

use super::progress::{LiveArea, SharedWriter};
use super::settings::OutputSettings;

/// Columns that a status word takes: what does not fit on the first line goes on below the text behind it.
const MARGIN: &str = "             ";

/// Bytes that are kept before they are written.
const BUFFER: usize = 64 * 1024;

/// Standard output, standard error, and the live view over them.
pub(crate) struct Screen {
    out: BufferedStream,
    err: BufferedStream,
    live: Option<LiveArea>,
    stdout_tty: bool,
    stderr_tty: bool,
    /// Width of the terminal, where there is one.
    columns: Option<usize>,
    /// Standard output stands in the middle of a line, so the live view has to wait.
    mid_line: bool,
}

impl Screen {
    /// A screen over these writers.
    #[must_use]
    pub(crate) fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, settings: &OutputSettings) -> Self {
        let err: SharedWriter = Arc::new(Mutex::new(err));
        let columns = settings.columns.unwrap_or(80);
        Self {
            live: settings.live.then(|| LiveArea::new(Arc::clone(&err), columns, settings.rows)),
            out: BufferedStream::new("standard output", Arc::new(Mutex::new(out))),
            err: BufferedStream::new("standard error", err),
            stdout_tty: settings.stdout_tty,
            stderr_tty: settings.stderr_tty,
            columns: settings.columns,
            mid_line: false,
        }
    }

    /// Writes to standard output.
    ///
    /// # Errors
    /// When it cannot be written to, unless its reader went away.
    pub(crate) fn out(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(&last) = bytes.last() else { return Ok(()) };
        if self.stdout_tty {
            self.hide();
            self.mid_line = last != b'\n';
        }
        // Both may be the same terminal: what came first is seen first.
        self.err.flush()?;
        self.out.write(bytes)
    }

    /// Writes one or more whole lines to standard error.
    ///
    /// # Errors
    /// When it cannot be written to, unless its reader went away.
    pub(crate) fn err(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.hide();
        self.out.flush()?;
        if self.mid_line && self.stderr_tty {
            self.mid_line = false;
            self.err.write(b"\n")?;
        }
        self.err.write(bytes)
    }

    /// Writes a line to standard output.
    ///
    /// # Errors
    /// As [`Screen::out`].
    pub(crate) fn out_line(&mut self, line: &str) -> io::Result<()> {
        let line = wrapped(line, self.columns.filter(|_| self.stdout_tty));
        self.out(line.as_bytes())?;
        self.out(b"\n")
    }

    /// Writes a line to standard error.
    ///
    /// # Errors
    /// As [`Screen::err`].
    pub(crate) fn err_line(&mut self, line: &str) -> io::Result<()> {
        let line = wrapped(line, self.columns.filter(|_| self.stderr_tty));
        self.err(line.as_bytes())?;
        self.err(b"\n")
    }

    /// Flushes what may be on a terminal now; what goes to a pipe stays buffered.
    ///
    /// # Errors
    /// As [`Screen::out`].
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        self.err.flush()?;
        if self.stdout_tty { self.out.flush() } else { Ok(()) }
    }

    /// Writes everything that is kept.
    ///
    /// # Errors
    /// As [`Screen::out`].
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let err = self.err.flush();
        self.out.flush().and(err)
    }

    /// Draws the live view.
    pub(crate) fn draw(&mut self, lines: &[String]) {
        // An error here is met again by the next write, which can report it.
        let _ = self.settle();
        if let Some(live) = self.live.as_mut().filter(|_| !self.mid_line) {
            live.draw(lines);
        }
    }

    /// Takes the live view off the terminal.
    pub(crate) fn hide(&mut self) {
        if let Some(live) = &mut self.live {
            live.clear();
        }
    }

    /// Takes note of a new size of the terminal.
    pub(crate) fn resize(&mut self, columns: usize, rows: usize) {
        if let Some(live) = &mut self.live {
            live.resize(columns, rows);
        }
    }

    /// Standard output by itself, for a report that goes there.
    #[must_use]
    pub(crate) fn stdout(&self) -> Box<dyn Write + Send> {
        Box::new(Shared(Arc::clone(&self.out.writer)))
    }

    /// True once the reader of a stream has gone away.
    #[must_use]
    pub(crate) fn is_closed(&self, stream: Stream) -> bool {
        match stream {
            Stream::Stdout => self.out.closed,
            Stream::Stderr => self.err.closed,
        }
    }

    /// True where there is a live view.
    #[must_use]
    pub(crate) fn is_live(&self) -> bool {
        self.live.is_some()
    }
}

/// A writer that is shared with the live view.
struct Shared(SharedWriter);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

/// One stream, buffered.
struct BufferedStream {
    /// What it is called in an error.
    name: &'static str,
    writer: SharedWriter,
    kept: Vec<u8>,
    closed: bool,
}

impl BufferedStream {
    fn new(name: &'static str, writer: SharedWriter) -> Self {
        Self { name, writer, kept: Vec::new(), closed: false }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        self.kept.extend_from_slice(bytes);
        if self.kept.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let done = writer.write_all(&self.kept).and_then(|()| writer.flush());
        // Cleared in any case: bytes that could not be written must not be written twice.
        self.kept.clear();
        match done {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            done => done.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.name))),
        }
    }
}

/// A line that is broken between words where it is wider than the terminal.
fn wrapped(line: &str, columns: Option<usize>) -> Cow<'_, str> {
    match columns {
        Some(columns) if textwrap::core::display_width(line) > columns => {
            let margin = if columns > 2 * MARGIN.len() { MARGIN } else { "" };
            let options = textwrap::Options::new(columns)
                .subsequent_indent(margin)
                .word_separator(textwrap::WordSeparator::AsciiSpace)
                .word_splitter(textwrap::WordSplitter::NoHyphenation);
            Cow::Owned(textwrap::fill(line, options))
        }
        Some(_) | None => Cow::Borrowed(line),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::reporter::settings::CommandKind;
    use crate::reporter::settings::tests::{pipe, terminal};

    /// A writer whose bytes a test can look at.
    #[derive(Clone, Default)]
    pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Sink {
        pub(crate) fn text(&self) -> String {
            String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
        }
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A writer that always fails this way.
    pub(crate) struct Broken(pub(crate) ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn wide_lines_go_on_below_their_text() {
        assert_eq!(
            wrapped("     CHANGED node1  removed /opt/gsctl-lab/app/bin/x", Some(40)),
            "     CHANGED node1  removed\n             /opt/gsctl-lab/app/bin/x"
        );
        assert_eq!(wrapped("  short", Some(40)), "  short");
        assert_eq!(
            wrapped("a pipe has no width, so nothing is broken", None),
            "a pipe has no width, so nothing is broken"
        );
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let settings = OutputSettings::resolve(&pipe(CommandKind::Output, 2));
        let mut screen = Screen::new(Box::new(Broken(ErrorKind::BrokenPipe)), Box::new(Sink::default()), &settings);
        screen.out_line("one").unwrap();
        screen.flush().unwrap();
        screen.out_line("two").unwrap();
        screen.flush().unwrap();
        let mut screen = Screen::new(Box::new(Broken(ErrorKind::StorageFull)), Box::new(Sink::default()), &settings);
        screen.out_line("one").unwrap();
        assert_eq!(screen.flush().unwrap_err().kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn lines_go_above_the_live_view() {
        let sink = Sink::default();
        let settings = OutputSettings::resolve(&terminal(CommandKind::Output, 2));
        let mut screen = Screen::new(Box::new(sink.clone()), Box::new(sink.clone()), &settings);
        screen.draw(&["live one".into(), "live two".into()]);
        screen.err_line("a line").unwrap();
        screen.out_line("output").unwrap();
        screen.settle().unwrap();
        screen.draw(&["live three".into(), "live four".into(), "live five".into()]);
        screen.draw(&["live six".into()]);
        assert_eq!(replay(&sink.text(), 80), ["a line", "output", "live six", "", ""]);
        screen.resize(80, 10);
        screen.draw(&["live seven".into(), "live eight".into()]);
        assert_eq!(replay(&sink.text(), 80), ["a line", "output", "live seven", "live eight", ""]);
        screen.err_line("last").unwrap();
        screen.flush().unwrap();
        assert_eq!(replay(&sink.text(), 80), ["a line", "output", "last", "", ""]);
        let text = sink.text();
        assert!(text.contains("live two") && text.contains("live three"), "{text:?}");
    }

    #[test]
    fn half_a_line_is_never_drawn_over() {
        let sink = Sink::default();
        let settings = OutputSettings::resolve(&terminal(CommandKind::Output, 1));
        let mut screen = Screen::new(Box::new(sink.clone()), Box::new(sink.clone()), &settings);
        screen.out(b"working... ").unwrap();
        screen.draw(&["live".into()]);
        screen.out(b"done\n").unwrap();
        screen.flush().unwrap();
        assert_eq!(sink.text(), "working... done\n");
    }

    /// What a terminal of this width shows after these bytes: just enough of one for what indicatif writes.
    pub(crate) fn replay(text: &str, columns: usize) -> Vec<String> {
        let mut lines: Vec<Vec<char>> = vec![Vec::new()];
        let (mut row, mut column) = (0_usize, 0_usize);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\n' => (row, column) = (row + 1, 0),
                '\r' => column = 0,
                '\x1b' => {
                    assert_eq!(chars.next(), Some('['));
                    let mut number = String::new();
                    let way = loop {
                        match chars.next() {
                            Some(digit) if digit.is_ascii_digit() => number.push(digit),
                            Some(way) => break way,
                            None => panic!("torn escape sequence"),
                        }
                    };
                    let n: usize = number.parse().unwrap_or(1);
                    match way {
                        'A' => row = row.saturating_sub(n),
                        'B' => row += n,
                        'K' => lines[row].clear(),
                        'm' => {}
                        other => panic!("unexpected escape sequence {other}"),
                    }
                }
                c => {
                    if column == columns {
                        (row, column) = (row + 1, 0);
                    }
                    while lines.len() <= row {
                        lines.push(Vec::new());
                    }
                    while lines[row].len() <= column {
                        lines[row].push(' ');
                    }
                    lines[row][column] = c;
                    column += 1;
                }
            }
            while lines.len() <= row {
                lines.push(Vec::new());
            }
        }
        lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().to_owned()).collect()
    }
}
