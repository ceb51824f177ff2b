//! Host keys that a run has recorded, by the names that the user knows.

use std::collections::HashMap;
use std::sync::Arc;

use crate::credentials::known_hosts::KnownHosts;
use crate::report::RecordedKey;
use crate::transport::Target;

/// The known hosts of a run, and what their names mean.
pub(super) struct KeyNames {
    known: Vec<Arc<KnownHosts>>,
    /// Of a name and port that are looked up, the host.
    hosts: HashMap<(String, u16), String>,
}

impl KeyNames {
    /// Those of all targets and of what carries them.
    pub(super) fn new(targets: &[Target]) -> Self {
        let mut known: HashMap<*const KnownHosts, Arc<KnownHosts>> = HashMap::new();
        let mut hosts = HashMap::new();
        for target in targets {
            for target in std::iter::once(target).chain(target.hops()) {
                known.entry(Arc::as_ptr(&target.known_hosts)).or_insert_with(|| target.known_hosts.clone());
                let looked_up = (target.host_key_name.clone(), target.host_key_port);
                hosts.entry(looked_up).or_insert_with(|| target.name.clone());
            }
        }
        Self { known: known.into_values().collect(), hosts }
    }

    /// What was recorded meanwhile, in order of the hosts' names.
    pub(super) fn recorded(&self) -> Vec<RecordedKey> {
        let added = self.known.iter().flat_map(|known| known.take_added());
        let mut recorded: Vec<RecordedKey> = added
            .map(|added| RecordedKey {
                host: self.hosts.get(&(added.name.clone(), added.port)).cloned().unwrap_or(added.name),
                key_type: added.key_type,
                fingerprint: added.fingerprint,
                file: added.file.display().to_string(),
            })
            .collect();
        recorded.sort_by(|one, other| one.host.cmp(&other.host));
        recorded
    }
}
