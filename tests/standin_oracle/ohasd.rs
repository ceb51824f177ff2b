//! `ohasd.bin reboot`: reads the OLR, then starts the daemons, each when those before it are of use, and starts again what
//! ended, until it gives up.

use std::collections::HashMap;
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
/// How often a daemon is started until ohasd gives up on it.
const TRIES: u32 = 3;

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
    alert::drivers(grid);
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
    let mut children: Vec<(&'static str, Child)> = Vec::new();
    let mut tries: HashMap<&'static str, u32> = HashMap::new();
    let mut last = Instant::now();
    while !end.load(Ordering::SeqCst) {
        // Reaped: a zombie would look as if it were still there.
        children.retain_mut(|(_, child)| child.try_wait().is_ok_and(|status| status.is_none()));
        if !grid.note("stopping").exists() && last.elapsed() >= grid.conf().delay {
            if grid.note("again").exists() {
                // `crsctl start cluster` and `start res` begin anew.
                tries.clear();
                grid.drop_note("again");
            }
            if let Some(stage) = next(grid, &children, &mut tries)
                && let Some(child) = start(grid, stage)
            {
                children.push((stage.program, child));
            }
            last = Instant::now();
        }
        thread::sleep(INTERVAL);
    }
    ExitCode::SUCCESS
}

/// The daemon to start now, if there is one.
fn next(
    grid: &Grid,
    children: &[(&'static str, Child)],
    tries: &mut HashMap<&'static str, u32>,
) -> Option<&'static Stage> {
    let conf = grid.conf();
    let unwanted = grid.stack_is_unwanted();
    for stage in &STAGES {
        if !grid.has(stage) {
            continue;
        }
        if stage.stack && unwanted {
            // `crsctl start cluster` will want it again.
            tries.remove(stage.program);
            continue;
        }
        let is = |list: &[String]| list.iter().any(|name| name == stage.program);
        // One that was just started has left no number yet.
        let young = children.iter().any(|(program, _)| *program == stage.program);
        if !is(&conf.never) && !young && grid.process(stage.program).is_none() {
            let count = tries.entry(stage.program).or_default();
            let most = if is(&conf.gives_up) { 1 } else { TRIES };
            *count += 1;
            if *count <= most {
                return Some(stage);
            }
            if *count == most + 1 {
                let resource = stage.resource;
                let text =
                    format!("CRS-2771: Maximum restart attempts reached for resource '{resource}'; will not restart.");
                alert::say(grid, "ohasd.bin", &text);
            }
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
        command.arg0(if grid.conf().restart { "asm_pmon_+ASM" } else { "asm_pmon_+ASM1" });
    }
    command.spawn().ok()
}
