//! A stand-in for the openGauss programs: one executable that is whichever program it is named after.
//!
//! It is copied or linked into `GAUSSHOME/bin` as `om_monitor`, `cm_agent`, `cm_server`, `gaussdb` and `cm_ctl`, so that
//! a node of the lab has processes with the real names, paths and command lines. "The facts" in the comments are
//! opengauss.md and "measured" is opengauss-measured.md: what the real programs do, bad sides included.

mod agent;
mod conf;
mod ctl;
mod database;
mod home;
mod log;
mod monitor;
mod process;
mod server;
mod wire;

use std::process::ExitCode;

use home::Home;

fn main() -> ExitCode {
    let home = Home::find();
    match home::own_name().as_deref() {
        Some("om_monitor") => monitor::run(&home),
        Some("cm_agent") => agent::run(&home),
        Some("cm_server") => server::run(&home),
        Some("gaussdb") => database::run(),
        Some("cm_ctl") => ctl::run(&home),
        _ => ExitCode::from(64),
    }
}
