//! The alert log of Clusterware: `ORACLE_BASE/diag/crs/NODE/crs/trace/alert.log`.

use std::fs::{self, File};
use std::io::Write as _;

use crate::grid::Grid;

/// Adds a line as the real log has them: `2026-11-21 10:48:27.123 [OCSSD(4557)]CRS-1714: ...`, without its time.
pub(crate) fn say(grid: &Grid, program: &str, text: &str) {
    let Some(base) = &grid.conf().oracle_base else { return };
    let directory = base.join("diag/crs").join(Grid::host()).join("crs/trace");
    let name = program.trim_end_matches(".bin").to_uppercase();
    let line = format!("[{name}({})]{text}\n", std::process::id());
    // A full disk must not stop a cluster.
    if fs::create_dir_all(&directory).is_ok()
        && let Ok(mut file) = File::options().create(true).append(true).open(directory.join("alert.log"))
    {
        let _ = file.write_all(line.as_bytes());
    }
}
