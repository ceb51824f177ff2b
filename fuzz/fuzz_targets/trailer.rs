//! However a node's output is cut, it reads the same. `MARK` stands for the mark of the run.
#![no_main]

use gsctl::testing::{Mark, TrailerParser};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (String, u8)| {
    let (text, cut) = input;
    let mark = Mark::default();
    let bytes = text.replace("MARK", mark.as_str()).into_bytes();
    let read = |piece: usize| {
        let (mut reader, mut body) = (TrailerParser::stdout(&mark), Vec::new());
        bytes.chunks(piece).for_each(|bytes| reader.feed(bytes, &mut |bytes| body.extend_from_slice(bytes)));
        reader.finish(&mut |bytes| body.extend_from_slice(bytes));
        (body, reader.status(), reader.pid())
    };
    assert_eq!(read(usize::from(cut) + 1), read(bytes.len() + 1));
});
