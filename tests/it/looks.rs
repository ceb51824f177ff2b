//! The channel that stays open while a host is waited for, as the node's processes tell.

use std::fs;

use rustix::process::Signal;

use crate::failures::{running, until_gone};
use crate::gsctl::Gsctl;
use crate::lab::{Lab, Node, wait};

/// Waits until `state` is up on every host. The probe writes down which shell runs it, and would eat what that is sent.
fn watch(lab: &Lab) -> Gsctl {
    let home = lab.client_home();
    fs::write(home.join("node.sh"), "echo $$ >>looks\ncat >>eaten\necho \"state=$(cat state)\"\n# long\n").unwrap();
    fs::write(
        home.join("watch.yaml"),
        "name: watch\nprobes:\n  node: { script: node.sh }\nsteps:\n- name: come up\n  \
         wait: { probe: node, until: { fact: state, is: up }, every: 100ms, timeout: 110s }\n- name: go on\n  run: pwd\n",
    )
    .unwrap();
    for node in lab.nodes() {
        node.write("home/state", "down\n");
    }
    lab.gsctl().args(["play", "watch.yaml"])
}

/// The shells that looked, in order.
fn looks(node: &Node) -> Vec<String> {
    if node.exists("home/looks") { node.text("home/looks").lines().map(str::to_owned).collect() } else { Vec::new() }
}

/// Waits until the same shell has looked several times more, and gives it.
#[track_caller]
fn one_shell(node: &Node, after: usize) -> String {
    wait::until("the same shell looks again and again", || {
        let looks = looks(node);
        looks.len() >= after + 6 && looks[looks.len() - 4..].iter().all(|shell| shell == &looks[looks.len() - 1])
    });
    looks(node).pop().unwrap()
}

#[test]
fn looks_go_to_one_shell_and_leave_none() {
    let lab = Lab::builder().nodes(2).sshd_config("MaxSessions 1\n").start();
    let (node, other) = (lab.node(1), lab.node(2));
    let play = watch(&lab).spawn();
    let shell = one_shell(node, 0);
    // Where it ends, the next look opens another.
    assert!(node.sh(&format!("kill -9 {shell}")).status.success());
    let before = looks(node).len();
    let next = one_shell(node, before);
    assert_ne!(next, shell);
    for node in lab.nodes() {
        node.write("home/state", "up\n");
    }
    // The server lets a connection have one channel only: the step that follows has that.
    let run = play.wait().expect(0);
    assert!(run.stderr.contains("2 hosts: 2 ok"), "{run}");
    assert_eq!(node.text("home/eaten"), "", "the probe reads what is for the shell");
    assert!(looks(other).len() > 2);
    for node in lab.nodes() {
        until_gone(node, " sh gsctl-");
    }

    // Killed, gsctl leaves nothing either.
    let play = watch(&lab).spawn();
    let before = looks(node).len();
    let shell = one_shell(node, before);
    assert!(running(node, " sh gsctl-") > 0);
    play.signal(Signal::KILL);
    until_gone(node, " sh gsctl-");
    assert!(!node.sh(&format!("kill -0 {shell}")).status.success());
}

#[test]
fn a_server_that_is_slow_to_end_a_session_has_room_for_the_next() {
    // All that a command says is there, its status too, long before its shell has ended, and that is when sshd counts it out.
    let slow =
        "MaxSessions 1\nForceCommand (eval \"$SSH_ORIGINAL_COMMAND\"); exec </dev/null >/dev/null 2>&1; sleep 0.3\n";
    let lab = Lab::builder().nodes(1).sshd_config(slow).start();
    let play = watch(&lab).spawn();
    one_shell(lab.node(1), 0);
    lab.node(1).write("home/state", "up\n");
    let run = play.wait().expect(0);
    assert!(run.stderr.contains("1 ok"), "{run}");
}
