//! Whatever a host printed, the JSON report is JSON and holds it.
#![no_main]

use std::time::Duration;

use gsctl::testing::{Counts, ExitStatus, Facts, HostReport, Outcome, RunReport, write_report};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (String, Vec<u8>, Vec<u8>)| {
    let (name, stdout, stderr) = input;
    let text = std::str::from_utf8(&stdout).ok().map(str::to_owned);
    let host = HostReport {
        host: name.as_str().into(),
        address: None,
        user: None,
        port: 22,
        outcome: Outcome::Ok,
        changed: false,
        failure: None,
        cause: None,
        begun: true,
        attempts: 1,
        connect: None,
        elapsed: Duration::ZERO,
        exit_status: Some(0),
        signal: None,
        remote_killed: None,
        notes: Vec::new(),
        stdout: stdout.into(),
        stderr: stderr.into(),
        facts: Facts::new(),
        chain: Vec::new(),
        steps: Vec::new(),
    };
    let report = RunReport {
        run: "r".to_owned(),
        command: "exec".to_owned(),
        started: "t".to_owned(),
        elapsed: Duration::ZERO,
        status: ExitStatus::Success,
        state: None,
        waited: true,
        cluster: None,
        partition: None,
        merged: None,
        counts: Counts::default(),
        recorded_keys: Vec::new(),
        hosts: vec![host],
    };
    let mut json = Vec::new();
    write_report(&report, &mut json).expect("memory takes everything");
    let value: serde_json::Value = serde_json::from_slice(&json).expect("it is JSON");
    let host = &value["hosts"][0];
    assert_eq!(host["host"], name);
    match text {
        Some(text) => assert_eq!(host["stdout"], text),
        None => assert!(host["stdout_base64"].is_string()),
    }
});
