//! What can be wrong with a journal, in words. Never a panic: a journal is read after crashes and full disks.

use std::io;
use std::path::{Path, PathBuf};

/// Why a journal cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// A file or directory cannot be read.
    #[error("journal `{}`: {cause}", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// A file is not what gsctl writes.
    #[error("journal `{}`, line {line}, column {column}: {cause}", path.display())]
    Broken {
        /// Which one.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        cause: String,
    },
    /// Another version wrote it.
    #[error("journal `{}` is of the form `{found}`, not `{}`: another version of gsctl wrote it", path.display(), super::record::SCHEMA)]
    Schema {
        /// Which one.
        path: PathBuf,
        /// What it says it is.
        found: String,
    },
    /// There is no such run.
    #[error("there is no run `{run}`")]
    NoSuchRun {
        /// What was asked for.
        run: String,
    },
    /// It was killed, or still goes on.
    #[error("run `{run}` has no end, so nobody knows what became of its hosts")]
    Endless {
        /// Its id.
        run: String,
    },
    /// There is more than one.
    #[error("`{run}` begins the name of more than one run, `{first}` to `{last}`")]
    Several {
        /// What was asked for.
        run: String,
        /// The first that fits.
        first: String,
        /// The last that fits.
        last: String,
    },
    /// There is none at all.
    #[error("there is no run in the journal `{}`", dir.display())]
    Empty {
        /// Where it would be.
        dir: PathBuf,
    },
}

impl JournalError {
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let cause = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        Self::Unreadable { path: path.to_owned(), cause }
    }

    pub(super) fn broken(path: &Path, error: &serde_json::Error) -> Self {
        let cause = if error.is_eof() { "the file ends too early".to_owned() } else { error.to_string() };
        // serde_json says the place again behind its words.
        let cause = cause.split(" at line ").next().unwrap_or(&cause).to_owned();
        Self::Broken { path: path.to_owned(), line: error.line(), column: error.column(), cause }
    }

    /// The way out.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Endless { run } => Some(format!("`gsctl runs show {run}` tells how far it came")),
            Self::NoSuchRun { .. } | Self::Several { .. } => Some("`gsctl runs` lists all of them".to_owned()),
            Self::Broken { path, .. } | Self::Schema { path, .. } => {
                let dir = path.parent().unwrap_or(path);
                Some(format!("what the run did is still to be seen there; remove `{}` to forget it", dir.display()))
            }
            Self::Unreadable { .. } | Self::Empty { .. } => None,
        }
    }
}
