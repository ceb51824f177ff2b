//! Copying files from a node.
//!
//! A file is received under another name beside its own. Only what has arrived whole, to the byte, gets its name, by a
//! rename; what a cut left is gone on with by whoever comes after it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use futures_lite::future;

use super::super::session::Session;
use super::list::{Found, Kind, Listing};
use super::local::{self, Seen, Tree, words};
use super::receive::Received;
use super::{Bounds, Ending, denied};
use crate::control::{Raced, race};
use crate::outcome::{Change, ChangeKind};
use crate::plan::pull::Source;
use crate::plan::script::copy::Answers;
use crate::plan::script::pull as node;

/// Times that a file is received which changes meanwhile.
const TRIES: usize = 2;
/// Files whose checksums are asked for at once.
const SUMS: usize = 200;
/// Bytes that may have arrived before their checksums are asked for.
const HEAP: u64 = 64 << 20;

/// A file that is here under its other name.
struct Arrived {
    n: usize,
    sum: String,
    /// A part that was there was gone on with.
    went_on: bool,
}

impl Session {
    /// Copies files from the node.
    pub(super) async fn pull_all(
        &mut self,
        (sources, dirs): (&[Source], bool),
        dir: &Path,
        bounds: Bounds<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<(), Ending> {
        let tree = Tree::open(dir).map_err(|error| Ending::Local(format!("`{}`: {}", dir.display(), words(&error))))?;
        let listing = self.with_sftp(bounds, async |session, sftp, slot| session.list(sftp, sources, dirs, slot).await);
        let Listing { mut found, denied: refused } = listing.await?;
        changes.extend(refused.into_iter().map(|(path, why)| denied(path, why)));
        let mut round = Round { tree: &tree, dir, found: HashMap::new(), changes };
        let mut made = Vec::new();
        let mut alike = Vec::new();
        let mut todo = Vec::new();
        for (n, one) in found.iter().enumerate() {
            if n % 100 == 99 {
                future::yield_now().await;
            }
            let Kind::File(size) = one.kind else {
                match tree.make(&one.name) {
                    Ok(new) => made.push((n, new)),
                    Err(error) => round.fail(one, &error)?,
                }
                continue;
            };
            match tree.look(&one.name) {
                Ok(Seen::Dir) => round.deny(one, "Is a directory"),
                Ok(Seen::File { size: known, .. }) if known == size => alike.push(n),
                Ok(seen) => todo.push(round.wanted(n, seen == Seen::Nothing)),
                Err(error) => round.fail(one, &error)?,
            }
        }
        for some in alike.chunks(SUMS) {
            let mut answers = self.sums(&found, some.iter().copied(), bounds).await?;
            for &n in some {
                if !round.is_same(&found[n], sum_of(&mut answers, n), bounds).await? {
                    todo.push(round.wanted(n, false));
                }
            }
        }
        todo.sort_unstable();
        bounds.tally.expect(todo.iter().map(|&n| found[n].size()).sum());
        for attempt in 1..=TRIES {
            let mut again = Vec::new();
            let mut arrived: Vec<Arrived> = Vec::new();
            let mut heap = 0;
            for &n in &todo {
                match self.fetch(&found[n], attempt == 1, &mut round, bounds).await? {
                    Fetched::Done(sum, went_on) => arrived.push(Arrived { n, sum, went_on }),
                    Fetched::Denied => {}
                    Fetched::Again => again.push(n),
                }
                heap += found[n].size();
                if arrived.len() >= SUMS || heap >= HEAP {
                    again.extend(self.settle(&found, std::mem::take(&mut arrived), &mut round, bounds).await?);
                    heap = 0;
                }
            }
            again.extend(self.settle(&found, arrived, &mut round, bounds).await?);
            todo = Vec::new();
            for n in again {
                if attempt == TRIES {
                    tree.forget(&found[n].name);
                    round.deny_there(&found[n], "it changed while it was read, twice");
                } else if self.refresh(&mut found[n], &mut round, bounds).await? {
                    todo.push(n);
                }
            }
            bounds.tally.expect(todo.iter().map(|&n| found[n].size()).sum());
        }
        // From the inside out: what is done in a directory changes its time.
        for (n, new) in made.into_iter().rev() {
            let one = &found[n];
            match tree.close(&one.name, one.mode, one.modified) {
                Ok(_) if new => round.say(one, ChangeKind::Created),
                Ok(other) => round.say(one, if other { ChangeKind::Written } else { ChangeKind::Present }),
                Err(error) => round.fail(one, &error)?,
            }
        }
        Ok(())
    }

    /// Asks the node for the checksums of files.
    async fn sums(
        &mut self,
        found: &[Found],
        files: impl Iterator<Item = usize>,
        bounds: Bounds<'_>,
    ) -> Result<Answers, Ending> {
        let files = files.map(|n| (n, found[n].path.as_str(), found[n].size()));
        let script = node::sums(files);
        self.ask(script, bounds).await
    }

    /// Receives one file under its other name.
    async fn fetch(
        &mut self,
        one: &Found,
        go_on: bool,
        round: &mut Round<'_>,
        bounds: Bounds<'_>,
    ) -> Result<Fetched, Ending> {
        let mut part = match round.tree.part(&one.name, go_on, one.size()) {
            Ok(part) => part,
            Err(error) => return round.fail(one, &error).map(|()| Fetched::Denied),
        };
        bounds.tally.spare(part.have);
        let received = self.receive(&one.path, &mut part.file, part.have, one.size(), bounds).await?;
        match received {
            Received::Whole => match sum(part.file, bounds).await? {
                Ok(sum) => return Ok(Fetched::Done(sum, part.have > 0)),
                Err(error) => round.fail(one, &error)?,
            },
            Received::Short => return Ok(Fetched::Again),
            Received::Refused(said) => {
                round.tree.forget(&one.name);
                round.deny_there(one, &said);
            }
            Received::Local(error) => {
                // What is there makes room for somebody else.
                round.tree.forget(&one.name);
                round.fail(one, &error)?;
            }
        }
        Ok(Fetched::Denied)
    }

    /// Gives their names to those that are what the node has. Returns the others.
    async fn settle(
        &mut self,
        found: &[Found],
        arrived: Vec<Arrived>,
        round: &mut Round<'_>,
        bounds: Bounds<'_>,
    ) -> Result<Vec<usize>, Ending> {
        let mut again = Vec::new();
        if arrived.is_empty() {
            return Ok(again);
        }
        let mut answers = self.sums(found, arrived.iter().map(|one| one.n), bounds).await?;
        for Arrived { n, sum, went_on } in arrived {
            let is_right = match sum_of(&mut answers, n) {
                Some(theirs) => theirs == sum,
                // Nobody can tell whether what was there already is the beginning of the same file.
                None => !went_on,
            };
            if is_right {
                round.finish(n, &found[n])?;
            } else {
                again.push(n);
            }
        }
        Ok(again)
    }

    /// Looks at a file again that was another one than before. False where it is none any more.
    async fn refresh(&mut self, one: &mut Found, round: &mut Round<'_>, bounds: Bounds<'_>) -> Result<bool, Ending> {
        let path = one.path.clone();
        let look = self.with_sftp(bounds, async |session, sftp, _| session.look_again(sftp, &path).await);
        let why = match look.await? {
            Ok(stat) => match Found::new(one.path.clone(), one.name.clone(), &stat) {
                Ok(now) if matches!(now.kind, Kind::File(_)) => {
                    *one = now;
                    return Ok(true);
                }
                Ok(_) => "it became a directory while it was read".to_owned(),
                Err((_, why)) => why,
            },
            Err(said) => said,
        };
        round.tree.forget(&one.name);
        round.deny_there(one, &why);
        Ok(false)
    }
}

/// What became of a file that was received.
enum Fetched {
    /// It is here, with this checksum; true where a part that was there was gone on with.
    Done(String, bool),
    Denied,
    /// It ended before it should have.
    Again,
}

/// What the node says is the checksum of a file, where it can.
fn sum_of(answers: &mut Answers, n: usize) -> Option<String> {
    answers.remove(&n).map(|answer| answer.rest).filter(|sum| !sum.is_empty())
}

/// The checksum of a file here, off the shard.
async fn sum(file: fs::File, bounds: Bounds<'_>) -> Result<io::Result<String>, Ending> {
    match race(blocking::unblock(move || local::sum(file)), bounds.deadline, bounds.cancel).await {
        Raced::Done(sum) => Ok(sum),
        Raced::Late => Err(Ending::Late),
        Raced::Cancelled => Err(Ending::Cancelled),
    }
}

/// What is known of an order while it is carried out.
struct Round<'a> {
    tree: &'a Tree,
    dir: &'a Path,
    /// What a file will have become, once it is here.
    found: HashMap<usize, ChangeKind>,
    changes: &'a mut Vec<Change>,
}

impl Round<'_> {
    fn path(&self, one: &Found) -> String {
        self.dir.join(&one.name).display().to_string()
    }

    /// Remembers what a file will have become.
    fn wanted(&mut self, n: usize, new: bool) -> usize {
        self.found.insert(n, if new { ChangeKind::Created } else { ChangeKind::Written });
        n
    }

    fn say(&mut self, one: &Found, action: ChangeKind) {
        self.changes.push(Change { path: self.path(one), action, note: None });
    }

    /// Something about its place here.
    fn deny(&mut self, one: &Found, why: &str) {
        self.changes.push(denied(self.path(one), format!("on this machine: {why}")));
    }

    /// Something about the file on the node.
    fn deny_there(&mut self, one: &Found, why: &str) {
        self.changes.push(denied(one.path.clone(), why));
    }

    /// An error of this machine: it is about this file, or ends it all.
    fn fail(&mut self, one: &Found, error: &io::Error) -> Result<(), Ending> {
        if local::is_final(error) {
            return Err(Ending::Local(format!("`{}`: {}", self.path(one), words(error))));
        }
        self.deny(one, &words(error));
        Ok(())
    }

    /// Whether the file that is here is the one that the node has, whose checksum this is; then it gets its mode and time.
    async fn is_same(&mut self, one: &Found, theirs: Option<String>, bounds: Bounds<'_>) -> Result<bool, Ending> {
        let Ok(Seen::File { mode, modified, .. }) = self.tree.look(&one.name) else { return Ok(false) };
        let labelled = (mode, modified) == (one.mode, one.modified);
        let is_same = match (theirs, self.tree.read(&one.name)) {
            (Some(theirs), Ok(file)) => sum(file, bounds).await?.is_ok_and(|ours| ours == theirs),
            (None, _) => modified == one.modified,
            (Some(_), Err(_)) => false,
        };
        if !is_same {
            return Ok(false);
        }
        if labelled {
            self.say(one, ChangeKind::Same);
        } else {
            match self.tree.label(&one.name, one.mode, one.modified) {
                Ok(()) => self.say(one, ChangeKind::Written),
                Err(error) => self.fail(one, &error)?,
            }
        }
        Ok(true)
    }

    fn finish(&mut self, n: usize, one: &Found) -> Result<(), Ending> {
        match self.tree.finish(&one.name, one.mode, one.modified) {
            Ok(()) => {
                self.say(one, self.found.get(&n).copied().unwrap_or(ChangeKind::Written));
                Ok(())
            }
            Err(error) => {
                self.tree.forget(&one.name);
                self.fail(one, &error)
            }
        }
    }
}
