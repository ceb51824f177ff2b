//! The plan of `local`: a command of this machine, once for each host.

use std::time::Duration;

use crate::cli::{Local, Options};
use crate::plan::exec_options::surroundings;
use crate::plan::template::TemplateError;
use crate::plan::vars::{BUILTIN, VarSpec};
use crate::plan::{Action, ExecOptions, Plan, Template};

use super::environment::Environment;
use super::oneshot::{self, plan, said};
use crate::diagnostic::Diagnostic;

/// `local`.
///
/// # Errors
/// When the command has a variable where none can stand, or what it is to read cannot be read.
pub(super) fn local(
    args: &Local,
    options: &Options,
    environment: &Environment,
    limit: Option<Duration>,
) -> Result<Plan, Diagnostic> {
    let text = args.command.join(" ");
    let command = template(&text)?;
    let variables = command.variables().filter(|name| !BUILTIN.contains(name));
    let required = VarSpec { required: true, ..VarSpec::default() };
    let vars = variables.map(|name| (name.to_owned(), required.clone())).collect();
    let env = args.env.iter().map(|(name, value)| (name.clone(), Template::literal(value))).collect();
    let stdin = args.stdin.as_deref();
    let exec_options = ExecOptions {
        stdin: stdin.map(|path| oneshot::input(path, &options.hosts, [], environment)).transpose()?,
        before: surroundings(env, None),
        shell: Some(args.shell.clone()),
        ..ExecOptions::default()
    };
    let plan = plan("local", Action::Run { command, exec_options }, limit);
    Ok(said(text, Plan { vars, ..plan }))
}

fn template(text: &str) -> Result<Template, Diagnostic> {
    let wrong = |TemplateError { message, hint, .. }| {
        Diagnostic::usage(format!("command `{text}`: {message}")).maybe_hint(hint)
    };
    let template = Template::parse(text).map_err(wrong)?;
    if let Some((name, _)) = template.variable_in_quotes() {
        return Err(Diagnostic::usage(format!("command `{text}`: variable `{name}` stands inside quotes"))
            .hint(format!("take `{{{name}}}` out of the quotes: gsctl quotes its value for the shell itself")));
    }
    Ok(template)
}
