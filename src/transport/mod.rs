//! SSH. The only folder that opens sockets.

pub mod agent;
pub mod config;
pub mod keys;
pub mod known_hosts;
