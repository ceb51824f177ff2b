//! Small things of every day: the remote exit status, what a pipe held, groups, systems of one's own.

use crate::lab::{Lab, wait};

#[test]
fn the_remote_status_is_there_on_demand() {
    let lab = Lab::start(2);
    let by_host = "test $(hostname) = node1 && exit 42; exit 17";
    lab.gsctl().args(["exec", by_host]).run().expect(5);
    for option in ["-S", "--remote-status"] {
        let run = lab.gsctl().json().args(["exec", option, by_host]).run().expect(42);
        assert_eq!(run.json()["status"]["code"], 42, "{run}");
        assert_eq!(run.json()["status"]["name"], "remote", "{run}");
    }
    lab.gsctl().args(["exec", "-S", "true"]).run().expect(0);
    let script = lab.dir().join("client/script.sh");
    std::fs::write(&script, "exit $1").unwrap();
    lab.gsctl().args(["script", "-S"]).arg(&script).arg("9").run().expect(9);
    // What is gsctl's own stays so.
    lab.gsctl().args(["-t", "1s", "exec", "-S", "sleep 600"]).run().expect(3);
    let closed = crate::lab::faults::closed_port();
    let hosts = lab.hosts_file_with(&lab.hosts_line("gone", closed.address()));
    lab.gsctl().hosts_file(hosts).args(["--connect-attempts", "1", "exec", "-S", "exit 42"]).run().expect(4);
}

#[test]
fn what_waits_in_a_pipe_and_is_not_read_is_said_once() {
    let lab = Lab::start(2);
    let said = "wait on standard input, and nothing reads them";
    let piped = |words: &[&str]| lab.gsctl().args(words).stdin("a line of text\n").run();
    let run = piped(&["exec", "cat"]).expect(0);
    assert_eq!(run.stderr.matches(said).count(), 1, "{run}");
    assert!(run.stderr.contains("15 bytes") && run.stderr.contains("--stdin -"), "{run}");
    let script = lab.dir().join("client/cat.sh");
    std::fs::write(&script, "cat").unwrap();
    let run = piped(&["script", script.to_str().unwrap()]).expect(0);
    assert!(run.stderr.contains(said), "{run}");
    for words in [&["-q", "exec", "cat"][..], &["exec", "--stdin", "-", "cat"], &["ping"]] {
        let run = piped(words).expect(0);
        assert!(!run.stderr.contains(said), "{run}");
    }
    let run = lab.gsctl().args(["exec", "cat"]).run().expect(0);
    assert!(!run.stderr.contains(said), "{run}");
}

#[test]
fn check_and_wait_know_the_same_conditions() {
    let lab = Lab::start(1);
    let file = lab.node(1).base().join("data/file").display().to_string();
    let absent = |words: &[&str]| lab.gsctl().args(words).run();
    absent(&["check", "--no-file", &file, "--no-process", "no-such-process"]).expect(0);
    lab.node(1).write("data/file", "");
    let run = absent(&["check", "--no-file", &file]).expect(5);
    assert!(run.stderr.contains("is still there"), "{run}");
    let run = absent(&["check", "--no-process", "sshd"]).expect(5);
    assert!(run.stderr.contains("sshd still runs"), "{run}");
    // Which executable a process of root's has is not for everybody to see.
    let run = absent(&["check", "--no-process", "sshd=/no/such/sshd"]).expect(5);
    assert!(run.stderr.contains("sshd (pid ") && run.stderr.contains("may not see"), "{run}");
    absent(&["wait", "--process", "sshd", "-t", "60s"]).expect(0);
    let output = lab.node(1).sh_as_user("setsid sleep 600 >/dev/null 2>&1 </dev/null & echo $!");
    assert!(output.status.success());
    absent(&["check", "--no-process", "sleep=/no/such/sleep"]).expect(0);
    let running = lab.gsctl().args(["wait", "--no-process", "sleep", "-t", "60s"]).spawn();
    wait::until("it waits", || lab.node(1).processes().iter().any(|process| process.comm == "sleep"));
    for process in lab.node(1).processes().into_iter().filter(|process| process.comm == "sleep") {
        process.kill(rustix::process::Signal::KILL);
    }
    running.wait().expect(0);
    let run = absent(&["check", "--no-process", "=x"]).expect(2);
    assert!(run.stderr.contains("`--no-process =x`"), "{run}");
}

#[test]
fn groups_are_shown_and_play_is_limited() {
    let lab = Lab::start(3);
    let mut text: String = lab.nodes().iter().map(|node| lab.hosts_line(node.name(), node.address())).collect();
    text += "[primary]\nnode1\n[standby]\nnode[2-3]\n";
    let hosts = lab.write_hosts_file(&text);
    let run = lab.gsctl().hosts_file(&hosts).args(["hosts", "--groups"]).run().expect(0);
    let lines: Vec<String> =
        run.text().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines, ["GROUP HOSTS SET", "primary 1 node1", "standby 2 node[2-3]"], "{run}");
    let run = lab.gsctl().hosts_file(&hosts).json().args(["hosts", "--groups", "-x", "node3"]).run().expect(0);
    assert_eq!(run.json()["groups"]["standby"], serde_json::json!(["node2"]), "{run}");
    let book = lab.dir().join("client/book.yaml");
    std::fs::write(&book, "steps:\n- { name: mark, run: echo did >>log }\n").unwrap();
    lab.gsctl().hosts_file(&hosts).arg("play").arg(&book).args(["--limit", "@standby", "-x", "node3"]).run().expect(0);
    let did: Vec<bool> = lab.nodes().iter().map(|node| node.exists("home/log")).collect();
    assert_eq!(did, [false, true, false]);
}

#[test]
fn a_directory_is_a_system_of_ones_own() {
    let lab = Lab::start(2);
    let dir = lab.client_home().join("app");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(
        dir.join("start.yaml"),
        "vars: { wait: { default: 1s, check: duration } }\nsteps:\n- { name: start, run: \"echo {wait} >>log\" }\n",
    )
    .unwrap();
    lab.gsctl().args(["start", "--system", "./app", "--wait", "7s"]).run().expect(0);
    for node in lab.nodes() {
        assert_eq!(node.text("home/log"), "7s\n");
    }
    let run = lab.gsctl().args(["--system", "./app", "stop"]).run().expect(2);
    assert!(run.stderr.contains("there is no `./app/stop.yaml`"), "{run}");
}
