//! Output that is not read, or slower than it comes: limits and signals hold all the same, and memory stays small.

use std::fs;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::failures::{until_gone, until_running};
use crate::lab::{Lab, wait};

/// gsctl with a standard output of which nothing is read.
fn unread(lab: &Lab, arguments: &[&str]) -> Child {
    with_stdout(lab, arguments, Stdio::piped())
}

fn with_stdout(lab: &Lab, arguments: &[&str], stdout: Stdio) -> Child {
    // Whatever the suite was started with, such as nohup or `&`.
    let mut command = Command::new("/usr/bin/env");
    command
        .arg("--default-signal")
        .arg(env!("CARGO_BIN_EXE_gsctl"))
        .arg("-f")
        .arg(lab.hosts_file())
        .arg("-i")
        .arg(lab.key());
    command.arg("-o").arg(format!("UserKnownHostsFile={}", lab.known_hosts().display()));
    command.args(arguments).env("HOME", lab.client_home()).env("XDG_STATE_HOME", lab.client_home().join("state"));
    command.process_group(0).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    command.spawn().expect("gsctl starts")
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().cast_signed()).expect("it has a number"), signal).expect("it is ours");
}

/// Waits for its end, with a watchdog; its status, and what it wrote to stderr.
#[track_caller]
fn end(mut child: Child) -> (i32, String) {
    let ended = wait::within(Duration::from_secs(60), || child.try_wait().expect("it is ours").is_some());
    if !ended {
        let _ = child.kill();
    }
    let status = child.wait().expect("it is ours").code();
    let mut stderr = String::new();
    let _ = child.stderr.take().expect("it is piped").read_to_string(&mut stderr);
    assert!(ended, "it did not end: {stderr}");
    (status.expect("it was not killed"), stderr)
}

fn resident_kilobytes(child: &Child) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[test]
fn a_deadline_comes_although_output_is_faster_than_it_is_written() {
    let lab = Lab::start(4);
    let (status, stderr) = end(with_stdout(&lab, &["--deadline", "3s", "--stream", "exec", "yes"], Stdio::null()));
    assert_eq!(status, 3, "{stderr}");
    assert!(stderr.contains("4 timed out"), "{stderr}");
    lab.nodes().iter().for_each(|node| until_gone(node, "yes"));
}

#[test]
fn a_deadline_comes_although_nobody_reads() {
    let lab = Lab::start(2);
    let child = unread(&lab, &["--deadline", "3s", "--stream", "exec", "yes"]);
    lab.nodes().iter().for_each(|node| until_running(node, "yes"));
    let (status, stderr) = end(child);
    assert_eq!(status, 3, "{stderr}");
    assert!(stderr.contains("the rest of it was dropped"), "{stderr}");
    assert!(stderr.contains("2 timed out"), "{stderr}");
    lab.nodes().iter().for_each(|node| until_gone(node, "yes"));
}

#[test]
fn the_first_signal_kills_what_runs_and_ends_although_nobody_reads() {
    let lab = Lab::start(2);
    for (number, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let child = unread(&lab, &["--stream", "exec", "yes"]);
        lab.nodes().iter().for_each(|node| until_running(node, "yes"));
        // By then all that may be under way is.
        let mut before = 0;
        wait::until("it takes no more", || {
            let now = resident_kilobytes(&child);
            let is_full = now > 0 && now == before;
            before = now;
            std::thread::sleep(Duration::from_millis(200));
            is_full
        });
        signal(&child, number);
        // Before its own end: nothing of this waits for the reader.
        lab.nodes().iter().for_each(|node| until_gone(node, "yes"));
        let (code, stderr) = end(child);
        assert_eq!(code, status, "{stderr}");
        assert!(stderr.contains("2 cancelled"), "{stderr}");
        // A program that writes all the time ends by itself, too, once nobody reads.
        assert!(stderr.contains("killed on the node") || stderr.contains("it had ended on the node"), "{stderr}");
    }
}

#[test]
fn a_signal_ends_also_a_run_that_is_over_and_only_waits_for_its_reader() {
    let lab = Lab::start(1);
    let child = unread(&lab, &["--stream", "exec", "head -c 1000000 /dev/zero | tr '\\0' a"]);
    let node = lab.node(1);
    wait::until("its session has begun", || node.sshd_log().contains("Starting session"));
    wait::until("the command is over", || node.sshd_log().contains("Disconnected") || node.sessions().is_empty());
    signal(&child, Signal::INT);
    let (status, stderr) = end(child);
    assert_eq!(status, 130, "{stderr}");
}

#[test]
fn many_hosts_and_a_reader_that_has_stopped_take_little_memory() {
    let lab = Lab::start(12);
    let child = unread(&lab, &["--stream", "exec", "yes"]);
    lab.nodes().iter().for_each(|node| until_running(node, "yes"));
    let mut most = 0;
    for _ in 0..30 {
        most = most.max(resident_kilobytes(&child));
        std::thread::sleep(Duration::from_millis(100));
    }
    signal(&child, Signal::INT);
    end(child);
    // 12 hosts took 180 MB when only the number of pieces was bounded.
    assert!(most < 90_000, "{most} kB");
}

#[test]
fn the_journal_says_what_the_run_ended_as() {
    let lab = Lab::start(1);
    lab.gsctl().args(["--json", "/dev/full", "exec", "true"]).run().expect(1);
    let runs = lab.gsctl().arg("runs").run().expect(0).text();
    assert!(runs.contains("broken") && !runs.contains("success"), "{runs}");
}
