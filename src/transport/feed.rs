//! What is written to a running command: its own input, and before that the password where sudo asks for it.

use std::borrow::Cow;
use std::io::{self, Write as _};

use secrecy::{ExposeSecret as _, SecretString};
use ssh2::Channel;
use zeroize::Zeroizing;

use super::heard::Heard;

/// Most bytes offered at once. After a partial write libssh2 wants the same bytes again, so they are never skipped.
const PIECE: usize = 32 * 1024;
/// What ends the input of a program that reads a terminal: Ctrl-D.
const END_OF_INPUT: &[u8] = b"\x04";

/// What a command reads, and how far it has got.
pub(super) struct Feed<'a> {
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

impl<'a> Feed<'a> {
    pub(super) fn new(input: Cow<'a, [u8]>, pty: bool, password: Option<&SecretString>) -> Self {
        let answer = password.map(|password| {
            let line = [password.expose_secret().as_bytes(), b"\n"].concat();
            Answer { line: Zeroizing::new(line), written: 0 }
        });
        Self { input, written: 0, ended: false, pty, answer }
    }

    /// Writes what fits and what it is time for. True when something went out.
    pub(super) fn push(&mut self, channel: &mut Channel, heard: &Heard<'_>) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if heard.sudo_asks() {
            return match (heard.prompts(), &mut self.answer) {
                (0, _) => Ok(false),
                (1, Some(answer)) => {
                    let count = write(channel, &answer.line[answer.written..])?;
                    answer.written += count;
                    Ok(count > 0)
                }
                // It does not take it. An end of file ends it, whatever number of times it would ask.
                _ => self.end(channel),
            };
        }
        // What is typed before a program reads the terminal may be thrown away.
        if self.pty && !heard.begun() {
            return Ok(false);
        }
        if self.written == self.input.len() {
            return self.end(channel);
        }
        let rest = &self.input[self.written..];
        match write(channel, &rest[..rest.len().min(PIECE)]) {
            Ok(count) => {
                self.written += count;
                Ok(count > 0)
            }
            // The command closed its input, or has ended: what it says counts, not what it did not read.
            Err(_) if channel.eof() => {
                self.ended = true;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn end(&mut self, channel: &mut Channel) -> io::Result<bool> {
        self.ended = if self.pty {
            write(channel, END_OF_INPUT)? > 0
        } else {
            match channel.send_eof().map_err(io::Error::from) {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
                Err(error) => return Err(error),
            }
        };
        Ok(self.ended)
    }
}

/// Writes without waiting.
fn write(channel: &mut Channel, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    match channel.write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
