//! What a job's end means for the step it was for. Pure: one function from what was heard to a verdict.

use std::borrow::Cow;
use std::time::Duration;

use crate::duration::human;
use crate::outcome::change::{Change, ChangeKind};
use crate::outcome::{Facts, Failure, Killed, Outcome, Phase, StepResult};
use crate::output::Output;
use crate::plan::{Action, Check, Look, script};
use crate::runner::job::JobResult;
use crate::runner::script::LOOK_ENDS;
use crate::transport::{Begun, CommandEnd, CommandResult};

/// Bytes of what a script of ours, or a probe, answers. More is no answer, rather than half of one.
pub(super) const LONGEST_ANSWER: usize = 64 * 1024 * 1024;
/// Bytes of the end of standard error in which a reason is looked for.
const LAST_WORDS: usize = 16 * 1024;

/// How the end of a job is understood.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parser<'a> {
    /// That it came is enough.
    Reached,
    /// By its exit status; what it printed need not be understood.
    Status,
    /// Facts, and its exit status.
    Facts,
    /// Facts; without any it was no look.
    Probe,
    /// A script of a playbook's own, which says itself what it did.
    Script,
    /// Results of checks.
    Checks(&'a [Check]),
    /// What became of paths.
    Changes,
    /// Files that were copied to the node.
    Push,
    /// Files that were copied from it.
    Pull,
}

impl<'a> Parser<'a> {
    /// That of an action.
    pub(super) fn of(action: &'a Action) -> Self {
        match action {
            Action::Ping | Action::State { .. } => Self::Reached,
            Action::Run { .. } => Self::Status,
            Action::Script { .. } => Self::Script,
            Action::Probe { .. } => Self::Probe,
            Action::Wait(wait) if matches!(wait.look, Look::Probe(_)) => Self::Probe,
            Action::Wait(_) => Self::Facts,
            Action::Check { checks } => Self::Checks(checks),
            Action::Remove { .. } | Action::Touch { .. } | Action::Write { .. } => Self::Changes,
            Action::Push(_) => Self::Push,
            Action::Pull(_) => Self::Pull,
        }
    }
}

/// The verdict on one step on one host. `limit` is the time that its command had.
#[must_use]
pub(super) fn evaluate(parser: Parser<'_>, limit: Option<Duration>, done: JobResult) -> StepResult {
    match done {
        JobResult::Unreached { failure: Some(failure), .. } => StepResult::failed(failure),
        JobResult::Unreached { failure: None, .. } => StepResult::new(Outcome::Cancelled),
        JobResult::Reached => StepResult::new(Outcome::Ok),
        JobResult::Command(ran) => of_command(parser, limit, *ran),
        JobResult::Copied(moved) => super::copy_result::of_copy(matches!(parser, Parser::Pull), limit, *moved),
    }
}

fn of_command(parser: Parser<'_>, limit: Option<Duration>, ran: CommandResult) -> StepResult {
    let failure = match &ran.end {
        CommandEnd::Exit(_) => None,
        CommandEnd::Cancelled => return cut_off(parser, ran, StepResult::new(Outcome::Cancelled)),
        end => Some(of_end(limit, end, &ran)),
    };
    if let Some(failure) = failure {
        let signal = if let CommandEnd::Signal(signal) = &ran.end { Some(signal.clone()) } else { None };
        let result = StepResult { signal, ..StepResult::failed(failure) };
        return cut_off(parser, ran, result);
    }
    let CommandEnd::Exit(status) = ran.end else { return heard(ran, StepResult::new(Outcome::Failed)) };
    let stdout = ran.stdout.clone();
    // What nobody has to understand may be long, and lie on disk.
    let said = match parser {
        Parser::Status | Parser::Reached => Ok(Cow::default()),
        _ => stdout.whole(LONGEST_ANSWER),
    };
    let said = match said {
        Ok(said) => said,
        Err(error) => {
            let failure = Failure::new(Phase::Command, format!("what the node answered cannot be understood: {error}"));
            return heard(ran, StepResult { exit_status: Some(status), ..StepResult::failed(failure) });
        }
    };
    let mut result = match parser {
        Parser::Status => of_status(status),
        Parser::Script => of_script(script::parse_facts(&said), status),
        Parser::Reached => StepResult::new(Outcome::Ok),
        Parser::Probe => of_probe(script::parse_facts(&said), status),
        Parser::Facts => StepResult { facts: script::parse_facts(&said), ..of_status(status) },
        Parser::Checks(checks) => of_checks(checks, &script::parse_checks(&said, checks.len()), status),
        Parser::Changes => of_changes(script::parse_changes(&said), status, Phase::Marker),
        Parser::Push | Parser::Pull => of_changes(script::parse_changes(&said), status, Phase::Command),
    };
    result.exit_status = Some(status);
    let result = heard(ran, result);
    match parser {
        // What the node answered is ours to read; the verdict says it in words.
        Parser::Checks(_) => StepResult { stdout: Output::default(), ..result },
        _ => result,
    }
}

/// What a node answered, as far as it is to be understood.
pub(super) fn answer(result: &StepResult) -> Cow<'_, [u8]> {
    // What is missing is no answer to whoever asked.
    result.stdout.whole(LONGEST_ANSWER).unwrap_or_default()
}

/// A command that was not heard to the end has still done what it said it did.
fn cut_off(parser: Parser<'_>, ran: CommandResult, result: StepResult) -> StepResult {
    let changes = match parser {
        Parser::Changes => {
            // The last line may be half of one, and half a path is another path.
            let said = ran.stdout.first(LONGEST_ANSWER).unwrap_or_default();
            let whole = said.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            script::parse_changes(&said[..whole])
        }
        _ => Vec::new(),
    };
    heard(ran, StepResult { changes, ..result })
}

/// Adds what every result of a command has.
pub(super) fn heard(ran: CommandResult, result: StepResult) -> StepResult {
    StepResult {
        stdout: ran.stdout,
        stderr: ran.stderr,
        remote_killed: ran.killed,
        notes: ran.notes,
        elapsed: ran.elapsed,
        ..result
    }
}

/// Why a command that was not heard to the end has failed.
pub(super) fn of_end(limit: Option<Duration>, end: &CommandEnd, ran: &CommandResult) -> Failure {
    match end {
        CommandEnd::Exit(status) => exit_failure(*status),
        CommandEnd::Signal(signal) => Failure::new(Phase::Command, format!("killed by signal {signal}")),
        CommandEnd::Lost(said) => {
            let begun = match (&ran.place.process, ran.killed) {
                (Some(_), _) => "",
                (None, Some(Killed::Yes)) => "; what carries it was found on the node",
                (None, _) => "; it may have been run",
            };
            Failure::new(Phase::Lost, format!("connection lost before the result was heard: {said}{begun}"))
        }
        CommandEnd::NotSent(said) => {
            Failure::new(Phase::Lost, format!("connection lost before the command was sent, nothing was run: {said}"))
        }
        CommandEnd::Refused(said) => {
            Failure::new(Phase::Lost, format!("the server refused to run the command, nothing was run: {said}"))
                .hint("sshd limits sessions per connection (MaxSessions) and what a key may do (restrict, command=)")
        }
        CommandEnd::Unheard if ran.place.process.is_none() => Failure::new(
            Phase::Lost,
            "the command was begun, and how it ended is not known: standard output does not come back from the node",
        )
        .hint("a start-up file of the shell, or sshd's settings, send it elsewhere (`exec >FILE`)"),
        CommandEnd::NotStarted(said) => Failure::new(Phase::Local, said.clone()),
        CommandEnd::Unheard => Failure::new(Phase::Lost, "the server closed the channel before the result was heard")
            .hint("sshd's ChannelTimeout does this; so does a command that kills its own shell's parent"),
        CommandEnd::NotBegun { status } => not_begun(*status, ran),
        CommandEnd::Unprepared => unprepared(ran),
        CommandEnd::Unprivileged { user, why } => super::sudo_failure::refused(user, *why, limit, ran),
        CommandEnd::TimedOut(Begun::Heard) => {
            let limit = limit.map(human).unwrap_or_default();
            Failure::new(Phase::Timeout, format!("no end within {limit}"))
                .hint("give it more time with --timeout, or none with --timeout 0")
        }
        CommandEnd::TimedOut(begun @ (Begun::Never | Begun::Unknown)) => {
            let limit = limit.map(human).unwrap_or_default();
            let known = match begun {
                // Where it could still have been on its way, the report says that it was not seen gone.
                Begun::Never if ran.killed.is_none() => {
                    format!("the login shell did not begin the command within {limit}; it was not run")
                }
                Begun::Never => format!("the login shell did not begin the command within {limit}"),
                _ => format!("nothing was heard of the command within {limit}; whether it was run is not known"),
            };
            Failure::new(Phase::Timeout, known)
                .hint("what does the user's profile (.bashrc, /etc/profile) wait for, or what holds back the output (ForceCommand)?")
        }
        CommandEnd::TimedOut(Begun::Found) => {
            let limit = limit.map(human).unwrap_or_default();
            Failure::new(
                Phase::Timeout,
                format!("nothing was heard of the command within {limit}, though it ran on the node"),
            )
            .hint("what holds back its output? A ForceCommand, or a filter in the user's profile")
        }
        CommandEnd::Cancelled => Failure::new(Phase::Command, "stopped"),
    }
}

/// What was to come before the command failed; the node said why.
fn unprepared(ran: &CommandResult) -> Failure {
    let said = ran.stderr.last(LAST_WORDS).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let said = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("the node did not say why");
    Failure::new(Phase::Command, format!("the command was not run: {said}"))
        .hint("is the directory of --chdir there, and may the login user enter it?")
}

/// The login shell ended before the command began: its own words are the best explanation.
fn not_begun(status: i32, ran: &CommandResult) -> Failure {
    let preamble = String::from_utf8_lossy(&ran.preamble);
    let said = preamble.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing").to_owned();
    let stderr = ran.stderr.last(LAST_WORDS).unwrap_or_default();
    if [&preamble, &String::from_utf8_lossy(&stderr)].iter().any(|words| words.contains("Password change required")) {
        return Failure::new(Phase::Command, "the user's password has expired: sshd runs nothing until it is changed")
            .hint("log in once by hand and change it, with plain `ssh`");
    }
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

/// A look that heard no fact is no look, whatever its exit status.
fn of_probe(mut facts: Facts, status: i32) -> StepResult {
    let whole = facts.shift_remove(LOOK_ENDS).is_some();
    if status == 0 && (facts.is_empty() || !whole) {
        let failure = Failure::new(
            Phase::Check,
            if whole {
                "the look at the node printed no fact, so nothing is known about it"
            } else {
                "the look at the node was not heard whole, so nothing is known about it"
            },
        );
        return StepResult::failed(failure.hint(
            "does a start-up file of the shell change what is printed (a log of sessions, a prefix)? `gsctl play --dry-run -v` shows \
             what runs",
        ));
    }
    let result = of_status(status);
    let failure = result.failure.map(|failure| Failure { phase: Phase::Check, ..failure });
    StepResult { failure, facts, ..result }
}

/// A script of a playbook's own: it says itself whether it changed something, and why it failed.
fn of_script(mut facts: Facts, status: i32) -> StepResult {
    let changed = facts.swap_remove("changed").is_some_and(|value| value == "yes");
    let (because, hint) = (facts.swap_remove("because"), facts.swap_remove("hint"));
    let result = if status != 0 {
        let failure = because.map_or_else(|| exit_failure(status), |because| Failure::new(Phase::Command, because));
        StepResult::failed(match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        })
    } else if changed {
        StepResult::new(Outcome::Changed)
    } else {
        StepResult::new(Outcome::Ok)
    };
    StepResult { facts, ..result }
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

fn of_checks(checks: &[Check], results: &[Result<(), String>], status: i32) -> StepResult {
    let failed = unmet(checks, results);
    if failed.is_empty() {
        return of_status(status);
    }
    StepResult::failed(Failure::new(Phase::Check, failed.join("; ")))
}

/// What does not hold, in words.
pub(super) fn unmet(checks: &[Check], results: &[Result<(), String>]) -> Vec<String> {
    let words = |check: &Check, said: &str| match check {
        // The others name what they looked at.
        Check::Command(command) => format!("`{command}`: {said}"),
        Check::Process { .. } | Check::NoProcess { .. } | Check::Port(_) | Check::File(_) | Check::NoFile(_) => {
            said.to_owned()
        }
    };
    let pairs = checks.iter().zip(results);
    pairs.filter_map(|(check, result)| Some(words(check, result.as_ref().err()?))).collect()
}

pub(super) fn of_changes(changes: Vec<Change>, status: i32, phase: Phase) -> StepResult {
    let of = |kind: ChangeKind| -> Vec<String> {
        let changes = changes.iter().filter(|change| change.action == kind);
        let words = |change: &Change| match &change.note {
            Some(note) => format!("{}: {note}", change.path),
            None => change.path.clone(),
        };
        changes.map(words).collect()
    };
    let (denied, failed) = (of(ChangeKind::Denied), of(ChangeKind::Failed));
    let result = if !denied.is_empty() || !failed.is_empty() {
        let parts = [("denied", &denied), ("failed", &failed)];
        let parts = parts.iter().filter(|(_, said)| !said.is_empty());
        let parts: Vec<String> = parts.map(|(word, said)| format!("{word}: {}", said.join("; "))).collect();
        let failure = Failure::new(phase, parts.join("; "));
        let forbidden = denied.iter().any(|said| said.to_lowercase().contains("permission denied"));
        StepResult::failed(if forbidden {
            failure.hint("may the login user change this directory? Log in as its owner (-l USER); `touch`, `rm` and `push` have --sudo")
        } else {
            failure
        })
    } else if status != 0 {
        StepResult::failed(Failure { phase, ..exit_failure(status) })
    } else if changes.iter().any(|change| change.action.is_change()) {
        StepResult::new(Outcome::Changed)
    } else {
        StepResult::new(Outcome::Ok)
    };
    StepResult { changes, ..result }
}

/// A path that the node did not speak of is not as it was wanted, whatever else was said.
pub(super) fn require_answers(result: &mut StepResult, paths: &[String]) {
    // What a command printed that is about no path may be long, and is not read again.
    if paths.is_empty() || result.exit_status.is_none() || !result.outcome.is_success() {
        return;
    }
    let said = answer(result);
    let said = String::from_utf8_lossy(&said);
    let directory = |path: &str| path.rsplit_once('/').map_or(String::new(), |(directory, _)| directory.to_owned());
    let named = |path: &&String| {
        let is_pattern = path.contains(['*', '?', '[']);
        let is_it = |other: &str| other == path.as_str() || is_pattern && directory(other) == directory(path);
        result.changes.iter().any(|change| is_it(&change.path))
            || said.lines().filter_map(|line| line.strip_prefix("skipped ")).any(is_it)
    };
    let missing: Vec<String> = paths.iter().filter(|path| !named(path)).map(|path| format!("`{path}`")).collect();
    if missing.is_empty() {
        return;
    }
    let failure = Failure::new(Phase::Command, format!("the node did not say what became of {}", missing.join(", ")));
    let failure =
        failure.hint("does a start-up file of the shell change what is printed (a log of sessions, a prefix)?");
    result.outcome = Outcome::Failed;
    result.failure = Some(failure);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::exec::command::CommandPlace;

    fn cut(end: CommandEnd, stdout: &str) -> StepResult {
        let ran = CommandResult {
            end,
            stdout: stdout.into(),
            stderr: Output::default(),
            preamble: Vec::new(),
            killed: None,
            place: CommandPlace::default(),
            notes: Vec::new(),
            elapsed: Duration::ZERO,
        };
        evaluate(Parser::Changes, None, JobResult::Command(Box::new(ran)))
    }

    #[test]
    fn what_was_done_before_the_end_counts_and_half_a_line_does_not() {
        let said = "created /bin/cluster_manual_starting\ncreated /bin/cluster_manual_start";
        for (end, outcome) in [
            (CommandEnd::Cancelled, Outcome::Cancelled),
            (CommandEnd::TimedOut(Begun::Heard), Outcome::TimedOut),
            (CommandEnd::Lost("reset".to_owned()), Outcome::Unreachable),
            (CommandEnd::Signal("KILL".to_owned()), Outcome::Failed),
        ] {
            let result = cut(end, said);
            assert_eq!(result.outcome, outcome);
            let paths: Vec<&str> = result.changes.iter().map(|change| change.path.as_str()).collect();
            assert_eq!(paths, ["/bin/cluster_manual_starting"]);
        }
        assert!(cut(CommandEnd::Cancelled, "created /bin/x").changes.is_empty());
    }

    #[test]
    fn a_script_says_what_it_did_and_why_it_failed() {
        let of = |said: &str, status| of_script(script::parse_facts(said.as_bytes()), status);
        let result = of("changed=yes\nrole=standby\n", 0);
        assert_eq!((result.outcome, result.failure), (Outcome::Changed, None));
        assert_eq!(result.facts.keys().collect::<Vec<_>>(), ["role"]);
        assert_eq!(of("", 0).outcome, Outcome::Ok);
        let failure = of("because=no room\nhint=make some\nchanged=yes\n", 1).failure.expect("it failed");
        assert_eq!((failure.cause.as_str(), failure.hint.as_deref()), ("no room", Some("make some")));
        assert_eq!(of("noise", 3).failure.expect("it failed").cause, "exit status 3");
    }
}
