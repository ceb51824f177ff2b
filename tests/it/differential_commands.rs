//! gsctl beside the real `ssh`: commands made at random, both streams byte for byte and the status. Seeds as in `differential`.
//! What differs by intention is in docs/commands-and-shells.md, and not made here.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;

use crate::differential::{pick, seeds};
use crate::lab::{Lab, need_root};
use crate::profiles::same_as_ssh;

/// Pieces of commands.
const PIECES: [&str; 62] = [
    "true",
    "false",
    ":",
    "exit 0",
    "exit 3",
    "exit 255",
    "exit 256",
    "(exit 7)",
    "echo one",
    "echo two >&2",
    "printf 'no end'",
    "printf '\\000\\377\\n'",
    "printf '%s\\n' a 'b c' \"d\"",
    "nosuch",
    "/nonexistent/program",
    "./relative",
    "cd /nonexistent",
    "cd /tmp && pwd",
    "set -e",
    "set -u",
    "set -f; echo /*[b]in*",
    "set -- a b; echo $# $2",
    "shift",
    "x=1; echo $x",
    "unset x; echo ${x-none}",
    "echo ${y:?is not set}",
    "readonly r=1; echo $r",
    "trap 'echo bye' EXIT",
    "trap 'echo caught' TERM; kill $$",
    "trap '' INT; kill -INT $$; echo on",
    "kill $$",
    "kill -USR1 $$",
    "kill -9 $$",
    "sh -c 'kill -9 $$'",
    "sh -c 'exit 9'",
    "exec true",
    "exec sh -c 'echo replaced; exit 4'",
    "exec 2>&1",
    "exec >&2",
    "exec 3>&1; echo three >&3",
    "exec </dev/null; cat",
    "cat",
    "head -n 1",
    "read -r line; echo \"[$line]\"",
    "cat <<end\nhere $HOME\nend",
    "cat <<'end'\nas it is $HOME\nend",
    "f() { echo in f; return 6; }; f",
    "for i in 1 2 3; do printf %s $i; done; echo",
    "i=0; while [ $i -lt 3 ]; do i=$((i + 1)); done; echo $i",
    "case abc in a*) echo begins ;; esac",
    "if false; then echo; else echo else; fi",
    "echo $(echo inner; echo error >&2)",
    "echo `echo old`",
    "(cd /; pwd)",
    "{ echo group; }",
    "! true",
    "umask 027; umask",
    "ulimit -c 0; ulimit -c",
    "wait",
    "true | false",
    "yes | head -n 3",
    "head -c 70000 /dev/zero | tr '\\0' x",
];

fn command(rng: &mut Rng) -> String {
    let count = rng.usize(1..=3);
    let mut text = pick(rng, &PIECES).to_owned();
    for _ in 1..count {
        // A here-document ends with its line.
        let between = if text.ends_with("end") { "\n" } else { pick(rng, &["; ", "\n", " && ", " || "]) };
        text += between;
        text += pick(rng, &PIECES);
    }
    // bash would become its last program, and is what a signal kills then; docs/commands-and-shells.md has it.
    if text.ends_with("sh -c 'kill -9 $$'") { text + "; echo $?" } else { text }
}

#[test]
fn commands_do_what_they_do_under_ssh() {
    need_root();
    let lab = Lab::builder().user("basher", "/bin/bash").user("dasher", "/usr/bin/dash").start();
    for seed in seeds(24) {
        let text = command(&mut Rng::with_seed(seed));
        for user in ["basher", "dasher"] {
            // Once more, before a difference counts.
            let same = || catch_unwind(AssertUnwindSafe(|| same_as_ssh(&lab, user, &text))).is_ok();
            assert!(same() || same(), "DIFFERENTIAL_SEED={seed}, {user}: {text}");
        }
    }
}
