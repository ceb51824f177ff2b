//! SSH. The only folder that opens sockets.
//!
//! Gives sessions and what commands on them did, as data. Knows nothing of runs, steps or reports.

pub mod algorithms;
mod child;
mod child_process;
mod classify;
pub mod connect;
mod connection;
pub mod copy;
pub mod exec;
mod host_key;
mod intake;
mod jump;
mod kexinit;
mod libraries;
mod local;
mod login;
mod login_limit;
pub mod openssh;
mod resolve;
mod session;
mod socket;
pub mod target;

pub use algorithms::default_ciphers;
pub use connect::{ConnectProgress, ConnectResult, Connector, pause_after};
pub use connection::Connection;
pub use copy::{CopyDirection, CopyEnd, CopyProgress, CopyRequest, CopyResult};
pub use exec::command::{Begun, Command, CommandEnd, CommandResult};
pub use exec::kill::KillResult;
pub use exec::looks::Looks;
pub use exec::marks::Mark;
pub use exec::sudo::SudoRefusal;
pub use exec::wire_text;
pub use exec::wrapper::{Runner, unwrap_program, unwrap_request};

pub use libraries::libraries;
pub use login::agent_of_use;
pub use target::{AgentUse, Method, ProxyCommand, Target, TargetSettings, Via};
