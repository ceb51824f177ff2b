//! The result trailer: how a command's process id, output and exit status are told apart from everything else that a node
//! prints.
//!
//! `exit_status()` of libssh2 is 0 for a command that was killed, for a session that was lost and for a channel that sshd
//! cut. So the command is wrapped: the wrapper prints a mark and its process id first, and a mark and the exit status
//! last. Only a trailer makes a result. Pure text; this file must not know about sessions.

use memchr::memmem;

use crate::plan::quote::quote;

/// A random word that no output holds by chance: 20 letters and digits, new for each run.
#[derive(Debug, Clone)]
pub struct Mark(String);

impl Default for Mark {
    fn default() -> Self {
        Self(format!("gsctl-{}", std::iter::repeat_with(fastrand::alphanumeric).take(20).collect::<String>()))
    }
}

impl Mark {
    /// The wrapped command, for a login shell that understands POSIX syntax.
    ///
    /// The command runs in a subshell of the login shell itself, so that it is what `ssh HOST COMMAND` would run: same
    /// shell, same start-up files, same `$$`. A shell with another syntax (csh, fish) stops at the function definition,
    /// before anything is run; [`Self::wrap_foreign`] is for those. Where the other end is gone before the command
    /// begins (a profile that slept past the timeout), the first `printf` fails and the command is not run.
    /// Standard error is tried first: a restricted shell forbids `>&2`, and must say so before the command is run.
    #[must_use]
    pub fn wrap(&self, command: &str) -> String {
        self.frame(&quote(command))
    }

    /// The same for a command of so many bytes that come first on standard input: an SSH packet holds 35,000 at most, and
    /// Linux gives a shell no argument longer than 128 KiB. `dd` reads a byte at a time, so what follows is left alone.
    #[must_use]
    pub fn wrap_read(&self, bytes: usize) -> String {
        self.frame(&format!("\"$(dd bs=1 count={bytes} 2>/dev/null)\""))
    }

    /// The mark of a wrapped command, and the shell word that was wrapped: what a server that only plays at running
    /// commands has to know. `None`: this is not the wrapper.
    #[must_use]
    pub fn unwrap(text: &str) -> Option<(Self, &str)> {
        const WORD: &str = "\0";
        let (_, rest) = text.split_once("printf '%s<\\n' ")?;
        let mark = Self(rest.split_once(' ')?.0.to_owned());
        let frame = mark.frame(WORD);
        let (before, after) = frame.split_once(WORD)?;
        let word = text.strip_prefix(before)?.strip_suffix(after)?;
        Some((mark, word))
    }

    /// The mark itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The wrapper around a word for `eval`.
    fn frame(&self, word: &str) -> String {
        let Self(mark) = self;
        format!(
            "g(){{ :;}};printf '%s<\\n' {mark} >&2||exit 141;printf '%s<%s\\n' {mark} $$||exit 141;(eval {word});s=$?;\
             printf '%s=%s\\n' {mark} $s;printf '%s.\\n' {mark} >&2;exit $s"
        )
    }

    /// The wrapped command, for any login shell that can `exec /bin/sh -c` a single-quoted word.
    ///
    /// csh, fish and POSIX shells do not agree on quotes, backslashes, `!` and newlines inside quotes, so these travel as
    /// octal numbers. The command itself is run by the login shell, `$SHELL`.
    #[must_use]
    pub fn wrap_foreign(&self, command: &str) -> String {
        encode(&self.wrap(&Self::for_login_shell(command)))
    }

    /// The same for the text of [`Self::for_login_shell`] that comes first on standard input.
    #[must_use]
    pub fn wrap_foreign_read(&self, bytes: usize) -> String {
        encode(&self.wrap_read(bytes))
    }

    /// POSIX shell text that has the login shell run a command.
    #[must_use]
    pub fn for_login_shell(command: &str) -> String {
        format!("\"$SHELL\" -c {}", quote(command))
    }
}

/// Shell text as a command for any login shell.
fn encode(inner: &str) -> String {
    let mut encoded = String::with_capacity(inner.len() * 2);
    for c in inner.chars() {
        if matches!(c, '\'' | '"' | '\\' | '!' | '$' | '`' | '\n') {
            encoded.push_str(&format!("\\0{:03o}", u32::from(c)));
        } else {
            encoded.push(c);
        }
    }
    format!("exec /bin/sh -c 'eval \"$(printf %b \"{encoded}\")\"'")
}

/// Reads one stream of a wrapped command.
#[derive(Debug)]
pub struct Reader {
    mark: Vec<u8>,
    /// `=` on standard output, `.` on standard error.
    end: u8,
    state: State,
    /// Bytes that may be the beginning of a mark.
    held: Vec<u8>,
    noise: Vec<u8>,
    number: Option<i64>,
    pid: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Body,
    After,
}

/// Most bytes of a noisy profile that are kept.
const MAX_NOISE: usize = 64 * 1024;

impl Reader {
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
            mark: mark.0.clone().into_bytes(),
            end,
            state: State::Before,
            held: Vec::new(),
            noise: Vec::new(),
            number: None,
            pid: None,
        }
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

    /// True once the command began.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.state != State::Before
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

    /// What came before the command began: the login shell's own chatter.
    #[must_use]
    pub fn noise(&self) -> &[u8] {
        &self.noise
    }

    fn put(&mut self, bytes: &[u8], body: &mut dyn FnMut(&[u8])) {
        match self.state {
            State::Before => {
                let room = MAX_NOISE.saturating_sub(self.noise.len());
                self.noise.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            State::Body if !bytes.is_empty() => body(bytes),
            State::Body | State::After => {}
        }
    }

    /// Looks at what follows a mark: is it one of ours, `<123\n`, `<\n`, `=0\n`, `.\n`?
    fn closing(&self, after: &[u8]) -> Closing {
        let want = if self.state == State::Before { b'<' } else { self.end };
        match after.first() {
            None => return Closing::Unfinished,
            Some(&first) if first != want => return Closing::Other,
            Some(_) => {}
        }
        match after.iter().position(|&b| b == b'\n') {
            Some(at) if after[1..at].iter().all(u8::is_ascii_digit) => Closing::Whole(at + 1),
            None if after.len() < 12 && after[1..].iter().all(u8::is_ascii_digit) => Closing::Unfinished,
            Some(_) | None => Closing::Other,
        }
    }

    /// Passes from one state to the next; `text` is `<123\n` or the like.
    fn turn(&mut self, text: &[u8]) {
        let number = std::str::from_utf8(&text[1..text.len() - 1]).ok().and_then(|digits| digits.parse::<i64>().ok());
        self.state = match self.state {
            State::Before => {
                self.pid = number.and_then(|pid| u32::try_from(pid).ok());
                State::Body
            }
            State::Body | State::After => {
                self.number = number;
                State::After
            }
        };
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
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn read(reader: &mut Reader, chunks: &[&[u8]]) -> Vec<u8> {
        let mut body = Vec::new();
        for chunk in chunks {
            reader.feed(chunk, &mut |bytes| body.extend_from_slice(bytes));
        }
        body
    }

    #[test]
    fn noise_body_and_status_are_told_apart() {
        let mark = Mark("MARK".into());
        let mut reader = Reader::stdout(&mark);
        let body = read(&mut reader, &[b"SUCCESS\nMARK", b"<12", b"3\nhel", b"lo MA", b"RK MARK=", b"7\nlate"]);
        assert_eq!(body, b"hello MARK ");
        assert_eq!((reader.pid(), reader.status(), reader.noise()), (Some(123), Some(7), b"SUCCESS\n".as_slice()));
    }

    #[test]
    fn no_trailer_is_no_result() {
        let mark = Mark("MARK".into());
        let mut reader = Reader::stdout(&mark);
        let mut body = read(&mut reader, &[b"MARK<9\nabcMA"]);
        reader.finish(&mut |bytes| body.extend_from_slice(bytes));
        assert_eq!(body, b"abcMA");
        assert!(reader.begun() && !reader.ended());
        assert_eq!(reader.status(), None);
    }

    #[test]
    fn a_trace_of_the_wrapper_is_not_a_mark() {
        let mark = Mark("MARK".into());
        let mut reader = Reader::stderr(&mark);
        let body = read(&mut reader, &[b"+ printf '%s<\\n' MARK\nMARK<\n+ printf %s. MARK\nMARK.\n"]);
        assert_eq!(body, b"+ printf %s. MARK\n");
        assert!(reader.ended());
    }

    #[track_caller]
    fn shell_case(shell: &[&str], command: &str, want_out: &str, want_status: i32) {
        let mark = Mark::default();
        for text in [mark.wrap(command), mark.wrap_foreign(command)] {
            let output = Command::new(shell[0])
                .args(&shell[1..])
                .args(["-c", &text])
                .env("SHELL", "/bin/sh")
                .output()
                .unwrap_or_else(|e| panic!("{shell:?}: {e}"));
            let mut reader = Reader::stdout(&mark);
            let body = read(&mut reader, &[&output.stdout]);
            assert_eq!(String::from_utf8_lossy(&body), want_out, "{shell:?} {text}");
            assert_eq!(reader.status(), Some(want_status), "{shell:?} {text}");
            let mut errors = Reader::stderr(&mark);
            read(&mut errors, &[&output.stderr]);
            assert!(errors.ended());
        }
    }

    #[test]
    fn real_shells_run_the_wrapper() {
        for shell in [&["sh"][..], &["dash"], &["bash"], &["busybox", "sh"]] {
            shell_case(shell, "echo hi", "hi\n", 0);
            shell_case(shell, "printf 'no newline'; exit 3", "no newline", 3);
            shell_case(shell, "echo \"it's $((1+1)) \\\\ !\"\nfalse", "it's 2 \\ !\n", 1);
            shell_case(shell, "exec sh -c 'exit 255'", "", 255);
            shell_case(shell, "set -e; false; echo not reached", "", 1);
        }
    }

    #[test]
    fn what_was_wrapped_is_found_again() {
        let mark = Mark::default();
        let whole = mark.wrap("echo 'it is'");
        let (found, word) = Mark::unwrap(&whole).expect("it is the wrapper");
        assert_eq!((found.as_str(), word), (mark.as_str(), quote("echo 'it is'").as_str()));
        assert_eq!(Mark::unwrap(&mark.wrap_read(7)).map(|(_, word)| word.contains("count=7 ")), Some(true));
        assert!(Mark::unwrap("true").is_none() && Mark::unwrap(&whole[..whole.len() - 1]).is_none());
    }

    #[test]
    fn a_syntax_error_is_the_commands_own() {
        for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
            shell_case(shell, "if", "", 2);
        }
    }

    proptest! {
        #[test]
        fn any_cut_reads_the_same(body in proptest::collection::vec(any::<u8>(), 0..200), cuts in proptest::collection::vec(1usize..40, 0..40)) {
            let mark = Mark("gsctl-abcab".into());
            let mut text = b"noise gsctl-abc gsctl-abcab<77\n".to_vec();
            text.extend_from_slice(&body);
            text.extend_from_slice(b"gsctl-abcab=12\n");
            let mut reader = Reader::stdout(&mark);
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
            let mut reader = Reader::stdout(&Mark("M".into()));
            reader.feed(&bytes, &mut |_| {});
            reader.finish(&mut |_| {});
        }
    }
}
