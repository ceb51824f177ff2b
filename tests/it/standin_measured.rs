//! The stand-in for openGauss against what was measured on the real Cluster Manager, row by row; `tests/it/standin.rs` has the
//! rest of the page.
//!
//! Rows about `cm_ctl start`, `stop`, `pause` and the bundled pssh are not played: gsctl calls none of them. Times are scaled
//! down (`election`, `vote_wait`, `mes_wait`, `stop_delay`): the real ones stand in `tests/standin/conf.rs`.
//!
//! | measured | here |
//! |---|---|
//! | 1.1 states of `cm_ctl check`, dash | `standin::a_check_tells_waiting_from_stopping`, `standin::dash_makes_every_marker_exist` |
//! | 1.1 zombie agent, parallel checks, `result` | `checks_disturb_each_other_and_a_zombie_is_not_running` |
//! | 1.2 marker, configuration, kill, restart | `standin::a_killed_agent_...`, `standin::an_unfinished_stop_...`, `standin::a_changing_...` |
//! | 1.6 `py_pstree.py` missing | `a_stop_that_dies_leaves_cm_server_running` |
//! | 1.7 processes, `query -Cvipd` | `standin::processes_look_like_the_real_ones`, `standin::a_query_prints_the_real_tables` |
//! | 1.7 `cm_ctl view` | `the_view_is_the_real_one` |
//! | 1.7 query statuses while it comes up | `a_start_is_first_unreachable_then_unavailable_then_normal` |
//! | second reading 1 | `without_its_former_primary_the_election_takes_longer` |
//! | second reading 2 | `standin::a_paused_cluster_does_not_come_up` |
//! | second reading 4 | `with_dash_no_datanode_comes_up` |
//! | second reading 5 | `an_agent_without_its_address_dies_again_and_again`, `an_address_that_goes_away_takes_the_instances_with_it` |
//! | second reading 6 | `a_new_marker_ends_a_fast_stop_that_hangs` |
//! | second reading 7 | `an_emptied_directory_is_a_damaged_disk` |
//! | second reading 8 | `what_instances_print_goes_to_system_call_log` |
//! | second reading 9 | `each_node_answers_from_its_own_view` |

#![allow(clippy::unwrap_used, reason = "a test's helper fails by panicking, as the test does")]

use std::fs;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::standin::{Cluster, MARKER, kill, until};

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn checks_disturb_each_other_and_a_zombie_is_not_running() {
    let cluster = Cluster::watched("sh=/bin/bash\n");
    assert!(!cluster.bin(1, "result").exists());
    cluster.unmark(1, MARKER);
    until("an agent", || !cluster.running(1, "cm_agent").is_empty());
    // 34 of 400 were wrong on the real one: here one will do.
    until("a check that says stopping", || {
        thread::scope(|scope| {
            let checks: Vec<_> = (0..4).map(|_| scope.spawn(|| (0..10).any(|_| cluster.check(1) == 3))).collect();
            checks.into_iter().any(|check| check.join().unwrap())
        })
    });
    assert!(cluster.bin(1, "result").exists());

    let (monitor, agent) = (cluster.running(1, "om_monitor")[0], cluster.running(1, "cm_agent")[0]);
    signal(monitor, Signal::STOP);
    kill(agent);
    let status = || fs::read_to_string(format!("/proc/{agent}/status")).unwrap();
    until("a zombie", || status().contains("State:\tZ"));
    assert_eq!(cluster.check(1), 4);
    assert!(status().starts_with("Name:\tcm_agent"), "pgrep would still find it");
    signal(monitor, Signal::CONT);
    until("another agent", || !cluster.running(1, "cm_agent").is_empty());
}

#[test]
fn the_view_is_the_real_one() {
    let cluster = Cluster::new("");
    let (block, dir) = (&cluster.block, |node: u32| cluster.node(node).display().to_string());
    let expected = format!(
        "NodeHeader:\nversion:301\ntime:1795250794\nnodeCount:3\nnode:1\nazName:AZ1\nazPriority:1\nnode :1\n\
         nodeName:cmnode1\nssh channel :\nsshChannel 1:{block}.1\ncmDataPath :{one}/cm\ncmServer 1:{block}.1\n\
         port :15300\ncmServerLocalHAIP 1:{block}.1\ncmServerLocalHAPort :15301\ncmServerPeerHAIP 1:{block}.1\n\
         cmServerPeerHAPort :15401\ncmAgentIP :{block}.1\ndatanodeCount :1\ndatanode 1:\n\
         datanodeLocalDataPath :{one}/dn1\ndatanodeXlogPath :\ndatanodeListenIP 1:{block}.1\ndatanodePort :15400\n\
         datanodeLocalHAIP 1:{block}.1\ndatanodeLocalHAPort :15401\ndn_replication_num: 3\n\
         datanodePeer0DataPath :{two}/dn1\ndatanodePeer0HAIP 1:{block}.2\ndatanodePeer0HAPort :15411\n\
         datanodePeer1DataPath :{three}/dn1\ndatanodePeer1HAIP 1:{block}.3\ndatanodePeer1HAPort :15421\n\
         azName:AZ1\nazPriority:1\nnode :2\nnodeName:cmnode2\nssh channel :\nsshChannel 1:{block}.2\n",
        one = dir(1),
        two = dir(2),
        three = dir(3),
    );
    let text = cluster.stdout(1, &["view"]);
    assert!(text.starts_with(&expected), "{text}");
}

#[test]
fn a_start_is_first_unreachable_then_unavailable_then_normal() {
    let cluster = Cluster::watched("election=1\n");
    let seen = || (cluster.ctl(1, &["query", "-Cv"]).status.code(), cluster.state(1));
    assert_eq!(seen(), (Some(255), "none".to_owned()));
    cluster.start();
    until("Unavailable, which is a query that succeeded", || seen() == (Some(0), "Unavailable".to_owned()));
    until("Normal", || seen() == (Some(0), "Normal".to_owned()));
}

#[test]
fn without_its_former_primary_the_election_takes_longer() {
    let cluster = Cluster::normal("vote_wait=600\n");
    let text = cluster.stdout(1, &["query", "-Cv"]);
    let primary = (1..=3).find(|node| text.contains(&format!("cmnode{node} {node}        Primary"))).unwrap();
    (1..=3).for_each(|node| cluster.mark(node, MARKER, ""));
    (1..=3).for_each(|node| cluster.until_gone(node));
    let others: Vec<u32> = (1..=3).filter(|node| *node != primary).collect();
    for node in &others {
        cluster.unmark(*node, MARKER);
    }
    // Both are up and reach each other, and nobody leads.
    let asked = others[0];
    until("two standbys", || cluster.stdout(asked, &["query", "-Cv"]).matches("        Standby\n").count() == 2);
    let output = cluster.ctl(asked, &["query", "-Cv"]);
    assert_eq!(output.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&output.stdout).contains("can't connect to cm_server."));
    for node in &others {
        cluster.configure(*node, "vote_wait=0");
    }
    until("Degraded", || cluster.state(asked) == "Degraded");
}

#[test]
fn with_dash_no_datanode_comes_up() {
    let cluster = Cluster::watched("dash=1\n");
    cluster.start();
    let text = || cluster.stdout(1, &["query", "-Cv"]);
    until("a state", || text().matches("Down    Unknown").count() == 3);
    assert!(text().contains("cluster_state   : Unavailable"), "{}", text());
    assert!((1..=3).all(|node| !cluster.running(node, "cm_server").is_empty()));
}

#[test]
fn an_agent_without_its_address_dies_again_and_again() {
    let cluster = Cluster::watched("no_address=1\nmes_wait=0.2\n");
    cluster.unmark(1, MARKER);
    until("three deaths", || cluster.log(1).matches("cm_agent exited, status=1\n").count() >= 3);
    let fatal: Vec<String> =
        cluster.log_of(1, "cm_agent").lines().filter(|line| line.contains("FATAL")).map(str::to_owned).collect();
    assert!(!fatal.is_empty() && fatal.iter().all(|line| line.ends_with("init cma heartbeat conn by mes failed")));
}

#[test]
fn an_address_that_goes_away_takes_the_instances_with_it() {
    let cluster = Cluster::normal("");
    cluster.configure(3, "nic_down=1");
    until("no instances", || cluster.running(3, "cm_server").is_empty() && cluster.running(3, "gaussdb").len() == 1);
    assert!(!cluster.running(3, "cm_agent").is_empty());
    assert!(cluster.log_of(3, "cm_agent").contains("g_cmsNicDown is 1, cannot start cms."));
    cluster.until_state("Degraded");
    cluster.configure(3, "nic_down=0");
    cluster.until_state("Normal");
}

#[test]
fn a_new_marker_ends_a_fast_stop_that_hangs() {
    let cluster = Cluster::normal("hang=1\n");
    cluster.mark(1, MARKER, "0\n1\n2\n");
    // cm_server goes before, or beside, the datanode.
    until("a stop", || cluster.running(1, "cm_server").is_empty());
    assert!(!cluster.running(1, "gaussdb").is_empty());
    cluster.mark(1, MARKER, "0\n2\n2\n");
    cluster.until_gone(1);
}

#[test]
fn a_stop_that_dies_leaves_cm_server_running() {
    let cluster = Cluster::normal("no_pstree=1\n");
    cluster.mark(1, MARKER, "0\n1\n2\n");
    until("the last try", || cluster.log(1).contains("stop operation: start_times=3."));
    until("giving up", || cluster.log(1).trim_end().ends_with("start_count=3."));
    assert!(cluster.running(1, "cm_agent").is_empty() && !cluster.running(1, "cm_server").is_empty());
    assert!(cluster.log_of(1, "cm_agent").contains("FATAL: /home/omm/script/py_pstree.py may be not exist."));
}

#[test]
fn an_emptied_directory_is_a_damaged_disk() {
    let cluster = Cluster::normal("");
    fs::remove_file(cluster.node(2).join("dn1/base/1")).unwrap();
    until("the words", || cluster.stdout(1, &["query", "-Cv"]).contains("Down    Disk damaged"));
    // The fenced one is no datanode.
    assert_eq!(cluster.running(2, "gaussdb").len(), 1);
    assert!(
        cluster.log_of(2, "cm_agent").contains("datanodeId=6002, dn_manual_stop=0, g_dnDiskDamage=1, g_nicDown=0, ")
    );
    cluster.configure(3, "port_conflict=1");
    cluster.running(3, "gaussdb").into_iter().for_each(kill);
    until("the words", || cluster.stdout(1, &["query", "-Cv"]).contains("Down    Port conflicting"));
    cluster.configure(3, "port_conflict=0");
    fs::remove_dir(cluster.node(2).join("dn1/pg_tblspc")).unwrap();
    cluster.lay_out_database(2);
    cluster.until_state("Normal");
}

#[test]
fn what_instances_print_goes_to_system_call_log() {
    let cluster = Cluster::normal("");
    let node = cluster.node(1).display().to_string();
    assert!(cluster.node(1).join("log/cm/cm_agent/system_call-current.log").exists());
    let log = cluster.log_of(1, "cm_agent");
    let start = format!(
        "DN START system(command:{node}/app/bin/gaussdb -D {node}/dn1 -M pending >> \"{node}/log/cm/cm_agent/system_call-current.log\" 2>&1 &), try 1"
    );
    assert!(log.contains(&start), "{log}");
}

#[test]
fn each_node_answers_from_its_own_view() {
    let cluster = Cluster::normal("");
    cluster.configure(1, "blind=1");
    let output = cluster.ctl(1, &["query", "-Cv"]);
    assert_eq!(output.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&output.stdout).contains("can't connect to cm_server."));
    assert_eq!(cluster.state(2), "Normal");
    cluster.configure(1, "isolated=1");
    until("Degraded", || cluster.state(2) == "Degraded");
    assert_eq!(cluster.state(1), "none");
}
