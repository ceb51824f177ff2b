//! Golden views: events made by hand, and what is seen of them.
//!
//! Every view is compared with a file under `golden/`; `GSCTL_BLESS=1 cargo test reporter` writes them anew.

use std::time::Duration;

use super::screen::tests::{Broken, Sink, replay};
use super::settings::tests::{pipe, terminal};
use super::*;
use crate::budget::Reserved;
use crate::event::{Activity, EventKind, Stream};
use crate::exit::ExitStatus;
use crate::outcome::cause::{Cause, Proof, WaitHelps};
use crate::outcome::change::{Change, ChangeKind};
use crate::outcome::stage::StageState;
use crate::outcome::{Facts, Failure, Killed, Outcome, Phase, StepResult};
use crate::report::{HostReport, StepReport};
use crate::stats::CancelReason;

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A run by hand: reporters, the time, the counts and the report that grow with it.
struct Play {
    reporters: Reporters,
    out: Sink,
    err: Sink,
    json: Sink,
    jsonl: Sink,
    at: Duration,
    stats: RunStats,
    report: RunReport,
}

impl Play {
    fn new(inputs: &OutputInputs, names: &[&str], steps: &[&str]) -> Self {
        Self::with(inputs, names, steps, |_| {})
    }

    fn with(inputs: &OutputInputs, names: &[&str], steps: &[&str], change: impl FnOnce(&mut ReporterSetup)) -> Self {
        let (out, err, json, jsonl) = (Sink::default(), Sink::default(), Sink::default(), Sink::default());
        let mut setup = ReporterSetup {
            settings: OutputSettings::resolve(inputs),
            names: names.iter().copied().collect(),
            steps: steps.iter().map(|&step| step.to_owned()).collect(),
            filter: OutputFilter::default(),
            end_table: EndTable::Chains,
            afterwards: Afterwards::default(),
            opening: Opening { verb: "Starting", ..Opening::default() },
            stdout: Box::new(out.clone()),
            stderr: Box::new(err.clone()),
            json: Some(ReportTarget::File("run.json".into(), Box::new(json.clone()))),
            jsonl: Some(ReportTarget::File("run.jsonl".into(), Box::new(jsonl.clone()))),
            junit: None,
            html: None,
            output_dir: None,
            more: Vec::new(),
        };
        change(&mut setup);
        let report = RunReport {
            run: "20261121T094946Z-abcd".into(),
            command: "exec".into(),
            started: "2026-11-21T09:49:46Z".into(),
            elapsed: Duration::ZERO,
            status: ExitStatus::Success,
            state: None,
            waited: true,
            cluster: None,
            counts: crate::stats::Counts::default(),
            partition: None,
            merged: None,
            recorded_keys: Vec::new(),
            hosts: names.iter().map(|name| HostReport::example(name, Outcome::Skipped)).collect(),
        };
        let stats = RunStats { hosts: names.len(), ..RunStats::default() };
        let reporters = Reporters::new(setup);
        let mut play = Self { reporters, out, err, json, jsonl, at: Duration::ZERO, stats, report };
        let steps = steps.iter().map(|&step| step.to_owned()).collect();
        play.send(0.0, EventKind::RunStarted { steps, fanout: 128 });
        play
    }

    fn send(&mut self, at: f64, kind: EventKind) {
        self.at = s(at);
        match &kind {
            EventKind::HostFinished { host, outcome, failure, elapsed } => {
                self.stats.counts.add(*outcome);
                let report = &mut self.report.hosts[*host];
                report.outcome = *outcome;
                report.failure = failure.clone().map(Box::new);
                report.elapsed = *elapsed;
            }
            EventKind::HostStepFinished { host, step, result } => {
                let report = &mut self.report.hosts[*host];
                report.exit_status = result.exit_status;
                report.stdout.clone_from(&result.stdout);
                report.stderr.clone_from(&result.stderr);
                report.remote_killed = result.remote_killed;
                report.notes.clone_from(&result.notes);
                report.changed |= result.outcome == Outcome::Changed;
                report.facts.extend(result.facts.clone());
                report.steps.push(StepReport {
                    name: START[*step].into(),
                    step: None,
                    outcome: result.outcome,
                    failure: result.failure.clone().map(Box::new),
                    elapsed: result.elapsed,
                    exit_status: result.exit_status,
                    changes: result.changes.clone(),
                    bytes: result.bytes,
                });
            }
            EventKind::ChainSeen { host, stages } => self.report.hosts[*host].chain.clone_from(stages),
            EventKind::Refused { .. } => self.stats.refused = true,
            EventKind::CancelRequested { reason, .. } => self.stats.cancelled = Some(*reason),
            _ => {}
        }
        self.reporters.event(&Event { at: self.at, kind }, &self.stats);
    }

    fn connected(&mut self, at: f64, host: HostId) {
        let (address, banner) = (format!("10.0.0.{}:22", host + 1), "OpenSSH_9.2p1 Debian-2".into());
        self.send(at, EventKind::Connected { host, address, took: s(at), banner });
    }

    fn step(&mut self, at: f64, host: HostId, result: StepResult) {
        self.send(at, EventKind::HostStepFinished { host, step: 0, result });
    }

    fn done(&mut self, at: f64, host: HostId, outcome: Outcome) {
        self.send(at, EventKind::HostFinished { host, outcome, failure: None, elapsed: s(at) });
    }

    fn fails(&mut self, at: f64, host: HostId, failure: Failure) {
        let outcome = failure.outcome();
        self.send(at, EventKind::HostFinished { host, outcome, failure: Some(failure), elapsed: s(at) });
    }

    fn finish(&mut self, at: f64) {
        self.send(at, EventKind::RunFinished);
        self.report.elapsed = s(at);
        self.report.counts = self.stats.counts.clone();
        self.report.status = self.stats.exit_status();
        self.reporters.finish(&self.report, &self.stats);
        assert_eq!(self.reporters.errors(), Vec::<String>::new());
    }

    fn both(&self) -> String {
        format!("== stdout ==\n{}== stderr ==\n{}", self.out.text(), self.err.text())
    }
}

fn printed(status: i32, stdout: &[u8], stderr: &[u8]) -> StepResult {
    let outcome = if status == 0 { Outcome::Ok } else { Outcome::Failed };
    let failure = (status != 0).then(|| exit(status));
    StepResult {
        failure,
        exit_status: Some(status),
        stdout: stdout.into(),
        stderr: stderr.into(),
        ..StepResult::new(outcome)
    }
}

fn exit(status: i32) -> Failure {
    Failure::new(Phase::Command, format!("exit status {status}"))
}

fn refused_connection(n: usize) -> Failure {
    Failure::new(Phase::Connect, format!("connect to 10.0.{}.{}:22: connection refused", n / 256, n % 256))
        .hint("is sshd running there, and on that port?")
        .retryable()
}

fn chain(up: usize, at: f64) -> Vec<StageState> {
    ["marker gone", "om_monitor", "cm_agent", "cm_server", "gaussdb"]
        .iter()
        .enumerate()
        .map(|(i, stage)| StageState {
            stage: (*stage).into(),
            up: i < up,
            value: Some(if i < up { "running" } else { "stopped" }.into()),
            after: (i < up).then(|| s(at)),
            hint: Some(format!("no {stage}: look at its log")),
        })
        .collect()
}

#[track_caller]
fn golden(name: &str, got: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reporter/golden").join(name);
    if std::env::var_os("GSCTL_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == want, "{name} is different; got:\n{got}\nwant:\n{want}");
}

/// `exec` on hosts of every kind of verdict.
fn every_verdict(inputs: &OutputInputs) -> Play {
    let names = ["node01", "node02", "node03", "node04", "node05", "node06", "node07", "node08", "node09", "node10"];
    let mut play = Play::new(inputs, &names, &["run"]);
    play.send(0.0, EventKind::StepStarted { step: 0, hosts: 10 });
    play.connected(0.1, 0);
    play.step(0.4, 0, printed(0, b"up 3 days\n", b""));
    play.done(0.412, 0, Outcome::Ok);
    play.step(0.5, 1, StepResult { outcome: Outcome::Changed, ..printed(0, b"up 3 days\n", b"") });
    play.done(0.53, 1, Outcome::Changed);
    play.step(0.6, 2, printed(3, b"up 1 day\n", b"df: no such disk\x1b[31m\n"));
    play.fails(0.61, 2, exit(3));
    let killed = Failure::new(Phase::Command, "killed by signal KILL");
    let result = StepResult { signal: Some("KILL".into()), ..StepResult::failed(killed.clone()) };
    play.step(0.7, 3, StepResult { stdout: "half a li".into(), ..result });
    play.fails(0.71, 3, killed);
    let failure = Failure::new(Phase::Connect, "connect to 10.0.0.5:22 timed out after 5s");
    play.send(5.0, EventKind::AttemptFailed { host: 4, attempt: 1, of: 3, failure, retry_in: s(0.5) });
    play.send(
        10.0,
        EventKind::StillRunning {
            hosts: vec![(4, Activity::Connecting(Phase::Connect), s(5.0)), (7, Activity::Step(0), s(9.9))],
        },
    );
    play.report.hosts[4].attempts = 3;
    play.fails(15.02, 4, refused_connection(5));
    play.fails(15.03, 5, refused_connection(6));
    play.report.hosts[5].attempts = 3;
    play.fails(15.04, 6, Failure::new(Phase::HostKey, "the host key has changed").hint("ssh-keygen -R node07"));
    let slow = Failure::new(Phase::Timeout, "the command ran longer than 20s");
    play.step(
        20.0,
        7,
        StepResult {
            stdout: "as far as ".into(),
            remote_killed: Some(Killed::Yes),
            ..StepResult::failed(slow.clone())
        },
    );
    play.fails(20.1, 7, slow);
    play.step(20.1, 8, printed(0, b"", b""));
    play.done(20.2, 8, Outcome::Skipped);
    play.done(20.2, 9, Outcome::Cancelled);
    play.send(20.3, EventKind::Warning { message: "group `a` and group `b` disagree".into() });
    play.send(20.4, EventKind::StepFinished { step: 0 });
    play.finish(20.5);
    play
}

#[test]
fn exec_gathered() {
    for (name, columns, color) in
        [("40", 40, When::Never), ("80", 80, When::Never), ("200", 200, When::Never), ("color", 80, When::Always)]
    {
        let inputs =
            OutputInputs { columns: Some(columns), color, progress: When::Never, ..terminal(CommandKind::Output, 10) };
        golden(&format!("exec-gather-{name}.txt"), &every_verdict(&inputs).both());
    }
}

#[test]
fn exec_verbose_and_quiet() {
    let inputs = OutputInputs { verbose: 1, mode: Some(Mode::Gather), ..pipe(CommandKind::Output, 10) };
    golden("exec-verbose.txt", &every_verdict(&inputs).both());
    let inputs = OutputInputs { quiet: true, mode: Some(Mode::QuietHosts), ..pipe(CommandKind::Output, 10) };
    golden("exec-quiet.txt", &every_verdict(&inputs).both());
}

#[test]
fn quiet_hosts_say_one_line_each() {
    let inputs = OutputInputs { mode: Some(Mode::QuietHosts), ..pipe(CommandKind::Output, 10) };
    golden("exec-quiet-hosts.txt", &every_verdict(&inputs).both());
}

#[test]
fn ping() {
    golden("ping.txt", &every_verdict(&pipe(CommandKind::Ping, 10)).both());
}

#[test]
fn check_gathered() {
    let inputs = OutputInputs { progress: When::Never, color: When::Never, ..terminal(CommandKind::Check, 10) };
    golden("check-gather.txt", &every_verdict(&inputs).both());
}

#[test]
fn a_thousand_hosts_do_not_flood() {
    let names: Vec<String> = (1..=1000).map(|n| format!("node{n:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let inputs = OutputInputs { progress: When::Never, color: When::Never, ..terminal(CommandKind::Output, 1000) };
    let mut play = Play::new(&inputs, &names, &["run"]);
    for host in 0..900 {
        play.step(0.5, host, printed(0, b"ok\n", b""));
        play.done(0.5, host, Outcome::Ok);
    }
    for host in 900..1000 {
        play.fails(5.0, host, refused_connection(host));
    }
    play.reporters.tick(s(6.1));
    play.finish(6.5);
    golden("thousand.txt", &play.both());
}

#[test]
fn stream() {
    let drive = |inputs: &OutputInputs, names: &[&str]| {
        let mut play = Play::new(inputs, names, &["run"]);
        assert!(play.reporters.wants_output());
        let last = names.len() - 1;
        let mut output = |host, stream, bytes: &[u8]| {
            play.send(
                0.1,
                EventKind::Output { host, step: 0, stream, bytes: bytes.to_vec(), reserved: Reserved::default() },
            );
        };
        output(0, Stream::Stdout, b"first ");
        output(last, Stream::Stdout, b"tab\there\nno newline \xff");
        output(0, Stream::Stdout, b"line\r\n\x1b[2Jsecond\n");
        output(0, Stream::Stderr, b"oops\n");
        for host in 0..names.len() {
            play.step(0.2, host, printed(0, b"", b""));
            play.done(0.2, host, Outcome::Ok);
        }
        play.finish(0.3);
        play.both()
    };
    let tty = OutputInputs { mode: Some(Mode::Stream), progress: When::Never, ..terminal(CommandKind::Output, 2) };
    let plain = OutputInputs { color: When::Never, ..tty.clone() };
    golden("stream-terminal.txt", &drive(&plain, &["node1", "node10"]));
    golden("stream-color.txt", &drive(&tty, &["node1", "node10"]));
    golden("stream-pipe.txt", &drive(&pipe(CommandKind::Output, 2), &["node1", "node10"]));
    let single = OutputInputs { one_plain_name: true, ..pipe(CommandKind::Output, 1) };
    golden("stream-single.txt", &drive(&single, &["node1"]));
}

#[test]
fn changes() {
    let drive = |inputs: &OutputInputs| {
        let mut play = Play::new(inputs, &["node01", "node02", "node03"], &["remove"]);
        for host in 0..3 {
            let change = |path: &str, action, note: Option<&str>| Change {
                path: path.into(),
                action,
                note: note.map(str::to_owned),
            };
            let first = match host {
                2 => change("/opt/a", ChangeKind::Denied, Some("Permission denied")),
                _ => change("/opt/a", ChangeKind::Removed, None),
            };
            let changes = vec![first, change("/opt/b\x1b", ChangeKind::Absent, None)];
            play.step(0.2, host, StepResult { changes, ..StepResult::new(Outcome::Changed) });
        }
        play.send(0.3, EventKind::StepFinished { step: 0 });
        play.done(0.3, 0, Outcome::Changed);
        play.done(0.3, 1, Outcome::Changed);
        play.fails(0.3, 2, Failure::new(Phase::Marker, "`/opt/a`: Permission denied"));
        play.finish(0.4);
        play.both()
    };
    golden("changes-pipe.txt", &drive(&pipe(CommandKind::Changes, 3)));
    let inputs = OutputInputs { progress: When::Never, color: When::Never, ..terminal(CommandKind::Changes, 3) };
    golden("changes-terminal.txt", &drive(&inputs));
}

const START: [&str; 3] = ["look at every node", "remove the start markers", "wait for every node"];

/// A start of three nodes, of which the last does not come up. `look` is called at 30 s.
fn start(inputs: &OutputInputs, look: impl FnOnce(&mut Play)) -> Play {
    let mut play = Play::new(inputs, &["node01", "node02", "node03"], &START);
    play.send(0.01, EventKind::StepStarted { step: 0, hosts: 3 });
    for host in 0..3 {
        play.connected(0.1, host);
        play.step(0.2, host, StepResult::new(Outcome::Ok));
    }
    play.send(0.2, EventKind::StepFinished { step: 0 });
    play.send(0.2, EventKind::StepStarted { step: 1, hosts: 3 });
    for host in 0..3 {
        let change = |path: &str, action| Change { path: path.into(), action, note: None };
        let changes = vec![
            change("/opt/bin/cluster_manual_start", ChangeKind::Removed),
            change("/opt/bin/instance_manual_start_*", ChangeKind::Absent),
        ];
        let result = StepResult { changes, ..StepResult::new(Outcome::Changed) };
        play.send(0.3, EventKind::HostStepFinished { host, step: 1, result });
    }
    play.send(0.3, EventKind::StepFinished { step: 1 });
    play.send(0.4, EventKind::StepStarted { step: 2, hosts: 3 });
    for host in 0..3 {
        play.send(0.4, EventKind::HostStepStarted { host, step: 2 });
        play.send(0.5, EventKind::ChainSeen { host, stages: chain(1, 0.5) });
    }
    for host in 0..2 {
        play.send(2.5, EventKind::ChainSeen { host, stages: chain(3, 2.5) });
        play.send(9.5, EventKind::ChainSeen { host, stages: chain(5, 9.5) });
    }
    play.send(10.0, EventKind::StillRunning { hosts: vec![(2, Activity::Stage(2, "om_monitor".into()), s(9.6))] });
    play.send(
        11.0,
        EventKind::Waiting { host: 0, step: 2, fact: "cluster_state".into(), value: Some("Unavailable".into()) },
    );
    play.reporters.tick(s(30.0));
    look(&mut play);
    let failure =
        Failure::new(Phase::Timeout, "not up after 60s: om_monitor missing").hint("no om_monitor: look at cron");
    let result = StepResult { stderr: "line 1\nline 2\n".into(), ..StepResult::failed(failure.clone()) };
    play.send(60.4, EventKind::HostStepFinished { host: 2, step: 2, result });
    play.fails(60.4, 2, failure);
    play.send(60.4, EventKind::StepFinished { step: 2 });
    play.done(60.4, 0, Outcome::Changed);
    play.done(60.4, 1, Outcome::Changed);
    play.finish(60.5);
    play
}

#[test]
fn start_in_a_pipe() {
    golden("start-pipe.txt", &start(&pipe(CommandKind::Playbook, 3), |_| {}).both());
}

#[test]
fn a_stage_that_comes_and_goes_is_no_line_a_second() {
    let mut play = Play::new(&pipe(CommandKind::Playbook, 1), &["node01"], &["wait for every node"]);
    play.send(0.1, EventKind::StepStarted { step: 0, hosts: 1 });
    play.connected(0.1, 0);
    play.send(0.1, EventKind::HostStepStarted { host: 0, step: 0 });
    for second in 1..=65_u32 {
        let up = if second % 2 == 0 { 2 } else { 3 };
        play.send(f64::from(second), EventKind::ChainSeen { host: 0, stages: chain(up, f64::from(second)) });
    }
    play.finish(66.0);
    let text = play.err.text();
    let told = |stage: &str| text.matches(&format!("waiting for {stage} (")).count();
    // At once, after half a minute, and after a whole one.
    assert_eq!((told("cm_agent"), told("cm_server")), (3, 3), "{text}");
}

#[test]
fn equal_lines_of_evidence_are_one() {
    let mut play = Play::new(&pipe(CommandKind::Playbook, 1), &["node01"], &["wait for every node"]);
    play.connected(0.1, 0);
    let mut said = String::new();
    for second in 1..=5 {
        said += &format!("2026-11-29 10:00:0{second}.123 LOG: cm_agent exited, status=3\n");
    }
    said += "same\nsame\n3 left\n2 left\n20261128:19:34:28:006086 gpstart:mdw:gpadmin-[INFO]:-text\n\
             20261128:19:34:29:006086 gpstart:mdw:gpadmin-[INFO]:-text\n";
    let failure = Failure::new(Phase::Chain, "first missing stage: cm_agent (none), again and again");
    let result = StepResult { stdout: said.as_str().into(), ..StepResult::failed(failure.clone()) };
    play.step(1.0, 0, result);
    play.fails(1.0, 0, failure);
    play.finish(1.1);
    let text = play.err.text();
    let lines: Vec<&str> = text.lines().filter_map(|line| line.trim_start().strip_prefix("| ")).collect();
    assert_eq!(
        lines,
        [
            "2026-11-29 10:00:05.123 LOG: cm_agent exited, status=3 (5 times)",
            "same (2 times)",
            "3 left",
            "2 left",
            "20261128:19:34:29:006086 gpstart:mdw:gpadmin-[INFO]:-text (2 times)",
        ],
        "{text}"
    );
}

#[test]
fn start_on_a_terminal() {
    for (name, columns) in [("40", 40), ("80", 80), ("200", 200)] {
        let inputs = OutputInputs { columns: Some(columns), color: When::Never, ..terminal(CommandKind::Playbook, 3) };
        let mut seen = String::new();
        start(&inputs, |play| seen = replay(&play.err.text(), columns).join("\n"));
        golden(&format!("start-live-{name}.txt"), &format!("{seen}\n"));
    }
    let inputs = OutputInputs { color: When::Never, ..terminal(CommandKind::Playbook, 3) };
    let play = start(&inputs, |_| {});
    let after = format!("== stdout ==\n{}== stderr ==\n{}\n", play.out.text(), replay(&play.err.text(), 80).join("\n"));
    golden("start-terminal.txt", &after);
}

/// As many failing nodes, of which each tells its cause in words of its own: two causes are two lines with one proof each.
#[test]
fn equal_causes_of_a_thousand_hosts_are_folded_with_one_proof() {
    let names: Vec<String> = (1..=1000).map(|n| format!("node{n:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut play = Play::new(&pipe(CommandKind::Playbook, 1000), &names, &START);
    for host in 0..1000 {
        let (id, words) =
            if host % 100 == 7 { ("OG51", "not enough semaphores") } else { ("OG35", "the port is taken") };
        let cause = Cause {
            id: Some(id.into()),
            stage: Some("gaussdb".into()),
            cause: words.into(),
            wait: Some(WaitHelps::MayPass),
            hint: Some(format!("see /data/dn_{host}")),
            proof: Some(Proof {
                file: format!("/log/dn_{host}.log"),
                lines: vec![format!("port_conflict=1 of {host}"), "and what belongs to it".into()],
                age_s: None,
            }),
        };
        let why = format!("first missing stage: gaussdb (missing), for {}s: {}", 30 + host % 31, cause.words());
        let failure = Failure::new(Phase::Chain, why).hint(format!("see /data/dn_{host}"));
        let result = StepResult { cause: Some(Box::new(cause.clone())), ..StepResult::failed(failure.clone()) };
        play.report.hosts[host].cause = Some(Box::new(cause));
        play.report.hosts[host].steps = vec![StepReport {
            name: START[2].into(),
            step: Some(2),
            outcome: Outcome::Failed,
            failure: Some(Box::new(failure.clone())),
            elapsed: s(60.0),
            exit_status: None,
            changes: Vec::new(),
            bytes: 0,
        }];
        play.send(60.4, EventKind::HostStepFinished { host, step: 2, result });
        play.fails(60.4, host, failure);
    }
    play.finish(60.5);
    let text = play.err.text();
    assert!(text.lines().count() < 40, "{} lines:\n{text}", text.lines().count());
    let summary = text.rsplit("Summary").next().unwrap_or_default();
    assert_eq!(summary.matches("proof:").count(), 2, "{summary}");
    assert_eq!((summary.matches("(990 hosts)").count(), summary.matches("(10 hosts)").count()), (1, 1), "{summary}");
    for part in ["OG35 the port is taken", "proof: /log/dn_0.log on node0001", "port_conflict=1 of 0", "see /data/dn_0"]
    {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    assert_eq!(summary.matches("OG51 not enough semaphores").count(), 1, "{summary}");
}

#[test]
fn live_views() {
    let inputs = OutputInputs { color: When::Never, ..terminal(CommandKind::Output, 40) };
    let names: Vec<String> = (1..=40).map(|n| format!("node{n:02}")).collect();
    let settings = OutputSettings::resolve(&inputs);
    let mut live = live::Live::new(40);
    let event = |at, kind| Event { at: s(at), kind };
    for host in 3..40 {
        live.event(&event(0.1, EventKind::HostStarted { host }));
    }
    live.event(&event(1.0, EventKind::PhaseStarted { host: 9, phase: Phase::Connect }));
    live.event(&event(2.0, EventKind::HostStepStarted { host: 8, step: 0 }));
    let mut stats = RunStats { hosts: 40, ..RunStats::default() };
    for outcome in [Outcome::Ok, Outcome::Failed, Outcome::Unreachable] {
        stats.counts.add(outcome);
    }
    let mut text = String::new();
    let mut look = |live: &live::Live, columns: usize, unicode: bool, command: CommandKind| {
        let ctx = ViewContext {
            names: names.iter().map(String::as_str).collect(),
            steps: START.iter().map(|&step| step.to_owned()).collect(),
            afterwards: Afterwards::default(),
            opening: Opening { verb: "Starting", ..Opening::default() },
            filter: OutputFilter::default(),
            settings: OutputSettings { columns: Some(columns), command, ..settings.clone() },
            out: Styles::default(),
            err: Styles::default(),
            glyphs: Glyphs::new(unicode),
        };
        text.push_str("-- ");
        text.push_str(&columns.to_string());
        text.push_str(" columns\n");
        for line in live.lines(s(65.0), &stats, &ctx) {
            assert!(columns::width(&line) < columns, "{line}");
            text.push_str(&line);
            text.push('\n');
        }
    };
    for columns in [40, 80, 200] {
        look(&live, columns, true, CommandKind::Output);
    }
    // Files on their way.
    live.event(&event(5.0, EventKind::Moving { host: 9, step: 0, moved: 1, of: 400_000_000 }));
    live.event(&event(25.0, EventKind::Moving { host: 9, step: 0, moved: 300_000_000, of: 400_000_000 }));
    live.event(&event(25.0, EventKind::Moving { host: 8, step: 0, moved: 300_000_000, of: 1_600_000_000 }));
    look(&live, 80, true, CommandKind::Changes);
    // More chains than lines: folded by stage.
    live.event(&event(3.0, EventKind::StepStarted { step: 2, hosts: 40 }));
    for host in 0..40 {
        live.event(&event(4.0, EventKind::ChainSeen { host, stages: chain(if host % 13 == 0 { 2 } else { 5 }, 4.0) }));
    }
    for (columns, unicode) in [(40, true), (80, true), (80, false)] {
        look(&live, columns, unicode, CommandKind::Playbook);
    }
    golden("live.txt", &text);
}

/// Thousands at once are a line and not a page.
#[test]
fn of_many_hosts_that_do_the_same_the_slowest_are_named() {
    let names: Vec<String> = (1..=200).map(|n| format!("node{n:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut play = Play::new(&pipe(CommandKind::Output, names.len()), &names, &["true"]);
    let mut says = |hosts: &[usize]| {
        let ages = (0..1000_u32).rev().map(|age| s(f64::from(age)));
        let hosts = hosts.iter().zip(ages).map(|(&host, age)| (host, Activity::Step(0), age)).collect();
        play.send(20.0, EventKind::StillRunning { hosts });
        play.err.text().lines().last().unwrap_or_default().to_owned()
    };
    assert_eq!(says(&[1, 0, 2]), "still running after 20s: node[001-003] (command)");
    let scattered: Vec<usize> = (0..100).map(|host| (host * 2 + 150) % 200).collect();
    assert_eq!(says(&scattered), "still running after 20s: node[151,153,155,157,159] and 95 more (command)");
}

/// The cause stands beside the stage as soon as it is known, on a row of its own host and on that of many.
#[test]
fn the_live_view_shows_causes() {
    for hosts in [3, 40] {
        let names: Vec<String> = (1..=hosts).map(|n| format!("node{n:02}")).collect();
        let inputs = OutputInputs { color: When::Never, ..terminal(CommandKind::Playbook, hosts) };
        let settings = OutputSettings { columns: Some(160), ..OutputSettings::resolve(&inputs) };
        let ctx = ViewContext {
            names: names.iter().map(String::as_str).collect(),
            steps: START.iter().map(|&step| step.to_owned()).collect(),
            afterwards: Afterwards::default(),
            opening: Opening::default(),
            filter: OutputFilter::default(),
            settings,
            out: Styles::default(),
            err: Styles::default(),
            glyphs: Glyphs::new(false),
        };
        let mut live = live::Live::new(hosts);
        let event = |live: &mut live::Live, kind| live.event(&Event { at: s(4.0), kind });
        let cause = |wait, line: &str| Cause {
            id: Some("OG77".into()),
            stage: Some("gaussdb".into()),
            cause: "redo is still running".into(),
            wait: Some(wait),
            hint: None,
            proof: Some(Proof { file: "/log".into(), lines: vec![line.into()], age_s: None }),
        };
        event(&mut live, EventKind::StepStarted { step: 2, hosts });
        for host in 0..hosts {
            event(&mut live, EventKind::ChainSeen { host, stages: chain(2, 4.0) });
            event(&mut live, EventKind::CauseSeen { host, cause: cause(WaitHelps::Passes, "10 MB left") });
            // It is about a later stage than the one that is missing now, and holds until that is up.
            event(&mut live, EventKind::ChainSeen { host, stages: chain(4, 4.0) });
        }
        let shown = |live: &live::Live| live.lines(s(9.0), &RunStats::default(), &ctx).join("\n");
        assert!(shown(&live).contains("OG77 redo is still running (10 MB left)"), "{}", shown(&live));
        for host in 0..hosts {
            event(&mut live, EventKind::CauseSeen { host, cause: cause(WaitHelps::No, "10 MB left") });
        }
        let lines = shown(&live);
        assert!(lines.contains("OG77 redo is still running") && !lines.contains("10 MB left"), "{lines}");
        for host in 0..hosts {
            event(&mut live, EventKind::ChainSeen { host, stages: chain(5, 9.0) });
        }
        assert!(!shown(&live).contains("OG77"), "{}", shown(&live));
    }
}

#[test]
fn refused() {
    let drive = |inputs: &OutputInputs| {
        let mut play = Play::new(inputs, &["node01", "node02", "node03", "node04"], &START);
        play.send(0.01, EventKind::StepStarted { step: 0, hosts: 4 });
        let state = |state: &str| {
            let facts = Facts::from_iter([("state".to_owned(), state.to_owned())]);
            StepResult { facts, ..StepResult::new(Outcome::Ok) }
        };
        play.step(0.1, 0, state("stopped"));
        let stopping =
            Failure::new(Phase::Check, "the node is still stopping").hint("wait, or stop it with --mode immediate");
        play.step(
            0.1,
            1,
            StepResult { outcome: Outcome::Refused, failure: Some(stopping.clone()), ..state("stopping") },
        );
        play.step(
            0.1,
            2,
            StepResult { outcome: Outcome::Refused, failure: Some(stopping.clone()), ..state("stopping") },
        );
        play.send(
            0.2,
            EventKind::Refused {
                hosts: vec![(1, stopping.clone()), (2, stopping.clone()), (3, refused_connection(4))],
            },
        );
        play.done(0.2, 0, Outcome::Skipped);
        for host in [1, 2] {
            let failure = Some(stopping.clone());
            play.send(0.2, EventKind::HostFinished { host, outcome: Outcome::Refused, failure, elapsed: s(0.2) });
        }
        play.fails(0.2, 3, refused_connection(4));
        play.finish(0.3);
        play.both()
    };
    golden("refused-pipe.txt", &drive(&pipe(CommandKind::Playbook, 4)));
    let inputs = OutputInputs {
        columns: Some(40),
        progress: When::Never,
        color: When::Never,
        ..terminal(CommandKind::Playbook, 4)
    };
    golden("refused-40.txt", &drive(&inputs));
}

#[test]
fn interrupted() {
    let mut play = Play::new(&pipe(CommandKind::Output, 3), &["node01", "node02", "node03"], &["run"]);
    play.send(1.0, EventKind::CancelRequested { reason: CancelReason::Interrupt, running: 2 });
    play.send(1.1, EventKind::CleanupStarted { hosts: 1 });
    play.step(1.2, 0, StepResult { remote_killed: Some(Killed::Yes), ..StepResult::new(Outcome::Cancelled) });
    play.step(1.2, 1, StepResult { remote_killed: Some(Killed::No), ..StepResult::new(Outcome::Cancelled) });
    (0..3).for_each(|host| play.done(1.2, host, Outcome::Cancelled));
    play.finish(1.3);
    golden("interrupted.txt", &play.both());
}

#[test]
fn json() {
    let play = start(&pipe(CommandKind::Playbook, 3), |_| {});
    golden("start.json", &play.json.text());
    golden("start.jsonl", &play.jsonl.text());
    json::tests::parses(&play.json.text(), &play.jsonl.text());
    let play = every_verdict(&pipe(CommandKind::Output, 10));
    golden("exec.json", &play.json.text());
    json::tests::parses(&play.json.text(), &play.jsonl.text());
}

#[test]
fn a_report_on_standard_output_stands_there_alone() {
    let mut play = Play::with(&pipe(CommandKind::Output, 1), &["node01"], &["run"], |setup| {
        setup.json = Some(ReportTarget::Stdout);
    });
    let kind = EventKind::Output {
        host: 0,
        step: 0,
        stream: Stream::Stdout,
        bytes: b"text\n".to_vec(),
        reserved: Reserved::default(),
    };
    play.send(0.1, kind);
    play.step(0.1, 0, printed(0, b"text\n", b""));
    play.done(0.2, 0, Outcome::Ok);
    play.finish(0.3);
    assert!(play.out.text().starts_with("{\n"), "{}", play.out.text());
    json::tests::parses(&play.out.text(), "");

    let mut play = Play::with(&pipe(CommandKind::Ping, 2), &["node01", "node02"], &["ping"], |setup| {
        setup.jsonl = Some(ReportTarget::Stdout);
    });
    play.done(0.1, 0, Outcome::Ok);
    play.fails(0.2, 1, refused_connection(2));
    assert!(play.err.text().starts_with(" UNREACHABLE [   0.200s] (2/2) node02"), "{}", play.err.text());
    play.finish(0.3);
    json::tests::parses(&play.json.text(), &play.out.text());
}

#[test]
fn one_that_fails_does_not_silence_the_others() {
    let mut play = Play::with(&pipe(CommandKind::Ping, 1), &["node01"], &["ping"], |setup| {
        setup.jsonl = Some(ReportTarget::File("full.jsonl".into(), Box::new(Broken(ErrorKind::StorageFull))));
        setup.more =
            vec![("JUnit report".into(), Box::new(json::JsonReport::new(Box::new(Broken(ErrorKind::BrokenPipe)))))];
    });
    play.connected(0.1, 0);
    play.done(0.2, 0, Outcome::Ok);
    play.reporters.finish(&play.report, &play.stats);
    assert_eq!(play.out.text(), "node01  ok             0.200s  OpenSSH_9.2p1 Debian-2\n");
    assert!(!play.json.text().is_empty());
    let errors = play.reporters.errors();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("cannot write report `full.jsonl`: "), "{errors:?}");
    assert!(errors[1].starts_with("cannot write JUnit report: "), "{errors:?}");
    assert!(play.err.text().contains("error: cannot write report `full.jsonl`"), "{}", play.err.text());
}

#[test]
fn a_closed_standard_output_is_quiet() {
    let mut play = Play::with(&pipe(CommandKind::Ping, 1), &["node01"], &["ping"], |setup| {
        setup.stdout = Box::new(Broken(ErrorKind::BrokenPipe));
        setup.json = Some(ReportTarget::Stdout);
    });
    play.done(0.2, 0, Outcome::Ok);
    play.finish(0.3);
}
