//! Reads what a wrapped command prints: which part is the login shell's, which sudo's, which the command's own, and how it
//! ended. Pure; this file must not know about sessions.

use memchr::memmem;

use super::wrapper::Mark;

/// Reads one stream of a wrapped command.
#[derive(Debug)]
pub struct TrailerParser {
    mark: Vec<u8>,
    /// `=` on standard output, `.` on standard error.
    end: u8,
    state: State,
    /// Bytes that may be the beginning of a mark.
    held: Vec<u8>,
    preamble: Vec<u8>,
    number: Option<i64>,
    pid: Option<u32>,
    /// sudo comes between the wrapper and the command.
    sudo: bool,
    /// Times that sudo asked for a password.
    prompts: usize,
    /// The command itself has begun.
    command_begun: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    /// The wrapper has begun, and sudo not yet let the command.
    Asking,
    Body,
    After,
}

/// Most bytes of a noisy profile that are kept.
const MOST_PREAMBLE: usize = 64 * 1024;

impl TrailerParser {
    /// Reads standard output.
    #[must_use]
    pub fn stdout(mark: &Mark) -> Self {
        Self::new(mark, b'=')
    }

    /// Reads standard error.
    #[must_use]
    pub fn stderr(mark: &Mark) -> Self {
        Self::new(mark, b'.')
    }

    fn new(mark: &Mark, end: u8) -> Self {
        Self {
            mark: mark.as_str().into(),
            end,
            state: State::Before,
            held: Vec::new(),
            preamble: Vec::new(),
            number: None,
            pid: None,
            sudo: false,
            prompts: 0,
            command_begun: false,
        }
    }

    /// Reads the same of a command that sudo runs.
    #[must_use]
    pub fn through_sudo(self, sudo: bool) -> Self {
        Self { sudo, ..self }
    }

    /// Takes what came, gives what belongs to the command to `body`.
    pub fn feed(&mut self, bytes: &[u8], body: &mut dyn FnMut(&[u8])) {
        if self.state == State::After {
            return;
        }
        let joined;
        let mut rest: &[u8] = if self.held.is_empty() {
            bytes
        } else {
            joined = [std::mem::take(&mut self.held).as_slice(), bytes].concat();
            &joined
        };
        while self.state != State::After {
            let Some(at) = memmem::find(rest, &self.mark) else {
                let keep = rest.len() - partial(rest, &self.mark);
                self.put(&rest[..keep], body);
                self.held = rest[keep..].to_vec();
                return;
            };
            let after = &rest[at + self.mark.len()..];
            match self.closing(after) {
                Closing::Whole(used) => {
                    self.put(&rest[..at], body);
                    self.turn(&after[..used]);
                    rest = &after[used..];
                }
                Closing::Unfinished => {
                    self.put(&rest[..at], body);
                    self.held = rest[at..].to_vec();
                    return;
                }
                Closing::Other => {
                    let past = at + self.mark.len();
                    self.put(&rest[..past], body);
                    rest = &rest[past..];
                }
            }
        }
    }

    /// Gives what was held back, when the stream ended without a trailer.
    pub fn finish(&mut self, body: &mut dyn FnMut(&[u8])) {
        let held = std::mem::take(&mut self.held);
        self.put(&held, body);
    }

    /// True once the wrapper began.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.state != State::Before
    }

    /// True once the command itself began: where sudo is to run it, that is later, or never.
    #[must_use]
    pub fn command_begun(&self) -> bool {
        self.command_begun
    }

    /// How often sudo has asked for a password.
    #[must_use]
    pub fn prompts(&self) -> usize {
        self.prompts
    }

    /// True once the trailer was read.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.state == State::After
    }

    /// The exit status that the trailer told.
    #[must_use]
    pub fn status(&self) -> Option<i32> {
        self.number.and_then(|number| i32::try_from(number).ok())
    }

    /// The process id of the wrapper, which leads the command's process group.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// What came before the command began: the login shell's own chatter, and sudo's.
    #[must_use]
    pub fn preamble(&self) -> &[u8] {
        &self.preamble
    }

    fn put(&mut self, bytes: &[u8], body: &mut dyn FnMut(&[u8])) {
        match self.state {
            State::Before | State::Asking => {
                let room = MOST_PREAMBLE.saturating_sub(self.preamble.len());
                self.preamble.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            State::Body if !bytes.is_empty() => body(bytes),
            State::Body | State::After => {}
        }
    }

    /// Looks at what follows a mark: is it one of ours, `<123\n`, `<\n`, `?`, `+\n`, `=0\n`, `.\n`? A terminal that was not asked
    /// to leave ends of lines alone, or does so all the same, makes `\r\n` of them.
    fn closing(&self, after: &[u8]) -> Closing {
        let Some(&first) = after.first() else { return Closing::Unfinished };
        match (self.state, first) {
            (State::Asking, b'?') => return Closing::Whole(1),
            (State::Before, b'<') | (State::Asking, b'+') => {}
            (State::Asking | State::Body, first) if first == self.end => {}
            _ => return Closing::Other,
        }
        let number = |text: &[u8]| text.strip_suffix(b"\r").unwrap_or(text).iter().all(u8::is_ascii_digit);
        match after.iter().position(|&b| b == b'\n') {
            Some(at) if number(&after[1..at]) => Closing::Whole(at + 1),
            None if after.len() < 12 && number(&after[1..]) => Closing::Unfinished,
            Some(_) | None => Closing::Other,
        }
    }

    /// Passes from one state to the next; `text` is `<123\n` or the like.
    fn turn(&mut self, text: &[u8]) {
        let number = std::str::from_utf8(&text[1..]).ok().and_then(|digits| digits.trim_end().parse::<i64>().ok());
        self.state = match (self.state, text[0]) {
            (State::Before, _) => {
                self.pid = number.and_then(|pid| u32::try_from(pid).ok());
                if self.sudo { State::Asking } else { State::Body }
            }
            (State::Asking, b'?') => {
                self.prompts += 1;
                State::Asking
            }
            (State::Asking, b'+') => State::Body,
            (State::Asking | State::Body | State::After, _) => {
                self.number = number;
                State::After
            }
        };
        self.command_begun |= self.state == State::Body;
    }
}

enum Closing {
    /// One of ours, this long.
    Whole(usize),
    /// May become one of ours.
    Unfinished,
    /// Not ours: the mark stands in the output for another reason (`set -x`).
    Other,
}

/// Length of the longest end of `text` that is a beginning of `mark`.
fn partial(text: &[u8], mark: &[u8]) -> usize {
    (1..mark.len().min(text.len() + 1)).rev().find(|&n| text.ends_with(&mark[..n])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(reader: &mut TrailerParser, chunks: &[&[u8]]) -> Vec<u8> {
        let mut body = Vec::new();
        for chunk in chunks {
            reader.feed(chunk, &mut |bytes| body.extend_from_slice(bytes));
        }
        body
    }

    #[test]
    fn noise_body_and_status_are_told_apart() {
        let mark = Mark::of("MARK");
        let mut reader = TrailerParser::stdout(&mark);
        let body = read(&mut reader, &[b"SUCCESS\nMARK", b"<12", b"3\nhel", b"lo MA", b"RK MARK=", b"7\nlate"]);
        assert_eq!(body, b"hello MARK ");
        assert_eq!((reader.pid(), reader.status(), reader.preamble()), (Some(123), Some(7), b"SUCCESS\n".as_slice()));
    }

    #[test]
    fn no_trailer_is_no_result() {
        let mark = Mark::of("MARK");
        let mut reader = TrailerParser::stdout(&mark);
        let mut body = read(&mut reader, &[b"MARK<9\nabcMA"]);
        reader.finish(&mut |bytes| body.extend_from_slice(bytes));
        assert_eq!(body, b"abcMA");
        assert!(reader.begun() && !reader.ended());
        assert_eq!(reader.status(), None);
    }

    #[test]
    fn a_trace_of_the_wrapper_is_not_a_mark() {
        let mark = Mark::of("MARK");
        let mut reader = TrailerParser::stderr(&mark);
        let body = read(&mut reader, &[b"+ printf '%s<\\n' MARK\nMARK<\n+ printf %s. MARK\nMARK.\n"]);
        assert_eq!(body, b"+ printf %s. MARK\n");
        assert!(reader.ended());
    }

    #[test]
    fn what_sudo_says_is_not_the_commands() {
        let mark = Mark::of("MARK");
        let mut reader = TrailerParser::stdout(&mark).through_sudo(true);
        let body =
            read(&mut reader, &[b"MARK<7\nlecture MA", b"RK?Sorry\nMARK?", b"MARK+", b"\nMARK?hi\nMARK+\nMARK=3\n"]);
        assert_eq!(String::from_utf8_lossy(&body), "MARK?hi\nMARK+\n");
        assert_eq!((reader.prompts(), reader.command_begun(), reader.status()), (2, true, Some(3)));
        assert_eq!(reader.preamble(), b"lecture Sorry\n");

        let mut reader = TrailerParser::stdout(&mark).through_sudo(true);
        let body = read(&mut reader, &[b"MARK<7\r\nno, not MARK MARK+0x\nMARK=1\r\n"]);
        assert_eq!((body.len(), reader.pid(), reader.command_begun(), reader.status()), (0, Some(7), false, Some(1)));
    }

    proptest! {
        #[test]
        fn any_cut_reads_the_same(body in proptest::collection::vec(any::<u8>(), 0..200), cuts in proptest::collection::vec(1usize..40, 0..40)) {
            let mark = Mark::of("gsctl-abcab");
            let mut text = b"noise gsctl-abc gsctl-abcab<77\n".to_vec();
            text.extend_from_slice(&body);
            text.extend_from_slice(b"gsctl-abcab=12\n");
            let mut reader = TrailerParser::stdout(&mark);
            let mut got = Vec::new();
            let mut rest = text.as_slice();
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                reader.feed(now, &mut |bytes| got.extend_from_slice(bytes));
                rest = later;
            }
            reader.feed(rest, &mut |bytes| got.extend_from_slice(bytes));
            prop_assert_eq!(got, body);
            prop_assert_eq!(reader.status(), Some(12));
            prop_assert_eq!(reader.pid(), Some(77));
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut reader = TrailerParser::stdout(&Mark::of("M"));
            reader.feed(&bytes, &mut |_| {});
            reader.finish(&mut |_| {});
        }
    }
}
