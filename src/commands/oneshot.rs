//! Plans of one step: `exec`, `ping`, `check`, `wait`, `touch`, `rm`.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::{
    Check as CheckArgs, Exec, FilePrivilege, HostOptions, Options, RemoteEnvironment, Script, Wait as WaitArgs,
};
use crate::plan::exec_options::surroundings;
use crate::plan::shebang::Interpreter;
use crate::plan::{
    Action, Check, ExecOptions, Look, OnFailure, Plan, Quorum, Share, Step, Template, Until, Wait,
    script::validate_path,
};

use super::environment::Environment;
use crate::diagnostic::Diagnostic;
use crate::text::is_absent;

/// Time for the commands that gsctl makes itself, by default.
pub(super) const OWN_TIMEOUT: Duration = Duration::from_secs(60);

/// Time for a wait, by default.
const WAIT: Duration = Duration::from_secs(600);
/// No limit for a wait: a hundred years.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// `exec`.
///
/// # Errors
/// When what the command is to read cannot be read.
pub(super) fn exec(
    args: &Exec,
    options: &Options,
    environment: &Environment,
    limit: Option<Duration>,
) -> Result<Plan, Diagnostic> {
    let command = args.command.join(" ");
    let summary = command.clone();
    if args.shell.as_ref().is_some_and(String::is_empty) {
        return Err(Diagnostic::usage("`--shell` is empty").hint("name a shell of the nodes, as in `--shell bash`"));
    }
    let passwords = [
        ("--password-file", options.ssh.password_file.as_deref()),
        ("--sudo-password-file", args.privilege.password.sudo_password_file.as_deref()),
    ];
    let stdin = args.stdin.as_deref().map(|path| input(path, &options.hosts, passwords, environment)).transpose()?;
    let exec_options = ExecOptions {
        raw: args.raw,
        stdin,
        before: before(&args.environment),
        shell: args.shell.clone(),
        own: false,
        sudo: args.privilege.sudo.as_ref().map(Template::literal),
        pty: args.pty,
    };
    Ok(said(summary, plan("exec", Action::Run { command: Template::literal(command), exec_options }, limit)))
}

/// What is done on the node before a command.
fn before(environment: &RemoteEnvironment) -> Template {
    let env = environment.env.iter().map(|(name, value)| (name.clone(), Template::literal(value)));
    let directory = environment.chdir.as_deref().map(|directory| {
        // `cd -` would be the directory before.
        let here = if directory.starts_with('-') { "./" } else { "" };
        Template::literal(format!("{here}{directory}"))
    });
    surroundings(env.collect(), directory)
}

/// Reads what a command will read: once, for all hosts.
fn input(
    path: &Path,
    options: &HostOptions,
    passwords: [(&str, Option<&Path>); 2],
    environment: &Environment,
) -> Result<Arc<[u8]>, Diagnostic> {
    let wrong = |error: io::Error| Diagnostic::usage(format!("`--stdin {}` can't be read: {error}", path.display()));
    if path != Path::new("-") {
        return Ok(std::fs::read(path).map_err(wrong)?.into());
    }
    if options.hosts_file.iter().any(|file| file == Path::new("-")) {
        return Err(
            Diagnostic::usage("`--stdin -` and `-f -` both want standard input").hint("put one of them into a file")
        );
    }
    if let Some((option, _)) = passwords.into_iter().find(|(_, file)| *file == Some(Path::new("-"))) {
        let message = format!("`--stdin -` and `{option} -` both want standard input");
        return Err(Diagnostic::usage(message).hint("put one of them into a file"));
    }
    if environment.stdin_tty {
        return Err(Diagnostic::usage("`--stdin -`: standard input is a terminal")
            .hint("pipe something into gsctl, or name a file"));
    }
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes).map_err(wrong)?;
    Ok(bytes.into())
}

/// `script`.
///
/// # Errors
/// When the script cannot be read, or is none.
pub(super) fn script(args: &Script, timeout: Option<Duration>) -> Result<Plan, Diagnostic> {
    let name = args.file.display();
    let text = std::fs::read(&args.file).map_err(|error| {
        let diagnostic = Diagnostic::usage(format!("script `{name}` can't be read: {error}"));
        // `--sudo USER FILE`, most likely.
        let blank = args.privilege.sudo.as_deref() == Some("root") && !args.args.is_empty() && is_absent(&error);
        let hint = format!("where `{name}` is the user, it is written without a blank: `--sudo={name}`");
        if blank { diagnostic.hint(hint) } else { diagnostic }
    })?;
    let interpreter = Interpreter::of(&text)
        .map_err(|(cause, hint)| Diagnostic::usage(format!("script `{name}` {cause}")).hint(hint))?;
    let command = Template::literal(interpreter.command(&args.args, text.len()));
    let exec_options = ExecOptions {
        stdin: Some(text.into()),
        before: before(&args.environment),
        own: true,
        sudo: args.privilege.sudo.as_ref().map(Template::literal),
        ..ExecOptions::default()
    };
    let words = std::iter::once(name.to_string()).chain(args.args.iter().cloned()).collect::<Vec<_>>();
    Ok(said(words.join(" "), plan("script", Action::Run { command, exec_options }, timeout)))
}

/// `ping`.
#[must_use]
pub(super) fn ping() -> Plan {
    plan("ping", Action::Ping, None)
}

/// `touch`.
#[must_use]
pub(super) fn touch(paths: &[String], privilege: &FilePrivilege, timeout: Option<Duration>) -> Plan {
    let sudo = privilege.sudo.as_ref().map(Template::literal);
    let action = Action::Touch { paths: literals(paths), if_exists: None, sudo };
    said(paths.join(" "), plan("touch", action, timeout.or(Some(OWN_TIMEOUT))))
}

/// `rm`.
#[must_use]
pub(super) fn rm(paths: &[String], privilege: &FilePrivilege, timeout: Option<Duration>) -> Plan {
    let sudo = privilege.sudo.as_ref().map(Template::literal);
    let action = Action::Remove { paths: literals(paths), sudo };
    said(paths.join(" "), plan("rm", action, timeout.or(Some(OWN_TIMEOUT))))
}

/// `check`.
///
/// # Errors
/// When a check is not understood.
pub(super) fn check(args: &CheckArgs, timeout: Option<Duration>) -> Result<Plan, Diagnostic> {
    let mut checks = processes(&args.process, &args.no_process)?;
    checks.extend(args.command.iter().cloned().map(Check::Command));
    checks.extend(args.port.iter().copied().map(Check::Port));
    checks.extend(args.file.iter().cloned().map(Check::File));
    checks.extend(args.no_file.iter().cloned().map(Check::NoFile));
    let what = words(&checks);
    Ok(said(what, plan("check", Action::Check { checks }, timeout.or(Some(OWN_TIMEOUT)))))
}

/// Processes that are to run, and such that are not.
fn processes(there: &[String], gone: &[String]) -> Result<Vec<Check>, Diagnostic> {
    let parse = |option: &str, text: &str| {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (name, Some(path.to_owned())),
            None => (text, None),
        };
        if name.is_empty() || path.as_deref().is_some_and(|path| !path.starts_with('/')) {
            return Err(Diagnostic::usage(format!("`{option} {text}`: write NAME, or NAME=/path/of/executable")));
        }
        Ok((name.to_owned(), path))
    };
    let there = there.iter().map(|text| parse("--process", text).map(|(name, path)| Check::Process { name, path }));
    let gone = gone.iter().map(|text| parse("--no-process", text).map(|(name, path)| Check::NoProcess { name, path }));
    there.chain(gone).collect()
}

/// `wait`.
///
/// # Errors
/// When something that is waited for is not understood.
pub(super) fn wait(args: &WaitArgs, timeout: Option<Duration>) -> Result<Plan, Diagnostic> {
    for (option, paths) in [("--file", &args.file), ("--no-file", &args.no_file)] {
        for path in paths {
            validate_path(path).map_err(|said| Diagnostic::usage(format!("`{option} {path}`: {said}")))?;
        }
    }
    if args.every.is_zero() {
        return Err(Diagnostic::usage("`--every` must be more than nothing").hint("write a time such as `1s`"));
    }
    let quorum = match args.quorum {
        None => Quorum::All,
        Some(Share::Count(0) | Share::Percent(0)) => {
            return Err(Diagnostic::usage("`--quorum` must be more than nothing").hint("write `5` or `20%`"));
        }
        Some(Share::Count(count)) => Quorum::Count(count),
        Some(Share::Percent(percent)) => Quorum::Percent(percent),
    };
    let mut checks = processes(&args.process, &args.no_process)?;
    checks.extend(args.port.iter().copied().map(Check::Port));
    checks.extend(args.command.iter().cloned().map(Check::Command));
    checks.extend(args.file.iter().cloned().map(Check::File));
    checks.extend(args.no_file.iter().cloned().map(Check::NoFile));
    let rebooted = if args.rebooted { " --rebooted" } else { "" };
    let what = format!("{}{rebooted}", words(&checks)).trim_start().to_owned();
    let wait = Wait {
        look: Look::Checks { checks, rebooted: args.rebooted },
        until: Until::Checks,
        patient: true,
        quorum,
        every: args.every,
        timeout: match timeout {
            None => WAIT,
            Some(Duration::ZERO) => FOREVER,
            Some(limit) => limit,
        },
        looks: None,
        give_up: Vec::new(),
        hint: None,
        evidence: None,
    };
    Ok(said(what, plan("wait", Action::Wait(Box::new(wait)), None)))
}

pub(super) fn plan(name: &str, action: Action, timeout: Option<Duration>) -> Plan {
    let step = Step { timeout, on_failure: OnFailure::Continue, ..Step::new(name, action) };
    Plan { name: name.to_owned(), steps: vec![step], ..Plan::default() }
}

/// Checks as they were asked for.
fn words(checks: &[Check]) -> String {
    let word = |check: &Check| match check {
        Check::Process { name, path: None } => format!("--process {name}"),
        Check::Process { name, path: Some(path) } => format!("--process {name}={path}"),
        Check::NoProcess { name, path: None } => format!("--no-process {name}"),
        Check::NoProcess { name, path: Some(path) } => format!("--no-process {name}={path}"),
        Check::Command(command) => format!("--command {command}"),
        Check::Port(port) => format!("--port {port}"),
        Check::File(path) => format!("--file {path}"),
        Check::NoFile(path) => format!("--no-file {path}"),
    };
    checks.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// With what it does, for the list of past runs.
pub(super) fn said(what: String, plan: Plan) -> Plan {
    Plan { summary: Some(what), ..plan }
}

fn literals(paths: &[String]) -> Vec<Template> {
    paths.iter().map(Template::literal).collect()
}
