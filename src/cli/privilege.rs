//! Options for sudo: the user that a command runs as on the nodes, and its password.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::plan::exec_options::validate_user;

/// As whom a command runs.
#[derive(Debug, Default, Args)]
pub struct Privilege {
    /// Run it as USER through the node's sudo, in /bin/sh (or --shell) and not in the login shell; root where no `=USER` follows.
    #[arg(long, value_name = "USER", num_args = 0..=1, require_equals = true, default_missing_value = "root", value_parser = user)]
    pub sudo: Option<String>,
    /// The password for it.
    #[command(flatten)]
    pub password: SudoPassword,
}

/// As whom files are looked at, written and removed.
#[derive(Debug, Default, Args)]
pub struct FilePrivilege {
    /// Do it as USER through the node's sudo; root where no `=USER` follows.
    #[arg(long, value_name = "USER", num_args = 0..=1, require_equals = true, default_missing_value = "root", value_parser = user)]
    pub sudo: Option<String>,
    /// The password for it.
    #[command(flatten)]
    pub password: SudoPassword,
}

/// The password of the login user, for sudo.
#[derive(Debug, Default, Args)]
pub struct SudoPassword {
    /// Ask for sudo's password once, on the terminal; it is sent to hosts whose sudo asks for one, once.
    #[arg(long, conflicts_with = "sudo_password_file")]
    pub ask_sudo_password: bool,
    /// Take that password from the first line of a file that only you can read; `-` is standard input.
    #[arg(long, value_name = "FILE", env = "GSCTL_SUDO_PASSWORD_FILE", value_hint = ValueHint::FilePath)]
    pub sudo_password_file: Option<PathBuf>,
}

/// A name that sudo can be asked for.
fn user(text: &str) -> Result<String, String> {
    validate_user(text).map(|()| text.to_owned())
}
