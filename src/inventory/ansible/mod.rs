//! Inventories that Ansible reads too: INI, YAML, and the JSON that inventory programs print.
//!
//! Takes over what says how a host is reached, and plain variables; says what it cannot take over. What Ansible settles
//! by the depth of groups is settled here, so that hosts end with the settings that Ansible gives them.

mod args;
mod draft;
mod groups;
mod ini;
mod python;
mod range;
pub(super) mod tree;
mod vars;
mod words;

use indexmap::IndexMap;

use super::file::{check_groups, header};
use super::problem::PieceError;
use super::resolve;
use super::source::HostsSource;
use super::words as own_words;
use draft::AnsibleInventory;

/// Reads an INI inventory.
pub(super) fn ini(text: &str, file: &str) -> Result<HostsSource, (usize, PieceError)> {
    let mut ansible = AnsibleInventory::new(file);
    ini::read(text, &mut ansible)?;
    settle(ansible)
}

/// Reads a tree; `syntax` is YAML or JSON.
pub(super) fn tree(text: &str, file: &str, syntax: &str) -> Result<HostsSource, (usize, PieceError)> {
    let mut ansible = AnsibleInventory::new(file);
    groups::read(&tree::parse(text, syntax)?, &mut ansible)?;
    settle(ansible)
}

/// Puts the groups into the order in which Ansible lets a later one win: by depth, priority and name.
fn settle(ansible: AnsibleInventory) -> Result<HostsSource, (usize, PieceError)> {
    let (mut source, priorities) = ansible.done();
    check_groups(&source)?;
    let depths = resolve::depths(&source.groups);
    let priorities: IndexMap<String, i64> = priorities.into_iter().collect();
    let mut order: Vec<usize> = (0..source.groups.len()).collect();
    order.sort_by_key(|at| {
        let name = source.groups.get_index(*at).map_or("", |(name, _)| name.as_str());
        (depths.get(name).copied().unwrap_or(0), priorities.get(name).copied().unwrap_or(1), name.to_owned())
    });
    let mut place = vec![0; order.len()];
    order.iter().enumerate().for_each(|(new, old)| place[*old] = new);
    source.lines.iter_mut().for_each(|line| line.group = line.group.map(|old| place[old]));
    let mut groups: Vec<_> = std::mem::take(&mut source.groups).into_iter().map(Some).collect();
    for at in order {
        if let Some((name, mut group)) = groups[at].take() {
            group.depth = depths.get(&name).copied().unwrap_or(0) + 1;
            source.groups.insert(name, group);
        }
    }
    Ok(source)
}

/// What only an Ansible inventory has, with its line, if this INI text has something of that.
pub(super) fn mark(text: &str) -> Option<(usize, String)> {
    (1..).zip(text.split('\n')).find_map(|(number, line)| {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            return None;
        }
        let words: Vec<&str> = match own_words::words(line) {
            Ok(words) => words.iter().map(|word| word.text).collect(),
            Err(_) => line.split_whitespace().collect(),
        };
        let variable = words.iter().enumerate().find_map(|(at, word)| {
            let (key, glued) = word.split_once('=').map_or((*word, false), |(key, _)| (key, true));
            let assigned = glued || words.get(at + 1).is_some_and(|next| next.starts_with('='));
            (assigned && key.starts_with("ansible_")).then_some(key)
        });
        if let Some(key) = variable {
            return Some((number, format!("`{}`", super::problem::harmless(key, 40))));
        }
        let hosts = !matches!(header(line), Ok(Some(_)));
        let first = words.first().filter(|first| hosts && !first.contains('=') && range::is_in(first))?;
        Some((number, format!("the range {}", super::problem::quoted(first))))
    })
}

#[cfg(test)]
mod tests;
