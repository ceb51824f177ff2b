//! Logging in with a password: as such, as the answer to what the server asks, and what is said when that fails.
//!
//! sshd looks passwords up as root only, so most of this needs root.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failures::{one, says};
use crate::gsctl::Gsctl;
use crate::lab::account::PASSWORD;
use crate::lab::{Lab, Node};

/// A password file of its own.
pub(crate) fn file(lab: &Lab, text: &str, mode: u32) -> PathBuf {
    let path = lab.dir().join(format!("client/password-{:08x}", fastrand::u32(..)));
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

/// A run without any key.
fn gsctl(lab: &Lab) -> Gsctl {
    let known_hosts = format!("UserKnownHostsFile={}", lab.known_hosts().display());
    lab.bare_gsctl().hosts_file(lab.hosts_file()).args(["-F", "none", "-o", &known_hosts])
}

/// Another line in `/etc/shadow` for a user, behind the name; `HASH` stands for the hash that it had.
fn shadow(node: &Node, user: &str, line: &str) {
    let text = node.text("/etc/shadow");
    let changed = text.lines().fold(String::new(), |text, old| {
        let mut fields = old.split(':');
        let line = if fields.next() == Some(user) {
            format!("{user}:{}", line.replace("HASH", fields.next().unwrap()))
        } else {
            old.to_owned()
        };
        text + &line + "\n"
    });
    // In place: the node sees this very file.
    fs::write(node.outside("/etc/shadow"), changed).unwrap();
}

/// Runs gsctl on a terminal of its own and types.
pub(crate) fn on_a_terminal(lab: &Lab, arguments: &str, typed: &str) -> (i32, String) {
    let (hosts, known) = (lab.hosts_file(), lab.known_hosts());
    let (hosts, known) = (hosts.display(), known.display());
    typing(lab, &format!("-f {hosts} -F none -o UserKnownHostsFile={known} {arguments}"), typed)
}

fn typing(lab: &Lab, arguments: &str, typed: &str) -> (i32, String) {
    let inner = format!("{} {arguments}", env!("CARGO_BIN_EXE_gsctl"));
    let mut command = Command::new("script");
    command.args(["-qec", &inner, "/dev/null"]).env("HOME", lab.client_home()).env_remove("SSH_AUTH_SOCK");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script: util-linux");
    // What is typed waits in the terminal until it is asked for.
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn sent(lab: &Lab) -> usize {
    lab.nodes().iter().map(|node| node.sshd_log().matches("Failed password").count()).sum()
}

#[test]
fn before_anybody_is_contacted() {
    let lab = Lab::start(1);
    let connections = || lab.node(1).sshd_log().matches("Connection from").count();
    let before = connections();
    let with = |path: &Path| gsctl(&lab).arg("--password-file").arg(path).arg("ping");
    for (path, said) in [
        (file(&lab, "open sesame\n", 0o644), "has mode 644: others can read it\nhint: chmod 600 "),
        (file(&lab, "\n", 0o600), "its first line is empty"),
        (lab.dir().join("nowhere"), "No such file"),
    ] {
        let run = with(&path).run().expect(2);
        let start = format!("error: password file `{}`", path.display());
        assert!(run.stderr.starts_with(&start) && run.stderr.contains(said), "`{said}`\n{run}");
    }
    let run = gsctl(&lab).args(["--ask-password", "ping"]).run().expect(2);
    assert!(
        run.stderr.contains("there is no terminal to ask on\nhint: ") && run.stderr.contains("--password-file"),
        "{run}"
    );
    gsctl(&lab).args(["--ask-password", "--password-file", "x", "ping"]).run().expect(2);
    let run =
        lab.bare_gsctl().hosts_file("-").args(["--password-file", "-", "ping"]).stdin(*b"node1\n").run().expect(2);
    assert!(run.stderr.contains("cannot both read standard input"), "{run}");
    assert_eq!(connections(), before);
    // A dry run needs none.
    gsctl(&lab).args(["--ask-password", "--dry-run", "exec", "--", "true"]).run().expect(0);
}

#[test]
fn a_password_for_all_hosts() {
    let lab = Lab::builder().nodes(3).sshd_config("PasswordAuthentication yes\nBanner /etc/profile\n").start();
    crate::lab::need_root();
    let right = file(&lab, &format!("{PASSWORD}\nanother line\n"), 0o600);
    let exec = |path: &Path| gsctl(&lab).arg("--password-file").arg(path).args(["exec", "--", "echo in"]);
    let run = exec(&right).run().expect(0);
    // The server's banner is no part of what the command said.
    assert!(run.text().matches("in\n").count() == 3 && !run.text().contains("lab node"), "{run}");
    assert!(!run.stderr.contains("lab node"), "{run}");
    gsctl(&lab).env("GSCTL_PASSWORD_FILE", &right).args(["exec", "--", "true"]).run().expect(0);
    let typed = format!("{PASSWORD}\n");
    gsctl(&lab).args(["--password-file", "-", "ping"]).stdin(typed.as_bytes()).run().expect(0);
    // Asked once, not once a host, and not echoed.
    let (status, text) = on_a_terminal(&lab, "--ask-password ping", &typed);
    assert_eq!((status, text.matches("Password for the hosts").count()), (0, 1), "{text}");
    assert!(!text.contains(&format!("\n{PASSWORD}")), "it was echoed\n{text}");
    // And so by pssh's option.
    let hosts = lab.nodes().iter().fold(String::new(), |text, node| text + &format!("-H {} ", node.address()));
    let known = lab.known_hosts();
    let pssh = format!("pssh {hosts} -l {} -O UserKnownHostsFile={} -A -i 'echo in'", lab.user(), known.display());
    let (status, text) = typing(&lab, &pssh, &typed);
    assert_eq!((status, text.matches("[SUCCESS]").count(), text.matches("in\r\n").count()), (0, 3, 3), "{text}");
    assert!(!text.contains(&format!("\n{PASSWORD}")), "it was echoed\n{text}");

    // A key that works is used, and the password never sent; a key that does not is no obstacle.
    let wrong = file(&lab, "not this one\n", 0o600);
    let before = sent(&lab);
    let with_key = |password: &Path, key: &Path| {
        gsctl(&lab).arg("--password-file").arg(password).arg("-i").arg(key).args(["--json", "-", "ping"])
    };
    with_key(&wrong, &lab.key()).run().expect(0);
    with_key(&right, &lab.unknown_key(&crate::lab::Key::ed25519())).run().expect(0);
    with_key(&right, &lab.key()).args(["-o", "PubkeyAuthentication=no"]).run().expect(0);
    with_key(&wrong, &lab.key()).args(["-o", "PreferredAuthentications=password,publickey"]).run().expect(0);
    assert!(sent(&lab) > before, "the password went first");

    // A wrong one is tried once per host, whatever the attempts.
    let before = sent(&lab);
    let report = crate::failures::report(gsctl(&lab).arg("--password-file").arg(&wrong).arg("ping"), 4);
    for host in report["hosts"].as_array().unwrap() {
        says(host, "unreachable", "auth", "the server does not take the password");
        assert!(host["attempts"] == 1 && host["hint"].as_str().unwrap().contains("not tried again"), "{host:#}");
    }
    assert_eq!(sent(&lab) - before, 3);
    // Switched off, or not given, it is not sent.
    let before = sent(&lab);
    let off = gsctl(&lab).arg("--password-file").arg(&right).args(["-o", "PasswordAuthentication=no", "ping"]);
    let host = one(off, 4);
    says(
        &host,
        "unreachable",
        "auth",
        "permission denied for `omm` (0 keys offered; the server takes publickey,password)",
    );
    assert!(host["hint"].as_str().unwrap().contains("--ask-password"), "{host:#}");
    assert_eq!(sent(&lab), before);
}

#[test]
fn accounts_that_may_not_log_in() {
    let builder = Lab::builder().sshd_config("PasswordAuthentication yes\n");
    crate::lab::need_root();
    let lab = builder.user("late", "/bin/sh").user("over", "/bin/sh").user("locked", "/bin/sh").start();
    let node = lab.node(1);
    shadow(node, "late", "HASH:0:0:99999:7:::");
    shadow(node, "over", "HASH:19000:0:99999:7::1:");
    shadow(node, "locked", "!HASH:19000:0:99999:7:::");
    let right = file(&lab, PASSWORD, 0o600);
    let exec = |user: &str, status| {
        one(gsctl(&lab).arg("--password-file").arg(&right).args(["-l", user, "exec", "--", "echo in"]), status)
    };
    // Without PAM sshd lets in whoever must change his password, and runs `passwd` in place of any command.
    let host = exec("late", 5);
    says(&host, "failed", "command", "the user's password has expired");
    assert!(host["hint"].as_str().unwrap().contains("log in once by hand"), "{host:#}");
    for user in ["over", "locked", "nosuchuser"] {
        let host = exec(user, 4);
        says(
            &host,
            "unreachable",
            "auth",
            &format!("permission denied for `{user}`: the server does not take the password"),
        );
    }
}

#[test]
fn a_server_that_asks() {
    crate::lab::need_root();
    let config = "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n";
    let lab = Lab::builder().sshd_config(config).user("late", "/bin/sh").start();
    shadow(lab.node(1), "late", "HASH:0:0:99999:7:::");
    let right = file(&lab, PASSWORD, 0o600);
    let with = |path: &Path| gsctl(&lab).arg("--password-file").arg(path);
    with(&right).args(["exec", "--", "true"]).run().expect(0);
    says(
        &one(with(&file(&lab, "wrong", 0o600)).arg("ping"), 4),
        "unreachable",
        "auth",
        "the server does not take the password",
    );
    let host = one(with(&right).args(["-l", "late", "ping"]), 4);
    says(&host, "unreachable", "auth", "the password of `late` has expired: the server wants a new one");
    for off in [
        "KbdInteractiveAuthentication=no",
        "ChallengeResponseAuthentication=no",
        "KeyboardInteractiveAuthentication=no",
    ] {
        with(&right).args(["-o", off, "ping"]).run().expect(4);
    }
}

#[test]
fn the_password_is_nowhere() {
    let lab = Lab::builder().sshd_config("PasswordAuthentication yes\n").start();
    crate::lab::need_root();
    // Not a word that stands anywhere by itself.
    for password in [PASSWORD.to_owned(), "wrong-Zk7pQ2".to_owned()] {
        let path = file(&lab, &password, 0o600);
        let out = lab.dir().join(format!("client/out-{:08x}", fastrand::u32(..)));
        fs::create_dir(&out).unwrap();
        let place = |name: &str| out.join(name).display().to_string();
        let marker = fastrand::u32(100_000..);
        let mut run = gsctl(&lab)
            .arg("--password-file")
            .arg(&path)
            .args(["-vv", "--json", &place("json"), "--jsonl", &place("jsonl"), "--output-dir", &place("dir")])
            .args(["exec", "--", &format!("echo begun; tr '\\0' '\\n' </proc/self/environ; sleep 1 # {marker}")])
            .spawn();
        if password == PASSWORD {
            run.wait_for_stdout("begun");
            for name in ["cmdline", "environ"] {
                let bytes = fs::read(format!("/proc/{}/{name}", run.pid())).unwrap();
                assert!(!String::from_utf8_lossy(&bytes).contains(&password), "{name}");
            }
        }
        let run = run.wait();
        assert_eq!(run.status, if password == PASSWORD { 0 } else { 4 }, "{run}");
        assert!(!run.text().contains(&password) && !run.stderr.contains(&password), "{run}");
        // Reports, and the journal under the client's home.
        let mut folders = vec![out, lab.client_home()];
        let mut read = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap().path();
                if entry.is_dir() {
                    folders.push(entry);
                    continue;
                }
                let bytes = fs::read(&entry).unwrap();
                assert!(!String::from_utf8_lossy(&bytes).contains(&password), "{}", entry.display());
                read += 1;
            }
        }
        assert!(read >= 4, "{read} files");
    }
}

/// Whoever shows another key than the one that is recorded does not get the password, under `off` neither; ssh does the same.
#[test]
fn a_changed_host_key_does_not_get_the_password() {
    let lab = Lab::builder().sshd_config("PasswordAuthentication yes\n").start();
    if !lab.is_private() {
        return;
    }
    let node = lab.node(1);
    let name = format!("[{}]:{}", node.address().ip(), node.address().port());
    let public = |key: &PathBuf| fs::read_to_string(key.with_extension("pub")).unwrap();
    let password = file(&lab, &format!("{PASSWORD}\n"), 0o600);
    for key in [crate::lab::Key::ed25519(), crate::lab::Key::rsa()] {
        let foreign = public(&lab.unknown_key(&key));
        let known = lab.dir().join("client/known-other");
        fs::write(&known, format!("{name} {foreign}")).unwrap();
        let known = format!("UserKnownHostsFile={}", known.display());
        let gsctl = || {
            let gsctl = lab.bare_gsctl().hosts_file(lab.hosts_file()).args(["-F", "none", "-o", &known]);
            gsctl
                .args(["-o", "GlobalKnownHostsFile=none", "--host-key-policy", "off"])
                .arg("--password-file")
                .arg(&password)
        };
        let host = one(gsctl().arg("ping"), 4);
        says(&host, "unreachable", "auth", "the password was not sent, as");
        assert!(host["error"].as_str().unwrap().contains("host key has changed"), "{host:#}");
        // A key may still log in, and a host of which nothing is known gets the password.
        one(gsctl().arg("-i").arg(lab.key()).arg("ping"), 0);
    }
    let log = node.sshd_log();
    assert!(!log.contains("Accepted password") && !log.contains("Failed password"), "{log}");
    let known = format!("UserKnownHostsFile={}", lab.dir().join("client/known-none").display());
    let gsctl = lab.bare_gsctl().hosts_file(lab.hosts_file()).args(["-F", "none", "-o", &known]);
    one(gsctl.args(["--host-key-policy", "off"]).arg("--password-file").arg(&password).arg("ping"), 0);
}

/// A server in Python that notes each password and never answers it.
const SLOW: &str = r#"
import socket, sys, threading, time, paramiko
(host, port), key = sys.argv[1].split(":"), paramiko.RSAKey(filename=sys.argv[2])

class Server(paramiko.ServerInterface):
    def get_allowed_auths(self, user): return "password"
    def check_auth_password(self, user, password):
        with open("passwords", "a") as notes: notes.write(password + "\n")
        time.sleep(600)

listener = socket.create_server((host, int(port)))
while True:
    connection, _ = listener.accept()
    try:
        transport = paramiko.Transport(connection)
        transport.add_server_key(key)
        transport.start_server(event=threading.Event(), server=Server())
    except Exception:
        pass
"#;

#[test]
fn a_slow_server_gets_the_password_once() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let address = std::net::SocketAddr::new(node.address().ip(), lab.port() + 1);
    node.write("slow.py", SLOW);
    let script = format!(
        "cd '{}' && ssh-keygen -q -t rsa -m PEM -N '' -f slow && /usr/bin/python3 slow.py {address} slow >>log/slow 2>&1 &",
        node.base().display()
    );
    assert!(node.sh(&script).status.success());
    crate::lab::wait::until("the server listens", || std::net::TcpStream::connect(address).is_ok());
    let password = file(&lab, "sesame\n", 0o600);
    let hosts = lab.write_hosts_file(&lab.hosts_line("slow", address));
    let gsctl = lab.bare_gsctl().hosts_file(hosts).args(["-F", "none", "--host-key-policy", "off"]);
    let gsctl = gsctl.arg("--password-file").arg(password).args(["--connect-timeout", "8s", "ping"]);
    let host = one(gsctl, 4);
    says(&host, "unreachable", "auth", "after the password was sent");
    assert_eq!(node.text("passwords"), "sesame\n", "{host:#}");
}
