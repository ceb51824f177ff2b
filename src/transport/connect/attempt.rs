//! What an attempt to connect and log in leaves behind, however it ends: how far the other end has got.

use std::cell::{Cell, RefCell};

/// What an attempt left behind, however it ended.
#[derive(Debug)]
pub(super) struct AttemptTrace {
    /// How far the peer has got.
    pub(super) seen: RefCell<PeerProgress>,
    /// Logins at its address that had succeeded when it was last turned away.
    pub(super) logins_done: Cell<usize>,
    /// It was turned away where others were let in: the server is busy, not broken.
    pub(super) server_busy: Cell<bool>,
    /// The password was on its way: it is not sent again, lest the account be locked.
    pub(super) password_sent: Cell<bool>,
}

impl Default for AttemptTrace {
    fn default() -> Self {
        Self {
            seen: RefCell::new(PeerProgress::Nothing),
            server_busy: Cell::new(false),
            logins_done: Cell::new(0),
            password_sent: Cell::new(false),
        }
    }
}

/// How far a peer has got.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PeerProgress {
    Nothing,
    /// It took the connection.
    Connection,
    /// It said this, and has not said yet that it speaks SSH.
    Words(String),
    /// It speaks SSH.
    Banner,
    /// It said so, and then something else.
    Noise,
    /// It has said which algorithms it takes.
    Offer,
}

impl PeerProgress {
    /// sshd closes a connection over its `MaxStartups` without a word, or, as of late, with these.
    pub(super) fn was_dropped(&self) -> bool {
        match self {
            Self::Connection => true,
            Self::Words(words) => words.starts_with("Exceeded MaxStartups"),
            Self::Nothing | Self::Banner | Self::Noise | Self::Offer => false,
        }
    }
}
