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

/// What only gsctl cannot honour stops the hosts that it is for, and no others; what ssh refuses is refused, and UTF-16 is named.
#[test]
fn one_host_s_odd_value_stops_no_other() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config");
    let hosts = |name: &str| Gsctl::at_home(home.path()).arg("-F").arg(&file).args(["-w", name, "hosts"]).run();
    for value in [
        "PreferredAuthentications hostbased,gssapi-with-mic",
        "ProxyCommand nc %u %h",
        "IdentityFile /k/%",
        "IdentityFile /k/%z",
        "CertificateFile /k/%z",
    ] {
        std::fs::write(&file, format!("Host other\n {value}\nHost *\n Port 2222\n")).unwrap();
        assert!(hosts("mine").expect(0).text().contains("2222"), "{value}");
        let run = hosts("other").expect(2);
        assert!(run.stderr.contains("line 2") && run.stderr.contains("host `other`"), "{value}\n{run}");
    }
    // The first value wins, also over one that cannot be honoured.
    std::fs::write(&file, "Host a\n PreferredAuthentications publickey\nHost *\n PreferredAuthentications hostbased\n")
        .unwrap();
    hosts("a").expect(0);
    hosts("b").expect(2);
    for (text, said) in [
        ("Match all user x\n", "`Match all` goes with"),
        ("SendEnv A=B\n", "`SendEnv` wants names"),
        ("UserKnownHostsFile none b\n", "`none` stands alone"),
        ("IdentityAgent $foo-x\n", "`IdentityAgent` wants"),
    ] {
        std::fs::write(&file, text).unwrap();
        let run = hosts("a").expect(2);
        assert!(run.stderr.contains(said), "{run}");
    }
    let utf16: Vec<u8> = "\u{feff}Host a\n Port 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&file, utf16).unwrap();
    let run = hosts("a").expect(2);
    assert!(run.stderr.contains("UTF-16") && run.stderr.contains("iconv"), "{run}");
    // Letters, and what a pattern of `Include` takes in.
    std::fs::create_dir(home.path().join("d")).unwrap();
    std::fs::write(home.path().join("d/1.conf"), "Match originalhost DB*\n Port 7\n").unwrap();
    let include =
        format!("Include {0}/d/[12]*\nInclude {0}/d/[[:alpha:]]*\nInclude ~nosuch/x\n", home.path().display());
    std::fs::write(&file, include).unwrap();
    let run = hosts("db1").expect(0);
    assert!(run.text().contains('7'), "{run}");
}

/// A key comes through a pipe, which is read once, whatever the number of hosts; `0` and `none` are no limit.
#[test]
fn keys_through_pipes_and_no_limit() {
    let lab = crate::lab::Lab::start(2);
    let known = format!("UserKnownHostsFile={}", lab.known_hosts().display());
    let script = format!(
        "'{}' -f '{}' -F none -o '{known}' --connect-timeout none -i <(cat '{}') exec -- echo in",
        env!("CARGO_BIN_EXE_gsctl"),
        lab.hosts_file().display(),
        lab.key().display()
    );
    let output =
        std::process::Command::new("bash").args(["-c", &script]).env("HOME", lab.client_home()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.matches("in").count() >= 2, "{said}");
    let script = script.replace(" -F none", " -F none --transport openssh");
    let output =
        std::process::Command::new("bash").args(["-c", &script]).env("HOME", lab.client_home()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    // A server that is slower than the default limit.
    let mute = crate::lab::faults::mute_port();
    let hosts = lab.write_hosts_file(&lab.hosts_line("mute", mute.address()));
    for arguments in [&["--connect-timeout", "0"][..], &["-o", "ConnectTimeout=0"]] {
        let run = lab.bare_gsctl().hosts_file(&hosts).args(["-F", "none", "--connect-attempts", "1"]).args(arguments);
        let run = run.args(["--deadline", "7s", "ping"]).run();
        assert!(run.stderr.contains("deadline of 7s passed"), "{run}");
    }
}

/// A pipe in the place of `known_hosts` would be waited for without end.
#[test]
fn a_pipe_is_no_known_hosts_file() {
    let home = tempfile::tempdir().unwrap();
    let pipe = home.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let option = format!("UserKnownHostsFile={}", pipe.display());
    let run =
        Gsctl::at_home(home.path()).args(["-F", "none", "-w", "127.0.0.1", "-o", &option, "ping"]).run().expect(2);
    assert!(run.stderr.contains("it is a pipe"), "{run}");
}
