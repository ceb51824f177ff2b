//! gsctl beside the installed `ssh`, on inputs made at random: `ssh_config` against `ssh -G`, `known_hosts` against real logins.
//!
//! A few hundred here, always the same, and DIFFERENTIAL of them, at random, under `make differential`. Each case has a seed of its own,
//! which a failure prints and `DIFFERENTIAL_SEED` repeats. What may differ is in `docs/differences.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use fastrand::Rng;
use serde_json::Value;

use crate::gsctl::Gsctl;
use crate::lab::{Key, Lab};

/// Seeds of the cases to run: the same `few` ones in the suite, and random ones, which are printed, where `DIFFERENTIAL` asks for many.
#[expect(clippy::print_stdout, reason = "whoever repeats a series needs the seed")]
pub(crate) fn seeds(few: u64) -> Vec<u64> {
    if let Ok(seed) = std::env::var("DIFFERENTIAL_SEED") {
        return vec![seed.parse().unwrap()];
    }
    let Ok(many) = std::env::var("DIFFERENTIAL") else { return (1..=few).collect() };
    let first = fastrand::u64(..1 << 48);
    let count = many.parse::<u64>().unwrap() * few / 300;
    println!("seeds {first} to {}", first + count);
    (first..first + count).collect()
}

/// Keywords of a table of `docs/differences.md`.
fn listed(section: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/differences.md")).unwrap();
    let part = text.split("\n## ").find(|part| part.starts_with(section)).unwrap().to_owned();
    let rows = part.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`')).map(|(keyword, _)| keyword.to_ascii_lowercase()).collect()
}

pub(crate) fn pick<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    of[rng.usize(..of.len())]
}

const NAMES: [&str; 6] = ["db1", "DB2", "web-1.example", "10.0.0.7", "n3", "bastion"];
const PATTERNS: [&str; 14] = [
    "*",
    "db*",
    "DB*",
    "db?",
    "!db1",
    "web-?.example",
    "10.0.0.*",
    "n[3]",
    "n3",
    "bastion",
    "*.example",
    "!*",
    "db1 n3",
    "d*,n*",
];
const LINES: [(&str, &[&str]); 21] = [
    ("User", &["omm", "root", "\"a user\"", "Omm"]),
    ("Port", &["22", "2222", "1", "65535"]),
    ("HostName", &["10.0.0.9", "%h.example", "Foo.Example", "%%x", "fe80::1"]),
    ("IdentityFile", &["/k/one", "/k/two", "none", "\"/k/a b\"", "'/k/c'"]),
    ("ProxyJump", &["j1", "omm@j2:2222", "none", "j1,j2"]),
    ("ProxyCommand", &["nc %h %p", "none", "connect %n %r %%", "sh -c 'x \"y\" # z'"]),
    ("ConnectTimeout", &["7", "30", "0", "none"]),
    ("ConnectionAttempts", &["2", "5"]),
    ("ServerAliveInterval", &["9", "45"]),
    ("ServerAliveCountMax", &["0", "2", "4"]),
    ("StrictHostKeyChecking", &["yes", "accept-new", "no", "off", "ask"]),
    ("UserKnownHostsFile", &["/x/one", "/x/one /x/two", "none"]),
    ("HostKeyAlias", &["node-a", "Node-B"]),
    ("Compression", &["yes", "no"]),
    ("Tag", &["blue"]),
    ("IdentitiesOnly", &["yes", "no"]),
    ("LogLevel", &["INFO", "debug2", "error", "QUIET"]),
    ("RequestTTY", &["force", "no"]),
    ("UpdateHostKeys", &["ask", "yes"]),
    ("SyslogFacility", &["LOCAL3", "user"]),
    ("VisualHostKey", &["yes", "no"]),
];
/// Lines that ssh refuses.
const WRONG: [&str; 8] = [
    "LogLevel LOUD",
    "RequestTTY perhaps",
    "VisualHostKey 1",
    "SyslogFacility nowhere",
    "IdentitiesOnly 1",
    "Port 0",
    "ConnectTimeout soon",
    "UserKnownHostsFile none /x",
];

fn line(rng: &mut Rng) -> String {
    let (keyword, values) = LINES[rng.usize(..LINES.len())];
    // OpenSSH 9.2 knows no `Tag`.
    let (keyword, values) = if keyword == "Tag" { LINES[0] } else { (keyword, values) };
    let keyword = match rng.u8(..3) {
        0 => keyword.to_ascii_lowercase(),
        1 => keyword.to_ascii_uppercase(),
        _ => keyword.to_owned(),
    };
    let between = pick(rng, &[" ", "\t", "=", " = ", "  "]);
    let value = pick(rng, values);
    let end = pick(rng, &["", "", " ", " # so"]);
    // A command goes to the end of its line; `none` with a comment is in docs/differences.md.
    let no_end =
        keyword.eq_ignore_ascii_case("ProxyCommand") || keyword.eq_ignore_ascii_case("ProxyJump") && value == "none";
    let end = if no_end { "" } else { end };
    format!("{}{keyword}{between}{value}{end}\n", pick(rng, &["", " ", "\t"]))
}

fn condition(rng: &mut Rng) -> String {
    if rng.bool() {
        let patterns: Vec<&str> = (0..rng.usize(1..3)).map(|_| pick(rng, &PATTERNS)).collect();
        return format!("Host {}\n", patterns.join(" "));
    }
    let mut text = "Match".to_owned();
    for _ in 0..rng.usize(1..3) {
        let (subject, list) = match rng.u8(..6) {
            0 => ("host", pick(rng, &["db*", "DB1,n?", "*.example", "foo.example", "!db1,*"])),
            1 => ("originalhost", pick(rng, &["db*", "DB*", "n3,web*", "!n3,*"])),
            2 => ("user", pick(rng, &["omm", "root", "Omm", "*"])),
            3 => ("final", ""),
            4 => ("canonical", ""),
            _ => ("exec", pick(rng, &["true", "false", "\"test %n = n3\"", "\"test %h = foo.example\""])),
        };
        let not = if rng.u8(..4) == 0 { "!" } else { "" };
        text += &format!(" {not}{subject} {list}");
    }
    text + "\n"
}

fn config(rng: &mut Rng, home: &Path) -> String {
    let mut text: String = (0..rng.usize(..3)).map(|_| line(rng)).collect();
    for _ in 0..rng.usize(1..4) {
        text += &condition(rng);
        for _ in 0..rng.usize(1..5) {
            text += &line(rng);
        }
        if rng.u8(..25) == 0 {
            text += &format!("    {}\n", pick(rng, &WRONG));
        }
        if rng.u8(..7) == 0 {
            let included: String = (0..rng.usize(1..3)).map(|_| line(rng)).collect();
            let included = if rng.bool() { condition(rng) + &included } else { included };
            let name = pick(rng, &["1.conf", "a.conf", "b.conf"]);
            fs::write(home.join(".ssh/d").join(name), included).unwrap();
            let pattern =
                pick(rng, &["D/*.conf", "D/[0-9]*", "D/[!a]*.conf", "D/?.conf", "\"D/b.conf\"", "D/none D/a.conf"]);
            // ssh takes the home of the password database, so paths are whole.
            text += &format!("Include {}\n", pattern.replace('D', &home.join(".ssh/d").display().to_string()));
        }
    }
    if rng.u8(..16) == 0 { text.replace('\n', "\r\n") } else { text }
}

/// What ssh makes of a file for a host.
fn by_ssh(file: &Path, host: &str) -> Option<BTreeMap<String, Vec<String>>> {
    let output = Command::new("ssh").args(["-G", "-F"]).arg(file).args(["--", host, "true"]).output().unwrap();
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        values.entry(keyword.to_owned()).or_default().push(value.to_owned());
    }
    output.status.success().then_some(values)
}

/// A value of gsctl's, as ssh would print it.
fn settle(keyword: &str, value: &str) -> String {
    let seconds = |text: &str| text.trim_end_matches('s').to_owned();
    match keyword {
        "stricthostkeychecking" => match value {
            "yes" | "strict" | "true" => "true".to_owned(),
            "no" | "off" => "false".to_owned(),
            other => other.to_owned(),
        },
        "connecttimeout" => {
            if value == "none" {
                "0".to_owned()
            } else {
                seconds(value)
            }
        }
        "serveraliveinterval" => seconds(value.split('x').next().unwrap()),
        "serveralivecountmax" => value.split_once('x').map_or("", |(_, count)| count).to_owned(),
        "hostname" => value.to_ascii_lowercase(),
        _ => value.to_owned(),
    }
}

/// What gsctl says of each keyword, and whether that is its default.
fn by_gsctl(host: &Value) -> BTreeMap<&'static str, (String, bool)> {
    let settings = &host["settings"];
    let mut said = BTreeMap::new();
    for (keyword, name) in [
        ("hostname", "address"),
        ("port", "port"),
        ("user", "user"),
        ("identityfile", "identity"),
        ("proxyjump", "jump"),
        ("proxycommand", "proxy_command"),
        ("connecttimeout", "connect_timeout"),
        ("connectionattempts", "connect_attempts"),
        ("serveraliveinterval", "keepalive"),
        ("serveralivecountmax", "keepalive"),
        ("stricthostkeychecking", "host_key_policy"),
        ("userknownhostsfile", "UserKnownHostsFile"),
        ("hostkeyalias", "HostKeyAlias"),
        ("compression", "Compression"),
    ] {
        let setting = &settings[name];
        if let Some(value) =
            setting["value"].as_str().map(str::to_owned).or_else(|| setting["value"].as_u64().map(|n| n.to_string()))
        {
            said.insert(keyword, (settle(keyword, &value), setting["from"] == "default"));
        }
    }
    said
}

/// A command with its tokens, which `ssh -G` leaves as they are.
fn expand(text: &str, host: &Value, ssh: &BTreeMap<String, Vec<String>>) -> String {
    let of = |keyword: &str| ssh.get(keyword).map_or_else(String::new, |values| values.concat());
    let mut expanded = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '%' { chars.next() } else { None }) {
            ('%', Some('h')) => expanded += &of("hostname"),
            ('%', Some('n')) => expanded += host["host"].as_str().unwrap(),
            ('%', Some('p')) => expanded += &of("port"),
            ('%', Some('r')) => expanded += &of("user"),
            ('%', Some(other)) => expanded.push(other),
            _ => expanded.push(c),
        }
    }
    expanded
}

/// The differences of one host.
fn differences(host: &Value, ssh: &BTreeMap<String, Vec<String>>, defaults: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (keyword, (ours, default)) in by_gsctl(host) {
        let theirs = ssh.get(keyword).cloned().unwrap_or_default();
        let theirs = match keyword {
            "identityfile" => {
                let mut seen = Vec::new();
                for file in theirs.into_iter().filter(|file| file != "none") {
                    if !seen.contains(&file) {
                        seen.push(file);
                    }
                }
                if seen.is_empty() { "none".to_owned() } else { seen.join(",") }
            }
            "userknownhostsfile" => theirs.join(" ").replace(' ', ","),
            "proxyjump" | "hostkeyalias" => theirs.first().map_or("none", String::as_str).to_owned(),
            "stricthostkeychecking" => theirs.concat(),
            "proxycommand" => theirs.first().map_or_else(String::new, |text| expand(text, host, ssh)),
            _ => theirs.first().cloned().unwrap_or_default(),
        };
        // Of the three that are one setting of gsctl's, the file says one or the other.
        let one_of_two = matches!(keyword, "serveraliveinterval" | "serveralivecountmax" | "connecttimeout")
            && (theirs == "0" || theirs == "3" || theirs == "none");
        if ours != theirs && !(default || one_of_two) {
            found.push(format!("{keyword}: ssh `{theirs}`, gsctl `{ours}`"));
        }
        if ours != theirs
            && default
            && keyword != "identityfile"
            && keyword != "proxyjump"
            && !defaults.iter().any(|listed| listed == keyword)
        {
            found.push(format!("{keyword}: another default: ssh `{theirs}`, gsctl `{ours}`"));
        }
    }
    found
}

#[test]
#[ignore = "make differential"]
fn ssh_config_is_read_as_ssh_reads_it() {
    let defaults = listed("Other defaults");
    assert!(defaults.contains(&"connecttimeout".to_owned()), "{defaults:?}");
    for seed in seeds(120) {
        let mut rng = Rng::with_seed(seed);
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join(".ssh/d")).unwrap();
        let text = config(&mut rng, home.path());
        let file = home.path().join("config");
        fs::write(&file, &text).unwrap();
        let names: Vec<&str> = (0..2).map(|_| pick(&mut rng, &NAMES)).collect();
        let ssh: Vec<_> = names.iter().map(|name| by_ssh(&file, name)).collect();
        for (name, ssh) in names.iter().zip(ssh) {
            let gsctl =
                Gsctl::at_home(home.path()).arg("-F").arg(&file).args(["-w", name, "--json", "-", "hosts", "-v"]);
            let run = gsctl.run();
            let told = || format!("DIFFERENTIAL_SEED={seed}, host {name}\n{text}\n{run}");
            let Some(ssh) = ssh else {
                assert_eq!(run.status, 2, "ssh refuses it\n{}", told());
                continue;
            };
            assert_eq!(run.status, 0, "ssh takes it\n{}", told());
            let found = differences(&run.json()["hosts"][0], &ssh, &defaults);
            assert!(found.is_empty(), "{found:#?}\n{}", told());
        }
    }
}

/// What became of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Changed,
    Unknown,
    Revoked,
}

/// Lines of `known_hosts` for a node.
fn known_hosts(rng: &mut Rng, own: &str, bare: &str, keys: &[String], foreign: &[String]) -> String {
    let mut text = String::new();
    for _ in 0..rng.usize(1..4) {
        let marker = match rng.u8(..10) {
            0 => "@revoked ",
            1 => "@cert-authority ",
            2 => "@unknown ",
            _ => "",
        };
        let name = match rng.u8(..8) {
            0 | 1 => bare.to_owned(),
            2 => "other".to_owned(),
            3 => format!("other,{own}"),
            4 => own.replace("127", "12?"),
            5 => format!("!{bare},*"),
            _ => own.to_owned(),
        };
        let key = if rng.u8(..3) == 0 { &foreign[rng.usize(..foreign.len())] } else { &keys[rng.usize(..keys.len())] };
        let key = if rng.u8(..12) == 0 { "ssh-ed25519 AAAA" } else { key };
        text += &format!("{marker}{name} {key}{}\n", pick(rng, &["", " a comment", "\r", " "]));
        if rng.u8(..8) == 0 {
            text += "# a comment\n\n";
        }
    }
    text
}

#[test]
fn known_hosts_mean_what_they_mean_to_ssh() {
    let lab = Lab::builder().host_keys(&[Key::ed25519(), Key::ecdsa(), Key::rsa()]).start();
    let node = lab.node(1);
    let (ip, port) = (node.address().ip().to_string(), node.address().port());
    let own = format!("[{ip}]:{port}");
    let words = |text: &str| text.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let keys: Vec<String> = ["ed25519", "ecdsa", "rsa"]
        .iter()
        .map(|kind| words(&fs::read_to_string(lab.dir().join(format!("n1/.lab/host_{kind}.pub"))).unwrap()))
        .collect();
    let foreign: Vec<String> = [Key::ed25519(), Key::ecdsa(), Key::rsa()]
        .iter()
        .map(|key| words(&fs::read_to_string(lab.unknown_key(key).with_extension("pub")).unwrap()))
        .collect();
    let file = lab.dir().join("client/known-random");
    for seed in seeds(40) {
        let mut rng = Rng::with_seed(seed);
        let alias = (rng.u8(..4) == 0).then_some("node-a");
        let text = known_hosts(&mut rng, alias.unwrap_or(&own), alias.unwrap_or(&ip), &keys, &foreign);
        fs::write(&file, &text).unwrap();
        let mut options =
            vec![format!("UserKnownHostsFile={}", file.display()), "GlobalKnownHostsFile=none".to_owned()];
        options.extend(alias.map(|alias| format!("HostKeyAlias={alias}")));
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-i"]).arg(lab.key());
        let mut gsctl = lab.bare_gsctl().hosts_file(lab.hosts_file()).args([
            "-F",
            "none",
            "--json",
            "-",
            "--host-key-policy",
            "strict",
        ]);
        gsctl = gsctl.arg("-i").arg(lab.key());
        for option in &options {
            ssh.args(["-o", option]);
            gsctl = gsctl.args(["-o", option]);
        }
        let output = ssh.args(["-p", &port.to_string(), "-l", lab.user(), &ip, "true"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let theirs = if output.status.success() {
            Verdict::Accepted
        } else if said.contains("REVOKED") || said.contains("marked as revoked") {
            Verdict::Revoked
        } else if said.contains("HAS CHANGED") {
            Verdict::Changed
        } else {
            assert!(
                said.contains("host key is known") || said.contains("Host key verification failed"),
                "{said}\n{text}"
            );
            Verdict::Unknown
        };
        let run = gsctl.arg("ping").run();
        let host = run.json()["hosts"][0].clone();
        let error = host["error"].as_str().unwrap_or_default();
        let ours = if run.status == 0 {
            Verdict::Accepted
        } else if error.contains("is revoked") {
            Verdict::Revoked
        } else if error.contains("has changed") {
            Verdict::Changed
        } else {
            assert!(error.contains("unknown host key"), "{run}\n{text}");
            Verdict::Unknown
        };
        // Stricter, as `docs/differences.md` has it.
        let stricter = ours == Verdict::Revoked && text.contains("@revoked");
        assert!(
            ours == theirs || stricter,
            "DIFFERENTIAL_SEED={seed}: ssh {theirs:?}, gsctl {ours:?}\n{text}\n{said}\n{run}"
        );
    }
}
