//! Open files and processes: each connection takes some, and there may be few.
//!
//! Raises this process's own limit as far as it may, and fits the run into it. Must not fail: a smaller run is still a run.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cli::Transport;
use crate::plan::{Action, Plan};
use crate::runner::RunSettings;

/// Descriptors for everything that is no connection: the terminal, reports, key and known hosts files, timers, signals.
const OWN: usize = 40;

/// Descriptors of a connection: ours to the server, and libssh2's, which elsewhere is one of a pair for good.
const CONNECTION: usize = if cfg!(target_os = "linux") { 2 } else { 3 };

/// Descriptors that a login has open beside: the other one of the pair.
const LOGIN: usize = 1;

/// Descriptors that a host which is worked on has open beside its connection: the file that is copied, the directory that
/// it goes to, and one on the way there.
const COPYING: usize = 3;

/// Descriptors that the system's `ssh` takes for a host that is worked on, beside what it always says: the command's streams,
/// and as many again while it is being started.
const TALKING: usize = 6;

/// Processes for everything that is no connection.
const OTHERS: usize = 64;

/// Makes room for a run, or makes the run smaller; gives back what there is to say about that. `holds`: all hosts are asked which
/// node they are before the first of them is changed.
pub(super) fn arrange(
    settings: &mut RunSettings,
    hosts: usize,
    plan: &Plan,
    holds: bool,
    transport: Transport,
) -> Option<String> {
    let steps = plan.steps.len();
    let copies = plan.steps.iter().any(|step| matches!(step.action, Action::Push(_) | Action::Pull(_)));
    let more = match transport {
        Transport::OpenSsh => TALKING,
        Transport::Native if copies => LOGIN + COPYING,
        Transport::Native => LOGIN,
    };
    let each = if transport == Transport::Native { CONNECTION } else { 1 };
    let comes_back = match steps {
        0 | 1 => plan.steps.iter().any(|step| matches!(step.action, Action::Wait(_))).then_some("look"),
        _ => Some("step"),
    };
    let connections = if comes_back.is_some() || holds { hosts.max(settings.fanout) } else { settings.fanout };
    let kept = connections.saturating_mul(each);
    let wanted = kept.saturating_add(settings.fanout.saturating_mul(more)).saturating_add(OWN);
    let files = Supply::files(raise(wanted), each, more);
    if comes_back.is_none() && holds && files.is_too_small_for(hosts, settings.fanout) {
        // So many at a time are asked, and nobody logs in twice.
        settings.keep = false;
    }
    let said = fit(settings, hosts, comes_back, &files);
    if transport == Transport::Native {
        return said;
    }
    // One that stays, and one for a command.
    let limit = getrlimit(Resource::Nproc).current.and_then(|limit| usize::try_from(limit).ok());
    let supply = Supply { limit, own: OTHERS, each: 1, more: 1, name: "processes may run (ulimit -u)" };
    if comes_back.is_none() && holds && supply.is_too_small_for(hosts, settings.fanout) {
        settings.keep = false;
    }
    match (said, fit(settings, hosts, comes_back, &supply)) {
        (Some(files), Some(processes)) => Some(format!("{files}; {processes}")),
        (files, processes) => files.or(processes),
    }
}

/// Makes room for connections to all of these hosts at once, and for copies on so many of them.
///
/// # Errors
/// Says how many files may be open where that is too few.
pub(super) fn room_for(hosts: usize, fanout: usize, transport: Transport) -> Result<(), String> {
    let (each, more) = if transport == Transport::Native { (CONNECTION, LOGIN + COPYING) } else { (1, TALKING) };
    let files = Supply::files(raise(hosts * each + fanout.min(hosts) * more + OWN), each, more);
    match files.limit {
        Some(limit) if files.is_too_small_for(hosts, fanout.min(hosts)) => {
            Err(format!("{limit} files may be open (ulimit -n), too few to keep connections to {hosts} hosts"))
        }
        _ => Ok(()),
    }
}

/// What there is of something that connections take.
struct Supply {
    /// `None`: no limit.
    limit: Option<usize>,
    /// What everything else takes.
    own: usize,
    /// What a connection takes.
    each: usize,
    /// What a host that is worked on takes beside.
    more: usize,
    /// What it is, and that it is few.
    name: &'static str,
}

impl Supply {
    fn files(limit: Option<usize>, each: usize, more: usize) -> Self {
        Self { limit, own: OWN, each, more, name: "files may be open (ulimit -n)" }
    }

    /// Whether there is not enough to keep a connection to each host.
    fn is_too_small_for(&self, hosts: usize, fanout: usize) -> bool {
        let room = self.limit.map(|limit| limit.saturating_sub(self.own));
        room.is_some_and(|room| hosts * self.each + fanout * self.more > room)
    }
}

/// Raises the soft limit to what is wanted, where it is lower and the hard limit lets it. `None`: there is no limit.
fn raise(wanted: usize) -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    let (current, wanted) = (limit.current?, u64::try_from(wanted).unwrap_or(u64::MAX));
    if current >= wanted {
        return usize::try_from(current).ok();
    }
    let raised = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)).max(current);
    let done = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    usize::try_from(if done.is_ok() { raised } else { current }).ok()
}

/// Fits a run into what there is. `comes_back`: for what each host is come back to, if it is.
fn fit(settings: &mut RunSettings, hosts: usize, comes_back: Option<&str>, supply: &Supply) -> Option<String> {
    let Supply { limit: Some(limit), own, each, more, name } = *supply else { return None };
    let room = limit.saturating_sub(own);
    let mut said = Vec::new();
    let at_once = (room / (each + more)).max(1);
    if settings.fanout > at_once {
        settings.fanout = at_once;
        said.push(format!("only {at_once} hosts are worked on at once"));
    }
    if let Some(what) = comes_back.filter(|_| settings.keep && supply.is_too_small_for(hosts, settings.fanout)) {
        settings.keep = false;
        said.push(format!("every {what} has to log in again"));
    }
    (!said.is_empty()).then(|| format!("{limit} {name}, so {}", said.join(", and ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::AllowUnreachable;

    #[track_caller]
    fn case(hosts: usize, comes_back: bool, each: usize, more: usize, limit: Option<usize>, fanout: usize, keep: bool) {
        let mut settings = RunSettings {
            canary: None,
            fanout: hosts.min(128),
            keep: true,
            resume: None,
            serial: None,
            max_fail: None,
            deadline: None,
            allow_unreachable: AllowUnreachable::Count(0),
            force: false,
            stream: false,
            live: false,
            follow: false,
            writer: std::sync::Arc::default(),
        };
        let said = fit(&mut settings, hosts, comes_back.then_some("step"), &Supply::files(limit, each, more));
        assert_eq!((settings.fanout, settings.keep), (fanout, keep), "{said:?}");
        assert_eq!(said.is_some(), fanout < hosts.min(128) || !keep);
    }

    #[test]
    fn a_run_fits_into_what_there_is() {
        case(100, false, 1, 0, None, 100, true);
        case(100, false, 1, 0, Some(140), 100, true);
        case(100, false, 1, 0, Some(64), 24, true);
        case(1000, false, CONNECTION, LOGIN, Some(1024), 128, true);
        case(1000, true, 1, 0, Some(1024), 128, false);
        case(900, true, 1, 0, Some(1024), 128, true);
        case(900, true, CONNECTION, LOGIN, Some(1024), 128, false);
        case(280, true, CONNECTION, LOGIN, Some(1024), 128, true);
        case(5, true, CONNECTION, 0, Some(10), 1, false);
        case(100, false, 3, COPYING, Some(140), 16, true);
        case(100, true, 3, COPYING, Some(140), 16, false);
        case(100, false, CONNECTION, LOGIN + COPYING, Some(640), 100, true);
    }
}
