//! What is copied to and from a host.

use std::path::{Path, PathBuf};

use crate::plan::pull::Source;
use crate::plan::push::{Content, Copy, Push};
use crate::plan::quote::quote;
use crate::plan::{Action, Step};
use crate::transport::What;

use super::host::Member;

/// What a step copies to or from a host, where that is what it does.
///
/// # Errors
/// When a path is not one that may be sent.
pub(super) fn what(step: &Step, member: &Member) -> Result<Option<What>, String> {
    match &step.action {
        Action::Push(push) => Ok(Some(What::Push { push: push.clone(), dest: destination(push, member)? })),
        Action::Pull(pull) => {
            let dir = PathBuf::from(pull.dir(&member.vars));
            Ok(Some(What::Pull { sources: pull.sources(&member.vars)?, dir, dirs: pull.dirs }))
        }
        _ => Ok(None),
    }
}

/// What would be copied, one line each.
pub(super) fn rehearse(what: &What) -> String {
    match what {
        What::Push { push, dest } => pushed(push, dest),
        What::Pull { sources, dir, .. } => pulled(sources, dir),
    }
}

/// The path on a host that files are copied to.
fn destination(push: &Push, member: &Member) -> Result<String, String> {
    let dest = push.dest.render_plain(&member.vars);
    let cause = match dest.as_str() {
        "" => "the destination is empty".to_owned(),
        path if path.contains(['\n', '\0']) => {
            format!("the destination `{}` holds a newline or a NUL", path.escape_debug())
        }
        path if path.starts_with('~') => {
            format!("`{path}`: `~` is not expanded on the node; a relative path starts at the home directory")
        }
        _ => return Ok(dest),
    };
    Err(cause)
}

/// What is copied to a host, one line each.
fn pushed(push: &Push, dest: &str) -> String {
    let slash = if dest.ends_with('/') { "" } else { "/" };
    let line = |copy: &Copy| {
        let to = if push.into { format!("{dest}{slash}{}", copy.name) } else { dest.to_owned() };
        let what = match &copy.content {
            Content::Dir => "a directory".to_owned(),
            Content::File { size, .. } => format!("{size} bytes"),
        };
        let local = copy.local.display().to_string();
        format!("copy {} to {}  # {what}, mode {:04o}", quote(&local), quote(&to), copy.mode)
    };
    push.copies.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What is copied from a host, one line each.
fn pulled(sources: &[Source], dir: &Path) -> String {
    let line = |source: &Source| {
        let to = dir.join(&source.name).display().to_string();
        format!("copy {} to {} on this machine", quote(&source.path), quote(&to))
    };
    sources.iter().map(line).collect::<Vec<_>>().join("\n")
}
