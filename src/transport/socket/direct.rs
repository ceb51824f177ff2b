//! The connections that libssh2 reads from the network itself, and who gives them up where one keeps a thread for too long.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use super::Inner;
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
