//! The command line of pssh 2.3, for drop-in use: `gsctl pssh ...`, or gsctl under the name `pssh` or `parallel-ssh`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};

use super::Options;

/// Whose lines and exit statuses are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// pssh 2.3.
    Pssh,
    /// The pssh that openGauss brings along, which `cm_ctl` and OM read.
    Opengauss,
}

/// Run a command on every host, with the options, lines and exit statuses of pssh 2.3.
#[derive(Debug, Parser)]
#[command(
    name = "pssh",
    version,
    max_term_width = 100,
    disable_help_flag = true,
    infer_long_args = true,
    args_override_self = true
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Pssh {
    /// Hosts file, repeatable; each line is `[user@]host[:port] [user]`.
    #[arg(short = 'h', long = "hosts", value_name = "HOST_FILE")]
    pub host_files: Vec<PathBuf>,
    /// More hosts, `[user@]host[:port]`, separated by spaces; repeatable.
    #[arg(short = 'H', long = "host", value_name = "HOST_STRING")]
    pub host_strings: Vec<String>,
    /// Login name.
    #[arg(short = 'l', long, env = "PSSH_USER")]
    pub user: Option<String>,
    /// Hosts at once [default: 32].
    #[arg(short = 'p', long, env = "PSSH_PAR", value_parser = clap::value_parser!(u32).range(1..))]
    pub par: Option<u32>,
    /// Directory for files with standard output.
    #[arg(short = 'o', long, env = "PSSH_OUTDIR")]
    pub outdir: Option<PathBuf>,
    /// Directory for files with standard error.
    #[arg(short = 'e', long, env = "PSSH_ERRDIR")]
    pub errdir: Option<PathBuf>,
    /// Seconds for each host's command; 0 is no limit [default: 60, openGauss 300].
    #[arg(short = 't', long, env = "PSSH_TIMEOUT", allow_negative_numbers = true)]
    pub timeout: Option<i64>,
    /// An option as in `ssh_config`, KEY=VALUE; repeatable.
    #[arg(short = 'O', long = "option", env = "PSSH_OPTIONS")]
    pub options: Vec<String>,
    /// Also say what does not change the result.
    #[arg(short = 'v', long)]
    pub verbose: bool,
    /// Standard output and error of each host, after its line.
    #[arg(short = 'i', long)]
    pub inline: bool,
    /// Standard output of each host, after its line.
    #[arg(long)]
    pub inline_stdout: bool,
    /// Read standard input and give it to every host.
    #[arg(short = 'I', long)]
    pub send_input: bool,
    /// Lines as they come, with the host in front.
    #[arg(short = 'P', long = "print")]
    pub print: bool,
    /// Output only, and the first failing host's own exit status (openGauss).
    #[arg(short = 's')]
    pub shell_mode: bool,
    /// Has no effect (openGauss).
    #[arg(long, hide = true)]
    pub trace_id: Option<String>,
    /// Whose lines and exit statuses are spoken.
    #[arg(long, env = "GSCTL_PSSH_DIALECT", default_value = "pssh")]
    pub dialect: Dialect,
    /// Print help.
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// The command; several words are joined by spaces. Options end where it begins.
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// The words for pssh's own parser, where the program was called as pssh.
#[must_use]
pub fn called(words: &[OsString]) -> Option<Vec<OsString>> {
    let name = Path::new(words.first()?).file_name()?.to_str()?;
    if matches!(name, "pssh" | "parallel-ssh") {
        return Some(words.to_vec());
    }
    (words.get(1)? == "pssh").then(|| words[1..].to_vec())
}

impl Pssh {
    /// Reads pssh's command line.
    ///
    /// # Errors
    /// When it is not understood, or asks for help.
    pub fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        Self::try_parse_from(words)
    }
}

/// gsctl's own options, all left unsaid, and none taken from the environment.
#[derive(Debug, Parser)]
#[command(name = "gsctl")]
struct Unsaid {
    #[command(flatten)]
    options: Options,
}

/// gsctl's own options, where nobody says anything: pssh's callers know none of them, nor gsctl's variables.
///
/// # Errors
/// Never, unless an option has no default.
pub fn unsaid() -> Result<Options, clap::Error> {
    let mut command = Unsaid::command().mut_args(|arg| arg.env(None::<&'static str>));
    let matches = command.try_get_matches_from_mut(["gsctl"])?;
    Ok(Unsaid::from_arg_matches(&matches)?.options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let args = Pssh::read(&words("pssh -h f -ip 3 -Hn1 --inline-s uptime -p -h x")).unwrap();
        assert_eq!((args.par, args.inline, args.inline_stdout), (Some(3), true, true));
        assert_eq!((args.host_files, args.host_strings), (vec![PathBuf::from("f")], vec!["n1".to_owned()]));
        assert_eq!(args.command, ["uptime", "-p", "-h", "x"]);
        // What is not known is an error, never a word of the command.
        for line in ["pssh -p 0 -H a b", "pssh -A -H a b", "pssh -H a -x y b", "pssh -H a --no-headers b"] {
            assert!(Pssh::read(&words(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn it_goes_by_its_name() {
        assert_eq!(called(&words("/usr/bin/parallel-ssh -i")).unwrap().len(), 2);
        assert_eq!(called(&words("gsctl pssh -i")).unwrap(), words("pssh -i"));
        assert!(called(&words("gsctl -v pssh")).is_none() && called(&words("gsctl exec pssh")).is_none());
        unsaid().unwrap();
    }
}
