//! What has been heard from a command so far.

use std::sync::Arc;

use super::OutputSink;
use super::command::{Command, CommandNote};
use super::marks::Marks;
use super::parser::{Ended, Process, TrailerParser};
use super::wrapper::Runner;
use crate::event::Stream;
use crate::output::{OutputBuilder, Spool};

/// What has been heard so far; outlives the future that listens, so that nothing heard is lost when time runs out.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the command")]
pub(crate) struct Collector<'a> {
    pub(crate) out: TrailerParser,
    pub(crate) err: TrailerParser,
    pub(crate) stdout: OutputBuilder,
    pub(crate) stderr: OutputBuilder,
    pub(crate) raw: bool,
    /// Somebody still held the output open when it was not read any longer.
    pub(crate) held_open: bool,
    pty: bool,
    sudo: bool,
    sink: Option<&'a OutputSink>,
    /// Heard, and not yet sent to the sink.
    fresh: Vec<(Stream, Vec<u8>)>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(marks: &Marks, command: &Command, sink: Option<&'a OutputSink>, spool: &Arc<Spool>) -> Self {
        let sudo = command.sudo.is_some();
        let starts = command.runner == Runner::LoginShell;
        Self {
            out: TrailerParser::new(marks).through_sudo(sudo).after_start(starts),
            err: TrailerParser::new(marks).through_sudo(sudo).after_start(starts),
            stdout: OutputBuilder::new(spool),
            stderr: OutputBuilder::new(spool),
            raw: command.raw,
            held_open: false,
            pty: command.pty,
            sudo,
            sink,
            fresh: Vec::new(),
        }
    }

    pub(crate) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let raw = self.raw;
        self.keep(stream, |parser, keep| if raw { keep(bytes) } else { parser.feed(bytes, keep) });
    }

    /// Gives what a missing trailer left in doubt to the output it came with.
    pub(crate) fn finish(&mut self) {
        self.keep(Stream::Stdout, |parser, keep| parser.finish(keep));
        self.keep(Stream::Stderr, |parser, keep| parser.finish(keep));
    }

    fn keep(&mut self, stream: Stream, give: impl FnOnce(&mut TrailerParser, &mut dyn FnMut(&[u8]))) {
        let (parser, kept) = match stream {
            Stream::Stdout => (&mut self.out, &mut self.stdout),
            Stream::Stderr => (&mut self.err, &mut self.stderr),
        };
        let (wanted, fresh) = (self.sink.is_some(), &mut self.fresh);
        give(parser, &mut |bytes| {
            kept.push(bytes);
            if wanted {
                fresh.push((stream, bytes.to_vec()));
            }
        });
    }

    pub(crate) async fn flush(&mut self) {
        if let Some(sink) = self.sink {
            for piece in self.fresh.drain(..) {
                let _ = sink.send(piece).await;
            }
        }
    }

    /// How the command ended, once that was heard: on standard output, or where a profile has turned the streams.
    pub(crate) fn ended(&self) -> Option<Ended> {
        if self.raw { None } else { self.out.ended().or(self.err.ended()) }
    }

    /// True once the last of both streams was heard that the wrapper has to say. What a child still prints may follow.
    pub(crate) fn is_whole(&self) -> bool {
        let [out, err] = [self.out.errors(), self.err.errors()];
        self.ended().is_some() && (self.pty || out.1 || err.1)
    }

    /// What is worth knowing of how the command was heard.
    pub(crate) fn notes(&self) -> Vec<CommandNote> {
        self.stream_note().into_iter().chain(self.held_open.then_some(CommandNote::HeldOpen)).collect()
    }

    /// Whether something took standard error away, or made one stream of both.
    fn stream_note(&self) -> Option<CommandNote> {
        if self.pty || self.raw || !self.begun() {
            return None;
        }
        if self.out.errors().0 && self.out.process().is_some() || self.err.process().is_some() {
            Some(CommandNote::OneStream)
        } else if self.err.errors().0 {
            None
        } else {
            Some(CommandNote::NoErrors)
        }
    }

    /// The wrapper, once it has begun.
    pub(crate) fn process(&self) -> Option<&Process> {
        self.out.process().or(self.err.process())
    }

    /// True once there is something to kill.
    pub(crate) fn begun(&self) -> bool {
        self.raw || self.process().is_some()
    }

    /// True where the wrapper was heard to begin on one stream at least: by standard error alone it can neither be killed nor judged.
    pub(crate) fn any_begun(&self) -> bool {
        self.begun() || self.err.errors().0
    }

    /// True once the command itself began.
    pub(crate) fn command_begun(&self) -> bool {
        self.out.command_begun() || self.err.process().is_some() && self.err.command_begun()
    }

    /// True while sudo has not let the command begin.
    pub(crate) fn sudo_asks(&self) -> bool {
        self.sudo && !self.command_begun()
    }

    /// How often sudo has asked for a password.
    pub(crate) fn prompts(&self) -> usize {
        self.out.prompts() + self.err.prompts()
    }

    /// How often a shell of ours said to be ready to read.
    pub(crate) fn ready(&self) -> usize {
        self.out.ready() + self.err.ready()
    }

    /// What the login shell said, and sudo.
    pub(crate) fn preamble(&self) -> Vec<u8> {
        [self.out.preamble(), self.err.preamble()].concat()
    }
}
