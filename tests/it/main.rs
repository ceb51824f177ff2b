//! The integration tests: one program, so that the lab is compiled once.

#![allow(clippy::unwrap_used, reason = "in a test a missing value is a failure")]

// The fuzz targets name it; see `fuzz`.
extern crate self as libfuzzer_sys;

mod addresses;
mod algorithms;
mod big_files;
mod canary;
mod certificates;
mod config;
mod docs;
mod environment;
mod exit_status;
mod failures;
mod files;
mod fleet;
mod fuzz;
mod greenplum;
mod greenplum_scripts;
mod gsctl;
mod help;
mod host_keys;
mod host_sets;
mod hosts;
mod html;
mod interrupt;
mod inventories;
mod journal;
mod jump;
mod junit;
#[path = "../lab/mod.rs"]
mod lab;
mod lab_selftest;
mod layering;
mod login;
mod login_failures;
mod marker;
mod openssh_transport;
mod oracle;
mod oracle_forms;
mod oracle_scripts;
mod output;
mod panweidb;
mod passwords;
mod peer_cases;
mod playbooks;
mod postgres;
mod prefix;
mod pssh;
mod pssh_peer;
mod pty;
mod pull;
mod report_files;
mod reports;
mod scale;
mod schema;
mod script_command;
mod scripts;
mod servers;
mod shaping;
mod shells;
mod spill;
mod ssh_config;
mod ssh_match;
mod ssh_rows;
mod standin;
mod standin_greenplum;
mod start;
mod status;
mod stop;
mod sudo;
mod terminal;
mod timeouts;
mod translation;
mod verbose;
mod wait_command;
