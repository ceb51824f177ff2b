//! Reports, dry runs and playbooks: what is written where, and that nothing is contacted before all is known to be well.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::gsctl::Run;
use crate::lab::{Lab, faults};

fn contacts(lab: &Lab) -> usize {
    lab.nodes().iter().map(|node| node.sshd_log().matches("Connection from").count()).sum()
}

fn outcomes(run: &Run) -> Vec<String> {
    let json = run.json();
    let hosts = json["hosts"].as_array().unwrap();
    hosts
        .iter()
        .map(|host| format!("{}={}", host["host"].as_str().unwrap(), host["outcome"].as_str().unwrap()))
        .collect()
}

#[test]
fn json_jsonl_and_output_dir_agree() {
    let lab = Lab::start(3);
    let closed = faults::closed_port();
    let file = lab.hosts_file_with(&lab.hosts_line("gone", closed.address()));
    let (json, jsonl, dir) = (lab.dir().join("r.json"), lab.dir().join("r.jsonl"), lab.dir().join("out"));
    let command = "echo out; echo err >&2; printf 'a\\377b\\n'; test $(hostname) != node2 || exit 9";
    let run = lab.gsctl().hosts_file(&file).args(["--connect-attempts", "1"]);
    let run = run.arg("--json").arg(&json).arg("--jsonl").arg(&jsonl).arg("--output-dir").arg(&dir);
    let run = run.args(["exec", command]).run().expect(4);
    assert!(run.stderr.contains("4 hosts: 2 ok, 1 failed, 1 unreachable"), "{run}");

    let report: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!((&report["schema"], &report["command"]), (&"gsctl.run/1".into(), &"exec".into()));
    assert_eq!(report["status"], serde_json::json!({ "code": 4, "name": "unreachable" }));
    let counts = &report["counts"];
    assert_eq!(
        [&counts["ok"], &counts["failed"], &counts["unreachable"]],
        [&2, &1, &1].map(|n| Value::from(*n)).each_ref()
    );
    let hosts = report["hosts"].as_array().unwrap();
    let names: Vec<_> = hosts.iter().map(|host| host["host"].as_str().unwrap()).collect();
    assert_eq!(names, ["node1", "node2", "node3", "gone"], "in the file's order");
    assert_eq!((&hosts[3]["phase"], hosts[3].get("exit_status")), (&"connect".into(), None));
    for (host, status) in hosts[..3].iter().zip([0, 9, 0]) {
        assert_eq!((&host["exit_status"], &host["stderr"]), (&status.into(), &"err\n".into()), "{host:#}");
        // `out\na\xffb\n`
        assert_eq!(host["stdout_base64"], "b3V0CmH/Ygo=", "{host:#}");
    }

    let lines = fs::read_to_string(jsonl).unwrap();
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((of("run_started"), of("host_started"), of("host_finished"), of("summary")), (1, 4, 4, 1), "{lines}");
    assert_eq!(events.last().unwrap()["counts"], *counts);
    assert_eq!(events.last().unwrap()["run"], report["run"]);

    assert_eq!(fs::read(dir.join("node1.stdout")).unwrap(), b"out\na\xffb\n");
    assert_eq!(fs::read(dir.join("node2.stderr")).unwrap(), b"err\n");
}

#[test]
fn standard_output_stays_pure() {
    let lab = Lab::start(2);
    for command in
        [&["exec", "echo hi; echo oh >&2"][..], &["ping"], &["touch", "/tmp/pure"], &["check", "--file", "/"]]
    {
        let run = lab.gsctl().args(["--json", "-", "--progress", "always"]).args(command).run().expect(0);
        assert_eq!(run.json()["schema"], "gsctl.run/1", "{run}");
        let run = lab.gsctl().args(["--jsonl", "-"]).args(command).run().expect(0);
        assert!(run.text().lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{run}");
    }
    let run = lab.gsctl().args(["--json", "-", "--jsonl", "-", "ping"]).run();
    assert_eq!(run.status, 2, "two reports cannot share standard output\n{run}");
}

#[test]
fn a_reader_that_goes_away_is_no_news() {
    let lab = Lab::start(2);
    for arguments in
        ["exec 'seq 200000'", "hosts", "play --list", "play --show opengauss/start", "--json - exec 'seq 100000'"]
    {
        // `head` gets its line, or, where there is but a little, all.
        let line = format!(
            "{{ '{}' -f '{}' -i '{}' -F none -o UserKnownHostsFile='{}' {arguments}; echo status $? >&2; }} | head -n 1",
            env!("CARGO_BIN_EXE_gsctl"),
            lab.hosts_file().display(),
            lab.key().display(),
            lab.known_hosts().display(),
        );
        let mut command = Command::new("sh");
        command.args(["-c", &line]).env("HOME", lab.client_home()).env_remove("SSH_AUTH_SOCK").stdin(Stdio::null());
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1, "{arguments}\n{stderr}");
        assert!(stderr.ends_with("status 0\n"), "{arguments}\n{stderr}");
        for bad in ["panicked", "Broken pipe", "error:"] {
            assert!(!stderr.contains(bad), "{arguments}\n{stderr}");
        }
    }
}

const BOOK: &str = r#"
name: mine
summary: a playbook of a user
vars:
  dir: { default: /tmp, check: abs-path }
  word: { default: "it's {nothing}" }
steps:
  - name: write everywhere
    write: { path: "{dir}/word", content: "{word} on {host}\n" }
  - name: only one of them
    on: any
    run: "echo any >> {dir}/any"
  - name: only the first group
    on: first
    touch: "{dir}/first"
  - name: not the first group
    on: not first
    touch: "{dir}/rest"
  - name: where there is a file
    when: { exists: "{dir}/rest" }
    run: "touch {dir}/when"
  - name: one after the other
    serial: 1
    run: "date +%s%N > {dir}/began; sleep 0.1; date +%s%N > {dir}/ended"
  - name: at the third time
    retries: 3
    idempotent: true
    run: "echo try >> {dir}/tries; test $(wc -l < {dir}/tries) -ge 3"
"#;

#[test]
fn a_playbook_of_a_user() {
    let lab = Lab::start(3);
    let text = fs::read_to_string(lab.hosts_file()).unwrap();
    let hosts = lab.write_hosts_file(&(text + "[first]\nnode1\n"));
    let book = lab.dir().join("book.yaml");
    fs::write(&book, BOOK).unwrap();
    let play = || lab.gsctl().hosts_file(&hosts).arg("--json").arg("-").arg("play").arg(&book);

    // Looked at first: every step and host, and nobody is contacted.
    let before = contacts(&lab);
    let run = lab.gsctl().hosts_file(&hosts).args(["--dry-run", "-v"]).arg("play").arg(&book).run().expect(0);
    assert!(run.text().contains("# on node") && run.text().contains("step 1 of 7: write everywhere"), "{run}");
    assert!(run.text().contains("touch /tmp/when") && run.text().contains("echo any >> /tmp/any"), "{run}");
    assert_eq!(contacts(&lab), before, "a dry run contacted somebody\n{run}");
    assert!(lab.nodes().iter().all(|node| !node.exists("/tmp/word")));

    crate::lab::need_root();
    let run = play().run().expect(0);
    assert_eq!(outcomes(&run), ["node1=changed", "node2=changed", "node3=changed"], "{run}");
    let on = |name: &str| -> Vec<usize> {
        (1..=3).filter(|&number| lab.node(number).exists(format!("/tmp/{name}"))).collect()
    };
    for number in 1..=3 {
        assert_eq!(lab.node(number).text("/tmp/word"), format!("it's {{nothing}} on node{number}\n"));
        assert_eq!(lab.node(number).text("/tmp/tries"), "try\n".repeat(3));
    }
    assert_eq!(on("any").len(), 1, "{run}");
    assert_eq!((on("first"), on("rest"), on("when")), (vec![1], vec![2, 3], vec![2, 3]), "{run}");
    // serial: nobody began before the one before him had ended.
    let time =
        |number: usize, name: &str| lab.node(number).text(format!("/tmp/{name}")).trim().parse::<u128>().unwrap();
    let mut spans: Vec<_> = (1..=3).map(|number| (time(number, "began"), time(number, "ended"))).collect();
    spans.sort_unstable();
    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{spans:?}");

    // Variables: given, of the wrong form, unknown.
    play().args(["--var", "word=$(touch /tmp/evil); `id`"]).run().expect(0);
    assert_eq!(lab.node(1).text("/tmp/word"), "$(touch /tmp/evil); `id` on node1\n");
    assert!(on("evil").is_empty());
    let run = play().args(["--var", "dir=relative"]).run().expect(2);
    assert!(run.stderr.contains("`relative`"), "{run}");
    let run = play().args(["--var", "wrod=x"]).run().expect(2);
    assert!(run.stderr.contains("`wrod`") && run.stderr.contains("hint: "), "{run}");
    // A group that the hosts file does not have.
    let run = lab.gsctl().arg("play").arg(&book).run().expect(2);
    assert!(run.stderr.contains("group `first`"), "{run}");
}

#[test]
fn a_bad_playbook_is_rejected_with_its_place() {
    let lab = Lab::start(1);
    let before = contacts(&lab);
    let book = lab.dir().join("bad.yaml");
    for (text, place, said) in [
        ("steps:\n  - name: a\n    rnu: echo\n", "line 3, column 5", "rnu"),
        ("steps:\n  - name: a\n    run: \"{nope}\"\n", "line 3", "nope"),
        ("steps: []\n", "line 1", "steps"),
        ("steps:\n  - name: a\n    run: [\n", "line", ""),
        ("", "", "empty"),
        ("steps:\n  - name: a\n    remove: /\n", "line 3, column 13", "`/` is a directory"),
    ] {
        fs::write(&book, text).unwrap();
        let run = lab.gsctl().arg("play").arg(&book).run().expect(2);
        for want in ["error: ", place, said] {
            assert!(run.stderr.contains(want), "`{want}` is missing\n{run}");
        }
        assert!(place.is_empty() || run.stderr.contains("bad.yaml"), "{run}");
    }
    fs::write(&book, b"\xff\xfe\x00").unwrap();
    lab.gsctl().arg("play").arg(&book).run().expect(2);
    let run = lab.gsctl().arg("play").arg(lab.dir()).run().expect(2);
    assert!(run.stderr.contains("directory"), "{run}");
    let run = lab.gsctl().args(["play", "opengauss/strat"]).run().expect(2);
    assert!(run.stderr.contains("opengauss/start"), "{run}");
    assert_eq!(contacts(&lab), before);
}

#[test]
fn built_in_playbooks_can_be_listed_and_printed() {
    let lab = Lab::start(1);
    let list = lab.gsctl().args(["play", "--list"]).run().expect(0);
    let names: Vec<String> =
        list.text().lines().skip(1).filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect();
    for name in ["opengauss/start", "opengauss/stop", "opengauss/status"] {
        assert!(names.iter().any(|known| known == name), "{list}");
    }
    for name in &names {
        let shown = lab.gsctl().args(["play", "--show", name]).run().expect(0);
        assert!(shown.text().contains(&format!("name: {name}\n")), "{shown}");
        // Where hosts come from makes no difference.
        lab.bare_gsctl().env("GSCTL_HOSTS_FILE", "/nonexistent").args(["play", "--show", name]).run().expect(0);
    }
    lab.bare_gsctl().env("GSCTL_HOSTS_FILE", "/nonexistent").args(["play", "--list"]).run().expect(0);
    let run = lab.gsctl().args(["play", "--show", "nope"]).run().expect(2);
    assert!(run.stderr.contains("opengauss/start"), "{run}");
    lab.gsctl().args(["play", "--list", "--show", "opengauss/start"]).run().expect(2);
}

#[test]
fn a_dry_run_prints_what_would_run_and_contacts_nobody() {
    let lab = Lab::start(2);
    let before = contacts(&lab);
    let run = lab.gsctl().args(["--dry-run", "exec", "echo it's; {x}"]).run().expect(0);
    assert_eq!(run.text(), "# on node[1-2]\n## step 1 of 1: exec\necho it's; {x}\n");
    for command in [&["ping"][..], &["touch", "/tmp/x"], &["rm", "/tmp/x*"], &["check", "--port", "1"]] {
        let run = lab.gsctl().arg("--dry-run").args(command).run().expect(0);
        assert!(run.text().starts_with("# on node"), "{run}");
    }
    // Of a playbook what each step does and to whom; with -v exactly what would run.
    for (verb, subject) in [("start", "remove "), ("stop", "write ")] {
        let run = lab.gsctl().args(["--dry-run", verb]).run().expect(0);
        assert!(run.text().starts_with(&format!("opengauss/{verb} on node[1-2] (2 hosts)\n")), "{run}");
        assert!(run.text().contains(subject) && run.text().lines().count() < 80, "{run}");
        let exact = lab.gsctl().args(["-v", "--dry-run", verb]).run().expect(0);
        assert!(exact.text().starts_with("# on node") && exact.text().lines().count() > 200, "{exact}");
    }
    assert_eq!(contacts(&lab), before);
}
