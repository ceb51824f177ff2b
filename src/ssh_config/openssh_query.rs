//! The installed `ssh`, asked with `-G` about what gsctl leaves to it: `Match exec` and the like, and canonical names.
//!
//! It is asked for each distinct question once, and no question contacts a host. What is asked is a file of its own, made
//! for the question, and neither of the user's: those were read already, and their settings keep their places.

use std::collections::HashMap;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::duration::human;

/// A command under `Match exec` that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(15);
/// Time between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(2);
/// The variable that is sent where the criterion holds.
const MARK: &str = "GSCTL_HOLDS";

/// The installed `ssh`, and what it has answered.
#[derive(Debug)]
pub(super) struct OpensshQuery {
    answers: Mutex<HashMap<HostQuery, Arc<AnswerCell>>>,
    limit: Duration,
}

impl Default for OpensshQuery {
    fn default() -> Self {
        Self { answers: Mutex::default(), limit: LIMIT }
    }
}

/// An answer, once there is one.
type AnswerCell = OnceLock<Result<QueryAnswer, QueryError>>;

/// What ssh is to find out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HostQuery {
    /// The host that ssh is asked about.
    host: String,
    /// What would stand in its file.
    file: String,
}

#[derive(Debug, Clone)]
struct QueryAnswer {
    holds: bool,
    host_name: String,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(super) struct QueryError {
    pub(super) cause: String,
    pub(super) hint: &'static str,
}

impl HostQuery {
    /// About `host`, in a file that begins with these settings.
    pub(super) fn new<'a>(host: &str, settings: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let line = |file: String, (keyword, value)| format!("{file}{keyword} {value}\n");
        let file = settings.into_iter().fold(String::new(), line);
        Self { host: host.to_owned(), file }
    }

    /// Whether a criterion of `Match` holds, as it stands in the user's file.
    fn about(mut self, criterion: &str) -> Self {
        self.file += &format!("Match {criterion}\nSendEnv {MARK}\n");
        self
    }
}

/// A value between quotes.
pub(super) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

impl OpensshQuery {
    /// Whether a criterion of `Match` holds.
    pub(super) fn holds(&self, question: HostQuery, criterion: &str) -> Result<bool, QueryError> {
        self.ask(&question.about(criterion)).map(|answer| answer.holds)
    }

    /// What the host is called in the end.
    pub(super) fn host_name(&self, question: &HostQuery) -> Result<String, QueryError> {
        self.ask(question).map(|answer| answer.host_name)
    }

    /// Who asks what is being asked already waits for that answer.
    fn ask(&self, question: &HostQuery) -> Result<QueryAnswer, QueryError> {
        let cell = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.entry(question.clone()).or_default().clone()
        };
        cell.get_or_init(|| run(question, self.limit)).clone()
    }
}

fn run(question: &HostQuery, limit: Duration) -> Result<QueryAnswer, QueryError> {
    let (ended, out, said) = match start(question, limit) {
        Ok(heard) => heard,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let cause = "`ssh` is needed to decide this, and is not installed".to_owned();
            return Err(QueryError { cause, hint: "install OpenSSH's client, or name another file with -F" });
        }
        Err(error) => {
            return Err(QueryError { cause: format!("`ssh -G` cannot be run: {error}"), hint: "is `ssh` in PATH?" });
        }
    };
    let host_name = out.lines().find_map(|line| line.strip_prefix("hostname "));
    match (ended, host_name) {
        (Some(true), Some(host_name)) => {
            let mark = format!("sendenv {MARK}");
            Ok(QueryAnswer { holds: out.lines().any(|line| line == mark), host_name: host_name.to_owned() })
        }
        (None, _) => {
            let cause = format!("`ssh -G` had no answer within {}", human(limit));
            Err(QueryError {
                cause,
                hint: "a command of `Match exec` must end by itself, and the name service must answer",
            })
        }
        _ => {
            let said = said.trim().lines().map(|line| line.trim_start_matches("/dev/stdin ")).collect::<Vec<_>>();
            let cause = format!("`ssh -G` cannot decide this: {}", said.join("; "));
            Err(QueryError { cause, hint: "this is what the installed ssh says: `ssh -V` tells its version" })
        }
    }
}

/// Runs ssh. Whether it succeeded, `None` where it ran out of time; its output and its messages.
fn start(question: &HostQuery, limit: Duration) -> io::Result<(Option<bool>, String, String)> {
    // Files, and not pipes: what a command of `Match exec` leaves behind would hold those open.
    let (mut out, mut said, mut file) = (tempfile::tempfile()?, tempfile::tempfile()?, tempfile::tempfile()?);
    file.write_all(question.file.as_bytes())?;
    file.rewind()?;
    // With a command it is as in a run: there is no shell, and no terminal.
    let mut child = Command::new("ssh")
        .args(["-G", "-F", "/dev/stdin", "--", &question.host, "true"])
        .stdin(Stdio::from(file))
        .stdout(Stdio::from(out.try_clone()?))
        .stderr(Stdio::from(said.try_clone()?))
        .process_group(0)
        .spawn()?;
    let ended = wait(&mut child, limit)?;
    let mut texts = [String::new(), String::new()];
    for (file, text) in [&mut out, &mut said].into_iter().zip(&mut texts) {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        *text = String::from_utf8_lossy(&bytes).into_owned();
    }
    let [out, said] = texts;
    Ok((ended, out, said))
}

fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<bool>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if begun.elapsed() >= limit {
            if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_given_up_and_gone() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let ssh = OpensshQuery { limit: Duration::from_secs(1), ..OpensshQuery::default() };
        // The shell of Match exec is asked to stay for a minute; it tells who it is.
        let criterion = format!("exec \"echo $$ > {}; exec sleep 61\"", pid.display());
        let silence = ssh.holds(HostQuery::new("localhost", []), &criterion).unwrap_err();
        assert_eq!(silence.cause, "`ssh -G` had no answer within 1s");
        let pid = std::fs::read_to_string(pid).unwrap();
        let file = format!("/proc/{}/cmdline", pid.trim());
        let there = || std::fs::read_to_string(&file).is_ok_and(|text| text.starts_with("sleep"));
        let begun = Instant::now();
        while there() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it is still there");
            thread::sleep(LOOK);
        }
    }

    #[test]
    fn values_keep_their_quotes() {
        let question = HostQuery::new("a", [("User", quoted("o'b \"x\" \\"))]);
        let output = {
            let (ended, out, _) = start(&question, LIMIT).unwrap();
            assert_eq!(ended, Some(true));
            out
        };
        assert!(output.lines().any(|line| line == "user o'b \"x\" \\"), "{output}");
    }
}
