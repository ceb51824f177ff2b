//! What the end of a copy means for the step it was for. Pure, as `evaluate` is.

use std::time::Duration;

use crate::duration::human;
use crate::outcome::change::{Change, ChangeKind};
use crate::outcome::{Failure, Outcome, Phase, StepResult};
use crate::transport::{CommandEnd, CopyEnd, CopyResult};

use super::job_result::{heard, of_changes, of_end};

/// The verdict on a copy to one host. `limit` is the time that it had.
pub(super) fn of_copy(is_pull: bool, limit: Option<Duration>, moved: CopyResult) -> StepResult {
    let CopyResult { end, changes, differences, bytes, elapsed } = moved;
    let failure = match end {
        CopyEnd::Whole => {
            let is_dir = |change: &Change| change.action == ChangeKind::Failed && change.path.ends_with('/');
            let into_dir = changes.iter().any(is_dir);
            let mut result = of_changes(changes, 0, Phase::Command);
            let mend = |failure: &mut Failure| {
                if is_pull && failure.cause.to_lowercase().contains("permission denied") {
                    failure.hint =
                        Some("may the login user read this there, and may you write to the directory here?".to_owned());
                } else if is_pull {
                    // What SFTP and this machine say needs no more words.
                } else if failure.cause.contains("No such file or directory") && !into_dir {
                    failure.hint = Some("only a destination that ends with `/` is made where it is missing".to_owned());
                } else if failure.cause.contains("No space left") || failure.cause.contains("quota exceeded") {
                    failure.hint = Some("make room there; nothing of the file was left behind".to_owned());
                }
            };
            result.failure.as_mut().map(mend);
            return StepResult { stdout: differences[..].into(), bytes, elapsed, ..result };
        }
        CopyEnd::Cancelled => return StepResult { changes, bytes, elapsed, ..StepResult::new(Outcome::Cancelled) },
        CopyEnd::Script(ran) => {
            let result = match &ran.end {
                CommandEnd::Cancelled => StepResult::new(Outcome::Cancelled),
                CommandEnd::Lost(said) | CommandEnd::NotSent(said) => StepResult::failed(lost(said)),
                end => StepResult::failed(of_end(limit, end, &ran)),
            };
            return StepResult { changes, bytes, elapsed, ..heard(*ran, result) };
        }
        CopyEnd::NoSftp(said) => Failure::new(Phase::Command, format!("no SFTP on the server: {said}"))
            .hint("sshd_config needs `Subsystem sftp internal-sftp`, and MaxSessions above 1"),
        CopyEnd::ProfileSpeaks(words) => {
            let words: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let cause = format!("SFTP cannot begin: the login shell's profile prints `{}` first", words.join(" / "));
            Failure::new(Phase::Command, cause).hint(
                "let the profile print on terminals only (`[ -t 1 ] && ...`); `Subsystem sftp internal-sftp` in sshd_config \
                 starts no shell",
            )
        }
        CopyEnd::Lost(said) => lost(&said),
        CopyEnd::Late => {
            let limit = limit.map(human).unwrap_or_default();
            Failure::new(Phase::Timeout, format!("not all was copied within {limit}"))
                .hint("what has arrived is kept aside and is gone on with next time; give it more time with --timeout")
        }
        CopyEnd::Local(said) => {
            let full =
                ["No space left", "quota exceeded", "the disk was full"].iter().any(|words| said.contains(words));
            let failure = Failure::new(Phase::Local, format!("on this machine: {said}"));
            if full { failure.hint("make room here; nothing of the file was left behind") } else { failure }
        }
        CopyEnd::TooMany(most) => Failure::new(Phase::Command, format!("there are more than {most} files"))
            .hint("pack them on the node first, with tar"),
    };
    StepResult { changes, bytes, elapsed, ..StepResult::failed(failure) }
}

fn lost(said: &str) -> Failure {
    Failure::new(Phase::Lost, format!("connection lost during the copy: {said}"))
        .hint("what has arrived is kept aside; the same command goes on from there")
}
