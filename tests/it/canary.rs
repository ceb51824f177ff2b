//! `--canary` and the questions before many hosts are touched, answered on a terminal of their own.

use std::process::{Command, Stdio};

use crate::gsctl::Gsctl;
use crate::lab::Lab;

/// Three nodes, each of which says what it is and fails where there is a file.
const LOOK: &str = "touch /tmp/was-here; test ! -e /tmp/broken";

fn visited(lab: &Lab) -> Vec<bool> {
    (1..=3).map(|number| lab.node(number).sh_as_user("rm /tmp/was-here").status.success()).collect()
}

/// Runs it on a terminal at which somebody types this.
fn typed(lab: &Lab, arguments: &str, answer: &str) -> (i32, String) {
    let line = format!(
        "{} -f {} -i {} -o UserKnownHostsFile={} {arguments}",
        env!("CARGO_BIN_EXE_gsctl"),
        lab.hosts_file().display(),
        lab.key().display(),
        lab.known_hosts().display()
    );
    let mut script = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("HOME", lab.client_home())
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(script.stdin.as_mut().unwrap(), answer.as_bytes()).unwrap();
    let said = script.wait_with_output().unwrap();
    (said.status.code().unwrap(), String::from_utf8_lossy(&said.stdout).into_owned())
}

#[test]
fn the_others_follow_only_where_the_first_are_fine() {
    let lab = Lab::start(3);
    let first = |more: &[&str]| lab.gsctl().args(["--canary", "1", "--json", "-"]).args(more).args(["exec", LOOK]);
    let run = first(&["--yes"]).run().expect(0);
    assert_eq!(run.json()["counts"]["ok"], 3, "{run}");
    assert_eq!(visited(&lab), [true, true, true]);

    lab.node(1).sh("touch /tmp/broken");
    let run = first(&["--yes"]).run().expect(5);
    assert!(run.stderr.contains("1 of 1 canaries failed: the other 2 hosts were left alone"), "{run}");
    assert_eq!(run.json()["counts"]["cancelled"], 2, "{run}");
    assert_eq!(visited(&lab), [true, false, false]);
    lab.node(1).sh("rm /tmp/broken");

    // Nobody to ask is said before anything is contacted; so is a playbook about a whole cluster.
    let run = Gsctl::at_home(&lab.client_home()).args(["-w", "nowhere", "--canary", "1", "start"]).run().expect(2);
    assert!(run.stderr.contains("`--canary` has no meaning for `opengauss/start`"), "{run}");
    assert!(run.stderr.contains("gsctl play PLAYBOOK --canary N"), "{run}");

    let (status, said) = typed(&lab, &format!("--canary 1 exec '{LOOK}'"), "y\n");
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("1 of 3 hosts are done, go on with the other 2? [y/N]"), "{said}");
    assert_eq!(visited(&lab), [true, true, true]);
    let (status, said) = typed(&lab, &format!("--canary 1 exec '{LOOK}'"), "n\n");
    assert_eq!(status, 130, "{said}");
    assert_eq!(visited(&lab), [true, false, false]);
}

#[test]
fn rm_on_many_hosts_asks_on_a_terminal() {
    let lab = Lab::start(3);
    let mark = || (1..=3).for_each(|number| drop(lab.node(number).sh_as_user("touch /tmp/marker")));
    let left = || (1..=3).filter(|&number| lab.node(number).sh("test -e /tmp/marker").status.success()).count();
    mark();
    let (status, said) = typed(&lab, "rm --confirm-above 2 /tmp/marker", "n\n");
    assert_eq!((status, left()), (130, 3), "{said}");
    assert!(said.contains("remove /tmp/marker on 3 hosts, node[1-3]? [y/N]"), "{said}");
    let (status, said) = typed(&lab, "rm --confirm-above 2 /tmp/marker", "yes\n");
    assert_eq!((status, left()), (0, 0), "{said}");
    mark();
    let (status, said) = typed(&lab, "--yes rm --confirm-above 2 /tmp/marker", "");
    assert_eq!((status, left()), (0, 0), "{said}");
    assert!(!said.contains("[y/N]"), "{said}");
    // Without a terminal nobody is asked: scripts go on as they were written.
    mark();
    lab.gsctl().args(["rm", "--confirm-above", "2", "/tmp/marker"]).run().expect(0);
    assert_eq!(left(), 0);
}
