//! `gsctl completions`, and the answers to a shell that asks what may follow: commands, options, hosts, groups, playbooks.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;

use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use crate::cli::{self, HostOptions, Shell, SshOptions};
use crate::exit::ExitStatus;
use crate::inventory::Inventory;
use crate::playbook::builtin;

use super::environment::Environment;
use super::hosts::finish;
use super::inventories::Programs;
use super::selection;
use crate::diagnostic::Diagnostic;

/// Set by the shell that asks; its value is the shell's name.
const VARIABLE: &str = "GSCTL_COMPLETE";

/// Prints what the shell needs.
///
/// # Errors
/// When it cannot be written.
pub(super) fn completions(shell: Shell) -> Result<ExitStatus, Diagnostic> {
    let shell: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut text = Vec::new();
    let made = shell.write_registration(VARIABLE, "gsctl", "gsctl", "gsctl", &mut text);
    finish(made.and_then(|()| io::stdout().lock().write_all(&text)))
}

/// Answers a shell that asks what may follow. `None`: this call is no such question.
#[must_use]
pub fn answer(words: &[OsString]) -> Option<ExitStatus> {
    let here = Environment::directory();
    let asked = words.to_vec();
    let completer = CompleteEnv::with_factory(move || with_names(&asked)).var(VARIABLE);
    match completer.try_complete(words.to_vec(), here.as_deref()) {
        Ok(false) => None,
        Ok(true) => Some(ExitStatus::Success),
        // A shell in the middle of a line has no use for a message.
        Err(_) => Some(ExitStatus::Broken),
    }
}

/// The command line, with the names that its options may have as values.
fn with_names(words: &[OsString]) -> clap::Command {
    let files = hosts_files(words);
    let known = || Names { files: files.clone() };
    let sets = |names: Names| ArgValueCompleter::new(move |typed: &OsStr| names.of_set(typed));
    let groups = known();
    cli::command()
        .mut_arg("hosts", |arg| arg.add(sets(known())))
        .mut_arg("exclude", |arg| arg.add(sets(known())))
        .mut_arg("group", |arg| arg.add(ArgValueCompleter::new(move |typed: &OsStr| groups.of_groups(typed))))
        .mut_subcommand("play", |play| {
            play.mut_arg("playbook", |arg| arg.add(ArgValueCompleter::new(of_playbooks)))
                .mut_arg("show", |arg| arg.add(ArgValueCompleter::new(of_builtins)))
        })
}

/// The hosts files that stand on the line so far.
fn hosts_files(words: &[OsString]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut words = words.iter().filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        let file = match word {
            "-f" | "--hosts-file" => words.next(),
            _ => word.strip_prefix("--hosts-file=").or_else(|| word.strip_prefix("-f").filter(|rest| !rest.is_empty())),
        };
        // Standard input is the shell's.
        files.extend(file.filter(|file| *file != "-").map(PathBuf::from));
    }
    files
}

/// Names of hosts and groups, read when they are asked for.
#[derive(Clone)]
struct Names {
    files: Vec<PathBuf>,
}

impl Names {
    /// What is wrong with a hosts file is not for a shell that completes a word.
    fn inventory(&self) -> Inventory {
        let environment = Environment::look();
        let from_env = environment.var("GSCTL_HOSTS_FILE").filter(|_| self.files.is_empty()).map(PathBuf::from);
        let hosts_file = self.files.iter().cloned().chain(from_env).collect();
        let options = HostOptions { hosts_file, ..HostOptions::default() };
        selection::inventory(&options, &SshOptions::default(), Programs::Leave, &environment)
            .map(|(inventory, _)| inventory)
            .unwrap_or_default()
    }

    /// The last name of a host set.
    fn of_set(&self, typed: &OsStr) -> Vec<CompletionCandidate> {
        let typed = typed.to_str().unwrap_or_default();
        let (before, last) = typed.rsplit_once(',').map_or(("", typed), |(before, last)| (before, last));
        let before = if before.is_empty() { String::new() } else { format!("{before},") };
        let inventory = self.inventory();
        let groups =
            inventory.groups.keys().map(String::as_str).chain(["failed", "not-begun", "ok", "retry", "unreachable"]);
        let names = inventory.hosts.keys().map(ToString::to_string).chain(groups.map(|group| format!("@{group}")));
        names
            .filter(|name| name.starts_with(last))
            .map(|name| CompletionCandidate::new(format!("{before}{name}")))
            .collect()
    }

    fn of_groups(&self, typed: &OsStr) -> Vec<CompletionCandidate> {
        let inventory = self.inventory();
        beginning(typed, inventory.groups.keys().map(String::as_str))
    }
}

/// A playbook: one that is built in, or a file.
fn of_playbooks(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut all = of_builtins(typed);
    all.extend(PathCompleter::file().complete(typed));
    all
}

fn of_builtins(typed: &OsStr) -> Vec<CompletionCandidate> {
    beginning(typed, builtin::names())
}

fn beginning<'a>(typed: &OsStr, names: impl Iterator<Item = &'a str>) -> Vec<CompletionCandidate> {
    let typed = typed.to_str().unwrap_or_default();
    names.filter(|name| name.starts_with(typed)).map(CompletionCandidate::new).collect()
}
