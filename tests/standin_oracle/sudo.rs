//! `sudo -n [-l] [-u USER] COMMAND...`, setuid root on a node of the lab: everybody may do everything.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// Becomes the command, or with `-l` says that it would.
pub(crate) fn run() -> ExitCode {
    let mut arguments = env::args_os().skip(1).peekable();
    let (mut list, mut user) = (false, None);
    while let Some(option) = arguments.next_if(|argument| argument == "-n" || argument == "-l" || argument == "-u") {
        list |= option == "-l";
        if option == "-u" {
            user = arguments.next();
        }
    }
    let Some(program) = arguments.next() else { return ExitCode::from(64) };
    if list {
        let said = writeln!(io::stdout(), "{}", program.display());
        return if said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let mut command = Command::new(program);
    command.args(arguments);
    if let Some(id) = user.as_deref().and_then(|user| user.to_str()).and_then(user_id) {
        command.uid(id);
    }
    let _ = command.exec();
    ExitCode::from(127)
}

fn user_id(name: &str) -> Option<u32> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}
