//! Names and addresses: several, IPv6, and resolvers that do not answer.

use std::fs;
use std::io;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::failures::{host, report, says};
use crate::gsctl::Gsctl;
use crate::lab::{Lab, address, faults};

/// `gsctl` that finds another text in place of a file of `/etc`, and so another answer to every name.
fn with_etc(lab: &Lab, files: &[(&str, &str)]) -> Gsctl {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| {
            let path = lab.dir().join(format!("client/{name}"));
            fs::write(&path, text).unwrap();
            (path, format!("/etc/{name}"))
        })
        .collect();
    lab.gsctl().with_files(&files)
}

#[test]
fn a_dead_first_address_leaves_the_second_its_time() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let (port, live) = (node.address().port(), node.address().ip());
    // The resolver sorts by the bits that an address has in common with its own, 127.0.0.1; only among equals the file counts.
    let near = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (u32::from(ip) ^ u32::from(Ipv4Addr::LOCALHOST)).leading_zeros(),
        IpAddr::V6(_) => 0,
    };
    let mute =
        iter::repeat_with(|| faults::mute_at(port)).find(|mute| near(mute.address().ip()) >= near(live)).unwrap();
    let silent = faults::silent_at(port);
    let closed = address::any_loopback();
    let mut table = String::from("127.0.0.1 localhost\n");
    let mut lines = String::new();
    for (name, dead) in [
        ("mute", mute.address().ip()),
        ("silent", silent.address().ip()),
        ("closed", SocketAddr::from((closed, 0)).ip()),
    ] {
        for (name, addresses) in [(format!("{name}-first"), [dead, live]), (format!("{name}-last"), [live, dead])] {
            for address in addresses {
                table.push_str(&format!("{address} {name}\n"));
            }
            lab.trust(&name, node.address(), node);
            lines.push_str(&format!("{name} port={port} user={}\n", lab.user()));
        }
    }
    let gsctl = with_etc(&lab, &[("hosts", &table)]).hosts_file(lab.write_hosts_file(&lines));
    let result =
        report(gsctl.args(["--connect-timeout", "15s", "--connect-attempts", "1", "exec", "--", "hostname"]), 0);
    assert_eq!(result["counts"]["ok"], 6, "{result:#}");
    for said in result["hosts"].as_array().unwrap() {
        assert_eq!((&said["address"], &said["attempts"]), (&live.to_string().into(), &1.into()), "{said:#}");
    }
    assert!(mute.connections() >= 1, "it was asked before the other");
}

#[test]
fn ipv6_with_and_without_a_zone() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let relay = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("::1 is there");
    let port = relay.local_addr().unwrap().port();
    let to = node.address();
    thread::spawn(move || relay.incoming().flatten().for_each(|stream| pass(stream, to)));
    for name in ["::1", "::1%1"] {
        lab.trust(name, SocketAddr::from((Ipv6Addr::LOCALHOST, port)), node);
    }
    for set in [format!("[::1]:{port}"), format!("[::1%1]:{port}")] {
        let result = report(lab.gsctl().args(["-w", &set, "-l", lab.user(), "exec", "hostname"]), 0);
        assert_eq!(result["counts"]["ok"], 1, "{result:#}");
    }
    let file = lab.write_hosts_file(&format!("six address=::1%1 port={port} user={}\n", lab.user()));
    report(lab.gsctl().hosts_file(file).args(["exec", "hostname"]), 0);
    // An address of the network at hand, on an interface: it is an address, whoever may be there.
    let result = report(lab.gsctl().args(["-w", "fe80::9%lo", "--connect-attempts", "1", "ping"]), 4);
    says(&host(&result, "fe80::9%lo"), "unreachable", "connect", "");
    let result = report(lab.gsctl().args(["-w", "fe80::9%nosuch0", "--connect-attempts", "1", "ping"]), 4);
    says(&host(&result, "fe80::9%nosuch0"), "unreachable", "resolve", "`fe80::9%nosuch0` has no address");
}

/// Passes bytes both ways, on threads of their own.
fn pass(near: TcpStream, to: SocketAddr) {
    let far = TcpStream::connect(to).expect("the node listens");
    for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}

#[test]
fn a_resolver_that_hangs_is_not_waited_for() {
    let lab = Lab::start(1);
    // Only root may take the port of name servers; for others nothing but the hosts table is to be had.
    let server = address::any_loopback();
    let _mute = lab.is_private().then(|| UdpSocket::bind((server, 53)).expect("port 53 is free on this address"));
    let resolver = format!("nameserver {server}\noptions timeout:30 attempts:5\n");
    let files = [("resolv.conf", resolver.as_str()), ("nsswitch.conf", "hosts: files dns\n")];
    let lines = lab.hosts_file_with("nowhere address=nowhere.example\n");
    let gsctl = with_etc(&lab, &files).hosts_file(lines).args(["--connect-timeout", "1s", "--connect-attempts", "2"]);
    // The resolver itself would take minutes; so would a program that waits for its threads at the end.
    let result = report(gsctl.watchdog(Duration::from_secs(60)).args(["exec", "hostname"]), 4);
    let said = host(&result, "nowhere");
    if lab.is_private() {
        says(&said, "unreachable", "resolve", "no answer about `nowhere.example` within 1s");
        assert_eq!(said["attempts"], 2, "{said:#}");
    } else {
        says(&said, "unreachable", "resolve", "nowhere.example");
    }
    assert_eq!(host(&result, "node1")["outcome"], "ok", "{result:#}");
}
