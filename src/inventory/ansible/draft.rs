//! An inventory in the making, whichever way it is written: hosts, groups and variables as Ansible knows them.

use std::collections::HashMap;

use super::super::hostset::MOST_HOSTS;
use super::super::problem::{PieceError, quoted};
use super::super::settings;
use super::super::source::{HostLine, HostsSource, Var};
use super::super::spec::{Spec, SpecError, parse_spec};
use super::range;
use super::tree::Position;
use super::vars::{Value, Vars};

/// What is wrong, and on which line.
pub(super) type LineFault = (usize, PieceError);

/// Collects what an inventory says.
pub(super) struct AnsibleInventory {
    pub(super) source: HostsSource,
    vars: Vars,
    hosts: usize,
    /// The line on which each host was first named.
    first_lines: HashMap<String, usize>,
    /// `ansible_group_priority`, by group.
    pub(super) priorities: Vec<(String, i64)>,
}

/// An error of a value, at its place.
pub(super) fn wrong((line, column): Position, error: SpecError) -> LineFault {
    (line, PieceError { column, message: error.message, hint: error.hint })
}

impl AnsibleInventory {
    pub(super) fn new(file: &str) -> Self {
        let source = HostsSource { file: file.to_owned(), ..HostsSource::default() };
        Self { source, vars: Vars::new(file), hosts: 0, first_lines: HashMap::new(), priorities: Vec::new() }
    }

    /// The group of this name; none for hosts of no group, be it that they say so.
    pub(super) fn group(&mut self, name: &str, at: Position) -> Option<usize> {
        if matches!(name, "all" | "ungrouped") {
            return None;
        }
        Some(self.group_or_all(name, at))
    }

    fn group_or_all(&mut self, name: &str, at: Position) -> usize {
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
    pub(super) fn define(&mut self, name: &str, at: Position) -> Option<usize> {
        let group = self.group(name, at)?;
        self.source.groups[group].defined = true;
        Some(group)
    }

    /// One group as part of another.
    pub(super) fn child(&mut self, parent: &str, child: &str, at: Position) {
        // Everything is part of `all` anyway.
        let Some(parent) = self.group(parent, at) else { return };
        if !matches!(child, "all" | "ungrouped") {
            self.source.groups[parent].children.push((child.to_owned(), at));
        }
    }

    /// Hosts, as a name or pattern, with their variables.
    pub(super) fn hosts(
        &mut self,
        pattern: &str,
        at: Position,
        group: Option<usize>,
        vars: GivenVars,
    ) -> Result<(), LineFault> {
        let mut specs = Vec::new();
        for name in range::expand(pattern).map_err(|error| wrong(at, error))? {
            specs.push(parse_spec(&name).map_err(|error| wrong(at, error))?);
        }
        self.hosts += specs.len();
        if self.hosts > MOST_HOSTS {
            return Err((at.0, PieceError::new(at.1, "the inventory has more than 1,000,000 hosts")));
        }
        // Unlike in a hosts file, two ports are never two hosts: the name is the host.
        let port = specs.first().and_then(|spec| spec.port);
        let mut settings: Vec<(String, String)> = Vec::new();
        settings.extend(port.map(|port| ("port".to_owned(), port.to_string())));
        let port_is_said = vars.iter().any(|(key, ..)| matches!(key.as_str(), "ansible_port" | "ansible_ssh_port"));
        for (key, value, at) in vars {
            if let Some((key, value)) = self.vars.take(&key, value, at.0).map_err(|error| wrong(at, error))? {
                settings.retain(|(before, _)| *before != key);
                settings.push((key, value));
            }
        }
        for spec in &specs {
            let known = *self.first_lines.entry(spec.host.clone()).or_insert(at.0);
            if known != at.0
                && !port_is_said
                && let Some(port) = spec.port
            {
                let name = &spec.host;
                self.warn(
                    at.0,
                    &format!(
                        "`{name}:{port}` is taken as it is written; Ansible forgets the port here, as it knows `{name}` \
                        from line {known} already: `ansible_port={port}` says it to both"
                    ),
                );
            }
        }
        let specs = specs.into_iter().map(|spec| Spec { port: None, ..spec }).collect();
        self.source.lines.push(HostLine { line: at.0, group, specs, settings });
        Ok(())
    }

    /// A variable of a group, or of all.
    pub(super) fn var(&mut self, group: &str, key: &str, value: Value, at: Position) -> Result<(), LineFault> {
        if group == "ungrouped" {
            let fault =
                PieceError::new(at.1, format!("{} is of the hosts in no group, which gsctl cannot say", quoted(key)));
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
    pub(super) fn done(mut self) -> (HostsSource, Vec<(String, i64)>) {
        self.source.warnings.append(&mut self.vars.warnings);
        (self.source, self.priorities)
    }
}

/// Variables as they are given: key, value, place.
pub(super) type GivenVars = Vec<(String, Value, Position)>;

impl AnsibleInventory {
    /// One host with settings in gsctl's own words.
    pub(super) fn plain(
        &mut self,
        name: &str,
        at: Position,
        groups: &[(&str, Position)],
        given: Vec<(String, String, Position)>,
    ) -> Result<(), LineFault> {
        let spec = parse_spec(name).map_err(|error| wrong(at, error))?;
        let mut settings: Vec<(String, String)> = Vec::new();
        for (key, value, at) in given {
            settings::check(&key, &value, &format!("{key}={value}")).map_err(|error| wrong(at, error))?;
            settings.retain(|(before, _)| *before != key);
            settings.push((key, value));
        }
        let line = HostLine { line: at.0, group: None, specs: vec![spec], settings };
        self.source.lines.push(line.clone());
        for (group, at) in groups {
            let group = self.define(group, *at);
            self.source.lines.push(HostLine { group, settings: Vec::new(), ..line.clone() });
        }
        Ok(())
    }
}
