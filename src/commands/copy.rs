//! The plans of `push` and `pull`. What is pushed is looked at and hashed once, before anything is contacted.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Access, access};
use sha2::{Digest as _, Sha256};

use crate::cli::{Pull as PullArgs, Push as PushArgs};
use crate::plan::pull::{NAMES, Pull};
use crate::plan::push::{Content, Push, PushCheck, PushFile};
use crate::plan::{Action, Plan, Template};
use crate::runner::RunHost;

use super::oneshot::{plan, said};
use crate::diagnostic::Diagnostic;

/// Directories in each other: more are a loop.
const DEEPEST: usize = 100;

/// `push`. `differences`: with `--check`, those of the files are shown.
///
/// # Errors
/// When a source cannot be read, or the destination is not understood.
pub(super) fn push(args: &PushArgs, differences: bool, timeout: Option<Duration>) -> Result<Plan, Diagnostic> {
    let dest = template(&args.dest)?;
    let sources = args.source.iter().map(|source| {
        // `--sudo USER FILE DEST`, most likely.
        let is_user = args.privilege.sudo.as_deref() == Some("root") && args.source.len() > 1;
        copies(source).map_err(|diagnostic| match source.to_str() {
            Some(name) if is_user && !name.contains('/') && !source.exists() => {
                diagnostic.hint(format!("where `{name}` is the user, it is written without a blank: `--sudo={name}`"))
            }
            _ => diagnostic,
        })
    });
    let sources = sources.collect::<Result<_, _>>()?;
    let mut push = Push::new(sources, dest, args.dest.ends_with('/')).map_err(|name| {
        Diagnostic::usage(format!("two sources are called `{name}`: one would replace the other"))
            .hint("copy them to different places, with two commands")
    })?;
    push.owner.clone_from(&args.owner);
    push.sudo = args.privilege.sudo.as_ref().map(Template::literal);
    push.check = args.check.then_some(if differences { PushCheck::Differences } else { PushCheck::Names });
    if let Some(mode) = args.mode {
        push.set_mode(mode);
    }
    let from = args.source.iter().map(|source| source.display().to_string()).collect::<Vec<_>>().join(" ");
    Ok(said(format!("{from} {}", args.dest), plan("push", Action::Push(Arc::new(push)), timeout)))
}

/// A source and all that is in it.
///
/// # Errors
/// When it cannot be read.
pub(super) fn copies(source: &Path) -> Result<Vec<PushFile>, Diagnostic> {
    let mut copies = Vec::new();
    add(source, name(source)?, 0, &mut copies)?;
    Ok(copies)
}

fn template(dest: &str) -> Result<Template, Diagnostic> {
    braces(dest, &format!("destination `{dest}`"))
}

fn braces(text: &str, what: &str) -> Result<Template, Diagnostic> {
    let wrong = |said: String| Diagnostic::usage(format!("{what}: {said}"));
    let template = Template::parse(text).map_err(|error| wrong(error.to_string()).maybe_hint(error.hint))?;
    if let Some(name) = template.variables().find(|name| !NAMES.contains(name)) {
        return Err(wrong(format!("there is no `{{{name}}}`"))
            .hint(format!("there are {{{}}}; `{{{{{name}}}}}` is the text itself", NAMES.join("}, {"))));
    }
    Ok(template)
}

/// `pull`.
///
/// # Errors
/// When a path is not understood, or nothing can be written where the files are to go.
pub(super) fn pull(args: &PullArgs, timeout: Option<Duration>) -> Result<Plan, Diagnostic> {
    let dest = template(&args.dest)?;
    let source = |text: &String| braces(text, &format!("source `{text}`"));
    let sources = args.source.iter().map(source).collect::<Result<Vec<_>, _>>()?;
    if args.dest.is_empty() {
        return Err(Diagnostic::usage("the destination is empty").hint("write `.` for the current directory"));
    }
    let sudo = args.privilege.sudo.as_ref().map(Template::literal);
    let pull = Pull { sources, dest, dirs: true, rename: None, sudo, patterns: true };
    let what = format!("{} {}", args.source.join(" "), args.dest);
    Ok(said(what, plan("pull", Action::Pull(Arc::new(pull)), timeout)))
}

/// Whether the directory that is there, of those that a destination is in, may be written to.
fn can_write(dest: &Path) -> Result<(), Diagnostic> {
    let wrong = |said: String| {
        Diagnostic::usage(format!("destination `{}`: {said}", dest.display()))
            .hint("nothing was contacted; name a directory that can be written")
    };
    for dir in dest.ancestors().map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir }) {
        match fs::metadata(dir) {
            Ok(known) if !known.is_dir() => return Err(wrong(format!("`{}` is no directory", dir.display()))),
            Ok(_) => {
                let may = access(dir, Access::WRITE_OK | Access::EXEC_OK);
                return may.map_err(|error| wrong(format!("`{}`: {}", dir.display(), io::Error::from(error))));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(wrong(format!("`{}`: {error}", dir.display()))),
        }
    }
    Ok(())
}

/// Whether what is copied from the hosts can be written, and no two of them would write into each other's files.
///
/// # Errors
/// Names the directory.
pub(super) fn can_pull(plan: &Plan, run_hosts: &[RunHost]) -> Result<(), Diagnostic> {
    for step in &plan.steps {
        let Action::Pull(pull) = &step.action else { continue };
        let mut dirs: HashMap<String, &str> = HashMap::new();
        for run_host in run_hosts {
            let dir = pull.dir(&run_host.vars);
            can_write(Path::new(&dir))?;
            if let Some(other) = dirs.insert(dir.clone(), &run_host.name) {
                return Err(Diagnostic::usage(format!(
                    "`{other}` and `{}` would both be copied to `{dir}`",
                    run_host.name
                ))
                .hint("write `{host}` into the destination"));
            }
        }
    }
    Ok(())
}

/// The last part of a path, also of `.` and `..`.
fn name(source: &Path) -> Result<String, Diagnostic> {
    let whole = match source.file_name() {
        Some(_) => source.to_owned(),
        None => fs::canonicalize(source).map_err(|error| unreadable(source, &error))?,
    };
    let name = whole
        .file_name()
        .ok_or_else(|| Diagnostic::usage(format!("`{}` has no name to copy it to", source.display())))?;
    utf8(name.to_str(), source)
}

fn utf8(name: Option<&str>, path: &Path) -> Result<String, Diagnostic> {
    name.map(str::to_owned).ok_or_else(|| {
        Diagnostic::usage(format!("the name of `{}` is not UTF-8", path.display()))
            .hint("rename it, or pack it with tar")
    })
}

/// Adds a file, or a directory and what is in it, in the order of their names.
fn add(local: &Path, name: String, depth: usize, copies: &mut Vec<PushFile>) -> Result<(), Diagnostic> {
    let known = fs::metadata(local).map_err(|error| unreadable(local, &error))?;
    if known.is_file() {
        copies.push(file(local, name, &known)?);
        return Ok(());
    }
    if !known.is_dir() {
        return Err(Diagnostic::usage(format!("`{}` is neither a file nor a directory", local.display())));
    }
    let is_link = fs::symlink_metadata(local).is_ok_and(|known| known.is_symlink());
    if depth > 0 && is_link || depth > DEEPEST {
        return Err(Diagnostic::usage(format!("`{}` is a link to a directory", local.display()))
            .hint("name the directory itself as a source, or leave the link out"));
    }
    let (mode, modified) = (known.permissions().mode() & 0o7777, known.mtime());
    copies.push(PushFile { local: local.to_owned(), name: name.clone(), content: Content::Dir, mode, modified });
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

fn file(local: &Path, name: String, known: &Metadata) -> Result<PushFile, Diagnostic> {
    let mut whole = Sha256::new();
    let size = File::open(local)
        .and_then(|mut file| io::copy(&mut file, &mut whole))
        .map_err(|error| unreadable(local, &error))?;
    let sha256 = format!("{:x}", whole.finalize());
    let mut tag =
        format!("{:x}", Sha256::new().chain_update(&name).chain_update("\0").chain_update(&sha256).finalize());
    tag.truncate(24);
    let (mode, modified) = (known.permissions().mode() & 0o7777, known.mtime());
    Ok(PushFile { local: local.to_owned(), name, content: Content::File { size, sha256, tag }, mode, modified })
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::usage(format!("`{}` can't be read: {error}", path.display()))
}
