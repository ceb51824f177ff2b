//! README and its neighbours are promises: the session is replayed, and every name in them is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use gsctl::testing::ExitStatus;

use crate::gsctl::Gsctl;
use crate::lab::{Lab, opengauss};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Commands of README's console blocks, each with what it prints.
fn session(text: &str) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
                (None, Some((_, output))) => output.push(line.to_owned()),
                (None, None) => panic!("output without a command: {line}"),
            }
        }
    }
    commands
}

/// A line without what differs from run to run: numbers, and the blanks that line columns up.
fn masked(line: &str) -> String {
    let mut out = String::new();
    for word in line.split_whitespace() {
        let number = |word: &str| word.chars().all(|c| c.is_ascii_digit() || ".s[]:()/".contains(c));
        out.push_str(if number(word) { "N" } else { word });
        out.push(' ');
    }
    // A bracket with a time in it may hold a blank or not.
    out.replace("[ N ", "N ").trim_end().to_owned()
}

/// Lines that are there in every run, sorted: standard output and standard error come in any order.
fn steady(lines: impl Iterator<Item = String>) -> Vec<String> {
    let passing = |line: &String| ["Chain", "Waiting"].iter().any(|word| line.trim_start().starts_with(word));
    let mut lines: Vec<String> = lines.filter(|line| !passing(line)).map(|line| masked(&line)).collect();
    lines.sort();
    lines
}

#[test]
fn the_session_is_replayed() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    let commands = session(&read("README.md"));
    assert!(commands.len() >= 4, "{commands:?}");
    for (command, want) in commands {
        let words = shell_words::split(&command).unwrap();
        assert_eq!(words[0], "gsctl", "{command}");
        // As a reader would: in a directory with `./hosts`.
        let known_hosts = format!("UserKnownHostsFile={}", lab.known_hosts().display());
        let run = lab
            .bare_gsctl()
            .current_dir(lab.dir().join("client"))
            .arg("-i")
            .arg(lab.key())
            .args(["-o", &known_hosts])
            .args(&words[1..])
            .run();
        let got = run.text() + &run.stderr;
        assert_eq!(steady(got.lines().map(str::to_owned)), steady(want.into_iter()), "$ {command}\n{run}");
    }
}

#[test]
fn the_exit_statuses_are_those_of_the_program() {
    let help = Gsctl::at_home(Path::new("/")).arg("--help").run().text();
    for name in ["README.md"] {
        let text = read(name);
        let section = text.split("## Exit status").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()?.parse::<u8>().ok());
        assert_eq!(rows.collect::<Vec<_>>(), ExitStatus::ALL.map(ExitStatus::code), "{name}");
        for line in section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")) {
            if let Some((code, meaning)) = line.split_once(" | ").filter(|(code, _)| code.parse::<u8>().is_ok()) {
                let said =
                    help.contains(&format!("  {code:<4} {meaning}")) || help.contains(&format!("{code}: {meaning}"));
                assert!(said, "--help says something else about {code}: {meaning}");
            }
        }
    }
}

#[test]
fn every_option_and_command_that_is_named_is_there() {
    let mut help = Gsctl::at_home(Path::new("/")).arg("--help").run().text();
    for command in [
        "exec", "ping", "check", "wait", "touch", "rm", "push", "pull", "start", "stop", "restart", "status",
        "diagnose", "promote", "play", "hosts", "runs", "config",
    ] {
        help += &Gsctl::at_home(Path::new("/")).args([command, "--help"]).run().expect(0).text();
    }
    // Options of cargo, of the lab, of the simulated fleet and of the benchmark.
    let others: BTreeSet<&str> = [
        "--bin",
        "--dir",
        "--example",
        "--nodes",
        "--out",
        "--profile",
        "--release",
        "--rounds",
        "--rule",
        "--scale",
        "--seed",
        "--test",
    ]
    .into();
    for name in ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "hosts.example"] {
        let text = read(name);
        let options = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        for option in options.filter(|word| word.starts_with("--") && word.len() > 3 && !word.starts_with("---")) {
            let there = [" ", "\n", "[="].iter().any(|end| help.contains(&format!("{option}{end}")));
            assert!(there || others.contains(option), "{name} names {option}, which no --help has");
        }
    }
}

/// Pages for those who come from elsewhere.
const PAGES: [&str; 4] = ["docs/from-clush-and-pdsh.md", "docs/from-ansible.md", "docs/in-ci.md", "docs/scale.md"];

#[test]
fn commands_of_the_pages_are_understood() {
    let home = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("hosts", "db[1-8]\n"),
        ("nodes", "node[1-3]\n"),
        ("inventory.yml", "all: { children: { db: { hosts: { db1: } } } }\n"),
        ("inventory.ini", "[db]\ndb1\n[all:vars]\nuser = omm\n"),
        ("chrony.conf", ""),
        ("known_hosts", ""),
    ] {
        fs::write(home.path().join(file), text).unwrap();
    }
    let key = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(home.path().join("id_ci"))
        .status();
    assert!(key.unwrap().success());
    let mut seen = 0;
    for page in PAGES.iter().chain(["README.md"].iter()) {
        let text = read(page);
        let text = if *page == "README.md" {
            text.split("\n## First five minutes").nth(1).unwrap().split("\n## ").next().unwrap().to_owned()
        } else {
            text
        };
        for line in text.lines().filter_map(|line| line.strip_prefix("    gsctl ")) {
            let words = shell_words::split(line).unwrap();
            // Nobody has failed yet, and no part has written a report.
            if words.iter().any(|word| word == "@failed" || word == "merge") {
                continue;
            }
            Gsctl::at_home(home.path()).arg("--dry-run").args(&words).run().expect(0);
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen}");
}

#[test]
fn every_link_leads_somewhere() {
    for name in PAGES {
        for target in read(name).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(root().join("docs").join(target).exists(), "{name} links to {target}");
        }
    }
    for name in ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"] {
        for target in read(name).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(root().join(target).exists(), "{name} links to {target}");
        }
    }
    for name in ["LICENSE-APACHE", "LICENSE-MIT", "hosts.example", "tests/lab/demo.sh"] {
        assert!(root().join(name).is_file(), "{name}");
    }
}

#[test]
fn the_changelog_knows_the_version() {
    assert!(read("CHANGELOG.md").contains(&format!("\n## {}\n", env!("CARGO_PKG_VERSION"))));
    assert!(read("Cargo.toml").contains("license = \"Apache-2.0 OR MIT\""));
}
