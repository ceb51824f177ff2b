//! Why a node does not come up: the cause is named by `start` and by `diagnose`, on real nodes with the stand-in's programs.

use serde_json::Value;

use crate::lab::opengauss::{self, MARKER};
use crate::lab::{Lab, wait};
use crate::opengauss::normal;
use crate::start::{Reported, reported};

const OG44: &str = " 0 [BACKEND] LOG:  1048576 is outside the valid range for parameter \"max_process_memory\"\n\
    2026-05-11 10:00:01.056 6a01.1 [unknown] 1 [unknown] 0 dn_6001 F0000  0 [BACKEND] FATAL:  configuration file \
    \"/data/dn/postgresql.conf\" contains errors\n";

fn start(lab: &Lab, args: &[&str]) -> Reported {
    reported(lab, lab.gsctl().arg("start"), args)
}

#[track_caller]
fn cause(run: &Reported, number: usize) -> &Value {
    let cause = &run.host(number)["cause"];
    assert!(cause.is_object(), "node{number} has no cause: {:#}\n{}", run.host(number), run.run);
    cause
}

#[test]
fn what_is_beyond_help_is_named_and_not_waited_for() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    // What is beyond help before the start: the others are started, and it is not waited for.
    let base = lab.node(3).outside("data/dn1/base");
    std::fs::rename(&base, base.with_file_name("away")).unwrap();
    let run = start(&lab, &["--wait", "600s"]).expect(5);
    run.host_is(1, "changed", "", "").host_is(2, "changed", "", "").host_is(3, "failed", "not waited for", "");
    let found = cause(&run, 3);
    assert_eq!((&found["id"], &found["stage"]), (&"OG40".into(), &"gaussdb".into()));
    assert_eq!(found["proof"]["file"], lab.node(3).base().join("data/dn1/base").display().to_string());
    assert!(!cluster.running(1, "gaussdb").is_empty() && !lab.node(3).exists(MARKER), "{}", cluster.census());
    std::fs::rename(base.with_file_name("away"), &base).unwrap();
    cluster.stop();
    // Yesterday's trouble was another one.
    lab.node(2).write("log/cm/cm_agent/system_call-current.log", "FATAL:  could not load pg_hba.conf\n");
    lab.node(2).write("app/bin/trouble-DNERR", OG44);
    // Longer than the test may take: it ends because nothing is left to wait for.
    let [junit, html] = ["junit.xml", "run.html"].map(|name| lab.dir().join("client").join(name).display().to_string());
    let files = ["--junit", &junit, "--html", &html];
    let run = start(&lab, &[&["--wait", "600s", "--accept", "degraded"][..], &files].concat()).expect(5);
    run.host_is(2, "failed", "OG44", "correct the parameter");
    let cause = cause(&run, 2);
    assert_eq!((&cause["id"], &cause["stage"], &cause["wait"]), (&"OG44".into(), &"gaussdb".into(), &"no".into()));
    let file = lab.node(2).base().join("log/cm/cm_agent/system_call-current.log").display().to_string();
    assert_eq!(cause["proof"]["file"], file);
    let lines: Vec<&str> = cause["proof"]["lines"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(lines.iter().any(|line| line.contains("max_process_memory")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("contains errors")), "{lines:?}");
    let text = run.run.to_string();
    assert!(text.contains("Cause") && text.contains("proof:") && !text.contains("pg_hba.conf"), "{text}");
    let junit = std::fs::read_to_string(junit).unwrap();
    for part in ["cause: OG44", &format!("proof: {file}"), "max_process_memory"] {
        assert!(junit.contains(part), "{part}: {junit}");
    }
    let html = std::fs::read_to_string(html).unwrap();
    assert!(html.contains("\"words\":\"OG44 ") && html.contains(&format!("\"file\":\"{file}\"")), "{html}");
    assert!(run.host(1)["cause"].is_null() && run.host(3)["cause"].is_null(), "{}", run.report);
}

#[test]
fn what_passes_by_itself_is_shown_and_never_given_up() {
    let lab = Lab::start(1);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    lab.node(1).write("app/bin/trouble-PGLOG", "LOG:  RedoSpeedDiag: 10 MB/s, 40 MB left\n");
    let run = start(&lab, &["--wait", "20s"]).expect(5);
    run.host_is(1, "failed", "first missing stage: gaussdb", "");
    run.host_is(1, "failed", "OG77", "");
    assert_eq!(cause(&run, 1)["wait"], "passes");
    assert!(run.run.to_string().contains("Cause"), "{}", run.run);
}

#[test]
fn what_no_row_knows_is_told_by_its_decisive_line() {
    let lab = Lab::start(1);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    lab.node(1).write("app/bin/trouble-DNERR", "FATAL:  the moon stands in the way\nHINT:  wait for a new one\n");
    let run = start(&lab, &["--wait", "12s"]).expect(5);
    run.host_is(1, "failed", "the moon stands in the way", "");
    let cause = cause(&run, 1);
    assert!(cause["id"].is_null() && cause["wait"].is_null(), "{cause}");
    assert_eq!(cause["proof"]["lines"][1], "HINT:  wait for a new one");
}

#[test]
fn a_diagnosis_changes_nothing_and_says_why() {
    let lab = Lab::start(3);
    let cluster = normal(&lab);
    let diagnose = |args: &[&str]| reported(&lab, lab.gsctl().arg("diagnose"), args);
    diagnose(&[]).expect(0);
    lab.node(2).write("app/bin/trouble-AGENT", "2026-05-11 10:00:01.123 tid=1 StartAndStop LOG: datanodeId=6001, dn_manual_stop=0, g_dnDiskDamage=0, g_nicDown=0, port_conflict=1, g_dnBuild=0, g_ltranDown=0, g_dnStartCounts=0.\n");
    cluster.kill_datanode(2);
    wait::until("no datanode", || cluster.running(2, "gaussdb").len() == 1);
    wait::until("the agent has said so", || {
        let log = format!("{}/log/cm/cm_agent", lab.node(2).base().display());
        lab.node(2).sh(&format!("grep -rl port_conflict=1 {log}")).status.success()
    });
    let run = diagnose(&[]).expect(5);
    run.host_is(1, "ok", "", "").host_is(2, "failed", "OG35", "").host_is(3, "ok", "", "");
    assert_eq!(cause(&run, 2)["id"], "OG35");
    // Stopped on purpose.
    lab.node(3).write(MARKER, "0\n1\n2\n");
    wait::until("no agent", || cluster.running(3, "cm_agent").is_empty());
    let run = diagnose(&["-w", "node3"]).expect(5);
    run.host_is(1, "failed", "marker gone", "gsctl start");
    assert!(lab.node(3).exists(MARKER));
    lab.node(1).stop_sshd();
    diagnose(&["-w", "node1"]).expect(4);
}

#[test]
fn a_cause_is_explained_by_its_id() {
    let lab = Lab::start(1);
    let text = lab.gsctl().args(["explain", "og44"]).run().expect(0).text();
    for part in ["OG44", "stage         gaussdb", "waiting does not help", "what to do", "signature"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let all = lab.gsctl().arg("explain").run().expect(0).text();
    assert!(all.lines().count() >= 197 && all.contains("PG01 "), "{all}");
    let wrong = lab.gsctl().args(["explain", "OG440"]).run().expect(2).to_string();
    assert!(wrong.contains("no documented cause `OG440`") && wrong.contains("did you mean `OG4"), "{wrong}");
}
