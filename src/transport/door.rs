//! How many may log in at once at one address, and through one jump host.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_lock::{Semaphore, SemaphoreGuard, SemaphoreGuardArc};

use super::target::{Target, Via};
use crate::control::Raced;
use crate::outcome::Failure;

/// Turns away at a busy door that are not counted as attempts.
pub(super) const PATIENCE: u32 = 20;

/// Logins under way at one address are few at a time: sshd's `MaxStartups` begins to drop connections at ten, or where it is
/// set to, so the door gets narrower with each one that is dropped.
#[derive(Debug, Default)]
pub(super) struct Doors {
    doors: Mutex<HashMap<String, Arc<Door>>>,
    ways: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The way in to one address.
#[derive(Debug)]
pub(super) struct Door {
    turns: Semaphore,
    width: AtomicUsize,
    let_in: AtomicUsize,
}

/// A place in a door.
pub(super) struct InTurn<'a> {
    door: &'a Door,
    /// `None` once given back, or given up.
    guard: Option<SemaphoreGuard<'a>>,
}

impl Doors {
    const WIDTH: usize = 8;
    /// Logins under way through one jump host.
    const WAY: usize = 32;

    /// The door at an address.
    pub(super) fn at(&self, address: &str) -> Arc<Door> {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.entry(address.to_owned()).or_default().clone()
    }

    /// A place among those that log in through the same jump host at once; a host behind none needs none.
    pub(super) async fn way(&self, target: &Target) -> Option<SemaphoreGuardArc> {
        let Via::Jump(jump) = &target.via else { return None };
        let way = {
            let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
            ways.entry(jump.chain()).or_insert_with(|| Arc::new(Semaphore::new(Self::WAY))).clone()
        };
        Some(way.acquire_arc().await)
    }
}

impl Default for Door {
    fn default() -> Self {
        Self { turns: Semaphore::new(Doors::WIDTH), width: AtomicUsize::new(Doors::WIDTH), let_in: AtomicUsize::new(0) }
    }
}

impl Door {
    pub(super) async fn enter(&self) -> InTurn<'_> {
        let guard = self.turns.acquire().await;
        InTurn { door: self, guard: Some(guard) }
    }
}

impl InTurn<'_> {
    /// Says how it went. True when it was turned away, and others were let in since it was the last time: a server that does not
    /// let anybody in any more is not busy but gone.
    pub(super) fn leave<T>(
        mut self,
        raced: &Raced<Result<T, Failure>>,
        turned_away: bool,
        known: &Cell<usize>,
    ) -> bool {
        let door = self.door;
        match raced {
            Raced::Done(Ok(_)) => {
                door.let_in.fetch_add(1, Ordering::Relaxed);
                false
            }
            Raced::Done(Err(failure)) if turned_away && failure.retryable => {
                let narrower = |width: usize| (width > 1).then(|| width - 1);
                if door.width.fetch_update(Ordering::Relaxed, Ordering::Relaxed, narrower).is_ok()
                    && let Some(guard) = self.guard.take()
                {
                    guard.forget();
                }
                let now = door.let_in.load(Ordering::Relaxed);
                now > known.replace(now)
            }
            Raced::Done(Err(_)) | Raced::Late | Raced::Cancelled => false,
        }
    }
}
