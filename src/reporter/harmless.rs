//! A terminal behind a writer: what is written line by line can neither move the cursor nor hide text.

use std::io::{self, Write};

use super::sanitize;

/// Bytes of a line that are held back at most.
const LONGEST: usize = 64 * 1024;

/// Makes what is written harmless, where it goes to a terminal; see [`sanitize::line`].
pub struct Harmless<W> {
    writer: W,
    is_terminal: bool,
    /// The beginning of a line.
    held: Vec<u8>,
}

impl<W: Write> Harmless<W> {
    /// In front of this writer.
    pub fn new(writer: W, is_terminal: bool) -> Self {
        Self { writer, is_terminal, held: Vec::new() }
    }

    fn write_held(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        self.writer.write_all(sanitize::line(&held).as_bytes())
    }
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_terminal {
            return self.writer.write(bytes);
        }
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let line = part.strip_suffix(b"\n");
            self.held.extend_from_slice(line.unwrap_or(part));
            if line.is_some() || self.held.len() > LONGEST {
                self.write_held()?;
            }
            if line.is_some() {
                self.writer.write_all(b"\n")?;
            }
        }
        Ok(bytes.len())
    }

    /// Writes also what is no whole line yet.
    fn flush(&mut self) -> io::Result<()> {
        self.write_held()?;
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_control_bytes_and_a_pipe_all() {
        for (is_terminal, want) in [(true, "a\\x1b[2Jb\n\\rlast\\x07\n"), (false, "a\x1b[2Jb\n\rlast\x07\n")] {
            let mut out = Vec::new();
            let mut writer = Harmless::new(&mut out, is_terminal);
            for piece in ["a\x1b[2", "Jb\n\rla", "st\x07"] {
                writer.write_all(piece.as_bytes()).unwrap();
            }
            writer.flush().unwrap();
            writer.write_all(b"\n").unwrap();
            drop(writer);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }
}
