//! `play --serial`: a rolling run on real nodes, and what a dry run says of it.

use std::fs;

use crate::gsctl::Gsctl;
use crate::lab::Lab;

const RESTART: &str = "\
name: restart
steps:
  - name: stop it
    run: echo stop >>log
  - name: start it
    run: echo start >>log; test ! -e broken
  - name: is it well
    run: echo well >>log
";

fn book(lab: &Lab, text: &str) -> std::path::PathBuf {
    let path = lab.dir().join("client/restart.yaml");
    fs::write(&path, text).expect("it can be written");
    path
}

fn play(lab: &Lab, text: &str, options: &[&str]) -> Gsctl {
    lab.gsctl().json().args(options).arg("play").arg(book(lab, text))
}

#[test]
fn a_broken_node_stops_a_rolling_run_and_the_rest_is_left_alone() {
    let lab = Lab::start(5);
    lab.node(3).write("home/broken", "");
    let run = play(&lab, RESTART, &["--serial", "1"]).run().expect(5);
    for number in [1, 2] {
        assert_eq!(lab.node(number).text("home/log"), "stop\nstart\nwell\n", "{run}");
    }
    assert_eq!(lab.node(3).text("home/log"), "stop\nstart\n", "{run}");
    // Nothing was done there.
    assert!(!lab.node(4).exists("home/log") && !lab.node(5).exists("home/log"), "{run}");
    let report = run.json();
    let outcomes: Vec<&str> =
        report["hosts"].as_array().unwrap().iter().map(|host| host["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["ok", "ok", "failed", "cancelled", "cancelled"], "{run}");
    assert!(run.stderr.contains("batch 3 of 5 failed on node3: the other 2 hosts were left alone: node[4-5]"), "{run}");
    assert!(run.stderr.contains("not begun"), "{run}");
    for (group, hosts) in [("@failed", "node3"), ("@not-begun", "node4\nnode5"), ("@retry", "node3\nnode4\nnode5")] {
        let names = lab.gsctl().args(["-w", group, "hosts"]).run().expect(0).text();
        for host in hosts.lines() {
            assert!(names.contains(host), "{group}: {names}");
        }
        assert!(!names.contains("node1"), "{group}: {names}");
    }

    // Mended, the run goes on with the rest.
    lab.node(3).remove("home/broken");
    let id = report["run"].as_str().unwrap();
    lab.gsctl().args(["--serial", "1", "play", "--resume", id]).run().expect(0);
    assert_eq!(lab.node(1).text("home/log"), "stop\nstart\nwell\n");
    for number in [4, 5] {
        assert_eq!(lab.node(number).text("home/log"), "stop\nstart\nwell\n");
    }
    assert_eq!(lab.node(3).text("home/log"), "stop\nstart\nstart\nwell\n");
}

#[test]
fn a_dry_run_says_what_would_be_done_where() {
    let lab = Lab::start(3);
    let text = "\
name: careful
vars: { dir: { default: /tmp } }
steps:
  - name: take the marker away
    when: { exists: /tmp/paused }
    remove: '{dir}/cluster_manual_start'
  - name: on one of them
    on: any
    run: echo I speak for all
";
    let run = play(&lab, text, &["--dry-run", "--serial", "2"]).run().expect(0);
    for said in [
        "careful on node[1-3] (3 hosts)",
        "steps 1 to 2 in batches of 2; no further batch once more than 0 failed",
        "1. take the marker away",
        "remove /tmp/cluster_manual_start",
        "only where /tmp/paused is there: known only at the node",
        "on one of node[1-3] (3 hosts)",
        "run `echo I speak for all`",
    ] {
        assert!(run.text().contains(said), "no `{said}`\n{run}");
    }
    assert!(run.text().lines().count() < 15, "{run}");
    // With -v, what would be sent.
    let run = play(&lab, text, &["--dry-run", "-v"]).run().expect(0);
    assert!(run.text().contains("gs_remove") && run.text().contains("# on node[1-3]"), "{run}");
    let run = lab.gsctl().arg("play").arg(book(&lab, text)).arg("--list-hosts").run().expect(0);
    assert!(run.text().contains("2. on one of them: one of node[1-3] (3 hosts)"), "{run}");
    let run = lab.gsctl().arg("play").arg(book(&lab, "steps: []\n")).arg("--syntax-check").run().expect(2);
    assert!(run.stderr.contains("`steps` is empty"), "{run}");
    lab.gsctl().arg("play").arg(book(&lab, text)).arg("--syntax-check").run().expect(0);
}

#[test]
fn a_block_rolls_and_the_steps_around_it_do_not() {
    let lab = Lab::start(4);
    let text = "\
name: blocks
steps:
  - { name: before, run: echo before >>log }
  - name: one by one
    serial: 1
    block:
      - { name: stop, run: echo stop >>log; test ! -e broken }
      - { name: start, run: echo start >>log }
  - { name: after, run: echo after >>log }
";
    lab.node(2).write("home/broken", "");
    let run = play(&lab, text, &[]).run().expect(5);
    assert_eq!(lab.node(1).text("home/log"), "before\nstop\nstart\n", "{run}");
    assert_eq!(lab.node(2).text("home/log"), "before\nstop\n", "{run}");
    assert_eq!(lab.node(3).text("home/log"), "before\n", "{run}");
}
