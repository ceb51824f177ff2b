//! `push` and `pull`: files of this machine that go to the hosts, and files of theirs that come here.

use std::sync::Arc;

use super::node::{Node, Text};
use super::problem::Complaint;
use super::scope::Scope;
use crate::plan::pull::Pull;
use crate::plan::push::{Push, read_mode, validate_owner};
use crate::plan::{Action, Template};

/// Keys of `pull`.
pub(super) const PULL_KEYS: [&str; 2] = ["from", "to"];
/// Keys of `push`.
pub(super) const PUSH_KEYS: [&str; 4] = ["from", "to", "owner", "mode"];

/// `push: { from: FILES, to: PATH, owner: USER:GROUP, mode: "0640" }`.
pub(super) fn push(scope: &Scope<'_>, node: &Node, sudo: Option<Template>) -> Result<Action, Complaint> {
    let fields = node.fields("`push`", &PUSH_KEYS)?;
    let mut sources = Vec::new();
    let from = fields.need("from")?.texts("`from`")?;
    for text in &from {
        let path = scope.now(text)?;
        let copies = (scope.read_files)(text, &path)?;
        sources.push(copies);
    }
    let to = fields.need("to")?.text("`to`")?;
    let push = Push::new(sources, destination(scope, &to)?, to.value.ends_with('/'));
    let mut push = push.map_err(|name| {
        let at = from.last().map_or(node.at, |text| text.at);
        Complaint::new(at, format!("two sources are called `{name}`: one would replace the other"))
            .hint("copy them to different places, in two steps")
    })?;
    push.sudo = sudo;
    if let Some(text) = fields.text("owner")? {
        let owner = scope.now(&text)?;
        validate_owner(&owner).map_err(|said| Complaint::new(text.at, said))?;
        push.owner = Some(owner);
    }
    if let Some(text) = fields.text("mode")? {
        push.set_mode(mode(&text)?);
    }
    Ok(Action::Push(Arc::new(push)))
}

/// Permission bits, in octal.
pub(super) fn mode(text: &Text) -> Result<u32, Complaint> {
    read_mode(&text.value).ok_or_else(|| {
        Complaint::new(text.at, format!("`{}` is no file mode", text.value))
            .hint("write it in octal, as in `mode: \"0600\"`")
    })
}

/// `pull: { from: PATHS, to: DIR }`.
pub(super) fn pull(scope: &Scope<'_>, node: &Node, sudo: Option<Template>) -> Result<Action, Complaint> {
    let fields = node.fields("`pull`", &PULL_KEYS)?;
    let from = fields.need("from")?.texts("`from`")?;
    let sources = from.iter().map(|text| destination(scope, text)).collect::<Result<_, _>>()?;
    let to = fields.need("to")?.text("`to`")?;
    Ok(Action::Pull(Arc::new(Pull {
        sources,
        dest: destination(scope, &to)?,
        dirs: true,
        rename: None,
        sudo,
        patterns: true,
    })))
}

/// A path with variables in it.
fn destination(scope: &Scope<'_>, text: &Text) -> Result<Template, Complaint> {
    if text.value.is_empty() {
        return Err(Complaint::new(text.at, "an empty path, expected the name of a file or directory"));
    }
    scope.template(text)
}
