//! The report of a run as JSON: `gsctl.run/1`.
//!
//! Written as it is made, never held whole. What is absent is left out; output that is not UTF-8 stands beside its text
//! in base64, so that nothing is lost. No other file may know `serde_json`.

use std::io::{self, Write};
use std::time::Duration;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::encoded;
use crate::event::{Event, Reporter};
use crate::exit::ExitStatus;
use crate::outcome::stage::StageState;
use crate::outcome::{CommandNote, Failure, Outcome};
use crate::report::{Asked, ClusterReport, HostReport, Merged, RecordedKey, RunReport, SCHEMA, StepReport};
use crate::stats::RunStats;

/// Writes the report of a run.
///
/// # Errors
/// When the writer fails.
pub fn write_report(report: &RunReport, writer: &mut dyn Write) -> io::Result<()> {
    let mut writer = io::BufWriter::new(writer);
    serde_json::to_writer_pretty(&mut writer, &RunJson(report))?;
    writer.write_all(b"\n")?;
    writer.flush()
}

/// Writes the report once the run is over.
pub struct JsonReport {
    writer: Box<dyn Write + Send>,
}

impl JsonReport {
    /// A report to this writer, opened before anything was contacted.
    #[must_use]
    pub fn new(writer: Box<dyn Write + Send>) -> Self {
        Self { writer }
    }
}

impl Reporter for JsonReport {
    fn event(&mut self, _: &Event, _: &RunStats) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, report: &RunReport, _: &RunStats) -> io::Result<()> {
        write_report(report, &mut self.writer)
    }
}

/// Bytes of a line that is written at once.
const LINE: usize = 64 * 1024;

/// A value as one line of JSON.
pub(crate) fn write_line(value: &impl Serialize, writer: &mut dyn Write) -> io::Result<()> {
    let mut writer = io::BufWriter::with_capacity(LINE, writer);
    serde_json::to_writer(&mut writer, value)?;
    writer.write_all(b"\n")?;
    writer.flush()
}

/// Whole milliseconds.
pub(crate) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What is worth knowing of how a command was heard.
pub(crate) fn notes<M: SerializeMap>(map: &mut M, notes: &[CommandNote]) -> Result<(), M::Error> {
    if notes.is_empty() {
        return Ok(());
    }
    map.serialize_entry("notes", &notes.iter().map(|note| note.words()).collect::<Vec<_>>())
}

pub(crate) fn some<M: SerializeMap, T: Serialize + ?Sized>(
    map: &mut M,
    name: &'static str,
    value: Option<&T>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, value))
}

pub(crate) fn failure<M: SerializeMap>(map: &mut M, failure: Option<&Failure>) -> Result<(), M::Error> {
    let Some(failure) = failure else { return Ok(()) };
    map.serialize_entry("phase", &failure.phase)?;
    map.serialize_entry("error", &failure.cause)?;
    some(map, "hint", failure.hint.as_ref())
}

/// A list whose elements are wrapped one by one.
pub(crate) struct JsonList<'a, T, F>(pub(crate) &'a [T], pub(crate) F);

impl<'a, T, W: Serialize, F: Fn(&'a T) -> W> Serialize for JsonList<'a, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        for item in self.0 {
            seq.serialize_element(&(self.1)(item))?;
        }
        seq.end()
    }
}

pub(crate) struct StatusJson(pub(crate) ExitStatus);

impl Serialize for StatusJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("code", &self.0.code())?;
        map.serialize_entry("name", self.0.name())?;
        map.end()
    }
}

struct RunJson<'a>(&'a RunReport);

impl Serialize for RunJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let run = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema", SCHEMA)?;
        map.serialize_entry("run", &run.run)?;
        map.serialize_entry("command", &run.command)?;
        map.serialize_entry("started", &run.started)?;
        map.serialize_entry("elapsed_ms", &ms(run.elapsed))?;
        map.serialize_entry("status", &StatusJson(run.status))?;
        some(&mut map, "state", run.state.as_ref())?;
        map.serialize_entry("counts", &run.counts)?;
        some(&mut map, "partition", run.partition.as_ref())?;
        some(&mut map, "merged", run.merged.as_ref().map(MergedJson).as_ref())?;
        some(&mut map, "cluster", run.cluster.as_ref().map(Cluster).as_ref())?;
        if !run.recorded_keys.is_empty() {
            map.serialize_entry("recorded_keys", &JsonList(&run.recorded_keys, RecordedKeyJson))?;
        }
        map.serialize_entry("hosts", &JsonList(&run.hosts, HostJson))?;
        map.end()
    }
}

struct MergedJson<'a>(&'a Merged);

impl Serialize for MergedJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("of", &self.0.of)?;
        map.serialize_entry("parts", &JsonList(&self.0.parts, PartJson))?;
        let missing = self.0.missing();
        if !missing.is_empty() {
            map.serialize_entry("missing", &missing)?;
        }
        map.end()
    }
}

struct PartJson<'a>(&'a (usize, String));

impl Serialize for PartJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("index", &self.0.0)?;
        map.serialize_entry("run", &self.0.1)?;
        map.end()
    }
}

struct RecordedKeyJson<'a>(&'a RecordedKey);

impl Serialize for RecordedKeyJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("host", &self.0.host)?;
        map.serialize_entry("type", &self.0.key_type)?;
        map.serialize_entry("fingerprint", &self.0.fingerprint)?;
        map.serialize_entry("file", &self.0.file)?;
        map.end()
    }
}

struct HostJson<'a>(&'a HostReport);

impl Serialize for HostJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let host = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("host", &*host.host)?;
        some(&mut map, "address", host.address.as_ref())?;
        some(&mut map, "user", host.user.as_deref())?;
        map.serialize_entry("port", &host.port)?;
        map.serialize_entry("outcome", &host.outcome)?;
        map.serialize_entry("changed", &host.changed)?;
        failure(&mut map, host.failure.as_deref())?;
        some(&mut map, "cause", host.cause.as_ref())?;
        if host.outcome == Outcome::Cancelled && !host.begun {
            map.serialize_entry("begun", &false)?;
        }
        map.serialize_entry("attempts", &host.attempts)?;
        some(&mut map, "connect_ms", host.connect.map(ms).as_ref())?;
        map.serialize_entry("elapsed_ms", &ms(host.elapsed))?;
        some(&mut map, "exit_status", host.exit_status.as_ref())?;
        some(&mut map, "signal", host.signal.as_ref())?;
        some(&mut map, "remote_killed", host.remote_killed.as_ref())?;
        notes(&mut map, &host.notes)?;
        // A command that ended and printed nothing has empty output; where none ended there is none.
        let ended = host.exit_status.is_some() || host.signal.is_some();
        if ended || !host.stdout.is_empty() {
            encoded::output(&mut map, &encoded::STDOUT, &host.stdout)?;
        }
        if ended || !host.stderr.is_empty() {
            encoded::output(&mut map, &encoded::STDERR, &host.stderr)?;
        }
        if !host.facts.is_empty() {
            map.serialize_entry("facts", &host.facts)?;
        }
        if !host.chain.is_empty() {
            map.serialize_entry("chain", &JsonList(&host.chain, StageJson))?;
        }
        if !host.steps.is_empty() {
            map.serialize_entry("steps", &JsonList(&host.steps, StepJson))?;
        }
        map.end()
    }
}

pub(crate) struct Cluster<'a>(pub(crate) &'a ClusterReport);

impl Serialize for Cluster<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let cluster = self.0;
        let mut map = serializer.serialize_map(None)?;
        some(&mut map, "state", cluster.state.as_ref())?;
        map.serialize_entry("asked", &JsonList(&cluster.asked, AskedHost))?;
        failure(&mut map, cluster.failure.as_ref())?;
        some(&mut map, "cause", cluster.cause.as_ref())?;
        map.end()
    }
}

struct AskedHost<'a>(&'a Asked);

impl Serialize for AskedHost<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("host", &self.0.host)?;
        map.serialize_entry("answer", &self.0.answer)?;
        map.end()
    }
}

pub(crate) struct StageJson<'a>(pub(crate) &'a StageState);

impl Serialize for StageJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("stage", &self.0.stage)?;
        map.serialize_entry("up", &self.0.up)?;
        some(&mut map, "after_ms", self.0.after.map(ms).as_ref())?;
        some(&mut map, "value", self.0.value.as_ref())?;
        map.end()
    }
}

struct StepJson<'a>(&'a StepReport);

impl Serialize for StepJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let step = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &*step.name)?;
        map.serialize_entry("outcome", &step.outcome)?;
        failure(&mut map, step.failure.as_deref())?;
        map.serialize_entry("elapsed_ms", &ms(step.elapsed))?;
        some(&mut map, "exit_status", step.exit_status.as_ref())?;
        if !step.changes.is_empty() {
            map.serialize_entry("changes", &step.changes)?;
        }
        if step.bytes > 0 {
            map.serialize_entry("bytes", &step.bytes)?;
        }
        map.end()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::Value;

    use super::*;
    use crate::outcome::Facts;
    use crate::stats::Counts;

    /// Parses both forms back and compares them with each other.
    pub(crate) fn parses(report: &str, lines: &str) {
        let report: Value = serde_json::from_str(report).unwrap();
        assert_eq!(report["schema"], SCHEMA);
        let hosts = report["hosts"].as_array().unwrap();
        for (outcome, count) in report["counts"].as_object().unwrap() {
            let found = hosts.iter().filter(|host| host["outcome"] == *outcome).count();
            assert_eq!(count.as_u64(), Some(found as u64), "{outcome}");
        }
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if let Some(last) = lines.last() {
            assert_eq!(lines[0]["event"], "run_started");
            assert_eq!(last["status"], report["status"]);
            for host in hosts {
                let done = |line: &&Value| line["event"] == "host_finished" && line["host"] == host["host"];
                let line = lines.iter().find(done).unwrap();
                assert_eq!(line["outcome"], host["outcome"]);
                assert_eq!(line.get("error"), host.get("error"));
            }
        }
    }

    fn a_report(stdout: &[u8], stderr: &[u8]) -> RunReport {
        let host = HostReport {
            host: "node01".into(),
            address: None,
            user: Some("omm".into()),
            port: 22,
            outcome: Outcome::Failed,
            changed: false,
            failure: None,
            cause: None,
            begun: true,
            attempts: 1,
            connect: Some(Duration::from_micros(12_900)),
            elapsed: Duration::from_millis(40),
            exit_status: Some(1),
            signal: None,
            remote_killed: None,
            notes: Vec::new(),
            stdout: stdout.into(),
            stderr: stderr.into(),
            facts: Facts::new(),
            chain: Vec::new(),
            steps: Vec::new(),
        };
        RunReport {
            run: "r".into(),
            command: "exec".into(),
            started: "t".into(),
            elapsed: Duration::from_secs(1),
            status: ExitStatus::Failed,
            state: None,
            counts: Counts { failed: 1, ..Counts::default() },
            partition: None,
            merged: None,
            waited: true,
            cluster: None,
            recorded_keys: Vec::new(),
            hosts: vec![host],
        }
    }

    fn written(report: &RunReport) -> Value {
        let mut out = Vec::new();
        write_report(report, &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn nothing_is_lost_and_nothing_absent_is_there() {
        let value = written(&a_report(b"a\xffb\0", b""));
        let host = value["hosts"][0].as_object().unwrap();
        assert_eq!(host["stdout"], "a\u{fffd}b\0");
        assert_eq!(STANDARD.decode(host["stdout_base64"].as_str().unwrap()).unwrap(), b"a\xffb\0");
        assert_eq!(host["stderr"], "");
        assert_eq!(host["connect_ms"], 12);
        let absent = ["address", "phase", "error", "hint", "signal", "remote_killed", "facts", "chain", "steps"];
        assert!(absent.iter().all(|key| !host.contains_key(*key)));
        assert_eq!(value["status"], serde_json::json!({ "code": 5, "name": "failed" }));
    }

    proptest::proptest! {
        #[test]
        fn any_output_reads_back(stdout: Vec<u8>, stderr: String) {
            let value = written(&a_report(&stdout, stderr.as_bytes()));
            let host = &value["hosts"][0];
            let read = match host.get("stdout_base64") {
                Some(text) => STANDARD.decode(text.as_str().unwrap()).unwrap(),
                None => host["stdout"].as_str().unwrap().as_bytes().to_vec(),
            };
            proptest::prop_assert_eq!(read, stdout);
            proptest::prop_assert_eq!(host["stderr"].as_str(), Some(stderr.as_str()));
        }
    }
}
