//! What `ssh_config` and `-o` say, gsctl does, or says that it does not.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::gsctl::Gsctl;
use crate::lab::{Lab, faults};

fn config(lab: &Lab, text: &str) -> PathBuf {
    let path = lab.client_home().join(".ssh/config");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

/// Everything about a node, as a `Host` block.
fn block(lab: &Lab, name: &str, number: usize) -> String {
    let address = lab.node(number).address();
    format!(
        "Host {name}\n HostName {}\n Port {}\n User {}\n IdentityFile {}\n UserKnownHostsFile {}\n",
        address.ip(),
        address.port(),
        lab.user(),
        lab.key().display(),
        lab.known_hosts().display(),
    )
}

fn bare(lab: &Lab, hosts: &str) -> Gsctl {
    lab.bare_gsctl().args(["-w", hosts])
}

#[test]
fn the_users_own_file_is_honoured() {
    let lab = Lab::start(2);
    let path = config(&lab, &(block(&lab, "db1", 1) + &block(&lab, "db2", 2)));
    let run = bare(&lab, "db[1-2]").args(["--json", "-", "exec", "hostname"]).run().expect(0);
    let json = run.json();
    for (index, number) in [(0, 1), (1, 2)] {
        let (host, node) = (&json["hosts"][index], lab.node(number));
        assert_eq!(host["host"], format!("db{number}"), "{run}");
        assert_eq!(host["address"], node.address().ip().to_string(), "{run}");
        assert_eq!((&host["port"], &host["user"]), (&node.address().port().into(), &lab.user().into()), "{run}");
    }
    let run = bare(&lab, "db1").arg("hosts").run().expect(0);
    assert!(run.text().contains(&lab.node(1).address().ip().to_string()), "{run}");

    // The command line and the hosts file are stronger.
    let closed = faults::closed_port();
    let run =
        bare(&lab, "db1").args(["--connect-attempts", "1", "-p", &closed.address().port().to_string(), "ping"]).run();
    assert!(run.expect(4).text().contains("connection refused"));
    let file = lab.write_hosts_file(&format!("db1 address={}\n", lab.node(2).address().ip()));
    let run = lab.bare_gsctl().hosts_file(file).args(["exec", "hostname; echo $SSH_CONNECTION"]).run().expect(0);
    assert!(run.text().contains(&format!("{} ", lab.node(2).address().ip())), "a `Host` block applies by name\n{run}");

    // Another file in its place, or none.
    let other = lab.dir().join("client/other");
    fs::rename(&path, &other).unwrap();
    bare(&lab, "db1").arg("-F").arg(&other).arg("ping").run().expect(0);
    let run = bare(&lab, "db1").args(["-F", "/nonexistent", "ping"]).run().expect(2);
    assert!(run.stderr.contains("error: ssh config `/nonexistent`"), "{run}");
    fs::rename(&other, &path).unwrap();
    bare(&lab, "db1").args(["-F", "none", "--connect-attempts", "1", "ping"]).run().expect(4);

    // Others could write it: ssh refuses it, and so does gsctl.
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let run = bare(&lab, "db1").arg("ping").run().expect(2);
    assert!(run.stderr.contains("mode 666") && run.stderr.contains("\nhint: chmod 600 "), "{run}");
}

#[test]
fn options_on_the_command_line_win_over_the_file() {
    let lab = Lab::start(1);
    config(&lab, &block(&lab, "db1", 1).replace("User ", "User nosuch").replace("IdentityFile ", "IdentityFile /nope"));
    bare(&lab, "db1").arg("ping").run().expect(4);
    let user = format!("User={}", lab.user());
    let key = format!("IdentityFile {}", lab.key().display());
    let known = format!("UserKnownHostsFile={}", lab.known_hosts().display());
    bare(&lab, "db1").args(["-o", &user, "-o", &key, "-o", &known, "ping"]).run().expect(0);
}

#[test]
fn compression_is_agreed_on_with_the_server() {
    let lab = Lab::builder().sshd_config("LogLevel DEBUG1\n").start();
    let agreed = || lab.node(1).sshd_log().matches("compression: zlib").count();
    lab.gsctl().arg("ping").run().expect(0);
    assert_eq!(agreed(), 0, "nobody asked for it");
    let run = lab.gsctl().args(["-o", "Compression=yes", "exec", "seq 1 20000 | cksum; seq 1 20000"]).run().expect(0);
    assert!(agreed() > 0, "{}", lab.node(1).sshd_log());
    assert!(String::from_utf8_lossy(&run.stdout).ends_with("20000\n"), "the output comes through whole");
    config(&lab, "Compression no\nCompression yes\n");
    let before = agreed();
    lab.gsctl().arg("ping").run().expect(0);
    assert_eq!(agreed(), before, "the first value wins");
}

#[test]
fn times_and_attempts() {
    let lab = Lab::start(1);
    let mute = faults::mute_port();
    let file = lab.hosts_file_with(&lab.hosts_line("mute", mute.address()));
    let run = |options: &[&str]| {
        let run = lab.gsctl().hosts_file(&file).args(["-w", "mute", "--json", "-"]).args(options).arg("ping").run();
        let before = mute.connections();
        (run.expect(4), before)
    };
    let (first, connections) = run(&["-o", "ConnectTimeout=1", "-o", "ConnectionAttempts=2"]);
    assert_eq!((&first.json()["hosts"][0]["attempts"], connections), (&2.into(), 2), "{first}");
    assert!(first.json()["hosts"][0]["error"].as_str().unwrap().contains("within 1s"), "{first}");
    let options = [
        "-o",
        "ConnectTimeout=60",
        "-o",
        "ConnectionAttempts=9",
        "--connect-timeout",
        "200ms",
        "--connect-attempts",
        "1",
    ];
    let (second, _) = run(&options);
    assert_eq!(second.json()["hosts"][0]["attempts"], 1, "{second}");
    // Keepalives are only believed here; that they end a dead connection is another test's business.
    lab.gsctl().args(["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2", "exec", "true"]).run().expect(0);
}

#[test]
fn what_cannot_be_honoured_is_named() {
    let lab = Lab::start(2);
    let connections =
        || lab.nodes().iter().map(|node| node.sshd_log().matches("Connection from").count()).sum::<usize>();
    let before = connections();
    for (option, said, hint) in [
        (
            "ProxyUseFdpass=yes",
            "ssh option `ProxyUseFdpass=yes`: gsctl cannot honour `ProxyUseFdpass` yet",
            "without -F",
        ),
        ("Ciphers=none-such", "`Ciphers` leaves none that gsctl has in `none-such`; it has ", ""),
        ("SetEnv=A", "`SetEnv` wants NAME=VALUE, not `A`", ""),
        ("BindInterface=eth0", "gsctl cannot honour `BindInterface` yet", "name one of its addresses"),
        ("Usr=me", "`Usr` is no ssh option", "did you mean `User`?"),
        ("ConnectTimout=3", "`ConnectTimout` is no ssh option", "did you mean `ConnectTimeout`?"),
        ("Port=many", "ssh option `Port=many`: ", ""),
        ("Port", "ssh option `Port`: ", ""),
        ("Host=x", "has its place in a file only", "-F"),
    ] {
        let run = lab.gsctl().args(["-o", option, "ping"]).run().expect(2);
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains(said), "`{said}` is missing\n{run}");
        assert!(
            hint.is_empty() || run.stderr.contains(&format!("\nhint: {}", "")) && run.stderr.contains(hint),
            "{run}"
        );
    }
    assert_eq!(connections(), before);

    // In a file it is a warning, once, with its place, and only where it concerns a selected host.
    let path = config(&lab, "Host node1\n BindInterface lo9\nHost elsewhere\n Ciphers x\nHost *\n Compression yes\n");
    let run = lab.gsctl().arg("ping").run().expect(0);
    assert_eq!(run.stderr.matches("warning").count(), 1, "{run}");
    let said = format!("ssh config `{}`, line 2: `BindInterface lo9` cannot be honoured yet: ", path.display());
    assert!(run.stderr.contains(&said), "{run}");
    let run = lab.gsctl().args(["-w", "node2", "ping"]).run().expect(0);
    assert!(!run.stderr.contains("warning"), "{run}");
    config(&lab, "Host *\n Frobnicate yes\n");
    let run = lab.gsctl().arg("ping").run().expect(0);
    assert!(run.stderr.contains("line 2: `Frobnicate` is unknown"), "{run}");
    config(&lab, "Host *\n Port many\n");
    let run = lab.gsctl().arg("ping").run().expect(2);
    assert!(run.stderr.contains("line 2: "), "{run}");
}
