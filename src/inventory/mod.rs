//! Who the run is for: hosts files, host sets, selection.
//!
//! Pure: no files, no environment, no network, no clock. `commands` reads the files and hands their bytes over.

mod fold;
pub mod host;
pub mod hostset;
mod problem;
pub mod spec;

pub use host::{Host, KNOWN_SETTINGS, Origin, Setting};
pub use problem::{Problem, Text};
