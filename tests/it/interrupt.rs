//! Ctrl-C and kill at every stage of a start: what was begun is ended, what was created is removed, and it is said.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::failures::{through, until_gone, until_running};
use crate::gsctl::{Run, Running};
use crate::lab::opengauss::{self, MARKER};
use crate::lab::proxy::Proxy;
use crate::lab::{Lab, faults, wait};

const STARTING: &str = "app/bin/cluster_manual_starting";
const PAUSE: &str = "app/bin/cluster_manual_pause";

/// Asserts that gsctl left nothing running on any node: no session, and nothing that is not the cluster's own.
#[track_caller]
fn no_orphans(lab: &Lab, run: &Run) {
    for node in lab.nodes() {
        wait::until("the sessions are gone", || node.sessions().is_empty());
        let home = node.gausshome();
        let strange = || {
            let mut processes = node.processes();
            processes.retain(|process| {
                process.state != 'Z'
                    && !process.comm.starts_with("sshd")
                    && !process.exe.as_ref().is_some_and(|exe| exe.starts_with(&home))
            });
            processes
        };
        let gone = wait::within(Duration::from_secs(10), || strange().is_empty());
        assert!(gone, "{}: {:?}\n{run}", node.name(), strange());
    }
}

#[track_caller]
fn says_so(run: &Run, word: &str) {
    assert!(run.stderr.contains(word), "no `{word}`\n{run}");
    assert!(run.stderr.contains("cancelled"), "no count\n{run}");
}

/// Puts in the way of every `rm` of a node one that says that it was called and then never ends.
fn block_rm(lab: &Lab, number: usize) {
    let node = lab.node(number);
    node.write(
        "/usr/local/bin/rm",
        format!("#!/bin/sh\n: >{}/rm-called\nexec sleep 1000\n", node.base().join("home").display()),
    );
    node.chmod("/usr/local/bin/rm", 0o755);
    // gsctl's scripts take the system's.
    let mounted = node.sh("mount --bind /usr/local/bin/rm /usr/bin/rm");
    assert!(mounted.status.success(), "{mounted:?}");
}

#[test]
fn in_preflight() {
    let lab = Lab::start(2);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    let mute = faults::mute_port();
    let hosts = lab.hosts_file_with(&lab.hosts_line("mute", mute.address()));
    let report = lab.dir().join("client/report.json");
    for (signal, status, word) in [(Signal::INT, 130, "Interrupted"), (Signal::TERM, 143, "Terminated")] {
        let gsctl = lab.gsctl().hosts_file(&hosts).args(["start", "--connect-timeout", "100s"]);
        let mut running = gsctl.arg("--json").arg(&report).spawn();
        running.wait_for_stderr("node2  waiting for marker gone");
        running.wait_for_stderr("node1  waiting for marker gone");
        running.signal(signal);
        let run = running.wait().expect(status);
        says_so(&run, word);
        no_orphans(&lab, &run);
        (1..=2).for_each(|number| assert_eq!(lab.node(number).text(MARKER), "0\n1\n2\n"));
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&report).expect("a report")).expect("it is JSON");
        assert_eq!(report["status"]["code"], status);
        assert_eq!(report["hosts"][2]["outcome"], "cancelled");
    }
}

#[test]
fn in_remove() {
    let lab = Lab::start(2);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    block_rm(&lab, 2);
    let running = lab.gsctl().arg("start").spawn();
    wait::until("rm was called", || lab.node(2).exists("home/rm-called") && !lab.node(1).exists(MARKER));
    running.signal(Signal::INT);
    let run = running.wait().expect(130);
    says_so(&run, "Interrupted");
    no_orphans(&lab, &run);
    // What was done is done, what was not is not, and nobody says otherwise.
    assert!(!lab.node(1).exists(MARKER), "{run}");
    assert!(lab.node(2).exists(MARKER), "{run}");
}

#[test]
fn in_wait() {
    let lab = Lab::start(2);
    opengauss::install(&lab);
    for (signal, status, word) in [(Signal::INT, 130, "Interrupted"), (Signal::TERM, 143, "Terminated")] {
        lab.node(1).write(PAUSE, "");
        lab.node(2).write(PAUSE, "");
        lab.node(2).write(STARTING, "theirs");
        let run = interrupt_wait(&lab, signal).expect(status);
        says_so(&run, word);
        no_orphans(&lab, &run);
        // Also where the signal came before gsctl had heard that the file was created: it came as soon as it was.
        assert!(!lab.node(1).exists(STARTING), "{run}");
        assert_eq!(lab.node(2).text(STARTING), "theirs", "{run}");
        (1..=2).for_each(|number| assert!(!lab.node(number).exists(MARKER), "{run}"));
    }
}

fn interrupt_wait(lab: &Lab, signal: Signal) -> Run {
    let mut running: Running = lab.gsctl().arg("start").spawn();
    running.wait_for_stderr("node1  waiting for om_monitor");
    running.wait_for_stderr("node2  waiting for om_monitor");
    wait::until("the file is there", || lab.node(1).exists(STARTING));
    running.signal(signal);
    running.wait()
}

#[test]
fn a_command_whose_beginning_nobody_has_heard_yet_is_killed_too() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    // It runs on the node long before the server's answer to the request is here.
    let proxy = Proxy::to(node.address()).late(Duration::from_millis(250)).start();
    let file = lab.dir().join("client/report.json");
    for transport in ["native", "openssh"] {
        let gsctl = through(&lab, node, &[("far", proxy.address())]).args(["--transport", transport]);
        let run = gsctl.arg("--json").arg(&file).args(["exec", "--", "sleep 4711"]).spawn();
        until_running(node, "sleep 4711");
        run.signal(Signal::INT);
        let run = run.wait().expect(130);
        let report: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(report["hosts"][0]["remote_killed"], true, "{transport}: {report:#}\n{run}");
        until_gone(node, "sleep 4711");
    }
}

#[test]
fn a_second_one_leaves_at_once() {
    let lab = Lab::start(1);
    opengauss::install(&lab);
    lab.node(1).write(PAUSE, "");
    let mut running = lab.gsctl().arg("start").spawn();
    running.wait_for_stderr("waiting for om_monitor");
    wait::until("the file is there", || lab.node(1).exists(STARTING));
    // The cleanup hangs, and somebody has had enough.
    block_rm(&lab, 1);
    running.signal(Signal::INT);
    wait::until("rm was called", || lab.node(1).exists("home/rm-called"));
    assert!(!running.has_ended());
    running.signal(Signal::INT);
    let left = wait::within(Duration::from_secs(5), || running.has_ended());
    assert!(left, "{}", running.stderr());
    running.wait().expect(130);
}

/// Under `nohup`, or behind a shell's `&`, what is ignored when gsctl begins stays ignored.
#[test]
fn signals_that_were_ignored_stay_ignored() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    for (signals, signal) in [
        ("--ignore-signal=HUP", Signal::HUP),
        ("--ignore-signal=INT", Signal::INT),
        ("--ignore-signal=TERM", Signal::TERM),
    ] {
        let ready = format!("ready-{}", signal.as_raw());
        let command = format!("touch $HOME/{ready}; while [ -e $HOME/{ready} ]; do sleep 0.1; done; echo through");
        let run = lab.gsctl().signals(signals).args(["exec", "--", &command]).spawn();
        wait::until("the command runs", || node.exists(format!("home/{ready}")));
        run.signal(signal);
        run.signal(signal);
        node.remove(format!("home/{ready}"));
        let run = run.wait().expect(0);
        assert!(run.text().contains("through"), "{run}");
        // The other ways to stop it are there.
        let run = lab.gsctl().signals(signals).args(["exec", "--", "echo on; sleep 7001"]).spawn();
        until_running(node, "sleep 7001");
        let (other, status) = if signal == Signal::TERM { (Signal::INT, 130) } else { (Signal::TERM, 143) };
        run.signal(other);
        run.wait().expect(status);
        until_gone(node, "sleep 7001");
    }
}
