//! What names in a playbook may refer to: its variables, probes and facts.
//!
//! Must not know steps. Here every template of a playbook is read, so that no undefined variable gets past.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use indexmap::IndexMap;

use super::node::{Fields, Node, NodeKind, Text};
use super::problem::{Complaint, Position, any_of};
use crate::duration;
use crate::plan::push::PushFile;
use crate::plan::vars::{BUILTIN, resolve_one};
use crate::plan::{Template, VarSpec};
use crate::text::did_you_mean;

/// Looks at files that are copied: where they are named, and their path.
type ReadFiles<'a> = dyn Fn(&Text, &str) -> Result<Vec<PushFile>, Complaint> + 'a;

/// What a playbook's steps can refer to.
pub(super) struct Scope<'a> {
    pub vars: &'a IndexMap<String, VarSpec>,
    /// Names of the probes.
    pub probes: Vec<&'a str>,
    /// Every fact that a probe prints, where the playbook says so for all of them.
    pub facts: Option<BTreeSet<&'a str>>,
    pub has_chain: bool,
    /// Values from the command line.
    pub given: &'a IndexMap<String, String>,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Reads scripts next to the playbook, as one text.
    pub read_scripts: &'a dyn Fn(&[Text]) -> Result<String, Complaint>,
    /// Reads a file next to the playbook that a command is to read.
    pub read_input: &'a dyn Fn(&Text) -> Result<Vec<u8>, Complaint>,
    /// Looks at files that are copied.
    pub read_files: &'a ReadFiles<'a>,
    /// Variables whose value was needed before there is a host.
    pub run_wide: RefCell<BTreeSet<String>>,
}

/// A script that a step or a wait runs.
pub(super) struct Script {
    /// Where it came from, for messages.
    pub source: String,
    /// Its text.
    pub text: String,
    /// What it is to find set, besides the playbook's variables.
    pub with: Vec<(String, Template)>,
    /// Where it is named.
    pub at: Position,
}

impl Scope<'_> {
    /// A template, all of whose variables there are.
    pub(super) fn template(&self, text: &Text) -> Result<Template, Complaint> {
        self.template_of(text, &BTreeSet::new())
    }

    /// A text for a person, in which what a probe prints can stand too, where the playbook says what that is.
    pub(super) fn words(&self, text: &Text) -> Result<Template, Complaint> {
        self.template_of(text, self.facts.as_ref().unwrap_or(&BTreeSet::new()))
    }

    fn template_of(&self, text: &Text, facts: &BTreeSet<&str>) -> Result<Template, Complaint> {
        let template = Template::parse(&text.value)
            .map_err(|error| Complaint::new(text.place(error.offset), error.message).maybe_hint(error.hint))?;
        let unknown = template.variables_at().find(|(name, _)| !self.knows(name) && !facts.contains(name));
        if let Some((name, offset)) = unknown {
            let names = self.vars.keys().map(String::as_str).chain(BUILTIN).chain(facts.iter().copied());
            let hint = did_you_mean(name, names).unwrap_or_else(|| {
                format!("define `{name}` under `vars`, or write `{{{{{name}}}}}` if the braces are meant as they are")
            });
            return Err(Complaint::new(text.place(offset), format!("undefined variable `{name}`")).hint(hint));
        }
        Ok(template)
    }

    /// A template that becomes shell text.
    pub(super) fn shell(&self, text: &Text) -> Result<Template, Complaint> {
        let template = self.template(text)?;
        match template.variable_in_quotes() {
            Some((name, offset)) => {
                Err(Complaint::new(text.place(offset), format!("variable `{name}` stands inside quotes"))
                    .hint(format!("take `{{{name}}}` out of the quotes: gsctl quotes its value for the shell itself")))
            }
            None => Ok(template),
        }
    }

    /// A command: shell text, or `{ script: FILE, with: { NAME: TEXT } }`, which finds the playbook's variables, and those
    /// of `with`, set as shell variables.
    pub(super) fn command(&self, node: &Node, what: &str) -> Result<Template, Complaint> {
        let Some(Script { text, with, at, .. }) = self.script(node, what)? else {
            return self.shell(&node.text(what)?);
        };
        let own = self.vars.keys().map(String::as_str).chain(BUILTIN);
        let names = own.fold(String::new(), |names, name| names + name + "={" + name + "}\n");
        let mut head = Template::parse(&names).map_err(|error| Complaint::new(at, error.message))?;
        for (name, value) in with {
            head = head.followed_by(Template::literal(format!("{name}="))).followed_by(value.into_word());
            head = head.followed_by(Template::literal("\n"));
        }
        Ok(head.followed_by(Template::literal(text)))
    }

    /// The script of `{ script: FILE, with: { NAME: TEXT } }`; `None` where the node is something else.
    pub(super) fn script(&self, node: &Node, what: &str) -> Result<Option<Script>, Complaint> {
        let NodeKind::Map(pairs) = &node.kind else { return Ok(None) };
        if !pairs.iter().any(|(key, _)| key.value == "script") {
            return Ok(None);
        }
        let fields = node.fields(what, &["script", "with"])?;
        let node = fields.need("script")?;
        let paths = node.texts("`script`")?;
        let mut with = Vec::new();
        for (name, node) in fields.get("with").map(|node| node.pairs("`with`")).transpose()?.unwrap_or_default() {
            if !crate::plan::template::is_name(&name.value) || self.knows(&name.value) {
                let message = format!("`{}` can't be set for a script", name.value);
                return Err(Complaint::new(name.at, message)
                    .hint("names are lower case letters, digits and `_`, and not those of variables"));
            }
            with.push((name.value.clone(), self.template(&node.text("a variable")?)?));
        }
        Ok(Some(Script { source: names(&paths), text: (self.read_scripts)(&paths)?, with, at: node.at }))
    }

    /// A path: absolute, without `..`, not `/`. Globs only where they are allowed, and in the last component.
    pub(super) fn path(&self, text: &Text, globs: bool) -> Result<Template, Complaint> {
        let template = self.template(text)?;
        let path = text.value.as_str();
        let fault = |message: String| Err(Complaint::new(text.at, message));
        if !path.starts_with('/') && !path.starts_with('{') {
            return fault(format!("path `{path}` does not begin with `/` or a variable"));
        }
        if path.trim_end_matches('/').is_empty() || path.ends_with('/') {
            return fault(format!("path `{path}` is a directory, expected a file"));
        }
        if path.split('/').any(|part| part == "..") {
            return fault(format!("path `{path}` holds `..`"));
        }
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if directory.contains(['*', '?', '[']) {
            return fault(format!("path `{path}` has a glob in a directory, expected one in the last component only"));
        }
        if !globs && name.contains(['*', '?', '[']) {
            return fault(format!("path `{path}` holds a glob, expected the name of one file"));
        }
        Ok(template)
    }

    /// The paths of a step: one or a list.
    pub(super) fn paths(&self, node: &Node, what: &str, globs: bool) -> Result<Vec<Template>, Complaint> {
        node.texts(what)?.iter().map(|text| self.path(text, globs)).collect()
    }

    /// The words of a key.
    pub(super) fn optional(&self, fields: &Fields<'_>, key: &str) -> Result<Option<Template>, Complaint> {
        fields.text(key)?.map(|text| self.words(&text)).transpose()
    }

    /// A text whose variables are the same on all hosts, put in now.
    pub(super) fn now(&self, text: &Text) -> Result<String, Complaint> {
        let template = self.template(text)?;
        let mut vars = crate::plan::Vars::default();
        for (name, offset) in template.variables_at() {
            vars.insert(name, self.value(name, text, offset)?);
        }
        Ok(template.render_plain(&vars))
    }

    /// The value that a variable has on all hosts.
    pub(super) fn value(&self, name: &str, text: &Text, offset: usize) -> Result<String, Complaint> {
        let Some(spec) = self.vars.get(name) else {
            let message = format!("variable `{name}` differs from host to host and can't be used here");
            return Err(Complaint::new(text.place(offset), message));
        };
        self.run_wide.borrow_mut().insert(name.to_owned());
        resolve_one(name, spec, self.given, |_| None, self.env).map_err(|error| {
            // What is on the command line can't be mended in the file: no line, no snippet of it.
            Complaint::new(super::problem::Position::default(), error.to_string()).maybe_hint(error.hint())
        })
    }

    /// A time.
    pub(super) fn duration(&self, text: &Text) -> Result<Duration, Complaint> {
        let value = self.now(text)?;
        duration::parse(&value).map_err(|said| Complaint::new(text.at, said))
    }

    /// The time of a key.
    pub(super) fn time(&self, fields: &Fields<'_>, key: &str) -> Result<Option<Duration>, Complaint> {
        fields.text(key)?.map(|text| self.duration(&text)).transpose()
    }

    /// The time of a key that may list several: the shortest that is a limit at all (`0` is none).
    pub(super) fn shortest(&self, fields: &Fields<'_>, key: &str) -> Result<Option<Duration>, Complaint> {
        let Some(node) = fields.get(key) else { return Ok(None) };
        let times = node.texts(&format!("`{key}`"))?;
        let times = times.iter().map(|text| self.duration(text)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(times.into_iter().filter(|time| !time.is_zero()).min().unwrap_or_default()))
    }

    /// The name of a probe.
    pub(super) fn probe(&self, text: &Text) -> Result<String, Complaint> {
        if self.probes.contains(&text.value.as_str()) {
            return Ok(text.value.clone());
        }
        let message = format!("unknown probe `{}`, expected {}", text.value, any_of(self.probes.iter().copied()));
        let hint = did_you_mean(&text.value, self.probes.iter().copied())
            .unwrap_or_else(|| "probes are defined under `probes`".to_owned());
        Err(Complaint::new(text.at, message).hint(hint))
    }

    /// The name of a fact.
    pub(super) fn fact(&self, text: &Text) -> Result<String, Complaint> {
        match &self.facts {
            Some(facts) if !facts.contains(text.value.as_str()) => {
                Err(Complaint::new(text.at, format!("unknown fact `{}`: no probe prints it", text.value)).maybe_hint(
                    did_you_mean(&text.value, facts.iter().copied())
                        .or_else(|| Some("a probe's facts are listed under its `facts`".to_owned())),
                ))
            }
            _ => Ok(text.value.clone()),
        }
    }

    fn knows(&self, name: &str) -> bool {
        self.vars.contains_key(name) || BUILTIN.contains(&name)
    }
}

/// The files of a script, for messages.
pub(super) fn names(paths: &[Text]) -> String {
    paths.iter().map(|path| path.value.as_str()).collect::<Vec<_>>().join(", ")
}
