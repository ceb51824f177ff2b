//! The arguments of `wait`.

use std::time::Duration;

use clap::Args;

use super::values::{duration, share};
use crate::plan::Share;

/// Arguments of `wait`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("conditions").required(true).multiple(true))]
pub struct Wait {
    /// A process of this name runs, and where a path is given, from this executable.
    #[arg(long, value_name = "NAME[=PATH]", group = "conditions")]
    pub process: Vec<String>,
    /// No process of this name runs any more, or where a path is given, none from this executable.
    #[arg(long, value_name = "NAME[=PATH]", group = "conditions")]
    pub no_process: Vec<String>,
    /// Something listens on this TCP port of the node.
    // Named apart from the SSH port, as in `check`.
    #[arg(id = "wait_port", long = "port", value_name = "N", group = "conditions", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Vec<u16>,
    /// This command ends with status 0.
    #[arg(long, value_name = "CMD", group = "conditions")]
    pub command: Vec<String>,
    /// This file is there.
    #[arg(long, value_name = "PATH", group = "conditions")]
    pub file: Vec<String>,
    /// This file is gone.
    #[arg(long, value_name = "PATH", group = "conditions")]
    pub no_file: Vec<String>,
    /// The node has booted since the wait began: its boot id is not the one that was found first.
    #[arg(long, group = "conditions")]
    pub rebooted: bool,
    /// So many hosts will do; the others are reported as not yet there [default: all].
    #[arg(long, value_name = "N|P%", value_parser = share)]
    pub quorum: Option<Share>,
    /// Time from one look at a node to the next.
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "1s")]
    pub every: Duration,
    /// TCP port of sshd; `--port` is what is waited for here.
    #[arg(id = "port", short = 'p', long = "ssh-port", value_name = "PORT", help_heading = "SSH", env = "GSCTL_PORT")]
    pub ssh_port: Option<u16>,
}
