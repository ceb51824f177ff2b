//! The alert log of Clusterware: `ORACLE_BASE/diag/crs/NODE/crs/trace/alert.log`, in 11.2 `GRID_HOME/log/NODE/alertNODE.log`,
//! with what a healthy start writes too (oracle-measured.md 6).

use std::fs::{self, File};
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::grid::Grid;

/// What stands behind a fatal error, and says nothing.
const INCIDENT: &str = "Errors in file /u01/app/grid/diag/crs/crs/trace/ocssd.trc  (incident=1):\n\
                        CRS-8503 [] [] [] [] [] [] [] [] [] [] [] []\n\
                        Incident details in: /u01/app/grid/diag/crs/crs/incident/incdir_1/ocssd_i1.trc\n\n";
/// What each start of the file system's drivers writes.
const DRIVERS: [&str; 4] = [
    "CRS-10001: ACFS-9391: Checking for existing ADVM/ACFS installation.",
    "CRS-10001: ACFS-9392: Validating ADVM/ACFS installation files for operating system.",
    "CRS-10001: ACFS-9393: Verifying ASM Administrator setup.",
    "CRS-10001: ACFS-9308: Loading installed ADVM/ACFS drivers.",
];

/// Adds a message: `2026-11-21 10:48:27.123 [OCSSD(4557)]CRS-1714: ...`, in 11.2 with its time on a line of its own, the
/// daemon in lower case, and no blank after the colon.
pub(crate) fn say(grid: &Grid, program: &str, text: &str) {
    let pid = std::process::id();
    let name = program.trim_end_matches(".bin");
    let line = if grid.conf().version < 12 {
        let name = name.strip_prefix('o').filter(|short| matches!(*short, "cssd" | "ctssd")).unwrap_or(name);
        format!("{}\n[{name}({pid})]{}\n", now(), text.replacen(": ", ":", 1))
    } else {
        format!("{} [{}({pid})]{text}\n", now(), name.to_uppercase())
    };
    write(grid, &line);
}

/// Lines that a test wants there: of a daemon that is of no use, in `trouble-PROGRAM` of the grid home.
pub(crate) fn trouble(grid: &Grid, program: &str) {
    if let Ok(lines) = fs::read_to_string(grid.home(&format!("trouble-{program}"))) {
        drivers(grid);
        for line in lines.lines() {
            say(grid, program, line);
        }
        drivers(grid);
    }
}

/// The frames of an incident.
pub(crate) fn incident(grid: &Grid) {
    write(grid, INCIDENT);
}

/// News of drivers.
pub(crate) fn drivers(grid: &Grid) {
    for line in DRIVERS {
        say(grid, "client", line);
    }
}

fn write(grid: &Grid, text: &str) {
    let host = Grid::host();
    let file = if grid.conf().version < 12 {
        grid.home("log").join(&host).join(format!("alert{host}.log"))
    } else {
        let Some(base) = &grid.conf().oracle_base else { return };
        base.join("diag/crs").join(&host).join("crs/trace/alert.log")
    };
    // A full disk must not stop a cluster.
    if let Some(directory) = file.parent()
        && fs::create_dir_all(directory).is_ok()
        && let Ok(mut file) = File::options().create(true).append(true).open(&file)
    {
        let _ = file.write_all(text.as_bytes());
    }
}

/// `2026-11-21 10:48:27.123`, in UTC.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Howard Hinnant's civil_from_days; years begin in March.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03}", since.subsec_millis())
}
