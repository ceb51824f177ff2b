//! The integration tests: one program, so that the lab is compiled once.

mod gsctl;
#[path = "../lab/mod.rs"]
mod lab;
mod lab_selftest;
mod postgres;
mod scripts;
mod standin;
