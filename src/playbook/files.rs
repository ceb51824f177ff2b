//! `push` and `pull`: files of this machine that go to the hosts, and files of theirs that come here.

use std::sync::Arc;

use super::node::{Node, Text};
use super::problem::Complaint;
use super::scope::Scope;
use crate::plan::pull::Pull;
use crate::plan::push::Push;
use crate::plan::{Action, Template};

/// Keys of both.
pub(super) const KEYS: [&str; 2] = ["from", "to"];

/// `push: { from: FILES, to: PATH }`.
pub(super) fn push(scope: &Scope<'_>, node: &Node) -> Result<Action, Complaint> {
    let fields = node.fields("`push`", &KEYS)?;
    let mut sources = Vec::new();
    let from = fields.need("from")?.texts("`from`")?;
    for text in &from {
        let path = scope.now(text)?;
        let copies = (scope.read_files)(text, &path)?;
        sources.push(copies);
    }
    let to = fields.need("to")?.text("`to`")?;
    let push = Push::new(sources, destination(scope, &to)?, to.value.ends_with('/'));
    let push = push.map_err(|name| {
        let at = from.last().map_or(node.at, |text| text.at);
        Complaint::new(at, format!("two sources are called `{name}`: one would replace the other"))
            .hint("copy them to different places, in two steps")
    })?;
    Ok(Action::Push(Arc::new(push)))
}

/// `pull: { from: PATHS, to: DIR }`.
pub(super) fn pull(scope: &Scope<'_>, node: &Node) -> Result<Action, Complaint> {
    let fields = node.fields("`pull`", &KEYS)?;
    let from = fields.need("from")?.texts("`from`")?;
    let sources = from.iter().map(|text| destination(scope, text)).collect::<Result<_, _>>()?;
    let to = fields.need("to")?.text("`to`")?;
    Ok(Action::Pull(Arc::new(Pull {
        sources,
        dest: destination(scope, &to)?,
        dirs: true,
        rename: None,
        sudo: None,
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
