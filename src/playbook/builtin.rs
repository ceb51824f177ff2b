//! The playbooks that are compiled in.
//!
//! Must not read files at run time. To add a system, add its files under `playbooks/` and a line for each here.

use memchr::memmem;

/// Playbooks by name: `(name, text)`.
const PLAYBOOKS: &[(&str, &str)] = &[
    ("greenplum/diagnose", include_str!("../../playbooks/greenplum/diagnose.yaml")),
    ("greenplum/promote", include_str!("../../playbooks/greenplum/promote.yaml")),
    ("greenplum/recover", include_str!("../../playbooks/greenplum/recover.yaml")),
    ("greenplum/restart", include_str!("../../playbooks/greenplum/restart.yaml")),
    ("greenplum/start", include_str!("../../playbooks/greenplum/start.yaml")),
    ("greenplum/status", include_str!("../../playbooks/greenplum/status.yaml")),
    ("greenplum/stop", include_str!("../../playbooks/greenplum/stop.yaml")),
    ("opengauss/diagnose", include_str!("../../playbooks/opengauss/diagnose.yaml")),
    ("opengauss/pause", include_str!("../../playbooks/opengauss/pause.yaml")),
    ("opengauss/restart", include_str!("../../playbooks/opengauss/restart.yaml")),
    ("opengauss/resume", include_str!("../../playbooks/opengauss/resume.yaml")),
    ("opengauss/rolling-restart", include_str!("../../playbooks/opengauss/rolling-restart.yaml")),
    ("opengauss/start", include_str!("../../playbooks/opengauss/start.yaml")),
    ("opengauss/status", include_str!("../../playbooks/opengauss/status.yaml")),
    ("opengauss/stop", include_str!("../../playbooks/opengauss/stop.yaml")),
    ("oracle-rac/diagnose", include_str!("../../playbooks/oracle-rac/diagnose.yaml")),
    ("oracle-rac/restart", include_str!("../../playbooks/oracle-rac/restart.yaml")),
    ("oracle-rac/start", include_str!("../../playbooks/oracle-rac/start.yaml")),
    ("oracle-rac/status", include_str!("../../playbooks/oracle-rac/status.yaml")),
    ("oracle-rac/stop", include_str!("../../playbooks/oracle-rac/stop.yaml")),
    ("panweidb/diagnose", include_str!("../../playbooks/panweidb/diagnose.yaml")),
    ("panweidb/sdr-establish", include_str!("../../playbooks/panweidb/sdr-establish.yaml")),
    ("panweidb/sdr-failover", include_str!("../../playbooks/panweidb/sdr-failover.yaml")),
    ("panweidb/sdr-start-primary", include_str!("../../playbooks/panweidb/sdr-start-primary.yaml")),
    ("panweidb/sdr-start-standby", include_str!("../../playbooks/panweidb/sdr-start-standby.yaml")),
    ("panweidb/sdr-status", include_str!("../../playbooks/panweidb/sdr-status.yaml")),
    ("panweidb/sdr-stop", include_str!("../../playbooks/panweidb/sdr-stop.yaml")),
    ("panweidb/sdr-switchover", include_str!("../../playbooks/panweidb/sdr-switchover.yaml")),
    ("postgres/diagnose", include_str!("../../playbooks/postgres/diagnose.yaml")),
    ("postgres/promote", include_str!("../../playbooks/postgres/promote.yaml")),
    ("postgres/standby-build", include_str!("../../playbooks/postgres/standby-build.yaml")),
    ("postgres/status", include_str!("../../playbooks/postgres/status.yaml")),
];

/// Scripts by path.
const SCRIPTS: &[(&str, &str)] = &[
    ("greenplum/act.sh", include_str!("../../playbooks/greenplum/act.sh")),
    ("greenplum/cluster.sh", include_str!("../../playbooks/greenplum/cluster.sh")),
    ("greenplum/evidence.sh", include_str!("../../playbooks/greenplum/evidence.sh")),
    ("greenplum/lib.sh", include_str!("../../playbooks/greenplum/lib.sh")),
    ("greenplum/logs.sh", include_str!("../../playbooks/greenplum/logs.sh")),
    ("greenplum/look.sh", include_str!("../../playbooks/greenplum/look.sh")),
    ("greenplum/node.sh", include_str!("../../playbooks/greenplum/node.sh")),
    ("greenplum/standby.sh", include_str!("../../playbooks/greenplum/standby.sh")),
    ("opengauss/agent.sh", include_str!("../../playbooks/opengauss/agent.sh")),
    ("opengauss/cluster.sh", include_str!("../../playbooks/opengauss/cluster.sh")),
    ("opengauss/evidence.sh", include_str!("../../playbooks/opengauss/evidence.sh")),
    ("opengauss/logs.sh", include_str!("../../playbooks/opengauss/logs.sh")),
    ("opengauss/send.sh", include_str!("../../playbooks/opengauss/send.sh")),
    ("opengauss/processes.sh", include_str!("../../playbooks/opengauss/processes.sh")),
    ("opengauss/hints.sh", include_str!("../../playbooks/opengauss/hints.sh")),
    ("opengauss/lib.sh", include_str!("../../playbooks/opengauss/lib.sh")),
    ("opengauss/node.sh", include_str!("../../playbooks/opengauss/node.sh")),
    ("opengauss/obstacles.sh", include_str!("../../playbooks/opengauss/obstacles.sh")),
    ("opengauss/query.sh", include_str!("../../playbooks/opengauss/query.sh")),
    ("opengauss/role.sh", include_str!("../../playbooks/opengauss/role.sh")),
    ("opengauss/switchover.sh", include_str!("../../playbooks/opengauss/switchover.sh")),
    ("opengauss/view.sh", include_str!("../../playbooks/opengauss/view.sh")),
    ("oracle-rac/check.sh", include_str!("../../playbooks/oracle-rac/check.sh")),
    ("oracle-rac/evidence.sh", include_str!("../../playbooks/oracle-rac/evidence.sh")),
    ("oracle-rac/lib.sh", include_str!("../../playbooks/oracle-rac/lib.sh")),
    ("oracle-rac/logs.sh", include_str!("../../playbooks/oracle-rac/logs.sh")),
    ("oracle-rac/node.sh", include_str!("../../playbooks/oracle-rac/node.sh")),
    ("oracle-rac/order.sh", include_str!("../../playbooks/oracle-rac/order.sh")),
    ("oracle-rac/start.sh", include_str!("../../playbooks/oracle-rac/start.sh")),
    ("oracle-rac/stop.sh", include_str!("../../playbooks/oracle-rac/stop.sh")),
    (
        "panweidb/sdr-evidence.sh",
        concat!(
            include_str!("../../playbooks/panweidb/lib.sh"),
            include_str!("../../playbooks/panweidb/build.sh"),
            include_str!("../../playbooks/panweidb/evidence.sh")
        ),
    ),
    (
        "panweidb/sdr-find.sh",
        concat!(include_str!("../../playbooks/panweidb/lib.sh"), include_str!("../../playbooks/panweidb/find.sh")),
    ),
    (
        "panweidb/sdr-node.sh",
        concat!(
            include_str!("../../playbooks/panweidb/lib.sh"),
            include_str!("../../playbooks/panweidb/build.sh"),
            include_str!("../../playbooks/panweidb/node.sh")
        ),
    ),
    (
        "panweidb/sdr-role.sh",
        concat!(
            include_str!("../../playbooks/panweidb/lib.sh"),
            include_str!("../../playbooks/panweidb/build.sh"),
            include_str!("../../playbooks/panweidb/node.sh"),
            include_str!("../../playbooks/panweidb/config.sh"),
            include_str!("../../playbooks/panweidb/user.sh"),
            include_str!("../../playbooks/panweidb/start.sh"),
            include_str!("../../playbooks/panweidb/role.sh"),
            include_str!("../../playbooks/panweidb/parts.sh")
        ),
    ),
    (
        "panweidb/sdr-start.sh",
        concat!(
            include_str!("../../playbooks/panweidb/lib.sh"),
            include_str!("../../playbooks/panweidb/build.sh"),
            include_str!("../../playbooks/panweidb/node.sh"),
            include_str!("../../playbooks/panweidb/config.sh"),
            include_str!("../../playbooks/panweidb/user.sh"),
            include_str!("../../playbooks/panweidb/start.sh"),
            include_str!("../../playbooks/panweidb/parts.sh")
        ),
    ),
    ("shared/logs.sh", include_str!("../../playbooks/shared/logs.sh")),
    ("postgres/build.sh", include_str!("../../playbooks/postgres/build.sh")),
    ("postgres/evidence.sh", include_str!("../../playbooks/postgres/evidence.sh")),
    ("postgres/node.sh", include_str!("../../playbooks/postgres/node.sh")),
    ("postgres/promote.sh", include_str!("../../playbooks/postgres/promote.sh")),
    ("postgres/writes.sh", include_str!("../../playbooks/postgres/writes.sh")),
];

/// Names and summaries of all of them.
#[must_use]
pub fn list() -> Vec<(&'static str, &'static str)> {
    PLAYBOOKS.iter().map(|(name, text)| (*name, summary(text))).collect()
}

/// Names of all of them.
pub fn names() -> impl Iterator<Item = &'static str> {
    PLAYBOOKS.iter().map(|(name, _)| *name)
}

/// The text of a playbook, to be shown and edited. Disaster recovery of openGauss is that of `PanWeiDB`, by either name.
#[must_use]
pub fn source(name: &str) -> Option<&'static str> {
    let other = name.strip_prefix("opengauss/").filter(|verb| verb.starts_with("sdr-"));
    let is_it = |known: &str| known == name || (other.is_some() && known.strip_prefix("panweidb/") == other);
    PLAYBOOKS.iter().find(|(known, _)| is_it(known)).map(|(_, text)| *text)
}

/// The text of a script.
#[must_use]
pub fn script(path: &str) -> Option<&'static str> {
    SCRIPTS.iter().find(|(known, _)| *known == path).map(|(_, text)| *text)
}

/// The paths of all scripts.
pub(super) fn scripts() -> impl Iterator<Item = &'static str> {
    SCRIPTS.iter().map(|(path, _)| *path)
}

/// The texts that a text uses, and those that they use: every playbook and script whose name stands in one of them.
#[must_use]
pub fn used_by(text: &str) -> Vec<(&'static str, &'static str)> {
    let mut used: Vec<(&'static str, &'static str)> = Vec::new();
    let mut left: Vec<&str> = vec![text];
    while let Some(text) = left.pop() {
        for (name, inner) in PLAYBOOKS.iter().chain(SCRIPTS) {
            let is_known = used.iter().any(|(known, _)| known == name);
            if !is_known && memmem::find(text.as_bytes(), name.as_bytes()).is_some() {
                used.push((name, inner));
                left.push(inner);
            }
        }
    }
    used.sort_unstable();
    used
}

/// The line after `summary:`. A test holds that every one has it on one plain line.
fn summary(text: &'static str) -> &'static str {
    text.lines().find_map(|line| line.strip_prefix("summary: ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::*;
    use crate::playbook::{Loader, NoFiles};

    #[test]
    fn every_one_loads() {
        for (name, summary) in list() {
            let loader = Loader { sources: &NoFiles, given: &IndexMap::new(), env: &|_| None, step_timeout: None };
            let plan = loader.load(name).unwrap_or_else(|problem| panic!("{problem}"));
            assert_eq!(plan.name, name);
            assert_eq!(plan.summary.as_deref(), Some(summary), "{name}: a plain summary on one line");
            assert!(!plan.steps.is_empty());
            assert!(plan.probes.values().all(|probe| !probe.script.is_empty()), "{name}");
        }
    }

    #[test]
    fn disaster_recovery_has_two_names() {
        for name in names().filter_map(|name| name.strip_prefix("panweidb/")).filter(|name| name.starts_with("sdr-")) {
            assert_eq!(source(&format!("opengauss/{name}")), source(&format!("panweidb/{name}")), "{name}");
        }
        for none in ["opengauss/sdr-", "opengauss/causes", "greenplum/sdr-stop", "panweidb/status"] {
            assert_eq!(source(none), None);
        }
    }

    #[test]
    fn every_script_is_used() {
        for (path, _) in SCRIPTS {
            assert!(PLAYBOOKS.iter().any(|(_, text)| text.contains(path)), "{path}");
        }
    }
}
