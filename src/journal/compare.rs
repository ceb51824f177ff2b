//! Whether a run may go on: what has changed since, and what it has done already. Pure.

use std::collections::{HashMap, HashSet};

use super::record::{PlaybookRecord, RunRecord};
use crate::runner::Resume;

/// What is other than it was, each in words. Empty: the run may go on.
#[must_use]
pub fn changes(was: &PlaybookRecord, now: &PlaybookRecord) -> Vec<String> {
    let mut changes = Vec::new();
    if was.digest != now.digest {
        changes.push("the playbook, or a script that it uses, has changed".to_owned());
    }
    let hosts = host_changes(was, now);
    if hosts.is_empty() {
        let mut names: Vec<&str> = was.vars.keys().chain(now.vars.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| was.vars.get(*name) != now.vars.get(*name));
        changes.extend(names.iter().map(|name| format!("variable `{name}` has changed")));
    } else {
        // Values are compared over all hosts, so with other hosts they cannot be.
        changes.push(format!("the hosts have changed: {}", hosts.join(", ")));
    }
    changes
}

fn host_changes(was: &PlaybookRecord, now: &PlaybookRecord) -> Vec<String> {
    /// More than these are only counted.
    const MOST: usize = 5;
    let before: HashMap<&str, _> = was.hosts.iter().map(|node| (node.host.as_str(), node)).collect();
    let after: HashSet<&str> = now.hosts.iter().map(|node| node.host.as_str()).collect();
    let gone = was.hosts.iter().filter(|node| !after.contains(node.host.as_str()));
    let mut changes: Vec<String> = gone.map(|node| format!("`{}` is not selected now", node.host)).collect();
    for node in &now.hosts {
        match before.get(node.host.as_str()) {
            None => changes.push(format!("`{}` is new", node.host)),
            Some(old) if old.place() != node.place() => {
                changes.push(format!("`{}` was at {}, and is at {} now", node.host, old.place(), node.place()));
            }
            Some(old) if old.user != node.user => {
                changes.push(format!("the user on `{}` was `{}`, and is `{}` now", node.host, old.user, node.user));
            }
            Some(_) => {}
        }
    }
    if changes.len() > MOST {
        let more = changes.len() - MOST;
        changes.truncate(MOST);
        changes.push(format!("and {more} more"));
    }
    changes
}

/// What a run has done already, in the numbers of the run that goes on.
#[must_use]
pub fn done(was: &RunRecord, now: &PlaybookRecord) -> Resume {
    let mut resume = Resume::default();
    let Some(played) = &was.playbook else { return resume };
    let hosts: HashMap<&str, usize> = (0..).zip(&now.hosts).map(|(id, node)| (node.host.as_str(), id)).collect();
    let steps: HashMap<&str, usize> = (0..).zip(&now.steps).map(|(id, step)| (step.name.as_str(), id)).collect();
    for step in &played.steps {
        let Some(&id) = steps.get(step.name.as_str()) else { continue };
        match step.end.as_deref() {
            Some("good") => {
                resume.good.insert(id);
            }
            Some("passed") => resume.from = resume.from.max(id + 1),
            Some(_) | None => {}
        }
        let done = step.hosts.iter().filter(|(_, outcome)| outcome.is_success());
        resume.done.insert(id, done.filter_map(|(host, _)| hosts.get(host.as_str()).copied()).collect());
    }
    for created in &played.cleanup {
        if let (Some(&step), Some(&host)) = (steps.get(created.step.as_str()), hosts.get(created.host.as_str())) {
            resume.to_clean.push((host, step, created.paths.clone()));
        }
    }
    resume.shared = played.shared.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    // A step that failed is done again, in the state that it was done in.
    let good = played.states.iter().rfind(|state| !state.failure).map(|state| state.state.clone());
    resume.state = good.or_else(|| was.state.clone());
    let of_steps = played.states.iter().filter(|state| !state.failure);
    resume.states =
        of_steps.filter_map(|state| Some((*steps.get(state.step.as_str())?, state.state.clone()))).collect();
    resume
}
