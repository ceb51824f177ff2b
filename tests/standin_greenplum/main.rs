//! A stand-in for the Greenplum programs: one executable that is whichever program it is named after.
//!
//! It is copied into `GPHOME/bin` under the names below, so that a lab node has processes with the real names, paths and
//! command lines. It says and does what a real Greenplum 6.24.3 was measured to say and do, bad sides included; with
//! `dialect=7` in `standin.conf` it has the names and words of 7. `tests/it/standin_greenplum.rs` holds it to the measurement.
//! `gpsegd` is the one that is not real: it listens on every node for what the real programs do there over ssh.

mod answers;
mod catalog;
mod client;
mod ctl;
mod data;
mod fts;
mod manage;
mod recover;
mod segd;
mod server;

use std::io::{self, Write as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let name = std::env::current_exe().ok().and_then(|exe| Some(exe.file_name()?.to_str()?.to_owned()));
    let arguments = &arguments[1..];
    let code = match name.as_deref() {
        Some("postgres") => server::run(arguments),
        Some("pg_ctl") => ctl::pg_ctl(arguments),
        Some("pg_controldata") => ctl::pg_controldata(arguments),
        Some("psql") => client::psql(arguments),
        Some("pg_isready") => client::pg_isready(arguments),
        Some("ssh") => segd::ssh(arguments),
        Some("gpstart") => manage::gpstart(arguments),
        Some("gpstop") => manage::gpstop(arguments),
        Some("gpactivatestandby") => recover::gpactivatestandby(arguments),
        Some("gpinitstandby") => recover::gpinitstandby(arguments),
        Some("gprecoverseg") => recover::gprecoverseg(arguments),
        Some("gpstate") => recover::gpstate(arguments),
        Some("gpsegd") => segd::run(),
        _ => 64,
    };
    ExitCode::from(code)
}

/// Prints a line; whoever closed the pipe does not want it.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The same to stderr.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The value behind an option.
fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1)).map(String::as_str)
}

/// Whether an option without a value is given.
fn has(arguments: &[String], name: &str) -> bool {
    arguments.iter().any(|argument| argument == name)
}
