//! Everything that can go wrong between gsctl and a node: each with its own outcome, phase, exit status and hint, no hang,
//! and nothing left running on the node.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::gsctl::Gsctl;
use crate::lab::faults::{self, Peer};
use crate::lab::proxy::{Fault, Point, Proxy};
use crate::lab::{Lab, Node, wait};

/// A host's part of a JSON report.
#[track_caller]
pub(crate) fn host(report: &Value, name: &str) -> Value {
    let hosts = report["hosts"].as_array().expect("a report has hosts");
    hosts.iter().find(|host| host["host"] == name).unwrap_or_else(|| panic!("no host {name} in {report:#}")).clone()
}

/// Runs and reads the JSON report; `status` is the exit status expected.
#[track_caller]
pub(crate) fn report(gsctl: Gsctl, status: i32) -> Value {
    gsctl.json().run().expect(status).json()
}

/// The only host's part of the report.
#[track_caller]
pub(crate) fn one(gsctl: Gsctl, status: i32) -> Value {
    report(gsctl, status)["hosts"][0].clone()
}

/// Asserts what a report says about a host: outcome, phase, and a part of the error.
#[track_caller]
pub(crate) fn says(host: &Value, outcome: &str, phase: &str, error: &str) {
    let text = host["error"].as_str().unwrap_or_default();
    assert!(
        host["outcome"] == outcome && host["phase"] == phase && text.contains(error),
        "wanted {outcome}, {phase}, `{error}` in {host:#}"
    );
}

/// Processes on the node whose arguments hold this text.
pub(crate) fn running(node: &Node, text: &str) -> usize {
    let processes = node.processes();
    processes.iter().filter(|process| process.state != 'Z' && process.cmdline.join(" ").contains(text)).count()
}

#[track_caller]
pub(crate) fn until_running(node: &Node, text: &str) {
    // The whole command line: a shell that is about to run it has it in its own.
    wait::until("the command runs on the node", || {
        node.processes().iter().any(|process| process.state != 'Z' && process.cmdline.join(" ") == text)
    });
}

#[track_caller]
pub(crate) fn until_gone(node: &Node, text: &str) {
    wait::until("nothing is left on the node", || running(node, text) == 0);
}

/// The lab's `gsctl` with a hosts file of its own: these names at these addresses, all trusted with `node`'s keys.
pub(crate) fn through(lab: &Lab, node: &Node, hosts: &[(&str, SocketAddr)]) -> Gsctl {
    let mut lines = String::new();
    for (name, address) in hosts {
        lab.trust(name, *address, node);
        lines.push_str(&lab.hosts_line(name, *address));
    }
    lab.gsctl().hosts_file(lab.write_hosts_file(&lines))
}

#[test]
fn commands_that_end_badly() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let exec = |command: &str, status| one(lab.gsctl().args(["exec", "--", command]), status);

    let host = exec("echo before; kill -9 $$", 3);
    says(&host, "failed", "command", "killed by signal KILL");
    assert_eq!((&host["signal"], &host["stdout"]), (&"KILL".into(), &"before\n".into()), "{host:#}");

    // The command's shell is dead, what it had started is not: it must not stay.
    let host = exec("sleep 4711 & kill -9 $$; echo on", 3);
    says(&host, "failed", "command", "killed by signal KILL");
    assert_eq!(host["remote_killed"], true, "{host:#}");
    until_gone(node, "sleep 4711");

    let host = exec("exit 137", 5);
    says(&host, "failed", "command", "exit status 137");
    assert_eq!(host["exit_status"], 137);
    assert!(host["hint"].as_str().unwrap().contains("128+9"), "{host:#}");

    let host = exec("sh -c 'kill -9 $$'", 5);
    assert_eq!(host["exit_status"], 137, "{host:#}");
    says(&exec("exit 255", 5), "failed", "command", "exit status 255");
    assert_eq!(exec("sleep 4712 & kill -9 $!; wait $! 2>/dev/null; echo alive", 0)["stdout"], "alive\n");
    says(&exec("no-such-command", 5), "failed", "command", "exit status 127");
    until_gone(node, "sleep 4712");
}

#[test]
fn a_session_lost_in_the_middle_is_never_a_success() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let proxy = Proxy::to(node.address()).start();
    let lost = |arguments: &[&str], marker: &str, breaks: &dyn Fn()| {
        let gsctl = through(&lab, node, &[("px", proxy.address())]).args(arguments);
        let file = lab.dir().join("client/report.json");
        let mut run =
            gsctl.arg("--json").arg(&file).args(["exec", "--", &format!("echo begun; sleep {marker}")]).spawn();
        until_running(node, &format!("sleep {marker}"));
        run.wait_for_stdout("begun");
        breaks();
        run.wait().expect(4);
        let report: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        report["hosts"][0].clone()
    };
    for (marker, breaks) in
        [("4801", &(|| node.kill_sessions()) as &dyn Fn()), ("4802", &|| proxy.cut()), ("4803", &|| proxy.close())]
    {
        let host = lost(&[], marker, breaks);
        says(&host, "unreachable", "lost", "before the result was heard");
        assert_eq!((&host["remote_killed"], &host["stdout"]), (&true.into(), &"begun\n".into()), "{host:#}");
        assert!(host.get("exit_status").is_none(), "{host:#}");
        until_gone(node, &format!("sleep {marker}"));
    }

    // Without a way back nobody can say what became of it.
    let host = lost(&["--connect-attempts", "1"], "4804", &|| {
        node.stop_sshd();
        node.kill_sessions();
    });
    says(&host, "unreachable", "lost", "before the result was heard");
    assert_eq!(host["remote_killed"], false, "{host:#}");
    assert_eq!(running(node, "sleep 4804"), running(node, "4804"));
    node.start_sshd();

    // Nothing passes any more, and nobody says so.
    let host = lost(&["--keepalive", "1sx2", "--connect-timeout", "1s", "--connect-attempts", "1"], "4805", &|| {
        proxy.freeze();
    });
    says(&host, "unreachable", "lost", "no answer to 2 keepalives");
    assert_eq!(host["remote_killed"], false, "{host:#}");
}

#[test]
fn a_channel_that_sshd_cuts_is_not_a_success() {
    // sshd counts whole seconds of a clock: one second may be over at once, three are more than two.
    let lab = Lab::builder().sshd_config("ChannelTimeout session:command=3s\n").start();
    let host = one(lab.gsctl().args(["exec", "--", "echo begun; sleep 4811; echo done"]), 4);
    says(&host, "unreachable", "lost", "closed the channel before the result was heard");
    assert_eq!((&host["remote_killed"], &host["stdout"]), (&true.into(), &"begun\n".into()), "{host:#}");
    assert!(host["hint"].as_str().unwrap().contains("ChannelTimeout"), "{host:#}");
    until_gone(lab.node(1), "sleep 4811");
}

#[test]
fn peers_that_are_no_sshd_are_told_apart() {
    let lab = Lab::start(1);
    let cases: [(&str, Peer, &str, usize); 5] = [
        ("mute", faults::mute_port(), "the server said nothing within 1s", 2),
        ("garbage", faults::garbage_banner(), "not SSH: it says `220 mail.example ESMTP ready`", 2),
        ("hang", faults::banner_then_hang(), "no end of the key exchange within 1s", 2),
        ("closed", faults::closed_port(), "connection refused", 0),
        ("silent", faults::silent_address(), "timed out after 1s", 0),
    ];
    let lines = cases.iter().fold(String::new(), |text, (name, peer, ..)| text + &lab.hosts_line(name, peer.address()));
    let gsctl = lab.gsctl().hosts_file(lab.hosts_file_with(&lines));
    let report =
        report(gsctl.args(["--connect-timeout", "1s", "--connect-attempts", "2", "exec", "--", "echo ran >>ran"]), 4);
    for (name, peer, error, connections) in &cases {
        let host = host(&report, name);
        says(&host, "unreachable", "connect", error);
        assert_eq!(host["attempts"], 2, "{host:#}");
        assert_eq!(peer.connections(), *connections, "{name}");
        assert!(host["hint"].as_str().is_some(), "{host:#}");
    }
    assert_eq!(host(&report, "node1")["outcome"], "ok");
    assert_eq!(lab.node(1).text("home/ran"), "ran\n");
}

#[test]
fn each_phase_of_a_login_hangs_and_breaks_under_its_own_name() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let points = [
        ("accept", Point::Accept, "connect", "connection ", "said nothing within"),
        ("banner", Point::Banner, "connect", "lost in the key exchange", "no end of the key exchange"),
        ("kex", Point::KeyExchange, "connect", "lost in the key exchange", "no end of the key exchange"),
        ("keys", Point::Auth, "connect", "lost in the key exchange", "no end of the key exchange"),
    ];
    let mut cases = Vec::new();
    for (point, at, phase, broken, late) in points {
        for (fault, how, error) in
            [("reset", Fault::Reset, broken), ("close", Fault::Close, broken), ("hang", Fault::Hang, late)]
        {
            let proxy = Proxy::to(node.address()).at(at, how).start();
            cases.push((format!("{point}-{fault}"), proxy, phase, error));
        }
    }
    let hosts: Vec<(&str, SocketAddr)> =
        cases.iter().map(|(name, proxy, ..)| (name.as_str(), proxy.address())).collect();
    let gsctl = through(&lab, node, &hosts);
    let report =
        report(gsctl.args(["--connect-timeout", "2s", "--connect-attempts", "2", "exec", "--", "echo ran >>ran"]), 4);
    for (name, proxy, phase, error) in &cases {
        let host = host(&report, name);
        says(&host, "unreachable", phase, error);
        assert_eq!((&host["attempts"], proxy.connections()), (&2.into(), 2), "{host:#}");
    }
    assert!(!node.exists("home/ran"));
}

/// Wherever the connection breaks after the login, the command is run once at most, and never told as heard if it was not.
#[test]
fn wherever_a_connection_breaks_no_command_is_run_twice() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    // A whole session is some 2,700 to 4,000 bytes of the server's; the last of them are after the login.
    let proxies: Vec<_> = (0..28)
        .map(|n| {
            let fault = if n % 2 == 0 { Fault::Reset } else { Fault::Hang };
            (format!("cut{n}"), Proxy::to(node.address()).at(Point::Bytes(1_500 + 100 * n), fault).start())
        })
        .collect();
    let hosts: Vec<(&str, SocketAddr)> = proxies.iter().map(|(name, proxy)| (name.as_str(), proxy.address())).collect();
    node.mkdir("log/ran");
    let book = lab.dir().join("client/once.yaml");
    let text = format!(
        "name: once\nsummary: leaves a trace\nsteps:\n  - name: trace\n    run: \"echo ran >>{}/log/ran/{{host}}; seq 1 200\"\n",
        node.base().display()
    );
    std::fs::write(&book, text).unwrap();
    let gsctl = through(&lab, node, &hosts).args(["--connect-timeout", "2s", "--connect-attempts", "2"]);
    let run = gsctl.args(["--keepalive", "2sx1", "--json", "-", "play"]).arg(&book).run();
    let report = run.json();
    let mut seen = String::new();
    let mut not_run = 0;
    for (name, _) in &proxies {
        let host = host(&report, name);
        let traces =
            if node.exists(format!("log/ran/{name}")) { node.text(format!("log/ran/{name}")) } else { String::new() };
        let _ = writeln!(seen, "{name}: {} {} {} {traces:?}", host["outcome"], host["phase"], host["error"]);
        assert!(traces.is_empty() || traces == "ran\n", "run twice\n{run}");
        let error = host["error"].as_str().unwrap_or_default();
        if host["outcome"] == "ok" {
            assert_eq!(traces, "ran\n", "{host:#}");
        } else if error.contains("nothing was run") || host["phase"] != "lost" {
            not_run += 1;
            assert_eq!(traces, "", "it was run, though gsctl says that it was not: {host:#}");
        }
    }
    assert!(not_run > 0 && seen.contains("\"lost\""), "the breaks miss the point:\n{seen}");
}

#[test]
fn a_login_that_hangs_or_breaks_is_tried_again() {
    let me = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let config = "AuthorizedKeysFile none\nAuthorizedKeysCommand /usr/bin/sleep 4841\nAuthorizedKeysCommandUser ";
    let lab = Lab::builder().sshd_config(&format!("{config}{me}")).start();
    let node = lab.node(1);
    let proxy = Proxy::to(node.address()).start();
    let gsctl = || through(&lab, node, &[("px", proxy.address())]).args(["--connect-attempts", "2"]);
    let host = one(gsctl().args(["--connect-timeout", "1s", "exec", "echo ran >>ran"]), 4);
    says(&host, "unreachable", "auth", "no end of the login within 1s");
    assert_eq!((&host["attempts"], proxy.connections()), (&2.into(), 2), "{host:#}");

    node.sh("pkill sleep");
    let run = gsctl().args(["--connect-timeout", "30s"]).json().args(["exec", "echo ran >>ran"]).spawn();
    for connections in [3, 4] {
        let here = wait::within(Duration::from_secs(30), || proxy.connections() == connections);
        assert!(here, "{} connections\n{}", proxy.connections(), run.stderr());
        until_running(node, "/usr/bin/sleep 4841");
        proxy.cut();
        node.sh("pkill sleep");
        until_gone(node, "sleep 4841");
    }
    let host = run.wait().expect(4).json()["hosts"][0].clone();
    says(&host, "unreachable", "auth", "connection closed during login");
    assert_eq!(host["attempts"], 2, "{host:#}");
    assert!(!node.exists("home/ran"));
}

#[test]
fn no_algorithm_in_common_ends_the_attempts() {
    let lab = Lab::builder().sshd_config("Ciphers aes128-ctr\nMACs umac-64@openssh.com\n").start();
    let host = one(lab.gsctl().args(["--connect-attempts", "12", "exec", "echo ran"]), 4);
    says(&host, "unreachable", "connect", "no common algorithms");
    // sshd may reset the connection before its offer is read, which is tried again; the attempt that reads it is the last.
    assert!(host["attempts"].as_u64().unwrap() < 12, "{host:#}");
}

#[test]
fn dropped_connections_are_tried_again() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let proxy = Proxy::to(node.address()).drop_first(2).start();
    let host = one(through(&lab, node, &[("px", proxy.address())]).args(["exec", "--", "echo ran >>ran"]), 0);
    assert_eq!((&host["outcome"], &host["attempts"]), (&"ok".into(), &3.into()), "{host:#}");
    assert_eq!(node.text("home/ran"), "ran\n");
    assert_eq!(proxy.connections(), 3);
}

#[test]
fn accounts_and_shells_that_do_not_let_in() {
    let mut builder = Lab::builder().shell("/usr/sbin/nologin");
    let private = rustix::process::geteuid().is_root();
    if private {
        builder = builder.user("gone", "/no/such/shell").user("narrow", "/bin/rbash");
        builder = builder.user("cshell", "/usr/bin/tcsh").user("fishy", "/usr/bin/fish").user("bashful", "/bin/bash");
    }
    let lab = builder.start();
    let exec = |user: &str, command: &str, status| one(lab.gsctl().args(["-l", user, "exec", "--", command]), status);
    let host = exec(lab.user(), "echo ran", 5);
    says(&host, "failed", "command", "not available");
    assert!(host["hint"].as_str().unwrap().contains("no shell"), "{host:#}");
    crate::lab::need_root();
    let host = exec("gone", "echo ran", 4);
    says(&host, "unreachable", "auth", "permission denied");
    assert!(host["hint"].as_str().unwrap().contains("shell"), "{host:#}");

    // bash's restricted mode takes the wrapper; what it does not take is the command's own failure.
    assert_eq!(exec("narrow", "echo ran", 0)["stdout"], "ran\n");
    let host = exec("narrow", "cd /", 5);
    assert!(host["stderr"].as_str().unwrap().contains("restricted"), "{host:#}");

    for user in ["cshell", "fishy", "bashful"] {
        let host = exec(user, "echo \"it's\" '$HOME!' \\\\; sh -c 'exit 7'", 5);
        assert_eq!(host["exit_status"], 7, "{user}: {host:#}");
        assert!(host["stdout"].as_str().unwrap().starts_with("it's $HOME!"), "{user}: {host:#}");
    }
    let host = exec("cshell", "setenv GS csh; echo $GS", 0);
    assert_eq!(host["stdout"], "csh\n", "the command is the login shell's: {host:#}");
    let host = exec("fishy", &format!("set -x GS fish; echo $GS # {}", "x".repeat(40_000)), 0);
    assert_eq!(host["stdout"], "fish\n", "{host:#}");
}

#[test]
fn raw_sends_the_command_as_it_is() {
    let lab = Lab::start(1);
    let raw = |command: &str, status| one(lab.gsctl().args(["-t", "2", "exec", "--raw", "--", command]), status);
    assert_eq!(raw("echo out; echo err >&2", 0)["stderr"], "err\n");
    assert_eq!(raw("exit 9", 5)["exit_status"], 9);
    assert_eq!(raw("kill -9 $$", 3)["signal"], "KILL");
    let late = raw("sleep 4821", 3);
    says(&late, "timed_out", "timeout", "no end within 2s");
    assert_eq!(late["remote_killed"], false, "{late:#}");
    until_running(lab.node(1), "sleep 4821");
}
