//! What a node is asked about files that are copied from it.

use super::copy;
use crate::plan::pull::PullSource;
use crate::plan::quote::{operand, quote, quote_pattern};

const PULL: &str = include_str!("pull.sh");

/// Bytes that dd(1) reads at once.
pub const BLOCK: u64 = 64 * 1024;
/// The last line of a list: what has no end has not all arrived.
const END: &str = "end";

/// A line of what a node lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// What a pattern matches: the number of the source, and a path.
    Match(usize, String),
    /// A file or directory.
    Entry {
        /// Its path there.
        path: String,
        /// Its path under the directory here.
        name: String,
        /// What it is, and who may do what with it: the mode of stat(2).
        mode: u32,
        /// Bytes.
        size: u64,
        /// When it was last changed, in seconds.
        modified: i64,
        /// Its size says nothing.
        is_virtual: bool,
    },
    /// A path that cannot be copied, and why.
    Not(String, String),
}

/// A script that tells the SHA-256 of each file's first bytes: number, path and how many. It tells nothing where no program can.
#[must_use]
pub fn sums<'a>(files: impl Iterator<Item = (usize, &'a str, u64)>) -> String {
    let call = |(n, path, size)| format!("gs_head {n} {} {size}\n", quote(&operand(path)));
    copy::whole(PULL, &files.map(call).collect::<String>())
}

/// A script that tells what the patterns among the sources match.
#[must_use]
pub fn spread(sources: &[PullSource]) -> String {
    let patterns = sources.iter().enumerate().filter(|(_, source)| source.pattern);
    let call = |(n, source): (usize, &PullSource)| {
        let path = operand(&source.path);
        format!("gs_spread {n} {} {}\n", quote(&path), quote_pattern(&path))
    };
    listing(&patterns.map(call).collect::<String>())
}

/// A script that tells what the sources are, and all that is in them where `dirs` may be copied.
#[must_use]
pub fn walk(sources: &[PullSource], dirs: bool) -> String {
    let call = |source: &PullSource| {
        format!("gs_walk {} {} 0 {}\n", quote(&operand(&source.path)), quote(&source.name), u8::from(dirs))
    };
    listing(&sources.iter().map(call).collect::<String>())
}

/// A script that prints blocks of a file, from the one of this number on, and nothing else.
#[must_use]
pub fn blocks(path: &str, first: u64, count: u64) -> String {
    format!("exec 3<{}\ndd bs={BLOCK} skip={first} count={count} <&3 2>/dev/null\n", quote(&operand(path)))
}

/// A script that prints a file up to its end, or to so many bytes, and nothing else.
#[must_use]
pub fn all(path: &str, most: u64) -> String {
    format!("exec 3<{}\nhead -c {most} <&3\n", quote(&operand(path)))
}

fn listing(calls: &str) -> String {
    copy::whole(PULL, &format!("{calls}echo {END}\n"))
}

/// Reads a list. `None`: it has no end.
#[must_use]
pub fn parse(stdout: &[u8]) -> Option<Vec<Listed>> {
    let mut listed: Vec<Listed> = Vec::new();
    for line in stdout.split(|&byte| byte == b'\n') {
        if line == END.as_bytes() {
            return Some(listed);
        }
        let mut words = line.splitn(3, |&byte| byte == b'\t');
        let (Some(word), Some(text), Some(path)) = (words.next(), words.next(), words.next()) else { continue };
        let text = String::from_utf8_lossy(text);
        let path = match path_of(path) {
            Ok(path) => path,
            Err(shown) => {
                // Of an entry the second line is about the same.
                if word != b"at" {
                    listed.push(Listed::Not(shown, "its name is not UTF-8".to_owned()));
                }
                continue;
            }
        };
        match word {
            b"match" => listed.extend(text.parse().ok().map(|n| Listed::Match(n, path))),
            b"not" => listed.push(Listed::Not(path, text.into_owned())),
            b"entry" => listed.extend(entry(&text, path)),
            b"at" => {
                if let Some(Listed::Entry { path: at, .. }) = listed.last_mut() {
                    *at = path;
                }
            }
            _ => {}
        }
    }
    None
}

fn entry(text: &str, name: String) -> Option<Listed> {
    let words: Vec<&str> = text.split(' ').collect();
    let [mode, size, modified, is_virtual] = words[..] else { return None };
    Some(Listed::Entry {
        path: String::new(),
        name,
        mode: u32::from_str_radix(mode, 16).ok()?,
        size: size.parse().ok()?,
        modified: modified.parse().ok()?,
        is_virtual: is_virtual == "1",
    })
}

/// A path as it was sent; otherwise what it looks like.
fn path_of(sent: &[u8]) -> Result<String, String> {
    let bytes = match sent.strip_prefix(b"hex:") {
        None => sent.to_vec(),
        Some(digits) => {
            let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
            digits.chunks(2).map(pair).collect::<Option<Vec<u8>>>().unwrap_or_default()
        }
    };
    String::from_utf8(bytes).map_err(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
