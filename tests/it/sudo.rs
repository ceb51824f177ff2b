//! `--sudo`: the real sudo on real nodes. As whom a command runs, what becomes of the password, of standard input and of what
//! runs too long, and what is said where sudo does not run it.
//!
//! Accounts and their rights are put into the namespaces of root's labs; for any other user just the part before the contact is
//! tested.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::failures::{host, one, report, running, says, until_gone, until_running};
use crate::gsctl::Gsctl;
use crate::lab::account::PASSWORD;
use crate::lab::{Lab, Node};
use crate::passwords::{file, on_a_terminal};

/// `omm` needs his password each time; `cached` once, and then not for a while.
const SUDOERS: &str = "Defaults:omm timestamp_timeout=0\n\
    Defaults:cached timestamp_type=global\n\
    Defaults:terminal requiretty\n\
    omm ALL=(ALL) ALL\n\
    cached ALL=(ALL) ALL\n\
    free,csh,bare,terminal ALL=(ALL) NOPASSWD: ALL\n\
    narrow ALL=(ALL) NOPASSWD: /usr/bin/id\n";

fn lab(nodes: usize) -> Option<Lab> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let mut builder = Lab::builder().nodes(nodes).sudoers(SUDOERS);
    for user in ["free", "cached", "terminal", "narrow", "banned"] {
        builder = builder.user(user, "/bin/sh");
    }
    Some(builder.user("csh", "/usr/bin/tcsh").user("bare", "/usr/bin/zsh").start())
}

/// `exec` of this user, with these options.
fn exec(lab: &Lab, user: &str, arguments: &[&str]) -> Gsctl {
    lab.gsctl().args(["-l", user, "exec"]).args(arguments)
}

fn password(lab: &Lab) -> PathBuf {
    file(lab, &format!("{PASSWORD}\n"), 0o600)
}

fn cksum(path: &Path) -> String {
    let output = Command::new("cksum").stdin(fs::File::open(path).unwrap()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn as_another_user_and_in_his_surroundings() {
    let Some(lab) = lab(1) else { return };
    let node = lab.node(1);
    let free = |arguments: &[&str]| one(exec(&lab, "free", arguments), 0);
    // Nothing that sudo says (a lecture, a host that has no address) is the command's.
    let host = free(&[
        "--sudo",
        "--",
        "umask 077; id -un >/etc-by-root 2>&1 || id -un >/run/by-root; echo $HOME; echo err >&2",
    ]);
    assert_eq!((&host["stderr"], host["exit_status"].as_i64()), (&"err\n".into(), Some(0)), "{host:#}");
    assert_eq!(host["stdout"], format!("{}\n", node.base().join("root").display()), "{host:#}");
    let _ = node.sh("rm -f /etc-by-root");
    let host = free(&["--sudo", "id -un >/run/by-root; stat -c %U /run/by-root"]);
    assert_eq!((host["stdout"].as_str(), node.text("/run/by-root").as_str()), (Some("root\n"), "root\n"), "{host:#}");
    assert_eq!(free(&["--sudo=omm", "id -un"])["stdout"], "omm\n");
    assert_eq!(free(&["--sudo=#64001", "id -un"])["stdout"], "omm\n");
    // What comes with a command comes with it inside, to the byte.
    let show = "printenv A; pwd; echo \"it's $0 ${LC_ALL-unset}\"";
    let surroundings = ["--sudo", "--env", "A=it's $HOME `id` !x", "--chdir", "/etc", "--"];
    let shown = "it's $HOME `id` !x\n/etc\nit's sh unset\n";
    let long = format!("{show}; : {}", "'x y' ".repeat(10_000));
    for command in [show, &long] {
        assert_eq!(free(&[&surroundings[..], &[command]].concat())["stdout"], shown);
    }
    let host = one(exec(&lab, "csh", &[&surroundings[..], &[show]].concat()), 0);
    assert_eq!(host["stdout"], shown, "{host:#}");
    let host = one(exec(&lab, "csh", &[&surroundings[..], &[&long]].concat()), 0);
    assert_eq!(host["stdout"], shown, "{host:#}");
    let host = free(&["--sudo", "--shell", "bash", "--", "[[ a == a ]] && echo $0 $(id -un)"]);
    assert_eq!(host["stdout"], "bash root\n");
    // A directory that only root may enter, and one that nobody can.
    assert_eq!(free(&["--sudo", "--chdir", "/etc/ssl/private", "pwd"])["stdout"], "/etc/ssl/private\n");
    let host = one(exec(&lab, "free", &["--sudo", "--chdir", "/no/such place", "echo ran"]), 5);
    says(&host, "failed", "command", "the command was not run: ");
    assert!(host["hint"].as_str().unwrap().contains("--chdir") && host["stdout"].is_null(), "{host:#}");
    // The command's own failure is its own.
    for status in [1, 127] {
        let host =
            one(exec(&lab, "free", &["--sudo", &format!("echo 'sudo: a password is required' >&2; exit {status}")]), 5);
        assert_eq!(host["exit_status"], status);
        says(&host, "failed", "command", &format!("exit status {status}"));
    }

    let script = lab.dir().join("client/script");
    fs::write(&script, "#!/bin/sh\necho \"$(id -un) $1 $A\"\n").unwrap();
    let script = |more: &[&str]| {
        one(lab.gsctl().args(["-l", "free", "script"]).args(more).arg(&script).arg("x y"), 0)["stdout"].clone()
    };
    assert_eq!(script(&["--sudo", "--env", "A=b"]), "root x y b\n");
    assert_eq!(script(&["--sudo=omm"]), "omm x y \n");
}

#[test]
fn the_password_is_asked_for_once_and_is_nowhere() {
    let Some(lab) = lab(3) else { return };
    // As the command, and as nothing else: the prompt, the lecture and the password are not its input.
    let key = lab.key().display().to_string();
    let arguments = format!("-i {key} exec --sudo --ask-sudo-password -- 'id -un; cat'");
    let (status, text) = on_a_terminal(&lab, &arguments, &format!("{PASSWORD}\n"));
    assert_eq!((status, text.matches("Password for sudo on the hosts").count()), (0, 1), "{text}");
    assert!(text.contains("(3 hosts)") && text.contains("\nroot\r\n") && text.contains("3 hosts: 3 ok"), "{text}");
    assert!(!text.contains(&format!("\n{PASSWORD}")), "it was echoed\n{text}");

    let right = password(&lab);
    let out = lab.dir().join("client/out");
    fs::create_dir(&out).unwrap();
    let place = |name: &str| out.join(name).display().to_string();
    let mut run = lab
        .gsctl()
        .args(["-vv", "--json", &place("json"), "--jsonl", &place("jsonl"), "--output-dir", &place("dir")])
        .args(["exec", "--sudo", "--sudo-password-file"])
        .arg(&right)
        .args(["--", "echo begun; tr '\\0' '\\n' </proc/self/environ; exec sleep 3"])
        .spawn();
    let mut looked = 0;
    for node in lab.nodes() {
        until_running(node, "sleep 3");
        for process in node.processes() {
            let environ = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
            let environ = String::from_utf8_lossy(&environ).into_owned();
            assert!(!process.cmdline.join(" ").contains(PASSWORD) && !environ.contains(PASSWORD), "{process:?}");
            looked += 1;
        }
    }
    assert!(looked >= 9, "{looked} processes");
    run.wait_for_stdout("begun");
    for name in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{}/{name}", run.pid())).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(PASSWORD), "{name}");
    }
    let run = run.wait().expect(0);
    assert!(!run.text().contains(PASSWORD) && !run.stderr.contains(PASSWORD), "{run}");
    // Reports, the journal under the client's home, and what the nodes keep.
    let mut folders = vec![out, lab.client_home()];
    let mut read = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() { folders.push(entry) } else { read.push(entry) }
        }
    }
    read.extend(lab.nodes().iter().map(|node| node.outside("/run/sudo.log")));
    assert!(read.len() >= 8, "{read:?}");
    for entry in read {
        let bytes = fs::read(&entry).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(PASSWORD), "{}", entry.display());
    }
}

#[test]
fn standard_input_arrives_whole_whether_sudo_asks_or_not() {
    let Some(lab) = lab(1) else { return };
    let (right, wrong) = (password(&lab), file(&lab, "wrong-Zk7pQ2", 0o600));
    let mut bytes = b"first line\n".to_vec();
    bytes.extend((0..=255).cycle().take(300_000));
    let input = lab.dir().join("client/input");
    fs::write(&input, &bytes).unwrap();
    let sum = cksum(&input);
    let long = format!("cksum; : {}", "x".repeat(60_000));
    let read = |user: &str, password: &Path, command: &str, status| {
        let gsctl = exec(&lab, user, &["--sudo", "--sudo-password-file"]).arg(password).arg("--stdin").arg(&input);
        one(gsctl.args(["--", command]), status)
    };
    for command in ["cksum", &long] {
        assert_eq!(read("omm", &right, command, 0)["stdout"], sum, "asked");
        assert_eq!(read("free", &right, command, 0)["stdout"], sum, "not asked");
    }
    // Until the password was given once; after that another one is not even sent.
    says(&read("cached", &wrong, "cksum", 5), "failed", "command", "sudo does not take the password");
    assert_eq!(read("cached", &right, "cksum", 0)["stdout"], sum);
    assert_eq!(read("cached", &wrong, "cksum", 0)["stdout"], sum, "remembered");
    let host = one(exec(&lab, "cached", &["--sudo", "id -un; cat"]), 0);
    assert_eq!(host["stdout"], "root\n", "remembered, and none was given");
}

#[test]
fn what_runs_too_long_is_killed_by_the_same_way() {
    let Some(lab) = lab(1) else { return };
    let node = lab.node(1);
    let right = password(&lab);
    let exec = |user: &str| lab.gsctl().args(["-l", user, "exec", "--sudo-password-file"]).arg(&right).json();
    for (marker, user, arguments) in [
        ("4901", "omm", &["--sudo"][..]),
        ("4902", "free", &["--sudo"]),
        ("4903", "omm", &["--sudo=free"]),
        ("4904", "csh", &["--sudo"]),
        ("4905", "free", &["--sudo", "--pty"]),
        ("4906", "omm", &["--sudo=free", "--pty"]),
    ] {
        // One of them does not end when it is asked to.
        let deaf = if marker == "4903" { "trap '' TERM; " } else { "" };
        let command = format!("{deaf}sleep {marker} & sleep {marker}; wait");
        let run = exec(user).args(arguments).args(["--", &command]).spawn();
        until_running(node, &format!("sleep {marker}"));
        run.signal(Signal::INT);
        let run = run.wait().expect(130);
        assert_eq!(run.json()["hosts"][0]["remote_killed"], true, "{marker}: {run}");
        assert_eq!(running(node, &format!("sleep {marker}")), 0, "{marker}");
    }
    let host = one(lab.gsctl().args(["-t", "6s", "-l", "free", "exec", "--sudo", "sleep 4911"]), 3);
    says(&host, "timed_out", "timeout", "no end within 6s");
    assert_eq!((&host["remote_killed"], running(node, "sleep 4911")), (&true.into(), 0), "{host:#}");

    // Where the connection is lost, another login becomes root once more.
    for user in ["omm", "csh"] {
        let run = exec(user).args(["--sudo", "sleep 4913"]).spawn();
        until_running(node, "sleep 4913");
        node.kill_sessions();
        let run = run.wait().expect(4);
        assert_eq!(run.json()["hosts"][0]["remote_killed"], true, "{run}");
        assert_eq!(running(node, "sleep 4913"), 0);
    }

    // Who may not become root any more can't kill root's process either, and it is said.
    let gsctl = lab.gsctl().args(["-l", "free", "exec", "--sudo"]).json().arg("sleep 4912; echo over");
    let run = gsctl.spawn();
    until_running(node, "sleep 4912");
    fs::write(node.outside("/etc/sudoers"), "Defaults !syslog\n").unwrap();
    run.signal(Signal::INT);
    let run = run.wait().expect(130);
    assert_eq!(run.json()["hosts"][0]["remote_killed"], false, "{run}");
    assert_eq!(running(node, "sleep 4912"), running(node, "4912"));
    node.sh("pkill -f 'sleep 4912'");
    until_gone(node, "sleep 4912");
}

#[test]
fn each_refusal_has_a_message_of_its_own() {
    let Some(lab) = lab(1) else { return };
    let node = lab.node(1);
    node.write(node.base().join("home-bare/.zshenv"), "PATH=/nowhere\n");
    let (right, wrong) = (password(&lab), file(&lab, "wrong-Zk7pQ2", 0o600));
    let given = |path: &Path| path.display().to_string();
    let cases: [(&str, &[&str], &str, &str); 9] = [
        ("omm", &["--sudo"], "sudo wants a password, and none was given", "--ask-sudo-password"),
        ("omm", &["--sudo", "--sudo-password-file", &given(&wrong)], "sudo does not take the password", "sent once"),
        (
            "omm",
            &["--sudo", "--pty", "--sudo-password-file", &given(&wrong)],
            "sudo does not take the password",
            "once",
        ),
        (
            "banned",
            &["--sudo", "--sudo-password-file", &given(&right)],
            "does not let the login user run it as `root`",
            "-l",
        ),
        // It does not say more to one who gave no password.
        ("narrow", &["--sudo"], "sudo wants a password, and none was given", "holds for /bin/sh"),
        (
            "narrow",
            &["--sudo", "--sudo-password-file", &given(&right)],
            "does not let the login user run it as `root`",
            "must allow /bin/sh",
        ),
        ("free", &["--sudo=nosuchuser"], "sudo knows no user `nosuchuser`", "--sudo=USER"),
        ("terminal", &["--sudo"], "sudo wants a terminal", "--pty"),
        ("banned", &["--sudo"], "sudo wants a password, and none was given", "--ask-sudo-password"),
    ];
    for (user, arguments, error, hint) in cases {
        let host = one(exec(&lab, user, &[arguments, &["--", "touch /run/ran; echo ran"]].concat()), 5);
        says(&host, "failed", "command", "the command was not run: ");
        says(&host, "failed", "command", error);
        assert!(host["hint"].as_str().unwrap().contains(hint), "{hint}: {host:#}");
        assert!(host["exit_status"].is_null() && host["stdout"].is_null(), "{host:#}");
    }
    assert!(!node.exists("/run/ran"), "it was run");
    // What the login's PATH does not have, the system has.
    assert_eq!(one(exec(&lab, "bare", &["--sudo", "/usr/bin/id -un"]), 0)["stdout"], "root\n");
    // One that waits for something else, and would for ever.
    node.write("/usr/local/bin/sudo", "#!/bin/sh\nsleep 4921\n");
    node.chmod("/usr/local/bin/sudo", 0o755);
    let host = one(lab.gsctl().args(["-t", "1s", "-l", "free", "exec", "--sudo", "touch /run/ran"]), 3);
    says(&host, "timed_out", "timeout", "sudo had not begun the command within 1s");
    assert_eq!((&host["remote_killed"], running(node, "sleep 4921")), (&true.into(), 0), "{host:#}");
    node.remove("/usr/local/bin/sudo");
    assert!(!node.exists("/run/ran"), "it was run");
    // A wrong one is sent once: accounts get locked.
    let log = node.text("/run/sudo.log");
    assert!(log.contains("1 incorrect password attempt") && !log.contains("2 incorrect"), "{log}");
    let host = one(exec(&lab, "terminal", &["--sudo", "--pty", "id -un; tty >/dev/null && echo terminal"]), 0);
    assert_eq!(host["stdout"], "root\nterminal\n");
    // And in words, for one who looks at a terminal.
    let run = exec(&lab, "omm", &["--sudo", "true"]).run().expect(5);
    assert!(run.stderr.contains("the command was not run: sudo wants a password"), "{run}");
}

#[test]
fn what_is_wrong_is_said_before_contact() {
    let lab = Lab::start(1);
    let contacts = || lab.node(1).sshd_log().matches("Connection from").count();
    let before = contacts();
    let open = file(&lab, PASSWORD, 0o644).display().to_string();
    for (arguments, said) in [
        (&["--sudo=", "true"][..], "the name of the user is empty"),
        (&["--sudo=-x", "true"], "`-x` is no name of a user"),
        (&["--sudo=a b", "true"], "`a b` is no name of a user"),
        (&["--raw", "--sudo", "true"], "cannot be used with"),
        (&["--pty", "--stdin", "/dev/null", "true"], "cannot be used with"),
        (&["--ask-sudo-password", "true"], "nothing is run through sudo"),
        (&["--sudo", "--ask-sudo-password", "true"], "there is no terminal to ask on"),
        (&["--sudo", "--ask-sudo-password", "--sudo-password-file", "x", "true"], "cannot be used with"),
        (&["--sudo", "--sudo-password-file", "/no/such", "true"], "password file `/no/such`"),
        (&["--sudo", "--sudo-password-file", &open, "true"], "others can read it"),
        (&["--pty", "--", &"x".repeat(101_000)], "longer than the 100000 that can be sent"),
        (&["--sudo", "--env", &format!("A={}", "'".repeat(4_000)), "true"], "longer than the 12000"),
    ] {
        let run = lab.gsctl().arg("exec").args(arguments).run().expect(2);
        assert!(run.stderr.contains(said), "`{said}` is missing\n{run}");
    }
    for more in [&["--password-file", "-"][..], &["-f", "-"]] {
        let gsctl = lab.gsctl().stdin("node1\n").args(more);
        let run = gsctl.args(["exec", "--sudo", "--sudo-password-file", "-", "true"]).run().expect(2);
        assert!(run.stderr.contains("standard input"), "{run}");
    }
    let gsctl = lab.gsctl().stdin("x\n").args(["exec", "--sudo", "--sudo-password-file", "-", "--stdin", "-", "true"]);
    assert!(gsctl.run().expect(2).stderr.contains("standard input"));
    // A dry run asks nobody.
    let run =
        lab.gsctl().args(["--dry-run", "exec", "--sudo=omm", "--ask-sudo-password", "--chdir", "/x", "true"]).run();
    assert!(run.expect(0).text().contains("# through sudo, as omm\nCDPATH= cd -- /x\ntrue\n"));
    assert_eq!(contacts(), before, "a node was contacted");
}

const BOOK: &str = "\
vars: { owner: { default: root }, word: { default: it's } }
steps:
  - name: a command
    run: echo \"$(id -un) $WORD $PWD $(cat)\"
    sudo: true
    env: { WORD: \"{word} {host}\" }
    chdir: /etc
    stdin: ../words
  - name: a script
    run: { script: own.sh }
    sudo: \"{owner}\"
    shell: bash
    stdin: ../words
";

#[test]
fn steps_of_playbooks() {
    let Some(lab) = lab(2) else { return };
    let right = password(&lab);
    let dir = lab.client_home().join("book");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("my.yaml"), BOOK).unwrap();
    fs::write(dir.join("own.sh"), "[[ a == a ]] && echo \"said=$(id -un) $owner $(cat)\"\n").unwrap();
    fs::write(lab.client_home().join("words"), "one\ntwo\n").unwrap();
    // Seen from the playbook, wherever gsctl runs.
    let play =
        |more: &[&str]| lab.gsctl().args(["play", "book/my.yaml", "--sudo-password-file"]).arg(&right).args(more);
    let played = report(play(&["--var", "owner=free"]), 0);
    let outputs =
        lab.gsctl().args(["--jsonl", "-", "play", "book/my.yaml", "--sudo-password-file"]).arg(&right).run().expect(0);
    for node in lab.nodes() {
        assert_eq!(of(&played, node)["facts"]["said"], "free free one", "{played:#}");
        assert!(outputs.text().contains(&format!("root it's {} /etc one", node.name())), "{outputs}");
    }
    let host = of(&report(play(&["--var", "owner=nosuchuser"]), 5), lab.node(1));
    says(&host, "failed", "command", "sudo knows no user `nosuchuser`");
    let run = play(&["--var", "owner=a b"]).run().expect(2);
    assert!(run.stderr.contains("step `a script`: `sudo`: `a b` is no name of a user"), "{run}");
    let run = lab.gsctl().args(["play", "book/my.yaml"]).run().expect(5);
    assert!(run.stderr.contains("--ask-sudo-password"), "{run}");
    // A run that goes on reads what it read before, or says that it is another one.
    fs::write(lab.client_home().join("words"), "three\n").unwrap();
    let run = lab.gsctl().args(["play", "book/my.yaml", "--resume"]).run().expect(2);
    assert!(run.stderr.contains("changed"), "{run}");
    // One host that refuses does not hold up the others.
    fs::write(lab.node(2).outside("/etc/sudoers"), "Defaults !syslog\n").unwrap();
    let report = report(exec(&lab, "free", &["--sudo", "id -un"]), 5);
    assert_eq!(of(&report, lab.node(1))["stdout"], "root\n");
    says(&of(&report, lab.node(2)), "failed", "command", "the command was not run: ");
}

/// The report of one host of several.
fn of(report: &Value, node: &Node) -> Value {
    host(report, node.name())
}
