//! Pushes to one place at the same time, and what one run leaves to the next: a part of a file has one writer.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::failures::{one, report};
use crate::files::{changes, noise};
use crate::lab::proxy::Proxy;
use crate::lab::{Lab, Node, wait};

/// A file of this machine with bytes of its own.
fn file(lab: &Lab, name: &str, count: usize) -> (PathBuf, Vec<u8>) {
    let path = lab.client_home().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut bytes = noise(count);
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    fs::write(&path, &bytes).unwrap();
    (path, bytes)
}

fn parts(node: &Node, dir: &Path) -> Vec<String> {
    let said = node.sh(&format!("cd {} && ls -A | grep '^.gsctl-'", dir.display())).stdout;
    String::from_utf8_lossy(&said).lines().map(str::to_owned).collect()
}

#[test]
fn names_of_one_node_and_runs_at_the_same_time_leave_a_whole_file() {
    let lab = Lab::one_sshd_many_hosts(3);
    let node = lab.node(1);
    let data = node.base().join("data");
    let target = data.join("app.bin");
    let (same, bytes) = file(&lab, "app.bin", 3_000_000);

    // One run, in which three names are one node.
    for _ in 0..3 {
        node.sh(&format!("rm -f {}", target.display()));
        let all = report(lab.gsctl().arg("push").arg(&same).arg(&target), 0);
        assert!(node.read(&target) == bytes);
        assert_eq!(parts(node, &data), [""; 0], "{all:#}");
    }

    // Runs of several accounts, as those of one would not be let at the node at the same time.
    let account = |number: usize| lab.gsctl().env("XDG_STATE_HOME", lab.client_home().join(format!("state-{number}")));
    // Three runs, each with content of its own.
    let others = ["a/app.bin", "b/app.bin", "c/app.bin"].map(|name| file(&lab, name, 2_000_000));
    for round in 0..4 {
        node.sh(&format!("rm -f {}", target.display()));
        let runs = [0, 1, 2].map(|number| {
            account(number).args(["-w", "node1"]).json().arg("push").arg(&others[number].0).arg(&target).spawn()
        });
        let runs = runs.map(super::gsctl::Running::wait);
        let there = node.read(&target);
        let whose = others.iter().position(|(_, bytes)| *bytes == there);
        assert!(whose.is_some(), "round {round}: {} bytes of nobody", there.len());
        for (run, (path, _)) in runs.iter().zip(&others) {
            // Whoever was replaced before it could look says so.
            if run.status == 5 {
                assert!(run.text().contains("another writer has replaced it"), "{run}");
            } else {
                assert_eq!(run.status, 0, "{}\n{run}", path.display());
            }
        }
        assert!(runs.iter().any(|run| run.status == 0));
        assert_eq!(parts(node, &data), [""; 0]);
    }

    // Three runs of the same file: it is made once, and that is all that has to be done.
    for _ in 0..3 {
        node.sh(&format!("rm -f {}", target.display()));
        let runs = [0, 1, 2]
            .map(|number| account(number).args(["-w", "node1"]).json().arg("push").arg(&same).arg(&target).spawn());
        let runs = runs.map(super::gsctl::Running::wait);
        assert!(node.read(&target) == bytes);
        for run in runs {
            let host = run.clone().expect(0).json()["hosts"][0].clone();
            let said = changes(&host);
            assert!(["created", "same", "written"].iter().any(|word| said[0].starts_with(word)), "{host:#}");
        }
        assert_eq!(parts(node, &data), [""; 0]);
    }
}

#[test]
fn what_an_ended_run_left_is_taken_over_and_nothing_of_one_that_lives() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let data = node.base().join("data");
    let target = data.join("big");
    let (path, bytes) = file(&lab, "big", 24_000_000);
    let len = bytes.len() as u64;
    let size = |name: &str| node.read(data.join(name)).len() as u64;

    // The connection stands still after some megabytes; the run waits.
    let proxy = Proxy::to(node.address()).hang_after_bytes(25_000).first(1).start();
    lab.trust("slow", proxy.address(), node);
    let hosts = lab.write_hosts_file(&lab.hosts_line("slow", proxy.address()));
    let waiting = lab.gsctl().hosts_file(&hosts).arg("push").arg(&path).arg(&target).spawn();
    wait::until("it stands still", || {
        proxy.connections() == 1 && parts(node, &data).iter().any(|part| size(part) > 1_000_000)
    });
    let theirs = parts(node, &data);
    // Another run does not touch what is the first one's, and sends everything.
    let other = lab.client_home().join("other");
    let host = one(lab.gsctl().env("XDG_STATE_HOME", &other).arg("push").arg(&path).arg(&target), 0);
    assert_eq!(host["steps"][0]["bytes"], len, "{host:#}");
    assert_eq!(parts(node, &data), theirs);
    assert!(node.read(&target) == bytes);

    // Once that is gone, however it went, its part is taken over.
    waiting.signal(Signal::KILL);
    drop(waiting.wait());
    drop(proxy);
    wait::until("the server has let go of it", || node.sessions().is_empty());
    let have = size(&theirs[0]);
    node.remove(&target);
    // A journal that does not know the run has nothing to say about its part.
    let stranger = lab.client_home().join("stranger");
    let host = one(lab.gsctl().env("XDG_STATE_HOME", &stranger).arg("push").arg(&path).arg(&target), 0);
    assert_eq!(host["steps"][0]["bytes"], len, "{host:#}");
    assert_eq!(parts(node, &data), theirs);
    node.remove(&target);
    let host = one(lab.gsctl().arg("push").arg(&path).arg(&target), 0);
    assert_eq!(host["steps"][0]["bytes"], len - have, "{host:#}");
    assert!(node.read(&target) == bytes);
    assert_eq!(parts(node, &data), [""; 0]);
}

#[test]
fn links_to_directories_are_followed_as_destinations_and_replaced_as_files() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let data = node.base().join("data");
    let (path, bytes) = file(&lab, "app.conf", 1000);
    node.sh_as_user(&format!(
        "cd {} && mkdir real elsewhere && ln -s real link && ln -s ../elsewhere real/app.conf",
        data.display()
    ));
    let link = data.join("link");

    // A destination that is a link to a directory means into it; in the file's own place a link is replaced.
    for dest in [link.display().to_string(), format!("{}/", link.display())] {
        node.sh_as_user(&format!("cd {}/real && rm -f app.conf && ln -s ../elsewhere app.conf", data.display()));
        let host = one(lab.gsctl().arg("push").arg(&path).arg(&dest), 0);
        let place = format!("{}/app.conf", dest.trim_end_matches('/'));
        assert_eq!(changes(&host), [format!("written {place}")]);
        let kind =
            node.sh(&format!("cd {} && stat -c %F real/app.conf link && ls -A elsewhere", data.display())).stdout;
        assert_eq!(String::from_utf8_lossy(&kind), "regular file\nsymbolic link\n");
        assert!(node.read(data.join("real/app.conf")) == bytes);
    }
    // A link to nowhere is no destination to go into.
    node.sh_as_user(&format!("cd {} && ln -s /no/such/place dangling", data.display()));
    one(lab.gsctl().arg("push").arg(&path).arg(data.join("dangling")), 0);
    assert!(node.read(data.join("dangling")) == bytes);
    assert_eq!(parts(node, &data), [""; 0]);
}
