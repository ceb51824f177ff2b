//! Each row of the catalogue names its own sample, and no healthy line is taken for trouble.

use std::collections::BTreeMap;

use super::*;
use crate::outcome::cause::Cause;

const SAMPLES: [(&str, &str); 5] = [
    ("opengauss", include_str!("../../tests/causes/opengauss.yaml")),
    ("postgres", include_str!("../../tests/causes/postgres.yaml")),
    ("greenplum", include_str!("../../tests/causes/greenplum.yaml")),
    ("oracle-rac", include_str!("../../tests/causes/oracle-rac.yaml")),
    ("panweidb", include_str!("../../tests/causes/panweidb.yaml")),
];

/// What stands round trouble on a healthy node.
const HEALTHY: &str = include_str!("../../tests/causes/healthy.txt");

fn samples(system: &str) -> BTreeMap<String, String> {
    let (_, text) = SAMPLES.iter().find(|(name, _)| *name == system).unwrap();
    serde_saphyr::from_str(text).unwrap()
}

fn piece(code: &str, lines: &str) -> String {
    let lines = lines.lines().map(|line| format!(" {line}\n"));
    format!(">> {code} since /log/of/{code}\n{}", lines.collect::<String>())
}

const CHAIN: [&str; 6] = ["marker gone", "om_monitor", "cm_agent", "cm_server", "gaussdb", "cluster"];

fn diagnosed(catalogue: &Catalogue, stage: &str, printed: &str) -> Option<Cause> {
    diagnose(catalogue, Some(stage), &CHAIN, &Evidence::read(printed.as_bytes()))
}

#[test]
fn catalogues_are_whole() {
    for (system, text) in catalogue::BUILTIN {
        let catalogue = Catalogue::read(text).unwrap_or_else(|problem| panic!("{system}: {problem}"));
        catalogue.check().unwrap_or_else(|problem| panic!("{system}: {problem}"));
        for row in catalogue.rows() {
            for over in &row.over {
                assert!(catalogue.row(over).is_some(), "{}: {over}", row.id);
            }
            assert!(!row.logs.is_empty() && !row.hint.is_empty() && !row.source.is_empty(), "{}", row.id);
        }
    }
    let all: Vec<String> = ids().into_iter().flat_map(|(_, ids)| ids).collect();
    assert!(all.len() >= 197, "{}", all.len());
}

/// Rows whose proof another, more specific row of the same log also has, or whose line is no line of its own log.
#[test]
fn every_sample_is_named() {
    let mut wrong = Vec::new();
    for (system, _) in SAMPLES {
        let catalogue = builtin(system).unwrap();
        for (id, sample) in samples(system) {
            let row = catalogue.row(&id).unwrap_or_else(|| panic!("{id} has no row"));
            if row.signature.is_none() {
                continue;
            }
            for code in &row.logs {
                let printed = piece(code, &format!("{HEALTHY}{sample}"));
                let cause = diagnosed(&catalogue, &row.stage, &printed);
                let found = cause.as_ref().and_then(|cause| cause.id.clone()).unwrap_or_else(|| "nothing".to_owned());
                if found != id {
                    wrong.push(format!("{id} in {code}: {found}"));
                }
                if let Some(Cause { proof: Some(proof), hint, wait, .. }) = cause.filter(|_| found == id) {
                    assert_eq!((hint.as_ref(), wait), (Some(&row.hint), Some(row.wait)));
                    assert!(!proof.lines.is_empty() && proof.file.contains(code), "{id}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
}

#[test]
fn healthy_lines_are_no_cause() {
    for (system, _) in SAMPLES {
        let catalogue = builtin(system).unwrap();
        for line in HEALTHY.lines() {
            let rows: Vec<&str> = catalogue.matches(line).map(|index| catalogue.rows()[index].id.as_str()).collect();
            assert!(rows.is_empty(), "{system} {rows:?}: {line}");
        }
        for code in ["DNERR", "PGLOG", "AGENT", "OMM", "CMS", "PGSTART", "STARTUP"] {
            let cause = diagnosed(&catalogue, "gaussdb", &piece(code, HEALTHY));
            assert_eq!(cause, None, "{system} {code}");
        }
    }
}

/// Errors that no row knows: the decisive line of the newest try is shown, with what belongs to it, and no older one.
#[test]
fn unknown_trouble_shows_its_decisive_line() {
    let catalogue = builtin("opengauss").unwrap();
    let stamp = "2026-05-11 10:00:01.056 6a01b2c3.1 [unknown] 139630 [unknown] 0 dn_6001 XX000  0 [BACKEND] ";
    let made_up = [
        ("FATAL:  the moon stands in the way", "the moon stands in the way"),
        ("FATAL:  relation map of shared catalogs is unfit: 17", "relation map of shared catalogs is unfit: 17"),
        ("PANIC:  hit a wall at block 5", "hit a wall at block 5"),
        (
            "PANIC:  two-phase state file for transaction 12 is corrupt",
            "two-phase state file for transaction 12 is corrupt",
        ),
        ("FATAL:  license expired on 2026-01-01", "license expired on 2026-01-01"),
        ("致命错误:  参数组合不允许", "参数组合不允许"),
        ("系统崩溃:  页面校验失败", "页面校验失败"),
        ("FATAL:  numa node 3 has no memory", "numa node 3 has no memory"),
        ("FATAL:  cgroup for this instance vanished", "cgroup for this instance vanished"),
        ("FATAL:  thread pool of 0 workers", "thread pool of 0 workers"),
        ("FATAL:  encryption key could not be unwrapped", "encryption key could not be unwrapped"),
        ("PANIC:  WAL contains references to invalid pages", "WAL contains references to invalid pages"),
    ];
    let bare = [
        "gaussdb: segmentation fault",
        "sh: line 1: /opt/app/bin/gaussdb: cannot execute: required file not found",
        "gaussdb: double free, core dumped",
        "bash: gaussdb: command not found",
        "/opt/app/bin/gaussdb: Permission denied",
        "gaussdb: bus error",
        "exec format error",
        "ERROR:  the data directory has a second owner",
    ];
    let lines = made_up.iter().map(|(said, wanted)| (format!("{stamp}{said}"), (*wanted).to_owned()));
    let bare = bare.iter().map(|said| ((*said).to_owned(), said.trim_start_matches("ERROR:  ").to_owned()));
    for (line, wanted) in lines.chain(bare) {
        let text = format!(
            "{HEALTHY}{stamp}FATAL:  yesterday's trouble\n{HEALTHY}{line}\n{stamp}DETAIL:  it is so\n{stamp}HINT:  move\n{stamp}LOG:  database system is shut down\n"
        );
        let cause = diagnosed(&catalogue, "gaussdb", &piece("DNERR", &text)).unwrap_or_else(|| panic!("{line}"));
        assert_eq!((cause.id, cause.cause.as_str(), cause.wait), (None, wanted.as_str(), None));
        let proof = cause.proof.unwrap().lines;
        assert_eq!(proof[0], line.trim_end(), "{proof:#?}");
        assert!(proof.len() == 3 && proof[1].contains("it is so") && proof[2].contains("move"), "{proof:#?}");
    }
}

/// It says to be ready each time, and what it says before is why it is not. As a real PostgreSQL 15 wrote it.
#[test]
fn a_server_that_falls_down_again_and_again_is_not_up() {
    let catalogue = builtin("postgres").unwrap();
    let turn = "2026-11-29 15:06:05.214 UTC [12272] FATAL:  could not open file \"global/pg_filenode.map\": No such file or directory\n\
        2026-11-29 15:06:05.217 UTC [12260] LOG:  database system is ready to accept connections\n\
        2026-11-29 15:06:05.218 UTC [12260] LOG:  autovacuum launcher process (PID 12272) exited with exit code 1\n\
        2026-11-29 15:06:05.219 UTC [12260] LOG:  all server processes terminated; reinitializing\n";
    let stages = ["server", "answers"];
    let found = |text: &str| {
        let printed = piece("PGLOG", text);
        diagnose(&catalogue, Some("answers"), &stages, &Evidence::read(printed.as_bytes())).and_then(|cause| cause.id)
    };
    let up = turn.lines().take(2).collect::<Vec<_>>().join("\n") + "\n";
    assert_eq!(found(&format!("{turn}{turn}{up}")).as_deref(), Some("PG44"));
    // Once is past.
    assert_eq!(found(&format!("{turn}{up}")), None);
}

/// The verdict of gpstart does not say which segments: lines before it do.
#[test]
fn proof_names_the_segments_that_failed() {
    let catalogue = builtin("greenplum").unwrap();
    let stages = ["coordinator", "primaries", "mirrors"];
    let stamp = "20260511:10:00:01:004711 gpstart:mdw:gpadmin-";
    let failed =
        format!("{stamp}[INFO]:-DBID:2  FAILED  host:'sdw1' datadir:'/data/gpseg0' with reason:'PG_CTL failed.'");
    let said =
        format!("{failed}\n{stamp}[INFO]:-----\n{stamp}[INFO]:-   Failed segment starts = 1\n{stamp}[INFO]:-----\n");
    let verdict = format!("{stamp}[ERROR]:-gpstart error: Do not have enough valid segments to start the array.");
    let printed = piece("GPADMIN", &format!("{said}{verdict}\n"));
    let cause = diagnose(&catalogue, Some("coordinator"), &stages, &Evidence::read(printed.as_bytes())).unwrap();
    assert_eq!(cause.id.as_deref(), Some("GP16"));
    assert_eq!(cause.proof.unwrap().lines, [failed, verdict]);
}

#[test]
fn gbk_is_read_and_secrets_are_not_shown() {
    let catalogue = builtin("opengauss").unwrap();
    let (gbk, _, _) = encoding_rs::GBK.encode(" 致命错误:  无法加载pg_hba.conf\n");
    let printed = [b">> DNERR since /log\n".as_slice(), &gbk].concat();
    let cause = diagnose(&catalogue, Some("gaussdb"), &CHAIN, &Evidence::read(&printed)).unwrap();
    assert_eq!(cause.id.as_deref(), Some("OG46"));
    let line = "FATAL:  cannot use primary_conninfo 'host=db user=repl password=geheim port=1' postgres://me:geheim@db";
    let cause = diagnosed(&catalogue, "gaussdb", &piece("DNERR", line)).unwrap();
    let shown = format!("{cause:?}");
    assert!(!shown.contains("geheim") && shown.contains("user=repl password=*** port=1"), "{shown}");
    // What is no secret stays.
    let line = "FATAL:  password of the key file is wrong";
    assert_eq!(
        diagnosed(&catalogue, "gaussdb", &piece("DNERR", line)).unwrap().cause,
        line.trim_start_matches("FATAL:  ")
    );
}

#[test]
fn the_newest_status_line_counts() {
    let catalogue = builtin("opengauss").unwrap();
    let line = |held: u8| {
        format!("LOG: datanodeId=6001, dn_manual_stop={held}, g_dnDiskDamage=0, port_conflict=0, g_dnBuild=0.\n")
    };
    let id = |text: &str| diagnosed(&catalogue, "gaussdb", &piece("AGENT", text)).and_then(|cause| cause.id);
    assert_eq!(id(&(line(0) + &line(1))).as_deref(), Some("OG03"));
    assert_eq!(id(&(line(1) + &line(0))), None);
}

#[test]
fn what_cannot_be_read_is_said() {
    let catalogue = builtin("opengauss").unwrap();
    let cause = diagnosed(&catalogue, "gaussdb", ">> PGLOG unreadable /log/dn\n>> AGENT since /log/a\n").unwrap();
    assert!(cause.cause.contains("/log/dn is not readable"), "{cause:?}");
    let state = diagnosed(&catalogue, "om_monitor", ">> OG05: no line of the crontab starts om_monitor\n").unwrap();
    assert_eq!(state.id.as_deref(), Some("OG05"));
    assert_eq!(state.proof.unwrap().file, "crontab -l");
}

/// The log of a server that failed in several ways, one after the other, and what is past once it came up.
#[test]
fn the_newest_try_counts_and_what_is_past_does_not() {
    let catalogue = builtin("postgres").unwrap();
    let line = |pid: u32, said: &str| format!("2026-05-11 10:00:01.123 UTC [{pid}] {said}\n");
    let id = |text: &str| diagnosed(&catalogue, "server", &piece("PGSTART,PGLOG", text)).and_then(|cause| cause.id);
    let hba = line(1, "LOG:  invalid authentication method \"sm9\"") + &line(1, "FATAL:  could not load pg_hba.conf");
    assert_eq!(id(&hba).as_deref(), Some("PG18"));
    let empty = hba.clone() + &line(2, "FATAL:  lock file \"postmaster.pid\" is empty") + &line(2, "HINT:  Either ...");
    assert_eq!(id(&empty).as_deref(), Some("PG02"));
    let up = empty.clone() + &line(3, "LOG:  database system is ready to accept connections");
    assert_eq!(id(&up), None);
    let died = up.clone() + &line(3, "PANIC:  could not write to file \"pg_wal/x\": No space left on device");
    assert_eq!(id(&died).as_deref(), Some("PG36"));
    let redo = line(4, "LOG:  redo starts at 0/1");
    assert_eq!(id(&redo).as_deref(), Some("PG37"));
    assert_eq!(id(&(redo + &line(4, "LOG:  redo done at 0/2"))), None);
}
