//! `play --resume`: which run is to go on, and with which playbook and variables.

use std::collections::HashSet;

use crate::cli::{Options, Play};
use crate::journal::{Journal, JournalError, RunRecord};

use super::environment::Environment;
use super::playbook::PlaybookRequest;
use super::selection;
use crate::diagnostic::Diagnostic;

/// The playbook that is asked for, and the run that is to go on, if one is.
///
/// # Errors
/// When there is no such run, or it is of another playbook.
pub(super) fn asked(
    args: &Play,
    options: &Options,
    environment: &Environment,
) -> Result<(PlaybookRequest, Option<String>), Diagnostic> {
    let mut asked = PlaybookRequest::play(args);
    let Some(resume) = &args.resume else { return Ok((asked, None)) };
    let journal = Journal::new(environment.state_dir());
    let run = find(&journal, &asked, resume, options, environment)?;
    let record = journal.load(&run).map_err(|problem| diagnostic(&problem))?;
    let Some(played) = &record.playbook else {
        let message = format!("run {run} (`{}`) cannot be resumed: it has no steps", record.command);
        return Err(Diagnostic::usage(message).hint("`gsctl runs` lists all runs"));
    };
    if asked.name.is_empty() {
        asked.name.clone_from(&played.file);
    } else if asked.file() != played.file {
        let message = format!("run {run} is of the playbook `{}`, not of `{}`", played.file, asked.name);
        return Err(Diagnostic::usage(message).hint("without --resume a new run begins"));
    }
    for name in &played.hidden {
        if !asked.given.contains_key(name) {
            let message = format!("variable `{name}` was given to run {run}, and secrets are in no journal");
            return Err(Diagnostic::usage(message).hint(format!("give it again: --var {name}=...")));
        }
    }
    for (name, value) in &played.given {
        asked.given.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Ok((asked, Some(run)))
}

/// The run that is meant.
fn find(
    journal: &Journal,
    asked: &PlaybookRequest,
    resume: &str,
    options: &Options,
    environment: &Environment,
) -> Result<String, Diagnostic> {
    if !resume.is_empty() {
        return journal.find(resume).map_err(|problem| {
            let hint = matches!(problem, JournalError::NoSuchRun { .. }) && asked.name.is_empty();
            let diagnostic = diagnostic(&problem);
            if hint {
                diagnostic.hint(format!("for a playbook, write `gsctl play {resume} --resume`"))
            } else {
                diagnostic
            }
        });
    }
    let selected = selection::select(&options.hosts, &options.ssh, environment)?;
    let names: HashSet<&str> = selected.hosts.iter().map(|host| &*host.name).collect();
    let file = (!asked.name.is_empty()).then(|| asked.file());
    let what = if asked.name.is_empty() { "any playbook".to_owned() } else { format!("`{}`", asked.name) };
    let mut broken = None;
    for id in journal.ids().map_err(|problem| diagnostic(&problem))?.into_iter().rev() {
        let record = match journal.load(&id) {
            Ok(record) => record,
            Err(problem) => {
                broken.get_or_insert(problem);
                continue;
            }
        };
        if !is_meant(&record, file.as_deref(), &names) {
            continue;
        }
        if record.is_resumable() {
            return Ok(id);
        }
        // One that was refused changed nothing, so what it found unfinished is unfinished still.
        if record.status.as_ref().is_none_or(|status| status.name != "refused") {
            let message = format!("there is nothing to resume: run {id} of `{}` ended well", record.command);
            return Err(Diagnostic::usage(message).hint("without --resume a new run begins"));
        }
    }
    match broken {
        Some(problem) => Err(diagnostic(&problem)),
        None => Err(Diagnostic::usage(format!("there is no run of {what} on these hosts to resume"))
            .hint("`gsctl runs` lists all runs; without --resume a new one begins")),
    }
}

/// Whether a run is of this playbook and some of these hosts.
fn is_meant(record: &RunRecord, file: Option<&str>, hosts: &HashSet<&str>) -> bool {
    record.playbook.as_ref().is_some_and(|played| {
        file.is_none_or(|file| played.file == file)
            && played.hosts.iter().any(|node| hosts.contains(node.host.as_str()))
    })
}

fn diagnostic(problem: &JournalError) -> Diagnostic {
    let hint = problem.hint();
    Diagnostic::usage(problem.to_string()).maybe_hint(hint)
}
