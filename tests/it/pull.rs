//! `gsctl pull`: what is on this machine's disk afterwards, to the byte, and what is not.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failures::{host, one, report, says};
use crate::files::{changes, noise};
use crate::lab::proxy::Proxy;
use crate::lab::{Lab, Node, wait};

/// Mode and time of a file or directory.
fn labels(path: &Path) -> (u32, i64) {
    let known = fs::symlink_metadata(path).unwrap();
    (known.permissions().mode() & 0o7777, known.mtime())
}

/// Every path under a directory, without it.
fn tree(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            found.push(entry.path().strip_prefix(dir).unwrap().display().to_string());
            if entry.file_type().unwrap().is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

fn file(node: &Node, path: &str, bytes: impl AsRef<[u8]>, mode: u32) {
    node.write(path, bytes);
    node.chmod(path, mode);
    assert!(node.sh(&format!("touch -d @1000000000 '{path}'")).status.success());
}

fn note(host: &Value, path: &str) -> String {
    let changes = host["steps"][0]["changes"].as_array().unwrap();
    let found = changes.iter().find(|one| one["path"].as_str().unwrap().ends_with(path));
    found.unwrap_or_else(|| panic!("nothing about {path}: {host:#}"))["note"].to_string()
}

#[test]
fn files_come_whole_with_mode_and_time() {
    let lab = Lab::start(2);
    let base = lab.node(1).base().join("data").display().to_string();
    let big = noise(3_000_000);
    let names = ["-rf", "a b", "it's", "new\nline", "$HOME", "*", "back\\slash", "esc\u{1b}[31m", "\u{e9}"];
    for (number, node) in lab.nodes().iter().enumerate() {
        let base = node.base().join("data").display().to_string();
        file(node, &format!("{base}/big"), &big, 0o640);
        file(node, &format!("{base}/tree/who"), format!("node{}", number + 1), 0o600);
        file(node, &format!("{base}/tree/none"), "", 0o400);
        for name in names {
            node.write(format!("{base}/tree/d/{name}"), name);
        }
        node.sh(&format!("cd {base}/tree && ln -s d/who link; ln -sf ../big followed; mkdir empty; chmod 555 d"));
        node.sh(&format!("cd {base}/tree && rm link; touch -d @1100000000 d"));
        // Where a relative path begins.
        node.sh_as_user("printf home >\"$HOME/relative\"");
    }
    let out = lab.client_home().join("out");
    let at = |path: &str| out.join(path);
    // The nodes of a lab keep their files apart only where they are private.
    let source = |node: &Node| node.base().join("data").display().to_string();
    let [one, two] = [1, 2].map(|number| source(lab.node(number)));
    let pull = |node: &str, arguments: &[&str], status| {
        let all = report(lab.gsctl().args(["-w", node, "pull"]).args(arguments), status);
        host(&all, node)
    };
    let tree_of = |base: &str| format!("{base}/tree/");
    let all = pull("node1", &[&tree_of(&one), &format!("{one}/big"), "relative", "out"], 0);
    assert_eq!(all["outcome"], "changed");
    assert_eq!(all["steps"][0]["bytes"], 2 * 3_000_000 + 5 + 4 + names.iter().map(|name| name.len()).sum::<usize>());
    pull("node2", &[&tree_of(&two), &format!("{two}/big"), "out"], 0);
    assert!(fs::read(at("node1/big")).unwrap() == big && fs::read(at("node1/tree/followed")).unwrap() == big);
    assert_eq!(labels(&at("node1/big")), (0o640, 1_000_000_000));
    assert_eq!(labels(&at("node1/tree/none")), (0o400, 1_000_000_000));
    // We must be able to come back to a directory.
    assert_eq!(labels(&at("node1/tree/d")), (0o755, 1_100_000_000));
    for name in names {
        assert_eq!(fs::read_to_string(at("node1/tree/d").join(name)).unwrap(), name);
    }
    assert_eq!(fs::read_to_string(at("node1/relative")).unwrap(), "home");
    assert_eq!(fs::read_to_string(at("node1/tree/who")).unwrap(), "node1");
    assert_eq!(fs::read_to_string(at("node2/tree/who")).unwrap(), "node2");
    assert_eq!(tree(&out).len(), 2 * (1 + 1 + 1 + 5 + names.len()) + 1, "{:?}", tree(&out));

    // Again: the same file, not another one with the same content.
    let before = fs::metadata(at("node1/big")).unwrap().ino();
    let again = pull("node1", &[&tree_of(&one), &format!("{one}/big"), "out"], 0);
    assert_eq!((&again["outcome"], &again["steps"][0]["bytes"]), (&"ok".into(), &Value::Null), "{again:#}");
    assert_eq!(fs::metadata(at("node1/big")).unwrap().ino(), before);
    // Only mode and time are other ones; then other content of the same size and time, and a link in its place.
    fs::set_permissions(at("node1/big"), fs::Permissions::from_mode(0o666)).unwrap();
    let again = pull("node1", &[&format!("{one}/big"), "out"], 0);
    assert_eq!(changes(&again), [format!("written {}", "out/node1/big")]);
    assert_eq!(
        (labels(&at("node1/big")), fs::metadata(at("node1/big")).unwrap().ino()),
        ((0o640, 1_000_000_000), before)
    );
    let mut other = big.clone();
    other[2_999_999] ^= 1;
    file(lab.node(1), &format!("{one}/big"), &other, 0o640);
    pull("node1", &[&format!("{one}/big"), "out"], 0);
    assert!(fs::read(at("node1/big")).unwrap() == other);
    let aside = lab.client_home().join("aside");
    fs::write(&aside, "untouched").unwrap();
    fs::remove_file(at("node1/big")).unwrap();
    symlink(&aside, at("node1/big")).unwrap();
    pull("node1", &[&format!("{one}/big"), "out"], 0);
    assert!(fs::read(at("node1/big")).unwrap() == other && fs::read_to_string(&aside).unwrap() == "untouched");

    // The host's name in the destination, and what cannot be copied beside what can.
    pull("node1", &[&format!("{one}/big"), "logs/{host}-x/sub"], 0);
    assert!(fs::read(lab.client_home().join("logs/node1-x/sub/big")).unwrap() == other);
    let data = base;
    lab.node(1).sh(&format!(
        "cd {data} && mkdir odd odd/sub && mkfifo odd/pipe && ln -s /etc odd/etc && ln -s /no/where odd/dangling && \
         printf ok >odd/sub/fine && printf secret >odd/secret && chmod 000 odd/secret && printf x >\"odd/$(printf 'x\\377')\""
    ));
    let odd = pull("node1", &[&format!("{one}/odd"), &format!("{one}/missing"), "out"], 5);
    says(&odd, "failed", "command", "is neither a file nor a directory");
    assert!(note(&odd, "odd/etc").contains("link to a directory") && note(&odd, "missing").contains("no such file"));
    assert!(note(&odd, "odd/dangling").contains("link to something else") && odd.to_string().contains("not UTF-8"));
    assert_eq!(fs::read_to_string(at("node1/odd/sub/fine")).unwrap(), "ok");
    if lab.user() != "root" {
        assert!(note(&odd, "odd/secret").contains("permission denied"), "{odd:#}");
        assert_eq!(tree(&at("node1/odd")), ["sub", "sub/fine"]);
    }
}

#[test]
fn a_copy_that_is_cut_off_goes_on() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let source = node.base().join("big").display().to_string();
    let big = noise(24_000_000);
    file(node, &source, &big, 0o600);
    let out = lab.client_home().join("out/cut");
    let target = out.join("big");
    let part = || -> Option<PathBuf> {
        let mut entries = fs::read_dir(&out).ok()?.map(|entry| entry.unwrap().path());
        entries.find(|path| path.file_name().unwrap().to_string_lossy().starts_with(".gsctl-"))
    };
    let through = |faults: usize| {
        let proxy = Proxy::to(node.address()).reset_after_bytes(6_000_000).first(faults).start();
        lab.trust("cut", proxy.address(), node);
        let hosts = lab.write_hosts_file(&lab.hosts_line("cut", proxy.address()));
        (proxy, hosts)
    };
    let run = |hosts: &Path, attempts: &str, status| {
        let gsctl = lab.gsctl().hosts_file(hosts).args(["--connect-attempts", attempts, "pull"]);
        one(gsctl.arg(&source).arg("out"), status)
    };
    let (proxy, hosts) = through(1);
    let first = run(&hosts, "1", 4);
    says(&first, "unreachable", "lost", "connection lost during the copy");
    assert!(!target.exists(), "half a file has the name of a whole one");
    let have = fs::metadata(part().unwrap()).unwrap().len();
    assert!(have > 1_000_000 && have < 6_000_000, "{have}");
    let second = run(&hosts, "1", 0);
    assert_eq!(second["steps"][0]["bytes"], 24_000_000 - have);
    assert!(fs::read(&target).unwrap() == big && part().is_none());
    drop(proxy);

    // In one go, with the attempts that a login has.
    fs::remove_file(&target).unwrap();
    let (proxy, hosts) = through(2);
    let host = run(&hosts, "3", 0);
    assert!(fs::read(&target).unwrap() == big && proxy.connections() == 3, "{}", proxy.connections());
    assert!(host["steps"][0]["bytes"].as_u64().unwrap() >= 24_000_000, "{host:#}");
    drop(proxy);

    // A part that is not what it says is found out, and the file received again.
    fs::remove_file(&target).unwrap();
    let (_proxy, hosts) = through(1);
    run(&hosts, "1", 4);
    let path = part().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[7] ^= 1;
    fs::write(&path, bytes).unwrap();
    run(&hosts, "1", 0);
    assert!(fs::read(&target).unwrap() == big && part().is_none());

    // A log that is written to all the time is copied as it was at the beginning.
    let log = node.base().join("app.log").display().to_string();
    let begin = noise(1_000_000);
    node.write(&log, &begin);
    node.sh(&format!("(while [ -e {log} ]; do echo more >>{log}; sleep 0.002; done) </dev/null >/dev/null 2>&1 &"));
    wait::until("the log grows", || node.read(&log).len() > begin.len());
    one(lab.gsctl().arg("pull").arg(&log).arg("logs"), 0);
    let copied = fs::read(lab.client_home().join("logs/node1/app.log")).unwrap();
    assert!(copied.starts_with(&begin) && copied.len() > begin.len() && node.read(&log).starts_with(&copied));
    node.remove(&log);
}

#[test]
fn a_node_cannot_write_outside_of_its_directory() {
    let lab = Lab::builder().sshd_config("Subsystem sftp perl hostile.pl\n").start();
    let node = lab.node(1);
    crate::lab::need_root();
    node.write(node.account().home.join("hostile.pl"), include_str!("hostile_sftp.pl"));
    let out = lab.client_home().join("out");
    let host = one(lab.gsctl().args(["pull", "/srv/tree", "out"]), 5);
    says(&host, "failed", "command", "the node says that this is the name of a file");
    assert!(note(&host, "short").contains("it became shorter while it was read, twice"), "{host:#}");
    assert!(host.to_string().contains("not UTF-8"), "{host:#}");
    let tree_dir = out.join("node1/tree");
    assert_eq!(tree(&tree_dir), ["esc\u{1b}[31m\nape", "good", "setuid"]);
    assert_eq!(fs::read_to_string(tree_dir.join("good")).unwrap(), "evil");
    assert_eq!(labels(&tree_dir.join("setuid")).0, 0o777, "a node made a program setuid");
    assert!(!lab.client_home().join("escaped").exists() && !out.join("escaped").exists());
    assert!(!Path::new("/tmp/gsctl-escaped").exists());
    // A tree without an end, and a file without one: this machine's time and disk are not theirs.
    let host = one(lab.gsctl().args(["pull", "/srv/loop", "out"]), 5);
    says(&host, "failed", "command", "more than 100 directories in each other");
    let disk = lab.client_home().join("disk");
    fs::create_dir(&disk).unwrap();
    let full = lab.gsctl().with_small_disk(&disk, 1024).args(["pull", "/srv/tree/endless", "disk"]);
    let host = one(full, 5);
    says(&host, "failed", "local", "stopped before the disk was full: ");
    assert!(host["hint"].as_str().unwrap().contains("make room here"), "{host:#}");
}

#[test]
fn what_cannot_be_copied_is_said_before_contact() {
    let lab = Lab::start(2);
    let contacts =
        || -> usize { lab.nodes().iter().map(|node| node.sshd_log().matches("Connection from").count()).sum() };
    let before = contacts();
    let home = lab.client_home();
    fs::write(home.join("file"), "").unwrap();
    for (sources, dest, said) in [
        (&["/etc/hosts"][..], "file", "`file` is no directory"),
        (&["/etc/hosts"], "file/sub", "`file` is no directory"),
        (&["/etc/hosts"], "out/{hots}", "no `{hots}`"),
        (&["/etc/hosts"], "", "empty"),
        (&["/etc/hosts", "/x/hosts"], "out", "two sources are called `hosts`"),
        (&["/"], "out", "no name"),
        (&["~/x"], "out", "`~` is not expanded"),
    ] {
        let run = lab.gsctl().arg("pull").args(sources).arg(dest).run().expect(2);
        assert!(run.stderr.contains(said), "{run}");
    }
    let run = lab.gsctl().args(["--dry-run", "pull", "/etc/hosts", "out"]).run().expect(0);
    assert!(run.text().contains("copy /etc/hosts to out/node1/hosts on this machine"), "{run}");
    assert!(!home.join("out").exists(), "a rehearsal made a directory");
    let twins = lab.write_hosts_file("a address=127.0.0.1 port=1\nb address=127.0.0.1 port=2\n");
    let run = lab.gsctl().hosts_file(&twins).args(["pull", "/etc/hosts", "out/{address}"]).run().expect(2);
    assert!(run.stderr.contains("`a` and `b` would both be copied to `out/127.0.0.1`"), "{run}");
    assert_eq!(contacts(), before, "a node was contacted");
}
