//! Output settings: terminals, options and environment resolved once into what the reporters need.
//!
//! Reads nothing: terminals, environment and options come in as values, so that every row of the table is a test.

/// `auto`, `always` or `never`, as options take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum When {
    /// As the surroundings suggest.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// Not at all.
    Never,
}

/// How the output of remote commands is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Identical output once, under the folded host set.
    Gather,
    /// Lines as they come, behind the name of their host.
    Stream,
    /// One line per host, without the output.
    QuietHosts,
}

/// What kind of result a command has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandKind {
    /// The output of a remote command: `exec`, `script`.
    Output,
    /// A connection: `ping`. One line per host.
    Ping,
    /// What became of paths: `touch`, `rm`, `push`, `pull`.
    Changes,
    /// Whether something holds: `check`, `wait`.
    Check,
    /// Steps and a startup chain: `start`, `stop`, `status`, `promote`, `play`.
    Playbook,
}

/// Everything that has a say in how the output looks.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the surroundings")]
pub struct OutputInputs {
    /// Standard output is a terminal.
    pub stdout_tty: bool,
    /// Standard error is a terminal.
    pub stderr_tty: bool,
    /// `CI` is set.
    pub ci: bool,
    /// `TERM` is `dumb` or unset.
    pub term_dumb: bool,
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// The locale's character set is UTF-8.
    pub utf8: bool,
    /// Width of the terminal, where there is one.
    pub columns: Option<usize>,
    /// Height of the terminal, where there is one.
    pub rows: Option<usize>,
    /// `--color`.
    pub color: When,
    /// `--progress`.
    pub progress: When,
    /// `-q`.
    pub quiet: bool,
    /// Count of `-v`.
    pub verbose: u8,
    /// `--gather`, `--stream`, `--quiet-hosts`.
    pub mode: Option<Mode>,
    /// Hosts selected.
    pub hosts: usize,
    /// The host was asked for by one plain name: no range, pattern, group or file has a say in how many there are.
    pub one_plain_name: bool,
    /// `--no-prefix`.
    pub no_prefix: bool,
    /// What kind of result the command has.
    pub command: CommandKind,
}

/// How the output looks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is read on its own")]
pub struct OutputSettings {
    /// What kind of result the command has.
    pub command: CommandKind,
    /// How remote output is shown.
    pub mode: Mode,
    /// Hosts in the run.
    pub hosts: usize,
    /// Lines of remote output have their host in front.
    pub prefix: bool,
    /// Standard output is a terminal: remote text is made harmless there.
    pub stdout_tty: bool,
    /// Standard error is a terminal.
    pub stderr_tty: bool,
    /// Colours on standard output.
    pub color_out: bool,
    /// Colours on standard error.
    pub color_err: bool,
    /// A live view on standard error.
    pub live: bool,
    /// Signs beyond ASCII may be used.
    pub unicode: bool,
    /// Width that lines have to fit; `None` where nothing is shown on a terminal.
    pub columns: Option<usize>,
    /// Height of the terminal.
    pub rows: usize,
    /// Only what went wrong.
    pub quiet: bool,
    /// How much more than usual is said.
    pub verbose: u8,
}

impl OutputSettings {
    /// Decides.
    ///
    /// How remote output is shown:
    ///
    /// | option        | stdout is a terminal | hosts | mode           |
    /// |---------------|----------------------|-------|----------------|
    /// | given         | *                    | *     | as given       |
    /// | none          | yes                  | > 1   | gather         |
    /// | none          | yes                  | 1     | stream         |
    /// | none          | no                   | *     | stream         |
    ///
    /// Whether streamed lines have their host in front. It must not depend on how many hosts a set turns out to have: a
    /// script that cuts at `: ` has to work on the day on which `@failed` is one host.
    ///
    /// | `--no-prefix` | `--stream` | `-w` is one plain name | prefix |
    /// |---------------|------------|------------------------|--------|
    /// | yes           | *          | *                      | no     |
    /// | no            | given      | *                      | yes    |
    /// | no            | no         | yes                    | no     |
    /// | no            | no         | no                     | yes    |
    ///
    /// Colours, for stdout and stderr each:
    ///
    /// | `--color` | terminal | `NO_COLOR` | dumb | colours |
    /// |-----------|----------|------------|------|---------|
    /// | always    | *        | *          | *    | yes     |
    /// | never     | *        | *          | *    | no      |
    /// | auto      | no       | *          | *    | no      |
    /// | auto      | yes      | yes        | *    | no      |
    /// | auto      | yes      | no         | yes  | no      |
    /// | auto      | yes      | no         | no   | yes     |
    ///
    /// The live view, which needs a terminal whose cursor moves:
    ///
    /// | `--progress` | stderr is a terminal | dumb | `-q` | CI  | live |
    /// |--------------|----------------------|------|------|-----|------|
    /// | never        | *                    | *    | *    | *   | no   |
    /// | *            | no                   | *    | *    | *   | no   |
    /// | *            | yes                  | yes  | *    | *   | no   |
    /// | always       | yes                  | no   | *    | *   | yes  |
    /// | auto         | yes                  | no   | yes  | *   | no   |
    /// | auto         | yes                  | no   | no   | yes | no   |
    /// | auto         | yes                  | no   | no   | no  | yes  |
    #[must_use]
    pub fn resolve(inputs: &OutputInputs) -> Self {
        let color = |tty: bool| match inputs.color {
            When::Always => true,
            When::Never => false,
            When::Auto => tty && !inputs.no_color && !inputs.term_dumb,
        };
        let movable = inputs.stderr_tty && !inputs.term_dumb;
        let live = match inputs.progress {
            When::Never => false,
            When::Always => movable,
            When::Auto => movable && !inputs.quiet && !inputs.ci,
        };
        let mode =
            inputs.mode.unwrap_or(if inputs.stdout_tty && inputs.hosts > 1 { Mode::Gather } else { Mode::Stream });
        let terminal = inputs.stdout_tty || inputs.stderr_tty;
        Self {
            command: inputs.command,
            mode,
            hosts: inputs.hosts,
            prefix: !inputs.no_prefix && (inputs.mode == Some(Mode::Stream) || !inputs.one_plain_name),
            stdout_tty: inputs.stdout_tty,
            stderr_tty: inputs.stderr_tty,
            color_out: color(inputs.stdout_tty),
            color_err: color(inputs.stderr_tty),
            live,
            unicode: inputs.utf8 && !inputs.term_dumb,
            columns: terminal.then(|| inputs.columns.unwrap_or(80).max(20)),
            rows: inputs.rows.unwrap_or(24),
            quiet: inputs.quiet,
            verbose: inputs.verbose,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A terminal of 80 x 24 with everything on.
    pub(crate) fn terminal(command: CommandKind, hosts: usize) -> OutputInputs {
        OutputInputs {
            stdout_tty: true,
            stderr_tty: true,
            ci: false,
            term_dumb: false,
            no_color: false,
            utf8: true,
            columns: Some(80),
            rows: Some(24),
            color: When::Auto,
            progress: When::Auto,
            quiet: false,
            verbose: 0,
            mode: None,
            hosts,
            one_plain_name: false,
            no_prefix: false,
            command,
        }
    }

    /// A pipe on both sides.
    pub(crate) fn pipe(command: CommandKind, hosts: usize) -> OutputInputs {
        OutputInputs { stdout_tty: false, stderr_tty: false, columns: None, rows: None, ..terminal(command, hosts) }
    }

    #[test]
    fn mode_rows() {
        #[track_caller]
        fn case(mode: Option<Mode>, stdout_tty: bool, hosts: usize, want: Mode) {
            let inputs = OutputInputs { stdout_tty, mode, ..terminal(CommandKind::Output, hosts) };
            assert_eq!(OutputSettings::resolve(&inputs).mode, want);
        }
        case(Some(Mode::QuietHosts), true, 3, Mode::QuietHosts);
        case(Some(Mode::Stream), true, 3, Mode::Stream);
        case(Some(Mode::Gather), false, 1, Mode::Gather);
        case(None, true, 2, Mode::Gather);
        case(None, true, 1, Mode::Stream);
        case(None, false, 2, Mode::Stream);
        case(None, false, 1, Mode::Stream);
    }

    #[test]
    fn prefix_rows() {
        #[track_caller]
        #[expect(clippy::fn_params_excessive_bools, reason = "the columns of the table")]
        fn case(no_prefix: bool, stream: bool, one_plain_name: bool, want: bool) {
            let mode = stream.then_some(Mode::Stream);
            let inputs = OutputInputs { mode, one_plain_name, no_prefix, ..pipe(CommandKind::Output, 1) };
            assert_eq!(OutputSettings::resolve(&inputs).prefix, want);
        }
        case(true, true, false, false);
        case(true, false, false, false);
        case(false, true, true, true);
        case(false, false, true, false);
        case(false, false, false, true);
    }

    #[test]
    fn color_rows() {
        #[track_caller]
        #[expect(clippy::fn_params_excessive_bools, reason = "the columns of the table")]
        fn case(color: When, tty: bool, no_color: bool, term_dumb: bool, want: bool) {
            let base = terminal(CommandKind::Output, 2);
            let inputs = OutputInputs { color, stdout_tty: tty, stderr_tty: !tty, no_color, term_dumb, ..base.clone() };
            assert_eq!(OutputSettings::resolve(&inputs).color_out, want);
            let inputs = OutputInputs { color, stdout_tty: !tty, stderr_tty: tty, no_color, term_dumb, ..base };
            assert_eq!(OutputSettings::resolve(&inputs).color_err, want);
        }
        case(When::Always, false, true, true, true);
        case(When::Never, true, false, false, false);
        case(When::Auto, false, false, false, false);
        case(When::Auto, true, true, false, false);
        case(When::Auto, true, false, true, false);
        case(When::Auto, true, false, false, true);
    }

    #[test]
    fn live_rows() {
        #[track_caller]
        #[expect(clippy::fn_params_excessive_bools, reason = "the columns of the table")]
        fn case(progress: When, stderr_tty: bool, term_dumb: bool, quiet: bool, ci: bool, want: bool) {
            let inputs =
                OutputInputs { stderr_tty, ci, term_dumb, progress, quiet, ..terminal(CommandKind::Playbook, 3) };
            assert_eq!(OutputSettings::resolve(&inputs).live, want);
        }
        case(When::Never, true, false, false, false, false);
        case(When::Always, false, false, false, false, false);
        case(When::Always, true, true, false, false, false);
        case(When::Always, true, false, true, true, true);
        case(When::Auto, true, false, true, false, false);
        case(When::Auto, true, false, false, true, false);
        case(When::Auto, true, false, false, false, true);
    }

    #[test]
    fn a_pipe_has_no_width() {
        assert_eq!(OutputSettings::resolve(&pipe(CommandKind::Output, 2)).columns, None);
        assert_eq!(OutputSettings::resolve(&terminal(CommandKind::Output, 2)).columns, Some(80));
    }
}
