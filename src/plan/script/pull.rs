//! What a node is asked about files that are copied from it.

use super::copy;
use crate::plan::quote::quote;

const PULL: &str = include_str!("pull.sh");

/// A script that tells the SHA-256 of each file's first bytes: number, path and how many. It tells nothing where no program can.
#[must_use]
pub fn sums<'a>(files: impl Iterator<Item = (usize, &'a str, u64)>) -> String {
    let call = |(n, path, size)| format!("gs_head {n} {} {size}\n", quote(&here(path)));
    copy::whole(PULL, &files.map(call).collect::<String>())
}

/// A path that no program takes for an option.
fn here(path: &str) -> String {
    if path.starts_with('-') { format!("./{path}") } else { path.to_owned() }
}
