//! Streaming disaster recovery: two clusters of two nodes, stand-ins for the database's programs, and every way to fail.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gsctl::testing::{Facts, parse_facts};
use rustix::process::Signal;
use serde_json::Value;

use crate::gsctl::{Gsctl, Running};
use crate::lab::{Lab, Node, wait};

/// One file, many names.
const TOOL: &str = include_str!("../standin_panweidb/tool.sh");
const SCRIPT: &str = include_str!("../../playbooks/panweidb/sdr.sh");
const TOOLS: [&str; 5] = ["gs_ctl", "gs_guc", "gsql", "cm_ctl", "ping"];

const PRIMARY: &str = "primary";
const STANDBY: &str = "standby";
const CABIN: &str = "tmp/streaming_cabin";
const STAT: &str = "tmp/streaming_cabin/.hadr_cluster_stat";
const OWN_HBA: &str = "host all all 127.0.0.1/32 trust\n";

/// A cluster of two nodes, of which the first has the primary datanode.
struct Cluster {
    lab: Lab,
    hosts: PathBuf,
    side: &'static str,
}

impl Cluster {
    #[track_caller]
    fn new(side: &'static str) -> Self {
        let lab = Lab::start(2);
        let mut lines = String::new();
        for (number, node) in (1..).zip(lab.nodes()) {
            for dir in ["app/bin", "app/sdr", "tmp", "data/dn"] {
                node.mkdir(dir);
            }
            for tool in TOOLS {
                node.write(format!("app/bin/{tool}"), TOOL);
                node.chmod(format!("app/bin/{tool}"), 0o755);
            }
            node.write("app/sdr/conf", format!("node={number}\n"));
            node.write("app/sdr/role", if number == 1 { "Primary\n" } else { "Standby\n" });
            node.write("data/dn/pg_hba.conf", OWN_HBA);
            node.write("data/dn/pg_ident.conf", "own\n");
            node.write("data/dn/postgresql.conf", "wal_keep_segments = 16\nenable_dcf = off\n");
            let base = node.base().display();
            let line = lab.hosts_line(node.name(), node.address());
            let _ = writeln!(
                lines,
                "{} gausshome={base}/app pghost={base}/tmp data_dir={base}/data/dn node={number} peers=10.9.0.1,10.9.0.2",
                line.trim_end()
            );
        }
        let hosts = lab.write_hosts_file(&format!("{lines}\n[main]\nnode1\n"));
        Self { lab, hosts, side }
    }

    fn nodes(&self) -> &[Node] {
        self.lab.nodes()
    }

    fn gsctl(&self) -> Gsctl {
        self.lab.gsctl().hosts_file(&self.hosts)
    }

    /// The playbook of this side, which looks often.
    fn play(&self) -> Gsctl {
        self.gsctl().args(["play", &format!("panweidb/sdr-start-{}", self.side), "--var", "every=100ms"])
    }

    /// Sets lines of a node's conf.
    fn conf(&self, node: usize, lines: &str) {
        self.lab.node(node).write("app/sdr/conf", format!("node={node}\n{lines}"));
    }

    /// The calls of a name on a node.
    fn calls(&self, node: usize, name: &str) -> Vec<String> {
        let node = self.lab.node(node);
        if !node.exists("app/sdr/calls") {
            return Vec::new();
        }
        let text = node.text("app/sdr/calls");
        text.lines().filter(|line| line.split(' ').next() == Some(name)).map(str::to_owned).collect()
    }

    fn all_calls(&self) -> Vec<String> {
        let text = |node: &Node| if node.exists("app/sdr/calls") { node.text("app/sdr/calls") } else { String::new() };
        self.nodes().iter().map(text).collect()
    }

    /// What the nodes have kept of the run's state.
    fn stats(&self) -> Vec<String> {
        let text = |node: &Node| if node.exists(STAT) { node.text(STAT) } else { "normal".to_owned() };
        self.nodes().iter().map(text).collect()
    }

    #[track_caller]
    fn assert_stat(&self, state: &str) {
        assert_eq!(self.stats(), [state, state]);
    }

    fn step_file(&self) -> String {
        format!("{CABIN}/.streaming_start_{}.step", self.side)
    }

    /// How many steps the journal of the last run says are done; none yet has none. It must be readable, always.
    fn good_steps(&self) -> usize {
        let Ok(runs) = fs::read_dir(self.lab.client_home().join(".local/state/gsctl/runs")) else { return 0 };
        let last = runs.map(|entry| entry.unwrap().path()).max();
        let Some(text) = last.and_then(|dir| fs::read(dir.join("run.json")).ok()) else { return 0 };
        let run: Value = serde_json::from_slice(&text).expect("the journal is readable at any time");
        run["playbook"]["steps"].as_array().unwrap().iter().filter(|step| step["end"] == "good").count()
    }

    /// Runs until this many steps are done, and kills gsctl there; `None` where it ended before.
    fn killed_after(&self, mut running: Running, steps: usize) -> Option<usize> {
        let mut ended = false;
        wait::until("the step is done", || {
            ended = running.has_ended();
            ended || self.good_steps() >= steps
        });
        if ended {
            running.wait().expect(0);
            return None;
        }
        running.signal(Signal::KILL);
        wait::until("gsctl is gone", || running.has_ended());
        let run = running.wait();
        assert!(run.status == -9 || run.status == 0, "{run}");
        (run.status == -9).then(|| self.good_steps())
    }

    /// Kills gsctl after each step in turn and lets it go on each time; how often it was killed.
    fn killed_after_each_step(&self) -> usize {
        let mut kills = 0;
        let mut steps = 0;
        while let Some(done) = {
            let play = self.play();
            let play = if kills == 0 { play } else { play.arg("--resume") };
            self.killed_after(play.spawn(), steps + 1)
        } {
            assert!(done > steps, "no step is forgotten: {steps} were done, now {done}");
            steps = done;
            kills += 1;
            // What can be read can be shown.
            let shown = self.lab.bare_gsctl().args(["runs", "show", "--json", "-"]).run().expect(0).json();
            assert_eq!(shown["running"], false, "{shown:#}");
            if shown["resumable"] == false {
                break;
            }
        }
        kills
    }

    /// What a standby must be in the end.
    #[track_caller]
    fn assert_recovery(&self) {
        self.assert_stat("recovery");
        for (number, node) in (1..).zip(self.nodes()) {
            let (role, build) = if number == 1 {
                ("Main Standby\n", "-M hadr_main_standby -r 7200 -q -Q force_copy_from_local -t 1209600")
            } else {
                ("Cascade Standby\n", "-M cascade_standby -b standby_full -r 7200 -t 1209600")
            };
            assert_eq!(node.text("app/sdr/role"), role);
            assert!(
                self.calls(number, "gs_ctl_build").iter().all(|call| call.ends_with(build)),
                "{:?}",
                self.all_calls()
            );
            let hba = format!("{OWN_HBA}host all all 10.9.0.1/32 sha256\nhost all all 10.9.0.2/32 sha256\n");
            assert_eq!(node.text("data/dn/pg_hba.conf"), hba, "{}: its own is back", node.name());
            assert_eq!(node.text("data/dn/pg_ident.conf"), "own\n");
            let conf = node.text("data/dn/postgresql.conf");
            assert!(
                conf.contains("replconninfo1 = 'localhost=") && conf.contains("remotehost=10.9.0.2 remoteport=15401 ")
            );
            assert_eq!(node.text("app/sdr/cmserver.conf"), "backup_open = 2\n");
            assert_eq!(node.text("app/sdr/cmagent.conf"), "agent_backup_open = 2\n");
            assert!(!node.exists(self.step_file()) && !node.exists(format!("{CABIN}/.gsctl_build")));
            assert!(!node.exists("app/bin/cluster_manual_start"));
        }
        let dcc = self.nodes().iter().filter(|node| node.exists("app/sdr/dcc")).map(|node| node.text("app/sdr/dcc"));
        assert_eq!(dcc.collect::<Vec<_>>(), ["2"], "one node tells it to all");
    }

    /// What a primary must be in the end.
    #[track_caller]
    fn assert_archive(&self) {
        self.assert_stat("archive");
        let reloads = self.calls(1, "gs_guc_reload");
        let wal: Vec<_> = reloads.iter().filter_map(|call| call.split_once("wal_keep_segments = ")).collect();
        assert_eq!(wal.iter().map(|(_, value)| *value).collect::<Vec<_>>(), ["16384", "16"], "{reloads:?}");
        assert!(self.calls(2, "gs_guc_reload").iter().all(|call| !call.contains("wal_keep")), "only on the primary");
        for node in self.nodes() {
            assert!(!node.exists(self.step_file()) && !node.exists(format!("{CABIN}/.wal_keep_segments_record")));
            assert!(!node.exists("app/bin/cluster_manual_start"), "a primary is never stopped");
        }
        assert_eq!(self.lab.node(1).text("app/sdr/dcc"), "0");
    }
}

#[test]
fn both_sides_come_to_archive_and_recovery() {
    let (primary, standby) = (Cluster::new(PRIMARY), Cluster::new(STANDBY));
    standby.lab.node(1).write("app/sdr/slots", "slot_a\n");
    let under_way = primary.play().args(["--json", "-"]).spawn();
    wait::until("the primary waits", || primary.stats() == ["full_backup", "full_backup"]);
    let conf = primary.lab.node(1).text("data/dn/postgresql.conf");
    assert!(conf.contains("wal_keep_segments = 16384"), "{conf}");
    assert_eq!(primary.lab.node(2).text(primary.step_file()), "7_build_dn_instance_step");

    let run = standby.play().args(["--json", "-"]).run().expect(0);
    assert_eq!(run.json()["state"], "recovery", "{run}");
    standby.assert_recovery();
    for node in [1, 2] {
        assert_eq!(standby.calls(node, "gs_ctl_build").len(), 1, "{:?}", standby.all_calls());
        assert_eq!(standby.calls(node, "cm_ctl_stop"), [format!("cm_ctl_stop stop -n {node} -m i -t 1800")]);
    }
    assert_eq!(standby.calls(1, "gs_ctl_start").len(), 1);
    assert!(standby.calls(2, "gs_ctl_start").is_empty(), "the build of a cascade standby starts it");
    assert_eq!(standby.calls(1, "gsql_drop").len(), 1, "logical slots are dropped");

    primary.conf(1, "connected=yes\n");
    let run = under_way.wait().expect(0);
    assert_eq!(run.json()["state"], "archive", "{run}");
    primary.assert_archive();

    // A second run is refused, and touches nothing.
    for (cluster, state) in [(&primary, "archive"), (&standby, "recovery")] {
        let before = cluster.all_calls();
        let run = cluster.play().run().expect(7);
        assert!(run.stderr.contains(&format!("Current cluster is already in {state}, start is forbidden.")), "{run}");
        assert!(run.stderr.contains("sdr-status"), "{run}");
        assert_eq!(cluster.all_calls(), before);
        cluster.assert_stat(state);
        let run = cluster.gsctl().args(["play", "panweidb/sdr-status", "--json", "-"]).run().expect(0);
        for host in run.json()["hosts"].as_array().unwrap() {
            assert_eq!(host["facts"]["state"], state, "{run}");
        }
        assert_eq!(cluster.all_calls(), before);
    }
    let run = primary.gsctl().args(["play", "panweidb/sdr-status"]).run().expect(0);
    assert!(run.text().contains("archive") && run.text().contains("connected"), "{run}");
    let run = primary.gsctl().args(["play", "panweidb/sdr-status", "--json", "-"]).run().expect(0);
    let facts = &run.json()["hosts"][0]["facts"];
    assert_eq!((&facts["main_standby"], &facts["rpo"]), (&"connected".into(), &"0".into()), "{run}");
}

#[test]
fn each_refusal_names_what_is_wrong_and_touches_nothing() {
    let cluster = Cluster::new(STANDBY);
    let bad = cluster.lab.node(2);
    let tool = |name: &str| format!("app/bin/{name}");
    let refused = |words: &[&str]| {
        let run = cluster.play().run().expect(7);
        for word in words.iter().chain(&["node2"]) {
            assert!(run.stderr.contains(word), "`{word}` is not said\n{run}");
        }
        assert_eq!(cluster.all_calls(), ["", ""], "{run}");
        assert!(!cluster.lab.node(1).exists(CABIN), "{run}");
    };
    for (file, text, words) in [
        ("tmp/streaming_lock_6f", "", ["gs_sdr is at work", "tmp/streaming_lock_6f"]),
        ("tmp/streaming_cabin/.streaming_failover.step", "1_x", ["another action", ".streaming_failover.step"]),
        // The other side's start is another action, too.
        (
            "tmp/streaming_cabin/.streaming_start_primary.step",
            "3_x",
            ["another action", ".streaming_start_primary.step"],
        ),
        ("tmp/streaming_cabin/.hadr_cluster_stat", "archive", ["already in archive, start is forbidden.", "hint"]),
        ("tmp/streaming_cabin/.hadr_cluster_stat", "recovery", ["already in recovery, start is forbidden.", "hint"]),
        ("tmp/binary_upgrade/upgrade_step.csv", "1", ["an upgrade is in progress", "hint"]),
        ("app/sdr/conf", "cluster=Degraded\n", ["the cluster is not Normal: Degraded", "cm_ctl query"]),
        ("app/bin/cluster_manual_start", "", ["the cluster is not Normal: unreachable", "cm_ctl query"]),
        ("app/sdr/role", "Cascade Standby\n", ["has a main or cascade standby already", "hint"]),
    ] {
        let before = bad.exists(file).then(|| bad.text(file));
        bad.write(file, text);
        refused(&words);
        match before {
            Some(before) => bad.write(file, before),
            None => bad.remove(file),
        }
    }
    bad.remove(tool("cm_ctl"));
    refused(&["not a cluster with a Cluster Manager"]);
    bad.remove(tool("gs_guc"));
    refused(&["programs are missing", "gs_guc"]);
    bad.write(tool("cm_ctl"), TOOL);
    bad.write(tool("gs_guc"), TOOL);
    bad.chmod(tool("cm_ctl"), 0o755);
    bad.chmod(tool("gs_guc"), 0o755);
    fs::rename(bad.outside("data/dn"), bad.outside("data/away")).unwrap();
    refused(&["there is no datanode in"]);
    fs::rename(bad.outside("data/away"), bad.outside("data/dn")).unwrap();

    let hosts = fs::read_to_string(&cluster.hosts).unwrap().replace("[main]", "[other]");
    let hosts = cluster.lab.write_hosts_file(&hosts);
    let run = cluster.play().hosts_file(&hosts).run().expect(2);
    assert!(run.stderr.contains("group `main`"), "{run}");
    cluster.play().run().expect(0);
    cluster.assert_recovery();
}

#[test]
fn each_failure_of_the_standby_has_its_state_and_the_next_run_goes_on() {
    let cluster = Cluster::new(STANDBY);
    let faults = "fail=gs_guc_set:1\nfail=cm_ctl_ddb:1\nfail=cm_ctl_stop:1\nfail=ping:2\nfail=gs_ctl_build:3\nfail=gs_ctl_start:1\n";
    cluster.conf(1, faults);
    for (state, step, words) in [
        ("normal", "2_check_cluster_step", ["injected failure of gs_guc_set", "hint: mend that"]),
        ("normal", "4_set_wal_segments_step", ["injected failure of cm_ctl_ddb", "hint: mend that"]),
        ("normal", "4_set_wal_segments_step", ["injected failure of cm_ctl_stop", "hint: mend that"]),
        ("restore_fail", "6_set_guc_step", ["none of the other cluster's nodes answers", "hint: mend that"]),
        ("restore_fail", "6_set_guc_step", ["gs_ctl build has failed three times", "injected failure of gs_ctl_build"]),
        ("restore_fail", "6_set_guc_step", ["injected failure of gs_ctl_start", "pg_log"]),
    ] {
        let run = cluster.play().args(["--json", "report.json"]).run().expect(5);
        for word in words {
            assert!(run.stderr.contains(word), "`{word}` is not said\n{run}");
        }
        cluster.assert_stat(state);
        assert_eq!(cluster.lab.node(1).text(cluster.step_file()), step, "{run}");
    }
    cluster.conf(1, "cluster=Degraded\n");
    let run = cluster.play().args(["--var", "degraded_for=300ms", "--json", "-"]).run().expect(5);
    assert!(run.stderr.contains("has started, but is Degraded, not Normal"), "{run}");
    assert_eq!(run.json()["state"], "recovery_fail", "{run}");
    cluster.assert_stat("recovery_fail");
    let run = cluster.gsctl().args(["play", "panweidb/sdr-status", "--json", "-"]).run().expect(0);
    assert_eq!(run.json()["hosts"][1]["facts"]["state"], "recovery_fail", "{run}");

    cluster.conf(1, "");
    cluster.play().run().expect(0);
    cluster.assert_recovery();
    assert_eq!(cluster.calls(1, "gs_ctl_build").len(), 4, "three that failed, and one");
    assert_eq!(cluster.calls(2, "gs_ctl_build").len(), 1);
    assert_eq!(cluster.calls(1, "cm_ctl_stop").len(), 2, "one that failed, and one");
    assert_eq!(cluster.calls(2, "cm_ctl_stop").len(), 1);
}

#[test]
fn a_main_standby_that_never_comes_is_backup_fail() {
    let cluster = Cluster::new(PRIMARY);
    cluster.conf(1, "fail=gs_guc_reload:1\n");
    let run = cluster.play().run().expect(5);
    assert!(run.stderr.contains("injected failure of gs_guc_reload"), "{run}");
    cluster.assert_stat("normal");
    let run = cluster.play().args(["--var", "time_out=500ms", "--json", "-"]).run().expect(5);
    assert!(run.stderr.contains("main_standby is none after 0.5s, wanted connected"), "{run}");
    assert!(run.stderr.contains("is sdr-start-standby under way"), "{run}");
    assert_eq!(run.json()["state"], "backup_fail");
    cluster.assert_stat("backup_fail");
    cluster.conf(1, "connected=yes\n");
    // The same run goes on, or a new one: each ends well.
    let run = cluster.play().args(["--var", "time_out=500ms", "--resume", "--json", "-"]).run().expect(0);
    assert_eq!(run.json()["state"], "archive");
    cluster.assert_archive();
}

#[test]
fn a_standby_killed_after_each_step_goes_on() {
    let cluster = Cluster::new(STANDBY);
    let kills = cluster.killed_after_each_step();
    assert!(kills >= 15, "killed {kills} times only");
    cluster.assert_recovery();
    for node in [1, 2] {
        for once in ["gs_ctl_build", "cm_ctl_stop"] {
            assert_eq!(cluster.calls(node, once).len(), 1, "{once}: {:?}", cluster.all_calls());
        }
    }
    assert_eq!(cluster.calls(1, "gs_ctl_start").len(), 1);
    assert_eq!(cluster.calls(1, "cm_ctl_ddb").len() + cluster.calls(2, "cm_ctl_ddb").len(), 1);
}

#[test]
fn a_primary_killed_after_each_step_goes_on() {
    let cluster = Cluster::new(PRIMARY);
    cluster.conf(1, "connected=yes\n");
    let kills = cluster.killed_after_each_step();
    assert!(kills >= 10, "killed {kills} times only");
    cluster.assert_archive();
}

/// Fills the disk under the state directory after each step in turn, frees it, and goes on each time.
#[test]
fn a_standby_whose_journal_finds_the_disk_full_goes_on() {
    let cluster = Cluster::new(STANDBY);
    let lab = &cluster.lab;
    let state = lab.dir().join("client/state");
    fs::create_dir(&state).unwrap();
    // The mount is gone with its namespace, so gsctl and all who look at its files run in there.
    let script = format!(
        r#"mount -t tmpfs -o size=512k,mode=700 none {state} || exit 99
        good() {{ cat {state}/gsctl/runs/*/run.json 2>/dev/null | tr -d ' \n' | grep -o '"end":"good"' | wc -l; }}
        play() {{ exec {gsctl} play panweidb/sdr-start-standby --var every=100ms -f {hosts} -i {key} \
            -o UserKnownHostsFile={known} "$@"; }}
        done=0 full=0 again= round=0
        while [ $round -lt 60 ]; do
            round=$((round + 1))
            play $again >{state}.out 2>&1 & gsctl=$!
            until [ "$(good)" -gt $done ] || ! kill -0 $gsctl 2>/dev/null; do sleep 0.02; done
            cat /dev/zero >{state}/filler 2>/dev/null
            wait $gsctl; rc=$?
            {gsctl} runs show --json - >/dev/null || {{ echo unreadable; exit 1; }}
            rm -f {state}/filler
            done=$(good) again=--resume
            case $rc in
                0) break ;;
                1) full=$((full + 1)) ;;
                *) echo "exit $rc"; cat {state}.out; exit 1 ;;
            esac
        done
        echo "full $full times, ended $rc""#,
        gsctl = env!("CARGO_BIN_EXE_gsctl"),
        state = state.display(),
        hosts = cluster.hosts.display(),
        key = lab.key().display(),
        known = lab.known_hosts().display(),
    );
    let mut command = Command::new("unshare");
    // An ordinary user can mount where he is root in a namespace of users.
    command.arg(if lab.is_private() { "-m" } else { "-rm" });
    command.args(["sh", "-c", &script]).env("XDG_STATE_HOME", &state).env("HOME", lab.client_home());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let times = said.strip_prefix("full ").and_then(|rest| rest.split(' ').next()).and_then(|n| n.parse::<u32>().ok());
    assert!(times.is_some_and(|times| times >= 5) && said.ends_with("ended 0\n"), "{said}");
    cluster.assert_recovery();
    for node in [1, 2] {
        assert_eq!(cluster.calls(node, "gs_ctl_build").len(), 1, "{:?}", cluster.all_calls());
    }
}

fn is_waiting(running: &Running) -> bool {
    running.stderr().contains("wait for the build of the main standby")
}

#[test]
fn a_build_outlives_a_killed_gsctl_and_is_found_again() {
    for (signal, status, again) in
        [(Signal::KILL, -9, &["--resume"][..]), (Signal::KILL, -9, &[]), (Signal::INT, 130, &["--resume"])]
    {
        let cluster = Cluster::new(STANDBY);
        let node = cluster.lab.node(1);
        cluster.conf(1, "hold=gs_ctl_build\n");
        node.write("app/sdr/hold", "");
        let running = cluster.play().spawn();
        wait::until("the build is under way", || !cluster.calls(1, "gs_ctl_build").is_empty());
        wait::until("it waits", || is_waiting(&running));
        running.signal(signal);
        running.wait().expect(status);
        cluster.assert_stat("restore");
        let under_way = cluster.play().args(again).spawn();
        // It waits for the build that is under way; so does a look at the node.
        let run = cluster.gsctl().args(["play", "panweidb/sdr-status", "--json", "-"]).run().expect(0);
        assert_eq!(run.json()["hosts"][0]["facts"]["build"], "building", "{run}");
        // A second operator is sent away, without a file that anybody must remove later.
        wait::until("it waits", || is_waiting(&under_way));
        let run = cluster.play().run().expect(7);
        assert!(run.stderr.contains(&format!("pid {}", under_way.pid())), "{run}");
        node.remove("app/sdr/hold");
        under_way.wait().expect(0);
        cluster.assert_recovery();
        assert_eq!(cluster.calls(1, "gs_ctl_build").len(), 1, "{:?}", cluster.all_calls());
    }
}

#[test]
fn a_build_that_somebody_killed_is_begun_anew() {
    let cluster = Cluster::new(STANDBY);
    let node = cluster.lab.node(1);
    cluster.conf(1, "hold=gs_ctl_build\n");
    node.write("app/sdr/hold", "");
    let running = cluster.play().spawn();
    wait::until("the build is under way", || !cluster.calls(1, "gs_ctl_build").is_empty());
    for process in node.processes() {
        if process.cmdline.iter().any(|word| word == "gsctl-sdr-build" || word.ends_with("bin/gs_ctl")) {
            process.kill(Signal::KILL);
        }
    }
    let run = running.wait().expect(5);
    assert!(run.stderr.contains("the build has ended without a result"), "{run}");
    cluster.assert_stat("restore_fail");
    node.remove("app/sdr/hold");
    cluster.play().run().expect(0);
    cluster.assert_recovery();
    assert_eq!(cluster.calls(1, "gs_ctl_build").len(), 2, "the one that was killed, and one");
}

/// Shells that a node may have as /bin/sh.
const SHELLS: [&[&str]; 4] = [&["dash"], &["bash"], &["bash", "--posix"], &["busybox", "sh"]];

/// Runs a part of the script in a shell, without SSH: its facts and its status.
fn part(shell: &[&str], base: &Path, mode: &str, part: &str, variables: &str) -> (Facts, i32) {
    let base = base.display();
    let text = format!(
        "gausshome={base}/app env_file= pghost={base}/tmp data_dir={base}/data/dn dn_port=15400 mode={mode} host=h \
         address=127.0.0.1 user=omm node= data_ip= peers=10.9.0.1,fe80::2 peer_port= hadr_user= hadr_password_file= \
         hba_method=sha256 wal_keep=16384 light=0 sdr_part={part} {variables}\n{SCRIPT}"
    );
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).args(["-c", &text]).env("HOME", "/nonexistent").stdin(Stdio::null());
    let output = command.output().unwrap();
    (parse_facts(&output.stdout), output.status.code().unwrap_or(-1))
}

#[test]
fn every_shell_does_every_part() {
    for shell in SHELLS {
        let dir = tempfile::Builder::new().prefix("sdr").tempdir().unwrap();
        let base = dir.path();
        for name in ["app/bin", "app/sdr", "tmp", "data/dn"] {
            fs::create_dir_all(base.join(name)).unwrap();
        }
        for tool in TOOLS {
            let path = base.join("app/bin").join(tool);
            fs::write(&path, TOOL).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let write = |name: &str, text: &str| fs::write(base.join(name), text).unwrap();
        let read = |name: &str| fs::read_to_string(base.join(name)).unwrap();
        write("app/sdr/conf", "node=7\n");
        write("app/sdr/role", "Primary\n");
        write("data/dn/pg_hba.conf", "host  all\tall 10.9.0.1/32   sha256\n");
        write("data/dn/postgresql.conf", "replconninfo1 = 'localhost=a remotehost=own remoteport=1'\n");
        let run = |name: &str, more: &str| part(shell, base, "disaster_standby", name, more);
        let (facts, status) = run("look", "");
        let fact = |facts: &Facts, name: &str| facts.get(name).cloned().unwrap_or_default();
        assert_eq!(status, 0, "{shell:?} {facts:?}");
        for (name, value) in [("programs", "ok"), ("step", "0"), ("local_role", "Primary"), ("cluster_state", "Normal")]
        {
            assert_eq!(fact(&facts, name), value, "{shell:?} {name}");
        }
        for (name, more) in [
            ("cabin", ""),
            ("check", ""),
            ("common", ""),
            ("keep", ""),
            ("wal", ""),
            ("dcc", ""),
            ("stop", ""),
            ("guc", ""),
            ("build", "sdr_as=hadr_main_standby hadr_user=hadr"),
        ] {
            let (facts, status) = run(name, more);
            assert_eq!(status, 0, "{shell:?} {name} {facts:?}");
            let (again, status) = run(name, more);
            assert_eq!((status, fact(&again, "changed").as_str()), (0, ""), "{shell:?}: {name} is done once");
        }
        wait::until("it is built", || fact(&run("built", "").0, "build") == "completed");
        assert_eq!(run("finish", "sdr_as=hadr_main_standby").1, 0, "{shell:?}");
        assert_eq!(read("app/sdr/role"), "Main Standby\n");
        // A rule that is there already, however it is spaced, is not added; IPv6 has longer masks.
        assert_eq!(
            read("data/dn/pg_hba.conf"),
            "host  all\tall 10.9.0.1/32   sha256\nhost all all fe80::2/128 sha256\n"
        );
        let conf = read("data/dn/postgresql.conf");
        assert!(conf.contains("replconninfo2 =") && conf.contains("remotehost=10.9.0.1 "), "{conf}");
        assert!(conf.contains("replconninfo1 = 'localhost=a remotehost=own"), "what is in use stays: {conf}");
        let calls = read("app/sdr/calls");
        assert!(calls.contains("cm_ctl_stop stop -n 7 -m i"), "the node's number is looked up: {calls}");
        assert!(calls.contains("-t 1209600 -U hadr\n"), "{calls}");
        for name in ["started", "clean"] {
            assert_eq!(run(name, "").1, 0, "{shell:?} {name}");
        }
        let (facts, status) = run("nothing", "");
        assert_eq!((status, fact(&facts, "because").as_str()), (1, "there is no part nothing"), "{shell:?}");
        for daemon in read("app/sdr/daemons").lines() {
            let _ = rustix::process::kill_process(
                rustix::process::Pid::from_raw(daemon.parse().unwrap()).unwrap(),
                Signal::KILL,
            );
        }
    }
}
