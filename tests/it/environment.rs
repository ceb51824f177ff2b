//! `--env`, `--chdir`, `--shell`, `--stdin`: values to the byte, whatever the login shell is, and nothing run where it should not be.

use std::fs;
use std::process::Command;

use crate::failures::{one, report, says};
use crate::lab::Lab;

/// Shows two variables and the directory to the byte; it must mean the same to every shell.
const SHOW: &str = "/usr/bin/printenv A B; pwd";
const VALUES: [&str; 2] = ["A=it's {{host}} $HOME `id` \\n \"x\"!y = *", "B=two\nlines"];

fn shown() -> String {
    format!("{}\n{}\n/etc\n", &VALUES[0][2..], &VALUES[1][2..])
}

#[test]
fn variables_directory_and_shell() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let surroundings = ["--env", VALUES[0], "--env", VALUES[1], "--chdir", "/etc"];
    let exec = |more: &[&str], status| one(lab.gsctl().arg("exec").args(more), status);
    let with = |more: &[&str]| exec(&[&surroundings[..], more].concat(), 0);
    assert_eq!(with(&[SHOW])["stdout"], shown());
    // The last one counts, an empty value is one, and a long command comes another way.
    let long = format!("{SHOW}; : {}", "x".repeat(60_000));
    assert_eq!(with(&[&long])["stdout"], shown());
    let host = exec(&["--env", "A=1", "--env", "A=", "--", "echo \"[${A-unset}]\""], 0);
    assert_eq!(host["stdout"], "[]\n");
    let host = exec(&["--shell", "bash", "--env", "A=a b", "--", "[[ $A == 'a b' ]] && echo $0 {1..3}; exit 4"], 5);
    assert_eq!((&host["stdout"], &host["exit_status"]), (&"bash 1 2 3\n".into(), &4.into()), "{host:#}");
    let host = exec(&["--shell", "/no/such shell", "echo", "hi"], 5);
    assert_eq!((&host["stdout"], &host["exit_status"]), (&"".into(), &127.into()), "{host:#}");

    let script = lab.dir().join("client/show");
    fs::write(&script, format!("#!/bin/sh\n{SHOW}\n")).unwrap();
    let host = one(lab.gsctl().arg("script").args(surroundings).arg(&script), 0);
    assert_eq!(host["stdout"], shown(), "{host:#}");

    // A directory that is not there: nothing is run, and that is another failure than the command's own.
    for command in ["touch /tmp/ran", &format!("touch /tmp/ran; : {}", "x".repeat(60_000))] {
        let host = exec(&["--chdir", "/no/such place", command], 5);
        says(&host, "failed", "command", "the command was not run: ");
        assert!(host["error"].as_str().unwrap().contains("/no/such place"), "{host:#}");
        assert!(host["hint"].as_str().unwrap().contains("--chdir"), "{host:#}");
        assert!(host["exit_status"].is_null(), "{host:#}");
    }
    assert!(node.sh_as_user("ls -d /tmp/ran").stdout.is_empty(), "the command was run");
    // One that begins with a dash is a directory too.
    let host = exec(&["cd /tmp && mkdir -p -- -d && cd -- -d && pwd"], 0);
    assert_eq!(host["stdout"], "/tmp/-d\n");
}

#[test]
fn login_shells_without_posix_syntax() {
    let mut builder = Lab::builder();
    let shells: &[&str] = if rustix::process::geteuid().is_root() { &["tcsh", "fish", "zsh"] } else { &[] };
    for shell in shells {
        builder = builder.user(&format!("{shell}y"), &format!("/usr/bin/{shell}"));
    }
    let lab = builder.start();
    for shell in shells {
        let exec =
            |more: &[&str], status| one(lab.gsctl().args(["-l", &format!("{shell}y"), "exec"]).args(more), status);
        let host = exec(&["--env", VALUES[0], "--env", VALUES[1], "--chdir", "/etc", SHOW], 0);
        assert_eq!(host["stdout"], shown(), "{shell}: {host:#}");
        let host = exec(&["--shell", "sh", "--env", "A=b", "--", "echo one\necho 'it!s' $A"], 0);
        assert_eq!(host["stdout"], "one\nit!s b\n", "{shell}: {host:#}");
        let host = exec(&["--chdir", "/no/such", "echo ran"], 5);
        says(&host, "failed", "command", "the command was not run: ");
        assert!(host["stdout"].is_null(), "{shell}: {host:#}");
    }
}

#[test]
fn standard_input_is_read_once_and_goes_to_every_host() {
    let lab = Lab::start(2);
    let mut bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    bytes.extend(b"no end of line");
    let file = lab.dir().join("client/input");
    fs::write(&file, &bytes).unwrap();
    let sum = Command::new("cksum").stdin(fs::File::open(&file).unwrap()).output().unwrap().stdout;
    let sum = String::from_utf8(sum).unwrap();
    let check = |gsctl: crate::gsctl::Gsctl| {
        let report = report(gsctl, 0);
        let hosts = report["hosts"].as_array().unwrap();
        assert_eq!(hosts.len(), 2);
        for host in hosts {
            assert_eq!(host["stdout"], sum, "{host:#}");
        }
    };
    check(lab.gsctl().args(["exec", "--stdin"]).arg(&file).arg("cksum"));
    check(lab.gsctl().stdin(bytes).args(["exec", "--stdin", "-", "cksum"]));
    // Megabytes that nobody reads.
    let big = vec![b'x'; 16 << 20];
    fs::write(&file, big).unwrap();
    for command in ["echo early", "exec <&-; sleep 1; echo early"] {
        let report = report(lab.gsctl().args(["exec", "--stdin"]).arg(&file).args(["--", command]), 0);
        assert_eq!(report["hosts"][1]["stdout"], "early\n", "{report:#}");
    }
}

#[test]
fn what_is_wrong_is_said_before_contact() {
    let lab = Lab::start(1);
    let contacts = || lab.node(1).sshd_log().matches("Connection from").count();
    let before = contacts();
    let long = format!("A={}", "x".repeat(20_000));
    for (arguments, said) in [
        (&["--env", "A", "true"][..], "`A` has no `=`"),
        (&["--env", "1A=b", "true"], "`1A` is no name of a variable"),
        (&["--env", "a-b=c", "true"], "`a-b` is no name of a variable"),
        (&["--env", "A;id=c", "true"], "`A;id` is no name"),
        (&["--env", "=c", "true"], "`` is no name"),
        (&["--env", &long, "true"], "longer than the 12000 that can be sent"),
        (&["--raw", "--env", "A=b", "true"], "cannot be used with"),
        (&["--raw", "--chdir", "/", "true"], "cannot be used with"),
        (&["--raw", "--shell", "sh", "true"], "cannot be used with"),
        (&["--shell", "", "true"], "`--shell` is empty"),
        (&["--stdin", "/no/such", "true"], "`--stdin /no/such` can't be read: No such file"),
        (&["--stdin", "/", "true"], "directory"),
    ] {
        let run = lab.gsctl().arg("exec").args(arguments).run().expect(2);
        assert!(run.stderr.contains(said), "`{said}` is missing\n{run}");
    }
    let run = lab.gsctl().hosts_file("-").stdin("node1\n").args(["exec", "--stdin", "-", "true"]).run().expect(2);
    assert!(run.stderr.contains("both want standard input"), "{run}");
    for option in ["--password-file", "--sudo-password-file"] {
        let exec = lab.gsctl().stdin("secret\n").args(["exec", "--sudo", "--stdin", "-", option, "-", "true"]);
        let run = exec.run().expect(2);
        assert!(run.stderr.contains(&format!("`--stdin -` and `{option} -` both want")), "{run}");
    }
    let run = lab.gsctl().args(["--dry-run", "exec", "--env", "A=a b", "--chdir", "/x", "true"]).run().expect(0);
    assert!(run.text().contains("export A='a b'&&CDPATH= cd -- /x\ntrue\n"), "{run}");
    assert_eq!(contacts(), before, "a node was contacted");
}
