//! Why sudo did not run a command on a host, in words.

use std::time::Duration;

use crate::duration::human;
use crate::outcome::{Failure, Phase};
use crate::transport::{CommandResult, SudoRefusal};

/// The failure of a host whose sudo did not let a command begin.
pub(super) fn refused(user: &str, why: SudoRefusal, limit: Option<Duration>, ran: &CommandResult) -> Failure {
    let said = |words: String| Failure::new(Phase::Command, format!("the command was not run: {words}"));
    match why {
        SudoRefusal::Missing => said("there is no sudo on the node".to_owned())
            .hint("install sudo there, or log in as the user that you need (-l)"),
        SudoRefusal::NoPassword => said("sudo wants a password, and none was given".to_owned())
            .hint("--ask-sudo-password asks you for it once; NOPASSWD in the node's sudoers, where it holds for /bin/sh, makes it needless"),
        SudoRefusal::WrongPassword => said("sudo does not take the password".to_owned())
            .hint("it was sent once and is not tried again; sudo wants that of the login user, with rootpw or targetpw in sudoers another one"),
        SudoRefusal::NotAllowed => said(format!("sudo does not let the login user run it as `{user}`"))
            .hint("the node's sudoers must allow /bin/sh: gsctl has it run the command; `sudo -l` on the node tells what is allowed"),
        SudoRefusal::UnknownUser => {
            said(format!("sudo knows no user `{user}` on the node")).hint("whom did you mean with --sudo=USER?")
        }
        SudoRefusal::NoTerminal => {
            said("sudo wants a terminal there (requiretty in sudoers)".to_owned()).hint("give it one with --pty")
        }
        SudoRefusal::Late => {
            let limit = limit.map(human).unwrap_or_default();
            Failure::new(Phase::Timeout, format!("sudo had not begun the command within {limit}"))
                .hint("what does sudo wait for? A directory service, or a second factor that nobody can give")
        }
        SudoRefusal::Other => {
            let preamble = String::from_utf8_lossy(&ran.preamble);
            let last = preamble.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it did not say why");
            said(format!("sudo did not run it: {last}")).hint("try `sudo -v` on the node by hand")
        }
    }
}
