//! However a node's output is cut, it reads the same. `MARK` and `PUBLIC` stand for the marks of the command.
#![no_main]

use gsctl::testing::{Mark, TrailerParser};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (String, u8)| {
    let (text, cut) = input;
    let marks = Mark::default().command();
    let bytes = text.replace("MARK", &marks.secret).replace("PUBLIC", &marks.id).into_bytes();
    let read = |piece: usize| {
        let (mut reader, mut body) = (TrailerParser::new(&marks), Vec::new());
        bytes.chunks(piece).for_each(|bytes| reader.feed(bytes, &mut |bytes| body.extend_from_slice(bytes)));
        reader.finish(&mut |bytes| body.extend_from_slice(bytes));
        (body, reader.ended(), reader.process().cloned())
    };
    assert_eq!(read(usize::from(cut) + 1), read(bytes.len() + 1));
});
