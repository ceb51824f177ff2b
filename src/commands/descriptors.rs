//! Open files and processes: each connection takes some, and there may be few.
//!
//! Raises this process's own limit as far as it may, and fits the run into it. Must not fail: a smaller run is still a run.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cli::Transport;
use crate::runner::Settings;

/// Descriptors for everything that is no connection: the terminal, reports, key and known hosts files, timers, signals.
const OWN: usize = 40;

/// Processes for everything that is no connection.
const OTHERS: usize = 64;

/// Makes room for a run, or makes the run smaller; gives back what there is to say about that.
pub(super) fn arrange(settings: &mut Settings, hosts: usize, steps: usize, transport: Transport) -> Option<String> {
    let wanted = if steps > 1 { hosts.max(settings.fanout) } else { settings.fanout };
    if transport == Transport::Native {
        return fit(settings, hosts, steps, &Supply::files(raise(wanted + OWN), 1));
    }
    // One for what ssh says, three for a command, and as many again while a process is being started.
    let files = fit(settings, hosts, steps, &Supply::files(raise(wanted * 5 + OWN), 5));
    // One that stays, and one for a command.
    let processes = getrlimit(Resource::Nproc).current.and_then(|limit| usize::try_from(limit).ok());
    let supply = Supply { limit: processes, own: OTHERS, each: 2, name: "processes may run (ulimit -u)" };
    let processes = fit(settings, hosts, steps, &supply);
    match (files, processes) {
        (Some(files), Some(processes)) => Some(format!("{files}; {processes}")),
        (files, processes) => files.or(processes),
    }
}

/// What there is of something that connections take.
struct Supply {
    /// `None`: no limit.
    limit: Option<usize>,
    /// What is taken by everything else.
    own: usize,
    /// What a connection takes.
    each: usize,
    name: &'static str,
}

impl Supply {
    fn files(limit: Option<usize>, each: usize) -> Self {
        Self { limit, own: OWN, each, name: "files may be open (ulimit -n)" }
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

/// Fits a run into what there is.
fn fit(settings: &mut Settings, hosts: usize, steps: usize, supply: &Supply) -> Option<String> {
    let limit = supply.limit?;
    let room = (limit.saturating_sub(supply.own) / supply.each).max(1);
    let mut said = Vec::new();
    if settings.fanout > room {
        settings.fanout = room;
        said.push(format!("only {room} hosts are worked on at once"));
    }
    if steps > 1 && hosts > room {
        settings.keep = false;
        said.push("every step has to log in again".to_owned());
    }
    (!said.is_empty()).then(|| format!("{limit} {}, so {}", supply.name, said.join(", and ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::Allow;

    #[track_caller]
    fn case(hosts: usize, steps: usize, limit: Option<usize>, fanout: usize, keep: bool) {
        let mut settings = Settings {
            canary: None,
            fanout: hosts.min(128),
            keep: true,
            resume: None,
            serial: None,
            max_fail: None,
            deadline: None,
            allow_unreachable: Allow::Count(0),
            force: false,
            stream: false,
            live: false,
        };
        let said = fit(&mut settings, hosts, steps, &Supply::files(limit, 1));
        assert_eq!((settings.fanout, settings.keep), (fanout, keep), "{said:?}");
        assert_eq!(said.is_some(), fanout < hosts.min(128) || !keep);
    }

    #[test]
    fn a_run_fits_into_what_there_is() {
        case(100, 1, None, 100, true);
        case(100, 1, Some(140), 100, true);
        case(100, 1, Some(64), 24, true);
        case(1000, 1, Some(1024), 128, true);
        case(1000, 2, Some(1024), 128, false);
        case(900, 2, Some(1024), 128, true);
        case(5, 2, Some(10), 1, false);
    }
}
