//! SSH. The only folder that opens sockets.
//!
//! Gives sessions and what commands on them did, as data. Knows nothing of runs, steps or reports.

pub mod agent;
pub mod algorithms;
mod channel;
mod child;
mod classify;
pub mod config;
pub mod connect;
mod connection;
mod door;
pub mod exec;
mod gate;
mod kexinit;
pub mod keys;
pub mod known_hosts;
mod login;
pub mod openssh;
mod passage;
mod proxy;
mod resolve;
mod session;
pub mod target;
pub mod trailer;
pub mod transfer;
mod wire;

pub use connect::{Arrival, Connector, Progress, pause_after};
pub use connection::Connection;
pub use exec::{Command, End, Ran, posix};
pub use login::agent_of_use;
pub use target::{AgentUse, Method, ProxyCommand, Target, Via};
pub use trailer::Mark;
pub use transfer::{Ending, Moved, Order};

/// `1 key`, `3 keys`.
fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}
