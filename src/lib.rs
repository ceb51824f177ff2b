//! gsctl: start, watch and ask database clusters over plain SSH.

pub mod duration;
pub mod event;
pub mod exit;
pub mod inventory;
pub mod outcome;
pub mod plan;
pub mod playbook;
pub mod report;
pub mod reporter;
pub mod stats;
pub mod transport;
