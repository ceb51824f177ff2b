//! Groups of `ClusterShell`: `groups.conf`, `groups.d/*.yaml` and `local.cfg` as text, and the way from group sources to
//! hosts. Runs no upcall: what these print is handed over like what a file says.

use std::collections::HashSet;

use indexmap::{IndexMap, IndexSet};

use super::ansible::tree::{TreeKind, TreeNode, parse};
use super::hostset::{MOST_HOSTS, expand};
use super::problem::{PieceError, Problem, Text, quoted};
use super::select::algebra::{Join, operands};
use super::source::{HostLine, HostsSource};
use super::spec::{Spec, parse_spec};
use super::{Inventory, resolve};

/// The group that has all nodes of its source.
const ALL: &str = "all";
/// How deep groups may be made of groups.
const DEEPEST: usize = 64;

/// Sections of `groups.conf` files, each with its keys.
pub type Sections = IndexMap<String, IndexMap<String, String>>;

/// A group source: groups by name, each with the node set that it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupSource {
    /// Its name.
    pub name: String,
    /// The file, or the upcalls, for messages.
    pub file: String,
    /// Groups, each with its node set and the line that says it (0 where a command has printed it).
    pub groups: IndexMap<String, (String, usize)>,
    /// All its nodes, where that is said otherwise than by a group `all`.
    pub all: Option<String>,
}

/// Adds what a `groups.conf` says to what files before it have said: a key that stands in both is the later one's.
///
/// # Errors
/// A line that is neither section nor `key: value`.
pub fn config(text: &str, file: &str, sections: &mut Sections) -> Result<(), Problem> {
    let mut section: Option<String> = None;
    let mut key: Option<String> = None;
    for (number, line) in (1..).zip(text.split('\n').map(str::trim_end)) {
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let wrong = |fault| Problem::new(Text::HostsFile, file, number, line, fault);
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.entry(name.trim().to_owned()).or_default();
            (section, key) = (Some(name.trim().to_owned()), None);
            continue;
        }
        let Some(keys) = section.as_ref().and_then(|section| sections.get_mut(section)) else {
            return Err(wrong(
                PieceError::new(1, "a line before the first section").hint("groups.conf begins with `[Main]`"),
            ));
        };
        if line.len() > trimmed.len()
            && let Some(value) = key.as_ref().and_then(|key| keys.get_mut(key))
        {
            *value = format!("{value}\n{trimmed}");
            continue;
        }
        let Some((name, value)) = trimmed.split_once([':', '=']) else {
            return Err(wrong(PieceError::new(1, format!("{} is not `key: value`", quoted(trimmed)))));
        };
        let name = name.trim().to_ascii_lowercase();
        keys.insert(name.clone(), value.trim().to_owned());
        key = Some(name);
    }
    Ok(())
}

/// Reads `local.cfg`: `group: nodes`.
///
/// # Errors
/// A line that is not that.
pub fn flat(text: &str, file: &str) -> Result<GroupSource, Problem> {
    let mut source = GroupSource { name: "local".to_owned(), file: file.to_owned(), ..GroupSource::default() };
    for (number, line) in (1..).zip(text.split('\n')) {
        let content = line.split('#').next().unwrap_or_default().trim();
        if content.is_empty() {
            continue;
        }
        let Some((group, nodes)) = content.split_once(':') else {
            let fault = PieceError::new(1, format!("{} is not `group: nodes`", quoted(content)));
            return Err(Problem::new(Text::HostsFile, file, number, line, fault));
        };
        source.groups.insert(group.trim().to_owned(), (nodes.trim().to_owned(), number));
    }
    Ok(source)
}

/// Reads a file of `groups.d`: sources, each a mapping of groups.
///
/// # Errors
/// What is not YAML, and what is not sources of groups.
pub fn yaml(text: &str, file: &str) -> Result<Vec<GroupSource>, Problem> {
    read(text, file).map_err(|(line, fault)| {
        let excerpt = text.split('\n').nth(line.saturating_sub(1)).unwrap_or_default();
        Problem::new(Text::HostsFile, file, line, excerpt, fault)
    })
}

fn read(text: &str, file: &str) -> Result<Vec<GroupSource>, (usize, PieceError)> {
    let wrong = |node: &TreeNode, what: String| {
        let form = "a source has groups, each a node set or a list of them: `racks: {rack1: 'node[1-8]'}`";
        (node.at.0, PieceError::new(node.at.1, what).hint(form))
    };
    let tree = parse(text, "YAML")?;
    let sources = match &tree.kind {
        TreeKind::Nothing => return Ok(Vec::new()),
        TreeKind::Map(sources) => sources,
        _ => return Err(wrong(&tree, "this is not a mapping of group sources".to_owned())),
    };
    let mut read = Vec::new();
    for (name, groups) in sources {
        let mut source = GroupSource { name: name.name.clone(), file: file.to_owned(), ..GroupSource::default() };
        let groups = match &groups.kind {
            TreeKind::Map(groups) => groups.as_slice(),
            TreeKind::Nothing => &[],
            _ => return Err(wrong(groups, format!("{} is not a mapping of groups", quoted(&name.name)))),
        };
        for (group, nodes) in groups {
            let nodes = match &nodes.kind {
                TreeKind::Nothing => Some(String::new()),
                TreeKind::List(items) => {
                    items.iter().map(TreeNode::text).collect::<Option<Vec<_>>>().map(|items| items.join(","))
                }
                _ => nodes.text().map(str::to_owned),
            };
            let Some(nodes) = nodes else {
                let fault = PieceError::new(group.at.1, format!("the group {} is not a node set", quoted(&group.name)));
                return Err((group.at.0, fault));
            };
            source.groups.insert(group.name.clone(), (nodes, group.at.0));
        }
        read.push(source);
    }
    Ok(read)
}

/// Makes hosts of group sources. A group has the name `SOURCE:GROUP`, one of the default source `GROUP` too; what the
/// default source has, by its `all` or all its groups, is meant where nobody names hosts.
///
/// # Errors
/// A node set that is wrong, or that names a group that is not there or contains itself.
pub fn settle(sources: &[GroupSource], default: &str, file: &str) -> Result<Inventory, String> {
    let mut settled = HostsSource { file: file.to_owned(), ..HostsSource::default() };
    let resolver = Resolver { sources };
    let mut count = 0;
    // The default source first: the order of hosts is its order.
    let (first, others): (Vec<&GroupSource>, Vec<_>) = sources.iter().partition(|source| source.name == default);
    for source in first.iter().chain(&others) {
        for (group, (_, line)) in &source.groups {
            let nodes = resolver.group(&source.name, group, source, 0)?;
            count += nodes.len();
            if count > MOST_HOSTS {
                return Err(format!("{}: groups of more than 1,000,000 nodes", source.file));
            }
            let specs = specs(&nodes).map_err(|wrong| said(source, group, &wrong))?;
            let own = [(source.name == default && group != ALL).then(|| group.clone())];
            let names = own.into_iter().flatten().chain([format!("{}:{group}", source.name)]);
            for name in names {
                let entry = settled.groups.entry(name);
                let index = entry.index();
                entry.or_default().defined = true;
                let specs = specs.clone();
                settled.lines.push(HostLine { line: *line, group: Some(index), specs, settings: Vec::new() });
            }
        }
    }
    let mut usual = HashSet::new();
    for source in first {
        let nodes = resolver.all(source, 0)?;
        let specs = specs(&nodes).map_err(|wrong| said(source, ALL, &wrong))?;
        usual.extend(specs.iter().map(|spec| spec.host.clone()));
        settled.lines.push(HostLine { line: 0, group: None, specs, settings: Vec::new() });
    }
    settled.usual = Some(usual);
    Ok(resolve::resolve(vec![settled]))
}

fn specs(nodes: &IndexSet<String>) -> Result<Vec<Spec>, String> {
    nodes.iter().map(|name| parse_spec(name).map_err(|error| error.to_string())).collect()
}

/// An error, with its place.
fn said(source: &GroupSource, group: &str, what: &str) -> String {
    let line = source.groups.get(group).map_or(0, |(_, line)| *line);
    let place = if line == 0 { String::new() } else { format!(", line {line}") };
    format!("hosts file `{}`{place}: group {}: {what}", source.file, quoted(&format!("{}:{group}", source.name)))
}

struct Resolver<'a> {
    sources: &'a [GroupSource],
}

impl Resolver<'_> {
    fn source(&self, name: &str) -> Option<&GroupSource> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// The nodes of a group; `asking` is the source in which it is named.
    fn group(&self, source: &str, group: &str, asking: &GroupSource, depth: usize) -> Result<IndexSet<String>, String> {
        let near = |name: &str, names: Vec<&str>| {
            crate::text::did_you_mean(name, names).map(|said| format!("; {said}")).unwrap_or_default()
        };
        let Some(found) = self.source(source) else {
            let names = self.sources.iter().map(|source| source.name.as_str()).collect();
            return Err(format!(
                "hosts file `{}`: there is no group source {}{}",
                asking.file,
                quoted(source),
                near(source, names)
            ));
        };
        if group == "*" || (group == ALL && !found.groups.contains_key(ALL)) {
            return self.all(found, depth);
        }
        let Some((nodes, _)) = found.groups.get(group) else {
            let names = found.groups.keys().map(String::as_str).collect();
            return Err(format!(
                "hosts file `{}`: there is no group {} in the source `{source}`{}",
                asking.file,
                quoted(group),
                near(group, names)
            ));
        };
        if depth > DEEPEST {
            return Err(said(found, group, "it contains itself"));
        }
        self.nodes(nodes, found, group, depth)
    }

    /// All nodes of a source.
    fn all(&self, source: &GroupSource, depth: usize) -> Result<IndexSet<String>, String> {
        if let Some(all) = &source.all {
            return self.nodes(all, source, ALL, depth);
        }
        if source.groups.contains_key(ALL) {
            return self.group(&source.name, ALL, source, depth);
        }
        let mut nodes = IndexSet::new();
        for group in source.groups.keys() {
            nodes.extend(self.group(&source.name, group, source, depth + 1)?);
        }
        Ok(nodes)
    }

    /// The nodes of a node set of a group.
    fn nodes(&self, set: &str, source: &GroupSource, group: &str, depth: usize) -> Result<IndexSet<String>, String> {
        let wrong = |what: &str| said(source, group, what);
        let mut nodes: IndexSet<String> = IndexSet::new();
        for (join, operand) in operands(set).map_err(|error| wrong(&error.to_string()))? {
            let mut of: IndexSet<String> = IndexSet::new();
            for name in expand(operand).map_err(|error| wrong(&error.to_string()))? {
                let Some(inner) = name.strip_prefix('@') else {
                    if name.contains(['*', '?']) {
                        return Err(wrong(&format!("{} is a pattern, which gsctl does not take here", quoted(&name))));
                    }
                    of.insert(name);
                    continue;
                };
                // Without a source it is one of the source that the set stands in.
                let (from, inner) = inner.split_once(':').unwrap_or((source.name.as_str(), inner));
                of.extend(self.group(from, inner, source, depth + 1)?);
            }
            match join {
                Join::With => nodes.extend(of),
                Join::Without => nodes.retain(|name| !of.contains(name)),
                Join::Within => nodes.retain(|name| of.contains(name)),
                Join::Either => {
                    let both: HashSet<String> = nodes.intersection(&of).cloned().collect();
                    nodes.extend(of);
                    nodes.retain(|name| !both.contains(name));
                }
            }
        }
        Ok(nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_go_on_and_later_files_win() {
        let mut sections = Sections::new();
        config("# x\n[Main]\ndefault: local\n[a,b]\nmap = echo\n   $GROUP: x\n", "groups.conf", &mut sections).unwrap();
        config("[Main]\nDefault: a\n", "more.conf", &mut sections).unwrap();
        assert_eq!(sections["Main"]["default"], "a");
        assert_eq!(sections["a,b"]["map"], "echo\n$GROUP: x");
        let problem = config("default: x\n", "groups.conf", &mut sections).unwrap_err();
        assert_eq!((problem.line, problem.column), (1, 1));
        assert!(config("[Main]\nnothing\n", "groups.conf", &mut sections).is_err());
    }

    fn sources(text: &str) -> Vec<GroupSource> {
        yaml(text, "cluster.yaml").unwrap()
    }

    #[test]
    fn groups_of_groups() {
        let sources = sources(
            "roles:\n  adm: n0\n  io: '@racks:rack[2-3],n9'\n  rest: '@io!n9&@racks:*^n0'\n  all: '@io'\n\
            racks:\n  rack1: n[1,10]\n  rack2: [n2, 'n[20-21]']\n  rack3: n3\n  new: '@rack[2,3]'\n  none:\n",
        );
        let inventory = settle(&sources, "roles", "clustershell:").unwrap();
        let members = |group: &str| inventory.groups[group].join(" ");
        assert_eq!(members("io"), "n2 n20 n21 n3 n9");
        assert_eq!(members("roles:rest"), "n0 n2 n20 n21 n3");
        assert_eq!(members("racks:new"), "n2 n20 n21 n3");
        assert!(!inventory.groups.contains_key("new") && inventory.groups["racks:none"].is_empty());
        let mut aside: Vec<&String> = inventory.aside.iter().collect();
        aside.sort_unstable();
        assert_eq!(aside, ["n0", "n1", "n10"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, wanted) in [
            ("r: {a: '@b', b: '@a'}", "group `r:b`: it contains itself"),
            ("r:\n  rack: n1\n  c: '@rak'\n", "there is no group `rak` in the source `r`; did you mean `rack`?"),
            ("r: {a: '@s:x'}", "there is no group source `s`"),
            ("r:\n  a: 'n[1-'\n", "`cluster.yaml`, line 2: group `r:a`: host set `n[1-`"),
            ("r:\n  a: 'n*'\n", "line 2: group `r:a`: `n*` is a pattern"),
        ] {
            let said = settle(&sources(text), "r", "clustershell:").unwrap_err();
            assert!(said.contains(wanted), "{text}: {said}");
        }
        assert!(yaml("- a\n", "x").is_err() && yaml("r: n1\n", "x").is_err() && yaml("r: {a: {b: c}}\n", "x").is_err());
        assert_eq!(flat("a: n1 n2 # x\n\nb:n3\n", "local.cfg").unwrap().groups["b"], ("n3".to_owned(), 3));
        assert_eq!(flat("a n1\n", "local.cfg").unwrap_err().line, 1);
    }
}
