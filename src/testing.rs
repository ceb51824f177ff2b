//! What integration tests, benches and fuzz targets use of the program. Everything else is private, so that the compiler
//! says what is not used any more.

pub use crate::budget::Reserved;
pub use crate::cause::{Catalogue, Evidence, builtin as builtin_causes, diagnose, page as causes_page};
pub use crate::credentials::known_hosts::KnownHosts;
pub use crate::event::{Event, EventKind, Stream};
pub use crate::exit::ExitStatus;
pub use crate::inventory::hostset::expand;
pub use crate::inventory::{cm_view, file as hosts_file};
pub use crate::outcome::cause::Cause;
pub use crate::outcome::{Facts, Outcome, Phase, StepResult};
pub use crate::plan::quote::quote;
pub use crate::plan::script::{Victim, killer, parse_facts, without_comments};
pub use crate::playbook::builtin::script as builtin_script;
pub use crate::playbook::{Loader, Sources};
pub use crate::report::{HostReport, RunReport};
pub use crate::reporter::json::write_report;
pub use crate::reporter::{
    Afterwards, CommandKind, EndTable, Mode, Opening, OutputFilter, OutputInputs, OutputSettings, ReportTarget,
    ReporterSetup, Reporters, When,
};
pub use crate::stats::{Counts, RunStats};
pub use crate::transport::exec::parser::TrailerParser;
pub use crate::transport::{Mark, default_ciphers, unwrap_program, unwrap_request, wire_text};
