//! Which hosts of the inventory a run is for: `--hosts`, `--group`, `--exclude`.
//!
//! Chooses; does not ask whether anything was chosen. An empty selection is for the command to refuse.

pub(super) mod algebra;
mod error;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use algebra::{Join, is_algebra, operands};
pub use error::SelectError;

use super::hostset::{Element, expand_elements};
use super::problem::quoted;
use super::resolve::PortNames;
use super::spec::{Spec, parse_spec};
use super::{Host, Hosts, Inventory, Origin, Setting};
use crate::text::wildcard;

/// What the command line says about hosts. Nothing said means all hosts of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Host sets (`--hosts`): names, ranges, `@group`, patterns with `*` and `?`.
    pub hosts: Vec<String>,
    /// Groups (`--group`), of which a host must be in one. Commas part names.
    pub groups: Vec<String>,
    /// Host sets of which a host must be in one (`--intersect`).
    pub within: Vec<String>,
    /// Host sets to leave out (`--exclude`).
    pub exclude: Vec<String>,
}

/// The hosts of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selected {
    /// The hosts, in the order of the file; those that the file does not know after them, as the set names them.
    pub hosts: Vec<Arc<Host>>,
    /// What is not wrong, but perhaps not meant.
    pub warnings: Vec<String>,
}

/// The hosts that the selection means, and what is doubtful about it.
///
/// # Errors
///
/// When a set is wrong, or names a host or group that is not known.
pub fn select_with_warnings(inventory: &Inventory, selection: &Selection) -> Result<Selected, SelectError> {
    let mut warnings = Vec::new();
    let mut hosts = if selection.hosts.is_empty() {
        let mut hosts = inventory.hosts.clone();
        if selection.groups.is_empty() {
            hosts.retain(|name, _| !inventory.aside.contains(&**name));
        }
        hosts
    } else {
        named(inventory, &selection.hosts, &mut warnings)?
    };
    let groups: IndexSet<&str> = selection.groups.iter().flat_map(|groups| groups.split(',')).map(str::trim).collect();
    if !groups.is_empty() {
        let mut members = HashSet::new();
        for group in &groups {
            members.extend(group_members(inventory, group)?);
        }
        // A host of the file that the set gave a port of its own is still in its groups, under another name.
        let inside = |name: &str, host: &Host| {
            members.contains(name) || host.groups.iter().any(|group| groups.contains(group.as_str()))
        };
        let all = groups.contains("all");
        hosts.retain(|name, host| (all && !inventory.aside.contains(&**name)) || inside(name, host));
    }
    if !selection.within.is_empty() {
        let stay = matching(inventory, &hosts, &selection.within, |_| {})?;
        hosts.retain(|name, _| stay.contains(name));
    }
    if !selection.exclude.is_empty() {
        let gone = excluded(inventory, &hosts, &selection.exclude, &mut warnings)?;
        hosts.retain(|name, _| !gone.contains(name));
    }
    Ok(Selected { hosts: hosts.into_values().collect(), warnings })
}

fn group_members<'a>(inventory: &'a Inventory, group: &str) -> Result<Vec<&'a str>, SelectError> {
    if let Some(members) = inventory.groups.get(group) {
        return Ok(members.iter().map(String::as_str).collect());
    }
    if group == "all" {
        let names = inventory.hosts.keys().filter(|name| !inventory.aside.contains(&***name));
        return Ok(names.map(|name| &**name).collect());
    }
    Err(SelectError::UnknownGroup { group: group.to_owned(), known: inventory.groups.keys().cloned().collect() })
}

/// One thing that a set asks for.
enum Wanted {
    /// A host of the file, as it is there.
    Known(usize),
    /// A host as it is written in the set.
    Written(Spec),
}

/// The hosts that sets name, in the order of the file.
fn named(inventory: &Inventory, sets: &[String], warnings: &mut Vec<String>) -> Result<Hosts, SelectError> {
    let (sums, lists): (Vec<&String>, Vec<&String>) = sets.iter().partition(|set| is_algebra(set));
    let lists: Vec<&str> = lists.into_iter().map(String::as_str).collect();
    let mut chosen = listed(inventory, &lists, warnings)?;
    for set in sums {
        for (name, host) in summed(inventory, set, warnings)? {
            chosen.entry(name).or_insert(host);
        }
    }
    let place = |name: &str| inventory.hosts.get_index_of(name).unwrap_or(usize::MAX);
    chosen.sort_by(|a, _, b, _| place(a).cmp(&place(b)));
    Ok(chosen)
}

/// The hosts of a set with operators.
fn summed(inventory: &Inventory, set: &str, warnings: &mut Vec<String>) -> Result<Hosts, SelectError> {
    let mut hosts = Hosts::new();
    for (join, operand) in operands(set)? {
        let inside = match join {
            Join::With => HashSet::new(),
            _ => matching(inventory, &hosts, &[operand], |_| {})?,
        };
        match join {
            Join::With => hosts.extend(listed(inventory, &[operand], warnings)?),
            Join::Without => hosts.retain(|name, _| !inside.contains(name)),
            Join::Within => hosts.retain(|name, _| inside.contains(name)),
            Join::Either => {
                let mut others = listed(inventory, &[operand], warnings)?;
                others.retain(|name, _| !inside.contains(name));
                hosts.retain(|name, _| !inside.contains(name));
                hosts.extend(others);
            }
        }
    }
    Ok(hosts)
}

/// The hosts that lists name.
fn listed(inventory: &Inventory, sets: &[&str], warnings: &mut Vec<String>) -> Result<Hosts, SelectError> {
    let mut wanted = Vec::new();
    for set in sets {
        for name in expand_elements(set)?.into_iter().flat_map(|element| element.names) {
            want(inventory, set, &name, &mut wanted)?;
        }
    }
    let known = by_base(&inventory.hosts);
    let written = PortNames::new(wanted.iter().filter_map(|wanted| match wanted {
        Wanted::Written(spec) if !inventory.hosts.contains_key(spec.with_port().as_str()) => Some(spec),
        _ => None,
    }));
    // A host of the file has its place there; the others follow in the order of the set.
    let mut chosen: IndexMap<Arc<str>, (usize, Arc<Host>)> = IndexMap::new();
    for wanted in wanted {
        let spec = match wanted {
            Wanted::Known(index) => {
                if let Some((name, host)) = inventory.hosts.get_index(index) {
                    chosen.entry(name.clone()).or_insert_with(|| (index, host.clone()));
                }
                continue;
            }
            Wanted::Written(spec) => spec,
        };
        let with_port = spec.port.and_then(|_| inventory.hosts.get_full(spec.with_port().as_str()));
        let behind = known.get(spec.host.as_str()).filter(|_| spec.port.is_none());
        if let Some((index, name, host)) = with_port {
            let (_, host) = chosen.entry(name.clone()).or_insert_with(|| (index, host.clone()));
            override_with(Arc::make_mut(host), &spec, warnings);
        } else if let Some((index, _, host)) = inventory.hosts.get_full(spec.host.as_str()) {
            for name in written.of(&spec) {
                let (_, host) = chosen.entry(name.as_str().into()).or_insert_with(|| (index, renamed(host, &name)));
                override_with(Arc::make_mut(host), &spec, warnings);
            }
        } else if let Some(behind) = behind {
            for index in behind {
                let Some((name, host)) = inventory.hosts.get_index(*index) else { continue };
                let (_, host) = chosen.entry(name.clone()).or_insert_with(|| (*index, host.clone()));
                override_with(Arc::make_mut(host), &spec, warnings);
            }
        } else {
            for name in written.of(&spec) {
                let name: Arc<str> = name.into();
                let new = || (usize::MAX, Arc::new(Host::new(name.clone())));
                let host = Arc::make_mut(&mut chosen.entry(name.clone()).or_insert_with(new).1);
                override_with(host, &spec, warnings);
                for (key, setting) in inventory.all.iter() {
                    host.settings.add(key, || setting.clone());
                }
            }
        }
    }
    chosen.sort_by(|_, (a, _), _, (b, _)| a.cmp(b));
    Ok(chosen.into_iter().map(|(name, (_, host))| (name, host)).collect())
}

fn want(inventory: &Inventory, set: &str, name: &str, wanted: &mut Vec<Wanted>) -> Result<(), SelectError> {
    let spec = |text: &str| parse_spec(text).map_err(|error| SelectError::Spec { set: set.to_owned(), error });
    let host = |name: &str| match inventory.hosts.get_index_of(name) {
        Some(index) => Ok(Wanted::Known(index)),
        None => spec(name).map(Wanted::Written),
    };
    if let Some(group) = name.strip_prefix('@') {
        for member in group_members(inventory, group)? {
            wanted.push(host(member)?);
        }
        return Ok(());
    }
    if !is_pattern(name) {
        wanted.push(host(name)?);
        return Ok(());
    }
    let before = wanted.len();
    wanted.extend(
        (0..).zip(inventory.hosts.keys()).filter(|(_, host)| wildcard(name, host)).map(|(at, _)| Wanted::Known(at)),
    );
    if wanted.len() == before {
        return Err(SelectError::NoMatch { pattern: name.to_owned() });
    }
    Ok(())
}

/// The host of the file under the name that tells it from others on the same address.
fn renamed(host: &Arc<Host>, name: &str) -> Arc<Host> {
    let mut host = host.clone();
    if *host.name != *name {
        let own = Arc::make_mut(&mut host);
        let value = own.address().to_owned();
        own.settings.add(&"address".into(), || Setting { value, origin: Origin::HostSet });
        own.name = name.into();
    }
    host
}

/// What stands in the set is stronger than what the file says.
fn override_with(host: &mut Host, spec: &Spec, warnings: &mut Vec<String>) {
    if *host.name != *spec.host && host.get("address").is_none() {
        host.set("address", &spec.host, Origin::HostSet);
    }
    if let Some(user) = &spec.user {
        let before =
            host.settings.get("user").filter(|before| before.origin == Origin::HostSet && before.value != *user);
        if let Some(before) = before {
            let (name, before) = (&host.name, &before.value);
            warnings.push(format!(
                "the host set names `{name}` with user `{before}` and with user `{user}`; the last one counts"
            ));
        }
        host.set("user", user, Origin::HostSet);
    }
    if let Some(port) = spec.port {
        host.set("port", port.to_string(), Origin::HostSet);
    }
}

/// Hosts that have a port in their name, by the name without it.
fn by_base(hosts: &Hosts) -> HashMap<String, Vec<usize>> {
    let mut bases: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, name) in hosts.keys().enumerate().filter(|(_, name)| name.contains(':')) {
        if let Ok(Spec { host, port: Some(_), .. }) = parse_spec(name) {
            bases.entry(host).or_default().push(index);
        }
    }
    bases
}

/// The names of hosts that the sets leave out.
fn excluded(
    inventory: &Inventory,
    hosts: &Hosts,
    sets: &[String],
    warnings: &mut Vec<String>,
) -> Result<HashSet<Arc<str>>, SelectError> {
    matching(inventory, hosts, sets, |text| {
        let option = quoted(&format!("--exclude {text}"));
        warnings.push(format!("{option} leaves nobody out: no selected host fits it"));
    })
}

/// The names of those hosts that the sets mean; tells of elements that mean none.
fn matching<S: AsRef<str>>(
    inventory: &Inventory,
    hosts: &Hosts,
    sets: &[S],
    mut vain: impl FnMut(&str),
) -> Result<HashSet<Arc<str>>, SelectError> {
    let bases = by_base(hosts);
    let mut matching = HashSet::new();
    for set in sets {
        if is_algebra(set.as_ref()) {
            matching.extend(summed(inventory, set.as_ref(), &mut Vec::new())?.into_keys());
            continue;
        }
        for Element { text, names } in expand_elements(set.as_ref())? {
            let mut hit = false;
            for name in names {
                for index in meant(inventory, hosts, &bases, set.as_ref(), &name)? {
                    hit = true;
                    matching.extend(hosts.get_index(index).map(|(name, _)| name.clone()));
                }
            }
            if !hit {
                vain(text);
            }
        }
    }
    Ok(matching)
}

/// The hosts, by their place, that a name in an exclude set means.
fn meant(
    inventory: &Inventory,
    hosts: &Hosts,
    bases: &HashMap<String, Vec<usize>>,
    set: &str,
    name: &str,
) -> Result<Vec<usize>, SelectError> {
    if let Some(group) = name.strip_prefix('@') {
        let members: HashSet<&str> = group_members(inventory, group)?.into_iter().collect();
        let inside = |name: &str, host: &Host| members.contains(name) || host.groups.iter().any(|of| of == group);
        return Ok((0..).zip(hosts).filter(|(_, (name, host))| inside(name, host)).map(|(index, _)| index).collect());
    }
    if is_pattern(name) {
        return Ok((0..).zip(hosts.keys()).filter(|(_, host)| wildcard(name, host)).map(|(index, _)| index).collect());
    }
    if let Some(index) = hosts.get_index_of(name) {
        return Ok(vec![index]);
    }
    let spec = parse_spec(name).map_err(|error| SelectError::Spec { set: set.to_owned(), error })?;
    if let Some(index) = hosts.get_index_of(spec.with_port().as_str()) {
        return Ok(vec![index]);
    }
    match spec.port {
        None => Ok(bases.get(&spec.host).cloned().unwrap_or_default()),
        port => {
            let same = hosts.get_full(spec.host.as_str()).filter(|(_, _, host)| host.port() == port);
            Ok(same.into_iter().map(|(index, _, _)| index).collect())
        }
    }
}

/// True if the name is a pattern. There are no classes (`[a-z]`), because brackets are ranges.
fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

#[cfg(test)]
mod tests;
