//! `crsctl`: what it prints, word for word (facts 6.1).

use std::env;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, geteuid};

use crate::grid::Grid;
use crate::stage::{STAGES, Stage};

const INTERVAL: Duration = Duration::from_millis(10);
/// How long a daemon has to end before it counts as one that does not.
const PATIENCE: Duration = Duration::from_secs(1);
const NO_OHAS: &str = "CRS-4639: Could not contact Oracle High Availability Services";
/// Resources that no daemon of ours stands for, and the one that they follow.
const FOLLOWERS: [(&str, &str); 3] =
    [("ora.cluster_interconnect.haip", "ora.cssd"), ("ora.drivers.acfs", "ora.gpnpd"), ("ora.storage", "ora.asm")];

/// Does what the arguments say.
pub(crate) fn run(grid: &Grid) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let verb = words.first().copied().unwrap_or_default();
    if verb != "stop" && grid.conf().hang.iter().any(|hangs| hangs == verb) {
        hang();
    }
    let (text, code) = match words.as_slice() {
        ["check", "crs"] => check(grid, &["CRS", "CSS", "EVM"], true),
        ["check", "css"] => check(grid, &["CSS"], false),
        ["config", "crs" | "has"] => config(grid),
        ["stat", "res", "-t", "-init"] => table(grid),
        ["stat", "res", resource, "-init"] => one(grid, resource),
        ["start", "crs", ..] => start(grid),
        ["start", "cluster"] => start_cluster(grid),
        ["stop", "crs", rest @ ..] => return stop(grid, rest.contains(&"-f")),
        ["stop", "cluster"] => return stop_cluster(grid),
        _ => ("CRS-10001: unknown command\n".to_owned(), 64),
    };
    say(&text);
    ExitCode::from(code)
}

fn say(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn hang() -> ! {
    loop {
        thread::park();
    }
}

fn ohas_runs(grid: &Grid) -> bool {
    grid.process("ohasd.bin").is_some()
}

fn check(grid: &Grid, services: &[&str], ohas: bool) -> (String, u8) {
    let mut text = String::new();
    if ohas {
        if !ohas_runs(grid) {
            return (format!("{NO_OHAS}\n"), 1);
        }
        text.push_str("CRS-4638: Oracle High Availability Services is online\n");
    }
    let up = ohas_runs(grid);
    for service in services {
        let line = match (*service, up) {
            ("CRS", true) if grid.is_online("crsd.bin") => "CRS-4537: Cluster Ready Services is online",
            ("CRS", _) => "CRS-4535: Cannot communicate with Cluster Ready Services",
            ("CSS", true) if grid.is_online("ocssd.bin") => "CRS-4529: Cluster Synchronization Services is online",
            ("CSS", _) => "CRS-4530: Communications failure contacting Cluster Synchronization Services daemon",
            (_, true) if grid.is_online("evmd.bin") => "CRS-4533: Event Manager is online",
            (_, _) => "CRS-4534: Cannot communicate with Event Manager",
        };
        let _ = writeln!(text, "{line}");
    }
    (text, 0)
}

fn config(grid: &Grid) -> (String, u8) {
    let text = std::fs::read_to_string(grid.mark("ohasdstr")).unwrap_or_default();
    if text.trim() == "disable" {
        ("CRS-4621: Oracle High Availability Services autostart is disabled.\n".to_owned(), 0)
    } else {
        ("CRS-4622: Oracle High Availability Services autostart is enabled.\n".to_owned(), 0)
    }
}

/// What a resource is wanted to be, is, and says of itself.
fn state(grid: &Grid, resource: &str) -> (&'static str, &'static str, &'static str) {
    if resource == "ora.diskmon" || (resource == "ora.asm" && grid.conf().without_asm) {
        return ("OFFLINE", "OFFLINE", "");
    }
    let followed = FOLLOWERS.iter().find(|(name, _)| *name == resource).map_or(resource, |(_, followed)| followed);
    let stage = STAGES.iter().find(|stage| stage.resource == followed);
    let stopping = grid.note("stopping").exists();
    let unwanted = stopping || (grid.stack_is_unwanted() && stage.is_some_and(|stage| stage.stack));
    let target = if unwanted { "OFFLINE" } else { "ONLINE" };
    if grid.resource_is_online(followed) {
        let details = match resource {
            "ora.asm" => "Started",
            "ora.ctssd" => "ACTIVE:0",
            _ => "",
        };
        return (target, "ONLINE", if stopping { "STOPPING" } else { details });
    }
    let details = match resource {
        "ora.asm" => "Instance Shutdown",
        _ if stage.is_some_and(|stage| grid.process(stage.program).is_some()) => "STARTING",
        _ => "",
    };
    (target, "OFFLINE", details)
}

fn table(grid: &Grid) -> (String, u8) {
    if !ohas_runs(grid) {
        return (format!("{NO_OHAS}\nCRS-4000: Command Status failed, or completed with errors.\n"), 1);
    }
    let rule = "-".repeat(80);
    let mut text = format!(
        "{rule}\nNAME           TARGET  STATE        SERVER                   STATE_DETAILS       \n{rule}\n\
         Cluster Resources\n{rule}\n"
    );
    let mut names: Vec<&str> = STAGES.iter().map(|stage| stage.resource).filter(|name| !name.is_empty()).collect();
    names.extend(FOLLOWERS.iter().map(|(name, _)| name));
    names.push("ora.diskmon");
    names.sort_unstable();
    for name in names {
        let (target, state, details) = state(grid, name);
        let server = if state == "OFFLINE" { String::new() } else { Grid::host() };
        let _ = writeln!(text, "{name}\n      1        {target:<7} {state:<12} {server:<24} {details:<20}");
    }
    (text, 0)
}

fn one(grid: &Grid, resource: &str) -> (String, u8) {
    if !ohas_runs(grid) {
        return (format!("{NO_OHAS}\nCRS-4000: Command Status failed, or completed with errors.\n"), 1);
    }
    let (target, state, _) = state(grid, resource);
    let place = if state == "ONLINE" { format!(" on {}", Grid::host()) } else { String::new() };
    (format!("NAME={resource}\nTYPE={resource}.type\nTARGET={target}\nSTATE={state}{place}\n\n"), 0)
}

/// Nobody but root may.
fn refusal(grid: &Grid, verb: &str) -> Option<(String, u8)> {
    (grid.conf().needs_root && !geteuid().is_root()).then(|| {
        let text = "CRS-4563: Insufficient user privileges.\n".to_owned();
        (text + "CRS-4000: Command " + verb + " failed, or completed with errors.\n", 4)
    })
}

fn start(grid: &Grid) -> (String, u8) {
    if let Some(refusal) = refusal(grid, "Start") {
        return refusal;
    }
    if ohas_runs(grid) {
        let text = "CRS-4640: Oracle High Availability Services is already active\n";
        return (format!("{text}CRS-4000: Command Start failed, or completed with errors.\n"), 1);
    }
    if grid.conf().start_fails {
        let text = "CRS-4124: Oracle High Availability Services startup failed.\n";
        return (format!("{text}CRS-4000: Command Start failed, or completed with errors.\n"), 1);
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
            ("CRS-4123: Oracle High Availability Services has been started.\n".to_owned(), 0)
        }
        Err(error) => (format!("CRS-4124: Oracle High Availability Services startup failed.\n{error}\n"), 1),
    }
}

fn start_cluster(grid: &Grid) -> (String, u8) {
    if let Some(refusal) = refusal(grid, "Start") {
        return refusal;
    }
    if !ohas_runs(grid) {
        return (format!("{NO_OHAS}\nCRS-4000: Command Start failed, or completed with errors.\n"), 1);
    }
    grid.drop_note("stack-unwanted");
    let host = Grid::host();
    (format!("CRS-2672: Attempting to start 'ora.cssdmonitor' on '{host}'\n"), 0)
}

fn stop(grid: &Grid, force: bool) -> ExitCode {
    if let Some((text, code)) = refusal(grid, "Stop") {
        say(&text);
        return ExitCode::from(code);
    }
    if !ohas_runs(grid) {
        say(&format!("{NO_OHAS}\nCRS-4000: Command Stop failed, or completed with errors.\n"));
        return ExitCode::FAILURE;
    }
    let host = Grid::host();
    grid.set_note("stopping", "");
    if grid.conf().hang.iter().any(|hangs| hangs == "stop") {
        hang();
    }
    say(&format!("CRS-2791: Starting shutdown of Oracle High Availability Services-managed resources on '{host}'\n"));
    for stage in STAGES.iter().rev() {
        if !stop_one(grid, stage, force) {
            let resource = stage.resource;
            say(&format!(
                "CRS-2675: Stop of '{resource}' on '{host}' failed\n\
                 CRS-2799: Failed to shut down resource '{resource}' on '{host}'\n\
                 CRS-2795: Shutdown of Oracle High Availability Services-managed resources on '{host}' has failed\n\
                 CRS-4687: Shutdown command has completed with errors.\n\
                 CRS-4000: Command Stop failed, or completed with errors.\n"
            ));
            grid.drop_note("stopping");
            return ExitCode::FAILURE;
        }
    }
    grid.set_mark("ohasdrun", "stop");
    grid.signal("ohasd.bin", Signal::TERM);
    while ohas_runs(grid) {
        thread::sleep(INTERVAL);
    }
    grid.drop_note("stopping");
    say(&format!(
        "CRS-2793: Shutdown of Oracle High Availability Services-managed resources on '{host}' has completed\n\
         CRS-4133: Oracle High Availability Services has been stopped.\n"
    ));
    ExitCode::SUCCESS
}

fn stop_cluster(grid: &Grid) -> ExitCode {
    if let Some((text, code)) = refusal(grid, "Stop") {
        say(&text);
        return ExitCode::from(code);
    }
    grid.set_note("stack-unwanted", "");
    for stage in STAGES.iter().rev().filter(|stage| stage.stack) {
        if !stop_one(grid, stage, false) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Stops one daemon, and says so where it is a resource.
fn stop_one(grid: &Grid, stage: &Stage, force: bool) -> bool {
    let host = Grid::host();
    let Stage { program, resource, .. } = stage;
    if grid.process(program).is_none() {
        return true;
    }
    if !resource.is_empty() {
        say(&format!("CRS-2673: Attempting to stop '{resource}' on '{host}'\n"));
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
        say(&format!("CRS-2677: Stop of '{resource}' on '{host}' succeeded\n"));
    }
    true
}
