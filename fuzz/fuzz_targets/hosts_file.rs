//! Whatever stands in a hosts file, it is read or refused with its place.
#![no_main]

use gsctl::testing::hosts_file as file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Err(problem) = file::parse(text, "hosts") {
        assert!(problem.line > 0 && problem.column > 0);
    }
});
