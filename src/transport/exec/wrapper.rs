//! The result trailer: how a command's process id, output and exit status are told apart from everything else that a node
//! prints.
//!
//! `exit_status()` of libssh2 is 0 for a command that was killed, for a session that was lost and for a channel that sshd
//! cut. So the command is wrapped: the wrapper prints a mark and its process id first, and a mark and the exit status
//! last. Only a trailer makes a result. Pure text; this file must not know about sessions.

use super::sudo;
use crate::plan::quote::quote;

/// The status in a trailer where what comes before the command failed.
pub const UNPREPARED: i32 = 1000;

/// What is round a command besides the marks.
#[derive(Debug, Clone, Copy, Default)]
pub struct WrapOptions<'a> {
    /// Text of ours that is run first. Where it fails the trailer has a status that no command has.
    pub before: &'a str,
    /// Run the command, and what comes before it, through sudo.
    pub sudo: Option<sudo::SudoCall<'a>>,
    /// Both streams are one: a terminal.
    pub pty: bool,
}

/// A random word that no output holds by chance: 20 letters and digits, new for each run.
#[derive(Debug, Clone)]
pub struct Mark(String);

impl Default for Mark {
    fn default() -> Self {
        Self(format!("gsctl-{}", std::iter::repeat_with(fastrand::alphanumeric).take(20).collect::<String>()))
    }
}

impl Mark {
    /// A mark that is not random.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The wrapped command, for a login shell that understands POSIX syntax.
    ///
    /// The command runs in a subshell of the login shell itself, so that it is what `ssh HOST COMMAND` would run: same
    /// shell, same start-up files, same `$$`. A shell with another syntax (csh, fish) stops at the function definition,
    /// before anything is run; `encode` is for those. Where the other end is gone before the command
    /// begins (a profile that slept past the timeout), the first `printf` fails and the command is not run.
    /// Standard error is tried first: a restricted shell forbids `>&2`, and must say so before the command is run.
    #[must_use]
    pub fn wrap(&self, options: &WrapOptions<'_>, command: &str) -> String {
        self.frame(options, &quote(command))
    }

    /// The same for a command of so many bytes that come first on standard input: an SSH packet holds 35,000 at most, and
    /// Linux gives a shell no argument longer than 128 KiB. `dd` reads no byte more, so what follows is left alone: one
    /// block that is filled however often the pipe has less (a system call a byte took seconds for a long script); a
    /// `dd` that does not know `fullblock` says so before it reads, and then a byte at a time it is.
    #[must_use]
    pub fn wrap_read(&self, options: &WrapOptions<'_>, bytes: usize) -> String {
        let block = format!("dd bs={bytes} count=1 iflag=fullblock 2>/dev/null");
        self.frame(options, &format!("\"$({block}||dd bs=1 count={bytes} 2>/dev/null)\""))
    }

    /// The mark of a wrapped command, and the shell word that was wrapped: what a server that only plays at running
    /// commands has to know. `None`: this is not the wrapper, or there is more to it than the command.
    #[must_use]
    pub fn unwrap(text: &str) -> Option<(Self, &str)> {
        const WORD: &str = "\0";
        let (_, rest) = text.split_once("printf '%s<\\n' ")?;
        let mark = Self(rest.split_once(' ')?.0.to_owned());
        let frame = mark.frame(&WrapOptions::default(), WORD);
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
    fn frame(&self, options: &WrapOptions<'_>, word: &str) -> String {
        let Self(mark) = self;
        let before = match options.before {
            "" => String::new(),
            text => format!("{{ {text};}}||{{ printf '%s={UNPREPARED}\\n' {mark};exit 1;}};"),
        };
        let inner = format!("{before}eval {word}");
        let inner = match &options.sudo {
            Some(sudo) => sudo.frame(mark, options.pty, &inner),
            None => inner,
        };
        // A terminal is one stream, so there is one mark of each kind.
        let (begin, end) = if options.pty {
            (String::new(), String::new())
        } else {
            (format!("printf '%s<\\n' {mark} >&2||exit 141;"), format!("printf '%s.\\n' {mark} >&2;"))
        };
        format!(
            "g(){{ :;}};{begin}printf '%s<%s\\n' {mark} $$||exit 141;({inner});s=$?;\
             printf '%s=%s\\n' {mark} $s;{end}exit $s"
        )
    }

    /// POSIX shell text that has the login shell run a command.
    #[must_use]
    pub fn for_login_shell(command: &str) -> String {
        format!("\"$SHELL\" -c {}", quote(command))
    }
}

/// POSIX shell text as a command for any login shell that can `exec /bin/sh -c` a single-quoted word.
///
/// csh, fish and POSIX shells do not agree on quotes, backslashes, `!` and newlines inside quotes, so these travel as
/// octal numbers.
#[must_use]
pub fn encode(inner: &str) -> String {
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::transport::exec::parser::TrailerParser;

    fn read(reader: &mut TrailerParser, chunks: &[&[u8]]) -> Vec<u8> {
        let mut body = Vec::new();
        for chunk in chunks {
            reader.feed(chunk, &mut |bytes| body.extend_from_slice(bytes));
        }
        body
    }

    #[track_caller]
    fn shell_case(shell: &[&str], command: &str, want_out: &str, want_status: i32) {
        let mark = Mark::default();
        for text in [
            mark.wrap(&WrapOptions::default(), command),
            encode(&mark.wrap(&WrapOptions::default(), &Mark::for_login_shell(command))),
        ] {
            let output = Command::new(shell[0])
                .args(&shell[1..])
                .args(["-c", &text])
                .env("SHELL", "/bin/sh")
                .output()
                .unwrap_or_else(|e| panic!("{shell:?}: {e}"));
            let mut reader = TrailerParser::stdout(&mark);
            let body = read(&mut reader, &[&output.stdout]);
            assert_eq!(String::from_utf8_lossy(&body), want_out, "{shell:?} {text}");
            assert_eq!(reader.status(), Some(want_status), "{shell:?} {text}");
            let mut errors = TrailerParser::stderr(&mark);
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
        let whole = mark.wrap(&WrapOptions::default(), "echo 'it is'");
        let (found, word) = Mark::unwrap(&whole).expect("it is the wrapper");
        assert_eq!((found.as_str(), word), (mark.as_str(), quote("echo 'it is'").as_str()));
        assert_eq!(
            Mark::unwrap(&mark.wrap_read(&WrapOptions::default(), 7)).map(|(_, word)| word.contains("count=7 ")),
            Some(true)
        );
        assert!(Mark::unwrap("true").is_none() && Mark::unwrap(&whole[..whole.len() - 1]).is_none());
    }

    #[test]
    fn a_syntax_error_is_the_commands_own() {
        for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
            shell_case(shell, "if", "", 2);
        }
    }
}
