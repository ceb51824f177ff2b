//! What the fleet did, line by line, and the numbers: the truth that reports are held against.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// One thing that was done. Written before it is done, so that no client can know more than the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deed {
    /// A connection was taken; the word of its fault, or `dropped`.
    Open(Option<String>),
    /// Somebody logged in.
    Login,
    /// A command began, with this process id.
    Begun(u32),
    /// Its result was told: the exit status, and how much it had printed.
    Told { pid: u32, status: u8, output: usize },
    /// The client was told that a signal killed it.
    Signal(u32),
    /// Its channel was closed without a result.
    Silent(u32),
    /// The connection was reset on purpose.
    Reset,
    /// A line of a shell that looks was answered.
    Looked,
    /// It was killed by another command.
    Killed(u32),
}

/// A line of the record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Number of the host.
    pub(crate) host: usize,
    /// Number of the connection to it, from 1.
    pub(crate) connection: u32,
    /// What was done.
    pub(crate) deed: Deed,
}

/// A number that goes up and down, and how far up it was.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    /// One more, until what this returns is dropped.
    pub(crate) fn enter(&self) -> Inside<'_> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Inside(self)
    }
}

/// One of those that a gauge counts.
#[derive(Debug)]
pub(crate) struct Inside<'a>(&'a Gauge);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The record of a fleet.
#[derive(Debug)]
pub(crate) struct Record {
    lines: Option<Mutex<BufWriter<File>>>,
    pub(crate) connections: Gauge,
    pub(crate) commands: Gauge,
    pub(crate) logins: AtomicUsize,
    pub(crate) told: AtomicUsize,
    looks: Mutex<Looks>,
}

/// Looks that were answered on channels that stay open for a wait.
#[derive(Debug, Default)]
struct Looks {
    count: usize,
    /// When each host was looked at last.
    latest: HashMap<usize, Instant>,
    /// The longest time between two looks at one host.
    longest: Duration,
}

impl Record {
    /// A record in this file, or of the numbers alone.
    pub(crate) fn new(path: Option<&Path>) -> io::Result<Self> {
        let lines = path.map(|path| File::create(path).map(|file| Mutex::new(BufWriter::new(file)))).transpose()?;
        Ok(Self {
            lines,
            connections: Gauge::default(),
            commands: Gauge::default(),
            logins: AtomicUsize::new(0),
            told: AtomicUsize::new(0),
            looks: Mutex::default(),
        })
    }

    /// Writes a line.
    pub(crate) fn put(&self, host: usize, connection: u32, deed: Deed) {
        match deed {
            Deed::Login => _ = self.logins.fetch_add(1, Ordering::SeqCst),
            Deed::Told { .. } => _ = self.told.fetch_add(1, Ordering::SeqCst),
            Deed::Looked => self.look(host),
            _ => {}
        }
        let Some(lines) = &self.lines else { return };
        let mut text = serde_json::to_vec(&Line { host, connection, deed }).expect("a deed is JSON");
        text.push(b'\n');
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.write_all(&text).expect("the record is writable");
    }

    /// A host was looked at.
    fn look(&self, host: usize) {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        looks.count += 1;
        if let Some(before) = looks.latest.insert(host, now) {
            looks.longest = looks.longest.max(now - before);
        }
    }

    /// Writes down what is kept.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.lines.as_ref().map_or(Ok(()), |lines| lines.lock().unwrap_or_else(PoisonError::into_inner).flush())
    }

    /// The numbers, as one line of JSON.
    pub(crate) fn numbers(&self) -> String {
        let most = |gauge: &Gauge| gauge.most.load(Ordering::SeqCst);
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::json!({
            "connections": self.connections.now.load(Ordering::SeqCst),
            "most_connections": most(&self.connections),
            "most_commands": most(&self.commands),
            "logins": self.logins.load(Ordering::SeqCst),
            "told": self.told.load(Ordering::SeqCst),
            "looks": looks.count,
            "longest_pause_ms": u64::try_from(looks.longest.as_millis()).unwrap_or(u64::MAX),
        })
        .to_string()
    }
}
