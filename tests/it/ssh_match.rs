//! What gsctl asks the installed `ssh -G` about: `Match` criteria and canonical names. Once each, and never in vain.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::gsctl::Gsctl;
use crate::lab::Lab;

/// A home with this `ssh_config`.
fn home(text: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".ssh")).unwrap();
    fs::write(home.path().join(".ssh/config"), text).unwrap();
    home
}

/// A folder with an `ssh` that notes each call, and then does as the real one.
fn noted(home: &Path) -> (PathBuf, PathBuf) {
    let (folder, notes) = (home.join("bin"), home.join("notes"));
    fs::create_dir(&folder).unwrap();
    let text = format!("#!/bin/sh\necho \"$@\" >> '{}'\nPATH=${{PATH#*:}}\nexec ssh \"$@\"\n", notes.display());
    fs::write(folder.join("ssh"), text).unwrap();
    fs::set_permissions(folder.join("ssh"), Permissions::from_mode(0o755)).unwrap();
    (folder, notes)
}

fn hosts(home: &Path, set: &str) -> Gsctl {
    Gsctl::at_home(home).args(["-w", set, "--json", "-", "hosts", "-v"])
}

#[test]
fn ssh_is_asked_once_for_each_distinct_question() {
    for (text, set, calls) in [
        // A command without tokens is the same for all.
        ("Match exec true\n Port 7\n", "n[1-40]", 1),
        ("Match exec \"test %u\"\n Port 7\nMatch !exec true\n Port 8\n", "n[1-40]", 2),
        // One with the host's name is another for each.
        ("Match exec \"test %n\"\n Port 7\n", "n[1-20]", 20),
        // Only hosts that the rest of the line, and the block around it, is for.
        ("Match exec \"test %n\" originalhost n[1-2],n1,n2\n Port 7\nHost *\n Port 7\n", "n[1-20]", 2),
        ("Host a\n Port 1\nMatch final host x*\n Port 2\nMatch tagged x\n Port 3\nHost *\n Port 7\n", "n[1-20]", 0),
    ] {
        let home = home(text);
        let (folder, notes) = noted(home.path());
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let json = hosts(home.path(), set).env("PATH", path).run().expect(0).json();
        for host in json["hosts"].as_array().unwrap() {
            assert_eq!(host["port"], 7, "{text}");
            let from = host["settings"]["port"]["from"].as_str().unwrap();
            assert!(from.starts_with(&home.path().join(".ssh/config").display().to_string()), "{from}");
        }
        let calls_made = fs::read_to_string(&notes).unwrap_or_default();
        assert_eq!(calls_made.lines().count(), calls, "{text}\n{calls_made}");
        assert!(calls_made.lines().all(|line| line.starts_with("-G ")), "{calls_made}");
    }
}

#[test]
fn what_ssh_cannot_tell_is_an_error_before_contact() {
    let lab = Lab::start(1);
    let config = lab.client_home().join(".ssh/config");
    let connections = || lab.node(1).sshd_log().matches("Connection from").count();
    let before = connections();
    for (line, path, said) in [
        (
            "Match exec true",
            Some("/nonexistent"),
            "`ssh` is needed to decide this, and is not installed\nhint: install OpenSSH",
        ),
        ("Match localnetwork 10.0.0.0/99", None, "`ssh -G` cannot decide this: "),
        ("CanonicalizeHostname maybe", None, "`ssh -G` cannot decide this: "),
        ("Match command x", None, "over one connection gsctl runs more commands than one\nhint: match by "),
    ] {
        fs::write(&config, format!("Host other\n Port 1\nMatch all\n{line}\n Port 2\n")).unwrap();
        let start = format!("error: ssh config `{}`, line 4: `", config.display());
        for command in [&["ping"][..], &["hosts"]] {
            let gsctl = lab.gsctl().args(command);
            let run = path.map_or_else(|| lab.gsctl().args(command), |path| gsctl.env("PATH", path)).run().expect(2);
            assert!(run.stderr.starts_with(&start) && run.stderr.contains(said), "`{start}` `{said}`\n{run}");
            assert!(run.stderr.contains("host `node1` is one of those it is for"), "{run}");
        }
    }
    fs::write(&config, "Match futuristic x\n Port 2\n").unwrap();
    let run = lab.gsctl().arg("ping").run().expect(2);
    assert!(run.stderr.contains("line 1: `Match` knows no `futuristic`"), "{run}");
    assert_eq!(connections(), before);
}

#[test]
fn canonical_names() {
    let lab = Lab::start(1);
    let (node, config, etc) = (lab.node(1), lab.client_home().join(".ssh/config"), lab.dir().join("client/etc-hosts"));
    let ip = node.address().ip();
    let mut known = fs::read_to_string(lab.known_hosts()).unwrap();
    let key = fs::read_to_string(lab.dir().join("n1/.lab/host_ed25519.pub")).unwrap();
    for name in ["db.lab.example", "a.b.lab.example", "real.lab.example"] {
        let _ = write!(known, "[{name}]:{} {key}", node.address().port());
    }
    fs::write(lab.known_hosts(), known).unwrap();
    // ssh asks for the whole name, with a dot at the end.
    let table = format!(
        "127.0.0.1 localhost\n{ip} db.lab.example db.lab.example. a.b.lab.example a.b.lab.example.\n\
         {ip} real.lab.example alias.lab.example alias.lab.example.\n"
    );
    fs::write(&etc, table).unwrap();
    let rest = format!("Host *\n Port {}\n User {}\n", node.address().port(), lab.user());
    let gsctl = |text: &str, host: &str, command: &[&str]| {
        fs::write(&config, format!("{text}\n{rest}")).unwrap();
        let known = format!("UserKnownHostsFile={}", lab.known_hosts().display());
        let gsctl =
            lab.bare_gsctl().arg("-i").arg(lab.key()).args(["-o", &known, "-w", host, "--json", "-"]).args(command);
        gsctl.with_files(&[(etc.clone(), "/etc/hosts".to_owned())]).run()
    };
    let address = |text: &str, host: &str| {
        let json = gsctl(text, host, &["hosts"]).expect(0).json();
        json["hosts"][0]["address"].as_str().unwrap().to_owned()
    };
    let domains = "CanonicalizeHostname yes\nCanonicalDomains none.example lab.example\n";
    // The name is found, connected to, and decides which blocks count.
    let text =
        format!("{domains}Host *.lab.example\n ConnectionAttempts 4\nMatch canonical host db.*\n ConnectTimeout 9\n");
    let run = gsctl(&text, "db", &["ping"]).expect(0);
    assert_eq!(run.json()["hosts"][0]["address"], ip.to_string(), "{run}");
    let json = gsctl(&text, "db", &["hosts", "-v"]).expect(0).json();
    let settings = &json["hosts"][0]["settings"];
    assert_eq!(
        (&settings["address"]["value"], &settings["connect_attempts"]["value"]),
        (&"db.lab.example".into(), &"4".into())
    );
    assert_eq!(settings["address"]["from"], format!("{}:1", config.display()), "{json:#}");
    assert_eq!(settings["connect_timeout"]["value"], "9s", "{json:#}");
    // Names with more dots are left alone, up to CanonicalizeMaxDots.
    assert_eq!(address(&format!("{domains}CanonicalizeMaxDots 0"), "a.b"), "a.b");
    assert_eq!(address(&format!("{domains}CanonicalizeMaxDots 1"), "a.b"), "a.b.lab.example");
    // Who is found nowhere keeps his name, unless that is forbidden.
    assert_eq!(address(domains, "nobody"), "nobody");
    let run = gsctl(&format!("{domains}CanonicalizeFallbackLocal no"), "nobody", &["ping"]).expect(2);
    assert!(run.stderr.contains("line 1: `CanonicalizeHostname`: `ssh -G` cannot decide this: "), "{run}");
    let cnames = format!("{domains}CanonicalizePermittedCNAMEs *.lab.example:*.lab.example");
    assert_eq!(address(&cnames, "alias"), "real.lab.example");
    assert_eq!(address(domains, "alias"), "alias.lab.example");
    // Behind a jump host names are that one's business, but for `always`.
    assert_eq!(address(&format!("{domains}ProxyJump j"), "db"), "db");
    assert_eq!(address(&format!("{}ProxyJump j", domains.replace("yes", "always")), "db"), "db.lab.example");
}

#[test]
fn where_each_setting_was_said() {
    let home = home(
        "Host a\n HostName 10.0.0.1\nMatch exec true\n User conf\n IdentityFile /k\nCompression yes\n Ciphers aes256-ctr\n",
    );
    fs::write(home.path().join("hosts"), "a port=2201 az=1\nb user=omm\n[all:vars]\nconnect_timeout=4s\n").unwrap();
    let file = home.path().join(".ssh/config");
    let line = |number: usize| format!("{}:{number}", file.display());
    let run = |text: bool| {
        let gsctl = Gsctl::at_home(home.path()).env("GSCTL_KEEPALIVE", "9sx2").env("GSCTL_PORT", "33");
        let gsctl = gsctl.args(["--connect-attempts", "5", "-o", "HashKnownHosts=yes", "-v"]);
        let gsctl = if text { gsctl } else { gsctl.args(["--json", "-"]) };
        gsctl.arg("hosts").run().expect(0)
    };
    let json = run(false).json();
    let (a, b) = (&json["hosts"][0]["settings"], &json["hosts"][1]["settings"]);
    for (settings, name, value, from) in [
        (a, "address", "10.0.0.1", line(2)),
        (b, "address", "b", "default".to_owned()),
        (a, "port", "33", "environment GSCTL_PORT".to_owned()),
        (a, "user", "conf", line(4)),
        (b, "user", "omm", "hosts:2".to_owned()),
        (a, "identity", "/k", line(5)),
        (a, "keepalive", "9sx2", "environment GSCTL_KEEPALIVE".to_owned()),
        (a, "connect_attempts", "5", "command line".to_owned()),
        (b, "connect_timeout", "4s", "group all, hosts:4".to_owned()),
        (b, "host_key_policy", "strict", "default".to_owned()),
        (a, "Compression", "yes", line(6)),
        (a, "HashKnownHosts", "yes", "command line".to_owned()),
        (a, "az", "1", "hosts:1".to_owned()),
    ] {
        assert_eq!(settings[name], serde_json::json!({ "value": value, "from": from }), "{name}\n{json:#}");
    }
    let text = run(true).text();
    for said in [format!("user=conf ({})", line(4)), "user=omm (hosts:2)".to_owned(), "az=1 (hosts:1)".to_owned()] {
        assert!(text.contains(&said), "`{said}` is missing\n{text}");
    }
    // What is typed is stronger than the environment.
    let run = Gsctl::at_home(home.path()).env("GSCTL_PORT", "33").args(["hosts", "-p", "34", "-v"]).run().expect(0);
    assert!(run.text().contains("port=34 (command line)"), "{run}");
}

/// A name that a shell would run reaches none, wherever it comes from (CVE-2023-51385).
#[test]
fn names_that_a_shell_would_run_are_refused() {
    let home = home("Match exec \"test %r = x\"\n Port 7\nHost proxied\n ProxyCommand echo %r %h\n");
    let pwned = home.path().join("pwned");
    let touch = format!("x`touch${{IFS}}{}`", pwned.display());
    let call = format!("x$(touch${{IFS}}{})", pwned.display());
    let file = |text: &str| {
        let path = home.path().join("list");
        fs::write(&path, text).unwrap();
        path
    };
    let here = |transport: &str| Gsctl::at_home(home.path()).args(["--transport", transport]);
    let refused = |gsctl: Gsctl| {
        let run = gsctl.run().expect(2);
        let refusals = ["could be more than a name to a shell", "is not a user name"];
        assert!(refusals.iter().any(|refusal| run.stderr.contains(refusal)), "{run}");
        assert!(!pwned.exists(), "{run}");
    };
    for user in [&touch, &call, "a;id", "a|id", "-oProxyCommand=id"] {
        for transport in ["native", "openssh"] {
            for command in [&["hosts"][..], &["hosts", "-v"], &["ping"], &["exec", "true"]] {
                if transport == "openssh" && command[0] == "hosts" {
                    continue;
                }
                let list = file(&format!("n1 user='{user}'\n"));
                refused(here(transport).hosts_file(&list).args(command));
                let list = file("n1\nproxied\n");
                refused(here(transport).hosts_file(&list).arg(format!("-l{user}")).args(command));
            }
        }
    }
    refused(here("native").hosts_file(file(&format!("{touch}@10.0.0.1\n"))).arg("hosts"));
    refused(here("native").hosts_file(file(&format!("n1 jump='{touch}@j'\n"))).arg("ping"));
    let inventory = format!("[db]\nn1 ansible_host=10.0.0.1 ansible_user='{touch}'\n");
    let path = format!("ansible:{}", file(&inventory).display());
    refused(here("native").hosts_file(path).arg("hosts"));
    let config = home.path().join("config");
    fs::write(&config, format!("User {touch}\nProxyCommand echo %r\n")).unwrap();
    refused(here("native").arg("-F").arg(config).args(["-w", "n1", "ping"]));
}
