//! What comes back from a node is what the command wrote, to the byte, whatever it wrote, and whatever the command looked like.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::failures::{one, running};
use crate::lab::Lab;

#[test]
fn eight_megabytes_on_both_streams_at_once_arrive_to_the_byte() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(8 << 20).collect();
    let other: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    node.write("home/out", &bytes);
    node.write("home/err", &other);
    let dir = lab.dir().join("client/output");
    let run =
        lab.gsctl().arg("--output-dir").arg(&dir).args(["--quiet-hosts", "exec", "--", "cat err >&2 & cat out; wait"]);
    run.run().expect(0);
    assert!(std::fs::read(dir.join("node1.stdout")).unwrap() == bytes, "standard output differs");
    assert!(std::fs::read(dir.join("node1.stderr")).unwrap() == other, "standard error differs");
}

#[test]
fn any_bytes_arrive_as_they_were() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let exec = |command: &str| one(lab.gsctl().args(["exec", "--", command]), 0);
    let shapes: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"no newline".to_vec(),
        b"\0\0a\0b\n".to_vec(),
        b"caf\xe9 \xff\xfe\n".to_vec(),
        b"\x1b[31mred\x1b[0m\r\n\x07".to_vec(),
        b"gsctl-<123\ngsctl-=0\ngsctl-.\n=0\n.\n<\n".to_vec(),
        vec![b'x'; 1 << 10],
        vec![b'y'; 32 << 10],
        vec![b'z'; (64 << 10) + 1],
        [vec![b'l'; 1 << 20], b"\n".to_vec()].concat(),
        vec![b'w'; (1 << 20) - 1],
    ];
    for bytes in shapes {
        node.write("home/file", &bytes);
        let host = exec("cat file; cat file >&2");
        for stream in ["stdout", "stderr"] {
            let got = match host.get(format!("{stream}_base64")) {
                Some(text) => STANDARD.decode(text.as_str().unwrap()).unwrap(),
                None => host[stream].as_str().unwrap_or_default().as_bytes().to_vec(),
            };
            assert!(
                got == bytes,
                "{stream}: {} bytes came of {}: {:?}",
                got.len(),
                bytes.len(),
                &bytes[..bytes.len().min(40)]
            );
        }
    }
    // The wrapper's own text, with the mark of this run in it, is no trailer.
    let host = exec("tr '\\0' ' ' </proc/$$/cmdline; tr '\\0' ' ' </proc/$$/cmdline >&2; echo end");
    assert!(host["stdout"].as_str().unwrap().ends_with("end\n"), "{host:#}");
    assert_eq!(host["exit_status"], 0);
}

#[test]
fn commands_of_every_form_are_run_as_ssh_would() {
    let lab = Lab::start(1);
    let run = |command: &str, status| one(lab.gsctl().args(["exec", "--", command]), status);
    assert_eq!(run("cat; echo end", 0)["stdout"], "end\n", "standard input is empty");
    assert_eq!(run("set -x; echo traced", 0)["stdout"], "traced\n");
    assert_eq!(run("set -x; echo traced", 0)["stderr"], "+ echo traced\n");
    assert_eq!(run("exec 2>&1; echo out; echo err >&2", 0)["stdout"], "out\nerr\n");
    assert_eq!(run("exec >&- 2>&-; echo lost; exit 4", 5)["exit_status"], 4);
    assert_eq!(run("exec sh -c 'exit 6'", 5)["exit_status"], 6);
    assert_eq!(run("if", 5)["exit_status"], 2);
    assert_eq!(run("echo 'unfinished", 5)["exit_status"], 2);
    assert_eq!(run("echo one\necho two\n", 0)["stdout"], "one\ntwo\n");
    assert_eq!(run("cat <<END\nit's $((1+1))\nEND\n", 0)["stdout"], "it's 2\n");
    assert_eq!(run("echo # comment", 0)["stdout"], "\n");
    assert_eq!(run("exit 3; echo not reached", 5)["exit_status"], 3);
    assert_eq!(run("trap 'echo bye' EXIT; exit 8", 5)["stdout"], "bye\n");
    assert_eq!(run("s=9; g() { return 5; }; printf() { :; }; g", 5)["exit_status"], 5);

    for size in [29_000, 31_000, 60_000, 99_000] {
        let word = "it's ".repeat(size / 5);
        let host = run(&format!("printf %s \"{word}\" | wc -c; cat; exit 3"), 5);
        assert_eq!((&host["stdout"], &host["exit_status"]), (&format!("{}\n", word.len()).into(), &3.into()), "{size}");
    }
    let refused = lab.gsctl().args(["exec", "--", &format!("true {}", "x".repeat(110_000))]).run().expect(2);
    assert!(refused.stderr.contains("longer than") && refused.stderr.contains("hint:"), "{refused}");
    let refused = lab.gsctl().args(["exec", "--raw", "--", &format!("true {}", "x".repeat(40_000))]).run().expect(2);
    assert!(refused.stderr.contains("longer than"), "{refused}");
    assert_eq!(running(lab.node(1), " sh gsctl-"), 0);
}
