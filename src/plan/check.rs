//! A check: one thing that holds on a host, or does not.

/// One thing to check on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// A process of this name runs, and where a path is given, from this executable. A zombie does not count.
    Process {
        /// The name as in `/proc/PID/comm`.
        name: String,
        /// The executable.
        path: Option<String>,
    },
    /// No such process runs.
    NoProcess {
        /// As that of [`Check::Process`].
        name: String,
        /// The executable.
        path: Option<String>,
    },
    /// A command ends with status 0.
    Command(String),
    /// Something listens on this TCP port of the node.
    Port(u16),
    /// A file is there.
    File(String),
    /// A file is gone.
    NoFile(String),
}
