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
#[expect(clippy::print_stdout, reason = "whoever runs the whole matrix wants to see it")]
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
        println!("{side}, step {step}, killed under {killed_under}, {goes_on} goes on: {}", cluster.stats()[0]);
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

/// Every step of a side, under one of the two.
fn every_step(side: &'static str, killed_under: &'static str) {
    let cells: Vec<Cell> =
        (1..=9).flat_map(|step| ["gs_sdr", "gsctl"].map(|goes_on| cell(step, killed_under, goes_on))).collect();
    try_cells(side, &cells);
}

#[test]
#[ignore = "18 cells, many minutes: make sdr-matrix"]
fn every_step_of_a_primary_killed_under_gs_sdr() {
    every_step(PRIMARY, "gs_sdr");
}

#[test]
#[ignore = "18 cells, many minutes: make sdr-matrix"]
fn every_step_of_a_primary_killed_under_gsctl() {
    every_step(PRIMARY, "gsctl");
}

#[test]
#[ignore = "18 cells, many minutes: make sdr-matrix"]
fn every_step_of_a_standby_killed_under_gs_sdr() {
    every_step(STANDBY, "gs_sdr");
}

#[test]
#[ignore = "18 cells, many minutes: make sdr-matrix"]
fn every_step_of_a_standby_killed_under_gsctl() {
    every_step(STANDBY, "gsctl");
}
