//! What is written to a running command: the program that carries it, the password where sudo asks for it, its own input.

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

/// A part of what is written to a command.
pub(crate) struct Piece<'a> {
    bytes: Cow<'a, [u8]>,
    /// A program of ours: it waits until a shell of ours has said so many times to be ready. `None`: the command's own input.
    after: Option<usize>,
}

impl<'a> Piece<'a> {
    /// What a shell of ours runs.
    pub(crate) fn program(after: usize, bytes: Vec<u8>) -> Self {
        Self { bytes: Cow::Owned(bytes), after: Some(after) }
    }

    /// What the command reads.
    pub(crate) fn input(bytes: &'a [u8]) -> Self {
        Self { bytes: Cow::Borrowed(bytes), after: None }
    }

    /// What is written.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What comes after that.
    pub(crate) fn text(text: String) -> Self {
        Self { bytes: Cow::Owned(text.into_bytes()), after: None }
    }
}

/// What is written to a command, and how far that has got.
pub(crate) struct StdinWriter<'a> {
    pieces: Vec<Piece<'a>>,
    /// The piece that is written, and bytes of it that are.
    piece: usize,
    written: usize,
    ended: bool,
    /// More is to be written to it later, by another one of these.
    held_open: bool,
    pty: bool,
    answer: Option<Answer>,
}

/// The answer to sudo's question.
struct Answer {
    line: Zeroizing<Vec<u8>>,
    written: usize,
}

/// What can be written now.
enum Turn {
    Nothing,
    /// The piece.
    Piece,
    /// The password.
    Answer,
    End,
}

impl<'a> StdinWriter<'a> {
    pub(crate) fn new(pieces: Vec<Piece<'a>>, pty: bool, password: Option<&SecretString>) -> Self {
        let answer = password.map(|password| {
            let line = [password.expose_secret().as_bytes(), b"\n"].concat();
            Answer { line: Zeroizing::new(line), written: 0 }
        });
        Self { pieces, piece: 0, written: 0, ended: false, held_open: false, pty, answer }
    }

    /// What does not end the input.
    pub(crate) fn held_open(pieces: Vec<Piece<'a>>) -> Self {
        Self { held_open: true, ..Self::new(pieces, false, None) }
    }

    /// Whether there is something to write now.
    pub(crate) fn is_waiting(&self, collected: &Collector<'_>) -> bool {
        !matches!(self.turn(collected), Turn::Nothing)
    }

    fn turn(&self, collected: &Collector<'_>) -> Turn {
        if self.ended {
            return Turn::Nothing;
        }
        match self.pieces.get(self.piece) {
            Some(Piece { after: Some(after), .. }) if collected.ready() >= *after => Turn::Piece,
            Some(Piece { after: Some(_), .. }) if collected.sudo_asks() => match (collected.prompts(), &self.answer) {
                (1, Some(answer)) if answer.written < answer.line.len() => Turn::Answer,
                (0, _) | (1, Some(_)) => Turn::Nothing,
                // It does not take it. An end of file ends it, whatever number of times it would ask.
                _ => Turn::End,
            },
            Some(Piece { after: Some(_), .. }) => Turn::Nothing,
            // What is typed before a program reads the terminal may be thrown away.
            _ if self.pty && !collected.raw && !collected.command_begun() => Turn::Nothing,
            Some(_) => Turn::Piece,
            None if self.held_open => Turn::Nothing,
            None => Turn::End,
        }
    }

    /// Writes what fits and what it is time for. True when something went out.
    pub(crate) fn push(&mut self, sink: &mut impl StdinSink, collected: &Collector<'_>) -> io::Result<bool> {
        while let Some(piece) = self.pieces.get_mut(self.piece)
            && piece.bytes.len() == self.written
        {
            // Commands may run for long, and on many hosts.
            piece.bytes = Cow::default();
            self.piece += 1;
            self.written = 0;
        }
        match self.turn(collected) {
            Turn::Nothing => Ok(false),
            Turn::End => self.end(sink),
            Turn::Answer => {
                let Some(answer) = &mut self.answer else { return Ok(false) };
                let count = write(sink, &answer.line[answer.written..])?;
                answer.written += count;
                Ok(count > 0)
            }
            Turn::Piece => {
                let rest = &self.pieces[self.piece].bytes[self.written..];
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
