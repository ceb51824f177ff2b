//! Values of Ansible's inventories, held against what Ansible itself makes of them: Python's in INI, YAML 1.1's in YAML, and
//! values that are nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::gsctl::Gsctl;

/// The variables of each host by Ansible, as it would put them into a command; without those that are no text.
pub(crate) fn by_ansible(home: &Path, file: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let output = Command::new("ansible-inventory")
        .args(["-i", file, "--list"])
        .current_dir(home)
        .env("HOME", home)
        .env("ANSIBLE_LOCAL_TEMP", home.join("tmp"))
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("`ansible-inventory` of Debian's ansible-core is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(true) => Some("True".to_owned()),
        Value::Bool(false) => Some("False".to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let mut hosts: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    // A host without variables stands in its groups alone.
    for name in list.as_object().unwrap().values().flat_map(|group| group["hosts"].as_array().into_iter().flatten()) {
        hosts.entry(name.as_str().unwrap().to_owned()).or_default();
    }
    for (host, vars) in list["_meta"]["hostvars"].as_object().into_iter().flatten() {
        let vars = vars.as_object().unwrap();
        hosts.insert(host.clone(), vars.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect());
    }
    hosts
}

fn hosts(home: &Path, file: &str) -> Value {
    let run = Gsctl::at_home(home).args(["-F", "none", "-f", file, "--json", "-", "hosts"]).run().expect(0);
    run.json()["hosts"].clone()
}

#[track_caller]
fn same(file: &str, text: &str) {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(file), text).unwrap();
    let ours = hosts(home.path(), file);
    let ours = ours.as_array().unwrap().iter().find(|host| host["host"] == "n1").unwrap().clone();
    let ours: BTreeMap<String, String> =
        serde_json::from_value(ours.get("vars").cloned().unwrap_or_else(|| serde_json::json!({}))).unwrap();
    let mut theirs = by_ansible(home.path(), file).remove("n1").unwrap();
    theirs.retain(|key, _| !key.starts_with("ansible_"));
    assert_eq!(ours, theirs, "{text}");
}

/// Variables `v0`, `v1`, ... with these values, a line each.
fn numbered(values: &[&str], before: &str, between: &str) -> String {
    let lines: Vec<String> = (0..).zip(values).map(|(at, value)| format!("{before}v{at}{between}{value}\n")).collect();
    lines.concat()
}

#[test]
fn values_are_what_ansible_makes_of_them() {
    let python = [
        "x",
        "'it''s'",
        "'a' \"b\"",
        "007",
        "00",
        "0x16",
        "0o17",
        "1_000",
        "-5",
        "+5",
        "1.50",
        "6.10",
        "1e3",
        "True",
        "false",
        "yes",
        "12:30:45",
        "'a b' # c",
        "5 # c",
        "a # c",
        "10.0.0.1",
        "[1, 2]",
        "{'a': 1}",
        "(1, 2)",
        "None",
        "",
        "''",
        "'a\\\\b'",
        "1.",
        ".5",
        "~",
        "null",
        "'007'",
    ];
    let lines = numbered(&python, "", "=");
    same("hosts", &format!("[g]\nn1 ansible_host=10.0.0.1\n[g:vars]\n{lines}"));
    let yaml = [
        "x",
        "007",
        "0022",
        "089",
        "0x16",
        "0o17",
        "0b11",
        "12:30:45",
        "-1:30",
        "1:75",
        "yes",
        "No",
        "on",
        "off",
        "true",
        "~",
        "null",
        "1_000",
        "1.50",
        "1e3",
        "1.0e+3",
        "6.10",
        "10.0.0.1",
        "'007'",
        "\"yes\"",
        "'a''b'",
        "[1, 2]",
        "{a: 1}",
        "",
        "+5",
        "-0",
        "5432",
        "a#b",
        "2026-11-29T",
    ];
    let lines = numbered(&yaml, "        ", ": ");
    same(
        "inv.yml",
        &format!("all:\n  hosts:\n    n1:\n  children:\n    g:\n      hosts:\n        n1:\n      vars:\n{lines}"),
    );
}

#[test]
fn a_value_that_is_nothing_hides_the_weaker_one() {
    let text = "all:\n  vars: {ansible_ssh_common_args: -J bastion, ansible_ssh_extra_args: -J other, ansible_user: dba, \
        ansible_port: 2222, a: weak, b: weak, c: weak, d: weak, e: weak}\n  hosts:\n    n1: {ansible_ssh_common_args: '', \
        ansible_ssh_extra_args: '', ansible_user: '', ansible_port: null, a: '', b: null, c: [1], d: {x: 1}, e: '{{ x }}'}\n    \
        n2: {ansible_ssh_extra_args: ''}\n    n3:\n";
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("inv.yml"), text).unwrap();
    let hosts = hosts(home.path(), "inv.yml");
    let user = hosts[0]["user"].as_str().unwrap();
    assert_ne!(user, "dba", "{hosts:#}");
    assert_eq!((&hosts[0]["port"], hosts[0].get("jump")), (&22.into(), None), "{hosts:#}");
    assert_eq!(hosts[0]["vars"], serde_json::json!({"a": ""}), "{hosts:#}");
    // Each of the arguments is a variable of its own.
    assert_eq!(hosts[1]["jump"], "bastion", "{hosts:#}");
    assert_eq!(hosts[2]["jump"], "bastion", "{hosts:#}");
    assert_eq!((&hosts[2]["user"], &hosts[2]["port"]), (&"dba".into(), &2222.into()), "{hosts:#}");
}

#[test]
fn a_port_that_ansible_forgets_is_taken_with_a_warning() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("inv"), "n1 ansible_user=omm\n[g]\nn1:2022\n").unwrap();
    let run = Gsctl::at_home(home.path()).args(["-F", "none", "-f", "inv", "--json", "-", "hosts"]).run().expect(0);
    assert_eq!(run.json()["hosts"][0]["port"], 2022, "{run}");
    let want = "line 3: `n1:2022` is taken as it is written; Ansible forgets the port here";
    assert!(run.stderr.contains(want) && run.stderr.contains("`ansible_port=2022`"), "{run}");
}
