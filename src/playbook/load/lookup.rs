//! Finding what playbooks name: other playbooks, scripts, and files that are read or copied.

use std::cell::RefCell;
use std::io;

use super::Loader;
use crate::plan::push::PushFile;
use crate::plan::script::without_comments;
use crate::playbook::builtin;
use crate::playbook::node::Text;
use crate::playbook::problem::{Complaint, Position};
use crate::text::{did_you_mean, io_cause, uncapitalized};

impl Loader<'_> {
    pub(super) fn find(&self, name: &str) -> io::Result<String> {
        match builtin::source(name) {
            Some(text) => Ok(text.to_owned()),
            None => self.sources.playbook(name),
        }
    }

    /// A playbook that another one names: a file next to it, or one that is compiled in.
    pub(super) fn nested(&self, file: &str, playbook: &Text) -> Result<(String, String), Complaint> {
        if let Some(text) = builtin::source(&playbook.value) {
            return Ok((playbook.value.clone(), text.to_owned()));
        }
        let name = beside(file, &playbook.value);
        match self.sources.playbook(&name) {
            Ok(text) => Ok((name, text)),
            Err(error) => Err(unreadable(&name, playbook.at, &error)),
        }
    }

    /// What a command is to read: a file as seen from the playbook.
    pub(super) fn input(&self, file: &str, input: &Text) -> Result<Vec<u8>, Complaint> {
        let path = beside(file, &input.value);
        self.sources.input(&path).map_err(|error| {
            Complaint::new(input.at, format!("input `{path}` can't be read: {}", uncapitalized(&io_cause(&error))))
        })
    }

    /// Files that are copied: beside the playbook, or anywhere on this machine.
    pub(super) fn copies(&self, file: &str, text: &Text, path: &str) -> Result<Vec<PushFile>, Complaint> {
        if path.is_empty() {
            return Err(Complaint::new(text.at, "an empty path, expected the name of a file or directory"));
        }
        self.sources.copies(&beside(file, path)).map_err(|said| match said.split_once("\nhint: ") {
            Some((said, hint)) => Complaint::new(text.at, said).hint(hint),
            None => Complaint::new(text.at, said),
        })
    }

    /// Scripts, one after the other, as one text without comments.
    pub(super) fn scripts(
        &self,
        file: &str,
        scripts: &[Text],
        notes: &RefCell<Vec<String>>,
    ) -> Result<String, Complaint> {
        let mut text = String::new();
        for script in scripts {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&without_comments(&self.script(file, script, notes)?));
        }
        Ok(text)
    }

    /// A script: next to the playbook, or one that is compiled in, so that a built-in playbook can be copied and edited.
    fn script(&self, file: &str, script: &Text, notes: &RefCell<Vec<String>>) -> Result<String, Complaint> {
        let path = script.value.as_str();
        if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..") {
            let message = format!("script `{path}` must be a path below the playbook's directory");
            return Err(Complaint::new(script.at, message));
        }
        let compiled_in = builtin::script(path);
        if builtin::source(file).is_none() {
            let path = beside(file, &script.value);
            match self.sources.script(&path) {
                Ok(text) => return Ok(text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(Complaint::new(
                        script.at,
                        format!("script `{path}` can't be read: {}", uncapitalized(&io_cause(&error))),
                    ));
                }
            }
        }
        let Some(text) = compiled_in else {
            return Err(Complaint::new(script.at, format!("there is no script `{}`", script.value))
                .maybe_hint(did_you_mean(&script.value, builtin::scripts())));
        };
        if builtin::source(file).is_none() {
            let beside = beside(file, &script.value);
            notes.borrow_mut().push(format!(
                "playbook `{file}`: there is no script `{beside}`, the built-in `{}` is used",
                script.value
            ));
        }
        Ok(text.to_owned())
    }
}

pub(super) fn unreadable(name: &str, at: Position, error: &io::Error) -> Complaint {
    if error.kind() != io::ErrorKind::NotFound {
        return Complaint::new(at, format!("playbook `{name}` can't be read: {}", uncapitalized(&io_cause(error))));
    }
    let known: Vec<_> = builtin::names().collect();
    let hint =
        did_you_mean(name, known.iter().copied()).unwrap_or_else(|| format!("built in are {}", known.join(", ")));
    Complaint::new(at, format!("there is no playbook `{name}`, neither built in nor a file")).hint(hint)
}

/// A path as seen from the directory of a file. The same file has one spelling, so that a loop of plays is seen.
pub(super) fn beside(file: &str, path: &str) -> String {
    let directory = file.rsplit_once('/').map_or("", |(directory, _)| directory);
    let absolute = path.starts_with('/') || file.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    let base = if path.starts_with('/') { "" } else { directory };
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
}
