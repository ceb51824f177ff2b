//! The journal as crashes, full disks and other versions leave it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::lock::{self, Holder, LockError};
use super::record::{HostRecord, PlaybookRecord, SCHEMA, StepRecord, is_secret};
use super::*;
use crate::exit::ExitStatus;
use crate::outcome::Outcome;
use crate::report::RunReport;
use crate::runner::{RunLog as _, StepEnd};
use crate::stats::Counts;

fn journal() -> (TempDir, Journal) {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path().join("gsctl"));
    (dir, journal)
}

fn record(id: &str) -> RunRecord {
    let node =
        |host: &str| HostRecord { host: host.into(), address: format!("10.0.0.{host}"), port: 22, user: "omm".into() };
    let step = |name: &str| StepRecord { name: name.into(), ..StepRecord::default() };
    let played = PlaybookRecord {
        file: "demo".into(),
        digest: "sha256:1".into(),
        hosts: ["1", "2", "3"].map(node).into(),
        steps: ["look", "mark", "build"].map(step).into(),
        ..PlaybookRecord::default()
    };
    RunRecord {
        schema: SCHEMA.into(),
        run: id.into(),
        command: "demo".into(),
        started: "2026-11-21T09:49:46.5Z".into(),
        playbook: Some(played),
        ..RunRecord::default()
    }
}

fn report(status: ExitStatus) -> RunReport {
    RunReport {
        run: "r".into(),
        command: "demo".into(),
        started: "t".into(),
        elapsed: std::time::Duration::ZERO,
        status,
        state: None,
        waited: true,
        cluster: None,
        counts: Counts::default(),
        partition: None,
        merged: None,
        recorded_keys: Vec::new(),
        hosts: Vec::new(),
    }
}

const ID: &str = "20261121T094946Z-aaaaa";

/// A run that stands in its third step, at which host 1 is done and host 2 failed.
fn half_done(journal: &Journal) -> Writer {
    let mut writer = Writer::begin(journal, record(ID)).unwrap();
    for host in 0..3 {
        writer.host_done(0, host, Outcome::Ok, &[]).unwrap();
    }
    writer.step_done(0, StepEnd::Good, None).unwrap();
    for host in 0..3 {
        writer.host_done(1, host, Outcome::Changed, &["/m".to_owned()]).unwrap();
    }
    writer.step_done(1, StepEnd::Good, Some("restore")).unwrap();
    writer.host_done(2, 0, Outcome::Ok, &[]).unwrap();
    writer.host_done(2, 1, Outcome::Failed, &[]).unwrap();
    writer
}

#[test]
fn a_killed_run_is_known_to_the_last_host() {
    let (_dir, journal) = journal();
    drop(half_done(&journal));
    let record = journal.load(ID).unwrap();
    assert!(record.is_resumable());
    assert_eq!(record.state.as_deref(), Some("restore"));
    let resume = compare::done(&record, record.playbook.as_ref().unwrap());
    assert_eq!(resume.good, [0, 1].into());
    assert_eq!(resume.done[&2], [0].into());
    assert!(resume.has(1, 2) && resume.has(2, 0) && !resume.has(2, 1) && !resume.has(2, 2));
    assert_eq!(resume.to_clean.len(), 3);
    assert_eq!(resume.state.as_deref(), Some("restore"));
}

#[test]
fn a_step_that_failed_is_done_again_in_the_state_before_it() {
    let (_dir, journal) = journal();
    let mut writer = half_done(&journal);
    writer.step_done(2, StepEnd::Failed, Some("restore_fail")).unwrap();
    for host in 0..3 {
        writer.cleaned(1, host).unwrap();
    }
    writer.finish(&report(ExitStatus::Failed), "t").unwrap();
    let record = journal.load(ID).unwrap();
    assert_eq!(record.state.as_deref(), Some("restore_fail"));
    let resume = compare::done(&record, record.playbook.as_ref().unwrap());
    assert_eq!((resume.state.as_deref(), resume.states), (Some("restore"), vec![(1, "restore".to_owned())]));
    assert_eq!((resume.good, resume.to_clean.len()), ([0, 1].into(), 0));
    assert!(journal.report(ID).unwrap().is_some());
    let again = Writer::go_on(&journal, record).unwrap();
    assert!(again.is_durable());
    assert_eq!(journal.report(ID).unwrap(), None, "a run that goes on has no end");
}

#[test]
fn what_a_killed_writer_leaves_is_no_harm() {
    let (_dir, journal) = journal();
    let mut writer = half_done(&journal);
    let dir = journal.run_dir(ID);
    // Killed between the temporary file and its new name.
    fs::write(dir.join("run.tmp"), "{\"schema\": \"gsc").unwrap();
    assert_eq!(journal.load(ID).unwrap().playbook.unwrap().steps[2].hosts.len(), 2);
    // Killed between the new name and the emptying of the progress: old lines count no more.
    let old = fs::read(dir.join("progress.jsonl")).unwrap();
    writer.host_done(2, 0, Outcome::Failed, &[]).unwrap();
    writer.step_done(2, StepEnd::Failed, None).unwrap();
    fs::write(dir.join("progress.jsonl"), old).unwrap();
    assert_eq!(journal.load(ID).unwrap().playbook.unwrap().steps[2].hosts["1"], Outcome::Failed);
    assert!(!dir.join("run.tmp").exists());
}

#[test]
fn however_short_it_is_cut_it_never_panics() {
    let (_dir, journal) = journal();
    drop(half_done(&journal));
    let (run, progress) = (journal.run_dir(ID).join("run.json"), journal.run_dir(ID).join("progress.jsonl"));
    let text = fs::read(&progress).unwrap();
    for length in 0..text.len() {
        fs::write(&progress, &text[..length]).unwrap();
        let played = journal.load(ID).unwrap().playbook.unwrap();
        assert!(played.steps[2].hosts.len() <= 2, "the line that is cut counts for nothing");
    }
    let text = fs::read(&run).unwrap();
    for length in 0..text.len() - 2 {
        fs::write(&run, &text[..length]).unwrap();
        let said = journal.load(ID).unwrap_err().to_string();
        assert!(said.contains("run.json`, line "), "{length}: {said}");
    }
    for noise in ["\0\0\0\0", "7", "{\"schema\": 7}", "{\"schema\": \"gsctl.journal/1\", \"playbook\": 7}"] {
        fs::write(&run, noise).unwrap();
        assert!(matches!(journal.load(ID), Err(JournalError::Broken { .. })), "{noise}");
    }
    fs::write(&run, "{}").unwrap();
    assert!(matches!(journal.load(ID), Err(JournalError::Schema { .. })));
    fs::remove_file(&run).unwrap();
    assert!(journal.load(ID).unwrap_err().to_string().ends_with("there is no such file"));
    fs::create_dir(&run).unwrap();
    assert!(matches!(journal.load(ID), Err(JournalError::Unreadable { .. })));
}

#[test]
fn a_write_that_fails_leaves_what_was_there() {
    let (_dir, journal) = journal();
    let mut writer = half_done(&journal);
    // Nobody can write a file where a directory is; a full disk fails the same way.
    fs::create_dir(journal.run_dir(ID).join("run.tmp")).unwrap();
    assert!(writer.step_done(2, StepEnd::Good, Some("recovery")).is_err());
    let record = journal.load(ID).unwrap();
    assert_eq!(record.state.as_deref(), Some("restore"));
    assert_eq!(record.playbook.unwrap().steps[2].end, None);
}

#[test]
fn nobody_else_may_look() {
    let (_dir, journal) = journal();
    drop(half_done(&journal));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for dir in [journal.dir().to_owned(), journal.dir().join("runs"), journal.run_dir(ID)] {
        assert_eq!(mode(&dir), 0o700, "{}", dir.display());
    }
    assert_eq!(mode(&journal.run_dir(ID).join("run.json")), 0o600);
}

#[test]
fn runs_are_found() {
    let (_dir, journal) = journal();
    assert!(matches!(journal.find("last"), Err(JournalError::Empty { .. })));
    for id in [ID, "20261121T094946Z-bbbbb"] {
        drop(Writer::begin(&journal, RunRecord { playbook: None, ..record(id) }).unwrap());
    }
    fs::create_dir(journal.dir().join("runs/something")).unwrap();
    assert_eq!(journal.ids().unwrap().len(), 2);
    assert_eq!(journal.find(ID).unwrap(), ID);
    assert_eq!(journal.find("20261121T094946Z-b").unwrap(), "20261121T094946Z-bbbbb");
    assert!(matches!(journal.find("2026"), Err(JournalError::Several { .. })));
    for none in ["../locks", "x", "1"] {
        assert!(matches!(journal.find(none), Err(JournalError::NoSuchRun { .. })), "{none}");
    }
    drop(Writer::go_on(&journal, record(ID)).unwrap());
    assert_eq!(journal.find("last").unwrap(), ID, "the one that was resumed");
}

#[test]
fn what_changed_is_named() {
    let was = record(ID).playbook.unwrap();
    assert_eq!(compare::changes(&was, &was), Vec::<String>::new());
    let mut now = was.clone();
    now.digest = "sha256:2".into();
    now.vars.insert("mode".into(), "x".into());
    assert_eq!(
        compare::changes(&was, &now),
        ["the playbook, or a script that it uses, has changed", "variable `mode` has changed"]
    );
    let mut now = was.clone();
    now.hosts.remove(0);
    now.hosts[0].port = 23;
    now.hosts[1].user = "root".into();
    now.hosts.push(HostRecord { host: "4".into(), ..was.hosts[0].clone() });
    assert_eq!(
        compare::changes(&was, &now),
        ["the hosts have changed: `1` is not selected now, `2` was at 10.0.0.2:22, and is at 10.0.0.2:23 now, \
          the user on `3` was `omm`, and is `root` now, `4` is new"]
    );
    now = was.clone();
    now.hosts.reverse();
    assert_eq!(compare::changes(&was, &now), Vec::<String>::new(), "in another order they are the same");
}

#[test]
fn old_runs_go_and_what_can_be_resumed_stays() {
    let (_dir, journal) = journal();
    let now: jiff::Timestamp = "2026-11-30T00:00:00Z".parse().unwrap();
    let mut over = record("20261101T000000Z-aaaaa");
    over.status = Some(ExitStatus::Success.into());
    drop(Writer::begin(&journal, over).unwrap());
    let unfinished = record("20261102T000000Z-aaaaa");
    drop(Writer::begin(&journal, unfinished).unwrap());
    let old = RunRecord { started: "2026-10-01T00:00:00Z".into(), ..record("20261001T000000Z-aaaaa") };
    drop(Writer::begin(&journal, old).unwrap());
    for minute in 0..100 {
        let id = format!("20261120T{minute:06}Z-aaaaa");
        drop(Writer::begin(&journal, RunRecord { playbook: None, ..record(&id) }).unwrap());
    }
    journal.prune(now);
    let ids = journal.ids().unwrap();
    assert_eq!((ids.len(), ids[0].as_str()), (101, "20261102T000000Z-aaaaa"));
}

#[test]
fn one_run_in_sixteen_removes_the_old_ones() {
    let (_dir, journal) = journal();
    let now: jiff::Timestamp = "2026-11-30T00:00:00Z".parse().unwrap();
    let mut most = 0;
    for minute in 0..150 {
        let id = format!("20261120T{minute:06}Z-aaaaa");
        let run = Writer::begin(&journal, RunRecord { playbook: None, pid: 0, ..record(&id) }).unwrap();
        // Some end, and some are cut off.
        if minute % 3 == 0 {
            drop(run);
        } else {
            { run }.finish(&report(ExitStatus::Success), "now").unwrap();
        }
        journal.prune_in_turn(&id, now);
        let kept = journal.ids().unwrap().len();
        assert!(kept >= KEEP.min(minute + 1), "{minute}: {kept}");
        most = most.max(kept);
    }
    assert!((KEEP + 1..=KEEP + 40).contains(&most), "{most}");
}

/// Runs begun and ended one after the other, with ids that a clock gave which was set back in between.
fn runs_under_a_wrong_clock(journal: &Journal) -> (String, String) {
    let begin = |id: &str| Writer::begin(journal, RunRecord { playbook: None, pid: 0, ..record(id) }).unwrap();
    for minute in 0..100 {
        begin(&format!("20991120T{minute:06}Z-aaaaa")).finish(&report(ExitStatus::Success), "now").unwrap();
    }
    let (earlier, later) = ("20261121T000002Z-aaaaa".to_owned(), "20261121T000001Z-aaaaa".to_owned());
    begin(&earlier).finish(&report(ExitStatus::Success), "now").unwrap();
    begin(&later).finish(&report(ExitStatus::Failed), "now").unwrap();
    (earlier, later)
}

#[test]
fn a_clock_that_was_set_back_changes_no_order() {
    let (_dir, journal) = journal();
    let (earlier, later) = runs_under_a_wrong_clock(&journal);
    assert_eq!(journal.find("last").unwrap(), later);
    assert_eq!(past::last(&journal).unwrap().run, later);
    journal.prune("2026-11-21T00:00:03Z".parse().unwrap());
    let ids = journal.ids().unwrap();
    assert_eq!((ids.len(), &ids[98..]), (100, &[earlier, later.clone()][..]));
    // A counter that was lost is made anew.
    fs::write(journal.dir().join("order"), "").unwrap();
    drop(Writer::begin(&journal, RunRecord { playbook: None, ..record("20260101T000000Z-aaaaa") }).unwrap());
    assert_eq!(journal.find("last").unwrap(), "20260101T000000Z-aaaaa");
    assert_eq!(past::last(&journal).unwrap().later.as_deref(), Some("20260101T000000Z-aaaaa"));
}

#[test]
fn a_run_under_way_is_never_pruned() {
    let (_dir, journal) = journal();
    let own = std::process::id();
    let first = Writer::begin(&journal, RunRecord { playbook: None, pid: own, ..record(ID) }).unwrap();
    runs_under_a_wrong_clock(&journal);
    journal.prune("2026-11-21T00:00:03Z".parse().unwrap());
    assert_eq!(journal.ids().unwrap().first().map(String::as_str), Some(ID));
    drop(first);
}

#[test]
fn ids_sort_by_time() {
    let at = |text: &str| new_id(text.parse().unwrap());
    let ids = [
        at("2026-11-21T09:49:46.000Z"),
        at("2026-11-21T09:49:46.001Z"),
        at("2026-11-21T09:49:46.5Z"),
        at("2026-11-21T09:49:46.999999999Z"),
        at("2026-11-21T09:49:47Z"),
    ];
    assert!(ids.is_sorted() && ids.iter().all(|id| is_id(id)), "{ids:?}");
    assert_eq!(ids[0].len(), ID.len());
}

#[test]
fn secrets_by_name() {
    for name in ["password", "db_password", "PGPASSWORD", "api_token", "hadr_user_pwd", "pass", "db_pass"] {
        assert!(is_secret(name), "{name}");
    }
    for name in ["gausshome", "mode", "compass", "wait", "bypass_check"] {
        assert!(!is_secret(name), "{name}");
    }
}

fn holder(run: &str, places: &[&str]) -> Holder {
    Holder {
        run: run.into(),
        command: "demo".into(),
        pid: 7,
        user: "omm".into(),
        started: "t".into(),
        places: places.iter().map(|&place| place.to_owned()).collect(),
        nodes: BTreeMap::new(),
    }
}

#[test]
fn one_node_under_two_names_is_one() {
    let (_dir, journal) = journal();
    let pair = |node: &str, name: &str| (node.to_owned(), name.to_owned());
    let mut first = lock::take(&journal, &holder("a", &["1:22", "2:22"])).unwrap();
    let mut second = lock::take(&journal, &holder("b", &["3:22", "4:22"])).unwrap();
    // Two names of one run that are one node do not collide.
    assert_eq!(first.add(&[pair("m/1", "db1"), pair("m/1", "alias")]).unwrap(), []);
    assert_eq!(first.add(&[pair("m/1", "db1")]).unwrap(), []);
    // Another run gets all of its nodes, or none.
    let busy = second.add(&[pair("m/1", "other"), pair("m/2", "db2")]).unwrap();
    let busy: Vec<_> = busy.iter().map(|busy| (busy.node.as_str(), busy.name.as_str(), &busy.holder.run)).collect();
    assert_eq!(busy, [("m/1", "db1", &"a".to_owned())]);
    assert_eq!(first.add(&[pair("m/2", "db2")]).unwrap(), []);
    // A clone has the machine id in common, a container the boot id.
    assert_eq!(second.add(&[pair("m/3", "clone"), pair("n/1", "container")]).unwrap(), []);
    drop(first);
    assert_eq!(second.add(&[pair("m/1", "other"), pair("m/2", "db2")]).unwrap(), []);
}

#[test]
fn one_host_in_common_is_one_too_many() {
    let (_dir, journal) = journal();
    let first = lock::take(&journal, &holder("a", &["1:22", "2:22"])).unwrap();
    let second = lock::take(&journal, &holder("b", &["3:22", "1:23"])).unwrap();
    assert!(lock::is_held(&journal, "a") && lock::is_held(&journal, "b") && !lock::is_held(&journal, "c"));
    let Err(LockError::Held(other)) = lock::take(&journal, &holder("c", &["2:22"])) else { panic!("it is locked") };
    assert_eq!((other.run.as_str(), other.pid), ("a", 7));
    drop(first);
    let third = lock::take(&journal, &holder("c", &["2:22"])).unwrap();
    drop((second, third));
    // Only the gate is left.
    assert_eq!(fs::read_dir(journal.locks()).unwrap().count(), 1);
    // What a killed run left is not held by anybody.
    fs::write(journal.locks().join("d.lock"), "{\"run\":").unwrap();
    lock::take(&journal, &holder("e", &["2:22"])).unwrap();
    assert!(!journal.locks().join("d.lock").exists());
}
