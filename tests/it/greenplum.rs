//! Greenplum from stopped to up and back, on three lab nodes: with gpstart and without it, every refusal, a failure at every
//! stage, and the promotion of the standby. What came of it is looked up in the nodes' process tables and on their disks.

use serde_json::Value;

use crate::gsctl::{Gsctl, Run};
use crate::lab::greenplum::{COORDINATOR, Cluster, MIRROR0, MIRROR1, PRIMARY0, PRIMARY1, STANDBY, install};
use crate::lab::{Lab, wait};

impl Cluster<'_> {
    fn gsctl(&self, verb: &str) -> Gsctl {
        self.lab.gsctl().hosts_file(self.hosts_file("")).args([verb, "--system", "greenplum", "--json", "-"])
    }

    fn start(&self) -> Run {
        self.gsctl("start").args(["--wait", "40s"]).run()
    }

    /// All six run, and the coordinator for everybody.
    #[track_caller]
    fn expect_up(&self) {
        assert_eq!(self.pids().len(), 6, "{}", self.census());
        assert_eq!(self.coordinator_role().as_deref(), Some("dispatch"), "{}", self.census());
    }

    #[track_caller]
    fn expect_down(&self) {
        assert!(self.pids().is_empty(), "{}", self.census());
    }
}

/// A host of the report.
#[track_caller]
fn host<'a>(report: &'a Value, name: &str) -> &'a Value {
    let hosts = report["hosts"].as_array().expect("a report has hosts");
    hosts.iter().find(|host| host["host"] == name).unwrap_or_else(|| panic!("{name} is not in {report:#}"))
}

#[track_caller]
fn fact<'a>(report: &'a Value, name: &str, fact: &str) -> &'a str {
    host(report, name)["facts"][fact].as_str().unwrap_or_else(|| panic!("{name} has no fact {fact}: {report:#}"))
}

/// The first stage of a host's chain that is not up.
fn first_missing<'a>(report: &'a Value, name: &str) -> Option<&'a str> {
    host(report, name)["chain"].as_array()?.iter().find(|stage| stage["up"] == false)?["stage"].as_str()
}

/// A host did not come up: where, why and what to do.
#[track_caller]
fn expect_failed(run: &Run, name: &str, stage: &str, error: &str, hint: &str) {
    let report = run.json();
    assert_eq!(first_missing(&report, name), Some(stage), "{name}\n{run}");
    let host = host(&report, name);
    for (key, part) in [("error", error), ("hint", hint)] {
        assert!(host[key].as_str().is_some_and(|text| text.contains(part)), "{name}: no `{part}` in {key}\n{run}");
    }
}

#[track_caller]
fn expect_refused(run: Run, name: &str, because: &str, hint: &str) {
    let run = run.expect(7);
    let report = run.json();
    let host = host(&report, name);
    assert!(host["error"].as_str().is_some_and(|error| error.contains(because)), "{run}");
    assert!(host["hint"].as_str().is_some_and(|text| text.contains(hint)), "{run}");
}

#[test]
fn starts_and_stops_with_gpstart() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);
    let report = cluster.start().expect(0).json();
    cluster.expect_up();
    for (name, stages) in [("node1", ["accepting", "none"]), ("node2", ["none", "streaming"])] {
        assert_eq!([fact(&report, name, "coordinator"), fact(&report, name, "standby")], stages);
        assert_eq!(first_missing(&report, name), None);
    }
    assert_eq!(fact(&report, "node1", "cluster_state"), "Normal");
    // The segments came out of the catalog, and every one has its line.
    assert_eq!(fact(&report, "node3", "segments_source"), "catalog");
    for (name, number, dir) in [("node2", 2, PRIMARY0), ("node3", 3, MIRROR0)] {
        let line = format!(
            "STATUS--DIR:{}--STARTED:True--REASONCODE:0--REASON:Start Succeeded",
            cluster.path(number, dir).display()
        );
        let facts = host(&report, name)["facts"].as_object().expect("facts");
        assert!(facts.values().any(|value| *value == line), "{line} is not in {facts:#?}");
    }
    let log = lab.node(1).text("home/gpAdminLogs/gsctl-run.out");
    assert!(log.contains("Successfully started 4 of 4 segment instances"), "{log}");

    // Again: nothing is touched.
    let before = cluster.pids();
    cluster.start().expect(0);
    assert_eq!(cluster.pids(), before);

    let report = cluster.gsctl("status").run().expect(0).json();
    for (name, counts) in
        [("node1", ["0", "0", "0", "0"]), ("node2", ["1", "1", "1", "1"]), ("node3", ["1", "1", "1", "1"])]
    {
        let facts = ["primaries_up", "primaries_total", "mirrors_up", "mirrors_total"];
        assert_eq!(facts.map(|key| fact(&report, name, key)), counts, "{name}");
    }
    assert_eq!(fact(&report, "node2", "standby_pg_ctl"), "0");
    assert_eq!(cluster.pids(), before);
    // With one of two gone the row says so.
    cluster.postmasters(3)[0].1.kill(rustix::process::Signal::KILL);
    wait::until("it is dead", || cluster.postmasters(3).len() == 1);
    let run = lab.gsctl().hosts_file(cluster.hosts_file("")).args(["status", "--system", "greenplum"]).run();
    assert!(run.text().contains("down, 0 of 1 up"), "{run}");

    cluster.gsctl("stop").run().expect(0);
    cluster.expect_down();
    cluster.gsctl("stop").run().expect(0);
    let run = cluster.gsctl("status").run().expect(0);
    let report = run.json();
    assert_eq!(first_missing(&report, "node1"), Some("coordinator"), "{run}");
    assert_eq!(fact(&report, "node1", "coordinator_pg_ctl"), "3");
}

#[test]
fn starts_and_stops_without_gpstart() {
    let lab = Lab::start_three();
    let cluster = install(&lab, false);
    let report = cluster.start().expect(0).json();
    cluster.expect_up();
    assert_eq!(fact(&report, "node3", "segments_source"), "catalog");
    assert_eq!(fact(&report, "node1", "cluster_state"), "Normal");
    let before = cluster.pids();
    cluster.start().expect(0);
    assert_eq!(cluster.pids(), before);
    cluster.gsctl("stop").args(["--mode", "immediate"]).run().expect(0);
    cluster.expect_down();

    // With the segments in the hosts file the catalog is not needed, not even to stop what a dead coordinator left.
    let lines = [2, 3].map(|number| format!("node{number} segments=\"{}\"\n", cluster.segments(number)));
    let hosts = cluster.hosts_file(&lines.concat());
    let gsctl = |verb: &str| lab.gsctl().hosts_file(&hosts).args([verb, "--system", "greenplum", "--json", "-"]);
    let run = gsctl("start").args(["--wait", "40s"]).run().expect(0);
    cluster.expect_up();
    assert_eq!(fact(&run.json(), "node2", "segments_source"), "hosts-file");
    assert!(!run.text().contains("utility mode connections"), "{run}");
    for (_, process) in cluster.postmasters(1) {
        process.kill(rustix::process::Signal::KILL);
    }
    wait::until("the coordinator is dead", || cluster.postmasters(1).is_empty());
    gsctl("stop").args(["--wait", "30s"]).run().expect(0);
    cluster.expect_down();
}

#[test]
fn refuses_to_start() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);
    let standby = |file: &str| std::path::Path::new(STANDBY).join(file);

    // The standby was activated: it is ahead, or no standby any more.
    lab.node(2).write(standby("standin.control"), "timeline=2\nstate=shut down\n");
    expect_refused(cluster.start(), "node2", "later timeline", "[coordinator]");
    lab.node(2).write(standby("standin.control"), "timeline=1\nstate=shut down\n");
    lab.node(2).remove(standby("standby.signal"));
    expect_refused(cluster.start(), "node2", "it was activated", "gpinitstandby");
    lab.node(2).write(standby("standby.signal"), "");

    // The wrong directories.
    let wrong = cluster.hosts_file("node1 coordinator_data=/nowhere/gpseg-1\n");
    let start = |hosts| lab.gsctl().hosts_file(hosts).args(["start", "--system", "greenplum", "--json", "-"]).run();
    expect_refused(start(wrong), "node1", "data directory is not there", "coordinator_data=");
    expect_refused(start(cluster.hosts_file("node3 gphome=/nowhere\n")), "node3", "no Greenplum under", "gphome=");
    expect_refused(
        start(cluster.hosts_file("node3 segments=/nowhere/seg:7000:p\n")),
        "node3",
        "a data directory of this host is not there",
        "missing_data",
    );

    // A host that does not answer: nothing is started on the others.
    lab.node(3).stop_sshd();
    cluster.start().expect(7);
    lab.node(3).start_sshd();
    cluster.expect_down();
    assert!(!lab.node(1).exists("home/gpAdminLogs"), "gpstart was launched");

    // Without a group nothing is contacted.
    let run = lab.gsctl().args(["start", "--system", "greenplum"]).run().expect(2);
    assert!(run.stderr.contains("coordinator"), "{run}");
}

#[test]
fn tells_why_gpstart_failed() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);

    // Content 0 has nobody left: gpstart stops everything again.
    cluster.fault(2, PRIMARY0, "nostart");
    cluster.fault(3, MIRROR0, "nostart");
    let run = cluster.start().expect(5);
    expect_failed(&run, "node1", "coordinator", "does not have enough valid segments", "neither its primary");
    assert!(
        host(&run.json(), "node1")["stdout"].as_str().is_some_and(|text| text.contains("FAILED  host:'node2'")),
        "{run}"
    );
    cluster.expect_down();

    // A mirror alone: the cluster is up without it.
    cluster.heal(2, PRIMARY0);
    let run = cluster.start().expect(5);
    expect_failed(&run, "node3", "mirrors", "left segments of this node down", "gprecoverseg");
    let evidence = host(&run.json(), "node3")["stdout"].as_str().unwrap_or_default().to_owned();
    let line = format!("STATUS--DIR:{}--STARTED:False", cluster.path(3, MIRROR0).display());
    assert!(evidence.contains(&line) && evidence.contains("could not bind"), "{run}");
    assert!(cluster.runs(1, COORDINATOR) && !cluster.runs(3, MIRROR0), "{}", cluster.census());
    // A cluster that is up is not started again; it says what is missing.
    let before = cluster.pids();
    expect_failed(&cluster.start().expect(5), "node3", "mirrors", "of this node", "gprecoverseg");
    assert_eq!(cluster.pids(), before);
    cluster.heal(3, MIRROR0);
    cluster.gsctl("stop").run().expect(0);
    cluster.expect_down();

    // gsctl reaches a node that the coordinator does not: too little is left.
    cluster.kill_agent(3);
    cluster.kill_agent(2);
    let run = cluster.start().expect(5);
    let report = run.json();
    assert_eq!(first_missing(&report, "node1"), Some("coordinator"), "{run}");
    let reached = fact(&report, "node1", "launched_unreachable");
    assert!(reached.contains("node2") && reached.contains("node3"), "{run}");
    assert!(host(&report, "node1")["hint"].as_str().is_some_and(|hint| hint.contains("gpssh-exkeys")), "{run}");
    cluster.expect_down();
}

#[test]
fn tells_what_hangs_under_gpstart() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);
    // The coordinator takes connections and says nothing: gpstart waits for ever (gpdb#2944), gsctl does not.
    cluster.fault(1, COORDINATOR, "hang");
    let run = cluster.gsctl("start").args(["--wait", "7s"]).run().expect(5);
    expect_failed(&run, "node1", "coordinator", "coordinator (silent)", "stuck");
    assert_eq!(fact(&run.json(), "node1", "launched"), "running");
    // gpstart goes on, and nobody starts a second one beside it.
    expect_refused(cluster.start(), "node1", "still running", "status");
    cluster.crash();
    wait::until("the launcher has noted the end", || lab.node(1).exists("home/gpAdminLogs/gsctl-run.rc"));
    cluster.heal(1, COORDINATOR);

    // What the crash left, pid files of the dead among it, is in nobody's way; and slow is not failed.
    cluster.fault(2, PRIMARY0, "slow=1500");
    cluster.start().expect(0);
    cluster.expect_up();

    // A standby that never gets to its coordinator has no WAL receiver.
    cluster.gsctl("stop").run().expect(0);
    cluster.fault(2, STANDBY, "starting");
    let run = cluster.gsctl("start").args(["--wait", "12s"]).run().expect(5);
    expect_failed(&run, "node2", "standby", "standby (starting)", "gpinitstandby");
}

#[test]
fn tells_what_fails_without_gpstart() {
    let lab = Lab::start_three();
    let cluster = install(&lab, false);
    // A start that gives up by itself has long enough; one that hangs is cut short.
    let start_for = |wait: &str| cluster.gsctl("start").args(["--wait", wait]).run().expect(5);
    let (start, start_cut_short) = (|| start_for("60s"), || start_for("5s"));

    cluster.fault(1, COORDINATOR, "nostart");
    let run = start();
    expect_failed(&run, "node1", "coordinator", "the coordinator does not start", "startup.log");
    cluster.expect_down();
    cluster.heal(1, COORDINATOR);

    // A coordinator that dispatches must not find its segments down: it is not started.
    cluster.fault(3, PRIMARY1, "nostart");
    let run = start();
    expect_failed(&run, "node3", "primaries", "a primary does not start", "startup.log");
    let evidence = host(&run.json(), "node3")["stdout"].as_str().unwrap_or_default().to_owned();
    assert!(evidence.contains("STATUS--DIR:") && evidence.contains("could not bind"), "{run}");
    assert!(!cluster.runs(1, COORDINATOR) && cluster.runs(2, PRIMARY0), "{}", cluster.census());
    cluster.heal(3, PRIMARY1);
    cluster.crash();

    // One that hangs in its recovery, and a mirror that does not get past its start.
    cluster.fault(3, PRIMARY1, "recovery");
    let run = start_cut_short();
    expect_failed(&run, "node3", "primaries", "segments_are is partly", "were started run on");
    assert_eq!(fact(&run.json(), "node3", "primaries"), "recovery");
    cluster.crash();
    cluster.heal(3, PRIMARY1);
    cluster.fault(2, MIRROR1, "starting");
    let run = start_cut_short();
    assert_eq!(first_missing(&run.json(), "node2"), Some("mirrors"), "{run}");
    assert_eq!(fact(&run.json(), "node2", "mirrors"), "starting");
    cluster.crash();
}

#[test]
fn tells_what_does_not_stop() {
    let lab = Lab::start_three();
    let cluster = install(&lab, false);
    cluster.start().expect(0);
    // It does not stop: said, and not called stopped.
    cluster.fault(3, PRIMARY1, "noshutdown");
    let run = cluster.gsctl("stop").args(["--wait", "4s"]).run().expect(5);
    expect_failed(&run, "node3", "segments gone", "segments gone (1)", "immediate");
    cluster.gsctl("stop").args(["--mode", "immediate", "--wait", "20s"]).run();
    // Nobody is left who could tell which segments there are; the hosts file can.
    let hosts = cluster.hosts_file(&format!("node3 segments=\"{}\"\n", cluster.segments(3)));
    lab.gsctl().hosts_file(hosts).args(["stop", "--system", "greenplum", "--mode", "immediate"]).run().expect(0);
    cluster.expect_down();
}

#[test]
fn promotes_the_standby() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);
    cluster.start().expect(0);
    let before = cluster.pids();
    let alone = || cluster.gsctl("promote").args(["-w", "node2", "--wait", "20s"]).run();
    let control = |number: usize, dir: &str| lab.node(number).text(std::path::Path::new(dir).join("standin.control"));

    // The old coordinator answers: over the network, and where its host is asked too.
    expect_refused(alone(), "node2", "old coordinator still answers", "drift apart");
    expect_refused(cluster.gsctl("promote").run(), "node1", "still runs", "drift apart");
    // Not a standby.
    let run = cluster.gsctl("promote").args(["-w", "node1"]).run();
    expect_refused(run, "node1", "still runs", "");
    assert_eq!(cluster.pids(), before);
    assert!(control(2, STANDBY).starts_with("timeline=1\n"));

    for (_, process) in cluster.postmasters(1) {
        process.kill(rustix::process::Signal::KILL);
    }
    wait::until("the coordinator is dead", || cluster.postmasters(1).is_empty());
    let report = alone().expect(0).json();
    assert_eq!(fact(&report, "node2", "state"), "accepting");
    assert!(control(2, STANDBY).starts_with("timeline=2\n"));
    assert!(!lab.node(2).exists(std::path::Path::new(STANDBY).join("standby.signal")));
    expect_refused(alone(), "node2", "not a standby", "status");
    // And the old one does not come back beside it.
    expect_refused(cluster.start(), "node2", "activated", "[coordinator]");
    assert!(!cluster.runs(1, COORDINATOR));
}

#[test]
fn promotes_with_pg_ctl_alone() {
    let lab = Lab::start_three();
    let cluster = install(&lab, false);
    cluster.start().expect(0);
    let promote = || cluster.gsctl("promote").args(["-w", "node2", "--wait", "6s"]).run();
    lab.node(1).halt();
    cluster.fault(2, STANDBY, "nopromote");
    let run = promote().expect(5);
    assert!(host(&run.json(), "node2")["error"].as_str().is_some_and(|error| error.contains("accepting")), "{run}");
    cluster.heal(2, STANDBY);
    promote().expect(0);
    assert!(cluster.runs(2, STANDBY));
    let control = lab.node(2).text(std::path::Path::new(STANDBY).join("standin.control"));
    assert_eq!(control, "timeline=2\nstate=in production\n");
    // One that is down has replayed what it has, or not: it is not promoted behind anybody's back.
    cluster.kill(2, "postgres");
    lab.node(2).write(std::path::Path::new(STANDBY).join("standby.signal"), "");
    expect_refused(promote(), "node2", "does not run", "gpactivatestandby -f");
}

impl Lab {
    fn start_three() -> Self {
        Self::start(3)
    }
}
