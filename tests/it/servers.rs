//! Servers other than a current OpenSSH: commands run on them, or the message names what they lack.

use std::net::SocketAddr;
use std::process::Command;

use crate::failures::{one, report, running, says};
use crate::lab::{Key, Lab, Node, wait};

/// Runs a program on each connection, its stdin and stdout: tinysshd does not listen itself.
const INETD: &str = r#"
use IO::Socket::INET;
my $listener = IO::Socket::INET->new(LocalAddr => shift, Listen => 9, ReuseAddr => 1) or die "listen: $@";
while (my $connection = $listener->accept) {
    if (fork) { close $connection; next }
    open STDIN, "<&", $connection;
    open STDOUT, ">&", $connection;
    close $connection;
    exec @ARGV;
}
"#;

/// A server in Python that takes any key, and runs commands with `sh`.
const PARAMIKO: &str = r#"
import socket, subprocess, sys, threading, paramiko
(host, port), key = sys.argv[1].split(":"), paramiko.RSAKey(filename=sys.argv[2])

class Server(paramiko.ServerInterface):
    def get_allowed_auths(self, user): return "publickey"
    def check_auth_publickey(self, user, key): return paramiko.AUTH_SUCCESSFUL
    def check_channel_request(self, kind, id): return paramiko.OPEN_SUCCEEDED
    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=run, args=(channel, command)).start()
        return True

def pass_on(output, send):
    while piece := output.read1(): send(piece)

def run(channel, command):
    stdin = b""
    while piece := channel.recv(65536): stdin += piece
    pipe = subprocess.PIPE
    process = subprocess.Popen(["sh", "-c", command], stdin=pipe, stdout=pipe, stderr=pipe)
    errors = threading.Thread(target=pass_on, args=(process.stderr, channel.sendall_stderr))
    errors.start()
    process.stdin.write(stdin)
    process.stdin.close()
    pass_on(process.stdout, channel.sendall)
    errors.join()
    channel.send_exit_status(process.wait())
    channel.close()

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

/// Starts a server on the node, at another port than sshd's; it ends with the node.
fn start(node: &Node, port: u16, script: &str) -> SocketAddr {
    let address = SocketAddr::new(node.address().ip(), port);
    let script = script.replace("ADDRESS", &address.to_string());
    let output = node.sh(&format!("cd '{}' && {script} >>log/servers 2>&1 &", node.base().display()));
    assert!(output.status.success(), "{output:?}");
    wait::until("the server listens", || std::net::TcpStream::connect(address).is_ok());
    address
}

#[test]
fn dropbear_tinysshd_and_paramiko_run_commands() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let public = std::fs::read_to_string(lab.key().with_extension("pub")).unwrap();
    node.write("home/.ssh/authorized_keys", &public);
    node.write("inetd.pl", INETD);
    node.write("server.py", PARAMIKO);
    let base = node.base().display();
    let keys = node.sh(&format!(
        "cd '{base}' && dropbearkey -t ed25519 -f dropbear && tinysshd-makekey -q tiny && \
         ssh-keygen -q -t rsa -m PEM -N '' -f paramiko"
    ));
    assert!(keys.status.success(), "{keys:?}");
    let first = lab.port() + 1;
    let servers = [
        ("dropbear", start(node, first, "dropbear -F -E -p ADDRESS -r dropbear")),
        ("tinyssh", start(node, first + 1, "perl inetd.pl ADDRESS tinysshd tiny")),
        ("paramiko", start(node, first + 2, "/usr/bin/python3 server.py ADDRESS paramiko")),
    ];
    for (name, address) in servers {
        let hosts = lab.write_hosts_file(&lab.hosts_line(name, address));
        let gsctl = |policy: &str| lab.gsctl().hosts_file(&hosts).args(["-F", "none", "--host-key-policy", policy]);
        // These two know who may log in from the home that the account has: an ordinary user's is not the lab's.
        if !lab.is_private() && name != "paramiko" {
            says(&one(gsctl("accept-new").arg("ping"), 4), "unreachable", "auth", "permission denied for");
            continue;
        }
        let said = gsctl("accept-new").arg("ping").run().expect(0).text();
        assert!(said.contains(name), "{said}");
        // The key that was recorded is the one that the server proves to have now.
        let host = one(gsctl("strict").args(["exec", "--", "echo heard; echo amiss >&2; exit 3"]), 5);
        assert_eq!(
            (&host["exit_status"], &host["stdout"], &host["stderr"]),
            (&3.into(), &"heard\n".into(), &"amiss\n".into()),
            "{name}: {host:#}"
        );
        let many = one(gsctl("strict").args(["exec", "--", "seq 200000; seq 200000 >&2"]), 0);
        let seq = (1..=200_000).fold(String::new(), |text, number| text + &number.to_string() + "\n");
        assert!(many["stdout"] == seq && many["stderr"] == seq, "{name}: something of the output is missing");
    }
    // None of them makes a command the leader of a session, as sshd does.
    let known: Vec<_> = servers.iter().filter(|(name, _)| lab.is_private() || *name == "paramiko").collect();
    let lines = known.iter().map(|(name, address)| lab.hosts_line(name, *address)).collect::<Vec<_>>().concat();
    let gsctl = lab.gsctl().hosts_file(lab.write_hosts_file(&lines)).args(["-F", "none", "-t", "3"]);
    let late = report(gsctl.args(["exec", "--", "sleep 5303; true"]), 3);
    assert_eq!(late["hosts"].as_array().map(Vec::len), Some(known.len()), "{late:#}");
    for host in late["hosts"].as_array().unwrap() {
        says(host, "timed_out", "timeout", "no end within 3s");
        assert_eq!(host["remote_killed"], true, "{host:#}");
    }
    assert_eq!(running(node, "sleep 5303"), 0, "it runs on");
}

/// Pings a node of an OpenSSH that allows only this: its log says what was agreed on, or the error what is missing.
#[track_caller]
fn openssh(config: &str, host_key: Key, agreed: &[&str], missing: &[&str]) -> Lab {
    let lab = Lab::builder().host_keys(&[host_key]).sshd_config(&format!("LogLevel DEBUG1\n{config}")).start();
    let gsctl = || lab.gsctl().args(["-F", "none", "-o", "ConnectionAttempts=12"]);
    let text = if missing.is_empty() {
        assert_eq!(one(gsctl().args(["exec", "--", "echo heard"]), 0)["stdout"], "heard\n");
        lab.node(1).sshd_log()
    } else {
        let host = one(gsctl().arg("ping"), 4);
        says(&host, "unreachable", "connect", "no common algorithms with the server: ");
        assert!(host["hint"].as_str().unwrap().contains("`--transport openssh`"), "{host:#}");
        host["error"].as_str().unwrap().to_owned()
    };
    for part in agreed.iter().chain(missing) {
        assert!(text.contains(part), "{config}: {part}\n{text}");
    }
    // Each kind is named where it is missing, and only there.
    assert_eq!(text.matches("; gsctl: ").count(), missing.len(), "{text}");
    lab
}

#[test]
fn openssh_with_only_old_algorithms() {
    openssh(
        "KexAlgorithms diffie-hellman-group14-sha256\nCiphers aes128-cbc\nMACs hmac-sha2-256\n\
         HostKeyAlgorithms rsa-sha2-256\n",
        Key::rsa(),
        &[
            "kex: algorithm: diffie-hellman-group14-sha256",
            "kex: host key algorithm: rsa-sha2-256",
            "cipher: aes128-cbc MAC: hmac-sha2-256",
        ],
        &[],
    );
    // All that rests on SHA-1 is left out of gsctl.
    openssh(
        "KexAlgorithms diffie-hellman-group14-sha1\nCiphers aes128-ctr\nMACs hmac-sha1\nHostKeyAlgorithms ssh-rsa\n",
        Key::rsa(),
        &[],
        &[
            "no key exchange (server: diffie-hellman-group14-sha1; gsctl: ",
            "no type of host key (server: ssh-rsa; gsctl: ",
            "no MAC (server: hmac-sha1; gsctl: ",
        ],
    );
}

#[test]
fn openssh_with_only_new_algorithms() {
    let new = |kex: &str| {
        format!("KexAlgorithms {kex}\nCiphers chacha20-poly1305@openssh.com\nHostKeyAlgorithms ssh-ed25519\n")
    };
    let works = |kex: &str| {
        let agreed =
            [&*format!("kex: algorithm: {kex}"), "key algorithm: ssh-ed25519", "cipher: chacha20-poly1305@openssh.com"];
        openssh(&new(kex), Key::ed25519(), &agreed, &[]);
    };
    works("curve25519-sha256");
    // OpenSSH has the first from 9.9 on; what came before it is not in libssh2.
    let (mlkem, sntrup) = ("mlkem768x25519-sha256", "sntrup761x25519-sha512@openssh.com");
    let known = Command::new("ssh").args(["-Q", "kex"]).output().unwrap();
    if String::from_utf8_lossy(&known.stdout).lines().any(|kex| kex == mlkem) {
        works(mlkem);
    }
    let named = format!("no key exchange (server: {sntrup}; gsctl: ");
    let lab = openssh(&new(sntrup), Key::ed25519(), &[], &[&named]);
    // What the hint says.
    let host = one(lab.gsctl().args(["-F", "none", "--transport", "openssh", "exec", "--", "echo heard"]), 0);
    assert_eq!(host["stdout"], "heard\n", "{host:#}");
}
