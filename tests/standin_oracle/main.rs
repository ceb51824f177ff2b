//! A stand-in for Oracle Grid Infrastructure: one executable that is whichever program it is named after.
//!
//! It is copied into the grid home's `bin` as `crsctl`, `ohasd.bin`, `ocssd.bin` and so on, so that a node of the lab has
//! processes with the real names, paths and command lines. "The facts" in the comments are opengauss.md 6, oracle-measured.md and the
//! document on the boot order of 11gR2 that they rest on.

mod alert;
mod chinese;
mod conf;
mod crsctl;
mod daemon;
mod grid;
mod ohasd;
mod stage;
mod sudo;
mod table;

use std::process::ExitCode;

use grid::Grid;

fn main() -> ExitCode {
    let name = grid::own_name();
    if name == "sudo" {
        return sudo::run();
    }
    let grid = Grid::own();
    match name.as_str() {
        "crsctl" => crsctl::run(&grid),
        "ohasd.bin" => ohasd::run(&grid),
        // An executable of this name is the server of ASM and of databases; here it is only asked for by its process.
        program if stage::by_program(program).is_some() => daemon::run(&grid, program),
        _ => ExitCode::from(64),
    }
}
