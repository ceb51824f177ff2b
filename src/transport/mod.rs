//! SSH. The only folder that opens sockets.
//!
//! Gives sessions and what commands on them did, as data. Knows nothing of runs, steps or reports.

pub mod agent;
pub mod algorithms;
mod channel;
mod child;
mod classify;
mod command;
pub mod config;
pub mod connect;
mod connection;
mod door;
pub mod exec;
mod feed;
mod gate;
mod heard;
mod host_key;
mod intake;
mod kexinit;
pub mod keys;
pub mod known_hosts;
mod login;
pub mod openssh;
mod passage;
mod proxy;
pub mod reader;
mod resolve;
mod session;
pub mod sudo;
pub mod target;
pub mod trailer;
pub mod transfer;
mod wire;

pub use command::{Command, End, Ran};
pub use connect::{Arrival, Connector, Progress, pause_after};
pub use connection::Connection;
pub use exec::posix;
pub use login::agent_of_use;
pub use sudo::Refusal;
pub use target::{AgentUse, Method, ProxyCommand, Target, Via};
pub use trailer::Mark;
pub use transfer::{Ending, Moved, Order, Tally, What};

/// `1 key`, `3 keys`.
fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}
