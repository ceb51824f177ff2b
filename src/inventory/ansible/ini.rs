//! An Ansible inventory in INI form.

use super::super::problem::{PieceError, quoted};
use super::draft::{AnsibleInventory, LineFault};
use super::python::literal;
use super::words::{Word, words};

/// What the lines of a section are.
enum Section {
    Hosts(Option<usize>),
    Children(String),
    Vars(String),
}

/// Reads it.
pub(super) fn read(text: &str, ansible: &mut AnsibleInventory) -> Result<(), LineFault> {
    let mut section = Section::Hosts(None);
    for (number, line) in (1..).zip(text.split('\n')) {
        let line = line.trim_end();
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let indent = line[..line.len() - trimmed.len()].chars().count();
        if let Some((name, kind)) = header(trimmed).map_err(|fault| (number, shifted(fault, indent)))? {
            let at = (number, indent + 1);
            section = match kind {
                "" => Section::Hosts(ansible.define(name, at)),
                "children" => {
                    ansible.define(name, at);
                    Section::Children(name.to_owned())
                }
                _ => {
                    ansible.group(name, at);
                    Section::Vars(name.to_owned())
                }
            };
            continue;
        }
        match &section {
            Section::Hosts(group) => hosts(line, number, *group, ansible)?,
            Section::Vars(group) => var(trimmed, (number, indent + 1), group, ansible)?,
            Section::Children(parent) => {
                let name = trimmed.split('#').next().unwrap_or_default().trim_end();
                if name.contains(char::is_whitespace) || name.contains([':', ']']) {
                    let fault =
                        PieceError::new(indent + 1, format!("{} stands where a group is expected", quoted(name)));
                    return Err((number, fault.hint("a `:children` section has one group a line, nothing else")));
                }
                ansible.child(parent, name, (number, indent + 1));
            }
        }
    }
    Ok(())
}

fn shifted(fault: PieceError, by: usize) -> PieceError {
    PieceError { column: fault.column + by, ..fault }
}

/// Name and kind of a section, if the line is one.
pub(super) fn header(line: &str) -> Result<Option<(&str, &str)>, PieceError> {
    let Some((inside, after)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) else { return Ok(None) };
    if !after.trim_start().is_empty() && !after.trim_start().starts_with('#') {
        // `[a:f].example.com` is hosts.
        return Ok(None);
    }
    let (name, kind) = inside.split_once(':').unwrap_or((inside, ""));
    if name.is_empty() || inside.contains(char::is_whitespace) || inside.ends_with(':') {
        return Err(PieceError::new(1, format!("{} is not a section", quoted(line)))
            .hint("sections are `[GROUP]`, `[GROUP:children]` and `[GROUP:vars]`, without blanks"));
    }
    if !matches!(kind, "" | "children" | "vars" | "hosts") {
        return Err(PieceError::new(1, format!("{} is not a kind of section", quoted(line)))
            .hint(format!("sections are `[{name}]`, `[{name}:children]` and `[{name}:vars]`")));
    }
    Ok(Some((name, if kind == "hosts" { "" } else { kind })))
}

fn hosts(line: &str, number: usize, group: Option<usize>, ansible: &mut AnsibleInventory) -> Result<(), LineFault> {
    let words = words(line).map_err(|fault| (number, fault))?;
    let Some((first, rest)) = words.split_first() else { return Ok(()) };
    if first.text.contains('=') {
        let fault = PieceError::new(first.column, format!("{} stands where a host is expected", quoted(&first.text)));
        return Err((number, fault.hint("variables follow the host, or stand under `[GROUP:vars]`")));
    }
    let mut vars = Vec::new();
    for Word { column, text } in rest {
        let Some((key, value)) = text.split_once('=') else {
            let fault = PieceError::new(*column, format!("{} is not `key=value`", quoted(text)));
            return Err((number, fault.hint("in an Ansible inventory the user is written `ansible_user=NAME`")));
        };
        vars.push((key.to_owned(), literal(value), (number, *column)));
    }
    ansible.hosts(&first.text, (number, first.column), group, vars)
}

fn var(line: &str, at: (usize, usize), group: &str, ansible: &mut AnsibleInventory) -> Result<(), LineFault> {
    let Some((key, value)) = line.split_once('=') else {
        let fault = PieceError::new(at.1, format!("{} is not `key=value`", quoted(line)));
        return Err((at.0, fault.hint(format!("hosts stand under `[{group}]`"))));
    };
    ansible.var(group, key.trim(), literal(value), at)
}
