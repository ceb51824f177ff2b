//! The end of a pair, the exchange of its roles, and both clusters in one run.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use super::cluster::{CABIN, CONF, Cluster, OWN_HBA, PRIMARY, STANDBY};
use crate::gsctl::Gsctl;
use crate::lab::{Node, wait};

/// Copies what a primary offers to where the stand-ins of the standby fetch it, as the network does.
struct Network {
    over: Arc<AtomicBool>,
    copying: Option<std::thread::JoinHandle<()>>,
}

impl Network {
    fn between(primary: &Cluster, standby: &Cluster) -> Self {
        let from = primary.node(1).outside("data/dn/gs_secure_files");
        let to: Vec<PathBuf> = standby.nodes().iter().map(|node| node.outside("app/sdr/peer")).collect();
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let copying = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
                if !from.join("hadr.key.rand").exists() {
                    continue;
                }
                for to in &to {
                    let _ = fs::create_dir_all(to);
                    let command = "rm -rf \"$2/new\"; cp -R \"$1\" \"$2/new\" && chmod -R a+rX \"$2\" && { [ -e \"$2/gs_secure_files\" ] || mv \"$2/new\" \"$2/gs_secure_files\"; }";
                    let words = ["-c", command, "copy"];
                    let _ = std::process::Command::new("sh").args(words).args([&from, to]).output();
                }
            }
        });
        Self { over, copying: Some(copying) }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(copying) = self.copying.take() {
            let _ = copying.join();
        }
    }
}

/// Who makes a cluster part of a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    GsSdr,
    Gsctl,
}

impl Cluster {
    /// Part of a pair, made by one of the two.
    #[track_caller]
    fn make(&self, by: By) {
        self.reset();
        self.give_keys();
        self.conf(1, "connected=yes\nstreaming=yes\nshow_synchronous_commit=off\n");
        if by == By::GsSdr {
            self.gs_sdr_starts();
        } else {
            self.play().run().expect(0);
        }
        // Nothing comes from the other cluster any more.
        self.conf(1, "");
    }
}

/// Nothing of the other cluster is left on a node.
#[track_caller]
fn assert_alone(cluster: &Cluster, by_gsctl: bool) {
    for node in cluster.nodes() {
        assert!(!node.exists(CABIN), "{}", node.name());
        let conf = node.text(CONF);
        assert!(!conf.contains("iscrossregion"), "{conf}");
        assert!(conf.contains("replconninfo1 = 'localhost="), "its own stay: {conf}");
        let hba = node.text("data/dn/pg_hba.conf");
        assert!(hba.contains(OWN_HBA), "{hba}");
        if by_gsctl {
            let other = if cluster.side == PRIMARY { "10.2.0" } else { "10.1.0" };
            assert!(!hba.contains(other), "gs_sdr leaves a right to replicate, gsctl does not: {hba}");
        }
        assert_eq!(cluster.locks(node).len(), 0);
        assert!(!node.exists("app/bin/cluster_maintance"));
    }
    assert!(!cluster.node(1).exists("app/sdr/hadr_user_info"));
}

#[test]
fn each_ends_what_the_other_began() {
    let cluster = Cluster::new(PRIMARY);
    cluster.make(By::GsSdr);
    cluster.playbook("stop").run().expect(0);
    assert_alone(&cluster, true);
    assert!(cluster.node(1).text(CONF).contains("synchronous_commit = off\n"), "as it was before");
    let run = cluster.playbook("stop").run().expect(7);
    assert!(run.stderr.contains("No need to stop because the cluster is not a disaster cluster."), "{run}");

    cluster.make(By::Gsctl);
    let (said, status) = cluster.gs_sdr(&["-t", "stop"], "");
    assert_eq!(status, Some(0), "{said}");
    assert_alone(&cluster, false);

    // Half-way, at each record.
    for step in ["2", "3", "4", "5"] {
        cluster.make(By::GsSdr);
        cluster.gs_sdr(&["-t", "stop"], step);
        cluster.remove_locks();
        if step == "5" {
            // It had begun to remove the cabins.
            fs::remove_dir_all(cluster.node(2).outside(CABIN)).unwrap();
        }
        let run = cluster.playbook("status").run().expect(0);
        if step != "2" {
            assert!(run.stderr.contains("run sdr-stop again"), "{run}");
            assert!(!run.stderr.contains("sdr-start") && !run.text().contains("sdr-start"), "{run}");
        }
        cluster.playbook("stop").args(["--var", "peers=10.2.0.1,10.2.0.2"]).run().expect(0);
        assert_alone(&cluster, true);
    }
    let cluster = Cluster::new(STANDBY);
    cluster.make(By::GsSdr);
    let run = cluster.playbook("stop").run().expect(7);
    assert!(run.stderr.contains("standby cluster is not supported for stop."), "{run}");
}

#[track_caller]
fn assert_promoted(cluster: &Cluster) {
    assert_alone(cluster, false);
    assert_eq!(cluster.node(1).text("app/sdr/role"), "Primary\n");
    assert_eq!(cluster.node(1).text("app/sdr/dcc"), "0");
    assert_eq!(cluster.node(1).text("app/sdr/term"), "105");
    for node in cluster.nodes() {
        assert_eq!(node.text("cm/cm_server/cm_server.conf"), "backup_open = 0\n");
        assert!(node.text(CONF).contains("stream_cluster_run_mode = 'cluster_primary'"));
    }
}

#[test]
fn a_standby_of_either_is_promoted_by_the_other() {
    let cluster = Cluster::new(STANDBY);
    cluster.make(By::GsSdr);
    // A primary that still sends is a refusal.
    cluster.conf(1, "streaming=yes\n");
    let before = cluster.all_calls();
    let run = cluster.playbook("failover").run().expect(7);
    assert!(
        run.stderr.contains("the primary of the other cluster is alive: it still sends")
            && run.stderr.contains("sdr-switchover"),
        "{run}"
    );
    assert_eq!(cluster.all_calls(), before);
    cluster.conf(1, "");
    cluster.playbook("failover").run().expect(0);
    assert_promoted(&cluster);

    cluster.make(By::Gsctl);
    let (said, status) = cluster.gs_sdr(&["-t", "failover"], "");
    assert_eq!(status, Some(0), "{said}");
    assert_promoted(&cluster);

    let cluster = Cluster::new(PRIMARY);
    cluster.make(By::GsSdr);
    let run = cluster.playbook("failover").run().expect(7);
    assert!(run.stderr.contains("a primary cluster does not support failover"), "{run}");
}

#[test]
fn a_failover_that_stands_half_way_is_ended_by_the_other() {
    let cluster = Cluster::new(STANDBY);
    for step in ["0", "2", "4", "5"] {
        cluster.make(By::GsSdr);
        cluster.gs_sdr(&["-t", "failover"], step);
        cluster.remove_locks();
        let run = cluster.playbook("status").args(["--json", "-"]).run().expect(0);
        let facts = &run.json()["hosts"][0]["facts"];
        assert_eq!(facts["sdr_state"], "promote", "{run}");
        assert!(["10%", "30%", "50%", "70%", "80%"].contains(&facts["progress"].as_str().unwrap()), "{run}");
        assert!(!facts["advice"].as_str().unwrap().contains("start"), "{run}");
        cluster.playbook("failover").run().expect(0);
        assert_promoted(&cluster);
    }
    // And the other way round: the term cannot be set at first.
    cluster.make(By::GsSdr);
    cluster.conf(1, "fail=gs_ctl_notify:1\n");
    let run = cluster.playbook("failover").run().expect(5);
    assert!(run.stderr.contains("injected failure of gs_ctl_notify"), "{run}");
    cluster.assert_stat("promote_fail");
    assert_eq!(
        cluster.node(1).text(format!("{CABIN}/.streaming_failover.step")),
        "4_remove_hba_repl_done_for_failover"
    );
    let run = cluster.playbook("status").run().expect(0);
    assert!(run.text().contains("promote_fail") && run.stderr.contains("run sdr-failover again"), "{run}");
    let (said, status) = cluster.gs_sdr(&["-t", "failover"], "");
    assert_eq!(status, Some(0), "{said}");
    assert_promoted(&cluster);
}

/// The pair that a switchover is for, and both of its clusters' hosts.
fn made_pair() -> (Cluster, Cluster, PathBuf) {
    let (primary, standby, hosts) = Cluster::pair();
    for cluster in [&primary, &standby] {
        cluster.give_keys();
        cluster.conf(1, "connected=yes\nstreaming=yes\n");
        cluster.gs_sdr_starts();
    }
    (primary, standby, hosts)
}

#[test]
fn a_switchover_and_a_failover_that_were_killed_go_on() {
    let (primary, standby, hosts) = made_pair();
    // First where it has stopped the old primary and recorded nothing yet: another run begins.
    let running = both(&primary, &hosts, "switchover").spawn();
    wait::until("the old primary is stopped", || primary.node(1).exists("app/bin/cluster_manual_start"));
    running.signal(Signal::KILL);
    running.wait().expect(-9);
    let kills = primary.killed_in(13, || both(&primary, &hosts, "switchover"));
    assert!(kills >= 2, "killed {kills} times only");
    assert_exchanged(&primary, &standby);

    let cluster = Cluster::new(STANDBY);
    cluster.make(By::GsSdr);
    let kills = cluster.killed_in(9, || cluster.playbook("failover"));
    assert!(kills >= 2, "killed {kills} times only");
    assert_promoted(&cluster);
}

/// Killed after one step more each time; the run goes on, or another one begins.
fn killed_after_every_single_step(again: bool) {
    for (side, name) in [(PRIMARY, "stop"), (STANDBY, "failover")] {
        let cluster = Cluster::new(side);
        cluster.make(By::GsSdr);
        let play = || cluster.playbook(name);
        let kills = if again { cluster.killed_in(1, play) } else { cluster.killed_and_begun_anew(play) };
        assert!(kills >= 5, "{name} was killed {kills} times only");
        if side == PRIMARY { assert_alone(&cluster, true) } else { assert_promoted(&cluster) }
    }
    let (primary, standby, hosts) = made_pair();
    let play = || both(&primary, &hosts, "switchover");
    let kills = if again { primary.killed_in(1, play) } else { primary.killed_and_begun_anew(play) };
    assert!(kills >= 10, "the switchover was killed {kills} times only");
    assert_exchanged(&primary, &standby);
}

#[test]
#[ignore = "many minutes: make sdr-matrix"]
fn killed_after_every_single_step_each_role_goes_on() {
    killed_after_every_single_step(true);
}

#[test]
#[ignore = "many minutes: make sdr-matrix"]
fn killed_after_every_single_step_another_run_ends_each_role() {
    killed_after_every_single_step(false);
}

#[test]
fn the_state_is_what_holds_now() {
    for (side, good, bad, line) in [
        (PRIMARY, "archive", "archive_fail", "connected=yes\n"),
        (STANDBY, "recovery", "recovery_fail", "streaming=yes\n"),
    ] {
        let cluster = Cluster::new(side);
        cluster.make(By::GsSdr);
        for (conf, state) in [("", bad), (line, good)] {
            cluster.conf(1, conf);
            let run = cluster.playbook("status").args(["--json", "-"]).run().expect(0);
            for host in run.json()["hosts"].as_array().unwrap() {
                assert_eq!(host["facts"]["state"], state, "one state for the cluster: {run}");
            }
            let (said, _) = cluster.gs_sdr(&["-t", "query"], "");
            assert!(said.contains(&format!("'hadr_cluster_stat': '{state}'")), "{said}");
        }
        let run = cluster.playbook("status").run().expect(0);
        let lag = if side == PRIMARY { ", RPO 3 s, RTO 7 s" } else { "" };
        assert!(run.text().contains(&format!("cluster: Normal; disaster recovery: {good}{lag}\n")), "{run}");
    }
}

/// A playbook about both clusters.
fn both(primary: &Cluster, hosts: &PathBuf, name: &str) -> Gsctl {
    primary.lab.gsctl().hosts_file(hosts).args([
        "play",
        &format!("panweidb/sdr-{name}"),
        "--var",
        "every=100ms",
        "--var",
        "time_out=60s",
    ])
}

fn role(node: &Node) -> String {
    node.text("app/sdr/role").trim().to_owned()
}

/// What was the primary cluster is the standby now, and nothing of the way there is left.
#[track_caller]
fn assert_exchanged(primary: &Cluster, standby: &Cluster) {
    primary.assert_stat("recovery");
    standby.assert_stat("archive");
    assert_eq!(primary.nodes().map(role), ["Main Standby", "Cascade Standby"]);
    assert_eq!(standby.nodes().map(role), ["Primary", "Standby"]);
    for (cluster, mode) in [(primary, "cluster_standby"), (standby, "cluster_primary")] {
        for node in cluster.nodes() {
            let conf = node.text(CONF);
            assert!(conf.contains(&format!("stream_cluster_run_mode = '{mode}'")), "{conf}");
            assert!(!conf.contains("default_transaction_read_only = on"), "the read only is lifted: {conf}");
            for file in ["app/bin/cluster_maintance", "data/dn/cluster_maintance", "tmp/.switch_readonly_stat_file"] {
                assert!(!node.exists(file), "{file}");
            }
            for side in ["primary", "standby"] {
                assert!(!node.exists(format!("{CABIN}/.streaming_switchover_{side}.step")), "{}", node.name());
            }
            assert_eq!(cluster.locks(node).len(), 0);
        }
    }
}

#[test]
fn each_side_may_be_behind_a_jump_host_of_its_own() {
    let (primary, standby, hosts) = Cluster::pair();
    // Each side is behind a jump host of its own, which knows its addresses.
    let lab = &primary.lab;
    let jump = |number: usize| format!("jump={}@{}", lab.user(), lab.node(number).address());
    let text: String = fs::read_to_string(&hosts)
        .unwrap()
        .lines()
        .map(|line| match line.split_whitespace().next() {
            Some("node1" | "node2") if line.contains("address=") => format!("{line} {}\n", jump(3)),
            Some("node3" | "node4") if line.contains("address=") => format!("{line} {}\n", jump(1)),
            _ => format!("{line}\n"),
        })
        .collect();
    fs::write(&hosts, text).unwrap();
    primary.conf(1, "connected=yes\n");
    standby.conf(1, "streaming=yes\n");
    {
        let _network = Network::between(&primary, &standby);
        both(&primary, &hosts, "establish").run().expect(0);
    }
    primary.assert_stat("archive");
    standby.assert_stat("recovery");
    assert_eq!(standby.nodes().map(role), ["Main Standby", "Cascade Standby"]);
    primary.conf(1, "connected=yes\nstreaming=yes\n");
    standby.conf(1, "connected=yes\nstreaming=yes\n");
    both(&primary, &hosts, "switchover").run().expect(0);
    assert_exchanged(&primary, &standby);
}

#[test]
fn both_clusters_in_one_run() {
    let (primary, standby, hosts) = Cluster::pair();
    primary.conf(1, "connected=yes\n");
    standby.conf(1, "streaming=yes\n");
    {
        let _network = Network::between(&primary, &standby);
        let run = both(&primary, &hosts, "establish").args(["--json", "-"]).run().expect(0);
        let report = run.json();
        assert_eq!(report["hosts"].as_array().unwrap().len(), 4, "{run}");
        assert_eq!(report["hosts"][0]["facts"]["sdr_state"], "archive", "{run}");
        assert_eq!(report["hosts"][3]["facts"]["sdr_state"], "recovery", "{run}");
    }
    primary.assert_archive();
    standby.assert_stat("recovery");
    assert_eq!(standby.nodes().map(role), ["Main Standby", "Cascade Standby"]);
    let key = primary.node(1).text("app/bin/hadr.key.cipher");
    for node in standby.nodes() {
        assert_eq!(node.text("app/bin/hadr.key.cipher"), key, "of the primary");
        let record = node.text(format!("{CABIN}/cluster_conf_record"));
        assert!(record.contains("\"dataIp\": \"10.1.0.2\"}]]}, \"localClusterConf\""), "{record}");
    }

    // One side is done, and the other has its last record still: a run ends that, and touches the first no more.
    let last = |cluster: &Cluster, file: &str, record: &str| {
        cluster.node(1).write(format!("{CABIN}/{file}"), record);
        for other in [&primary, &standby] {
            other.conf(1, "connected=yes\nstreaming=yes\n");
        }
    };
    let calls = primary.all_calls();
    last(&standby, ".streaming_start_standby.step", "8_start_cluster_step");
    both(&primary, &hosts, "establish").run().expect(0);
    primary.assert_calls(&calls);
    let calls = standby.all_calls();
    last(&primary, ".streaming_start_primary.step", "8_start_cluster_step");
    both(&primary, &hosts, "establish").run().expect(0);
    standby.assert_calls(&calls);
    primary.assert_archive();
    standby.assert_stat("recovery");
    assert!(!standby.node(1).exists(standby.step_file()));

    // Now the roles are exchanged.
    primary.conf(1, "connected=yes\nstreaming=yes\n");
    standby.conf(1, "connected=yes\nstreaming=yes\n");
    let run = both(&primary, &hosts, "switchover").args(["--json", "-"]).run().expect(0);
    assert_eq!(run.json()["hosts"][0]["facts"]["sdr_state"], "recovery", "{run}");
    assert_eq!(run.json()["hosts"][2]["facts"]["sdr_state"], "archive", "{run}");
    assert_exchanged(&primary, &standby);
    for (cluster, file, record) in [
        (&primary, ".streaming_switchover_standby.step", "4_start_cluster_done"),
        (&standby, ".streaming_switchover_primary.step", "5_start_primary_dn_done"),
    ] {
        last(cluster, file, record);
        let other = if cluster.side == PRIMARY { &standby } else { &primary };
        let calls = other.all_calls();
        both(&primary, &hosts, "switchover").run().expect(0);
        other.assert_calls(&calls);
        assert_exchanged(&primary, &standby);
    }
    let run = both(&primary, &hosts, "switchover").run().expect(7);
    assert!(run.stderr.contains("[primary] is the cluster that is the primary now"), "{run}");
}
