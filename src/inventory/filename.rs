//! A host's name as the name of a file or directory on this machine.

use std::fmt::Write as _;

/// Longest file name before it is cut, with room for the ending and the mark of a temporary file.
const LONGEST: usize = 200;

/// A host's name as a file name: letters, digits and `._-@:[]` stay, everything else, and a dot in front, becomes `%2f`.
/// Different names stay different, unless they are longer than a file name may be.
#[must_use]
pub fn safe_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (i, c) in name.char_indices() {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '@' | ':' | '[' | ']') || (c == '.' && i > 0) {
            out.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(out, "%{byte:02x}");
            }
        }
    }
    out.truncate(LONGEST);
    if out.is_empty() { "%".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        #[track_caller]
        fn case(name: &str, want: &str) {
            assert_eq!(safe_name(name), want);
        }
        case("node01.example.com", "node01.example.com");
        case("omm@node01:2222", "omm@node01:2222");
        case("[2001:db8::7]:22", "[2001:db8::7]:22");
        case("../../etc/passwd", "%2e.%2f..%2fetc%2fpasswd");
        case(".", "%2e");
        case("a%b", "a%25b");
        case("", "%");
        case("n\u{f6}", "n%c3%b6");
    }
}
