//! One line of a `known_hosts` file: who it names, and which key it gives them.
//!
//! Pure text: nothing here opens a file or decides what to think of a host.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use memchr::{memchr2, memchr3, memmem};
use sha1::Sha1;

use super::pattern::matches_list;

/// What a line says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// The host has this key.
    HostKey,
    /// The key is revoked for these hosts, whatever other lines say.
    Revoked,
    /// The key signs the host certificates of these hosts. Kept, but not used yet.
    CertAuthority,
}

/// The names that a line is for, as they stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostPatterns<'a> {
    /// A list of names without wildcards.
    Plain(&'a str),
    /// A list with `*`, `?` or `!` in it.
    Patterns(&'a str),
    /// A salt, and the HMAC-SHA1 of one name with it.
    Hashed([u8; HASH], [u8; HASH]),
}

/// Bytes of an HMAC-SHA1, and of the salts that go with it.
const HASH: usize = 20;

/// A line that names a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KnownHostsLine<'a> {
    pub(super) marker: Marker,
    pub(super) names: HostPatterns<'a>,
    pub(super) key_type: &'a str,
    /// As it stands in the file: decoding 50,000 keys to compare a few would be waste.
    pub(super) key: &'a str,
}

/// What a line turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ParsedLine<'a> {
    /// Blank, or a comment.
    Nothing,
    /// Not understood: ssh skips such lines, and so does gsctl.
    Bad,
    /// A key.
    Line(KnownHostsLine<'a>),
}

/// Reads one line, without its newline.
pub(super) fn parse(text: &str) -> ParsedLine<'_> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return ParsedLine::Nothing;
    }
    fields(text).map_or(ParsedLine::Bad, ParsedLine::Line)
}

fn fields(text: &str) -> Option<KnownHostsLine<'_>> {
    let (mut names, mut rest) = field(text)?;
    let mut marker = Marker::HostKey;
    if names.starts_with('@') {
        marker = match names {
            "@revoked" => Marker::Revoked,
            "@cert-authority" => Marker::CertAuthority,
            _ => return None,
        };
        (names, rest) = field(rest)?;
    }
    let (key_type, rest) = field(rest)?;
    let (key, _) = field(rest)?;
    // Every key blob begins with the length of its type's name, whose upper three bytes are zero. This leaves out
    // the numbers of an SSH 1 line too.
    if !key.starts_with("AAAA") || !is_base64(key) {
        return None;
    }
    let names = HostPatterns::parse(names)?;
    // Names of signatures count for the key that makes them, as in ssh.
    let key_type = if matches!(key_type, "rsa-sha2-256" | "rsa-sha2-512") { "ssh-rsa" } else { key_type };
    Some(KnownHostsLine { marker, names, key_type, key })
}

/// The first field of a line, and what follows it.
fn field(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let end = memchr2(b' ', b'\t', text.as_bytes()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Whether it can be base64. It is decoded only for a host that is asked for: the files may have a hundred thousand lines.
fn is_base64(text: &str) -> bool {
    text.trim_end_matches('=').bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

impl<'a> HostPatterns<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if let Some(hashed) = text.strip_prefix("|1|") {
            let (salt, hash) = hashed.split_once('|')?;
            return Some(Self::Hashed(decoded(salt)?, decoded(hash)?));
        }
        if text.starts_with('|') {
            return None;
        }
        let is_pattern = memchr3(b'*', b'?', b'!', text.as_bytes())
            .is_some_and(|_| text.contains(['*', '?']) || text.starts_with('!') || text.contains(",!"));
        Some(if is_pattern { Self::Patterns(text) } else { Self::Plain(text) })
    }

    /// True when the line is for `target`, which is in lower case.
    pub(super) fn matches(&self, target: &str) -> bool {
        match self {
            Self::Plain(list) => holds(list, target) || names(list).any(|name| name.eq_ignore_ascii_case(target)),
            Self::Patterns(list) => matches_list(names(&list.to_ascii_lowercase()), target),
            Self::Hashed(salt, hash) => hash_name(salt, target) == *hash,
        }
    }
}

/// Whether a list has the very name. Some have thousands, and each of their hosts asks.
fn holds(list: &str, name: &str) -> bool {
    let is_whole = |start: usize| {
        let (before, after) = (&list.as_bytes()[..start], &list.as_bytes()[start + name.len()..]);
        before.last().is_none_or(|byte| *byte == b',') && after.first().is_none_or(|byte| *byte == b',')
    };
    !name.is_empty() && memmem::find_iter(list.as_bytes(), name).any(is_whole)
}

/// The names of a list.
pub(super) fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|name| !name.is_empty())
}

fn decoded(text: &str) -> Option<[u8; HASH]> {
    // base64 wants room for whole groups of three.
    let mut bytes = [0; HASH + 4];
    let count = STANDARD.decode_slice(text, &mut bytes).ok()?;
    bytes[..count].try_into().ok()
}

impl KnownHostsLine<'_> {
    /// The key itself, when the text holds one of the type that the line claims. ssh skips the line otherwise.
    pub(super) fn blob(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.key).ok().filter(|blob| key_type(blob) == Some(self.key_type))
    }
}

/// The type that a key blob begins with.
pub(crate) fn key_type(blob: &[u8]) -> Option<&str> {
    let (len, rest) = blob.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    std::str::from_utf8(rest.get(..len)?).ok()
}

/// The name that a hashed line holds for `target`.
pub(super) fn hash_name(salt: &[u8], target: &str) -> [u8; HASH] {
    // HMAC takes a key of any length, so this cannot fail; a hash that no name has stands for what cannot happen.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(salt) else { return [0; HASH] };
    mac.update(target.as_bytes());
    mac.finalize().into_bytes().into()
}

/// The names field of a hashed line.
pub(super) fn hashed_field(salt: &[u8], target: &str) -> String {
    format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash_name(salt, target)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIEXlnRsDXMsXNMsxPCIZUD2DJvFvXOaXWMXMZ0BVVs2c";

    #[track_caller]
    fn case(names: &str, target: &str, want: bool) {
        let text = format!("{names} ssh-ed25519 {KEY}");
        let ParsedLine::Line(line) = parse(&text) else {
            panic!("`{names}` is not a line");
        };
        assert_eq!(line.names.matches(target), want, "`{names}` for `{target}`");
    }

    #[test]
    fn names_match_as_ssh_matches_them() {
        case("node01", "node01", true);
        case("Node01", "node01", true);
        case("xnode01,node01x,node01", "node01", true);
        case("xnode01,node01x", "node01", false);
        case("node01,10.0.0.1", "10.0.0.1", true);
        case("node01", "node011", false);
        case("[node01]:2222", "[node01]:2222", true);
        case("[node01]:2222", "node01", false);
        case("node*", "node01", true);
        case("node?", "node01", false);
        case("node??", "node01", true);
        case("*.example.com,!bad.example.com", "good.example.com", true);
        case("*.example.com,!bad.example.com", "bad.example.com", false);
        case("!bad.example.com,*.example.com", "bad.example.com", false);
        case("!node01", "node02", false);
        case("*", "anything", true);
        case("[*]:2222", "[node01]:2222", true);
        case("a*b*c", "aXbXbXc", true);
        case("a*b*c", "aXbXbX", false);
    }

    #[test]
    fn hashed_names_match_what_they_were_made_of() {
        let field = hashed_field(&[7; 20], "[node01]:2222");
        case(&field, "[node01]:2222", true);
        case(&field, "node01", false);
    }

    #[test]
    fn lines_that_are_not_keys() {
        for text in ["", "   ", "# node01 ssh-ed25519 AAAA", "\t# x"] {
            assert_eq!(parse(text), ParsedLine::Nothing, "{text:?}");
        }
        for text in [
            "node01",
            "node01 ssh-ed25519",
            "node01 1024 35 1234567",
            "@unknown node01 ssh-ed25519 AAAAC3",
            "@revoked node01 ssh-ed25519",
            "|1|salt ssh-ed25519 AAAAC3",
            "|1|!|! ssh-ed25519 AAAAC3",
            // As in ssh: the salt has as many bytes as the hash.
            "|1|c2FsdA==|BwcHBwcHBwcHBwcHBwcHBwcHBwc= ssh-ed25519 AAAAC3",
            "|2|AAAA|AAAA ssh-ed25519 AAAAC3",
        ] {
            assert_eq!(parse(text), ParsedLine::Bad, "{text:?}");
        }
    }

    #[test]
    fn comments_carriage_returns_and_tabs_are_no_part_of_the_key() {
        for text in ["n ssh-ed25519 AAAAC3 root@n # x", "n\tssh-ed25519\tAAAAC3\r", "  n  ssh-ed25519  AAAAC3  "] {
            let ParsedLine::Line(line) = parse(text) else { panic!("{text:?}") };
            assert_eq!((line.key_type, line.key), ("ssh-ed25519", "AAAAC3"), "{text:?}");
        }
    }

    #[test]
    fn a_key_of_another_type_than_the_line_says_has_no_blob() {
        let check = |claimed: &str, key_type: &str, has_blob: bool| match parse(&format!("n {claimed} {KEY}")) {
            ParsedLine::Line(line) => assert_eq!((line.key_type, line.blob().is_some()), (key_type, has_blob)),
            other => panic!("{other:?}"),
        };
        check("ssh-ed25519", "ssh-ed25519", true);
        check("ssh-rsa", "ssh-rsa", false);
        check("rsa-sha2-512", "ssh-rsa", false);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), target in any::<String>()) {
            if let ParsedLine::Line(line) = parse(&text) {
                line.names.matches(&target);
                line.blob();
            }
        }

        #[test]
        fn nothing_that_looks_like_a_line_makes_it_panic(
            text in r"(@revoked |@[a-z-]{0,16} )?[|1!*?a-z,=/+\[\]:]{1,30} [a-z0-9-]{0,12} AAAA[A-Za-z0-9+/=]{0,40}",
            target in r"[a-z*?!\[\]:0-9]{0,12}",
        ) {
            if let ParsedLine::Line(line) = parse(&text) {
                line.names.matches(&target);
                line.blob();
            }
        }
    }
}
