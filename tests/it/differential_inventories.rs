//! gsctl beside Ansible and `nodeset`, on inventories and host sets made at random. Seeds as in `differential`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use fastrand::Rng;

use crate::ansible_values::by_ansible;
use crate::differential::{pick, seeds};
use crate::gsctl::Gsctl;

/// Values of a host's line, which Ansible takes apart as a shell would first.
const WORDS: [&str; 16] = [
    "x", "'it''s'", "\"q\"", "007", "0x16", "1.50", "True", "None", "''", "a=b", "10.0.0.1", "'1'", "-5", "1_000",
    "[1]", "x#y",
];
/// Values of a section of variables.
const VALUES: [&str; 14] = [
    "x",
    "'it''s'",
    "'a' \"b\"",
    "007",
    "0x16",
    "6.10",
    "True",
    "None",
    "",
    "'a b' # c",
    "5 # c",
    "[1, 2]",
    "{'a': 1}",
    "'007'",
];

fn settings(rng: &mut Rng, between: &str, values: &[&str]) -> Vec<String> {
    let mut lines: BTreeMap<String, String> = BTreeMap::new();
    for _ in 0..rng.usize(..3) {
        let (key, value) = match rng.u8(..6) {
            0 => ("ansible_host".to_owned(), pick(rng, &["10.0.0.7", "'10.0.0.8'", "example.org"])),
            1 => ("ansible_port".to_owned(), pick(rng, &["22", "2222", "'2209'", "0x16"])),
            2 => ("ansible_user".to_owned(), pick(rng, &["omm", "\"dba\"", "''"])),
            _ => (format!("v{}", rng.u8(..4)), pick(rng, values)),
        };
        lines.insert(key, value.to_owned());
    }
    lines.into_iter().map(|(key, value)| format!("{key}{between}{value}")).collect()
}

fn inventory(rng: &mut Rng) -> String {
    const HOSTS: [&str; 7] = ["h1", "h2", "h3", "web.example", "r[1:3]", "s[01:02].x", "t[a:c]"];
    let mut text = String::from("h1 ansible_host=10.0.0.1\n");
    let groups = ["ga", "gb", "gc"];
    let count = rng.usize(1..=groups.len());
    for group in &groups[..count] {
        let _ = writeln!(text, "[{group}]");
        for _ in 0..rng.usize(1..4) {
            let host = pick(rng, &HOSTS);
            let _ = writeln!(text, "{host} {}", settings(rng, "=", &WORDS).join(" "));
        }
    }
    if count > 1 && rng.bool() {
        let _ = writeln!(text, "[top:children]\n{}\n{}", groups[0], groups[1]);
    }
    for group in groups[..count].iter().copied().chain(["all"]) {
        let between = pick(rng, &["=", " = "]);
        let lines = settings(rng, between, &VALUES);
        if !lines.is_empty() {
            let _ = writeln!(text, "[{group}:vars]\n{}", lines.join("\n"));
        }
    }
    text
}

/// What is known of a host: what ssh needs, and its variables.
type Known = BTreeMap<String, String>;

fn by_gsctl(home: &Path, file: &str) -> BTreeMap<String, Known> {
    const NOBODY: &str = "nobody-said";
    let config = home.join("ssh_config");
    fs::write(&config, format!("Host *\n    User {NOBODY}\n")).unwrap();
    let run = Gsctl::at_home(home).arg("-F").arg(config).args(["-f", file, "--json", "-", "hosts"]).run().expect(0);
    let mut hosts = BTreeMap::new();
    for host in run.json()["hosts"].as_array().unwrap() {
        let mut known: Known = serde_json::from_value(host["vars"].clone()).unwrap();
        let name = host["host"].as_str().unwrap().to_owned();
        known.insert("address".to_owned(), host["address"].as_str().unwrap().to_owned());
        known.insert("port".to_owned(), host["port"].to_string());
        known.insert("user".to_owned(), host["user"].as_str().unwrap().replace(NOBODY, ""));
        hosts.insert(name, known);
    }
    hosts
}

#[test]
fn inventories_are_what_ansible_makes_of_them() {
    for seed in seeds(8) {
        let mut rng = Rng::with_seed(seed);
        let home = tempfile::tempdir().unwrap();
        let text = inventory(&mut rng);
        fs::write(home.path().join("inv"), &text).unwrap();
        let ours = by_gsctl(home.path(), "ansible:inv");
        let theirs: BTreeMap<String, Known> = by_ansible(home.path(), "./inv")
            .into_iter()
            .map(|(name, mut vars)| {
                let mut known = Known::new();
                let mut said =
                    |key: &str, other: String| vars.remove(key).filter(|value| !value.is_empty()).unwrap_or(other);
                known.insert("address".to_owned(), said("ansible_host", name.clone()));
                known.insert("port".to_owned(), said("ansible_port", "22".to_owned()));
                known.insert("user".to_owned(), said("ansible_user", String::new()));
                known.extend(vars);
                (name, known)
            })
            .collect();
        assert_eq!(ours, theirs, "DIFFERENTIAL_SEED={seed}\n{text}");
    }
}

fn set(rng: &mut Rng) -> String {
    let mut names = Vec::new();
    for _ in 0..rng.usize(1..4) {
        let mut name = pick(rng, &["n", "db-", "rack"]).to_owned();
        for _ in 0..rng.usize(1..3) {
            let ranges: Vec<String> = (0..rng.usize(1..3))
                .map(|_| {
                    let (from, width) = (rng.u32(..20), rng.usize(1..4));
                    let to = from + rng.u32(..5);
                    match rng.u8(..4) {
                        0 => format!("{from:0width$}"),
                        // Ends of different lengths are refused where one has zeros.
                        _ if width > 1 && to.to_string().len() > width => format!("{from}"),
                        1 => format!("{from:0width$}-{to:0width$}/2"),
                        _ => format!("{from:0width$}-{to:0width$}"),
                    }
                })
                .collect();
            let _ = write!(name, "[{}]{}", ranges.join(","), pick(rng, &["x", "-y", ".z"]));
        }
        names.push(name);
    }
    names.join(",")
}

#[test]
fn host_sets_are_what_nodeset_makes_of_them() {
    let home = tempfile::tempdir().unwrap();
    let names = |text: &str| text.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
    for seed in seeds(25) {
        let mut rng = Rng::with_seed(seed);
        let sets: Vec<String> = (0..rng.usize(1..4)).map(|_| set(&mut rng)).collect();
        let text =
            sets.iter().skip(1).fold(sets[0].clone(), |text, set| text + pick(&mut rng, &["!", "&", "^", ","]) + set);
        let output = Command::new("nodeset").args(["-e", &text]).output().expect("ClusterShell is there");
        assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
        let theirs = names(&String::from_utf8_lossy(&output.stdout));
        let run = Gsctl::at_home(home.path()).args(["-w", &text, "hosts", "--expand"]).run();
        let ours = names(&run.text());
        // Nobody is no host set for a run.
        assert!(run.status == 0 || (run.status == 6 && theirs.is_empty()), "DIFFERENTIAL_SEED={seed}: {text}\n{run}");
        assert_eq!(ours, theirs, "DIFFERENTIAL_SEED={seed}: {text}");
        if theirs.is_empty() {
            continue;
        }
        // Folded here, and taken apart there, they are the same.
        let folded = Gsctl::at_home(home.path()).args(["-w", &text, "hosts", "--fold"]).run().expect(0).text();
        let output = Command::new("nodeset").args(["-e", folded.trim()]).output().unwrap();
        assert_eq!(
            names(&String::from_utf8_lossy(&output.stdout)),
            theirs,
            "DIFFERENTIAL_SEED={seed}: {text}\n{folded}"
        );
    }
}
