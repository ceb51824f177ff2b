//! What the end of a copy means for the step it was for. Pure, as `conclude` is.

use std::time::Duration;

use crate::duration::human;
use crate::outcome::{Failure, Outcome, Phase, StepResult};
use crate::transport::{End, Ending, Moved};

use super::conclude::{heard, of_changes, of_end};

/// The verdict on a copy to one host. `limit` is the time that it had.
pub(super) fn of_moved(limit: Option<Duration>, moved: Moved) -> StepResult {
    let Moved { end, changes, elapsed } = moved;
    let failure = match end {
        Ending::Whole => {
            let mut result = of_changes(changes, 0);
            let mend = |failure: &mut Failure| {
                if failure.cause.contains("No such file or directory") {
                    failure.hint = Some("only a destination that ends with `/` is made where it is missing".to_owned());
                } else if failure.cause.contains("No space left") || failure.cause.contains("quota exceeded") {
                    failure.hint = Some("make room there; nothing of the file was left behind".to_owned());
                }
            };
            result.failure.as_mut().map(mend);
            return StepResult { elapsed, ..result };
        }
        Ending::Cancelled => return StepResult { changes, elapsed, ..StepResult::new(Outcome::Cancelled) },
        Ending::Script(ran) => {
            let result = match &ran.end {
                End::Cancelled => StepResult::new(Outcome::Cancelled),
                End::Lost(said) | End::NotSent(said) => StepResult::failed(lost(said)),
                end => StepResult::failed(of_end(limit, end, &ran)),
            };
            return StepResult { changes, elapsed, ..heard(*ran, result) };
        }
        Ending::NoSftp(said) => Failure::new(Phase::Command, format!("no SFTP on the server: {said}"))
            .hint("sshd_config needs `Subsystem sftp internal-sftp`, and MaxSessions above 1"),
        Ending::Lost(said) => lost(&said),
        Ending::Late => {
            let limit = limit.map(human).unwrap_or_default();
            Failure::new(Phase::Timeout, format!("not all was copied within {limit}"))
                .hint("what has arrived is kept aside and is gone on with next time; give it more time with --timeout")
        }
        Ending::Local(said) => Failure::new(Phase::Command, format!("on this machine: {said}")),
    };
    StepResult { changes, elapsed, ..StepResult::failed(failure) }
}

fn lost(said: &str) -> Failure {
    Failure::new(Phase::Lost, format!("connection lost during the copy: {said}"))
        .hint("what has arrived is kept aside; the same command goes on from there")
}
