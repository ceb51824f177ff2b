//! An inventory in the making, whichever way it is written: hosts, groups and variables as Ansible knows them.

use super::super::hostset::MOST_HOSTS;
use super::super::problem::{Fault, quoted};
use super::super::settings;
use super::super::source::{Line, Source, Var};
use super::super::spec::{Spec, SpecError, parse_spec};
use super::range;
use super::tree::At;
use super::vars::{Value, Vars};

/// What is wrong, and on which line.
pub(super) type Wrong = (usize, Fault);

/// Collects what an inventory says.
pub(super) struct Draft {
    pub(super) source: Source,
    vars: Vars,
    hosts: usize,
    /// `ansible_group_priority`, by group.
    pub(super) priorities: Vec<(String, i64)>,
}

/// An error of a value, at its place.
pub(super) fn wrong((line, column): At, error: SpecError) -> Wrong {
    (line, Fault { column, message: error.message, hint: error.hint })
}

impl Draft {
    pub(super) fn new(file: &str) -> Self {
        let source = Source { file: file.to_owned(), ..Source::default() };
        Self { source, vars: Vars::new(file), hosts: 0, priorities: Vec::new() }
    }

    /// The group of this name; none for hosts of no group, be it that they say so.
    pub(super) fn group(&mut self, name: &str, at: At) -> Option<usize> {
        if matches!(name, "all" | "ungrouped") {
            return None;
        }
        Some(self.group_or_all(name, at))
    }

    fn group_or_all(&mut self, name: &str, at: At) -> usize {
        let entry = self.source.groups.entry(name.to_owned());
        let index = entry.index();
        entry.or_default();
        let group = &mut self.source.groups[index];
        if group.at.0 == 0 {
            group.at = at;
        }
        index
    }

    /// Marks a group as one that is there, not only named.
    pub(super) fn define(&mut self, name: &str, at: At) -> Option<usize> {
        let group = self.group(name, at)?;
        self.source.groups[group].defined = true;
        Some(group)
    }

    /// One group as part of another.
    pub(super) fn child(&mut self, parent: &str, child: &str, at: At) {
        // Everything is part of `all` anyway.
        let Some(parent) = self.group(parent, at) else { return };
        if !matches!(child, "all" | "ungrouped") {
            self.source.groups[parent].children.push((child.to_owned(), at));
        }
    }

    /// Hosts, as a name or pattern, with their variables.
    pub(super) fn hosts(&mut self, pattern: &str, at: At, group: Option<usize>, vars: Given) -> Result<(), Wrong> {
        let mut specs = Vec::new();
        for name in range::expand(pattern).map_err(|error| wrong(at, error))? {
            specs.push(parse_spec(&name).map_err(|error| wrong(at, error))?);
        }
        self.hosts += specs.len();
        if self.hosts > MOST_HOSTS {
            return Err((at.0, Fault::new(at.1, "the inventory has more than 1,000,000 hosts")));
        }
        // Unlike in a hosts file, two ports are never two hosts: the name is the host.
        let port = specs.first().and_then(|spec| spec.port);
        let mut settings: Vec<(String, String)> = Vec::new();
        settings.extend(port.map(|port| ("port".to_owned(), port.to_string())));
        for (key, value, at) in vars {
            if let Some((key, value)) = self.vars.take(&key, value, at.0).map_err(|error| wrong(at, error))? {
                settings.retain(|(before, _)| *before != key);
                settings.push((key, value));
            }
        }
        let specs = specs.into_iter().map(|spec| Spec { port: None, ..spec }).collect();
        self.source.lines.push(Line { line: at.0, group, specs, settings });
        Ok(())
    }

    /// A variable of a group, or of all.
    pub(super) fn var(&mut self, group: &str, key: &str, value: Value, at: At) -> Result<(), Wrong> {
        if group == "ungrouped" {
            let fault =
                Fault::new(at.1, format!("{} is of the hosts in no group, which gsctl cannot say", quoted(key)));
            return Err((at.0, fault.hint("put these hosts into a group, or the variable into `all`")));
        }
        let index = self.group_or_all(group, at);
        if key == "ansible_group_priority"
            && let Value::Text(text) = &value
            && let Ok(priority) = text.parse()
        {
            self.priorities.push((group.to_owned(), priority));
        }
        if let Some((key, value)) = self.vars.take(key, value, at.0).map_err(|error| wrong(at, error))? {
            let vars = &mut self.source.groups[index].vars;
            vars.retain(|var| var.key != key);
            vars.push(Var { key, value, line: at.0 });
        }
        Ok(())
    }

    /// What is worth saying.
    pub(super) fn warn(&mut self, line: usize, message: &str) {
        let file = &self.source.file;
        self.source.warnings.push(format!("hosts file `{file}`, line {line}: {message}"));
    }

    /// All that was said.
    pub(super) fn done(mut self) -> (Source, Vec<(String, i64)>) {
        self.source.warnings.append(&mut self.vars.warnings);
        (self.source, self.priorities)
    }
}

/// Variables as they are given: key, value, place.
pub(super) type Given = Vec<(String, Value, At)>;

impl Draft {
    /// One host with settings in gsctl's own words.
    pub(super) fn plain(
        &mut self,
        name: &str,
        at: At,
        groups: &[(&str, At)],
        given: Vec<(String, String, At)>,
    ) -> Result<(), Wrong> {
        let spec = parse_spec(name).map_err(|error| wrong(at, error))?;
        let mut settings: Vec<(String, String)> = Vec::new();
        for (key, value, at) in given {
            settings::check(&key, &value, &format!("{key}={value}")).map_err(|error| wrong(at, error))?;
            settings.retain(|(before, _)| *before != key);
            settings.push((key, value));
        }
        let line = Line { line: at.0, group: None, specs: vec![spec], settings };
        self.source.lines.push(line.clone());
        for (group, at) in groups {
            let group = self.define(group, *at);
            self.source.lines.push(Line { group, settings: Vec::new(), ..line.clone() });
        }
        Ok(())
    }
}
