//! What a job's end means for the step it was for. Pure: one function from what was heard to a verdict.

use std::time::Duration;

use crate::duration::human;
use crate::outcome::{Change, ChangeKind, Failure, Outcome, Phase, StepResult};
use crate::plan::{Action, script};
use crate::runner::fleet::Done;
use crate::transport::{End, Ran};

/// The verdict on one step on one host. `limit` is the time that its command had.
#[must_use]
pub(super) fn conclude(action: &Action, limit: Option<Duration>, done: Done) -> StepResult {
    match done {
        Done::Unreached { failure: Some(failure), .. } => StepResult::failed(failure),
        Done::Unreached { failure: None, .. } => StepResult::new(Outcome::Cancelled),
        Done::Reached => StepResult::new(Outcome::Ok),
        Done::Ran(ran) => of_command(action, limit, *ran),
    }
}

fn of_command(action: &Action, limit: Option<Duration>, ran: Ran) -> StepResult {
    let failure = match &ran.end {
        End::Exit(_) => None,
        End::Cancelled => return heard(ran, StepResult::new(Outcome::Cancelled)),
        end => Some(of_end(limit, end, &ran)),
    };
    if let Some(failure) = failure {
        let signal = if let End::Signal(signal) = &ran.end { Some(signal.clone()) } else { None };
        let result = StepResult { signal, ..StepResult::failed(failure) };
        return heard(ran, result);
    }
    let End::Exit(status) = ran.end else { return heard(ran, StepResult::new(Outcome::Failed)) };
    let mut result = match action {
        Action::Run { .. } => of_status(status),
        Action::Ping | Action::State { .. } => StepResult::new(Outcome::Ok),
        Action::Probe { .. } | Action::Wait(_) => {
            StepResult { facts: script::parse_facts(&ran.stdout), ..of_status(status) }
        }
        Action::Check { checks } => of_checks(&script::parse_checks(&ran.stdout, checks.len()), status),
        Action::Remove { .. } | Action::Touch { .. } | Action::Write { .. } => {
            of_changes(script::parse_changes(&ran.stdout), status)
        }
    };
    result.exit_status = Some(status);
    heard(ran, result)
}

/// Adds what every result of a command has.
fn heard(ran: Ran, result: StepResult) -> StepResult {
    StepResult { stdout: ran.stdout, stderr: ran.stderr, remote_killed: ran.killed, elapsed: ran.elapsed, ..result }
}

/// Why a command that was not heard to the end has failed.
fn of_end(limit: Option<Duration>, end: &End, ran: &Ran) -> Failure {
    match end {
        End::Exit(status) => exit_failure(*status),
        End::Signal(signal) => Failure::new(Phase::Command, format!("killed by signal {signal}")),
        End::Lost(said) => {
            // Without its number it can neither be killed nor looked for.
            let begun = if ran.pid.is_none() { "; it may have been run" } else { "" };
            Failure::new(Phase::Lost, format!("connection lost before the result was heard: {said}{begun}"))
        }
        End::NotSent(said) => {
            Failure::new(Phase::Lost, format!("connection lost before the command was sent, nothing was run: {said}"))
        }
        End::Refused(said) => {
            Failure::new(Phase::Lost, format!("the server refused to run the command, nothing was run: {said}"))
                .hint("sshd limits sessions per connection (MaxSessions) and what a key may do (restrict, command=)")
        }
        End::Unheard => Failure::new(Phase::Lost, "the server closed the channel before the result was heard")
            .hint("sshd's ChannelTimeout does this; so does a command that kills its own shell's parent"),
        End::NotBegun { status } => not_begun(*status, ran),
        End::TimedOut { begun: true } => {
            let limit = limit.map(human).unwrap_or_default();
            Failure::new(Phase::Timeout, format!("no end within {limit}"))
                .hint("give it more time with --timeout, or none with --timeout 0")
        }
        End::TimedOut { begun: false } => {
            let limit = limit.map(human).unwrap_or_default();
            Failure::new(
                Phase::Timeout,
                format!("the login shell did not begin the command within {limit}; it was not run"),
            )
            .hint("what does the user's profile (.bashrc, /etc/profile) wait for?")
        }
        End::Cancelled => Failure::new(Phase::Command, "stopped"),
    }
}

/// The login shell ended before the command began: its own words are the best explanation.
fn not_begun(status: i32, ran: &Ran) -> Failure {
    let noise = String::from_utf8_lossy(&ran.noise);
    let said = noise.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing").to_owned();
    let failure = Failure::new(
        Phase::Command,
        format!("the login shell ended with exit status {status} before the command began: {said}"),
    );
    if said.contains("not available") || said.contains("nologin") {
        failure.hint("the account has no shell to log in with; use another user (-l)")
    } else if said.contains("restricted") {
        failure.hint("a restricted shell cannot run the wrapper; try --raw")
    } else {
        failure.hint("a forced command or an unusual shell; --raw sends the command without gsctl's wrapper")
    }
}

fn of_status(status: i32) -> StepResult {
    if status == 0 { StepResult::new(Outcome::Ok) } else { StepResult::failed(exit_failure(status)) }
}

fn exit_failure(status: i32) -> Failure {
    let failure = Failure::new(Phase::Command, format!("exit status {status}"));
    match status {
        126 => failure.hint("126 is the shell's \"found, but cannot be executed\""),
        127 => failure.hint("127 is the shell's \"command not found\": is PATH what you expect without a login?"),
        129..=159 => {
            let hint = format!("{status} is 128+{}: a program in the command was killed by that signal", status - 128);
            failure.hint(hint)
        }
        _ => failure,
    }
}

fn of_checks(checks: &[Result<(), String>], status: i32) -> StepResult {
    let failed: Vec<&str> = checks.iter().filter_map(|check| check.as_ref().err().map(String::as_str)).collect();
    if failed.is_empty() {
        return of_status(status);
    }
    StepResult::failed(Failure::new(Phase::Command, failed.join("; ")))
}

fn of_changes(changes: Vec<Change>, status: i32) -> StepResult {
    let denied: Vec<String> = changes
        .iter()
        .filter(|change| change.action == ChangeKind::Denied)
        .map(|change| match &change.note {
            Some(note) => format!("{}: {note}", change.path),
            None => change.path.clone(),
        })
        .collect();
    let result = if !denied.is_empty() {
        let failure = Failure::new(Phase::Command, format!("denied: {}", denied.join("; ")));
        let forbidden = denied.iter().any(|said| said.to_lowercase().contains("permission denied"));
        StepResult::failed(if forbidden {
            failure.hint("may the login user change this directory? It belongs to the cluster's own user")
        } else {
            failure
        })
    } else if status != 0 {
        StepResult::failed(exit_failure(status))
    } else if changes.iter().any(|change| change.action.is_change()) {
        StepResult::new(Outcome::Changed)
    } else {
        StepResult::new(Outcome::Ok)
    };
    StepResult { changes, ..result }
}
