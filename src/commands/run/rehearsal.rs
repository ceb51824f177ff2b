//! What would run, printed instead of run.

use std::io::Write as _;

use indexmap::IndexMap;

use super::PendingRun;
use crate::commands::environment::Environment;
use crate::commands::hosts;
use crate::diagnostic::Diagnostic;
use crate::exit::ExitStatus;
use crate::inventory::hostset::fold;
use crate::reporter::harmless::Harmless;
use crate::runner::{self, RunHost};

impl PendingRun<'_> {
    /// Prints what would run; contacts no host. Hosts for which it is the same are named together.
    pub(super) fn rehearsal(&self, run_hosts: &[RunHost]) -> Result<ExitStatus, Diagnostic> {
        let mut groups: IndexMap<Vec<(String, String)>, Vec<&str>> = IndexMap::new();
        for run_host in run_hosts {
            let texts = runner::rehearse(&self.plan, run_host).map_err(Diagnostic::usage)?;
            groups.entry(texts).or_default().push(&run_host.name);
        }
        let mut out = Harmless::new(std::io::stdout().lock(), self.environment.stdout_tty);
        let written = (|| {
            for (texts, names) in &groups {
                writeln!(out, "# on {}", fold(names))?;
                for (index, (name, text)) in texts.iter().enumerate() {
                    writeln!(out, "## step {} of {}: {name}", index + 1, texts.len())?;
                    writeln!(out, "{}", if text.is_empty() { "# (no command)" } else { text })?;
                }
            }
            out.flush()
        })();
        hosts::finish(written)
    }
}

/// Prints text that was asked for. A reader that went away is no error.
pub(super) fn printed(text: &str, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let mut out = Harmless::new(std::io::stdout().lock(), environment.stdout_tty);
    Ok(hosts::finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))?)
}
