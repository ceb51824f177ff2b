//! The exit status table, row by row, against real nodes.

use rustix::process::Signal;

use crate::gsctl::Run;
use crate::lab::{Lab, faults, opengauss};

/// The status in the JSON report is the one that the shell saw.
#[track_caller]
fn reported(run: &Run, code: i32, name: &str) {
    assert_eq!(run.status, code, "{run}");
    assert_eq!(run.json()["status"], serde_json::json!({ "code": code, "name": name }), "{run}");
}

#[test]
fn zero_to_seven() {
    let lab = Lab::start(3);
    let json = || lab.gsctl().args(["--json", "-"]);

    // 0: everybody did it, and a change counts as that.
    reported(&json().args(["exec", "true"]).run(), 0, "success");
    reported(&json().args(["touch", "/tmp/exit-status"]).run(), 0, "success");

    // 1: a report could not be written; what happened on the hosts is said all the same.
    let run = lab.gsctl().args(["--json", "/dev/full", "exec", "echo done"]).run().expect(1);
    assert!(run.text().contains("done") && run.stderr.contains("`/dev/full`: No space left"), "{run}");
    // It is a greater concern than what the hosts did.
    lab.gsctl().args(["--jsonl", "/dev/full", "exec", "exit 3"]).run().expect(1);

    // 2: wrong before anybody was asked.
    let logins = || lab.nodes().iter().map(|node| node.sshd_log().matches("Accepted").count()).sum::<usize>();
    let before = logins();
    for wrong in [
        &["--no-such-option"][..],
        &["exec"],
        &["-f", "/nonexistent", "ping"],
        &["-i", "/nonexistent", "ping"],
        &["-o", "NoSuchOption=1", "ping"],
        &["--json", "/nonexistent/report", "ping"],
        &["--output-dir", "/dev/null/x", "ping"],
        &["play", "/nonexistent.yaml"],
        &["play", "opengauss/start", "--var", "nope=1"],
        &["start", "--system", "nope"],
        &["-w", "node[3-1]", "ping"],
        &["--timeout", "soon", "ping"],
        &["rm", "/"],
    ] {
        let run = lab.gsctl().args(wrong).run().expect(2);
        assert!(run.stdout.is_empty() && run.stderr.starts_with("error: "), "{run}");
    }
    assert_eq!(logins(), before);

    // 3: out of time, or killed by a signal.
    reported(&json().args(["-t", "200ms", "exec", "sleep 60"]).run(), 3, "timed_out");
    reported(&json().args(["exec", "kill -9 $$"]).run(), 3, "timed_out");

    // 4: not reached. What failed elsewhere is the lesser concern.
    let closed = faults::closed_port();
    let file = lab.hosts_file_with(&lab.hosts_line("gone", closed.address()));
    let with_gone = || lab.gsctl().hosts_file(&file).args(["--connect-attempts", "1", "--json", "-"]);
    reported(&with_gone().args(["exec", "true"]).run(), 4, "unreachable");
    reported(&with_gone().args(["exec", "exit 5"]).run(), 4, "unreachable");
    // A timeout is the greater.
    reported(&with_gone().args(["-t", "200ms", "exec", "sleep 60"]).run(), 3, "timed_out");

    // 5: all answered, and one of them said no.
    reported(&json().args(["exec", "test $(hostname) != node2"]).run(), 5, "failed");
    reported(&json().args(["check", "--file", "/nonexistent"]).run(), 5, "failed");
    reported(&json().args(["touch", "/proc/nope"]).run(), 5, "failed");

    // 6: nobody was selected.
    let run = lab.gsctl().args(["-x", "node[1-3]", "ping"]).run().expect(6);
    assert!(run.stderr.starts_with("error: no host selected") && run.stderr.contains("\nhint: "), "{run}");
    lab.bare_gsctl().arg("ping").run().expect(6);
}

#[test]
fn refused() {
    let lab = Lab::start(1);
    let cluster = opengauss::install(&lab);
    let closed = faults::closed_port();
    let text = lab.hosts_line("gone", closed.address());
    let file = lab.hosts_file_with(&text);
    let run = lab.gsctl().hosts_file(file).args(["--connect-attempts", "1", "--json", "-", "start"]).run();
    reported(&run, 7, "refused");
    assert!(lab.node(1).exists(opengauss::MARKER), "{}\n{run}", cluster.census());
}

#[test]
fn interrupted_and_terminated() {
    let lab = Lab::start(2);
    for (signal, code, name) in
        [(Signal::INT, 130, "interrupted"), (Signal::TERM, 143, "terminated"), (Signal::HUP, 143, "terminated")]
    {
        let report = lab.dir().join(format!("{code}.json"));
        // node1 fails at once: being stopped is the greater concern.
        let mut running = lab
            .gsctl()
            .arg("--json")
            .arg(&report)
            .args(["--stream", "exec", "test $(hostname) != node1 || exit 5; echo node2 is up; sleep 60"])
            .spawn();
        running.wait_for_stdout("node2 is up");
        running.wait_for_stderr("FAILED");
        running.signal(signal);
        let run = running.wait().expect(code);
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
        assert_eq!(report["status"], serde_json::json!({ "code": code, "name": name }), "{run}");
        assert!(run.stderr.contains("2 hosts: 1 failed, 1 cancelled"), "{run}");
        let sleeping = |number: usize| lab.node(number).processes().iter().any(|process| process.comm == "sleep");
        assert!(!sleeping(2), "{run}");
    }
}
