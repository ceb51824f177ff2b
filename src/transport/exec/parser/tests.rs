//! Streams in pieces, noise and forged marks.

use proptest::prelude::*;

use super::*;

fn read(reader: &mut TrailerParser, chunks: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in chunks {
        reader.feed(chunk, &mut |bytes| body.extend_from_slice(bytes));
    }
    body
}

fn parser() -> TrailerParser {
    TrailerParser::new(&Marks { id: "PUBLIC".to_owned(), secret: "MARK".to_owned() })
}

#[test]
fn noise_body_and_status_are_told_apart() {
    let mut reader = parser();
    let body =
        read(&mut reader, &[b"SUCCESS\nMARK", b"<12", b"3 456 a-b 12\nhel", b"lo MA", b"RK PUBLIC> MARK=", b"7\nlate"]);
    assert_eq!(String::from_utf8_lossy(&body), "hello MARK PUBLIC> late", "what a child says later is output, too");
    assert_eq!((reader.ended(), reader.preamble()), (Some(Ended::Status(7)), b"SUCCESS\n".as_slice()));
    assert_eq!(reader.process(), Some(&Process { pid: 123, start: 456, boot: "a-b".to_owned(), lead: 12 }));
    let mut reader = parser();
    read(&mut reader, &[b"MARK<1 0 0\nMARK=~9\n"]);
    assert_eq!(reader.ended(), Some(Ended::Signal(9)));
}

#[test]
fn no_trailer_is_no_result() {
    let mut reader = parser();
    let mut body = read(&mut reader, &[b"MARK<9 1 b\nabcMA"]);
    reader.finish(&mut |bytes| body.extend_from_slice(bytes));
    assert_eq!(body, b"abcMA");
    assert!(reader.begun() && reader.ended().is_none());
}

#[test]
fn a_trace_of_the_wrapper_is_not_a_mark() {
    let mut reader = parser();
    let body = read(&mut reader, &[b"+ printf '%s<\\n' MARK\nMARK<\n+ printf %s. MARK\nMARK.\n"]);
    assert_eq!(body, b"+ printf %s. MARK\n");
    assert_eq!(reader.errors(), (true, true));
}

#[test]
fn what_sudo_says_is_not_the_commands() {
    let mut reader = parser().through_sudo(true);
    let said: [&[u8]; 5] = [
        b"MARK<7 1 b\nlecture PUB",
        b"LIC?Sorry\nPUBLIC?",
        b"PUBLIC>\nMARK+8 2 b",
        b"\nPUBLIC?hi\nMARK?\n",
        b"MARK=3\nMARK=4\n",
    ];
    let body = read(&mut reader, &said);
    assert_eq!(String::from_utf8_lossy(&body), "PUBLIC?hi\nMARK?\n");
    assert_eq!((reader.prompts(), reader.ready(), reader.command_begun()), (2, 1, true));
    assert_eq!((reader.ended(), reader.preamble()), (Some(Ended::Status(3)), b"lecture Sorry\n".as_slice()));
    assert_eq!(reader.process().map(|process| process.pid), Some(7));

    let mut reader = parser().through_sudo(true);
    let body = read(&mut reader, &[b"MARK<7 1 b\r\nno, not MARK MARK+0x\nMARK=1\r\n"]);
    assert_eq!((body.len(), reader.command_begun(), reader.ended()), (0, false, Some(Ended::Status(1))));
}

#[test]
fn what_start_up_files_print_is_not_the_commands() {
    for (said, want, preamble) in [
        ("MARK<1 0 0\nwelcome\nPUBLIC:\nran\nPUBLIC:\nMARK=0\n", "ran\nPUBLIC:\n", "welcome\n"),
        // Both streams are one.
        ("MARK<\nMARK<1 0 0\nwelcome\nPUBLIC:\nPUBLIC:\nran\nPUBLIC:\nMARK=0\nMARK.\n", "ran\nPUBLIC:\n", "welcome\n"),
        // It is not told where nothing comes of it.
        ("MARK<1 0 0\nran\nMARK=0\nlate", "ran\nlate", ""),
        ("MARK<1 0 0\nran\n", "ran\n", ""),
    ] {
        for cut in 1..20 {
            let mut reader = parser().after_start(true);
            let mut body = read(&mut reader, &said.as_bytes().chunks(cut).collect::<Vec<_>>());
            reader.finish(&mut |bytes| body.extend_from_slice(bytes));
            assert_eq!((String::from_utf8_lossy(&body).as_ref(), reader.preamble()), (want, preamble.as_bytes()));
        }
    }
}

#[test]
fn a_profile_may_put_something_before_each_line_and_make_one_stream_of_both() {
    for cut in 1..30 {
        let text = b"[a] hi\n[a] MARK<\n[a] MARK<7 1 b\n[a] one\n[a] MA\n[b]\n[a] xMARK=0\n[a] MARK.\n[a] late\n";
        let mut reader = parser();
        let mut body = read(&mut reader, &text.chunks(cut).collect::<Vec<_>>());
        reader.finish(&mut |bytes| body.extend_from_slice(bytes));
        assert_eq!(String::from_utf8_lossy(&body), "[a] one\n[a] MA\n[b]\n[a] x[a] late\n", "{cut}");
        assert_eq!((reader.ended(), reader.errors()), (Some(Ended::Status(0)), (true, true)), "{cut}");
    }
}

proptest! {
    #[test]
    fn any_cut_reads_the_same(body in proptest::collection::vec(any::<u8>(), 0..200), cuts in proptest::collection::vec(1usize..40, 0..40)) {
        let marks = Marks { id: "gsctl-id".to_owned(), secret: "gsctl-abcab".to_owned() };
        let mut text = b"noise gsctl-abc\ngsctl-abcab<77 5 a\n".to_vec();
        text.extend_from_slice(&body);
        text.extend_from_slice(b"gsctl-abcab=12\n");
        let mut reader = TrailerParser::new(&marks);
        let mut got = Vec::new();
        let mut rest = text.as_slice();
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            reader.feed(now, &mut |bytes| got.extend_from_slice(bytes));
            rest = later;
        }
        reader.feed(rest, &mut |bytes| got.extend_from_slice(bytes));
        prop_assert_eq!(got, body);
        prop_assert_eq!(reader.ended(), Some(Ended::Status(12)));
        prop_assert_eq!(reader.process().map(|process| process.pid), Some(77));
    }

    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut reader = TrailerParser::new(&Marks::of("M"));
        reader.feed(&bytes, &mut |_| {});
        reader.finish(&mut |_| {});
    }

    #[test]
    fn no_forged_end_ends_it(text in "(gsctl-id|gsct|[<>=.?+0-9~ \n]){0,60}") {
        let marks = Marks { id: "gsctl-id".to_owned(), secret: "gsctlsecret".to_owned() };
        let mut reader = TrailerParser::new(&marks);
        let mut got = read(&mut reader, &[b"gsctlsecret<77 5 a\n", text.as_bytes()]);
        reader.finish(&mut |bytes| got.extend_from_slice(bytes));
        prop_assert_eq!(got, text.as_bytes());
        prop_assert!(reader.ended().is_none());
    }
}
