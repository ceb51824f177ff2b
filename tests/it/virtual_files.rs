//! `pull` of files that are not what their size says: without one, growing, shrinking, with holes, without an end; and what a
//! pattern matches.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use serde_json::Value;

use crate::failures::{one, says};
use crate::files::{changes, noise};
use crate::lab::{Lab, wait};

fn note<'a>(host: &'a Value, path: &str) -> &'a str {
    let changes = host["steps"][0]["changes"].as_array().unwrap();
    let found = changes.iter().find(|one| one["path"].as_str().unwrap().ends_with(path));
    found.unwrap_or_else(|| panic!("nothing about {path}: {host:#}"))["note"].as_str().unwrap_or_default()
}

#[test]
fn files_without_a_size_are_read_to_their_end() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let out = lab.client_home().join("out/node1");
    node.sh_as_user("ln -s /proc/cpuinfo \"$HOME/cpus\"; : >\"$HOME/empty\"");
    let sys = "/sys/kernel/mm/transparent_hugepage/enabled";
    let sources = ["/proc/meminfo", "cpus", sys, "empty"];
    let host = one(lab.gsctl().arg("pull").args(sources).arg("out"), 0);
    let meminfo = fs::read_to_string(out.join("meminfo")).unwrap();
    assert!(meminfo.contains("MemTotal:") && meminfo.ends_with('\n'), "{meminfo}");
    assert_eq!(fs::read(out.join("cpus")).unwrap(), fs::read("/proc/cpuinfo").unwrap());
    assert_eq!(fs::read(out.join("enabled")).unwrap(), fs::read(sys).unwrap());
    assert_eq!(fs::read(out.join("empty")).unwrap(), b"");
    for name in ["meminfo", "cpus", "enabled"] {
        assert!(note(&host, name).contains("without a checksum"), "{host:#}");
    }
    assert_eq!(note(&host, "empty"), "");
    // On a terminal it is said, too.
    let run = lab.gsctl().args(["pull", "/proc/version", "out"]).run().expect(0);
    assert!(run.text().contains("created") && run.text().contains("without a checksum"), "{run}");
    // Again: the same, where it is the same.
    let host = one(lab.gsctl().arg("pull").args([sys, "empty"]).arg("out"), 0);
    assert_eq!(host["outcome"], "ok", "{host:#}");
    assert_eq!(
        fs::read_dir(&out)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".gsctl"))
            .count(),
        0
    );
}

#[test]
fn what_shrinks_is_said_to_and_what_has_holes_keeps_them() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let data = node.base().join("data");
    let at = |name: &str| data.join(name).display().to_string();
    let out = lab.client_home().join("out/node1");

    // Whenever it is looked at it is long, and it is short before it was read.
    node.write(at("shrinks"), "");
    node.sh(&format!(
        "(while [ -e {0} ]; do truncate -s 60000000 {0}; truncate -s 10 {0}; done) </dev/null >/dev/null 2>&1 &",
        at("shrinks")
    ));
    let pull = || lab.gsctl().json().arg("pull").arg(at("shrinks")).arg("out").run();
    let unknown = format!("failed: {}: unknown error", at("shrinks"));
    let mut run = pull();
    // In another moment libssh2 is answered for another place than it asked for, and knows no error for that.
    wait::until("it shrinks in the right moment", || {
        let is_right = run.status == 5 && run.json()["hosts"][0]["error"] != *unknown;
        if !is_right {
            run = pull();
        }
        is_right
    });
    let host = run.json()["hosts"][0].clone();
    says(&host, "failed", "command", "while it was read, twice");
    assert!(host["error"].as_str().unwrap().starts_with("failed: "), "{host:#}");
    node.remove(at("shrinks"));

    // 200 MB of which little is there.
    let some = noise(100_000);
    node.write(at("some"), &some);
    node.sh(&format!("cd {} && truncate -s 100M holes && cat some >>holes && truncate -s 200M holes", data.display()));
    one(lab.gsctl().arg("pull").arg(at("holes")).arg("out"), 0);
    let known = fs::metadata(out.join("holes")).unwrap();
    assert_eq!(known.len(), 200 << 20);
    assert!(known.blocks() * 512 < 10 << 20, "{} bytes on the disk", known.blocks() * 512);
    let whole = fs::read(out.join("holes")).unwrap();
    assert!(whole[100 << 20..][..some.len()] == some && whole[..100 << 20].iter().all(|&byte| byte == 0));
}

#[test]
fn patterns_are_spread_on_each_node() {
    let lab = Lab::start(2);
    let base = lab.node(1).base().join("data");
    let at = |path: &str| base.join(path).display().to_string();
    for node in lab.nodes() {
        for name in ["a/one.log", "a/two.log", "a/other", "b/three.log", "a/new\nline.log", "a/[x].log"] {
            node.write(at(name), name);
        }
        node.write(at(&format!("a/only-{}.log", node.name())), "own");
    }
    let out = lab.client_home().join("out");
    let names = |node: &str| {
        let entries = fs::read_dir(out.join(node)).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    lab.gsctl().arg("pull").args([at("?/*.log"), at("b")]).arg("out").run().expect(0);
    for node in ["node1", "node2"] {
        let own = format!("only-{node}.log");
        assert_eq!(names(node), ["[x].log", "b", "new\nline.log", "one.log", &own, "three.log", "two.log"]);
        assert_eq!(fs::read_to_string(out.join(node).join("new\nline.log")).unwrap(), "a/new\nline.log");
    }
    let pull = |pattern: &str, status| one(lab.gsctl().args(["-w", "node1", "pull", pattern, "out"]), status);
    // A name that looks like a pattern and matches nothing is itself.
    assert_eq!(changes(&pull(&at("a/[x].log"), 0)).len(), 1);
    says(&pull(&at("a/*.txt"), 5), "failed", "command", "nothing there matches the pattern");
    let host = pull(&at("none/*.log"), 5);
    says(&host, "failed", "command", "No such file or directory");
    assert!(host["error"].as_str().unwrap().starts_with("failed: "), "{host:#}");
    if lab.user() != "root" {
        lab.node(1).chmod(at("b"), 0);
        let host = pull(&at("b/*"), 5);
        says(&host, "failed", "command", "denied: ");
        assert!(host.to_string().contains("may not list"), "{host:#}");
    }
    // Two that would have one name.
    for node in lab.nodes() {
        node.write(at("c/one.log"), "another");
    }
    let host = pull(&at("[ac]/one.log"), 5);
    says(&host, "failed", "command", "would be called `one.log` here");
}
