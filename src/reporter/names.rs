//! Names of the hosts of a run.

use std::ops::Deref;
use std::sync::Arc;

/// Names of the hosts of a run, in inventory order. A copy shares them, as a host shares its own.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<[Arc<str>]>);

impl Deref for Names {
    type Target = [Arc<str>];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<N: Into<Arc<str>>> FromIterator<N> for Names {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}
