//! What there is to copy from a node: a look at its tree over SFTP, before anything of it is read.
//!
//! What the server says is not to be trusted: a name must be one part of a path, and there is an end to depth and number.

use std::path::Path;

use ssh2::{ErrorCode, File, FileStat, Sftp};

use super::CopyEnd;
use crate::plan::pull::PullSource;
use crate::transport::session::{Keepalives, Session};

/// Directories in each other.
const DEEPEST: usize = 100;
/// Files and directories of one host: what is known of them is held in memory.
pub(super) const MOST: usize = 200_000;
/// libssh2's word for the end of a directory.
const NO_MORE: i32 = -16;
/// The bits of a mode that tell what a file is, and their values.
const KIND: u32 = 0o170_000;
const IS_DIR: u32 = 0o040_000;
const IS_FILE: u32 = 0o100_000;
const IS_LINK: u32 = 0o120_000;

/// One file or directory on a node.
#[derive(Debug, Clone)]
pub(super) struct RemoteEntry {
    /// Its path there.
    pub(super) path: String,
    /// Its path under the directory here.
    pub(super) name: String,
    pub(super) kind: RemoteKind,
    /// Permission bits. Who a program runs as is not for a node to say.
    pub(super) mode: u32,
    /// When it was last changed, in seconds.
    pub(super) modified: i64,
    /// Its size says nothing: it is made when it is read, as in /proc and /sys.
    pub(super) is_virtual: bool,
}

/// What something on a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RemoteKind {
    Dir,
    /// A file of so many bytes.
    File(u64),
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Each directory before what is in it.
    pub(super) found: Vec<RemoteEntry>,
    /// Paths that cannot be copied, and why.
    pub(super) denied: Vec<(String, String)>,
}

impl Session {
    /// Looks at everything that is to be copied, where the login user may.
    pub(super) async fn list(
        &self,
        sftp: &Sftp,
        sources: &[PullSource],
        all: bool,
        slot: &mut Option<File>,
    ) -> Result<Listing, CopyEnd> {
        let mut keepalives = self.keepalives();
        let mut listing = Listing::default();
        for source in sources {
            let mut dirs = Vec::new();
            let is_virtual = self.is_virtual(sftp, &source.path, &mut keepalives).await?;
            match self.with_keepalives(&mut keepalives, || sftp.stat(Path::new(&source.path))).await? {
                Ok(stat) if !all && stat.perm.is_some_and(|perm| perm & KIND == IS_DIR) => {
                    listing.denied.push((source.path.clone(), "is a directory".to_owned()));
                }
                Ok(stat) => {
                    listing.take((source.path.clone(), source.name.clone()), is_virtual, &stat, &mut dirs);
                }
                Err(said) => listing.denied.push((source.path.clone(), said)),
            }
            while let Some((path, name)) = dirs.pop() {
                if name.matches('/').count() >= DEEPEST {
                    listing.denied.push((path, format!("more than {DEEPEST} directories in each other")));
                    continue;
                }
                self.list_dir(sftp, (&path, &name), is_virtual, &mut keepalives, &mut dirs, &mut listing, slot).await?;
            }
        }
        Ok(listing)
    }

    #[expect(clippy::too_many_arguments, reason = "one level of a walk")]
    async fn list_dir(
        &self,
        sftp: &Sftp,
        (path, name): (&str, &str),
        is_virtual: bool,
        keepalives: &mut Keepalives,
        dirs: &mut Vec<(String, String)>,
        listing: &mut Listing,
        slot: &mut Option<File>,
    ) -> Result<(), CopyEnd> {
        let dir = match self.with_keepalives(keepalives, || sftp.opendir(Path::new(path))).await? {
            Ok(dir) => slot.insert(dir),
            Err(said) => {
                listing.denied.push((path.to_owned(), said));
                return Ok(());
            }
        };
        let mut entries = Vec::new();
        loop {
            let entry = self.with_keepalives(keepalives, || match dir.readdir() {
                Err(error) if error.code() == ErrorCode::Session(NO_MORE) => Ok(None),
                entry => entry.map(Some),
            });
            match entry.await? {
                Ok(None) => break,
                Ok(Some((entry, _))) if entry == Path::new(".") || entry == Path::new("..") => {}
                Ok(Some(entry)) => entries.push(entry),
                Err(said) => {
                    listing.denied.push((path.to_owned(), said));
                    break;
                }
            }
            if listing.found.len() + entries.len() > MOST {
                return Err(CopyEnd::TooMany(MOST));
            }
        }
        // A directory that does not close is as good as one that does.
        let _ = self.with_keepalives(keepalives, || dir.close()).await?;
        *slot = None;
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        let mut inside = Vec::new();
        for (entry, stat) in entries {
            let Some(entry) = entry.to_str() else {
                listing.denied.push((format!("{path}/{}", entry.display()), "its name is not UTF-8".to_owned()));
                continue;
            };
            let (path, name) = (format!("{path}/{entry}"), format!("{name}/{entry}"));
            if entry.is_empty() || entry == "." || entry == ".." || entry.contains(['/', '\0']) {
                listing.denied.push((path, "the node says that this is the name of a file".to_owned()));
                continue;
            }
            if stat.perm.is_none_or(|perm| perm & KIND != IS_LINK) {
                listing.take((path, name), is_virtual, &stat, &mut inside);
                continue;
            }
            match self.with_keepalives(keepalives, || sftp.stat(Path::new(&path))).await? {
                Ok(stat) if stat.perm.is_some_and(|perm| perm & KIND == IS_DIR) => {
                    listing.denied.push((path, "is a link to a directory; name that itself".to_owned()));
                }
                Ok(stat) => {
                    let is_virtual = self.is_virtual(sftp, &path, keepalives).await?;
                    listing.take((path, name), is_virtual, &stat, &mut inside);
                }
                Err(said) => listing.denied.push((path, format!("is a link to something else: {said}"))),
            }
        }
        inside.reverse();
        dirs.extend(inside);
        Ok(())
    }

    /// Whether a path leads to where sizes say nothing. A server that does not say where it leads has no such place.
    async fn is_virtual(&self, sftp: &Sftp, path: &str, keepalives: &mut Keepalives) -> Result<bool, CopyEnd> {
        let real = self.with_keepalives(keepalives, || sftp.realpath(Path::new(path))).await?;
        Ok(real.is_ok_and(|real| real.starts_with("/proc") || real.starts_with("/sys")))
    }

    /// Looks at one file again.
    pub(super) async fn look_again(&self, sftp: &Sftp, path: &str) -> Result<Result<FileStat, String>, CopyEnd> {
        self.with_keepalives(&mut self.keepalives(), || sftp.stat(Path::new(path))).await
    }
}

impl Listing {
    fn take(
        &mut self,
        (path, name): (String, String),
        is_virtual: bool,
        stat: &FileStat,
        dirs: &mut Vec<(String, String)>,
    ) {
        match RemoteEntry::new(path, name, stat) {
            Ok(mut found) => {
                found.is_virtual = is_virtual;
                if found.kind == RemoteKind::Dir {
                    dirs.push((found.path.clone(), found.name.clone()));
                }
                self.found.push(found);
            }
            Err(denied) => self.denied.push(denied),
        }
    }
}

impl RemoteEntry {
    /// What a look at it says; otherwise its path, and why it cannot be copied.
    pub(super) fn new(path: String, name: String, stat: &FileStat) -> Result<Self, (String, String)> {
        let modified = i64::try_from(stat.mtime.unwrap_or_default()).unwrap_or_default();
        Self::of(path, name, stat.perm.unwrap_or_default(), stat.size, modified)
    }

    /// The same of what stat(2) says.
    pub(super) fn of(
        path: String,
        name: String,
        mode: u32,
        size: Option<u64>,
        modified: i64,
    ) -> Result<Self, (String, String)> {
        let kind = match (mode & KIND, size) {
            (IS_DIR, _) => RemoteKind::Dir,
            (IS_FILE, Some(size)) => RemoteKind::File(size),
            _ => return Err((path, "is neither a file nor a directory".to_owned())),
        };
        Ok(Self { path, name, kind, mode: mode & 0o777, modified, is_virtual: false })
    }

    /// Bytes of a file.
    pub(super) fn size(&self) -> u64 {
        match self.kind {
            RemoteKind::Dir => 0,
            RemoteKind::File(size) => size,
        }
    }
}
