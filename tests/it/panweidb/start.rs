//! What a start leaves on the nodes, what it refuses in time, and that neither `gs_sdr` nor gsctl works while the other does.

use std::fs;

use rustix::process::Signal;

use super::cluster::{CABIN, Cluster, PASSWORD, PRIMARY, STANDBY, mode};
use crate::lab::wait;

#[test]
fn the_files_are_those_of_gs_sdr() {
    let cluster = Cluster::new(PRIMARY);
    // What is off on a primary with two datanodes is set, and written down first.
    cluster.conf(1, "show_synchronous_commit=off\nshow_most_available_sync=off\n");
    let running = cluster.playbook("start-primary").spawn();
    wait::until("it waits", || cluster.stats() == ["full_backup", "full_backup"]);
    wait::until("it is recorded", || cluster.step() == 7);
    let node = cluster.node(1);
    let file = |name: &str| format!("{CABIN}/{name}");
    let lock = cluster.locks(node);
    assert_eq!(lock.len(), 1, "{lock:?}");
    let trace = lock[0].file_name().unwrap().to_string_lossy().replace("streaming_lock_", "");
    assert!(trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit()), "{trace}");
    assert_eq!((mode(&lock[0]), fs::read(&lock[0]).unwrap().len()), (0o644, 0));
    assert_eq!(cluster.locks(cluster.node(2)).len(), 0, "one node has it");
    let shard = |addresses: [&str; 2], own: [String; 2]| {
        let entries: Vec<_> = addresses
            .iter()
            .zip(&own)
            .map(|(data, ip)| format!("{{\"ip\": \"{ip}\", \"dataIp\": \"{data}\"}}"))
            .collect();
        format!("{{\"port\": 15400, \"shards\": [[{}]]}}", entries.join(", "))
    };
    let own = [1, 2].map(|number| cluster.node(number).address().ip().to_string());
    let peers = ["10.2.0.1", "10.2.0.2"];
    let record = format!(
        "{{\"remoteClusterConf\": {}, \"localClusterConf\": {}}}",
        shard(peers, peers.map(str::to_owned)),
        shard(["10.1.0.1", "10.1.0.2"], own)
    );
    let backup = format!("synchronous_commit,off,{trace}\nmost_available_sync,off,{trace}\n");
    for (name, text, bits, everywhere) in [
        (".streaming_start_primary.step", "7_build_dn_instance_step", 0o600, false),
        (".hadr_cluster_stat", "full_backup", 0o600, true),
        (".wal_keep_segments_record", "6001:16\n", 0o600, false),
        (".streaming_guc_backup", &backup, 0o600, true),
        ("cluster_conf_record", &record, 0o600, true),
    ] {
        for node in cluster.nodes() {
            if everywhere || node.name() == "node1" {
                assert_eq!(node.text(file(name)), text, "{} {name}", node.name());
                assert_eq!(mode(node.outside(file(name))), bits, "{} {name}", node.name());
            } else {
                assert!(!node.exists(file(name)), "{} {name}", node.name());
            }
        }
    }
    assert_eq!(mode(node.outside(CABIN)), 0o755);
    assert_eq!(mode(node.outside("data/dn/gs_secure_files")), 0o700);
    let state = node.text(file("cluster_state_tmp"));
    assert!(
        state.contains("cluster_state             : Normal\n")
            && state.contains("    instance_state            : Primary\n")
    );
    assert_eq!(mode(node.outside(file("cluster_state_tmp"))), 0o644);

    // Neither works while the other does.
    let (said, status) = cluster.gs_sdr(&["-t", "start", "-m", "primary"], "");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("please execute streaming options after other process exited"), "{said}");
    assert!(said.contains(&format!("streaming_lock_{trace}")), "{said}");
    running.signal(Signal::INT);
    running.wait().expect(130);
    assert_eq!(cluster.locks(node).len(), 0, "it is gone with the run");
    for node in cluster.nodes() {
        let conf = node.text("data/dn/postgresql.conf");
        assert!(conf.contains("synchronous_commit = on\n") && conf.contains("most_available_sync = on\n"), "{conf}");
    }
}

#[test]
fn a_lock_of_gs_sdr_is_refused_and_one_of_a_killed_gsctl_is_not() {
    let cluster = Cluster::new(PRIMARY);
    cluster.conf(1, "connected=yes\n");
    cluster.gsctl_dies_at(4);
    assert_eq!(cluster.locks(cluster.node(1)).len(), 1);
    cluster.node(2).write("tmp/streaming_lock_0123456789abcdef0123456789abcdef", "");
    for more in [&["--resume"][..], &[]] {
        let run = cluster.play().args(more).run();
        assert!(run.status == 7 || run.status == 5, "{run}");
        for word in ["gs_sdr is at work", "node2", "tmp/streaming_lock_0123456789abcdef0123456789abcdef", "hint"] {
            assert!(run.stderr.contains(word), "`{word}` is not said\n{run}");
        }
        assert!(cluster.step() < 7, "{run}");
    }
    cluster.node(2).remove("tmp/streaming_lock_0123456789abcdef0123456789abcdef");
    cluster.play().run().expect(0);
    cluster.assert_archive();
}

#[test]
fn what_can_fail_fails_while_the_standby_is_up() {
    let cluster = Cluster::new(STANDBY);
    let fault = |lines: &str, file: Option<(&str, &str)>, words: &[&str]| {
        cluster.reset();
        cluster.give_keys();
        for number in [1, 2] {
            cluster.conf(number, lines);
            if let Some((name, text)) = file {
                cluster.node(number).write(name, text);
            }
        }
        let play = cluster.playbook("start-standby").args(["--var", "time_out=3s", "--json", "report.json"]);
        let run = play.run().expect(5);
        for word in words {
            assert!(run.stderr.contains(word), "`{word}` is not said\n{run}");
        }
        for number in [1, 2] {
            for never in ["cm_ctl_stop", "gs_ctl_build"] {
                assert!(cluster.calls(number, never).is_empty(), "{run}\n{:?}", cluster.all_calls());
            }
            assert!(!cluster.node(number).exists("app/bin/cluster_manual_start"), "{run}");
        }
        cluster.assert_stat("normal");
        assert_eq!(cluster.step(), 2, "{run}");
    };
    let secure = "app/sdr/peer/gs_secure_files";
    fault("", Some(("password", "wrong\n")), &["refuses the disaster user", "nothing was stopped here"]);
    fault(
        "",
        Some((&format!("{secure}/version.cfg"), "openGauss-5.0.0\n92.200\n12345678\n")),
        &["different versions", "nothing was stopped here"],
    );
    fault("", Some((&format!("{secure}/.cluster_user_record"), "another")), &["different OS users"]);
    fault("fail=ping:99\n", None, &["run the primary side first"]);
    fault("peer_size=999999999999999\n", None, &["no room for the other cluster's data", "make room"]);
}

#[test]
fn a_primary_checks_its_disaster_user() {
    let cluster = Cluster::new(PRIMARY);
    for (lines, password, word) in [
        ("", "wrong\n", "cannot log in"),
        ("norepl=yes\n", "", "has no right to replicate"),
        ("show_enable_dcf=on\n", "", "does not go with DCF"),
    ] {
        cluster.reset();
        cluster.conf(1, lines);
        if !password.is_empty() {
            cluster.node(1).write("password", password);
        }
        if lines.contains("dcf") {
            cluster.node(1).write("data/dn/postgresql.conf", "wal_keep_segments = 16\n");
        }
        let run = cluster.play().run().expect(5);
        assert!(run.stderr.contains(word) && run.stderr.contains("hint"), "`{word}` is not said\n{run}");
        assert_eq!(cluster.step(), 0, "{run}");
        assert!(!run.text().contains("wrong\n"), "{run}");
    }
}

#[test]
fn a_build_that_gs_sdr_began_is_waited_for() {
    let cluster = Cluster::new(STANDBY);
    cluster.give_keys();
    cluster.gs_sdr_dies_in("6");
    // What gs_sdr has left running on the node.
    let node = cluster.node(1);
    cluster.conf(1, "hold=gs_ctl_build\n");
    node.write("app/sdr/hold", "");
    let base = node.base().display().to_string();
    let begin = format!(
        "for f in pg_hba.conf pg_ident.conf; do cp {base}/data/dn/$f {base}/{CABIN}/6001_$f; done; \
         nohup {base}/app/bin/gs_ctl build -D {base}/data/dn -M hadr_main_standby -r 7200 -q -Q force_copy_from_local -U hadr \
         -P {PASSWORD} -t 1209600 >/dev/null 2>&1 </dev/null &"
    );
    node.sh_as_user(&begin);
    wait::until("the build is under way", || !cluster.calls(1, "gs_ctl_build").is_empty());
    let running = cluster.play().spawn();
    wait::until("it waits", || running.stderr().contains("wait for the build of the main standby"));
    let status = cluster.playbook("status").run();
    let _ = status;
    node.remove("app/sdr/hold");
    running.wait().expect(0);
    cluster.assert_recovery();
    assert_eq!(cluster.calls(1, "gs_ctl_build").len(), 1, "never two at once: {:?}", cluster.all_calls());
}

#[test]
fn the_password_and_the_keys_stand_in_nothing_that_gsctl_writes() {
    let cluster = Cluster::new(PRIMARY);
    cluster.conf(1, "connected=yes\n");
    let play =
        cluster.play().args(["--stream", "-v", "--json", "report.json", "--jsonl", "events", "--output-dir", "output"]);
    let run = play.run().expect(0);
    cluster.assert_archive();
    let key = cluster.node(1).text("app/bin/hadr.key.cipher");
    let octal: Vec<String> = key.bytes().map(|byte| format!("{byte:03o}")).collect();
    let mut texts = vec![run.text()];
    let mut left = vec![cluster.lab.client_home()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                texts.push(String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
            }
        }
    }
    assert!(texts.len() > 3, "the reports are found");
    for text in texts {
        for secret in [PASSWORD, &key, &octal.join(" ")] {
            assert!(!text.contains(secret), "`{secret}` stands in\n{text}");
        }
    }
}
