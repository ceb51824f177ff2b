//! Reads what a wrapped command prints: which part is the login shell's, which sudo's, which the command's own, and how it
//! ended. Pure; this file must not know about sessions.
//!
//! What a profile does to the streams, it does to the marks as well: both may be one, each line may have a prefix. So a stream is read
//! for the marks of both, and what stood before the first mark on its line is taken away before each mark.

mod mark_line;
#[cfg(test)]
mod tests;

use memchr::memmem;

use super::marks::Marks;
use mark_line::{Closing, ended, is_mark_byte, is_process, is_status, process};

/// Reads one stream of a wrapped command.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the stream")]
pub struct TrailerParser {
    mark: Vec<u8>,
    /// What the wrapper and sudo say before the command begins has the public id.
    id: Vec<u8>,
    state: State,
    /// Bytes that may be the beginning of a mark, or what a profile puts before one.
    held: Vec<u8>,
    /// What stands before each mark on its line.
    prefix: Vec<u8>,
    /// The last byte that was given out was the end of a line.
    at_line: bool,
    preamble: Vec<u8>,
    /// The shell that runs the command tells when it has read its start-up files, and what it has printed until now.
    starts: bool,
    printed: Vec<u8>,
    /// Beginnings that were read here, of one stream or both, and how often the shell has told that.
    begins: usize,
    told: usize,
    process: Option<Process>,
    ended: Option<Ended>,
    /// sudo comes between the wrapper and the command.
    sudo: bool,
    /// Times that sudo asked for a password.
    prompts: usize,
    /// Times that a shell said to be ready to read.
    ready: usize,
    /// The command itself has begun.
    command_begun: bool,
    /// The marks of standard error were read here.
    errors_begun: bool,
    errors_ended: bool,
}

/// The wrapper on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it was started, in clock ticks since the node was; 0 where that is not known.
    pub start: u64,
    /// Of which start of the node that is said.
    pub boot: String,
    /// The process that leads the session where that is the command's alone; 0 where it is not.
    pub lead: u32,
}

/// How the wrapper says that the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this status.
    Status(i32),
    /// By the signal of this number.
    Signal(i32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    /// The wrapper has begun, and sudo not yet let the command.
    Asking,
    /// The shell that is to run the command reads its start-up files.
    Starting,
    Body,
}

/// Most bytes of a noisy profile that are kept.
const MOST_PREAMBLE: usize = 64 * 1024;
/// Longest text of a mark's line, behind the mark.
const LONGEST_LINE: usize = 90;
/// Most bytes of a prefix that are looked for.
const LONGEST_PREFIX: usize = 200;

impl TrailerParser {
    /// Reads a stream.
    #[must_use]
    pub fn new(marks: &Marks) -> Self {
        Self {
            mark: marks.secret.as_bytes().into(),
            id: marks.id.as_bytes().into(),
            state: State::Before,
            held: Vec::new(),
            prefix: Vec::new(),
            at_line: true,
            preamble: Vec::new(),
            starts: false,
            printed: Vec::new(),
            begins: 0,
            told: 0,
            process: None,
            ended: None,
            sudo: false,
            prompts: 0,
            ready: 0,
            command_begun: false,
            errors_begun: false,
            errors_ended: false,
        }
    }

    /// Reads the same of a command that sudo runs.
    #[must_use]
    pub fn through_sudo(self, sudo: bool) -> Self {
        Self { sudo, ..self }
    }

    /// Reads the same of a command whose shell reads start-up files first.
    #[must_use]
    pub fn after_start(self, starts: bool) -> Self {
        Self { starts, ..self }
    }

    /// Takes what came, gives what belongs to the command to `body`.
    pub fn feed(&mut self, bytes: &[u8], body: &mut dyn FnMut(&[u8])) {
        let joined;
        let mut rest: &[u8] = if self.held.is_empty() {
            bytes
        } else {
            joined = [std::mem::take(&mut self.held).as_slice(), bytes].concat();
            &joined
        };
        // Where to look for the next mark.
        let mut from = 0;
        loop {
            let Some((at, length)) = self.find(rest, from) else {
                let keep = self.undecided(rest).max(from);
                self.put(&rest[..keep], body);
                self.held = rest[keep..].to_vec();
                return;
            };
            let after = &rest[at + length..];
            match self.closing(after, length == self.id.len() && rest[at..].starts_with(&self.id)) {
                Closing::Whole(used) => {
                    self.put_before_mark(&rest[..at], body);
                    self.turn(&after[..used], body);
                    rest = &after[used..];
                    from = 0;
                }
                Closing::Unfinished => {
                    let keep = self.before_prefix(&rest[..at]);
                    self.put(&rest[..keep], body);
                    self.held = rest[keep..].to_vec();
                    return;
                }
                Closing::Other => from = at + length,
            }
        }
    }

    /// Gives what was held back, when the stream ended without a trailer.
    pub fn finish(&mut self, body: &mut dyn FnMut(&[u8])) {
        let held = std::mem::take(&mut self.held);
        self.put(&held, body);
        self.give_printed(body);
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

    /// How often a shell of ours said to be ready to read.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.ready
    }

    /// How the trailer told that the command ended.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// True once the marks of standard error, the first and the last, were read.
    #[must_use]
    pub fn errors(&self) -> (bool, bool) {
        (self.errors_begun, self.errors_ended)
    }

    /// The wrapper, which leads the command's process group.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// What came before the command began: the login shell's own chatter, and sudo's.
    #[must_use]
    pub fn preamble(&self) -> &[u8] {
        &self.preamble
    }

    /// Whether a line with the id may come: before the command, and where both streams are one, once more.
    fn expects_id(&self) -> bool {
        self.state != State::Body || self.starts && self.told < self.begins
    }

    /// The next mark or id, and its length.
    fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let look = |word: &[u8]| memmem::find(&text[from..], word).map(|at| (from + at, word.len()));
        let mark = look(&self.mark);
        if !self.expects_id() {
            return mark;
        }
        let id = look(&self.id);
        match (mark, id) {
            (Some(mark), Some(id)) => Some(mark.min(id)),
            (mark, id) => mark.or(id),
        }
    }

    /// Where the end of a text begins that may become a mark, with what stands before it on its line.
    fn undecided(&self, text: &[u8]) -> usize {
        let mut partial = partial_end(text, &self.mark);
        if self.expects_id() {
            partial = partial.max(partial_end(text, &self.id));
        }
        let mark = text.len() - partial;
        if self.prefix.is_empty() {
            return mark;
        }
        // A line that so far is as a mark's would be.
        let line = self.line_of(&text[..mark]);
        match line {
            Some(line)
                if self.prefix.starts_with(&text[line..mark]) && (partial == 0 || mark - line == self.prefix.len()) =>
            {
                line
            }
            _ => mark,
        }
    }

    /// Where the last line of a text begins; `None` where it began earlier.
    fn line_of(&self, text: &[u8]) -> Option<usize> {
        match memchr::memrchr(b'\n', text) {
            Some(at) => Some(at + 1),
            None => self.at_line.then_some(0),
        }
    }

    /// Where the prefix begins that stands between a text and the mark behind it.
    fn before_prefix(&self, text: &[u8]) -> usize {
        self.line_of(text).filter(|&line| text[line..] == self.prefix[..]).unwrap_or(text.len())
    }

    fn put_before_mark(&mut self, text: &[u8], body: &mut dyn FnMut(&[u8])) {
        if !self.begun() {
            let line: Vec<u8> = if let Some(at) = memchr::memrchr(b'\n', text) {
                text[at + 1..].to_vec()
            } else {
                // All of it belongs to the preamble so far.
                let line = memchr::memrchr(b'\n', &self.preamble).map_or(0, |at| at + 1);
                let line = if self.at_line { &[] } else { &self.preamble[line..] };
                [line, text].concat()
            };
            self.prefix = if line.len() <= LONGEST_PREFIX { line } else { Vec::new() };
        }
        let end = self.before_prefix(text);
        self.put(&text[..end], body);
        self.at_line = true;
    }

    fn put(&mut self, bytes: &[u8], body: &mut dyn FnMut(&[u8])) {
        let Some(&last) = bytes.last() else { return };
        self.at_line = last == b'\n';
        match self.state {
            State::Body => return body(bytes),
            State::Starting => {
                self.printed.extend_from_slice(bytes);
                if self.printed.len() > MOST_PREAMBLE {
                    self.state = State::Body;
                    self.give_printed(body);
                }
                return;
            }
            State::Before | State::Asking => {}
        }
        let room = MOST_PREAMBLE.saturating_sub(self.preamble.len());
        self.preamble.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Where the shell never told that it has read its start-up files, what was printed is the command's.
    fn give_printed(&mut self, body: &mut dyn FnMut(&[u8])) {
        let printed = std::mem::take(&mut self.printed);
        if !printed.is_empty() {
            body(&printed);
        }
    }

    /// Looks at what follows a mark: is it one of ours, `<12 345 BOOT 11\n`, `<\n`, `+...\n`, `=0\n`, `=~9\n`, `.\n`, and behind an id
    /// `?`, `>\n` and `:\n`? A terminal that was not asked to leave ends of lines alone, or does so all the same, makes `\r\n` of them.
    fn closing(&self, after: &[u8], is_id: bool) -> Closing {
        let Some(&first) = after.first() else { return Closing::Unfinished };
        let fits: fn(&[u8]) -> bool = match (is_id, first) {
            (true, b'?') if self.state == State::Asking => return Closing::Whole(1),
            (true, b':') if self.starts && self.told < self.begins => <[u8]>::is_empty,
            (true, b'>') | (false, b'.') => <[u8]>::is_empty,
            (false, b'<') => is_process,
            (false, b'+') if self.state == State::Asking || self.sudo => is_process,
            (false, b'=') if self.begun() => is_status,
            _ => return Closing::Other,
        };
        let whole = |text: &[u8]| fits(text.strip_suffix(b"\r").unwrap_or(text));
        match memchr::memchr(b'\n', after) {
            Some(at) if at <= LONGEST_LINE && whole(&after[1..at]) => Closing::Whole(at + 1),
            None if after.len() <= LONGEST_LINE && after[1..].iter().all(|&byte| is_mark_byte(byte)) => {
                Closing::Unfinished
            }
            Some(_) | None => Closing::Other,
        }
    }

    /// Passes from one state to the next; `text` is `<123 456 BOOT\n` or the like.
    fn turn(&mut self, text: &[u8], body: &mut dyn FnMut(&[u8])) {
        let said = String::from_utf8_lossy(&text[1..]);
        let said = said.trim_end();
        match text[0] {
            b'<' => {
                self.process = self.process.take().or_else(|| process(said));
                self.errors_begun |= said.is_empty();
                self.begins += usize::from(!self.sudo);
                if self.state == State::Before {
                    self.state = if self.sudo { State::Asking } else { self.first_state() };
                }
            }
            b'+' => {
                self.begins += 1;
                if self.state == State::Asking {
                    self.state = self.first_state();
                }
            }
            b':' if self.state == State::Body => self.told += 1,
            b':' => {
                self.told += 1;
                let printed = std::mem::take(&mut self.printed);
                self.state = State::Before;
                self.put(&printed, body);
                self.state = State::Body;
            }
            b'?' => self.prompts += 1,
            b'>' => self.ready += 1,
            b'.' => {
                self.errors_ended = true;
                if self.state == State::Starting {
                    self.state = State::Body;
                    self.give_printed(body);
                }
            }
            _ => {
                self.ended = self.ended.or_else(|| ended(said));
                if self.state == State::Starting {
                    self.state = State::Body;
                    self.give_printed(body);
                }
            }
        }
        self.command_begun |= matches!(self.state, State::Starting | State::Body);
    }

    fn first_state(&self) -> State {
        if self.starts { State::Starting } else { State::Body }
    }
}

/// Length of the longest end of `text` that is a beginning of `mark`.
fn partial_end(text: &[u8], mark: &[u8]) -> usize {
    (1..mark.len().min(text.len() + 1)).rev().find(|&n| text.ends_with(&mark[..n])).unwrap_or(0)
}
