//! The stand-in of Greenplum, held to what was measured on a real 6.24.3: words, exit statuses, command lines and files.
//!
//! Must not run gsctl: the playbooks are proven on the stand-in, and here is why that proves something.

use std::path::Path;
use std::process::Output;

use crate::lab::greenplum::{COORDINATOR, Cluster, MIRROR0, MIRROR1, PRIMARY0, PRIMARY1, STANDBY, install};
use crate::lab::{Lab, wait};

/// A program's status and all that it said.
fn heard(output: &Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

impl Cluster<'_> {
    #[track_caller]
    fn expect(&self, number: usize, command: &str, code: i32, words: &[&str]) -> String {
        let (status, text) = heard(&self.run(number, command));
        assert_eq!(status, code, "{command}: {text}");
        for part in words {
            assert!(text.contains(part), "{command}: no `{part}` in {text}");
        }
        text
    }

    fn gpstart(&self) -> String {
        format!("gpstart -a -d {}", self.path(1, COORDINATOR).display())
    }

    fn gpstop(&self) -> String {
        format!("gpstop -a -M fast -d {}", self.path(1, COORDINATOR).display())
    }

    fn psql(&self, number: usize, above: u16, options: &str) -> (i32, String) {
        let port = self.port(above);
        heard(&self.run(number, &format!("PGOPTIONS='{options}' timeout 2 psql -Atc 'select 1' -p {port}")))
    }

    fn lock(&self, above: u16) -> String {
        format!("/tmp/.s.PGSQL.{}.lock", self.port(above))
    }

    /// A row of the catalog without its number, port and place: `content|role|preferred|mode|status`.
    fn row(&self, dir: &str) -> String {
        let rows = self.rows(1, COORDINATOR);
        let row = rows.iter().find(|row| row.ends_with(dir)).expect("it has a row");
        row.split('|').skip(1).take(5).collect::<Vec<_>>().join("|")
    }
}

const GP_ROLE: &str = "-c gp_role=utility";
const SESSION_ROLE: &str = "-c gp_session_role=utility";
const ONLY_UTILITY: &str =
    "psql: FATAL:  System was started in master-only utility mode - only utility mode connections are allowed";

#[test]
fn answers_command_lines_and_files_are_as_measured() {
    let lab = Lab::start(3);
    let cluster = install(&lab, true);
    cluster.expect(1, &cluster.gpstart(), 0, &["gpstart:mdw:gpadmin-[INFO]:-Database successfully started"]);

    let primary = "psql: FATAL:  connections to primary segments are not allowed\nDETAIL:  This database instance is \
                   running as a primary segment in a Greenplum cluster and does not permit direct connections.\n\
                   HINT:  To force a connection anyway (dangerous!), use utility mode.";
    let follower = "psql: FATAL:  the database system is in recovery mode\nDETAIL:  last replayed record at 0/C000000\n\
                    - VERSION: PostgreSQL 9.4.26 (Greenplum Database 6.24.3";
    for (number, above, options, code, said) in [
        (1, 0, "", 0, "1"),
        (1, 0, GP_ROLE, 2, ONLY_UTILITY),
        (1, 0, SESSION_ROLE, 0, "1"),
        (2, 1, "", 2, primary),
        (2, 1, GP_ROLE, 2, ONLY_UTILITY),
        (2, 1, SESSION_ROLE, 0, "1"),
        (2, 0, "", 2, follower),
        (2, 0, GP_ROLE, 2, follower),
        (2, 0, SESSION_ROLE, 2, follower),
        (3, 2, SESSION_ROLE, 2, follower),
    ] {
        let heard = cluster.psql(number, above, options);
        assert!(heard.0 == code && heard.1.starts_with(said), "node{number} {above} `{options}`: {heard:?}");
    }
    // Each refusal is a line in the instance's own log.
    assert_eq!(cluster.refusals(2, PRIMARY0).len(), 2);
    assert_eq!(cluster.refusals(1, COORDINATOR).len(), 1);

    let port = |above| cluster.port(above).to_string();
    for (number, dir, more) in [
        (1, COORDINATOR, vec!["-p".to_owned(), port(0), "-E".to_owned()]),
        (2, STANDBY, vec!["-p".to_owned(), port(0), "-E".to_owned()]),
        (2, PRIMARY0, vec!["-p".to_owned(), port(1)]),
        (3, MIRROR0, vec!["-p".to_owned(), port(2)]),
    ] {
        assert_eq!(cluster.command_line(number, dir)[3..], more, "{dir}");
    }
    let titles = |number| -> Vec<String> {
        let all = lab.node(number).processes();
        all.iter()
            .filter_map(|process| process.cmdline.first().filter(|title| title.starts_with("postgres:")).cloned())
            .collect()
    };
    wait::until("the followers stream", || {
        titles(2).iter().filter(|title| title.contains("wal receiver process")).count() == 2
    });
    assert!(titles(1).iter().any(|title| title.contains("bgworker: ftsprobe process")), "{:?}", titles(1));
    assert!(titles(2).iter().any(|title| title.contains("startup process   waiting for 0000")), "{:?}", titles(2));

    assert_eq!(lab.node(1).text(Path::new(COORDINATOR).join("postmaster.pid")).lines().count(), 7);
    let lock = lab.node(1).text(cluster.lock(0));
    assert_eq!(
        lock.lines().skip(1).collect::<Vec<_>>(),
        [cluster.path(1, COORDINATOR).display().to_string().as_str(), "1795250794", port(0).as_str(), "/tmp"]
    );
    let recovery = lab.node(2).text(Path::new(STANDBY).join("recovery.conf"));
    assert!(recovery.starts_with("standby_mode = 'on'\nprimary_conninfo = 'user=gpadmin host="), "{recovery}");
    // A mirror has a slot, the standby has none.
    assert!(!recovery.contains("primary_slot_name"), "{recovery}");
    let recovery = lab.node(3).text(Path::new(MIRROR0).join("recovery.conf"));
    assert!(recovery.contains("\nprimary_slot_name = 'internal_wal_replication_slot'\n"), "{recovery}");
    let config = lab.node(2).text(Path::new(PRIMARY0).join("postgresql.conf"));
    assert!(config.contains(&format!("\nport={} ##port 5432", port(1))), "{config}");
    let first = format!("1|-1|p|p|n|u|{}|node1|node1|{}", port(0), cluster.path(1, COORDINATOR).display());
    assert_eq!(cluster.rows(1, COORDINATOR)[0], first);
    for (number, dir, state) in [(2, PRIMARY0, "in production"), (3, MIRROR0, "in archive recovery")] {
        let line = format!("Database cluster state:               {state}\n");
        cluster.expect(number, &format!("pg_controldata {}", cluster.path(number, dir).display()), 0, &[&line]);
    }

    for (number, above, code, said) in
        [(1, 0, 0, "accepting connections"), (2, 1, 0, "accepting"), (3, 2, 64, "mirror ready")]
    {
        cluster.expect(number, &format!("pg_isready -p {}", port(above)), code, &[said]);
    }
    for (dir, code, said) in [
        (cluster.path(2, PRIMARY0).display().to_string(), 0, "server is running"),
        ("/nowhere".to_owned(), 4, "directory \"/nowhere\" does not exist"),
    ] {
        cluster.expect(2, &format!("pg_ctl status -D {dir}"), code, &[said]);
    }
    let promote = format!("pg_ctl promote -D {}", cluster.path(2, PRIMARY0).display());
    cluster.expect(2, &promote, 1, &["cannot promote server; server is not in standby mode"]);
    cluster.expect(1, &format!("gpstate -f -d {}", cluster.path(1, COORDINATOR).display()), 0, &["passive"]);

    programs_end_as_measured(&lab, &cluster);
}

/// On a cluster that is up: the second of each ends with 2; a crash leaves both files, a stop neither.
#[track_caller]
fn programs_end_as_measured(lab: &Lab, cluster: &Cluster<'_>) {
    let port = |above| cluster.port(above).to_string();
    cluster.expect(
        1,
        &cluster.gpstart(),
        2,
        &["Have lock file", "[ERROR]:-gpstart error: Master instance process running"],
    );
    cluster.kill_instance(1, COORDINATOR);
    assert!(lab.node(1).exists(cluster.lock(0)) && lab.node(1).exists(Path::new(COORDINATOR).join("postmaster.pid")));
    let before = cluster.pids();
    let said = cluster.expect(
        1,
        &cluster.gpstart(),
        0,
        &["postmaster.pid file exists on Master, checking if recovery", "but no process running"],
    );
    assert!(!said.contains("CRITICAL"), "{said}");
    assert!(before.iter().all(|pid| !cluster.pids().contains(pid)), "gpstart starts again what runs");
    cluster.expect(1, &cluster.gpstop(), 0, &["no errors reported"]);
    assert!(!lab.node(1).exists(cluster.lock(0)) && !lab.node(1).exists(Path::new(COORDINATOR).join("postmaster.pid")));
    cluster.expect(
        1,
        &cluster.gpstop(),
        2,
        &["gpstop error: postmaster.pid file does not exist.  is Greenplum instance already stopped?"],
    );
    cluster.expect(
        1,
        "gpstart -a -d ''",
        2,
        &["[CRITICAL]:-gpstart failed. (Reason='[Errno 2] No such file or directory: '/postgresql.conf'') exiting..."],
    );
    let status = format!("pg_ctl status -D {}", cluster.path(1, COORDINATOR).display());
    cluster.expect(1, &status, 3, &["pg_ctl: no server running"]);
    cluster.expect(
        1,
        &format!("gpstate -d {}", cluster.path(1, COORDINATOR).display()),
        2,
        &["could not connect to server"],
    );

    // In utility mode the coordinator takes one kind of session.
    cluster.expect(1, &format!("{} -m", cluster.gpstart()), 0, &[]);
    assert_eq!(cluster.command_line(1, COORDINATOR)[3..], ["-p", &port(0), "-c", "gp_role=utility"]);
    assert!(
        cluster.psql(1, 0, "").1.starts_with(ONLY_UTILITY) && cluster.psql(1, 0, GP_ROLE).1.starts_with(ONLY_UTILITY)
    );
    assert_eq!(cluster.psql(1, 0, SESSION_ROLE), (0, "1\n".to_owned()));
}

#[test]
fn gpstart_ends_as_measured() {
    let lab = Lab::start(3);
    let cluster = install(&lab, true);
    // A segment host out of reach: on with the mirrors, 1. The standby's host: 4.
    cluster.kill_agent(3);
    cluster.expect(
        1,
        &cluster.gpstart(),
        1,
        &[
            "[WARNING]:-One or more hosts are not reachable via SSH.  Any segments on those hosts will be marked down",
            "Host node3 is unreachable",
            "because node3 is unreachable",
        ],
    );
    assert!(
        cluster.runs(1, COORDINATOR) && cluster.runs(2, MIRROR1) && !cluster.runs(3, PRIMARY1),
        "{}",
        cluster.census()
    );
    cluster.begin_anew();
    cluster.start_agent(3);
    cluster.kill_agent(2);
    cluster.expect(
        1,
        &cluster.gpstart(),
        4,
        &["[WARNING]:-Standby host node2 is unreachable", "User abort requested, Exiting..."],
    );
    assert!(cluster.pids().is_empty(), "{}", cluster.census());
    cluster.expect(1, &format!("{} -S -y", cluster.gpstart()), 1, &["Host node2 is unreachable"]);
    cluster.begin_anew();
    cluster.start_agent(2);

    // A directory that may not be looked into fails its whole host.
    let dir = Path::new(PRIMARY0).parent().expect("it has one").join("gpseg0");
    lab.node(2).chmod(&dir, 0o000);
    let said = cluster.expect(1, &cluster.gpstart(), 1, &["FAILED  host:'node2'"]);
    assert_eq!(said.matches("FAILED  host:'node2'").count(), 2, "{said}");
    lab.node(2).chmod(&dir, 0o755);
    cluster.begin_anew();
    // One that is gone fails alone; a content without anybody ends it.
    let away = |number: usize, dir: &str| {
        let version = Path::new(dir).join("PG_VERSION");
        if lab.node(number).exists(&version) {
            lab.node(number).remove(version);
        } else {
            lab.node(number).write(version, "9.4\n");
        }
    };
    away(2, PRIMARY0);
    let reason = format!("Segment data directory does not exist for: '{}'", cluster.path(2, PRIMARY0).display());
    cluster.expect(1, &cluster.gpstart(), 1, &["DBID:3  FAILED  host:'node2' datadir:", &reason]);
    cluster.begin_anew();
    // It has put the primary's directory back.
    away(2, PRIMARY0);
    away(3, MIRROR0);
    cluster.expect(
        1,
        &cluster.gpstart(),
        2,
        &[
            "[ERROR]:-No segment started for content: 0.",
            "[ERROR]:-gpstart error: Do not have enough valid segments to start the array.",
        ],
    );
    assert!(cluster.pids().is_empty(), "{}", cluster.census());
    away(2, PRIMARY0);
    away(3, MIRROR0);
    // What the catalog has down is not started, and that is no failure.
    let text = cluster.catalog().replace("|0|m|m|s|u|", "|0|m|m|n|d|");
    lab.node(1).write(Path::new(COORDINATOR).join("standin.catalog"), text);
    cluster.expect(
        1,
        &cluster.gpstart(),
        0,
        &["Number of segments not attempted to start: 1", "Check status of database with gpstate"],
    );
    assert!(!cluster.runs(3, MIRROR0));
    cluster.begin_anew();
    lab.node(2).write(Path::new(STANDBY).join("standin.control"), "timeline=2\nstate=shut down\n");
    cluster.expect(
        1,
        &cluster.gpstart(),
        2,
        &["[ERROR]:-gpstart error: Standby activated, this node no more can act as master."],
    );
}

#[test]
fn failovers_go_as_measured() {
    let lab = Lab::start(3);
    let cluster = install(&lab, true);
    cluster.settings("fts=600");
    cluster.expect(1, &cluster.gpstart(), 0, &[]);
    let dispatch = || {
        cluster.run(
            1,
            &format!("timeout 5 psql -Atc \"select count(*) from gp_dist_random('gp_id')\" -p {}", cluster.port(0)),
        )
    };
    let streams = |content: &str| {
        let (_, said) = heard(
            &cluster
                .run(1, &format!("psql -Atc 'select gp_segment_id from gp_stat_replication' -p {}", cluster.port(0))),
        );
        said.lines().any(|line| line.starts_with(&format!("{content}|streaming|sync")))
    };
    wait::until("all stream", || ["-1", "0", "1"].iter().all(|content| streams(content)));
    // A mirror that dies is gone from pg_stat_replication at once, and stays `u` in the catalog until FTS looks.
    cluster.kill_instance(3, MIRROR0);
    wait::until("it no longer streams", || !streams("0"));
    assert_eq!(cluster.row(MIRROR0), "0|m|m|s|u");
    // Content -1 never changes.
    cluster.kill_instance(2, STANDBY);
    wait::until("it no longer streams", || !streams("-1"));
    assert_eq!(cluster.row(STANDBY), "-1|m|m|s|u");
    // A primary that dies is seen at the next dispatch.
    cluster.kill_instance(3, PRIMARY1);
    assert_eq!(cluster.row(PRIMARY1), "1|p|p|s|u");
    wait::until("the mirror serves", || dispatch().status.success());
    assert_eq!((cluster.row(PRIMARY1).as_str(), cluster.row(MIRROR1).as_str()), ("1|m|p|n|d", "1|p|m|n|u"));
    // The catalog knows before the mirror has seen its order.
    wait::until("it follows nobody any more", || {
        !lab.node(2).exists(Path::new(MIRROR1).join("recovery.conf"))
            && lab.node(2).exists(Path::new(MIRROR1).join("recovery.done"))
    });
    assert_eq!(cluster.row(MIRROR0), "0|m|m|n|d");

    let coordinator = cluster.path(1, COORDINATOR).display().to_string();
    cluster.expect(1, &format!("gpstate -e -d {coordinator}"), 1, &[]);
    cluster.expect(1, &format!("gpinitstandby -n -d {coordinator}"), 0, &[]);
    assert!(cluster.runs(2, STANDBY));
    cluster.expect(1, &format!("gprecoverseg -a -d {coordinator}"), 0, &[]);
    assert_eq!(cluster.command_line(3, MIRROR0)[3..], ["-i", "-p", &cluster.port(2).to_string()]);
    assert_eq!((cluster.row(PRIMARY1).as_str(), cluster.row(MIRROR0).as_str()), ("1|m|p|s|u", "0|m|m|s|u"));
    cluster.expect(1, &format!("gprecoverseg -a -r -d {coordinator}"), 0, &[]);
    wait::until("the roles are back", || cluster.row(PRIMARY1).starts_with("1|p|p|"));

    // Of the old coordinator its lock file alone is looked at.
    cluster.kill_instance(1, COORDINATOR);
    let activate = format!("gpactivatestandby -a -d {}", cluster.path(2, STANDBY).display());
    cluster.expect(
        2,
        &activate,
        2,
        &["[CRITICAL]:-Error activating standby master: Active postgres process on master"],
    );
    cluster.expect(1, &format!("gpinitstandby -n -d {coordinator}"), 2, &["could not connect"]);
    lab.node(1).remove(cluster.lock(0));
    cluster.expect(2, &activate, 0, &["[DEBUG]", "has completed successfully"]);
    assert!(lab.node(2).exists(Path::new(STANDBY).join("recovery.done")));
    assert!(lab.node(2).text(Path::new(STANDBY).join("standin.control")).starts_with("timeline=2\n"));
    assert_eq!(cluster.psql(2, 0, ""), (0, "1\n".to_owned()));
}

#[test]
fn a_coordinator_without_a_primary_is_mute() {
    let lab = Lab::start(3);
    let cluster = install(&lab, false);
    let start =
        format!("pg_ctl -D {} -w -o ' -p {} -E ' start", cluster.path(1, COORDINATOR).display(), cluster.port(0));
    cluster.expect(1, &start, 0, &[]);
    assert_eq!(cluster.psql(1, 0, "").0, 124);
    assert_eq!(cluster.psql(1, 0, SESSION_ROLE), (0, "1\n".to_owned()));

    // What an instance says on its way up and down.
    let ctl = |number: usize, dir: &str, above: u16, what: &str| {
        let path = cluster.path(number, dir);
        cluster.run(number, &format!("pg_ctl -D {} -o ' -p {} ' {what}", path.display(), cluster.port(above)))
    };
    let says = |said: &str| wait::until(said, || cluster.psql(2, 1, SESSION_ROLE).1.starts_with(said));
    cluster.fault(2, PRIMARY0, "starting noshutdown");
    ctl(2, PRIMARY0, 1, "-W start");
    says("psql: FATAL:  the database system is starting up\nDETAIL:  last replayed record at 0/0");
    ctl(2, PRIMARY0, 1, "-W -m fast stop");
    says("psql: FATAL:  the database system is shutting down");
    let (code, said) = heard(&ctl(3, MIRROR0, 2, "-w start"));
    assert!(code == 0 && said.contains("server started in mirror mode"), "{said}");
}
