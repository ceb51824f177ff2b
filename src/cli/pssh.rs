//! The command lines of pssh 2.3 and its siblings, for `gsctl pssh` and programs that are links named `pssh` or `parallel-ssh`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};

use super::Options;

/// Whose lines and exit statuses are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// pssh 2.3.
    Pssh,
    /// The pssh that openGauss brings along, which `cm_ctl` and OM read.
    Opengauss,
}

/// What every one of them knows.
#[derive(Debug, Args)]
pub struct Common {
    /// Hosts file, repeatable; each line is `[user@]host[:port] [user]`.
    #[arg(short = 'h', long = "hosts", value_name = "HOST_FILE")]
    pub host_files: Vec<PathBuf>,
    /// More hosts, `[user@]host[:port]`, separated by spaces; repeatable.
    #[arg(short = 'H', long = "host", value_name = "HOST_STRING")]
    pub host_strings: Vec<String>,
    /// Of the hosts files only hosts whose names fit; `*`, `?`, `[a-z]` and `[!a-z]` as in a shell.
    #[arg(short = 'g', long = "host-glob", value_name = "HOST_GLOB")]
    pub host_glob: Option<String>,
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
    /// Add to the files of -o and -e.
    #[arg(long)]
    pub fileappend: bool,
    /// Seconds for each host; 0 is no limit [default: pssh and pnuke 60, the others 0, openGauss 300].
    #[arg(short = 't', long, env = "PSSH_TIMEOUT", allow_negative_numbers = true)]
    pub timeout: Option<i64>,
    /// An option as in `ssh_config`, KEY=VALUE; repeatable.
    #[arg(short = 'O', long = "option")]
    pub options: Vec<String>,
    /// Also say what does not change the result.
    #[arg(short = 'v', long)]
    pub verbose: bool,
    /// Ask for a password once, for all hosts.
    #[arg(short = 'A', long)]
    pub askpass: bool,
    /// More arguments for ssh (scp, rsync), with quotes and backslashes as in a shell; repeatable.
    #[arg(short = 'x', long, value_name = "ARGS", allow_hyphen_values = true)]
    pub extra_args: Vec<String>,
    /// One more argument, as it is; repeatable.
    #[arg(short = 'X', long, value_name = "ARG", allow_hyphen_values = true)]
    pub extra_arg: Vec<String>,
    /// Print help.
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// Run a command on every host, with the options, lines and exit statuses of pssh 2.3.
#[derive(Debug, Parser)]
#[command(name = "pssh", version, max_term_width = 100, disable_help_flag = true, infer_long_args = true)]
#[command(args_override_self = true)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Pssh {
    /// What every one of them knows.
    #[command(flatten)]
    pub common: Common,
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
    /// With -i: output without the hosts' lines.
    #[arg(long)]
    pub no_headers: bool,
    /// Output only, and the first failing host's own exit status (openGauss).
    #[arg(short = 's')]
    pub shell_mode: bool,
    /// Has no effect (openGauss).
    #[arg(long, hide = true)]
    pub trace_id: Option<String>,
    /// Whose lines and exit statuses are spoken.
    #[arg(long, env = "GSCTL_PSSH_DIALECT", default_value = "pssh")]
    pub dialect: Dialect,
    /// Print a Python file that hands over to this gsctl, for callers that run `python3 .../pssh` (openGauss' OM).
    #[arg(long)]
    pub print_shim: bool,
    /// The command; several words are joined by spaces. Options end where it begins.
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Copy files to every host, with the options, lines and exit statuses of pscp 2.3.
#[derive(Debug, Parser)]
#[command(name = "pscp", version, max_term_width = 100, disable_help_flag = true, infer_long_args = true)]
#[command(args_override_self = true)]
pub struct Pscp {
    /// What every one of them knows.
    #[command(flatten)]
    pub common: Common,
    /// Directories too, with all that is in them.
    #[arg(short, long)]
    pub recursive: bool,
    /// Files here, and last where to on the hosts.
    #[arg(trailing_var_arg = true, value_name = "PATH")]
    pub paths: Vec<String>,
}

/// Copy files from every host, with the options, lines and exit statuses of pslurp 2.3.
#[derive(Debug, Parser)]
#[command(name = "pslurp", version, max_term_width = 100, disable_help_flag = true, infer_long_args = true)]
#[command(args_override_self = true)]
pub struct Pslurp {
    /// What every one of them knows.
    #[command(flatten)]
    pub common: Common,
    /// Directories too, with all that is in them.
    #[arg(short, long)]
    pub recursive: bool,
    /// Where the hosts' directories are made [default: the current directory].
    #[arg(short = 'L', long, env = "PSSH_LOCALDIR")]
    pub localdir: Option<PathBuf>,
    /// The file on the hosts, and what it is called in each host's directory here.
    #[arg(trailing_var_arg = true, value_name = "PATH")]
    pub paths: Vec<String>,
}

/// Run the installed rsync once for every host, with the options, lines and exit statuses of prsync 2.3.
#[derive(Debug, Parser)]
#[command(name = "prsync", version, max_term_width = 100, disable_help_flag = true, infer_long_args = true)]
#[command(args_override_self = true)]
pub struct Prsync {
    /// What every one of them knows.
    #[command(flatten)]
    pub common: Common,
    /// rsync's -r.
    #[arg(short, long)]
    pub recursive: bool,
    /// rsync's -a.
    #[arg(short, long)]
    pub archive: bool,
    /// rsync's -z.
    #[arg(short = 'z', long)]
    pub compress: bool,
    /// More arguments for the ssh that rsync starts.
    #[arg(short = 'S', long, value_name = "ARGS", allow_hyphen_values = true)]
    pub ssh_args: Option<String>,
    /// Files here, and last where to on the hosts.
    #[arg(trailing_var_arg = true, value_name = "PATH")]
    pub paths: Vec<String>,
}

/// Kill processes on every host (`pkill -9 PATTERN`), with the options, lines and exit statuses of pnuke 2.3.
#[derive(Debug, Parser)]
#[command(name = "pnuke", version, max_term_width = 100, disable_help_flag = true, infer_long_args = true)]
#[command(args_override_self = true)]
pub struct Pnuke {
    /// What every one of them knows.
    #[command(flatten)]
    pub common: Common,
    /// What their names fit: a regular expression for pkill.
    #[arg(trailing_var_arg = true, value_name = "PATTERN")]
    pub pattern: Vec<String>,
}

/// One of them, and its command line.
#[derive(Debug)]
pub enum Called {
    /// pssh.
    Pssh(Pssh),
    /// pscp.
    Pscp(Pscp),
    /// pslurp.
    Pslurp(Pslurp),
    /// prsync.
    Prsync(Prsync),
    /// pnuke.
    Pnuke(Pnuke),
}

impl Called {
    /// Reads a command line.
    ///
    /// # Errors
    /// When it is not understood, or asks for help.
    pub fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        match words.first().and_then(|name| name.to_str()).and_then(tool) {
            Some("pscp") => Pscp::try_parse_from(words).map(Self::Pscp),
            Some("pslurp") => Pslurp::try_parse_from(words).map(Self::Pslurp),
            Some("prsync") => Prsync::try_parse_from(words).map(Self::Prsync),
            Some("pnuke") => Pnuke::try_parse_from(words).map(Self::Pnuke),
            _ => Pssh::try_parse_from(words).map(Self::Pssh),
        }
    }

    /// What every one of them knows.
    #[must_use]
    pub fn common(&self) -> &Common {
        match self {
            Self::Pssh(args) => &args.common,
            Self::Pscp(args) => &args.common,
            Self::Pslurp(args) => &args.common,
            Self::Prsync(args) => &args.common,
            Self::Pnuke(args) => &args.common,
        }
    }
}

/// The words for one of these parsers, where the program was called as one of them.
#[must_use]
pub fn called(words: &[OsString]) -> Option<Vec<OsString>> {
    if tool(words.first()?.to_str()?).is_some() {
        return Some(words.to_vec());
    }
    // A path behind `gsctl` is no command of its.
    let second = words.get(1)?.to_str()?;
    (tool(second) == Some(second)).then(|| words[1..].to_vec())
}

/// Which of them a program is, also by Debian's name.
fn tool(path: &str) -> Option<&'static str> {
    Some(match Path::new(path).file_name()?.to_str()? {
        "pssh" | "parallel-ssh" => "pssh",
        "pscp" | "parallel-scp" => "pscp",
        "pslurp" | "parallel-slurp" => "pslurp",
        "prsync" | "parallel-rsync" => "prsync",
        "pnuke" | "parallel-nuke" => "pnuke",
        _ => return None,
    })
}

/// gsctl's own options, all left unsaid, and none taken from the environment.
#[derive(Debug, Parser)]
#[command(name = "gsctl")]
struct Unsaid {
    #[command(flatten)]
    options: Options,
}

/// gsctl's own options with their defaults: pssh's callers know none of them, nor gsctl's variables.
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
        let args = Pssh::try_parse_from(words("pssh -h f -ip 3 -Hn1 --inline-s uptime -p -h x")).unwrap();
        assert_eq!((args.common.par, args.inline, args.inline_stdout), (Some(3), true, true));
        assert_eq!(
            (args.common.host_files, args.common.host_strings),
            (vec![PathBuf::from("f")], vec!["n1".to_owned()])
        );
        assert_eq!(args.command, ["uptime", "-p", "-h", "x"]);
        // What is not known is an error, never a word of the command.
        for line in ["pssh -p 0 -H a b", "pssh -r -H a b", "pscp -i -H a b c", "pssh -H a --no-header-s b"] {
            assert!(Called::read(&words(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn it_goes_by_its_name() {
        assert_eq!(called(&words("/usr/bin/parallel-ssh -i")).unwrap().len(), 2);
        assert_eq!(called(&words("gsctl pssh -i")).unwrap(), words("pssh -i"));
        assert!(matches!(Called::read(&words("x/parallel-scp -H a b c")), Ok(Called::Pscp(_))));
        assert!(called(&words("gsctl -v pssh")).is_none() && called(&words("gsctl exec pssh")).is_none());
        unsaid().unwrap();
    }
}
