//! `gsctl runs`: what past runs left in the journal. Contacts no host.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{Options, Runs, RunsCommand};
use crate::exit::ExitStatus;
use crate::inventory::hostset::fold;
use crate::journal::record::{PlaybookRecord, RunRecord};
use crate::journal::{Journal, JournalError, lock};
use crate::outcome::Outcome;
use crate::reporter::Table;
use crate::reporter::sanitize::words;
use crate::reporter::schema::schema;
use crate::reporter::style::Styles;

use super::environment::Environment;
use super::output_inputs::terminal_size;
use super::{hosts, merge, outputs};
use crate::diagnostic::Diagnostic;

/// `runs` and `runs show`.
///
/// # Errors
/// When the journal cannot be read, or there is no such run.
pub(super) fn runs(args: &Runs, options: &Options, environment: &Environment) -> Result<ExitStatus, Diagnostic> {
    let journal = Journal::new(environment.state_dir());
    let json = options.output.json.as_deref();
    match &args.command {
        None if args.schema => {
            let text = format!("{:#}\n", schema());
            hosts::finish(io::stdout().lock().write_all(text.as_bytes()))
        }
        None => list(&journal, args.failed, json, environment),
        Some(RunsCommand::Show { run, failed }) => show(&journal, run, *failed, json),
        Some(RunsCommand::Merge { reports }) => merge::merge(reports, options, environment),
        Some(RunsCommand::Outputs { run, failed }) => said(&journal, run, *failed, &options.hosts.hosts, environment),
    }
}

/// A run in the list: one that cannot be read is there too.
type Listed = (String, Result<RunRecord, JournalError>);

fn list(
    journal: &Journal,
    failed: bool,
    json: Option<&Path>,
    environment: &Environment,
) -> Result<ExitStatus, Diagnostic> {
    let runs: Vec<Listed> = journal
        .ids()
        .map_err(|problem| diagnostic(&problem))?
        .into_iter()
        .map(|id| {
            let record = journal.load(&id);
            (id, record)
        })
        .filter(|(_, record)| !failed || record.as_ref().is_ok_and(|record| has_failed(journal, record)))
        .collect();
    if let Some(path) = json {
        let runs: Vec<Value> = runs.iter().map(|(id, run)| brief(journal, id, run)).collect();
        return print_json(path, &json!({ "schema": "gsctl.runs/1", "runs": runs }));
    }
    // The id says when it began.
    let mut table = Table::new(["RUN", "HOSTS", "STATUS", "COMMAND"]);
    for (id, run) in &runs {
        match run {
            Ok(record) => {
                let state = record.state.as_ref().map(|state| format!(": {state}")).unwrap_or_default();
                let status = format!("{}{state}", status(journal, record));
                table.row([id.as_str(), &record.selection, &status, &whole_command(record)]);
            }
            Err(_) => table.row([id.as_str(), "", "unreadable", ""]),
        }
    }
    let columns = if environment.stdout_tty { terminal_size(environment).map(|(columns, _)| columns) } else { None };
    let written = table.write(&mut io::stdout().lock(), &Styles::default(), columns, "~");
    for problem in runs.iter().filter_map(|(_, run)| run.as_ref().err()) {
        let _ = writeln!(io::stderr().lock(), "warning: {}", words(&problem.to_string()));
    }
    hosts::finish(written)
}

/// `exec uptime`, `opengauss/start`.
fn whole_command(record: &RunRecord) -> String {
    match &record.what {
        Some(what) => format!("{} {what}", record.command),
        None => record.command.clone(),
    }
}

fn brief(journal: &Journal, id: &str, run: &Result<RunRecord, JournalError>) -> Value {
    match run {
        Ok(record) => {
            let mut brief = json!({
                "run": id,
                "started": record.started,
                "command": record.command,
                "hosts": record.selection,
                "pid": record.pid,
                "user": record.user,
                "running": life(journal, record) == "running",
                "resumable": is_resumable(journal, record),
            });
            for (key, value) in [
                ("what", json!(record.what)),
                ("ended", json!(record.ended)),
                ("status", json!(record.status)),
                ("counts", json!(record.counts)),
                ("state", json!(record.state)),
            ] {
                if !value.is_null() {
                    brief[key] = value;
                }
            }
            brief
        }
        Err(problem) => json!({ "run": id, "error": problem.to_string() }),
    }
}

fn show(journal: &Journal, run: &str, failed: bool, json: Option<&Path>) -> Result<ExitStatus, Diagnostic> {
    let id = journal.find(run).map_err(|problem| diagnostic(&problem))?;
    let record = journal.load(&id).map_err(|problem| diagnostic(&problem))?;
    let mut report = report(journal, &id)?;
    if failed && let Some(report) = &mut report {
        let kept: Vec<Value> = outputs::chosen(report, &[], true)?.into_iter().cloned().collect();
        report["hosts"] = Value::Array(kept);
    }
    if let Some(path) = json {
        let mut value = json!(record);
        value["running"] = json!(life(journal, &record) == "running");
        value["resumable"] = json!(is_resumable(journal, &record));
        if let Some(report) = report {
            value["report"] = report;
        }
        return print_json(path, &value);
    }
    hosts::finish(tell(journal, &record, report.as_ref(), &mut io::stdout().lock()))
}

/// What hosts said in a past run.
fn said(
    journal: &Journal,
    run: &str,
    failed: bool,
    sets: &[String],
    environment: &Environment,
) -> Result<ExitStatus, Diagnostic> {
    let id = journal.find(run).map_err(|problem| diagnostic(&problem))?;
    let record = journal.load(&id).map_err(|problem| diagnostic(&problem))?;
    if record.output_left_out {
        return Err(Diagnostic::usage(format!("the output of run {id} was too much to keep"))
            .hint("--output-dir DIR writes it to files while a run goes on"));
    }
    let Some(report) = report(journal, &id)? else {
        return Err(Diagnostic::usage(format!("run {id} has no end, so nothing of its output was kept")));
    };
    let hosts = outputs::chosen(&report, sets, failed)?;
    hosts::finish(outputs::write(&hosts, environment, &mut io::stdout().lock()))
}

/// A run's report, if it came to one.
fn report(journal: &Journal, id: &str) -> Result<Option<Value>, Diagnostic> {
    match journal.report(id).map_err(|problem| diagnostic(&problem))? {
        Some(text) => serde_json::from_slice(&text).map(Some).map_err(|error| {
            Diagnostic::usage(format!("report `{}`: {error}", journal.run_dir(id).join("report.json").display()))
        }),
        None => Ok(None),
    }
}

/// Whether it is over, one way or another, and not as it should be.
fn has_failed(journal: &Journal, record: &RunRecord) -> bool {
    !matches!(life(journal, record).as_str(), "success" | "running")
}

/// A run in words.
fn tell(journal: &Journal, record: &RunRecord, report: Option<&Value>, out: &mut dyn Write) -> io::Result<()> {
    let mut line = |name: &str, text: &str| writeln!(out, "{name:<9} {}", words(text));
    line("run", &record.run)?;
    line("command", &whole_command(record))?;
    line("hosts", &record.selection)?;
    line("started", &format!("{} by {}, pid {}", seconds(&record.started), record.user, record.pid))?;
    for resumed in record.playbook.iter().flat_map(|played| &played.resumed) {
        line("resumed", &seconds(resumed))?;
    }
    if let Some(ended) = &record.ended {
        line("ended", &seconds(ended))?;
    }
    line("status", &status(journal, record))?;
    if let Some(state) = &record.state {
        let path: Vec<&str> =
            record.playbook.iter().flat_map(|played| &played.states).map(|state| state.state.as_str()).collect();
        line("state", &if path.len() > 1 { format!("{state} ({})", path.join(" -> ")) } else { state.clone() })?;
    }
    match (&record.playbook, report) {
        (Some(played), _) => steps(played, out)?,
        (None, Some(report)) => verdicts(report, out)?,
        (None, None) => {}
    }
    if let Some(report) = report {
        failures(report, out)?;
    }
    if let Some(played) = &record.playbook
        && is_resumable(journal, record)
    {
        for left in &played.cleanup {
            let paths = left.paths.join("`, `");
            writeln!(out, "left on {}: `{}`, which the end of the run removes", words(&left.host), words(&paths))?;
        }
        writeln!(out, "hint: `gsctl play {} --resume {}` goes on with it", words(&played.file), record.run)?;
    }
    out.flush()
}

fn steps(played: &PlaybookRecord, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(["STEP", "NAME", "END", "HOSTS"]);
    for (number, step) in (1..).zip(&played.steps) {
        let done = Outcome::ALL.iter().filter_map(|&outcome| {
            let hosts = step.hosts.iter().filter(|(_, of)| **of == outcome);
            let hosts: Vec<&str> = hosts.map(|(host, _)| host.as_str()).collect();
            (!hosts.is_empty()).then(|| format!("{} {}", fold(&hosts), outcome.name()))
        });
        let done: Vec<String> = done.collect();
        let end = match &step.end {
            Some(end) => end,
            None if done.is_empty() => "not begun",
            None => "under way",
        };
        table.row([&number.to_string(), step.name.as_str(), end, &done.join(", ")]);
    }
    table.write(out, &Styles::default(), None, "~")
}

/// Hosts by verdict, for a run without steps worth telling.
fn verdicts(report: &Value, out: &mut dyn Write) -> io::Result<()> {
    for outcome in Outcome::ALL {
        let hosts: Vec<&str> = hosts_of(report)
            .filter(|host| host["outcome"] == outcome.name())
            .filter_map(|host| host["host"].as_str())
            .collect();
        if !hosts.is_empty() {
            writeln!(out, "{:<11} {}", outcome.name(), words(&fold(&hosts)))?;
        }
    }
    Ok(())
}

/// Why hosts failed.
fn failures(report: &Value, out: &mut dyn Write) -> io::Result<()> {
    for host in hosts_of(report) {
        let (Some(name), Some(error)) = (host["host"].as_str(), host["error"].as_str()) else { continue };
        writeln!(out, "{}: {}", words(name), words(error))?;
        if let Some(hint) = host["hint"].as_str() {
            writeln!(out, "  hint: {}", words(hint))?;
        }
    }
    Ok(())
}

fn hosts_of(report: &Value) -> impl Iterator<Item = &Value> {
    report["hosts"].as_array().into_iter().flatten()
}

/// `success`, `failed`, ...; `running`; `killed` for a run that has no end and no process.
fn life(journal: &Journal, record: &RunRecord) -> String {
    if lock::is_held(journal, &record.run) {
        return "running".to_owned();
    }
    match &record.status {
        Some(status) => status.name.clone(),
        // Without a lock, the process number is all there is to go by.
        None if record.playbook.is_none() && is_gsctl(record.pid) => "running".to_owned(),
        None => "killed".to_owned(),
    }
}

fn status(journal: &Journal, record: &RunRecord) -> String {
    let life = life(journal, record);
    if is_resumable(journal, record) { format!("{life}, can be resumed") } else { life }
}

fn is_resumable(journal: &Journal, record: &RunRecord) -> bool {
    record.is_resumable() && !lock::is_held(journal, &record.run)
}

fn is_gsctl(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "gsctl")
}

/// A time without its fraction.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

fn print_json(path: &Path, value: &Value) -> Result<ExitStatus, Diagnostic> {
    let print = |out: &mut dyn Write| {
        serde_json::to_writer_pretty(&mut *out, value)?;
        writeln!(out)?;
        out.flush()
    };
    if path == Path::new("-") {
        return hosts::finish(print(&mut io::stdout().lock()));
    }
    let mut file =
        File::create(path).map_err(|error| Diagnostic::usage(format!("report file `{}`: {error}", path.display())))?;
    hosts::finish(print(&mut file))
}

fn diagnostic(problem: &JournalError) -> Diagnostic {
    let hint = problem.hint();
    Diagnostic::usage(problem.to_string()).maybe_hint(hint)
}
