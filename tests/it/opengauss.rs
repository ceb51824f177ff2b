//! gsctl and openGauss's Cluster Manager as it was measured: what the real programs were seen to do, played on real nodes.

use rustix::process::Signal;

use crate::lab::opengauss::{self, Cluster, MARKER};
use crate::lab::{Lab, wait};
use crate::start::{Reported, reported};

const STARTING: &str = "app/bin/cluster_manual_starting";
const PAUSE: &str = "app/bin/cluster_manual_pause";

fn start(lab: &Lab, args: &[&str]) -> Reported {
    reported(lab, lab.gsctl().arg("start"), args)
}

fn status(lab: &Lab, args: &[&str]) -> Reported {
    reported(lab, lab.gsctl().arg("status"), args)
}

fn stop(lab: &Lab, args: &[&str]) -> Reported {
    reported(lab, lab.gsctl().arg("stop"), args)
}

fn fact<'r>(run: &'r Reported, number: usize, name: &str) -> &'r str {
    run.host(number)["facts"][name].as_str().unwrap_or("none")
}

/// A cluster that is up.
pub(crate) fn normal(lab: &Lab) -> Cluster<'_> {
    let cluster = opengauss::install(lab);
    cluster.start_monitors();
    start(lab, &["--wait", "30s"]).expect(0);
    cluster
}

/// Hosts and groups, and nothing else.
fn plain_hosts(lab: &Lab) -> std::path::PathBuf {
    let hosts: String = lab.nodes().iter().map(|node| lab.hosts_line(node.name(), node.address())).collect();
    lab.write_hosts_file(&format!("{hosts}[db]\nnode1\n"))
}

#[test]
fn a_plain_hosts_file_starts_shows_and_stops_the_cluster() {
    let lab = Lab::start(2);
    let cluster = opengauss::install(&lab);
    // On one node the profile says where, on the other a separate environment file that only the cron line names.
    lab.node(2).remove("home/.bashrc");
    cluster.start_monitors_from("env");
    let base = lab.node(2).base().display().to_string();
    lab.node(2).crontab(&format!(
        "*/1 * * * * source /etc/profile;source ~/.bashrc;source {base}/env;nohup om_monitor -L {base}/log/cm/om_monitor &\n"
    ));
    let hosts = plain_hosts(&lab);
    let gsctl = |verb: &str| lab.gsctl().hosts_file(&hosts).arg(verb);
    let run = reported(&lab, gsctl("start"), &["--wait", "30s"]).expect(0);
    run.all("changed");
    for number in 1..=2 {
        assert_eq!(fact(&run, number, "found_gausshome"), lab.node(number).gausshome().display().to_string());
        assert!(!lab.node(number).exists(MARKER) && !cluster.running(number, "gaussdb").is_empty());
    }
    let run = reported(&lab, gsctl("status"), &["--exit-code"]).expect(0);
    run.says("cluster: Normal");
    reported(&lab, gsctl("stop"), &["--wait", "30s"]).expect(0).all("changed");
    assert!((1..=2).all(|number| cluster.running(number, "cm_agent").is_empty()), "{}", cluster.census());

    // What is to be found is not made up: neither in a rehearsal, nor where there is nothing.
    let text = gsctl("start").args(["--dry-run", "-v"]).run().expect(0).text();
    assert!(!text.contains(" '/bin/cluster_manual_start"), "{text}");
    lab.node(1).remove("home/.bashrc");
    lab.node(1).crontab("# nothing\n");
    cluster.kill(1, "om_monitor");
    let run = reported(&lab, gsctl("start"), &["--wait", "5s", "--force"]).expect(5);
    run.host_is(1, "failed", "", "");
    let run = reported(&lab, gsctl("start"), &["--wait", "5s"]).expect(7);
    run.host_is(1, "refused", "nothing says where openGauss is installed", "set gausshome=DIRECTORY");
}

#[test]
fn a_wrong_place_is_named_beside_the_right_one() {
    let lab = Lab::start(1);
    opengauss::install(&lab);
    let home = lab.node(1).gausshome().display().to_string();
    let run = start(&lab, &["--wait", "5s", "--var", "gausshome=/opt/nowhere"]).expect(7);
    run.host_is(1, "refused", "there is no openGauss under /opt/nowhere", &format!("GAUSSHOME={home}"));
    let run = status(&lab, &["--var", "gausshome=/opt/nowhere"]).expect(0);
    run.says("not-installed").says(&format!("GAUSSHOME={home}"));
    assert_eq!(fact(&run, 1, "marker"), "unknown", "{}", run.run);
}

#[test]
fn nothing_is_written_by_a_look() {
    let lab = Lab::start(1);
    let cluster = opengauss::install(&lab);
    status(&lab, &[]).expect(0);
    assert!(!lab.node(1).exists("app/bin/result"), "cm_ctl check was run");
    // A stopped cluster is stopped: nothing is missing, and nobody has to answer.
    let run = status(&lab, &["--exit-code"]).expect(5);
    run.says("cluster: stopped");
    assert!(!run.run.text().contains("missing") && !run.run.text().contains("unreachable"), "{}", run.run);
    let _ = cluster;
}

#[test]
fn status_tells_what_is_incomplete_and_scripts_can_ask_for_it() {
    let lab = Lab::start(3);
    let cluster = normal(&lab);
    status(&lab, &["--exit-code"]).expect(0);
    lab.node(2).remove("data/dn1/base/1");
    wait::until("no datanode", || cluster.running(2, "gaussdb").len() == 1);
    let junit = lab.dir().join("client/junit.xml");
    let junit = junit.to_str().expect("a path");
    let html = lab.dir().join("client/run.html");
    let html = html.to_str().expect("a path");
    // The process is gone before its agent's next report says so.
    wait::until("cm_server has heard of it", || status(&lab, &[]).run.text().contains("Disk damaged"));
    let run = status(&lab, &["--junit", junit, "--html", html]).expect(0);
    run.host_is(2, "ok", "", "").says("incomplete (gaussdb)").says("Disk damaged");
    assert_eq!(fact(&run, 2, "gaussdb_held"), "Disk damaged");
    let text = std::fs::read_to_string(junit).expect("a report");
    assert!(text.contains("failures=\"1\"") && text.contains("chain: incomplete: gaussdb missing\""), "{text}");
    assert!(std::fs::read_to_string(html).expect("a page").contains("incomplete: gaussdb missing"));
    status(&lab, &["--exit-code"]).expect(5);
    let quiet = lab.gsctl().args(["-q", "status"]).run().expect(0);
    assert!(quiet.text().contains("incomplete (gaussdb)"), "{quiet}");

    // CM's own words end the wait, and stand beside their node.
    lab.node(1).write("app/bin/instance_manual_start_6001", "");
    wait::until("no datanode", || cluster.running(1, "gaussdb").len() == 1);
    cluster.fault(3, "port_conflict", "1");
    cluster.kill_datanode(3);
    let run = start(&lab, &["--wait", "60s", "-w", "node2,node3"]).expect(5);
    run.host_is(1, "failed", "CM does not start gaussdb: Disk damaged", "base, global, pg_xlog or pg_tblspc");
    run.host_is(2, "failed", "CM does not start gaussdb: Port conflicting", "ss -ltnp");
    assert!(run.report["elapsed_ms"].as_u64().is_some_and(|ms| ms < 55_000), "{}", run.report);
    let run = status(&lab, &[]).expect(0);
    run.says("instance_manual_start_6001").says("Port conflicting");
    lab.node(3).halt();
    status(&lab, &["--exit-code", "--connect-attempts", "1", "--connect-timeout", "2s"]).expect(4);
}

#[test]
fn instances_without_an_agent_are_told_and_named_by_stop() {
    let lab = Lab::start(2);
    let cluster = normal(&lab);
    cluster.kill(2, "om_monitor");
    cluster.kill(2, "cm_agent");
    let run = status(&lab, &["--exit-code"]).expect(5);
    assert_eq!(fact(&run, 2, "state"), "unmanaged", "{}", run.run);
    run.says("nothing looks after").says("gs_ctl stop -D");
    let run = stop(&lab, &["--wait", "60s"]).expect(5);
    run.host_is(1, "changed", "", "");
    run.host_is(2, "failed", "neither cm_agent nor om_monitor runs", "gs_ctl stop -D DIRECTORY");
    let error = run.host(2)["error"].as_str().unwrap_or_default();
    let dn = lab.node(2).base().join("data/dn1").display().to_string();
    assert!(error.contains("cm_server (pid ") && error.contains(&format!(" in {dn})")), "{error}");
    let run = status(&lab, &[]).expect(0);
    assert_eq!((fact(&run, 1, "state"), fact(&run, 2, "state")), ("stopped", "unmanaged"), "{}", run.run);
    // An agent takes them up again.
    cluster.start_monitor(2);
    start(&lab, &["--wait", "30s"]).expect(0);
}

#[test]
fn a_zombie_agent_is_no_agent() {
    let lab = Lab::start(1);
    let cluster = normal(&lab);
    let monitor = &cluster.running(1, "om_monitor")[0];
    monitor.kill(Signal::STOP);
    cluster.kill(1, "cm_agent");
    let run = status(&lab, &[]).expect(0);
    assert_eq!((fact(&run, 1, "cm_agent"), fact(&run, 1, "state")), ("none", "starting"), "{}", run.run);
    // Nobody takes the agent's place while om_monitor is stopped, which is seen before anything is changed.
    let run = start(&lab, &["--wait", "4s"]).expect(7);
    assert_eq!(run.host(1)["cause"]["id"], "OG10", "{}", run.run);
    run.host_is(1, "refused", "om_monitor", "kill -CONT");
    let run = start(&lab, &["--wait", "4s", "--force"]).expect(5);
    run.host_is(1, "failed", "first missing stage: cm_agent (none)", "");
    monitor.kill(Signal::CONT);
    start(&lab, &["--wait", "30s"]).expect(0);
}

#[test]
fn a_crash_loop_is_called_one_with_the_agents_own_last_words() {
    let lab = Lab::start(1);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    cluster.fault(1, "no_address", "1");
    let run = start(&lab, &["--wait", "60s"]).expect(5);
    run.host_is(1, "failed", "cm_agent starts and dies, again and again: cm_agent died ", "cm_agent-*-current.log");
    run.host_is(1, "failed", "last exit status 1; its last words: init cma heartbeat conn by mes failed", "");
    run.says("FATAL: init cma heartbeat");
    let run = status(&lab, &[]).expect(0);
    assert_eq!(fact(&run, 1, "cm_agent"), "crashing", "{}", run.run);
    run.says("init cma heartbeat conn by mes failed");
}

#[test]
fn a_stop_that_dies_says_what_it_left() {
    let lab = Lab::start(1);
    let cluster = normal(&lab);
    cluster.fault(1, "no_pstree", "1");
    let run = stop(&lab, &["--wait", "90s"]).expect(5);
    run.host_is(1, "failed", "cm_agent has ended, but left cm_server running: cm_server (pid ", "py_pstree.py");
    assert!(!cluster.running(1, "cm_server").is_empty());
    let hint = run.host(1)["chain"].to_string();
    assert!(!hint.contains("after the database"), "{hint}");
}

#[test]
fn an_election_that_takes_its_time_is_called_one() {
    let lab = Lab::start(3);
    let cluster = normal(&lab);
    let run = status(&lab, &[]).expect(0);
    let primary: usize = fact(&run, 1, "cm_primary").parse().expect("a node");
    stop(&lab, &["--wait", "30s"]).expect(0);
    (1..=3).for_each(|number| cluster.fault(number, "vote_wait", "6"));
    lab.node(primary).halt();
    let missing = ["--allow-unreachable", "1", "--connect-attempts", "1", "--connect-timeout", "2s"];
    let run = start(&lab, &[&missing[..], &["--wait", "50s"]].concat()).expect(4);
    run.says("electing (the former primary of cm_server may be missing").says("takes up to a minute");
    run.says(&format!("node{primary}: 50s of --wait may be too short without it"));
    for number in (1..=3).filter(|&number| number != primary) {
        run.host_is(number, "changed", "", "");
    }
    let run = start(&lab, &[&missing[..], &["--wait", "90s"]].concat()).expect(4);
    assert!(!run.run.stderr.contains("may be too short"), "{}", run.run);
    // In so many words it stands, and is not what there is.
    let run = start(&lab, &[&missing[..], &["--wait", "4s", "--accept", "normal"]].concat());
    assert!(run.run.stderr.contains("wanted Normal"), "{}", run.run);
}

#[test]
fn degraded_is_asked_for_although_a_node_stays_behind() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    lab.node(3).remove("data/dn1/base/1");
    let run = start(&lab, &["--wait", "40s", "--accept", "degraded"]).expect(5);
    run.host_is(1, "changed", "", "").host_is(3, "failed", "Disk damaged", "mount what the link points to");
    assert_eq!(run.host(3)["cause"]["id"], "OG40", "{}", run.report);
    run.says("node3: will not come up, and is not waited for: OG40");
    assert_eq!(fact(&run, 1, "cluster_state"), "Degraded", "{}", run.run);
    assert!(!lab.node(1).exists(MARKER) && !cluster.running(1, "gaussdb").is_empty());
}

#[test]
fn a_refusal_names_the_way_round_it() {
    let lab = Lab::start(3);
    opengauss::install(&lab);
    lab.node(3).halt();
    let run = start(&lab, &["--connect-attempts", "1", "--connect-timeout", "2s"]).expect(7);
    run.says("--allow-unreachable 1");
}

#[test]
fn a_paused_cluster_is_told_at_the_first_look() {
    let lab = Lab::start(2);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    (1..=2).for_each(|number| lab.node(number).write(PAUSE, ""));
    let mut running = lab.gsctl().args(["start", "--wait", "60s"]).spawn();
    running.wait_for_stderr("node1, node2: the cluster is paused");
    let run = running.wait().expect(5);
    assert!(run.stderr.contains("opengauss/resume") && run.stderr.contains("nobody is promoted"), "{run}");
}

#[test]
fn what_a_killed_start_left_is_seen_and_taken_away() {
    let lab = Lab::start(2);
    let cluster = opengauss::install(&lab);
    (1..=2).for_each(|number| lab.node(number).write(PAUSE, ""));
    let leave = || {
        let running = lab.gsctl().args(["start", "--wait", "60s"]).spawn();
        wait::until("the file is there", || (1..=2).all(|number| lab.node(number).exists(STARTING)));
        running.signal(Signal::KILL);
        running.wait();
        assert!((1..=2).all(|number| lab.node(number).exists(STARTING)), "{}", cluster.census());
    };
    let is_gone = || assert!((1..=2).all(|number| !lab.node(number).exists(STARTING)), "it stayed");
    leave();
    status(&lab, &[]).expect(0).says("node1, node2: bin/cluster_manual_starting is there");
    start(&lab, &["--wait", "2s"]).expect(5);
    is_gone();
    leave();
    stop(&lab, &["--wait", "30s"]).expect(0);
    is_gone();
    leave();
    lab.gsctl().args(["play", "opengauss/resume"]).run().expect(0);
    is_gone();
    // Somebody else's stays.
    lab.node(1).write(STARTING, "theirs");
    stop(&lab, &["--wait", "30s"]).expect(0);
    assert!(lab.node(1).exists(STARTING));
}

#[test]
fn dash_is_named_where_the_cluster_manager_starts_no_datanode() {
    let lab = Lab::start(1);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    cluster.fault(1, "dash", "1");
    let is_dash = std::fs::canonicalize("/bin/sh").is_ok_and(|path| path.ends_with("dash"));
    let run = start(&lab, &["--wait", "6s"]).expect(5);
    run.host_is(1, "failed", "gaussdb (missing)", if is_dash { "/bin/sh is dash" } else { "" });
}

#[test]
fn a_hanging_fast_stop_is_ended_by_an_immediate_one() {
    let lab = Lab::start(1);
    let cluster = normal(&lab);
    cluster.stop();
    cluster.fault(1, "hang", "1");
    start(&lab, &["--wait", "30s"]).expect(0);
    let run = stop(&lab, &["--wait", "3s"]).expect(5);
    run.host_is(1, "failed", "gaussdb gone", "--mode immediate");
    stop(&lab, &["--wait", "30s", "--mode", "immediate"]).expect(0);
    assert!(cluster.running(1, "gaussdb").is_empty(), "{}", cluster.census());
}

#[test]
fn processes_that_proc_hides_are_not_called_absent() {
    let lab = Lab::start(1);
    let cluster = normal(&lab);
    crate::lab::need_root();
    let mounted = lab.node(1).sh("mount -o remount,hidepid=2 /proc");
    assert!(mounted.status.success(), "{mounted:?}");
    let run = lab.gsctl().args(["check", "--process", "sshd"]).run().expect(5);
    assert!(run.stderr.contains("no process named sshd among this user's own; others' are hidden"), "{run}");
    // Those of the cluster user are its own, and seen.
    status(&lab, &["--exit-code"]).expect(0);
    lab.gsctl().args(["check", "--process", "cm_agent"]).run().expect(0);
    let _ = cluster;
}

#[test]
fn a_node_that_is_powered_off_while_the_cluster_is_waited_for_is_the_failed_one() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    // All nodes come up, and the cluster takes its time.
    (1..=3).for_each(|number| cluster.fault(number, "degraded", "1"));
    cluster.start_monitors();
    let impatient = ["--connect-attempts", "1", "--connect-timeout", "2s"];
    let json = lab.dir().join("client/report.json");
    let gsctl = lab.gsctl().args(impatient).arg("--json").arg(&json).args(["-v", "start", "--wait", "100s"]);
    let mut running = gsctl.spawn();
    running.wait_for_stderr("wait for the cluster");
    lab.node(3).halt();
    let run = running.wait().expect(4);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let outcome = |number: usize| report["hosts"][number - 1]["outcome"].as_str().unwrap_or_default().to_owned();
    assert_eq!([1, 2, 3].map(outcome), ["changed", "changed", "unreachable"], "{run}");
    assert_eq!(report["cluster"]["state"], "Degraded", "{run}");
    assert!(report["cluster"]["error"].as_str().is_some_and(|error| error.contains("Degraded")), "{run}");
    assert!(
        !run.text().contains("node[1-3]  marker gone ✓") && run.text().contains("node[1-2]  marker gone ✓"),
        "{run}"
    );
}

#[test]
fn where_one_host_is_blind_another_is_asked() {
    let lab = Lab::start(3);
    let cluster = normal(&lab);
    cluster.fault(1, "blind", "1");
    let run = status(&lab, &["--exit-code"]).expect(0);
    run.says("cluster: Normal");
    let asked = |run: &Reported| {
        let asked = run.report["cluster"]["asked"].as_array().unwrap().clone();
        asked
            .iter()
            .map(|one| format!("{} {}", one["host"].as_str().unwrap(), one["answer"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(asked(&run), ["node1 unreachable", "node2 Normal"], "{}", run.run);
    let run = start(&lab, &["--wait", "60s"]).expect(0);
    assert_eq!(asked(&run), ["node1 unreachable", "node2 Normal"], "{}", run.run);
    // Nobody can say: that is no host's failure.
    (2..=3).for_each(|number| cluster.fault(number, "blind", "1"));
    let run = status(&lab, &["--exit-code"]).expect(5);
    assert_eq!(asked(&run).len(), 3, "{}", run.run);
    let run = start(&lab, &["--wait", "3s"]).expect(5);
    run.all("ok");
    assert_eq!(run.report["cluster"]["state"], "unreachable", "{}", run.run);
}

#[test]
fn a_dead_node_costs_its_attempts_and_no_more() {
    let lab = Lab::start(2);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    let dead = crate::lab::faults::mute_port();
    let hosts = lab.hosts_file_with(&lab.hosts_line("dead", dead.address()));
    let gsctl = |verb: &str| lab.gsctl().hosts_file(&hosts).args(["--connect-timeout", "1s", verb]);
    // Three attempts, by default, however many steps follow.
    for (verb, args) in [("start", &["--allow-unreachable", "1", "--wait", "60s"][..]), ("status", &[])] {
        let before = dead.connections();
        let run = reported(&lab, gsctl(verb), args).expect(4);
        assert_eq!(run.host(3)["attempts"], 3, "{}", run.run);
        assert_eq!(dead.connections() - before, 3, "{}", run.run);
        assert!(run.run.stderr.contains("after 3 attempts"), "{}", run.run);
    }
}
