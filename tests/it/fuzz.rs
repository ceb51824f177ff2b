//! The fuzz targets of `fuzz/` are built with the tests, so that they keep up with the code, and each is tried for a moment.

#![allow(unused_attributes, unused_imports, reason = "the targets are programs of their own, too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Stands in for libFuzzer's: the target as a function.
#[macro_export]
macro_rules! fuzz_target {
    (|$input:ident: $kind:ty| $body:block) => {
        pub(super) fn run($input: $kind) $body
    };
}

#[path = "../../fuzz/fuzz_targets/cm_view.rs"]
mod cm_view;
#[path = "../../fuzz/fuzz_targets/host_set.rs"]
mod host_set;
#[path = "../../fuzz/fuzz_targets/hosts_file.rs"]
mod hosts_file;
#[path = "../../fuzz/fuzz_targets/known_hosts.rs"]
mod known_hosts;
#[path = "../../fuzz/fuzz_targets/playbook.rs"]
mod playbook;
#[path = "../../fuzz/fuzz_targets/report.rs"]
mod report;
#[path = "../../fuzz/fuzz_targets/trailer.rs"]
mod trailer;

/// Words that mean something to one reader or another.
const WORDS: [&str; 40] = [
    "node1",
    "[1-3]",
    "[01-12/2]",
    "[",
    "]",
    ",",
    "-",
    "!",
    "&",
    "@",
    "*",
    "=",
    ":",
    "#",
    "\"",
    "'",
    "\\",
    "\n",
    "\r\n",
    " ",
    "\t",
    "\0",
    "\u{feff}",
    "é",
    "主",
    "MARK",
    "<",
    "=0",
    "=255\n",
    "42\n",
    "steps:",
    "- ",
    "run: ",
    "{{ x }}",
    "|1|",
    "ssh-ed25519",
    "AAAAC3NzaC1lZDI1NTE5",
    "127.0.0.1",
    "| ",
    "primary",
];

fn text(random: &mut fastrand::Rng) -> String {
    (0..random.usize(..40)).map(|_| WORDS[random.usize(..WORDS.len())]).collect()
}

#[test]
fn every_target_holds_for_a_moment() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (one, two) = (text(&mut random), text(&mut random));
        cm_view::run(&one);
        host_set::run(&one);
        hosts_file::run(one.as_bytes());
        playbook::run(&one);
        trailer::run((one.clone(), random.u8(..)));
        known_hosts::run((one.clone().into_bytes(), two.clone(), 22, b"key".to_vec()));
        report::run((two, one.into_bytes(), vec![random.u8(..); 3]));
    }
}

#[test]
fn every_target_is_among_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = fs::read_to_string(root.join("tests/it/fuzz.rs")).unwrap();
    let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    let files = fs::read_dir(root.join("fuzz/fuzz_targets")).unwrap();
    let names: BTreeSet<String> =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        assert!(own.contains(&format!("\nmod {name};\n")), "tests/it/fuzz.rs leaves out {name}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "fuzz/Cargo.toml leaves out {name}");
    }
}
