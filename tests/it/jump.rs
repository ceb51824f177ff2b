//! Jump hosts and `ProxyCommand`, told by the jump hosts' own logs and by what is on the nodes.

use std::fmt::Write as _;
use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::failures::{host, report, running, says, until_gone, until_running};
use crate::gsctl::{Gsctl, Running};
use crate::lab::process::Process;
use crate::lab::{Key, Lab, Node, faults, wait};

/// A name for a node that only `jump` knows, where it can have an `/etc/hosts` of its own; otherwise the node's address.
/// Without a way through the jump host nobody gets there.
fn hidden(lab: &Lab, jump: &Node, node: &Node, names: &[&str]) -> String {
    let mut table = String::from("127.0.0.1 localhost\n");
    let mut lines = String::new();
    for name in names {
        let _ = writeln!(table, "{} {name}.behind", node.address().ip());
        lab.trust(&format!("{name}.behind"), node.address(), node);
        let address = if lab.is_private() { format!("{name}.behind") } else { node.address().ip().to_string() };
        let _ = writeln!(lines, "{name} address={address} port={} user={}", node.address().port(), lab.user());
    }
    if lab.is_private() {
        fs::write(jump.outside(jump.base().join("hosts")), table).unwrap();
        let output = jump.sh(&format!("mount --bind {}/hosts /etc/hosts", jump.base().display()));
        assert!(output.status.success(), "{output:?}");
    }
    lines
}

/// Logins that its sshd let in.
fn logins(node: &Node) -> usize {
    node.sshd_log().matches("Accepted publickey").count()
}

/// The lab's `gsctl` with this many hosts that are hidden behind `jump`, all of them `node`.
fn behind(lab: &Lab, jump: &Node, node: &Node, names: &[&str]) -> Gsctl {
    let lines = hidden(lab, jump, node, names);
    lab.gsctl().hosts_file(lab.hosts_file_with(&lines)).arg("-w").arg(names.join(","))
}

#[test]
fn a_chain_of_two_with_a_hundred_targets_is_one_login_on_each() {
    let lab = Lab::start(3);
    let (first, second, node) = (lab.node(1), lab.node(2), lab.node(3));
    let names: Vec<String> = (1..=100).map(|n| format!("deep{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let gsctl = behind(&lab, second, node, &names).args(["-J", "node1,node2", "--connect-timeout", "60s"]);
    let result = report(gsctl.args(["exec", "--", "echo ran >>ran; echo heard"]), 0);
    assert_eq!(result["counts"]["ok"], 100, "{result:#}");
    assert!(result["hosts"].as_array().unwrap().iter().all(|host| host["stdout"] == "heard\n"), "{result:#}");
    assert_eq!((logins(first), logins(second), logins(node)), (1, 1, 100));
    assert_eq!(node.text("home/ran").lines().count(), 100);
    if lab.is_private() {
        assert_eq!(host(&result, "deep7")["address"], "deep7.behind", "{result:#}");
    }
}

#[test]
fn every_jump_host_has_settings_of_its_own() {
    let lab = Lab::start(3);
    let (jump, other, node) = (lab.node(1), lab.node(2), lab.node(3));
    let key = lab.add_key(&Key::ecdsa());
    let lines = hidden(&lab, jump, node, &["deep1", "deep2"]);
    let bastion = format!("{} identity={}\n", lab.hosts_line("bastion", jump.address()).trim(), key.display());
    lab.trust("bastion", jump.address(), jump);
    let file = |own: &str, more: &str| {
        let deep = lines.lines().fold(String::new(), |text, line| text + line + own + "\n");
        lab.write_hosts_file(&[&deep, &bastion, more].concat())
    };
    let ran = |gsctl: Gsctl| report(gsctl.args(["-w", "deep[1-2]", "exec", "--", "true"]), 0);
    let by = |node: &Node, kind: &str| node.sshd_log().matches(&format!("ssh2: {kind} ")).count();

    // By the hosts file: another key than the targets', and one login for two hosts.
    ran(lab.gsctl().hosts_file(file(" jump=bastion", "")));
    assert_eq!((by(jump, "ECDSA"), by(jump, "ED25519"), by(node, "ED25519")), (1, 0, 2), "{}", jump.sshd_log());

    // By ssh_config, as ssh does it: an alias, and a jump host's own jump host before it.
    let config = lab.client_home().join(".ssh/config");
    let block = |name: &str, node: &Node, more: &str| {
        let (ip, port) = (node.address().ip(), node.address().port());
        let (user, key) = (lab.user(), key.display());
        format!("Host {name}\n HostName {ip}\n Port {port}\n User {user}\n IdentityFile {key}\n{more}")
    };
    let text = block("inner", jump, " ProxyJump outer\n") + &block("outer", other, "");
    fs::write(&config, text + "Host deep1 deep2\n ProxyJump inner\n").unwrap();
    let plain = file("", "");
    ran(lab.gsctl().hosts_file(&plain));
    assert_eq!((by(jump, "ECDSA"), by(other, "ECDSA")), (2, 1));
    // In a list only the first one's own counts.
    ran(lab.gsctl().hosts_file(&plain).args(["-J", "outer,inner"]));
    assert_eq!((by(jump, "ECDSA"), by(other, "ECDSA")), (3, 2));
    // What nobody gives a key of its own takes what is typed. `-p` and `-l` are about the targets.
    let place = format!("{}@{}", lab.user(), jump.address());
    let port = node.address().port().to_string();
    ran(lab.gsctl().hosts_file(&plain).args(["-J", &place, "-p", &port, "-l", lab.user()]));
    ran(lab.gsctl().hosts_file(&plain).env("GSCTL_JUMP", &place));
    ran(lab.gsctl().hosts_file(&plain).arg("-o").arg(format!("ProxyJump=ssh://{place}")));
    assert_eq!((by(jump, "ECDSA"), by(jump, "ED25519")), (3, 3), "{}", jump.sshd_log());
    if lab.is_private() {
        let result = report(lab.gsctl().hosts_file(&plain).args(["-w", "deep1", "-J", "none", "ping"]), 4);
        says(&host(&result, "deep1"), "unreachable", "resolve", "`deep1.behind` has no address");
    }

    let run = lab.gsctl().hosts_file(file(" jump=bastion", "")).arg("hosts").run().expect(0);
    assert!(run.text().lines().next().unwrap().contains("JUMP"), "{run}");
    assert!(run.text().lines().any(|line| line.starts_with("deep1") && line.contains(" bastion ")), "{run}");
    let run = lab.gsctl().hosts_file(&plain).args(["-J", "outer,inner", "hosts", "--json", "-"]).run().expect(0);
    assert_eq!(run.json()["hosts"][0]["jump"], "outer,inner", "{run}");
}

#[test]
fn a_jump_host_that_lets_nobody_through_is_named() {
    let lab = Lab::start(2);
    let (jump, node) = (lab.node(1), lab.node(2));
    let closed = faults::closed_port();
    let bad = lab.unknown_key(&Key::ed25519());
    let stranger = lab.hosts_line("stranger", jump.address());
    let mut lines = hidden(&lab, jump, node, &["deep"]);
    lines.push_str(&lab.hosts_line("closed", closed.address()));
    lines.push_str(&format!("{} identity={}\n", stranger.replace("stranger", "badkey").trim(), bad.display()));
    let file = lab.hosts_file_with(&lines);
    let gsctl =
        |jump: &str, who: &str| lab.gsctl().hosts_file(&file).args(["-J", jump, "-w", who, "exec", "echo ran >>ran"]);

    let said = host(&report(gsctl("badkey", "deep"), 4), "deep");
    says(&said, "unreachable", "auth", "through badkey: permission denied");
    let said = host(&report(gsctl("node1", "closed"), 4), "closed");
    says(&said, "unreachable", "connect", &format!("through node1: node1 cannot connect to {}", closed.address()));
    assert_eq!((&said["attempts"], logins(jump)), (&3.into(), 1), "{said:#}");

    // Nothing is known of its host key.
    let empty = lab.dir().join("client/nobody");
    fs::write(&empty, "").unwrap();
    let strict = lab.bare_gsctl().hosts_file(&file).arg("-i").arg(lab.key()).arg("-o");
    let strict =
        strict.arg(format!("UserKnownHostsFile={}", empty.display())).args(["-J", "node1", "-w", "deep", "ping"]);
    says(&host(&report(strict, 4), "deep"), "unreachable", "host_key", "through node1: [");

    // Circles are seen before anything is contacted.
    let before = logins(jump);
    for (jump, who) in [("node1", "node1"), ("node1,node1", "deep"), ("node1,node2,node1", "deep")] {
        let run = gsctl(jump, who).run().expect(2);
        assert!(run.stderr.contains("go round in a circle") && run.stderr.contains("\nhint: "), "{run}");
    }
    let looped = lab.write_hosts_file("a jump=b\nb jump=a\nc jump=a\n");
    let run = lab.gsctl().hosts_file(looped).args(["-w", "c", "ping"]).run().expect(2);
    assert!(run.stderr.contains("a -> b -> a"), "{run}");
    let run = gsctl("a,,b", "deep").run().expect(2);
    assert!(run.stderr.contains("`--jump a,,b`: jump: the host name is missing"), "{run}");
    assert_eq!(logins(jump), before);
    assert!(!node.exists("home/ran"));

    let shut = Lab::builder().nodes(2).sshd_config("AllowTcpForwarding no\n").start();
    let said = host(&report(shut.gsctl().args(["-J", "node1", "-w", "node2", "ping"]), 4), "node2");
    says(&said, "unreachable", "connect", "through node1: node1 may not connect to");
    assert!(said["hint"].as_str().unwrap().contains("AllowTcpForwarding"), "{said:#}");
    assert_eq!((&said["attempts"], logins(shut.node(1))), (&1.into(), 1), "{said:#}");
}

#[test]
fn a_jump_host_that_does_not_answer_is_tried_once_for_all() {
    let lab = Lab::start(1);
    let mute = faults::mute_port();
    let mut lines = lab.hosts_line("bastion", mute.address());
    (1..=20).for_each(|n| lines.push_str(&format!("deep{n}\n")));
    let file = lab.write_hosts_file(&lines);
    let gsctl = lab.gsctl().hosts_file(file).args(["-J", "bastion", "-w", "deep[1-20]"]);
    let result = report(gsctl.args(["--connect-timeout", "1s", "--connect-attempts", "2", "ping"]), 4);
    for said in result["hosts"].as_array().unwrap() {
        says(said, "unreachable", "connect", "through bastion: ");
        says(said, "unreachable", "connect", "the server said nothing within 1s");
    }
    assert_eq!(mute.connections(), 2);
}

#[test]
fn a_node_that_does_not_answer_holds_nobody_else_up() {
    let lab = Lab::start(2);
    let (jump, node) = (lab.node(1), lab.node(2));
    let silent = faults::silent_address();
    let names: Vec<String> = (1..=10).map(|n| format!("deep{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut lines = lab.hosts_line("silent", silent.address());
    lines.push_str(&hidden(&lab, jump, node, &names));
    let gsctl = lab.gsctl().hosts_file(lab.hosts_file_with(&lines)).args(["-J", "node1", "-x", "node[1-2]"]);
    let result = report(gsctl.args(["--connect-timeout", "3s", "exec", "--", "echo ran >>ran"]), 4);
    assert_eq!((&result["counts"]["ok"], &result["counts"]["unreachable"]), (&10.into(), &1.into()), "{result:#}");
    says(&host(&result, "silent"), "unreachable", "connect", "timed out after 3s");
    assert_eq!(node.text("home/ran").lines().count(), 10);
    // libssh2 cannot give up what it asked for, so the others went over a connection beside the first.
    assert!((1..=3).contains(&logins(jump)), "{}", jump.sshd_log());
}

#[test]
fn a_jump_host_that_dies_fails_those_behind_it_and_comes_back_once() {
    let lab = Lab::start(2);
    let (jump, node) = (lab.node(1), lab.node(2));
    let names = ["deep1", "deep2", "deep3", "deep4", "deep5"];
    let gsctl = behind(&lab, jump, node, &names).args(["-J", "node1", "--fanout", "2", "--json"]);
    let file = lab.dir().join("client/report.json");
    let sleep = |word: &str| format!("mkdir {word} 2>/dev/null && echo up {word} && exec sleep 4901");
    let command = format!("{}; {}; echo fine", sleep("one"), sleep("two"));
    let two_run = |run: &mut Running| {
        // Whose number has been heard can be killed.
        run.wait_for_stdout("up one");
        run.wait_for_stdout("up two");
        wait::until("two of them run", || running(node, "sleep 4901") >= 2);
    };
    let mut run = gsctl.arg(&file).args(["--stream", "exec", "--", &command]).spawn();
    two_run(&mut run);
    jump.kill_sessions();
    run.wait().expect(4);
    let result: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!((&result["counts"]["ok"], &result["counts"]["unreachable"]), (&3.into(), &2.into()), "{result:#}");
    for said in result["hosts"].as_array().unwrap().iter().filter(|host| host["outcome"] != "ok") {
        says(said, "unreachable", "lost", "through node1: the connection to the jump host was lost");
        assert_eq!(said["remote_killed"], true, "{said:#}");
    }
    assert_eq!(logins(jump), 2, "{}", jump.sshd_log());
    until_gone(node, "sleep 4901");

    // Where it does not come back, all fail with that reason, and nobody storms it.
    for name in ["home/one", "home/two"] {
        node.remove(name);
    }
    let gsctl = behind(&lab, jump, node, &names).args(["-J", "node1", "--fanout", "2", "--json"]);
    let mut run = gsctl.arg(&file).args(["--connect-attempts", "2", "--stream", "exec", "--", &command]).spawn();
    two_run(&mut run);
    jump.stop_sshd();
    jump.kill_sessions();
    run.wait().expect(4);
    let result: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(result["counts"]["unreachable"], 5, "{result:#}");
    let refused = |host: &&Value| host["phase"] == "connect";
    let hosts = result["hosts"].as_array().unwrap();
    assert_eq!(hosts.iter().filter(refused).count(), 3, "{result:#}");
    for said in hosts.iter().filter(refused) {
        says(said, "unreachable", "connect", "the connection to the jump host was lost");
        says(said, "unreachable", "connect", "connection refused");
    }
    for said in hosts.iter().filter(|host| !refused(host)) {
        says(said, "unreachable", "lost", "through node1: the connection to the jump host was lost");
        assert_eq!(said["remote_killed"], false, "{said:#}");
    }
}

#[test]
fn nothing_is_left_behind_a_jump_host_and_nothing_is_lost_on_the_way() {
    let lab = Lab::start(3);
    let (first, second, node) = (lab.node(1), lab.node(2), lab.node(3));
    let names = ["deep1", "deep2", "deep3"];
    let lines = hidden(&lab, second, node, &names);
    let file = lab.hosts_file_with(&lines);
    let gsctl =
        || lab.gsctl().hosts_file(&file).args(["-w", "deep[1-3]", "-J", "node1,node2", "--connect-timeout", "60s"]);

    let result = report(gsctl().args(["-t", "1", "exec", "--", "sleep 4911"]), 3);
    for said in result["hosts"].as_array().unwrap() {
        says(said, "timed_out", "timeout", "1s");
        assert_eq!(said["remote_killed"], true, "{said:#}");
    }
    until_gone(node, "sleep 4911");

    let run = gsctl().args(["exec", "--", "sleep 4912"]).spawn();
    until_running(node, "sleep 4912");
    wait::until("all of them run", || running(node, "sleep 4912") >= 3);
    run.signal(Signal::INT);
    run.wait().expect(130);
    until_gone(node, "sleep 4912");
    for node in [first, second, node] {
        wait::until("the sessions are gone", || node.sessions().is_empty());
    }

    // 8 MB from each, at once, and 3 MB to each.
    let out = lab.dir().join("client/out");
    let gsctl = gsctl().arg("--output-dir").arg(&out).arg("--quiet-hosts");
    let text = "seq 1 2000000 | head -c 8000000; seq 1 300000 | head -c 1000000 >&2";
    gsctl.args(["exec", "--", text]).run().expect(0);
    let numbers = |count: usize, bytes: usize| {
        let mut text = (1..=count).fold(String::new(), |mut text, number| {
            let _ = writeln!(text, "{number}");
            text
        });
        text.truncate(bytes);
        text
    };
    let (wanted, errors) = (numbers(2_000_000, 8_000_000), numbers(300_000, 1_000_000));
    for name in names {
        assert!(fs::read_to_string(out.join(format!("{name}.stdout"))).unwrap() == wanted, "{name}: other output");
        assert!(fs::read_to_string(out.join(format!("{name}.stderr"))).unwrap() == errors, "{name}: other errors");
    }
    let script = lab.dir().join("client/big.sh");
    fs::write(
        &script,
        format!("#!/bin/sh\n{}cksum <\"$0\" >/dev/null; echo end\n", "# padding of a line\n".repeat(150_000)),
    )
    .unwrap();
    let gsctl =
        lab.gsctl().hosts_file(&file).args(["-w", "deep[1-3]", "-J", "node1,node2", "--connect-timeout", "60s"]);
    let result = report(gsctl.arg("script").arg(&script), 0);
    assert!(result["hosts"].as_array().unwrap().iter().all(|host| host["stdout"] == "end\n"), "{result:#}");
}

#[test]
fn a_command_carries_the_connection_and_goes_with_it() {
    let lab = Lab::start(2);
    let proxy = |text: &str| lab.gsctl().arg("-o").arg(format!("ProxyCommand={text}"));
    let children =
        |mark: &str| Process::all().iter().filter(|process| process.cmdline.join(" ").contains(mark)).count();
    // `exec` in front, tokens in it, quotes for the shell. The name in `$0` finds it again.
    let nc = "sh -c 'echo \"$0 %n %r\" >>calls; exec 3<&0; busybox nc %h %p <&3 & echo noise >&2; wait' mark-4921-%%";
    let result = report(proxy(nc).args(["exec", "--", "hostname"]), 0);
    assert_eq!(result["counts"]["ok"], 2, "{result:#}");
    let calls = fs::read_to_string(lab.client_home().join("calls")).unwrap();
    let mut calls: Vec<&str> = calls.lines().collect();
    calls.sort_unstable();
    assert_eq!(calls, [1, 2].map(|n| format!("mark-4921-% node{n} {}", lab.user())), "one a host");
    let address = lab.node(1).address().ip().to_string();
    assert_eq!(host(&result, "node1")["address"], address, "{result:#}");
    assert_eq!(children("mark-4921"), 0);

    // Interrupted, the commands are killed on the nodes, over connections that outlive the signal.
    let run = proxy("busybox nc %h %p").args(["exec", "--", "sleep 4922"]).spawn();
    lab.nodes().iter().for_each(|node| until_running(node, "sleep 4922"));
    run.signal_group(Signal::INT);
    run.wait().expect(130);
    lab.nodes().iter().for_each(|node| until_gone(node, "sleep 4922"));
    let nc = format!("busybox nc {address} ");
    assert_eq!(children(&nc), 0);

    // A command that fails is told with what it said; one that cannot be had, too.
    for (text, said) in [
        ("sh -c 'echo no way >&2; exit 3'", "the ProxyCommand ended with exit status 3: no way"),
        ("/nonexistent/nc %h", "the ProxyCommand ended with exit status 127: "),
        ("sh -c 'kill -9 $$'", "the ProxyCommand was killed by signal 9"),
        ("sleep 4923", "the server said nothing within 1s"),
        ("echo hello", "not SSH: it says `hello`"),
    ] {
        // Only silence is waited out; the others need time on a busy machine.
        let limit = if said.ends_with("within 1s") { "1s" } else { "30s" };
        let gsctl = proxy(text).args(["-w", "node1", "--connect-timeout", limit, "--connect-attempts", "2", "ping"]);
        let host = host(&report(gsctl, 4), "node1");
        says(&host, "unreachable", "connect", said);
        assert_eq!(host["attempts"], 2, "{host:#}");
    }
    assert_eq!(children("sleep 4923"), 0);

    // One that ends while something runs is why the connection was lost.
    let text = "sh -c 'exec 3<&0; busybox nc %h %p <&3 & echo $! >nc-4924; wait; echo it broke >&2; exit 9'";
    let file = lab.dir().join("client/lost.json");
    let run = proxy(text).args(["-w", "node1", "--stream", "--json"]).arg(&file);
    let mut run = run.args(["exec", "--", "echo up; sleep 4924"]).spawn();
    until_running(lab.node(1), "sleep 4924");
    // Whose number has been heard can be killed.
    run.wait_for_stdout("up");
    let pid: i32 = fs::read_to_string(lab.client_home().join("nc-4924")).unwrap().trim().parse().unwrap();
    Process::read(pid).unwrap().kill(Signal::KILL);
    run.wait().expect(4);
    let result: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    says(&result["hosts"][0], "unreachable", "lost", "the ProxyCommand ended with exit status 9: it broke");
    assert_eq!(result["hosts"][0]["remote_killed"], true, "{result:#}");
    until_gone(lab.node(1), "sleep 4924");

    let run = proxy("nc -F %h %p").args(["-o", "ProxyUseFdpass=yes", "ping"]).run().expect(2);
    assert!(run.stderr.contains("cannot honour `ProxyUseFdpass`"), "{run}");
}
