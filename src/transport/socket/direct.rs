//! The connections that libssh2 reads from the network itself, and who gives them up where one keeps a thread for too long.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use super::pair::Pair;
use super::{Inner, State};
use crate::stall;

/// By their addresses.
static DIRECT: LazyLock<Mutex<HashMap<usize, Weak<Inner>>>> = LazyLock::new(Mutex::default);
/// Whether somebody looks after them.
static WATCHED: LazyLock<bool> = LazyLock::new(|| stall::watch(put_pairs_between).is_ok());

fn all() -> MutexGuard<'static, HashMap<usize, Weak<Inner>>> {
    DIRECT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(inner: *const Inner) -> usize {
    inner.addr()
}

/// Whether there may be any.
pub(super) fn are_watched() -> bool {
    *WATCHED
}

/// One more.
pub(super) fn add(inner: &Arc<Inner>) {
    all().insert(key(Arc::as_ptr(inner)), Arc::downgrade(inner));
}

/// One is gone.
pub(super) fn remove(inner: &Inner) {
    all().remove(&key(inner));
}

/// A thread has been kept for long. Whatever still comes in is to blame, if it is a server: it gets a pair between.
fn put_pairs_between() {
    let connections: Vec<Arc<Inner>> = all().values().filter_map(Weak::upgrade).collect();
    for connection in connections {
        if connection.has_bytes() {
            connection.put_pair_between();
        }
    }
}

impl Inner {
    /// Whether the network has bytes that nobody has read.
    fn has_bytes(&self) -> bool {
        self.socket.available() > 0
    }

    /// The same as for a pair, where libssh2 reads from the network itself.
    pub(super) fn may_go_on_directly(
        &self,
        state: &mut State,
        (inbound, outbound): (bool, bool),
        waited: bool,
    ) -> bool {
        if inbound {
            // The reactor may have told of something that is no bytes: the end.
            if self.count(state) != Some(0) || waited && !outbound {
                return true;
            }
            // Only now: what the reactor has told of must not be forgotten while it is there. A pair may come between.
            self.socket.all_is_read();
        }
        if outbound && self.socket.has_room() || waited && self.socket.has_hung_up() {
            return true;
        }
        if outbound {
            self.socket.is_filled();
        }
        false
    }

    /// Gives libssh2 the connection itself, if the pair holds nothing more.
    pub(super) fn go_direct(&self, state: &mut State) -> bool {
        let idle = |pair: &Pair| !pair.has_ended() && !pair.is_full() && !pair.is_held_up();
        let may = state.cut.is_none() && state.pair.as_ref().is_some_and(idle) && !state.has_unread();
        if !may || !put_in_place(&self.socket, &mut state.far) {
            return false;
        }
        state.pair = None;
        true
    }

    /// Puts a pair between libssh2 and the network, for good. What is unread in the network goes over it, in its order.
    pub(super) fn put_pair_between(&self) {
        let mut state = self.state();
        if state.pair.is_some() {
            return;
        }
        if let Ok((pair, far)) = Pair::new()
            && put_in_place(&far, &mut state.far)
        {
            (state.pair, state.keeps_pair) = (Some(pair), true);
            remove(self);
        }
    }
}

/// Has this number stand for that descriptor from now on.
#[cfg(target_os = "linux")]
fn put_in_place(descriptor: impl AsFd, number: &mut OwnedFd) -> bool {
    rustix::io::dup3(descriptor, number, rustix::io::DupFlags::CLOEXEC).is_ok()
}

/// Elsewhere no call does that without leaving it to child processes.
#[cfg(not(target_os = "linux"))]
fn put_in_place(_descriptor: impl AsFd, _number: &mut OwnedFd) -> bool {
    false
}
