//! README and docs/ are promises: their sessions are replayed, and every name in them is there.

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

/// Commands of console blocks, each with what it prints.
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

/// A line without what differs from run to run: numbers, names of runs and log files, and the blanks that line columns up.
fn masked(line: &str) -> String {
    let mut out = String::new();
    for word in line.split_whitespace() {
        let number = |word: &str| word.chars().all(|c| c.is_ascii_digit() || ".s[]:()/-".contains(c));
        // `20261129T103442Z-bbepn`, `cm_agent-2026-11-29_103443-current.log`, `tid=89`
        let run = word.get(8..9) == Some("T") && word.get(15..17) == Some("Z-");
        let dated = word.contains("-20") && word.contains("-current.log");
        match word.split_once('=') {
            _ if number(word) || run => out.push('N'),
            _ if dated => out.push_str(word.split_once("-20").unwrap().0),
            Some((name, value)) if number(value) => out.push_str(name),
            _ => out.push_str(word),
        }
        out.push(' ');
    }
    // A bracket with a time in it may hold a blank or not.
    out.replace("[ N ", "N ").trim_end().to_owned()
}

/// Lines that are there in every run, sorted: standard output and standard error come in any order.
fn steady(lines: impl Iterator<Item = String>) -> Vec<String> {
    let passing = ["Chain", "Waiting", "still running after"];
    let passing = |line: &String| passing.iter().any(|word| line.trim_start().starts_with(word));
    let mut lines: Vec<String> = lines.filter(|line| !passing(line)).map(|line| masked(&line)).collect();
    lines.sort();
    lines
}

/// Every page of the project for its users, by its path.
fn pages() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned(), "README.zh-CN.md".to_owned()];
    for dir in ["docs", "docs/zh"] {
        for entry in fs::read_dir(root().join(dir)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            pages.extend(Path::new(&name).extension().is_some_and(|end| end == "md").then(|| format!("{dir}/{name}")));
        }
    }
    pages.sort();
    pages
}

/// The section in which node2 is to have trouble.
const TROUBLE: &str = "When a node fails";

/// The Chinese pages have the same ones: `translation`.
#[test]
fn the_sessions_are_replayed() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    let mut sessions = Vec::new();
    for page in pages().into_iter().filter(|page| !page.contains("zh")) {
        let text = read(&page);
        for section in text.split("\n## ") {
            let commands = session(section);
            if !commands.is_empty() {
                sessions.push((section.starts_with(TROUBLE), page.clone(), commands));
            }
        }
    }
    assert!(sessions.len() >= 4, "{sessions:?}");
    // Where all is well the nodes are up in the end, and are told so by the pages that follow README's.
    sessions.sort_by_key(|(trouble, page, _)| (!trouble, page != "README.md"));
    assert!(sessions[0].0 && !sessions[1].0, "{sessions:?}");
    for (trouble, page, commands) in sessions {
        if trouble {
            cluster.fault(2, "port_conflict", "1");
        }
        for (command, want) in commands {
            replay(&lab, &page, &command, want);
        }
        if trouble {
            cluster.heal(2, "port_conflict");
            lab.gsctl().args(["-q", "stop", "--wait", "60s"]).run().expect(0);
        }
    }
}

/// As a reader would: in a directory with `./hosts`.
fn replay(lab: &Lab, page: &str, command: &str, want: Vec<String>) {
    let words = shell_words::split(command).unwrap();
    assert_eq!(words[0], "gsctl", "{page}: {command}");
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
    assert_eq!(steady(got.lines().map(str::to_owned)), steady(want.into_iter()), "{page}: $ {command}\n{run}");
}

#[test]
fn the_exit_statuses_are_those_of_the_program() {
    let help = Gsctl::at_home(Path::new("/")).arg("--help").run().text();
    for name in ["docs/reports.md"] {
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
        "diagnose", "promote", "play", "hosts", "runs", "config", "local", "shell",
    ] {
        help += &Gsctl::at_home(Path::new("/")).args([command, "--help"]).run().expect(0).text();
    }
    // Options of cargo, of GitHub's, of the lab, of the simulated fleet and of the benchmark.
    let others: BTreeSet<&str> = [
        "--bin",
        "--bins",
        "--dir",
        "--example",
        "--locked",
        "--nodes",
        "--out",
        "--path",
        "--profile",
        "--release",
        "--repo",
        "--rounds",
        "--rule",
        "--scale",
        "--seed",
        "--test",
    ]
    .into();
    let tasks = ["a-thousand-hosts", "commands", "hosts", "reports", "start-a-cluster", "systems"];
    let tasks = tasks.map(|name| format!("docs/{name}.md"));
    let others_of_the_root = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "hosts.example"];
    for name in others_of_the_root.into_iter().chain(tasks.iter().map(String::as_str)) {
        let text = read(name);
        let options = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        for option in options.filter(|word| word.starts_with("--") && word.len() > 3 && !word.starts_with("---")) {
            let there = [" ", "\n", "[="].iter().any(|end| help.contains(&format!("{option}{end}")));
            assert!(there || others.contains(option), "{name} names {option}, which no --help has");
        }
    }
}

/// Pages whose commands stand for themselves.
const PAGES: [&str; 9] = [
    "docs/a-thousand-hosts.md",
    "docs/commands.md",
    "docs/from-ansible.md",
    "docs/from-clush-and-pdsh.md",
    "docs/in-ci.md",
    "docs/inventories.md",
    "docs/scale.md",
    "docs/shell-and-local.md",
    "docs/start-a-cluster.md",
];

#[test]
fn commands_of_the_pages_are_understood() {
    let home = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("hosts", "db[1-8]\n"),
        ("nodes", "node[1-3]\n"),
        ("genders", "db1 compute\n"),
        (".config/clustershell/groups.d/racks.yaml", "racks: { rack1: db1, rack2: db2 }\n"),
        ("fleet", "rack[1-4]n[001-250]\n"),
        ("inventory.yml", "all: { children: { db: { hosts: { db1: } } } }\n"),
        ("inventory.ini", "[db]\ndb1\n[all:vars]\nuser = omm\n"),
        ("chrony.conf", ""),
        ("known_hosts", ""),
    ] {
        let file = home.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let key = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(home.path().join("id_ci"))
        .status();
    assert!(key.unwrap().success());
    let mut seen = 0;
    for page in PAGES {
        for line in read(page).lines().filter_map(|line| line.strip_prefix("    gsctl ")) {
            let words = shell_words::split(line).unwrap();
            // Nobody has failed yet, no part has written a report, and a shell would write a file.
            if words.iter().any(|word| word == "merge" || word.starts_with('@') || word.starts_with('>')) {
                continue;
            }
            // It contacts hosts; and this machine may have another configuration of clush.
            if words.contains(&"shell".to_owned()) || words.contains(&"clustershell:/etc/clustershell".to_owned()) {
                continue;
            }
            let words = words.iter().filter(|word| *word != "--dry-run");
            let gsctl = Gsctl::at_home(home.path()).env("CLUSTERSHELL_CFGDIR", "none");
            gsctl.arg("--dry-run").args(words).run().expect(0);
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen}");
}

#[test]
fn every_link_leads_somewhere() {
    let others = ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned);
    for name in pages().into_iter().chain(others) {
        let here = root().join(&name).parent().unwrap().to_owned();
        for target in read(&name).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            assert!(target.contains("://") || here.join(file).exists(), "{name} links to {target}");
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
