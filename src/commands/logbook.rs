//! A run's lock and journal, opened before anything is contacted and closed when all is over.
//!
//! Decides what a journal that cannot be used means: nothing but a warning for a command, and no start for a playbook that
//! relies on it.

use std::fmt::Write as _;
use std::io;

use indexmap::IndexMap;
use sha2::{Digest as _, Sha256};

use crate::exit::ExitStatus;
use crate::inventory::hostset::fold;
use crate::journal::lock::{self, Holder, Lock, Refusal};
use crate::journal::record::{self, Node, Played, State, Step};
use crate::journal::{Journal, Record, Writer, compare, new_id};
use crate::plan::Plan;
use crate::report::RunReport;
use crate::runner::{Ledger, Member, NoLedger, Resume};
use crate::transport::Target;
use crate::transport::config::local_user;

use super::fault::Fault;
use super::launch::Launch;

/// A longer host set is told as a number.
const LONGEST_SELECTION: usize = 200;

/// The playbook of a run. Nothing of it is set for commands.
#[derive(Debug, Default)]
pub(super) struct Book {
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
pub(super) struct Logbook {
    /// The run's id.
    pub(super) run: String,
    /// What is done already.
    pub(super) resume: Option<Resume>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
    writer: Option<Writer>,
    nobody: NoLedger,
    _lock: Option<Lock>,
}

impl Logbook {
    /// Takes the lock and begins the journal.
    ///
    /// # Errors
    /// When another run is at work on one of the hosts, the run may not go on, or a journal that it relies on cannot be
    /// written.
    pub(super) fn open(
        launch: &Launch<'_>,
        members: &[Member],
        targets: &[Target],
        started: jiff::Timestamp,
    ) -> Result<Self, Fault> {
        let journal = Journal::new(launch.world.state_dir());
        let Launch { plan, book, .. } = launch;
        let run = book.resume.clone().unwrap_or_else(|| new_id(started));
        let is_playbook = !book.digest.is_empty();
        let relied_on = is_playbook && (plan.names_states() || book.resume.is_some());
        let mut warnings = Vec::new();
        let mut spoilt = |what: &str, error: &io::Error, means: &str| {
            let message = format!("{what} in `{}`: {}", journal.dir().display(), cause(error));
            if relied_on {
                return Err(Fault::usage(message).hint(
                    "this playbook relies on its journal; nothing was contacted. XDG_STATE_HOME says where it is",
                ));
            }
            warnings.push(format!("{message}; {means}"));
            Ok(())
        };
        let mut record = Record {
            schema: record::SCHEMA.to_owned(),
            run: run.clone(),
            command: plan.name.clone(),
            started: started.to_string(),
            pid: rustix::process::getpid().as_raw_pid().unsigned_abs(),
            user: user(launch),
            selection: selection(members),
            ..Record::default()
        };
        let nodes = nodes(members, targets);
        let lock = if is_playbook && plan.is_change() {
            match lock::take(&journal, &holder(&record, &nodes)) {
                Ok(lock) => Some(lock),
                Err(Refusal::Held(other)) => return Err(held(&other)),
                Err(Refusal::Broken(error)) => {
                    spoilt("cannot lock", &error, "nothing keeps another run away from these hosts")?;
                    None
                }
            }
        } else {
            None
        };
        let mut resume = None;
        if is_playbook && (plan.is_change() || plan.names_states()) {
            let mut played = played(plan, book, members, nodes);
            if book.resume.is_some() {
                let was = journal.load(&run).map_err(|problem| Fault::usage(problem.to_string()))?;
                resume = Some(go_on(&was, &mut record, &mut played, launch.force)?);
            }
            if let Some(from) = &book.from {
                begin_at(resume.get_or_insert_default(), &mut played, step_id(plan, from)?);
            }
            record.playbook = Some(played);
        } else if let Some(from) = &book.from {
            resume = Some(Resume { from: step_id(plan, from)?, ..Resume::default() });
        }
        let begun =
            if book.resume.is_some() { Writer::go_on(&journal, record) } else { Writer::begin(&journal, record) };
        let writer = match begun {
            Ok(writer) => Some(writer),
            Err(error) => {
                spoilt("cannot write the journal", &error, "`runs`, `--resume` and `@failed` will not know this run")?;
                None
            }
        };
        journal.prune(started);
        Ok(Self { run, resume, warnings, writer, nobody: NoLedger, _lock: lock })
    }

    /// Where the run writes down what is done.
    pub(super) fn ledger(&mut self) -> &mut dyn Ledger {
        match &mut self.writer {
            Some(writer) => writer,
            None => &mut self.nobody,
        }
    }

    /// Whether the run can be resumed where it does not come to its end.
    pub(super) fn is_resumable(&self) -> bool {
        self.writer.as_ref().is_some_and(Writer::is_durable)
    }

    /// Writes down that the run is over. Gives what went wrong, and whether that makes the run a failure.
    pub(super) fn close(&mut self, report: &RunReport) -> Option<(String, bool)> {
        let writer = self.writer.as_mut()?;
        let error = writer.finish(report, &jiff::Timestamp::now().to_string()).err()?;
        let message = format!("the end of the run could not be written to the journal: {}", cause(&error));
        Some((message, writer.is_durable()))
    }
}

/// Checks that a run may go on, and makes the new record out of the old one.
fn go_on(was: &Record, record: &mut Record, played: &mut Played, force: bool) -> Result<Resume, Fault> {
    let run = &was.run;
    let Some(before) = &was.playbook else {
        return Err(Fault::usage(format!("run {run} (`{}`) cannot be resumed: it has no steps", was.command)));
    };
    if !was.is_resumable() {
        let how = was.status.as_ref().map_or("over", |status| status.name.as_str());
        return Err(Fault::usage(format!("run {run} (`{}`) cannot be resumed: it ended as {how}", was.command))
            .hint("play it again without --resume"));
    }
    let changes = compare::changes(before, played);
    if !changes.is_empty() && !force {
        return Err(Fault::usage(format!("run {run} (`{}`) cannot be resumed: {}", was.command, changes.join("; ")))
            .hint("--force resumes it all the same; without --resume a new run begins at the first step"));
    }
    let resume = compare::done(was, played);
    let now = record.started.clone();
    for step in &mut played.steps {
        if let Some(done) = before.steps.iter().find(|old| old.name == step.name) {
            step.clone_from(done);
        }
    }
    played.states.clone_from(&before.states);
    played.cleanup.clone_from(&before.cleanup);
    played.resumed.clone_from(&before.resumed);
    played.resumed.push(now.clone());
    played.written = before.written;
    record.started.clone_from(&was.started);
    if resume.state != was.state
        && let Some(state) = &resume.state
    {
        played.states.push(State { state: state.clone(), at: now, step: String::new(), failure: false });
    }
    record.state = resume.state.clone().or_else(|| was.state.clone());
    Ok(resume)
}

/// Makes a run begin at a step: what an earlier one did there and later counts for nothing.
fn begin_at(resume: &mut Resume, played: &mut Played, step: usize) {
    resume.from = step;
    resume.good.retain(|&id| id < step);
    resume.done.retain(|&id, _| id < step);
    for done in &mut played.steps[step..] {
        *done = Step { name: std::mem::take(&mut done.name), ..Step::default() };
    }
}

/// A step by its name or number.
fn step_id(plan: &Plan, text: &str) -> Result<usize, Fault> {
    if let Some(id) = plan.steps.iter().position(|step| step.name == text) {
        return Ok(id);
    }
    if let Ok(number @ 1..) = text.parse::<usize>()
        && number <= plan.steps.len()
    {
        return Ok(number - 1);
    }
    let steps: Vec<String> =
        plan.steps.iter().enumerate().map(|(id, step)| format!("{} `{}`", id + 1, step.name)).collect();
    Err(Fault::usage(format!("`--from {text}`: `{}` has no such step", plan.name))
        .hint(format!("its steps: {}", steps.join(", "))))
}

fn played(plan: &Plan, book: &Book, members: &[Member], hosts: Vec<Node>) -> Played {
    let (hidden, given): (Vec<_>, Vec<_>) = book
        .given
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .partition(|(name, _)| record::is_secret(name));
    let vars = plan.vars.keys().filter(|name| !record::is_secret(name));
    Played {
        file: book.file.clone(),
        digest: book.digest.clone(),
        given: given.into_iter().collect(),
        hidden: hidden.into_iter().map(|(name, _)| name).collect(),
        vars: vars.map(|name| (name.clone(), values_digest(name, members))).collect(),
        hosts,
        steps: plan.steps.iter().map(|step| Step { name: step.name.clone(), ..Step::default() }).collect(),
        ..Played::default()
    }
}

/// A digest of a variable's values on all hosts, whatever their order.
fn values_digest(name: &str, members: &[Member]) -> String {
    let mut values: Vec<(&str, &str)> =
        members.iter().map(|member| (member.name.as_str(), member.vars.get(name).unwrap_or_default())).collect();
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

fn nodes(members: &[Member], targets: &[Target]) -> Vec<Node> {
    let node = |(member, target): (&Member, &Target)| Node {
        host: member.name.clone(),
        address: target.address.clone(),
        port: target.port,
        user: target.user.clone(),
    };
    members.iter().zip(targets).map(node).collect()
}

fn selection(members: &[Member]) -> String {
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let text = fold(&names);
    if text.len() > LONGEST_SELECTION { format!("{} hosts", names.len()) } else { text }
}

fn user(launch: &Launch<'_>) -> String {
    let uid = rustix::process::geteuid().as_raw();
    let name = local_user(uid).unwrap_or_else(|| uid.to_string());
    match launch.world.var("SUDO_USER") {
        Some(real) if uid == 0 && real != name => format!("{name} (sudo by {real})"),
        Some(_) | None => name,
    }
}

fn holder(record: &Record, nodes: &[Node]) -> Holder {
    Holder {
        run: record.run.clone(),
        command: record.command.clone(),
        pid: record.pid,
        user: record.user.clone(),
        started: record.started.clone(),
        places: nodes.iter().map(Node::place).collect(),
    }
}

fn held(other: &Holder) -> Fault {
    let Holder { run, command, pid, user, started, .. } = other;
    let started = started.split('.').next().unwrap_or(started).trim_end_matches('Z');
    Fault {
        status: ExitStatus::Refused,
        message: format!(
            "another run is at work on these hosts: `{command}`, pid {pid}, user {user}, since {started}Z (run {run}); \
             nothing was changed"
        ),
        hint: Some(format!("wait for it, or stop it with `kill {pid}`; it leaves no lock behind")),
    }
}

/// What the system says, without its number.
fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
