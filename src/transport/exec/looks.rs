//! A channel that stays open while a host is waited for: a shell of ours reads a line for each look on it, and answers.
//!
//! Sent anew for every look, a probe of tens of kilobytes would go over the line once a second, and a shell be started for it
//! and have to understand it. Here it goes once. Nothing stays on the node: the shell ends where its input does, however the
//! connection ends. A look changes nothing, so it may be done again on another channel where this one ended without an answer.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use memchr::memmem;
use ssh2::Channel;

use super::channel::Streams;
use super::collector::Collector;
use super::command::{Begun, Command, CommandEnd, CommandPlace, CommandResult};
use super::marks::{Mark, Marks};
use super::stdin::{Piece, StdinWriter};
use super::wrapper::Form;
use super::{ExecBackend as _, build_request, stop};
use crate::cancel::{CancelToken, Deadline, Raced, race};
use crate::output::OutputBuilder;
use crate::reactor::sleep;
use crate::transport::session::{Session, Stopwatch};

/// Time for what a failed look wrote to standard error, once its answer is there.
const ERRORS_WAIT: Duration = Duration::from_millis(250);
/// Time for the shell to say that it has ended, once its input has.
const END_WAIT: Duration = Duration::from_secs(2);

/// A look that is done again and again.
#[derive(Debug, Clone)]
pub struct Looks {
    /// POSIX shell text, the same for all looks and all hosts: it is told from another one by its address.
    pub script: Arc<str>,
    /// Variables of this look on this host, as one line of assignments.
    pub given: String,
    /// What is run once the script has ended, whatever it ended with.
    pub after: &'static str,
}

impl Looks {
    /// `None` where the assignments are no single line: what is read line by line cannot be given them.
    #[must_use]
    pub fn new(script: Arc<str>, given: String, after: &'static str) -> Option<Self> {
        (!given.contains(['\n', '\0'])).then_some(Self { script, given, after })
    }

    /// The text that does one look and ends.
    #[must_use]
    pub fn once(&self) -> String {
        let Self { script, given, after } = self;
        format!("(\n{given}\n{script}\n)\ngs_rc=$?\n{after}\nexit $gs_rc\n")
    }

    /// The text that does one for each line that it reads. A line is a mark, which nobody else knows, and assignments where these
    /// are not those of the line before.
    #[must_use]
    pub fn repeated(&self) -> String {
        let Self { script, after, .. } = self;
        format!(
            "gs_given=:\nwhile read -r gs_look gs_new; do\n[ -z \"$gs_new\" ] || gs_given=$gs_new\n(\neval \"unset gs_look gs_new gs_given\n\
             $gs_given\"\n{script}\n) </dev/null\ngs_rc=$?\n{after}\necho \"$gs_look $gs_rc.\"\necho \"$gs_look\" >&2\ndone\nexit 0\n"
        )
    }
}

/// The channel, and the shell on it.
pub(in crate::transport) struct LookChannel {
    channel: Channel,
    collected: Collector<'static>,
    id: String,
    script: Arc<str>,
    /// What its latest line had.
    given: String,
}

/// How listening for an answer ended.
enum Heard {
    /// The script's exit status.
    Answer(i32),
    /// The channel ended first.
    Nothing,
}

impl Session {
    /// Does a look over the channel that is kept for it. `None`: it has to be done as any command is.
    pub(in crate::transport) async fn look(
        &mut self,
        command: &Command,
        mark: &Mark,
        cancel: Option<&CancelToken>,
    ) -> Option<CommandResult> {
        let looks = command.looks.as_ref()?;
        // A start-up file that reads the input would wait for its end. What was heard to the end once has none.
        if self.keeps_looks != Some(true)
            || self.form != Form::Usual
            || command.sudo.is_some()
            || command.pty
            || command.raw
        {
            return None;
        }
        if self.looks.as_ref().is_some_and(|kept| !Arc::ptr_eq(&kept.script, &looks.script)) {
            self.end_looks().await;
        }
        let watch = Stopwatch::start();
        let deadline = Deadline::after(command.timeout);
        if let Some(kept) = self.looks.take() {
            match self.ask_kept(kept, looks, Vec::new(), (command, mark), (deadline, cancel, watch)).await {
                Some(result) => return Some(result),
                // It ended between two looks, or in this one.
                None if cancel.is_some_and(CancelToken::is_cancelled) => return None,
                None => {}
            }
        }
        let marks = mark.command();
        let repeated = Command { text: looks.repeated(), looks: None, ..command.clone() };
        let (request, mut pieces) = build_request(&repeated, &marks, false, self.form);
        // The command's own input, which is empty.
        pieces.pop();
        let Ok(mut channel) = self.open(false).await else {
            self.keeps_looks = Some(false);
            return None;
        };
        if self.start(&mut channel, &request).await.is_err() {
            self.abandon(channel);
            return None;
        }
        let kept = LookChannel {
            channel,
            collected: Collector::new(&marks, &repeated, None, self.spool()),
            id: marks.id.clone(),
            script: Arc::clone(&looks.script),
            given: String::new(),
        };
        let result = self.ask_kept(kept, looks, pieces, (command, mark), (deadline, cancel, watch)).await;
        // A shell that cannot do it is not asked again.
        if result.is_none() {
            self.keeps_looks = Some(false);
        }
        result
    }

    /// Asks once. `None`: the channel ended without an answer, and is given up.
    async fn ask_kept(
        &mut self,
        mut kept: LookChannel,
        looks: &Looks,
        mut pieces: Vec<Piece<'_>>,
        (command, mark): (&Command, &Mark),
        (deadline, cancel, watch): (Deadline, Option<&CancelToken>, Stopwatch),
    ) -> Option<CommandResult> {
        let Marks { secret, .. } = mark.command();
        let line = if kept.given == looks.given {
            format!("{secret}\n")
        } else {
            kept.given.clone_from(&looks.given);
            format!("{secret} {}\n", looks.given)
        };
        pieces.push(Piece::text(line));
        let spool = Arc::clone(self.spool());
        for stream in [&mut kept.collected.stdout, &mut kept.collected.stderr] {
            *stream = OutputBuilder::new(&spool);
        }
        let heard = race(self.hear(&mut kept, StdinWriter::held_open(pieces), &secret), deadline, cancel).await;
        let result = |end, stdout, stderr, place, killed, preamble| CommandResult {
            end,
            stdout,
            stderr,
            preamble,
            killed,
            place,
            notes: Vec::new(),
            elapsed: watch.elapsed(),
        };
        let place = CommandPlace { id: kept.id.clone(), process: kept.collected.process().cloned() };
        match heard {
            Raced::Done(Heard::Answer(status)) => {
                let answer = [&kept.collected.stdout, &kept.collected.stderr].map(|stream| {
                    let said = stream.recent();
                    let end = memmem::find(said, secret.as_bytes()).unwrap_or(said.len());
                    said[..end].to_vec().into()
                });
                let [stdout, stderr] = answer;
                self.looks = Some(kept);
                Some(result(CommandEnd::Exit(status), stdout, stderr, place, None, Vec::new()))
            }
            Raced::Done(Heard::Nothing) => {
                self.abandon(kept.channel);
                None
            }
            Raced::Late | Raced::Cancelled => {
                let LookChannel { mut channel, mut collected, .. } = kept;
                let settled = collected.begun() || self.abandon_unstarted(&mut channel, &mut collected).await;
                let end = match heard {
                    Raced::Late => CommandEnd::TimedOut(Begun::Heard),
                    _ => CommandEnd::Cancelled,
                };
                let place = CommandPlace { process: collected.process().cloned(), ..place };
                // As any command: killed before its channel is closed.
                let own = Command { looks: None, ..command.clone() };
                let (end, killed) = stop(self, &own, mark, &collected, &place, end, settled).await;
                self.abandon(channel);
                collected.finish();
                let preamble = collected.preamble();
                Some(result(end, collected.stdout.finish(), collected.stderr.finish(), place, killed, preamble))
            }
        }
    }

    /// Writes what is to be written, and listens until the mark has come.
    async fn hear(&self, kept: &mut LookChannel, mut stdin: StdinWriter<'_>, secret: &str) -> Heard {
        let LookChannel { channel, collected, .. } = kept;
        let mut streams = Streams::new(channel);
        let mut keepalives = self.keepalives();
        let mut answer = None;
        loop {
            let Ok(written) = stdin.push(channel, collected) else { return Heard::Nothing };
            let Ok(read) = streams.read(channel, |stream, bytes| collected.take(stream, bytes)) else {
                return Heard::Nothing;
            };
            if read.bytes > 0 {
                self.socket().used(read.bytes);
                if answer.is_none() {
                    answer = answered(collected.stdout.recent(), secret);
                }
            }
            match answer {
                // Nothing of it is looked at where the look went well.
                Some(0) => return Heard::Answer(0),
                Some(status) if memmem::find(collected.stderr.recent(), secret.as_bytes()).is_some() => {
                    return Heard::Answer(status);
                }
                _ => {}
            }
            // What was read may be what the input has waited for.
            if read.more || written || read.bytes > 0 && stdin.is_waiting(collected) {
                future::yield_now().await;
                continue;
            }
            if channel.eof() || collected.ended().is_some() {
                return answer.map_or(Heard::Nothing, Heard::Answer);
            }
            match answer {
                None if self.wait_readable(&mut keepalives).await.is_err() => return Heard::Nothing,
                None => {}
                Some(status) => {
                    let late = async {
                        sleep(ERRORS_WAIT).await;
                        Err(String::new())
                    };
                    if future::or(self.wait_readable(&mut keepalives), late).await.is_err() {
                        return Heard::Answer(status);
                    }
                }
            }
        }
    }

    /// Ends the shell that waits for looks, if there is one, and hears that it has ended.
    pub(in crate::transport) async fn end_looks(&mut self) {
        let Some(LookChannel { mut channel, mut collected, .. }) = self.looks.take() else { return };
        let mut keepalives = self.keepalives();
        let ending = async {
            if self.drive(|_| channel.send_eof()).await.is_err() {
                return;
            }
            let mut streams = Streams::new(&channel);
            loop {
                let Ok(read) = streams.read(&mut channel, |stream, bytes| collected.take(stream, bytes)) else {
                    return;
                };
                if read.bytes > 0 {
                    self.socket().used(read.bytes);
                }
                if read.more {
                    future::yield_now().await;
                    continue;
                }
                // After the reads: they are what takes in the server's last word, and nothing comes behind that.
                if channel.eof() || self.wait_readable(&mut keepalives).await.is_err() {
                    return;
                }
            }
        };
        race(ending, Deadline::after(Some(END_WAIT)), None).await;
        self.abandon(channel);
    }
}

/// The status in an answer, once all of that is there.
fn answered(said: &[u8], secret: &str) -> Option<i32> {
    let at = memmem::rfind(said, secret.as_bytes())?;
    let rest = &said[at + secret.len()..];
    let end = memchr::memchr(b'.', rest)?;
    std::str::from_utf8(&rest[..end]).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// The shells that /bin/sh is on nodes.
    fn shells() -> Vec<Vec<&'static str>> {
        vec![vec!["dash"], vec!["bash", "--posix"], vec!["busybox", "sh"]]
    }

    fn run(shell: &[&str], text: &str, input: &str) -> (String, String) {
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", text])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let said = child.wait_with_output().unwrap();
        (String::from_utf8(said.stdout).unwrap(), String::from_utf8(said.stderr).unwrap())
    }

    #[test]
    fn each_line_is_a_look() {
        let script = "cat\necho \"a=$a look=${gs_look-}\"\nb=${b-0}$a\necho \"b=$b\"\necho told >&2\n[ \"$a\" != end ] || exit 3";
        let looks = Looks::new(script.into(), "a='it'\\''s'".to_owned(), "echo after").unwrap();
        for shell in shells() {
            let (out, errors) = run(&shell, &looks.repeated(), "m1 a='it'\\''s'\nm2\nm3 a=end\nm4 a=\\$HOME\n");
            let wanted = "a=it's look=\nb=0it's\nafter\nm1 0.\na=it's look=\nb=0it's\nafter\nm2 0.\n\
                          a=end look=\nb=0end\nafter\nm3 3.\na=$HOME look=\nb=0$HOME\nafter\nm4 0.\n";
            assert_eq!(out, wanted, "{shell:?}");
            assert_eq!(errors, "told\nm1\ntold\nm2\ntold\nm3\ntold\nm4\n", "{shell:?}");
            assert_eq!(run(&shell, &looks.once(), "").0, "a=it's look=\nb=0it's\nafter\n", "{shell:?}");
        }
    }

    #[test]
    fn an_answer_is_whole_or_none() {
        assert_eq!(answered(b"x=y\nm 0.\n", "m"), Some(0));
        assert_eq!(answered(b"x=ym 127.", "m"), Some(127));
        for part in ["", "x=y\n", "x=y\nm", "m ", "m 1", "m x."] {
            assert_eq!(answered(part.as_bytes(), "m"), None, "{part}");
        }
        assert!(Looks::new("".into(), "a='x\ny'".to_owned(), "").is_none());
    }
}
