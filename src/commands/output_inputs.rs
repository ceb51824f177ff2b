//! What has a say in how output looks: the options, the environment and the terminal.

use crate::cli::{OutputOptions, When as CliWhen};
use crate::reporter::{CommandKind, Mode, OutputInputs, When};

use super::environment::Environment;

/// What has a say in how the output of so many hosts looks.
pub(super) fn output_inputs(
    output: &OutputOptions,
    environment: &Environment,
    hosts: usize,
    command: CommandKind,
) -> OutputInputs {
    let size = terminal_size(environment);
    OutputInputs {
        stdout_tty: environment.stdout_tty,
        stderr_tty: environment.stderr_tty,
        ci: environment.var("CI").is_some(),
        term_dumb: environment.var("TERM").is_none_or(|term| term == "dumb"),
        no_color: environment.var("NO_COLOR").is_some(),
        utf8: ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| environment.var(name))
            .is_some_and(|locale| locale.to_lowercase().replace('-', "").contains("utf8")),
        columns: size.map(|(columns, _)| columns),
        rows: size.map(|(_, rows)| rows),
        color: when(output.color),
        progress: when(output.progress),
        quiet: output.quiet,
        verbose: output.verbose,
        mode: mode(output),
        hosts,
        one_plain_name: false,
        no_prefix: output.no_prefix,
        command,
    }
}

/// Width and height of the terminal, where there is one.
#[must_use]
pub(super) fn terminal_size(environment: &Environment) -> Option<(usize, usize)> {
    if !environment.stderr_tty && !environment.stdout_tty {
        return None;
    }
    crate::reporter::style::terminal_size(environment.stderr_tty)
}

fn mode(output: &OutputOptions) -> Option<Mode> {
    if output.gather || output.diff || output.tail.is_some() {
        Some(Mode::Gather)
    } else if output.stream {
        Some(Mode::Stream)
    } else if output.quiet_hosts {
        Some(Mode::QuietHosts)
    } else {
        None
    }
}

fn when(when: CliWhen) -> When {
    match when {
        CliWhen::Auto => When::Auto,
        CliWhen::Always => When::Always,
        CliWhen::Never => When::Never,
    }
}
