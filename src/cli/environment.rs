//! Options for the remote environment of a command: variables and directory.

use clap::{Args, ValueHint};

use crate::plan::exec_options::is_variable;

/// Variables and directory of a command.
#[derive(Debug, Default, Args)]
pub struct RemoteEnvironment {
    /// Set an environment variable for the command; repeatable. Not for secrets: the node's process table shows it.
    #[arg(long, value_name = "K=V", value_parser = assignment)]
    pub env: Vec<(String, String)>,
    /// Run the command in this directory of the node, or not at all; a relative one begins where the login does.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::Other)]
    pub chdir: Option<String>,
}

/// `NAME=VALUE` with a name that every shell takes.
pub(super) fn assignment(text: &str) -> Result<(String, String), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(format!("`{text}` has no `=`: write NAME=VALUE"));
    };
    if !is_variable(name) {
        return Err(format!("`{name}` is no name of a variable: letters, digits and `_`, no digit in front"));
    }
    Ok((name.to_owned(), value.to_owned()))
}
