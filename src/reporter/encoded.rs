//! Output as strings of JSON: its text, and base64 beside it where it is not UTF-8. What is not in memory is read piece by
//! piece.

use std::cell::RefCell;
use std::fmt::{self, Display, Formatter};
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};

use crate::output::Output;

/// Names under which a stream stands in a report.
pub(crate) struct StreamFields {
    text: &'static str,
    base64: &'static str,
    cut: &'static str,
}

/// Standard output.
pub(crate) const STDOUT: StreamFields = StreamFields { text: "stdout", base64: "stdout_base64", cut: "stdout_cut" };
/// Standard error.
pub(crate) const STDERR: StreamFields = StreamFields { text: "stderr", base64: "stderr_base64", cut: "stderr_cut" };

/// Bytes that are at hand.
pub(crate) fn bytes<M: SerializeMap>(map: &mut M, names: &StreamFields, bytes: &[u8]) -> Result<(), M::Error> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return map.serialize_entry(names.text, text);
    }
    map.serialize_entry(names.text, &String::from_utf8_lossy(bytes))?;
    map.serialize_entry(names.base64, &STANDARD.encode(bytes))
}

/// An output, wherever it is, and why it is not whole.
pub(crate) fn output<M: SerializeMap>(map: &mut M, names: &StreamFields, output: &Output) -> Result<(), M::Error> {
    if let Some(at_hand) = output.in_memory() {
        bytes(map, names, at_hand)?;
    } else {
        map.serialize_entry(names.text, &Streamed { output, form: Encoding::Text })?;
        if !is_text(output).map_err(M::Error::custom)? {
            map.serialize_entry(names.base64, &Streamed { output, form: Encoding::Base64 })?;
        }
    }
    output.cut().map_or(Ok(()), |cut| map.serialize_entry(names.cut, &cut))
}

#[derive(Clone, Copy)]
enum Encoding {
    Text,
    Base64,
}

/// A string that is never held whole.
struct Streamed<'a> {
    output: &'a Output,
    form: Encoding,
}

impl Serialize for Streamed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // `Display` has no room for a reason, and may fail only where what it writes to does.
        let unread = RefCell::new(None);
        let done = serializer.collect_str(&EncodedOutput { streamed: self, unread: &unread })?;
        unread.into_inner().map_or(Ok(done), |error: io::Error| Err(S::Error::custom(error)))
    }
}

struct EncodedOutput<'a> {
    streamed: &'a Streamed<'a>,
    unread: &'a RefCell<Option<io::Error>>,
}

impl Display for EncodedOutput<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut written = Ok(());
        let mut put = |text: &str| {
            written = f.write_str(text);
            written.map_err(io::Error::other)
        };
        let Streamed { output, form } = self.streamed;
        let read = match form {
            Encoding::Text => text(output, &mut |piece, fits| {
                put(piece)?;
                if fits { Ok(()) } else { put("\u{fffd}") }
            }),
            Encoding::Base64 => base64(output, &mut put),
        };
        if written.is_ok() {
            *self.unread.borrow_mut() = read.err();
        }
        written
    }
}

fn is_text(output: &Output) -> io::Result<bool> {
    let mut all = true;
    text(output, &mut |_, fits| {
        all &= fits;
        Ok(())
    })?;
    Ok(all)
}

/// Gives an output as text, and false after each piece that is followed by bytes that are none.
fn text(output: &Output, give: &mut dyn FnMut(&str, bool) -> io::Result<()>) -> io::Result<()> {
    let mut held = Vec::new();
    output.pieces(|piece| {
        held.extend_from_slice(piece);
        let all = std::mem::take(&mut held);
        let mut chunks = all.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            let odd = chunk.invalid();
            // A character may go on in the next piece.
            let unfinished = chunks.peek().is_none()
                && std::str::from_utf8(odd).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none());
            give(chunk.valid(), odd.is_empty() || unfinished)?;
            if unfinished {
                held = odd.to_vec();
            }
        }
        Ok(())
    })?;
    if held.is_empty() { Ok(()) } else { give("", false) }
}

fn base64(output: &Output, give: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    let mut held: Vec<u8> = Vec::new();
    let mut encoded = String::new();
    output.pieces(|piece| {
        held.extend_from_slice(piece);
        // Three bytes are four letters.
        let rest = held.split_off(held.len() - held.len() % 3);
        encoded.clear();
        STANDARD.encode_string(&held, &mut encoded);
        held = rest;
        give(&encoded)
    })?;
    give(&STANDARD.encode(&held))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::output::{OutputBuilder, Spool};

    #[test]
    fn a_streamed_string_is_that_of_the_whole() {
        for unit in [&b"plain text\n"[..], "漢字\u{1f642}\t\"\\\n".as_bytes(), b"a\xff\xf0\x9f\x99b\0\xc3"] {
            let whole = unit.repeat(3_000_000 / unit.len());
            let mut builder = OutputBuilder::new(&Arc::new(Spool::default()));
            whole.chunks(77_777).for_each(|piece| builder.push(piece));
            let spilled = builder.finish();
            assert!(spilled.in_memory().is_none());
            let json = |output: &Output| {
                let mut line = Vec::new();
                let mut serializer = serde_json::Serializer::new(&mut line);
                let mut map = serializer.serialize_map(None).unwrap();
                super::output(&mut map, &STDOUT, output).unwrap();
                SerializeMap::end(map).unwrap();
                line
            };
            assert!(json(&spilled) == json(&whole.into()));
        }
    }
}
