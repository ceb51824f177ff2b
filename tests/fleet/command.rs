//! Commands, played: a process id, some output, an exit status. Understands gsctl's wrapper and its killer, no shell.

use gsctl::testing::{Victim, killer, unwrap_program, unwrap_request};

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
    /// A probe of a playbook: it finds the same everywhere.
    Probe,
    /// Answers each line that it reads with what the host's plan says.
    Looks,
    /// The program comes on standard input, so many bytes.
    Read { id: String, bytes: usize },
}

/// What every process of the fleet says of when it was started, and of which life of its node.
const PROCESS: &str = "1 0-0 0";

impl Request {
    /// Reads what was sent with the request to run something.
    pub(crate) fn read(text: &str) -> Self {
        match unwrap_request(text) {
            Some((id, bytes)) => Self { mark: None, task: Task::Read { id: id.to_owned(), bytes } },
            None => Self { mark: None, task: Task::of(text) },
        }
    }

    /// Reads the program that came on standard input.
    pub(crate) fn of_program(id: &str, program: &str) -> Self {
        let Some(program) = unwrap_program(id, program) else {
            return Self { mark: None, task: Task::Exit(141) };
        };
        Self { mark: Some(program.mark), task: Task::of(&program.text) }
    }

    /// What the wrapper prints before, on the two streams.
    pub(crate) fn head(&self, pid: u32) -> (String, String) {
        let mark = self.mark.as_ref();
        mark.map_or_else(Default::default, |mark| (format!("{mark}<{pid} {PROCESS}\n"), format!("{mark}<\n")))
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
        // `transport/exec/looks.rs`
        if text.starts_with("gs_given=:\nwhile read -r gs_look gs_new; do\n") {
            return Self::Looks;
        }
        if text.contains("\necho gsctl_look_ends=yes\n") {
            return Self::Probe;
        }
        match victim(text) {
            Some(pid) => Self::Kill(pid),
            None => Self::Planned,
        }
    }
}

/// Whom a killer is to kill.
fn victim(text: &str) -> Option<u32> {
    let line = text.lines().find(|line| line.starts_with("gs_id="))?;
    let mut values = line.split(' ').filter_map(|word| Some(word.split_once('=')?.1));
    let (id, pid) = (values.next()?, values.next()?.parse().ok()?);
    let (start, boot) = (values.next()?.parse().ok()?, values.next()?);
    let lead = values.next()?.parse().ok()?;
    let same_connection = values.next()? == "1";
    (killer(&Victim { id, pid, start, boot, lead, same_connection }) == text).then_some(pid)
}
