//! From a plan and hosts to a finished run: the last checks, the fleet, the reporters, the exit status.

mod end;
mod rehearsal;
mod reporters;
mod selection_checks;
mod watcher;

use std::sync::Arc;

use anyhow::Context as _;
use indexmap::IndexMap;

use crate::cli::{Options, SudoPassword};
use crate::event::{Event, EventKind, Reporter as _};
use crate::exit::ExitStatus;
use crate::inventory::host::Host;
use crate::plan::{Action, Plan, vars};
use crate::report::{RunReport, health};
use crate::reporter::{CommandKind, Hurry, ReportQueue, Reporters};
use crate::runner::{self, AllowUnreachable, Canary, RunHost, RunSettings};
use crate::transport::Target;

use super::environment::Environment;
use super::fleet::carry_out;
use super::journal::{PlaybookRef, RunJournal};
use super::kept_fleet::KeptFleet;
use super::limits;
use super::openssh;
use super::outline;
use super::output_inputs::terminal_size;
use super::passwords;
use super::push_record::PushRecord;
use super::recorded_keys::recorded_keys;
use super::selection::Selected;
use super::signals;
use super::targets::{self, Targets};
use crate::diagnostic::Diagnostic;
use end::close;
use rehearsal::printed;
use watcher::Watcher;

/// A run with everything that is needed to start it.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(super) struct PendingRun<'a> {
    /// What to do.
    pub(super) plan: Plan,
    /// The hosts.
    pub(super) selected: Selected,
    /// The playbook that it is from, and its variables.
    pub(super) playbook: PlaybookRef,
    /// What kind of result it has.
    pub(super) kind: CommandKind,
    /// Unreachable hosts that a preflight tolerates.
    pub(super) allow: AllowUnreachable,
    /// Go on whatever a preflight finds.
    pub(super) force: bool,
    /// What is found counts as the exit status.
    pub(super) judged: bool,
    /// The commands' own exit statuses count as that of the run.
    pub(super) remote_status: bool,
    /// The password for sudo, where the command knows one.
    pub(super) sudo: Option<&'a SudoPassword>,
    /// Hosts that go first.
    pub(super) canary: Option<Canary>,
    /// Only say which hosts each step is for.
    pub(super) list_hosts: bool,
    /// What commands are carried by.
    pub(super) way: Way<'a>,
    /// Options.
    pub(super) options: &'a Options,
    /// Where gsctl runs.
    pub(super) environment: &'a Environment,
}

/// What carries the commands of a run.
pub(super) enum Way<'a> {
    /// Connections that are made for it.
    Network,
    /// Nothing: they run on this machine.
    Local,
    /// Connections that are there before it, and stay.
    Kept(&'a mut KeptFleet),
}

impl PendingRun<'_> {
    /// Checks everything that can be checked here, then makes the run.
    ///
    /// # Errors
    /// When something is wrong before anything was contacted.
    pub(super) fn execute(mut self) -> anyhow::Result<ExitStatus> {
        openssh::check(&self.plan, &self.options.ssh)?;
        let Targets { list: mut targets, mut warnings } = match &self.way {
            Way::Network => targets::build(&self.selected, &self.options.ssh, self.environment)?,
            Way::Local => targets::local(&self.selected, &self.options.ssh, self.environment)?,
            Way::Kept(kept) => Targets { list: kept.targets(&self.selected), warnings: Vec::new() },
        };
        warnings.splice(0..0, self.selected.warnings.iter().chain(&self.plan.notes).cloned());
        if self.plan.is_patient() {
            // The wait itself tries again; retries are expected, so they are not reported.
            Target::change_all(Arc::make_mut(&mut targets), |settings| settings.attempts = 1);
        }
        self.check_selection()?;
        let opening = self.opening();
        // What else is known of the hosts is in the targets by now, and there may be very many of them.
        let Selected { hosts, partition, .. } = std::mem::take(&mut self.selected);
        let run_hosts = self.run_hosts(hosts, &targets)?;
        for run_host in &run_hosts {
            runner::rehearse(&self.plan, run_host)
                .map_err(|said| Diagnostic::usage(format!("host `{}`: {said}", run_host.name)))?;
        }
        super::copy::can_pull(&self.plan, &run_hosts)?;
        if self.list_hosts {
            return printed(&outline::host_lists(&self.plan, &run_hosts), self.environment);
        }
        if self.options.run.dry_run && self.kind == CommandKind::Playbook && self.options.output.verbose == 0 {
            let serial = self.options.run.serial.filter(|_| self.plan.blocks.is_empty());
            return printed(&outline::outline(&self.plan, &run_hosts, serial), self.environment);
        }
        if self.options.run.dry_run {
            return Ok(self.rehearsal(&run_hosts)?);
        }
        if matches!(self.way, Way::Network) {
            give_password(Arc::make_mut(&mut targets), self.options)?;
        }
        if let Some(password) = self.sudo_password()?.map(Arc::new) {
            Target::change_all(Arc::make_mut(&mut targets), |settings| {
                settings.sudo_password = Some(password.clone());
            });
        }
        let started = jiff::Timestamp::now();
        let mut journal = RunJournal::open(&self, &run_hosts, &targets, started)?;
        warnings.append(&mut journal.warnings);
        let hurry = Hurry::default();
        let reporters = self.reporters(opening, &journal, &hurry)?;
        let mut settings = self.settings(&reporters, targets.len());
        settings.resume = journal.resume.take();
        let pushes = PushRecord::begin(&self.plan, self.environment, started);
        settings.writer = pushes.writer();
        let transport = self.options.ssh.transport;
        warnings.extend(limits::arrange(&mut settings, targets.len(), &self.plan, journal.holds(), transport));
        let signals = match &self.way {
            Way::Kept(kept) => kept.signals(),
            Way::Network | Way::Local => signals::listen().context("cannot listen for signals")?,
        };
        let watcher = Watcher {
            reporters,
            warnings,
            size: terminal_size(self.environment),
            environment: self.environment.clone(),
        };
        let mut queue = ReportQueue::start(watcher, hurry.clone()).context("cannot start threads")?;
        let mut finished = match &mut self.way {
            Way::Kept(kept) => {
                let names = targets.iter().map(|target| &*target.name);
                kept.carry_out(&self.plan, (names, run_hosts), settings, journal.run_log(), &mut queue)?
            }
            Way::Network | Way::Local => {
                carry_out(&self.plan, run_hosts, settings, &targets, journal.run_log(), &mut queue, signals.clone())?
            }
        };
        pushes.end(&finished);
        finished.stats.health = self.judged.then(|| health(&finished.hosts, finished.cluster.as_ref()));
        finished.stats.remote = self.remote_status.then(|| highest(&finished.hosts));
        if let Some(message) = self.unread_input() {
            let warning = Event { at: finished.elapsed, kind: EventKind::Warning { message } };
            finished.stats.broken |= queue.take(warning, &finished.stats).is_err();
        }
        let report = RunReport {
            run: journal.run.clone(),
            command: self.plan.name.clone(),
            started: started.to_string(),
            elapsed: finished.elapsed,
            status: finished.stats.exit_status(),
            state: finished.state,
            counts: finished.stats.counts.clone(),
            partition,
            merged: None,
            waited: finished.waited,
            cluster: finished.cluster,
            recorded_keys: recorded_keys(&targets),
            hosts: finished.hosts,
        };
        let (status, report) = close(report, finished.stats, &mut journal, &mut queue, &hurry, &signals);
        if let Way::Kept(kept) = self.way {
            kept.last = Some(report);
        }
        Ok(status)
    }

    /// What there is to say about a pipe with something in it that no command gets.
    fn unread_input(&self) -> Option<String> {
        let runs = |action: &Action| matches!(action, Action::Run { exec_options, .. } if exec_options.stdin.is_none());
        let is_exec = self.plan.name == "exec" && self.plan.steps.iter().all(|step| runs(&step.action));
        let is_script = self.plan.name == "script";
        if self.kind != CommandKind::Output || self.options.output.quiet || !(is_exec || is_script) {
            return None;
        }
        let bytes = super::standard_stream::waiting_in_pipe()?;
        let hint = if is_exec { "`--stdin -` gives it to the command on every host" } else { "a script has no input" };
        Some(format!("{bytes} bytes wait on standard input, and nothing reads them: {hint}"))
    }

    /// The password for sudo, where the user wants to give one.
    fn sudo_password(&self) -> Result<Option<secrecy::SecretString>, Diagnostic> {
        let Some(given) = self.sudo else { return Ok(None) };
        let used = self.plan.steps.iter().any(|step| step.action.sudo().is_some());
        if !used && given.ask_sudo_password {
            return Err(Diagnostic::usage("`--ask-sudo-password`: nothing is run through sudo"))
                .map_err(|diagnostic| diagnostic.hint("say --sudo, or `sudo: true` at a step of the playbook"));
        }
        if used { passwords::sudo(given, self.options) } else { Ok(None) }
    }

    /// Hosts with the values of the plan's variables on each. The hosts are let go of one by one, and so make room.
    fn run_hosts(&self, hosts: Vec<Arc<Host>>, targets: &[Target]) -> Result<Vec<RunHost>, Diagnostic> {
        let env = |name: &str| self.environment.var(name).map(str::to_owned);
        vars::check_names(&self.plan.vars, self.playbook.given.keys().map(String::as_str))
            .map_err(|error| Diagnostic::usage(error.to_string()).maybe_hint(error.hint()))?;
        let values = |host: &Host, target: &Target| {
            let own: IndexMap<&str, &str> = host.vars().collect();
            let mut values = vars::resolve(&self.plan.vars, &self.playbook.given, |name| own.get(name).copied(), env)
                .map_err(|error| {
                // `local` has no `--var`.
                let own = matches!(self.way, Way::Local).then(|| {
                    "give it a value on the host's line of the hosts file, or in `[all:vars]`; `{{name}}` is the text itself"
                        .to_owned()
                });
                Diagnostic::usage(format!("host `{}`: {error}", host.name)).maybe_hint(own.or(error.hint()))
            })?;
            values.insert("host", target.name.clone());
            values.insert("address", target.address.clone());
            values.insert("user", target.user.clone());
            values.insert("port", target.port.to_string());
            values.insert("groups", host.groups.join(" "));
            Ok(values)
        };
        // Of a hundred thousand hosts that is much to keep for nobody.
        let is_same_for_all = self.plan.is_same_for_all();
        let run_host = |(host, target): (&Arc<Host>, &Target)| {
            Ok(RunHost {
                name: target.name.clone(),
                groups: host.groups.as_slice().into(),
                vars: if is_same_for_all { vars::Vars::default() } else { values(host, target)? },
                user: target.user.clone(),
                port: target.port,
                timeout: self.options.run.timeout.or(host.timeout()),
            })
        };
        let mut run_hosts: Vec<RunHost> = Vec::with_capacity(targets.len());
        for (host, target) in hosts.into_iter().zip(targets) {
            let mut run_host = run_host((&host, target))?;
            if let Some(other) = run_hosts.last() {
                run_host.share(other);
            }
            run_hosts.push(run_host);
        }
        Ok(run_hosts)
    }

    fn settings(&self, reporters: &Reporters, hosts: usize) -> RunSettings {
        let run = &self.options.run;
        RunSettings {
            fanout: usize::try_from(run.fanout).unwrap_or(usize::MAX).min(hosts.max(1)),
            keep: true,
            canary: self.canary.clone(),
            // A playbook that rolls has its own.
            serial: run.serial.filter(|_| self.plan.blocks.is_empty()),
            max_fail: run.max_fail.filter(|_| self.plan.blocks.is_empty()),
            deadline: run.deadline.filter(|limit| !limit.is_zero()),
            allow_unreachable: self.allow,
            force: self.force,
            stream: reporters.wants_output(),
            live: reporters.is_live(),
            follow: reporters.shows_phases(),
            resume: None,
            writer: Arc::default(),
        }
    }
}

/// Asks for the password of logins where one is wanted, and gives it to all hosts.
///
/// # Errors
/// When it cannot be had.
pub(super) fn give_password(targets: &mut [Target], options: &Options) -> Result<(), Diagnostic> {
    passwords::keep_out_of_core_dumps();
    if let Some(password) = passwords::login(options)?.map(Arc::new) {
        Target::change_all(targets, |settings| settings.password = Some(password.clone()));
    }
    Ok(())
}

/// The highest exit status of the commands, as far as a shell can see it.
fn highest(hosts: &[crate::report::HostReport]) -> u8 {
    let statuses = hosts.iter().filter_map(|host| host.exit_status);
    statuses.map(|status| u8::try_from(status & 0xff).unwrap_or(u8::MAX)).max().unwrap_or_default()
}
