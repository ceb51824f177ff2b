//! The integration tests: one program, so that the lab is compiled once.

#![allow(clippy::unwrap_used, reason = "in a test a missing value is a failure")]

mod greenplum;
mod greenplum_scripts;
mod gsctl;
#[path = "../lab/mod.rs"]
mod lab;
mod lab_selftest;
mod playbooks;
mod scripts;
mod standin;
