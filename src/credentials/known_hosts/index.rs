//! The lines of all `known_hosts` files of a run, so that thousands of hosts can be looked up in tens of thousands of
//! lines.
//!
//! It reads files, and never writes one.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use smallvec::SmallVec;

use super::line::{self, HostPatterns, KnownHostsLine, Marker, ParsedLine};
use super::lock;
use crate::shared::share;
use crate::text::is_absent;

/// How much of a file was read.
#[derive(Debug, Clone)]
pub(super) struct KnownHostsFile {
    pub(super) path: PathBuf,
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
#[derive(Debug)]
pub(super) struct IndexedKey {
    pub(super) line: KnownHostsLine,
    pub(super) source: usize,
    pub(super) number: usize,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) sources: Vec<KnownHostsFile>,
    entries: Vec<IndexedKey>,
    /// Lines with patterns or hashed names, by the key's text: a line needs its HMAC only where it has the key that was shown.
    by_key: HashMap<Box<str>, Vec<usize>>,
    /// Mostly one line a name, or one for each of two types of keys.
    by_name: HashMap<Arc<str>, SmallVec<[usize; 2]>>,
    patterned: Vec<usize>,
    hashed: Vec<usize>,
    pub(super) bad_lines: Vec<(usize, usize)>,
    /// The hashed lines of a name, found by one HMAC a line: a host is asked about more than once in a run.
    hashed_found: Mutex<HashMap<String, Vec<usize>>>,
}

impl Index {
    pub(super) fn read(paths: &[PathBuf]) -> io::Result<Self> {
        let mut index = Self::default();
        let mut seen = HashSet::new();
        for path in paths.iter().filter(|path| seen.insert(path.as_path())) {
            index.sources.push(KnownHostsFile {
                path: path.clone(),
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
        self.take_in(source, &bytes);
        Ok(())
    }

    /// Takes in text that follows on what was read of a source.
    pub(super) fn take_in(&mut self, source: usize, bytes: &[u8]) {
        let mut pieces: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
        // What follows the last newline is a line only when it is something.
        if pieces.last().is_some_and(|last| last.is_empty()) {
            pieces.pop();
        }
        // The rest of a line that was read in part would be read as a line of its own; it is none, and ends there.
        if !self.sources[source].ends_clean && !pieces.is_empty() {
            pieces.remove(0);
        }
        // Mostly each is a line with one name.
        self.entries.reserve(pieces.len());
        self.by_name.reserve(pieces.len());
        for piece in pieces {
            self.sources[source].lines += 1;
            let number = self.sources[source].lines;
            match line::parse(&String::from_utf8_lossy(piece)) {
                ParsedLine::Nothing => {}
                ParsedLine::Bad => self.bad_lines.push((source, number)),
                ParsedLine::Line(line) => self.add(IndexedKey { line, source, number }),
            }
        }
        if let Some(last) = bytes.last() {
            self.sources[source].ends_clean = *last == b'\n';
            self.sources[source].len += bytes.len() as u64;
        }
    }

    fn add(&mut self, mut entry: IndexedKey) {
        if let Some(last) = self.entries.last() {
            share(&mut entry.line.key_type, &last.line.key_type);
        }
        let id = self.entries.len();
        if !matches!(entry.line.names, HostPatterns::Plain(_)) {
            self.by_key.entry(entry.line.key.clone()).or_default().push(id);
        }
        match &entry.line.names {
            HostPatterns::Plain(names) => {
                for name in names {
                    self.by_name.entry(name.clone()).or_default().push(id);
                }
            }
            HostPatterns::Patterns(_) => self.patterned.push(id),
            HostPatterns::Hashed(_) => {
                self.hashed.push(id);
                lock(&self.hashed_found).clear();
            }
        }
        self.entries.push(entry);
    }

    /// The lines of these names that hold this key. Costs the same however many lines there are, unless many with hashed
    /// names or patterns share the key.
    pub(super) fn with_key<'a>(&'a self, targets: &'a [&str], key: &'a str) -> impl Iterator<Item = &'a IndexedKey> {
        let plain = targets.iter().filter_map(|&target| self.by_name.get(target)).flatten();
        let others = self.by_key.get(key).into_iter().flatten();
        let others = others.filter(|&&id| targets.iter().any(|target| self.entries[id].line.names.matches(target)));
        plain.chain(others).map(|&id| &self.entries[id]).filter(move |entry| *entry.line.key == *key)
    }

    /// The lines of a name, in the files' order. Costs an HMAC for each hashed line, the first time a name is asked
    /// for.
    pub(super) fn with_name(&self, target: &str) -> Vec<&IndexedKey> {
        let mut ids = self.by_name.get(target).map_or_else(Vec::new, |ids| ids.to_vec());
        ids.extend(self.patterned.iter().filter(|&&id| self.entries[id].line.names.matches(target)));
        ids.extend(self.hashed_with_name(target));
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().map(|id| &self.entries[id]).collect()
    }

    fn hashed_with_name(&self, target: &str) -> Vec<usize> {
        if self.hashed.is_empty() {
            return Vec::new();
        }
        if let Some(found) = lock(&self.hashed_found).get(target) {
            return found.clone();
        }
        let found: Vec<usize> =
            self.hashed.iter().copied().filter(|&id| self.entries[id].line.names.matches(target)).collect();
        lock(&self.hashed_found).insert(target.to_owned(), found.clone());
        found
    }

    /// Lines whose names are hashed.
    #[cfg(test)]
    pub(super) fn hashed_lines(&self) -> usize {
        self.hashed.len()
    }

    /// Where an entry stands.
    pub(super) fn place(&self, entry: &IndexedKey) -> (PathBuf, usize) {
        (self.sources[entry.source].path.clone(), entry.number)
    }

    /// The types that host key lines among `entries` hold, once each.
    pub(super) fn types(entries: &[&IndexedKey]) -> Vec<String> {
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
