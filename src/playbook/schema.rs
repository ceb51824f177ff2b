//! A JSON Schema of playbooks, for editors.
//!
//! Must not decide what a playbook is: the reader does. A test holds that both know the same keys. The schema is a little
//! wider than the reader, which knows the names a playbook defines.

use serde_json::{Value, json};

/// The schema, in the 2020-12 dialect.
#[must_use]
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gsctl playbook",
        "type": "object",
        "additionalProperties": false,
        "required": ["steps"],
        "properties": {
            "name": { "type": "string", "description": "what the run is called; the file's name if left out" },
            "summary": { "type": "string", "description": "one line that says what it is for" },
            "max_hosts": { "type": "integer", "minimum": 1, "description": "more hosts than this must not be selected" },
            "vars": { "type": "object", "propertyNames": { "pattern": "^[a-z_][a-z0-9_]*$" }, "additionalProperties": { "$ref": "#/$defs/variable" } },
            "probes": { "type": "object", "additionalProperties": { "$ref": "#/$defs/probe" } },
            "chain": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/stage" }, "description": "the startup chain, in order" },
            "causes": { "$ref": "#/$defs/scalars", "description": "catalogues of documented causes: systems that ship, or files beside the playbook; the evidence is held against them" },
            "table": { "$ref": "#/$defs/scalars", "description": "facts to show as columns where a playbook only looks" },
            "state_file": { "type": "string", "description": "a file in which the hosts, too, keep the state of the run" },
            "state_groups": {
                "type": "array", "items": { "type": "string" },
                "description": "groups of which each has a state of its own: one that comes of a step for it stays on its hosts",
            },
            "serial": { "$ref": "#/$defs/scalar", "description": "hosts in a batch, or a percentage: all steps for a batch before the next begins" },
            "max_fail": { "$ref": "#/$defs/scalar", "description": "with more failed hosts than this no further batch begins; 0 if left out" },
            "last": { "$ref": "#/$defs/condition", "description": "hosts for which this holds go last" },
            "goes_on": { "type": "string", "description": "what goes on by itself once the run is cut short, or does not wait for it" },
            "steps": { "type": "array", "minItems": 1, "items": { "anyOf": [{ "$ref": "#/$defs/step" }, { "$ref": "#/$defs/block" }] } },
        },
        "$defs": {
            "scalar": { "type": ["string", "number", "boolean"] },
            "scalars": { "anyOf": [{ "$ref": "#/$defs/scalar" }, { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/scalar" } }] },
            "duration": { "$ref": "#/$defs/scalar", "description": "90, 90s, 5m, 1h30m, or a {variable}" },
            "command": { "description": "shell text in which variables are quoted, or a script next to the playbook that finds them set", "anyOf": [{ "type": "string" }, object(&["script"], &json!({ "script": { "$ref": "#/$defs/paths" }, "with": { "type": "object", "description": "more shell variables for the script", "propertyNames": { "pattern": "^[a-z_][a-z0-9_]*$" }, "additionalProperties": { "$ref": "#/$defs/scalar" } } }))] },
            "script": object(&["script"], &json!({
                "script": { "$ref": "#/$defs/paths", "description": "POSIX sh next to the playbook, files joined in order; its key=value lines are facts, `because` and `hint` say why it failed" },
                "with": { "type": "object", "propertyNames": { "pattern": "^[a-z_][a-z0-9_]*$" }, "additionalProperties": { "$ref": "#/$defs/scalar" }, "description": "more shell variables for it" },
            })),
            "paths": { "anyOf": [{ "type": "string" }, { "type": "array", "minItems": 1, "items": { "type": "string" } }] },
            "variable": { "anyOf": [{ "$ref": "#/$defs/scalar" }, object(&[], &json!({
                "default": { "$ref": "#/$defs/scalar" },
                "env": { "type": "string", "description": "environment variable of the machine gsctl runs on" },
                "check": { "enum": ["any", "abs-path", "int", "name", "bool", "duration"] },
                "one_of": { "$ref": "#/$defs/scalars" },
                "help": { "type": "string" },
                "required": { "type": "boolean" },
                "when_missing": { "$ref": "#/$defs/scalar", "description": "its value once the run goes on without hosts that are missing, unless the command line gave one" },
                "found": { "type": "boolean", "description": "where nothing gives it a value, the fact found_NAME of a probe does, on that host" },
            }))] },
            "probe": object(&["script"], &json!({
                "script": { "$ref": "#/$defs/paths", "description": "POSIX sh next to the playbook that prints key=value lines; several files are joined in order" },
                "states": { "description": "named states of a node; the first that matches is the fact `state`" },
                "facts": { "$ref": "#/$defs/scalars", "description": "the facts it prints, so that others are mistakes" },
            })),
            "stage": object(&["stage", "fact", "up"], &json!({
                "stage": { "type": "string" },
                "fact": { "type": "string" },
                "up": { "$ref": "#/$defs/scalars", "description": "values of the fact that mean up" },
                "hint": { "type": "string" },
            })),
            "condition": { "anyOf": [{ "$ref": "#/$defs/test" }, { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/test" } }] },
            "test": object(&[], &json!({
                "fact": { "type": "string" },
                "var": { "type": "string" },
                "state": { "$ref": "#/$defs/scalars" },
                "is": { "$ref": "#/$defs/scalars" },
                "not": { "$ref": "#/$defs/scalars" },
                "below": { "$ref": "#/$defs/duration", "description": "the variable is a time shorter than this, and not 0" },
                "exists": { "$ref": "#/$defs/paths" },
                "missing": { "$ref": "#/$defs/paths" },
            })),
            "refusal": object(&["when", "because"], &json!({
                "when": { "$ref": "#/$defs/condition" },
                "because": { "type": "string" },
                "hint": { "type": "string" },
            })),
            "remark": object(&["because"], &json!({
                "when": { "$ref": "#/$defs/condition" },
                "hosts_missing": { "type": "boolean", "description": "about hosts that could not be looked at" },
                "because": { "type": "string" },
                "hint": { "type": "string" },
            })),
            "verdict": object(&["when", "because"], &json!({
                "when": { "$ref": "#/$defs/condition" },
                "because": { "type": "string" },
                "hint": { "type": "string" },
                "after": { "$ref": "#/$defs/duration", "description": "must have held for so long" },
            })),
            "block": object(&["block", "serial"], &json!({
                "name": { "type": "string", "description": "put in front of the names of its steps" },
                "block": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/step" }, "description": "steps that are done batch by batch" },
                "serial": { "$ref": "#/$defs/scalar" },
                "max_fail": { "$ref": "#/$defs/scalar" },
                "last": { "$ref": "#/$defs/condition" },
            })),
            "wait": wait(),
            "step": step(),
        },
    })
}

fn wait() -> Value {
    object(
        &[],
        &json!({
            "chain": { "$ref": "#/$defs/scalar", "description": "all, majority, any, or a number of hosts whose chain must be up" },
            "until": { "$ref": "#/$defs/condition" },
            "quorum": { "$ref": "#/$defs/scalar", "description": "all, majority, any, or a number of hosts" },
            "probe": { "type": "string" },
            "run": { "$ref": "#/$defs/command", "description": "a command whose key=value and key : value lines are facts" },
            "every": { "$ref": "#/$defs/duration" },
            "timeout": { "$ref": "#/$defs/duration" },
            "looks": { "$ref": "#/$defs/scalar", "description": "a host that is not there after so many looks is not waited for" },
            "give_up": { "type": "array", "items": { "$ref": "#/$defs/verdict" } },
            "hint": { "type": "string" },
            "evidence": { "$ref": "#/$defs/command", "description": "a command whose output goes into the report of a host that did not come up" },
        }),
    )
}

fn step() -> Value {
    object(
        &[],
        &json!({
            "name": { "type": "string" },
            "on": { "type": "string", "description": "all, any, a group, or `not` and a group" },
            "when": { "$ref": "#/$defs/condition" },
            "not_an_answer": { "$ref": "#/$defs/condition", "description": "with `on: any`: an answer that is none, so that another host is asked" },
            "about": { "enum": ["cluster"], "description": "what a `wait` waits for in vain is no host's failure, but the cluster's" },
            "timeout": { "$ref": "#/$defs/scalars", "description": "a duration, or several of which the shortest that is no 0 counts" },
            "retries": { "type": "integer", "minimum": 0 },
            "idempotent": { "type": "boolean", "description": "the command may be run twice" },
            "serial": { "$ref": "#/$defs/scalar", "description": "hosts at once: a number or 25%" },
            "max_fail": { "$ref": "#/$defs/scalar", "description": "more failed hosts than this stop the run" },
            "on_failure": { "anyOf": [{ "enum": ["stop", "continue"] }, object(&["continue"], &json!({ "continue": { "$ref": "#/$defs/condition" } }))], "description": "continue may depend on variables of the run" },
            "cleanup": { "enum": ["remove"], "description": "remove at the end what this step created" },
            "state": { "type": "string", "description": "the run's state once the step is done; alone, the whole step" },
            "on_failure_state": { "type": "string" },
            "hint": { "type": "string", "description": "beside `run`: what to do where the command fails or its time runs out" },
            "evidence": { "$ref": "#/$defs/command", "description": "beside `run`: a command whose output goes into the report of a host on which the step failed" },
            "if_exists": { "type": "string" },
            "sudo": { "type": ["boolean", "string"], "description": "run the command, or place, remove or copy the files, through the node's sudo: `true` as root, else as this user" },
            "env": { "type": "object", "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }, "additionalProperties": { "$ref": "#/$defs/scalar" }, "description": "environment variables for the command" },
            "chdir": { "type": "string", "description": "run the command in this directory, or not at all" },
            "shell": { "type": "string", "description": "the shell that runs the command, as SHELL -c COMMAND" },
            "stdin": { "type": "string", "description": "a file of this machine that the command reads, as seen from the playbook" },
            "pty": { "type": "boolean", "description": "give the command a terminal" },
            "every_run": { "type": "boolean", "description": "done again by a run that goes on, although it was done" },
            "run": { "$ref": "#/$defs/command", "description": "key=value lines of a script are facts; `changed=yes`, `because` and `hint` are its word on what it did and why it failed" },
            "probe": { "type": "string" },
            "refuse": { "type": "array", "items": { "$ref": "#/$defs/refusal" } },
            "warn": { "type": "array", "items": { "$ref": "#/$defs/remark" } },
            "remove": { "$ref": "#/$defs/paths" },
            "touch": { "$ref": "#/$defs/paths" },
            "write": object(&["path", "content"], &json!({
                "path": { "type": "string" },
                "content": { "type": "string" },
                "mode": { "$ref": "#/$defs/scalar", "description": "octal, \"0600\" if left out" },
            })),
            "push": object(&["from", "to"], &json!({
                "from": { "$ref": "#/$defs/paths", "description": "files and directories, beside the playbook" },
                "to": { "type": "string", "description": "where to on the hosts; into it, where it ends with /" },
                "owner": { "type": "string", "description": "USER or USER:GROUP that files and new directories get" },
                "mode": { "$ref": "#/$defs/scalar", "description": "octal, what files get; as they are here if left out" },
            })),
            "pull": object(&["from", "to"], &json!({
                "from": { "$ref": "#/$defs/paths", "description": "files and directories of the hosts" },
                "to": { "type": "string", "description": "a directory here; each host's files in DIR/HOST, or where {host} says" },
            })),
            "wait": { "$ref": "#/$defs/wait" },
            "play": { "type": "string", "description": "another playbook, whose steps are put in here" },
            "check": object(&[], &json!({
                "process": { "$ref": "#/$defs/scalars" },
                "no_process": { "$ref": "#/$defs/scalars" },
                "command": { "$ref": "#/$defs/scalars" },
                "port": { "$ref": "#/$defs/scalars" },
                "file": { "$ref": "#/$defs/scalars" },
                "no_file": { "$ref": "#/$defs/scalars" },
            })),
            "ping": { "const": true },
        }),
    )
}

/// An object with these properties and no others.
fn object(required: &[&str], properties: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{builtin, condition, document, files, step, wait};
    use super::*;

    #[test]
    fn knows_the_readers_keys() {
        let schema = schema();
        let step_keys: Vec<&str> = step::SETTINGS.into_iter().chain(step::ACTIONS).collect();
        for (place, keys) in [
            ("/properties", document::KEYS.as_slice()),
            ("/$defs/variable/anyOf/1/properties", &document::VAR_KEYS),
            ("/$defs/test/properties", &condition::KEYS),
            ("/$defs/remark/properties", &condition::REMARK_KEYS),
            ("/$defs/wait/properties", &wait::KEYS),
            ("/$defs/step/properties", &step_keys),
            ("/$defs/step/properties/push/properties", &files::PUSH_KEYS),
            ("/$defs/step/properties/pull/properties", &files::PULL_KEYS),
        ] {
            let object = schema.pointer(place).and_then(Value::as_object).expect(place);
            let known: BTreeSet<_> = object.keys().map(String::as_str).collect();
            assert_eq!(known, keys.iter().copied().collect(), "{place}");
        }
    }

    #[test]
    fn every_built_in_fits() {
        let schema = schema();
        for name in builtin::names() {
            let text = builtin::source(name).expect(name);
            let value: Value = serde_saphyr::from_str(text).expect(name);
            assert_eq!(fault(&schema, &schema, &value), None, "{name}");
        }
    }

    #[test]
    fn mistakes_do_not_fit() {
        let schema = schema();
        for text in [
            "{}",
            "steps: []",
            "steps: [{ nam: a }]",
            "steps: [{ ping: false }]",
            "steps: [{ touch: [] }]",
            "steps: [{ on_failure: x }]",
        ] {
            let value: Value = serde_saphyr::from_str(text).expect(text);
            assert!(fault(&schema, &schema, &value).is_some(), "{text}");
        }
    }

    /// What of the value does not fit: as much of JSON Schema as this file uses, and nothing unknown passed over.
    fn fault(root: &Value, schema: &Value, value: &Value) -> Option<String> {
        let wrong = |what: &str| Some(format!("{value} does not fit {what}"));
        for (keyword, rule) in schema.as_object()? {
            let found = match keyword.as_str() {
                "$schema" | "title" | "description" | "$defs" | "propertyNames" => None,
                "$ref" => {
                    let place = rule.as_str().unwrap_or_default().trim_start_matches('#');
                    fault(root, root.pointer(place).expect("a definition"), value)
                }
                "type" => {
                    let name = match value {
                        Value::Null => "null",
                        Value::Bool(_) => "boolean",
                        Value::Number(_) => "number",
                        Value::String(_) => "string",
                        Value::Array(_) => "array",
                        Value::Object(_) => "object",
                    };
                    let fits = |rule: &Value| rule == name || (rule == "integer" && value.is_i64());
                    let fits = rule.as_array().map_or_else(|| fits(rule), |rules| rules.iter().any(fits));
                    if fits { None } else { wrong(&rule.to_string()) }
                }
                "enum" => {
                    if rule.as_array().is_some_and(|one| one.contains(value)) {
                        None
                    } else {
                        wrong("enum")
                    }
                }
                "const" => {
                    if rule == value {
                        None
                    } else {
                        wrong("const")
                    }
                }
                "anyOf" => {
                    let fits =
                        rule.as_array().is_some_and(|any| any.iter().any(|one| fault(root, one, value).is_none()));
                    if fits { None } else { wrong("anyOf") }
                }
                "minItems" => {
                    if value.as_array().is_some_and(Vec::is_empty) {
                        wrong("minItems")
                    } else {
                        None
                    }
                }
                "minimum" => {
                    if value.as_i64() < rule.as_i64() {
                        wrong("minimum")
                    } else {
                        None
                    }
                }
                "items" => value.as_array().into_iter().flatten().find_map(|item| fault(root, rule, item)),
                "required" => rule.as_array().into_iter().flatten().find_map(|key| {
                    if value.get(key.as_str()?).is_none() && value.is_object() {
                        wrong(&format!("required {key}"))
                    } else {
                        None
                    }
                }),
                "properties" => rule.as_object()?.iter().find_map(|(key, rule)| fault(root, rule, value.get(key)?)),
                "additionalProperties" => value.as_object().into_iter().flatten().find_map(|(key, value)| {
                    if schema.pointer("/properties").is_some_and(|known| known.get(key).is_some()) {
                        None
                    } else if rule == &Value::Bool(false) {
                        Some(format!("unknown key {key}"))
                    } else {
                        fault(root, rule, value)
                    }
                }),
                other => panic!("the test does not know `{other}`"),
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }
}
