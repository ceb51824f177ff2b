//! How far a startup chain has come on a host: its stages, as last seen.

use std::time::Duration;

/// One stage of a startup chain on one host, as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageState {
    /// The stage's name in the playbook.
    pub stage: String,
    /// True when its fact says that it is up.
    pub up: bool,
    /// The fact's value as last seen, `None` where the probe said nothing.
    pub value: Option<String>,
    /// When it was first seen up, from the start of the wait. `None` where it is not up, or was up before the wait.
    pub after: Option<Duration>,
    /// The playbook's hint for this stage.
    pub hint: Option<String>,
}

impl StageState {
    /// True where it is named after what is to be true (`gaussdb gone`, `marker there`), and not after a thing: that is not
    /// missing, but not reached.
    #[must_use]
    pub fn is_condition(&self) -> bool {
        goes_down(&self.stage) || self.stage.ends_with(" there")
    }

    /// True where these stages are those of a stop: its chain goes down.
    #[must_use]
    pub fn lead_down(stages: &[Self]) -> bool {
        stages.last().is_some_and(|stage| goes_down(&stage.stage))
    }
}

/// True where a stage of this name is reached when something is gone (`gaussdb gone`), as those of a stop are.
#[must_use]
pub fn goes_down(stage: &str) -> bool {
    stage.ends_with(" gone")
}
