//! The integration tests: one program, so that the lab is compiled once. Most of them need root, and fail without it.
//!
//! | promise of the README | proven in |
//! |---|---|
//! | Build, A session | `docs`: its commands are run, its exit table is compared |
//! | Hosts file, `-w`, `-g`, `-x`, `--from-cm-view` | `hosts`, `host_sets`, `addresses`, `config` |
//! | Logins, keys, agents, passwords, host keys | `login`, `login_failures`, `certificates`, `passwords`, `host_keys`, `algorithms` |
//! | `ssh_config` | `ssh_config`, `ssh_match`, `ssh_rows` |
//! | `--transport openssh` | `openssh_transport` |
//! | Inventories | `inventories`, `ansible_values`, `foreign_files` |
//! | Defaults | `config`, `environment`, `service_accounts` |
//! | Jump hosts, `ProxyCommand` | `jump` |
//! | `exec`, `script` | `gsctl`, `output`, `script_command`, `environment`, `pty`, `shells`, `servers`, `profiles` |
//! | `local` | `local_command` |
//! | `shell` | `prompt` |
//! | `ping`, `check`, `wait` | `gsctl`, `wait_command` |
//! | `push`, `pull` | `files`, `push_together`, `pull`, `virtual_files`, `big_files` |
//! | `touch`, `rm` | `marker` |
//! | `start`, `stop`, `status` | `start`, `stop`, `status`, `scripts`, `standin` |
//! | Why a node does not come up, `explain`, `diagnose` | `opengauss_causes`, `opengauss_obstacles`, `diagnose` |
//! | `ping`, `check`, `wait` | `gsctl`, `wait_command`, `everyday` |
//! | `-S`, `--limit`, `hosts --groups`, `--system ./DIR` | `everyday` |
//! | `push`, `pull` | `files`, `pull`, `big_files` |
//! | `touch`, `rm` | `marker` |
//! | `start`, `stop`, `restart`, `status` | `start`, `stop`, `restart`, `rolling`, `status`, `scripts`, `standin` |
//! | Systems that ship | `greenplum`, `postgres`, `panweidb`, `oracle`, and `*_scripts` |
//! | `--sudo` | `sudo`, `sudo_copies` |
//! | In place of pssh | `pssh`, `pssh_peer`, `peer_cases` |
//! | Exit status, messages | `exit_status`, `failures`, `words` |
//! | Playbooks, `--resume`, `@failed`, one run at a time | `playbooks`, `journal` |
//! | Exit status | `exit_status`, `failures` |
//! | Playbooks, `--resume`, `@failed` | `playbooks`, `journal` |
//! | One run at a time on a node | `locks` |
//! | Reports | `reports`, `schema`, `junit`, `html` |
//! | `--gather`, `--diff`, `--tail`, `--grep`, `--stream` | `shaping`, `output`, `terminal`, `spill` |
//! | What a timeout tells; Ctrl-C; `--raw` | `timeouts`, `interrupt`, `canary` |
//! | Cut connections: no false success, nothing by half or twice | `cuts`; `make cuts` |
//! | What a timeout tells; Ctrl-C; `--raw` | `timeouts`, `stopped`, `interrupt`, `canary` |
//! | A thousand hosts | `scale`, `fleet` |
//! | An operator's twelve everyday jobs | `jobs` |
//! | `--help`, README.zh-CN.md | `help`, `translation` |

#![allow(clippy::unwrap_used, reason = "in a test a missing value is a failure")]

// The fuzz targets name it; see `fuzz`.
extern crate self as libfuzzer_sys;

mod addresses;
mod algorithms;
mod alone;
mod ansible_values;
mod big_files;
mod canary;
mod causes;
mod certificates;
mod config;
mod cuts;
mod diagnose;
mod differential;
mod differential_commands;
mod differential_inventories;
mod docs;
mod environment;
mod everyday;
mod exit_status;
mod failures;
mod files;
mod fleet;
mod foreign_files;
mod fuzz;
mod greenplum;
mod greenplum_scripts;
mod gsctl;
mod help;
mod host_keys;
mod host_sets;
mod hostile;
mod hosts;
mod html;
mod interrupt;
mod inventories;
mod jobs;
mod journal;
mod jump;
mod junit;
#[path = "../lab/mod.rs"]
mod lab;
mod lab_selftest;
mod layering;
mod local_command;
mod locks;
mod login;
mod login_failures;
mod looks;
mod marker;
mod opengauss;
mod opengauss_causes;
mod opengauss_obstacles;
mod openssh_transport;
mod oracle;
mod oracle_forms;
mod oracle_scripts;
mod output;
mod panweidb;
mod partition;
mod passwords;
mod peer_cases;
mod playbooks;
mod postgres;
mod prefix;
mod profiles;
mod prompt;
mod pssh;
mod pssh_peer;
mod pty;
mod pull;
mod push_together;
mod report_files;
mod reports;
mod restart;
mod rolling;
mod scale;
mod schema;
mod script_command;
mod scripts;
mod servers;
mod service_accounts;
mod shaping;
mod shells;
mod spill;
mod ssh_config;
mod ssh_match;
mod ssh_rows;
mod stalled_reader;
mod standin;
mod standin_greenplum;
mod standin_measured;
mod start;
mod status;
mod stop;
mod stopped;
mod sudo;
mod sudo_copies;
mod terminal;
mod timeouts;
mod translation;
mod verbose;
mod virtual_files;
mod wait_command;
mod words;
