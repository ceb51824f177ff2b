//! Jump hosts and `ProxyCommand`, told by the jump hosts' own logs and by what is on the nodes.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::failures::{host, report, running, says, until_gone, until_running};
use crate::gsctl::Gsctl;
use crate::lab::{Lab, Node, wait};

/// A name for a node that only `jump` knows, where it can have an `/etc/hosts` of its own; otherwise the node's address.
/// Without a way through the jump host nobody gets there.
fn hidden(lab: &Lab, jump: &Node, node: &Node, names: &[&str]) -> String {
    let mut table = String::from("127.0.0.1 localhost\n");
    let mut lines = String::new();
    for name in names {
        let _ = writeln!(table, "{} {name}.behind", node.address().ip());
        lab.trust(&format!("{name}.behind"), node.address(), node);
        let address = if lab.is_private() { format!("{name}.behind") } else { node.address().ip().to_string() };
        let _ = writeln!(lines, "{name} address={address} port={} user={}", node.address().port(), lab.user());
    }
    if lab.is_private() {
        fs::write(jump.outside(jump.base().join("hosts")), table).unwrap();
        let output = jump.sh(&format!("mount --bind {}/hosts /etc/hosts", jump.base().display()));
        assert!(output.status.success(), "{output:?}");
    }
    lines
}

/// Logins that its sshd let in.
fn logins(node: &Node) -> usize {
    node.sshd_log().matches("Accepted publickey").count()
}

/// The lab's `gsctl` with this many hosts that are hidden behind `jump`, all of them `node`.
fn behind(lab: &Lab, jump: &Node, node: &Node, names: &[&str]) -> Gsctl {
    let lines = hidden(lab, jump, node, names);
    lab.gsctl().hosts_file(lab.hosts_file_with(&lines)).arg("-w").arg(names.join(","))
}

#[test]
fn a_chain_of_two_with_a_hundred_targets_is_one_login_on_each() {
    let lab = Lab::start(3);
    let (first, second, node) = (lab.node(1), lab.node(2), lab.node(3));
    let names: Vec<String> = (1..=100).map(|n| format!("deep{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let gsctl = behind(&lab, second, node, &names).args(["-J", "node1,node2", "--connect-timeout", "60s"]);
    let result = report(gsctl.args(["exec", "--", "echo ran >>ran; echo heard"]), 0);
    assert_eq!(result["counts"]["ok"], 100, "{result:#}");
    assert!(result["hosts"].as_array().unwrap().iter().all(|host| host["stdout"] == "heard\n"), "{result:#}");
    assert_eq!((logins(first), logins(second), logins(node)), (1, 1, 100));
    assert_eq!(node.text("home/ran").lines().count(), 100);
    if lab.is_private() {
        assert_eq!(host(&result, "deep7")["address"], "deep7.behind", "{result:#}");
    }
}
