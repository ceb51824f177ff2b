//! Arguments of `completions` and `man`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// A shell that can ask gsctl what may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// In ~/.bashrc: source <(gsctl completions bash)
    Bash,
    /// In ~/.zshrc, after compinit: source <(gsctl completions zsh)
    Zsh,
    /// gsctl completions fish > ~/.config/fish/completions/gsctl.fish
    Fish,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The command [default: gsctl itself].
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
    /// Write the pages of all commands into this directory: gsctl.1, gsctl-exec.1, ...
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "command")]
    pub dir: Option<PathBuf>,
}
