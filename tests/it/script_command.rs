//! `gsctl script`: local scripts in their own interpreters, arguments to the byte, nothing eaten, nothing left.

use std::fs;
use std::path::PathBuf;

use crate::failures::{one, says, until_gone};
use crate::lab::Lab;

fn script(lab: &Lab, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = lab.dir().join("client").join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_script_runs_in_its_own_interpreter() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let files = || node.sh_as_user("ls -A /tmp; ls -A ~").stdout;
    let before = files();
    let show = "for a in \"$@\"; do printf '[%s]' \"$a\"; done\ncat\nssh -V 2>/dev/null\necho rest\nexit 7\n";
    let arguments = ["a b", "it's", "*", "two\nlines", "", "-x", "--json", "$HOME"];
    let shown = format!("[{}]", arguments.join("]["));
    for head in ["", "#!/bin/dash\n", "#!/bin/bash -u\n", "#!/bin/busybox sh\n", "#!/usr/bin/env bash\n"] {
        let file = script(&lab, "show", format!("{head}{show}"));
        let host = one(lab.gsctl().arg("script").arg(file).args(arguments), 5);
        assert_eq!((&host["stdout"], &host["exit_status"]), (&format!("{shown}rest\n").into(), &7.into()), "{host:#}");
    }
    for (text, want) in [
        ("#!/usr/bin/perl -l\nprint join ',', @ARGV; print scalar(<STDIN>) // 'eof';\n", "1,2\neof\n"),
        ("#!/bin/bash -e\necho before\nfalse\necho after\n", "before\n"),
    ] {
        let status = if want == "before\n" { 5 } else { 0 };
        let host = one(lab.gsctl().arg("script").arg(script(&lab, "other", text)).args(["1", "2"]), status);
        assert_eq!(host["stdout"], want, "{host:#}");
    }
    // Megabytes that no argument could hold, heard to their last line; and many that are not read.
    let big = "# a line that only takes room\n".repeat(100_000);
    let host = one(lab.gsctl().arg("script").arg(script(&lab, "big", format!("{big}echo end\n"))), 0);
    assert_eq!(host["stdout"], "end\n");
    let host = one(lab.gsctl().arg("script").arg(script(&lab, "early", format!("echo early; exit 0\n{big}"))), 0);
    assert_eq!(host["stdout"], "early\n");

    // Half of it was read, and looks like all of it to the interpreter.
    let kills = "for pid in $(pgrep -P $PPID); do [ $pid = $$ ] || kill -9 $pid; done\necho killed\n";
    for head in ["", "#!/bin/bash\n"] {
        let half = script(&lab, "half", format!("{head}{kills}{big}echo end\n"));
        let host = one(lab.gsctl().arg("script").arg(half), 5);
        assert_eq!(host["stdout"], "killed\n", "{host:#}");
        assert!(host["stderr"].as_str().unwrap().contains("the script was not read to its end"), "{host:#}");
    }

    let host = one(lab.gsctl().arg("script").arg(script(&lab, "none", "#!/no/such/interpreter\n")), 5);
    says(&host, "failed", "command", "exit status 127");
    assert!(host["stderr"].as_str().unwrap().contains("no interpreter /no/such/interpreter"), "{host:#}");

    let host = one(lab.gsctl().args(["-t", "1", "script"]).arg(script(&lab, "slow", "sleep 5041; sleep 5041\n")), 3);
    says(&host, "timed_out", "timeout", "no end within 1s");
    assert_eq!(host["remote_killed"], true, "{host:#}");
    until_gone(node, "sleep 5041");
    assert_eq!(files(), before, "something was left behind");
}

#[test]
fn what_is_no_script_is_said_before_contact() {
    let lab = Lab::start(1);
    // The lab itself has looked whether its sshd is up.
    let contacts = || lab.node(1).sshd_log().matches("Connection from").count();
    let before = contacts();
    let missing = lab.dir().join("client/missing");
    for (file, said) in [
        (missing, "No such file"),
        (lab.dir().join("client"), "directory"),
        (script(&lab, "empty", ""), "is empty"),
        (script(&lab, "binary", b"\x7fELF\0\0"), "is no script"),
        (script(&lab, "dos", "#!/bin/sh\r\necho\r\n"), "carriage return"),
    ] {
        let run = lab.gsctl().arg("script").arg(file).run().expect(2);
        assert!(run.stderr.contains(said), "{run}");
    }
    let run =
        lab.gsctl().args(["--dry-run", "script"]).arg(script(&lab, "dry", "echo hi\n")).arg("a b").run().expect(0);
    assert!(run.text().contains("/bin/sh /dev/fd/3") && run.text().contains("reads 8 bytes"), "{run}");
    assert_eq!(contacts(), before, "a node was contacted");
}
