//! The integration tests: one program, so that the lab is compiled once.

#[path = "../lab/mod.rs"]
mod lab;
mod lab_selftest;
