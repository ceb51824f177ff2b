//! The hosts of a run: hosts files, host sets, selection.
//!
//! Pure: no files, no environment, no network, no clock. `commands` reads the files and hands their bytes over.

mod ansible;
pub mod clustershell;
pub mod cm_view;
mod decode;
pub mod file;
pub mod file_format;
pub mod filename;
mod fold;
mod genders;
pub mod host;
pub mod hostset;
pub mod jump;
mod other_formats;
mod problem;
mod resolve;
pub mod select;
mod settings;
pub mod source;
pub mod spec;
mod words;

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;

pub use host::{Host, Origin, Setting, Settings};
pub use source::HostsSource;

/// Hosts by name. Whoever chooses some of them shares them: there may be very many.
pub type Hosts = IndexMap<Arc<str>, Arc<Host>>;

/// What the hosts files say, settled: every host with the settings that count for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Hosts, in the order of the file.
    pub hosts: Hosts,
    /// Groups by name, each with all its members in the order of the file, children's members among them.
    pub groups: IndexMap<String, Vec<String>>,
    /// What `[all:vars]` says: it holds for hosts that the file does not know, too.
    pub all: Settings,
    /// Hosts that are meant only where they, or a group of them, are named.
    pub aside: HashSet<String>,
    /// What is not wrong, but perhaps not meant.
    pub warnings: Vec<String>,
    /// What each file said, line by line, so that several files can be settled together; nothing once they were.
    pub sources: Vec<HostsSource>,
}
