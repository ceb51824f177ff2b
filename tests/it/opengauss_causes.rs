//! The evidence script of openGauss on fake nodes: the documented lines stand in the right log, between healthy ones and behind
//! those of yesterday, and the cause is named.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use gsctl::testing::{Catalogue, Cause, Evidence, builtin_causes, causes_page, diagnose, parse_facts, quote};

use crate::alone::alone;
use crate::scripts::{EVIDENCE, NODE, Node, SHELLS};

const SAMPLES: &str = include_str!("../causes/opengauss.yaml");
pub(crate) const HEALTHY: &str = include_str!("../causes/healthy.txt");
const CHAIN: [&str; 6] = ["marker gone", "om_monitor", "cm_agent", "cm_server", "gaussdb", "cluster"];

/// What the logs hold for each row, by its id.
pub(crate) fn samples_in(text: &str) -> BTreeMap<String, String> {
    let mut samples = BTreeMap::new();
    let mut id = String::new();
    for line in text.lines().skip(1) {
        match line.strip_prefix("  ") {
            Some(text) => samples.entry(id.clone()).or_insert_with(String::new).push_str(&format!("{text}\n")),
            None if line.is_empty() => samples.entry(id.clone()).or_insert_with(String::new).push('\n'),
            None => line.split(':').next().unwrap().clone_into(&mut id),
        }
    }
    samples
}

fn samples() -> BTreeMap<String, String> {
    samples_in(SAMPLES)
}

/// Where the log of a code is on the fake node.
fn log_of(code: &str) -> Option<&'static str> {
    Some(match code {
        "KEY_EVENT" => "log/cm/cm_server/key_event-2026-05-11_100000-current.log",
        "OMM" => "log/cm/om_monitor/om_monitor-2026-05-11_100000-current.log",
        "AGENT" => "log/cm/cm_agent/cm_agent-2026-05-11_100000-current.log",
        "CMS" => "log/cm/cm_server/cm_server-2026-05-11_100000-current.log",
        "DNERR" => "log/cm/cm_agent/system_call-current.log",
        "PGLOG" => "dn/pg_log/postgresql-2026-05-11_100000.log",
        _ => return None,
    })
}

/// A node whose programs run up to a stage, with logs of yesterday that hold other trouble.
fn node(stage: &str) -> Node {
    let mut node = Node::new();
    for dir in ["log/cm/cm_agent", "log/cm/cm_server", "dn/pg_log"] {
        fs::create_dir_all(node.path(dir)).unwrap();
    }
    fs::remove_file(node.path("cm/cm_agent/cm_agent.conf")).unwrap();
    node.file("home/.bashrc", &format!("export GAUSSHOME={}\n", quote(&node.name("app"))));
    for (code, yesterday) in [
        ("OMM", "2026-05-10 09:00:00.000 tid=1  LOG: cm_agent exited, status=127\n"),
        ("AGENT", "2026-05-10 09:00:00.000 tid=1 MAIN FATAL: read cm conf json failed, ret=2\n"),
        ("CMS", "2026-05-10 09:00:00.000 tid=1 MAIN ERROR: Failed to start dcc.\n"),
        ("DNERR", "FATAL:  could not load pg_hba.conf\n"),
    ] {
        node.file(log_of(code).unwrap(), &format!("{HEALTHY}{yesterday}"));
    }
    // Where the marker is back, the agent has stopped and gone; om_monitor waits.
    let at = CHAIN.iter().position(|name| *name == stage).map_or(CHAIN.len(), |at| if at == 0 { 2 } else { at });
    if at > 1 {
        let dir = node.name("log/cm/om_monitor");
        node.start_with("om_monitor", &["-L", &dir]);
    }
    for name in CHAIN.iter().take(at).skip(2) {
        node.start(name);
    }
    node
}

fn marks(node: &Node, shell: &[&str]) -> String {
    let log = node.name("log");
    let facts = parse_facts(&node.run(shell, NODE, &[("gausslog", &log), ("node", "1")]).stdout);
    facts["found_log_marks"].clone()
}

fn append(node: &Node, code: &str, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(node.path(log_of(code).unwrap())).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn found(node: &Node, shell: &[&str], catalogue: &Catalogue, stage: &str, vars: &[(&str, &str)]) -> Option<Cause> {
    let log = node.name("log");
    let vars: Vec<(&str, &str)> = [("gausslog", log.as_str())].iter().chain(vars).copied().collect();
    let said = node.run(shell, EVIDENCE, &vars).stdout;
    diagnose(catalogue, Some(stage), &CHAIN, &Evidence::read(&said))
}

/// The line of `cm_agent` about the datanode that it starts, without which nobody knows where its log is.
fn started(node: &Node) -> String {
    format!(
        "2026-05-11 10:00:01.624 tid=21001 StartAndStop LOG: DN START system(command:{}/gaussdb    -D {} -M pending >> \"x\" 2>&1 &), try 1\n",
        node.name("app/bin"),
        node.name("dn")
    )
}

#[test]
fn every_row_of_a_log_is_named() {
    let catalogue = builtin_causes("opengauss").unwrap();
    let samples = samples();
    // What keeps om_monitor from running must be of the last minutes.
    let now = std::process::Command::new("date").arg("+%Y-%m-%d %H:%M").output().unwrap().stdout;
    let now = String::from_utf8(now).unwrap().trim().to_owned();
    for (turn, row) in catalogue.rows().iter().filter(|row| row.signature.is_some()).enumerate() {
        let Some(code) = row.logs.iter().find(|code| log_of(code).is_some()) else { continue };
        // Rows of a stop are for other looks.
        if !CHAIN.contains(&row.stage.as_str()) {
            continue;
        }
        // Every shell has its turn, and each row one of them.
        let shell = SHELLS[turn % SHELLS.len()];
        let node = node(&row.stage);
        let before = marks(&node, shell);
        if code == "PGLOG" {
            append(&node, "AGENT", &started(&node));
        }
        let sample = samples[&row.id].replace("2026-05-11 10:00", &now);
        append(&node, code, &format!("{HEALTHY}{sample}"));
        let cause = found(&node, shell, &catalogue, &row.stage, &[("log_marks", &before)]);
        let cause = cause.unwrap_or_else(|| panic!("{} in {code}: nothing, by {shell:?}", row.id));
        assert_eq!(cause.id.as_deref(), Some(row.id.as_str()), "{shell:?} {cause:#?}");
        assert_eq!(cause.hint.as_ref(), Some(&row.hint));
        let proof = cause.proof.unwrap();
        assert_eq!(proof.file, node.name(log_of(code).unwrap()));
        assert!(sample.contains(proof.lines[0].trim()), "{proof:?}");
    }
}

/// A cluster that is up and not Normal: what `cm_ctl` itself says, and what is configured so that it stays so.
#[test]
fn causes_of_a_cluster_are_also_in_the_words_of_cm() {
    let catalogue = builtin_causes("opengauss").unwrap();
    for (shell, id) in SHELLS.iter().zip(["OG34", "OG88", "OG91", "OG78"]) {
        let node = node("cluster");
        let before = marks(&node, shell);
        let conf = node.name("cm");
        fs::create_dir_all(node.path("cm/cm_server")).unwrap();
        let query = if id == "OG91" { "cluster_state : Degraded\n".to_owned() } else { samples()[id].clone() };
        if id == "OG91" {
            node.file("cm/cm_server/cm_server.conf", &format!("log_dir = x\n{}", samples()[id]));
        }
        if id == "OG78" {
            append(&node, "AGENT", &started(&node));
            append(&node, "PGLOG", &format!("{HEALTHY}{}", samples()[id]));
        }
        let said = node.file("said", &query);
        let view = quote(&format!("cmDataPath :{conf}"));
        node.cm_ctl(&format!("case $1 in query) cat {} ;; view) echo {view} ;; esac", quote(&said)));
        let cause = found(&node, shell, &catalogue, "cluster", &[("log_marks", &before)]);
        let cause = cause.unwrap_or_else(|| panic!("{id}: nothing, by {shell:?}"));
        assert_eq!(cause.id.as_deref(), Some(id), "{shell:?} {cause:#?}");
    }
    // Nothing of it keeps a datanode down.
    let node = node("cluster");
    let before = marks(&node, SHELLS[0]);
    append(&node, "CMS", &samples()["OG89"]);
    assert_eq!(found(&node, SHELLS[0], &catalogue, "gaussdb", &[("log_marks", &before)]), None);
    let cause = found(&node, SHELLS[0], &catalogue, "cluster", &[("log_marks", &before)]).unwrap();
    assert_eq!(cause.id.as_deref(), Some("OG89"));
}

/// What was written before the start was requested proves nothing.
#[test]
fn yesterdays_trouble_is_not_todays() {
    let catalogue = builtin_causes("opengauss").unwrap();
    for shell in SHELLS {
        for stage in ["cm_agent", "cm_server", "gaussdb"] {
            let node = node(stage);
            let before = marks(&node, shell);
            let cause = found(&node, shell, &catalogue, stage, &[("log_marks", &before)]);
            assert_eq!(cause, None, "{shell:?} {stage}");
            for code in ["OMM", "AGENT", "CMS", "DNERR"] {
                append(&node, code, HEALTHY);
            }
            assert_eq!(found(&node, shell, &catalogue, stage, &[("log_marks", &before)]), None, "{shell:?} {stage}");
        }
    }
}

/// Copied and cut to nothing (`system_call`), renamed and begun anew (the others).
#[test]
fn a_rotated_log_is_read_from_its_beginning() {
    let catalogue = builtin_causes("opengauss").unwrap();
    let full = "FATAL:  could not load pg_hba.conf\n";
    for shell in SHELLS {
        let cut = node("gaussdb");
        let before = marks(&cut, shell);
        fs::write(cut.path(log_of("DNERR").unwrap()), full).unwrap();
        let cause = found(&cut, shell, &catalogue, "gaussdb", &[("log_marks", &before)]).unwrap();
        assert_eq!(cause.id.as_deref(), Some("OG46"), "{shell:?}");
        let renamed = node("cm_server");
        let before = marks(&renamed, shell);
        let log = renamed.path(log_of("AGENT").unwrap());
        fs::rename(&log, log.with_file_name("cm_agent-2026-05-11_100000.log")).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        renamed.file(
            "log/cm/cm_agent/cm_agent-2026-05-12_100000-current.log",
            "LOG: g_cmsDiskDamage is 1, and g_cmsNicDown is 0, cannot start cms.\n",
        );
        let cause = found(&renamed, shell, &catalogue, "cm_server", &[("log_marks", &before)]).unwrap();
        assert_eq!(cause.id.as_deref(), Some("OG26"), "{shell:?}");
    }
}

/// Without a start there are no marks: the newest life of the program counts.
#[test]
fn a_diagnosis_reads_since_the_newest_start() {
    let catalogue = builtin_causes("opengauss").unwrap();
    let life = "2026-05-11 10:00:00.523 tid=21001 StartAndStop LOG: agent start and stop thread start, threadid 1.\n";
    for shell in SHELLS {
        let node = node("cm_server");
        append(&node, "AGENT", life);
        assert_eq!(found(&node, shell, &catalogue, "cm_server", &[]), None, "{shell:?}");
        append(&node, "AGENT", &samples()["OG23"]);
        let cause = found(&node, shell, &catalogue, "cm_server", &[]).unwrap();
        assert_eq!(cause.id.as_deref(), Some("OG23"), "{shell:?}");
    }
}

/// A log of 20 MB, lines without end and NUL blocks: what travels stays small.
#[test]
fn what_is_sent_is_bounded() {
    for shell in SHELLS {
        let node = node("gaussdb");
        let before = marks(&node, shell);
        append(&node, "DNERR", &"LOG:  redo\0 of a long line ".repeat(20_000));
        append(&node, "DNERR", &"\nLOG:  one more line\n".repeat(200_000));
        append(&node, "AGENT", &"\nLOG:  one more line\n".repeat(200_000));
        let log = node.name("log");
        let said = node.run(shell, EVIDENCE, &[("gausslog", &log), ("log_marks", &before)]).stdout;
        assert!(said.len() < 300_000, "{shell:?} {}", said.len());
        assert!(said.split(|byte| *byte == b'\n').all(|line| line.len() <= 601 && !line.contains(&0)), "{shell:?}");
    }
}

#[test]
fn a_crontab_without_the_line_and_no_cron() {
    alone(|| {
        let catalogue = builtin_causes("opengauss").unwrap();
        for shell in SHELLS {
            let node = Node::new();
            node.file("home/.bashrc", &format!("export GAUSSHOME={}\n", quote(&node.name("app"))));
            fs::create_dir(node.path("tools")).unwrap();
            node.file("tools/crontab", "#!/bin/sh\necho 'no crontab for omm' >&2; exit 1\n");
            node.mode("tools/crontab", 0o755);
            let path = format!("{}:/usr/bin:/bin", node.name("tools"));
            let cause = found(&node, shell, &catalogue, "om_monitor", &[("PATH", &path)]).unwrap();
            assert_eq!(cause.id.as_deref(), Some("OG05"), "{shell:?} {cause:?}");
            node.file("tools/crontab", "#!/bin/sh\necho '* * * * * nohup om_monitor -L x &'\n");
            let cause = found(&node, shell, &catalogue, "om_monitor", &[("PATH", &path)]).unwrap();
            assert_eq!(cause.id.as_deref(), Some("OG06"), "{shell:?} {cause:?}");
        }
    });
}

/// `GSCTL_BLESS=1` writes the page anew.
#[test]
fn the_page_of_causes_is_in_step() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/causes.md");
    let page = causes_page();
    if std::env::var_os("GSCTL_BLESS").is_some() {
        fs::write(path, &page).unwrap();
    }
    assert!(
        fs::read_to_string(path).unwrap_or_default() == page,
        "docs/causes.md is not what the rows say: GSCTL_BLESS=1"
    );
}
