//! `crsctl`: what it prints, word for word (oracle-measured.md 1, 2, 5).

use std::env;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, geteuid};

use crate::chinese;
use crate::grid::Grid;
use crate::stage::{STAGES, Stage, by_resource};
use crate::table;

const INTERVAL: Duration = Duration::from_millis(10);
/// How long a daemon has to end before it counts as one that does not.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a start waits for what it starts.
const START: Duration = Duration::from_secs(5);
pub(crate) const NO_OHAS: &str = "CRS-4639: Could not contact Oracle High Availability Services";
const STARTED: &str = "CRS-4123: Oracle High Availability Services has been started.\n";
const NOT_CONFIGURED: &str = "CRS-4047: No Oracle Clusterware components configured.\n";
/// The story of a start on a node that does not see enough voting files: the cause, then frames and notes.
const STORY: &str = "\
CRS-2672: Attempting to start 'ora.cssdmonitor' on 'kvm-19rac02'
CRS-2676: Start of 'ora.cssdmonitor' on 'kvm-19rac02' succeeded
CRS-1705: Found 1 configured voting files but 2 voting files are required, terminating to ensure data integrity; details at (:CSSNM00021:) in ocssd.trc
CRS-2883: Resource 'ora.cssd' failed during Clusterware stack start.
CRS-4406: Oracle High Availability Services synchronous start failed.
CRS-41053: checking Oracle Grid Infrastructure for file permission issues
PRVH-0116 : Path \"/u01/cmdllroot.sh\" with permissions \"rw-r--r--\" does not have execute permissions
PRVG-2031 : Owner of file \"/u01/cmdllroot.sh\" did not match the expected value on node \"kvm-19rac02\".
";
const PATCHED_BY_HALF: &str = "CRS-6706: Oracle Clusterware Release patch level ('3976270074') does not match Software patch level ('724960844'). Oracle Clusterware cannot be started.\n";

/// What was printed, and the exit status.
type Answer = (String, u8);

/// Does what the arguments say.
pub(crate) fn run(grid: &Grid) -> ExitCode {
    let conf = grid.conf();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let verb = words.first().copied().unwrap_or_default();
    if conf.check_says == "library" {
        let program = grid.bin("crsctl.bin");
        let library = "libhasgen19.so: cannot open shared object file: No such file or directory";
        let _ = writeln!(io::stderr(), "{}: error while loading shared libraries: {library}", program.display());
        return ExitCode::from(127);
    }
    if verb != "stop" && conf.hang.iter().any(|hangs| hangs == verb) {
        hang();
    }
    let (text, code) = if conf.restart { of_restart(grid, &words) } else { of_cluster(grid, &words) };
    say(grid, &text);
    ExitCode::from(code)
}

fn of_cluster(grid: &Grid, words: &[&str]) -> Answer {
    match words {
        ["check", "crs"] => check(grid, &["CRS", "CSS", "EVM"], true),
        ["check", "has"] => check(grid, &[], true),
        ["check", "css"] => check(grid, &["CSS"], false),
        ["config", "crs" | "has"] => config(grid),
        ["stat", "res", "-t", "-init"] => table::init(grid),
        ["stat", "res", "-t"] => needs_crsd(grid),
        ["start", "crs", ..] => start(grid),
        ["start", "cluster"] => start_cluster(grid),
        ["start", "res", resource, "-init"] => start_resource(grid, resource),
        ["stop", "crs", rest @ ..] => stop(grid, rest.contains(&"-f")),
        ["stop", "cluster"] => stop_cluster(grid),
        _ => unknown(),
    }
}

fn of_restart(grid: &Grid, words: &[&str]) -> Answer {
    match words {
        ["check", "has"] => check(grid, &[], true),
        ["check", "css"] => check(grid, &["CSS"], false),
        ["check", "evm"] => check(grid, &["EVM"], false),
        ["config", "has"] => config(grid),
        ["stat", "res", "-t"] => table::restart(grid),
        ["start", "has"] => start(grid),
        ["start", "resource", "-all"] => start_resource(grid, "ora.cssd"),
        ["stop", "has", rest @ ..] => stop(grid, rest.contains(&"-f")),
        ["check" | "start" | "stop" | "config", ..] => failed(NOT_CONFIGURED, capital(words[0])),
        _ => unknown(),
    }
}

fn unknown() -> Answer {
    ("CRS-10001: unknown command\n".to_owned(), 64)
}

/// `Check` of `check`.
fn capital(verb: &str) -> &'static str {
    match verb {
        "start" => "Start",
        "stop" => "Stop",
        "config" => "Configure",
        _ => "Check",
    }
}

/// What was said, and that the command failed.
pub(crate) fn failed(text: &str, verb: &str) -> Answer {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    (format!("{text}{end}CRS-4000: Command {verb} failed, or completed with errors.\n"), 1)
}

fn say(grid: &Grid, text: &str) {
    let text = if grid.conf().chinese { chinese::translate(text) } else { text.to_owned() };
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn hang() -> ! {
    loop {
        thread::park();
    }
}

pub(crate) fn ohas_runs(grid: &Grid) -> bool {
    grid.process("ohasd.bin").is_some()
}

fn check(grid: &Grid, services: &[&str], ohas: bool) -> Answer {
    let conf = grid.conf();
    let mut text = String::new();
    if conf.check_says == "4544" {
        return ("CRS-4544: Unable to connect to OHAS\n".to_owned(), 1);
    }
    if ohas {
        if !ohas_runs(grid) {
            return failed(NO_OHAS, "Check");
        }
        text.push_str("CRS-4638: Oracle High Availability Services is online\n");
    }
    let css = ohas_runs(grid) && grid.is_online("ocssd.bin");
    for service in services {
        let line = match *service {
            "CRS" if conf.check_says == "4692" => "CRS-4692: Cluster Ready Services is online in exclusive mode",
            "CRS" if css && grid.is_online("crsd.bin") => "CRS-4537: Cluster Ready Services is online",
            "CRS" => "CRS-4535: Cannot communicate with Cluster Ready Services",
            "CSS" if css => "CRS-4529: Cluster Synchronization Services is online",
            "CSS" => "CRS-4530: Communications failure contacting Cluster Synchronization Services daemon",
            // evmd has nothing to tell as long as cssd is not up.
            _ if (css || conf.restart) && grid.is_online("evmd.bin") => "CRS-4533: Event Manager is online",
            _ => "CRS-4534: Cannot communicate with Event Manager",
        };
        let _ = writeln!(text, "{line}");
    }
    (text, 0)
}

/// `stat res -t`: crsd's own resources.
fn needs_crsd(grid: &Grid) -> Answer {
    if grid.is_online("crsd.bin") {
        return (table::rows(grid, &[]), 0);
    }
    failed("CRS-4535: Cannot communicate with Cluster Ready Services", "Status")
}

fn config(grid: &Grid) -> Answer {
    let text = std::fs::read_to_string(grid.mark("ohasdstr")).unwrap_or_default();
    if text.trim() == "disable" {
        ("CRS-4621: Oracle High Availability Services autostart is disabled.\n".to_owned(), 0)
    } else {
        ("CRS-4622: Oracle High Availability Services autostart is enabled.\n".to_owned(), 0)
    }
}

/// A cluster is root's, Oracle Restart its owner's and not root's.
fn refusal(grid: &Grid, verb: &str) -> Option<Answer> {
    let conf = grid.conf();
    let owner = std::fs::metadata(grid.bin("oracle")).map_or(0, |file| file.uid());
    let wanted = if conf.restart { owner } else { 0 };
    (conf.needs_root && geteuid().as_raw() != wanted).then(|| {
        let (text, _) = failed("CRS-4563: Insufficient user privileges.", verb);
        (text, 4)
    })
}

fn start(grid: &Grid) -> Answer {
    if let Some(refusal) = refusal(grid, "Start") {
        return refusal;
    }
    if ohas_runs(grid) {
        return failed("CRS-4640: Oracle High Availability Services is already active", "Start");
    }
    match grid.conf().start_fails.as_str() {
        "" | "0" => {}
        "6706" => return failed(PATCHED_BY_HALF, "Start"),
        "1705" => return failed(STORY, "Start"),
        _ => return failed("CRS-4124: Oracle High Availability Services startup failed.", "Start"),
    }
    grid.drop_note("stopping");
    grid.drop_note("stack-unwanted");
    // init.ohasd, which looks at this every few seconds, would do the rest (facts 6.3).
    grid.set_mark("ohasdrun", "restart");
    let mut ohasd = Command::new(grid.bin("ohasd.bin"));
    ohasd.arg("reboot").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match ohasd.spawn() {
        Ok(mut child) => {
            // Until it is there, or has gone; its number is nobody else's while it is not reaped.
            while !ohas_runs(grid) && child.try_wait().is_ok_and(|status| status.is_none()) {
                thread::sleep(INTERVAL);
            }
            (STARTED.to_owned(), 0)
        }
        Err(error) => (format!("CRS-4124: Oracle High Availability Services startup failed.\n{error}\n"), 1),
    }
}

fn start_cluster(grid: &Grid) -> Answer {
    if let Some(refusal) = refusal(grid, "Start") {
        return refusal;
    }
    if !ohas_runs(grid) {
        return failed(NO_OHAS, "Start");
    }
    let host = Grid::host();
    if grid.is_online("ocssd.bin") && grid.is_online("crsd.bin") {
        // What is below the cluster is none of its business.
        return failed(&format!("CRS-4690: Oracle Clusterware is already running on '{host}'"), "Start");
    }
    grid.drop_note("stack-unwanted");
    start_resource(grid, "ora.crsd")
}

/// Has ohasd try again, and waits for a resource.
fn start_resource(grid: &Grid, resource: &str) -> Answer {
    if let Some(refusal) = refusal(grid, "Start") {
        return refusal;
    }
    if !ohas_runs(grid) {
        return failed(NO_OHAS, "Start");
    }
    grid.set_note("again", "");
    let host = Grid::host();
    let mut text = format!("CRS-2672: Attempting to start '{resource}' on '{host}'\n");
    let program = by_resource(resource).map_or("", |stage| stage.program);
    let began = Instant::now();
    while !grid.is_online(program) {
        if began.elapsed() > START {
            let _ = writeln!(text, "CRS-2674: Start of '{resource}' on '{host}' failed");
            let _ = writeln!(text, "CRS-2679: Attempting to clean '{resource}' on '{host}'");
            let _ = writeln!(text, "CRS-2681: Clean of '{resource}' on '{host}' succeeded");
            return failed(&text, "Start");
        }
        thread::sleep(INTERVAL);
    }
    let _ = writeln!(text, "CRS-2676: Start of '{resource}' on '{host}' succeeded");
    (text, 0)
}

fn stop(grid: &Grid, force: bool) -> Answer {
    if let Some(refusal) = refusal(grid, "Stop") {
        return refusal;
    }
    if !ohas_runs(grid) {
        return failed(NO_OHAS, "Stop");
    }
    if !force && !grid.conf().restart && !grid.is_online("crsd.bin") {
        let text = "CRS-2796: The command may not proceed when Cluster Ready Services is not running\n\
                    CRS-4687: Shutdown command has completed with errors.\n";
        return failed(text, "Stop");
    }
    let host = Grid::host();
    grid.set_note("stopping", "");
    if grid.conf().hang.iter().any(|hangs| hangs == "stop") {
        hang();
    }
    let managed = format!("Oracle High Availability Services-managed resources on '{host}'");
    let mut text = format!("CRS-2791: Starting shutdown of {managed}\n");
    for stage in STAGES.iter().rev() {
        if !stop_one(grid, stage, force, &mut text) {
            let resource = stage.resource;
            let _ = writeln!(
                text,
                "CRS-2675: Stop of '{resource}' on '{host}' failed\n\
                 CRS-2799: Failed to shut down resource '{resource}' on '{host}'\n\
                 CRS-2795: Shutdown of {managed} has failed\n\
                 CRS-4687: Shutdown command has completed with errors."
            );
            grid.drop_note("stopping");
            return failed(&text, "Stop");
        }
    }
    grid.set_mark("ohasdrun", "stop");
    grid.signal("ohasd.bin", Signal::TERM);
    while ohas_runs(grid) {
        thread::sleep(INTERVAL);
    }
    grid.drop_note("stopping");
    let _ = writeln!(text, "CRS-2793: Shutdown of {managed} has completed");
    let _ = writeln!(text, "CRS-4133: Oracle High Availability Services has been stopped.");
    (text, 0)
}

fn stop_cluster(grid: &Grid) -> Answer {
    if let Some(refusal) = refusal(grid, "Stop") {
        return refusal;
    }
    grid.set_note("stack-unwanted", "");
    let mut text = String::new();
    for stage in STAGES.iter().rev().filter(|stage| stage.stack) {
        if !stop_one(grid, stage, false, &mut text) {
            return failed(&text, "Stop");
        }
    }
    (text, 0)
}

/// Stops one daemon, and says so where it is a resource.
fn stop_one(grid: &Grid, stage: &Stage, force: bool, text: &mut String) -> bool {
    let host = Grid::host();
    let Stage { program, resource, .. } = stage;
    if grid.process(program).is_none() {
        return true;
    }
    if !resource.is_empty() {
        let _ = writeln!(text, "CRS-2673: Attempting to stop '{resource}' on '{host}'");
    }
    grid.signal(program, Signal::TERM);
    let began = Instant::now();
    while grid.process(program).is_some() {
        if began.elapsed() > PATIENCE {
            if !force {
                return false;
            }
            grid.signal(program, Signal::KILL);
        }
        thread::sleep(INTERVAL);
    }
    if !resource.is_empty() {
        let _ = writeln!(text, "CRS-2677: Stop of '{resource}' on '{host}' succeeded");
    }
    true
}
