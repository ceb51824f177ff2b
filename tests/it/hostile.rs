//! Servers that send without end, in every phase, beside a healthy one: it is served, they are cut off, every limit holds,
//! and gsctl stays small.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::failures::host;
use crate::gsctl::{Gsctl, Run};
use crate::lab::{Lab, Node, wait};

/// Most memory that a run may take, in KiB.
const MEMORY: u64 = 100 * 1024;

/// What a hostile port sends: once, and then again and again.
struct Flood {
    name: &'static str,
    first: Vec<u8>,
    again: Vec<u8>,
}

/// A packet before anything is encrypted (RFC 4253, section 6).
fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 8 + (8 - (payload.len() + 5 + 8) % 8) % 8;
    let length = u32::try_from(payload.len() + padding + 1).unwrap();
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.push(u8::try_from(padding).unwrap());
    bytes.extend(payload);
    bytes.extend(vec![0; padding]);
    bytes
}

/// The smallest packet that libssh2 takes: without padding, which RFC 4253 does not allow.
fn tiny(kind: u8) -> Vec<u8> {
    vec![0, 0, 0, 2, 0, kind]
}

/// The lists of a server that would go on.
fn kexinit() -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend([7; 16]);
    for list in [
        "curve25519-sha256,ecdh-sha2-nistp256",
        "ssh-ed25519,rsa-sha2-512",
        "aes128-ctr",
        "aes128-ctr",
        "hmac-sha2-256",
        "hmac-sha2-256",
        "none",
        "none",
        "",
        "",
    ] {
        payload.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
        payload.extend(list.as_bytes());
    }
    payload.extend([0; 5]);
    packet(&payload)
}

fn floods() -> Vec<Flood> {
    let version = b"SSH-2.0-OpenSSH_9.2\r\n".as_slice();
    let offered = [version, &kexinit()].concat();
    let text = |kind: u8| packet(&[&[kind, 0, 0, 0x10, 0], vec![b'x'; 4096].as_slice(), &[0; 8]].concat());
    let flood = |name, first: &[u8], again: &[u8]| Flood {
        name,
        first: first.to_vec(),
        again: again.repeat((64 * 1024 / again.len()).max(1)),
    };
    vec![
        flood("newlines", b"", b"\n"),
        flood("yes", b"", b"y\n"),
        flood("chargen", b"", b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n"),
        flood("log", b"2026-11-29 ready\n", b"2026-11-29 00:00:00 INFO served one more request\n"),
        flood("one-line", b"", b"x"),
        flood("nuls", b"", b"\0"),
        flood("version-without-end", b"SSH-2.0-", b"x"),
        flood("versions", b"", version),
        flood("version-then-newlines", version, b"\n"),
        flood("version-then-noise", version, b"\xff\xff\xff\xff\x00\x99"),
        flood("ignore", version, &text(2)),
        flood("debug", version, &text(4)),
        flood("unknown", version, &packet(&[192])),
        flood("tiny-unknown", version, &tiny(192)),
        flood("success", version, &packet(&[99, 0, 0, 0, 0])),
        flood("offers", version, &kexinit()),
        flood("offer-then-ignore", &offered, &text(2)),
        flood("offer-then-unknown", &offered, &tiny(192)),
        flood("offer-then-extensions", &offered, &packet(&[7, 0, 0, 0, 0])),
        flood("offer-then-adjust", &offered, &packet(&[93, 0, 0, 0, 0, 0, 0, 0, 1])),
    ]
}

/// A port where each connection gets a flood until it breaks.
fn open(flood: Flood) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let flood = std::sync::Arc::new(flood);
        for stream in listener.incoming() {
            let (mut stream, flood) = (stream.unwrap(), flood.clone());
            let mut heard = stream.try_clone().unwrap();
            thread::spawn(move || while heard.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {});
            thread::spawn(move || {
                if stream.write_all(&flood.first).is_ok() {
                    while stream.write_all(&flood.again).is_ok() {}
                }
            });
        }
    });
    address
}

/// Runs it, and asserts that it stayed small.
#[track_caller]
fn small(gsctl: Gsctl) -> Run {
    let mut run = gsctl.spawn();
    let mut most = 0;
    while !run.has_ended() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", run.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        most = most.max(now);
        assert!(most < MEMORY, "{most} KiB\n{}", run.stderr());
        thread::sleep(Duration::from_millis(5));
    }
    run.wait()
}

/// A hosts file of the lab's node and these.
fn hosts(lab: &Lab, others: &[(String, SocketAddr)]) -> std::path::PathBuf {
    let others = others.iter().map(|(name, address)| lab.hosts_line(name, *address)).collect::<Vec<_>>().concat();
    lab.write_hosts_file(&format!("{}{others}", lab.hosts_line("healthy", lab.node(1).address())))
}

fn healthy(lab: &Lab) {
    lab.trust("healthy", lab.node(1).address(), lab.node(1));
}

#[test]
fn ports_that_send_without_end_before_the_login() {
    let lab = Lab::start(1);
    healthy(&lab);
    let others: Vec<_> = floods().into_iter().map(|flood| (flood.name.to_owned(), open(flood))).collect();
    let hosts = hosts(&lab, &others);
    let gsctl = || lab.gsctl().hosts_file(&hosts).args(["--json", "-", "--connect-timeout", "60s"]);
    let run = small(gsctl().args(["exec", "--", "echo served"])).expect(4);
    let report = run.json();
    assert_eq!(host(&report, "healthy")["stdout"], "served\n", "{run}");
    for (name, _) in &others {
        let host = host(&report, name);
        assert_eq!((&host["outcome"], &host["phase"]), (&"unreachable".into(), &"connect".into()), "{host:#}");
        // Said at once, and not when the time ran out: a limit of bytes has cut it off, or libssh2 what it read.
        let error = host["error"].as_str().unwrap();
        assert!(!error.contains("within 60s"), "{host:#}");
    }
    let said = |name: &str| host(&report, name)["error"].as_str().unwrap().to_owned();
    assert!(said("newlines").contains("it said no version of SSH in its first 1024 lines"), "{run}");
    assert!(said("one-line").contains("one is longer than 8192 bytes"), "{run}");
    assert!(said("version-then-noise").contains("not SSH: what follows its version is no key exchange"), "{run}");
    assert!(said("ignore").contains("more than 64 KiB without an end of the key exchange"), "{run}");
}

#[test]
fn an_interrupt_is_heard_beside_ports_that_send_without_end() {
    let lab = Lab::start(1);
    healthy(&lab);
    // One that drips, so that no limit of bytes ends it.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                while stream.write_all(b"x").is_ok() {
                    thread::sleep(Duration::from_millis(50));
                }
            });
        }
    });
    let mut others: Vec<_> = floods().into_iter().map(|flood| (flood.name.to_owned(), open(flood))).collect();
    others.push(("drip".to_owned(), address));
    let hosts = hosts(&lab, &others);
    let gsctl = || lab.gsctl().hosts_file(&hosts).args(["--connect-timeout", "600s"]);
    let mut run = gsctl().args(["--stream", "exec", "--", "echo served; sleep 601"]).spawn();
    run.wait_for_stdout("served");
    run.signal(Signal::INT);
    run.wait().expect(130);
    crate::failures::until_gone(lab.node(1), "sleep 601");
    gsctl().args(["--deadline", "3s", "exec", "--", "true"]).run().expect(3);
}

/// A server in Python that logs everybody in, and sends without end what the user's name says.
const PARAMIKO: &str = r#"
import socket, sys, threading, paramiko
(host, port), key = sys.argv[1].split(":"), paramiko.RSAKey(filename=sys.argv[2])
BULK = b"x" * 20000

def message(user, channel):
    m = paramiko.Message()
    if user == "success": m.add_byte(bytes([99])); m.add_int(channel); m.add_bytes(BULK)
    if user == "failure": m.add_byte(bytes([100])); m.add_int(channel)
    if user == "adjust": m.add_byte(bytes([93])); m.add_int(channel); m.add_int(1)
    if user.endswith("ignore"): m.add_byte(bytes([2])); m.add_string(BULK)
    if user == "debug": m.add_byte(bytes([4])); m.add_boolean(False); m.add_string(BULK); m.add_string("")
    if user.endswith("unknown"): m.add_byte(bytes([200])); m.add_bytes(BULK)
    if user == "stranger": m.add_byte(bytes([94])); m.add_int(77); m.add_string(BULK)
    if user == "requests": m.add_byte(bytes([80])); m.add_string("x@y"); m.add_boolean(True); m.add_bytes(BULK)
    if user == "opens": m.add_byte(bytes([90])); m.add_string("x11"); m.add_int(9); m.add_int(9); m.add_int(9); m.add_bytes(BULK)
    if user == "success-of-another": m.add_byte(bytes([99])); m.add_int(channel + 5); m.add_bytes(BULK)
    return m

def flood(transport, user, channel):
    m = message(user, channel)
    try:
        while transport.is_active(): transport._send_message(m)
    except Exception: pass

class Server(paramiko.ServerInterface):
    def __init__(self, transport): self.transport = transport
    def get_allowed_auths(self, user): return "publickey"
    def check_auth_publickey(self, user, key):
        self.user = user
        if user.startswith("login-"): flood(self.transport, user, 0)
        return paramiko.AUTH_SUCCESSFUL
    def check_channel_request(self, kind, id): return paramiko.OPEN_SUCCEEDED
    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=flood, args=(self.transport, self.user, channel.remote_chanid), daemon=True).start()
        return True

listener = socket.create_server((host, int(port)))
while True:
    connection, _ = listener.accept()
    try:
        transport = paramiko.Transport(connection)
        transport.add_server_key(key)
        transport.start_server(event=threading.Event(), server=Server(transport))
    except Exception:
        pass
"#;

/// Starts it on the node, beside sshd; it ends with the node.
fn paramiko(node: &Node, port: u16) -> SocketAddr {
    let address = SocketAddr::new(node.address().ip(), port);
    node.write("hostile.py", PARAMIKO);
    let script = format!(
        "cd '{}' && ssh-keygen -q -t rsa -m PEM -N '' -f hostile && /usr/bin/python3 hostile.py {address} hostile \
         >>log/hostile 2>&1 &",
        node.base().display()
    );
    assert!(node.sh(&script).status.success());
    wait::until("the server listens", || std::net::TcpStream::connect(address).is_ok());
    address
}

#[test]
fn servers_that_send_without_end_after_the_keys_and_after_the_login() {
    const KINDS: [&str; 12] = [
        "success",
        "success-of-another",
        "failure",
        "adjust",
        "ignore",
        "debug",
        "unknown",
        "stranger",
        "requests",
        "opens",
        "login-ignore",
        "login-unknown",
    ];
    let lab = Lab::start(1);
    healthy(&lab);
    let address = paramiko(lab.node(1), lab.port() + 1);
    let others = KINDS.map(|kind| (kind.to_owned(), address));
    let text = std::fs::read_to_string(hosts(&lab, &others)).unwrap();
    let lines = text.lines().map(|line| match line.split_whitespace().next() {
        Some(name) if KINDS.contains(&name) => line.replace(&format!("user={}", lab.user()), &format!("user={name}")),
        _ => line.to_owned(),
    });
    let hosts = lab.write_hosts_file(&lines.collect::<Vec<_>>().join("\n"));
    let gsctl = lab.gsctl().hosts_file(&hosts).args(["--json", "-", "--host-key-policy", "accept-new"]);
    let gsctl = gsctl.args(["--connect-timeout", "90s", "-t", "110s", "exec", "--", "echo served"]);
    let run = small(gsctl);
    let report = run.json();
    assert_eq!(host(&report, "healthy")["stdout"], "served\n", "{run}");
    for kind in KINDS {
        let host = host(&report, kind);
        assert_eq!(host["outcome"], "unreachable", "{host:#}\n{run}");
        let error = host["error"].as_str().unwrap();
        let want = if kind.starts_with("login-") {
            "it sent more than 256 KiB without an end of the login"
        } else {
            "it sent without end what nobody had asked for"
        };
        // A refusal that nobody asked for is taken for one; of other answers to nothing libssh2 has enough before.
        let own = kind == "failure" || kind.starts_with("success") && error.contains("channel success");
        assert!(own || error.contains(want), "{host:#}");
    }
}
