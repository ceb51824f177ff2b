//! Whether a plan can be carried out on the hosts that were selected.

use super::PendingRun;
use crate::diagnostic::Diagnostic;

impl PendingRun<'_> {
    /// Whether the plan can be carried out on hosts like these.
    pub(super) fn check_selection(&self) -> Result<(), Diagnostic> {
        self.plan
            .check_groups(&self.selected.groups)
            .map_err(|unknown| Diagnostic::usage(unknown.to_string()).hint(unknown.hint()))?;
        self.check_partition()?;
        self.check_count()?;
        self.check_quorum()
    }

    /// What is about all hosts together cannot be shared out.
    fn check_partition(&self) -> Result<(), Diagnostic> {
        let Some(partition) = self.selected.partition else { return Ok(()) };
        let Some(why) = self.plan.about_whole() else { return Ok(()) };
        Err(Diagnostic::usage(format!("`--partition {partition}` of `{}`: {why}", self.plan.name))
            .hint("leave --partition out; a cluster of its own is chosen with -f or -g"))
    }

    /// Some things are done to one host only.
    fn check_count(&self) -> Result<(), Diagnostic> {
        let (selected, most) = (self.selected.hosts.len(), self.plan.max_hosts.unwrap_or(usize::MAX));
        if selected <= most {
            return Ok(());
        }
        let hosts = if most == 1 { "one host".to_owned() } else { format!("{most} hosts") };
        Err(Diagnostic::usage(format!("`{}` is for {hosts} at a time, not {selected}", self.plan.name))
            .hint("choose with -w, as in `-w node2`"))
    }

    /// More hosts than there are can't be waited for.
    fn check_quorum(&self) -> Result<(), Diagnostic> {
        let hosts = self.selected.hosts.len();
        match self.plan.wanted() {
            Some(wanted) if wanted > hosts => {
                Err(Diagnostic::usage(format!("`--quorum {wanted}` of {hosts} selected hosts"))
                    .hint("write fewer, or a part: `50%`"))
            }
            _ => Ok(()),
        }
    }
}
