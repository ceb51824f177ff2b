//! The lab tested by itself, with OpenSSH's own client.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::lab::process::Process;
use crate::lab::proxy::{Point, Proxy};
use crate::lab::{Key, Lab, Node, faults, opengauss, wait};

#[test]
fn three_nodes_come_up_and_ssh_gets_in() {
    let lab = Lab::start(3);
    for node in lab.nodes() {
        let output = lab.ssh(node).arg("echo $USER; pwd; hostname; exit 7").output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{stderr}");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(stdout.lines().next(), Some(lab.user()), "{stdout}");
    }
}

#[test]
fn files_and_processes_differ_per_node() {
    let lab = Lab::start(3);
    let marker = lab.node(1).gausshome().join("marker");
    lab.node(2).write("app/marker", "two");
    assert_eq!([1, 2, 3].map(|number| lab.node(number).exists("app/marker")), [false, true, false]);
    let node = lab.node(2);
    let output = lab.ssh(node).arg(format!("cat {}; rm {0}", node.gausshome().join("marker").display())).output();
    assert_eq!(String::from_utf8_lossy(&output.unwrap().stdout), "two");
    assert!(!node.exists("app/marker"), "{}", marker.display());

    let node = lab.node(3);
    node.sh_as_user("sleep 1000 >/dev/null 2>&1 &");
    let sleeps = |number: usize| {
        let processes = lab.node(number).processes();
        processes.into_iter().filter(|process| process.comm == "sleep").count()
    };
    wait::until("sleep runs", || sleeps(3) == 1);
    assert_eq!([1, 2].map(sleeps), [0, 0]);
    let sleep = node.processes().into_iter().find(|process| process.comm == "sleep").unwrap();
    assert_eq!(sleep.cmdline, ["sleep", "1000"]);
    assert_eq!(sleep.uid, node.account().uid);
}

#[test]
fn a_dropped_lab_leaves_nothing() {
    let lab = Lab::start(2);
    let node = lab.node(1);
    node.sh_as_user("nohup setsid sleep 1000 >/dev/null 2>&1 &");
    let mut session = lab.ssh(node).arg("sleep 1000").spawn().unwrap();
    wait::until("both run", || node.processes().iter().filter(|process| process.comm == "sleep").count() == 2);
    let pids: Vec<_> = lab.nodes().iter().flat_map(Node::processes).map(|process| process.pid).collect();
    let dir = lab.dir().to_owned();
    drop(lab);
    wait::until("all are gone", || pids.iter().all(|pid| Process::read(*pid).is_none()));
    assert!(!dir.exists());
    assert!(!session.wait().unwrap().success());
}

#[test]
fn orphans_are_reaped() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let output = lab.ssh(node).arg("(sleep 0.1 & exec >/dev/null 2>&1) & echo started").output().unwrap();
    assert!(output.status.success());
    wait::until("no sleep is left, not even a zombie", || {
        node.processes().iter().all(|process| process.comm != "sleep")
    });
}

#[test]
fn a_node_can_lose_its_sshd_its_sessions_and_its_power() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let start = || {
        let mut session = lab.ssh(node);
        session.arg("echo up; exec sleep 1000").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut session = session.spawn().unwrap();
        session.stdout.as_mut().unwrap().read_exact(&mut [0; 2]).unwrap();
        session
    };

    let mut session = start();
    node.stop_sshd();
    assert!(TcpStream::connect(node.address()).is_err());
    assert!(session.try_wait().unwrap().is_none(), "a session outlives the listener");
    node.start_sshd();
    node.kill_sessions();
    assert_eq!(session.wait().unwrap().code(), Some(255));
    assert!(node.processes().iter().any(|process| process.comm == "sleep"), "the command runs on");

    let mut session = start();
    node.write("app/kept", "yes");
    node.reboot();
    assert_eq!(session.wait().unwrap().code(), Some(255));
    assert_eq!(node.text("app/kept"), "yes");
    assert!(node.processes().iter().all(|process| process.comm != "sleep"));
    assert!(lab.ssh(node).arg("true").status().unwrap().success());
}

#[test]
fn a_node_has_its_own_crontab() {
    let lab = Lab::start(2);
    lab.node(1).crontab("* * * * * true\n");
    let list = |number| lab.ssh(lab.node(number)).arg("crontab -l").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&list(1).stdout), "* * * * * true\n");
    assert_eq!(list(2).status.code(), Some(1));
}

#[test]
fn keys_of_every_kind_get_in() {
    let lab = Lab::builder().host_keys(&[Key::ed25519(), Key::ecdsa()]).start();
    let node = lab.node(1);
    for key in [Key::ecdsa(), Key::ecdsa().pem(), Key::rsa().pem()] {
        let path = lab.add_key(&key);
        let status = lab.ssh(node).arg("-i").arg(&path).arg("true").status().unwrap();
        assert!(status.success(), "{key:?}");
        assert!(node.sshd_log().contains("Accepted publickey"));
    }
    let sealed = lab.add_key(&Key::ed25519().passphrase("sesame"));
    assert!(std::fs::read_to_string(sealed).unwrap().contains("BEGIN OPENSSH PRIVATE KEY"));
    lab.change_host_key(node);
    assert_eq!(lab.ssh(node).arg("true").output().unwrap().status.code(), Some(255));
}

#[test]
fn many_names_may_share_one_sshd() {
    let lab = Lab::one_sshd_many_hosts(200);
    let hosts = std::fs::read_to_string(lab.hosts_file()).unwrap();
    assert_eq!(hosts.lines().filter(|line| line.starts_with("node")).count(), 200);
    assert_eq!(lab.nodes().len(), 1);
}

#[test]
fn peers_misbehave_as_their_names_say() {
    let refused = TcpStream::connect(faults::closed_port().address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

    let silent = faults::silent_address();
    let error = TcpStream::connect_timeout(&silent.address(), Duration::from_millis(300)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);

    for (peer, says) in [
        (faults::mute_port(), ""),
        (faults::garbage_banner(), "220 mail.example"),
        (faults::banner_then_hang(), "SSH-2.0-OpenSSH_9.2\r\n"),
    ] {
        let mut stream = TcpStream::connect(peer.address()).unwrap();
        let mut heard = vec![0; says.len()];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), says);
        wait::until("the connection is counted", || peer.connections() == 1);
    }
}

#[test]
fn a_proxy_breaks_where_it_is_told_to() {
    let lab = Lab::start(1);
    for (point, before, after) in [
        (Point::Accept, "Connecting to", "Remote protocol version"),
        (Point::Banner, "Remote protocol version", "SSH2_MSG_KEXINIT received"),
        (Point::KeyExchange, "SSH2_MSG_KEXINIT received", "SSH2_MSG_NEWKEYS received"),
        (Point::Auth, "SSH2_MSG_NEWKEYS received", "SSH2_MSG_SERVICE_ACCEPT received"),
    ] {
        let proxy = Proxy::to(lab.node(1).address()).reset_at(point).start();
        let output = through(&lab, &proxy).arg("true").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{point:?}: {said}");
        assert!(said.contains(before) && !said.contains(after), "{point:?}: {said}");
        assert_eq!(proxy.connections(), 1);
    }
}

#[test]
fn a_proxy_breaks_when_it_is_told_to() {
    let lab = Lab::start(1);
    let proxy = Proxy::to(lab.node(1).address()).drop_first(1).start();
    let output = through(&lab, &proxy).arg("true").output().unwrap();
    assert_eq!(output.status.code(), Some(255), "the first connection is dropped");

    let start = || {
        let mut session = through(&lab, &proxy);
        let mut session = session.arg("echo up; cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        session.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
        session
    };
    let mut session = start();
    proxy.cut();
    assert_eq!(session.wait().unwrap().code(), Some(255));

    let mut session = start();
    proxy.freeze();
    drop(session.stdin.take());
    thread::sleep(Duration::from_millis(200));
    assert!(session.try_wait().unwrap().is_none(), "a frozen connection stays open");
    assert_eq!(proxy.live(), 1);
    drop(proxy);
    assert_eq!(session.wait().unwrap().code(), Some(255));
}

/// OpenSSH's client on its way to the node behind a proxy.
fn through(lab: &Lab, proxy: &Proxy) -> Command {
    lab.trust("proxy", proxy.address(), lab.node(1));
    let mut command = lab.ssh_to(proxy.address());
    command.arg("-v").stderr(Stdio::piped());
    command
}

#[test]
fn a_cluster_starts_when_its_markers_go_and_stops_when_they_come() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    let everywhere = |program: &str| (1..=3).all(|number| !cluster.running(number, program).is_empty());
    assert!(everywhere("om_monitor") && !everywhere("cm_agent"), "{}", cluster.census());
    cluster.release();
    let programs = ["om_monitor", "cm_agent", "cm_server", "gaussdb"];
    let up = wait::within(Duration::from_secs(60), || programs.iter().all(|program| everywhere(program)));
    assert!(up, "{}", cluster.census());
    cluster.stop();
    assert!(everywhere("om_monitor"), "{}", cluster.census());
}
