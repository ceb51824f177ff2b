//! A probe: a look at a node, and the states that it may find there.

use std::sync::Arc;

use super::Condition;

/// A look at a node: a POSIX sh script that prints `key=value` lines.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Where the script came from, for messages: `opengauss/node.sh`.
    pub source: String,
    /// The script's text. Every variable of the plan is set in it as a shell variable of that name.
    pub script: Arc<str>,
    /// Named states of a node; the first that matches becomes the fact `state`. Empty where the script prints `state` itself.
    pub states: Vec<StateRule>,
}

/// A named state of a node and what makes it so.
#[derive(Debug, Clone)]
pub struct StateRule {
    /// The state's name: `stopped`, `stopping`, ...
    pub state: String,
    /// What must hold.
    pub when: Condition,
}
