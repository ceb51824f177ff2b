//! gsctl: start, watch and ask database clusters over plain SSH, all nodes at once.
//!
//! ```text
//! hosts file ─▶ inventory ─▶ select ─▶ hosts ┐
//! argv, playbook ─▶ commands, playbook ──────┴▶ plan      pure; whatever is wrong here is said before contact
//!                                                │
//!                     transport ◀─ fleet ◀─ runner ─▶ events ─▶ reporter ─▶ terminal, files
//!                                                │  └──▶ run log ─▶ journal, for `--resume`
//!                                                └▶ stats ─▶ exit status
//! ```
//!
//! What happens on a host is data (`outcome`), what happens in a run is an `event`, and only `reporter` puts either
//! into words.

#![recursion_limit = "256"] // `json!` of the reports' schema

mod account;
mod budget;
mod cancel;
mod cause;
mod cli;
mod commands;
mod credentials;
mod diagnostic;
mod duration;
mod event;
mod exit;
mod inventory;
mod journal;
mod outcome;
mod output;
mod partition;
mod plan;
mod playbook;
mod reactor;
mod report;
mod reporter;
mod runner;
mod shared;
mod ssh_config;
mod stall;
mod stats;
mod text;
mod transport;
mod yaml;

#[doc(hidden)]
pub mod testing;

use std::io::{IsTerminal as _, Write};

use clap::error::ErrorKind;

/// Whose command line it is.
enum CommandLine {
    Gsctl(Box<cli::Cli>),
    Pssh(Box<cli::pssh::Called>),
}

/// The whole program; gives back its exit status.
#[must_use]
pub fn main() -> u8 {
    let words: Vec<_> = std::env::args_os().collect();
    if let Some(status) = commands::completions::answer(&words) {
        return status.code();
    }
    let understood = match cli::pssh::called(&words) {
        Some(words) => cli::pssh::Called::read(&words).map(|args| CommandLine::Pssh(Box::new(args))),
        None => cli::parse(&words, &[]).map(|cli| CommandLine::Gsctl(Box::new(cli))),
    };
    let asked = match understood {
        Ok(asked) => asked,
        Err(error) if error.kind() == ErrorKind::DisplayVersion && commands::version::asked_in_full(&words) => {
            return written(commands::version::in_full().as_bytes()).code();
        }
        Err(error) => {
            return told(&cli::explain_encoding(error, &words), &words).code();
        }
    };
    let environment = commands::Environment::look();
    let done = match asked {
        CommandLine::Gsctl(cli) => commands::gsctl(*cli, &words, &environment).map(exit::ExitStatus::code),
        CommandLine::Pssh(args) => commands::pssh(&args, &environment),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            let status =
                error.downcast_ref::<commands::Diagnostic>().map_or(exit::ExitStatus::Broken, |fault| fault.status);
            // Where even this cannot be written, the exit status is all that is left.
            let text = reporter::sanitize::block(format!("error: {error:#}").as_bytes());
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
            status.code()
        }
    }
}

/// Prints what clap has to say: the help that was asked for, or what is wrong with the command line.
fn told(said: &clap::Error, words: &[std::ffi::OsString]) -> exit::ExitStatus {
    let asked_for = matches!(said.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if let Some(file) = cli::behind_h(words).filter(|file| std::path::Path::new(file).is_file()) {
        let name = reporter::sanitize::line(file.as_encoded_bytes());
        let _ = writeln!(std::io::stderr(), "hint: -f {name} names a hosts file; -h is this help");
    }
    let is_harmful = |word: &std::ffi::OsString| {
        word.to_string_lossy().chars().any(|c| c.is_control() || text::is_hidden(c) || c == char::REPLACEMENT_CHARACTER)
    };
    // clap repeats what was typed; its colours go with that.
    let printed = if !asked_for && std::io::stderr().is_terminal() && words.iter().any(is_harmful) {
        std::io::stderr().write_all(reporter::sanitize::block(said.to_string().as_bytes()).as_bytes())
    } else {
        said.print()
    };
    let printed = printed.and_then(|()| std::io::stdout().flush());
    if asked_for { answered(printed) } else { exit::ExitStatus::Usage }
}

/// Writes an answer.
fn written(text: &[u8]) -> exit::ExitStatus {
    let mut out = std::io::stdout().lock();
    answered(out.write_all(text).and_then(|()| out.flush()))
}

/// What becomes of an answer: that nobody reads on is no fault.
fn answered(printed: std::io::Result<()>) -> exit::ExitStatus {
    match printed {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let _ = writeln!(std::io::stderr(), "error: cannot write to standard output: {error}");
            exit::ExitStatus::Broken
        }
        Ok(()) | Err(_) => exit::ExitStatus::Success,
    }
}
