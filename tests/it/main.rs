//! The integration tests: one program, so that the lab is compiled once.

mod docs;
mod exit_status;
mod gsctl;
mod help;
mod host_keys;
mod hosts;
#[path = "../lab/mod.rs"]
mod lab;
mod lab_selftest;
mod layering;
mod login;
mod marker;
mod reports;
mod scripts;
mod ssh_config;
mod standin;
