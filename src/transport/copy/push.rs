//! Copying files to a node.
//!
//! A file is sent under another name beside its own, which says what it will be and who sends it: a part has one writer. Only
//! what has arrived whole, to the byte, gets its name, by a rename, and is looked at afterwards. Whoever comes after a run
//! that has ended makes its part his own, and goes on.

use std::collections::HashMap;

use super::send::{PartStart, SendResult};
use super::{CopyEnd, CopyLimits, refused};
use crate::outcome::change::{Change, ChangeKind};
use crate::plan::push::{Content, PartWriter, Push, PushFile, PushPlace};
use crate::plan::script::copy::CopyAnswers;
use crate::plan::script::push::{ArrivedFile, BOX, DEST, PushScripts};
use crate::transport::session::Session;

/// Times that a file is sent whose content arrived as another one.
const TRIES: usize = 2;
/// Letters that nobody guesses.
const SECRET: usize = 24;

impl Session {
    /// Copies files to the node, or looks at what that would change, and gives the differences.
    pub(super) async fn push_all(
        &mut self,
        push: &Push,
        dest: &str,
        (writer, host): (&PartWriter, usize),
        limits: CopyLimits<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<Vec<u8>, CopyEnd> {
        let secret: String = std::iter::repeat_with(fastrand::alphanumeric).take(SECRET).collect();
        let writer_here = writer.on(host);
        let scripts = PushScripts {
            push,
            dest,
            writer: &writer_here,
            ended: &writer.ended,
            secret: limits.sudo.map(|_| secret.as_str()),
        };
        if let Some(check) = push.check {
            return self.check_push(scripts, check, limits, changes).await;
        }
        let mut answers = self.ask(scripts.prepare(), limits).await?;
        let boxed = match (limits.sudo, answers.remove(&BOX)) {
            (None, _) => None,
            (Some(_), Some(answer)) if answer.word == "box" => Some(answer.rest),
            (Some(_), answer) => {
                let why = answer.map_or_else(|| "the node gave no answer".to_owned(), |answer| answer.rest);
                changes.push(refused(dest.to_owned(), why));
                return Ok(Vec::new());
            }
        };
        let done = self.push_prepared(scripts, boxed.as_deref(), answers, limits, changes).await;
        // What was cut short is gone on with.
        if let (Some(boxed), Ok(())) = (&boxed, &done) {
            self.ask(scripts.close_box(boxed), limits).await?;
        }
        done.map(|()| Vec::new())
    }

    async fn push_prepared(
        &mut self,
        scripts: PushScripts<'_>,
        boxed: Option<&str>,
        mut answers: CopyAnswers,
        limits: CopyLimits<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<(), CopyEnd> {
        let push = scripts.push;
        let into = match answers.remove(&DEST) {
            Some(answer) if answer.word == "denied" => {
                changes.push(refused(scripts.dest.to_owned(), answer.rest));
                return Ok(());
            }
            answer => answer.is_some(),
        };
        let places = push.places(scripts.dest, into, scripts.writer);
        let mut state = PushState { places: &places, new: HashMap::new(), changes };
        let mut made = Vec::new();
        let mut todo = Vec::new();
        for n in 0..places.len() {
            let Some(answer) = answers.remove(&n) else {
                state.deny(n, "the node gave no answer".to_owned());
                continue;
            };
            match answer.word.as_str() {
                "present" => state.say(n, ChangeKind::Present),
                "same" => state.say(n, ChangeKind::Same),
                "created" => made.push(n),
                "denied" => state.deny(n, answer.rest),
                "labels" => todo.push((n, None)),
                word => {
                    state.new.insert(n, word == "absent");
                    todo.push((n, Some(answer.rest.parse().unwrap_or(0))));
                }
            }
        }
        limits
            .progress
            .expect(todo.iter().filter_map(|(n, have)| Some(size(&push.copies[*n]).saturating_sub((*have)?))).sum());
        for attempt in 1..=TRIES {
            let mut arrived = Vec::new();
            for (n, have) in todo.drain(..) {
                let is_new = state.new.get(&n).copied().unwrap_or(false);
                let Some(have) = have else {
                    arrived.push(ArrivedFile { n, sent: false, is_new });
                    continue;
                };
                let in_box = boxed.and_then(|boxed| scripts.boxed(boxed, &push.copies[n]));
                let part = in_box.as_deref().unwrap_or(&places[n].part);
                let start = if have > 0 || in_box.is_some() { PartStart::There(have) } else { PartStart::New };
                match self.send(&push.copies[n], part, start, limits).await? {
                    SendResult::Whole => arrived.push(ArrivedFile { n, sent: true, is_new }),
                    SendResult::Refused(said) => {
                        let mut why = self.ask(scripts.why(n, part), limits).await?;
                        let why = why.remove(&n).map(|answer| answer.rest).filter(|why| !why.is_empty());
                        state.deny(n, why.unwrap_or(said));
                    }
                }
            }
            let closing = if attempt == 1 { &made[..] } else { &[] };
            if arrived.is_empty() && closing.is_empty() {
                break;
            }
            let mut answers = self.ask(scripts.finish(&places, &arrived, closing, boxed), limits).await?;
            for &n in closing {
                state.end(n, &mut answers);
            }
            for ArrivedFile { n, .. } in arrived {
                if !state.end(n, &mut answers) {
                    if attempt < TRIES {
                        limits.progress.expect(size(&push.copies[n]));
                        todo.push((n, Some(0)));
                    } else {
                        state.deny(n, "the content arrived as another one, twice".to_owned());
                    }
                }
            }
        }
        Ok(())
    }
}

/// What is known of an order while it is carried out.
struct PushState<'a> {
    places: &'a [PushPlace],
    /// Whether there was nothing in a file's place.
    new: HashMap<usize, bool>,
    changes: &'a mut Vec<Change>,
}

impl PushState<'_> {
    fn say(&mut self, n: usize, action: ChangeKind) {
        self.changes.push(Change { path: self.places[n].path.clone(), action, note: None });
    }

    fn deny(&mut self, n: usize, why: String) {
        self.changes.push(refused(self.places[n].path.clone(), why));
    }

    /// Takes the last answer about a copy. False where other bytes arrived than were sent.
    fn end(&mut self, n: usize, answers: &mut CopyAnswers) -> bool {
        let Some(answer) = answers.remove(&n) else {
            self.deny(n, "the node gave no answer".to_owned());
            return true;
        };
        match answer.word.as_str() {
            "created" => self.say(n, ChangeKind::Created),
            "written" => self.say(n, ChangeKind::Written),
            "same" => self.say(n, ChangeKind::Same),
            "mismatch" => return false,
            _ => self.deny(n, answer.rest),
        }
        true
    }
}

fn size(copy: &PushFile) -> u64 {
    match copy.content {
        Content::Dir => 0,
        Content::File { size, .. } => size,
    }
}
