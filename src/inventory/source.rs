//! What one hosts file says, line by line, before it is resolved which of two values wins.
//!
//! Plain data: `file` makes it, `resolve` settles it.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::spec::Spec;

/// In the place of a value: there is none, and what a weaker place says does not count either. No file can say it in these
/// letters, as control characters are refused.
pub const NO_VALUE: &str = "\0";

/// One hosts file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostsSource {
    /// The file as the user named it.
    pub file: String,
    /// Lines that name hosts, in order.
    pub lines: Vec<HostLine>,
    /// Groups in the order in which the file first names them; `all` is among them if it has settings.
    pub groups: IndexMap<String, Group>,
    /// Those of its hosts that are meant where nobody names any, where it has others too.
    pub usual: Option<HashSet<String>>,
    /// What is not wrong, but perhaps not meant.
    pub warnings: Vec<String>,
}

/// A line that names hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostLine {
    /// Its number, from 1.
    pub line: usize,
    /// Index of the group that it stands in.
    pub group: Option<usize>,
    /// Its hosts, ranges expanded.
    pub specs: Vec<Spec>,
    /// Its settings; the user of the second column is one of them.
    pub settings: Vec<(String, String)>,
}

/// A group as the file tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// False while only `[GROUP:vars]` was seen.
    pub defined: bool,
    /// Where the file first names it: line and column.
    pub at: (usize, usize),
    /// Groups of which it has all members, each with line and column.
    pub children: Vec<(String, (usize, usize))>,
    /// Settings for its members.
    pub vars: Vec<Var>,
    /// How deep it stands below `all`, where a deeper group is meant to win; 0 by default.
    pub depth: usize,
}

/// A setting for all members of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Var {
    /// Name of the setting.
    pub key: String,
    /// Its value.
    pub value: String,
    /// The line, from 1.
    pub line: usize,
}
