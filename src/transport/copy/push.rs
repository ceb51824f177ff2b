//! Copying files to a node.
//!
//! A file is sent under another name beside its own, which says what it will be: whoever comes after a cut finds it and
//! goes on. Only what has arrived whole, to the byte, gets its name, by a rename.

use std::collections::HashMap;

use super::send::SendResult;
use super::{CopyEnd, CopyLimits, denied};
use crate::outcome::{Change, ChangeKind};
use crate::plan::push::{Content, Push, PushFile, PushPlace};
use crate::plan::script::copy::CopyAnswers;
use crate::plan::script::push as node;
use crate::transport::session::Session;

/// Times that a file is sent whose content arrived as another one.
const TRIES: usize = 2;

impl Session {
    /// Copies files to the node.
    pub(super) async fn push_all(
        &mut self,
        push: &Push,
        dest: &str,
        limits: CopyLimits<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<(), CopyEnd> {
        let mut answers = self.ask(node::prepare(push, dest), limits).await?;
        let into = match answers.remove(&node::DEST) {
            Some(answer) if answer.word == "denied" => {
                changes.push(denied(dest.to_owned(), answer.rest));
                return Ok(());
            }
            answer => answer.is_some(),
        };
        let places = push.places(dest, into);
        let mut state = PushState { places: &places, found: HashMap::new(), changes };
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
                    state.found.insert(n, if word == "absent" { ChangeKind::Created } else { ChangeKind::Written });
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
                let Some(have) = have else {
                    arrived.push((n, false));
                    continue;
                };
                match self.send(&push.copies[n], &places[n].part, have, limits).await? {
                    SendResult::Whole => arrived.push((n, true)),
                    SendResult::Refused(said) => {
                        let mut why = self.ask(node::why(n, &places[n].part), limits).await?;
                        let why = why.remove(&n).map(|answer| answer.rest).filter(|why| !why.is_empty());
                        state.deny(n, why.unwrap_or(said));
                    }
                }
            }
            let closing = if attempt == 1 { &made[..] } else { &[] };
            if arrived.is_empty() && closing.is_empty() {
                break;
            }
            let mut answers = self.ask(node::finish(push, &places, &arrived, closing), limits).await?;
            for &n in closing {
                state.end(n, ChangeKind::Created, &mut answers);
            }
            for (n, _) in arrived {
                let kind = state.found.get(&n).copied().unwrap_or(ChangeKind::Written);
                if !state.end(n, kind, &mut answers) {
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
    /// What a file will have become, once it is there.
    found: HashMap<usize, ChangeKind>,
    changes: &'a mut Vec<Change>,
}

impl PushState<'_> {
    fn say(&mut self, n: usize, action: ChangeKind) {
        self.changes.push(Change { path: self.places[n].path.clone(), action, note: None });
    }

    fn deny(&mut self, n: usize, why: String) {
        self.changes.push(denied(self.places[n].path.clone(), why));
    }

    /// Takes the last answer about a copy. False where other bytes arrived than were sent.
    fn end(&mut self, n: usize, kind: ChangeKind, answers: &mut CopyAnswers) -> bool {
        match answers.remove(&n) {
            Some(answer) if answer.word == "done" => self.say(n, kind),
            Some(answer) if answer.word == "mismatch" => return false,
            Some(answer) => self.deny(n, answer.rest),
            None => self.deny(n, "the node gave no answer".to_owned()),
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
