//! The files of reports: opened before anything is contacted, and never one that the run reads itself.

use std::fs::{self, File};
use std::io::BufWriter;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::cli::{Cli, Command, Options, OutputOptions};
use crate::plan::push::Content;
use crate::plan::{Action, Plan};
use crate::reporter::{Counted, Hurry, ReportTarget, WholeFile};

use super::config;
use super::environment::Environment;
use super::inventories;
use super::selection::Selected;
use crate::diagnostic::Diagnostic;

/// A file that the run reads: what it is to the user, and where.
type Input = (&'static str, PathBuf);

/// What every command reads: hosts files, keys, passwords, configuration.
pub(super) fn common_inputs(options: &Options, selected: &Selected, environment: &Environment) -> Vec<Input> {
    let Options { ssh, .. } = options;
    let mut inputs: Vec<Input> = Vec::new();
    inputs.extend(selected.files.iter().map(|path| ("the hosts file", inventories::path_of(path))));
    inputs.extend(ssh.identity.iter().map(|path| ("a private key", path.clone())));
    let keys = selected.known.values().filter_map(|host| host.settings.get("identity"));
    inputs.extend(keys.map(|setting| ("a private key", environment.path(&setting.value))));
    inputs.extend(ssh.ssh_config.iter().map(|path| ("ssh's configuration", path.clone())));
    // `-o UserKnownHostsFile=FILE` and the like: a value that is no file is none of these.
    let values = ssh.ssh_option.iter().filter_map(|option| option.split_once(['=', ' ']));
    let files = values.flat_map(|(_, value)| value.split_whitespace());
    inputs.extend(files.map(|file| ("a file that `-o` names", environment.path(file.trim_matches('"')))));
    inputs.extend(ssh.password_file.iter().map(|path| ("the password file", path.clone())));
    inputs.push(("the configuration of gsctl", config::path(environment)));
    // Keys, certificates, known hosts, and what the configuration includes.
    let own = fs::read_dir(environment.home.join(".ssh")).into_iter().flatten().flatten();
    inputs.extend(own.map(|entry| ("a file of ssh", entry.path())));
    inputs
}

/// What a run reads.
pub(super) fn inputs(
    cli: &Cli,
    selected: &Selected,
    plan: &Plan,
    playbook: &str,
    environment: &Environment,
) -> Vec<Input> {
    let mut inputs = common_inputs(&cli.options, selected, environment);
    let sudo = match &cli.command {
        Command::Exec(args) => {
            inputs.extend(args.stdin.iter().map(|path| ("standard input of the command", path.clone())));
            Some(&args.privilege.password)
        }
        Command::Local(args) => {
            inputs.extend(args.stdin.iter().map(|path| ("standard input of the command", path.clone())));
            None
        }
        Command::Script(args) => {
            inputs.push(("the script", args.file.clone()));
            Some(&args.privilege.password)
        }
        Command::Touch(args) => Some(&args.privilege.password),
        Command::Rm(args) => Some(&args.privilege.password),
        Command::Push(args) => Some(&args.privilege.password),
        Command::Pull(args) => Some(&args.privilege.password),
        Command::Play(args) => Some(&args.sudo_password),
        _ => None,
    };
    inputs.extend(sudo.and_then(|sudo| sudo.sudo_password_file.clone()).map(|path| ("the password file", path)));
    let playbook = Path::new(playbook);
    if playbook.is_absolute() {
        inputs.push(("the playbook", playbook.to_owned()));
        let beside = playbook.parent().and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten().flatten();
        let scripts = beside.map(|entry| entry.path()).filter(|path| {
            path.extension().is_some_and(|extension| ["sh", "yaml", "yml"].iter().any(|known| extension == *known))
        });
        inputs.extend(scripts.map(|path| ("a file of the playbook", path)));
    }
    for step in &plan.steps {
        if let Action::Push(push) = &step.action {
            let files = push.copies.iter().filter(|copy| copy.content != Content::Dir);
            inputs.extend(files.map(|copy| ("a file that is copied to the hosts", copy.local.clone())));
        }
    }
    inputs
}

/// Refuses reports that would go to one place, or to a file that the run reads.
///
/// # Errors
/// With both names.
pub(super) fn check(inputs: &[Input], output: &OutputOptions) -> Result<(), Diagnostic> {
    let reports = [("json", &output.json), ("jsonl", &output.jsonl), ("junit", &output.junit), ("html", &output.html)];
    let reports: Vec<(&str, &Path)> =
        reports.iter().filter_map(|(option, path)| Some((*option, path.as_deref()?))).collect();
    for (number, (one, place)) in reports.iter().enumerate() {
        let name = place.display();
        let same = |other: &Path| is_same(other, place);
        if let Some((other, _)) = reports[..number].iter().find(|(_, earlier)| same(earlier)) {
            return Err(Diagnostic::usage(format!(
                "`--{other} {name}` and `--{one} {name}` would write into each other"
            ))
            .hint("give each a file of its own; one of them may be `-`"));
        }
        if *place == Path::new("-") {
            continue;
        }
        if let Some((what, _)) = inputs.iter().find(|(_, input)| same(input)) {
            return Err(Diagnostic::usage(format!("`--{one} {name}` would overwrite {what}, which this run reads"))
                .hint("nothing was contacted or written; name another file for the report"));
        }
    }
    Ok(())
}

/// Whether two names are of one file, which need not be there yet.
fn is_same(one: &Path, other: &Path) -> bool {
    match (identity(one), identity(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one == other || whole(one).is_some_and(|path| Some(path) == whole(other)),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The path from the root of a file that is not there, in a directory that is.
fn whole(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?))
}

/// What tells one file from another, whatever it is called. Only of regular files: a device bears more than one use.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some((file.dev(), file.ino()))
}

/// Tries a report file that is written at the end, before anything is contacted.
pub(super) fn open_whole(path: Option<&Path>) -> Result<Option<ReportTarget>, Diagnostic> {
    let Some(path) = path else { return Ok(None) };
    if path == Path::new("-") {
        return Ok(Some(ReportTarget::Stdout));
    }
    let file = WholeFile::prepare(path).map_err(|error| unwritable(path, &error))?;
    Ok(Some(ReportTarget::File(path.display().to_string(), Box::new(file))))
}

/// Opens a report file, before anything is contacted.
pub(super) fn open(path: Option<&Path>, hurry: &Hurry) -> Result<Option<ReportTarget>, Diagnostic> {
    let Some(path) = path else { return Ok(None) };
    if path == Path::new("-") {
        return Ok(Some(ReportTarget::Stdout));
    }
    let file = File::create(path).map_err(|error| unwritable(path, &error))?;
    let file = BufWriter::new(Counted::new(file, hurry.clone()));
    Ok(Some(ReportTarget::File(path.display().to_string(), Box::new(file))))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::usage(format!("report file `{}`: {error}", path.display()))
        .hint("nothing was contacted; name a file that can be written")
}
