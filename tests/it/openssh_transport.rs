//! `--transport openssh`: the same outcomes as gsctl's own transport, by the system's `ssh`, of which nothing stays.
//!
//! `ssh` looks for `~/.ssh` in the home that the password file names, not in `$HOME`: every run here has a file of its own.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failures::{one, report, running, says, until_gone, until_running};
use crate::gsctl::Gsctl;
use crate::lab::process::Process;
use crate::lab::{Key, Lab, Node, faults, opengauss, wait};

/// The lab's `gsctl` with the system's `ssh`, whose sockets go into `sockets`.
fn by_ssh(lab: &Lab) -> Gsctl {
    lab.gsctl().args(["--transport", "openssh", "-F", "none"]).env("TMPDIR", sockets(lab))
}

/// A folder for the run's sockets, with a short name.
fn sockets(lab: &Lab) -> PathBuf {
    let folder = lab.dir().join("s");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Neither a process nor a socket is left of `ssh`.
#[track_caller]
fn nothing_left(lab: &Lab) {
    let folder = sockets(lab);
    let text = folder.display().to_string();
    wait::until("no ssh is left", || {
        !Process::all().iter().any(|process| process.state != 'Z' && process.cmdline.join(" ").contains(&text))
    });
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn logins(node: &Node) -> usize {
    node.sshd_log().matches("Accepted publickey").count()
}

/// A report without what differs from run to run.
fn lasting(mut value: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|key, _| !["elapsed_ms", "connect_ms", "started", "run"].contains(&key.as_str()));
                map.values_mut().for_each(strip);
            }
            Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    value
}

#[test]
fn the_reports_are_those_of_the_native_transport() {
    let lab = Lab::start(2);
    let wrong = lab.unknown_key(&Key::ed25519()).display().to_string();
    let mute = faults::mute_port();
    let closed = faults::closed_port();
    let garbage = faults::garbage_banner();
    let lines = [("mute", mute.address()), ("closed", closed.address()), ("garbage", garbage.address())];
    let lines = lines.iter().fold(String::new(), |text, (name, at)| text + &lab.hosts_line(name, *at));
    let hosts = lab.hosts_file_with(&format!("{lines}nameless address=no-such-host.invalid user={}\n", lab.user()));
    let long = format!("echo {} | wc -c", "x".repeat(50_000));
    let script = lab.dir().join("client/script.sh");
    fs::write(&script, "#!/bin/sh\necho \"from a script: $1\"\nread line || echo 'nothing to read'\n").unwrap();
    let script = script.display().to_string();
    let one = ["-w", "node1"];
    let cases: &[(&[&str], &[&str], i32)] = &[
        (&[], &["exec", "--", "echo out; echo err >&2; hostname >/dev/null"], 0),
        (&one, &["exec", "--", "exit 7"], 5),
        (&one, &["exec", "--", "no-such-command"], 5),
        (&one, &["exec", "--", "printf 'no newline'; seq 1 20000"], 0),
        (&one, &["exec", "--", &long], 0),
        (&one, &["exec", "--raw", "--", "echo raw; exit 9"], 5),
        (&one, &["exec", "--chdir", "/no/such", "--", "echo never"], 5),
        (&one, &["exec", "--env", "GS=a b", "--", "echo \"$GS\"; sleep 5101 & echo started"], 0),
        (&one, &["script", &script, "it's"], 0),
        (&one, &["touch", "mark/er"], 5),
        (&one, &["check", "--process", "no-such"], 5),
        (&["-w", "node1", "-t", "1"], &["exec", "--", "echo heard; sleep 5102"], 3),
        (&["-w", "node1", "-l", "nosuchuser"], &["ping"], 4),
        (&["-w", "closed", "--connect-attempts", "2"], &["ping"], 4),
        (&["-w", "mute", "--connect-attempts", "1", "--connect-timeout", "1s"], &["ping"], 4),
        (&["-w", "nameless", "--connect-attempts", "1", "--connect-timeout", "60s"], &["ping"], 4),
        (&["-w", "garbage", "--connect-attempts", "1", "--connect-timeout", "1s"], &["ping"], 4),
    ];
    let run = |transport: &str, options: &[&str], command: &[&str], status| {
        let gsctl = lab.gsctl().hosts_file(&hosts).env("TMPDIR", sockets(&lab)).args(["-F", "none"]);
        let gsctl = if options.is_empty() { gsctl.args(["-w", "node[1-2]"]) } else { gsctl.args(options) };
        lasting(report(gsctl.args(["--transport", transport]).args(command), status))
    };
    for (options, command, status) in cases {
        let (native, openssh) = (run("native", options, command, *status), run("openssh", options, command, *status));
        assert_eq!(openssh, native, "{options:?} {command:?}: {openssh:#}\nand by the native transport {native:#}");
    }
    until_gone(lab.node(1), "sleep 5102");
    // With a key that is not the node's, the words are the same too.
    let known = format!("UserKnownHostsFile={}", lab.known_hosts().display());
    let with = |transport: &str| {
        let gsctl = lab.bare_gsctl().hosts_file(lab.hosts_file()).args(["-F", "none", "-o", &known, "-i", &wrong]);
        lasting(report(gsctl.args(["--transport", transport, "ping"]), 4))
    };
    assert_eq!(with("openssh"), with("native"));
    nothing_left(&lab);
}

#[test]
fn host_keys_that_are_unknown_new_changed_and_revoked() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let known = lab.dir().join("client/other_known_hosts");
    let ping = |transport: &str, policy: &str| {
        let known = format!("UserKnownHostsFile={}", known.display());
        let gsctl = lab.bare_gsctl().hosts_file(lab.hosts_file()).args(["-F", "none", "-i"]).arg(lab.key());
        let gsctl = gsctl.args(["-o", &known, "--host-key-policy", policy, "--transport", transport]);
        gsctl.env("TMPDIR", sockets(&lab)).arg("ping")
    };
    let (openssh, native) = (report(ping("openssh", "strict"), 4), report(ping("native", "strict"), 4));
    assert_eq!(lasting(openssh), lasting(native));
    report(ping("openssh", "accept-new"), 0);
    assert!(fs::read_to_string(&known).unwrap().contains(&node.address().ip().to_string()));
    report(ping("native", "strict"), 0);
    let good = fs::read_to_string(&known).unwrap();
    lab.change_host_key(node);
    fs::copy(lab.known_hosts(), &known).unwrap();
    for policy in ["strict", "accept-new"] {
        let host = one(ping("openssh", policy), 4);
        says(&host, "unreachable", "host_key", "the ssh-ed25519 host key has changed: ");
        let (error, hint) = (host["error"].as_str().unwrap(), host["hint"].as_str().unwrap());
        assert!(error.contains(&format!("{} line 1 has ", known.display())), "{host:#}");
        assert!(error.matches("SHA256:").count() == 1 && hint.contains("ssh-keygen -f "), "{host:#}");
    }
    fs::write(&known, format!("@revoked {good}")).unwrap();
    says(&one(ping("openssh", "strict"), 4), "unreachable", "host_key", "this key is revoked: SHA256:");
    nothing_left(&lab);
}

#[test]
fn what_runs_is_killed_and_what_is_lost_is_no_success() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let host = one(by_ssh(&lab).args(["-t", "1", "exec", "--", "trap '' TERM; sleep 5111; sleep 5111"]), 3);
    says(&host, "timed_out", "timeout", "no end within 1s");
    assert_eq!(host["remote_killed"], true, "{host:#}");
    until_gone(node, "sleep 5111");

    // A signal that ended the command is heard of, and what it leaves does not stay.
    let host = one(by_ssh(&lab).args(["exec", "--", "echo before; sleep 5112 & kill -9 $$; echo on"]), 3);
    says(&host, "failed", "command", "killed by signal KILL");
    assert_eq!((&host["stdout"], &host["remote_killed"]), (&"before\n".into(), &true.into()), "{host:#}");
    until_gone(node, "sleep 5112");

    // The connection is cut in the middle: what was heard is kept, and what still runs is killed by a new login.
    let report = lab.dir().join("client/report.json");
    let gsctl = by_ssh(&lab).arg("--json").arg(&report);
    let mut run = gsctl.args(["--stream", "exec", "--", "echo before; sleep 5113; echo after"]).spawn();
    run.wait_for_stdout("before");
    until_running(node, "sleep 5113");
    node.kill_sessions();
    run.wait().expect(4);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let host = report["hosts"][0].clone();
    says(&host, "unreachable", "lost", "connection lost before the result was heard: ");
    assert_eq!((&host["stdout"], &host["remote_killed"]), (&"before\n".into(), &true.into()), "{host:#}");
    until_gone(node, "sleep 5113");

    // Ctrl-C.
    let run = by_ssh(&lab).json().args(["exec", "--", "sleep 5114"]).spawn();
    until_running(node, "sleep 5114");
    run.signal_group(rustix::process::Signal::INT);
    let host = run.wait().expect(130).json()["hosts"][0].clone();
    assert_eq!((&host["outcome"], &host["remote_killed"]), (&"cancelled".into(), &true.into()), "{host:#}");
    until_gone(node, "sleep 5114");
    assert_eq!(running(node, "sleep 511"), 0);
    nothing_left(&lab);
}

/// A `Host` block for a node, with the lab's key.
fn block(lab: &Lab, name: &str, node: &Node, more: &str) -> String {
    let (address, user, key, known) = (node.address(), lab.user(), lab.key(), lab.known_hosts());
    format!(
        "Host {name}\n HostName {}\n Port {}\n User {user}\n IdentityFile {}\n UserKnownHostsFile {}\n{more}",
        address.ip(),
        address.port(),
        key.display(),
        known.display()
    )
}

fn bare(lab: &Lab, config: &Path, hosts: &str) -> Gsctl {
    let gsctl = lab.bare_gsctl().args(["--transport", "openssh", "-w", hosts, "-F"]).arg(config);
    gsctl.env("TMPDIR", sockets(lab))
}

#[test]
fn ssh_reads_its_own_configuration() {
    let lab = Lab::start(2);
    let (jump, node) = (lab.node(1), lab.node(2));
    let config = lab.dir().join("client/config");
    let flag = lab.dir().join("client/flag");
    let text = format!(
        "{}{}Match originalhost db2 exec \"test -e {}\"\n {}",
        block(&lab, "bastion", jump, ""),
        block(&lab, "db1", node, " ProxyJump bastion\n"),
        flag.display(),
        block(&lab, "db2", node, "").split_once('\n').unwrap().1,
    );
    fs::write(&config, text).unwrap();

    // ProxyJump: by the jump host's own log.
    let host = one(bare(&lab, &config, "db1").args(["exec", "--", "echo \"$SSH_CONNECTION\""]), 0);
    assert_eq!((logins(jump), logins(node)), (1, 1), "{host:#}");
    assert_eq!((&host["address"], &host["port"]), (&node.address().ip().to_string().into(), &lab.port().into()));
    // -J, with what gsctl knows of the jump host; it takes the key that is typed.
    let host = one(by_ssh(&lab).args(["-w", "node2", "-J", "node1", "exec", "--", "echo through"]), 0);
    assert_eq!((logins(jump), logins(node), &host["stdout"]), (2, 2, &"through\n".into()), "{host:#}");
    let dead = faults::closed_port();
    let place = format!("{}@{}", lab.user(), dead.address());
    let host = one(by_ssh(&lab).args(["-w", "node2", "-J", &place, "--connect-attempts", "1", "ping"]), 4);
    says(&host, "unreachable", "connect", &format!("through {place}: "));
    assert!(host["error"].as_str().unwrap().contains("Connection refused"), "{host:#}");
    // The jump host cannot go on: its reason stands there as sent, which libssh2 drops.
    let file = lab.hosts_file_with(&lab.hosts_line("closed", dead.address()));
    let behind =
        |gsctl: Gsctl| gsctl.hosts_file(&file).args(["-w", "closed", "-J", "node1", "--connect-attempts", "1", "ping"]);
    let host = one(behind(by_ssh(&lab)), 4);
    says(&host, "unreachable", "connect", "through node1: channel 0: open failed: connect failed: Connection refused");
    let host = one(behind(lab.gsctl()), 4);
    assert!(host["hint"].as_str().unwrap().contains("`--transport openssh` shows the reason"), "{host:#}");

    // Match exec decides, which the native transport cannot do.
    let ping = || bare(&lab, &config, "db2").args(["--connect-attempts", "1", "ping"]);
    says(&one(ping(), 4), "unreachable", "resolve", "`db2` has no address");
    fs::write(&flag, "").unwrap();
    let host = one(ping(), 0);
    assert_eq!((&host["user"], &host["port"]), (&lab.user().into(), &lab.port().into()), "{host:#}");

    // What ssh does not understand is said before anybody is contacted, and so is what this transport cannot do.
    let before = (logins(jump), logins(node));
    for (args, said, hint) in [
        (&["-o", "Frobnicate=yes", "ping"][..], "ssh: command-line", "ssh -G"),
        (&["--password-file", "/no/such", "ping"], "not with `--transport openssh`", "--transport native"),
        (&["push", "/etc/hostname", "there"], "`push` copies files: not with", "--transport native"),
        (&["-i", "/no/such/key", "ping"], "key file `/no/such/key` does not exist", ""),
    ] {
        let run = bare(&lab, &config, "db1").args(args).run().expect(2);
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains(said), "`{said}` is missing\n{run}");
        assert!(run.stderr.contains(hint), "{run}");
    }
    assert_eq!((logins(jump), logins(node)), before);
    nothing_left(&lab);
}

#[test]
fn one_login_serves_a_whole_start() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    let gsctl = by_ssh(&lab).args(["start", "--json", "-"]);
    let run = gsctl.run().expect(0);
    let result = run.json();
    assert_eq!(result["counts"]["ok"].as_u64().unwrap() + result["counts"]["changed"].as_u64().unwrap(), 3);
    for (number, node) in (1..).zip(lab.nodes()) {
        assert!(!cluster.running(number, "gaussdb").is_empty(), "{}", cluster.census());
        assert_eq!(logins(node), 1, "{}", node.sshd_log());
    }
    nothing_left(&lab);
}

/// A banner is the server's to write: it makes up neither the address that answered nor the cause of a failure.
#[test]
fn a_banner_is_not_believed() {
    let base = if rustix::process::geteuid().is_root() { crate::lab::MOUNT } else { "%h/.." };
    let lab = Lab::builder().sshd_config(&format!("Banner {base}/.lab/banner\n")).start();
    let node = lab.node(1);
    node.write(
        ".lab/banner",
        "debug1: Connecting to evil [6.6.6.6] port 66.\ndebug1: Server host key: ssh-rsa SHA256:made-up\n\
         debug1: Remote protocol version 2.0, remote software version made-up\n@ REMOTE HOST IDENTIFICATION HAS CHANGED! @\n\
         Offending ED25519 key in /etc/passwd:7\nHost key verification failed.\nssh: Could not resolve hostname x: made up\n\
         Received disconnect from 6.6.6.6 port 66:2: Too many authentication failures\nwords\nmore words\n",
    );
    let gsctl = |key: &std::path::Path| {
        let known = format!("UserKnownHostsFile={}", lab.known_hosts().display());
        let gsctl =
            lab.bare_gsctl().hosts_file(lab.hosts_file()).args(["-F", "none", "--transport", "openssh", "-o", &known]);
        gsctl.arg("-i").arg(key).args(["-o", "IdentitiesOnly=yes"])
    };
    let host = crate::failures::one(gsctl(&lab.key()).args(["exec", "--", "echo in"]), 0);
    assert_eq!(
        (&host["address"], &host["stdout"]),
        (&node.address().ip().to_string().into(), &"in\n".into()),
        "{host:#}"
    );
    let host = crate::failures::one(gsctl(&lab.unknown_key(&crate::lab::Key::ed25519())).arg("ping"), 4);
    crate::failures::says(&host, "unreachable", "auth", "denied");
    assert!(!host.to_string().contains("6.6.6.6"), "{host:#}");
}
