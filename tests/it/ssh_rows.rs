//! Each row of the table of honoured keywords in `docs/ssh.md`, on real OpenSSH; and the same with OpenSSH's own client.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::gsctl::{Gsctl, Run};
use crate::lab::proxy::Proxy;
use crate::lab::{Key, Lab, faults, wait};

/// How a keyword shows that it has taken effect.
enum Seen {
    /// The server's log says this.
    Log(String),
    /// The command prints this.
    Prints(String),
    /// The host is not reached, and this is said.
    Fails(&'static str),
    /// Nobody is contacted, and this is said.
    Refuses(&'static str),
}

use Seen::{Fails, Log, Prints, Refuses};

struct Row {
    keyword: &'static str,
    /// What stands above everything about the host.
    text: String,
    seen: Seen,
    /// The installed ssh knows the keyword.
    in_ssh: bool,
}

fn row(keyword: &'static str, text: impl Into<String>, seen: Seen) -> Row {
    Row { keyword, text: text.into(), seen, in_ssh: true }
}

fn prints(text: &str) -> Seen {
    Prints(text.to_owned())
}

fn log(text: &str) -> Seen {
    Log(text.to_owned())
}

/// Keywords whose effect another file's tests show.
const ELSEWHERE: [(&str, &str); 18] = [
    ("BatchMode", "login.rs"),
    ("CanonicalDomains", "ssh_match.rs"),
    ("CanonicalizeFallbackLocal", "ssh_match.rs"),
    ("CanonicalizeHostname", "ssh_match.rs"),
    ("CanonicalizeMaxDots", "ssh_match.rs"),
    ("CanonicalizePermittedCNAMEs", "ssh_match.rs"),
    ("CertificateFile", "certificates.rs"),
    ("ChallengeResponseAuthentication", "passwords.rs"),
    ("IdentitiesOnly", "login.rs"),
    ("IdentityAgent", "login.rs"),
    ("KbdInteractiveAuthentication", "passwords.rs"),
    ("KeyboardInteractiveAuthentication", "passwords.rs"),
    ("PasswordAuthentication", "passwords.rs"),
    ("ProxyCommand", "jump.rs"),
    ("ProxyJump", "jump.rs"),
    // These have tests of their own below.
    ("HashKnownHosts", "ssh_rows.rs"),
    ("ServerAliveCountMax", "ssh_rows.rs"),
    ("ServerAliveInterval", "ssh_rows.rs"),
];

/// A client's configuration in the lab.
struct Client<'a> {
    lab: &'a Lab,
    file: PathBuf,
}

impl<'a> Client<'a> {
    fn new(lab: &'a Lab) -> Self {
        Self { lab, file: lab.dir().join("client/config") }
    }

    /// Writes a file: first these lines, then everything about the node.
    fn says(&self, text: &str) {
        let (lab, address) = (self.lab, self.lab.node(1).address());
        let rest = format!(
            "\nHost *\n HostName {}\n Port {}\n User {}\n IdentityFile {}\n UserKnownHostsFile {}\n GlobalKnownHostsFile none\n",
            address.ip(),
            address.port(),
            lab.user(),
            lab.key().display(),
            lab.known_hosts().display(),
        );
        fs::write(&self.file, text.to_owned() + &rest).unwrap();
    }

    fn gsctl(&self, host: &str) -> Gsctl {
        self.lab.bare_gsctl().env("GSCTL_SENT", "along").arg("-F").arg(&self.file).args(["-w", host])
    }

    fn exec(&self, host: &str) -> Run {
        self.gsctl(host).args(["--json", "-", "exec", "--", COMMAND]).run()
    }

    /// OpenSSH's own client with the same file.
    fn ssh(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("ssh");
        command.arg("-F").arg(&self.file).args(["-o", "BatchMode=yes"]).args(arguments);
        command.env("HOME", self.lab.client_home()).env("GSCTL_SENT", "along").env("SHELL", "/bin/sh");
        command.env_remove("SSH_AUTH_SOCK").stdin(Stdio::null()).output().expect("ssh: install openssh-client")
    }
}

const COMMAND: &str = "echo \"from ${SSH_CONNECTION%% *} set [$GSCTL_SET] sent [$GSCTL_SENT]\"";

fn rows(lab: &Lab) -> Vec<Row> {
    let at = |name: &str, text: &str| {
        let path = lab.dir().join("client").join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let known = lab.known_hosts().display().to_string();
    let key = fs::read_to_string(lab.dir().join("n1/.lab/host_ed25519.pub")).unwrap();
    let alias = at("alias", &format!("cluster {key}"));
    let nowhere = lab.dir().join("client/nowhere").display().to_string();
    let folder = lab.dir().join("client").display().to_string();
    fs::copy(lab.known_hosts(), lab.dir().join("client/along-db")).unwrap();
    let included = at("included", "SetEnv GSCTL_SET=included\n");
    let unknown = lab.unknown_key(&Key::ed25519()).display().to_string();
    let address = lab.node(1).address();
    let (ip, user) = (address.ip(), lab.user());
    let (network, last) = ip.to_string().rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let mut rows = vec![
        row("AddressFamily", "AddressFamily inet6", Fails("has no IPv6 address")),
        row("AddressFamily", "AddressFamily inet", prints("from ")),
        row("BindAddress", "BindAddress 127.0.0.201", prints("from 127.0.0.201 ")),
        row("Ciphers", "Ciphers aes192-ctr", log("client->server cipher: aes192-ctr MAC: ")),
        row("MACs", "MACs hmac-sha2-512\nCiphers aes256-ctr", log("aes256-ctr MAC: hmac-sha2-512 ")),
        row("KexAlgorithms", "KexAlgorithms ecdh-sha2-nistp384", log("kex: algorithm: ecdh-sha2-nistp384")),
        row(
            "HostKeyAlgorithms",
            "HostKeyAlgorithms ecdsa-sha2-nistp256",
            log("host key algorithm: ecdsa-sha2-nistp256"),
        ),
        row("Compression", "Compression yes", log("compression: zlib")),
        row(
            "GlobalKnownHostsFile",
            format!("UserKnownHostsFile none\nGlobalKnownHostsFile {nowhere} {known}"),
            prints("from "),
        ),
        row("Host", "Host !db d*\n User nosuch\nHost db web\n SetEnv GSCTL_SET=block", prints("set [block]")),
        row("HostKeyAlias", format!("HostKeyAlias cluster\nUserKnownHostsFile {alias}"), prints("from ")),
        row("HostName", format!("Host {last}\n HostName {network}.%h"), prints("from ")),
        row("IdentityFile", format!("IdentityFile {unknown}"), Log(format!("Accepted publickey for {user}"))),
        row("IgnoreUnknown", "IgnoreUnknown Qu*\nQuux yes\nSetEnv GSCTL_SET=on", prints("set [on]")),
        row("Include", format!("Include {included}"), prints("set [included]")),
        row(
            "Match",
            format!("Host db\n HostName {ip}\nMatch host {ip} exec \"test %n = db\"\n SetEnv GSCTL_SET=asked"),
            prints("set [asked]"),
        ),
        row("Match", "Match final originalhost db\n SetEnv GSCTL_SET=final", prints("set [final]")),
        row("Match", "Match exec false\n User nosuch\nMatch !exec false\n SetEnv GSCTL_SET=no", prints("set [no]")),
        row("Port", format!("Port {}", faults::closed_port().address().port()), Fails("connection refused")),
        row("PreferredAuthentications", "PreferredAuthentications password", Fails("permission denied")),
        row("PubkeyAuthentication", "PubkeyAuthentication no", Fails("permission denied")),
        row("RefuseConnection", "RefuseConnection under repair", Refuses("line 1: `RefuseConnection`: under repair")),
        row("SendEnv", "SendEnv GSCTL_SE*", prints("sent [along]")),
        row("SetEnv", "SetEnv GSCTL_SET=one", prints("set [one]")),
        row(
            "StrictHostKeyChecking",
            format!("UserKnownHostsFile {nowhere}-yet\nStrictHostKeyChecking no"),
            prints("from "),
        ),
        row("Tag", "Tag lab\nMatch tagged lab\n SetEnv GSCTL_SET=tagged", prints("set [tagged]")),
        row("User", "User nosuch", Fails("permission denied for `nosuch`")),
        row("UserKnownHostsFile", format!("UserKnownHostsFile {folder}/${{GSCTL_SENT}}-%n"), prints("from ")),
        row("UserKnownHostsFile", format!("UserKnownHostsFile {nowhere}"), Fails("unknown host key")),
    ];
    for row in &mut rows {
        row.in_ssh = !matches!(row.keyword, "RefuseConnection" | "Tag");
    }
    rows
}

/// The value that `ssh -G` has for a keyword, lists with one blank between.
fn in_ssh(text: &str, keyword: &str) -> Option<String> {
    let keyword = keyword.to_ascii_lowercase();
    let mut values = text.lines().filter_map(|line| line.split_once(' ').filter(|(name, _)| *name == keyword));
    values.next().map(|(_, value)| value.replace(',', " "))
}

/// Whether something is wrong beside a file of known hosts that is still to be made.
fn warns(stderr: &str) -> bool {
    stderr.lines().any(|line| line.contains("warning") && !line.ends_with("is not there"))
}

#[test]
fn every_row_takes_effect_as_in_ssh() {
    let lab = Lab::builder()
        .host_keys(&[Key::ed25519(), Key::ecdsa()])
        .sshd_config("LogLevel DEBUG1\nAcceptEnv GSCTL_*\n")
        .start();
    let client = Client::new(&lab);
    let log = || lab.node(1).sshd_log();
    for Row { keyword, text, seen, in_ssh: known } in rows(&lab) {
        client.says(&text);
        let host = if keyword == "HostName" { text[5..].lines().next().unwrap() } else { "db" };
        let before = log().len();
        let run = client.exec(host);
        let logged = log()[before..].to_owned();
        assert!(!warns(&run.stderr), "{text}\n{run}");
        match &seen {
            Log(want) => {
                let run = run.expect(0);
                assert!(logged.contains(want), "{text}: `{want}` is missing\n{run}\n{logged}");
            }
            Prints(want) => {
                let run = run.expect(0);
                let said = run.json()["hosts"][0]["stdout"].as_str().unwrap().to_owned();
                assert!(said.contains(want), "{text}: `{want}` is missing\n{run}");
            }
            Fails(want) => {
                let run = run.expect(4);
                let said = run.json()["hosts"][0]["error"].as_str().unwrap().to_owned();
                assert!(said.contains(want), "{text}: `{want}` is missing\n{run}");
            }
            Refuses(want) => {
                let run = run.expect(2);
                assert!(run.stderr.contains(want), "{text}: `{want}` is missing\n{run}");
                // The end of the row before may still be logged.
                assert!(!logged.contains("Connection from"), "{text}: somebody was contacted\n{logged}");
            }
        }
        if known {
            as_ssh(&client, host, keyword, &seen, &text);
        }
    }
}

/// OpenSSH's client has the same values, and the same happens.
fn as_ssh(client: &Client<'_>, host: &str, keyword: &str, seen: &Seen, text: &str) {
    let printed = client.ssh(&["-G", host]);
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    let ours = client.gsctl(host).args(["-v", "--json", "-", "hosts"]).run().expect(0).json();
    let ours: &Value = &ours["hosts"][0];
    for (name, twin) in [("address", "hostname"), ("port", "port"), ("user", "user")] {
        let value = ours[name].as_str().map_or_else(|| ours[name].to_string(), str::to_owned);
        assert_eq!(Some(value), in_ssh(&printed, twin), "{text}: {name}\n{printed}");
    }
    if let Some(value) = ours["settings"][keyword]["value"].as_str() {
        let theirs = in_ssh(&printed, keyword).unwrap_or_default();
        if !text.contains("${") && !["Include", "IgnoreUnknown", "StrictHostKeyChecking", "Tag"].contains(&keyword) {
            let theirs = if theirs == "false" { "no".to_owned() } else { theirs };
            assert_eq!(value.replace(',', " "), theirs, "{text}\n{printed}");
        }
    }
    let log = || client.lab.node(1).sshd_log();
    let before = log().len();
    let output = client.ssh(&[host, COMMAND]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match seen {
        Log(want) => assert!(log()[before..].contains(want), "ssh, {text}: {output:?}\n{}", &log()[before..]),
        Prints(want) => assert!(said.contains(want), "ssh, {text}: {output:?}"),
        Fails(_) | Refuses(_) => assert_eq!(output.status.code(), Some(255), "ssh, {text}: {output:?}"),
    }
}

#[test]
fn the_table_has_no_row_without_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/ssh.md")).unwrap();
    let table = document.split("\n## ").find(|section| section.starts_with("Honoured\n")).unwrap();
    let rows_there: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next())
        .filter(|name| *name != "keyword")
        .collect();
    let source = fs::read_to_string(root.join("tests/it/ssh_rows.rs")).unwrap();
    let calls = source.split(" row(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
    let names = calls.filter_map(|rest| rest.split('"').next());
    let here = names.filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric()));
    let below = ["ConnectTimeout", "ConnectionAttempts"];
    let tested: BTreeSet<&str> = here.chain(below).chain(ELSEWHERE.iter().map(|(keyword, _)| *keyword)).collect();
    assert_eq!(rows_there, tested);
    for (keyword, file) in ELSEWHERE {
        let text = fs::read_to_string(root.join("tests/it").join(file)).unwrap();
        assert!(
            text.contains(&format!("{keyword}=")) || text.contains(&format!("{keyword} ")),
            "{file} has no {keyword}"
        );
    }
}

#[test]
fn times_and_attempts() {
    let lab = Lab::start(1);
    let client = Client::new(&lab);
    let mute = faults::mute_port();
    let (ip, port) = (mute.address().ip(), mute.address().port());
    client.says(&format!("HostName {ip}\nPort {port}\nConnectTimeout 1\nConnectionAttempts 2"));
    let report = client.exec("db").expect(4).json();
    let host = &report["hosts"][0];
    assert_eq!((&host["attempts"], mute.connections()), (&2.into(), 2), "{host:#}");
    assert!(host["error"].as_str().unwrap().contains("within 1s"), "{host:#}");
}

#[test]
fn keepalives() {
    let lab = Lab::builder().sshd_config("LogLevel DEBUG1\n").start();
    let (client, node) = (Client::new(&lab), lab.node(1));
    let go = node.base().join("go").display().to_string();
    client.says("ServerAliveInterval 1");
    let until = format!("until test -e {go}; do sleep 0.1; done; echo gone");
    let running = client.gsctl("db").args(["exec", "--", &until]).spawn();
    wait::until("a keepalive is logged", || node.sshd_log().contains("rtype keepalive@"));
    node.write("go", "");
    assert!(running.wait().expect(0).text().contains("gone"));

    // The third one that goes unanswered is one too many.
    let proxy = Proxy::to(node.address()).start();
    lab.trust("db", proxy.address(), node);
    let (ip, port) = (proxy.address().ip(), proxy.address().port());
    client.says(&format!("HostName {ip}\nPort {port}\nServerAliveInterval 1\nServerAliveCountMax 2\nConnectionAttempts 1\nConnectTimeout 1"));
    let mut running = client.gsctl("db").args(["exec", "--", "echo begun; sleep 4819"]).spawn();
    running.wait_for_stdout("begun");
    proxy.freeze();
    let run = running.wait().expect(4);
    assert!((run.text() + &run.stderr).contains("no answer to 2 keepalives"), "{run}");
    node.kill_sessions();
}

#[test]
fn every_host_has_its_own_known_hosts() {
    let lab = Lab::start(3);
    let config = lab.dir().join("client/config");
    let at = |name: &str| lab.dir().join("client").join(name).display().to_string();
    let known = lab.known_hosts().display().to_string();
    let block = |number: usize, files: &str, more: &str| {
        let (node, key) = (lab.node(number), lab.key());
        let (address, name) = (node.address(), node.name());
        format!(
            "Host {name}\n HostName {}\n Port {}\n User {}\n IdentityFile {}\n UserKnownHostsFile {files}\n{more}\n",
            address.ip(),
            address.port(),
            lab.user(),
            key.display()
        )
    };
    let ping = |text: &str, hosts: &str, status: i32| -> Vec<(String, Value)> {
        fs::write(&config, format!("{text}GlobalKnownHostsFile none\n")).unwrap();
        let run =
            lab.bare_gsctl().arg("-F").arg(&config).args(["-w", hosts, "--json", "-", "ping"]).run().expect(status);
        assert!(!warns(&run.stderr), "{run}");
        let report = run.json();
        let hosts = report["hosts"].as_array().unwrap().iter();
        hosts.map(|host| (host["host"].as_str().unwrap().to_owned(), host["phase"].clone())).collect()
    };

    // One host's file says nothing about the other.
    let text = block(1, &known, "") + &block(2, &at("nowhere"), "");
    for hosts in ["node1,node2", "node2,node1"] {
        let mut phases = ping(&text, hosts, 4);
        phases.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(phases, [("node1".to_owned(), Value::Null), ("node2".to_owned(), "host_key".into())], "{hosts}");
    }
    // A new key goes into the host's own file, hashed where that is said.
    let accept = " StrictHostKeyChecking accept-new";
    let (one, two) = (at("known-1"), at("known-2"));
    let text = block(1, &one, accept) + &block(2, &two, &format!("{accept}\n HashKnownHosts yes"));
    ping(&format!("{text}HashKnownHosts no\n"), "node1,node2", 0);
    let lines = |file: &str| fs::read_to_string(file).unwrap();
    let (first, second) = (lines(&one), lines(&two));
    assert_eq!((first.lines().count(), second.lines().count()), (1, 1), "{first}{second}");
    assert!(first.starts_with('[') && second.starts_with("|1|"), "{first}{second}");
    // A jump host has files of its own, too.
    let behind = |files: &str, jump_files: &str, status: i32| {
        let text = block(3, files, " ProxyJump node1") + &block(1, jump_files, "");
        ping(&text, "node3", status)
    };
    behind(&known, &one, 0);
    assert_eq!(behind(&one, &known, 4)[0].1, "host_key");
    assert_eq!(behind(&known, &two, 4)[0].1, "host_key", "the jump host is not known");
}
