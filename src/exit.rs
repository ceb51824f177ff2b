//! Exit statuses: the whole table, in one place.

use std::process::ExitCode;

/// How gsctl ends. Numbers 3, 4 and 5 are pssh's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// 0: every selected host did what was asked.
    Success,
    /// 1: gsctl itself failed: a report could not be written, or a bug.
    Broken,
    /// 2: usage, hosts file, playbook or key file wrong; nothing was contacted.
    Usage,
    /// 3: on some host a command timed out or was killed by a signal.
    TimedOut,
    /// 4: some host unreachable: resolve, connect, host key, auth, connection lost.
    Unreachable,
    /// 5: every host answered, but a command, check or wait failed on some.
    Failed,
    /// 6: no host selected.
    NoHosts,
    /// 7: refused: a state was found in which it is wrong to go on; nothing was changed.
    Refused,
    /// 130: interrupted.
    Interrupted,
    /// 143: terminated.
    Terminated,
    /// The highest exit status of the commands on the hosts, where that was asked for in the place of 0 and 5.
    Remote(u8),
}

impl ExitStatus {
    /// Every exit status of gsctl's own, by number.
    pub const ALL: [Self; 10] = [
        Self::Success,
        Self::Broken,
        Self::Usage,
        Self::TimedOut,
        Self::Unreachable,
        Self::Failed,
        Self::NoHosts,
        Self::Refused,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Broken => 1,
            Self::Usage => 2,
            Self::TimedOut => 3,
            Self::Unreachable => 4,
            Self::Failed => 5,
            Self::NoHosts => 6,
            Self::Refused => 7,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::Remote(status) => status,
        }
    }

    /// The word that stands beside the number in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Broken => "broken",
            Self::Usage => "usage",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Failed => "failed",
            Self::NoHosts => "no_hosts",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
            Self::Remote(_) => "remote",
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}
