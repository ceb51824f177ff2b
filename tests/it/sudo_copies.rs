//! `--sudo` of `push`, `pull`, `touch` and `rm`: what is on the node's disk afterwards, whose it is, and what nobody else could see
//! on the way. `push --check`, `--owner` and `--mode`.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::failures::{one, says};
use crate::files::{changes, noise};
use crate::gsctl::Gsctl;
use crate::lab::account::PASSWORD;
use crate::lab::proxy::Proxy;
use crate::lab::{Lab, Node, wait};
use crate::passwords;

const SUDOERS: &str = "Defaults:omm timestamp_timeout=0\n\
    omm ALL=(ALL) ALL\n\
    free,csh ALL=(ALL) NOPASSWD: ALL\n";

fn lab() -> Lab {
    crate::lab::need_root();
    let builder = Lab::builder().sudoers(SUDOERS).user("free", "/bin/sh").user("banned", "/bin/sh");
    let lab = builder.user("csh", "/usr/bin/tcsh").start();
    lab.node(1).sh("mkdir -m 700 /run/secret && printf top >/run/secret/top && chmod 600 /run/secret/top");
    lab
}

fn as_user(lab: &Lab, user: &str) -> Gsctl {
    lab.gsctl().args(["-l", user])
}

fn said(node: &Node, command: &str) -> String {
    String::from_utf8_lossy(&node.sh(command).stdout).trim().to_owned()
}

fn file(lab: &Lab, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = lab.client_home().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

/// Nothing of ours is left in any directory for files on their way.
#[track_caller]
fn nothing_left(node: &Node) {
    assert_eq!(said(node, "find /tmp /var/tmp /run /home -name '.gsctl-*' 2>/dev/null"), "");
}

#[test]
fn files_are_installed_as_another_user() {
    let lab = lab();
    let node = lab.node(1);
    let big = noise(3_000_000);
    let path = file(&lab, "app/big", &big);
    file(&lab, "app/it's", "small");
    file(&lab, "app/none", "");
    let dir = path.parent().unwrap();
    for (user, sudo, owner, place) in [
        ("free", "--sudo", "root root", "/run/secret/in"),
        ("free", "--sudo=omm", "omm omm", "/opt/gsctl-lab/data/in"),
        ("omm", "--sudo=free", "free free", "/opt/gsctl-lab/home-free/in"),
        ("csh", "--sudo", "root root", "/run/secret/csh"),
    ] {
        let password = passwords::file(&lab, &format!("{PASSWORD}\n"), 0o600);
        let push = || {
            let gsctl = as_user(&lab, user).args(["push", sudo, "--sudo-password-file"]).arg(&password);
            one(gsctl.arg(dir).arg(format!("{place}/")), 0)
        };
        let host = push();
        assert_eq!((&host["outcome"], changes(&host).len()), (&"changed".into(), 4), "{host:#}");
        let sum = said(node, &format!("sha256sum <{place}/app/big"));
        let here = std::process::Command::new("sha256sum").stdin(fs::File::open(&path).unwrap()).output().unwrap();
        assert_eq!(sum, String::from_utf8_lossy(&here.stdout).trim(), "{user} {sudo}");
        assert_eq!(said(node, &format!("cat \"{place}/app/it's\"; stat -c '%s' {place}/app/none")), "small0");
        assert_eq!(said(node, &format!("stat -c '%U %G' {place}/app/big {place}/app")), format!("{owner}\n{owner}"));
        assert_eq!(push()["outcome"], "ok", "{user} {sudo}");
        nothing_left(node);
    }
    // Who may not is told so, in words about sudo; and what root cannot do either, in the node's.
    let host = one(as_user(&lab, "banned").args(["push", "--sudo"]).arg(&path).arg("/run/secret/"), 5);
    says(&host, "failed", "command", "sudo wants a password, and none was given");
    let host = one(as_user(&lab, "free").args(["push", "--sudo"]).arg(&path).arg("/run/no/such/big"), 5);
    says(&host, "failed", "command", "failed: /run/no/such/big: No such file or directory");
    node.sh("mkdir -p /run/full && mount -t tmpfs -o size=1m,mode=755 none /run/full && echo old >/run/full/big");
    let host = one(as_user(&lab, "free").args(["push", "--sudo"]).arg(&path).arg("/run/full/"), 5);
    says(&host, "failed", "command", "No space left on device");
    assert_eq!(said(node, "cat /run/full/big; ls -A /run/full"), "old\nbig");
    nothing_left(node);
}

#[test]
fn owner_and_mode_are_what_was_asked_for() {
    let lab = lab();
    let node = lab.node(1);
    let path = file(&lab, "app.conf", "a=1\n");
    let push = |more: &[&str], status| {
        one(as_user(&lab, "free").args(["push", "--sudo"]).args(more).arg(&path).arg("/run/secret/app.conf"), status)
    };
    let stat = || said(node, "stat -c '%U:%G %a' /run/secret/app.conf");
    push(&["--owner", "omm", "--mode", "0640"], 0);
    assert_eq!(stat(), "omm:root 640");
    assert_eq!(push(&["--owner", "omm", "--mode", "0640"], 0)["outcome"], "ok");
    // Only that is another: it is set on the file that is there.
    let before = said(node, "stat -c %i /run/secret/app.conf");
    assert_eq!(push(&["--owner", "free:omm", "--mode", "4755"], 0)["outcome"], "changed");
    assert_eq!((stat(), said(node, "stat -c %i /run/secret/app.conf")), ("free:omm 4755".to_owned(), before));
    assert_eq!(push(&["--owner", "free:omm", "--mode", "4755"], 0)["outcome"], "ok");
    let host = push(&["--owner", "nobody-of-that-name"], 5);
    says(&host, "failed", "command", "failed: /run/secret/app.conf: ");
    // Without privilege a node does not let go of files.
    let own = node.base().join("data/app.conf");
    let host = one(lab.gsctl().args(["push", "--owner", "root"]).arg(&path).arg(&own), 5);
    says(&host, "failed", "command", "denied: ");
    assert!(!node.exists(&own) && said(node, "ls -A /opt/gsctl-lab/data").is_empty(), "{host:#}");
    for (arguments, word) in [(["--mode", "rw"], "is no mode in octal"), (["--owner", "a:b:c"], "is no owner")] {
        let run = lab.gsctl().arg("push").args(arguments).arg(&path).arg("/tmp/").run().expect(2);
        assert!(run.stderr.contains(word), "{run}");
    }
}

#[test]
fn a_check_says_what_would_change_and_changes_nothing() {
    let lab = lab();
    let node = lab.node(1);
    let (one_file, two) = (file(&lab, "app/one.conf", "a=1\nb=2\nc=3\n"), file(&lab, "app/two.conf", "new\n"));
    let data = node.base().join("data");
    let at = |name: &str| data.join(name).display().to_string();
    node.write(at("one.conf"), "a=1\nb=9\nc=3\n");
    let before = said(node, "find /opt/gsctl-lab/data /run/secret /tmp /var/tmp -printf '%p %i %T@ %m\n'");
    let check = |more: &[&str], dest: &str, status| {
        let gsctl = lab.gsctl().args(["--json", "-", "push", "--check"]).args(more).arg(&one_file).arg(&two).arg(dest);
        gsctl.run().expect(status).json()["hosts"][0].clone()
    };
    let host = check(&[], &at(""), 0);
    assert_eq!((&host["outcome"], &host["changed"]), (&"ok".into(), &false.into()), "{host:#}");
    assert_eq!(changes(&host), [format!("would_write {}", at("one.conf")), format!("would_create {}", at("two.conf"))]);
    let host = check(&[], &at("new/"), 0);
    assert_eq!(changes(&host)[0], format!("would_create {}", at("new/one.conf")));
    // What could not be done is said already.
    let host = check(&[], "/run/secret/", 5);
    says(&host, "failed", "command", "denied: ");
    // In words, with the differences of the files.
    let run = lab.gsctl().args(["--diff", "push", "--check"]).arg(&one_file).arg(&two).arg(at("")).run().expect(0);
    let text = run.text();
    assert!(text.contains("would write") && text.contains("would create"), "{run}");
    assert!(text.contains("-b=9\n+b=2\n") && text.contains("+new\n"), "{run}");
    assert!(!run.stderr.contains("changed"), "{run}");
    // Also of what only root may read.
    let gsctl = as_user(&lab, "free").args(["--diff", "push", "--check", "--sudo"]);
    let run = gsctl.arg(&two).arg("/run/secret/top").run().expect(0);
    assert!(run.text().contains("-top") && run.text().contains("+new"), "{run}");
    assert_eq!(said(node, "find /opt/gsctl-lab/data /run/secret /tmp /var/tmp -printf '%p %i %T@ %m\n'"), before);
}

#[test]
fn what_is_on_its_way_is_read_by_nobody_and_gone_on_with() {
    let lab = lab();
    let node = lab.node(1);
    let big = noise(24_000_000);
    let path = file(&lab, "big", &big);
    // The connection stands still in the middle: what is there by then.
    let proxy = Proxy::to(node.address()).hang_after_bytes(40_000).first(1).start();
    lab.trust("slow", proxy.address(), node);
    let hosts = lab.write_hosts_file(&lab.hosts_line("slow", proxy.address()));
    let push = || as_user(&lab, "free").args(["push", "--sudo"]).arg(&path).arg("/run/secret/big");
    let waiting = push().hosts_file(&hosts).spawn();
    let sizes = || said(node, "stat -c %s /var/tmp/.gsctl-*/.gsctl-*.part");
    wait::until("it stands still", || sizes().parse::<u64>().is_ok_and(|size| size > 1_000_000));
    assert_eq!(said(node, "stat -c '%U %a' /var/tmp/.gsctl-* /var/tmp/.gsctl-*/.gsctl-*.part"), "root 711\nroot 622");
    for user in ["omm", "free"] {
        let look = format!(
            "su {user} -c 'ls /var/tmp/.gsctl-*; cat /var/tmp/.gsctl-*/.gsctl-*.part; true' 2>&1 | head -c 300"
        );
        assert!(said(node, &look).contains("ermission denied"), "{}", said(node, &look));
    }
    assert!(!node.exists("/run/secret/big"));
    // The run is gone; the next one goes on, and nothing is left.
    waiting.signal(rustix::process::Signal::KILL);
    drop(waiting.wait());
    drop(proxy);
    wait::until("the server has let go of it", || node.sessions().is_empty());
    let have: u64 = sizes().parse().unwrap();
    let host = one(push(), 0);
    assert_eq!(host["steps"][0]["bytes"], 24_000_000 - have, "{host:#}");
    assert!(node.read("/run/secret/big") == big);
    nothing_left(node);
    // What others wrote into it is found out.
    node.remove("/run/secret/big");
    let proxy = Proxy::to(node.address()).reset_after_bytes(40_000).first(1).start();
    lab.trust("cut", proxy.address(), node);
    let hosts = lab.write_hosts_file(&lab.hosts_line("cut", proxy.address()));
    one(push().hosts_file(&hosts).args(["--connect-attempts", "1"]), 4);
    wait::until("the server has let go of it", || node.sessions().is_empty());
    node.sh("for part in /var/tmp/.gsctl-*/.gsctl-*.part; do printf X | dd conv=notrunc bs=1 of=$part; done");
    one(push(), 0);
    assert!(node.read("/run/secret/big") == big);
    nothing_left(node);
}

#[test]
fn files_come_from_where_only_another_user_may_read() {
    let lab = lab();
    let node = lab.node(1);
    let big = noise(20_000_000);
    node.write("data/big", &big);
    let script = "cd /run/secret && mv /opt/gsctl-lab/data/big . && mkdir -p tree/d 'tree/a b' tree/closed && \
        printf deep >tree/d/deep && printf nl >\"tree/$(printf 'new\\nline')\" && printf tab >\"tree/$(printf 'a\\tb')\" && \
        ln -s ../big tree/link && ln -s /etc tree/etc && ln -s /nowhere tree/dangling && mkfifo tree/pipe && \
        truncate -s 40M tree/holes && : >tree/none && touch -d @1000000000 big tree/d/deep && chmod 640 big && chown -R root:root .";
    assert!(node.sh(script).status.success());
    let out = lab.client_home().join("out/node1");
    let pull = |user: &str, more: &[&str], status| one(as_user(&lab, user).arg("pull").args(more).arg("out"), status);
    let host = pull("free", &["/run/secret/big"], 5);
    says(&host, "failed", "command", "denied: ");
    for user in ["free", "csh"] {
        let host = pull(user, &["--sudo", "/run/secret/big", "/run/secret/t*"], 5);
        assert!(fs::read(out.join("big")).unwrap() == big, "{user}");
        assert_eq!(fs::read_to_string(out.join("top")).unwrap(), "top");
        assert_eq!(fs::read_to_string(out.join("tree/d/deep")).unwrap(), "deep");
        assert_eq!(fs::read_to_string(out.join("tree/new\nline")).unwrap(), "nl");
        assert_eq!(fs::read_to_string(out.join("tree/a\tb")).unwrap(), "tab");
        assert!(fs::read(out.join("tree/link")).unwrap() == big && fs::read(out.join("tree/none")).unwrap().is_empty());
        assert_eq!(fs::metadata(out.join("tree/holes")).unwrap().len(), 40 << 20);
        let text = host["error"].as_str().unwrap();
        for said in ["tree/etc: is a link to a directory", "dangling: is a link to something else", "pipe: is neither"]
        {
            assert!(text.contains(said), "{said}: {host:#}");
        }
        assert!(!out.join("tree/etc").exists());
        let host = pull(user, &["--sudo", "/run/secret/big", "/run/secret/top"], 0);
        assert_eq!((&host["outcome"], &host["steps"][0]["bytes"]), (&"ok".into(), &Value::Null), "{host:#}");
        fs::remove_dir_all(&out).unwrap();
    }
    // As somebody who may not either, and what has no size.
    let host = pull("free", &["--sudo=omm", "/run/secret/top"], 5);
    says(&host, "failed", "command", "denied: ");
    let host = pull("free", &["--sudo", "/proc/1/environ", "/proc/meminfo"], 0);
    assert!(host.to_string().contains("without a checksum"), "{host:#}");
    assert!(fs::read_to_string(out.join("meminfo")).unwrap().contains("MemTotal:"));

    // What was cut goes on.
    let proxy = Proxy::to(node.address()).reset_after_bytes(12_000_000).first(1).start();
    lab.trust("cut", proxy.address(), node);
    let hosts = lab.write_hosts_file(&lab.hosts_line("cut", proxy.address()));
    let gsctl = as_user(&lab, "free").hosts_file(&hosts).args(["pull", "--sudo", "/run/secret/big", "out"]);
    let host = one(gsctl, 0);
    assert!(fs::read(lab.client_home().join("out/cut/big")).unwrap() == big);
    assert!(host["steps"][0]["bytes"].as_u64().unwrap() < 30_000_000, "{host:#}");
    nothing_left(node);
}

#[test]
fn markers_are_placed_and_removed_as_another_user() {
    let lab = lab();
    let node = lab.node(1);
    for user in ["free", "csh"] {
        let run = |words: &[&str], status| as_user(&lab, user).args(words).run().expect(status);
        let text = run(&["touch", "--sudo", "/run/secret/mark"], 0).text();
        assert!(text.contains("created") && text.contains("/run/secret/mark"), "{text}");
        assert_eq!(said(node, "stat -c %U /run/secret/mark"), "root");
        assert!(run(&["touch", "--sudo", "/run/secret/mark"], 0).text().contains("present"));
        run(&["rm", "/run/secret/mark"], 5);
        assert!(run(&["rm", "--sudo", "/run/secret/m*"], 0).text().contains("removed"));
        assert!(!node.exists("/run/secret/mark"));
    }
    let run = as_user(&lab, "banned").args(["touch", "--sudo", "/run/secret/mark"]).run().expect(5);
    assert!(run.stderr.contains("sudo wants a password"), "{run}");
    let password = passwords::file(&lab, &format!("{PASSWORD}\n"), 0o600);
    lab.gsctl()
        .args(["touch", "--sudo", "--sudo-password-file"])
        .arg(&password)
        .arg("/run/secret/mark")
        .run()
        .expect(0);
    assert!(node.exists("/run/secret/mark"));
    let run = lab.gsctl().args(["--dry-run", "rm", "--sudo=omm", "/run/secret/mark"]).run().expect(0);
    assert!(run.text().contains("# through sudo, as omm"), "{run}");

    // The same as steps of a playbook.
    file(&lab, "app.conf", "a=1\n");
    let book = file(
        &lab,
        "book.yaml",
        "steps:\n\
         - { name: bring, push: { from: app.conf, to: /run/secret/app.conf, owner: \"omm:root\", mode: \"0640\" }, sudo: true }\n\
         - { name: mark, touch: /run/secret/done, sudo: true }\n\
         - { name: fetch, pull: { from: /run/secret/app.conf, to: got }, sudo: true }\n\
         - { name: let go, remove: /run/secret/mark, sudo: true }\n\
         - { name: see, check: { no_process: nothing-of-that-name, no_file: /tmp/nothing-of-that-name } }\n",
    );
    let play = |more: &[&str]| as_user(&lab, "free").current_dir(lab.client_home()).arg("play").arg(&book).args(more);
    let shown = play(&["--dry-run"]).run().expect(0).text();
    assert!(shown.contains("push app.conf to /run/secret/app.conf, owner omm:root, through sudo as root"), "{shown}");
    assert!(shown.contains("remove /run/secret/mark, through sudo as root"), "{shown}");
    play(&[]).run().expect(0);
    assert_eq!(said(node, "stat -c '%U:%G %a' /run/secret/app.conf"), "omm:root 640");
    assert_eq!(said(node, "stat -c %U /run/secret/done; ls -A /run/secret"), "root\napp.conf\ndone\ntop");
    assert_eq!(fs::read(lab.client_home().join("got/node1/app.conf")).unwrap(), b"a=1\n");
}
