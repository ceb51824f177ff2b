//! `@failed`, `@unreachable` and `@ok`: hosts of the last run, as groups. A group of that name in a hosts file comes first.

use crate::cli::HostOptions;
use crate::exit::ExitStatus;
use crate::inventory::{Host, Inventory, Origin};
use crate::journal::Journal;
use crate::journal::past::{self, GROUPS, Past};

use super::fault::Fault;
use super::world::World;

/// Adds the groups that the options ask for. Reads no journal where they ask for none.
///
/// # Errors
/// When there is no past run, or it cannot be read.
pub(super) fn add(inventory: &mut Inventory, options: &HostOptions, world: &World) -> Result<Option<Past>, Fault> {
    let asked: Vec<&str> =
        GROUPS.into_iter().filter(|group| !inventory.groups.contains_key(*group) && asks(options, group)).collect();
    if asked.is_empty() {
        return Ok(None);
    }
    let past = past::last(&Journal::new(world.state_dir())).map_err(|problem| {
        let hint = problem.hint();
        Fault::usage(format!("`@{}`: {problem}", asked[0])).maybe_hint(hint)
    })?;
    for group in asked {
        let members: Vec<_> = past.hosts.iter().filter(|seen| seen.is_in(group)).collect();
        let named = options.hosts.iter().any(|set| names(set, group));
        for seen in &members {
            // A host that came from a host set keeps what that said.
            if named && !inventory.hosts.contains_key(&seen.host) {
                let mut host = Host::new(&seen.host);
                host.settings.clone_from(&inventory.all);
                host.set("port", seen.port.to_string(), Origin::HostSet);
                if let Some(user) = &seen.user {
                    host.set("user", user, Origin::HostSet);
                }
                inventory.hosts.insert(seen.host.clone(), host);
            }
        }
        inventory.groups.insert(group.to_owned(), members.iter().map(|seen| seen.host.clone()).collect());
    }
    Ok(Some(past))
}

/// Says that nobody is in the groups.
#[must_use]
pub(super) fn nobody(options: &HostOptions, past: Option<&Past>) -> Option<Fault> {
    let past = past?;
    let groups: Vec<String> =
        GROUPS.iter().filter(|group| asks(options, group)).map(|group| format!("`@{group}`")).collect();
    Some(Fault {
        status: ExitStatus::NoHosts,
        message: format!("no host selected: none of the last run is in {}", groups.join(", ")),
        hint: Some(format!("the last run is {} (`{}`); `gsctl runs show` tells of it", past.run, past.command)),
    })
}

impl Past {
    /// What may not be meant.
    #[must_use]
    pub(super) fn warning(&self) -> Option<String> {
        let later = self.later.as_ref()?;
        let Self { run, command, .. } = self;
        Some(format!("the hosts are those of run {run} (`{command}`); the later run {later} has no end"))
    }
}

fn asks(options: &HostOptions, group: &str) -> bool {
    let in_groups = options.group.iter().flat_map(|groups| groups.split(',')).any(|name| name.trim() == group);
    in_groups || options.hosts.iter().chain(&options.intersect).chain(&options.exclude).any(|set| names(set, group))
}

fn names(set: &str, group: &str) -> bool {
    set.split([',', '!', '&', '^']).any(|element| element.trim().strip_prefix('@') == Some(group))
}
