//! Logging in with a password: as such, or as the answer to what the server asks.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use ssh2::{KeyboardInteractivePrompt, Prompt};

use super::{LoginAttempts, LoginRefusal};
use crate::transport::classify;
use crate::transport::session::drive;
use crate::transport::socket::SessionSocket;
use crate::transport::target::{Method, Target};

/// Questions of a server that one login answers: a server can ask for ever.
const MOST_QUESTIONS: usize = 16;

/// What became of a password that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PasswordResult {
    /// The server does not take it.
    Refused,
    /// It is right, and the server wants another one from now on.
    Expired,
    /// The server asks for more than the password.
    More(String),
}

/// Sends the password, once.
pub(super) async fn log_in(
    ssh: &ssh2::Session,
    socket: &SessionSocket,
    target: &Target,
    method: Method,
    password: &Arc<SecretString>,
    tried: &mut LoginAttempts,
) -> Result<(), LoginRefusal> {
    let result = if method == Method::KeyboardInteractive {
        let mut prompts_seen = Prompts::new(password.clone());
        let result = drive(ssh, socket, |ssh| ssh.userauth_keyboard_interactive(&target.user, &mut prompts_seen)).await;
        tried.password = prompts_seen.answer();
        result
    } else {
        // Before it is sent: whatever happens then, it counts.
        tried.password = Some(PasswordResult::Refused);
        let result = drive(ssh, socket, |ssh| ssh.userauth_password(&target.user, password.expose_secret())).await;
        if result.as_ref().is_err_and(classify::is_expired) {
            tried.password = Some(PasswordResult::Expired);
        }
        result
    };
    match result {
        Ok(()) if ssh.authenticated() => Ok(()),
        Err(error) if classify::is_lost(&error) || socket.has_ended() => {
            Err(LoginRefusal::Gone(classify::lower(error.message())))
        }
        Ok(()) | Err(_) => Err(LoginRefusal::Next),
    }
}

/// The server's questions and our answers.
struct Prompts {
    password: Arc<SecretString>,
    sent: bool,
    questions: usize,
    expired: bool,
    more: Option<String>,
}

impl Prompts {
    fn new(password: Arc<SecretString>) -> Self {
        Self { password, sent: false, questions: 0, expired: false, more: None }
    }

    fn answer(self) -> Option<PasswordResult> {
        match (self.sent || self.more.is_some(), self.expired, self.more) {
            (false, ..) => None,
            (_, true, _) => Some(PasswordResult::Expired),
            (_, _, Some(question)) => Some(PasswordResult::More(question)),
            (true, false, None) => Some(PasswordResult::Refused),
        }
    }
}

impl KeyboardInteractivePrompt for Prompts {
    fn prompt(&mut self, _: &str, instructions: &str, prompts: &[Prompt<'_>]) -> Vec<String> {
        self.questions += prompts.len();
        self.expired |= speaks_of_expiry(instructions);
        prompts
            .iter()
            .map(|prompt| {
                self.expired |= speaks_of_expiry(&prompt.text);
                // The password goes to the first hidden question only: the next one is another question, and a new
                // password is not for gsctl to choose.
                if !prompt.echo && !self.sent && !self.expired && self.questions <= MOST_QUESTIONS {
                    self.sent = true;
                    return self.password.expose_secret().to_owned();
                }
                self.more.get_or_insert_with(|| prompt.text.trim().trim_end_matches(':').chars().take(60).collect());
                String::new()
            })
            .collect()
    }
}

/// Whether a server's words say that the password must be changed.
fn speaks_of_expiry(words: &str) -> bool {
    let words = words.to_lowercase();
    ["change your password", "password has expired", "password expired", "new password", "current password"]
        .iter()
        .any(|sign| words.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(prompts_seen: &mut Prompts, instructions: &str, text: &str, echo: bool) -> String {
        prompts_seen.prompt("", instructions, &[Prompt { text: text.into(), echo }]).remove(0)
    }

    fn prompts_seen() -> Prompts {
        Prompts::new(Arc::new("open sesame".into()))
    }

    #[test]
    fn the_password_answers_the_first_hidden_question_and_no_other() {
        let mut one = prompts_seen();
        assert_eq!(ask(&mut one, "", "Password: ", false), "open sesame");
        assert_eq!(one.answer(), Some(PasswordResult::Refused));

        let mut two = prompts_seen();
        assert_eq!(ask(&mut two, "", "Password: ", false), "open sesame");
        assert_eq!(ask(&mut two, "", "Verification code: ", false), "");
        assert_eq!(two.answer(), Some(PasswordResult::More("Verification code".into())));

        let mut shown = prompts_seen();
        assert_eq!(ask(&mut shown, "", "Token: ", true), "");
        assert_eq!(shown.answer(), Some(PasswordResult::More("Token".into())));
        assert_eq!(prompts_seen().answer(), None);
    }

    #[test]
    fn a_password_that_must_be_changed_is_not_changed() {
        let mut late = prompts_seen();
        assert_eq!(ask(&mut late, "", "Password: ", false), "open sesame");
        let words = "You are required to change your password immediately (administrator enforced).";
        assert_eq!(ask(&mut late, words, "Current password: ", false), "");
        assert_eq!(ask(&mut late, "", "New password: ", false), "");
        assert_eq!(late.answer(), Some(PasswordResult::Expired));
    }
}
