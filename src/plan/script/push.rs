//! What a node is asked about files that are copied to it. Answers are by number, so that names may hold anything.

use super::copy;
use crate::plan::push::{Content, Push, PushFile, PushPlace};
use crate::plan::quote::quote;

const PUSH: &str = include_str!("push.sh");

/// Number of the answer about the destination itself.
pub const DEST: usize = usize::MAX;

/// A script that makes missing directories and looks at what is there of each file. Its answer about [`DEST`] is `into`
/// where the copies go into it.
#[must_use]
pub fn prepare(push: &Push, dest: &str) -> String {
    let calls = |into| {
        let places = push.places(dest, into);
        let calls = push.copies.iter().zip(&places).enumerate().map(|(n, (copy, place))| look_call(n, copy, place));
        calls.collect::<String>()
    };
    let dest = quote(&if dest.starts_with('-') { format!("./{dest}") } else { dest.to_owned() });
    let into = format!("gs_answer {DEST} into\n{}", calls(true));
    let calls = if push.into {
        format!(
            "if [ -d {dest} ] || gs_said=$(mkdir -p {dest} 2>&1); then\n{into}else\n\
             gs_answer {DEST} denied \"${{gs_said##*: }}\"\nfi\n"
        )
    } else {
        format!("if [ -d {dest} ]; then\n{into}else\n{}fi\n", calls(false))
    };
    whole(&calls)
}

fn look_call(n: usize, copy: &PushFile, place: &PushPlace) -> String {
    match &copy.content {
        Content::Dir => format!("gs_make {n} {}\n", quote(&place.path)),
        Content::File { .. } => call("gs_look", n, copy, place, &place.part),
    }
}

/// A script that checks what has arrived and gives it its name, mode and time. `made` are directories that are full now.
#[must_use]
pub fn finish(push: &Push, places: &[PushPlace], files: &[(usize, bool)], made: &[usize]) -> String {
    let files = files.iter().map(|&(n, sent)| {
        let from = if sent { &places[n].part } else { &places[n].path };
        call("gs_finish", n, &push.copies[n], &places[n], from)
    });
    // From the inside out: a directory that nobody may write into comes after what is in it.
    let made = made.iter().rev();
    let made = made.map(|&n| format!("gs_close {n} {} {:o}\n", quote(&places[n].path), push.copies[n].mode));
    whole(&files.chain(made).collect::<String>())
}

/// A script that asks why nothing could be written to a part, and removes it.
#[must_use]
pub fn why(n: usize, part: &str) -> String {
    whole(&format!("gs_why {n} {}\n", quote(part)))
}

fn call(name: &str, n: usize, copy: &PushFile, place: &PushPlace, from: &str) -> String {
    let Content::File { size, sha256, .. } = &copy.content else { return String::new() };
    let (path, from) = (quote(&place.path), quote(from));
    format!("{name} {n} {path} {from} {size} {sha256} {:o} {}\n", copy.mode, copy.modified)
}

fn whole(calls: &str) -> String {
    copy::whole(PUSH, calls)
}
