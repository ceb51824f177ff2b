//! `sudo -n [-l] COMMAND...`, setuid root on a node of the lab: everybody may do everything.

use std::env;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// Becomes the command, or with `-l` says that it would.
pub(crate) fn run() -> ExitCode {
    let mut arguments = env::args_os().skip(1).peekable();
    let mut list = false;
    while let Some(option) = arguments.next_if(|argument| argument == "-n" || argument == "-l") {
        list |= option == "-l";
    }
    let Some(program) = arguments.next() else { return ExitCode::from(64) };
    if list {
        let said = writeln!(io::stdout(), "{}", program.display());
        return if said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let _ = Command::new(program).args(arguments).exec();
    ExitCode::from(127)
}
