//! What hosts files say, settled: which lines mean the same host, who is in which group, which of two values wins.
//!
//! Never fails: whatever is wrong was refused when the file was read. What is only doubtful becomes a warning.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::Inventory;
use super::host::{Host, Origin, Setting, Settings};
use super::problem::harmless;
use super::settings::SSH_ARGUMENTS;
use super::source::{Group, HostsSource, NO_VALUE};
use super::spec::Spec;

/// Warnings of one kind that are worth reading; the rest is counted.
const MOST_WARNINGS: usize = 20;

/// Settles what the files say. What a later file says counts as said later.
pub(super) fn resolve(sources: Vec<HostsSource>) -> Inventory {
    let mut warnings = Warnings::default();
    let written = sources.iter().flat_map(|source| &source.lines).map(|line| line.specs.len()).sum();
    let mut hosts: IndexMap<Arc<str>, Host> = IndexMap::with_capacity(written);
    let mut keys = Keys::default();
    let mut groups: IndexMap<String, IndexSet<usize>> = IndexMap::new();
    let mut addresses: Vec<(Arc<str>, Setting)> = Vec::new();
    let names = PortNames::new(sources.iter().flat_map(|source| &source.lines).flat_map(|line| &line.specs));
    for source in &sources {
        warnings.list.extend(source.warnings.iter().cloned());
        for name in source.groups.keys().filter(|name| *name != "all") {
            groups.entry(name.clone()).or_default();
        }
        let file: Arc<str> = source.file.as_str().into();
        for line in &source.lines {
            for spec in &line.specs {
                for name in names.of(spec) {
                    let name: Arc<str> = name.into();
                    let at = hosts.entry(name.clone()).or_insert_with(|| Host::new(name.clone()));
                    let origin = Origin::HostLine { file: file.clone(), line: line.line };
                    for (key, value) in spoken(spec, &line.settings) {
                        set(at, keys.of(&key), &value, &origin, &mut warnings);
                    }
                    if *name != *spec.host {
                        addresses.push((name.clone(), Setting { value: spec.host.clone(), origin }));
                    }
                    let group = line.group.and_then(|group| source.groups.get_index(group));
                    if let Some((group, _)) = group {
                        let index = hosts.get_index_of(&name).unwrap_or_default();
                        groups.entry(group.clone()).or_default().insert(index);
                    }
                }
            }
        }
    }
    // A name with a port in it is not an address.
    for (name, address) in addresses {
        hosts[&name].settings.add(&keys.of("address"), || address);
    }
    let members = with_children(groups, &sources);
    for (group, members) in &members {
        for host in members {
            hosts[*host].groups.push(group.clone());
        }
    }
    let vars = group_vars(&sources, &mut keys, &mut warnings);
    let depths: HashMap<&str, usize> = sources
        .iter()
        .flat_map(|source| &source.groups)
        .filter(|(_, group)| group.depth > 0)
        .map(|(name, group)| (name.as_str(), group.depth))
        .collect();
    let mut told = HashSet::new();
    for host in hosts.values_mut() {
        inherit(host, &vars, &depths, &mut told, &mut warnings);
        leave_values(&mut host.settings);
    }
    let groups = members
        .into_iter()
        .map(|(group, members)| (group, members.into_iter().map(|host| hosts[host].name.to_string()).collect()))
        .collect();
    let mut all = vars.get("all").cloned().unwrap_or_default();
    leave_values(&mut all);
    let aside = aside(&sources, &hosts, &names);
    let hosts = hosts.into_iter().map(|(name, host)| (name, Arc::new(host))).collect();
    Inventory { hosts, groups, all, aside, warnings: warnings.done(), sources }
}

/// Hosts that no file means where nobody names them.
fn aside(sources: &[HostsSource], hosts: &IndexMap<Arc<str>, Host>, names: &PortNames) -> HashSet<String> {
    if sources.iter().all(|source| source.usual.is_none()) {
        return HashSet::new();
    }
    let mut usual: HashSet<String> = HashSet::new();
    for source in sources {
        let is_usual = |spec: &&Spec| source.usual.as_ref().is_none_or(|usual| usual.contains(&spec.host));
        usual.extend(source.lines.iter().flat_map(|line| &line.specs).filter(is_usual).flat_map(|spec| names.of(spec)));
    }
    hosts.keys().filter(|name| !usual.contains(&***name)).map(ToString::to_string).collect()
}

/// Which name each written host has. A name that is written with different ports means different hosts, as where
/// many nodes stand behind one forwarding address; these, and only these, have the port in their name.
#[derive(Debug, Default)]
pub(super) struct PortNames {
    /// Names that were written with more than one port, each with the names that they make.
    several: HashMap<String, IndexSet<String>>,
}

impl PortNames {
    pub(super) fn new<'a>(specs: impl Iterator<Item = &'a Spec>) -> Self {
        let mut first: HashMap<&str, &Spec> = HashMap::new();
        let mut several: HashMap<String, IndexSet<String>> = HashMap::new();
        for spec in specs.filter(|spec| spec.port.is_some()) {
            let before = *first.entry(&spec.host).or_insert(spec);
            if before.port != spec.port {
                let names = several.entry(spec.host.clone()).or_insert_with(|| IndexSet::from([before.with_port()]));
                names.insert(spec.with_port());
            }
        }
        Self { several }
    }

    /// The names that a written host means: one, or all of an address that has several ports and was written without.
    pub(super) fn of(&self, spec: &Spec) -> Vec<String> {
        match self.several.get(&spec.host) {
            Some(_) if spec.port.is_some() => vec![spec.with_port()],
            Some(names) => names.iter().cloned().collect(),
            None => vec![spec.host.clone()],
        }
    }
}

/// Everything that a line says about one of its hosts.
fn spoken(spec: &Spec, settings: &[(String, String)]) -> Vec<(String, String)> {
    let user = spec.user.as_ref().map(|user| ("user".to_owned(), user.clone()));
    let port = spec.port.map(|port| ("port".to_owned(), port.to_string()));
    user.into_iter().chain(port).chain(settings.iter().cloned()).collect()
}

fn set(host: &mut Host, key: Arc<str>, value: &str, origin: &Origin, warnings: &mut Warnings) {
    if let Some(before) = host.settings.get(&key).filter(|before| before.value != value) {
        let (name, was, now) = (&host.name, shown(&before.value), shown(value));
        // Two nodes may be meant, and one of them would never be contacted.
        let two = format!(
            "; two hosts on one address need two names: `n1 address={name} port={}`",
            harmless(&before.value, 40)
        );
        let two = if *key == *"port" { two.as_str() } else { "" };
        let at = &before.origin;
        warnings
            .push(|| format!("`{key}` of `{name}` is {was} at {at}, but {now} at {origin}; the last one counts{two}"));
    }
    host.set(key, value, origin.clone());
}

/// Every group with all its members, children's among them, in the order of the hosts.
fn with_children(own: IndexMap<String, IndexSet<usize>>, sources: &[HostsSource]) -> IndexMap<String, Vec<usize>> {
    let children = children(sources);
    let mut members = own;
    // Children before parents. What stands in a circle never comes up, and keeps the members that it has itself.
    for group in children_first(&children) {
        for child in &children[&group] {
            let inherited = members.get(*child).cloned().unwrap_or_default();
            members.entry(group.to_owned()).or_default().extend(inherited);
        }
    }
    members
        .into_iter()
        .map(|(group, members)| {
            let mut members: Vec<usize> = members.into_iter().collect();
            members.sort_unstable();
            (group, members)
        })
        .collect()
}

fn children(sources: &[HostsSource]) -> IndexMap<&str, IndexSet<&str>> {
    let mut children: IndexMap<&str, IndexSet<&str>> = IndexMap::new();
    for (name, group) in sources.iter().flat_map(|source| &source.groups) {
        children.entry(name).or_default().extend(group.children.iter().map(|(child, _)| child.as_str()));
    }
    children
}

/// Groups in an order in which each comes after its children. Groups in a circle, and those above them, are left out.
fn children_first<'a>(children: &IndexMap<&'a str, IndexSet<&'a str>>) -> Vec<&'a str> {
    let mut parents: HashMap<&str, Vec<&'a str>> = HashMap::new();
    let mut missing: HashMap<&str, usize> = HashMap::new();
    for (group, of) in children {
        let of = of.iter().filter(|child| children.contains_key(*child));
        missing.insert(group, of.clone().count());
        of.for_each(|child| parents.entry(child).or_default().push(group));
    }
    let mut order: Vec<&'a str> = children.keys().copied().filter(|group| missing[group] == 0).collect();
    let mut at = 0;
    while let Some(group) = order.get(at).copied() {
        at += 1;
        for parent in parents.get(group).into_iter().flatten() {
            if let Some(left) = missing.get_mut(parent) {
                *left -= 1;
                if *left == 0 {
                    order.push(parent);
                }
            }
        }
    }
    order
}

/// How deep each group stands below those that have it as a child; in a circle, nowhere.
pub(super) fn depths(groups: &IndexMap<String, Group>) -> HashMap<String, usize> {
    let children = groups
        .iter()
        .map(|(name, group)| (name.as_str(), group.children.iter().map(|(child, _)| child.as_str()).collect()))
        .collect();
    let mut depths: HashMap<String, usize> = HashMap::new();
    for group in children_first(&children).into_iter().rev() {
        let depth = *depths.entry(group.to_owned()).or_default();
        for child in &children[group] {
            let below = depths.entry((*child).to_owned()).or_default();
            *below = (*below).max(depth + 1);
        }
    }
    depths
}

/// A circle of groups, if there is one: their names, the first again at the end, and where the circle is closed.
pub(super) fn circle(groups: &IndexMap<String, Group>) -> Option<(Vec<&str>, (usize, usize))> {
    let children = groups
        .iter()
        .map(|(name, group)| (name.as_str(), group.children.iter().map(|(child, _)| child.as_str()).collect()))
        .collect();
    let free: HashSet<&str> = children_first(&children).into_iter().collect();
    let bound = |group: &Group| group.children.iter().find(|(child, _)| !free.contains(child.as_str())).cloned();
    // A group that is not free has a child that is not free either, so the walk must come round.
    let mut walk: IndexSet<&str> = IndexSet::new();
    let mut name = groups.keys().find(|name| !free.contains(name.as_str()))?.as_str();
    loop {
        let (at, new) = walk.insert_full(name);
        if !new {
            let (_, place) = bound(&groups[*walk.last()?])?;
            let mut names: Vec<&str> = walk.into_iter().skip(at).collect();
            names.push(name);
            return Some((names, place));
        }
        let (child, _) = bound(&groups[name])?;
        name = groups.get_key_value(&child)?.0;
    }
}

/// The settings of every group, the last one said where a group says two.
fn group_vars(sources: &[HostsSource], keys: &mut Keys, warnings: &mut Warnings) -> IndexMap<String, Settings> {
    let mut vars: IndexMap<String, Settings> = IndexMap::new();
    for source in sources {
        let file: Arc<str> = source.file.as_str().into();
        for (name, group) in &source.groups {
            let settings = vars.entry(name.clone()).or_default();
            for var in &group.vars {
                let origin = Origin::Group { name: name.as_str().into(), file: file.clone(), line: var.line };
                if let Some(before) = settings.get(&var.key).filter(|before| before.value != var.value) {
                    let (was, now) = (shown(&before.value), shown(&var.value));
                    let key = &var.key;
                    warnings.push(|| {
                        format!("`{key}` is {was} at {}, but {now} at {origin}; the last one counts", before.origin)
                    });
                }
                settings.insert(keys.of(&var.key), Setting { value: var.value.clone(), origin });
            }
        }
    }
    vars
}

/// Gives a host what its groups say, and then what is said of all, where its own lines are silent.
fn inherit(
    host: &mut Host,
    vars: &IndexMap<String, Settings>,
    depths: &HashMap<&str, usize>,
    told: &mut HashSet<(String, String, String)>,
    warnings: &mut Warnings,
) {
    let mut inherited: IndexMap<&Arc<str>, (&str, &Setting)> = IndexMap::new();
    for group in &host.groups {
        for (key, setting) in vars.get(group).into_iter().flat_map(Settings::iter) {
            if host.settings.get(key).is_some() {
                continue;
            }
            let Some((other, before)) = inherited.insert(key, (group, setting)) else { continue };
            // Where depth decides, a group below says it to differ from the one above.
            let meant = depths.get(other) != depths.get(group.as_str());
            if before.value != setting.value
                && !meant
                && told.insert((key.to_string(), other.to_owned(), group.clone()))
            {
                let was = format!("{} at {}", shown(&before.value), before.origin);
                let now = format!("{} at {}", shown(&setting.value), setting.origin);
                let groups = format!("groups `{other}` and `{group}` disagree on `{key}` for `{}`", host.name);
                warnings.push(|| format!("{groups}: {was}, {now}; the last group counts"));
            }
        }
    }
    let of_all = vars.get("all").into_iter().flat_map(Settings::iter);
    for (key, setting) in inherited.into_iter().map(|(key, (_, setting))| (key, setting)).chain(of_all) {
        host.settings.add(key, || setting.clone());
    }
}

/// Makes settings of what is settled: arguments for ssh are their jump host, and what has no value is not there.
fn leave_values(settings: &mut Settings) {
    let arguments = SSH_ARGUMENTS.map(|key| settings.remove(key));
    if let Some(jump) = arguments.into_iter().flatten().find(|setting| setting.value != NO_VALUE) {
        settings.add(&"jump".into(), || jump);
    }
    settings.retain(|setting| setting.value != NO_VALUE);
}

/// Names of settings, each kept once for all hosts.
#[derive(Default)]
struct Keys(HashSet<Arc<str>>);

impl Keys {
    fn of(&mut self, key: &str) -> Arc<str> {
        if let Some(known) = self.0.get(key) {
            return known.clone();
        }
        let key: Arc<str> = key.into();
        self.0.insert(key.clone());
        key
    }
}

/// A value in a warning.
fn shown(value: &str) -> String {
    if value == NO_VALUE { "no value".to_owned() } else { format!("`{}`", harmless(value, 40)) }
}

/// Warnings, as many as anybody will read.
#[derive(Default)]
struct Warnings {
    list: Vec<String>,
    pushed: usize,
}

impl Warnings {
    fn push(&mut self, warning: impl FnOnce() -> String) {
        self.pushed += 1;
        if self.pushed <= MOST_WARNINGS {
            self.list.push(warning());
        }
    }

    fn done(mut self) -> Vec<String> {
        if self.pushed > MOST_WARNINGS {
            self.list.push(format!("{} more warnings like these", self.pushed - MOST_WARNINGS));
        }
        self.list
    }
}
