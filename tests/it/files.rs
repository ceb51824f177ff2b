//! `gsctl push`: what is on the node's disk afterwards, to the byte, and what is not.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::failures::{one, says};
use crate::lab::proxy::Proxy;
use crate::lab::{Lab, Node, wait};

/// A file in the client's home with mode and a time of long ago.
fn file(lab: &Lab, name: &str, bytes: impl AsRef<[u8]>, mode: u32) -> PathBuf {
    let path = lab.client_home().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    assert!(Command::new("touch").args(["-d", "@1000000000"]).arg(&path).status().unwrap().success());
    path
}

/// Bytes that do not repeat themselves.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..count).map(|_| random.u8(..)).collect()
}

/// What a step said of paths: `created /a`.
pub(crate) fn changes(host: &Value) -> Vec<String> {
    let changes = host["steps"][0]["changes"].as_array().cloned().unwrap_or_default();
    changes.iter().map(|one| format!("{} {}", one["action"], one["path"]).replace('"', "")).collect()
}

/// Nothing that was on its way is left.
#[track_caller]
fn no_parts(node: &Node, dir: &Path) {
    let left = node.sh(&format!("find {} -name '.gsctl-*'", dir.display())).stdout;
    assert_eq!(String::from_utf8_lossy(&left), "");
}

#[test]
fn files_arrive_whole_with_mode_and_time() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let data = node.base().join("data");
    let at = |name: &str| format!("{}/{name}", data.display());
    let stat = |name: &str| {
        let said = node.sh(&format!("stat -c '%a %Y %i' '{}'", at(name))).stdout;
        String::from_utf8_lossy(&said).trim().to_owned()
    };

    let big = noise(3_000_000);
    let path = file(&lab, "big", &big, 0o640);
    let push = |arguments: &[&str], status| one(lab.gsctl().arg("push").args(arguments), status);
    let path = path.to_str().unwrap();
    let host = push(&[path, &at("")], 0);
    assert_eq!((&host["outcome"], changes(&host)), (&"changed".into(), vec![format!("created {}", at("big"))]));
    assert!(node.read(at("big")) == big);
    assert!(stat("big").starts_with("640 1000000000 "), "{}", stat("big"));

    // Again: the same file, not another one with the same content.
    let before = stat("big");
    let host = push(&[path, &data.display().to_string()], 0);
    assert_eq!((&host["outcome"], changes(&host)), (&"ok".into(), vec![format!("same {}", at("big"))]));
    assert_eq!(stat("big"), before);

    // Only the mode is another one: it is set on the file that is there.
    node.chmod(at("big"), 0o600);
    let host = push(&[path, &at("")], 0);
    assert_eq!((&host["outcome"], stat("big")), (&"changed".into(), before.clone()), "{host:#}");

    // Other content of the same size, under another name, in place of a link.
    let secret = at("elsewhere");
    node.write(&secret, "untouched");
    node.sh(&format!("ln -s {secret} {}", at("link")));
    let mut other = big.clone();
    other[2_999_999] ^= 1;
    node.write(at("big"), &other);
    push(&[path, &at("big")], 0);
    assert!(node.read(at("big")) == big);
    push(&[path, &at("link")], 0);
    assert!(node.read(at("link")) == big && node.text(&secret) == "untouched");

    // Names that a shell or a list of lines would stumble over; empty files and directories; a mode that locks us out.
    let tree = lab.client_home().join("tree");
    let names = ["-rf", "a b", "it's", "new\nline", "$HOME", "*", "back\\slash", "tab\there", "\u{e9}"];
    for name in names {
        file(&lab, &format!("tree/d/{name}"), name, 0o644);
    }
    file(&lab, "tree/none", "", 0o400);
    fs::create_dir(tree.join("empty")).unwrap();
    symlink("d/a b", tree.join("followed")).unwrap();
    fs::set_permissions(tree.join("d"), Permissions::from_mode(0o555)).unwrap();
    let host = push(&[tree.to_str().unwrap(), path, &at("new/{host}")], 0);
    assert_eq!(changes(&host).len(), 3 + names.len() + 3, "{host:#}");
    for name in names {
        assert_eq!(node.text(at(&format!("new/node1/tree/d/{name}"))), name);
    }
    assert_eq!(node.text(at("new/node1/tree/followed")), "a b");
    assert!(stat("new/node1/tree/d").starts_with("555 ") && stat("new/node1/tree/none").starts_with("400 "));
    assert!(node.read(at("new/node1/big")) == big);
    let host = push(&[tree.to_str().unwrap(), path, &at("new/{host}")], 0);
    assert_eq!(host["outcome"], "ok", "{host:#}");
    no_parts(node, &data);
    fs::set_permissions(tree.join("d"), Permissions::from_mode(0o755)).unwrap();

    // What may not be: with the node's own words, and without harm to the rest.
    let small = file(&lab, "small", "small", 0o644);
    node.mkdir(at("new/here/small"));
    let host = push(&[small.to_str().unwrap(), path, &at("new/here")], 5);
    says(&host, "failed", "command", "Is a directory");
    assert!(node.read(at("new/here/big")) == big);
    let host = push(&[path, &at("no/such/big")], 5);
    says(&host, "failed", "command", "No such file or directory");
    if lab.is_private() {
        let host = push(&[path, "/etc/big"], 5);
        says(&host, "failed", "command", "ermission denied");
        node.sh("mkdir -p /tmp/full && mount -t tmpfs -o size=1m,mode=1777 none /tmp/full && echo old >/tmp/full/big");
        let host = push(&[path, "/tmp/full/"], 5);
        says(&host, "failed", "command", "No space left on device");
        assert!(host["hint"].as_str().unwrap().contains("make room"), "{host:#}");
        assert_eq!(node.sh("cat /tmp/full/big; ls -A /tmp/full").stdout, b"old\nbig\n");
    }
}

#[test]
fn a_copy_that_is_cut_off_goes_on() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let data = node.base().join("data");
    let target = data.join("big");
    let big = noise(24_000_000);
    let path = file(&lab, "big", &big, 0o600);
    let part = || {
        let said = node.sh(&format!("stat -c %s {}/.gsctl-*.part", data.display())).stdout;
        String::from_utf8_lossy(&said).trim().parse::<usize>().unwrap_or(0)
    };

    // The first connection breaks after the server's acknowledgements of some megabytes.
    let proxy = Proxy::to(node.address()).reset_after_bytes(25_000).first(1).start();
    lab.trust("cut", proxy.address(), node);
    let hosts = lab.write_hosts_file(&lab.hosts_line("cut", proxy.address()));
    let run = |attempts: &str, status| {
        let gsctl = lab.gsctl().hosts_file(&hosts).args(["--connect-attempts", attempts, "push"]);
        one(gsctl.arg(&path).arg(&target), status)
    };
    let host = run("1", 4);
    says(&host, "unreachable", "lost", "connection lost during the copy");
    assert!(!node.exists(&target), "half a file has the name of a whole one");
    wait::until("the server has let go of it", || node.sessions().is_empty());
    let have = part();
    assert!(have > 0 && have < big.len(), "{have}");
    let host = run("1", 0);
    assert_eq!(host["outcome"], "changed");
    assert!(node.read(&target) == big);
    no_parts(node, &data);

    // In one go, with the attempts that a login has.
    node.remove(&target);
    let proxy = Proxy::to(node.address()).reset_after_bytes(25_000).first(2).start();
    lab.trust("again", proxy.address(), node);
    let hosts = lab.write_hosts_file(&lab.hosts_line("again", proxy.address()));
    one(lab.gsctl().hosts_file(&hosts).arg("push").arg(&path).arg(&target), 0);
    assert!(node.read(&target) == big && proxy.connections() == 3, "{}", proxy.connections());

    // A part that is not what it says is found out, and the file sent again.
    node.remove(&target);
    let proxy = Proxy::to(node.address()).reset_after_bytes(25_000).first(1).start();
    lab.trust("wrong", proxy.address(), node);
    let hosts = lab.write_hosts_file(&lab.hosts_line("wrong", proxy.address()));
    let gsctl = || lab.gsctl().hosts_file(&hosts).args(["--connect-attempts", "1", "push"]).arg(&path).arg(&target);
    one(gsctl(), 4);
    wait::until("the server has let go of it", || node.sessions().is_empty());
    node.sh(&format!("printf X | dd conv=notrunc bs=1 of=$(ls {}/.gsctl-*.part)", data.display()));
    one(gsctl(), 0);
    assert!(node.read(&target) == big);
    no_parts(node, &data);
}

#[test]
fn what_cannot_be_copied_is_said_before_contact() {
    let lab = Lab::builder().sshd_config("Subsystem sftp /no/such/server\n").start();
    let node = lab.node(1);
    let contacts = || node.sshd_log().matches("Connection from").count();
    let before = contacts();
    let path = file(&lab, "one", "1", 0o644);
    let other = file(&lab, "dir/one", "2", 0o644);
    let fifo = lab.client_home().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let missing = lab.client_home().join("missing");
    for (sources, dest, said) in [
        (vec![&missing], "/tmp/", "No such file"),
        (vec![&fifo], "/tmp/", "neither a file nor a directory"),
        (vec![&path, &other], "/tmp/", "two sources are called `one`"),
        (vec![&path], "/tmp/{hots}", "no `{hots}`"),
        (vec![&path], "~/x", "`~` is not expanded"),
        (vec![&path], "", "empty"),
    ] {
        let run = lab.gsctl().arg("push").args(sources).arg(dest).run().expect(2);
        assert!(run.stderr.contains(said), "{run}");
    }
    let run = lab.gsctl().args(["--dry-run", "push"]).arg(&path).arg("/tmp/{host}").run().expect(0);
    assert!(run.text().contains("to /tmp/node1") || run.text().contains("to '/tmp/node1'"), "{run}");
    assert_eq!(contacts(), before, "a node was contacted");

    let host = one(lab.gsctl().arg("push").arg(&path).arg("one"), 5);
    says(&host, "failed", "command", "no SFTP on the server");
}

#[test]
fn a_profile_that_speaks_is_named_where_sftp_cannot_begin() {
    let server = ["/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server"];
    let server =
        server.into_iter().find(|path| Path::new(path).exists()).expect("openssh has its SFTP server somewhere");
    let lab = Lab::builder().shell("/bin/bash").sshd_config(&format!("Subsystem sftp {server}\n")).start();
    let node = lab.node(1);
    crate::lab::need_root();
    let path = file(&lab, "one", "1", 0o644);
    let push = |status| one(lab.gsctl().args(["--connect-timeout", "3s", "push"]).arg(&path).arg("one"), status);
    push(0);
    node.remove(node.account().home.join("one"));
    for words in ["Welcome to db7, be careful", "x"] {
        node.write(node.account().home.join(".bashrc"), format!("echo '{words}'\n"));
        let host = push(5);
        says(&host, "failed", "command", &format!("the login shell's profile prints `{words}` first"));
        let hint = host["hint"].as_str().unwrap();
        assert!(hint.contains("internal-sftp") && !hint.contains("MaxSessions"), "{host:#}");
        assert!(!node.exists(node.account().home.join("one")));
    }
    let host = one(lab.gsctl().args(["--connect-timeout", "3s", "pull", "/etc/hostname", "out"]), 5);
    says(&host, "failed", "command", "the login shell's profile prints `x` first");
}
