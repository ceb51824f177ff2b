//! Files that are copied to the nodes: what is known of them before anything is contacted.

use std::path::PathBuf;

use super::Template;
use super::exec_options::validate_user;
use super::quote::operand;

/// What is copied, and where to.
#[derive(Debug, Clone)]
pub struct Push {
    /// Files and directories, each directory before what is in it.
    pub copies: Vec<PushFile>,
    /// The path on the nodes.
    pub dest: Template,
    /// Always into `dest`, which is a directory or becomes one. Otherwise only if it is one.
    pub into: bool,
    /// Owner and group that files and new directories get, as chown(1) takes them; `None`: as they come.
    pub owner: Option<String>,
    /// As this user, through the node's sudo.
    pub sudo: Option<Template>,
    /// Only say what would change.
    pub check: Option<PushCheck>,
}

/// What is said about files that would change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushCheck {
    /// That they would.
    Names,
    /// Their differences, too.
    Differences,
}

/// One file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushFile {
    /// Where it is on this machine.
    pub local: PathBuf,
    /// Its path under the destination.
    pub name: String,
    /// What is in it.
    pub content: Content,
    /// Permission bits.
    pub mode: u32,
    /// When it was last changed, in seconds.
    pub modified: i64,
}

/// What is in a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Other copies.
    Dir,
    /// Bytes.
    File {
        /// How many.
        size: u64,
        /// Their SHA-256, in hexadecimal.
        sha256: String,
        /// The same of name and content: the beginning of what the file is called on the node until it is whole.
        tag: String,
    },
}

/// Where a copy goes on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushPlace {
    /// Its path.
    pub path: String,
    /// What it is called until it is whole; empty for a directory.
    pub part: String,
}

/// Whose the parts of files are that a run leaves on nodes: a part has one writer.
#[derive(Debug, Clone, Default)]
pub struct PartWriter {
    /// The run.
    pub run: String,
    /// Earlier runs that have ended, and may have left parts that this one goes on with.
    pub ended: Vec<String>,
}

impl PartWriter {
    /// The writer on one of the run's hosts: two of them may be one node.
    #[must_use]
    pub fn on(&self, host: usize) -> String {
        format!("{}-{host}", self.run)
    }
}

/// Permission bits in octal, as chmod(1) takes them: `0640`, `755`, `0o644`.
#[must_use]
pub fn read_mode(text: &str) -> Option<u32> {
    let mode = u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8).ok()?;
    (mode <= 0o7777 && text.len() >= 3).then_some(mode)
}

/// Whether this is `USER` or `USER:GROUP`.
///
/// # Errors
/// What is expected.
pub fn validate_owner(text: &str) -> Result<(), String> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    for name in [Some(user), group].into_iter().flatten() {
        validate_user(name).map_err(|_| format!("`{text}` is no owner: write USER or USER:GROUP"))?;
    }
    Ok(())
}

impl Push {
    /// Copies of these sources, each of them a file, or a directory and what is in it.
    ///
    /// # Errors
    /// The name that two of them would have.
    pub fn new(sources: Vec<Vec<PushFile>>, dest: Template, ends_with_slash: bool) -> Result<Self, String> {
        let mut names = std::collections::HashSet::new();
        for copy in sources.iter().filter_map(|copies| copies.first()) {
            if !names.insert(copy.name.clone()) {
                return Err(copy.name.clone());
            }
        }
        let one = sources.len() == 1;
        let copies: Vec<PushFile> = sources.into_iter().flatten().collect();
        let one_file = one && matches!(&copies[..], [PushFile { content: Content::File { .. }, .. }]);
        let into = !one_file || ends_with_slash;
        Ok(Self { copies, dest, into, owner: None, sudo: None, check: None })
    }

    /// Gives files, not directories, this mode.
    pub fn set_mode(&mut self, mode: u32) {
        let files = self.copies.iter_mut().filter(|copy| copy.content != Content::Dir);
        files.for_each(|copy| copy.mode = mode);
    }

    /// Where each copy goes, and what this writer calls it until it is whole.
    #[must_use]
    pub fn places(&self, dest: &str, into: bool, writer: &str) -> Vec<PushPlace> {
        let dest = operand(dest);
        let slash = if dest.ends_with('/') { "" } else { "/" };
        let place = |copy: &PushFile| {
            // Otherwise the destination is what the only source is called.
            let inside = copy.name.find('/').map_or("", |at| &copy.name[at..]);
            let path = if into { format!("{dest}{slash}{}", copy.name) } else { format!("{dest}{inside}") };
            let dir = path.rfind('/').map_or("", |at| &path[..=at]);
            let part = match &copy.content {
                Content::Dir => String::new(),
                Content::File { tag, .. } => format!("{dir}.gsctl-{tag}.{writer}.part"),
            };
            PushPlace { path, part }
        };
        self.copies.iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_beside_its_file() {
        let content = Content::File { size: 1, sha256: "aa".to_owned(), tag: "t".to_owned() };
        let copy = PushFile { local: PathBuf::new(), name: "d/f".to_owned(), content, mode: 0o644, modified: 0 };
        let push =
            Push { copies: vec![copy], dest: Template::default(), into: true, owner: None, sudo: None, check: None };
        let place = |dest, into| push.places(dest, into, "w").remove(0);
        let is = |path: &str, part: &str| PushPlace { path: path.to_owned(), part: part.to_owned() };
        assert_eq!(place("/x", true), is("/x/d/f", "/x/d/.gsctl-t.w.part"));
        assert_eq!(place("/x/", true), is("/x/d/f", "/x/d/.gsctl-t.w.part"));
        assert_eq!(place("/x", false), is("/x/f", "/x/.gsctl-t.w.part"));
        let mut push = push.clone();
        push.copies[0].name = "f".to_owned();
        let place = |dest, into| push.places(dest, into, "w").remove(0);
        assert_eq!(place("/x", false), is("/x", "/.gsctl-t.w.part"));
        assert_eq!(place("-x", false), is("./-x", "./.gsctl-t.w.part"));
        assert_eq!(place("x", false), is("x", ".gsctl-t.w.part"));
    }
}
