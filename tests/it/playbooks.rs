//! Playbooks of users: every example of the documentation runs, every mistake is said before contact.

use std::path::Path;

use crate::lab::Lab;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/playbooks.md");

/// Fenced blocks that begin with `# file: NAME`, as files.
fn examples() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(DOCS).unwrap();
    let mut files = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines() {
        match (&mut block, line.starts_with("```")) {
            (None, true) => block = Some(String::new()),
            (Some(body), true) => {
                let name = body.lines().next().and_then(|first| first.strip_prefix("# file: "));
                files.push((name.expect("every block names its file").to_owned(), std::mem::take(body)));
                block = None;
            }
            (Some(body), false) => {
                body.push_str(line);
                body.push('\n');
            }
            (None, false) => {}
        }
    }
    files
}

fn grouped(lab: &Lab) -> std::path::PathBuf {
    let lines = std::fs::read_to_string(lab.hosts_file()).unwrap();
    lab.write_hosts_file(&format!("{lines}\n[primary]\nnode1\n"))
}

#[test]
fn every_example_of_the_documentation_runs() {
    // Only root can give the lab's user the right to become root; for anybody else one example is read and not run.
    let root = rustix::process::geteuid().is_root();
    let builder = Lab::builder().nodes(3);
    let lab = if root { builder.sudoers("omm ALL=(ALL) NOPASSWD: ALL\n").start() } else { builder.start() };
    let dir = lab.client_home();
    let files = examples();
    for (name, body) in &files {
        std::fs::write(dir.join(name), body).unwrap();
    }
    let hosts = grouped(&lab);
    let books: Vec<&String> = files.iter().map(|(name, _)| name).filter(|name| is_yaml(name)).collect();
    assert!(books.len() >= 7, "{books:?}");
    for name in books {
        if name == "manner.yaml" && !root {
            lab.gsctl().hosts_file(&hosts).current_dir(&dir).args(["--dry-run", "play", name]).run().expect(0);
            continue;
        }
        let run = lab.gsctl().hosts_file(&hosts).current_dir(&dir).args(["play", name, "--json", "report.json"]).run();
        assert_eq!(run.status, 0, "{name}: {run:?}");
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.join("report.json")).unwrap()).unwrap();
        assert_eq!(report["hosts"].as_array().unwrap().len(), 3, "{name}");
    }
    for node in lab.nodes() {
        assert!(!node.exists("/tmp/in-maintenance"), "`cleanup: remove` takes the mark away");
        assert!(!node.exists("/tmp/hold") && !node.exists("/tmp/up"));
        let settings = format!("/tmp/settings-{}/app.conf", node.name());
        assert_eq!(node.text(settings), std::fs::read_to_string(dir.join("app.conf")).unwrap());
        let fetched = dir.join("fetched").join(node.name()).join("app.conf");
        assert!(std::fs::read_to_string(fetched).unwrap().ends_with("port = 5432\n"));
        assert_eq!(node.text("/tmp/note"), format!("on {} it is red\n", node.name()));
        if root {
            let limits = files.iter().find(|(name, _)| name == "limits.conf").map(|(_, body)| body.as_str());
            assert_eq!(Some(node.text("/run/limits.conf").as_str()), limits);
            assert_eq!(node.text("/run/greeting"), format!("hello {} from root in /etc 1 2 3\n", node.name()));
            assert!(node.text("/tmp/terminal").starts_with("/dev/pts/"));
        }
    }
}

fn is_yaml(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "yaml")
}

#[test]
fn a_state_that_is_refused_changes_nothing_anywhere() {
    let lab = Lab::start(3);
    let dir = lab.client_home();
    for (name, body) in examples() {
        std::fs::write(dir.join(name), body).unwrap();
    }
    for node in lab.nodes() {
        node.sh_as_user("touch /tmp/hold");
    }
    // The marker is there, and so is a process: that is `stopping`.
    lab.node(2).sh_as_user("sleep 1000 >/dev/null 2>&1 & echo $! > /tmp/pid");
    let run = lab.gsctl().current_dir(&dir).args(["play", "look.yaml"]).run();
    assert_eq!(run.status, 7, "{run:?}");
    assert!(run.stderr.contains("the service is still stopping"), "{run:?}");
    assert!(run.stderr.contains("hint: wait a moment"), "{run:?}");
    for node in lab.nodes() {
        assert!(node.exists("/tmp/hold"), "nothing was touched on {}", node.name());
    }
    lab.gsctl().current_dir(&dir).args(["play", "look.yaml", "--force"]).run().expect(0);
    assert!(lab.nodes().iter().all(|node| !node.exists("/tmp/hold")), "`--force` goes on");
}

/// Writes a playbook, runs it, and wants it rejected with all of these words, before anything is contacted.
#[track_caller]
fn rejected(lab: &Lab, text: &str, words: &[&str]) {
    let dir = lab.client_home();
    std::fs::write(dir.join("bad.yaml"), text).unwrap();
    let logins = lab.nodes().iter().map(|node| node.sshd_log().matches("Connection from").count()).sum::<usize>();
    let run = lab.gsctl().current_dir(&dir).args(["play", "bad.yaml"]).run();
    assert_eq!(run.status, 2, "{text}\n{run:?}");
    for word in words {
        assert!(run.stderr.contains(word), "`{word}` is not in:\n{}", run.stderr);
    }
    let after = lab.nodes().iter().map(|node| node.sshd_log().matches("Connection from").count()).sum::<usize>();
    assert_eq!(after, logins, "somebody was contacted: {text}");
}

#[test]
fn every_mistake_that_people_make_is_said_before_contact() {
    let lab = Lab::start(1);
    let step = "  - name: a\n    run: echo a\n";
    rejected(
        &lab,
        "name: x\nsteeps:\n  - name: a\n    run: b\n",
        &["playbook `bad.yaml`, line 2, column 1", "steeps", "hint: did you mean `steps`?"],
    );
    rejected(&lab, "steps:\n  - name: a\n    rum: echo\n", &["line 3, column 5", "rum", "hint:"]);
    rejected(&lab, "steps:\n  - name: a\n    run: echo {dirr}\n", &["line 3", "dirr", "hint:"]);
    rejected(
        &lab,
        &format!("steps:\n  - name: a\n    on: primery\n    run: x\n{}", step.replace("name: a", "name: b")),
        &["primery", "hint:"],
    );
    rejected(&lab, "steps: 7\n", &["line 1, column 8", "steps"]);
    rejected(&lab, "steps:\n  - name: a\n    run: echo\n    timeout: soon\n", &["line 4, column 14", "soon"]);
    rejected(&lab, "steps:\n\t- name: a\n\t  run: echo\n", &["line 2", "tab"]);
    rejected(&lab, "steps:\n  - name: a\n    run: echo\n    run: ls\n", &["line 4, column 5", "run"]);
    rejected(&lab, "", &["bad.yaml", "empty"]);
    rejected(&lab, "# only a comment\n", &["bad.yaml", "empty"]);
    rejected(&lab, "steps:\n  - name: again\n    play: bad.yaml\n", &["line 3", "bad.yaml"]);
    rejected(&lab, "steps:\n  - name: a\n    remove: /\n", &["line 3, column 13", "/"]);
    rejected(&lab, "steps:\n  - name: a\n    remove: /tmp\n    touch: /tmp\n", &["`remove` and `touch` in one step"]);
    rejected(&lab, "probes: { p: { script: gone.sh } }\nsteps:\n  - name: a\n    probe: p\n", &["gone.sh"]);
    rejected(&lab, "steps:\n  - name: a\n    wait: { chain: all }\n", &["line 3", "chain", "hint:"]);
    rejected(&lab, "steps:\n  - name: a\n    run: echo '{host}'\n", &["line 3", "quote"]);
    rejected(
        &lab,
        "vars: { d: { check: abs-path, default: tmp } }\nsteps:\n  - name: a\n    run: echo {d}\n",
        &["tmp"],
    );
    rejected(&lab, "steps: [\n", &["bad.yaml", "line"]);
    rejected(&lab, "\u{0}\u{1}binary", &["bad.yaml"]);
    let two = "steps:\n  - name: one\n    play: other.yaml\n";
    std::fs::write(lab.client_home().join("other.yaml"), "steps:\n  - name: back\n    play: bad.yaml\n").unwrap();
    rejected(&lab, two, &["other.yaml", "bad.yaml"]);

    let dir = lab.client_home();
    let run = lab.gsctl().current_dir(&dir).args(["play", "nowhere.yaml"]).run();
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.stderr.contains("nowhere.yaml"), "{run:?}");
    let run = lab.gsctl().current_dir(&dir).args(["play", "."]).run();
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.stderr.contains("directory"), "{run:?}");
    std::fs::write(dir.join("good.yaml"), "steps:\n  - name: a\n    run: echo a\n").unwrap();
    let run = lab.gsctl().current_dir(&dir).args(["play", "good.yaml", "--var", "colour=red"]).run();
    assert_eq!(run.status, 2, "a variable that the playbook does not have: {run:?}");
    std::fs::write(dir.join("crlf.yaml"), "\u{feff}steps:\r\n  - name: a\r\n    run: echo a\r\n").unwrap();
    let run = lab.gsctl().current_dir(&dir).args(["play", "crlf.yaml"]).run();
    assert_eq!(run.status, 0, "CRLF and a byte order mark are no mistakes: {run:?}");
}

#[test]
fn the_schema_is_printed_and_every_built_in_playbook_loads() {
    let lab = Lab::start(1);
    let run = lab.bare_gsctl().args(["play", "--schema"]).run().expect(0);
    let schema: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(schema["title"], "gsctl playbook");
    let run = lab.bare_gsctl().args(["play", "--list"]).run().expect(0);
    let listed = run.text();
    for line in listed.lines().skip(1) {
        let name = line.split_whitespace().next().unwrap();
        let shown = lab.bare_gsctl().args(["play", "--show", name]).run().expect(0);
        assert!(shown.text().contains(&format!("name: {name}")), "{name}");
    }
    assert!(listed.contains("opengauss/start"));
}
