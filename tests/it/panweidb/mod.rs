//! Streaming disaster recovery: two clusters of two nodes, stand-ins for the database's programs and for `gs_sdr`, and every way
//! to fail.

mod cluster;
mod roles;
mod start;
mod takeover;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use gsctl::testing::{Facts, parse_facts};
use rustix::process::Signal;

use crate::gsctl::Running;
use crate::lab::wait;
use cluster::{CABIN, CONF, Cluster, PASSWORD, PRIMARY, STANDBY, TOOL, TOOLS};

#[test]
fn both_sides_come_to_archive_and_recovery() {
    let (primary, standby) = (Cluster::new(PRIMARY), Cluster::new(STANDBY));
    standby.node(1).write("app/sdr/slots", "slot_a\n");
    let under_way = primary.playbook("start-primary").args(["--json", "-"]).spawn();
    wait::until("the primary waits", || primary.stats() == ["full_backup", "full_backup"]);
    let conf = primary.node(1).text(CONF);
    assert!(conf.contains("wal_keep_segments = 16384"), "{conf}");
    // One node has the record; every datanode has what the standby fetches.
    assert_eq!(primary.node(1).text(primary.step_file()), "7_build_dn_instance_step");
    assert!(!primary.node(2).exists(primary.step_file()));
    for node in primary.nodes() {
        let secure = |name: &str| node.text(format!("data/dn/gs_secure_files/{name}"));
        assert_eq!(secure(".cluster_user_record"), primary.lab.user());
        assert_eq!(secure("version.cfg"), node.text("om/version.cfg"));
        assert_eq!(secure("hadr.key.rand"), primary.node(1).text("app/bin/hadr.key.rand"));
    }
    standby.give_keys();

    let run = standby.play().args(["--json", "-"]).run().expect(0);
    assert_eq!(run.json()["state"], "recovery", "{run}");
    standby.assert_recovery();
    for node in [1, 2] {
        assert_eq!(standby.calls(node, "gs_ctl_build").len(), 1, "{:?}", standby.all_calls());
        assert_eq!(standby.calls(node, "cm_ctl_stop"), [format!("cm_ctl_stop stop -n {node} -m i -t 1800")]);
        let build = &standby.calls(node, "gs_ctl_build")[0];
        assert_eq!(build.ends_with(&format!("-t 1209600 -U hadr -P {PASSWORD}")), node == 1, "{build}");
    }
    assert_eq!(standby.calls(1, "gs_ctl_start").len(), 1);
    assert!(standby.calls(2, "gs_ctl_start").is_empty(), "the build of a cascade standby starts it");
    assert_eq!(standby.calls(1, "gsql_drop").len(), 1, "logical slots are dropped");

    primary.conf(1, "connected=yes\n");
    standby.conf(1, "streaming=yes\n");
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
    assert_eq!((&facts["main_standby"], &facts["rpo"]), (&"connected".into(), &"3".into()), "{run}");
}

#[test]
fn each_refusal_names_what_is_wrong_and_touches_nothing() {
    let cluster = Cluster::new(STANDBY);
    let bad = cluster.node(2);
    let tool = |name: &str| format!("app/bin/{name}");
    let refused = |words: &[&str]| {
        let run = cluster.play().run().expect(7);
        for word in words.iter().chain(&["node2"]) {
            assert!(run.stderr.contains(word), "`{word}` is not said\n{run}");
        }
        assert_eq!(cluster.all_calls(), ["", ""], "{run}");
        assert!(!cluster.node(1).exists(CABIN), "{run}");
    };
    for (file, text, words) in [
        ("tmp/streaming_lock_6f", "", ["gs_sdr is at work", "tmp/streaming_lock_6f"]),
        // What gs_sdr does not understand either.
        ("tmp/streaming_cabin/.streaming_start_standby.step", "garbage_x", ["is damaged", "hint"]),
        ("tmp/streaming_cabin/.hadr_cluster_stat", "archive_fail", ["already in archive, start is forbidden.", "hint"]),
        (
            "tmp/streaming_cabin/.hadr_cluster_stat",
            "recovery_fail",
            ["already in recovery, start is forbidden.", "hint"],
        ),
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
        ("app/sdr/conf", "node=2\ncluster=Degraded\n", ["the cluster is not Normal: Degraded", "cm_ctl query"]),
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

    // Who names another main standby than the primary of the first look must hear of it.
    let text = fs::read_to_string(&cluster.hosts).unwrap();
    fs::write(&cluster.hosts, format!("{text}\n[main]\nnode2\n")).unwrap();
    let run = cluster.play().run().expect(5);
    assert!(run.stderr.contains("in the group [main], but its datanode was Standby"), "{run}");
    fs::write(&cluster.hosts, text).unwrap();
    cluster.give_keys();
    cluster.play().run().expect(0);
    cluster.assert_recovery();
}

#[test]
fn each_failure_of_the_standby_has_its_state_and_the_next_run_goes_on() {
    let cluster = Cluster::new(STANDBY);
    cluster.give_keys();
    let faults = "fail=gs_guc_set:1\nfail=cm_ctl_ddb:3\nfail=cm_ctl_stop:1\nfail=gs_ctl_build:3\nfail=gs_ctl_start:1\n";
    cluster.conf(1, faults);
    for (state, step, words) in [
        ("normal", "2_check_cluster_step", ["injected failure of gs_guc_set", "hint: mend that"]),
        ("normal", "4_set_wal_segments_step", ["injected failure of cm_ctl_ddb", "hint: mend that"]),
        ("normal", "4_set_wal_segments_step", ["injected failure of cm_ctl_stop", "hint: mend that"]),
        ("restore_fail", "6_set_guc_step", ["gs_ctl build has failed three times", "injected failure of gs_ctl_build"]),
        ("restore_fail", "6_set_guc_step", ["injected failure of gs_ctl_start", "pg_log"]),
    ] {
        let run = cluster.play().args(["--json", "report.json"]).run().expect(5);
        for word in words {
            assert!(run.stderr.contains(word), "`{word}` is not said\n{run}");
        }
        cluster.assert_stat(state);
        assert_eq!(cluster.node(1).text(cluster.step_file()), step, "{run}");
    }
    cluster.conf(1, "cluster=Degraded\n");
    let run = cluster.play().args(["--var", "degraded_for=300ms", "--json", "-"]).run().expect(5);
    assert!(run.stderr.contains("has started, but is Degraded, not Normal"), "{run}");
    assert_eq!(run.json()["state"], "recovery_fail", "{run}");
    cluster.assert_stat("recovery_fail");
    let run = cluster.gsctl().args(["play", "panweidb/sdr-status", "--json", "-"]).run().expect(0);
    assert_eq!(run.json()["hosts"][1]["facts"]["state"], "recovery_fail", "{run}");

    cluster.conf(1, "streaming=yes\n");
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
    let run = cluster.playbook("start-primary").args(["--var", "time_out=3s", "--json", "-"]).run().expect(5);
    assert!(run.stderr.contains("main_standby is none after 3s, wanted connected"), "{run}");
    assert!(run.stderr.contains("is sdr-start-standby under way"), "{run}");
    assert_eq!(run.json()["state"], "backup_fail");
    cluster.assert_stat("backup_fail");
    cluster.conf(1, "connected=yes\n");
    // The same run goes on, or a new one: each ends well.
    let play = cluster.playbook("start-primary").args(["--var", "time_out=3s", "--resume", "--json", "-"]);
    let run = play.run().expect(0);
    assert_eq!(run.json()["state"], "archive");
    cluster.assert_archive();
}

#[test]
fn a_standby_killed_after_each_step_goes_on() {
    let cluster = Cluster::new(STANDBY);
    cluster.give_keys();
    let kills = cluster.killed_after_each(3);
    assert!(kills >= 6, "killed {kills} times only");
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
    let kills = cluster.killed_after_each(3);
    assert!(kills >= 5, "killed {kills} times only");
    cluster.assert_archive();
}

#[test]
#[ignore = "some minutes: make sdr-matrix"]
fn killed_after_every_single_step_each_goes_on() {
    for side in [PRIMARY, STANDBY] {
        let cluster = Cluster::new(side);
        cluster.give_keys();
        cluster.conf(1, "connected=yes\n");
        let kills = cluster.killed_after_each(1);
        assert!(kills >= 15, "killed {kills} times only");
        cluster.assert_started();
    }
}

/// Fills the disk under the state directory after each step in turn, frees it, and goes on each time.
#[test]
fn a_standby_whose_journal_finds_the_disk_full_goes_on() {
    let cluster = Cluster::new(STANDBY);
    cluster.give_keys();
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
            until [ "$(good)" -gt $((done + 3)) ] || ! kill -0 $gsctl 2>/dev/null; do sleep 0.02; done
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
    assert!(times.is_some_and(|times| times >= 4) && said.ends_with("ended 0\n"), "{said}");
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
    let cluster = Cluster::new(STANDBY);
    for (signal, status, again) in
        [(Signal::KILL, -9, &["--resume"][..]), (Signal::KILL, -9, &[]), (Signal::INT, 130, &["--resume"])]
    {
        cluster.reset();
        cluster.give_keys();
        let node = cluster.node(1);
        cluster.conf(1, "hold=gs_ctl_build\n");
        node.write("app/sdr/hold", "");
        let running = cluster.play().spawn();
        wait::until("the build is under way", || !cluster.calls(1, "gs_ctl_build").is_empty());
        wait::until("it waits", || is_waiting(&running));
        running.signal(signal);
        running.wait().expect(status);
        cluster.assert_stat("restore");
        // gs_sdr would begin another build beside it, also where gsctl has ended well and its lock is gone.
        let of_build = if signal == Signal::INT { 1 } else { 2 };
        assert_eq!(cluster.locks(node).len(), of_build);
        let (said, status) = cluster.gs_sdr(&["-t", "start", "-m", "disaster_standby"], "");
        assert!(
            status == Some(1) && said.contains("please execute streaming options after other process exited"),
            "{said}"
        );
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
    cluster.give_keys();
    let node = cluster.node(1);
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

/// A node without SSH.
fn a_node() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("sdr").tempdir().unwrap();
    for name in ["app/bin", "app/sdr/peer/gs_secure_files", "tmp", "data/dn", "cm", "om"] {
        fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    for tool in TOOLS {
        let path = dir.path().join("app/bin").join(tool);
        fs::write(&path, TOOL).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    dir
}

/// A database says `S` or `N` to who asks whether it speaks TLS; what says something else is none.
#[test]
fn an_old_primary_that_takes_connections_is_alive() {
    let dir = a_node();
    let base = dir.path();
    fs::write(base.join("app/sdr/conf"), "node=1\n").unwrap();
    fs::write(base.join("app/sdr/role"), "Main Standby\n").unwrap();
    fs::create_dir_all(base.join("tmp/streaming_cabin")).unwrap();
    for (answer, alive) in [(Some("N"), true), (Some("S"), true), (Some("HTTP/1.1 400\r\n"), false), (None, false)] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let record = format!(
            "{{\"remoteClusterConf\": {{\"port\": {port}, \"shards\": [[{{\"ip\": \"x\", \"dataIp\": \"127.0.0.1\"}}]]}}, \"localClusterConf\": {{}}}}"
        );
        fs::write(base.join("tmp/streaming_cabin/cluster_conf_record"), record).unwrap();
        let listening = answer.map(|answer| {
            std::thread::spawn(move || {
                let (mut peer, _) = listener.accept().unwrap();
                let mut asked = [0; 8];
                peer.read_exact(&mut asked).unwrap();
                peer.write_all(answer.as_bytes()).unwrap();
                asked
            })
        });
        let (facts, status) = part(SHELLS[0], base, "failover", "panweidb/sdr-node.sh", "peers=");
        assert_eq!(status, 0, "{facts:?}");
        let said = format!("127.0.0.1 answers on port {port}");
        assert_eq!(facts["old_primary"], if alive { said.as_str() } else { "no" }, "{answer:?}");
        if let Some(listening) = listening {
            assert_eq!(listening.join().unwrap(), [0, 0, 0, 8, 4, 210, 22, 47], "as every client begins");
        }
    }
}

#[test]
fn a_script_that_a_killed_run_has_begun_is_seen() {
    let dir = a_node();
    let base = dir.path();
    fs::write(base.join("app/sdr/conf"), "node=1\n").unwrap();
    fs::create_dir_all(base.join("tmp/streaming_cabin/.gsctl")).unwrap();
    let lock = base.join("tmp/streaming_cabin/.gsctl/lock");
    let at_work = || part(SHELLS[0], base, "any", "panweidb/sdr-node.sh", "").0["at_work"].clone();
    assert_eq!(at_work(), "");
    let mut script = Command::new("flock");
    script.arg(&lock).args(["sh", "-c", "echo held; read over"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut script = script.spawn().unwrap();
    script.stdout.take().unwrap().read_exact(&mut [0; 5]).unwrap();
    assert_eq!(at_work(), "yes");
    drop(script.stdin.take());
    script.wait().unwrap();
    assert_eq!(at_work(), "");
}

/// Runs parts of a script in a shell, without SSH: its facts and its status.
fn part(shell: &[&str], base: &Path, mode: &str, script: &str, variables: &str) -> (Facts, i32) {
    let base = base.display();
    let script = gsctl::testing::builtin_script(script).expect("it is built in");
    let text = format!(
        "gausshome={base}/app env_file= gphome={base}/om pghost={base}/tmp data_dir={base}/data/dn dn_port=15400 mode={mode} \
         host=h address=127.0.0.1 user=omm groups= node=1 data_ip= peers=10.9.0.1,fe80::2 peer_port= hadr_user=hadr \
         hadr_password_file={base}/password hba_method=sha256 wal_keep=16384 light=0 {variables}\n{script}"
    );
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).args(["-c", &text]).env("HOME", "/nonexistent").stdin(Stdio::null());
    let output = command.output().unwrap();
    (parse_facts(&output.stdout), output.status.code().unwrap_or(-1))
}

#[test]
#[expect(clippy::too_many_lines, reason = "one block for each part")]
fn every_shell_does_every_part() {
    for shell in SHELLS {
        let dir = a_node();
        let base = dir.path();
        let write = |name: &str, text: &str| fs::write(base.join(name), text).unwrap();
        let read = |name: &str| fs::read_to_string(base.join(name)).unwrap();
        write("app/sdr/conf", "node=1\n");
        write("app/sdr/role", "Primary\n");
        write("password", PASSWORD);
        for name in ["om/version.cfg", "app/sdr/peer/gs_secure_files/version.cfg"] {
            write(name, "openGauss-6.0.0\n92.301\nabcdef01\n");
        }
        let owner = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        write("app/sdr/peer/gs_secure_files/.cluster_user_record", owner.trim());
        for name in ["hadr.key.cipher", "hadr.key.rand"] {
            // Every byte gets through.
            let bytes: Vec<u8> = (0..=255).collect();
            fs::write(base.join("app/sdr/peer/gs_secure_files").join(name), &bytes).unwrap();
            fs::write(base.join("app/bin").join(name), bytes).unwrap();
        }
        write("data/dn/pg_hba.conf", "host  all\tall 10.9.0.1/32   sha256\n");
        write(
            CONF,
            "enable_dcf = off\nreplconninfo1 = 'localhost=a localport=1 localheartbeatport=2 localservice=3 remotehost=own remoteport=4 remoteheartbeatport=5 remoteservice=6'\n",
        );
        let fact = |facts: &Facts, name: &str| facts.get(name).cloned().unwrap_or_default();
        // What the nodes tell each other becomes variables, as gsctl does it.
        let mut told = String::new();
        let mut run = |mode: &str, script: &str, more: &str| {
            let (facts, status) = part(shell, base, mode, script, &format!("{told} {more}"));
            for (name, value) in facts.iter().filter(|(name, _)| name.starts_with("share_")) {
                told += &format!(" {name}='{value}'");
            }
            (facts, status)
        };
        let (facts, status) = run("disaster_standby", "panweidb/sdr-find.sh", "");
        assert_eq!((status, fact(&facts, "share_standby_first").as_str()), (0, "h"), "{shell:?} {facts:?}");
        let (facts, status) = run("disaster_standby", "panweidb/sdr-node.sh", "");
        assert_eq!(status, 0, "{shell:?} {facts:?}");
        for (name, value) in [("step", "0"), ("lead", "yes"), ("local_role", "Primary"), ("cluster_state", "Normal")] {
            assert_eq!(fact(&facts, name), value, "{shell:?} {name}");
        }
        for more in [
            "sdr_part=lock",
            "sdr_part='alone cabin roles'",
            "sdr_part='who parameters'",
            "sdr_part=change",
            "sdr_part='record common' sdr_step=2_check_cluster_step",
            "sdr_part=fetch",
            "sdr_part='fit place'",
            "sdr_part='record run_mode dcc sync' sdr_step=4_set_wal_segments_step",
            "sdr_part=stop",
            "sdr_part='record open' sdr_step=5_set_wal_segments_step",
            "sdr_part='record build' sdr_step=6_set_guc_step sdr_as=hadr_main_standby",
        ] {
            let (facts, status) = run("disaster_standby", "panweidb/sdr-start.sh", more);
            assert_eq!(status, 0, "{shell:?} {more} {facts:?}");
            let (again, status) = run("disaster_standby", "panweidb/sdr-start.sh", more);
            let changed =
                if more.contains("open") || more.contains("place") { String::new() } else { fact(&again, "changed") };
            assert_eq!((status, changed.as_str()), (0, ""), "{shell:?}: {more} is done once {again:?}");
        }
        let built = |run: &mut dyn FnMut(&str, &str, &str) -> (Facts, i32)| {
            fact(&run("disaster_standby", "panweidb/sdr-start.sh", "sdr_part=built").0, "build") == "completed"
        };
        wait::until("it is built", || built(&mut run));
        for more in ["sdr_part=finish", "sdr_part=record sdr_step=7_build_dn_instance_step"] {
            let (facts, status) = run("disaster_standby", "panweidb/sdr-start.sh", more);
            assert_eq!(status, 0, "{shell:?} {more} {facts:?}");
        }
        assert_eq!(read("app/sdr/role"), "Main Standby\n");
        // A rule that is there already, however it is spaced, is not added; IPv6 has longer masks.
        let hba = read("data/dn/pg_hba.conf");
        assert_eq!(hba.matches("10.9.0.1/32").count(), 3, "{shell:?} {hba}");
        assert!(
            hba.contains("fe80::2/128    sha256\n") && hba.contains("replication    all    fe80:::/64"),
            "{shell:?} {hba}"
        );
        let conf = read(CONF);
        assert!(conf.contains("remoteservice=6 iscascade=true iscrossregion=false'"), "{shell:?} {conf}");
        assert!(
            conf.contains("replconninfo3 =")
                && conf.contains("localport=1 localheartbeatport=2 localservice=3 remotehost=fe80::2 "),
            "{conf}"
        );
        assert!(read("app/sdr/calls").contains("cm_ctl_stop stop -n 1 -m i"), "{shell:?}");
        assert_eq!(read("tmp/streaming_cabin/.streaming_start_standby.step"), "7_build_dn_instance_step");
        // The keys through their telling form.
        let keys: Vec<u8> = fs::read(base.join("app/bin/hadr.key.rand")).unwrap();
        assert_eq!(keys, (0..=255).collect::<Vec<u8>>(), "{shell:?}");
        for more in ["sdr_part='record clean' sdr_step=8_start_cluster_step", "sdr_part=end"] {
            assert_eq!(run("disaster_standby", "panweidb/sdr-start.sh", more).1, 0, "{shell:?} {more}");
        }
        let (facts, status) = run("disaster_standby", "panweidb/sdr-start.sh", "sdr_part=nothing");
        assert_eq!((status, fact(&facts, "because").as_str()), (1, "there is no part nothing"), "{shell:?}");
        for daemon in read("app/sdr/daemons").lines() {
            let _ = rustix::process::kill_process(
                rustix::process::Pid::from_raw(daemon.parse().unwrap()).unwrap(),
                Signal::KILL,
            );
        }
    }
}
