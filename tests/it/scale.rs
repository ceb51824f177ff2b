//! Many hosts at once: all are heard, whatever sshd, `known_hosts` and the number of open files say to so many.

use std::collections::HashSet;
use std::fs;

use crate::failures::report;
use crate::lab::Lab;

#[test]
fn two_hundred_hosts_on_one_sshd_are_all_heard() {
    let lab = Lab::one_sshd_many_hosts(200);
    let gsctl = lab.gsctl().json().args(["--connect-timeout", "60s", "--fanout", "200", "exec", "echo heard"]);
    let (most, run) = gsctl.run_counting_descriptors();
    let run = run.expect(0);
    let report = run.json();
    assert_eq!(report["counts"]["ok"], 200, "{run}");
    assert!(report["hosts"].as_array().unwrap().iter().all(|host| host["stdout"] == "heard\n"), "{run}");
    assert!(most <= 240, "{most} descriptors for 200 hosts");
}

#[test]
fn an_sshd_that_drops_most_of_a_burst_is_heard_by_all() {
    let lab = Lab::builder().sshd_config("MaxStartups 2:50:5\n").start();
    let node = lab.node(1);
    let lines = (1..=60).map(|n| {
        let name = format!("many{n}");
        lab.trust(&name, node.address(), node);
        lab.hosts_line(&name, node.address())
    });
    let hosts = lab.write_hosts_file(&lines.collect::<String>());
    let result = report(lab.gsctl().hosts_file(hosts).args(["--connect-timeout", "60s", "exec", "echo ran >>ran"]), 0);
    assert_eq!(result["counts"]["ok"], 60, "{result:#}");
    assert_eq!(node.text("home/ran").lines().count(), 60);
}

#[test]
fn two_runs_record_new_host_keys_at_once() {
    let lab = Lab::one_sshd_many_hosts(60);
    let known = lab.dir().join("client/new_hosts");
    let run = || {
        let gsctl = lab.bare_gsctl().hosts_file(lab.hosts_file()).json().arg("-i").arg(lab.key());
        let gsctl = gsctl.arg("-o").arg(format!("UserKnownHostsFile={}", known.display()));
        gsctl.args(["--host-key-policy", "accept-new", "--connect-timeout", "60s", "exec", "true"]).spawn()
    };
    let runs = [run(), run()];
    for run in runs {
        assert_eq!(run.wait().expect(0).json()["counts"]["ok"], 60);
    }
    let text = fs::read_to_string(&known).unwrap();
    let mut seen = HashSet::new();
    for line in text.lines() {
        assert_eq!(line.split(' ').count(), 3, "torn: {line}");
        assert!(seen.insert(line), "twice: {line}");
    }
    assert!(!seen.is_empty());
}

#[test]
fn few_open_files_are_no_reason_to_lose_a_host() {
    let lab = Lab::one_sshd_many_hosts(100);
    let gsctl = || lab.gsctl().json().args(["--connect-timeout", "60s"]);

    // The soft limit is ours to raise.
    let run = gsctl().open_files(64, 4096).args(["exec", "true"]).run().expect(0);
    assert_eq!(run.json()["counts"]["ok"], 100, "{run}");
    assert!(!run.stderr.contains("ulimit"), "{run}");

    // The hard one is not: fewer hosts at once.
    let run = gsctl().open_files(64, 64).args(["exec", "true"]).run().expect(0);
    assert_eq!(run.json()["counts"]["ok"], 100, "{run}");
    assert!(run.stderr.contains("warning") && run.stderr.contains("ulimit -n"), "{run}");

    // A run of several steps cannot keep its connections, and logs in again for each.
    let book = lab.dir().join("client/two.yaml");
    let steps =
        "name: two\nsummary: for a test\nsteps:\n  - { name: a, run: \"true\" }\n  - { name: b, run: \"true\" }\n";
    fs::write(&book, steps).unwrap();
    let run = gsctl().open_files(64, 64).arg("play").arg(book).run().expect(0);
    assert_eq!(run.json()["counts"]["ok"], 100, "{run}");
    assert!(run.stderr.contains("every step has to log in again"), "{run}");

    // Nor can a wait, though it is one step.
    let book = lab.dir().join("client/wait.yaml");
    let step = "name: wait\nsummary: for a test\nsteps:\n  - { name: a, wait: { run: \"echo n=1\", until: { fact: n, is: \"1\" }, timeout: 60s } }\n";
    fs::write(&book, step).unwrap();
    let run = gsctl().open_files(64, 64).arg("play").arg(book).run().expect(0);
    assert_eq!(run.json()["counts"]["ok"], 100, "{run}");
    assert!(run.stderr.contains("every look has to log in again"), "{run}");
}
