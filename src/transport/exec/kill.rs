//! Killing a command on its node, with all that it has started: a script of ours finds and kills it, and says what it saw.

use std::time::Duration;

use super::collector::Collector;
use super::command::{Command, CommandEnd, CommandPlace, Killed};
use super::marks::Mark;
use super::{ExecBackend, wants_another_form};
use crate::cancel::{Deadline, Raced, race};
use crate::output::Output;
use crate::plan::script::{Victim, killer};

/// Time that a kill on the node may take.
const KILL_TIMEOUT: Duration = Duration::from_secs(8);
/// Bytes of the killer's answer that are looked at.
const LONGEST_ANSWER: usize = 4096;

/// Where a command is killed from.
#[derive(Debug, Clone, Copy)]
pub(in crate::transport) enum KillFrom {
    /// The connection that it was sent over: the node has not started anew since.
    SameConnection {
        /// sudo, where it was to be run by that, has let it begin.
        command_begun: bool,
    },
    /// Another one: a process is the command's only where the node says that it is.
    OtherConnection,
}

/// Kills what carries a command on its node, and what that has started.
pub(in crate::transport) async fn kill<C: ExecBackend>(
    backend: &mut C,
    place: &CommandPlace,
    command: &Command,
    from: KillFrom,
    mark: &Mark,
) -> KillResult {
    let (same, command_begun) = match from {
        KillFrom::SameConnection { command_begun } => (true, command_begun),
        KillFrom::OtherConnection => (false, true),
    };
    let victim = match &place.process {
        Some(process) => {
            let (pid, start, boot, lead) = (process.pid, process.start, &process.boot, process.lead);
            Victim { id: &place.id, pid, start, boot, lead, same_connection: same }
        }
        None => Victim { id: &place.id, pid: 0, start: 0, boot: "0", lead: 0, same_connection: same },
    };
    let own = Command::own(killer(&victim), None);
    if command.sudo.is_none() {
        return kill_by(backend, &own, mark).await;
    }
    // What runs as another user hears no signal of the login user's: the way there is the way to kill it.
    let through = Command { sudo: command.sudo.clone(), pty: command.pty, ..own.clone() };
    // Until sudo lets the command begin there is only sudo itself, which ends with its input.
    let ways = if command_begun { [&through, &own] } else { [&own, &through] };
    let first = kill_by(backend, ways[0], mark).await;
    if first != KillResult::Alive {
        return first;
    }
    let second = kill_by(backend, ways[1], mark).await;
    // Of another user's processes the login user has no word: /proc may hide them from him.
    if command_begun { KillResult::Alive } else { second }
}

async fn kill_by<C: ExecBackend>(backend: &mut C, killer: &Command, mark: &Mark) -> KillResult {
    let (result, again) = kill_once(backend, killer, mark).await;
    // A connection of its own does not know yet.
    if again { kill_once(backend, killer, mark).await.0 } else { result }
}

async fn kill_once<C: ExecBackend>(backend: &mut C, killer: &Command, mark: &Mark) -> (KillResult, bool) {
    let marks = mark.command();
    let mut collected = Collector::new(&marks, killer, None, backend.spool());
    let mut process = None;
    let listening = backend.listen(killer, &marks, &mut process, &mut collected);
    let raced = race(listening, Deadline::after(Some(KILL_TIMEOUT)), None).await;
    if let Some(process) = process {
        backend.discard(process);
    }
    match raced {
        Raced::Done(CommandEnd::Exit(_)) => (kill_result(&collected.stdout.finish()), false),
        Raced::Done(end) => (KillResult::Alive, wants_another_form(backend, killer, &end, &collected.preamble())),
        Raced::Late | Raced::Cancelled => (KillResult::Alive, false),
    }
}

/// What became of a command that was to be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillResult {
    /// It was there, and was seen gone.
    Killed,
    /// Only the login shell was there, which had not come to it; it was seen gone.
    NeverBegun,
    /// It was not there any more.
    Gone,
    /// It is still there, or nobody knows.
    Alive,
}

impl From<KillResult> for Killed {
    fn from(kill_result: KillResult) -> Self {
        match kill_result {
            KillResult::Killed | KillResult::NeverBegun => Self::Yes,
            KillResult::Gone => Self::Ended,
            KillResult::Alive => Self::No,
        }
    }
}

/// Reads the killer's answer.
#[must_use]
fn kill_result(stdout: &Output) -> KillResult {
    let said = stdout.first(LONGEST_ANSWER).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let mut words = said.lines().map(str::trim);
    words
        .find_map(|word| match word {
            "killed" => Some(KillResult::Killed),
            "never begun" => Some(KillResult::NeverBegun),
            "gone" => Some(KillResult::Gone),
            _ => None,
        })
        .unwrap_or(KillResult::Alive)
}
