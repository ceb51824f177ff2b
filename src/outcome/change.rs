//! What became of paths on a node.

use serde::{Deserialize, Serialize};

/// What was done, or found already done, about one path on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The path as it was on the node, globs expanded.
    pub path: String,
    /// What became of it.
    pub action: ChangeKind,
    /// The node's own words when nothing came of it, and whatever else there is to say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Was there and is gone; verified.
    Removed,
    /// Was not there to begin with.
    Absent,
    /// Was not there and is now.
    Created,
    /// Was there already.
    Present,
    /// Has new content.
    Written,
    /// Had that content already.
    Same,
    /// Somebody may not do this.
    Denied,
    /// Nothing came of it for another reason.
    Failed,
    /// Is not there, and would be made.
    WouldCreate,
    /// Would get another content, mode, time or owner.
    WouldWrite,
}

impl ChangeKind {
    /// True when the node is different now.
    #[must_use]
    pub fn is_change(self) -> bool {
        matches!(self, Self::Removed | Self::Created | Self::Written)
    }

    /// What it is called that nothing came of a path, for this reason: denied only where somebody may not.
    #[must_use]
    pub fn refused(why: &str) -> Self {
        let why = why.to_lowercase();
        let denied = ["permission denied", "not permitted", "access denied"].iter().any(|words| why.contains(words));
        if denied { Self::Denied } else { Self::Failed }
    }

    /// True when nothing came of it.
    #[must_use]
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Denied | Self::Failed)
    }

    /// The word that people read.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Absent => "absent",
            Self::Created => "created",
            Self::Present => "present",
            Self::Written => "written",
            Self::Same => "same",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::WouldCreate => "would create",
            Self::WouldWrite => "would write",
        }
    }
}
