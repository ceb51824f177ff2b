//! Commands, played: a process id, some output, an exit status. Understands gsctl's wrapper and its killer, no shell.

use gsctl::testing::{Mark, killer, posix};

/// What a client wants to be run.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The mark of the wrapper; without one, only the channel tells how it ended.
    pub(crate) mark: Option<String>,
    pub(crate) task: Task,
}

/// What the command is, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// Whatever the host's plan says.
    Planned,
    /// An exit status of its own.
    Exit(u8),
    /// `echo` with these words.
    Echo(String),
    /// Kills this one.
    Kill(u32),
    /// The text comes on standard input, so many bytes.
    Read(usize),
}

impl Request {
    /// Reads what was sent with the request to run something.
    pub(crate) fn read(text: &str) -> Self {
        let Some((mark, word)) = Mark::unwrap(text) else {
            return Self { mark: None, task: Task::of(text) };
        };
        let mark = Some(mark.as_str().to_owned());
        if let Some(rest) = word.strip_prefix("\"$(dd bs=") {
            let bytes = rest.split(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
            return Self { mark, task: Task::Read(bytes) };
        }
        let words = shell_words::split(word).unwrap_or_default();
        Self { mark, task: Task::of(words.first().map_or("", String::as_str)) }
    }

    /// What the wrapper prints before, on the two streams.
    pub(crate) fn head(&self, pid: u32) -> (String, String) {
        self.mark.as_ref().map_or_else(Default::default, |mark| (format!("{mark}<{pid}\n"), format!("{mark}<\n")))
    }

    /// What the wrapper prints after.
    pub(crate) fn tail(&self, status: u8) -> (String, String) {
        self.mark.as_ref().map_or_else(Default::default, |mark| (format!("{mark}={status}\n"), format!("{mark}.\n")))
    }
}

impl Task {
    pub(crate) fn of(text: &str) -> Self {
        if let Some(words) = text.strip_prefix("echo ") {
            return Self::Echo(format!("{words}\n"));
        }
        if text == "false" {
            return Self::Exit(1);
        }
        if let Some(status) = text.strip_prefix("exit ").and_then(|digits| digits.parse().ok()) {
            return Self::Exit(status);
        }
        let victim = text.rsplit_once("gs_kill ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
        match victim {
            Some(pid) if posix(&killer(pid)) == text => Self::Kill(pid),
            _ => Self::Planned,
        }
    }
}
