//! The output of openGauss' `cm_ctl view`, as nodes and as a hosts file.
//!
//! Reads what is needed to reach and name the nodes; what else the static configuration holds is left alone.

use std::collections::HashSet;
use std::fmt::Write as _;

use indexmap::IndexMap;

use super::problem::{PieceError, Problem, Text, quoted};
use super::spec::{check_host, is_address};
use super::words::quote;

/// One node of the cluster's static configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CmNode {
    /// The node's number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Its availability zone; without one in a cluster of a single zone.
    pub az: Option<String>,
    /// Addresses for SSH, in the order of the channels.
    pub ssh: Vec<String>,
    /// True where a `cm_server` belongs.
    pub has_cm_server: bool,
    /// Where `cm_agent.conf` lies, in `cm_agent/` below it.
    pub cm_data_path: Option<String>,
    /// How many datanodes belong here.
    pub datanode_count: usize,
    /// Their data directories.
    pub data_paths: Vec<String>,
}

/// Reads the output of `cm_ctl view`.
///
/// # Errors
///
/// The output is of something else, or not all of it is there: a node that is missing here would never be started.
pub fn parse_cm_view(text: &str) -> Result<Vec<CmNode>, Problem> {
    let mut nodes: Vec<CmNode> = Vec::new();
    let mut announced: Option<usize> = None;
    // The zone stands before the `node :` line of its node, and for the first node after a `node:` line of its own.
    let mut az: Option<String> = None;
    let mut last = (1, "");
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() {
            continue;
        }
        last = (number, line);
        let Some((key, value)) = line.split_once(':').map(|(key, value)| (key.trim(), value.trim())) else { continue };
        let wrong = || {
            problem(
                number,
                line,
                PieceError::new(1, format!("{} is not what a node's `{key}` looks like", quoted(value))),
            )
        };
        let key = key.split_whitespace().next().unwrap_or_default();
        let count = || value.parse::<usize>().map_err(|_| wrong());
        if value.contains(char::is_control) {
            return Err(wrong());
        }
        match (key, nodes.last_mut()) {
            ("nodeCount", _) => announced = Some(count()?),
            ("azName", _) => az = Some(value.to_owned()).filter(|az| !az.is_empty()),
            ("node", node) => {
                let number: u32 = value.parse().map_err(|_| wrong())?;
                match node {
                    Some(node) if node.number == number => node.az = az.take().or_else(|| node.az.take()),
                    _ => nodes.push(CmNode { number, az: az.take(), ..CmNode::default() }),
                }
            }
            ("nodeName", Some(node)) => value.clone_into(&mut node.name),
            ("sshChannel", Some(node)) if is_address(value) || check_host(value).is_ok() => {
                node.ssh.push(value.to_owned());
            }
            ("sshChannel", Some(_)) => return Err(wrong()),
            ("cmServer", Some(node)) => node.has_cm_server = true,
            ("cmDataPath", Some(node)) => node.cm_data_path = Some(value.to_owned()).filter(|path| !path.is_empty()),
            ("datanodeCount", Some(node)) => node.datanode_count = count()?,
            ("datanodeLocalDataPath", Some(node)) => node.data_paths.push(value.to_owned()),
            _ => {}
        }
    }
    complete(&nodes, announced).map_err(|fault| problem(last.0, last.1, fault))?;
    Ok(nodes)
}

/// Refuses output that was cut, or that names nodes which cannot be reached.
fn complete(nodes: &[CmNode], announced: Option<usize>) -> Result<(), PieceError> {
    if nodes.is_empty() {
        return Err(PieceError::new(1, "there is no node in it")
            .hint("run `cm_ctl view` as the cluster's user on one of its nodes"));
    }
    if let Some(announced) = announced.filter(|announced| *announced != nodes.len()) {
        return Err(PieceError::new(
            1,
            format!("it says that there are {announced} nodes, but describes {}", nodes.len()),
        )
        .hint("give all of the output of `cm_ctl view`, without `-n` and `-N`"));
    }
    if let Some(node) = nodes.iter().find(|node| node.ssh.is_empty()) {
        return Err(PieceError::new(1, format!("node {} has no `sshChannel`", node.number))
            .hint("give all of the output of `cm_ctl view`"));
    }
    Ok(())
}

fn problem(line: usize, excerpt: &str, fault: PieceError) -> Problem {
    Problem::new(Text::Output, "cm_ctl view", line, excerpt, fault)
}

/// The nodes as a hosts file, with groups by zone and by what belongs on a node.
#[must_use]
pub fn to_hosts_file(nodes: &[CmNode]) -> String {
    let names = names(nodes);
    let mut text = String::from("# Made from the output of `cm_ctl view`.\n");
    let mut groups: IndexMap<String, Vec<&str>> = IndexMap::new();
    for (node, name) in nodes.iter().zip(&names) {
        let mut settings = vec![("node", node.number.to_string())];
        let address = node.ssh.first().filter(|address| *address != name).cloned();
        settings.extend(node.az.clone().map(|az| ("az", az)));
        settings.extend(node.cm_data_path.clone().map(|path| ("cm_data", path)));
        settings.extend((!node.data_paths.is_empty()).then(|| ("data_paths", node.data_paths.join(","))));
        settings.extend((node.ssh.len() > 1).then(|| ("other_addresses", node.ssh[1..].join(","))));
        text.push_str(name);
        for (key, value) in address.map(|address| ("address", address)).into_iter().chain(settings) {
            let _ = write!(text, " {key}={}", quote(&value));
        }
        text.push('\n');
        let zone = node.az.as_deref().filter(|az| is_group_name(az)).map(str::to_owned);
        let server = node.has_cm_server.then(|| "cm_server".to_owned());
        let datanode = (node.datanode_count > 0).then(|| "datanode".to_owned());
        for group in zone.into_iter().chain(server).chain(datanode) {
            groups.entry(group).or_default().push(name);
        }
    }
    // Zones first, whatever the first node happens to be.
    groups.sort_by_cached_key(|group, _| (matches!(group.as_str(), "cm_server" | "datanode"), group.clone()));
    for (group, members) in groups {
        let _ = write!(text, "\n[{group}]\n{}\n", members.join("\n"));
    }
    text
}

/// A name for each node: its own, else its address where the own cannot be written or is another node's too.
fn names(nodes: &[CmNode]) -> Vec<String> {
    let mut taken = HashSet::new();
    let name = |node: &CmNode| {
        let own = Some(&node.name).filter(|name| check_host(name).is_ok() && taken.insert((*name).clone()));
        let name = own.or(node.ssh.first()).cloned().unwrap_or_else(|| format!("node{}", node.number));
        taken.insert(name.clone());
        name
    };
    nodes.iter().map(name).collect()
}

fn is_group_name(az: &str) -> bool {
    az != "all"
        && !az.starts_with('-')
        && !az.is_empty()
        && az.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !is_address(az)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::file;
    use super::*;

    /// The first node as a real three-node cluster prints it; `datanodePeer...` left out.
    const NODE: &str = "azName:AZ1\nazPriority:1\nnode :1\nnodeName:cmnode1\nssh channel :\nsshChannel 1:127.0.3.1\n\
        cmDataPath :/data/cm\ncmServer 1:127.0.3.1\nport :15300\ncmServerLocalHAIP 1:127.0.3.1\ncmAgentIP :127.0.3.1\n\
        datanodeCount :1\ndatanode 1:\ndatanodeLocalDataPath :/data/dn1\ndatanodeXlogPath :\ndatanodeListenIP 1:127.0.3.1\n\
        datanodePort :15400\ndn_replication_num: 3\n";

    fn view() -> String {
        let two = NODE
            .replace("node :1", "node :2")
            .replace("cmnode1", "cmnode2")
            .replace(".3.1", ".3.2")
            .replace("AZ1", "AZ2");
        let three = "node :3\nnodeName:cm node3\nssh channel :\n\
            sshChannel 1:2001:db8::3\nsshChannel 2:127.0.3.3\ndatanodeCount :0\n";
        format!("NodeHeader:\nversion:301\ntime:1795250794\nnodeCount:3\nnode:1\n{NODE}{two}{three}")
    }

    #[test]
    fn nodes_of_a_cluster() {
        let nodes = parse_cm_view(&view()).unwrap();
        let first = CmNode {
            number: 1,
            name: "cmnode1".to_owned(),
            az: Some("AZ1".to_owned()),
            ssh: vec!["127.0.3.1".to_owned()],
            has_cm_server: true,
            cm_data_path: Some("/data/cm".to_owned()),
            datanode_count: 1,
            data_paths: vec!["/data/dn1".to_owned()],
        };
        assert_eq!(nodes.len(), 3);
        assert_eq!(nodes[0], first);
        assert_eq!((nodes[1].number, nodes[1].az.as_deref()), (2, Some("AZ2")));
        assert_eq!(nodes[2].ssh, ["2001:db8::3", "127.0.3.3"]);
        assert_eq!((nodes[2].has_cm_server, nodes[2].datanode_count, nodes[2].az.as_deref()), (false, 0, None));
    }

    #[test]
    fn as_a_hosts_file() {
        let text = to_hosts_file(&parse_cm_view(&view()).unwrap());
        assert_eq!(
            text,
            "# Made from the output of `cm_ctl view`.\n\
             cmnode1 address=127.0.3.1 node=1 az=AZ1 cm_data=/data/cm data_paths=/data/dn1\n\
             cmnode2 address=127.0.3.2 node=2 az=AZ2 cm_data=/data/cm data_paths=/data/dn1\n\
             2001:db8::3 node=3 other_addresses=127.0.3.3\n\
             \n[AZ1]\ncmnode1\n\n[AZ2]\ncmnode2\n\n[cm_server]\ncmnode1\ncmnode2\n\n[datanode]\ncmnode1\ncmnode2\n"
        );
        let inventory = file::parse(text.as_bytes(), "hosts").unwrap();
        assert_eq!(inventory.hosts.len(), 3);
        assert_eq!(inventory.warnings, [""; 0]);
        assert_eq!(inventory.hosts["cmnode2"].groups, ["AZ2", "cm_server", "datanode"]);
    }

    #[track_caller]
    fn bad(text: &str, want: &str) {
        assert_eq!(parse_cm_view(text).unwrap_err().to_string(), format!("output of `cm_ctl view`, {want}"));
    }

    #[test]
    fn what_is_no_view() {
        bad(
            "",
            "line 1, column 1: there is no node in it\nhint: run `cm_ctl view` as the cluster's user on one of its nodes",
        );
        bad(
            &view()[..view().find("node :3").unwrap()],
            "line 41, column 1: it says that there are 3 nodes, but describes 2\nhint: give all of the output of `cm_ctl view`, without `-n` and `-N`",
        );
        bad(
            "node:1\nnodeName:a\n",
            "line 2, column 1: node 1 has no `sshChannel`\nhint: give all of the output of `cm_ctl view`",
        );
        bad("node:x", "line 1, column 1: `x` is not what a node's `node` looks like");
        bad("node:1\nsshChannel 1:a b", "line 2, column 1: `a b` is not what a node's `sshChannel 1` looks like");
    }

    proptest! {
        #[test]
        fn never_panics(text in "(node ?:[0-9]{1,2}\n|nodeName:\\PC{0,5}\n|sshChannel 1:\\PC{0,5}\n|azName:\\PC{0,4}\n|\\PC{0,9}\n){0,9}") {
            if let Ok(nodes) = parse_cm_view(&text) {
                let hosts = to_hosts_file(&nodes);
                prop_assert!(file::parse(hosts.as_bytes(), "hosts").is_ok(), "{}", hosts);
            }
        }

        #[test]
        fn whatever_the_values_it_reads_back(az in "\\PC{0,6}", path in "\\PC{0,8}", name in "\\PC{0,6}") {
            let node = format!("node:1\nazName:{az}\nnode :1\nnodeName:{name}\nsshChannel 1:10.0.0.1\ncmDataPath :{path}\n");
            let nodes = parse_cm_view(&node).unwrap();
            let hosts = to_hosts_file(&nodes);
            let inventory = file::parse(hosts.as_bytes(), "hosts").unwrap_or_else(|problem| panic!("{problem}\n{hosts}"));
            prop_assert_eq!(inventory.hosts[0].get("az"), nodes[0].az.as_deref());
            prop_assert_eq!(inventory.hosts[0].get("cm_data"), nodes[0].cm_data_path.as_deref());
        }
    }
}
