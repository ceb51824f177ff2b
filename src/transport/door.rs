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
/// set to, so the door gets narrower with each one that is dropped, and slowly wider while none is.
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
    /// Let in since somebody was turned away, or the door was changed.
    in_a_row: AtomicUsize,
}

/// A place in a door.
pub(super) struct InTurn<'a> {
    door: &'a Door,
    /// `None` once given back, or given up.
    guard: Option<SemaphoreGuard<'a>>,
}

impl Doors {
    const WIDTH: usize = 8;
    /// Logins in a row after which a narrowed door is tried one wider.
    const IN_A_ROW: usize = 16;
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
        Self {
            turns: Semaphore::new(Doors::WIDTH),
            width: AtomicUsize::new(Doors::WIDTH),
            let_in: AtomicUsize::new(0),
            in_a_row: AtomicUsize::new(0),
        }
    }
}

impl Door {
    pub(super) async fn enter(&self) -> InTurn<'_> {
        let guard = self.turns.acquire().await;
        InTurn { door: self, guard: Some(guard) }
    }

    /// One more was let in.
    fn widen(&self) {
        if self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1 < Doors::IN_A_ROW {
            return;
        }
        self.in_a_row.store(0, Ordering::Relaxed);
        let wider = |width: usize| (width < Doors::WIDTH).then(|| width + 1);
        if self.width.fetch_update(Ordering::Relaxed, Ordering::Relaxed, wider).is_ok() {
            self.turns.add_permits(1);
        }
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
                door.widen();
                false
            }
            Raced::Done(Err(failure)) if turned_away && failure.retryable => {
                door.in_a_row.store(0, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Phase;

    #[test]
    fn a_door_gets_narrower_quickly_and_wider_slowly() {
        let door = Door::default();
        let leave = |let_in: bool| {
            let turn = futures_lite::future::block_on(door.enter());
            let failure = || Failure::new(Phase::Connect, "dropped").retryable();
            turn.leave(&Raced::Done(if let_in { Ok(()) } else { Err(failure()) }), !let_in, &Cell::new(0));
            door.width.load(Ordering::Relaxed)
        };
        let places = || std::iter::from_fn(|| door.turns.try_acquire()).collect::<Vec<_>>().len();
        assert_eq!((0..10).map(|_| leave(false)).collect::<Vec<_>>(), [7, 6, 5, 4, 3, 2, 1, 1, 1, 1]);
        assert_eq!(places(), 1);
        assert!((1..16).all(|_| leave(true) == 1));
        assert_eq!((leave(true), places()), (2, 2));
        assert_eq!(leave(false), 1);
        for _ in 0..16 * 20 {
            leave(true);
        }
        assert_eq!((leave(true), places()), (8, 8));
    }
}
