//! The evidence scripts of Greenplum and of `gs_sdr` on fake nodes: each documented line stands in the right log, between healthy
//! ones and behind those of yesterday, and its cause is named. openGauss: `opengauss_causes.rs`; Oracle: `oracle_forms.rs`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gsctl::testing::{Catalogue, Cause, Evidence, builtin_causes, builtin_script, diagnose, parse_facts, quote};

use crate::opengauss_causes::{HEALTHY, samples_in};
use crate::scripts::SHELLS;

/// A directory that stands for a node.
struct Node {
    dir: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let node = Self { dir: tempfile::Builder::new().prefix("gs").tempdir().unwrap() };
        fs::create_dir_all(node.path("home/gpAdminLogs")).unwrap();
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn write(&self, name: &str, content: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    fn append(&self, name: &str, content: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    fn program(&self, name: &str, body: &str) {
        self.write(name, &format!("#!/bin/sh\n{body}\n"));
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Scripts of the playbooks, as they are sent.
    #[track_caller]
    fn run(&self, shell: &[&str], scripts: &[&str], vars: &[(&str, &str)]) -> Vec<u8> {
        let mut text: String =
            vars.iter().map(|(name, value)| [name, "=", &quote(value), "\n"].concat()).collect::<String>();
        for script in scripts {
            text += builtin_script(script).unwrap_or_else(|| panic!("{script}"));
        }
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg("-c").arg(text).env_clear().stdin(Stdio::null());
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.name("path"));
        let output = command.env("PATH", path).env("HOME", self.path("home")).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
        output.stdout
    }
}

#[track_caller]
fn is(cause: Option<Cause>, id: &str, catalogue: &Catalogue, file: &Path, shell: &[&str]) {
    let cause = cause.unwrap_or_else(|| panic!("{id}: nothing, by {shell:?}"));
    assert_eq!(cause.id.as_deref(), Some(id), "{shell:?} {cause:#?}");
    let row = catalogue.row(id).unwrap();
    assert_eq!((cause.hint.as_ref(), cause.wait), (Some(&row.hint), Some(row.wait)));
    let proof = cause.proof.unwrap();
    assert!(proof.file == file.display().to_string() && !proof.lines.is_empty(), "{id} {proof:#?}");
}

const GREENPLUM: [&str; 5] = ["coordinator", "primaries", "mirrors", "standby", "cluster"];
const GREENPLUM_NODE: [&str; 5] =
    ["shared/logs.sh", "greenplum/lib.sh", "greenplum/look.sh", "greenplum/logs.sh", "greenplum/node.sh"];
const GREENPLUM_EVIDENCE: [&str; 5] =
    ["shared/logs.sh", "greenplum/lib.sh", "greenplum/look.sh", "greenplum/logs.sh", "greenplum/evidence.sh"];
const FRAME: &str = "20260510:09:00:01:004711 gpstart:mdw:gpadmin-[CRITICAL]:-gpstart failed. (Reason='Found a System \
                     Expansion Setup in progress. Please run 'gpexpand --rollback'') exiting...\n";

fn greenplum() -> Catalogue {
    let mut catalogue = builtin_causes("greenplum").unwrap();
    catalogue.extend(builtin_causes("postgres").unwrap());
    catalogue
}

/// A node with the coordinator and one segment of Greenplum 6, both down, and yesterday's trouble in the logs.
fn greenplum_node() -> Node {
    let node = Node::new();
    node.program("gp/bin/postgres", "exit 0");
    for dir in ["c/gpseg-1", "p/gpseg0"] {
        node.write(&format!("{dir}/PG_VERSION"), "9.4\n");
        node.write(&format!("{dir}/postgresql.conf"), "port=6000\n");
        node.write(&format!("{dir}/pg_log/startup.log"), &csv("FATAL", "could not create semaphores: No space left"));
        node.write(
            &format!("{dir}/pg_log/gpdb-2026-05-10_090000.csv"),
            &csv("PANIC", "could not locate a valid checkpoint record"),
        );
    }
    node.write("home/gpAdminLogs/gsctl-run.out", FRAME);
    node
}

fn csv(severity: &str, message: &str) -> String {
    format!(
        "2026-05-10 09:00:01.1 CST,,,p4711,th0,,,,0,,,seg0,,,,,\"{severity}\",\"XX000\",\"{message}\",,,,,,,0,,\"x.c\",1,\n"
    )
}

/// What gpstart says, launched by gsctl.
fn launched(node: &Node, said: &str) {
    fs::remove_file(node.path("home/gpAdminLogs/gsctl-run.out")).unwrap();
    node.write("home/gpAdminLogs/gsctl-run.out", said);
    node.write("home/gpAdminLogs/gsctl-run.pid", "999999999\ngpstart\n17\n");
    node.write("home/gpAdminLogs/gsctl-run.rc", "2\n");
}

#[test]
fn every_row_of_greenplum_is_named() {
    let catalogue = greenplum();
    let samples = samples_in(include_str!("../causes/greenplum.yaml"));
    let healthy = HEALTHY.to_owned() + include_str!("../causes/healthy-greenplum.txt");
    let rows = builtin_causes("greenplum").unwrap();
    let mut seen = 0;
    for (turn, row) in rows.rows().iter().filter(|row| row.signature.is_some()).enumerate() {
        let shell = SHELLS[turn % SHELLS.len()];
        let node = greenplum_node();
        let (gphome, coordinator) = (node.name("gp"), node.name("c/gpseg-1"));
        let segments = format!("{}:6000:p:0", node.name("p/gpseg0"));
        let Some(code) = row.logs.iter().find(|code| *code != "CONNECT") else { continue };
        let stage = row.holds_back.first().unwrap_or(&row.stage).as_str();
        let groups = if code == "GPADMIN" { "coordinator" } else { "segments" };
        let vars = [
            ("gphome", gphome.as_str()),
            ("groups", groups),
            ("coordinator_data", &coordinator),
            ("segments", if code == "GPADMIN" { "" } else { &segments }),
        ];
        let facts = parse_facts(&node.run(shell, &GREENPLUM_NODE, &vars));
        let marks = facts.get("found_log_marks").unwrap_or_else(|| panic!("{facts:#?}")).clone();
        let found = |node: &Node| {
            let vars: Vec<_> = vars.iter().copied().chain([("log_marks", marks.as_str())]).collect();
            let said = node.run(shell, &GREENPLUM_EVIDENCE, &vars);
            diagnose(&catalogue, Some(stage), &GREENPLUM, &Evidence::read(&said))
        };
        assert_eq!(found(&node), None, "{} {shell:?}: yesterday's trouble", row.id);
        let text = format!("{healthy}{}", samples[&row.id]);
        let file = match code.as_str() {
            "GPADMIN" => {
                launched(&node, &healthy);
                assert_eq!(found(&node), None, "{} {shell:?}: what is healthy", row.id);
                launched(&node, &text);
                "home/gpAdminLogs/gsctl-run.out"
            }
            "STARTUP" => {
                node.append("p/gpseg0/pg_log/startup.log", &text);
                "p/gpseg0/pg_log/startup.log"
            }
            "GPCSV" => {
                node.append("p/gpseg0/pg_log/gpdb-2026-05-11_100000.csv", &text);
                "p/gpseg0/pg_log/gpdb-2026-05-11_100000.csv"
            }
            other => panic!("{}: {other} is no log of a node", row.id),
        };
        is(found(&node), &row.id, &catalogue, &node.path(file), shell);
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}

/// What a segment says itself is PostgreSQL, in CSV, and no log tells what is seen at once.
#[test]
fn what_a_segment_says_and_what_is_seen() {
    let catalogue = greenplum();
    for shell in SHELLS {
        let node = greenplum_node();
        let gphome = node.name("gp");
        let segments = format!("{}:6000:p:0 {}:6001:p:1", node.name("p/gpseg0"), node.name("p/gone"));
        let vars = [("gphome", gphome.as_str()), ("groups", "segments"), ("segments", segments.as_str())];
        let found = |vars: &[(&str, &str)]| {
            let said = node.run(shell, &GREENPLUM_EVIDENCE, vars);
            (diagnose(&catalogue, Some("primaries"), &GREENPLUM, &Evidence::read(&said)), said)
        };
        // Without a start the newer log tells.
        let older = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        fs::File::options()
            .append(true)
            .open(node.path("p/gpseg0/pg_log/startup.log"))
            .unwrap()
            .set_modified(older)
            .unwrap();
        let (cause, said) = found(&vars);
        let cause = cause.unwrap();
        assert_eq!(cause.id.as_deref(), Some("PG29"), "{shell:?} {cause:#?}");
        assert!(cause.proof.unwrap().lines[0].ends_with("[4711] PANIC:  could not locate a valid checkpoint record"));
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with(&format!("STATUS--DIR:{}--STARTED:False", node.name("p/gpseg0"))), "{said}");
        let marks = parse_facts(&node.run(shell, &GREENPLUM_NODE, &vars))["found_log_marks"].clone();
        let vars: Vec<_> = vars.iter().copied().chain([("log_marks", marks.as_str())]).collect();
        let (cause, _) = found(&vars);
        assert_eq!(cause.unwrap().id.as_deref(), Some("GP10"), "{shell:?}");
        node.append("p/gpseg0/pg_log/startup.log", &csv("FATAL", "lock file \"\"postmaster.pid\"\" already exists"));
        assert_eq!(found(&vars).0.unwrap().id.as_deref(), Some("PG01"), "{shell:?}");
        // Trouble that no row knows, on a host whose directories are all there.
        let only = format!("{}:6000:p:0", node.name("p/gpseg0"));
        let vars: Vec<_> =
            vars.iter().map(|(name, value)| (*name, if *name == "segments" { only.as_str() } else { value })).collect();
        fs::write(node.path("p/gpseg0/pg_log/startup.log"), csv("FATAL", "the moon stands in the way")).unwrap();
        let cause = found(&vars).0.unwrap();
        assert_eq!(cause.cause, "the moon stands in the way", "{shell:?} {cause:#?}");
    }
}

const SDR: [&str; 4] = ["programs", "under way", "relation", "cluster"];
const SDR_EVIDENCE: [&str; 2] = ["shared/logs.sh", "panweidb/sdr-evidence.sh"];

/// A node of a pair of clusters on which `gs_sdr` ran.
fn sdr_node() -> Node {
    let node = Node::new();
    node.write("home/.bashrc", &format!("export GAUSSLOG={}\n", node.name("log")));
    node.write("app/bin/gs_ctl", "");
    fs::create_dir_all(node.path("tmp/streaming_cabin/.gsctl")).unwrap();
    fs::create_dir_all(node.path("data")).unwrap();
    node
}

fn sdr_found(node: &Node, shell: &[&str], catalogue: &Catalogue) -> Option<Cause> {
    let (gausshome, pghost, data) = (node.name("app"), node.name("tmp"), node.name("data"));
    let vars = [
        ("gausshome", gausshome.as_str()),
        ("pghost", &pghost),
        ("data_dir", &data),
        ("dn_port", "15400"),
        ("mode", "any"),
    ];
    diagnose(catalogue, Some("relation"), &SDR, &Evidence::read(&node.run(shell, &SDR_EVIDENCE, &vars)))
}

#[test]
fn every_row_of_gs_sdr_is_named() {
    let catalogue = builtin_causes("panweidb").unwrap();
    let samples = samples_in(include_str!("../causes/panweidb.yaml"));
    let healthy = HEALTHY.to_owned() + include_str!("../causes/healthy-gs_sdr.txt");
    let (log, mut seen) = ("log/om/gs_sdr-2026-05-11_100000.log", 0);
    for (turn, row) in catalogue.rows().iter().filter(|row| row.logs.iter().any(|code| code == "SDRLOG")).enumerate() {
        let shell = SHELLS[turn % SHELLS.len()];
        let node = sdr_node();
        let sample = samples.get(&row.id).unwrap_or_else(|| panic!("{} has no sample", row.id));
        // A run that ended well, before, in the same file.
        let ended = "[t][2026-05-11 09:00:01.0][1][start][LOG]:Successfully do streaming disaster recovery start.\n";
        let past = if row.id == "SD03" { &samples["SD18"] } else { &samples["SD03"] };
        node.write(log, &format!("{healthy}{past}{ended}{healthy}"));
        assert_eq!(sdr_found(&node, shell, &catalogue), None, "{} {shell:?}: what is past", row.id);
        node.append(log, sample);
        is(sdr_found(&node, shell, &catalogue), &row.id, &catalogue, &node.path(log), shell);
        seen += 1;
    }
    assert!(seen >= 30, "{seen}");
}

/// What the files of `gs_sdr` and the build say, where no log does.
#[test]
fn what_the_files_of_gs_sdr_say() {
    let catalogue = builtin_causes("panweidb").unwrap();
    for shell in SHELLS {
        let id = |node: &Node| {
            let cause = sdr_found(node, shell, &catalogue)?;
            assert!(!cause.proof.unwrap().lines[0].is_empty());
            cause.id
        };
        let node = sdr_node();
        assert_eq!(id(&node), None);
        let step = "tmp/streaming_cabin/.streaming_start_standby.step";
        node.write(step, "6_set_guc_step");
        assert_eq!(id(&node).as_deref(), Some("SD31"), "{shell:?}");
        node.write(step, "garbage_x");
        assert_eq!(id(&node).as_deref(), Some("SD38"), "{shell:?}");
        node.write("tmp/streaming_lock_abc", "");
        assert_eq!(id(&node).as_deref(), Some("SD01"), "{shell:?}");
        for (why, want) in [("denied", "SD06"), ("version", "SD18"), ("user", "SD19"), ("keys", "SD34")] {
            node.write("tmp/streaming_cabin/.gsctl/fetch.why", &format!("{why}\n"));
            node.write("tmp/streaming_cabin/.gsctl/fetch.log", "it does not let us in\n");
            assert_eq!(id(&node).as_deref(), Some(want), "{shell:?}");
        }
        node.write("tmp/streaming_cabin/.gsctl/build", "failed 1\n");
        assert_eq!(id(&node).as_deref(), Some("SD25"), "{shell:?}");
        // One that is under way says how far it is.
        node.program(
            "app/bin/gs_ctl",
            "echo '        db_state            : Building'\necho '        total_done/total_size : 1024MB/20480MB'",
        );
        node.write("tmp/streaming_cabin/.gsctl/build", &format!("running {} {}\n", std::process::id(), begun()));
        assert_eq!(id(&node).as_deref(), Some("SD26"), "{shell:?}");
    }
}

/// When this process was begun, as /proc has it.
fn begun() -> String {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().to_owned()
}
