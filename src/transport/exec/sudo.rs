//! Commands as another user, through the node's sudo: how it is called, and what it means when it does not run them.
//!
//! The wrapper's shell stays the login user's, and so does the process id that leads the group; sudo starts a /bin/sh that
//! says to be there before it reads anything, and prints a mark before it runs anything. So what sudo says and what the command
//! says are told apart, on both streams, and a sudo that failed is never taken for a command that did. Pure text; this file must not
//! know about sessions.
//!
//! The password goes to sudo's standard input (`-S`), and only where sudo asks: its prompt is the command's id. What the inner
//! shell reads, and the command's own input after that, is held back until that shell is there. So it makes no difference
//! whether sudo remembers an earlier password, and neither is ever read by the other. An askpass program would have to be put on the node,
//! and a probe with `sudo -n` could be out of date a moment later. A prompt that comes back is not answered: accounts get locked.

use crate::plan::quote::quote;

/// How sudo is called.
#[derive(Debug, Clone, Copy)]
pub struct SudoCall<'a> {
    /// The user to run the command as.
    pub user: &'a str,
    /// sudo may ask for a password, as there is one; else it is told not to.
    pub asks: bool,
}

/// The status of a shell that found no sudo.
const NOT_FOUND: i32 = 127;

impl SudoCall<'_> {
    /// Shell text that has sudo run this command, with the locale of the login behind it.
    ///
    /// sudo speaks the C locale, so that its words can be understood; the command gets back what the login had. It is looked for as
    /// the login would find it, and where that finds none, where the system has it.
    #[must_use]
    pub(crate) fn call(&self, id: &str, command: &str) -> String {
        let asking = if self.asks { format!("-S -p '{id}?'") } else { "-n".to_owned() };
        format!("LC_ALL=C PATH=$gs_path:$PATH sudo -H {asking} -u {} -- {command} \"${{LC_ALL-}}\"", quote(self.user))
    }
}

/// Why sudo did not run a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SudoRefusal {
    /// There is no sudo.
    Missing,
    /// It wants a password, and there was none to give.
    NoPassword,
    /// It did not take the password.
    WrongPassword,
    /// The user may not do this.
    NotAllowed,
    /// There is no such user to become.
    UnknownUser,
    /// It wants a terminal.
    NoTerminal,
    /// Its time was over before it had.
    Late,
    /// Something else.
    Other,
}

impl SudoRefusal {
    /// Understands what a sudo that ended with `status` said, having asked `prompts` times.
    #[must_use]
    pub(crate) fn of(status: i32, said: &str, prompts: usize) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if status == NOT_FOUND {
            Self::Missing
        } else if has(&["must have a tty"]) {
            Self::NoTerminal
        } else if has(&["unknown user", "user not found"]) {
            Self::UnknownUser
        } else if has(&["not allowed to", "may not run sudo", "not in the sudoers", "I'm afraid I can't do that"]) {
            Self::NotAllowed
        } else if prompts > 0 && has(&["incorrect", "Sorry, try again", "no password was provided", "try again"]) {
            Self::WrongPassword
        } else if has(&["password is required", "authentication is required", "askpass", "a terminal is required"]) {
            Self::NoPassword
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sudo_says_is_understood() {
        for (status, said, prompts, want) in [
            (127, "sh: 1: sudo: not found\n", 0, SudoRefusal::Missing),
            (1, "sudo: a password is required\n", 0, SudoRefusal::NoPassword),
            (1, "sudo: interactive authentication is required\n", 0, SudoRefusal::NoPassword),
            (
                1,
                "Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n",
                2,
                SudoRefusal::WrongPassword,
            ),
            (1, "sudo: 1 incorrect password attempt\n", 1, SudoRefusal::WrongPassword),
            (1, "omm is not in the sudoers file.\n", 1, SudoRefusal::NotAllowed),
            (1, "Sorry, user omm may not run sudo on node1.\n", 0, SudoRefusal::NotAllowed),
            (
                1,
                "Sorry, user omm is not allowed to execute '/bin/sh -c x' as root on node1.\n",
                0,
                SudoRefusal::NotAllowed,
            ),
            (
                1,
                "sudo: unknown user nobody2\nsudo: error initializing audit plugin sudoers_audit\n",
                0,
                SudoRefusal::UnknownUser,
            ),
            (1, "sudo: sorry, you must have a tty to run sudo\n", 0, SudoRefusal::NoTerminal),
            (1, "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set\n", 0, SudoRefusal::Other),
        ] {
            assert_eq!(SudoRefusal::of(status, said, prompts), want, "{said}");
        }
    }
}
