//! Copying files over SFTP, between scripts that look at the node before and give names afterwards.

mod push;
mod send;

use std::sync::Arc;
use std::time::Duration;

use super::command::{End, Ran};
use crate::outcome::Change;
use crate::plan::push::Push;

/// Files for one host.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is copied.
    pub push: Arc<Push>,
    /// Where to on this host.
    pub dest: String,
    /// Time for all of it; `None`: no limit.
    pub timeout: Option<Duration>,
}

/// What became of an order.
#[derive(Debug)]
pub struct Moved {
    /// How it ended.
    pub end: Ending,
    /// What became of each path, as far as it got.
    pub changes: Vec<Change>,
    /// Wall time.
    pub elapsed: Duration,
}

/// How an order ended.
#[derive(Debug)]
pub enum Ending {
    /// Every file was dealt with, though some may have been denied.
    Whole,
    /// A script did not end well.
    Script(Box<Ran>),
    /// The server has no SFTP, in its words.
    NoSftp(String),
    /// The connection broke while bytes were on their way.
    Lost(String),
    /// Its time ran out.
    Late,
    /// The run was stopped.
    Cancelled,
    /// A file on this machine could not be read.
    Local(String),
}

impl Moved {
    /// What the connection died of, where it did: another attempt goes on where this one stopped.
    #[must_use]
    pub fn lost(&self) -> Option<&str> {
        match &self.end {
            Ending::Lost(said) => Some(said),
            Ending::Script(ran) => match &ran.end {
                End::Lost(said) | End::NotSent(said) => Some(said),
                _ => None,
            },
            _ => None,
        }
    }
}
