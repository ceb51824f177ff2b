//! What the Greenplum scripts make of the words of real servers, in every shell that a node may have.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use gsctl::testing::{Facts, parse_facts, quote};

use crate::alone::alone;

const LIB: &str = include_str!("../../playbooks/greenplum/lib.sh");
const LOOK: &str = include_str!("../../playbooks/greenplum/look.sh");
const NODE: &str = include_str!("../../playbooks/greenplum/node.sh");
const ACT: &str = include_str!("../../playbooks/greenplum/act.sh");
const CLUSTER: &str = include_str!("../../playbooks/greenplum/cluster.sh");
const EVIDENCE: &str = include_str!("../../playbooks/greenplum/evidence.sh");
const STANDBY: &str = include_str!("../../playbooks/greenplum/standby.sh");

/// Shells that a node may have as /bin/sh.
const SHELLS: [&[&str]; 4] = [&["dash"], &["bash"], &["bash", "--posix"], &["busybox", "sh"]];

#[track_caller]
fn run(shell: &[&str], text: &str, home: &Path) -> String {
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg("-c").arg(text).env_clear().stdin(Stdio::null());
    let output = command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", home).output();
    let output = output.unwrap_or_else(|error| panic!("{shell:?}: {error}; apt-get install -y busybox dash bash"));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What several scripts need stands once.
#[test]
fn no_function_stands_twice() {
    let mut seen = std::collections::BTreeMap::new();
    for (file, text) in [
        ("lib", LIB),
        ("look", LOOK),
        ("node", NODE),
        ("act", ACT),
        ("cluster", CLUSTER),
        ("evidence", EVIDENCE),
        ("standby", STANDBY),
    ] {
        for name in text.lines().filter_map(|line| line.strip_suffix("() {")) {
            if let Some(other) = seen.insert(name.to_owned(), file) {
                assert!(name == "main" || name == "look_at_standby", "{name} is in {other} and in {file}");
            }
        }
    }
    assert!(seen.len() > 40);
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
        (
            "2",
            "psql: FATAL:  System was started in master-only utility mode - only utility mode connections are allowed",
            "utility",
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
        let text = format!("{}{}", LIB, calls.collect::<String>());
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
        parse_facts(run(shell, &(all + LIB + LOOK + NODE), &self.dir.path().join("home")).as_bytes())
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
    alone(|| {
        for shell in SHELLS {
            let fake = Fake::new();
            let coordinator = fake.data("c d/gpseg-1", "12");
            fake.program("pg_ctl", "echo 'pg_ctl: no server running'; exit 3");
            fake.program(
            "pg_controldata",
            "echo \"Database cluster state:               shut down\"; echo \"Latest checkpoint's TimeLineID:       7\"",
        );
            // Noise in the profile, and a pid file of a process that is not a postmaster.
            fs::write(fake.dir.path().join("home/.bashrc"), "echo coordinator=accepting; echo noise >&2; cat\n")
                .unwrap();
            fs::write(Path::new(&coordinator).join("postmaster.pid"), format!("{}\nx\n", std::process::id())).unwrap();
            fs::write(Path::new(&coordinator).join("postgresql.conf"), "#port = 1\nport=6000 ##port 5432\t\n").unwrap();
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
                    ("admin_program", "none"),
                ],
            );
        }
    });
}

#[test]
fn the_standby_is_compared() {
    alone(|| {
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
    });
}

#[test]
fn segments_are_found_and_known_by_their_directories() {
    alone(|| {
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
            // What is set up to follow is a mirror. What is not, and does not run, is what the catalog has it for, but not what a
            // list in the hosts file once said.
            let words = format!("{short}/p:6000:m:0:d {short}/m:6001:p:0:u {short}/gone:6002:p:2:u");
            let vars =
                [("groups", "segments"), ("host", "sdw1"), ("share_catalog", "read"), ("dealt_segments", &words)];
            let facts = fake.look(shell, &vars);
            let gone = format!("STATUS--DIR:{short}/gone--STARTED:False--REASONCODE:4--REASON:no such data directory");
            has(
                shell,
                &facts,
                &[
                    ("segments_source", "catalog"),
                    ("primaries_total", "1"),
                    ("mirrors_total", "2"),
                    ("primaries", "no-data"),
                    ("mirrors", "down"),
                    (
                        "mirrors_seen",
                        &format!("down, 0 of 2 up (content 0, port 6000, {short}/p; content 0, port 6001, {short}/m)"),
                    ),
                    ("missing_data", &format!("{short}/gone")),
                    ("segments_lost", "yes"),
                    ("segment_3", &gone),
                    ("own_way", "yes"),
                    ("conflict", "none"),
                ],
            );
            let words = format!("{short}/p:6000:m:0 {short}/m:6001:p:0");
            let facts = fake.look(shell, &[("groups", "segments"), ("segments", &words)]);
            has(shell, &facts, &[("segments_source", "hosts-file"), ("primaries_total", "1"), ("mirrors_total", "1")]);
            // Up to 5 nothing but the list tells a mirror.
            let words = format!("{short}/old:6000:m:0");
            let facts = fake.look(shell, &[("groups", "segments"), ("segments", &words)]);
            has(shell, &facts, &[("mirrors_total", "1"), ("own_way", "no"), ("mirrors", "down")]);
            // The catalog was read, and has nothing for this host.
            let facts = fake.look(shell, &[("groups", "segments"), ("host", "a"), ("share_catalog", "read")]);
            has(
                shell,
                &facts,
                &[("segments_source", "not-in-catalog"), ("primaries", "unknown"), ("segments_are", "unknown")],
            );
            let facts = fake.look(shell, &[("groups", "segments"), ("host", "a")]);
            has(
                shell,
                &facts,
                &[("segments_source", "unknown"), ("primaries", "unknown"), ("segments_are", "unknown")],
            );
        }
    });
}

/// By its version, never by trial: each wrong try is a FATAL in the log of the instance.
#[test]
fn the_option_for_utility_sessions_goes_by_the_version() {
    alone(|| {
        for shell in SHELLS {
            let fake = Fake::new();
            fake.program("psql", "echo \"$PGOPTIONS\" >>\"$HOME/asked\"; echo 1");
            for (version, option) in
                [("8.3", "gp_session_role"), ("9.4", "gp_session_role"), ("12", "gp_role"), ("14", "gp_role")]
            {
                let dir = fake.data(version, version);
                let gphome = fake.dir.path().join("gp").display().to_string();
                let text = format!("gphome={}\n{LIB}use_programs\nask 6000 {}\n", quote(&gphome), quote(&dir));
                run(shell, &text, &fake.dir.path().join("home"));
                let asked = fs::read_to_string(fake.dir.path().join("home/asked")).unwrap();
                assert_eq!(asked, format!("-c {option}=utility\n"), "{shell:?} {version}");
                fs::remove_file(fake.dir.path().join("home/asked")).unwrap();
            }
        }
    });
}

/// Where nothing in the hosts file says it, the profile does; and what the profile has in PATH is in nobody's way.
#[test]
fn the_login_environment_tells_where_things_are() {
    alone(|| {
        for shell in SHELLS {
            let fake = Fake::new();
            let coordinator = fake.data("c d/gpseg-1", "9.4");
            let home = fake.dir.path().join("home");
            let gphome = fake.dir.path().join("gp").display().to_string();
            fs::create_dir(home.join("bin")).unwrap();
            for name in ["sed", "tr", "grep", "tail"] {
                fs::write(home.join("bin").join(name), "#!/bin/sh\necho trouble\n").unwrap();
                fs::set_permissions(home.join("bin").join(name), fs::Permissions::from_mode(0o755)).unwrap();
            }
            let profile = format!(
                "export GPHOME={} MASTER_DATA_DIRECTORY={} PATH=$HOME/bin:$PATH\nsed() {{ echo trouble; }}\n",
                quote(&gphome),
                quote(&coordinator)
            );
            fs::write(home.join(".bash_profile"), profile).unwrap();
            let text = format!("groups=coordinator\nPATH=$HOME/bin:$PATH\n{LIB}{LOOK}{NODE}");
            let facts = parse_facts(run(shell, &text, &home).as_bytes());
            has(
                shell,
                &facts,
                &[
                    ("found_gphome", &gphome),
                    ("found_coordinator_data", &coordinator),
                    ("installed", "yes"),
                    ("coordinator", "down"),
                ],
            );
        }
    });
}
