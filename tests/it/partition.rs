//! A run in parts (`--partition`), and one report of them (`runs merge`).

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::gsctl::Gsctl;
use crate::lab::Lab;

fn names(gsctl: Gsctl) -> Vec<String> {
    gsctl.args(["hosts", "--expand"]).run().expect(0).text().lines().map(str::to_owned).collect()
}

#[test]
fn parts_are_stable_disjoint_and_complete() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("hosts"), "db[01-17]\nweb[1-3]\n").unwrap();
    let gsctl = || Gsctl::at_home(home.path());
    let all = names(gsctl());
    for of in [1, 3, 20, 23] {
        let mut seen = HashSet::new();
        let mut sizes = Vec::new();
        for part in 1..=of {
            let own = names(gsctl().args(["--partition", &format!("{part}/{of}")]));
            assert_eq!(own, names(gsctl().env("GSCTL_PARTITION", format!("{part}/{of}"))), "another time");
            // In the file's order.
            let places: Vec<_> = own.iter().map(|host| all.iter().position(|known| known == host)).collect();
            assert!(places.is_sorted() && !places.contains(&None), "{own:?}");
            sizes.push(own.len());
            assert!(own.into_iter().all(|host| seen.insert(host)), "{part}/{of}");
        }
        assert_eq!(seen.len(), 20, "of {of}");
        assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
    }
    // Of what is selected, not of the file.
    let selected = |part| names(gsctl().args(["-w", "web[1-3]", "--partition", part]));
    assert_eq!((selected("1/2"), selected("2/2")), (vec!["web1".into(), "web3".into()], vec!["web2".into()]));
    let slurm = |gsctl: Gsctl, task: &str, last: &str, count: &str| {
        let gsctl = gsctl.env("SLURM_ARRAY_TASK_ID", task).env("SLURM_ARRAY_TASK_MIN", "1");
        gsctl.env("SLURM_ARRAY_TASK_MAX", last).env("SLURM_ARRAY_TASK_COUNT", count).env("SLURM_ARRAY_TASK_STEP", "1")
    };
    let second = names(gsctl().args(["--partition", "2/3"]));
    assert_eq!(names(slurm(gsctl().args(["--partition", "auto"]), "2", "3", "3")), second);
    assert_eq!(names(slurm(gsctl().args(["--partition", "auto/3"]), "2", "2", "1")), second);
    assert_eq!(names(gsctl().args(["--partition", "auto/3"]).env("JOB_COMPLETION_INDEX", "1")), second);
    let refused = |gsctl: Gsctl, because: &str| {
        let run = gsctl.arg("ping").run().expect(2);
        assert!(run.stderr.contains(because) && run.stderr.contains("hint: "), "{run}");
    };
    refused(slurm(gsctl().args(["--partition", "auto"]), "3", "5", "3"), "the array has a step or gaps");
    refused(gsctl().args(["--partition", "auto"]), "the environment does not have SLURM_ARRAY_TASK_ID");
    refused(gsctl().args(["--partition", "auto/3"]).env("JOB_COMPLETION_INDEX", "3"), "there is no part for the pod");
    gsctl().args(["--partition", "4/3", "ping"]).run().expect(2);
}

#[test]
fn what_is_about_a_whole_cluster_has_no_parts() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("hosts"), "127.0.0.1 port=1\n").unwrap();
    fs::write(home.path().join("any.yaml"), "name: any\nsteps:\n- name: ask\n  run: 'true'\n  on: any\n").unwrap();
    fs::write(home.path().join("each.yaml"), "name: each\nsteps:\n- name: ask\n  run: 'true'\n").unwrap();
    let run = |words: &[&str]| Gsctl::at_home(home.path()).args(["--partition", "1/1"]).args(words).run();
    for (words, because) in [
        (&["start"][..], "its startup chain is that of a whole cluster"),
        (&["status", "--system", "oracle-rac"], "its startup chain is that of a whole cluster"),
        (&["play", "any.yaml"], "step `ask` asks one host for all"),
        (&["wait", "--port", "1", "--quorum", "50%"], "waits for a number of all hosts"),
    ] {
        let run = run(words).expect(2);
        assert!(run.stderr.contains("`--partition 1/1`") && run.stderr.contains(because), "{run}");
    }
    // Refused by the port, and not by gsctl.
    run(&["play", "each.yaml", "--host-key-policy", "off", "--connect-attempts", "1"]).expect(4);
}

#[test]
fn parts_are_merged_into_one_report() {
    let lab = Lab::start(3);
    let dir = lab.client_home();
    let part = |part: usize, text: &str| {
        let gsctl = lab.gsctl().args(["--partition", &format!("{part}/4"), "--json", &format!("{part}.json")]);
        gsctl.args(["exec", "--", text]).run()
    };
    let text = "echo said by $(hostname); echo $(hostname) >>ran; test $(hostname) != node2";
    part(1, text).expect(0);
    part(2, text).expect(5);
    // There are three hosts: this part has none.
    part(4, text).expect(0);
    let empty: Value = serde_json::from_slice(&fs::read(dir.join("4.json")).unwrap()).unwrap();
    assert_eq!((&empty["hosts"], &empty["partition"]["index"]), (&serde_json::json!([]), &4.into()), "{empty:#}");
    let merge = |more: &[&str]| lab.bare_gsctl().args(["runs", "merge"]).args(more).run();

    // A part is missing: nobody knows what became of its hosts.
    let run = merge(&["2.json", "1.json", "4.json", "--json", "all.json"]).expect(4);
    assert!(run.stderr.contains("part 3/4 is missing") && run.stderr.contains("--partition 3/4"), "{run}");
    let report: Value = serde_json::from_slice(&fs::read(dir.join("all.json")).unwrap()).unwrap();
    assert_eq!(report["merged"]["missing"], serde_json::json!([3]), "{report:#}");
    let run = merge(&["1.json", "4.json"]).expect(4);
    assert!(run.stderr.contains("parts 2/4, 3/4 are missing: there is no report of them"), "{run}");
    merge(&["1.json", "1.json"]).expect(2);
    merge(&["1.json", "all.json"]).expect(2);
    merge(&["1.json", "--json", "1.json"]).expect(2);

    part(3, text).expect(0);
    let files = ["1.json", "2.json", "3.json", "4.json"];
    let reports = ["--json", "all.json", "--junit", "all.xml", "--html", "all.html"];
    let run = merge(&[&files[..], &reports].concat()).expect(5);
    assert!(run.stderr.contains("3 hosts: 2 ok, 1 failed") && run.stderr.contains("4 parts of 4"), "{run}");
    assert!(run.stderr.contains("node2") && !run.stderr.contains("missing"), "{run}");
    let report: Value = serde_json::from_slice(&fs::read(dir.join("all.json")).unwrap()).unwrap();
    let said: Vec<&str> =
        report["hosts"].as_array().unwrap().iter().map(|host| host["stdout"].as_str().unwrap()).collect();
    assert_eq!(said, ["said by node1\n", "said by node2\n", "said by node3\n"], "{report:#}");
    let schema = lab.bare_gsctl().args(["runs", "--schema"]).run().expect(0).json();
    for report in [&report, &empty] {
        let validator = jsonschema::validator_for(&schema).unwrap();
        assert!(validator.is_valid(report), "{report:#}");
    }
    let junit = fs::read_to_string(dir.join("all.xml")).unwrap();
    assert_eq!((junit.matches("<testcase").count(), junit.matches("<failure").count()), (3, 1), "{junit}");
    assert!(junit.contains("said by node2"), "{junit}");
    assert!(fs::read_to_string(dir.join("all.html")).unwrap().contains("4 of 4 parts"));
    // And is the last run, as one that was made here.
    assert_eq!(names(lab.gsctl().args(["-w", "@failed"])), ["node2"]);
    lab.bare_gsctl().args(["runs", "show"]).run().expect(0);

    shared_by_two_jump_hosts(&lab, &dir);
}

/// The file of docs/scale.md, with the real GNU parallel.
fn shared_by_two_jump_hosts(lab: &Lab, dir: &Path) {
    let jump = |number: usize| format!("{}@{}\n", lab.user(), lab.node(number).address());
    fs::write(dir.join("jumps"), [jump(1), jump(2)].concat()).unwrap();
    // A jump host cannot be one of the hosts behind it.
    let node = lab.node(3);
    let lines = ["one", "two", "three"].map(|name| {
        lab.trust(name, node.address(), node);
        lab.hosts_line(name, node.address())
    });
    let hosts = lab.write_hosts_file(&lines.concat());
    fs::write(dir.join("deploy.sh"), "#!/bin/sh\necho deployed >>ran\n").unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_gsctl")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scale/parallel.sh"))
        .arg("jumps")
        .arg(hosts)
        .args(["deploy.sh", "whole.json"])
        .env_clear()
        .envs([("PATH", path.as_str()), ("HOME", dir.to_str().unwrap()), ("LC_ALL", "C.UTF-8")])
        .env("XDG_STATE_HOME", dir.join(".local/state"))
        .env("GSCTL_IDENTITY", lab.key())
        .env("GSCTL_KNOWN_HOSTS", lab.known_hosts())
        .current_dir(dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&fs::read(dir.join("whole.json")).unwrap()).unwrap();
    assert_eq!((&report["counts"]["ok"], &report["merged"]["of"]), (&3.into(), &2.into()), "{said}\n{report:#}");
    assert_eq!(node.text("home/ran").matches("deployed").count(), 3);
}
