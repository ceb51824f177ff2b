//! Execution options of a command: its input, user, shell, terminal, and what runs on the node just before it.

use std::sync::Arc;

use super::Template;

/// How a command is run.
#[derive(Debug, Clone, Default)]
pub struct ExecOptions {
    /// Send it as it is, without the wrapper that makes trailer and kill possible.
    pub raw: bool,
    /// What it reads; `None` is nothing.
    pub stdin: Option<Arc<[u8]>>,
    /// POSIX shell text of ours that the wrapper runs first. Where it fails, the command is not run.
    pub before: Template,
    /// The shell that runs it; `None`: the user's login shell, or /bin/sh behind sudo.
    pub shell: Option<String>,
    /// The command is a script of ours, for /bin/sh, which reads what it reads to its end and can tell that it did.
    pub own: bool,
    /// Run it as this user, through the node's sudo.
    pub sudo: Option<Template>,
    /// Give it a pseudo terminal.
    pub pty: bool,
}

/// Text that sets variables and changes the directory, and fails where it can't.
#[must_use]
pub fn surroundings(env: Vec<(String, Template)>, directory: Option<Template>) -> Template {
    let mut text = Template::default();
    let mut first = "export ";
    for (name, value) in env {
        text = text.followed_by(Template::literal(format!("{first}{name}="))).followed_by(value.into_word());
        first = " ";
    }
    let Some(directory) = directory else { return text };
    let and = if first == " " { "&&" } else { "" };
    // CDPATH would be another directory of the same name.
    text.followed_by(Template::literal(format!("{and}CDPATH= cd -- "))).followed_by(directory.into_word())
}

/// Whether every shell takes this as the name of a variable.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    !name.is_empty() && plain && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether sudo can be asked for a user of this name.
///
/// # Errors
///
/// What is wrong with the name.
pub fn validate_user(user: &str) -> Result<(), String> {
    if user.is_empty() {
        return Err("the name of the user is empty".to_owned());
    }
    if user.starts_with('-') || user.contains(|c: char| c.is_whitespace() || c.is_control() || "/:,".contains(c)) {
        return Err(format!("`{}` is no name of a user", user.escape_debug()));
    }
    Ok(())
}
