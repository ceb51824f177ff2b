//! What is taken in from a server, and how much of it: the lines before its version, and bytes that answer nothing.
//!
//! libssh2 sets no limits of its own: it reads as long as something comes, and keeps every packet that nobody has asked
//! for. Pure: bytes are handed in, and what may go on to libssh2 is handed out.

use std::borrow::Cow;
use std::time::Instant;

/// Lines that a server may say before its version, and the longest line: OpenSSH's own limits.
const MOST_LINES: usize = 1024;
const LONGEST_LINE: usize = 8192;
/// Bytes of the first line that are kept for messages.
const WORDS: usize = 80;
/// Bytes of a packet's lengths and its number, before anything is encrypted; the number with which a key exchange begins.
const HEAD: usize = 6;
const KEXINIT: u8 = 20;
/// Most bytes of a key exchange. OpenSSH's own take 2 KiB, post-quantum ones 4; one packet may have 35,000 bytes.
const MOST_OF_HANDSHAKE: usize = 64 * 1024;
/// Most bytes of a whole login: every refusal of a key is 100 bytes, and a banner may have 35,000.
const MOST_OF_LOGIN: usize = 256 * 1024;
/// Most bytes after the login that come while nothing of them is of use to a command or a copy.
const MOST_UNASKED: u64 = 1024 * 1024;
/// What a channel that nobody reads any more may still bring: libssh2 has let the server send so much of it.
const WINDOW: u64 = 9 * 256 * 1024;
/// Wire bytes for each byte of output: a program that writes byte by byte makes packets of up to 64 bytes with one in each.
const PACKET: u64 = 64;
/// Bytes a second that need no reason: keepalives, and notes such as `DEBUG`.
const A_SECOND: u64 = 4096;

/// How far the server has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Greeting {
    /// It said nothing.
    Nothing,
    /// It said this, and not yet that it speaks SSH.
    Words(String),
    /// It speaks SSH.
    Version,
    /// It said so, and then something else.
    Noise,
    /// It has begun to exchange keys.
    Offer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Lines,
    Handshake,
    Login,
    Session,
}

/// Judges what a server sends.
#[derive(Debug)]
pub(super) struct Intake {
    stage: Stage,
    /// The beginning of what it said first.
    words: Vec<u8>,
    lines: usize,
    /// The line that is under way.
    line: Vec<u8>,
    /// The beginning of the first packet after its version: two lengths, and the packet's number.
    head: Vec<u8>,
    /// Bytes since its version.
    bytes: usize,
    /// Those of the key exchange.
    handshake: usize,
    /// Bytes of a session since something of it was of use.
    unasked: u64,
    /// Bytes beyond the limit that channels may bring which nobody reads any more.
    windows: u64,
    since: Instant,
}

impl Intake {
    pub(super) fn new() -> Self {
        Self {
            stage: Stage::Lines,
            words: Vec::new(),
            lines: 0,
            line: Vec::new(),
            head: Vec::new(),
            bytes: 0,
            handshake: 0,
            unasked: 0,
            windows: 0,
            since: Instant::now(),
        }
    }

    /// What of these bytes libssh2 is to get. The error says why the connection has to end.
    pub(super) fn take<'a>(&mut self, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
        if self.stage == Stage::Lines {
            let room = WORDS.saturating_sub(self.words.len());
            self.words.extend(bytes.iter().take(room));
            return self.lines(bytes).map(Cow::Owned);
        }
        self.note_head(bytes);
        self.count(bytes.len() as u64)?;
        Ok(Cow::Borrowed(bytes))
    }

    fn note_head(&mut self, bytes: &[u8]) {
        let room = HEAD.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(room));
    }

    /// Leaves out the lines before the version.
    fn lines(&mut self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        for (at, &byte) in bytes.iter().enumerate() {
            self.line.push(byte);
            if byte != b'\n' {
                if self.line.len() > LONGEST_LINE {
                    return Err(format!(
                        "its first lines are no version of SSH: one is longer than {LONGEST_LINE} bytes"
                    ));
                }
                continue;
            }
            if self.line.starts_with(b"SSH-") {
                self.stage = Stage::Handshake;
                let rest = &bytes[at + 1..];
                self.note_head(rest);
                self.count(rest.len() as u64)?;
                let mut version = std::mem::take(&mut self.line);
                version.extend_from_slice(rest);
                return Ok(version);
            }
            self.line.clear();
            self.lines += 1;
            if self.lines >= MOST_LINES {
                return Err(format!("it said no version of SSH in its first {MOST_LINES} lines"));
            }
        }
        Ok(Vec::new())
    }

    /// So many bytes are there that libssh2 reads by itself. The error says why the connection has to end.
    pub(super) fn count(&mut self, bytes: u64) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        let kib = |limit: usize| limit / 1024;
        match self.stage {
            Stage::Handshake if self.bytes > MOST_OF_HANDSHAKE => {
                Err(format!("it sent more than {} KiB without an end of the key exchange", kib(MOST_OF_HANDSHAKE)))
            }
            Stage::Login if self.bytes > MOST_OF_LOGIN => {
                Err(format!("it sent more than {} KiB without an end of the login", kib(MOST_OF_LOGIN)))
            }
            Stage::Session => {
                let now = Instant::now();
                let free = now.duration_since(self.since).as_millis().saturating_mul(u128::from(A_SECOND)) / 1000;
                if free > 0 {
                    self.since = now;
                    self.unasked = self.unasked.saturating_sub(u64::try_from(free).unwrap_or(u64::MAX));
                }
                // Whether these are of use is known once libssh2 has read them: there may be more of them at once than this.
                if self.unasked > MOST_UNASKED + self.windows {
                    return Err("it sent without end what nobody had asked for".to_owned());
                }
                self.unasked = self.unasked.saturating_add(bytes);
                Ok(())
            }
            Stage::Lines | Stage::Handshake | Stage::Login => Ok(()),
        }
    }

    /// Keys are exchanged.
    pub(super) fn shaken(&mut self) {
        self.stage = Stage::Login;
        self.handshake = self.bytes;
    }

    /// Bytes that came since the keys were exchanged.
    pub(super) fn login_bytes(&self) -> usize {
        self.bytes - self.handshake
    }

    /// The user is logged in.
    pub(super) fn logged_in(&mut self) {
        self.stage = Stage::Session;
        self.since = Instant::now();
        (self.unasked, self.windows) = (0, 0);
    }

    /// So many bytes of what came were of use.
    pub(super) fn used(&mut self, bytes: usize) {
        let reason = (bytes as u64).saturating_mul(PACKET).saturating_add(16 * PACKET);
        self.unasked = self.unasked.saturating_sub(reason);
    }

    /// There is a channel that nobody may read.
    pub(super) fn unread_channel(&mut self) {
        self.windows = self.windows.saturating_add(WINDOW);
    }

    /// How far the server has got.
    pub(super) fn greeting(&self) -> Greeting {
        match self.stage {
            Stage::Lines if self.words.is_empty() => Greeting::Nothing,
            Stage::Lines => Greeting::Words(String::from_utf8_lossy(&self.words).into_owned()),
            // Disconnecting, and three kinds of notes, may come at any time (RFC 4253, section 11).
            Stage::Handshake => match self.head.get(HEAD - 1) {
                None | Some(1..=4) => Greeting::Version,
                Some(&KEXINIT) => Greeting::Offer,
                Some(_) => Greeting::Noise,
            },
            Stage::Login | Stage::Session => Greeting::Offer,
        }
    }

    /// How long ago something was counted, for tests.
    #[cfg(test)]
    fn pass(&mut self, time: std::time::Duration) {
        self.since = self.since.checked_sub(time).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn text(intake: &mut Intake, bytes: &[u8]) -> String {
        String::from_utf8(intake.take(bytes).unwrap().into_owned()).unwrap()
    }

    #[test]
    fn lines_before_the_version_are_left_out_however_they_are_cut() {
        let whole = b"welcome\r\n\nSSH-2.0-x\r\nrest";
        for cut in 0..whole.len() {
            let mut intake = Intake::new();
            assert_eq!(intake.greeting(), Greeting::Nothing);
            let mut got = text(&mut intake, &whole[..cut]);
            got += &text(&mut intake, &whole[cut..]);
            assert_eq!((got.as_str(), intake.greeting()), ("SSH-2.0-x\r\nrest", Greeting::Version), "{cut}");
        }
        let mut intake = Intake::new();
        assert_eq!(text(&mut intake, b"HTTP/1.1 400\r\n"), "");
        assert_eq!(intake.greeting(), Greeting::Words("HTTP/1.1 400\r\n".to_owned()));
        assert_eq!(text(&mut intake, b"SSH-2.0-x\n"), "SSH-2.0-x\n");
        assert_eq!(intake.greeting(), Greeting::Version);
        text(&mut intake, b"\0\0\x04\0\x08");
        assert_eq!(intake.greeting(), Greeting::Version);
        text(&mut intake, b"\x14");
        assert_eq!(intake.greeting(), Greeting::Offer);
        let mut preamble = Intake::new();
        text(&mut preamble, b"SSH-2.0-x\n220 mail");
        assert_eq!(preamble.greeting(), Greeting::Noise);
    }

    #[test]
    fn what_is_no_end_of_lines_or_of_a_line_is_cut_off() {
        let mut lines = Intake::new();
        assert!(lines.take(&[b'\n'; MOST_LINES - 1]).is_ok());
        assert!(lines.take(b"\n").is_err());
        let mut line = Intake::new();
        assert!(line.take(&[b'x'; LONGEST_LINE]).is_ok());
        assert!(line.take(b"x").is_err());
    }

    /// Hands over so many KiB in pieces; whether all were taken.
    fn flood(intake: &mut Intake, kib: usize) -> bool {
        (0..kib).all(|_| intake.take(&[0; 1024]).is_ok())
    }

    #[test]
    fn each_phase_has_its_bytes() {
        let mut intake = Intake::new();
        intake.take(b"SSH-2.0-x\r\n").unwrap();
        assert!(flood(&mut intake, 64));
        assert!(!flood(&mut intake, 1));
        let mut intake = Intake::new();
        intake.take(b"SSH-2.0-x\r\n").unwrap();
        intake.shaken();
        assert!(flood(&mut intake, 256));
        assert!(!flood(&mut intake, 1));
    }

    #[test]
    fn much_may_be_there_at_once() {
        let mut intake = Intake::new();
        intake.take(b"SSH-2.0-x\r\n").unwrap();
        intake.logged_in();
        for _ in 0..10 {
            intake.count(6 << 20).unwrap();
            intake.used(1 << 20);
        }
        intake.count(6 << 20).unwrap();
        assert!(intake.count(1).is_err());
    }

    #[test]
    fn a_session_may_bring_what_is_of_use_and_a_little_more() {
        let mut intake = Intake::new();
        intake.take(b"SSH-2.0-x\r\n").unwrap();
        intake.logged_in();
        for _ in 0..100 {
            assert!(flood(&mut intake, 1000));
            intake.used(16 * 1024);
        }
        // A program that writes byte by byte.
        for _ in 0..100 {
            assert!(flood(&mut intake, 64));
            intake.used(1024);
        }
        intake.used(1024 * 1024);
        assert!(flood(&mut intake, 1020));
        intake.unread_channel();
        assert!(flood(&mut intake, 9 * 256));
        assert!(!flood(&mut intake, 100));
        // A keepalive a second goes on for ever.
        for _ in 0..2000 {
            intake.pass(Duration::from_secs(1));
            assert!(intake.take(&[0; 100]).is_ok());
        }
    }
}
