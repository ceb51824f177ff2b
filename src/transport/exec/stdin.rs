//! What is written to a running command: its own input, and before that the password where sudo asks for it.

use std::borrow::Cow;
use std::io;

use secrecy::{ExposeSecret as _, SecretString};
use ssh2::Channel;
use zeroize::Zeroizing;

use super::collector::Collector;

/// Most bytes offered at once. After a partial write libssh2 wants the same bytes again, so they are never skipped.
const PIECE: usize = 32 * 1024;
/// What ends the input of a program that reads a terminal: Ctrl-D.
const END_OF_INPUT: &[u8] = b"\x04";

/// Where a command's input goes.
pub(crate) trait StdinSink {
    /// Writes what fits.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Says that no more comes.
    fn end(&mut self) -> io::Result<()>;
    /// Whether what is written is of no use any more, which is no error.
    fn is_closed(&self) -> bool;
}

impl StdinSink for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(self, bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(self.send_eof()?)
    }

    fn is_closed(&self) -> bool {
        self.eof()
    }
}

/// What a command reads, and how far it has got.
pub(crate) struct StdinWriter<'a> {
    input: Cow<'a, [u8]>,
    /// Bytes of it that are written.
    written: usize,
    ended: bool,
    pty: bool,
    answer: Option<Answer>,
}

/// The answer to sudo's question.
struct Answer {
    line: Zeroizing<Vec<u8>>,
    written: usize,
}

impl<'a> StdinWriter<'a> {
    pub(crate) fn new(input: Cow<'a, [u8]>, pty: bool, password: Option<&SecretString>) -> Self {
        let answer = password.map(|password| {
            let line = [password.expose_secret().as_bytes(), b"\n"].concat();
            Answer { line: Zeroizing::new(line), written: 0 }
        });
        Self { input, written: 0, ended: false, pty, answer }
    }

    /// Whether there is something to write now.
    pub(crate) fn is_waiting(&self, collected: &Collector<'_>) -> bool {
        let asked = match (collected.prompts(), &self.answer) {
            _ if !collected.sudo_asks() => !self.pty || collected.begun(),
            (0, _) => false,
            (1, Some(answer)) => answer.written < answer.line.len(),
            _ => true,
        };
        asked && !self.ended
    }

    /// Writes what fits and what it is time for. True when something went out.
    pub(crate) fn push(&mut self, sink: &mut impl StdinSink, collected: &Collector<'_>) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if collected.sudo_asks() {
            return match (collected.prompts(), &mut self.answer) {
                (0, _) => Ok(false),
                (1, Some(answer)) => {
                    let count = write(sink, &answer.line[answer.written..])?;
                    answer.written += count;
                    Ok(count > 0)
                }
                // It does not take it. An end of file ends it, whatever number of times it would ask.
                _ => self.end(sink),
            };
        }
        // What is typed before a program reads the terminal may be thrown away.
        if self.pty && !collected.begun() {
            return Ok(false);
        }
        if self.written == self.input.len() {
            return self.end(sink);
        }
        let rest = &self.input[self.written..];
        match write(sink, &rest[..rest.len().min(PIECE)]) {
            Ok(count) => {
                self.written += count;
                Ok(count > 0)
            }
            // The command closed its input, or has ended: what it says counts, not what it did not read.
            Err(_) if sink.is_closed() => {
                self.ended = true;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn end(&mut self, sink: &mut impl StdinSink) -> io::Result<bool> {
        self.ended = if self.pty {
            write(sink, END_OF_INPUT)? > 0
        } else {
            match sink.end() {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
                Err(error) => return Err(error),
            }
        };
        Ok(self.ended)
    }
}

/// Writes without waiting.
fn write(sink: &mut impl StdinSink, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    match sink.write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
