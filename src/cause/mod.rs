//! Why a node does not come up: documented causes as data, and how one is recognised in what a node's logs say.
//!
//! The causes stand in `playbooks/<system>/causes.yaml`. A playbook names the catalogues that it uses; its evidence script
//! sends the bytes that matter of the right logs, and they are held against the catalogue on this side, with one regex
//! engine. Pure: must not touch a file or a host.

mod catalogue;
mod csv;
mod decisive;
mod diagnosis;
mod evidence;
mod markdown;
mod problem;
#[cfg(test)]
mod tests;
mod words;

pub use catalogue::{Catalogue, builtin, find, ids};
pub use diagnosis::diagnose;
pub use evidence::Evidence;
pub use markdown::{explanation, page};
