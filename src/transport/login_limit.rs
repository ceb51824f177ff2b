//! How many may log in at once at one address, and through one jump host.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_lock::{Semaphore, SemaphoreGuard, SemaphoreGuardArc};

use super::target::{Target, Via};
use crate::cancel::Raced;
use crate::outcome::Failure;

/// Turns away at a busy door that are not counted as attempts.
pub(super) const MOST_THROTTLED: u32 = 20;

/// Logins under way at one address are few at a time: sshd's `MaxStartups` begins to drop connections at ten, or where it is
/// set to, so the door gets narrower with each one that is dropped, and slowly wider while none is.
#[derive(Debug, Default)]
pub(super) struct LoginLimiter {
    addresses: Mutex<AddressLimits>,
    jumps: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The ways in, by address.
#[derive(Debug, Default)]
struct AddressLimits {
    limits: HashMap<String, Arc<AddressLimit>>,
    /// So many are left of those that were there, when it was looked last which are.
    kept: usize,
}

impl AddressLimits {
    /// Forgets doors that nobody is at and nobody was turned away from, as often as there are twice as many: a run may come to a
    /// hundred thousand addresses, to most of them once.
    fn forget_unused(&mut self) {
        const FEW: usize = 512;
        if self.limits.len() >= FEW.max(2 * self.kept) {
            self.limits.retain(|_, limit| Arc::strong_count(limit) > 1 || limit.dropped.load(Ordering::Relaxed));
            self.kept = self.limits.len();
            self.limits.shrink_to(FEW.max(2 * self.kept));
        }
    }
}

/// The way in to one address.
#[derive(Debug)]
pub(super) struct AddressLimit {
    permits: Semaphore,
    limit: AtomicUsize,
    logins_done: AtomicUsize,
    /// Somebody was turned away.
    dropped: AtomicBool,
    /// Let in since somebody was turned away, or the door was changed.
    since_dropped: AtomicUsize,
}

/// A place in a door.
pub(super) struct LoginPermit<'a> {
    address_limit: &'a AddressLimit,
    /// `None` once given back, or given up.
    guard: Option<SemaphoreGuard<'a>>,
}

impl LoginLimiter {
    const MOST: usize = 8;
    /// Logins in a row after which a narrowed door is tried one wider.
    const RAISE_AFTER: usize = 16;
    /// Logins under way through one jump host.
    const MOST_THROUGH_A_JUMP: usize = 32;

    /// The door at an address.
    pub(super) fn address(&self, address: &str) -> Arc<AddressLimit> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.forget_unused();
        addresses.limits.entry(address.to_owned()).or_default().clone()
    }

    /// A place among those that log in through the same jump host at once; a host behind none needs none.
    pub(super) async fn jump_permit(&self, target: &Target) -> Option<SemaphoreGuardArc> {
        let Via::Jump(jump) = &target.via else { return None };
        let jump_permit = {
            let mut jumps = self.jumps.lock().unwrap_or_else(PoisonError::into_inner);
            jumps.entry(jump.chain()).or_insert_with(|| Arc::new(Semaphore::new(Self::MOST_THROUGH_A_JUMP))).clone()
        };
        Some(jump_permit.acquire_arc().await)
    }
}

impl Default for AddressLimit {
    fn default() -> Self {
        Self {
            permits: Semaphore::new(LoginLimiter::MOST),
            limit: AtomicUsize::new(LoginLimiter::MOST),
            logins_done: AtomicUsize::new(0),
            dropped: AtomicBool::new(false),
            since_dropped: AtomicUsize::new(0),
        }
    }
}

impl AddressLimit {
    pub(super) async fn acquire(&self) -> LoginPermit<'_> {
        let guard = self.permits.acquire().await;
        LoginPermit { address_limit: self, guard: Some(guard) }
    }

    /// One more was let in.
    fn raise(&self) {
        if self.since_dropped.fetch_add(1, Ordering::Relaxed) + 1 < LoginLimiter::RAISE_AFTER {
            return;
        }
        self.since_dropped.store(0, Ordering::Relaxed);
        let raised = |limit: usize| (limit < LoginLimiter::MOST).then(|| limit + 1);
        if self.limit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raised).is_ok() {
            self.permits.add_permits(1);
        }
    }
}

impl LoginPermit<'_> {
    /// Says how it went. True when it was turned away, and others were let in since it was the last time: a server that does not
    /// let anybody in any more is not busy but gone.
    pub(super) fn release<T>(
        mut self,
        raced: &Raced<Result<T, Failure>>,
        was_dropped: bool,
        known: &Cell<usize>,
    ) -> bool {
        let address_limit = self.address_limit;
        match raced {
            Raced::Done(Ok(_)) => {
                address_limit.logins_done.fetch_add(1, Ordering::Relaxed);
                address_limit.raise();
                false
            }
            Raced::Done(Err(failure)) if was_dropped && failure.retryable => {
                address_limit.dropped.store(true, Ordering::Relaxed);
                address_limit.since_dropped.store(0, Ordering::Relaxed);
                let lowered = |limit: usize| (limit > 1).then(|| limit - 1);
                if address_limit.limit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lowered).is_ok()
                    && let Some(guard) = self.guard.take()
                {
                    guard.forget();
                }
                let now = address_limit.logins_done.load(Ordering::Relaxed);
                now > known.replace(now)
            }
            Raced::Done(Err(_)) | Raced::Late | Raced::Cancelled => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Phase;

    #[test]
    fn the_limit_falls_quickly_and_rises_slowly() {
        let address_limit = AddressLimit::default();
        let release = |logins_done: bool| {
            let permit = futures_lite::future::block_on(address_limit.acquire());
            let failure = || Failure::new(Phase::Connect, "dropped").retryable();
            permit.release(
                &Raced::Done(if logins_done { Ok(()) } else { Err(failure()) }),
                !logins_done,
                &Cell::new(0),
            );
            address_limit.limit.load(Ordering::Relaxed)
        };
        let free_permits = || std::iter::from_fn(|| address_limit.permits.try_acquire()).collect::<Vec<_>>().len();
        assert_eq!((0..10).map(|_| release(false)).collect::<Vec<_>>(), [7, 6, 5, 4, 3, 2, 1, 1, 1, 1]);
        assert_eq!(free_permits(), 1);
        assert!((1..16).all(|_| release(true) == 1));
        assert_eq!((release(true), free_permits()), (2, 2));
        assert_eq!(release(false), 1);
        for _ in 0..16 * 20 {
            release(true);
        }
        assert_eq!((release(true), free_permits()), (8, 8));
    }
}
