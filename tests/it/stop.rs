//! `gsctl stop` on real nodes: markers on their disks, processes that are gone, and no success without a look.

use std::os::unix::fs::PermissionsExt as _;

use crate::lab::opengauss::{self, Cluster, MARKER};
use crate::lab::{Lab, Node, wait};
use crate::start::{Reported, reported};

fn stop(lab: &Lab, args: &[&str]) -> Reported {
    reported(lab, lab.gsctl().arg("stop"), args)
}

fn start(lab: &Lab) {
    reported(lab, lab.gsctl().arg("start"), &["--wait", "30s"]).expect(0);
}

/// Asserts that the marker is there as `cm_agent` wants it, and nothing lies beside it that a write left behind.
#[track_caller]
fn is_marked(node: &Node, mode: &str) {
    assert_eq!(node.text(MARKER), format!("0\n{mode}\n2\n"));
    let file = node.outside(MARKER);
    let metadata = file.metadata().expect("it is there");
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    let beside = std::fs::read_dir(file.parent().expect("a directory")).expect("it is readable");
    let names = beside.map(|entry| entry.expect("it is readable").file_name().to_string_lossy().into_owned());
    let markers: Vec<_> = names.filter(|name| name.contains("cluster_manual_start")).collect();
    assert_eq!(markers, ["cluster_manual_start"]);
}

#[track_caller]
fn is_down(cluster: &Cluster<'_>, number: usize) {
    for program in ["cm_agent", "cm_server", "gaussdb"] {
        assert!(cluster.running(number, program).is_empty(), "{}", cluster.census());
    }
}

#[test]
fn a_running_cluster_goes_down_and_comes_up_again() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    start(&lab);

    let first = stop(&lab, &["--wait", "30s"]).expect(0);
    first.all("changed");
    for number in 1..=3 {
        is_marked(lab.node(number), "1");
        is_down(&cluster, number);
        let chain = first.host(number)["chain"].as_array().expect("a chain");
        assert!(chain.len() == 4 && chain.iter().all(|stage| stage["up"] == true), "{chain:?}");
        assert!(chain[3]["after_ms"].is_u64(), "{chain:?}");
    }
    let written = |number: usize| lab.node(number).outside(MARKER).metadata().and_then(|file| file.modified()).ok();
    let before: Vec<_> = (1..=3).map(written).collect();
    stop(&lab, &["--wait", "30s"]).expect(0).all("ok");
    assert_eq!(before, (1..=3).map(written).collect::<Vec<_>>());

    start(&lab);
    stop(&lab, &["--wait", "30s", "--mode", "immediate"]).expect(0).all("changed");
    for number in 1..=3 {
        is_marked(lab.node(number), "2");
        is_down(&cluster, number);
    }
}

#[test]
fn a_node_that_was_not_looked_at_is_not_called_stopped() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    start(&lab);
    lab.node(3).stop_sshd();
    lab.node(3).kill_sessions();
    let impatient = ["--wait", "30s", "--connect-attempts", "1", "--connect-timeout", "2s"];

    let run = stop(&lab, &impatient).expect(7);
    run.host_is(3, "unreachable", "refused", "").says("nothing was changed");
    (1..=3).for_each(|number| assert!(!lab.node(number).exists(MARKER), "{}", run.run));

    let run = stop(&lab, &[&impatient[..], &["--allow-unreachable", "1"]].concat()).expect(4);
    run.host_is(1, "changed", "", "").host_is(2, "changed", "", "").host_is(3, "unreachable", "refused", "");
    assert_eq!(run.host(3)["chain"], serde_json::Value::Null);
    for number in 1..=2 {
        is_marked(lab.node(number), "1");
        is_down(&cluster, number);
    }
    assert!(!cluster.running(3, "gaussdb").is_empty(), "{}", cluster.census());
    let summary = run.run.stderr.rsplit("Summary").next().unwrap_or_default();
    assert!(summary.contains("2 ok") && summary.contains("1 unreachable"), "{}", run.run);
    assert!(summary.contains("UNREACHABLE node3"), "{}", run.run);
    assert!(!run.run.text().contains("node3") && !run.run.text().contains("node[1-3]"), "{}", run.run);
}

#[test]
fn a_node_that_does_not_go_down_is_named() {
    let lab = Lab::start(2);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    start(&lab);
    cluster.fault(2, "stopping_forever", "1");
    let run = stop(&lab, &["--wait", "4s"]).expect(5);
    run.host_is(1, "changed", "", "");
    run.host_is(2, "failed", "first stage not reached: gaussdb gone (1), for ", "gsctl stop --mode immediate");
    is_down(&cluster, 1);
    assert!(!cluster.running(2, "gaussdb").is_empty(), "{}", cluster.census());
    is_marked(lab.node(2), "1");
    cluster.heal(2, "stopping_forever");
    wait::until("it is down", || cluster.running(2, "cm_agent").is_empty());

    // Not waited for, so nobody says that it is down.
    start(&lab);
    let run = stop(&lab, &["--wait", "0"]).expect(0);
    run.all("changed");
    is_marked(lab.node(1), "1");
}
