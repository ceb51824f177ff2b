//! `pscp` and `pslurp`: files to and from every host, over SFTP.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Entry, PsshRun, extra, lines};
use crate::cli::pssh::Pslurp;
use crate::commands::copy;
use crate::diagnostic::Diagnostic;
use crate::event::{Event, EventKind, Reporter as _};
use crate::inventory::filename::safe_name;
use crate::outcome::{Failure, Phase, StepResult};
use crate::plan::pull::Pull;
use crate::plan::push::{Content, Push, PushFile};
use crate::plan::{Action, Template, Vars};
use crate::reporter::Hurry;
use crate::stats::RunStats;

/// `pscp LOCAL... REMOTE`.
pub(super) fn push(paths: &[String], recursive: bool, run: PsshRun<'_>) -> anyhow::Result<u8> {
    let extra = arguments(&run)?;
    let recursive = recursive || extra.recursive;
    let Some((dest, sources)) = paths.split_last() else { return Err(Diagnostic::usage("paths not specified").into()) };
    let options = run.gsctl(extra)?;
    let copies: Result<Vec<Vec<PushFile>>, (i32, String)> =
        sources.iter().map(|path| source(path, recursive)).collect();
    let copies = match copies {
        Ok(copies) => copies,
        // scp says so once it is connected; nothing would come of that.
        Err((status, said)) => return nowhere(run, status, &said),
    };
    // scp takes an empty path for the home directory.
    let dest = if dest.is_empty() { "." } else { dest };
    let push = Push::new(copies, Template::literal(dest), dest.ends_with('/'));
    let mut push = push.map_err(|name| Diagnostic::usage(format!("two sources are called `{name}`")))?;
    // One directory to a name that is not there yet gets that name.
    push.into = sources.len() > 1 || dest.ends_with('/');
    let targets = run.targets(&options)?;
    run.carry_out_on_all(Action::Push(Arc::new(push)), &options, &targets, |_, _| Vars::default())
}

/// A file here; otherwise scp's exit status, and what is wrong.
fn source(path: &str, recursive: bool) -> Result<Vec<PushFile>, (i32, String)> {
    let copies = copy::copies(Path::new(path)).map_err(|diagnostic| (255, diagnostic.message))?;
    match copies.first() {
        Some(PushFile { content: Content::Dir, .. }) if !recursive => Err((1, format!("{path}: not a regular file"))),
        _ => Ok(copies),
    }
}

/// `pslurp REMOTE LOCAL`.
pub(super) fn pull(args: &Pslurp, recursive: bool, run: PsshRun<'_>) -> anyhow::Result<u8> {
    let extra = arguments(&run)?;
    let dirs = recursive || extra.recursive;
    let [remote, local] = &args.paths[..] else { return Err(Diagnostic::usage("paths not specified").into()) };
    let options = run.gsctl(extra)?;
    // Each host's files stay in the directory of that host.
    let leads_out = |part: std::path::Component<'_>| {
        !matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir)
    };
    if Path::new(local).components().any(leads_out) {
        return Err(Diagnostic::usage(format!("local path `{local}` leads out of each host's own directory"))
            .hint("name the directory of all hosts with -L, and a path in each host's own last")
            .into());
    }
    let base = args.localdir.clone().unwrap_or_default();
    let mut into = false;
    for entry in &run.pssh_hosts.entries {
        let dir = base.join(safe_name(&directory(entry)));
        let made = fs::create_dir_all(&dir);
        made.map_err(|error| Diagnostic::usage(format!("directory `{}`: {error}", dir.display())))?;
        into |= dir.join(local).is_dir();
    }
    let last = remote.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let name = if into || local.ends_with('/') {
        PathBuf::from(local)
            .join(last)
            .components()
            .filter_map(|part| match part {
                std::path::Component::Normal(name) => name.to_str(),
                _ => None,
            })
            .collect::<Vec<_>>()
            .join("/")
    } else {
        local.clone()
    };
    let base = base.display().to_string();
    let slash = if base.is_empty() || base.ends_with('/') { "" } else { "/" };
    let host = Template::parse("{host}").map_err(|error| Diagnostic::usage(error.to_string()))?;
    let pull = Pull {
        sources: vec![Template::literal(remote.clone())],
        dest: Template::literal(format!("{base}{slash}")).followed_by(host),
        dirs,
        rename: Some(name),
        sudo: None,
        patterns: false,
    };
    let targets = run.targets(&options)?;
    run.carry_out_on_all(Action::Pull(Arc::new(pull)), &options, &targets, |_, entry| {
        [("host", directory(entry))].into_iter().collect()
    })
}

/// The name of a host's directory, as pssh 2.3.4 has it: a port that is not given is `None`, as Python writes it.
fn directory(entry: &Entry) -> String {
    format!("{}:{}", entry.host, entry.port.as_deref().unwrap_or("None"))
}

fn arguments(run: &PsshRun<'_>) -> Result<extra::Extra, Diagnostic> {
    let words = extra::words(&run.common.extra_args, &run.common.extra_arg)?;
    extra::read(&words, true)
}

/// Something is wrong here: every host fails, as it would with scp.
fn nowhere(run: PsshRun<'_>, status: i32, said: &str) -> anyhow::Result<u8> {
    let hosts = run.pssh_hosts.names.len();
    let mut lines = lines(run.format, run.pssh_hosts.names, &Hurry::default(), run.environment)?;
    for host in 0..hosts {
        let failure = Failure::new(Phase::Local, said);
        let (exit_status, stderr) = (Some(status), format!("scp: {said}\n").as_str().into());
        let result = StepResult { exit_status, stderr, ..StepResult::failed(failure) };
        let kind = EventKind::HostStepFinished { host, step: 0, result };
        lines.event(&Event { at: Duration::ZERO, kind }, &RunStats::default())?;
    }
    Ok(lines.code())
}
