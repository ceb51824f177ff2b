//! The first line of a run: what is done, on which hosts, and where those are from.

use std::fmt::Write as _;

use super::columns::width;
use super::{ViewContext, fold, plural, sanitize};

/// Longer host sets are left out: the count says enough, and `gsctl hosts` the rest.
const LONGEST: usize = 60;

/// What is known of a run before it begins.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// `Starting`, `Stopping`, `Running`, ...
    pub verb: &'static str,
    /// The hosts files that the hosts are from: `./hosts`. Empty where the hosts were only named.
    pub files: String,
    /// Nothing says which hosts are meant: all of a file that happened to be there.
    pub unasked: bool,
    /// It is said also where the run is no playbook.
    pub always: bool,
}

impl Opening {
    /// The verb for a plan of this name.
    #[must_use]
    pub fn verb(plan: &str, builtin: bool) -> &'static str {
        match plan.rsplit_once('/').map_or(plan, |(_, verb)| verb) {
            "exec" | "script" | "local" => "Running",
            "ping" => "Pinging",
            "check" => "Checking",
            "wait" => "Awaiting",
            "touch" => "Touching",
            "rm" => "Removing",
            "push" | "pull" => "Copying",
            _ if !builtin => "Playing",
            "start" => "Starting",
            "stop" => "Stopping",
            "restart" => "Restarting",
            "status" => "Asking",
            "diagnose" => "Diagnosing",
            "promote" => "Promoting",
            _ => "Playing",
        }
    }

    /// `node[1-3] (3 hosts of ./hosts), 4 steps`.
    pub(super) fn words(&self, steps: usize, fanout: usize, ctx: &ViewContext) -> String {
        let names: Vec<&str> = ctx.names.iter().map(|name| &**name).collect();
        let folded = fold(&names);
        let mut count = plural::hosts(names.len());
        if !self.files.is_empty() {
            let all = if self.unasked { "all " } else { "" };
            count = format!("{all}{count} of {}", sanitize::words(&self.files));
        }
        if self.unasked {
            count.push_str(", as nothing says which");
        }
        let mut text = match (width(&folded) > LONGEST, names.len() == 1 && self.files.is_empty()) {
            (true, _) => count,
            (false, true) => folded,
            (false, false) => format!("{folded} ({count})"),
        };
        if steps > 1 {
            let _ = write!(text, ", {}", plural::steps(steps));
        }
        if fanout < names.len() {
            let _ = write!(text, ", fanout {fanout}");
        }
        text
    }
}
