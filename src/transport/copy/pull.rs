//! Copying files from a node.
//!
//! A file is received under another name beside its own. Only what has arrived whole, to the byte, gets its name, by a
//! rename; what a cut left is gone on with by whoever comes after it.

use std::collections::HashMap;
use std::path::Path;

use futures_lite::future;

use super::list::{Listing, RemoteEntry, RemoteKind};
use super::local::{LocalEntry, LocalTree, words};
use super::pull_state::{PullState, sum};
use super::receive::ReceiveResult;
use super::{CopyEnd, CopyLimits, refused};
use crate::outcome::change::{Change, ChangeKind};
use crate::plan::pull::PullSource;
use crate::plan::script::copy::CopyAnswers;
use crate::plan::script::pull as node;
use crate::transport::session::Session;

/// Times that a file is received which changes meanwhile.
const TRIES: usize = 2;
/// Why a file that has all its bytes is received again.
const CHANGED: &str = "it changed while it was read";
/// Files whose checksums are asked for at once.
const SUMS: usize = 200;
/// Bytes that may have arrived before their checksums are asked for.
const HEAP: u64 = 64 << 20;

/// A file that is here under its other name.
struct ReceivedFile {
    n: usize,
    sum: String,
    /// A part that was there was gone on with.
    went_on: bool,
}

impl Session {
    /// Copies files from the node.
    pub(super) async fn pull_all(
        &mut self,
        (sources, dirs): (&[PullSource], bool),
        dir: &Path,
        limits: CopyLimits<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<(), CopyEnd> {
        let tree =
            LocalTree::open(dir).map_err(|error| CopyEnd::Local(format!("`{}`: {}", dir.display(), words(&error))))?;
        let (sources, unmatched) = self.spread(sources, limits).await?;
        let Listing { mut found, denied } = self.list_sources(&sources, dirs, limits).await?;
        changes.extend(unmatched.into_iter().chain(denied).map(|(path, why)| refused(path, why)));
        let mut state = PullState { tree: &tree, dir, found: HashMap::new(), changes };
        let mut made = Vec::new();
        let mut alike = Vec::new();
        let mut todo = Vec::new();
        for (n, one) in found.iter().enumerate() {
            if n % 100 == 99 {
                future::yield_now().await;
            }
            let RemoteKind::File(size) = one.kind else {
                match tree.make(&one.name) {
                    Ok(new) => made.push((n, new)),
                    Err(error) => state.fail(one, &error)?,
                }
                continue;
            };
            match tree.look(&one.name) {
                Ok(LocalEntry::Dir) => state.deny(one, "Is a directory"),
                Ok(LocalEntry::File { size: known, .. }) if known == size && !one.is_virtual => alike.push(n),
                Ok(seen) => todo.push(state.wanted(n, seen == LocalEntry::Nothing)),
                Err(error) => state.fail(one, &error)?,
            }
        }
        for some in alike.chunks(SUMS) {
            let mut answers = self.sums(&found, some.iter().copied(), limits).await?;
            for &n in some {
                if !state.is_same(&found[n], sum_of(&mut answers, n), limits).await? {
                    todo.push(state.wanted(n, false));
                }
            }
        }
        todo.sort_unstable();
        limits.progress.expect(todo.iter().map(|&n| found[n].size()).sum());
        for attempt in 1..=TRIES {
            let mut again = Vec::new();
            let mut arrived: Vec<ReceivedFile> = Vec::new();
            let mut heap = 0;
            for &n in &todo {
                match self.fetch(&found[n], n, attempt == 1, &mut state, limits).await? {
                    FetchResult::Done(sum, went_on) => arrived.push(ReceivedFile { n, sum, went_on }),
                    FetchResult::Settled => {}
                    FetchResult::Short => again.push((n, "it became shorter while it was read")),
                }
                heap += found[n].size();
                if arrived.len() >= SUMS || heap >= HEAP {
                    let other = self.settle(&found, std::mem::take(&mut arrived), &mut state, limits).await?;
                    again.extend(other.into_iter().map(|n| (n, CHANGED)));
                    heap = 0;
                }
            }
            let other = self.settle(&found, arrived, &mut state, limits).await?;
            again.extend(other.into_iter().map(|n| (n, CHANGED)));
            todo = Vec::new();
            for (n, why) in again {
                if attempt == TRIES {
                    tree.forget(&found[n].name);
                    state.deny_there(&found[n], &format!("{why}, twice"));
                } else if self.refresh(&mut found[n], &mut state, limits).await? {
                    todo.push(n);
                }
            }
            limits.progress.expect(todo.iter().map(|&n| found[n].size()).sum());
        }
        // From the inside out: what is done in a directory changes its time.
        for (n, new) in made.into_iter().rev() {
            let one = &found[n];
            match tree.close(&one.name, one.mode, one.modified) {
                Ok(_) if new => state.say(one, ChangeKind::Created),
                Ok(other) => state.say(one, if other { ChangeKind::Written } else { ChangeKind::Present }),
                Err(error) => state.fail(one, &error)?,
            }
        }
        Ok(())
    }

    /// Looks at everything that is to be copied.
    async fn list_sources(
        &mut self,
        sources: &[PullSource],
        dirs: bool,
        limits: CopyLimits<'_>,
    ) -> Result<Listing, CopyEnd> {
        if limits.sudo.is_some() {
            return self.walk(sources, dirs, limits).await;
        }
        self.with_sftp(limits, async |session, sftp, slot| session.list(sftp, sources, dirs, slot).await).await
    }

    /// Asks the node for the checksums of files.
    async fn sums(
        &mut self,
        found: &[RemoteEntry],
        files: impl Iterator<Item = usize>,
        limits: CopyLimits<'_>,
    ) -> Result<CopyAnswers, CopyEnd> {
        let files = files.map(|n| (n, found[n].path.as_str(), found[n].size()));
        let script = node::sums(files);
        self.ask(script, limits).await
    }

    /// Receives one file under its other name.
    async fn fetch(
        &mut self,
        one: &RemoteEntry,
        n: usize,
        go_on: bool,
        state: &mut PullState<'_>,
        limits: CopyLimits<'_>,
    ) -> Result<FetchResult, CopyEnd> {
        // An empty file may be one whose size says nothing.
        let size = Some(one.size()).filter(|&size| size > 0 && !one.is_virtual);
        let mut part = match state.tree.part(&one.name, go_on && size.is_some(), one.size()) {
            Ok(part) => part,
            Err(error) => return state.fail(one, &error).map(|()| FetchResult::Settled),
        };
        limits.progress.spare(part.have);
        let received = self.receive(&one.path, &mut part.file, part.have, size, limits).await?;
        let failed = match received {
            ReceiveResult::Whole(count) => {
                let is_unsized = size.is_none() && count > 0 && self.has_no_size(one, limits).await?;
                if is_unsized || size.is_some() || count == 0 {
                    match sum(part.file, limits).await? {
                        Ok(sum) if is_unsized || one.is_virtual => {
                            state.finish_unsized(n, one, (count, sum), limits).await?;
                            return Ok(FetchResult::Settled);
                        }
                        Ok(sum) => return Ok(FetchResult::Done(sum, part.have > 0)),
                        Err(error) => Err(error),
                    }
                } else {
                    // It grew meanwhile: it is copied as it was at the beginning.
                    match part.file.set_len(0) {
                        Ok(()) => match sum(part.file, limits).await? {
                            Ok(sum) => return Ok(FetchResult::Done(sum, false)),
                            Err(error) => Err(error),
                        },
                        Err(error) => Err(error),
                    }
                }
            }
            ReceiveResult::Short => return Ok(FetchResult::Short),
            ReceiveResult::Refused(said) => Ok(said),
            ReceiveResult::Local(error) => Err(error),
        };
        // What is there makes room for somebody else.
        state.tree.forget(&one.name);
        match failed {
            Ok(said) => state.deny_there(one, &said),
            Err(error) => state.fail(one, &error)?,
        }
        Ok(FetchResult::Settled)
    }

    /// Whether a file that gave bytes says even now that it has none.
    async fn has_no_size(&mut self, one: &RemoteEntry, limits: CopyLimits<'_>) -> Result<bool, CopyEnd> {
        if one.is_virtual {
            return Ok(true);
        }
        Ok(self.look_again_at(one, limits).await?.is_ok_and(|now| now.size() == 0))
    }

    /// Looks at a file once more; otherwise why it is none any more.
    async fn look_again_at(
        &mut self,
        one: &RemoteEntry,
        limits: CopyLimits<'_>,
    ) -> Result<Result<RemoteEntry, String>, CopyEnd> {
        let (path, name) = (one.path.clone(), one.name.clone());
        let now = if limits.sudo.is_some() {
            let source = PullSource { path, name, pattern: false };
            let Listing { mut found, mut denied } = self.walk(&[source], false, limits).await?;
            found.pop().ok_or_else(|| denied.pop().map_or_else(|| "the node gave no answer".to_owned(), |(_, why)| why))
        } else {
            let look = self.with_sftp(limits, async |session, sftp, _| session.look_again(sftp, &one.path).await);
            match look.await? {
                Ok(stat) => RemoteEntry::new(path, name, &stat).map_err(|(_, why)| why),
                Err(said) => Err(said),
            }
        };
        Ok(match now {
            Ok(RemoteEntry { kind: RemoteKind::Dir, .. }) => Err("it became a directory while it was read".to_owned()),
            now => now,
        })
    }

    /// Gives their names to those that are what the node has. Returns the others.
    async fn settle(
        &mut self,
        found: &[RemoteEntry],
        arrived: Vec<ReceivedFile>,
        state: &mut PullState<'_>,
        limits: CopyLimits<'_>,
    ) -> Result<Vec<usize>, CopyEnd> {
        let mut again = Vec::new();
        if arrived.is_empty() {
            return Ok(again);
        }
        let mut answers = self.sums(found, arrived.iter().map(|one| one.n), limits).await?;
        for ReceivedFile { n, sum, went_on } in arrived {
            let is_right = match sum_of(&mut answers, n) {
                Some(theirs) => theirs == sum,
                // Nobody can tell whether what was there already is the beginning of the same file.
                None => !went_on,
            };
            if is_right {
                state.finish(n, &found[n])?;
            } else {
                again.push(n);
            }
        }
        Ok(again)
    }

    /// Looks at a file again that was another one than before. False where it is none any more.
    async fn refresh(
        &mut self,
        one: &mut RemoteEntry,
        state: &mut PullState<'_>,
        limits: CopyLimits<'_>,
    ) -> Result<bool, CopyEnd> {
        let why = match self.look_again_at(one, limits).await? {
            Ok(now) => {
                *one = RemoteEntry { is_virtual: one.is_virtual, ..now };
                return Ok(true);
            }
            Err(why) => why,
        };
        state.tree.forget(&one.name);
        state.deny_there(one, &why);
        Ok(false)
    }
}

/// What became of a file that was received.
enum FetchResult {
    /// It is here, with this checksum; true where a part that was there was gone on with.
    Done(String, bool),
    /// Nothing more has to be done about it.
    Settled,
    /// It ended before it should have.
    Short,
}

/// What the node says is the checksum of a file, where it can.
fn sum_of(answers: &mut CopyAnswers, n: usize) -> Option<String> {
    answers.remove(&n).map(|answer| answer.rest).filter(|sum| !sum.is_empty())
}
