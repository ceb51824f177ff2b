//! The plan of `push`: what is copied, looked at and hashed once, before anything is contacted.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::cli::Push as PushArgs;
use crate::plan::push::{Content, Copy, Push};
use crate::plan::{Action, Plan, Template};

use super::adhoc::plan;
use super::fault::Fault;

/// What may stand in braces in a destination.
const NAMES: [&str; 4] = ["host", "address", "user", "port"];
/// Directories in each other: more are a loop.
const DEEPEST: usize = 100;

/// `push`.
///
/// # Errors
/// When a source cannot be read, or the destination is not understood.
pub(super) fn push(args: &PushArgs, timeout: Option<Duration>) -> Result<Plan, Fault> {
    let dest = template(&args.dest)?;
    let mut copies = Vec::new();
    let mut names = HashSet::new();
    for source in &args.source {
        let name = name(source)?;
        if !names.insert(name.clone()) {
            return Err(Fault::usage(format!("two sources are called `{name}`: one would replace the other"))
                .hint("copy them to different places, with two commands"));
        }
        add(source, name, 0, &mut copies)?;
    }
    let one_file = matches!(&copies[..], [Copy { content: Content::File { .. }, .. }]) && args.source.len() == 1;
    let into = !one_file || args.dest.ends_with('/');
    Ok(plan("push", Action::Push(Arc::new(Push { copies, dest, into })), timeout))
}

fn template(dest: &str) -> Result<Template, Fault> {
    let wrong = |said: String| Fault::usage(format!("destination `{dest}`: {said}"));
    let template = Template::parse(dest).map_err(|error| wrong(error.to_string()).maybe_hint(error.hint))?;
    if let Some(name) = template.variables().find(|name| !NAMES.contains(name)) {
        return Err(wrong(format!("there is no `{{{name}}}`"))
            .hint(format!("there are {{{}}}; `{{{{{name}}}}}` is the text itself", NAMES.join("}, {"))));
    }
    Ok(template)
}

/// The last part of a path, also of `.` and `..`.
fn name(source: &Path) -> Result<String, Fault> {
    let whole = match source.file_name() {
        Some(_) => source.to_owned(),
        None => fs::canonicalize(source).map_err(|error| unreadable(source, &error))?,
    };
    let name =
        whole.file_name().ok_or_else(|| Fault::usage(format!("`{}` has no name to copy it to", source.display())))?;
    utf8(name.to_str(), source)
}

fn utf8(name: Option<&str>, path: &Path) -> Result<String, Fault> {
    name.map(str::to_owned).ok_or_else(|| {
        Fault::usage(format!("the name of `{}` is not UTF-8", path.display())).hint("rename it, or pack it with tar")
    })
}

/// Adds a file, or a directory and what is in it, in the order of their names.
fn add(local: &Path, name: String, depth: usize, copies: &mut Vec<Copy>) -> Result<(), Fault> {
    let known = fs::metadata(local).map_err(|error| unreadable(local, &error))?;
    if known.is_file() {
        copies.push(file(local, name, &known)?);
        return Ok(());
    }
    if !known.is_dir() {
        return Err(Fault::usage(format!("`{}` is neither a file nor a directory", local.display())));
    }
    let is_link = fs::symlink_metadata(local).is_ok_and(|known| known.is_symlink());
    if depth > 0 && is_link || depth > DEEPEST {
        return Err(Fault::usage(format!("`{}` is a link to a directory", local.display()))
            .hint("name the directory itself as a source, or leave the link out"));
    }
    let (mode, modified) = (known.permissions().mode() & 0o7777, known.mtime());
    copies.push(Copy { local: local.to_owned(), name: name.clone(), content: Content::Dir, mode, modified });
    let listed = fs::read_dir(local)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<PathBuf>>>());
    let mut paths = listed.map_err(|error| unreadable(local, &error))?;
    paths.sort();
    for path in paths {
        let last = utf8(path.file_name().and_then(|name| name.to_str()), &path)?;
        add(&path, format!("{name}/{last}"), depth + 1, copies)?;
    }
    Ok(())
}

fn file(local: &Path, name: String, known: &Metadata) -> Result<Copy, Fault> {
    let mut whole = Sha256::new();
    let size = File::open(local)
        .and_then(|mut file| io::copy(&mut file, &mut whole))
        .map_err(|error| unreadable(local, &error))?;
    let sha256 = format!("{:x}", whole.finalize());
    let mut tag =
        format!("{:x}", Sha256::new().chain_update(&name).chain_update("\0").chain_update(&sha256).finalize());
    tag.truncate(24);
    let (mode, modified) = (known.permissions().mode() & 0o7777, known.mtime());
    Ok(Copy { local: local.to_owned(), name, content: Content::File { size, sha256, tag }, mode, modified })
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    Fault::usage(format!("`{}` can't be read: {error}", path.display()))
}
