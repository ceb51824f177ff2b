//! `gsctl wait`: ports, commands, files and reboots that come later, a quorum, and what is said where they don't come.

use std::fs;
use std::net::TcpListener;

use rustix::process::Signal;
use serde_json::Value;

use crate::failures::{host, report, says};
use crate::gsctl::Gsctl;
use crate::lab::address::any_loopback;
use crate::lab::{Lab, wait};

/// Looks often, so that tests are quick.
fn waiting(lab: &Lab) -> Gsctl {
    lab.gsctl().args(["wait", "--every", "100ms"])
}

/// A path that means another file on each node.
fn path(lab: &Lab, name: &str) -> String {
    lab.node(1).base().join("data").join(name).display().to_string()
}

fn outcomes(report: &Value) -> Vec<&str> {
    report["hosts"].as_array().unwrap().iter().map(|host| host["outcome"].as_str().unwrap()).collect()
}

/// A port that nobody listens on, and that this machine gives nobody by itself.
fn free_port() -> String {
    let is_free = |port: &u16| {
        let wanted = format!(":{port:04X} ");
        let taken = |file: &str| fs::read_to_string(file).is_ok_and(|text| text.contains(&wanted));
        !taken("/proc/net/tcp") && !taken("/proc/net/tcp6")
    };
    std::iter::repeat_with(|| fastrand::u16(2000..9000)).find(is_free).unwrap().to_string()
}

#[test]
fn what_comes_later_is_waited_for() {
    let lab = Lab::start(3);
    crate::lab::need_root();
    let (flag, gone) = (path(&lab, "flag"), path(&lab, "gone"));
    let port = free_port();
    let command = format!("test -s {}", path(&lab, "answer"));
    for node in lab.nodes() {
        node.write(&gone, "");
    }
    lab.node(1).write(&flag, "");
    let arguments = ["--port", &port, "--command", &command, "--file", &flag, "--no-file", &gone];
    // Long enough for any machine: a run that has nothing to wait for any more ends sooner.
    let mut running = waiting(&lab).args(["-t", "300"]).args(arguments).spawn();
    let missing = |what: &[&str]| what.join("; ");
    let listens = format!("nothing listens on TCP port {port}");
    let commands = format!("`{command}`: exit status 1");
    let still = format!("{gone} is still there");
    let absent = format!("{flag} is not there");
    running.wait_for_stderr(&format!("node1  {}", missing(&[&listens, &commands, &still])));
    for number in [2, 3] {
        running.wait_for_stderr(&format!("node{number}  {}", missing(&[&listens, &commands, &absent, &still])));
    }
    lab.nodes().iter().for_each(|node| node.remove(&gone));
    running.wait_for_stderr(&format!("node2  {}\n", missing(&[&listens, &commands, &absent])));
    lab.nodes().iter().for_each(|node| node.write(&flag, ""));
    running.wait_for_stderr(&format!("node3  {}\n", missing(&[&listens, &commands])));
    lab.nodes().iter().for_each(|node| node.write(path(&lab, "answer"), "42"));
    running.wait_for_stderr(&format!("node3  {listens}\n"));
    assert!(!running.has_ended());
    // The nodes have this machine's ports, so that one listener is there on every one of them.
    let _listener = TcpListener::bind((any_loopback(), port.parse().unwrap())).expect("nobody has the port");
    let run = running.wait().expect(0);
    assert_eq!(run.text().lines().filter(|line| line.contains("  ok ")).count(), 3, "{run}");
    assert!(run.stderr.contains("There"), "{run}");

    // What holds already is not waited for, and said in one look.
    let known = report(waiting(&lab).args(["--file", &flag, "--no-file", &gone]), 0);
    assert_eq!(outcomes(&known), ["ok", "ok", "ok"], "{known:#}");

    // A link to nowhere is a file that is not gone.
    lab.node(2).sh(&format!("ln -s /nowhere {gone}"));
    let known = report(waiting(&lab).args(["-t", "8", "--no-file", &gone, "--quorum", "3"]), 5);
    assert_eq!(outcomes(&known), ["ok", "failed", "ok"], "{known:#}");
    says(&host(&known, "node2"), "failed", "check", &format!("not true after 8s: {still}"));

    // Enough hosts will do; the others are no failures, and it is said what they miss.
    lab.node(3).remove(&flag);
    for quorum in ["2", "50%"] {
        let known = report(waiting(&lab).args(["--file", &flag, "--quorum", quorum]), 0);
        assert_eq!(outcomes(&known), ["ok", "ok", "skipped"], "{known:#}");
        // Enough may be there before anybody has looked at the last one.
        assert!(host(&known, "node3")["error"].as_str().unwrap().starts_with("not yet: "), "{known:#}");
    }
    let run = waiting(&lab).args(["--file", &flag, "--quorum", "2"]).run().expect(0);
    assert!(run.text().contains("not yet: "), "{run}");

    // Wrong before contact.
    for (arguments, said) in [
        (&["--file", &flag, "--quorum", "4"][..], "`--quorum 4` of 3 selected hosts"),
        (&["--file", &flag, "--quorum", "0"], "more than nothing"),
        (&["--file", &flag, "--every", "0"], "`--every` must be"),
        (&["--no-file", ""], "the path is empty"),
        (&["--file", "~/x"], "not expanded"),
    ] {
        let run = lab.gsctl().arg("wait").args(arguments).run().expect(2);
        assert!(run.stderr.contains(said), "{run}");
    }

    // Ctrl-C ends the wait and what a look runs on the nodes.
    let running = waiting(&lab).args(["--command", "echo $$ >~/looks; exec sleep 5052"]).spawn();
    lab.nodes().iter().for_each(|node| crate::failures::until_running(node, "sleep 5052"));
    running.signal(Signal::INT);
    let run = running.wait().expect(130);
    assert!(run.stderr.contains("3 cancelled"), "{run}");
    lab.nodes().iter().for_each(|node| crate::failures::until_gone(node, "sleep 5052"));
}

#[test]
fn hosts_that_are_away_are_tried_again() {
    let lab = Lab::start(2);
    let (one, two) = (lab.node(1), lab.node(2));

    // Down to the end: unreachable, with the reason.
    two.stop_sshd();
    let known = report(waiting(&lab).args(["-t", "8", "--command", "true"]), 4);
    assert_eq!(outcomes(&known), ["ok", "unreachable"], "{known:#}");
    says(&host(&known, "node2"), "unreachable", "connect", "not true after 8s: ");
    assert!(host(&known, "node2")["error"].as_str().unwrap().contains("refused"), "{known:#}");
    let known = report(waiting(&lab).args(["--command", "true", "--quorum", "1"]), 0);
    assert_eq!(outcomes(&known), ["ok", "skipped"], "{known:#}");

    // Up while it is waited for.
    let mut running = waiting(&lab).args(["-t", "300", "--command", "true"]).spawn();
    running.wait_for_stderr("node2  connect");
    two.start_sshd();
    running.wait().expect(0);

    // What does not mend itself is not tried again.
    let known = report(waiting(&lab).args(["-l", "nobody-here", "--command", "true"]), 4);
    assert_eq!(outcomes(&known), ["unreachable", "unreachable"], "{known:#}");
    says(&host(&known, "node1"), "unreachable", "auth", "");

    crate::lab::need_root();
    // A node that was away and is back with the same boot id has not rebooted.
    let mut running = waiting(&lab).args(["-t", "300", "-w", "node1", "--rebooted"]).spawn();
    let still = "node1  not rebooted yet";
    running.wait_for_stderr(still);
    one.stop_sshd();
    one.kill_sessions();
    running.wait_for_stderr("node1  connect");
    // Not as the lab starts it: it would wait until nobody is logged in.
    let files = one.base().join(".lab");
    let files = files.display();
    let output = one.sh(&format!("$(command -v sshd) -f {files}/sshd_config -E {files}/sshd.log"));
    assert!(output.status.success(), "{output:?}");
    wait::until("it is back", || running.stderr().matches(still).count() == 2);
    assert!(!running.has_ended());
    one.reboot();
    running.wait().expect(0);
    // Nobody has rebooted since.
    let known = report(waiting(&lab).args(["-t", "8", "--rebooted"]), 5);
    assert_eq!(outcomes(&known), ["failed", "failed"], "{known:#}");
    let id = one.sh("cat /proc/sys/kernel/random/boot_id").stdout;
    let id = String::from_utf8_lossy(&id).trim().to_owned();
    says(&host(&known, "node1"), "failed", "check", "not true after 8s: not rebooted yet");
    assert_eq!(host(&known, "node1")["facts"]["boot_id"], id, "{known:#}");
}
