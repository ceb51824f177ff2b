//! Names of the hosts of a run.

use std::ops::Deref;
use std::sync::Arc;

use crate::event::HostId;

/// Names of the hosts of a run, in inventory order. A copy shares them, as a host shares its own.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<[Arc<str>]>);

impl Names {
    /// A host's name; empty where there is no such host.
    #[must_use]
    pub fn of(&self, host: HostId) -> &str {
        self.0.get(host).map_or("", |name| name)
    }
}

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
