//! A run's lock and journal, opened before anything is contacted and closed when all is over.
//!
//! Decides what a journal that cannot be used means: nothing but a warning for a command, and no start for a playbook that
//! relies on it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use indexmap::IndexMap;
use sha2::{Digest as _, Sha256};

use crate::account;
use crate::exit::ExitStatus;
use crate::inventory::hostset::fold;
use crate::journal::lock::{self, Holder, LockError};
use crate::journal::record::{self, HostRecord, PlaybookRecord, StateRecord, StepRecord};
use crate::journal::{Journal, RunRecord, Writer, compare, new_id};
use crate::plan::{Action, Plan};
use crate::report::RunReport;
use crate::reporter::Names;
use crate::runner::{Resume, RunHost, RunLog};
use crate::text::{io_cause, uncapitalized};
use crate::transport::Target;

use super::environment::Environment;
use super::ledger::{self, Ledger};
use super::run::PendingRun;
use crate::diagnostic::Diagnostic;

/// A longer host set is recorded as a number of hosts.
const LONGEST_SELECTION: usize = 200;

/// The playbook of a run. Nothing of it is set for commands.
#[derive(Debug, Default)]
pub(super) struct PlaybookRef {
    /// A built-in's name, or the path of a file from the root.
    pub(super) file: String,
    /// A digest of all its texts.
    pub(super) digest: String,
    /// Variables from the command line.
    pub(super) given: IndexMap<String, String>,
    /// The run that is to go on.
    pub(super) resume: Option<String>,
    /// The step to begin with, by name or number.
    pub(super) from: Option<String>,
}

/// A run's lock and journal.
pub(super) struct RunJournal {
    /// The run's id.
    pub(super) run: String,
    /// What is done already.
    pub(super) resume: Option<Resume>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
    ledger: Ledger,
}

impl RunJournal {
    /// Takes the lock and begins the journal.
    ///
    /// # Errors
    /// When another run is at work on one of the hosts, the run may not go on, or a journal that it relies on cannot be
    /// written.
    pub(super) fn open(
        pending: &PendingRun<'_>,
        run_hosts: &[RunHost],
        targets: &[Target],
        started: jiff::Timestamp,
    ) -> Result<Self, Diagnostic> {
        let journal = Journal::new(pending.environment.state_dir());
        let PendingRun { plan, playbook, .. } = pending;
        let run = playbook.resume.clone().unwrap_or_else(|| new_id(started));
        let is_playbook = !playbook.digest.is_empty();
        let relied_on = is_playbook && (plan.names_states() || playbook.resume.is_some());
        let mut warnings = Vec::new();
        let mut spoilt = |what: &str, error: &io::Error, means: &str| {
            let message = format!("{what} in `{}`: {}", journal.dir().display(), uncapitalized(&io_cause(error)));
            if relied_on {
                return Err(Diagnostic::usage(message).hint(
                    "this playbook relies on its journal; nothing was contacted. XDG_STATE_HOME says where it is",
                ));
            }
            warnings.push(format!("{message}; {means}"));
            Ok(())
        };
        let mut record = RunRecord {
            schema: record::SCHEMA.to_owned(),
            run: run.clone(),
            command: plan.name.clone(),
            what: plan.summary.as_deref().filter(|_| !is_playbook).map(beginning),
            started: started.to_string(),
            pid: rustix::process::getpid().as_raw_pid().unsigned_abs(),
            user: user(pending.environment),
            selection: selection(&run_hosts.iter().map(|run_host| &*run_host.name).collect::<Vec<_>>()),
            ..RunRecord::default()
        };
        let holds = plan.is_change() && !is_command(plan, is_playbook);
        let is_resumable = is_playbook && (plan.is_change() || plan.names_states());
        // Of many hosts they are not made in vain.
        let nodes = if holds || is_resumable { nodes(run_hosts, targets) } else { Vec::new() };
        let lock = if holds {
            match lock::take(&journal, &holder(&record, &nodes)) {
                Ok(lock) => Some(lock),
                Err(LockError::Held(other)) => return Err(held(&other)),
                Err(LockError::Broken(error)) => {
                    spoilt("cannot lock", &error, "nothing keeps another run away from these hosts")?;
                    None
                }
            }
        } else {
            None
        };
        let mut resume = None;
        if is_resumable {
            let mut playbook_record = playbook_record(plan, playbook, run_hosts, nodes);
            if playbook.resume.is_some() {
                let was = journal.load(&run).map_err(|problem| Diagnostic::usage(problem.to_string()))?;
                resume = Some(go_on(&was, &mut record, &mut playbook_record, pending.force)?);
            }
            if let Some(from) = &playbook.from {
                begin_at(resume.get_or_insert_default(), &mut playbook_record, step_id(plan, from)?);
            }
            record.playbook = Some(playbook_record);
        } else if let Some(from) = &playbook.from {
            resume = Some(Resume { from: step_id(plan, from)?, ..Resume::default() });
        }
        let begun =
            if playbook.resume.is_some() { Writer::go_on(&journal, record) } else { Writer::begin(&journal, record) };
        let writer = match begun {
            Ok(writer) => Some(writer),
            Err(error) => {
                spoilt("cannot write the journal", &error, "`runs`, `--resume` and `@failed` will not know this run")?;
                None
            }
        };
        journal.prune_in_turn(&run, started);
        let names = run_hosts.iter().map(|run_host| run_host.name.clone()).collect();
        Ok(Self { run, resume, warnings, ledger: Ledger { writer, lock, names } })
    }

    /// Where the run writes down what is done.
    pub(super) fn run_log(&mut self) -> &mut dyn RunLog {
        &mut self.ledger
    }

    /// Names of the hosts.
    pub(super) fn names(&self) -> Names {
        self.ledger.names.clone()
    }

    /// Whether other runs are kept away from the nodes.
    pub(super) fn holds(&self) -> bool {
        self.ledger.lock.is_some()
    }

    /// Whether the run can be resumed where it does not come to its end.
    pub(super) fn is_resumable(&self) -> bool {
        self.ledger.writer.as_ref().is_some_and(Writer::is_durable)
    }

    /// Writes down that the run is over. Gives what went wrong, and whether that makes the run a failure.
    pub(super) fn close(&mut self, report: &RunReport) -> Option<(String, bool)> {
        let writer = self.ledger.writer.as_mut()?;
        let error = writer.finish(report, &jiff::Timestamp::now().to_string()).err()?;
        let message =
            format!("the end of the run could not be written to the journal: {}", uncapitalized(&io_cause(&error)));
        Some((message, writer.is_durable()))
    }
}

/// Checks that a run may go on, and makes the new record out of the old one.
fn go_on(
    was: &RunRecord,
    record: &mut RunRecord,
    playbook_record: &mut PlaybookRecord,
    force: bool,
) -> Result<Resume, Diagnostic> {
    let run = &was.run;
    let Some(before) = &was.playbook else {
        return Err(Diagnostic::usage(format!("run {run} (`{}`) cannot be resumed: it has no steps", was.command)));
    };
    if !was.is_resumable() {
        let how = was.status.as_ref().map_or("over", |status| status.name.as_str());
        return Err(Diagnostic::usage(format!("run {run} (`{}`) cannot be resumed: it ended as {how}", was.command))
            .hint("play it again without --resume"));
    }
    let changes = compare::changes(before, playbook_record);
    if !changes.is_empty() && !force {
        return Err(Diagnostic::usage(format!(
            "run {run} (`{}`) cannot be resumed: {}",
            was.command,
            changes.join("; ")
        ))
        .hint("--force resumes it all the same; without --resume a new run begins at the first step"));
    }
    let resume = compare::done(was, playbook_record);
    let now = record.started.clone();
    for step in &mut playbook_record.steps {
        if let Some(done) = before.steps.iter().find(|old| old.name == step.name) {
            step.clone_from(done);
        }
    }
    playbook_record.states.clone_from(&before.states);
    playbook_record.cleanup.clone_from(&before.cleanup);
    playbook_record.shared.clone_from(&before.shared);
    playbook_record.resumed.clone_from(&before.resumed);
    playbook_record.resumed.push(now.clone());
    playbook_record.written = before.written;
    record.started.clone_from(&was.started);
    if resume.state != was.state
        && let Some(state) = &resume.state
    {
        playbook_record.states.push(StateRecord { state: state.clone(), at: now, step: String::new(), failure: false });
    }
    record.state = resume.state.clone().or_else(|| was.state.clone());
    Ok(resume)
}

/// Makes a run begin at a step: what an earlier one did there and later counts for nothing.
fn begin_at(resume: &mut Resume, playbook_record: &mut PlaybookRecord, step: usize) {
    resume.from = step;
    resume.good.retain(|&id| id < step);
    resume.done.retain(|&id, _| id < step);
    for done in &mut playbook_record.steps[step..] {
        *done = StepRecord { name: std::mem::take(&mut done.name), ..StepRecord::default() };
    }
}

/// A step by its name or number.
fn step_id(plan: &Plan, text: &str) -> Result<usize, Diagnostic> {
    if let Some(id) = plan.steps.iter().position(|step| *step.name == *text) {
        return Ok(id);
    }
    if let Ok(number @ 1..) = text.parse::<usize>()
        && number <= plan.steps.len()
    {
        return Ok(number - 1);
    }
    let steps: Vec<String> =
        plan.steps.iter().enumerate().map(|(id, step)| format!("{} `{}`", id + 1, step.name)).collect();
    Err(Diagnostic::usage(format!("`--from {text}`: `{}` has no such step", plan.name))
        .hint(format!("its steps: {}", steps.join(", "))))
}

fn playbook_record(
    plan: &Plan,
    playbook: &PlaybookRef,
    run_hosts: &[RunHost],
    hosts: Vec<HostRecord>,
) -> PlaybookRecord {
    let (hidden, given): (Vec<_>, Vec<_>) = playbook
        .given
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .partition(|(name, _)| record::is_secret(name));
    let vars = plan.vars.keys().filter(|name| !record::is_secret(name));
    PlaybookRecord {
        file: playbook.file.clone(),
        digest: playbook.digest.clone(),
        given: given.into_iter().collect(),
        hidden: hidden.into_iter().map(|(name, _)| name).collect(),
        vars: vars.map(|name| (name.clone(), values_digest(name, run_hosts))).collect(),
        hosts,
        steps: plan
            .steps
            .iter()
            .map(|step| StepRecord { name: step.name.to_string(), ..StepRecord::default() })
            .collect(),
        ..PlaybookRecord::default()
    }
}

/// A digest of a variable's values on all hosts, whatever their order.
fn values_digest(name: &str, run_hosts: &[RunHost]) -> String {
    let mut values: Vec<(&str, &str)> =
        run_hosts.iter().map(|run_host| (&*run_host.name, run_host.vars.get(name).unwrap_or_default())).collect();
    values.sort_unstable();
    let mut digest = Sha256::new();
    for text in values.iter().flat_map(|(host, value)| [host, value]) {
        digest.update(text.len().to_be_bytes());
        digest.update(text);
    }
    digest.finalize()[..8].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether it is a command or script of the user's: it may change what it likes, and nobody is kept away for it.
fn is_command(plan: &Plan, is_playbook: bool) -> bool {
    !is_playbook && plan.steps.iter().all(|step| matches!(step.action, Action::Run { .. }))
}

fn nodes(run_hosts: &[RunHost], targets: &[Target]) -> Vec<HostRecord> {
    let node = |(run_host, target): (&RunHost, &Target)| HostRecord {
        host: run_host.name.to_string(),
        address: target.address.to_string(),
        port: target.port,
        user: target.user.to_string(),
    };
    run_hosts.iter().zip(targets).map(node).collect()
}

/// Hosts, folded; only their number where there are many.
pub(super) fn selection(names: &[&str]) -> String {
    let text = fold(names);
    if text.len() > LONGEST_SELECTION { format!("{} hosts", names.len()) } else { text }
}

/// Who runs gsctl.
pub(super) fn user(environment: &Environment) -> String {
    let uid = rustix::process::geteuid().as_raw();
    let name = account::name_of(uid).unwrap_or_else(|| uid.to_string());
    match environment.var("SUDO_USER") {
        Some(real) if uid == 0 && real != name => format!("{name} (sudo by {real})"),
        Some(_) | None => name,
    }
}

/// As much of a command as a list of runs has use for.
fn beginning(text: &str) -> String {
    const LONGEST: usize = 200;
    let line = text.lines().next().unwrap_or_default();
    let cut = line.len() < text.trim_end().len() || line.chars().nth(LONGEST).is_some();
    let kept: String = line.chars().take(LONGEST).collect();
    if cut { format!("{kept} ...") } else { kept }
}

fn holder(record: &RunRecord, nodes: &[HostRecord]) -> Holder {
    Holder {
        run: record.run.clone(),
        command: record.command.clone(),
        pid: record.pid,
        user: record.user.clone(),
        started: record.started.clone(),
        places: nodes.iter().map(HostRecord::place).collect(),
        nodes: BTreeMap::new(),
    }
}

fn held(other: &Holder) -> Diagnostic {
    Diagnostic {
        status: ExitStatus::Refused,
        message: format!("another run is at work on these hosts: {}; nothing was changed", ledger::whose(other)),
        hint: Some(ledger::way_out(other)),
    }
}
