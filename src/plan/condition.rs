//! Conditions on what is known of a node, and what follows where one holds.

use std::time::Duration;

use super::Template;

/// Tests that must all hold.
#[derive(Debug, Clone, Default)]
pub struct Condition {
    /// Facts and the values that they may have. A fact that is not known is empty text.
    pub facts: Vec<(String, Vec<Template>)>,
    /// Facts and the values that they must not have.
    pub not: Vec<(String, Vec<Template>)>,
    /// Files that must be there (looked at on the node just before the step).
    pub exists: Vec<Template>,
    /// Files that must not be there.
    pub missing: Vec<Template>,
}

impl Condition {
    /// Whether there is no test in it, so that it always holds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.not.is_empty() && self.exists.is_empty() && self.missing.is_empty()
    }
}

/// A condition and what it means.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What must hold.
    pub when: Condition,
    /// The reason, for the report.
    pub because: Template,
    /// What to do about it.
    pub hint: Option<Template>,
    /// Must have held for this long before it counts (waits only).
    pub after: Duration,
}

/// Something that the user should know once every host was looked at.
#[derive(Debug, Clone)]
pub struct Remark {
    /// What must hold on a host.
    pub when: Condition,
    /// It is about hosts that could not be looked at, not about those that were.
    pub hosts_missing: bool,
    /// What to say.
    pub because: Template,
    /// What to do about it.
    pub hint: Option<Template>,
}
