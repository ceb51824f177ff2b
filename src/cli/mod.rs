//! The command line, as types. No logic and no input or output: `commands` acts on these.

pub mod config;
mod early;
mod encoding;
mod environment;
mod files;
mod order;
mod peer_words;
mod privilege;
pub mod pssh;
mod shell;
mod sudo_user;
mod values;
mod wait;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueHint};

pub use config::Config;
pub use early::{behind_h, parse};
pub use encoding::explain as explain_encoding;
pub use environment::RemoteEnvironment;
pub use files::{Pull, Push};
pub use privilege::{FilePrivilege, Privilege, SudoPassword};
pub use shell::{Completions, Man, Shell};
pub use values::{Accept, AllowUnreachable, HostKeyPolicy, StopMode, Transport, When};
use values::{batch, duration, keepalive, limit, share, variable};
pub use wait::Wait;

use crate::partition::PartitionRequest;
use crate::plan::Share;

/// The command line as clap knows it, for completions and manual pages.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Start, watch and ask database clusters over plain SSH, all nodes at once.
///
/// Nothing is installed on the nodes. Hosts come from a hosts file (-f), a host set (-w), or both. Every failure names the
/// host, the phase, the cause and the way out; the exit status tells what was the worst that happened.
#[derive(Debug, Parser)]
#[command(name = "gsctl", version, max_term_width = 100, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = EXIT_STATUS)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options for every command.
    #[command(flatten)]
    pub options: Options,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    every selected host did what was asked (changed counts)
  1    gsctl itself failed: a report could not be written, or a bug
  2    usage, hosts file, playbook or key file wrong; nothing was contacted
  3    on some host a command timed out or was killed by a signal
  4    some host unreachable: resolve, connect, host key, auth, connection lost
  5    every host answered, but a command, check or wait failed on some
  6    no host selected
  7    refused: a state was found in which it is wrong to go on; nothing was changed
  130  interrupted (143: terminated)";

/// Options for every command.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Which hosts.
    #[command(flatten)]
    pub hosts: HostOptions,
    /// How to reach them.
    #[command(flatten)]
    pub ssh: SshOptions,
    /// How to carry out the run.
    #[command(flatten)]
    pub run: RunOptions,
    /// What to print and write.
    #[command(flatten)]
    pub output: OutputOptions,
    /// Names of options that were not typed, and that the environment gives.
    #[arg(skip)]
    pub from_environment: Vec<String>,
    /// Names of options that neither of them gives, and that the config file does.
    #[arg(skip)]
    pub from_config: Vec<String>,
}

/// Which hosts.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Hosts")]
pub struct HostOptions {
    /// Hosts file, or inventory of Ansible (INI, YAML, a program); `-` is standard input, `ssh_config:` the hosts that ssh knows,
    /// `genders:FILE` and `clustershell:[DIR]` those of pdsh and clush [default: ./hosts, else gsctl/hosts in the configuration directory].
    #[arg(short = 'f', long, global = true, value_name = "FILE", env = "GSCTL_HOSTS_FILE", value_hint = ValueHint::FilePath)]
    pub hosts_file: Vec<PathBuf>,
    /// Host set, e.g. `omm@node[01-12,20]:2222,10.0.0.[1-4]`; a name that the hosts file knows keeps its settings. `@NAME` is
    /// a group; `@failed`, `@unreachable` and `@ok` are hosts of the last run, `@failed:RUN` those of another. `a!b` is a without
    /// b, `a&b` what is in both, `a^b` what is in one of them.
    #[arg(short = 'w', long, global = true, value_name = "SET", env = "GSCTL_HOSTS")]
    pub hosts: Vec<String>,
    /// Only hosts of this group.
    #[arg(short = 'g', long, global = true, value_name = "NAME", env = "GSCTL_GROUP")]
    pub group: Vec<String>,
    /// Only hosts of this set.
    #[arg(long, global = true, value_name = "SET", env = "GSCTL_INTERSECT")]
    pub intersect: Vec<String>,
    /// Not these hosts.
    #[arg(short = 'x', long, global = true, value_name = "SET", env = "GSCTL_EXCLUDE")]
    pub exclude: Vec<String>,
    /// Only the I-th of N parts of the selection, for runs on several machines; `auto`: by the variables of a Slurm array;
    /// `auto/N`: by those of a Slurm array that begins at 1, or of an indexed Job of Kubernetes. An empty part is no error.
    #[arg(long, global = true, value_name = "I/N|auto[/N]", env = "GSCTL_PARTITION")]
    pub partition: Option<PartitionRequest>,
    /// Settings of every host of which the hosts file says nothing else.
    #[arg(skip)]
    pub settings: Vec<HostSetting>,
}

/// A setting of every host, from the config file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSetting {
    /// Its name in a hosts file.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The config file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

/// How to reach them.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "SSH")]
pub struct SshOptions {
    /// Login name.
    #[arg(short = 'l', long, global = true, value_name = "USER", env = "GSCTL_USER")]
    pub user: Option<String>,
    /// TCP port.
    #[arg(short = 'p', long, global = true, value_name = "PORT", env = "GSCTL_PORT")]
    pub port: Option<u16>,
    /// Private key file; repeatable.
    #[arg(short = 'i', long, global = true, value_name = "FILE", env = "GSCTL_IDENTITY", value_hint = ValueHint::FilePath)]
    pub identity: Vec<PathBuf>,
    /// Jump hosts, `[user@]host[:port]`, with commas between them in the order in which they are passed; `none` for none.
    #[arg(short = 'J', long, global = true, value_name = "SPEC", env = "GSCTL_JUMP")]
    pub jump: Option<String>,
    /// `ssh_config` file; `none` reads none [default: ~/.ssh/config].
    #[arg(short = 'F', long, global = true, value_name = "FILE", env = "GSCTL_SSH_CONFIG", value_hint = ValueHint::FilePath)]
    pub ssh_config: Option<PathBuf>,
    /// An option as in `ssh_config`; one that gsctl cannot honour is an error that names it.
    #[arg(short = 'o', long, global = true, value_name = "KEY=VALUE")]
    pub ssh_option: Vec<String>,
    /// Ask for a password once, on the terminal; for hosts that take one, or ask for it (keyboard-interactive).
    #[arg(long, global = true, conflicts_with = "password_file")]
    pub ask_password: bool,
    /// Take that password from the first line of a file that only you can read; `-` is standard input.
    #[arg(long, global = true, value_name = "FILE", env = "GSCTL_PASSWORD_FILE", value_hint = ValueHint::FilePath)]
    pub password_file: Option<PathBuf>,
    /// Known hosts file, as `-o UserKnownHostsFile=FILE` [default: that of `ssh_config`, else `~/.ssh/known_hosts`].
    #[arg(long, global = true, value_name = "FILE", env = "GSCTL_KNOWN_HOSTS", value_hint = ValueHint::FilePath)]
    pub known_hosts: Option<PathBuf>,
    /// Host key checking [default: `StrictHostKeyChecking` of `ssh_config`, else strict].
    #[arg(long, global = true, value_name = "POLICY", env = "GSCTL_HOST_KEY_POLICY")]
    pub host_key_policy: Option<HostKeyPolicy>,
    /// Time for one attempt: resolve, connect, key exchange and login [default: 5s].
    #[arg(long, global = true, value_name = "DUR", value_parser = limit, env = "GSCTL_CONNECT_TIMEOUT")]
    pub connect_timeout: Option<Duration>,
    /// Attempts, with growing pauses; only for failures before a command could have run [default: 3].
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), env = "GSCTL_CONNECT_ATTEMPTS")]
    pub connect_attempts: Option<u32>,
    /// Interval of keepalives and how many unanswered ones end the connection [default: 15sx3].
    #[arg(long, global = true, value_name = "DUR[xN]", value_parser = keepalive, env = "GSCTL_KEEPALIVE")]
    pub keepalive: Option<(Duration, u32)>,
    /// Time for which output is read on after a command's own end, while a child holds it open; `0` none.
    #[arg(long, global = true, value_name = "DUR", value_parser = duration, default_value = "250ms", env = "GSCTL_LINGER")]
    pub linger: Duration,
    /// Who makes the connections.
    #[arg(long, global = true, value_name = "NAME", default_value = "native", env = "GSCTL_TRANSPORT")]
    pub transport: Transport,
}

/// How to carry out the run.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Run")]
pub struct RunOptions {
    /// Hosts worked on at once.
    #[arg(long, global = true, value_name = "N", default_value = "128", value_parser = clap::value_parser!(u32).range(1..), env = "GSCTL_FANOUT")]
    pub fanout: u32,
    /// Time for each command: `60`, `60s`, `5m`; `0` none [default: none for exec, 60s for playbook steps].
    #[arg(short = 't', long, global = true, value_name = "DUR", value_parser = duration, env = "GSCTL_TIMEOUT")]
    pub timeout: Option<Duration>,
    /// Time for the whole run [default: none].
    #[arg(long, global = true, value_name = "DUR", value_parser = duration, env = "GSCTL_DEADLINE")]
    pub deadline: Option<Duration>,
    /// Batches of so many hosts, one after the other; `play`, `restart`: all steps for a batch before the next one begins [default: all at once].
    #[arg(long, global = true, value_name = "N|P%", value_parser = batch, env = "GSCTL_SERIAL")]
    pub serial: Option<Share>,
    /// Begin no new host once more than that have failed; what runs ends by itself [default: never; 0 for batches of `play` and `restart`].
    #[arg(long, global = true, value_name = "N|P%", value_parser = share, env = "GSCTL_MAX_FAIL")]
    pub max_fail: Option<Share>,
    /// Begin with so many hosts, and ask before the others follow; where one of them fails, none does. `play` does all steps
    /// on them first.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), env = "GSCTL_CANARY")]
    pub canary: Option<u32>,
    /// Do not ask: go on once the canaries are fine, remove files on many hosts.
    #[arg(long, global = true)]
    pub yes: bool,
    /// Print what would be done and on which hosts, step by step; with -v, and for commands, exactly what would run; contact nobody.
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Leave the config file out (`gsctl config --path`).
    #[arg(long, global = true)]
    pub no_config: bool,
}

/// What to print and write.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct OutputOptions {
    /// Write a JSON report; `-` is standard output.
    #[arg(long, global = true, value_name = "FILE", env = "GSCTL_JSON", value_hint = ValueHint::FilePath)]
    pub json: Option<PathBuf>,
    /// Write events as JSON lines, as they happen; `-` is standard output.
    #[arg(long, global = true, value_name = "FILE", env = "GSCTL_JSONL", value_hint = ValueHint::FilePath)]
    pub jsonl: Option<PathBuf>,
    /// Write a JUnit report; `-` is standard output.
    #[arg(long, global = true, value_name = "FILE", env = "GSCTL_JUNIT", value_hint = ValueHint::FilePath)]
    pub junit: Option<PathBuf>,
    /// Write the run as one page for a browser, with a lane per host; `-` is standard output.
    #[arg(long, global = true, value_name = "FILE", env = "GSCTL_HTML", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
    /// Write each host's output to DIR/HOST.stdout and DIR/HOST.stderr.
    #[arg(long, global = true, value_name = "DIR", env = "GSCTL_OUTPUT_DIR", value_hint = ValueHint::DirPath)]
    pub output_dir: Option<PathBuf>,
    /// Identical output once, under the folded host set [default on a terminal for more than one host].
    #[arg(long, global = true, conflicts_with_all = ["stream", "quiet_hosts"])]
    pub gather: bool,
    /// Lines as they come, with the host in front [default otherwise; without the host where -w is one plain name].
    #[arg(long, global = true, conflicts_with = "quiet_hosts")]
    pub stream: bool,
    /// Lines as they come, never with the host in front.
    #[arg(short = 'N', long, global = true)]
    pub no_prefix: bool,
    /// Status only, no remote output.
    #[arg(long, global = true)]
    pub quiet_hosts: bool,
    /// Gather, and show each output as its difference from the most common one.
    #[arg(long, global = true, conflicts_with_all = ["stream", "quiet_hosts"])]
    pub diff: bool,
    /// Gather, and show only the last lines of each host's output; reports keep everything.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["stream", "quiet_hosts"])]
    pub tail: Option<u32>,
    /// Show only lines that match this regular expression; reports keep everything.
    #[arg(long, global = true, value_name = "RE", conflicts_with = "quiet_hosts")]
    pub grep: Option<String>,
    /// Colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", env = "GSCTL_COLOR")]
    pub color: When,
    /// Live progress.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", env = "GSCTL_PROGRESS")]
    pub progress: When,
    /// Say only what failed.
    #[arg(short = 'q', long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more; repeatable.
    #[arg(short = 'v', long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a shell command on every host.
    Exec(Exec),
    /// Run a local script on every host, in the interpreter that its `#!` names.
    Script(Script),
    /// Run a command on this machine, once for each host.
    ///
    /// `{host}`, `{address}`, `{user}`, `{port}`, `{groups}` and the host's variables are put into it, quoted for the shell;
    /// `{{host}}` is the text itself. Nobody is connected to. Limits, output and reports are those of `exec`.
    Local(Local),
    /// A prompt: log in once, then run each line on the hosts over the connections that are there.
    ///
    /// `:help` at the prompt tells its words, such as `:hosts`, `:push` and `:reconnect`. Ctrl-C kills a command on the nodes and
    /// keeps the shell, Ctrl-D ends it. With -c, or lines on standard input, the exit status is the worst of all lines; at a
    /// prompt it is 0. Each line is a shell of its own on the nodes: `cd` holds for its line.
    Shell(ShellArgs),
    /// Connect and log in only; one line per host with the time taken and the server's banner.
    Ping,
    /// Is a process, command, port or file there on every host? All that are named must hold.
    Check(Check),
    /// Wait until a port, command, file or reboot is there on every host. All that are named must hold; a host that cannot be
    /// reached yet is tried again. `-t` is the time for the whole wait [default: 600s].
    Wait(Wait),
    /// Place marker files; says per path and host: created, present, denied, failed.
    Touch(Touch),
    /// Remove marker files; says per path and host: removed, absent, denied, failed.
    Rm(Rm),
    /// Copy files and directories to every host; what is there already is left alone, what was cut short goes on.
    ///
    /// Files go over SFTP, with mode and time. Each is sent as `.gsctl-*.part` beside its place, which is this run's alone, and
    /// gets its name once its SHA-256 is right; a symbolic link in that place is replaced, while a DEST that is a link to a
    /// directory means into it. `--timeout` is for all files of a host together.
    Push(Push),
    /// Copy files and directories from every host, each host's into a directory of its own; what is here already is left
    /// alone, what was cut short goes on.
    ///
    /// Files come over SFTP, with mode and time, but never setuid. Each is received as `.gsctl-*.part` beside its place, and
    /// gets its name once its SHA-256 is right (its size, where the node has no program for that). Of a file that grows
    /// meanwhile, what it held at the beginning is copied; what has no size, as in /proc, is read to its end. The last 5% of the
    /// disk here, 256 MB at most, are left to others. `--timeout` is for all files of a host together.
    Pull(Pull),
    /// Start the cluster and watch every node's startup chain come up.
    Start(Start),
    /// Stop the cluster, and wait until its processes are gone on every node.
    Stop(Stop),
    /// Stop the cluster and start it again; with --serial one node after the other, where the system can.
    Restart(Restart),
    /// What every node is doing; one row per node.
    Status(Status),
    /// Say of every node what is missing, why, and what to do; changes nothing.
    ///
    /// Looks into the logs since the newest start that they tell of. Exit status 0 where everything is up, 5 where something is
    /// not, 4 where a node could not be looked at.
    Diagnose(Diagnose),
    /// Explain a documented cause by its id, such as OG44: what it means, where the proof lies, what to do, whether waiting helps.
    Explain(Explain),
    /// Make a standby the primary, where the system has that (greenplum, postgres).
    Promote(Promote),
    /// Run a playbook: a file, or a built-in by name.
    Play(Play),
    /// Print the selected hosts and their settings; contacts nobody.
    Hosts(Hosts),
    /// List past runs; `show` tells of one.
    Runs(Runs),
    /// Show the defaults of options, and who set them: the command line, the environment or the config file.
    Config(Config),
    /// Print what a shell needs to complete gsctl's commands, options, hosts and groups.
    Completions(Completions),
    /// Print a manual page, or write all of them.
    Man(Man),
}

/// Arguments of `exec`.
#[derive(Debug, Args)]
pub struct Exec {
    /// The command, for the user's login shell; several words are joined by spaces, as ssh does.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<String>,
    /// Send the command as it is, for appliances with restricted shells. Without gsctl's wrapper a status of 0 may mean that
    /// none was heard, and a command that times out is not killed on the node. Its text then stands in the arguments of the
    /// node's processes, as it does for accounts with csh.
    #[arg(long, conflicts_with_all = ["env", "chdir", "shell", "sudo"])]
    pub raw: bool,
    /// Variables and directory.
    #[command(flatten)]
    pub environment: RemoteEnvironment,
    /// The shell of the node that runs the command, as `SH -c COMMAND` [default: the user's login shell].
    #[arg(long, value_name = "SH", value_hint = ValueHint::Other)]
    pub shell: Option<String>,
    /// What the command reads on every host: a file of this machine, `-` is gsctl's own standard input [default: nothing].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub stdin: Option<PathBuf>,
    /// Give the command a terminal, for programs that insist on one. Its errors then come with its output, and what it reads is
    /// an end of file.
    #[arg(long, conflicts_with = "stdin")]
    pub pty: bool,
    /// Exit with the highest exit status of the commands, in the place of 0 and 5; 1 to 4, 6, 7, 130 and 143 stay gsctl's own.
    #[arg(short = 'S', long)]
    pub remote_status: bool,
    /// As whom.
    #[command(flatten)]
    pub privilege: Privilege,
}

/// Arguments of `local`.
#[derive(Debug, Args)]
pub struct Local {
    /// The command, as in `ipmitool -H {host}-bmc power on`; several words are joined by spaces.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<String>,
    /// Set an environment variable for it.
    #[arg(long, value_name = "K=V", value_parser = environment::assignment)]
    pub env: Vec<(String, String)>,
    /// The shell that runs it, as `SH -c COMMAND`.
    #[arg(long, value_name = "SH", default_value = "/bin/sh", value_hint = ValueHint::CommandName)]
    pub shell: String,
    /// What the command reads for every host: a file, `-` is gsctl's own standard input [default: nothing].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub stdin: Option<PathBuf>,
    /// Exit with the highest exit status of the commands, in the place of 0 and 5; 1 to 4, 6, 7, 130 and 143 stay gsctl's own.
    #[arg(short = 'S', long)]
    pub remote_status: bool,
}

/// Arguments of `shell`.
#[derive(Debug, Args)]
pub struct ShellArgs {
    /// Run this line and end; repeatable [default: lines of the terminal, or of standard input].
    #[arg(short = 'c', long = "command", value_name = "LINE", allow_hyphen_values = true)]
    pub line: Vec<String>,
}

/// Arguments of `script`.
#[derive(Debug, Args)]
pub struct Script {
    /// The script, on this machine. It is read once and nothing is left on the nodes; without a `#!` line it is for /bin/sh. What
    /// it reads itself is empty.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Its arguments, as they are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub args: Vec<String>,
    /// Exit with the highest exit status of the script, in the place of 0 and 5; 1 to 4, 6, 7, 130 and 143 stay gsctl's own.
    #[arg(short = 'S', long)]
    pub remote_status: bool,
    /// Variables and directory.
    #[command(flatten)]
    pub environment: RemoteEnvironment,
    /// As whom.
    #[command(flatten)]
    pub privilege: Privilege,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("checks").required(true).multiple(true))]
pub struct Check {
    /// A process of this name runs, and where a path is given, from this executable.
    #[arg(long, value_name = "NAME[=PATH]", group = "checks")]
    pub process: Vec<String>,
    /// No process of this name runs, or where a path is given, none from this executable.
    #[arg(long, value_name = "NAME[=PATH]", group = "checks")]
    pub no_process: Vec<String>,
    /// This command ends with status 0.
    #[arg(long, value_name = "CMD", group = "checks")]
    pub command: Vec<String>,
    /// Something listens on this TCP port of the node.
    // Named apart from the SSH port, which every command has: clap would take the two for one.
    #[arg(id = "check_port", long = "port", value_name = "N", group = "checks", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Vec<u16>,
    /// This file is there.
    #[arg(long, value_name = "PATH", group = "checks")]
    pub file: Vec<String>,
    /// This file is not there.
    #[arg(long, value_name = "PATH", group = "checks")]
    pub no_file: Vec<String>,
    /// TCP port of sshd; `--port` is what is checked here.
    #[arg(id = "port", short = 'p', long = "ssh-port", value_name = "PORT", help_heading = "SSH", env = "GSCTL_PORT")]
    pub ssh_port: Option<u16>,
}

/// Arguments of `touch`.
#[derive(Debug, Args)]
pub struct Touch {
    /// Files to create where they are not there.
    #[arg(required = true, value_name = "PATH")]
    pub path: Vec<String>,
    /// As whom.
    #[command(flatten)]
    pub privilege: FilePrivilege,
}

/// Arguments of `rm`.
#[derive(Debug, Args)]
pub struct Rm {
    /// Files to remove; globs in the last component only, quoted against your own shell; never a directory.
    #[arg(required = true, value_name = "PATH")]
    pub path: Vec<String>,
    /// On a terminal, ask before files are removed on more hosts than this.
    #[arg(long, value_name = "N", default_value = "10", env = "GSCTL_CONFIRM_ABOVE")]
    pub confirm_above: usize,
    /// As whom.
    #[command(flatten)]
    pub privilege: FilePrivilege,
}

/// Which system's playbook.
#[derive(Debug, Args)]
pub struct System {
    /// The system, or a directory with playbooks of one's own: `./app` has `start.yaml` for `start`.
    #[arg(long, value_name = "NAME|DIR", default_value = "opengauss", env = "GSCTL_SYSTEM")]
    pub system: String,
    /// Set a variable of the playbook.
    #[arg(long, value_name = "K=V", value_parser = variable)]
    pub var: Vec<(String, String)>,
}

/// How a preflight judges.
#[derive(Debug, Args)]
pub struct Preflight {
    /// Go on without so many unreachable nodes, or without a minority of them.
    #[arg(long, value_name = "N|minority")]
    pub allow_unreachable: Option<AllowUnreachable>,
    /// Go on whatever the first look finds, and with a run whose playbook, variables or hosts have changed.
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `start`.
#[derive(Debug, Args)]
pub struct Start {
    /// Which system's playbook.
    #[command(flatten)]
    pub system: System,
    /// How long to wait for the chain; `0` not at all [default: 600s].
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub wait: Option<Duration>,
    /// A degraded cluster will do.
    #[arg(long, value_name = "STATE")]
    pub accept: Option<Accept>,
    /// How the preflight judges.
    #[command(flatten)]
    pub preflight: Preflight,
}

/// Arguments of `stop`.
#[derive(Debug, Args)]
pub struct Stop {
    /// Which system's playbook.
    #[command(flatten)]
    pub system: System,
    /// How long to wait until the processes are gone; `0` not at all [default: 600s].
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub wait: Option<Duration>,
    /// How to stop.
    #[arg(long, value_name = "MODE")]
    pub mode: Option<StopMode>,
    /// How the preflight judges.
    #[command(flatten)]
    pub preflight: Preflight,
}

/// Arguments of `restart`.
#[derive(Debug, Args)]
pub struct Restart {
    /// Which system's playbook.
    #[command(flatten)]
    pub system: System,
    /// How long to wait for nodes and cluster, each time [default: 600s].
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub wait: Option<Duration>,
    /// How to stop.
    #[arg(long, value_name = "MODE")]
    pub mode: Option<StopMode>,
    /// A degraded cluster will do.
    #[arg(long, value_name = "STATE")]
    pub accept: Option<Accept>,
    /// With --serial: move the primary to another node before its turn, which is the last; else it is restarted in place.
    #[arg(long)]
    pub switchover: bool,
    /// How the preflight judges.
    #[command(flatten)]
    pub preflight: Preflight,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Which system's playbook.
    #[command(flatten)]
    pub system: System,
    /// Let the exit status tell: 0 only where every node has what it should have and the cluster is Normal, 4 where a node could
    /// not be looked at, else 5.
    #[arg(long)]
    pub exit_code: bool,
}

/// Arguments of `diagnose`.
#[derive(Debug, Args)]
pub struct Diagnose {
    /// Which system's playbook.
    #[command(flatten)]
    pub system: System,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The id of a cause; without one, all of them are listed.
    #[arg(value_name = "ID")]
    pub id: Option<String>,
}

/// Arguments of `promote`.
#[derive(Debug, Args)]
pub struct Promote {
    /// Which system's playbook.
    #[command(flatten)]
    pub system: System,
    /// How long to wait until it takes connections, and writes; `0` not at all [default: the playbook's].
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub wait: Option<Duration>,
    /// How the preflight judges.
    #[command(flatten)]
    pub preflight: Preflight,
}

/// Arguments of `play`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Play {
    /// A playbook file, or a built-in such as `opengauss/start`.
    #[arg(required_unless_present_any = ["list", "show", "schema", "resume"], value_name = "PLAYBOOK")]
    pub playbook: Option<String>,
    /// Set a variable of the playbook.
    #[arg(long, value_name = "K=V", value_parser = variable)]
    pub var: Vec<(String, String)>,
    /// Only hosts of this set, as with --intersect.
    #[arg(long, value_name = "SET")]
    pub limit: Vec<String>,
    /// List the built-in playbooks.
    #[arg(long, conflicts_with_all = ["playbook", "show", "var", "resume", "from"])]
    pub list: bool,
    /// Print a built-in playbook, for editing.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["playbook", "var", "resume", "from"])]
    pub show: Option<String>,
    /// Go on with a run where it stopped: its id, or the last one of this playbook and these hosts that did not end well.
    /// What is done is not done again; variables that are not given are those of that run.
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "")]
    pub resume: Option<String>,
    /// Begin at this step, by its name or number; looks before it are done all the same.
    #[arg(long, value_name = "STEP")]
    pub from: Option<String>,
    /// Print the JSON Schema of playbooks, for editors.
    #[arg(long, exclusive = true)]
    pub schema: bool,
    /// Only check that the playbook is right; no hosts are needed.
    #[arg(long, conflicts_with_all = ["resume", "from"])]
    pub syntax_check: bool,
    /// Only list the hosts that each step is for; contact nobody.
    #[arg(long, conflicts_with_all = ["resume", "from"])]
    pub list_hosts: bool,
    /// How the preflight judges.
    #[command(flatten)]
    pub preflight: Preflight,
    /// The password for steps that say `sudo`.
    #[command(flatten)]
    pub sudo_password: SudoPassword,
}

/// Arguments of `runs`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Runs {
    /// Only runs that failed.
    #[arg(long)]
    pub failed: bool,
    /// Print the JSON Schema of reports, for programs that read them.
    #[arg(long, conflicts_with = "failed")]
    pub schema: bool,
    /// What about them.
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
}

/// What about past runs.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// What one run did, step by step, and how to go on with it.
    Show {
        /// The run's id, or the beginning of it [default: the last run].
        #[arg(value_name = "RUN", default_value = "last", hide_default_value = true)]
        run: String,
        /// Only hosts that failed.
        #[arg(long)]
        failed: bool,
    },
    /// What each host said, as far as it was kept; -w names hosts.
    Outputs {
        /// The run's id, or the beginning of it [default: the last run].
        #[arg(value_name = "RUN", default_value = "last", hide_default_value = true)]
        run: String,
        /// Only hosts that failed.
        #[arg(long)]
        failed: bool,
    },
    /// Make one report of the JSON reports of the parts of a run (--partition), and say which part is missing.
    ///
    /// Prints the summary, writes --json, --junit and --html, and ends with the exit status of the whole: 4 where a part is
    /// missing and nothing worse happened. `@failed` is then about the whole run.
    Merge {
        /// What each part wrote with --json.
        #[arg(value_name = "REPORT", required = true, value_hint = ValueHint::FilePath)]
        reports: Vec<PathBuf>,
    },
}

/// Arguments of `hosts`.
#[derive(Debug, Args)]
pub struct Hosts {
    /// Host sets, as with -w; `-` reads them from standard input, parted by blanks and line ends.
    #[arg(value_name = "SET")]
    pub set: Vec<String>,
    /// Print the groups, and which of the selected hosts are in each.
    #[arg(long, conflicts_with_all = ["expand", "fold", "from_cm_view"])]
    pub groups: bool,
    /// Print only the names, one a line.
    #[arg(long, conflicts_with = "fold")]
    pub expand: bool,
    /// Print only the names, folded to one set: node[01-12,20].
    #[arg(long)]
    pub fold: bool,
    /// Make a hosts file out of the output of `cm_ctl view`; `-` is standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub from_cm_view: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn clap_finds_nothing_wrong() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_argument_of_a_command_takes_the_place_of_an_option_for_every_command() {
        let top = Cli::command();
        let global: Vec<&str> =
            top.get_arguments().filter(|arg| arg.is_global_set()).map(|a| a.get_id().as_str()).collect();
        assert!(global.len() > 20, "{global:?}");
        for command in top.get_subcommands() {
            let own: Vec<&str> = command.get_arguments().map(|arg| arg.get_id().as_str()).collect();
            let both: Vec<&&str> = own.iter().filter(|id| global.contains(id)).collect();
            // The `--port` of `check` and `wait` is the port that is looked at, so their SSH port has another long name.
            let want: &[&&str] = if ["check", "wait"].contains(&command.get_name()) { &[&"port"] } else { &[] };
            assert_eq!(both, want, "{}", command.get_name());
        }
    }

    #[test]
    fn check_and_wait_know_the_port_to_look_at_from_that_of_ssh() {
        for (words, ssh, looked_at) in [
            (&["check", "--port", "5432"][..], None, &[5432][..]),
            (&["-p", "2222", "check", "--port", "1", "--port", "2"], Some(2222), &[1, 2]),
            (&["--port", "2222", "check", "--port", "1"], Some(2222), &[1]),
            (&["check", "-p", "2222", "--port", "1"], Some(2222), &[1]),
            (&["check", "--ssh-port", "2222", "--port", "1"], Some(2222), &[1]),
        ] {
            for command in ["check", "wait"] {
                let words = words.iter().map(|&word| if word == "check" { command } else { word });
                let words: Vec<&str> = ["gsctl"].into_iter().chain(words).collect();
                let cli = Cli::try_parse_from(&words).unwrap();
                let (Command::Check(Check { port, .. }) | Command::Wait(Wait { port, .. })) = cli.command else {
                    panic!("{words:?}")
                };
                assert_eq!((cli.options.ssh.port, &port[..]), (ssh, looked_at), "{words:?}");
            }
        }
    }
}
