//! A host's name as the name of a file or directory on this machine.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Longest file name in bytes, with room for the ending and the mark of a temporary file.
const LONGEST: usize = 200;
/// Bytes of a digest that tell apart what was cut.
const DIGEST: usize = 8;

/// A host's name as a file name: letters, digits and `._-@:[]` stay, everything else, and a dot in front, becomes `%2f`.
/// What is longer than a file name may be is cut, and ends with `~` and a digest of the whole. Different names stay
/// different.
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
    if out.len() > LONGEST {
        out.truncate(LONGEST - 2 * DIGEST - 1);
        out.push('~');
        for byte in &Sha256::digest(name)[..DIGEST] {
            let _ = write!(out, "{byte:02x}");
        }
    }
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

    #[test]
    fn long_names_stay_different() {
        let names = [200, 201, 202, 300].map(|length| safe_name(&"a".repeat(length)));
        assert!(names.iter().all(|name| name.len() == LONGEST), "{names:?}");
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        let path = |end: &str| safe_name(&format!("{}{end}", "/".repeat(100)));
        assert_ne!(path("a"), path("b"));
    }
}
