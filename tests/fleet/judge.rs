//! A report held against the record of what the fleet did: no false success, no false failure, nobody forgotten.

use std::collections::BTreeMap;

use serde_json::Value;

use super::plan;
use super::record::{Deed, Line};

/// What is known of one host.
#[derive(Debug, Default)]
struct Truth {
    begun: usize,
    told: Option<(u8, usize)>,
    signal: bool,
    /// Something went wrong on some connection, on purpose.
    wronged: bool,
    /// The connection was reset after the result was told: a client may have heard it, or not.
    unsure: bool,
    last_fault: Option<String>,
}

/// Everything that is false in a report; empty: nothing. `refused` hosts never saw a connection on purpose.
pub(crate) fn judge(hosts: usize, record: &str, report: &Value, refused: impl Fn(usize) -> bool) -> Vec<String> {
    let mut truths: Vec<Truth> = (0..hosts).map(|_| Truth::default()).collect();
    for line in record.lines() {
        let Line { host, deed, .. } = serde_json::from_str(line).expect("the record is the fleet's own");
        truths[host - 1].take(deed);
    }
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<&str, &Value> = BTreeMap::new();
    for host in report["hosts"].as_array().expect("a report has hosts") {
        let name = host["host"].as_str().unwrap_or_default();
        if seen.insert(name, host).is_some() {
            wrong.push(format!("{name} is in the report twice"));
        }
    }
    if seen.len() != hosts {
        wrong.push(format!("{} hosts in the report, of {hosts}", seen.len()));
    }
    for (index, truth) in truths.iter().enumerate() {
        let number = index + 1;
        let name = plan::name(number);
        match seen.get(name.as_str()) {
            None => wrong.push(format!("{name} is missing from the report")),
            Some(host) => {
                if let Err(said) = truth.allows(number, host, refused(number)) {
                    wrong.push(format!("{name}: {said}; reported {host}; done {truth:?}"));
                }
            }
        }
    }
    wrong
}

impl Truth {
    fn take(&mut self, deed: Deed) {
        match deed {
            Deed::Open(fault) => {
                self.wronged |= fault.is_some();
                self.last_fault = fault;
            }
            Deed::Begun(_) => self.begun += 1,
            Deed::Told { status, output, .. } => self.told = Some((status, output)),
            Deed::Signal(_) => self.signal = true,
            Deed::Reset => self.unsure |= self.told.is_some(),
            Deed::Login | Deed::Looked | Deed::Silent(_) | Deed::Killed(_) => {}
        }
    }

    /// Whether a host's part of a report can be true.
    fn allows(&self, number: usize, host: &Value, refused: bool) -> Result<(), String> {
        if self.begun > 1 {
            return Err(format!("the command was run {} times", self.begun));
        }
        let outcome = host["outcome"].as_str().unwrap_or_default();
        let status = host["exit_status"].as_u64();
        match (outcome, self.told) {
            ("ok" | "changed", Some((0, output))) => {
                let (said, meant) = (host["stdout"].as_str().unwrap_or_default(), plan::output(number, output));
                if said == meant { Ok(()) } else { Err(format!("{} bytes of output, not {output}", said.len())) }
            }
            ("ok" | "changed", _) => Err("false success".to_owned()),
            ("failed", Some((told @ 1.., _))) if status == Some(u64::from(told)) => Ok(()),
            ("failed", _) if self.signal => Ok(()),
            ("failed", _) => Err("false failure".to_owned()),
            ("timed_out", None) if matches!(self.last_fault.as_deref(), Some("hang" | "endless")) => Ok(()),
            ("unreachable", None) if self.wronged || refused => Ok(()),
            ("unreachable", Some(_)) if self.unsure => Ok(()),
            _ => Err(format!("`{outcome}` is not what happened")),
        }
    }
}
