//! Errors in `ssh_config` files and options, and settings that cannot be honoured.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::keywords;
use super::origin::Origin;

/// What is wrong with a file or an option. Nothing has been contacted: exit status 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named, or is there, cannot be read.
    #[error("ssh config `{}`: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file in another encoding than ssh reads.
    #[error("ssh config `{}` is in UTF-16, or no text: ssh reads UTF-8", file.display())]
    Encoding {
        /// The file.
        file: PathBuf,
    },
    /// Others could write the user's own file.
    #[error("ssh config `{}` has mode {mode:03o} or another owner: others could write it", file.display())]
    Permissions {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line says what cannot be understood.
    #[error("ssh config `{}`, line {line}: {message}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// An `-o` option is wrong, or cannot be honoured.
    #[error("ssh option `{option}`: {message}")]
    Option {
        /// The option as given.
        option: String,
        /// What is wrong.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
}

impl ConfigError {
    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Permissions { file, .. } => Some(format!("chmod 600 {}", file.display())),
            Self::Encoding { file } => {
                let file = crate::plan::quote::quote(&file.display().to_string());
                Some(format!("iconv -f UTF-16 -t UTF-8 {file}"))
            }
            Self::Option { hint, .. } => hint.clone(),
            Self::Unreadable { .. } | Self::Line { .. } => None,
        }
    }
}

/// Something in a file that is meant for a host, and that gsctl cannot give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhonoured {
    /// The keyword as the manual spells it.
    pub keyword: String,
    /// Its value as it stands in the file.
    pub value: String,
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
}

impl Unhonoured {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        keywords::hint(&self.keyword)
    }
}

/// A line under which no connection to its hosts can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impossible {
    /// Where it stands.
    pub origin: Origin,
    /// Why.
    pub message: String,
    /// The way out, where there is one.
    pub hint: Option<String>,
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Option => write!(f, "ssh option: {}", self.message),
            Origin::Line { file, line } => write!(f, "ssh config `{}`, line {line}: {}", file.display(), self.message),
        }
    }
}
