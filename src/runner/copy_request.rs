//! What is copied to and from a host.

use std::path::{Path, PathBuf};

use crate::plan::pull::PullSource;
use crate::plan::push::{Content, Push, PushFile};
use crate::plan::quote::quote;
use crate::plan::{Action, Step};
use crate::transport::CopyDirection;

use super::host::RunHost;
use super::script;

/// What a step copies to or from a host, where that is what it does.
///
/// # Errors
/// When a path is not one that may be sent.
pub(super) fn what(step: &Step, run_host: &RunHost) -> Result<Option<CopyDirection>, String> {
    match &step.action {
        Action::Push(push) => {
            let (dest, sudo) = (destination(push, run_host)?, script::sudo_user(push.sudo.as_ref(), run_host)?);
            Ok(Some(CopyDirection::Push { push: push.clone(), dest, sudo }))
        }
        Action::Pull(pull) => {
            let dir = PathBuf::from(pull.dir(&run_host.vars));
            let (sources, sudo) = (pull.sources(&run_host.vars)?, script::sudo_user(pull.sudo.as_ref(), run_host)?);
            Ok(Some(CopyDirection::Pull { sources, dir, dirs: pull.dirs, sudo }))
        }
        _ => Ok(None),
    }
}

/// What would be copied, one line each.
pub(super) fn rehearse(what: &CopyDirection) -> String {
    match what {
        CopyDirection::Push { push, dest, sudo } => through_sudo(sudo.as_deref(), &pushed(push, dest)),
        CopyDirection::Pull { sources, dir, sudo, .. } => through_sudo(sudo.as_deref(), &pulled(sources, dir)),
    }
}

fn through_sudo(sudo: Option<&str>, lines: &str) -> String {
    sudo.map_or_else(|| lines.to_owned(), |user| format!("# through sudo, as {user}\n{lines}"))
}

/// The path on a host that files are copied to.
fn destination(push: &Push, run_host: &RunHost) -> Result<String, String> {
    let dest = push.dest.render_plain(&run_host.vars);
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
    let line = |copy: &PushFile| {
        let to = if push.into { format!("{dest}{slash}{}", copy.name) } else { dest.to_owned() };
        let what = match &copy.content {
            Content::Dir => "a directory".to_owned(),
            Content::File { size, .. } => format!("{size} bytes"),
        };
        let local = copy.local.display().to_string();
        let owner = push.owner.as_ref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
        format!("copy {} to {}  # {what}, mode {:04o}{owner}", quote(&local), quote(&to), copy.mode)
    };
    push.copies.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What is copied from a host, one line each.
fn pulled(sources: &[PullSource], dir: &Path) -> String {
    let line = |source: &PullSource| {
        let to = if source.pattern { dir.to_owned() } else { dir.join(&source.name) }.display().to_string();
        format!("copy {} to {} on this machine", quote(&source.path), quote(&to))
    };
    sources.iter().map(line).collect::<Vec<_>>().join("\n")
}
