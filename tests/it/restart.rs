//! `restart`: all nodes at once, or one after the other with the primary last. What the nodes' own logs say is what counts.

use std::path::Path;

use crate::lab::opengauss::{self, Cluster, PROGRAMS};
use crate::lab::{Lab, need_root};

const NODES: usize = 8;

/// A cluster that runs.
fn running(lab: &Lab) -> Cluster<'_> {
    let cluster = opengauss::install(lab);
    cluster.start_monitors();
    lab.gsctl().args(["start", "--wait", "60s"]).run().expect(0);
    cluster
}

/// How often the agent of each node has been started, by its own log.
fn starts(lab: &Lab) -> Vec<usize> {
    let count = |node: &crate::lab::Node| {
        let dir = node.outside(Path::new("log/cm/cm_agent"));
        let texts =
            std::fs::read_dir(dir).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
        texts.map(|text| text.matches("agent start and stop thread start").count()).sum()
    };
    lab.nodes().iter().map(count).collect()
}

/// The node whose datanode is the primary.
fn primary(lab: &Lab) -> String {
    let status = lab.gsctl().json().arg("status").run().expect(0).json();
    let facts = status["hosts"].as_array().unwrap().iter().find_map(|host| {
        let facts = host["facts"].as_object().unwrap();
        (1..=NODES).find(|node| facts.get(&format!("datanode_{node}")).is_some_and(|role| role == "Primary Normal"))
    });
    format!("node{}", facts.expect("somebody asked the cluster"))
}

#[test]
fn a_broken_fourth_node_of_eight_ends_a_rolling_restart() {
    need_root();
    let lab = Lab::start(NODES);
    let cluster = running(&lab);
    assert_eq!(primary(&lab), "node1");
    let before = starts(&lab);
    // The fourth in turn: node1 is the primary and goes last, so it is node5.
    lab.node(5).chmod("app/bin/cm_agent", 0o644);
    let run = lab.gsctl().json().args(["restart", "--serial", "1", "--wait", "60s"]).run().expect(5);
    let after: Vec<usize> = starts(&lab).iter().zip(&before).map(|(after, before)| after - before).collect();
    assert_eq!(after, [0, 1, 1, 1, 0, 0, 0, 0], "{run}");
    for left in [1, 6, 7, 8] {
        assert!(!cluster.running(left, "cm_agent").is_empty(), "{run}");
    }
    let json = run.json();
    let outcomes: Vec<&str> =
        json["hosts"].as_array().unwrap().iter().map(|host| host["outcome"].as_str().unwrap()).collect();
    assert_eq!(&outcomes[1..4], ["changed"; 3], "{run}");
    assert_eq!((outcomes[0], outcomes[4], &outcomes[5..]), ("cancelled", "failed", &["cancelled"; 3][..]), "{run}");
    assert!(run.stderr.contains("batch 4 of 8 failed on node5"), "{run}");
    assert!(run.stderr.contains("cm_agent is not executable"), "{run}");
    assert!(run.stderr.contains("node1: it is the primary, and is restarted in place"), "{run}");
    assert_eq!(run.stderr.matches("restarted in place").count(), 1, "{run}");
    // Mended, the run goes on with the rest, the primary last.
    lab.node(5).chmod("app/bin/cm_agent", 0o755);
    lab.gsctl().args(["start", "--wait", "60s"]).run().expect(0);
    let id = json["run"].as_str().unwrap();
    lab.gsctl().args(["play", "--resume", id]).run().expect(0);
    let after: Vec<usize> = starts(&lab).iter().zip(&before).map(|(after, before)| after - before).collect();
    assert_eq!((after[0], &after[1..4], &after[5..]), (1, &[1; 3][..], &[1; 3][..]));
}

#[test]
fn with_switchover_the_primary_moves_before_its_turn() {
    need_root();
    let lab = Lab::start(3);
    let cluster = running(&lab);
    // On a busy machine an agent's report may be late, and a failover would hide whether the primary was moved.
    (1..=3).for_each(|node| cluster.fault(node, "stale", "20"));
    assert_eq!(primary(&lab), "node1");
    let before = starts(&lab);
    let run = lab.gsctl().json().args(["restart", "--serial", "1", "--switchover", "--wait", "60s"]).run().expect(0);
    let after: Vec<usize> = starts(&lab).iter().zip(&before).map(|(after, before)| after - before).collect();
    assert_eq!(after, [1; 3], "{run}");
    assert!(!run.stderr.contains("restarted in place"), "{run}");
    // It was moved, and not failed over: node2 has it, which was restarted first.
    assert_eq!(primary(&lab), "node2", "{run}");
    let steps = run.json()["hosts"][0]["steps"].as_array().unwrap().clone();
    let moved = steps.iter().find(|step| step["name"] == "move the primary to another node").unwrap();
    assert_eq!(moved["outcome"], "changed", "{run}");
    for node in lab.nodes() {
        assert!(!node.exists("app/bin/cluster_manual_start"));
    }
}

#[test]
fn without_serial_all_are_stopped_and_started() {
    need_root();
    let lab = Lab::start(3);
    let cluster = running(&lab);
    let before = starts(&lab);
    let run = lab.gsctl().args(["restart", "--wait", "60s"]).run().expect(0);
    let after: Vec<usize> = starts(&lab).iter().zip(&before).map(|(after, before)| after - before).collect();
    assert_eq!(after, [1; 3], "{run}");
    for (number, program) in (1..=3).flat_map(|number| PROGRAMS[..4].iter().map(move |program| (number, program))) {
        assert!(!cluster.running(number, program).is_empty(), "{run}");
    }
    // One that may not be looked at: nothing is stopped anywhere.
    lab.node(2).chmod("app", 0);
    let run = lab.gsctl().args(["restart", "--wait", "60s"]).run().expect(7);
    assert_eq!(starts(&lab), before.iter().map(|count| count + 1).collect::<Vec<_>>(), "{run}");
}

#[test]
fn what_cannot_be_restarted_so_is_said() {
    let lab = Lab::start(1);
    for (words, said) in [
        (&["restart", "--system", "greenplum", "--serial", "1"][..], "`greenplum` cannot be restarted node by node"),
        (&["restart", "--system", "postgres"], "there is no `restart` for the system `postgres`"),
        (&["restart", "--switchover"], "`--switchover` without `--serial`"),
    ] {
        let run = lab.gsctl().args(words).run().expect(2);
        assert!(run.stderr.contains(said), "{run}");
    }
    // A cluster that is down is started, not restarted node by node.
    opengauss::install(&lab);
    let run = lab.gsctl().args(["restart", "--serial", "1"]).run().expect(7);
    assert!(run.stderr.contains("a rolling restart is for a cluster that runs"), "{run}");
}
