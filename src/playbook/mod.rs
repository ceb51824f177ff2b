//! Playbooks: strict YAML to checked steps.
//!
//! Must not touch a file, a host or a clock: texts come from [`Sources`], the result is a [`Plan`](crate::plan::Plan).

pub mod builtin;
mod condition;
mod document;
mod exec_options;
mod files;
mod load;
mod node;
mod problem;
mod schema;
mod scope;
mod sources;
mod step;
#[cfg(test)]
mod tests;
mod wait;

pub use load::Loader;
pub use schema::schema;
#[cfg(test)]
pub(crate) use sources::NoFiles;
pub use sources::Sources;
