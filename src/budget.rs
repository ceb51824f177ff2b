//! Bytes that may be under way between those who bring them and whoever writes them: back-pressure across threads.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many bytes may be under way at once.
#[derive(Debug, Clone)]
pub struct Budget {
    bytes: Arc<Semaphore>,
    most: u32,
}

/// Bytes that count as under way until this, and each copy of it, is dropped.
#[derive(Debug, Clone, Default)]
pub struct Reserved {
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: u32) -> Self {
        Self { bytes: Arc::new(Semaphore::new(bytes as usize)), most: bytes }
    }

    /// Waits until so many more bytes may be under way. What is longer than the whole budget takes all of it.
    pub async fn reserve(&self, bytes: usize) -> Reserved {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.most);
        Reserved { _permit: self.bytes.clone().acquire_many_owned(bytes).await.ok().map(Arc::new) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::{Deadline, Raced, race};
    use crate::reactor::Reactor;
    use std::time::Duration;

    #[test]
    fn no_more_than_the_budget_is_under_way() {
        Reactor::new().unwrap().block_on(async {
            let budget = Budget::new(10);
            let first = budget.reserve(7).await;
            let copy = first.clone();
            let soon = || Deadline::after(Some(Duration::from_millis(5)));
            assert!(matches!(race(budget.reserve(4), soon(), None).await, Raced::Late));
            drop(first);
            assert!(matches!(race(budget.reserve(4), soon(), None).await, Raced::Late));
            drop(copy);
            let all = budget.reserve(1_000_000).await;
            assert!(matches!(race(budget.reserve(1), soon(), None).await, Raced::Late));
            drop(all);
            budget.reserve(10).await;
        });
    }
}
