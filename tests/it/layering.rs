//! Who may import whom, and which crate is used where. Read from the source, so that the rule cannot be forgotten.

use std::fs;
use std::path::{Path, PathBuf};

/// Crates and parts of the standard library, and the only files that may use them: a prefix of the path under `src/`.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("clap", &["cli/", "commands/completions.rs", "lib.rs"]),
    ("clap_complete", &["commands/completions.rs"]),
    ("clap_mangen", &["commands/man.rs"]),
    ("ssh2", &["transport/"]),
    ("rayon", &["runner/fleet.rs", "commands/fleet.rs", "commands/kept_fleet.rs"]),
    ("indicatif", &["reporter/progress.rs"]),
    ("console", &["reporter/style.rs"]),
    ("nix", &["account.rs"]),
    ("openssl", &["credentials/keys/", "credentials/known_hosts/", "transport/libraries.rs"]),
    ("ssh_key", &["credentials/keys/"]),
    ("tokio", &["budget.rs", "reactor.rs"]),
    ("signal_hook", &["commands/signals.rs", "main.rs", "transport/local.rs"]),
    ("encoding_rs", &["cause/words.rs"]),
    ("glob", &["ssh_config/glob.rs"]),
    ("quick_junit", &["reporter/junit.rs"]),
    ("regex", &["cause/", "commands/output_filter.rs"]),
    ("regex_syntax", &["commands/output_filter.rs"]),
    // Also of files that a push would change.
    ("similar", &["reporter/diff.rs", "transport/copy/push_check.rs"]),
    ("rustyline", &["commands/shell/editor.rs"]),
    ("rpassword", &["commands/passwords.rs"]),
    ("serde_saphyr", &["cause/catalogue.rs", "inventory/ansible/tree.rs", "playbook/", "yaml.rs"]),
    (
        "serde_json",
        &[
            "commands/hosts.rs",
            "commands/merge/read.rs",
            "commands/outputs.rs",
            "commands/runs.rs",
            "journal/",
            "playbook/",
            "reporter/",
        ],
    ),
    ("strsim", &["text.rs"]),
    ("toml", &["commands/config.rs"]),
    // Also what is copied from the nodes is what they have.
    ("sha2", &["commands/", "inventory/filename.rs", "transport/copy/"]),
    // What programs print goes to files, so that none can fill the memory or block; sockets of ssh.
    (
        "tempfile",
        &[
            "commands/program.rs",
            "commands/pssh/rsync.rs",
            "output/",
            "ssh_config/openssh_query.rs",
            "transport/openssh/control_dir.rs",
        ],
    ),
    // What the program was built for is no environment.
    ("std::env", &["commands/environment.rs", "commands/version.rs", "lib.rs"]),
    (
        "std::process",
        // A program that prints an inventory; prsync's rsync; ssh's ProxyCommand; `local`.
        &[
            "commands/clustershell.rs",
            "commands/program.rs",
            "commands/pssh/rsync.rs",
            "exit.rs",
            "lib.rs",
            "main.rs",
            "reporter/output_dir.rs",
            "reporter/whole_file.rs",
            "transport/child.rs",
            "transport/child_process.rs",
            "transport/local.rs",
            "ssh_config/openssh_query.rs", // the installed `ssh -G`
            "transport/openssh/",
            "transport/jump/proxy_command.rs",
        ],
    ),
    (
        "std::fs",
        &[
            "commands/",
            "journal/",
            // What is too long for memory.
            "output/spool.rs",
            "reporter/output_dir.rs",
            "reporter/pssh.rs", // the files of -o and -e
            "reporter/whole_file.rs",
            "ssh_config/",
            "credentials/keys/",
            "credentials/known_hosts/",
            // What is copied to and from the nodes: it may be larger than memory.
            "transport/copy/",
        ],
    ),
];

/// Who must not know whom: a prefix of the path, and modules of this crate.
const NEVER: &[(&str, &[&str])] = &[
    ("cli/", &["commands", "event", "reporter", "runner", "transport"]),
    ("cause/", &["cli", "commands", "event", "inventory", "plan", "playbook", "reporter", "runner", "transport"]),
    ("cancel.rs", &["commands", "event", "reporter", "runner", "transport"]),
    (
        "credentials/",
        &["cli", "commands", "event", "inventory", "plan", "playbook", "reporter", "runner", "ssh_config", "transport"],
    ),
    (
        "diagnostic.rs",
        &["cli", "commands", "event", "inventory", "plan", "playbook", "reporter", "runner", "transport"],
    ),
    ("event.rs", &["cli", "commands", "reporter", "runner", "transport"]),
    ("exit.rs", &["cli", "commands", "event", "reporter", "runner", "transport"]),
    ("inventory/", &["cli", "commands", "event", "plan", "playbook", "reporter", "runner", "transport"]),
    ("journal/", &["cli", "commands", "inventory", "plan", "playbook", "transport"]),
    ("outcome/", &["cli", "commands", "event", "plan", "reporter", "runner", "transport"]),
    ("output/", &["cli", "commands", "event", "plan", "playbook", "reporter", "runner", "transport"]),
    ("plan/", &["cli", "commands", "event", "reporter", "runner", "transport"]),
    ("playbook/", &["cli", "commands", "event", "reporter", "runner", "transport"]),
    ("reactor.rs", &["cli", "commands", "event", "inventory", "plan", "reporter", "runner", "transport"]),
    ("reporter/", &["cli", "commands", "plan", "playbook", "runner", "transport"]),
    ("runner/", &["cli", "commands", "playbook", "reporter"]),
    ("ssh_config/", &["cli", "commands", "event", "playbook", "reporter", "runner"]),
    ("stats.rs", &["cli", "commands", "reporter", "runner", "transport"]),
    (
        "text.rs",
        &["cli", "commands", "event", "inventory", "plan", "playbook", "reporter", "runner", "ssh_config", "transport"],
    ),
    ("transport/", &["cli", "commands", "playbook", "reporter", "runner", "ssh_config"]),
    ("yaml.rs", &["cli", "commands", "event", "inventory", "plan", "playbook", "reporter", "runner", "transport"]),
];

/// Files that touch nothing outside: no disk, network, environment or terminal.
const PURE: &[&str] = &[
    "cause/",
    "duration.rs",
    "event.rs",
    "exit.rs",
    "inventory/",
    "outcome/",
    "partition.rs",
    "plan/",
    "playbook/",
    "report.rs",
    "stats.rs",
    "text.rs",
    "yaml.rs",
];

/// What only `writeln!` to a given writer may do, or nobody.
const NOWHERE: &[&str] = &["println!(", "print!(", "eprintln!(", "eprint!(", "process::exit", "process::abort"];

/// A source file without its tests.
struct Source {
    path: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for path in entries.collect::<Vec<PathBuf>>() {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            if name.ends_with("tests.rs") || path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            sources.push(Source { path: name, code: lines.fold(String::new(), |code, line| code + line + "\n") });
        }
    }
    assert!(sources.len() > 60, "{} files", sources.len());
    sources
}

impl Source {
    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    /// Whether it names this crate or module as the first part of a path.
    fn uses(&self, name: &str) -> bool {
        let before = |at: usize| self.code[..at].chars().next_back();
        self.code.match_indices(&format!("{name}::")).map(|(at, _)| at).any(|at| {
            !before(at).is_some_and(|c| c.is_alphanumeric() || "_:".contains(c)) || self.code[..at].ends_with(" ::")
        }) || self.code.contains(&format!("use {name};"))
    }

    /// Whether it names this module of the crate.
    fn imports(&self, module: &str) -> bool {
        let named = |text: &str| {
            let path = format!("crate::{module}");
            text.match_indices(&path)
                .any(|(at, _)| !text[at + path.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        // `use crate::{a, b}` would hide a name from this test.
        assert!(!self.code.contains("crate::{"), "{}: write one `use crate::MODULE` a line", self.path);
        named(&self.code)
    }
}

#[test]
fn crates_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, places) in ONLY_IN {
            if source.uses(name) && !source.is_in(places) {
                wrong.push(format!("src/{} uses {name}, which belongs to {}", source.path, places.join(" ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn modules_know_only_those_below_them() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (from, modules) in NEVER.iter().filter(|(from, _)| source.path.starts_with(from)) {
            for module in modules.iter().filter(|module| source.imports(module)) {
                wrong.push(format!("src/{} imports crate::{module}, and {from} must not", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn of_events_transport_knows_only_which_stream_it_was() {
    for source in sources().iter().filter(|source| source.path.starts_with("transport/")) {
        let all = source.code.matches("crate::event").count();
        assert_eq!(all, source.code.matches("crate::event::Stream").count(), "src/{}", source.path);
    }
}

#[test]
fn pure_files_touch_nothing_outside() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.is_in(PURE)) {
        for outside in ["std::fs", "std::env", "std::thread", "rustix", "std::io::stdout", "std::io::stderr"] {
            if source.uses(outside) || source.code.contains(outside) {
                wrong.push(format!("src/{} uses {outside}", source.path));
            }
        }
        // An address is a value; a socket is not.
        for socket in ["TcpStream", "TcpListener", "UdpSocket", "ToSocketAddrs", "Instant::now", "SystemTime::now"] {
            if source.code.contains(socket) {
                wrong.push(format!("src/{} uses {socket}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nobody_prints_or_exits_on_his_own() {
    let mut wrong = Vec::new();
    for source in sources() {
        for word in NOWHERE {
            let said = source
                .code
                .match_indices(word)
                .any(|(at, _)| !source.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            if said {
                wrong.push(format!("src/{} has {word}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_says_what_it_is() {
    for source in sources() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(&source.path);
        let text = fs::read_to_string(path).unwrap();
        assert!(text.starts_with("//! "), "src/{} has no first line of documentation", source.path);
    }
}
