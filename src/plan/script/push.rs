//! What a node is asked about files that are copied to it. Answers are by number, so that names may hold anything.

use super::copy;
use crate::plan::push::{Content, Push, PushFile, PushPlace};
use crate::plan::quote::{operand, quote};

const PUSH: &str = include_str!("push.sh");

/// Number of the answer about the destination itself.
pub const DEST: usize = usize::MAX;
/// Number of the answer about the directory for files on their way.
pub const BOX: usize = usize::MAX - 1;

/// An order on one host, as its scripts know it.
#[derive(Debug, Clone, Copy)]
pub struct PushScripts<'a> {
    /// What is copied.
    pub push: &'a Push,
    /// Where to.
    pub dest: &'a str,
    /// Whose the parts are: the run, and the host in it.
    pub writer: &'a str,
    /// Runs that have ended, whose parts may be taken over.
    pub ended: &'a [String],
    /// The login user may not write there: files come through a box, under names that have this in them.
    pub secret: Option<&'a str>,
}

/// A file whose content is on the node.
#[derive(Debug, Clone, Copy)]
pub struct ArrivedFile {
    /// Its number.
    pub n: usize,
    /// It was sent; otherwise only mode, time or owner are wrong.
    pub sent: bool,
    /// There was nothing in its place.
    pub is_new: bool,
}

impl PushScripts<'_> {
    /// A script that makes missing directories and looks at what is there of each file. Its answer about [`DEST`] is `into`
    /// where the copies go into it, that about [`BOX`] where the box is.
    #[must_use]
    pub fn prepare(&self) -> String {
        let script =
            self.on_dest(&format!("gs_said=$(mkdir -p {} 2>&1)", self.quoted_dest()), &|n, copy, place| match &copy
                .content
            {
                Content::Dir => format!("gs_make {n} {}\n", quote(&place.path)),
                Content::File { size, sha256, .. } => {
                    let (path, part) = (quote(&place.path), quote(&place.part));
                    format!("gs_look {n} {path} {part} {size} {sha256} {}\n", labels(copy))
                }
            });
        let script = match self.secret {
            None => script,
            Some(_) => format!("if gs_open_box {BOX} {}; then\n{script}fi\n", quote(self.writer)),
        };
        self.whole(&script)
    }

    /// A script that says what would become of each file, and changes nothing.
    #[must_use]
    pub fn check(&self) -> String {
        let script = self.on_dest("gs_makes=1", &|n, copy, place| match &copy.content {
            Content::Dir => format!("gs_would_make {n} {}\n", quote(&place.path)),
            Content::File { size, sha256, .. } => {
                format!("gs_check {n} {} {size} {sha256} {}\n", quote(&place.path), labels(copy))
            }
        });
        self.whole(&script)
    }

    /// A script that checks what has arrived and gives it its name, mode, time and owner. `made` are directories that are full
    /// now; `boxed` is where the box is.
    #[must_use]
    pub fn finish(&self, places: &[PushPlace], files: &[ArrivedFile], made: &[usize], boxed: Option<&str>) -> String {
        let files = files.iter().filter_map(|file| {
            let (n, copy, place) = (file.n, &self.push.copies[file.n], &places[file.n]);
            let Content::File { size, sha256, .. } = &copy.content else { return None };
            let path = quote(&place.path);
            let found = if file.is_new { "absent" } else { "there" };
            let rest = format!("{size} {sha256} {} {found}", labels(copy));
            Some(match boxed.filter(|_| file.sent).and_then(|boxed| self.boxed(boxed, copy)) {
                Some(file) => format!("gs_install {n} {path} {} {rest} {}\n", quote(&place.part), quote(&file)),
                None if file.sent => format!("gs_finish {n} {path} {} {rest}\n", quote(&place.part)),
                None => format!("gs_finish {n} {path} {path} {rest}\n"),
            })
        });
        // From the inside out: a directory that nobody may write into comes after what is in it.
        let made = made.iter().rev();
        let made = made.map(|&n| format!("gs_close {n} {} {:o}\n", quote(&places[n].path), self.push.copies[n].mode));
        self.whole(&files.chain(made).collect::<String>())
    }

    /// A script that asks why nothing could be written to a part, and removes it.
    #[must_use]
    pub fn why(&self, n: usize, part: &str) -> String {
        self.whole(&format!("gs_why {n} {}\n", quote(part)))
    }

    /// A script that removes the box.
    #[must_use]
    pub fn close_box(&self, boxed: &str) -> String {
        self.whole(&format!("gs_close_box {}\n", quote(boxed)))
    }

    /// Where a file is in the box.
    #[must_use]
    pub fn boxed(&self, boxed: &str, copy: &PushFile) -> Option<String> {
        match (&copy.content, self.secret) {
            (Content::File { tag, .. }, Some(secret)) => Some(format!("{boxed}/.gsctl-{tag}.{secret}.part")),
            _ => None,
        }
    }

    fn quoted_dest(&self) -> String {
        quote(&operand(self.dest))
    }

    /// The calls for each copy, into the destination, which `make` makes, or as it.
    fn on_dest(&self, make: &str, call: &dyn Fn(usize, &PushFile, &PushPlace) -> String) -> String {
        let calls = |into| {
            let places = self.push.places(self.dest, into, self.writer);
            self.push
                .copies
                .iter()
                .zip(&places)
                .enumerate()
                .map(|(n, (copy, place))| call(n, copy, place))
                .collect::<String>()
        };
        let dest = self.quoted_dest();
        let into = format!("gs_answer {DEST} into\n{}", calls(true));
        if self.push.into {
            format!(
                "if [ -d {dest} ] || {make}; then\n{into}else\n\
                 gs_answer {DEST} denied \"${{gs_said##*: }}\"\nfi\n"
            )
        } else {
            format!("if [ -d {dest} ]; then\n{into}else\n{}fi\n", calls(false))
        }
    }

    fn whole(&self, calls: &str) -> String {
        // Ids have nothing in them that a shell would take for anything else.
        let ended = self.ended.iter().fold(String::new(), |all, run| all + " " + run);
        let owner = quote(self.push.owner.as_deref().unwrap_or_default());
        let secret = quote(self.secret.unwrap_or_default());
        let set = format!(
            "gs_ended={}\ngs_owner={owner}\ngs_secret={secret}\ngs_box=\ngs_makes=\n",
            quote(&format!("{ended} "))
        );
        copy::whole(PUSH, &(set + calls))
    }
}

/// A script that prints the first bytes of a file, and nothing else.
#[must_use]
pub fn show(path: &str, bytes: usize) -> String {
    format!("exec head -c {bytes} <{}\n", quote(path))
}

/// Mode and time of a file.
fn labels(copy: &PushFile) -> String {
    format!("{:o} {}", copy.mode, copy.modified)
}
