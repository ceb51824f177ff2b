//! From a plan and hosts to a finished run: the last checks, the fleet, the reporters, the exit status.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indexmap::IndexMap;

use crate::cli::{Options, OutputOptions, SudoPassword, When as CliWhen};
use crate::event::{Event, EventKind, Reporter};
use crate::exit::ExitStatus;
use crate::inventory::host::Host;
use crate::plan::{Action, Plan, vars};
use crate::playbook::builtin;
use crate::reactor::Reactor;
use crate::report::{RunReport, health};
use crate::reporter::harmless::Harmless;
use crate::reporter::{
    Afterwards, CommandKind, EndTable, Hurry, Mode, Opening, OutputDir, OutputInputs, OutputSettings, ReportQueue,
    ReporterSetup, Reporters, When,
};
use crate::runner::{self, AllowUnreachable, Canary, RunHost, RunSettings, fleet::Fleet};
use crate::stats::{CancelReason, RunStats};
use crate::transport::Connector;

use super::environment::Environment;
use super::journal::{PlaybookRef, RunJournal};
use super::kept_fleet::KeptFleet;
use super::limits;
use super::openssh;
use super::outline;
use super::passwords;
use super::push_record::PushRecord;
use super::report_files;
use super::selection::{self, Selected};
use super::signals;
use super::standard_stream::{StandardStream, Which};
use super::targets::{self, Targets};
use crate::diagnostic::Diagnostic;

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
            for target in &mut targets {
                target.attempts = 1;
            }
        }
        self.check_selection()?;
        let run_hosts = self.run_hosts(&targets)?;
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
            give_password(&mut targets, self.options)?;
        }
        if let Some(password) = self.sudo_password()?.map(Arc::new) {
            for target in &mut targets {
                target.sudo_password = Some(password.clone());
            }
        }
        let started = jiff::Timestamp::now();
        let mut journal = RunJournal::open(&self, &run_hosts, &targets, started)?;
        warnings.append(&mut journal.warnings);
        let names: Arc<[String]> = run_hosts.iter().map(|run_host| run_host.name.clone()).collect();
        let hurry = Hurry::default();
        let reporters = self.reporters(names, &journal, &hurry)?;
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
        let names_of_keys = super::recorded_keys::KeyNames::new(&targets);
        let targets = Targets { list: targets, warnings: Vec::new() };
        let mut finished = match &mut self.way {
            Way::Kept(kept) => {
                let names = self.selected.hosts.iter().map(|host| host.name.as_str());
                kept.carry_out(&self.plan, (names, run_hosts), settings, journal.run_log(), &mut queue)?
            }
            Way::Network | Way::Local => {
                carry_out(&self.plan, run_hosts, settings, targets, journal.run_log(), &mut queue, signals.clone())?
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
            partition: self.selected.partition,
            merged: None,
            waited: finished.waited,
            cluster: finished.cluster,
            recorded_keys: names_of_keys.recorded(),
            hosts: finished.hosts,
        };
        let (status, report) = close(report, finished.stats, &mut journal, &mut queue, &hurry, &signals);
        if let Way::Kept(kept) = self.way {
            kept.last = Some(report);
        }
        Ok(status)
    }

    /// Whether the plan can be carried out on hosts like these.
    fn check_selection(&self) -> Result<(), Diagnostic> {
        self.plan
            .check_groups(&self.selected.groups)
            .map_err(|unknown| Diagnostic::usage(unknown.to_string()).hint(unknown.hint()))?;
        self.check_partition()?;
        self.check_count()?;
        self.check_quorum()
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

    /// What is about all hosts together cannot be shared out.
    fn check_partition(&self) -> Result<(), Diagnostic> {
        let Some(partition) = self.selected.partition else { return Ok(()) };
        let Some(why) = self.plan.about_whole() else { return Ok(()) };
        Err(Diagnostic::usage(format!("`--partition {partition}` of `{}`: {why}", self.plan.name))
            .hint("leave --partition out; a cluster of its own is chosen with -f or -g"))
    }

    /// Some things are done to one host only.
    fn check_count(&self) -> Result<(), Diagnostic> {
        let (selected, most) = (self.selected.hosts.len(), self.plan.max_hosts.unwrap_or(usize::MAX));
        if selected <= most {
            return Ok(());
        }
        let hosts = if most == 1 { "one host".to_owned() } else { format!("{most} hosts") };
        Err(Diagnostic::usage(format!("`{}` is for {hosts} at a time, not {selected}", self.plan.name))
            .hint("choose with -w, as in `-w node2`"))
    }

    /// More hosts than there are can't be waited for.
    fn check_quorum(&self) -> Result<(), Diagnostic> {
        let hosts = self.selected.hosts.len();
        match self.plan.wanted() {
            Some(wanted) if wanted > hosts => {
                Err(Diagnostic::usage(format!("`--quorum {wanted}` of {hosts} selected hosts"))
                    .hint("write fewer, or a part: `50%`"))
            }
            _ => Ok(()),
        }
    }

    /// Hosts with the values of the plan's variables on each.
    fn run_hosts(&self, targets: &[crate::transport::Target]) -> Result<Vec<RunHost>, Diagnostic> {
        let env = |name: &str| self.environment.var(name).map(str::to_owned);
        vars::check_names(&self.plan.vars, self.playbook.given.keys().map(String::as_str))
            .map_err(|error| Diagnostic::usage(error.to_string()).maybe_hint(error.hint()))?;
        let run_host = |(host, target): (&Host, &crate::transport::Target)| {
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
            values.insert("host", host.name.clone());
            values.insert("address", target.address.clone());
            values.insert("user", target.user.clone());
            values.insert("port", target.port.to_string());
            values.insert("groups", host.groups.join(" "));
            Ok(RunHost {
                name: host.name.clone(),
                groups: host.groups.clone(),
                vars: values,
                user: target.user.clone(),
                port: target.port,
                timeout: self.options.run.timeout.or(host.timeout()),
            })
        };
        self.selected.hosts.iter().zip(targets).map(run_host).collect()
    }

    /// Prints what would run; contacts no host. Hosts for which it is the same are named together.
    fn rehearsal(&self, run_hosts: &[RunHost]) -> Result<ExitStatus, Diagnostic> {
        let mut groups: IndexMap<Vec<(String, String)>, Vec<&str>> = IndexMap::new();
        for run_host in run_hosts {
            let texts = runner::rehearse(&self.plan, run_host).map_err(Diagnostic::usage)?;
            groups.entry(texts).or_default().push(&run_host.name);
        }
        let mut out = Harmless::new(std::io::stdout().lock(), self.environment.stdout_tty);
        let written = (|| {
            for (texts, names) in &groups {
                writeln!(out, "# on {}", crate::inventory::hostset::fold(names))?;
                for (index, (name, text)) in texts.iter().enumerate() {
                    writeln!(out, "## step {} of {}: {name}", index + 1, texts.len())?;
                    writeln!(out, "{}", if text.is_empty() { "# (no command)" } else { text })?;
                }
            }
            out.flush()
        })();
        super::hosts::finish(written)
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
            resume: None,
            writer: Arc::default(),
        }
    }

    /// Opens every report, then makes the reporters.
    fn reporters(&self, names: Arc<[String]>, journal: &RunJournal, hurry: &Hurry) -> Result<Reporters, Diagnostic> {
        let output = &self.options.output;
        let settings = OutputSettings::resolve(&self.inputs(names.len()));
        let output_dir = match &output.output_dir {
            None => None,
            Some(path) => Some(
                OutputDir::create(path, names.clone())
                    .map_err(|error| Diagnostic::usage(format!("output directory `{}`: {error}", path.display())))?,
            ),
        };
        Ok(Reporters::new(ReporterSetup {
            settings,
            names,
            steps: self.plan.steps.iter().map(|step| step.name.clone()).collect(),
            filter: super::output_filter::filter(output)?,
            end_table: if self.plan.only_looks() {
                EndTable::States(self.plan.table.clone())
            } else {
                EndTable::Chains
            },
            afterwards: self.afterwards(journal),
            opening: self.opening(),
            stdout: Box::new(StandardStream::new(Which::Out, hurry.clone())),
            stderr: Box::new(StandardStream::new(Which::Err, hurry.clone())),
            json: report_files::open(output.json.as_deref(), hurry)?,
            jsonl: report_files::open(output.jsonl.as_deref(), hurry)?,
            junit: report_files::open(output.junit.as_deref(), hurry)?,
            html: report_files::open_whole(output.html.as_deref())?,
            output_dir,
            more: Vec::new(),
        }))
    }

    /// What is said before the run begins.
    fn opening(&self) -> Opening {
        let hosts = &self.options.hosts;
        let found = hosts.hosts_file.is_empty();
        let known = self.selected.hosts.iter().any(|host| self.selected.known.contains_key(&host.name));
        let shown = |file: &std::path::PathBuf| match file.to_str() {
            Some("-") => "standard input".to_owned(),
            _ if file.parent().is_some_and(|parent| parent.as_os_str().is_empty()) => format!("./{}", file.display()),
            _ => file.display().to_string(),
        };
        let files: Vec<String> = self.selected.files.iter().filter(|_| known).map(shown).collect();
        if matches!(self.way, Way::Kept(_)) {
            return Opening::default();
        }
        let unnamed = hosts.hosts.is_empty() && hosts.group.is_empty() && hosts.intersect.is_empty();
        let changes = !matches!(self.kind, CommandKind::Ping | CommandKind::Check) && !self.plan.only_looks();
        let unasked = found && known && unnamed && hosts.exclude.is_empty() && changes;
        Opening {
            verb: Opening::verb(&self.plan.name, builtin::source(&self.plan.name).is_some()),
            files: files.join(", "),
            unasked,
            always: known && self.selected.hosts.len() > 1 || unasked,
        }
    }

    /// What the user can do once the run is over.
    fn afterwards(&self, journal: &RunJournal) -> Afterwards {
        let system = self.plan.name.split('/').next().unwrap_or_default();
        let has_status =
            builtin::source(&self.plan.name).is_some() && builtin::source(&format!("{system}/status")).is_some();
        let status = match system {
            "opengauss" => "gsctl status".to_owned(),
            system => format!("gsctl status --system {system}"),
        };
        Afterwards {
            // What only looks has nothing to wait for.
            status: Some(status).filter(|_| has_status && !self.plan.only_looks()),
            goes_on: self.plan.goes_on.clone(),
            resume: journal.is_resumable().then(|| format!("gsctl play --resume {}", journal.run)),
        }
    }

    fn inputs(&self, hosts: usize) -> OutputInputs {
        let inputs = output_inputs(&self.options.output, self.environment, hosts, self.kind);
        let asks = self.canary.as_ref().is_some_and(|canary| canary.ask.is_some());
        OutputInputs {
            // A question would stand in the middle of it.
            progress: if asks { When::Never } else { inputs.progress },
            one_plain_name: selection::is_one_plain_name(&self.options.hosts.hosts),
            ..inputs
        }
    }
}

/// Asks for the password of logins where one is wanted, and gives it to all hosts.
///
/// # Errors
/// When it cannot be had.
pub(super) fn give_password(targets: &mut [crate::transport::Target], options: &Options) -> Result<(), Diagnostic> {
    passwords::keep_out_of_core_dumps();
    if let Some(password) = passwords::login(options)?.map(Arc::new) {
        for target in targets {
            target.password = Some(password.clone());
        }
    }
    Ok(())
}

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

/// The highest exit status of the commands, as far as a shell can see it.
fn highest(hosts: &[crate::report::HostReport]) -> u8 {
    let statuses = hosts.iter().filter_map(|host| host.exit_status);
    statuses.map(|status| u8::try_from(status & 0xff).unwrap_or(u8::MAX)).max().unwrap_or_default()
}

/// Prints text that was asked for. A reader that went away is no error.
fn printed(text: &str, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let mut out = Harmless::new(std::io::stdout().lock(), environment.stdout_tty);
    Ok(super::hosts::finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))?)
}

/// Hosts at once that one thread serves with ease.
const HOSTS_A_SHARD: usize = 64;

/// Starts the fleet and carries out the plan.
pub(super) fn carry_out(
    plan: &Plan,
    run_hosts: Vec<RunHost>,
    settings: RunSettings,
    targets: Targets,
    run_log: &mut dyn runner::RunLog,
    reporter: &mut dyn Reporter,
    signals: async_channel::Receiver<CancelReason>,
) -> anyhow::Result<runner::RunResult> {
    let pool = pool(settings.fanout.min(targets.list.len()))?;
    let list: Arc<[crate::transport::Target]> = targets.list.into();
    let reactor = Reactor::new().context("cannot wait for anything")?;
    let executor = Fleet::start(&pool, &list, &Arc::new(Connector::default()), &settings.writer)
        .context("cannot wait for connections")?;
    Ok(reactor.block_on(runner::run(plan, run_hosts, settings, executor, signals, run_log, reporter)))
}

/// Threads for so many hosts at once.
pub(super) fn pool(at_once: usize) -> anyhow::Result<rayon::ThreadPool> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // A thread that serves fewer finds less to do each time it wakes up, and wakes up more often.
    let busy = at_once.div_ceil(HOSTS_A_SHARD).max(1);
    rayon::ThreadPoolBuilder::new()
        .num_threads(cores.min(busy))
        .thread_name(|index| format!("shard-{index}"))
        .build()
        .context("cannot start threads")
}

/// Closes the journal and the reports of a run, and gives the exit status.
///
/// The journal is written before the reports, which may wait for a reader, and again where they made a difference.
fn close(
    mut report: RunReport,
    mut stats: RunStats,
    journal: &mut RunJournal,
    queue: &mut ReportQueue<Watcher>,
    hurry: &Hurry,
    signals: &async_channel::Receiver<CancelReason>,
) -> (ExitStatus, Arc<RunReport>) {
    if let Some((message, broken)) = journal.close(&report) {
        stats.broken |= broken;
        report.status = stats.exit_status();
        let warning = Event { at: report.elapsed, kind: EventKind::Warning { message } };
        stats.broken |= queue.take(warning, &stats).is_err();
    }
    let report = Arc::new(report);
    queue.finish(Arc::clone(&report), &stats);
    let written = written(queue, hurry, signals);
    stats.broken |= written.reporter.as_ref().is_some_and(|watcher| !watcher.reporters.errors().is_empty());
    stats.broken |= written.is_broken;
    if let Some(reason) = written.interrupted {
        stats.cancelled.get_or_insert(reason);
    }
    let exit = stats.exit_status();
    if exit == report.status {
        return (exit, report);
    }
    let mut report = Arc::unwrap_or_clone(report);
    report.status = exit;
    // An error here was told the first time.
    let _ = journal.close(&report);
    (exit, Arc::new(report))
}

/// How the end of a run was written.
pub(super) struct Written<R> {
    /// The reporter, unless it was left behind.
    pub(super) reporter: Option<R>,
    /// The reporter panicked.
    is_broken: bool,
    /// The user did not want to wait for it.
    interrupted: Option<CancelReason>,
}

/// Time in which at least something must have been written, once the run was cut short.
const LONGEST_WRITE: Duration = Duration::from_secs(5);

/// Waits until all is written. A signal, and the end of a run that was cut short, wait for no reader that has stopped.
pub(super) fn written<R: Reporter + Send + 'static>(
    queue: &mut ReportQueue<R>,
    hurry: &Hurry,
    signals: &async_channel::Receiver<CancelReason>,
) -> Written<R> {
    let mut interrupted = None;
    let (mut writes, mut since) = (hurry.writes(), Instant::now());
    loop {
        match queue.join(Duration::from_millis(20)) {
            Some(Ok(reporter)) => return Written { reporter: Some(reporter), is_broken: false, interrupted },
            Some(Err(_)) => return Written { reporter: None, is_broken: true, interrupted },
            None => {}
        }
        if let Ok(reason) = signals.try_recv() {
            interrupted.get_or_insert(reason);
            hurry.begin();
        }
        if hurry.writes() != writes || !hurry.has_begun() {
            (writes, since) = (hurry.writes(), Instant::now());
        } else if since.elapsed() >= LONGEST_WRITE {
            let said = b"warning: a report was not written to its end: its reader has stopped reading\n";
            let _ = StandardStream::new(Which::Err, hurry.clone()).write_all(said);
            return Written { reporter: None, is_broken: false, interrupted };
        }
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

/// Passes events on, with the warnings from before the run in front.
struct Watcher {
    reporters: Reporters,
    warnings: Vec<String>,
    /// Of the terminal, as last seen.
    size: Option<(usize, usize)>,
    environment: Environment,
}

impl Watcher {
    /// The live view must know the width that its lines have by now, before anything is written over them.
    fn look_at_the_terminal(&mut self) {
        if !self.reporters.is_live() {
            return;
        }
        let size = terminal_size(&self.environment);
        if size != self.size
            && let Some((columns, rows)) = size
        {
            self.size = size;
            self.reporters.resize(columns, rows);
        }
    }
}

impl Reporter for Watcher {
    fn event(&mut self, event: &Event, stats: &RunStats) -> std::io::Result<()> {
        self.look_at_the_terminal();
        self.reporters.event(event, stats);
        for message in self.warnings.drain(..) {
            let warning = Event { at: event.at, kind: EventKind::Warning { message } };
            self.reporters.event(&warning, stats);
        }
        Ok(())
    }

    fn finish(&mut self, report: &RunReport, stats: &RunStats) -> std::io::Result<()> {
        if self.reporters.errors().is_empty() || stats.broken {
            self.reporters.finish(report, stats);
            return Ok(());
        }
        let stats = RunStats { broken: true, ..stats.clone() };
        self.reporters.finish(&RunReport { status: stats.exit_status(), ..report.clone() }, &stats);
        Ok(())
    }

    fn tick(&mut self, at: std::time::Duration) {
        self.look_at_the_terminal();
        self.reporters.tick(at);
    }
}
