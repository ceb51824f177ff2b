//! From the evidence of a node to the cause: a row of the catalogue, else the decisive lines.

use super::catalogue::{Catalogue, DocumentedCause};
use super::decisive::{blocks, decisive_line, first_counts, proof};
use super::evidence::{Evidence, LogPiece};
use crate::outcome::cause::{Cause, Proof};

/// The cause that holds back the first missing stage of a node. `stages` are all stages of the chain: a row about another one of
/// them is not the cause of this one. `None`: nothing in the evidence tells.
#[must_use]
pub fn diagnose(catalogue: &Catalogue, stage: Option<&str>, stages: &[&str], evidence: &Evidence) -> Option<Cause> {
    // What has last words of its own says more than who saw it die.
    let speaks = |code: &String| {
        let mut logs = evidence.logs.iter().filter(|log| log.codes.contains(code));
        logs.any(|log| decisive_line(&log.codes, &log.lines).is_some())
    };
    let concerns = |row: &DocumentedCause| row.concerns(stage, stages) && !row.unless.iter().any(speaks);
    for log in &evidence.logs {
        if let Some((row, at)) = matching(catalogue, &concerns, log) {
            let lines = proof(&log.lines, at);
            return Some(known(row, stage, Some(Proof { file: log.path.clone(), lines, age_s: log.age })));
        }
    }
    let found = evidence.states.iter().find_map(|(id, seen)| {
        let row = catalogue.row(id).filter(|row| concerns(row))?;
        Some(known(row, stage, Some(Proof { file: place(row), lines: vec![seen.clone()], age_s: None })))
    });
    if found.is_some() {
        return found;
    }
    for log in &evidence.logs {
        if let Some((at, message)) = decisive_line(&log.codes, &log.lines) {
            return Some(Cause {
                id: None,
                stage: stage.map(str::to_owned),
                cause: message,
                wait: None,
                hint: None,
                proof: Some(Proof { file: log.path.clone(), lines: proof(&log.lines, at), age_s: log.age }),
            });
        }
    }
    let unread = evidence.logs.iter().find(|log| log.unreadable)?;
    Some(Cause {
        id: None,
        stage: stage.map(str::to_owned),
        cause: format!("{} is not readable for the login user, so what it says is not known", unread.path),
        wait: None,
        hint: Some("log in as the cluster user; a log that belongs to root was left by a start as root".to_owned()),
        proof: None,
    })
}

/// The row that decides in a log, and its line.
fn matching<'c>(
    catalogue: &'c Catalogue,
    concerns: &impl Fn(&DocumentedCause) -> bool,
    log: &LogPiece,
) -> Option<(&'c DocumentedCause, usize)> {
    let rows = catalogue.rows();
    for block in blocks(&log.codes, &log.lines) {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for at in block {
            let fits = |index: &usize| {
                rows[*index].logs.iter().any(|code| log.codes.contains(code)) && concerns(&rows[*index])
            };
            for index in catalogue.matches(&log.lines[at]).filter(fits) {
                let newest = rows[index].newest.as_deref();
                let later = &log.lines[at + 1..];
                if newest.is_none_or(|text| !later.iter().any(|line| line.contains(text)))
                    && !catalogue.is_over(index, later)
                {
                    found.push((index, at));
                }
            }
        }
        let less_specific = |index: usize| found.iter().any(|(other, _)| rows[*other].over.contains(&rows[index].id));
        let left = found.iter().copied().filter(|(index, _)| !less_specific(*index));
        let best =
            if first_counts(&log.codes) { left.min_by_key(|(_, at)| *at) } else { left.max_by_key(|(_, at)| *at) };
        if let Some((index, at)) = best {
            return Some((&rows[index], at));
        }
    }
    None
}

fn known(row: &DocumentedCause, stage: Option<&str>, proof: Option<Proof>) -> Cause {
    Cause {
        id: Some(row.id.clone()),
        stage: stage.map_or_else(|| Some(row.stage.clone()), |stage| Some(stage.to_owned())),
        cause: row.cause.clone(),
        wait: Some(row.wait),
        hint: Some(row.hint.clone()),
        proof,
    }
}

/// Where a state is seen.
fn place(row: &DocumentedCause) -> String {
    row.command.clone().or_else(|| row.state.clone()).unwrap_or_default()
}
