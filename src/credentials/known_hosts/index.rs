//! The lines of all `known_hosts` files of a run, so that thousands of hosts can be looked up in tens of thousands of
//! lines.
//!
//! It reads files, and never writes one.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use memchr::memchr_iter;

use super::line::{self, HostPatterns, KnownHostsLine, Marker, ParsedLine};
use super::lock;
use super::lookup::Lookup;
use crate::text::is_absent;

/// What was read of a file.
#[derive(Debug)]
pub(super) struct KnownHostsFile {
    pub(super) path: PathBuf,
    text: String,
    /// Device and inode: `ssh-keygen -R` puts a new file in the old one's place.
    pub(super) identity: Option<(u64, u64)>,
    /// Bytes read.
    pub(super) len: u64,
    /// Lines read.
    pub(super) lines: usize,
    /// True when what was read ends in a newline, or nothing was read.
    pub(super) ends_clean: bool,
}

/// A line and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexedKey<'a> {
    pub(super) line: KnownHostsLine<'a>,
    source: usize,
    number: usize,
}

/// Where a line with a key stands. There may be very many of them, so what it says is read again where it matters.
#[derive(Debug)]
struct Place {
    /// Its first byte in the text.
    start: usize,
    source: u32,
    /// Its number in the file, from 1.
    number: u32,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) sources: Vec<KnownHostsFile>,
    lines: Vec<Place>,
    by_name: Lookup,
    /// Lines with patterns or hashed names, by the key's text: a line needs its HMAC only where it has the key that was shown.
    by_key: Lookup,
    patterned: Vec<u32>,
    hashed: Vec<u32>,
    pub(super) bad_lines: Vec<(usize, usize)>,
    /// The hashed lines of a name, found by one HMAC a line: a host is asked about more than once in a run.
    hashed_found: Mutex<HashMap<String, Vec<u32>>>,
}

impl Index {
    pub(super) fn read(paths: &[PathBuf]) -> io::Result<Self> {
        let mut index = Self::default();
        let mut seen = HashSet::new();
        for path in paths.iter().filter(|path| seen.insert(path.as_path())) {
            index.sources.push(KnownHostsFile {
                path: path.clone(),
                text: String::new(),
                identity: None,
                len: 0,
                lines: 0,
                ends_clean: true,
            });
            let source = index.sources.len() - 1;
            // It would be waited for, perhaps for ever.
            if fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo()) {
                return Err(named(path, &io::Error::other("it is a pipe, not a file")));
            }
            match File::open(path) {
                Ok(mut file) => index.read_on(source, &mut file).map_err(|error| named(path, &error))?,
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(named(path, &error)),
            }
        }
        Ok(index)
    }

    /// Takes in what stands in `file` from where it is.
    pub(super) fn read_on(&mut self, source: usize, file: &mut File) -> io::Result<()> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        self.sources[source].identity = Some(identity(&file.metadata()?));
        self.take_in(source, bytes);
        Ok(())
    }

    /// Takes in text that follows on what was read of a source.
    pub(super) fn take_in(&mut self, source: usize, mut bytes: Vec<u8>) {
        let file = &mut self.sources[source];
        let (count, last) = (bytes.len(), bytes.last().copied());
        // The rest of a line that was read in part would be read as a line of its own; it is none, and ends there.
        if !file.ends_clean && count > 0 {
            let rest = bytes.iter().position(|&byte| byte == b'\n').map_or(count, |newline| newline + 1);
            bytes.drain(..rest);
            file.text.push('\n');
        }
        let start = file.text.len();
        let more =
            String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        if start == 0 {
            file.text = more;
        } else {
            file.text.push_str(&more);
        }
        if let Some(last) = last {
            file.ends_clean = last == b'\n';
            file.len += count as u64;
        }
        // Each line has a name, and one more for each comma.
        let count = |wanted| memchr_iter(wanted, &file.text.as_bytes()[start..]).count();
        let (lines, commas) = (count(b'\n'), count(b','));
        self.lines.reserve(lines);
        self.by_name.reserve(lines + commas);
        self.add_from(source, start);
    }

    /// Adds the lines of a source that begin there.
    fn add_from(&mut self, source: usize, mut start: usize) {
        let text = std::mem::take(&mut self.sources[source].text);
        for line in text[start..].split_inclusive('\n') {
            self.sources[source].lines += 1;
            let number = self.sources[source].lines;
            match line::parse(line) {
                ParsedLine::Nothing => {}
                ParsedLine::Bad => self.bad_lines.push((source, number)),
                ParsedLine::Line(line) => {
                    let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                    let id = short(self.lines.len());
                    self.lines.push(Place { start, source: short(source), number: short(number) });
                    self.add(id, &line);
                }
            }
            start += line.len();
        }
        self.sources[source].text = text;
    }

    fn add(&mut self, id: u32, line: &KnownHostsLine<'_>) {
        match line.names {
            HostPatterns::Plain(list) => {
                for name in line::names(list) {
                    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                        self.by_name.add(&name.to_ascii_lowercase(), id);
                    } else {
                        self.by_name.add(name, id);
                    }
                }
                return;
            }
            HostPatterns::Patterns(_) => self.patterned.push(id),
            HostPatterns::Hashed(..) => {
                self.hashed.push(id);
                lock(&self.hashed_found).clear();
            }
        }
        self.by_key.add(line.key, id);
    }

    /// What a line says, and where it stands.
    fn line(&self, id: u32) -> Option<IndexedKey<'_>> {
        let place = self.lines.get(usize::try_from(id).ok()?)?;
        let source = usize::try_from(place.source).ok()?;
        match line::parse(self.sources[source].text[place.start..].lines().next()?) {
            ParsedLine::Line(line) => Some(IndexedKey { line, source, number: usize::try_from(place.number).ok()? }),
            ParsedLine::Nothing | ParsedLine::Bad => None,
        }
    }

    fn matches(&self, id: u32, target: &str) -> bool {
        self.line(id).is_some_and(|entry| entry.line.names.matches(target))
    }

    /// The lines of these names that hold this key, in the files' order. Costs the same however many lines there are, unless many
    /// with hashed names or patterns share the key.
    pub(super) fn with_key(&self, targets: &[&str], key: &str) -> Vec<IndexedKey<'_>> {
        let plain = targets.iter().flat_map(|target| self.by_name.candidates(target));
        let mut ids: Vec<u32> = plain.chain(self.by_key.candidates(key)).collect();
        ids.sort_unstable();
        ids.dedup();
        let lines = ids.into_iter().filter_map(|id| self.line(id)).filter(|entry| *entry.line.key == *key);
        lines.filter(|entry| targets.iter().any(|target| entry.line.names.matches(target))).collect()
    }

    /// The lines of a name, in the files' order. Costs an HMAC for each hashed line, the first time a name is asked
    /// for.
    pub(super) fn with_name(&self, target: &str) -> Vec<IndexedKey<'_>> {
        let mut ids: Vec<u32> = self.by_name.candidates(target).chain(self.patterned.iter().copied()).collect();
        ids.retain(|&id| self.matches(id, target));
        ids.extend(self.hashed_with_name(target));
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().filter_map(|id| self.line(id)).collect()
    }

    fn hashed_with_name(&self, target: &str) -> Vec<u32> {
        if self.hashed.is_empty() {
            return Vec::new();
        }
        if let Some(found) = lock(&self.hashed_found).get(target) {
            return found.clone();
        }
        let found: Vec<u32> = self.hashed.iter().copied().filter(|&id| self.matches(id, target)).collect();
        lock(&self.hashed_found).insert(target.to_owned(), found.clone());
        found
    }

    /// Lines whose names are hashed.
    #[cfg(test)]
    pub(super) fn hashed_lines(&self) -> usize {
        self.hashed.len()
    }

    /// Where an entry stands.
    pub(super) fn place(&self, entry: &IndexedKey<'_>) -> (PathBuf, usize) {
        (self.sources[entry.source].path.clone(), entry.number)
    }

    /// The types that host key lines among `entries` hold, once each.
    pub(super) fn types(entries: &[IndexedKey<'_>]) -> Vec<String> {
        let mut types: Vec<String> = Vec::new();
        for entry in entries.iter().filter(|entry| entry.line.marker == Marker::HostKey) {
            if !types.iter().any(|known| **known == *entry.line.key_type) {
                types.push(entry.line.key_type.to_string());
            }
        }
        types
    }
}

pub(super) fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// The same error with the file's name.
pub(super) fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("known hosts file `{}`: {error}", path.display()))
}
