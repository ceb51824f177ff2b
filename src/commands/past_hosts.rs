//! `@failed`, `@unreachable` and `@ok`: hosts of the last run, as groups; `@failed:RUN` those of another. A group of that
//! name in a hosts file comes first.

use std::sync::Arc;

use indexmap::IndexSet;

use crate::cli::HostOptions;
use crate::exit::ExitStatus;
use crate::inventory::{Host, Inventory, Origin};
use crate::journal::Journal;
use crate::journal::past::{self, GROUPS, PastRun};

use super::environment::Environment;
use crate::diagnostic::Diagnostic;

/// A group of a past run, as it is asked for.
struct PastGroup<'a> {
    /// `failed`, or `failed:RUN`.
    name: &'a str,
    /// `failed`.
    group: &'a str,
    /// The run's id, or the beginning of it; by default the last run.
    run: Option<&'a str>,
}

/// Adds the groups that the options ask for. Reads no journal where they ask for none.
///
/// # Errors
/// When there is no such run, or it cannot be read.
pub(super) fn add(
    inventory: &mut Inventory,
    options: &HostOptions,
    environment: &Environment,
) -> Result<Vec<PastRun>, Diagnostic> {
    let mut runs: Vec<(Option<&str>, PastRun)> = Vec::new();
    let journal = Journal::new(environment.state_dir());
    for PastGroup { name, group, run } in asked(options) {
        if inventory.groups.contains_key(name) {
            continue;
        }
        if !runs.iter().any(|(known, _)| *known == run) {
            let past = run.map_or_else(|| past::last(&journal), |run| past::named(&journal, run));
            let past = past.map_err(|problem| {
                let hint = problem.hint();
                Diagnostic::usage(format!("`@{name}`: {problem}")).maybe_hint(hint)
            })?;
            runs.push((run, past));
        }
        let Some((_, past)) = runs.iter().find(|(known, _)| *known == run) else { continue };
        let members: Vec<_> = past.hosts.iter().filter(|seen| seen.is_in(group)).collect();
        let named = options.hosts.iter().any(|set| elements(set).any(|element| element == format!("@{name}")));
        for seen in &members {
            // A host that came from a host set keeps what that said.
            if named && !inventory.hosts.contains_key(seen.host.as_str()) {
                let mut host = Host::new(seen.host.as_str());
                host.settings.clone_from(&inventory.all);
                host.set("port", seen.port.to_string(), Origin::HostSet);
                if let Some(user) = &seen.user {
                    host.set("user", user, Origin::HostSet);
                }
                inventory.hosts.insert(host.name.clone(), Arc::new(host));
            }
        }
        inventory.groups.insert(name.to_owned(), members.iter().map(|seen| seen.host.clone()).collect());
    }
    Ok(runs.into_iter().map(|(_, past)| past).collect())
}

/// The error for groups that have no hosts.
#[must_use]
pub(super) fn no_hosts(options: &HostOptions, runs: &[PastRun]) -> Option<Diagnostic> {
    let groups: Vec<String> = asked(options).iter().map(|asked| format!("`@{}`", asked.name)).collect();
    let groups = groups.join(", ");
    let [PastRun { run, command, .. }] = runs else {
        let message = format!("no host selected: nobody is in {groups}");
        let hint = "`gsctl runs show RUN` tells of a run".to_owned();
        return (!runs.is_empty()).then_some(Diagnostic { status: ExitStatus::NoHosts, message, hint: Some(hint) });
    };
    Some(Diagnostic {
        status: ExitStatus::NoHosts,
        message: format!("no host selected: nobody of that run is in {groups}"),
        hint: Some(format!("the run is {run} (`{command}`); `gsctl runs show {run}` tells of it")),
    })
}

impl PastRun {
    /// What may not be meant.
    #[must_use]
    pub(super) fn warning(&self) -> Option<String> {
        let later = self.later.as_ref()?;
        let Self { run, command, .. } = self;
        Some(format!("the hosts are those of run {run} (`{command}`); the later run {later} has no end"))
    }
}

/// The groups of past runs that the options ask for, each once.
fn asked(options: &HostOptions) -> Vec<PastGroup<'_>> {
    let sets = options.hosts.iter().chain(&options.intersect).chain(&options.exclude);
    let in_sets = sets.flat_map(|set| elements(set)).filter_map(|element| element.strip_prefix('@'));
    let in_groups = options.group.iter().flat_map(|groups| groups.split(',')).map(str::trim);
    let names: IndexSet<&str> = in_sets.chain(in_groups).collect();
    let past = |name: &&'_ str| GROUPS.contains(&name.split(':').next().unwrap_or_default());
    names
        .into_iter()
        .filter(past)
        .map(|name| {
            let (group, run) = name.split_once(':').map_or((name, None), |(group, run)| (group, Some(run)));
            PastGroup { name, group, run }
        })
        .collect()
}

fn elements(set: &str) -> impl Iterator<Item = &str> {
    set.split(|c: char| matches!(c, ',' | '!' | '&' | '^') || c.is_whitespace())
}
