//! `cm_ctl view`: the static configuration, in the words of the real dump (measured 1.7).
//!
//! Keys are `key:` here and `key :` there, and only the first node has a `node:` line: that is how it is.

use std::fmt::{self, Write};

use super::Answer;
use crate::conf::Conf;
use crate::home::datanode_id;

/// The port of a node's datanode; each next node is ten further.
pub(super) fn datanode_port(node: u32) -> u32 {
    15390 + 10 * node
}

/// Prints all nodes; with -v also the ids of the instances.
pub(super) fn view(conf: &Conf, options: &[String]) -> Answer {
    if !conf.view {
        return Answer::error(1, "cm_ctl: Execution failed.\n");
    }
    let detailed = options.iter().any(|option| option == "-v");
    let mut text = String::new();
    match dump(&mut text, conf, detailed) {
        Ok(()) => Answer::ok(text),
        Err(error) => Answer::error(1, error.to_string()),
    }
}

fn dump(out: &mut String, conf: &Conf, detailed: bool) -> fmt::Result {
    let Conf { node, nodes, .. } = conf;
    write!(out, "NodeHeader:\nversion:301\ntime:1795250794\nnodeCount:{}\nnode:{node}\n", nodes.len())?;
    for (node, ip) in (1..).zip(nodes) {
        write!(out, "azName:AZ1\nazPriority:1\nnode :{node}\nnodeName:cmnode{node}\n")?;
        write!(out, "ssh channel :\nsshChannel 1:{ip}\n")?;
        if let Some(id) = conf.cm_servers.iter().position(|server| *server == node) {
            if detailed {
                writeln!(out, "cmseverInstanceID :{}", id + 1)?;
            }
            write!(out, "cmDataPath :{}\ncmServer 1:{ip}\nport :15300\n", conf.cm_data(node).display())?;
            write!(out, "cmServerLocalHAIP 1:{ip}\ncmServerLocalHAPort :15301\n")?;
            write!(out, "cmServerPeerHAIP 1:{ip}\ncmServerPeerHAPort :15401\n")?;
        }
        writeln!(out, "cmAgentIP :{ip}")?;
        if conf.datanodes.contains(&node) {
            datanode(out, conf, node, detailed)?;
        }
    }
    Ok(())
}

fn datanode(out: &mut String, conf: &Conf, node: u32, detailed: bool) -> fmt::Result {
    let Some(ip) = conf.ip(node) else { return Ok(()) };
    let (path, port) = (conf.dn(node), datanode_port(node));
    write!(out, "datanodeCount :1\ndatanode 1:\n")?;
    if detailed {
        writeln!(out, "datanodeInstanceID :{}", datanode_id(node))?;
    }
    write!(out, "datanodeLocalDataPath :{}\ndatanodeXlogPath :\n", path.display())?;
    write!(out, "datanodeListenIP 1:{ip}\ndatanodePort :{port}\n")?;
    write!(out, "datanodeLocalHAIP 1:{ip}\ndatanodeLocalHAPort :{}\n", port + 1)?;
    writeln!(out, "dn_replication_num: {}", conf.datanodes.len())?;
    let peers = conf.datanodes.iter().filter(|peer| **peer != node);
    for (index, &peer) in peers.enumerate() {
        let Some(ip) = conf.ip(peer) else { continue };
        writeln!(out, "datanodePeer{index}DataPath :{}", conf.dn(peer).display())?;
        write!(out, "datanodePeer{index}HAIP 1:{ip}\ndatanodePeer{index}HAPort :{}\n", datanode_port(peer) + 1)?;
    }
    Ok(())
}
