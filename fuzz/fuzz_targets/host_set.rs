//! A host set is expanded or refused.
#![no_main]

use gsctl::testing::expand;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|set: &str| {
    let _ = expand(set);
});
