//! What is known of an order to copy files from a node while it is carried out, and what became of each file here.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use super::list::RemoteEntry;
use super::local::{self, LocalEntry, LocalTree, words};
use super::{CopyEnd, CopyLimits, refused};
use crate::cancel::{Raced, race};
use crate::outcome::change::{Change, ChangeKind};

/// Said of a file whose size is unknown.
const UNSIZED: &str = "has no size; read to its end, without a checksum";

/// What is known of an order while it is carried out.
pub(super) struct PullState<'a> {
    pub(super) tree: &'a LocalTree,
    pub(super) dir: &'a Path,
    /// What a file will have become, once it is here.
    pub(super) found: HashMap<usize, ChangeKind>,
    pub(super) changes: &'a mut Vec<Change>,
}

impl PullState<'_> {
    fn path(&self, one: &RemoteEntry) -> String {
        self.dir.join(&one.name).display().to_string()
    }

    /// Remembers what a file will have become.
    pub(super) fn wanted(&mut self, n: usize, new: bool) -> usize {
        self.found.insert(n, if new { ChangeKind::Created } else { ChangeKind::Written });
        n
    }

    pub(super) fn say(&mut self, one: &RemoteEntry, action: ChangeKind) {
        self.changes.push(self.change(one, action));
    }

    fn change(&self, one: &RemoteEntry, action: ChangeKind) -> Change {
        Change { path: self.path(one), action, note: None }
    }

    /// Something about its place here.
    pub(super) fn deny(&mut self, one: &RemoteEntry, why: &str) {
        self.changes.push(refused(self.path(one), format!("on this machine: {why}")));
    }

    /// Something about the file on the node.
    pub(super) fn deny_there(&mut self, one: &RemoteEntry, why: &str) {
        self.changes.push(refused(one.path.clone(), why));
    }

    /// An error of this machine: it is about this file, or ends it all.
    pub(super) fn fail(&mut self, one: &RemoteEntry, error: &io::Error) -> Result<(), CopyEnd> {
        if local::is_final(error) {
            return Err(CopyEnd::Local(format!("`{}`: {}", self.path(one), words(error))));
        }
        self.deny(one, &words(error));
        Ok(())
    }

    /// Whether the file that is here is the one that the node has, whose checksum this is; then it gets its mode and time.
    pub(super) async fn is_same(
        &mut self,
        one: &RemoteEntry,
        theirs: Option<String>,
        limits: CopyLimits<'_>,
    ) -> Result<bool, CopyEnd> {
        let Ok(LocalEntry::File { mode, modified, .. }) = self.tree.look(&one.name) else { return Ok(false) };
        let labelled = (mode, modified) == (one.mode, one.modified);
        let is_same = match (theirs, self.tree.read(&one.name)) {
            (Some(theirs), Ok(file)) => sum(file, limits).await?.is_ok_and(|ours| ours == theirs),
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

    /// Gives a file its name of which nobody knows how long it should be.
    pub(super) async fn finish_unsized(
        &mut self,
        n: usize,
        one: &RemoteEntry,
        (count, ours): (u64, String),
        limits: CopyLimits<'_>,
    ) -> Result<(), CopyEnd> {
        let known = match (self.tree.look(&one.name), self.tree.read(&one.name)) {
            (Ok(LocalEntry::File { size, .. }), Ok(file)) if size == count => sum(file, limits).await?.ok(),
            _ => None,
        };
        if known.is_some_and(|known| known == ours) {
            self.tree.forget(&one.name);
            self.changes.push(Change { note: Some(UNSIZED.to_owned()), ..self.change(one, ChangeKind::Same) });
            return Ok(());
        }
        let before = self.changes.len();
        self.finish(n, one)?;
        if let Some(change) = self.changes.get_mut(before).filter(|change| change.action.is_change()) {
            change.note = Some(UNSIZED.to_owned());
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, n: usize, one: &RemoteEntry) -> Result<(), CopyEnd> {
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

/// The checksum of a file here, off the shard.
pub(super) async fn sum(file: fs::File, limits: CopyLimits<'_>) -> Result<io::Result<String>, CopyEnd> {
    match race(blocking::unblock(move || local::sum(file)), limits.deadline, limits.cancel).await {
        Raced::Done(sum) => Ok(sum),
        Raced::Late => Err(CopyEnd::Late),
        Raced::Cancelled => Err(CopyEnd::Cancelled),
    }
}
