//! What has been heard from a command so far.

use std::sync::Arc;

use super::command::Command;
use super::exec::Sink;
use super::reader::Reader;
use super::trailer::Mark;
use crate::event::Stream;
use crate::output::{Draft, Spool};

/// What has been heard so far; outlives the future that listens, so that nothing heard is lost when time runs out.
pub(super) struct Heard<'a> {
    pub(super) out: Reader,
    pub(super) err: Reader,
    pub(super) stdout: Draft,
    pub(super) stderr: Draft,
    pub(super) raw: bool,
    pty: bool,
    sudo: bool,
    sink: Option<&'a Sink>,
    /// Heard, and not yet sent to the sink.
    fresh: Vec<(Stream, Vec<u8>)>,
}

impl<'a> Heard<'a> {
    pub(super) fn new(mark: &Mark, command: &Command, sink: Option<&'a Sink>, spool: &Arc<Spool>) -> Self {
        let sudo = command.sudo.is_some();
        Self {
            out: Reader::stdout(mark).through_sudo(sudo),
            err: Reader::stderr(mark).through_sudo(sudo),
            stdout: Draft::new(spool),
            stderr: Draft::new(spool),
            raw: command.raw,
            pty: command.pty,
            sudo,
            sink,
            fresh: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let raw = self.raw;
        self.keep(stream, |reader, keep| if raw { keep(bytes) } else { reader.feed(bytes, keep) });
    }

    /// Gives what a missing trailer left in doubt to the output it came with.
    pub(super) fn finish(&mut self) {
        self.keep(Stream::Stdout, |reader, keep| reader.finish(keep));
        self.keep(Stream::Stderr, |reader, keep| reader.finish(keep));
    }

    fn keep(&mut self, stream: Stream, give: impl FnOnce(&mut Reader, &mut dyn FnMut(&[u8]))) {
        let (reader, kept) = match stream {
            Stream::Stdout => (&mut self.out, &mut self.stdout),
            Stream::Stderr => (&mut self.err, &mut self.stderr),
        };
        let (wanted, fresh) = (self.sink.is_some(), &mut self.fresh);
        give(reader, &mut |bytes| {
            kept.push(bytes);
            if wanted {
                fresh.push((stream, bytes.to_vec()));
            }
        });
    }

    pub(super) async fn flush(&mut self) {
        if let Some(sink) = self.sink {
            for piece in self.fresh.drain(..) {
                let _ = sink.send(piece).await;
            }
        }
    }

    /// True once every trailer was read that is to come.
    pub(super) fn ended(&self) -> bool {
        !self.raw && self.out.ended() && (self.pty || self.err.ended())
    }

    /// True once there is something to kill.
    pub(super) fn begun(&self) -> bool {
        self.raw || self.out.begun()
    }

    /// True while sudo has not let the command begin.
    pub(super) fn sudo_asks(&self) -> bool {
        self.sudo && !self.out.entered()
    }

    /// How often sudo has asked for a password.
    pub(super) fn prompts(&self) -> usize {
        self.out.prompts() + self.err.prompts()
    }

    /// What the login shell said, and sudo.
    pub(super) fn noise(&self) -> Vec<u8> {
        [self.out.noise(), self.err.noise()].concat()
    }
}
