//! What the Greenplum scripts make of the words of real servers, in every shell that a node may have.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use gsctl::testing::{Facts, parse_facts, quote};

const NODE: &str = include_str!("../../playbooks/greenplum/node.sh");
const ACT: &str = include_str!("../../playbooks/greenplum/act.sh");
const CLUSTER: &str = include_str!("../../playbooks/greenplum/cluster.sh");
const EVIDENCE: &str = include_str!("../../playbooks/greenplum/evidence.sh");
const STANDBY: &str = include_str!("../../playbooks/greenplum/standby.sh");

/// Shells that a node may have as /bin/sh.
const SHELLS: [&[&str]; 4] = [&["dash"], &["bash"], &["bash", "--posix"], &["busybox", "sh"]];

/// The part of a script between `# >>> NAME` and `# <<< NAME`.
#[track_caller]
fn block<'a>(script: &'a str, name: &str) -> &'a str {
    let start = script.find(&format!("# >>> {name}")).expect("start of the block");
    let end = script.find(&format!("# <<< {name}")).expect("end of the block");
    &script[start..end]
}

#[track_caller]
fn run(shell: &[&str], text: &str, home: &Path) -> String {
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg("-c").arg(text).env_clear().stdin(Stdio::null());
    let output = command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", home).output();
    let output = output.unwrap_or_else(|error| panic!("{shell:?}: {error}; apt-get install -y busybox dash bash"));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_shared_parts_are_one_text() {
    for script in [ACT, CLUSTER, EVIDENCE, STANDBY] {
        assert_eq!(block(script, "instances"), block(NODE, "instances"));
    }
    assert_eq!(block(STANDBY, "launched"), block(NODE, "launched"));
}

#[test]
fn answers_are_told_apart() {
    let psql = "psql: error: connection to server on socket \"/tmp/.s.PGSQL.5432\" failed: ";
    let cases = [
        ("0", "1", "accepting"),
        ("2", "psql: FATAL:  the database system is starting up", "starting"),
        ("2", "psql: FATAL:  the database system is in mirror or uninitialized mode", "mirror"),
        ("2", "psql: error: FATAL:  the database system is in recovery mode", "recovery"),
        (
            "2",
            "psql: error: FATAL:  the database system is in recovery mode\nDETAIL:  last replayed record at 0/C000060\n\
             - VERSION: PostgreSQL 9.4.26 (Greenplum Database 6.20.0)",
            "recovery",
        ),
        ("2", "psql: error: FATAL:  the database system is shutting down", "stopping"),
        ("2", "FATAL:  the database system is not yet accepting connections\nDETAIL:  Consistent recovery", "starting"),
        (
            "2",
            "FATAL:  the database system is not accepting connections\nDETAIL:  Hot standby mode is disabled.",
            "recovery",
        ),
        ("2", "psql: FATAL:  sorry, too many clients already", "accepting"),
        ("2", "FATAL:  remaining connection slots are reserved for non-replication superuser connections", "accepting"),
        ("2", "FATAL:  no pg_hba.conf entry for host \"[local]\", user \"omm\"", "accepting"),
        ("2", "FATAL:  role \"omm\" does not exist", "accepting"),
        ("2", "FATAL:  System was started in single node mode - only utility mode connections are allowed", "utility"),
        (
            "2",
            "psql: error: could not connect to server: No such file or directory\n\tIs the server running locally",
            "starting",
        ),
        ("2", "Connection refused", "starting"),
        ("2", "timeout expired", "silent"),
        ("124", "", "silent"),
        ("137", "", "silent"),
        ("2", "something else", "unknown"),
        ("127", "psql: error while loading shared libraries: libpq.so.5", "unknown"),
    ];
    for shell in SHELLS {
        let calls = cases.iter().map(|(status, said, _)| {
            // psql 14 puts the socket before what the server said.
            let longer = if said.starts_with("FATAL") { format!("{psql}{said}") } else { (*said).to_owned() };
            format!("classify {status} {}\necho \"$answer\"\n", quote(&longer))
        });
        let text = format!("{}{}", block(NODE, "instances"), calls.collect::<String>());
        let seen = run(shell, &text, Path::new("/"));
        let want = cases.iter().fold(String::new(), |want, (_, _, answer)| want + answer + "\n");
        assert_eq!(seen, want, "{shell:?}");
    }
}

/// A node with a home of shell scripts and one data directory, whose postmaster is a copy of `sleep`.
struct Fake {
    dir: tempfile::TempDir,
}

impl Fake {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("gp node's ").tempdir().unwrap();
        let fake = Self { dir };
        for dir in ["gp/bin", "gp/lib", "home"] {
            fs::create_dir_all(fake.dir.path().join(dir)).unwrap();
        }
        fake.program("postgres", "exit 0");
        fake
    }

    fn program(&self, name: &str, body: &str) {
        let path = self.dir.path().join("gp/bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn data(&self, name: &str, version: &str) -> String {
        let dir = self.dir.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("PG_VERSION"), format!("{version}\n")).unwrap();
        dir.display().to_string()
    }

    #[track_caller]
    fn look(&self, shell: &[&str], vars: &[(&str, &str)]) -> Facts {
        let gphome = self.dir.path().join("gp").display().to_string();
        let all = [("gphome", gphome.as_str())];
        let all =
            all.iter().chain(vars).fold(String::new(), |all, (name, value)| all + name + "=" + &quote(value) + "\n");
        parse_facts(run(shell, &(all + NODE), &self.dir.path().join("home")).as_bytes())
    }
}

#[track_caller]
fn has(shell: &[&str], facts: &Facts, want: &[(&str, &str)]) {
    for (key, value) in want {
        assert_eq!(facts.get(*key).map(String::as_str), Some(*value), "{shell:?} {key}: {facts:#?}");
    }
}

#[test]
fn a_node_that_is_down() {
    for shell in SHELLS {
        let fake = Fake::new();
        let coordinator = fake.data("c d/gpseg-1", "12");
        fake.program("pg_ctl", "echo 'pg_ctl: no server running'; exit 3");
        fake.program(
            "pg_controldata",
            "echo \"Database cluster state:               shut down\"; echo \"Latest checkpoint's TimeLineID:       7\"",
        );
        // Noise in the profile, and a pid file of a process that is not a postmaster.
        fs::write(fake.dir.path().join("home/.bashrc"), "echo coordinator=accepting; echo noise >&2; cat\n").unwrap();
        fs::write(Path::new(&coordinator).join("postmaster.pid"), format!("{}\nx\n", std::process::id())).unwrap();
        fs::write(Path::new(&coordinator).join("postgresql.conf"), "#port = 1\nport = 6000 # x\n").unwrap();
        let facts = fake.look(shell, &[("groups", "all coordinator"), ("coordinator_data", &coordinator)]);
        has(
            shell,
            &facts,
            &[
                ("installed", "yes"),
                ("coordinator", "down"),
                ("state", "stopped"),
                ("coordinator_pg_ctl", "3"),
                ("timeline", "7"),
                ("share_timeline", "7"),
                ("control_state", "shut down"),
                ("standby", "none"),
                ("primaries", "none"),
                ("segments_are", "none"),
                ("share_coordinator", "down"),
                ("postmasters", "0"),
            ],
        );
    }
}

#[test]
fn the_standby_is_compared() {
    for shell in SHELLS {
        let fake = Fake::new();
        let dir = fake.data("standby", "12");
        fs::write(Path::new(&dir).join("standby.signal"), "").unwrap();
        fake.program("pg_controldata", "echo \"Latest checkpoint's TimeLineID:       7\"");
        for (other, ahead) in [("6", "yes"), ("7", "no"), ("8", "no"), ("", "unknown"), ("x", "unknown")] {
            let vars = [("groups", "standby"), ("standby_data", dir.as_str()), ("share_timeline", other)];
            has(shell, &fake.look(shell, &vars), &[("standby_ahead", ahead), ("standby_signal", "yes")]);
        }
    }
}

#[test]
fn segments_are_found_and_known_by_their_directories() {
    for shell in SHELLS {
        let fake = Fake::new();
        let (p, m, old) = (fake.data("p", "12"), fake.data("m", "12"), fake.data("old", "8.3"));
        fs::write(Path::new(&m).join("standby.signal"), "").unwrap();
        let base = fake.dir.path().display().to_string().replace(' ', "?");
        // A blank ends a word; these have none.
        let link = tempfile::Builder::new().prefix("gp").tempdir().unwrap();
        let short = link.path().join("d");
        std::os::unix::fs::symlink(fake.dir.path(), &short).unwrap();
        let short = short.display().to_string();
        assert!(p.contains(' ') && base.contains('?') && old.contains(' '));
        // Roles as the directories have them: the mirror has taken over, the primary follows.
        let catalog = format!(
            "sdw1,10.0.0.1={short}/p:6000:m:0 sdw1,10.0.0.1={short}/m:6001:p:0 sdw2,10.0.0.2=/x:6000:p:1 \
             sdw1,10.0.0.1={short}/gone:6002:p:2"
        );
        let vars = [("groups", "segments"), ("host", "sdw1"), ("address", "127.0.0.1"), ("share_segments", &catalog)];
        let facts = fake.look(shell, &vars);
        let gone = format!("STATUS--DIR:{short}/gone--STARTED:False--REASONCODE:4--REASON:no such data directory");
        has(
            shell,
            &facts,
            &[
                ("segments_source", "catalog"),
                ("primaries_total", "2"),
                ("mirrors_total", "1"),
                ("primaries", "no-data"),
                ("mirrors", "down"),
                ("missing_data", &format!("{short}/gone")),
                ("segment_3", &gone),
                ("own_way", "yes"),
            ],
        );
        // By address; and up to 5 nothing but the list tells a mirror.
        let catalog = format!("x,10.0.0.9={short}/old:6000:m:0");
        let vars = [("groups", "segments"), ("host", "a"), ("address", "10.0.0.9"), ("share_segments", &catalog)];
        has(shell, &fake.look(shell, &vars), &[("mirrors_total", "1"), ("own_way", "no"), ("mirrors", "down")]);
        let facts = fake.look(shell, &[("groups", "segments"), ("host", "a")]);
        has(shell, &facts, &[("segments_source", "unknown"), ("primaries", "unknown"), ("segments_are", "unknown")]);
    }
}
