//! Text with `{variables}` in it.

/// Text with `{variables}` in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {}
