//! Each way a login can fail, in one table: what it says, and what to do about it. No two say the same.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::failures::{one, says};
use crate::gsctl::Gsctl;
use crate::lab::proxy::Proxy;
use crate::lab::{Key, Lab, faults};

/// A bare `gsctl ping` that is told nothing but the hosts and their keys.
fn ping(lab: &Lab, known_hosts: &Path) -> Gsctl {
    let known_hosts = format!("UserKnownHostsFile={}", known_hosts.display());
    let gsctl = lab.bare_gsctl().hosts_file(lab.hosts_file()).args(["-F", "none", "-o", &known_hosts]);
    gsctl.args(["--connect-attempts", "1"])
}

#[test]
fn each_says_what_it_is_and_what_to_do() {
    let private = rustix::process::geteuid().is_root();
    let base = if private { crate::lab::MOUNT } else { "%h/.." };
    let config = format!("TrustedUserCAKeys {base}/.lab/user_ca.pub\n");
    let mut builder = Lab::builder().sshd_config(&config);
    if private {
        builder = builder.user("gone", "/no/such/shell").user("locked", "/bin/sh");
    }
    let lab = builder.start();
    let (node, user, good) = (lab.node(1), lab.user(), lab.key());
    let host_line = fs::read_to_string(lab.known_hosts()).unwrap();
    let write = |name: &str, text: &str| {
        let path = lab.dir().join("client").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    };
    let known = lab.known_hosts();
    let wrong = lab.unknown_key(&Key::ed25519());
    let open = write("open", &fs::read_to_string(&good).unwrap());
    fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    let encrypted = lab.add_key(&Key::ed25519().passphrase("open sesame"));
    let authority = lab.unknown_key(&Key::ed25519());
    fs::copy(authority.with_extension("pub"), node.outside(".lab/user_ca.pub")).unwrap();
    let certified = lab.unknown_key(&Key::ed25519());
    let mut signing = Command::new("ssh-keygen");
    signing.args(["-q", "-I", "lab", "-n", user, "-V", "20200101000000Z:20200102000000Z", "-s"]).arg(&authority);
    assert!(signing.arg(certified.with_extension("pub")).status().unwrap().success());
    let empty = write("empty_known_hosts", "");
    let revoked = write("revoked_known_hosts", &format!("@revoked {host_line}"));
    let foreign = fs::read_to_string(authority.with_extension("pub")).unwrap();
    let names = host_line.split(' ').next().unwrap();
    let changed = write("changed_known_hosts", &format!("# a comment\n{names} {foreign}"));
    let closed = faults::closed_port();
    let closed = closed.address().port().to_string();
    if private {
        let shadow = node.text("/etc/shadow");
        let lines = shadow.lines().map(|line| match line.strip_prefix("locked:") {
            Some(rest) => format!("locked:!{}\n", rest.trim_start_matches(['*', '!', 'x'])),
            None => format!("{line}\n"),
        });
        fs::write(node.outside("/etc/shadow"), lines.collect::<Vec<_>>().concat()).unwrap();
    }

    let key = |path: &Path| ping(&lab, &known).arg("-i").arg(path);
    // What is found before anybody is contacted has the exit status 2 and no phase.
    let mut cases: Vec<(&str, Gsctl, &str, String, &str)> = vec![
        ("unknown user", key(&good).args(["-l", "nosuch"]), "auth", "denied for `nosuch` (1 key".into(), "right user"),
        ("wrong key", key(&wrong), "auth", format!("denied for `{user}` (1 key"), "authorized_keys on the node"),
        ("no key, no agent", ping(&lab, &known), "auth", format!("denied for `{user}` (0 keys"), "name one with -i"),
        ("key too open", key(&open), "", format!("`{}` has mode 644: others", open.display()), "chmod 600"),
        ("no passphrase", key(&encrypted), "", "is encrypted, and there is no terminal".into(), "ssh-add"),
        ("key missing", key(Path::new("/no/such/key")), "", "`/no/such/key` does not exist".into(), "`-i`"),
        ("expired", key(&certified), "auth", "expired at 2020-01-02T00:00:00Z".into(), "signed again"),
        ("unknown host key", ping(&lab, &empty), "host_key", "unknown host key SHA256:".into(), "accept-new"),
        ("revoked host key", ping(&lab, &revoked), "host_key", "this key is revoked (".into(), "do not log in"),
        (
            "changed host key",
            ping(&lab, &changed),
            "host_key",
            format!("host key has changed: {} line 2 has SHA256:", changed.display()),
            "ssh-keygen -f",
        ),
        ("closed", key(&good).args(["-p", &closed]), "connect", "connection refused".into(), "is sshd up"),
    ];
    if private {
        let shell = "with a login shell that exists";
        cases.push(("no shell", key(&good).args(["-l", "gone"]), "auth", "denied for `gone` (1 key".into(), shell));
        let locked = "not locked";
        cases.push(("locked", key(&good).args(["-l", "locked"]), "auth", "denied for `locked` (1 key".into(), locked));
    }
    let mut seen: Vec<(String, String)> = Vec::new();
    for (name, gsctl, phase, error, hint) in cases {
        let (said, advice) = if phase.is_empty() {
            let run = gsctl.arg("ping").run().expect(2);
            let (said, advice) = run.stderr.split_once("\nhint: ").unwrap_or((&run.stderr, ""));
            (said.to_owned(), advice.to_owned())
        } else {
            let host: Value = one(gsctl.arg("ping"), 4);
            says(&host, "unreachable", phase, &error);
            (host["error"].as_str().unwrap().to_owned(), host["hint"].as_str().unwrap_or_default().to_owned())
        };
        assert!(said.contains(&error) && advice.contains(hint), "{name}: {said}\nhint: {advice}");
        if name == "changed host key" {
            assert_eq!(said.matches("SHA256:").count(), 2, "both fingerprints: {said}");
        }
        if let Some((other, _)) = seen.iter().find(|(_, text)| *text == said) {
            panic!("{name} says the same as {other}: {said}");
        }
        seen.push((name.to_owned(), said));
    }
    if private {
        // sshd's own log has what the login was refused for.
        let log = node.sshd_log();
        assert!(log.contains("locked") && log.contains("/no/such/shell"), "{log}");
    }

    // Dropped before sshd has said a word (MaxStartups): tried again.
    let proxy = Proxy::to(node.address()).drop_first(2).start();
    lab.trust("px", proxy.address(), node);
    let hosts = lab.write_hosts_file(&lab.hosts_line("px", proxy.address()));
    let host = one(lab.gsctl().hosts_file(hosts).arg("ping"), 0);
    assert_eq!(host["attempts"], 3, "{host:#}");
}

/// The server ends the login before all keys were offered: that is said, and not that it refused them all.
#[test]
fn a_server_that_has_had_enough_of_keys() {
    let private = rustix::process::geteuid().is_root();
    let base = if private { crate::lab::MOUNT } else { "%h/.." };
    let lab =
        Lab::builder().sshd_config(&format!("MaxAuthTries 3\nTrustedUserCAKeys {base}/.lab/user_ca.pub\n")).start();
    let keys: Vec<_> = (0..4).map(|_| lab.unknown_key(&Key::ed25519())).collect();
    let node = lab.node(1);
    let ping = |transport: &str, keys: &[PathBuf]| {
        let gsctl = ping(&lab, &lab.known_hosts()).args(["--transport", transport]);
        one(keys.iter().fold(gsctl, |gsctl, key| gsctl.arg("-i").arg(key)).arg("ping"), 4)
    };
    for (transport, after) in [("native", "after 3 of 4 keys"), ("openssh", "after 3 keys")] {
        let host = ping(transport, &keys);
        let error = format!("too many authentication failures: the server ended the login {after}");
        says(&host, "unreachable", "auth", &error);
        assert!(host["hint"].as_str().unwrap().contains("IdentitiesOnly=yes"), "{host:#}");
        assert_eq!(host["attempts"], 1, "{host:#}");
    }
    let ended = node.sshd_log().matches("Too many authentication failures").count();
    assert_eq!(ended, 2, "{}", node.sshd_log());

    // A certificate is offered, then its key, then the other one; that the first has expired is what tells most.
    let authority = lab.unknown_key(&Key::ed25519());
    fs::copy(authority.with_extension("pub"), node.outside(".lab/user_ca.pub")).unwrap();
    let mut signing = Command::new("ssh-keygen");
    signing.args(["-q", "-I", "lab", "-n", lab.user(), "-V", "20200101000000Z:20200102000000Z", "-s"]).arg(&authority);
    assert!(signing.arg(keys[0].with_extension("pub")).status().unwrap().success());
    let host = ping("native", &keys[..2]);
    says(&host, "unreachable", "auth", "the server ended the login after 3 of 3 keys: certificate `");
    says(&host, "unreachable", "auth", "expired at 2020-01-02T00:00:00Z");
    assert!(host["hint"].as_str().unwrap().contains("signed again"), "{host:#}");
}

/// Login shells of every kind, and start-up files that print, read and wait: the command is run once, or it is said why not.
#[test]
fn login_shells_and_their_start_up_files() {
    if !rustix::process::geteuid().is_root() {
        return shell_of_an_ordinary_user();
    }
    let shells = [
        ("dashing", "/bin/dash"),
        ("bashful", "/bin/bash"),
        ("narrow", "/bin/rbash"),
        ("cshell", "/usr/bin/tcsh"),
        ("fishy", "/usr/bin/fish"),
        ("zeal", "/usr/bin/zsh"),
    ];
    let lab = shells.iter().fold(Lab::builder(), |builder, (user, shell)| builder.user(user, shell)).start();
    let node = lab.node(1);
    let exec = |user: &str, more: &[&str], command: &str, status| {
        one(lab.gsctl().args(["-l", user]).args(more).args(["exec", "--", command]), status)
    };
    for (user, _) in shells {
        let host = exec(user, &[], "echo one\necho two", 0);
        assert_eq!(host["stdout"], "one\ntwo\n", "{user}: {host:#}");
        assert_eq!(exec(user, &[], "exit 7", 5)["exit_status"], 7, "{user}");
    }
    for user in ["bashful", "cshell", "fishy", "zeal"] {
        let host = exec(user, &["-t", "1"], "sleep 5201", 3);
        says(&host, "timed_out", "timeout", "no end within 1s");
        assert_eq!(host["remote_killed"], true, "{user}: {host:#}");
        crate::failures::until_gone(node, "sleep 5201");
    }
    let profile = "home-bashful/.bashrc";
    node.write(profile, "echo welcome; echo careful >&2\n");
    let host = exec("bashful", &[], "echo ran", 0);
    assert_eq!((&host["stdout"], &host["stderr"]), (&"ran\n".into(), &"".into()), "{host:#}");
    node.write(profile, "read line; echo \"read: $line\"\n");
    assert_eq!(exec("bashful", &[], "echo ran", 0)["stdout"], "ran\n");
    node.write(profile, "sleep 5\n");
    let host = exec("bashful", &["-t", "1"], "echo ran >>$HOME/ran", 3);
    says(&host, "timed_out", "timeout", "did not begin the command within 1s; it was not run");
    assert!(host["hint"].as_str().unwrap().contains("profile"), "{host:#}");
    node.write(profile, "echo no more today; exit 3\n");
    let host = exec("bashful", &[], "echo ran >>$HOME/ran", 5);
    says(&host, "failed", "command", "ended with exit status 3 before the command began: no more today");
    crate::lab::wait::until("the login shell has ended", || crate::failures::running(node, "sleep 5") == 0);
    assert!(!node.exists("home-bashful/ran"), "it was run after all");
}

/// Without root there is one account, and its shell is what it is.
fn shell_of_an_ordinary_user() {
    let lab = Lab::start(1);
    assert_eq!(one(lab.gsctl().args(["exec", "--", "echo one\necho two"]), 0)["stdout"], "one\ntwo\n");
}

/// What the server wanted beside a key, and a banner that libssh2 cannot take: both are named.
#[test]
fn a_second_factor_and_a_long_banner_are_named() {
    let private = rustix::process::geteuid().is_root();
    let base = if private { crate::lab::MOUNT } else { "%h/.." };
    let factor =
        Lab::builder().sshd_config("PasswordAuthentication yes\nAuthenticationMethods publickey,password\n").start();
    let host = one(factor.gsctl().args(["--connect-attempts", "1", "ping"]), 4);
    says(&host, "unreachable", "auth", "the server took a key of");
    assert!(host["error"].as_str().unwrap().contains("second factor: password"), "{host:#}");
    assert!(host["hint"].as_str().unwrap().contains("--ask-password"), "{host:#}");

    let lab = Lab::builder().sshd_config(&format!("Banner {base}/.lab/banner\n")).start();
    lab.node(1).write(".lab/banner", format!("{}\n", "x".repeat(79)).repeat(600));
    let host = one(lab.gsctl().args(["--connect-attempts", "1", "ping"]), 4);
    says(&host, "unreachable", "auth", "a packet of more than 35,000 bytes");
    assert!(host["hint"].as_str().unwrap().contains("--transport openssh"), "{host:#}");
    one(lab.gsctl().args(["--transport", "openssh", "exec", "--", "true"]), 0);
}
