//! Makes remote bytes harmless on a terminal: what could move the cursor or hide text becomes visible.
//!
//! For remote output and status lines. Messages about files on this machine hide the same characters
//! (`text::is_hidden`). Files, pipes and reports get the bytes as they are.

use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

use crate::text::is_hidden;

/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// One line of remote output, without its end, for a terminal: control and escape sequences, bidirectional and
/// zero-width characters are shown as `\x1b` or `\u{202e}`, bytes that are not UTF-8 as `\xff`. Tabs become spaces,
/// because a prefix before the line would shift their stops. Carriage returns at the end are dropped.
#[must_use]
pub fn line(bytes: &[u8]) -> String {
    let end = bytes.iter().rposition(|&byte| byte != b'\r').map_or(0, |last| last + 1);
    clean(&bytes[..end], false)
}

/// Several lines of remote output for a terminal. Every line ends in a newline, also the last.
#[must_use]
pub fn block(bytes: &[u8]) -> String {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut out = String::with_capacity(bytes.len() + 1);
    for piece in body.split(|&byte| byte == b'\n') {
        out.push_str(&line(piece));
        out.push('\n');
    }
    out
}

/// A part of one of gsctl's own lines that holds words from elsewhere: a cause, a banner, a path. Always one line,
/// whatever it is written to.
#[must_use]
pub fn words(text: &str) -> String {
    clean(text.trim().as_bytes(), true)
}

fn clean(bytes: &[u8], newline_is_space: bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut column = 0;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let before = out.len();
            match c {
                '\t' => {
                    let stop = TAB - column % TAB;
                    out.extend(std::iter::repeat_n(' ', stop));
                    column += stop;
                    continue;
                }
                '\n' if newline_is_space => out.push(' '),
                c if c.is_ascii_control() => {
                    if c == '\r' {
                        out.push_str("\\r");
                    } else {
                        let _ = write!(out, "\\x{:02x}", c as u32);
                    }
                }
                c if is_hidden(c) => {
                    let _ = write!(out, "\\u{{{:04x}}}", c as u32);
                }
                c => {
                    out.push(c);
                    column += c.width().unwrap_or(0);
                    continue;
                }
            }
            column += out.len() - before;
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
            column += 4;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        #[track_caller]
        fn case(input: &[u8], want: &str) {
            assert_eq!(line(input), want);
        }
        case(b"plain text", "plain text");
        case("naïve 漢字 🙂".as_bytes(), "naïve 漢字 🙂");
        case(b"\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07");
        case(b"back\x08space \x7f", "back\\x08space \\x7f");
        case("abc\u{202e}cba".as_bytes(), "abc\\u{202e}cba");
        case("a\u{200b}b\u{feff}".as_bytes(), "a\\u{200b}b\\u{feff}");
        case("\u{9b}31m".as_bytes(), "\\u{009b}31m");
        case(b"\xff\xfeok\xc3", "\\xff\\xfeok\\xc3");
        case(b"a\tb", "a       b");
        case("漢\tb".as_bytes(), "漢      b");
        case(b"\x01\tb", "\\x01    b");
        case(b"dos\r", "dos");
        case(b"10%\r20%\r\r", "10%\\r20%");
        case(b"a\nb", "a\\x0ab");
        case(b"\0", "\\x00");
        case(b"", "");
    }

    #[test]
    fn blocks_end_in_a_newline() {
        assert_eq!(block(b"a\r\nb"), "a\nb\n");
        assert_eq!(block(b"a\n\nb\n"), "a\n\nb\n");
        assert_eq!(block(b"\n"), "\n");
    }

    #[test]
    fn words_are_one_line() {
        assert_eq!(words("first\nsecond\x1b\n"), "first second\\x1b");
    }
}
