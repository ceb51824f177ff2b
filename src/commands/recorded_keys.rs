//! Host keys that a run has recorded, by the names that the user knows.

use std::collections::HashMap;
use std::sync::Arc;

use crate::credentials::known_hosts::KnownHosts;
use crate::report::RecordedKey;
use crate::transport::Target;

/// What was recorded of these targets and of what carries them since that was asked last, in order of the hosts' names.
pub(super) fn recorded_keys(targets: &[Target]) -> Vec<RecordedKey> {
    let all = || targets.iter().flat_map(|target| std::iter::once(target).chain(target.hops()));
    let known: HashMap<*const KnownHosts, &KnownHosts> =
        all().map(|target| (Arc::as_ptr(&target.settings.known_hosts), &*target.settings.known_hosts)).collect();
    let added: Vec<_> = known.into_values().flat_map(KnownHosts::take_added).collect();
    if added.is_empty() {
        return Vec::new();
    }
    // Of a name and port that are looked up, the host: the first where several have the same.
    let mut hosts: HashMap<(&str, u16), &str> = HashMap::new();
    for target in all() {
        hosts.entry((&target.host_key_name, target.host_key_port)).or_insert(&target.name);
    }
    let mut recorded: Vec<RecordedKey> = added
        .into_iter()
        .map(|added| RecordedKey {
            host: hosts.get(&(added.name.as_str(), added.port)).map_or(added.name.clone(), |name| (*name).to_owned()),
            key_type: added.key_type,
            fingerprint: added.fingerprint,
            file: added.file.display().to_string(),
        })
        .collect();
    recorded.sort_by(|one, other| one.host.cmp(&other.host));
    recorded
}
