//! Host keys: who is taken for whom he says he is, under each policy.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::gsctl::{Gsctl, Run};
use crate::lab::{Key, Lab};

/// A known hosts file of its own, with this text.
fn file(lab: &Lab, text: &str) -> PathBuf {
    let path = lab.dir().join(format!("client/known-{:08x}", fastrand::u32(..)));
    fs::write(&path, text).unwrap();
    path
}

/// A ping that knows only what this file says.
fn ping(lab: &Lab, known: &std::path::Path) -> Gsctl {
    let option = format!("UserKnownHostsFile={}", known.display());
    let gsctl = lab.bare_gsctl().hosts_file(lab.hosts_file()).arg("-i").arg(lab.key());
    gsctl.args(["-F", "none", "-o", &option, "-o", "GlobalKnownHostsFile=none", "--json", "-", "ping"])
}

/// `TYPE KEY` of a node's host key.
fn key_of(lab: &Lab, number: usize, kind: &str) -> String {
    let text = fs::read_to_string(lab.dir().join(format!("n{number}/.lab/host_{kind}.pub"))).unwrap();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// The name under which a node is looked up.
fn name_of(lab: &Lab, number: usize) -> String {
    let address = lab.node(number).address();
    format!("[{}]:{}", address.ip(), address.port())
}

fn fingerprint(key: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", "echo \"$0\" | ssh-keygen -l -f - | cut -d' ' -f2", key]);
    String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned()
}

/// Another key than any node has.
fn foreign(lab: &Lab, key: &Key) -> String {
    let text = fs::read_to_string(lab.unknown_key(key).with_extension("pub")).unwrap();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// The error and the hint of the only host.
#[track_caller]
fn refused(run: Run) -> (String, String) {
    let run = run.expect(4);
    let host = run.json()["hosts"][0].clone();
    assert_eq!(host["phase"], "host_key", "{run}");
    assert_eq!(host["attempts"], 1, "a key does not get better by asking again\n{run}");
    let text = |key: &str| host[key].as_str().unwrap_or_default().to_owned();
    (text("error"), text("hint"))
}

#[test]
fn each_policy_meets_each_verdict() {
    let lab = Lab::builder().host_keys(&[Key::ed25519(), Key::ecdsa()]).start();
    let (name, key, ecdsa) = (name_of(&lab, 1), key_of(&lab, 1, "ed25519"), key_of(&lab, 1, "ecdsa"));
    let strict = |known: &PathBuf| ping(&lab, known).args(["--host-key-policy", "strict"]).run();
    let accept = |known: &PathBuf| ping(&lab, known).args(["--host-key-policy", "accept-new"]).run();
    let off = |known: &PathBuf| ping(&lab, known).args(["--host-key-policy", "off"]).run();

    // Known: in either type, also only in the one that the server does not show by itself.
    for text in
        [format!("{name} {key}\n"), format!("{name} {ecdsa}\n"), format!("other,{name} {key}\n{name} {ecdsa}\n")]
    {
        let known = file(&lab, &text);
        strict(&known).expect(0);
        accept(&known).expect(0);
        assert_eq!(fs::read_to_string(&known).unwrap(), text);
    }
    // Under the bare address the same key will do on another port, as with ssh.
    strict(&file(&lab, &format!("{} {key}\n", lab.node(1).address().ip()))).expect(0);
    // Several keys of the type: the right one is among them.
    strict(&file(&lab, &format!("{name} {}\n{name} {key}\n", foreign(&lab, &Key::ed25519())))).expect(0);
    // Hashed, as ssh-keygen -H makes it; and a wildcard.
    let known = file(&lab, &format!("{name} {key}\n"));
    assert!(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&known).output().unwrap().status.success());
    assert!(fs::read_to_string(&known).unwrap().starts_with("|1|"));
    strict(&known).expect(0);
    strict(&file(&lab, &format!("[127.*]:* {key}\n"))).expect(0);

    // Unknown.
    let known = file(&lab, &format!("# a comment\n[127.0.0.1]:1 {key}"));
    let (error, hint) = refused(strict(&known));
    let (ours, theirs) = (fingerprint(&key), fingerprint(&ecdsa));
    assert!(error.contains(&format!("{name}: unknown host key ")), "{error}");
    assert!(error.contains(&ours) || error.contains(&theirs), "{error}");
    assert!(hint.contains("--host-key-policy accept-new"), "{hint}");
    off(&known).expect(0);
    let before = fs::read_to_string(&known).unwrap();
    accept(&known).expect(0);
    let after = fs::read_to_string(&known).unwrap();
    // One line, on a line of its own although the file did not end in one; nothing else was touched.
    assert!(after.starts_with(&format!("{before}\n")) && after.lines().count() == 3, "{after}");
    strict(&known).expect(0);
    // A file that is not there is made, and so is its folder.
    let missing = lab.dir().join("client/new/folder/known_hosts");
    accept(&missing).expect(0);
    assert_eq!(fs::read_to_string(&missing).unwrap().lines().count(), 1);
    // A file that cannot be written: the host is not taken, for nobody would know it next time.
    let (error, _) = refused(accept(&PathBuf::from("/proc/nope/known_hosts")));
    assert!(error.contains("could not be recorded: ") && error.contains("/proc/nope"), "{error}");

    // Changed, also when only accept-new would take it.
    let wrong = foreign(&lab, &Key::ed25519());
    let wrong_ecdsa = foreign(&lab, &Key::ecdsa());
    let known = file(&lab, &format!("# first\n{name} {wrong}\n{name} {wrong_ecdsa}\n"));
    for run in [strict(&known), accept(&known)] {
        let (error, hint) = refused(run);
        assert!(error.contains("host key has changed") && error.contains(&known.display().to_string()), "{error}");
        assert!(error.contains("line 2 has") || error.contains("line 3 has"), "{error}");
        let pairs = [(&wrong, &ours), (&wrong_ecdsa, &theirs)];
        assert!(pairs.iter().any(|(old, new)| error.contains(&fingerprint(old)) && error.contains(*new)), "{error}");
        let command = format!("ssh-keygen -f {} -R '{name}'", known.display());
        assert!(hint.contains(&command), "{hint}");
    }
    off(&known).expect(0);
    // What the hint says is the way out.
    let remove = Command::new("ssh-keygen").arg("-f").arg(&known).args(["-R", &name]).output().unwrap();
    assert!(remove.status.success(), "{remove:?}");
    accept(&known).expect(0);

    // Only a type that the server does not have (any more).
    let known = file(&lab, &format!("{name} {}\n", foreign(&lab, &Key::rsa())));
    for run in [strict(&known), accept(&known)] {
        let (error, hint) = refused(run);
        assert!(error.contains("host key has changed") && error.contains("line 1 has ssh-rsa"), "{error}");
        assert!(hint.contains("ssh-keygen -f"), "{hint}");
    }

    // Revoked is revoked, whatever the policy.
    let known = file(&lab, &format!("@revoked * {key}\n@revoked * {ecdsa}\n{name} {key}\n{name} {ecdsa}\n"));
    for run in [strict(&known), accept(&known), off(&known)] {
        let (error, hint) = refused(run);
        assert!(error.contains("this key is revoked") && error.contains("line "), "{error}");
        assert!(hint.starts_with("do not log in"), "{hint}");
    }
}

#[test]
fn the_policy_of_ssh_config() {
    let lab = Lab::start(1);
    for (value, status) in [("yes", 4), ("ask", 4), ("accept-new", 0), ("no", 0), ("off", 0)] {
        let known = file(&lab, "");
        let option = format!("StrictHostKeyChecking={value}");
        let run = ping(&lab, &known).args(["-o", &option]).run().expect(status);
        let recorded = !fs::read_to_string(&known).unwrap().is_empty();
        assert_eq!(recorded, value == "accept-new", "{value}\n{run}");
        // gsctl's own option is stronger.
        ping(&lab, &known)
            .args(["-o", "StrictHostKeyChecking=no", "--host-key-policy", "strict"])
            .run()
            .expect(if value == "accept-new" { 0 } else { 4 });
    }
}

#[test]
fn a_hundred_new_hosts_at_once() {
    let lab = Lab::one_sshd_many_hosts(100);
    let known = file(&lab, "# mine");
    // All are at one address; ssh_config gives each a name of its own to be known by.
    let config = lab.dir().join("client/config");
    let text = (1..=100).fold(String::new(), |text, n| text + &format!("Host node{n}\n HostKeyAlias alias{n}\n"));
    fs::write(&config, text).unwrap();
    let gsctl = || {
        let option = format!("UserKnownHostsFile={}", known.display());
        let gsctl = lab.bare_gsctl().hosts_file(lab.hosts_file()).arg("-i").arg(lab.key());
        gsctl.arg("-F").arg(&config).args(["-o", &option, "--connect-timeout", "60s", "--quiet", "ping"])
    };
    gsctl().args(["--host-key-policy", "accept-new"]).run().expect(0);
    let text = fs::read_to_string(&known).unwrap();
    let mut names: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names.remove(0), "#");
    assert_eq!(names.len(), 100, "{text}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 100, "{text}");
    gsctl().args(["--host-key-policy", "strict"]).run().expect(0);
    gsctl().args(["--host-key-policy", "accept-new"]).run().expect(0);
    assert_eq!(fs::read_to_string(&known).unwrap(), text);
}

#[test]
fn of_two_keys_for_one_name_only_the_first_is_taken() {
    let lab = Lab::start(3);
    let known = file(&lab, "");
    let run =
        ping(&lab, &known).args(["-o", "HostKeyAlias=cluster", "--host-key-policy", "accept-new"]).run().expect(4);
    assert_eq!((&run.json()["counts"]["ok"], &run.json()["counts"]["unreachable"]), (&1.into(), &2.into()), "{run}");
    assert_eq!(fs::read_to_string(&known).unwrap().lines().count(), 1);
}

#[test]
fn lines_that_are_not_understood_are_named() {
    let lab = Lab::start(2);
    let known = |number| format!("{} {}\n", name_of(&lab, number), key_of(&lab, number, "ed25519"));
    let text =
        format!("# a comment\n{}broken\n\n{}{} ssh-ed25519 AAAA=not-a-key\n", known(1), known(2), name_of(&lab, 1));
    let file = file(&lab, &text);
    let run = ping(&lab, &file).run().expect(0);
    let want =
        format!("known hosts file `{}`, lines 3, 6: are not understood, and passed over as ssh does", file.display());
    assert_eq!(run.stderr.matches(&want).count(), 1, "{want}\n{run}");
}

/// sshd has a certificate beside its key: gsctl cannot check one, so it asks for the key and records that.
#[test]
fn a_host_certificate_is_no_host_key() {
    let root = if rustix::process::geteuid().is_root() { crate::lab::MOUNT } else { "%h/.." };
    let lab = Lab::builder().sshd_config(&format!("HostCertificate {root}/.lab/host_ed25519-cert.pub\n")).start();
    let (node, key, name) = (lab.node(1), key_of(&lab, 1, "ed25519"), name_of(&lab, 1));
    let authority = lab.unknown_key(&Key::ed25519());
    let mut signing = Command::new("ssh-keygen");
    signing.args(["-q", "-h", "-I", "lab", "-s"]).arg(&authority).arg(lab.dir().join("n1/.lab/host_ed25519.pub"));
    assert!(signing.status().unwrap().success());
    node.restart_sshd();
    let known = file(&lab, "");
    ping(&lab, &known).args(["--host-key-policy", "accept-new"]).run().expect(0);
    assert_eq!(fs::read_to_string(&known).unwrap(), format!("{name} {key}\n"));
    // ssh and gsctl know it by that, whatever becomes of the certificate.
    let mut ssh = lab.ssh(node);
    ssh.args(["-o", &format!("UserKnownHostsFile={}", known.display()), "-o", "StrictHostKeyChecking=yes", "true"]);
    assert!(ssh.status().unwrap().success());
    ping(&lab, &known).args(["--host-key-policy", "strict"]).run().expect(0);
    let bare = file(&lab, &format!("{} {key}\n", node.address().ip()));
    ping(&lab, &bare).args(["--host-key-policy", "strict"]).run().expect(0);
    // A revoked key is revoked, certified or not; under every policy.
    let revoked = file(&lab, &format!("@revoked * {key}\n"));
    for policy in ["strict", "accept-new", "off"] {
        let (error, _) = refused(ping(&lab, &revoked).args(["--host-key-policy", policy]).run());
        assert!(error.contains("this key is revoked"), "{policy}: {error}");
    }
    // Where nothing but a certificate may be shown, no connection is made.
    let option = "HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com";
    ping(&lab, &known).args(["-o", option]).run().expect(2);
}

#[test]
fn an_alias_goes_without_a_port_and_a_bare_name_only_where_there_is_no_other() {
    let lab = Lab::start(1);
    let (key, name) = (key_of(&lab, 1, "ed25519"), name_of(&lab, 1));
    let (wrong, ip) = (foreign(&lab, &Key::ed25519()), lab.node(1).address().ip());
    let alias = |known: &PathBuf, policy: &str| {
        ping(&lab, known).args(["-o", "HostKeyAlias=node-a", "--host-key-policy", policy]).run()
    };
    let changed = file(&lab, &format!("node-a {wrong}\n"));
    for policy in ["strict", "accept-new"] {
        let (error, hint) = refused(alias(&changed, policy));
        assert!(error.contains("node-a: the ssh-ed25519 host key has changed"), "{error}");
        assert!(hint.ends_with("-R node-a"), "{hint}");
        assert_eq!(fs::read_to_string(&changed).unwrap(), format!("node-a {wrong}\n"));
    }
    let known = file(&lab, "");
    alias(&known, "accept-new").expect(0);
    assert_eq!(fs::read_to_string(&known).unwrap(), format!("node-a {key}\n"));
    alias(&known, "strict").expect(0);
    refused(alias(&file(&lab, &format!("{} {key}\n", name.replace(&ip.to_string(), "node-a"))), "strict"));

    // The name with the port has another key: that of the bare name does not count.
    let both = file(&lab, &format!("{name} {wrong}\n{ip} {key}\n"));
    for policy in ["strict", "accept-new"] {
        let (error, _) = refused(ping(&lab, &both).args(["--host-key-policy", policy]).run());
        assert!(error.contains("host key has changed") && error.contains("line 1"), "{error}");
    }
    ping(&lab, &file(&lab, &format!("{ip} {key}\n"))).args(["--host-key-policy", "strict"]).run().expect(0);
    let other_type = file(&lab, &format!("{name} {}\n{ip} {key}\n", foreign(&lab, &Key::rsa())));
    refused(ping(&lab, &other_type).args(["--host-key-policy", "strict"]).run());
    // An authority for the name with the port is no key of it.
    let authority = file(&lab, &format!("@cert-authority {name} {wrong}\n{ip} {key}\n"));
    ping(&lab, &authority).args(["--host-key-policy", "strict"]).run().expect(0);
}

#[test]
fn accept_new_says_whose_keys_it_recorded() {
    let lab = Lab::start(3);
    let new = lab.dir().join("client/new_hosts");
    std::fs::write(&new, "").unwrap();
    let gsctl = || {
        let gsctl = lab.bare_gsctl().hosts_file(lab.hosts_file()).arg("-i").arg(lab.key());
        gsctl.arg("--known-hosts").arg(&new).args(["--host-key-policy", "accept-new"])
    };
    let run = gsctl().json().args(["-v", "exec", "true"]).run().expect(0);
    assert_eq!(run.stderr.matches("host keys of node[1-3] recorded in").count(), 1, "{run}");
    let json = run.json();
    let keys = json["recorded_keys"].as_array().unwrap();
    assert_eq!(keys.len(), 3, "{run}");
    for (key, name) in keys.iter().zip(["node1", "node2", "node3"]) {
        assert_eq!((&key["host"], &key["type"]), (&name.into(), &"ssh-ed25519".into()), "{run}");
        let fingerprint = key["fingerprint"].as_str().unwrap();
        assert!(fingerprint.starts_with("SHA256:") && run.stderr.contains(fingerprint), "{run}");
    }
    // Known by now; and with one host, without -v, one line without fingerprints.
    let run = gsctl().json().args(["exec", "true"]).run().expect(0);
    assert!(!run.stderr.contains("recorded") && run.json()["recorded_keys"].is_null(), "{run}");
    std::fs::write(&new, "").unwrap();
    let run = gsctl().args(["-w", "node2", "exec", "true"]).run().expect(0);
    assert!(run.stderr.contains("host key of node2 recorded in") && !run.stderr.contains("SHA256"), "{run}");
    std::fs::write(&new, "").unwrap();
    let run = gsctl().args(["-q", "-w", "node2", "exec", "true"]).run().expect(0);
    assert_eq!(run.stderr, "", "{run}");
}

#[test]
fn known_hosts_that_were_named_and_are_not_there_are_said() {
    let lab = Lab::start(1);
    let gsctl = || lab.bare_gsctl().hosts_file(lab.hosts_file()).arg("-i").arg(lab.key());
    let gone = lab.dir().join("client/gone").display().to_string();
    let said = format!("known hosts: `{gone}` is not there");
    let option = format!("UserKnownHostsFile={gone}");
    for gsctl in
        [gsctl().args(["--known-hosts", &gone]), gsctl().args(["-o", &option]), gsctl().env("GSCTL_KNOWN_HOSTS", &gone)]
    {
        let run = gsctl.args(["exec", "true"]).run().expect(4);
        assert_eq!(run.stderr.matches(&said).count(), 1, "{run}");
    }
    // The usual places need not be there; `-o` is stronger than the variable.
    let run = gsctl().args(["exec", "true"]).run().expect(4);
    assert!(!run.stderr.contains("is not there"), "{run}");
    let known = format!("UserKnownHostsFile={}", lab.known_hosts().display());
    gsctl().env("GSCTL_KNOWN_HOSTS", &gone).args(["-o", &known, "exec", "true"]).run().expect(0);
    gsctl().env("GSCTL_KNOWN_HOSTS", lab.known_hosts()).args(["exec", "true"]).run().expect(0);
}
