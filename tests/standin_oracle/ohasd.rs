//! `ohasd.bin reboot`: reads the OLR, then starts the daemons, each when those before it are of use.

use std::os::unix::process::CommandExt as _;
use std::process::{self, Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::setsid;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::alert;
use crate::grid::Grid;
use crate::stage::{STAGES, Stage};

const INTERVAL: Duration = Duration::from_millis(10);

/// Runs until it is told to end.
pub(crate) fn run(grid: &Grid) -> ExitCode {
    let end = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        if signal_hook::flag::register(signal, Arc::clone(&end)).is_err() {
            return ExitCode::FAILURE;
        }
    }
    let _ = setsid();
    let pid = process::id();
    alert::say(
        grid,
        "ohasd.bin",
        &format!("CRS-8500: Oracle Clusterware OHASD process is starting with operating system process ID {pid}"),
    );
    if !grid.has_olr() {
        alert::say(
            grid,
            "ohasd.bin",
            "CRS-0704: Oracle High Availability Service aborted due to Oracle Local Registry error",
        );
        return ExitCode::FAILURE;
    }
    if grid.conf().never.iter().any(|name| name == "ohasd.bin") {
        return ExitCode::FAILURE;
    }
    grid.set_note("ohasd.bin.pid", &pid.to_string());
    // A crash is to be followed by a restart (facts 6.3).
    grid.set_mark("ohasdrun", "reboot");
    let mut started: Vec<(&'static Stage, Child)> = Vec::new();
    let mut last = Instant::now();
    while !end.load(Ordering::SeqCst) {
        for (_, child) in &mut started {
            // Reaped: a zombie would look as if it were still there.
            let _ = child.try_wait();
        }
        if !grid.note("stopping").exists() && last.elapsed() >= grid.conf().delay {
            if let Some(stage) = next(grid, &mut started)
                && let Some(child) = start(grid, stage)
            {
                started.push((stage, child));
            }
            last = Instant::now();
        }
        thread::sleep(INTERVAL);
    }
    ExitCode::SUCCESS
}

/// The daemon to start now, if there is one.
fn next(grid: &Grid, started: &mut Vec<(&'static Stage, Child)>) -> Option<&'static Stage> {
    let conf = grid.conf();
    let unwanted = grid.stack_is_unwanted();
    if unwanted {
        // `crsctl start cluster` will want them again.
        started.retain(|(stage, _)| !stage.stack);
    }
    for stage in &STAGES {
        if (stage.stack && unwanted) || (stage.program == "oracle" && conf.without_asm) {
            continue;
        }
        let known = started.iter().any(|(known, _)| known.program == stage.program);
        let never = conf.never.iter().any(|name| name == stage.program);
        if !known && !never && grid.process(stage.program).is_none() {
            return Some(stage);
        }
        if stage.needed && !grid.is_online(stage.program) {
            return None;
        }
    }
    None
}

fn start(grid: &Grid, stage: &Stage) -> Option<Child> {
    let mut command = Command::new(grid.bin(stage.program));
    command.args(stage.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if stage.program == "oracle" {
        command.arg0("asm_pmon_+ASM1");
    }
    command.spawn().ok()
}
