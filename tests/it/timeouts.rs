//! Time that runs out, runs that are cut short, and children that outlive their command: what was left on the node is killed,
//! what was meant to stay stays, and the report says so.

use serde_json::Value;

use crate::failures::{one, report, running, says, until_gone, until_running};
use crate::gsctl::Gsctl;
use crate::lab::{Lab, wait};

#[track_caller]
fn killed(host: &Value) {
    says(host, "timed_out", "timeout", "no end within 1s");
    assert_eq!(host["remote_killed"], true, "{host:#}");
}

#[test]
fn what_runs_too_long_is_killed_with_all_that_belongs_to_it() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    for (command, left) in [
        ("sleep 5001", "sleep 5001"),
        ("trap '' TERM; sleep 5002; sleep 5002", "sleep 5002"),
        ("sleep 5003 | sleep 5003 | cat", "sleep 5003"),
        ("sh -c 'sleep 5004 & sleep 5004'; echo never", "sleep 5004"),
        ("set -m; sleep 5005 & sleep 5005", "sleep 5005"),
    ] {
        let host = one(lab.gsctl().args(["-t", "1", "exec", "--", command]), 3);
        killed(&host);
        assert!(host.get("stdout").is_none_or(|text| text == ""), "{host:#}");
        until_gone(node, left);
    }
    // What was heard before is not lost.
    let host = one(lab.gsctl().args(["-t", "1", "exec", "--", "echo heard; sleep 5006"]), 3);
    assert_eq!(host["stdout"], "heard\n", "{host:#}");
}

#[test]
fn the_kill_finds_a_way_where_a_connection_has_one_session() {
    let lab = Lab::builder().sshd_config("MaxSessions 1\n").start();
    let host = one(lab.gsctl().args(["-t", "1", "exec", "--", "sleep 5011"]), 3);
    killed(&host);
    until_gone(lab.node(1), "sleep 5011");
}

#[test]
fn a_profile_that_sleeps_too_long_keeps_the_command_from_running() {
    let mut builder = Lab::builder().shell("/bin/bash");
    if !rustix::process::geteuid().is_root() {
        builder = builder.sshd_config("SetEnv SSH_CLIENT=x\n");
    }
    let lab = builder.start();
    let node = lab.node(1);
    node.write("home/.bashrc", "echo noise; sleep 5\n");
    let host = one(lab.gsctl().args(["-t", "1", "exec", "--", "echo ran >>ran"]), 3);
    says(&host, "timed_out", "timeout", "did not begin the command within 1s; it was not run");
    assert!(host["hint"].as_str().unwrap().contains("profile"), "{host:#}");
    wait::until("the login shell has ended", || running(node, "bash") == 0 && running(node, "sleep 5") == 0);
    assert!(!node.exists("home/ran"), "it was run after all");
}

#[test]
fn a_child_that_holds_the_output_open_is_not_waited_for() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    for (command, left) in [
        ("sleep 5021 & echo started", "sleep 5021"),
        ("nohup sleep 5022 & echo started", "sleep 5022"),
        ("setsid sleep 5023 & echo started", "sleep 5023"),
    ] {
        // A watchdog, and no limit: it must end by itself.
        let host = one(lab.gsctl().args(["exec", "--", command]), 0);
        assert_eq!((&host["outcome"], &host["stdout"]), (&"ok".into(), &"started\n".into()), "{host:#}");
        until_running(node, left);
    }
}

#[test]
fn a_deadline_kills_what_runs_and_max_fail_begins_nothing_more() {
    let lab = Lab::start(3);
    let gone = |text: &str| lab.nodes().iter().for_each(|node| until_gone(node, text));
    let result = report(lab.gsctl().args(["--deadline", "2s", "exec", "--", "sleep 5031"]), 3);
    for host in result["hosts"].as_array().unwrap() {
        says(host, "timed_out", "timeout", "the run's deadline of 2s passed");
        assert_eq!(host["remote_killed"], true, "{host:#}");
    }
    gone("sleep 5031");

    // The first waits until the others run, so that there is something that could be stopped; they end by themselves.
    lab.node(1).write("home/first", "");
    let run = lab.gsctl().args(["--max-fail", "0"]).json();
    let wait = "while [ ! -e go ]; do sleep 0.1; done";
    let command =
        format!("if [ -e first ]; then {wait}; exit 9; fi; sleep 5032 & echo $! >pid; {wait}; kill $!; echo end");
    let run = run.args(["exec", "--", &command]).spawn();
    until_running(lab.node(2), "sleep 5032");
    until_running(lab.node(3), "sleep 5032");
    lab.node(1).write("home/go", "");
    let mut run = run;
    run.wait_for_stderr("no new host is begun");
    lab.node(2).write("home/go", "");
    lab.node(3).write("home/go", "");
    let result = run.wait().expect(5).json();
    let hosts = result["hosts"].as_array().unwrap();
    says(&hosts[0], "failed", "command", "exit status 9");
    for host in &hosts[1..] {
        assert_eq!((&host["outcome"], &host["stdout"]), (&"ok".into(), &"end\n".into()), "{host:#}");
        assert!(host.get("remote_killed").is_none(), "{host:#}");
    }

    // With one at a time, the rest is never begun.
    let gsctl = lab.gsctl().args(["--max-fail", "0", "--fanout", "1", "exec", "--", "echo ran >>ran; false"]);
    let result = report(gsctl, 5);
    assert_eq!(result["counts"]["cancelled"], 2, "{result:#}");
    assert_eq!(lab.nodes().iter().filter(|node| node.exists("home/ran")).count(), 1);
}

/// The lab's `gsctl`, playing this text.
fn play(lab: &Lab, name: &str, steps: &str) -> Gsctl {
    let book = lab.dir().join(format!("client/{name}.yaml"));
    std::fs::write(&book, format!("name: {name}\nsummary: for a test\nsteps:\n{steps}")).unwrap();
    lab.gsctl().json().arg("play").arg(book)
}

#[test]
fn one_connection_serves_all_steps() {
    let lab = Lab::start(2);
    let steps =
        (1..=5).fold(String::new(), |text, n| text + &format!("  - {{ name: s{n}, run: \"echo {n} >>ran\" }}\n"));
    let run = play(&lab, "five", &steps).run().expect(0);
    assert_eq!(run.json()["counts"]["ok"], 2, "{run}");
    for node in lab.nodes() {
        assert_eq!(node.text("home/ran"), "1\n2\n3\n4\n5\n");
        assert_eq!(node.sshd_log().matches("Accepted publickey").count(), 1, "{}", node.sshd_log());
    }
}

#[test]
fn an_idle_connection_answers_its_server() {
    let lab = Lab::builder().nodes(2).sshd_config("ClientAliveInterval 1\nClientAliveCountMax 2\n").start();
    lab.node(1).write("home/slow", "");
    let steps = "  - { name: first, run: \"echo 1 >>ran\" }\n\
                 \x20 - { name: long on one, run: \"[ ! -e slow ] || sleep 6\" }\n\
                 \x20 - { name: last, run: \"echo 2 >>ran\" }\n";
    let run = play(&lab, "idle", steps).run().expect(0);
    for node in lab.nodes() {
        assert_eq!(node.text("home/ran"), "1\n2\n", "{run}");
        assert_eq!(node.sshd_log().matches("Accepted publickey").count(), 1, "{}", node.sshd_log());
    }
    assert_eq!(run.json()["counts"]["ok"], 2, "{run}");
}

#[test]
fn an_idle_connection_that_died_is_replaced() {
    let lab = Lab::start(2);
    lab.node(1).write("home/slow", "");
    let steps = "  - { name: first, run: \"echo 1 >>ran\" }\n\
                 \x20 - { name: long on one, run: \"[ ! -e slow ] || { touch in; while [ ! -e go ]; do sleep 0.1; done; }\" }\n\
                 \x20 - { name: last, run: \"echo 2 >>ran\" }\n";
    let run = play(&lab, "replaced", steps).spawn();
    let accepted = || lab.node(2).sshd_log().matches("Accepted publickey").count();
    wait::until("the second step runs", || lab.node(1).exists("home/in") && accepted() == 1);
    wait::until("the other node is idle", || running(lab.node(2), " sh gsctl-") == 0 && lab.node(2).exists("home/ran"));
    lab.node(2).kill_sessions();
    lab.node(1).write("home/go", "");
    run.wait().expect(0);
    assert_eq!(lab.node(2).text("home/ran"), "1\n2\n");
    assert_eq!(accepted(), 2);
}
