//! Copying files to a node.
//!
//! A file is sent under another name beside its own, which says what it will be: whoever comes after a cut finds it and
//! goes on. Only what has arrived whole, to the byte, gets its name, by a rename.

use std::collections::HashMap;

use super::super::command::{Command, End};
use super::super::session::{Session, Stopwatch};
use super::super::trailer::Mark;
use super::send::Sent;
use super::{Ending, Moved, Order};
use crate::control::{CancelToken, Deadline};
use crate::outcome::{Change, ChangeKind};
use crate::plan::push::Place;
use crate::plan::script::push::{self as node, Answers};

/// Times that a file is sent whose content arrived as another one.
const TRIES: usize = 2;

/// What every part of an order needs.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    pub(super) mark: &'a Mark,
    pub(super) deadline: Deadline,
    pub(super) cancel: Option<&'a CancelToken>,
}

impl Session {
    /// Copies files to the node.
    pub async fn push(
        &mut self,
        order: &Order,
        mark: &Mark,
        deadline: Deadline,
        cancel: Option<&CancelToken>,
    ) -> Moved {
        let watch = Stopwatch::start();
        let mut changes = Vec::new();
        let bounds = Bounds { mark, deadline, cancel };
        let end = self.push_all(order, bounds, &mut changes).await.err().unwrap_or(Ending::Whole);
        Moved { end, changes, elapsed: watch.elapsed() }
    }

    async fn push_all(&mut self, order: &Order, bounds: Bounds<'_>, changes: &mut Vec<Change>) -> Result<(), Ending> {
        let push = &*order.push;
        let mut answers = self.ask(node::prepare(push, &order.dest), bounds).await?;
        let into = match answers.remove(&node::DEST) {
            Some(answer) if answer.word == "denied" => {
                changes.push(denied(order.dest.clone(), answer.rest));
                return Ok(());
            }
            answer => answer.is_some(),
        };
        let places = push.places(&order.dest, into);
        let mut round = Round { places: &places, found: HashMap::new(), changes };
        let mut made = Vec::new();
        let mut todo = Vec::new();
        for n in 0..places.len() {
            let Some(answer) = answers.remove(&n) else {
                round.deny(n, "the node gave no answer".to_owned());
                continue;
            };
            match answer.word.as_str() {
                "present" => round.say(n, ChangeKind::Present),
                "same" => round.say(n, ChangeKind::Same),
                "created" => made.push(n),
                "denied" => round.deny(n, answer.rest),
                "labels" => todo.push((n, None)),
                word => {
                    round.found.insert(n, if word == "absent" { ChangeKind::Created } else { ChangeKind::Written });
                    todo.push((n, Some(answer.rest.parse().unwrap_or(0))));
                }
            }
        }
        for attempt in 1..=TRIES {
            let mut arrived = Vec::new();
            for (n, have) in todo.drain(..) {
                let Some(have) = have else {
                    arrived.push((n, false));
                    continue;
                };
                match self.send(&push.copies[n], &places[n].part, have, bounds).await? {
                    Sent::Whole => arrived.push((n, true)),
                    Sent::Refused(said) => {
                        let mut why = self.ask(node::why(n, &places[n].part), bounds).await?;
                        let why = why.remove(&n).map(|answer| answer.rest).filter(|why| !why.is_empty());
                        round.deny(n, why.unwrap_or(said));
                    }
                }
            }
            let closing = if attempt == 1 { &made[..] } else { &[] };
            if arrived.is_empty() && closing.is_empty() {
                break;
            }
            let mut answers = self.ask(node::finish(push, &places, &arrived, closing), bounds).await?;
            for &n in closing {
                round.end(n, ChangeKind::Created, &mut answers);
            }
            for (n, _) in arrived {
                let kind = round.found.get(&n).copied().unwrap_or(ChangeKind::Written);
                if !round.end(n, kind, &mut answers) {
                    if attempt < TRIES {
                        todo.push((n, Some(0)));
                    } else {
                        round.deny(n, "the content arrived as another one, twice".to_owned());
                    }
                }
            }
        }
        Ok(())
    }

    /// Runs a script of ours and reads its answers.
    async fn ask(&mut self, script: String, bounds: Bounds<'_>) -> Result<Answers, Ending> {
        let command =
            Command { stdin: script.into_bytes().into(), ..Command::new("exec /bin/sh -s", bounds.deadline.left()) };
        let ran = self.run(&command, bounds.mark, bounds.cancel, None).await;
        match ran.end {
            End::Exit(0) => match ran.stdout.whole(LONGEST_ANSWER) {
                Ok(said) => Ok(node::parse(&said)),
                Err(error) => Err(Ending::Local(format!("the node's answer cannot be understood: {error}"))),
            },
            _ => Err(Ending::Script(Box::new(ran))),
        }
    }
}

/// Bytes of a script's answer.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;

/// What is known of an order while it is carried out.
struct Round<'a> {
    places: &'a [Place],
    /// What a file will have become, once it is there.
    found: HashMap<usize, ChangeKind>,
    changes: &'a mut Vec<Change>,
}

impl Round<'_> {
    fn say(&mut self, n: usize, action: ChangeKind) {
        self.changes.push(Change { path: self.places[n].path.clone(), action, note: None });
    }

    fn deny(&mut self, n: usize, why: String) {
        self.changes.push(denied(self.places[n].path.clone(), why));
    }

    /// Takes the last answer about a copy. False where other bytes arrived than were sent.
    fn end(&mut self, n: usize, kind: ChangeKind, answers: &mut Answers) -> bool {
        match answers.remove(&n) {
            Some(answer) if answer.word == "done" => self.say(n, kind),
            Some(answer) if answer.word == "mismatch" => return false,
            Some(answer) => self.deny(n, answer.rest),
            None => self.deny(n, "the node gave no answer".to_owned()),
        }
        true
    }
}

fn denied(path: String, why: String) -> Change {
    Change { path, action: ChangeKind::Denied, note: Some(why) }
}
