//! The integration tests: one program, so that the lab is compiled once.

#![allow(clippy::unwrap_used, reason = "in a test a missing value is a failure")]

mod addresses;
mod algorithms;
mod big_files;
mod canary;
mod certificates;
mod docs;
mod environment;
mod exit_status;
mod failures;
mod files;
mod fleet;
mod greenplum;
mod greenplum_scripts;
mod gsctl;
mod help;
mod host_keys;
mod host_sets;
mod hosts;
mod html;
mod interrupt;
mod journal;
mod jump;
mod junit;
#[path = "../lab/mod.rs"]
mod lab;
mod lab_selftest;
mod layering;
mod login;
mod marker;
mod oracle;
mod oracle_scripts;
mod output;
mod panweidb;
mod passwords;
mod playbooks;
mod postgres;
mod pssh;
mod pssh_peer;
mod pull;
mod reports;
mod scale;
mod schema;
mod script_command;
mod scripts;
mod shaping;
mod shells;
mod ssh_config;
mod standin;
mod start;
mod status;
mod stop;
mod terminal;
mod timeouts;
mod wait_command;
