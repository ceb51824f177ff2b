//! Greenplum from stopped to up and back, on three lab nodes: with gpstart and without it, every refusal, a failure at every
//! stage, and the promotion of the standby. What came of it is looked up in the nodes' process tables and on their disks.

use std::path::Path;

use serde_json::Value;

use crate::gsctl::{Gsctl, Run};
use crate::lab::greenplum::{
    COORDINATOR, Cluster, MIRROR0, MIRROR1, PRIMARY0, PRIMARY1, STANDBY, install, install_version,
};
use crate::lab::{Lab, wait};

impl Cluster<'_> {
    fn gsctl(&self, verb: &str) -> Gsctl {
        self.lab.gsctl().hosts_file(self.hosts_file("")).args([verb, "--system", "greenplum", "--json", "-"])
    }

    /// With a hosts file that says nothing but hosts and groups.
    fn plainly(&self, verb: &str) -> Gsctl {
        self.lab.gsctl().hosts_file(self.plain_hosts_file()).args([verb, "--system", "greenplum", "--json", "-"])
    }

    /// Marks the dead mirror of content 1 as its primary: a dispatch finds the primary gone.
    #[track_caller]
    fn fail_over_content_1(&self) {
        self.kill_instance(3, PRIMARY1);
        let dispatch = format!("psql -Atc \"select count(*) from gp_dist_random('gp_id')\" -p {}", self.port(0));
        wait::until("the mirror serves", || self.run(1, &dispatch).status.success());
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
    assert_eq!(host(&report, "node1")["changed"], true);
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
    assert!(log.contains("Database successfully started"), "{log}");

    // Again: nothing is touched.
    let before = cluster.pids();
    let report = cluster.start().expect(0).json();
    assert_eq!(cluster.pids(), before);
    assert_ne!(host(&report, "node1")["changed"], true);
    // A wrong try at the option for utility sessions would stand in the log of every primary.
    for (number, dir) in [(2, PRIMARY0), (3, PRIMARY1), (1, COORDINATOR)] {
        assert_eq!(cluster.refusals(number, dir), Vec::<String>::new());
    }

    let report = cluster.gsctl("status").run().expect(0).json();
    for (name, counts) in
        [("node1", ["0", "0", "0", "0"]), ("node2", ["1", "1", "1", "1"]), ("node3", ["1", "1", "1", "1"])]
    {
        let facts = ["primaries_up", "primaries_total", "mirrors_up", "mirrors_total"];
        assert_eq!(facts.map(|key| fact(&report, name, key)), counts, "{name}");
    }
    assert_eq!(fact(&report, "node2", "standby_pg_ctl"), "0");
    assert_eq!(cluster.pids(), before);
    // With one gone the row says so, and which; the catalog learns of it much later, the cluster is Degraded at once.
    cluster.settings("fts=600");
    cluster.kill_instance(3, MIRROR0);
    assert_eq!(cluster.rows(1, COORDINATOR).iter().filter(|row| row.contains("|0|m|m|s|u|")).count(), 1);
    let run = lab.gsctl().hosts_file(cluster.hosts_file("")).args(["status", "--system", "greenplum"]).run();
    let dir = cluster.path(3, MIRROR0).display().to_string();
    let port = cluster.port(2);
    for part in [
        format!("down, 0 of 1 up (content 0, port {port}, {dir})"),
        format!("cluster: Degraded: the mirror of content 0 (node3, port {port}, {dir}) does not stream"),
    ] {
        assert!(run.text().contains(&part), "no `{part}`\n{run}");
    }

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
    for (number, dir, options) in [(1, COORDINATOR, vec!["-E"]), (2, STANDBY, vec!["-E"]), (2, PRIMARY0, vec![])] {
        assert_eq!(cluster.command_line(number, dir)[5..], options, "{dir}");
    }
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
    let follow = cluster.follow_file();
    let settings = lab.node(2).text(standby(follow));
    lab.node(2).remove(standby(follow));
    expect_refused(cluster.start(), "node2", "it was activated", "gpinitstandby");
    lab.node(2).write(standby(follow), settings);

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

    // Another administrator's program is at work.
    lab.node(1).write("home/gpexpand", "#!/bin/sh\nsleep 300\n");
    lab.node(1).chmod("home/gpexpand", 0o755);
    let base = lab.node(1).base().display().to_string();
    cluster.run(1, &format!("nohup setsid {base}/home/gpexpand >/dev/null 2>&1 </dev/null &"));
    let at_work = || {
        lab.node(1)
            .processes()
            .into_iter()
            .find(|process| process.cmdline.iter().any(|word| word.ends_with("/gpexpand")))
    };
    wait::until("it is at work", || at_work().is_some());
    for verb in ["start", "stop"] {
        expect_refused(
            cluster.gsctl(verb).run(),
            "node1",
            "at work on this host: gpexpand, as process",
            "wait for its end",
        );
    }
    at_work().expect("it runs").kill(rustix::process::Signal::KILL);
    wait::until("it is gone", || at_work().is_none());

    // So is one who has the coordinator for himself; --force ends his session.
    cluster.run(1, &format!("gpstart -a -m -d {}", cluster.path(1, COORDINATOR).display()));
    assert_eq!(cluster.coordinator_role().as_deref(), Some("utility"));
    for verb in ["start", "stop"] {
        expect_refused(cluster.gsctl(verb).run(), "node1", "utility sessions only", "--force");
    }
    assert_eq!(cluster.coordinator_role().as_deref(), Some("utility"));
    cluster.gsctl("start").args(["--wait", "40s", "--force"]).run().expect(0);
    cluster.expect_up();

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
    assert_eq!(host(&run.json(), "node1")["cause"]["id"], "GP16", "{run}");
    // Which segments there are nobody tells on the other hosts, as the coordinator is down: gpstart names them.
    let proof = host(&run.json(), "node1")["cause"]["proof"]["lines"].to_string();
    assert!(proof.contains(&cluster.path(2, PRIMARY0).display().to_string()), "{run}");
    cluster.expect_down();

    // A mirror alone: the cluster is up without it.
    cluster.heal(2, PRIMARY0);
    let run = cluster.start().expect(5);
    expect_failed(&run, "node3", "mirrors", "left segments of this node down", "gprecoverseg");
    let evidence = host(&run.json(), "node3")["stdout"].as_str().unwrap_or_default().to_owned();
    let line = format!("STATUS--DIR:{}--STARTED:False", cluster.path(3, MIRROR0).display());
    assert!(evidence.contains(&line) && evidence.contains("could not bind"), "{run}");
    assert!(cluster.runs(1, COORDINATOR) && !cluster.runs(3, MIRROR0), "{}", cluster.census());
    // The same without a start, which changes nothing: what was written before tells.
    let pids = cluster.pids();
    let run = cluster.gsctl("diagnose").run().expect(5);
    expect_failed(&run, "node3", "mirrors", "GP22", "reserve them");
    let cause = host(&run.json(), "node3")["cause"].clone();
    assert!(
        cause["proof"]["age_s"].is_number() && cause["proof"]["lines"].to_string().contains("could not bind"),
        "{run}"
    );
    assert!(host(&run.json(), "node1")["cause"].is_null(), "{run}");
    assert_eq!(cluster.pids(), pids);
    // A cluster that is up is not started again; it says what is missing.
    let before = cluster.pids();
    expect_failed(&cluster.start().expect(5), "node3", "mirrors", "of this node", "gprecoverseg");
    assert_eq!(cluster.pids(), before);
    cluster.heal(3, MIRROR0);
    cluster.gsctl("stop").run().expect(0);
    cluster.expect_down();
    cluster.begin_anew();

    // gsctl reaches a node that the coordinator does not: too little is left.
    cluster.kill_agent(3);
    cluster.fault(2, PRIMARY0, "nostart");
    let run = cluster.start().expect(5);
    let report = run.json();
    assert_eq!(first_missing(&report, "node1"), Some("coordinator"), "{run}");
    let reached = fact(&report, "node1", "launched_unreachable");
    assert!(reached.contains("node3"), "{run}");
    assert!(host(&report, "node1")["hint"].as_str().is_some_and(|hint| hint.contains("gpssh-exkeys")), "{run}");
    cluster.expect_down();
    cluster.heal(2, PRIMARY0);
    cluster.start_agent(3);
    cluster.begin_anew();
    // The standby's host is one of those: gpstart does not go on by itself, and ends with 4.
    cluster.kill_agent(2);
    let run = cluster.start().expect(5);
    expect_failed(&run, "node1", "coordinator", "cannot reach the standby's host", "-S -y");
    assert_eq!(fact(&run.json(), "node1", "launched_rc"), "4");
    cluster.expect_down();
}

#[test]
fn tells_what_hangs_under_gpstart() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);
    // The coordinator takes connections and says nothing: gpstart waits for ever (gpdb#2944), gsctl does not.
    cluster.fault(1, COORDINATOR, "hang");
    let run = cluster.gsctl("start").args(["--wait", "25s"]).run().expect(5);
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

    // A standby that never gets to its coordinator has no WAL receiver, and is not up for answering.
    cluster.gsctl("stop").run().expect(0);
    cluster.fault(2, STANDBY, "noreceiver");
    let run = cluster.gsctl("start").args(["--wait", "12s"]).run().expect(5);
    expect_failed(&run, "node2", "standby", "standby (recovery", "no stream from the coordinator");
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

    // A coordinator that dispatches must not find its segments down: it is not started. What the segment says, it says in CSV.
    let trouble = Path::new(PRIMARY1).join("standin.trouble-GPCSV");
    let record = "2026-11-28 19:34:28.006086 UTC,,,p7,th1,,,,0,,,seg1,,,,,\"PANIC\",\"XX000\",\"could not locate a valid checkpoint \
                  record\",,,,,,,0,,\"xlog.c\",6700,\n";
    lab.node(3).write(&trouble, record);
    let run = start();
    expect_failed(&run, "node3", "primaries", "a primary does not start", "startup.log");
    let evidence = host(&run.json(), "node3")["stdout"].as_str().unwrap_or_default().to_owned();
    assert!(evidence.contains("STATUS--DIR:") && evidence.contains("[7] PANIC:  could not locate a valid"), "{run}");
    assert_eq!(host(&run.json(), "node3")["cause"]["id"], "PG29", "{run}");
    assert!(!cluster.runs(1, COORDINATOR) && cluster.runs(2, PRIMARY0), "{}", cluster.census());
    lab.node(3).remove(&trouble);
    cluster.crash();

    // One that hangs in its recovery, and a mirror that does not get past its start.
    cluster.fault(3, PRIMARY1, "recovery");
    let run = start_cut_short();
    expect_failed(&run, "node3", "primaries", "segments_are is partly", "wait while the LSN moves");
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
    // The coordinator that could tell which segments there are is gone; what runs tells it.
    cluster.gsctl("stop").args(["--mode", "immediate", "--wait", "20s"]).run().expect(0);
    cluster.expect_down();
}

#[test]
fn stops_what_no_coordinator_tells_of() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);
    // Silent: it takes connections and waits for a primary. Its catalog can be read in a utility session.
    cluster.start().expect(0);
    cluster.fault(1, COORDINATOR, "mute");
    let run = cluster.gsctl("stop").args(["--wait", "30s"]).run().expect(0);
    assert_eq!(fact(&run.json(), "node3", "segments_source"), "catalog");
    cluster.expect_down();
    cluster.heal(1, COORDINATOR);
    // Dead.
    cluster.start().expect(0);
    cluster.kill_instance(1, COORDINATOR);
    let run = cluster.gsctl("stop").args(["--wait", "30s"]).run().expect(0);
    assert_eq!(fact(&run.json(), "node3", "segments_source"), "processes");
    cluster.expect_down();
    // Stopping, and without an end.
    cluster.start().expect(0);
    cluster.fault(1, COORDINATOR, "noshutdown");
    cluster.run(1, &format!("pg_ctl -D {} -W -m fast stop", cluster.path(1, COORDINATOR).display()));
    let run = cluster.gsctl("stop").args(["--wait", "4s"]).run().expect(5);
    assert_eq!(first_missing(&run.json(), "node1"), Some("coordinator gone"), "{run}");
    assert!(cluster.postmasters(3).is_empty(), "{}", cluster.census());
}

#[test]
fn a_plain_hosts_file_is_enough() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);
    cluster.login_environment();
    cluster.plainly("start").args(["--wait", "40s"]).run().expect(0);
    cluster.expect_up();
    let run = cluster.plainly("status").run().expect(0);
    assert_eq!(fact(&run.json(), "node1", "cluster_state"), "Normal", "{run}");
    // The option may stand before the command.
    let run =
        lab.gsctl().hosts_file(cluster.plain_hosts_file()).args(["--system", "greenplum", "status"]).run().expect(0);
    assert!(run.text().contains("cluster: Normal"), "{run}");
    cluster.plainly("stop").run().expect(0);
    cluster.expect_down();
    // Nothing is launched where nobody says where the coordinator is.
    lab.node(1).remove("home/.bashrc");
    let hosts = cluster.plain_hosts_file();
    let gphome = format!("gphome={}/gp", lab.node(1).base().display());
    let run =
        lab.gsctl().hosts_file(hosts).args(["start", "--system", "greenplum", "--json", "-", "--var", &gphome]).run();
    expect_refused(run, "node1", "data directory is not there", "MASTER_DATA_DIRECTORY");
    lab.node(1).remove("home/gpAdminLogs");

    // Without the management programs, and the promotion.
    cluster.login_environment();
    let own = ["--var", "use_management=no", "--wait", "40s"];
    cluster.plainly("start").args(own).run().expect(0);
    cluster.expect_up();
    cluster.kill_instance(1, COORDINATOR);
    cluster.plainly("promote").args(own).run().expect(0);
    assert!(cluster.runs(2, STANDBY) && !lab.node(2).exists(std::path::Path::new(STANDBY).join("recovery.conf")));
}

#[test]
fn a_start_ends_when_gpstart_has() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);
    cluster.settings("pace=1500");
    let at_work = || lab.node(1).running_exe("gp/bin/gpstart").len();
    cluster.start().expect(0);
    assert_eq!(at_work(), 0);
    // A start right behind it is in nobody's way, nor is a stop.
    cluster.gsctl("stop").run().expect(0);
    cluster.expect_down();
    // What gpstart did an hour ago is not what it does now.
    cluster.fault(2, PRIMARY0, "nostart");
    cluster.fault(3, MIRROR0, "nostart");
    cluster.start().expect(5);
    cluster.heal(2, PRIMARY0);
    cluster.heal(3, MIRROR0);
    cluster.gsctl("start").args(["--var", "use_management=no", "--wait", "40s"]).run().expect(0);
    cluster.expect_up();
    let run = cluster.start().expect(0);
    assert!(!run.text().contains("gpstart failed"), "{run}");
}

#[test]
fn a_degraded_cluster_is_accepted_or_not_waited_for() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);
    let accepting = || cluster.gsctl("start").args(["--accept", "degraded", "--wait", "40s"]).run();
    cluster.fault(3, MIRROR0, "nostart");
    let run = accepting().expect(0);
    assert_eq!(first_missing(&run.json(), "node3"), None, "{run}");
    cluster.heal(3, MIRROR0);
    cluster.kill_instance(2, STANDBY);
    accepting().expect(0);

    // Beside a running coordinator gpstart starts neither; recover does, and says so before.
    let run = cluster.gsctl("start").args(["--wait", "60s"]).run().expect(5);
    expect_failed(&run, "node2", "standby", "beside a running coordinator", "play greenplum/recover");
    assert!(!run.text().contains("the standby does not start"), "{run}");
    let recover = || {
        lab.gsctl().hosts_file(cluster.hosts_file("")).args(["play", "greenplum/recover", "--var", "wait=60s"]).run()
    };
    let run = recover().expect(0);
    // Steps and what they will do stand on standard error.
    let text = &run.stderr;
    let told = text
        .find("gpinitstandby -n starts the standby; gprecoverseg -a starts the segments")
        .expect("it says what it will do");
    assert!(told < text.find("launch gprecoverseg -a").expect("and does it"), "{run}");
    cluster.expect_up();
    let before = cluster.pids();
    recover().expect(0);
    assert_eq!(cluster.pids(), before);

    // Roles that have changed places do not change back by themselves.
    cluster.fail_over_content_1();
    recover().expect(0);
    cluster.expect_up();
    let run = cluster.gsctl("start").args(["--wait", "120s"]).run().expect(5);
    let said = format!("{}{}", run.text(), run.stderr);
    assert!(said.contains("acts as its primary") && said.contains("gprecoverseg -r"), "{run}");
    // That is no host's failure.
    let report = run.json();
    assert!(report["cluster"]["error"].as_str().is_some_and(|error| error.contains("acts as its primary")), "{run}");
    assert!(report["cluster"]["hint"].as_str().is_some_and(|hint| hint.contains("gprecoverseg -r")), "{run}");
    for name in ["node1", "node2", "node3"] {
        assert_eq!(host(&report, name)["outcome"], "ok", "{run}");
    }
    accepting().expect(0);
    let run = lab
        .gsctl()
        .hosts_file(cluster.hosts_file(""))
        .args(["play", "greenplum/recover", "--var", "roles=preferred", "--var", "wait=60s"])
        .run()
        .expect(0);
    assert!(run.stderr.contains("gprecoverseg -r gives the preferred roles back"), "{run}");
    cluster.start().expect(0);
}

#[test]
fn a_dead_host_is_done_without() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);
    // The standby's host, which has a primary too.
    lab.node(2).halt();
    let run = cluster
        .gsctl("start")
        .args(["--allow-unreachable", "1", "--accept", "degraded", "--wait", "60s"])
        .run()
        .expect(4);
    assert_eq!(cluster.coordinator_role().as_deref(), Some("dispatch"), "{run}");
    assert!(
        run.text().contains(
            "without the standby, whose host is missing (-S -y; the catalog is compared once it has read it)"
        ),
        "{run}"
    );
    let log = lab.node(1).text("home/gpAdminLogs/gsctl-run.out");
    assert!(log.contains(" -S -y "), "{log}");
    assert!(cluster.runs(3, MIRROR0) && cluster.runs(3, PRIMARY1), "{}", cluster.census());
}

#[test]
fn the_catalog_is_held_against_the_hosts_file() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);
    let start = |hosts: &std::path::Path| {
        lab.gsctl().hosts_file(hosts).args(["start", "--system", "greenplum", "--json", "-", "--wait", "40s"]).run()
    };
    // A host that no row names, and one that a row names and the file does not.
    let one_more = cluster.hosts_file("node1\n");
    let text = std::fs::read_to_string(cluster.hosts_file("")).expect("it was written");
    let one_less: String =
        text.lines().filter(|line| !line.starts_with("node3")).map(|line| line.to_owned() + "\n").collect();
    let one_less = lab.write_hosts_file(&one_less);
    let run = start(&one_more).expect(5);
    assert!(run.text().contains("names no segment on this host"), "{run}");
    expect_refused(start(&one_more), "node1", "names no segment on this host", "[segments]");
    expect_refused(start(&one_less), "node1", "names hosts that are not in the hosts file: node3", "--force");
    cluster.gsctl("stop").run().expect(0);
    // Nobody can be asked while it is stopped: that it is known later is said before it is launched.
    let run = start(&one_less).expect(5);
    assert!(run.text().contains("not in the hosts file: node3"), "{run}");
    assert!(run.stderr.contains("the catalog is held against the hosts file once it has read it"), "{run}");
    cluster.gsctl("stop").run().expect(0);
    // A host is known by its own name too, whatever the hosts file calls it.
    let renamed = std::fs::read_to_string(cluster.hosts_file("")).expect("it was written").replace("node3", "store-c");
    let renamed = lab.write_hosts_file(&renamed);
    append_known_host(&lab, "store-c", 3);
    start(&renamed).expect(0);
    cluster.expect_up();
}

#[test]
fn gpstart_gets_the_options_that_are_given() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);
    let run = cluster.gsctl("start").args(["--wait", "40s", "--var", "gpstart_options=-t 900 -R"]).run().expect(0);
    let log = lab.node(1).text("home/gpAdminLogs/gsctl-run.out");
    let args = log.lines().find(|line| line.contains("Starting gpstart with args:")).unwrap_or_default();
    assert!(args.ends_with(" -t 900 -R"), "{args}\n{run}");
}

#[test]
fn two_of_a_kind_are_called_out() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);
    cluster.start().expect(0);
    let status = || lab.gsctl().hosts_file(cluster.hosts_file("")).args(["status", "--system", "greenplum"]).run();
    // The old primary comes back beside the mirror that has taken over.
    cluster.fail_over_content_1();
    let old = cluster.path(3, PRIMARY1).display().to_string();
    cluster.run(3, &format!("pg_ctl -D {old} -w -o ' -p {} ' start", cluster.port(1)));
    let run = status().expect(0);
    assert!(run.text().contains("content 1 has two primaries that run") && run.stderr.contains("drift apart"), "{run}");
    let run = cluster.start().expect(7);
    assert!(run.text().contains("content 1 has two primaries"), "{run}");
    cluster.run(3, &format!("pg_ctl -D {old} -w -m fast stop"));

    // Alive and out of reach is not dead.
    cluster.kill_agent(1);
    cluster.fault(1, COORDINATOR, "hang");
    let promote = || cluster.gsctl("promote").args(["-w", "node2", "--wait", "20s"]);
    expect_refused(promote().run(), "node2", "nobody knows whether the old coordinator", "--allow-unreachable");
    assert!(lab.node(2).exists(std::path::Path::new(STANDBY).join("recovery.conf")));
    promote().arg("--force").run().expect(0);
    cluster.heal(1, COORDINATOR);
    cluster.start_agent(1);
    let run = status().expect(0);
    assert!(run.text().contains("two coordinators take connections"), "{run}");
    // And neither start nor stop goes by the old one's catalog.
    for verb in ["start", "stop"] {
        expect_refused(cluster.gsctl(verb).run(), "node2", "activated", "[coordinator]");
    }
}

#[test]
fn promotes_without_the_host_of_the_dead() {
    let lab = Lab::start_three();
    let cluster = install(&lab, true);
    cluster.start().expect(0);
    lab.node(1).halt();
    let promote = |more: &[&str]| cluster.gsctl("promote").args(["--wait", "20s"]).args(more.iter().copied()).run();
    // Nobody knows, and nobody says that it does not matter.
    expect_refused(promote(&["-w", "node2"]), "node2", "nobody knows", "--allow-unreachable 1");
    promote(&[]).expect(7);
    promote(&["--allow-unreachable", "1"]).expect(4);
    assert!(!lab.node(2).exists(std::path::Path::new(STANDBY).join("recovery.conf")));
}

#[test]
fn seven_starts_stops_and_promotes() {
    let lab = Lab::start_three();
    let cluster = install_version(&lab, true, true);
    cluster.start().expect(0);
    cluster.expect_up();
    for (number, dir) in [(2, PRIMARY0), (1, COORDINATOR)] {
        assert_eq!(cluster.refusals(number, dir), Vec::<String>::new());
    }
    cluster.gsctl("stop").run().expect(0);
    cluster.gsctl("start").args(["--var", "use_management=no", "--wait", "40s"]).run().expect(0);
    cluster.expect_up();
    cluster.kill_instance(1, COORDINATOR);
    cluster.gsctl("promote").args(["--wait", "20s"]).run().expect(0);
    assert!(!lab.node(2).exists(std::path::Path::new(STANDBY).join("standby.signal")));
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

    // A crash leaves its lock file, at which gpactivatestandby would stop; what is dead is told from what is alive.
    cluster.kill_instance(1, COORDINATOR);
    let lock = format!("/tmp/.s.PGSQL.{}.lock", cluster.port(0));
    assert!(lab.node(1).exists(&lock));
    let run = alone().expect(0);
    assert!(run.text().contains("remove the lock file of the dead coordinator"), "{run}");
    assert!(!lab.node(1).exists(&lock));
    let report = run.json();
    assert_eq!(fact(&report, "node2", "state"), "accepting");
    assert!(control(2, STANDBY).starts_with("timeline=2\n"));
    assert!(!lab.node(2).exists(std::path::Path::new(STANDBY).join("recovery.conf")));
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
    cluster.kill_instance(1, COORDINATOR);
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
    lab.node(2).write(std::path::Path::new(STANDBY).join("recovery.conf"), "standby_mode = 'on'\n");
    expect_refused(promote(), "node2", "does not run", "gpactivatestandby -f");
}

/// Lets the keys of a node be known under one more name.
fn append_known_host(lab: &Lab, name: &str, number: usize) {
    let node = lab.node(number);
    lab.trust(name, node.address(), node);
}

impl Lab {
    fn start_three() -> Self {
        Self::start(3)
    }
}
