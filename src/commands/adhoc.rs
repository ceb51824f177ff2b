//! Plans of one step: `exec`, `ping`, `check`, `touch`, `rm`.

use std::time::Duration;

use crate::cli::{Check as CheckArgs, Exec, Script};
use crate::plan::shebang::Interpreter;
use crate::plan::{Action, Check, OnFailure, Plan, Step, Template};

use super::fault::Fault;

/// Time for the commands that gsctl makes itself, where nobody says.
pub(super) const OWN_TIMEOUT: Duration = Duration::from_secs(60);

/// `exec`.
#[must_use]
pub(super) fn exec(args: &Exec, timeout: Option<Duration>) -> Plan {
    let command = Template::literal(args.command.join(" "));
    plan("exec", Action::Run { command, raw: args.raw, stdin: None }, timeout)
}

/// `script`.
///
/// # Errors
/// When the script cannot be read, or is none.
pub(super) fn script(args: &Script, timeout: Option<Duration>) -> Result<Plan, Fault> {
    let name = args.file.display();
    let text =
        std::fs::read(&args.file).map_err(|error| Fault::usage(format!("script `{name}` can't be read: {error}")))?;
    let interpreter =
        Interpreter::of(&text).map_err(|(cause, hint)| Fault::usage(format!("script `{name}` {cause}")).hint(hint))?;
    let command = Template::literal(crate::transport::posix(&interpreter.command(&args.args)));
    Ok(plan("script", Action::Run { command, raw: false, stdin: Some(text.into()) }, timeout))
}

/// `ping`.
#[must_use]
pub(super) fn ping() -> Plan {
    plan("ping", Action::Ping, None)
}

/// `touch`.
#[must_use]
pub(super) fn touch(paths: &[String], timeout: Option<Duration>) -> Plan {
    let paths = literals(paths);
    plan("touch", Action::Touch { paths, if_exists: None }, timeout.or(Some(OWN_TIMEOUT)))
}

/// `rm`.
#[must_use]
pub(super) fn rm(paths: &[String], timeout: Option<Duration>) -> Plan {
    plan("rm", Action::Remove { paths: literals(paths) }, timeout.or(Some(OWN_TIMEOUT)))
}

/// `check`.
///
/// # Errors
/// When a check is not understood.
pub(super) fn check(args: &CheckArgs, timeout: Option<Duration>) -> Result<Plan, Fault> {
    let mut checks = Vec::new();
    for text in &args.process {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (name, Some(path.to_owned())),
            None => (text.as_str(), None),
        };
        if name.is_empty() || path.as_deref().is_some_and(|path| !path.starts_with('/')) {
            return Err(Fault::usage(format!("`--process {text}`: write NAME, or NAME=/path/of/executable")));
        }
        checks.push(Check::Process { name: name.to_owned(), path });
    }
    checks.extend(args.command.iter().cloned().map(Check::Command));
    checks.extend(args.port.iter().copied().map(Check::Port));
    checks.extend(args.file.iter().cloned().map(Check::File));
    Ok(plan("check", Action::Check { checks }, timeout.or(Some(OWN_TIMEOUT))))
}

fn plan(name: &str, action: Action, timeout: Option<Duration>) -> Plan {
    let step = Step { timeout, on_failure: OnFailure::Continue, ..Step::new(name, action) };
    Plan { name: name.to_owned(), steps: vec![step], ..Plan::default() }
}

fn literals(paths: &[String]) -> Vec<Template> {
    paths.iter().map(Template::literal).collect()
}
