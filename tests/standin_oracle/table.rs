//! `crsctl stat res -t`: the tables of resources, as 11.2 and as later releases print them (oracle-measured.md 1, 5).

use std::fmt::Write as _;

use crate::crsctl::{NO_OHAS, failed, ohas_runs};
use crate::grid::Grid;
use crate::stage::{STAGES, by_resource};

/// Resources that no daemon of ours stands for, and the one that they follow.
const FOLLOWERS: [(&str, &str); 3] =
    [("ora.cluster_interconnect.haip", "ora.cssd"), ("ora.drivers.acfs", "ora.gpnpd"), ("ora.storage", "ora.asm")];
const LISTENER: &str = "ora.LISTENER.lsnr";
/// Characters of the column of details; what is longer goes on below.
const DETAILS: usize = 20;

/// A resource as it is.
struct Resource {
    target: &'static str,
    state: &'static str,
    details: &'static str,
}

/// What a resource is wanted to be, is, and says of itself.
fn resource(grid: &Grid, name: &str) -> Resource {
    if name == "ora.diskmon" || (name == "ora.asm" && grid.conf().without_asm) {
        return Resource { target: "OFFLINE", state: "OFFLINE", details: "" };
    }
    let followed = FOLLOWERS.iter().find(|(follower, _)| *follower == name).map_or(name, |(_, followed)| followed);
    let stage = by_resource(followed);
    let stopping = grid.note("stopping").exists();
    let unwanted = stopping || (grid.stack_is_unwanted() && stage.is_some_and(|stage| stage.stack));
    let target = if unwanted { "OFFLINE" } else { "ONLINE" };
    if grid.resource_is_online(followed) {
        // Normal as long as cssd is not up.
        let early = name == "ora.evmd" && !grid.conf().restart && !grid.is_online("ocssd.bin");
        let details = match name {
            _ if stopping => "STOPPING",
            "ora.asm" => "Started",
            "ora.ctssd" => "ACTIVE:0",
            _ => "",
        };
        return Resource { target, state: if early { "INTERMEDIATE" } else { "ONLINE" }, details };
    }
    let starting = stage.is_some_and(|stage| grid.process(stage.program).is_some());
    let details = match name {
        "ora.asm" if starting => "Instance Shutdown,STARTING",
        "ora.asm" => "Instance Shutdown",
        _ if starting => "STARTING",
        _ => "",
    };
    Resource { target, state: "OFFLINE", details }
}

/// `-init`: what ohasd has.
pub(crate) fn init(grid: &Grid) -> (String, u8) {
    if !ohas_runs(grid) {
        return failed(NO_OHAS, "Status");
    }
    let followers = FOLLOWERS.iter().map(|(name, _)| *name);
    let names = STAGES.iter().map(|stage| stage.resource).filter(|name| !name.is_empty());
    let mut names: Vec<&str> = names.chain(followers).chain(["ora.diskmon"]).collect();
    if grid.conf().version < 12 {
        names.retain(|name| *name != "ora.storage");
    }
    names.sort_unstable();
    (rows(grid, &[("Cluster Resources", "      1        ", &names)]), 0)
}

/// What Oracle Restart has.
pub(crate) fn restart(grid: &Grid) -> (String, u8) {
    if !ohas_runs(grid) {
        return failed(NO_OHAS, "Status");
    }
    let (here, own) = ("               ", "      1        ");
    let local: Vec<&str> =
        [LISTENER, "ora.asm"].into_iter().filter(|name| *name != "ora.asm" || !grid.conf().without_asm).collect();
    let parts: [(&str, &str, &[&str]); 2] =
        [("Local Resources", here, &local), ("Cluster Resources", own, &["ora.cssd", "ora.diskmon", "ora.evmd"])];
    (rows(grid, &parts), 0)
}

/// A table of these parts: their heads, what stands before the state, and their resources.
pub(crate) fn rows(grid: &Grid, parts: &[(&str, &str, &[&str])]) -> String {
    let old = grid.conf().version < 12;
    let head = if old {
        "NAME           TARGET  STATE        SERVER                   STATE_DETAILS       "
    } else {
        "Name           Target  State        Server                   State details       "
    };
    let rule = "-".repeat(80);
    let mut text = format!("{rule}\n{head}\n{rule}\n");
    for (part, before, names) in parts {
        let _ = writeln!(text, "{part}\n{rule}");
        for name in *names {
            let _ = writeln!(text, "{name}");
            text.push_str(&row(grid, name, before, old));
        }
    }
    text + &rule + "\n"
}

fn row(grid: &Grid, name: &str, before: &str, old: bool) -> String {
    let Resource { target, state, details } = if name == LISTENER { listener(grid) } else { resource(grid, name) };
    let under_way = details.contains("STARTING") || details.contains("STOPPING");
    // 12.1 and later name the server as soon as it is being started there, and call STABLE what is not under way.
    let named = state != "OFFLINE" || before.trim().is_empty() || (under_way && !old);
    let server = if named { Grid::host() } else { String::new() };
    let stable = if old || under_way {
        String::new()
    } else if details.is_empty() {
        "STABLE".to_owned()
    } else {
        ",STABLE".to_owned()
    };
    let details = details.to_owned() + &stable;
    let mut lines = details.as_bytes().chunks(DETAILS).map(String::from_utf8_lossy);
    let first = lines.next().unwrap_or_default();
    let mut text = format!("{before}{target:<7} {state:<12} {server:<24} {first:<20}\n");
    for line in lines {
        let _ = writeln!(text, "{:61}{line:<20}", "");
    }
    text
}

fn listener(grid: &Grid) -> Resource {
    let state = if grid.is_online("tnslsnr") { "ONLINE" } else { "OFFLINE" };
    Resource { target: "ONLINE", state, details: "" }
}
