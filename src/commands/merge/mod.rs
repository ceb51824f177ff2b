//! `gsctl runs merge`: one report of the parts of a run that several machines shared. Contacts no host.

mod read;

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::{IndexMap, IndexSet};

use crate::cli::Options;
use crate::diagnostic::Diagnostic;
use crate::event::{Event, EventKind};
use crate::exit::ExitStatus;
use crate::journal::record::{self, RunRecord};
use crate::journal::{Journal, Writer, new_id};
use crate::outcome::StepResult;
use crate::report::{HostReport, Merged, RunReport};
use crate::reporter::{
    Afterwards, CommandKind, EndTable, Hurry, Mode, Opening, OutputFilter, OutputSettings, ReporterSetup, Reporters,
};
use crate::stats::{CancelReason, Counts, RunStats};
use crate::text::{io_cause, uncapitalized};

use super::environment::Environment;
use super::journal::{selection, user};
use super::output_inputs::output_inputs;
use super::report_files;
use super::standard_stream::{StandardStream, Which};

/// A part that was read, and the file that it is from.
struct Part {
    path: PathBuf,
    index: usize,
    of: usize,
    report: RunReport,
}

/// `runs merge REPORT...`
///
/// # Errors
/// When a report cannot be read, or they are not parts of one run.
pub(super) fn merge(paths: &[PathBuf], options: &Options, environment: &Environment) -> Result<ExitStatus, Diagnostic> {
    let inputs: Vec<_> = paths.iter().map(|path| ("a report to merge", path.clone())).collect();
    report_files::check(&inputs, &options.output)?;
    if options.output.jsonl.is_some() || options.output.output_dir.is_some() {
        return Err(Diagnostic::usage(
            "`runs merge` writes no --jsonl and no --output-dir: these are written by the parts",
        )
        .hint("--json, --junit and --html write the merged report"));
    }
    let parts = paths.iter().map(|path| part(path)).collect::<Result<Vec<_>, _>>()?;
    let now = jiff::Timestamp::now();
    let (report, offsets) = join(parts, new_id(now))?;
    let hurry = Hurry::default();
    let steps: IndexSet<String> =
        report.hosts.iter().flat_map(|host| &host.steps).map(|step| step.name.to_string()).collect();
    let kind = if steps.len() > 1 { CommandKind::Playbook } else { CommandKind::Output };
    let output = &options.output;
    let mut inputs = output_inputs(output, environment, report.hosts.len(), kind);
    // What the hosts said is in the reports; here the numbers and the failures are wanted.
    inputs.mode = Some(Mode::Stream);
    let mut reporters = Reporters::new(ReporterSetup {
        settings: OutputSettings { live: false, ..OutputSettings::resolve(&inputs) },
        names: report.hosts.iter().map(|host| host.host.clone()).collect(),
        steps: steps.iter().cloned().collect(),
        filter: OutputFilter::default(),
        end_table: EndTable::Chains,
        afterwards: Afterwards::default(),
        opening: Opening::default(),
        stdout: Box::new(StandardStream::new(Which::Out, hurry.clone())),
        stderr: Box::new(StandardStream::new(Which::Err, hurry.clone())),
        json: report_files::open(output.json.as_deref(), &hurry)?,
        jsonl: None,
        junit: report_files::open(output.junit.as_deref(), &hurry)?,
        html: report_files::open_whole(output.html.as_deref())?,
        output_dir: None,
        more: Vec::new(),
    });
    let mut stats = stats(&report);
    let noted = note(&report, now, environment);
    events(&report, &offsets, &steps, |event| reporters.file_event(event, &stats));
    reporters.finish(&report, &stats);
    if let Err(error) = noted {
        let warning =
            format!("cannot write the journal: {}; `@failed` will not know this run", uncapitalized(&io_cause(&error)));
        reporters.warn(&warning);
    }
    stats.broken |= !reporters.errors().is_empty();
    Ok(if stats.broken { worst([report.status, ExitStatus::Broken]) } else { report.status })
}

fn part(path: &Path) -> Result<Part, Diagnostic> {
    let report = read::report(path)?;
    let Some(partition) = report.partition else {
        return Err(Diagnostic::usage(format!(
            "report `{}` is of no part: its run had no --partition",
            path.display()
        )));
    };
    if partition.index == 0 || partition.index > partition.of {
        return Err(Diagnostic::usage(format!("report `{}`: there is no part {partition}", path.display())));
    }
    Ok(Part { path: path.to_path_buf(), index: partition.index, of: partition.of, report })
}

/// One report of all parts, and when the part of each host began after the first.
fn join(mut parts: Vec<Part>, run: String) -> Result<(RunReport, Vec<Duration>), Diagnostic> {
    parts.sort_by_key(|part| part.index);
    same(&parts)?;
    let Some(of) = parts.first().map(|part| part.of) else {
        return Err(Diagnostic::usage("there is no report to merge"));
    };
    let starts: Vec<Option<jiff::Timestamp>> = parts.iter().map(|part| part.report.started.parse().ok()).collect();
    let first = starts.iter().flatten().min().copied();
    let after = |start: Option<jiff::Timestamp>| {
        let after = start.zip(first).map(|(start, first)| start.duration_since(first));
        after.and_then(|after| Duration::try_from(after).ok()).unwrap_or_default()
    };
    let mut whole = RunReport {
        run,
        command: parts[0].report.command.clone(),
        started: first.map_or_else(|| parts[0].report.started.clone(), |first| first.to_string()),
        elapsed: Duration::ZERO,
        status: ExitStatus::Success,
        state: None,
        counts: Counts::default(),
        partition: None,
        merged: Some(Merged { of, parts: parts.iter().map(|part| (part.index, part.report.run.clone())).collect() }),
        waited: false,
        cluster: None,
        recorded_keys: Vec::new(),
        hosts: Vec::new(),
    };
    let mut statuses = Vec::new();
    let mut hosts: Vec<(usize, Duration, HostReport)> = Vec::new();
    for (part, start) in parts.into_iter().zip(starts) {
        let (offset, partition) = (after(start), part.report.partition);
        whole.elapsed = whole.elapsed.max(offset + part.report.elapsed);
        statuses.push(part.report.status);
        whole.recorded_keys.extend(part.report.recorded_keys);
        let place = |at| partition.map_or(at, |partition| partition.place(at));
        hosts.extend(part.report.hosts.into_iter().enumerate().map(|(at, host)| (place(at), offset, host)));
    }
    hosts.sort_by_key(|(place, ..)| *place);
    for (_, _, host) in &hosts {
        whole.counts.add(host.outcome);
    }
    if whole.merged.as_ref().is_some_and(|merged| !merged.missing().is_empty()) {
        statuses.push(ExitStatus::Unreachable);
    }
    whole.status = worst(statuses);
    let (offsets, hosts) = hosts.into_iter().map(|(_, offset, host)| (offset, host)).unzip();
    whole.hosts = hosts;
    Ok((whole, offsets))
}

/// Whether they are parts of one run, each once, and no host is in two of them.
fn same(parts: &[Part]) -> Result<(), Diagnostic> {
    for pair in parts.windows(2) {
        let [one, two] = pair else { continue };
        let names = format!("reports `{}` and `{}`", one.path.display(), two.path.display());
        if one.of != two.of {
            let message =
                format!("{names} are not of the same run: parts {}/{} and {}/{}", one.index, one.of, two.index, two.of);
            return Err(Diagnostic::usage(message));
        }
        if one.report.command != two.report.command {
            let (one, two) = (&one.report.command, &two.report.command);
            return Err(Diagnostic::usage(format!("{names} are not of the same run: `{one}` and `{two}`")));
        }
        if one.index == two.index {
            return Err(Diagnostic::usage(format!("{names} are both of part {}/{}", one.index, one.of))
                .hint("where a part was done again, give the report that counts"));
        }
    }
    let mut seen: IndexMap<&str, &Part> = IndexMap::new();
    for part in parts {
        for host in &part.report.hosts {
            if let Some(other) = seen.insert(&host.host, part) {
                let message = format!(
                    "host `{}` is in `{}` and in `{}`: the parts were not of the same hosts",
                    host.host,
                    other.path.display(),
                    part.path.display()
                );
                return Err(
                    Diagnostic::usage(message).hint("every part needs the same hosts file and the same selection")
                );
            }
        }
    }
    Ok(())
}

/// The highest concern of several runs: 130 and 143, 1, 7, 3, 4, the highest status of commands, 5.
fn worst(statuses: impl IntoIterator<Item = ExitStatus>) -> ExitStatus {
    let concern = |status: &ExitStatus| match status {
        ExitStatus::Success => (0, 0),
        ExitStatus::Failed => (1, 0),
        ExitStatus::Remote(status) => (2, *status),
        ExitStatus::Unreachable => (3, 0),
        ExitStatus::TimedOut => (4, 0),
        ExitStatus::Refused => (5, 0),
        ExitStatus::Usage | ExitStatus::NoHosts => (6, 0),
        ExitStatus::Broken => (7, 0),
        ExitStatus::Terminated => (8, 0),
        ExitStatus::Interrupted => (9, 0),
    };
    statuses.into_iter().max_by_key(concern).unwrap_or(ExitStatus::Success)
}

/// How the whole stands, for the head of the summary.
fn stats(report: &RunReport) -> RunStats {
    let cancelled = match report.status {
        ExitStatus::Interrupted => Some(CancelReason::Interrupt),
        ExitStatus::Terminated => Some(CancelReason::Terminate),
        _ => None,
    };
    RunStats { hosts: report.hosts.len(), counts: report.counts.clone(), cancelled, ..RunStats::default() }
}

/// What happened, as far as the reports tell: each host's steps, one after the other, from the beginning of its part.
fn events(report: &RunReport, offsets: &[Duration], names: &IndexSet<String>, mut take: impl FnMut(&Event)) {
    let mut tell = |at, kind| take(&Event { at, kind });
    tell(Duration::ZERO, EventKind::RunStarted { steps: names.iter().cloned().collect(), fanout: report.hosts.len() });
    for ((host, of), offset) in report.hosts.iter().enumerate().zip(offsets) {
        let mut at = *offset;
        let last = of.steps.iter().rposition(|step| step.exit_status == of.exit_status);
        for (place, step) in of.steps.iter().enumerate() {
            let Some(id) = names.get_index_of(&*step.name) else { continue };
            tell(at, EventKind::HostStepStarted { host, step: id });
            at += step.elapsed;
            let mut result = StepResult {
                failure: step.failure.as_deref().cloned(),
                exit_status: step.exit_status,
                changes: step.changes.clone(),
                bytes: step.bytes,
                elapsed: step.elapsed,
                ..StepResult::new(step.outcome)
            };
            if last == Some(place) {
                // The report keeps what the last command said.
                result.stdout = of.stdout.clone();
                result.stderr = of.stderr.clone();
            }
            tell(at, EventKind::HostStepFinished { host, step: id, result });
        }
        let (outcome, failure, elapsed) = (of.outcome, of.failure.as_deref().cloned(), of.elapsed);
        tell(at, EventKind::HostFinished { host, outcome, failure, elapsed });
    }
}

/// Writes it down as a run, so that `@failed` and `runs show` know it.
fn note(report: &RunReport, now: jiff::Timestamp, environment: &Environment) -> std::io::Result<()> {
    let names: Vec<&str> = report.hosts.iter().map(|host| &*host.host).collect();
    let of = report.merged.as_ref().map_or(0, |merged| merged.of);
    let record = RunRecord {
        schema: record::SCHEMA.to_owned(),
        run: report.run.clone(),
        command: report.command.clone(),
        what: Some(format!("({of} parts merged)")),
        started: report.started.clone(),
        pid: rustix::process::getpid().as_raw_pid().unsigned_abs(),
        user: user(environment),
        selection: selection(&names),
        ..RunRecord::default()
    };
    let journal = Journal::new(environment.state_dir());
    let mut writer = Writer::begin(&journal, record)?;
    writer.finish(report, &jiff::Timestamp::now().to_string())?;
    journal.prune_in_turn(&report.run, now);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;
    use crate::partition::Partition;

    fn a_part(index: usize, of: usize, hosts: &[&str], outcome: Outcome, status: ExitStatus) -> Part {
        let host = |name: &&str| HostReport { elapsed: Duration::from_secs(1), ..HostReport::example(name, outcome) };
        let report = RunReport {
            run: format!("run-{index}"),
            command: "exec".to_owned(),
            started: format!("2026-11-21T09:43:{:02}Z", 10 + index),
            elapsed: Duration::from_secs(2),
            status,
            state: None,
            counts: Counts::default(),
            partition: Some(Partition { index, of }),
            merged: None,
            waited: false,
            cluster: None,
            recorded_keys: Vec::new(),
            hosts: hosts.iter().map(host).collect(),
        };
        Part { path: PathBuf::from(format!("part-{index}.json")), index, of, report }
    }

    #[test]
    fn hosts_go_back_to_their_places() {
        let parts = vec![
            a_part(3, 3, &["c"], Outcome::Ok, ExitStatus::Success),
            a_part(1, 3, &["a", "d"], Outcome::Failed, ExitStatus::Failed),
            a_part(2, 3, &["b", "e"], Outcome::TimedOut, ExitStatus::TimedOut),
        ];
        let (report, offsets) = join(parts, "whole".to_owned()).unwrap();
        let names: Vec<&str> = report.hosts.iter().map(|host| &*host.host).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
        assert_eq!(offsets.iter().map(Duration::as_secs).collect::<Vec<_>>(), [0, 1, 2, 0, 1]);
        assert_eq!((report.status, report.elapsed), (ExitStatus::TimedOut, Duration::from_secs(4)));
        assert_eq!((report.counts.ok, report.counts.failed, report.counts.timed_out), (1, 2, 2));
        assert_eq!(report.started, "2026-11-21T09:43:11Z");
        assert_eq!(report.merged.unwrap().missing(), Vec::<usize>::new());
    }

    #[test]
    fn a_part_that_is_missing_is_no_success() {
        let parts = vec![
            a_part(2, 4, &["b"], Outcome::Ok, ExitStatus::Success),
            a_part(4, 4, &[], Outcome::Ok, ExitStatus::Success),
        ];
        let (report, _) = join(parts, "whole".to_owned()).unwrap();
        assert_eq!(report.status, ExitStatus::Unreachable);
        assert_eq!(report.merged.unwrap().missing(), [1, 3]);
    }

    #[test]
    fn what_does_not_belong_together_is_not_merged() {
        let ok = |index, of, hosts: &[&str]| a_part(index, of, hosts, Outcome::Ok, ExitStatus::Success);
        let said = |parts: Vec<Part>| join(parts, "whole".to_owned()).map(|_| ()).unwrap_err().message;
        assert!(said(vec![ok(1, 2, &["a"]), ok(2, 3, &["b"])]).contains("parts 1/2 and 2/3"));
        assert!(said(vec![ok(1, 2, &["a"]), ok(1, 2, &["b"])]).contains("both of part 1/2"));
        assert!(
            said(vec![ok(1, 2, &["a"]), ok(2, 2, &["a"])])
                .contains("host `a` is in `part-1.json` and in `part-2.json`")
        );
        let mut other = ok(2, 2, &["b"]);
        other.report.command = "ping".to_owned();
        assert!(said(vec![ok(1, 2, &["a"]), other]).contains("`exec` and `ping`"));
    }

    #[test]
    fn the_highest_concern_wins() {
        use ExitStatus::{Broken, Failed, Interrupted, Refused, Remote, Success, TimedOut, Unreachable};
        let order = [Success, Failed, Remote(3), Remote(9), Unreachable, TimedOut, Refused, Broken, Interrupted];
        for pair in order.windows(2) {
            assert_eq!(worst([pair[1], pair[0]]), pair[1]);
            assert_eq!(worst([pair[0], pair[1]]), pair[1]);
        }
    }
}
