//! A start that was killed under `gs_sdr` or under gsctl, and goes on under either: step, side, who was killed, who goes on.

use super::cluster::{Cluster, PRIMARY, STANDBY};

/// A step that is cut off, by whom, and who goes on.
#[derive(Debug, Clone, Copy)]
struct Cell {
    step: usize,
    killed_under: &'static str,
    goes_on: &'static str,
}

fn cell(step: usize, killed_under: &'static str, goes_on: &'static str) -> Cell {
    Cell { step, killed_under, goes_on }
}

#[track_caller]
fn try_cells(side: &'static str, cells: &[Cell]) {
    let cluster = Cluster::new(side);
    for cell in cells {
        cluster.reset();
        cluster.give_keys();
        cluster.conf(1, "connected=yes\nstreaming=yes\n");
        let Cell { step, killed_under, goes_on } = *cell;
        if killed_under == "gs_sdr" {
            cluster.gs_sdr_dies_in(&step.to_string());
        } else {
            // Killed in a step: with the record of the one before.
            cluster.gsctl_dies_at(step - 1);
        }
        if goes_on == "gs_sdr" {
            cluster.remove_locks();
            cluster.gs_sdr_starts();
            for node in cluster.nodes() {
                // What is gsctl's own is not in gs_sdr's way, and gs_sdr does not know it.
                let _ = std::fs::remove_dir_all(node.outside("tmp/streaming_cabin/.gsctl"));
            }
        } else {
            cluster.play().run().expect(0);
        }
        cluster.assert_started();
    }
}

#[test]
fn gsctl_goes_on_where_gs_sdr_was_killed_on_the_standby() {
    try_cells(STANDBY, &[cell(5, "gs_sdr", "gsctl"), cell(7, "gs_sdr", "gsctl"), cell(8, "gs_sdr", "gsctl")]);
}

#[test]
fn gs_sdr_goes_on_where_gsctl_was_killed_on_the_standby() {
    try_cells(STANDBY, &[cell(3, "gsctl", "gs_sdr"), cell(6, "gsctl", "gs_sdr"), cell(8, "gsctl", "gs_sdr")]);
}

#[test]
fn either_goes_on_with_the_other_s_primary() {
    try_cells(
        PRIMARY,
        &[
            cell(4, "gs_sdr", "gsctl"),
            cell(9, "gs_sdr", "gsctl"),
            cell(5, "gsctl", "gs_sdr"),
            cell(9, "gsctl", "gs_sdr"),
        ],
    );
}

/// Every step, on both sides, under both.
#[test]
#[ignore = "72 cells, many minutes: make sdr-matrix"]
fn every_cell_of_the_matrix() {
    for side in [PRIMARY, STANDBY] {
        let mut cells = Vec::new();
        for step in 1..=9 {
            for killed_under in ["gs_sdr", "gsctl"] {
                for goes_on in ["gs_sdr", "gsctl"] {
                    cells.push(cell(step, killed_under, goes_on));
                }
            }
        }
        try_cells(side, &cells);
    }
}
