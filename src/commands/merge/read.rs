//! Reads a report, `gsctl.run/1`, back into the values that it was written from.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::diagnostic::Diagnostic;
use crate::exit::ExitStatus;
use crate::outcome::cause::Cause;
use crate::outcome::change::Change;
use crate::outcome::stage::StageState;
use crate::outcome::{CommandNote, Facts, Failure, Killed, Outcome, Phase};
use crate::output::Output;
use crate::partition::Partition;
use crate::report::{HostReport, RecordedKey, RunReport, SCHEMA, StepReport};
use crate::stats::Counts;
use crate::text::{io_cause, uncapitalized};

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    schema: String,
    #[serde(default)]
    merged: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Run {
    #[serde(rename = "run")]
    id: String,
    command: String,
    started: String,
    elapsed_ms: u64,
    status: Status,
    #[serde(default)]
    state: Option<String>,
    counts: Counts,
    #[serde(default)]
    partition: Option<Partition>,
    #[serde(default)]
    recorded_keys: Vec<Key>,
    hosts: Vec<Host>,
}

#[derive(Deserialize)]
struct Status {
    code: u8,
    name: String,
}

#[derive(Deserialize)]
struct Key {
    host: String,
    #[serde(rename = "type")]
    kind: String,
    fingerprint: String,
    file: String,
}

#[derive(Deserialize)]
struct Host {
    #[serde(rename = "host")]
    name: String,
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    user: Option<String>,
    port: u16,
    outcome: Outcome,
    changed: bool,
    #[serde(flatten)]
    why: Why,
    #[serde(default)]
    cause: Option<Cause>,
    #[serde(default = "yes")]
    begun: bool,
    attempts: u32,
    #[serde(default)]
    connect_ms: Option<u64>,
    elapsed_ms: u64,
    #[serde(default)]
    exit_status: Option<i32>,
    #[serde(default)]
    signal: Option<String>,
    #[serde(default)]
    remote_killed: Option<RemoteKilled>,
    #[serde(default)]
    notes: Vec<String>,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stdout_base64: Option<String>,
    #[serde(default)]
    stdout_cut: Option<String>,
    #[serde(default)]
    stderr: String,
    #[serde(default)]
    stderr_base64: Option<String>,
    #[serde(default)]
    stderr_cut: Option<String>,
    #[serde(default)]
    facts: Facts,
    #[serde(default)]
    chain: Vec<Stage>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Why {
    #[serde(default)]
    phase: Option<Phase>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RemoteKilled {
    Seen(bool),
    Word(String),
}

#[derive(Deserialize)]
struct Stage {
    #[serde(rename = "stage")]
    name: String,
    up: bool,
    #[serde(default)]
    after_ms: Option<u64>,
    #[serde(default)]
    value: Option<String>,
}

#[derive(Deserialize)]
struct Step {
    name: String,
    outcome: Outcome,
    #[serde(flatten)]
    why: Why,
    elapsed_ms: u64,
    #[serde(default)]
    exit_status: Option<i32>,
    #[serde(default)]
    changes: Vec<Change>,
    #[serde(default)]
    bytes: u64,
}

fn yes() -> bool {
    true
}

/// Reads the report of a part.
///
/// # Errors
/// When it cannot be read, or is no report of one run.
pub(super) fn report(path: &Path) -> Result<RunReport, Diagnostic> {
    let wrong = |said: String| Diagnostic::usage(format!("report `{}`: {said}", path.display()));
    let text = std::fs::read(path).map_err(|error| wrong(uncapitalized(&io_cause(&error))))?;
    parse(&text).map_err(|said| wrong(said).hint("a report is what `--json FILE` writes"))
}

/// Understands a report.
fn parse(text: &[u8]) -> Result<RunReport, String> {
    let head: Head = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if head.schema != SCHEMA {
        return Err(format!("its schema is `{}`, not `{SCHEMA}`", head.schema));
    }
    if head.merged.is_some() {
        return Err("it is merged itself: give the reports of the parts".to_owned());
    }
    let run: Run = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    Ok(RunReport {
        status: status(&run.status).ok_or_else(|| format!("there is no status `{}`", run.status.name))?,
        hosts: run.hosts.into_iter().map(host).collect::<Result<_, _>>()?,
        recorded_keys: run.recorded_keys.into_iter().map(key).collect(),
        run: run.id,
        command: run.command,
        started: run.started,
        elapsed: Duration::from_millis(run.elapsed_ms),
        state: run.state,
        counts: run.counts,
        partition: run.partition,
        merged: None,
        // What follows is only of what has a chain, which has no parts.
        waited: false,
        cluster: None,
    })
}

fn status(status: &Status) -> Option<ExitStatus> {
    let remote = ExitStatus::Remote(status.code);
    ExitStatus::ALL.into_iter().chain([remote]).find(|known| known.name() == status.name && known.code() == status.code)
}

fn key(key: Key) -> RecordedKey {
    RecordedKey { host: key.host, key_type: key.kind, fingerprint: key.fingerprint, file: key.file }
}

fn failure(why: Why) -> Option<Failure> {
    Some(Failure { phase: why.phase?, cause: why.error?, hint: why.hint, retryable: false })
}

fn host(host: Host) -> Result<HostReport, String> {
    let name = host.name;
    let odd = |what: &str| format!("host `{name}`: `{what}` is not understood");
    let note = |words: &String| {
        let all = [CommandNote::HeldOpen, CommandNote::NoErrors, CommandNote::OneStream];
        all.into_iter().find(|note| note.words() == words).ok_or_else(|| odd("notes"))
    };
    let remote_killed = match host.remote_killed {
        None => None,
        Some(RemoteKilled::Seen(true)) => Some(Killed::Yes),
        Some(RemoteKilled::Seen(false)) => Some(Killed::No),
        Some(RemoteKilled::Word(word)) if word == "ended" => Some(Killed::Ended),
        Some(RemoteKilled::Word(_)) => return Err(odd("remote_killed")),
    };
    let output = |text: String, base64: Option<String>, cut: Option<String>, what: &str| {
        let bytes = match base64 {
            Some(base64) => STANDARD.decode(base64).map_err(|_| odd(what))?,
            None => text.into_bytes(),
        };
        Output::read_back(bytes, cut.as_deref()).ok_or_else(|| odd(what))
    };
    Ok(HostReport {
        notes: host.notes.iter().map(note).collect::<Result<_, _>>()?,
        stdout: output(host.stdout, host.stdout_base64, host.stdout_cut, "stdout")?,
        stderr: output(host.stderr, host.stderr_base64, host.stderr_cut, "stderr")?,
        address: host.address,
        user: host.user.map(Arc::from),
        port: host.port,
        outcome: host.outcome,
        changed: host.changed,
        failure: failure(host.why).map(Box::new),
        cause: host.cause.map(Box::new),
        begun: host.begun,
        attempts: host.attempts,
        connect: host.connect_ms.map(Duration::from_millis),
        elapsed: Duration::from_millis(host.elapsed_ms),
        exit_status: host.exit_status,
        signal: host.signal,
        remote_killed,
        facts: host.facts,
        chain: host.chain.into_iter().map(stage).collect(),
        steps: host.steps.into_iter().map(step).collect(),
        host: name.into(),
    })
}

fn stage(stage: Stage) -> StageState {
    let after = stage.after_ms.map(Duration::from_millis);
    StageState { stage: stage.name, up: stage.up, value: stage.value, after, hint: None }
}

fn step(step: Step) -> StepReport {
    StepReport {
        name: step.name.into(),
        step: None,
        outcome: step.outcome,
        failure: failure(step.why).map(Box::new),
        elapsed: Duration::from_millis(step.elapsed_ms),
        exit_status: step.exit_status,
        changes: step.changes,
        bytes: step.bytes,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::reporter::json::write_report;

    #[test]
    fn nothing_of_a_report_is_lost() {
        let whole = json!({
            "schema": SCHEMA, "run": "20261121T094311Z-abcde", "command": "deploy", "started": "2026-11-21T09:43:11Z",
            "elapsed_ms": 1500, "status": { "code": 3, "name": "timed_out" }, "state": "half",
            "counts": { "ok": 0, "changed": 1, "failed": 0, "timed_out": 1, "unreachable": 0, "refused": 0, "skipped": 0, "cancelled": 1 },
            "partition": { "index": 2, "of": 5 },
            "recorded_keys": [{ "host": "a", "type": "ssh-ed25519", "fingerprint": "SHA256:x", "file": "known_hosts" }],
            "hosts": [
                { "host": "a", "address": "10.0.0.1", "user": "omm", "port": 22, "outcome": "changed", "changed": true, "attempts": 2,
                  "connect_ms": 12, "elapsed_ms": 40, "exit_status": 0, "notes": [CommandNote::OneStream.words()],
                  "stdout": "a\u{fffd}b", "stdout_base64": STANDARD.encode(b"a\xffb"), "stdout_cut": "cut after 3 bytes, 9 more were lost: no space left",
                  "stderr": "", "facts": { "state": "up" },
                  "chain": [{ "stage": "agent", "up": true, "after_ms": 7, "value": "running" }, { "stage": "db", "up": false }],
                  "steps": [{ "name": "one", "outcome": "changed", "elapsed_ms": 4, "exit_status": 0,
                              "changes": [{ "path": "/x", "action": "created" }, { "path": "/y", "action": "would_write", "note": "n" }], "bytes": 5 }] },
                { "host": "b", "port": 2222, "outcome": "timed_out", "changed": false, "phase": "timeout", "error": "no end", "hint": "wait",
                  "cause": { "id": "OG1", "stage": "agent", "cause": "c", "wait": "may_pass", "hint": "h", "proof": { "file": "f", "lines": ["l"], "age_s": 3 } },
                  "attempts": 1, "elapsed_ms": 1500, "signal": "KILL", "remote_killed": "ended", "stdout": "", "stderr": "e\n" },
                { "host": "c", "port": 22, "outcome": "cancelled", "changed": false, "begun": false, "attempts": 0, "elapsed_ms": 0, "remote_killed": false },
            ],
        });
        let report = parse(whole.to_string().as_bytes()).unwrap();
        let mut text = Vec::new();
        write_report(&report, &mut text).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), whole);
    }

    #[test]
    fn what_is_no_report_of_a_run_is_refused() {
        for (text, because) in [
            ("", "EOF"),
            ("{}", "its schema is ``"),
            (r#"{"schema": "gsctl.runs/1"}"#, "its schema is `gsctl.runs/1`"),
            (r#"{"schema": "gsctl.run/1", "merged": {"of": 2}}"#, "merged itself"),
            (r#"{"schema": "gsctl.run/1"}"#, "missing field"),
        ] {
            let said = parse(text.as_bytes()).unwrap_err();
            assert!(said.contains(because), "{said}");
        }
    }
}
