//! A JSON Schema of the report, `gsctl.run/1`, for programs that read it.
//!
//! Must not decide what a report is: `json` does. A test holds that real reports are what the schema says, with no key more.

use serde_json::{Value, json};

use crate::exit::ExitStatus;
use crate::outcome::Outcome;
use crate::report::SCHEMA;

/// The schema, in the 2020-12 dialect.
#[must_use]
pub fn schema() -> Value {
    let count = json!({ "type": "integer", "minimum": 0 });
    let ms = json!({ "type": "integer", "minimum": 0, "description": "milliseconds" });
    let text = json!({ "type": "string" });
    let counts: serde_json::Map<String, Value> =
        Outcome::ALL.iter().map(|outcome| (outcome.name().to_owned(), count.clone())).collect();
    let base64 =
        json!({ "type": "string", "contentEncoding": "base64", "description": "there where the bytes are not UTF-8" });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gsctl report of a run",
        "type": "object",
        "additionalProperties": false,
        "required": ["schema", "run", "command", "started", "elapsed_ms", "status", "counts", "hosts"],
        "properties": {
            "schema": { "const": SCHEMA },
            "run": { "type": "string", "description": "the run's id; ids sort by time" },
            "command": text,
            "started": { "type": "string", "format": "date-time" },
            "elapsed_ms": ms,
            "status": status(),
            "state": { "type": "string", "description": "the state of the run, where its playbook names one" },
            "counts": {
                "type": "object",
                "additionalProperties": false,
                "required": Outcome::ALL.map(Outcome::name),
                "properties": counts,
            },
            "partition": partition(),
            "merged": merged(),
            "cluster": { "$ref": "#/$defs/cluster" },
            "recorded_keys": recorded_keys(),
            "hosts": { "type": "array", "items": { "$ref": "#/$defs/host" }, "description": "in inventory order" },
        },
        "$defs": {
            "outcome": { "enum": Outcome::ALL.map(Outcome::name) },
            "phase": { "enum": ["resolve", "connect", "host_key", "auth", "command", "check", "marker", "chain", "local",
                "timeout", "lost"] },
            "host": {
                "type": "object",
                "additionalProperties": false,
                "required": ["host", "port", "outcome", "changed", "attempts", "elapsed_ms"],
                "properties": {
                    "host": text, "address": text, "user": text,
                    "port": { "type": "integer", "minimum": 0, "maximum": 65535 },
                    "outcome": { "$ref": "#/$defs/outcome" },
                    "changed": { "type": "boolean" },
                    "phase": { "$ref": "#/$defs/phase" },
                    "error": text, "hint": text,
                    "cause": { "$ref": "#/$defs/cause" },
                    "begun": { "const": false, "description": "there where nothing was begun on the host but looks" },
                    "attempts": count, "connect_ms": ms, "elapsed_ms": ms,
                    "exit_status": { "type": "integer" },
                    "signal": text,
                    "remote_killed": { "enum": [true, false, "ended"] },
                    "notes": { "type": "array", "items": text },
                    "stdout": text, "stdout_base64": base64, "stderr": text, "stderr_base64": base64,
                    "stdout_cut": text, "stderr_cut": text,
                    "facts": { "type": "object", "additionalProperties": { "type": "string" } },
                    "chain": { "type": "array", "items": { "$ref": "#/$defs/stage" } },
                    "steps": { "type": "array", "items": { "$ref": "#/$defs/step" } },
                },
            },
            "cluster": cluster(),
            "cause": cause(),
            "stage": {
                "type": "object",
                "additionalProperties": false,
                "required": ["stage", "up"],
                "properties": { "stage": text, "up": { "type": "boolean" }, "after_ms": ms, "value": text },
            },
            "step": {
                "type": "object",
                "additionalProperties": false,
                "required": ["name", "outcome", "elapsed_ms"],
                "properties": {
                    "name": text,
                    "outcome": { "$ref": "#/$defs/outcome" },
                    "phase": { "$ref": "#/$defs/phase" },
                    "error": text, "hint": text, "elapsed_ms": ms,
                    "exit_status": { "type": "integer" },
                    "changes": { "type": "array", "items": { "$ref": "#/$defs/change" } },
                    "bytes": count,
                },
            },
            "change": {
                "type": "object",
                "additionalProperties": false,
                "required": ["path", "action"],
                "properties": {
                    "path": text,
                    "action": { "enum": actions() },
                    "note": text,
                },
            },
        },
    })
}

/// What becomes of a path.
fn actions() -> Value {
    json!([
        "removed",
        "absent",
        "created",
        "present",
        "written",
        "same",
        "denied",
        "failed",
        "would_create",
        "would_write"
    ])
}

/// What was heard about the cluster.
fn status() -> Value {
    let names: Vec<&str> = ExitStatus::ALL.map(ExitStatus::name).into_iter().chain(["remote"]).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["code", "name"],
        "properties": {
            "code": { "type": "integer", "minimum": 0, "maximum": 255 },
            "name": { "enum": names },
        },
    })
}

/// The part of the hosts that a run was on.
fn partition() -> Value {
    let number = json!({ "type": "integer", "minimum": 1 });
    json!({
        "type": "object",
        "description": "the run was on the `index`-th of so many parts of the hosts (--partition)",
        "additionalProperties": false,
        "required": ["index", "of"],
        "properties": { "index": number, "of": number },
    })
}

/// The parts that a report was made of.
fn merged() -> Value {
    let number = json!({ "type": "integer", "minimum": 1 });
    json!({
        "type": "object",
        "description": "the report was made of those of the parts of a run (`runs merge`)",
        "additionalProperties": false,
        "required": ["of", "parts"],
        "properties": {
            "of": number,
            "parts": { "type": "array", "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["index", "run"],
                "properties": { "index": number, "run": { "type": "string" } },
            } },
            "missing": {
                "type": "array",
                "items": number,
                "description": "parts without a report: nothing is known of their hosts",
            },
        },
    })
}

fn recorded_keys() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "array",
        "description": "host keys that were recorded (accept-new)",
        "items": {
            "type": "object",
            "additionalProperties": false,
            "required": ["host", "type", "fingerprint", "file"],
            "properties": { "host": text, "type": text, "fingerprint": text, "file": text },
        },
    })
}

fn cluster() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "description": "what the hosts said that were asked about the cluster; what is wrong with it is no host's failure",
        "additionalProperties": false,
        "required": ["asked"],
        "properties": {
            "state": text,
            "asked": { "type": "array", "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["host", "answer"],
                "properties": { "host": text, "answer": text },
            } },
            "phase": { "$ref": "#/$defs/phase" },
            "error": text, "hint": text,
            "cause": { "$ref": "#/$defs/cause" },
        },
    })
}

/// What is behind a failure.
fn cause() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["cause"],
        "properties": {
            "id": text, "stage": text, "cause": text,
            "wait": { "enum": ["no", "may_pass", "passes"] },
            "hint": text,
            "proof": {
                "type": "object",
                "additionalProperties": false,
                "required": ["file", "lines"],
                "properties": { "file": text, "lines": { "type": "array", "items": text } },
            },
        },
    })
}
