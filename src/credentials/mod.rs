//! What a login is made with: key files, ssh-agents, and the host keys of `known_hosts`. Opens no connection but to an agent.
pub mod agent;
pub mod keys;
pub mod known_hosts;
