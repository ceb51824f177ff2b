//! What has been heard from a command so far.

use std::sync::Arc;

use super::OutputSink;
use super::command::Command;
use super::parser::TrailerParser;
use super::wrapper::Mark;
use crate::event::Stream;
use crate::output::{OutputBuilder, Spool};

/// What has been heard so far; outlives the future that listens, so that nothing heard is lost when time runs out.
pub(crate) struct Collector<'a> {
    pub(crate) out: TrailerParser,
    pub(crate) err: TrailerParser,
    pub(crate) stdout: OutputBuilder,
    pub(crate) stderr: OutputBuilder,
    pub(crate) raw: bool,
    pty: bool,
    sudo: bool,
    sink: Option<&'a OutputSink>,
    /// Heard, and not yet sent to the sink.
    fresh: Vec<(Stream, Vec<u8>)>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(mark: &Mark, command: &Command, sink: Option<&'a OutputSink>, spool: &Arc<Spool>) -> Self {
        let sudo = command.sudo.is_some();
        Self {
            out: TrailerParser::stdout(mark).through_sudo(sudo),
            err: TrailerParser::stderr(mark).through_sudo(sudo),
            stdout: OutputBuilder::new(spool),
            stderr: OutputBuilder::new(spool),
            raw: command.raw,
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

    /// True once every trailer was read that is to come.
    pub(crate) fn ended(&self) -> bool {
        !self.raw && self.out.ended() && (self.pty || self.err.ended())
    }

    /// True once there is something to kill.
    pub(crate) fn begun(&self) -> bool {
        self.raw || self.out.begun()
    }

    /// True while sudo has not let the command begin.
    pub(crate) fn sudo_asks(&self) -> bool {
        self.sudo && !self.out.command_begun()
    }

    /// How often sudo has asked for a password.
    pub(crate) fn prompts(&self) -> usize {
        self.out.prompts() + self.err.prompts()
    }

    /// What the login shell said, and sudo.
    pub(crate) fn preamble(&self) -> Vec<u8> {
        [self.out.preamble(), self.err.preamble()].concat()
    }
}
