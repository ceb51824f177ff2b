//! What the programs of the stand-in say to each other: one line asks, the rest of the connection answers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A dead peer costs this much and no more, so that a query stays below 2 s with nodes that drop packets.
const CONNECT: Duration = Duration::from_millis(300);
/// A peer that accepts and says nothing costs this much.
const ANSWER: Duration = Duration::from_secs(1);

/// Asks a `cm_server`.
pub(crate) fn ask(server: SocketAddr, question: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&server, CONNECT)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    stream.write_all(format!("{question}\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Hears one question and answers it.
pub(crate) fn answer(stream: &TcpStream, reply: impl FnOnce(&str) -> String) -> io::Result<()> {
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    let mut question = String::new();
    BufReader::new(stream.take(256)).read_line(&mut question)?;
    (&mut &*stream).write_all(reply(question.trim_end()).as_bytes())
}

/// What an agent knows about its datanode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Datanode {
    /// Not running.
    Down,
    /// Running.
    Up,
    /// Held by its own marker.
    ManuallyStopped,
    /// Its data directory is missing, or what must be in it (measured 1.6, second reading 7).
    DiskDamaged,
    /// Its port is taken.
    PortConflicting,
}

impl Datanode {
    const ALL: [(&str, Self); 5] = [
        ("down", Self::Down),
        ("up", Self::Up),
        ("manual", Self::ManuallyStopped),
        ("damaged", Self::DiskDamaged),
        ("port", Self::PortConflicting),
    ];

    /// The state that was stored as a number.
    pub(crate) fn from_number(number: u8) -> Self {
        Self::ALL.into_iter().map(|(_, state)| state).find(|state| *state as u8 == number).unwrap_or(Self::Down)
    }

    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, state)| *state == self).map_or("down", |(word, _)| word)
    }

    /// The state behind a word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == word).map(|(_, state)| state)
    }
}
