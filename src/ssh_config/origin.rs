//! Where a setting of `ssh_config` was said.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a setting was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// By an `-o` option.
    Option,
    /// In a file.
    Line {
        /// The file.
        file: Arc<Path>,
        /// Its line, from 1.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option => f.write_str("command line"),
            Self::Line { file, line } => write!(f, "{}:{line}", file.display()),
        }
    }
}

/// A setting as it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLine {
    /// The keyword as the manual spells it.
    pub keyword: &'static str,
    /// Its value as it stands there.
    pub value: String,
    /// Where.
    pub origin: Origin,
}
