//! A hosts file's bytes as text.
//!
//! Takes UTF-8 only, and says so: a guess at another encoding would be a guess at names of hosts.

use super::problem::{PieceError, Problem, Text};

/// The bytes as text, without a byte order mark.
pub(super) fn decode<'a>(bytes: &'a [u8], file: &str) -> Result<&'a str, Problem> {
    let fault = |at: usize, message: &str, hint: &str| {
        let start = bytes[..at].iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        let end = bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| at + end);
        let line = bytes[..at].split(|b| *b == b'\n').count();
        let column = String::from_utf8_lossy(&bytes[start..at]).chars().count() + 1;
        let excerpt = String::from_utf8_lossy(&bytes[start..end.min(start + 400)]);
        Problem::new(Text::HostsFile, file, line, &excerpt, PieceError::new(column, message).hint(hint))
    };
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(fault(0, "the file is UTF-16", "save it as UTF-8"));
    }
    if let Some(at) = bytes.iter().position(|b| *b == 0) {
        return Err(fault(at, "the file is binary: it holds a NUL byte", "a hosts file is text, one host a line"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        fault(
            error.valid_up_to(),
            "the file is not UTF-8 text",
            "save it as UTF-8, or convert it: `iconv -f GBK -t UTF-8`",
        )
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn bad(text: &[u8], want: &str) {
        assert_eq!(decode(text, "hosts").unwrap_err().to_string(), format!("hosts file `hosts`, {want}"));
    }

    #[test]
    fn text_is_text() {
        assert_eq!(decode(b"", "hosts"), Ok(""));
        assert_eq!(decode("\u{feff}n\u{e4}".as_bytes(), "hosts"), Ok("n\u{e4}"));
    }

    #[test]
    fn bytes_that_are_no_text() {
        bad(
            b"n1\nab\0",
            "line 2, column 3: the file is binary: it holds a NUL byte\nhint: a hosts file is text, one host a line",
        );
        bad(
            b"n1 # \xb9\xe3",
            "line 1, column 6: the file is not UTF-8 text\nhint: save it as UTF-8, or convert it: `iconv -f GBK -t UTF-8`",
        );
        bad(b"\xff\xfen\0", "line 1, column 1: the file is UTF-16\nhint: save it as UTF-8");
    }
}
