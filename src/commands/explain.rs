//! `gsctl explain`: a documented cause in full.

use std::io::Write as _;

use crate::cause;
use crate::cli::Explain;
use crate::diagnostic::Diagnostic;
use crate::exit::ExitStatus;
use crate::text::did_you_mean;

use super::hosts;

/// Prints a row of the catalogue, or the list of all.
///
/// # Errors
/// When there is no such cause, or standard output cannot be written to.
pub(super) fn explain(args: &Explain) -> Result<ExitStatus, Diagnostic> {
    let text = match &args.id {
        None => list(),
        Some(id) => match cause::find(id) {
            Some((system, row)) => cause::explanation(system, &row),
            None => return Err(unknown(id)),
        },
    };
    hosts::finish(std::io::stdout().lock().write_all(text.as_bytes()))
}

fn unknown(id: &str) -> Diagnostic {
    let ids: Vec<String> = cause::ids().into_iter().flat_map(|(_, ids)| ids).collect();
    let hint = did_you_mean(id, ids.iter().map(String::as_str))
        .unwrap_or_else(|| "`gsctl explain` lists all of them".to_owned());
    Diagnostic::usage(format!("there is no documented cause `{id}`")).hint(hint)
}

/// Every cause on a line of its own.
fn list() -> String {
    let systems = cause::ids().into_iter().filter_map(|(system, _)| cause::builtin(system));
    systems
        .flat_map(|catalogue| {
            let rows = catalogue.rows().iter();
            rows.map(|row| format!("{:<6} {:<14} {}\n", row.id, row.stage, row.cause)).collect::<Vec<_>>()
        })
        .collect()
}
