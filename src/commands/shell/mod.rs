//! `gsctl shell`: logs in once, then runs each line on the hosts over the connections that are there.

mod editor;
mod line;
mod prompt;
mod words;

use std::io::{self, BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use crate::cli::{Options, ShellArgs};
use crate::diagnostic::Diagnostic;
use crate::exit::ExitStatus;
use crate::inventory::host::Host;
use crate::inventory::hostset::fold;
use crate::inventory::{Hosts, Inventory};
use crate::plan::template::Template;
use crate::plan::{Action, ExecOptions, Plan};
use crate::reporter::sanitize;
use crate::reporter::{CommandKind, plural};
use crate::runner::AllowUnreachable;

use super::environment::Environment;
use super::inventories::Programs;
use super::journal::PlaybookRef;
use super::kept_fleet::KeptFleet;
use super::limits;
use super::oneshot::{self, plan, said};
use super::openssh;
use super::run::{self, PendingRun, Way};
use super::selection::{self, Selected};
use super::signals::{self, ShellSignals};
use super::targets::{self, Targets};
use editor::{Editor, Typed};
use line::Line;
use words::help;

/// `shell`.
///
/// # Errors
/// When something is wrong before anything was contacted, or the terminal is gone.
pub(super) fn shell(args: &ShellArgs, options: &Options, environment: &Environment) -> anyhow::Result<ExitStatus> {
    refuse(args, options, environment)?;
    let (inventory, files) = selection::inventory(&options.hosts, &options.ssh, Programs::Run, environment)?;
    let selected = selection::choose(inventory.clone(), files, &options.hosts, environment)?;
    openssh::check(&oneshot::ping(), &options.ssh)?;
    let Targets { list: mut targets, warnings } = targets::build(&selected, &options.ssh, environment)?;
    let fanout = usize::try_from(options.run.fanout).unwrap_or(usize::MAX);
    limits::room_for(targets.len(), fanout, options.ssh.transport)
        .map_err(|said| Diagnostic::usage(said).hint("raise it (ulimit -n), or choose fewer hosts with -w"))?;
    run::give_password(Arc::make_mut(&mut targets), options)?;
    let signals = signals::listen_between_runs().context("cannot listen for signals")?;
    let kept = KeptFleet::start(targets, signals.reasons.clone())?;
    let inventory = narrowed(inventory, &selected.hosts);
    let mut session = Session {
        chosen: selected.hosts.clone(),
        all: selected,
        inventory,
        kept,
        signals,
        options: options.clone(),
        environment,
        last: None,
        worst: ExitStatus::Success,
        has_terminal: args.line.is_empty() && environment.stdin_tty,
    };
    for warning in session.all.warnings.iter().chain(&warnings) {
        say(&format!("warning: {warning}"));
    }
    session.log_in()?;
    if session.there().is_empty() {
        return Ok(session.worst);
    }
    if session.has_terminal {
        return session.talk();
    }
    if args.line.is_empty() {
        session.read(io::stdin().lock().lines())?;
    } else {
        session.read(args.line.iter().map(|line| Ok(line.clone())))?;
    }
    Ok(session.worst)
}

/// What has no meaning for many runs.
fn refuse(args: &ShellArgs, options: &Options, environment: &Environment) -> Result<(), Diagnostic> {
    let (run, output) = (&options.run, &options.output);
    let reports = [
        ("--json", output.json.is_some()),
        ("--jsonl", output.jsonl.is_some()),
        ("--junit", output.junit.is_some()),
        ("--html", output.html.is_some()),
        ("--output-dir", output.output_dir.is_some()),
    ];
    if let Some((option, _)) = reports.into_iter().find(|(_, given)| *given) {
        return Err(Diagnostic::usage(format!("`{option}` has no meaning for `shell`: it is about one run"))
            .hint("`:save FILE` keeps what a line printed; `gsctl exec` writes reports"));
    }
    if run.dry_run || run.canary.is_some() {
        let option = if run.dry_run { "--dry-run" } else { "--canary" };
        return Err(Diagnostic::usage(format!("`{option}` has no meaning for `shell`")));
    }
    let dash = |path: &PathBuf| path.as_os_str() == "-";
    let taken = options.hosts.hosts_file.iter().any(dash) || options.ssh.password_file.as_ref().is_some_and(dash);
    if taken && args.line.is_empty() && !environment.stdin_tty {
        return Err(Diagnostic::usage("standard input is read for an option, and the lines would come from there too")
            .hint("give the lines with -c, or name a file"));
    }
    Ok(())
}

/// What the hosts of the shell are to `:hosts`: all that there are.
fn narrowed(inventory: Inventory, hosts: &[Arc<Host>]) -> Inventory {
    let hosts: Hosts = hosts.iter().map(|host| (host.name.clone(), host.clone())).collect();
    let mut groups = inventory.groups;
    groups.values_mut().for_each(|members| members.retain(|name| hosts.contains_key(name.as_str())));
    Inventory { hosts, groups, ..Inventory::default() }
}

struct Session<'a> {
    /// Hosts that lines run on, those that were lost among them.
    chosen: Vec<Arc<Host>>,
    /// All hosts of the shell.
    all: Selected,
    /// Them and their groups.
    inventory: Inventory,
    kept: KeptFleet,
    signals: ShellSignals,
    options: Options,
    environment: &'a Environment,
    /// How the last line ended.
    last: Option<ExitStatus>,
    /// The worst end of a line.
    worst: ExitStatus,
    has_terminal: bool,
}

/// Whether there is more to come.
#[derive(PartialEq, Eq)]
enum Next {
    Line,
    End,
}

impl Session<'_> {
    /// Chosen hosts that were not lost.
    fn there(&mut self) -> Vec<Arc<Host>> {
        let lost = self.kept.lost();
        self.chosen.iter().filter(|host| !lost.contains(&&*host.name)).cloned().collect()
    }

    /// Logs in to all hosts, and says which cannot be.
    fn log_in(&mut self) -> anyhow::Result<()> {
        let hosts = self.chosen.clone();
        let quiet = std::mem::replace(&mut self.options.output.quiet, true);
        // Not as `gsctl ping`, whose lines on standard output are what it is asked for.
        let done = self.run_on(hosts, oneshot::ping(), CommandKind::Output);
        self.options.output.quiet = quiet;
        self.ended(done?);
        Ok(())
    }

    fn ended(&mut self, status: ExitStatus) {
        self.last = Some(status);
        if rank(status) > rank(self.worst) {
            self.worst = status;
        }
    }

    /// Lines from the terminal.
    fn talk(&mut self) -> anyhow::Result<ExitStatus> {
        let groups = self.inventory.groups.keys().map(String::as_str).chain(["all", "failed", "retry", "ok"]);
        let groups = groups.map(|group| format!("@{group}"));
        let names = self.all.hosts.iter().map(|host| host.name.to_string()).chain(groups).collect();
        let history = self.environment.state_dir().join("shell_history");
        let mut editor = Editor::new(names, history).context("cannot use the terminal")?;
        say("`:help` lists the words of the shell; Ctrl-D ends it");
        loop {
            let prompt = self.prompt();
            match editor.read(&prompt).context("cannot read from the terminal")? {
                Typed::Line(line) => {
                    if self.line(&line) == Next::End {
                        break;
                    }
                }
                Typed::Nothing => {}
                Typed::End => break,
            }
        }
        Ok(if self.last == Some(ExitStatus::Terminated) { ExitStatus::Terminated } else { ExitStatus::Success })
    }

    /// Lines from elsewhere.
    fn read(&mut self, lines: impl Iterator<Item = io::Result<String>>) -> anyhow::Result<()> {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.context("cannot read standard input")?);
            if line::is_open(&text) {
                text.push('\n');
                continue;
            }
            if self.line(&std::mem::take(&mut text)) == Next::End {
                return Ok(());
            }
        }
        if !text.is_empty() {
            self.line(&text);
        }
        Ok(())
    }

    /// Does what a line says.
    fn line(&mut self, text: &str) -> Next {
        let done = match line::read(text) {
            Ok(Line::Quit) => return Next::End,
            Ok(line) => self.act(line),
            Err(wrong) => Err(Diagnostic::usage(wrong).into()),
        };
        match done {
            Ok(Some(status)) => self.ended(status),
            Ok(None) => {}
            Err(error) => {
                say(&format!("error: {error:#}"));
                let status = error.downcast_ref::<Diagnostic>().map_or(ExitStatus::Broken, |wrong| wrong.status);
                self.ended(status);
            }
        }
        match self.last {
            Some(ExitStatus::Terminated) => Next::End,
            Some(ExitStatus::Interrupted) if !self.has_terminal => Next::End,
            _ => Next::Line,
        }
    }

    /// The exit status, where hosts were asked for something.
    fn act(&mut self, line: Line) -> anyhow::Result<Option<ExitStatus>> {
        match line {
            Line::Command(text) => {
                let hosts = self.there();
                let command = Template::literal(text.as_str());
                let action = Action::Run { command, exec_options: ExecOptions::default() };
                let plan = said(text, plan("exec", action, self.options.run.timeout));
                return self.run_on(hosts, plan, CommandKind::Output).map(Some);
            }
            Line::Copy(words) => return self.copy(words).map(Some),
            Line::Reconnect => return self.reconnect(),
            Line::Hosts(None) => say(&hosts(&self.chosen)),
            Line::Hosts(Some(set)) => self.choose(set)?,
            Line::Gather => self.show(true),
            Line::Stream => self.show(false),
            Line::Timeout(None) => say(&self.timeout()),
            Line::Timeout(limit) => self.options.run.timeout = limit,
            Line::Status => self.status(),
            Line::Save(file) => self.save(&file)?,
            Line::Help => help(),
            Line::Empty | Line::Quit => {}
        }
        Ok(None)
    }

    fn run_on(&mut self, hosts: Vec<Arc<Host>>, plan: Plan, kind: CommandKind) -> anyhow::Result<ExitStatus> {
        if hosts.is_empty() {
            say("error: every chosen host was lost\nhint: `:reconnect` logs in again, `:hosts SET` chooses others");
            return Ok(ExitStatus::Unreachable);
        }
        let Selected { known, groups, files, partition, .. } = &self.all;
        let selected = Selected {
            hosts,
            known: known.clone(),
            groups: groups.clone(),
            warnings: Vec::new(),
            files: files.clone(),
            partition: *partition,
        };
        self.signals.work();
        let done = PendingRun {
            plan,
            selected,
            playbook: PlaybookRef::default(),
            kind,
            allow: AllowUnreachable::Count(0),
            force: false,
            judged: false,
            remote_status: false,
            sudo: None,
            canary: None,
            list_hosts: false,
            way: Way::Kept(&mut self.kept),
            options: &self.options,
            environment: self.environment,
        }
        .execute();
        self.signals.rest();
        done
    }
}

/// What is worse. An interruption comes first, then as the exit status of a run has it.
fn rank(status: ExitStatus) -> usize {
    use ExitStatus as S;
    let order = [
        S::Success,
        S::Failed,
        S::NoHosts,
        S::Unreachable,
        S::TimedOut,
        S::Refused,
        S::Usage,
        S::Broken,
        S::Interrupted,
        S::Terminated,
    ];
    order.iter().position(|known| *known == status).unwrap_or_default()
}

fn folded(hosts: &[Arc<Host>]) -> String {
    let names: Vec<&str> = hosts.iter().map(|host| &*host.name).collect();
    fold(&names)
}

fn hosts(hosts: &[Arc<Host>]) -> String {
    format!("{} ({})", folded(hosts), plural::hosts(hosts.len()))
}

/// Says something beside what the hosts print. A terminal that is gone is found out where it is read.
fn say(text: &str) {
    let text = sanitize::block(text.as_bytes());
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_counts() {
        use ExitStatus as S;
        let mut by_rank = S::ALL.to_vec();
        by_rank.sort_by_key(|status| rank(*status));
        assert_eq!(by_rank.first(), Some(&S::Success));
        assert!(rank(S::TimedOut) > rank(S::Unreachable) && rank(S::Unreachable) > rank(S::Failed));
        assert!(rank(S::Interrupted) > rank(S::Broken));
    }
}
