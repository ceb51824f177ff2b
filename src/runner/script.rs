//! The shell text of each step on each host: what is sent, and what `--dry-run` shows.

use std::sync::Arc;
use std::time::Duration;

use crate::outcome::Facts;
use crate::plan::exec_options::validate_user;
use crate::plan::quote::quote;
use crate::plan::{Action, ExecOptions, Look, Plan, Probe, Step, Template, Vars, script};
use crate::transport::{Command, CopyRequest, Looks, Runner};

use super::copy_request;
use super::host::RunHost;
use super::job::Work;
use super::{CLEANUP_TIMEOUT, State};

/// Bytes of a command: csh can only be given it as an argument, which ends at 128 KiB on Linux.
const LONGEST: usize = 100_000;
/// Bytes of what goes before it: variables, which a program gets beside its arguments.
const LONGEST_BEFORE: usize = 12_000;
/// Bytes of a command without the wrapper.
const LONGEST_RAW: usize = 32_000;
/// The fact that ends a look.
pub(super) const LOOK_ENDS: &str = "gsctl_look_ends";
/// What says that. A script may end where it likes; only what comes after it says that all of it was heard, as it was said.
const ENDS: &str = "echo gsctl_look_ends=yes";
/// Permission bits of the file in which a node keeps the state of the run.
const STATE_MODE: u32 = 0o600;

/// What a look at a node already knows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Depth<'a> {
    /// The first look: everything.
    Full,
    /// One of many while waiting; what earlier looks found to be expected is handed back.
    Light(&'a Facts),
}

/// The command of a step on a host. `None`: there is nothing to run.
///
/// # Errors
/// When a path or value is not one that may be sent; said before anything is contacted.
pub(super) fn command(
    plan: &Plan,
    step: &Step,
    run_host: &RunHost,
    depth: Depth<'_>,
) -> Result<Option<Command>, String> {
    let vars = &run_host.vars;
    let limit = limit(step, run_host);
    let command = match &step.action {
        Action::Ping | Action::State { .. } | Action::Push(_) | Action::Pull(_) => return Ok(None),
        Action::Run { command, exec_options } => {
            let runner = if exec_options.own { Runner::OwnShell } else { Runner::LoginShell };
            managed(&command.render_shell(vars), runner, exec_options, step, run_host)?
        }
        Action::Script { script, with, exec_options, .. } => {
            let mut vars = vars.clone();
            for (name, value) in with {
                let value = value.render_plain(&vars);
                vars.insert(name.as_str(), value);
            }
            let text = assignments(&vars) + script;
            let runner = if exec_options.shell.is_some() { Runner::LoginShell } else { Runner::Playbook };
            managed(&text, runner, exec_options, step, run_host)?
        }
        Action::Probe { probe, .. } => {
            // The first look at a node says which one it is, where something will be changed.
            let node = if plan.is_change() { script::node() } else { String::new() };
            Command::playbook(node + &probe_text(&plan.probes[probe.as_str()], vars, depth), limit)
        }
        Action::Check { checks } => Command::own(script::check(checks), limit),
        Action::Remove { paths, .. } => {
            let paths = plain(paths, vars);
            paths.iter().try_for_each(|path| script::validate_rm_path(path))?;
            Command::own(script::remove(&paths), limit)
        }
        Action::Touch { paths, if_exists, .. } => {
            let paths = plain(paths, vars);
            paths.iter().try_for_each(|path| script::validate_path(path))?;
            let condition = if_exists.as_ref().map(|path| path.render_plain(vars));
            Command::own(script::touch(&paths, condition.as_deref()), limit)
        }
        Action::Write { path, content, mode } => {
            let path = path.render_plain(vars);
            script::validate_path(&path)?;
            Command::own(script::write(&path, &content.render_plain(vars), *mode), limit)
        }
        Action::Wait(wait) => look(plan, &wait.look, vars, depth, limit),
    };
    let sudo = sudo_user(step.action.sudo(), run_host)?;
    Ok(Some(if sudo.is_some() { Command { sudo, ..command } } else { command }))
}

/// A command that is run in a manner of its own.
fn managed(
    text: &str,
    runner: Runner,
    exec_options: &ExecOptions,
    step: &Step,
    run_host: &RunHost,
) -> Result<Command, String> {
    let sudo = sudo_user(exec_options.sudo.as_ref(), run_host)?;
    Ok(Command {
        text: text.to_owned(),
        looks: None,
        runner,
        shell: exec_options.shell.clone(),
        sealed: exec_options.own,
        stdin: exec_options.stdin.clone().unwrap_or_else(|| Arc::from([])),
        raw: exec_options.raw,
        before: exec_options.before.render_shell(&run_host.vars),
        sudo,
        pty: exec_options.pty,
        timeout: limit(step, run_host),
    })
}

/// The user on a host that something is done as, through sudo.
///
/// # Errors
/// When this can be no user's name.
pub(super) fn sudo_user(user: Option<&Template>, run_host: &RunHost) -> Result<Option<String>, String> {
    let user = user.map(|user| user.render_plain(&run_host.vars));
    user.as_deref().map(validate_user).transpose().map_err(|said| format!("`sudo`: {said}"))?;
    Ok(user)
}

/// What a step does on a host.
///
/// # Errors
/// As [`command`].
pub(super) fn work(plan: &Plan, step: &Step, run_host: &RunHost) -> Result<Work, String> {
    if let Some(what) = copy_request::what(step, run_host)? {
        return Ok(Work::Copy(CopyRequest { what, timeout: limit(step, run_host) }));
    }
    Ok(command(plan, step, run_host, Depth::Full)?.map_or(Work::Login, Work::Command))
}

/// What is sent to look at a host once.
pub(super) fn look(plan: &Plan, look: &Look, vars: &Vars, depth: Depth<'_>, limit: Option<Duration>) -> Command {
    match look {
        Look::Probe(probe) => {
            let probe = &plan.probes[probe.as_str()];
            let again = if let Depth::Light(_) = depth { again(probe, vars, depth) } else { None };
            match again {
                Some(looks) => Command::look(looks, limit),
                None => Command::playbook(probe_text(probe, vars, depth), limit),
            }
        }
        Look::Run(command) => Command::new(command.render_shell(vars), limit),
        Look::Checks { checks, rebooted: false } => Command::own(script::check(checks), limit),
        Look::Checks { checks, rebooted: true } => Command::own(script::check_and_boot(checks), limit),
    }
}

/// Everything that a plan would run on a host, in order: step names and shell texts.
///
/// # Errors
/// When a path or value is not one that may be sent.
pub fn rehearse(plan: &Plan, run_host: &RunHost) -> Result<Vec<(String, String)>, String> {
    let mut texts = Vec::new();
    let run_host = &expecting(plan, run_host);
    for step in &plan.steps {
        if let Some(what) =
            copy_request::what(step, run_host).map_err(|said| format!("step `{}`: {said}", step.name))?
        {
            texts.push((step.name.to_string(), copy_request::rehearse(&what)));
            continue;
        }
        let text =
            command(plan, step, run_host, Depth::Full).map_err(|said| format!("step `{}`: {said}", step.name))?;
        if let Some(command) = &text {
            fits(command).map_err(|said| format!("step `{}`: {said}", step.name))?;
        }
        texts.push((step.name.to_string(), text.map(|command| shown(&command)).unwrap_or_default()));
    }
    Ok(texts)
}

/// The member as it will be once a look has found what is to be found on it.
fn expecting(plan: &Plan, run_host: &RunHost) -> RunHost {
    let mut run_host = run_host.clone();
    for (name, _) in plan.vars.iter().filter(|(_, spec)| spec.found) {
        if run_host.vars.get(name).is_none() {
            run_host.vars.insert(name.as_str(), format!("/<{name} of {}>", run_host.name));
        }
    }
    run_host
}

/// A command as `--dry-run` shows it.
fn shown(command: &Command) -> String {
    let user = command.sudo.as_ref().map(|user| format!("# through sudo, as {user}"));
    let shell = match (&command.shell, command.runner) {
        (Some(shell), _) => Some(format!("# by {shell}")),
        (None, Runner::OwnShell | Runner::Playbook) => Some("# by /bin/sh".to_owned()),
        (None, Runner::LoginShell) => None,
    };
    let terminal = command.pty.then(|| "# on a terminal".to_owned());
    let before = Some(command.before.clone()).filter(|text| !text.is_empty());
    let input = match command.stdin.len() {
        0 => None,
        bytes => Some(format!("# reads {bytes} bytes from standard input")),
    };
    let lines = [user, shell, terminal, before, Some(command.whole_text().into_owned()), input];
    lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Whether a command can be sent at all. What goes without the wrapper must fit into one SSH packet.
fn fits(command: &Command) -> Result<(), String> {
    let before = command.before.len();
    if before > LONGEST_BEFORE {
        return Err(format!(
            "the variables and the directory are {before} bytes, longer than the {LONGEST_BEFORE} that can be sent\n\
             hint: give long values to the command with --stdin"
        ));
    }
    let (length, limit) = match command {
        Command { raw: true, .. } => (command.text.len(), LONGEST_RAW),
        _ => (command.whole_text().len(), LONGEST),
    };
    if length <= limit {
        return Ok(());
    }
    Err(format!(
        "the command is {length} bytes, longer than the {limit} that can be sent\nhint: put it into a file on the nodes, and run that"
    ))
}

/// Writes the state of the run where a node keeps it.
pub(super) fn write_state(path: &str, state: &State) -> Command {
    // Without an end of line, as gs_sdr's own files are.
    let write = script::write(path, &state.name, STATE_MODE);
    // What an earlier run came to is told again, but a directory that it has removed since stays away.
    let dir = path.rsplit_once('/').map(|(dir, _)| dir).filter(|dir| state.again && !dir.is_empty());
    let unless = dir.map_or_else(String::new, |dir| format!("[ -d {} ] || exit 0\n", quote(dir)));
    Command::own(unless + &write, Some(CLEANUP_TIMEOUT))
}

/// Makes checks.
pub(super) fn checks(checks: &[crate::plan::Check]) -> Command {
    Command::own(script::check(checks), Some(CLEANUP_TIMEOUT))
}

/// Asks a node which one it is.
pub(super) fn ask_node(limit: Duration) -> Command {
    Command::own(script::node(), Some(limit))
}

/// Removes what a step created.
pub(super) fn undo(paths: &[String]) -> Command {
    Command::own(script::remove(paths), Some(CLEANUP_TIMEOUT))
}

/// Whether files are there, before a step.
pub(super) fn file_tests(step: &Step, run_host: &RunHost) -> Option<Command> {
    let when = step.when.as_ref()?;
    if when.exists.is_empty() && when.missing.is_empty() {
        return None;
    }
    let paths = |templates| plain(templates, &run_host.vars);
    Some(Command::own(script::tests(&paths(&when.exists), &paths(&when.missing)), limit(step, run_host)))
}

/// The paths that a step is about, and that the node must say something of.
pub(super) fn paths(step: &Step, vars: &Vars) -> Vec<String> {
    match &step.action {
        Action::Remove { paths, .. } | Action::Touch { paths, .. } => plain(paths, vars),
        Action::Write { path, .. } => vec![path.render_plain(vars)],
        _ => Vec::new(),
    }
}

/// The time that a step's command has on a host.
pub(super) fn limit(step: &Step, run_host: &RunHost) -> Option<Duration> {
    let limit = run_host.timeout.or(step.timeout).filter(|limit| !limit.is_zero());
    // One that is undone at the end is not stopped with the run, so it must not take long.
    if step.cleanup.is_some() { Some(limit.map_or(CLEANUP_TIMEOUT, |limit| limit.min(CLEANUP_TIMEOUT))) } else { limit }
}

fn plain(templates: &[Template], vars: &Vars) -> Vec<String> {
    templates.iter().map(|template| template.render_plain(vars)).collect()
}

fn assignments(vars: &Vars) -> String {
    vars.iter().map(|(name, value)| assignment(name, value)).collect()
}

/// A probe that looks at a node again and again. `None`: its variables do not fit on a line.
fn again(probe: &Probe, vars: &Vars, depth: Depth<'_>) -> Option<Looks> {
    let given = given(vars, depth);
    // Each ends with its end of line, and none of the values may have one.
    let lines = given.strip_suffix('\n').unwrap_or(&given);
    let count = vars.iter().count() + expected(depth).count();
    (lines.lines().count() == count).then(|| Looks::new(Arc::clone(&probe.script), lines.replace('\n', " "), ENDS))?
}

fn assignment(name: &str, value: &str) -> String {
    format!("{name}={}\n", quote(value))
}

/// What a probe may rely on: the plan's variables, and what earlier looks found.
fn given(vars: &Vars, depth: Depth<'_>) -> String {
    expected(depth).fold(assignments(vars), |text, (name, value)| text + &assignment(name, value))
}

fn expected(depth: Depth<'_>) -> impl Iterator<Item = (&str, &str)> {
    let (light, facts) = match depth {
        Depth::Full => ("0", None),
        Depth::Light(facts) => ("1", Some(facts)),
    };
    let kept = |name: &str| name.starts_with("expect_") || name.starts_with("found_");
    let facts = facts.into_iter().flatten().filter(move |(name, _)| kept(name));
    std::iter::once(("light", light)).chain(facts.map(|(name, value)| (name.as_str(), value.as_str())))
}

/// A probe's script, with the plan's variables in front of it.
fn probe_text(probe: &Probe, vars: &Vars, depth: Depth<'_>) -> String {
    let script = probe.script.trim_end_matches('\n');
    format!("(\n{}{script}\n)\ngs_rc=$?\n{ENDS}\nexit $gs_rc\n", given(vars, depth))
}
