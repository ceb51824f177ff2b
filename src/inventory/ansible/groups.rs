//! An inventory as a tree: Ansible's YAML, what `ansible-inventory --list` and inventory programs print, and the JSON of
//! `gsctl hosts --json`.

use std::collections::HashMap;

use super::super::problem::{PieceError, quoted};
use super::super::spec::SpecError;
use super::draft::{AnsibleInventory, GivenVars, LineFault, wrong};
use super::python::plain_scalar;
use super::tree::{Position, TreeKey, TreeKind, TreeNode};
use super::vars::Value;
use crate::inventory::file_format::BY_ANSIBLE;

/// Keys of a group.
const KEYS: [&str; 3] = ["hosts", "vars", "children"];

/// Reads it.
pub(super) fn read(tree: &TreeNode, ansible: &mut AnsibleInventory) -> Result<(), LineFault> {
    let TreeKind::Map(pairs) = &tree.kind else {
        let hint = "an inventory is groups by name, each with `hosts`, `vars` and `children`";
        return Err(fault(tree.at, "this is not a mapping").map_hint(hint));
    };
    if let Some(schema) =
        tree.get("schema").and_then(TreeNode::text).filter(|schema| schema.starts_with("gsctl.hosts/"))
    {
        return if schema == "gsctl.hosts/1" { own(tree, ansible) } else { Err(newer(schema, tree.at)) };
    }
    if let Some(plugin) = tree.get("plugin").and_then(TreeNode::text) {
        let message = format!("this is how Ansible's plugin {} is set up, not an inventory", quoted(plugin));
        return Err(fault(tree.at, message).map_hint(BY_ANSIBLE));
    }
    let mut seen = HashMap::new();
    let vars = tree.get("_meta").and_then(|meta| meta.get("hostvars"));
    if let Some(TreeNode { kind: TreeKind::Map(hosts), .. }) = vars {
        seen.extend(hosts.iter().map(|(host, vars)| (host.name.as_str(), vars)));
    }
    let mut reader = GroupReader { ansible, hostvars: seen };
    for (name, node) in pairs.iter().filter(|(name, _)| name.name != "_meta") {
        reader.group(name, node)?;
    }
    Ok(())
}

/// A fault with its line.
fn fault(at: Position, message: impl Into<String>) -> LineFault {
    (at.0, PieceError::new(at.1, message))
}

trait Hinted {
    fn map_hint(self, hint: &str) -> Self;
}

impl Hinted for LineFault {
    fn map_hint(self, hint: &str) -> Self {
        (self.0, self.1.hint(hint))
    }
}

fn newer(schema: &str, at: Position) -> LineFault {
    fault(at, format!("{} is of another version of gsctl", quoted(schema))).map_hint("this one reads `gsctl.hosts/1`")
}

struct GroupReader<'a> {
    ansible: &'a mut AnsibleInventory,
    /// Variables of hosts by name, from `_meta`.
    hostvars: HashMap<&'a str, &'a TreeNode>,
}

impl GroupReader<'_> {
    fn group(&mut self, name: &TreeKey, node: &TreeNode) -> Result<(), LineFault> {
        let group = self.ansible.define(&name.name, name.at);
        let pairs = match &node.kind {
            TreeKind::Nothing => return Ok(()),
            TreeKind::List(_) => return self.hosts(node, group),
            TreeKind::Map(pairs) => pairs,
            TreeKind::Plain(_) | TreeKind::Scalar(_) => {
                return Err(fault(node.at, format!("{} is not a group", quoted(&name.name)))
                    .map_hint("a group has `hosts`, `vars` and `children`"));
            }
        };
        for (key, value) in pairs {
            match key.name.as_str() {
                "hosts" => self.hosts(value, group)?,
                "children" => self.children(&name.name, value)?,
                "vars" => {
                    for (key, value, at) in given(value, "vars")? {
                        self.ansible.var(&name.name, &key, value, at)?;
                    }
                }
                other => {
                    let near = crate::text::did_you_mean(other, KEYS);
                    let hint =
                        near.unwrap_or_else(|| "a host stands under `hosts`, a group under `children`".to_owned());
                    return Err(fault(
                        key.at,
                        format!(
                            "{} is not `hosts`, `vars` or `children` of the group {}",
                            quoted(other),
                            quoted(&name.name)
                        ),
                    )
                    .map_hint(&hint));
                }
            }
        }
        Ok(())
    }

    fn children(&mut self, parent: &str, node: &TreeNode) -> Result<(), LineFault> {
        match &node.kind {
            TreeKind::Nothing => {}
            TreeKind::Map(pairs) => {
                for (name, node) in pairs {
                    self.ansible.child(parent, &name.name, name.at);
                    self.group(name, node)?;
                }
            }
            TreeKind::Plain(_) | TreeKind::Scalar(_) | TreeKind::List(_) => {
                for (name, at) in names(node, "children")? {
                    self.ansible.child(parent, name, at);
                    self.ansible.define(name, at);
                }
            }
        }
        Ok(())
    }

    fn hosts(&mut self, node: &TreeNode, group: Option<usize>) -> Result<(), LineFault> {
        if let TreeKind::Map(pairs) = &node.kind {
            for (name, vars) in pairs {
                let vars = given(vars, &name.name)?;
                self.host(&name.name, name.at, group, vars)?;
            }
            return Ok(());
        }
        for (name, at) in names(node, "hosts")? {
            self.host(name, at, group, Vec::new())?;
        }
        Ok(())
    }

    fn host(&mut self, name: &str, at: Position, group: Option<usize>, mut vars: GivenVars) -> Result<(), LineFault> {
        // Once is enough: a host stands in many groups.
        if let Some(node) = self.hostvars.remove(name) {
            vars.extend(given(node, name)?);
        }
        self.ansible.hosts(name, at, group, vars)
    }
}

/// Names in a list; one name need not be in one.
fn names<'n>(node: &'n TreeNode, what: &str) -> Result<Vec<(&'n str, Position)>, LineFault> {
    let items = match &node.kind {
        TreeKind::Nothing => return Ok(Vec::new()),
        TreeKind::List(items) => items.as_slice(),
        TreeKind::Plain(_) | TreeKind::Scalar(_) | TreeKind::Map(_) => std::slice::from_ref(node),
    };
    items
        .iter()
        .map(|item| match item.text() {
            Some(text) => Ok((text, item.at)),
            None => Err(fault(item.at, format!("`{what}` must be names"))),
        })
        .collect()
}

/// What stands in a mapping of variables.
fn pairs<'n>(node: &'n TreeNode, what: &str) -> Result<&'n [(TreeKey, TreeNode)], LineFault> {
    match &node.kind {
        TreeKind::Nothing => Ok(&[]),
        TreeKind::Map(pairs) => Ok(pairs),
        TreeKind::Plain(_) | TreeKind::Scalar(_) | TreeKind::List(_) => {
            Err(fault(node.at, format!("the variables of {} are not a mapping", quoted(what)))
                .map_hint("write `name: value`, one a line"))
        }
    }
}

/// Variables in a mapping, as Ansible reads them.
fn given(node: &TreeNode, what: &str) -> Result<GivenVars, LineFault> {
    let value = |node: &TreeNode| match &node.kind {
        TreeKind::Plain(text) => plain_scalar(text),
        TreeKind::Scalar(text) => Value::text(text),
        // As `ansible-inventory --list` has it.
        TreeKind::Map(_) if node.get("__ansible_vault").is_some() => Value::Vault,
        TreeKind::Map(_) => node.get("__ansible_unsafe").and_then(TreeNode::text).map_or(Value::Other, Value::text),
        TreeKind::Nothing => Value::Nothing,
        TreeKind::List(_) => Value::Other,
    };
    Ok(pairs(node, what)?.iter().map(|(key, node)| (key.name.clone(), value(node), key.at)).collect())
}

/// What `gsctl hosts --json` prints, or a program in its words.
fn own(tree: &TreeNode, ansible: &mut AnsibleInventory) -> Result<(), LineFault> {
    let Some(TreeNode { kind: TreeKind::List(hosts), .. }) = tree.get("hosts") else {
        return Err(fault(tree.at, "`hosts` must be a list"));
    };
    for node in hosts {
        if let Some(name) = node.text() {
            ansible.plain(name, node.at, &[], Vec::new())?;
            continue;
        }
        let TreeKind::Map(pairs) = &node.kind else {
            return Err(fault(node.at, "a host is a name, or a mapping with `host`"));
        };
        let Some(name) = node.get("host").and_then(TreeNode::text) else {
            return Err(fault(node.at, "the host has no `host`, which is its name"));
        };
        let mut settings = Vec::new();
        let mut groups = Vec::new();
        for (key, value) in pairs {
            let text = || value.text().ok_or_else(|| fault(value.at, format!("`{}` is not text", key.name)));
            match key.name.as_str() {
                "host" => {}
                "groups" => groups = names(value, "groups")?,
                "vars" => {
                    for (key, value) in self::pairs(value, "vars")? {
                        let Some(text) = value.text() else {
                            return Err(wrong(key.at, SpecError::new(format!("{} is not text", quoted(&key.name)))));
                        };
                        settings.push((key.name.clone(), text.to_owned(), key.at));
                    }
                }
                "proxy_command" => {
                    let name = quoted(name);
                    ansible.warn(
                        key.at.0,
                        &format!("the ProxyCommand of {name} is for ssh_config to say; it is left out"),
                    );
                }
                "address" | "user" | "port" | "identity" | "jump" | "timeout" | "connect_timeout" => {
                    settings.push((key.name.clone(), text()?.to_owned(), key.at));
                }
                other => {
                    return Err(fault(key.at, format!("{} is not a key of a host", quoted(other)))
                        .map_hint("variables for playbooks stand in `vars`"));
                }
            }
        }
        ansible.plain(name, node.at, &groups, settings)?;
    }
    Ok(())
}
