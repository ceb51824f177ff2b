//! `touch`, `rm` and `check`: what they say, and what is on the nodes' disks.

use serde_json::Value;

use crate::gsctl::Run;
use crate::lab::Lab;

/// `ACTION PATH` of each path on each host.
fn changes(run: &Run) -> Vec<(String, String)> {
    let json = run.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let hosts = json["hosts"].as_array().unwrap().iter();
    let changes = hosts.flat_map(|host| host["steps"][0]["changes"].as_array().cloned().unwrap_or_default());
    changes.map(|change| (text(&change["action"]), text(&change["path"]))).collect()
}

#[track_caller]
fn all(run: &Run, want: &[(&str, &str)]) {
    let got = changes(run);
    let want: Vec<_> = want.iter().map(|(action, path)| ((*action).to_owned(), (*path).to_owned())).collect();
    assert_eq!(got, want, "{run}");
}

#[test]
fn touch_and_rm_tell_the_truth_about_the_disk() {
    let lab = Lab::start(2);
    let bin = lab.node(1).gausshome().join("bin");
    for node in lab.nodes() {
        node.mkdir("app/bin");
    }
    let path = |name: &str| bin.join(name).display().to_string();
    let json = || lab.gsctl().args(["--json", "-"]);
    crate::lab::need_root();
    let marker = path("cluster manual 'start'");

    // Created on one, present on the other; the second run changes nothing.
    lab.node(2).write(&marker, "kept");
    let run = json().args(["touch", &marker]).run().expect(0);
    all(&run, &[("created", &marker), ("present", &marker)]);
    assert_eq!((&run.json()["counts"]["changed"], &run.json()["counts"]["ok"]), (&1.into(), &1.into()), "{run}");
    assert!(lab.node(1).exists(&marker));
    assert_eq!(lab.node(2).text(&marker), "kept");
    let run = json().args(["touch", &marker]).run().expect(0);
    assert_eq!(run.json()["counts"]["changed"], 0, "{run}");

    // Removed and verified; then absent.
    let run = json().args(["rm", &marker]).run().expect(0);
    all(&run, &[("removed", &marker), ("removed", &marker)]);
    assert!(!lab.node(1).exists(&marker) && !lab.node(2).exists(&marker));
    let run = json().args(["rm", &marker]).run().expect(0);
    all(&run, &[("absent", &marker), ("absent", &marker)]);
    assert_eq!(run.json()["counts"]["changed"], 0, "{run}");

    // A pattern in the last component; a dangling link is something too, and a folder is not taken.
    for name in ["instance_manual_start_6001", "instance_manual_start_6002", "other"] {
        lab.node(1).write(path(name), "");
    }
    lab.node(1).mkdir(path("instance_manual_start_dir"));
    std::os::unix::fs::symlink("/nonexistent", lab.node(1).outside(path("instance_manual_start_link"))).unwrap();
    let pattern = path("instance_manual_start_*");
    let run = json().args(["-w", "node1", "rm", &pattern]).run().expect(5);
    let mut got = changes(&run);
    got.sort();
    let want = [
        ("failed", "instance_manual_start_dir"),
        ("removed", "instance_manual_start_6001"),
        ("removed", "instance_manual_start_6002"),
        ("removed", "instance_manual_start_link"),
    ];
    assert_eq!(got, want.map(|(action, name)| (action.to_owned(), path(name))), "{run}");
    assert!(lab.node(1).exists(path("other")) && lab.node(1).exists(path("instance_manual_start_dir")));
    assert!(!lab.node(1).exists(path("instance_manual_start_link")));
    let run = json().args(["-w", "node2", "rm", &pattern]).run().expect(0);
    all(&run, &[("absent", &pattern)]);

    // Denied where the user may not; what can be done is done all the same, and the hint names the reason.
    lab.node(1).write("root/theirs", "");
    lab.node(1)
        .sh(&format!("chown root:root {0}/root {0}/root/theirs; chmod 755 {0}/root", lab.node(1).base().display()));
    let theirs = lab.node(1).base().join("root/theirs").display().to_string();
    let mine = path("mine");
    lab.node(1).write(&mine, "");
    let run = json().args(["-w", "node1", "rm", &theirs, &mine]).run().expect(5);
    all(&run, &[("denied", &theirs), ("removed", &mine)]);
    assert!(lab.node(1).exists("root/theirs"));
    assert!(run.json()["hosts"][0]["hint"].as_str().unwrap().contains("may the login user"), "{run}");
    let new = lab.node(1).base().join("root/new").display().to_string();
    let run = json().args(["-w", "node1", "touch", &new]).run().expect(5);
    all(&run, &[("denied", &new)]);
    let run = json().args(["-w", "node1", "touch", "/tmp/no/such/folder"]).run().expect(5);
    all(&run, &[("failed", "/tmp/no/such/folder")]);
    assert!(run.json()["hosts"][0]["error"].as_str().unwrap().starts_with("failed: /tmp/no/such/folder: "), "{run}");

    // In words, for people.
    let run = lab.gsctl().args(["-w", "node1", "touch", &mine]).run().expect(0);
    assert_eq!(run.text(), format!("node1  created  {mine}\n"));
    let run = lab.gsctl().args(["-w", "node1", "rm", &mine]).run().expect(0);
    assert_eq!(run.text(), format!("node1  removed  {mine}\n"));
}

#[test]
fn what_is_never_removed() {
    let lab = Lab::start(1);
    let logins = || lab.node(1).sshd_log().matches("Connection from").count();
    let before = logins();
    for (path, said) in [
        ("/", "is the root directory"),
        ("//", ""),
        ("/tmp/", "ends with a slash"),
        ("/tmp/../etc/passwd", "goes up with `..`"),
        ("/tmp/x/..", ".."),
        ("/t*/x", "has a pattern above its last component"),
        ("/tmp/[ab]/x", "has a pattern above its last component"),
        ("", ""),
    ] {
        let run = lab.gsctl().args(["rm", path]).run().expect(2);
        assert!(run.stderr.contains(said), "`{said}` is missing\n{run}");
    }
    assert_eq!(logins(), before, "somebody was contacted");
    lab.node(1).mkdir("app/folder");
    let folder = lab.node(1).gausshome().join("folder").display().to_string();
    let run = lab.gsctl().args(["rm", &folder]).run().expect(5);
    assert!(run.text().contains("failed") && run.text().contains("is a directory"), "{run}");
    assert!(!run.stderr.contains("may the login user"), "it is not about permissions\n{run}");
    assert!(lab.node(1).exists("app/folder"));
}

#[test]
fn check_looks_at_what_is_named() {
    let lab = Lab::start(2);
    let port = lab.port().to_string();
    lab.node(1).write("app/here", "");
    lab.node(2).write("app/here", "");
    let here = lab.node(1).gausshome().join("here").display().to_string();
    for node in lab.nodes() {
        node.sh_as_user("sleep 1000 >/dev/null 2>&1 &");
    }
    for (arguments, status, said) in [
        (&["--process", "sshd"][..], 0, ""),
        (&["--process", "sshd", "--command", "true", "--file", "/etc/passwd", "--port", &port], 0, ""),
        (&["--process", "no_such_process"], 5, "no_such_process"),
        (&["--process", "sleep=/nonexistent/sleep"], 5, "runs from /"),
        (&["--command", "exit 3"], 5, "exit 3"),
        (&["--port", "1"], 5, "port 1"),
        (&["--file", "/nonexistent"], 5, "/nonexistent"),
        (&["--file", "/etc/passwd", "--command", "false"], 5, "false"),
    ] {
        let run = lab.gsctl().arg("check").args(arguments).run().expect(status);
        assert!(run.text().contains(said) || run.stderr.contains(said), "`{said}` is missing\n{run}");
    }
    if lab.is_private() {
        lab.gsctl().args(["check", "--file", &here]).run().expect(0);
        lab.node(2).remove("app/here");
        let run = lab.gsctl().args(["--json", "-", "check", "--file", &here]).run().expect(5);
        assert_eq!((&run.json()["counts"]["ok"], &run.json()["counts"]["failed"]), (&1.into(), &1.into()), "{run}");
    }
    if lab.is_private() {
        // Others' processes can't be seen there, which does not make them absent.
        lab.node(2).sh("mount -o remount,hidepid=2 /proc");
        let run = lab.gsctl().args(["--json", "-", "check", "--process", "init_of_the_node"]).run().expect(5);
        let said = |host: usize| run.json()["hosts"][host]["error"].as_str().unwrap_or_default().to_owned();
        assert_eq!(said(0), "no process named init_of_the_node", "{run}");
        assert!(said(1).contains("others' are hidden on this node (hidepid)"), "{run}");
        // What it can see it does.
        lab.gsctl().args(["check", "--process", "sleep"]).run().expect(0);
    }
    for wrong in [&["--port", "0"][..], &["--process", "="], &["--process", "x=relative"]] {
        lab.gsctl().arg("check").args(wrong).run().expect(2);
    }
}
