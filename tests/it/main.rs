//! The integration tests: one program, so that the lab is compiled once.

mod gsctl;
mod interrupt;
#[path = "../lab/mod.rs"]
mod lab;
mod lab_selftest;
mod scripts;
mod standin;
mod start;
mod status;
mod stop;
