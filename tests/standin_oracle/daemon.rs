//! Any daemon: a process with the right name that runs until a signal ends it.

use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use rustix::process::setsid;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::alert;
use crate::grid::Grid;

/// How long a program that dies lives.
const SHORT_LIFE: Duration = Duration::from_millis(200);

/// Runs the daemon.
pub(crate) fn run(grid: &Grid, program: &str) -> ExitCode {
    // Handlers before the note: whoever reads it may signal at once.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return ExitCode::FAILURE };
    // Fails only where it leads a session already.
    let _ = setsid();
    grid.set_note(&format!("{program}.pid"), &process::id().to_string());
    let conf = grid.conf();
    let is = |list: &[String]| list.iter().any(|name| name == program);
    if program == "ocssd.bin" && is(&conf.hollow) {
        alert::say(
            grid,
            program,
            "CRS-1714: Unable to discover any voting files, retrying discovery in 15 seconds; Details at \
             (:CSSNM00070:) in ocssd.trc",
        );
        alert::incident(grid);
        alert::drivers(grid);
    }
    if is(&conf.hollow) {
        alert::trouble(grid, program);
    }
    if is(&conf.dies) {
        thread::sleep(SHORT_LIFE);
        return ExitCode::FAILURE;
    }
    while signals.forever().next().is_some() {
        if !grid.conf().stuck.iter().any(|name| name == program) {
            break;
        }
    }
    ExitCode::SUCCESS
}
