//! `oracle-rac` from outside: the built-in playbooks against two nodes with a stand-in for Grid Infrastructure.
//!
//! What a run says is held against the process tables of the nodes.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::gsctl::{Gsctl, Run};
use crate::lab::oracle::{CHAIN, Grid, install};
use crate::lab::{Lab, faults, wait};

/// Two nodes on which root logs in, as crsctl wants it.
fn lab() -> Lab {
    nodes(2)
}

fn nodes(count: usize) -> Lab {
    let builder = Lab::builder().nodes(count);
    if rustix::process::geteuid().is_root() { builder.login("root").start() } else { builder.start() }
}

/// `gsctl VERB --system oracle-rac` with the report on stdout.
fn gsctl(lab: &Lab, verb: &str) -> Gsctl {
    gsctl_with(lab, verb, "")
}

/// Its report, and what it says to a person.
#[track_caller]
fn told(lab: &Lab, verb: &str, args: &[&str], status: i32) -> (Run, String) {
    let file = lab.dir().join("report.json");
    let run = command(lab, verb, "").arg("--json").arg(&file).args(args).run().expect(status);
    let words = format!("{}\n{}", run.text(), run.stderr);
    let mut report = run;
    report.stdout = std::fs::read(file).expect("the report is there");
    (report, words)
}

/// The same, with more lines in the hosts file.
fn gsctl_with(lab: &Lab, verb: &str, more: &str) -> Gsctl {
    command(lab, verb, more).args(["--json", "-"])
}

fn command(lab: &Lab, verb: &str, more: &str) -> Gsctl {
    let mut text = String::new();
    for node in lab.nodes() {
        let line = lab.hosts_line(node.name(), node.address());
        text += &format!("{} olr_loc={}/etc/oracle/olr.loc\n", line.trim_end(), node.base().display());
    }
    let hosts = lab.write_hosts_file(&(text + more));
    let gsctl = lab.gsctl().hosts_file(hosts).arg(verb).args(["--system", "oracle-rac"]);
    // Whoever is not root has a sudo that does nothing.
    if lab.is_private() || verb == "status" { gsctl } else { gsctl.args(["--var", "sudo=sudo"]) }
}

/// A host of the report, counted from 1.
#[track_caller]
fn host(run: &Run, number: usize) -> Value {
    run.json()["hosts"][number - 1].clone()
}

#[track_caller]
fn has(run: &Run, number: usize, want: &[(&str, &str)]) {
    let host = host(run, number);
    for (fact, value) in want {
        assert_eq!(host["facts"][fact], *value, "{fact} of node{number}\n{run}");
    }
}

/// The name of the first stage that is not up, and what its fact says.
#[track_caller]
fn first_missing(run: &Run, number: usize) -> Option<(String, String)> {
    let host = host(run, number);
    let chain = host["chain"].as_array().unwrap_or_else(|| panic!("no chain\n{run}"));
    let stage = chain.iter().find(|stage| stage["up"] == false)?;
    let text = |key: &str| stage[key].as_str().unwrap_or_default().to_owned();
    Some((text("stage"), text("value")))
}

/// What a host's report says under a key.
#[track_caller]
fn says(run: &Run, number: usize, key: &str, part: &str) {
    let host = host(run, number);
    let text = host[key].as_str().unwrap_or_default();
    assert!(text.contains(part), "node{number}: no `{part}` in {key} `{text}`\n{run}");
}

/// What became of a step on a host.
#[track_caller]
fn step(run: &Run, number: usize, name: &str) -> String {
    let host = host(run, number);
    let steps = host["steps"].as_array().unwrap_or_else(|| panic!("no steps\n{run}"));
    let step = steps.iter().find(|step| step["name"] == name);
    step.and_then(|step| step["outcome"].as_str()).unwrap_or("absent").to_owned()
}

/// That all of a host's chain was seen up.
#[track_caller]
fn whole_chain_up(run: &Run, number: usize) {
    let host = host(run, number);
    let chain = host["chain"].as_array().unwrap_or_else(|| panic!("no chain\n{run}"));
    assert!(chain.len() > CHAIN.len() && chain.iter().all(|stage| stage["up"] == true), "node{number}\n{run}");
}

#[track_caller]
fn all_up(grid: &Grid, number: usize) {
    for (stage, _) in CHAIN {
        assert!(grid.is_running(number, stage), "{stage} does not run on node{number}\n{}", grid.census());
    }
}

#[track_caller]
fn all_down(grid: &Grid, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        assert!(grid.all_running(number).is_empty(), "node{number} is not down\n{}", grid.census());
    }
}

const START: &str = "start Oracle High Availability Services";

#[test]
fn from_stopped_to_up_and_down_again() {
    let lab = lab();
    let grid = install(&lab);
    // Another release, in another language.
    grid.fault(2, "version", "11.2");
    grid.fault(2, "chinese", "1");
    let (down, words) = told(&lab, "status", &[], 0);
    assert!(words.contains("crsctl check crs says: CRS-4639"), "{words}");
    // Where it is, and who says so.
    let home = format!("{base}/grid ({base}/etc/oracle/olr.loc)", base = lab.node(1).base().display());
    assert!(words.contains(&home), "{words}");
    for number in [1, 2] {
        has(&down, number, &[("state", "down"), ("daemons", "0"), ("ohasdrun", "stop"), ("autostart", "enabled")]);
        assert_eq!(first_missing(&down, number), Some(("ohasd".to_owned(), "none".to_owned())), "{down}");
    }
    all_down(&grid, [1, 2]);

    // Autostart has to do with the next boot only.
    lab.node(2).write(grid.mark(lab.node(2), "ohasdstr"), "disable\n");
    let up = gsctl(&lab, "start").args(["--wait", "60s"]).run().expect(0);
    for number in [1, 2] {
        all_up(&grid, number);
        whole_chain_up(&up, number);
        has(&up, number, &[("state", "running"), ("check_crs", "online")]);
        assert_eq!(host(&up, number)["changed"], true, "{up}");
        assert_eq!(lab.node(number).text(grid.mark(lab.node(number), "ohasdrun")), "reboot\n");
    }

    let before: Vec<_> = grid.all_running(1).iter().map(|process| process.pid).collect();
    let again = gsctl(&lab, "start").run().expect(0);
    let after: Vec<_> = grid.all_running(1).iter().map(|process| process.pid).collect();
    assert_eq!(before, after, "a second start touched something\n{again}");
    assert_eq!(step(&again, 1, START), "skipped", "{again}");
    assert_eq!(host(&again, 1)["changed"], false, "{again}");
    assert_eq!(again.json()["counts"]["ok"], 2, "{again}");

    // For people: a row for each node.
    let olr_loc = format!("olr_loc={}/etc/oracle/olr.loc", lab.node(1).base().display());
    if lab.is_private() {
        let run = lab.gsctl().args(["status", "--system", "oracle-rac", "--var", &olr_loc]).run().expect(0);
        for number in [1, 2] {
            let row = format!("node{number} running");
            let words = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            assert_eq!(run.text().lines().filter(|line| words(line) == row).count(), 1, "{run}");
        }
    }

    let status = gsctl(&lab, "status").run().expect(0);
    let online = [
        ("state", "running"),
        ("check_crs", "online"),
        ("kind", "cluster"),
        ("res_ora_cssd", "ONLINE"),
        ("res_ora_diskmon", "OFFLINE"),
        ("not_online", ""),
        ("asm_instance", "+ASM1"),
        ("listener_names", "LISTENER"),
    ];
    has(&status, 1, &online);
    has(&status, 2, &online);
    has(&status, 1, &[("res_ora_asm_details", "Started,STABLE"), ("res_ora_ctssd_details", "ACTIVE:0,STABLE")]);
    has(&status, 2, &[("res_ora_asm_details", "Started"), ("res_ora_ctssd_details", "ACTIVE:0")]);
    // 11.2 has no ora.storage, and keeps its logs in the grid home.
    has(&status, 1, &[("storage", "running")]);
    has(&status, 2, &[("storage", "unneeded")]);
    for (number, file) in [(1, "oracle/diag/crs/*/crs/trace/ocssd.trc"), (2, "grid/log/*/cssd/ocssd.log")] {
        let trace = format!("{}/{file}", lab.node(number).base().display());
        has(&status, number, &[("cssd_trace", &trace)]);
    }
    has(&status, 2, &[("autostart", "disabled")]);
    assert_eq!(first_missing(&status, 1), None, "{status}");

    let stopped = gsctl(&lab, "stop").run().expect(0);
    all_down(&grid, [1, 2]);
    assert_eq!(first_missing(&stopped, 2), None, "{stopped}");
    assert_eq!(lab.node(1).text(grid.mark(lab.node(1), "ohasdrun")), "stop\n");
    gsctl(&lab, "stop").run().expect(0);
}

#[test]
fn each_stage_that_never_comes() {
    // Node 1 is fine; of each of the others one stage never comes.
    let lab = nodes(1 + CHAIN.len());
    let grid = install(&lab);
    for (index, (_, program)) in CHAIN.into_iter().enumerate() {
        grid.fault(2 + index, "never", program);
    }
    let (run, _) = told(&lab, "start", &["--wait", "25s", "--var", "given_up_after=4"], 5);
    // The nodes that fail end nobody's wait.
    assert_eq!(host(&run, 1)["outcome"], "changed", "{run}");
    whole_chain_up(&run, 1);
    all_up(&grid, 1);
    for (index, (stage, _)) in CHAIN.into_iter().enumerate() {
        let number = 2 + index;
        assert_eq!(first_missing(&run, number), Some((stage.to_owned(), "none".to_owned())), "{stage}\n{run}");
        assert_eq!(step(&run, number, START), "changed", "{stage}\n{run}");
        match stage {
            // crsctl says that it was started; nobody has a table to ask then.
            "ohasd" => says(&run, number, "hint", "OLR"),
            // crsd's own resources are not ohasd's.
            "listeners" => says(&run, number, "hint", "VIP"),
            _ => {
                says(&run, number, "error", &format!("ohasd starts ora.{stage} no more"));
                says(&run, number, "hint", "`crsctl start cluster` as root");
                says(&run, number, "stdout", &format!("ora.{stage}"));
            }
        }
        assert!(!grid.is_running(number, stage), "{}", grid.census());
    }
    // Who is given up has the hint of that; a look has those of the stages.
    let (_, words) = told(&lab, "status", &["--var", "given_up_after=1"], 0);
    for hint in
        ["GPnP profile", "interconnect", "multicast", "orarootagent", "voting disks", "needs cssd", "spfile", "OCR"]
    {
        assert!(words.contains(hint), "{hint}\n{words}");
    }
}

#[test]
fn daemons_that_run_and_are_of_no_use() {
    let lab = lab();
    let grid = install(&lab);
    grid.crsctl(1, "start crs");
    for (program, last, stage, hint, evidence, id) in [
        ("ocssd.bin", "cssd", "cssd", "discovery string", "CRS-1714: Unable to discover any voting files", "OR10"),
        ("crsd.bin", "crsd", "crsd", "ocrcheck", "CRS-1019: The OCR Service exited", "OR26"),
    ] {
        lab.node(2)
            .write("grid/trouble-crsd.bin", "CRS-1019: The OCR Service exited on host node1. Details in crsd.trc.\n");
        grid.fault(2, "hollow", program);
        grid.crsctl(2, "start crs");
        for (number, last) in [(1, "listeners"), (2, last)] {
            wait::until(&format!("{last} on node{number}"), || grid.is_running(number, last));
        }
        let run = gsctl(&lab, "start").args(["--wait", "1s"]).run().expect(5);
        assert_eq!(first_missing(&run, 2), Some((stage.to_owned(), "starting".to_owned())), "{run}");
        says(&run, 2, "hint", hint);
        says(&run, 2, "stdout", evidence);
        assert_eq!(host(&run, 2)["cause"]["id"], id, "{run}");
        // A diagnosis changes nothing, and says the same.
        let run = gsctl(&lab, "diagnose").run().expect(5);
        assert_eq!(
            (&host(&run, 2)["cause"]["id"], &host(&run, 2)["cause"]["stage"]),
            (&id.into(), &stage.into()),
            "{run}"
        );
        assert!(host(&run, 1)["cause"].is_null(), "{run}");
        // What is under way goes on by itself once the cause is gone.
        grid.heal(2, "hollow");
        gsctl(&lab, "start").args(["--wait", "60s"]).run().expect(0);
        all_up(&grid, 2);
        grid.kill(2);
    }

    // All processes are there, which is not enough.
    grid.fault(2, "hollow", "evmd.bin");
    grid.crsctl(2, "start crs");
    wait::until("all runs", || CHAIN.iter().all(|(stage, _)| grid.is_running(2, stage)));
    let run = gsctl(&lab, "start").args(["--wait", "1s"]).run().expect(5);
    assert_eq!(first_missing(&run, 2), Some(("evmd".to_owned(), "starting".to_owned())), "{run}");
    says(&run, 2, "hint", "evmd.trc");
    let status = gsctl(&lab, "status").run().expect(0);
    has(&status, 2, &[("evm", "offline"), ("crs", "online"), ("not_online", "ora.evmd (STARTING)")]);
    grid.heal(2, "hollow");
    gsctl(&lab, "start").args(["--wait", "60s"]).run().expect(0);
}

/// What crsctl says where it does not say online, and what to do about it.
#[test]
fn a_stack_that_runs_and_crsctl_that_does_not_say_so() {
    let lab = lab();
    let grid = install(&lab);
    grid.start_up_to("listeners");
    for (said, value, words, way) in [
        ("4692", "not online: crs", "CRS-4692: Cluster Ready Services is online in exclusive mode", "-excl"),
        ("4544", "not online: has, crs, css, evm", "CRS-4544: Unable to connect to OHAS", "/var/tmp/.oracle"),
        ("library", "crsctl fails", "libhasgen19.so: cannot open shared object file", "LD_LIBRARY_PATH"),
    ] {
        grid.fault(2, "check_says", said);
        let (status, shown) = told(&lab, "status", &[], 0);
        has(&status, 2, &[("check_crs", value), ("crsd", "running")]);
        for part in [words, way] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        // All runs all the same.
        assert!(
            !["down", "not-installed"].contains(&host(&status, 2)["facts"]["state"].as_str().unwrap_or_default()),
            "{status}"
        );
        if said == "4692" {
            let run = gsctl(&lab, "start").args(["--wait", "4s"]).run().expect(5);
            says(&run, 2, "error", &format!("check_crs is {value}"));
            says(&run, 2, "hint", words);
            says(&run, 2, "hint", way);
        }
    }
}

#[test]
fn a_daemon_that_ohasd_has_given_up_is_started_again() {
    let lab = lab();
    let grid = install(&lab);
    grid.start_up_to("listeners");
    // A daemon that died, and nobody starts it again: `start crs` would only say that ohasd is active.
    let quickly = ["--var", "given_up_after=2"];
    grid.fault(2, "gives_up", "crsd.bin");
    grid.running(2, "crsd.bin").iter().for_each(|process| process.kill(Signal::KILL));
    wait::until("crsd is gone", || !grid.is_running(2, "crsd"));
    let (status, words) = told(&lab, "status", &quickly, 0);
    has(&status, 2, &[("state", "given-up"), ("missing_resource", "ora.crsd"), ("check_crs", "not online: crs")]);
    assert!(words.contains("`crsctl start cluster` as root"), "{words}");
    let run = gsctl(&lab, "start").args(quickly).args(["--wait", "60s"]).run().expect(0);
    assert_eq!((step(&run, 1, START), step(&run, 2, START)), ("skipped".to_owned(), "changed".to_owned()), "{run}");
    all_up(&grid, 2);

    // It does not come back: crsctl's own word is the reason, and the other node is asked to the end.
    grid.fault(2, "never", "crsd.bin");
    grid.running(2, "crsd.bin").iter().for_each(|process| process.kill(Signal::KILL));
    let run = gsctl(&lab, "start").args(quickly).args(["--wait", "60s"]).run().expect(5);
    says(&run, 2, "error", "CRS-2674: Start of 'ora.crsd'");
    says(&run, 2, "stdout", "wanted and not ONLINE: ora.crsd (STABLE)");
    assert_eq!(host(&run, 1)["outcome"], "ok", "{run}");
    whole_chain_up(&run, 1);
    grid.heal(2, "never");
    grid.heal(2, "gives_up");
    gsctl(&lab, "start").args(quickly).args(["--wait", "60s"]).run().expect(0);
}

#[test]
fn a_daemon_that_dies_until_ohasd_has_had_enough_of_it() {
    let lab = lab();
    let grid = install(&lab);
    grid.crsctl(1, "start crs");
    wait::until("node1 is up", || grid.is_running(1, "listeners"));
    let quickly = ["--var", "given_up_after=2"];
    grid.fault(2, "dies", "crsd.bin");
    let run = gsctl(&lab, "start").args(["--wait", "60s", "--var", "given_up_after=4"]).run().expect(5);
    says(&run, 2, "error", "ohasd starts ora.crsd no more");
    says(&run, 2, "stdout", "CRS-2771");
    assert_eq!(host(&run, 1)["outcome"], "ok", "{run}");
    grid.heal(2, "dies");
    gsctl(&lab, "start").args(quickly).args(["--wait", "60s"]).run().expect(0);
    all_up(&grid, 2);
}

#[test]
fn what_is_left_below_or_above_ohasd_is_started_again() {
    let lab = lab();
    let grid = install(&lab);
    grid.start_up_to("listeners");
    // ohasd died, and left the others: the new one takes them over.
    grid.running(2, "ohasd.bin").iter().for_each(|process| process.kill(Signal::KILL));
    wait::until("ohasd is gone", || !grid.is_running(2, "ohasd"));
    let cssd: Vec<_> = grid.running(2, "ocssd.bin").iter().map(|process| process.pid).collect();
    has(&gsctl(&lab, "status").run().expect(0), 2, &[("state", "partial"), ("cssd", "running")]);
    let run = gsctl(&lab, "start").args(["--wait", "60s"]).run().expect(0);
    assert_eq!((step(&run, 1, START), step(&run, 2, START)), ("skipped".to_owned(), "changed".to_owned()), "{run}");
    all_up(&grid, 2);
    assert_eq!(grid.running(2, "ocssd.bin").iter().map(|process| process.pid).collect::<Vec<_>>(), cssd);

    // crsctl stop cluster leaves ohasd, so that crsctl start crs alone would do nothing.
    grid.crsctl(2, "stop cluster");
    assert!(grid.is_running(2, "ohasd") && !grid.is_running(2, "cssd"), "{}", grid.census());
    has(&gsctl(&lab, "status").run().expect(0), 2, &[("state", "stack-stopped"), ("res_ora_cssd_target", "OFFLINE")]);
    // Without crsd crsctl stops nothing but by force.
    let (run, words) = told(&lab, "stop", &[], 5);
    says(&run, 2, "error", "CRS-2796: The command may not proceed when Cluster Ready Services is not running");
    says(&run, 2, "hint", "--mode immediate");
    assert!(!words.contains("octssd.trc") && !words.contains("evmd.trc"), "the hint of a stage\n{words}");
    all_down(&grid, [1]);
    gsctl(&lab, "start").args(["--wait", "60s"]).run().expect(0);
    all_up(&grid, 2);
}

#[test]
fn an_olr_that_is_missing_and_crsctl_that_fails() {
    let lab = lab();
    let grid = install(&lab);
    let olr = lab.node(2).text("etc/oracle/olr.loc");
    lab.node(2).remove(Path::new("grid/cdata").join("node2.olr"));
    // crsctl says that it was started, as it only asks init.ohasd to.
    let run = gsctl(&lab, "start").args(["--wait", "60s"]).run().expect(5);
    assert_eq!(step(&run, 2, START), "changed", "{run}");
    says(&run, 2, "error", "ohasd does not run, and the OLR is missing");
    says(&run, 2, "hint", "ocrconfig -local -restore");
    says(&run, 2, "stdout", "CRS-0704");
    has(&run, 2, &[("olr", "missing"), ("ohasd", "none")]);
    all_up(&grid, 1);
    lab.node(2).write("grid/cdata/node2.olr", olr);

    for (said, words, way) in [
        ("1", "CRS-4124: Oracle High Availability Services startup failed.", "ohasd.trc"),
        ("6706", "CRS-6706: Oracle Clusterware Release patch level", "rootcrs.sh -unlock, clscfg -localpatch"),
        ("1705", "CRS-1705: Found 1 configured voting files but 2 voting files are required", "voting files"),
    ] {
        grid.fault(2, "start_fails", said);
        let run = gsctl(&lab, "start").run().expect(5);
        assert_eq!(step(&run, 2, START), "failed", "{run}");
        says(&run, 2, "error", words);
        says(&run, 2, "hint", way);
        assert_eq!(host(&run, 1)["outcome"], "ok", "{run}");
        all_down(&grid, [2]);
    }
}

#[test]
fn crsctl_that_hangs() {
    let lab = lab();
    let grid = install(&lab);
    // It ends with --wait, and ends nobody else's wait.
    grid.fault(2, "hang", "start");
    let run = gsctl(&lab, "start").args(["--wait", "10s"]).run().expect(3);
    assert_eq!(host(&run, 2)["outcome"], "timed_out", "{run}");
    says(&run, 2, "error", "no end within 10s");
    says(&run, 2, "hint", "ohasd.trc");
    says(&run, 2, "stdout", "CRS-4639");
    whole_chain_up(&run, 1);
    all_up(&grid, 1);
    wait::until("the hanging crsctl was killed", || grid.running(2, "crsctl").is_empty());
    all_down(&grid, [2]);

    // One that answers nobody must not make a stack look down, nor up.
    grid.heal(2, "hang");
    gsctl(&lab, "start").args(["--wait", "60s"]).run().expect(0);
    grid.fault(2, "hang", "check,stat");
    let quickly = ["--var", "crsctl_timeout=1"];
    let status = gsctl(&lab, "status").args(quickly).run().expect(0);
    has(&status, 2, &[("check_crs", "no answer"), ("state", "partial"), ("crsd", "running")]);
    let run = gsctl(&lab, "start").args(quickly).args(["--wait", "6s"]).run().expect(5);
    says(&run, 2, "error", "check_crs is no answer");
}

#[test]
fn a_stop_that_does_not_succeed() {
    let lab = lab();
    let grid = install(&lab);
    grid.start_up_to("listeners");
    grid.fault(2, "stuck", "crsd.bin");
    let run = gsctl(&lab, "stop").run().expect(5);
    says(&run, 2, "stdout", "CRS-2799: Failed to shut down resource 'ora.crsd'");
    says(&run, 2, "error", "CRS-2675: Stop of 'ora.crsd' on");
    says(&run, 2, "hint", "--mode immediate");
    all_down(&grid, [1]);
    assert!(grid.is_running(2, "crsd") && grid.is_running(2, "ohasd"), "{}", grid.census());
    gsctl(&lab, "stop").args(["--mode", "immediate"]).run().expect(0);
    all_down(&grid, [1, 2]);

    // One that hangs: it ends when the time is over, and the node is known to be stopping.
    grid.heal(2, "stuck");
    grid.fault(2, "hang", "stop");
    grid.start_up_to("listeners");
    let run = gsctl(&lab, "stop").args(["--wait", "3s"]).run().expect(3);
    assert_eq!(host(&run, 2)["outcome"], "timed_out", "{run}");
    wait::until("the hanging crsctl was killed", || grid.running(2, "crsctl").is_empty());
    has(&gsctl(&lab, "status").run().expect(0), 2, &[("state", "stopping"), ("ohasd", "running")]);
    let run = gsctl(&lab, "start").run().expect(7);
    says(&run, 2, "error", "the node is still stopping");
    all_down(&grid, [1]);

    // Killed, ohasd leaves the others, which crsctl then can't stop.
    grid.heal(2, "hang");
    grid.running(2, "ohasd.bin").iter().for_each(|process| process.kill(Signal::KILL));
    wait::until("ohasd is gone", || !grid.is_running(2, "ohasd"));
    let run = gsctl(&lab, "stop").args(["--wait", "1s"]).run().expect(5);
    assert_eq!(first_missing(&run, 2), Some(("listeners gone".to_owned(), "running".to_owned())), "{run}");
}

#[test]
fn refusals_change_nothing() {
    let lab = lab();
    let grid = install(&lab);
    let olr_loc = lab.node(2).text("etc/oracle/olr.loc");
    lab.node(2).remove("etc/oracle/olr.loc");
    for verb in ["start", "stop"] {
        let run = gsctl(&lab, verb).run().expect(7);
        says(&run, 2, "error", "there is no Grid Infrastructure on this node");
        says(&run, 2, "hint", "olr.loc");
    }
    has(&gsctl(&lab, "status").run().expect(0), 2, &[("state", "not-installed")]);
    all_down(&grid, [1, 2]);
    // Told where it is, it needs no olr.loc.
    let home = format!("grid_home={}/grid", lab.node(2).base().display());
    let status = gsctl(&lab, "status").args(["--var", &home]).run().expect(0);
    has(&status, 2, &[("state", "down")]);
    lab.node(2).write("etc/oracle/olr.loc", olr_loc);

    let closed = faults::closed_port();
    let line = lab.hosts_line("node3", closed.address());
    let start = || gsctl_with(&lab, "start", &line).args(["--connect-attempts", "1"]);
    let refused = start().run().expect(7);
    assert_eq!(host(&refused, 3)["outcome"], "unreachable", "{refused}");
    all_down(&grid, [1, 2]);
    let status = gsctl_with(&lab, "status", &line).args(["--connect-attempts", "1"]).run().expect(4);
    has(&status, 1, &[("state", "down")]);
    let run = start().args(["--allow-unreachable", "1", "--wait", "60s"]).run().expect(4);
    assert_eq!(host(&run, 1)["outcome"], "changed", "{run}");
    all_up(&grid, 1);
    all_up(&grid, 2);
    // A node that can't be looked at is never called stopped.
    let run = gsctl_with(&lab, "stop", &line).args(["--connect-attempts", "1"]).run().expect(7);
    assert_eq!(host(&run, 3)["outcome"], "unreachable", "{run}");
    all_up(&grid, 1);
}

#[test]
fn somebody_who_is_not_root() {
    crate::lab::need_root();
    let lab = Lab::builder().nodes(2).start();
    let grid = install(&lab);
    let run = gsctl(&lab, "start").run().expect(7);
    says(&run, 1, "error", "crsctl start crs needs root, and omm is not");
    says(&run, 1, "hint", "sudo=sudo");
    // Nor is asking for sudo enough; who did is not told to.
    let run = gsctl(&lab, "start").args(["--var", "sudo=sudo"]).run().expect(7);
    says(&run, 1, "error", "sudo does not let omm be it without a password");
    says(&run, 1, "hint", "sudo -l");
    all_down(&grid, [1, 2]);

    grid.start_up_to("listeners");
    // Another user's daemons are seen all the same, so there is nothing to do and nothing to refuse.
    let run = gsctl(&lab, "start").run().expect(0);
    has(&run, 1, &[("state", "running"), ("asm", "running"), ("root", "no")]);
    let run = gsctl(&lab, "stop").run().expect(7);
    assert_eq!(host(&run, 2)["error"], "crsctl stop crs needs root, and omm is not", "{run}");
    all_up(&grid, 2);
    processes_that_are_hidden(&lab, &grid);

    grid.install_sudo();
    gsctl(&lab, "stop").args(["--var", "sudo=sudo"]).run().expect(0);
    all_down(&grid, [1, 2]);
    gsctl(&lab, "start").args(["--var", "sudo=sudo", "--wait", "60s"]).run().expect(0);
    all_up(&grid, 1);
    all_up(&grid, 2);

    lab.node(2).sh(&format!("chmod 700 {base}/grid && chown root {base}/grid", base = lab.node(2).base().display()));
    let run = gsctl(&lab, "start").run().expect(7);
    says(&run, 2, "error", "the login user may not look into the grid home");
}

/// With hidepid nobody but root sees the daemons; that does not make them absent.
fn processes_that_are_hidden(lab: &Lab, grid: &Grid) {
    lab.node(2).sh("mount -o remount,hidepid=2 /proc");
    let (status, words) = told(lab, "status", &[], 0);
    has(&status, 1, &[("processes", "visible"), ("state", "running")]);
    has(&status, 2, &[("processes", "hidden"), ("state", "running"), ("ohasd", "running"), ("crsd", "running")]);
    assert!(words.contains("processes are hidden"), "{words}");
    let run = gsctl(lab, "start").run().expect(7);
    says(&run, 2, "error", "hides other users' processes (hidepid)");
    // Nothing runs, and nobody can know.
    grid.kill(2);
    let status = gsctl(lab, "status").run().expect(0);
    has(&status, 2, &[("state", "unknown"), ("ohasd", "hidden"), ("check_crs", "not online: has, crs, css, evm")]);
    lab.node(2).sh("mount -o remount,hidepid=0 /proc");
    grid.crsctl(2, "start crs");
    wait::until("node2 is up again", || grid.is_running(2, "listeners"));
}

#[test]
fn oracle_restart_as_its_owner() {
    oracle_restart("omm");
}

#[test]
fn oracle_restart_as_root() {
    oracle_restart("root");
}

fn oracle_restart(login: &str) {
    if !rustix::process::geteuid().is_root() {
        // The grid home belongs to a user, and there is only one.
        return;
    }
    let lab = Lab::builder().nodes(2).login(login).start();
    let grid = install(&lab);
    // Node 1 is of a cluster, and runs.
    grid.crsctl(1, "start crs");
    wait::until("node1 is up", || grid.is_running(1, "listeners"));
    grid.make_restart(2, "omm");
    let restart = [("kind", "restart"), ("crsctl_object", "has"), ("needs_user", "omm")];
    let status = gsctl(&lab, "status").run().expect(0);
    has(&status, 1, &[("kind", "cluster"), ("state", "running")]);
    has(&status, 2, &restart);
    has(&status, 2, &[("state", "down"), ("crsd", "unneeded"), ("autostart", "enabled"), ("ohasdrun", "stop")]);
    let run = gsctl(&lab, "start").args(["--wait", "60s"]).run().expect(0);
    assert_eq!((step(&run, 1, START), step(&run, 2, START)), ("skipped".to_owned(), "changed".to_owned()), "{run}");
    whole_chain_up(&run, 2);
    let status = gsctl(&lab, "status").run().expect(0);
    has(&status, 2, &restart);
    has(
        &status,
        2,
        &[("state", "running"), ("check_crs", "online"), ("crs", "unneeded"), ("cssd", "running"), ("asm", "running")],
    );
    let pid = grid.running(2, "ohasd.bin")[0].pid;
    let owner = std::fs::metadata(format!("/proc/{pid}")).expect("it runs").uid();
    assert_ne!(owner, 0, "ohasd is not its owner's\n{}", grid.census());

    // css is down, and nobody starts it.
    grid.fault(2, "gives_up", "ocssd.bin");
    grid.running(2, "ocssd.bin").iter().for_each(|process| process.kill(Signal::KILL));
    wait::until("cssd is gone", || !grid.is_running(2, "cssd"));
    let status = gsctl(&lab, "status").args(["--var", "given_up_after=2"]).run().expect(0);
    has(&status, 2, &[("state", "given-up"), ("missing_resource", "ora.cssd"), ("check_crs", "not online: css")]);
    gsctl(&lab, "start").args(["--wait", "60s", "--var", "given_up_after=2"]).run().expect(0);
    assert!(grid.is_running(2, "cssd"), "{}", grid.census());

    // A cluster is not omm's to stop.
    let run = gsctl(&lab, "stop").args(["-w", "node2"]).run().expect(0);
    all_down(&grid, [2]);
    assert_eq!(first_missing(&run, 1), None, "{run}");
}
