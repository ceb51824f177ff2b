//! Questions of yes and no, on the terminal.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};

/// The terminal, whatever standard input and output are.
const TERMINAL: &str = "/dev/tty";

/// Whether there is a terminal to ask on.
#[must_use]
pub(super) fn has_terminal() -> bool {
    File::options().read(true).write(true).open(TERMINAL).is_ok()
}

/// Asks, and waits for the answer. Anything but yes is no; so is a terminal that went away.
#[must_use]
pub(super) fn ask(question: &str) -> bool {
    let Ok(mut terminal) = File::options().read(true).write(true).open(TERMINAL) else { return false };
    if write!(terminal, "{question} [y/N] ").is_err() {
        return false;
    }
    let mut answer = String::new();
    let _ = BufReader::new(terminal).read_line(&mut answer);
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}
