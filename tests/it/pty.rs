//! `--pty`: a terminal for programs that insist on one, with the bytes, exit statuses and kills of any other command.

use crate::failures::{one, report, running, says, until_running};
use crate::lab::Lab;

#[test]
fn a_terminal_changes_nothing_but_that_it_is_one() {
    let mut builder = Lab::builder();
    let root = rustix::process::geteuid().is_root();
    for shell in if root { &["tcsh", "fish", "zsh", "bash"][..] } else { &[] } {
        builder = builder.user(&format!("{shell}y"), &format!("/usr/bin/{shell}"));
    }
    let lab = builder.start();
    let node = lab.node(1);
    let exec = |arguments: &[&str], status| one(lab.gsctl().args(["exec", "--pty"]).args(arguments), status);
    // Without it there is none.
    assert_eq!(one(lab.gsctl().args(["exec", "test -t 0 || test -t 1 || echo none"]), 0)["stdout"], "none\n");
    let host =
        exec(&["--", "test -t 0 && test -t 1 && test -t 2 && printf 'out\\n\\ttab\\r\\nend'; echo err >&2; exit 7"], 5);
    // Ends of lines are as they were written, and errors are where a terminal has them.
    assert_eq!((&host["stdout"], &host["exit_status"]), (&"out\n\ttab\r\nenderr\n".into(), &7.into()), "{host:#}");
    assert_eq!(host["stderr"], "", "{host:#}");
    let host = exec(&["--env", "A=it's", "--chdir", "/etc", "--shell", "bash", "--", "[[ -t 1 ]] && echo $A $PWD"], 0);
    assert_eq!(host["stdout"], "it's /etc\n");
    says(&exec(&["--chdir", "/no/such", "true"], 5), "failed", "command", "the command was not run: ");
    // What it reads is an end of file, and nothing of that is repeated.
    let host = exec(&["--", "cat; echo over"], 0);
    assert_eq!(host["stdout"], "over\n", "{host:#}");
    // More than any buffer holds, and to the byte.
    let host = exec(&["seq 1 200000"], 0);
    let wanted = (1..=200_000).fold(String::new(), |text, n| text + &n.to_string() + "\n");
    assert!(host["stdout"].as_str() == Some(wanted.as_str()), "{} bytes", host["stdout"].as_str().unwrap().len());
    // A daemon that keeps the terminal open is not waited for.
    assert_eq!(exec(&["setsid sleep 4731 & echo started"], 0)["stdout"], "started\n");
    node.sh("pkill -f 'sleep 4731'");

    for user in if root { &["tcshy", "fishy", "zshy", "bashy"][..] } else { &[] } {
        let report = report(
            lab.gsctl().args(["-l", user, "exec", "--pty", "echo \"it's\" '!'; tty >/dev/null; sh -c 'exit 3'"]),
            5,
        );
        let host = &report["hosts"][0];
        assert_eq!((&host["stdout"], &host["exit_status"]), (&"it's !\n".into(), &3.into()), "{user}: {host:#}");
    }

    let late = one(
        lab.gsctl().args(["-t", "2s", "exec", "--pty", "--", "trap '' HUP TERM; sleep 4732 & sleep 4732; wait"]),
        3,
    );
    says(&late, "timed_out", "timeout", "no end within 2s");
    assert_eq!((&late["remote_killed"], running(node, "sleep 4732")), (&true.into(), 0), "{late:#}");
    let run = lab.gsctl().args(["exec", "--pty", "sleep 4733"]).json().spawn();
    until_running(node, "sleep 4733");
    run.signal(rustix::process::Signal::INT);
    let host = run.wait().expect(130).json()["hosts"][0].clone();
    assert_eq!((&host["remote_killed"], running(node, "sleep 4733")), (&true.into(), 0), "{host:#}");

    // Appliances often want both.
    let host = exec(&["--raw", "--", "test -t 0 && echo terminal; exit 4"], 5);
    assert_eq!((&host["stdout"], &host["exit_status"]), (&"terminal\n".into(), &4.into()), "{host:#}");
}

#[test]
fn a_server_that_gives_none() {
    let lab = Lab::builder().sshd_config("PermitTTY no\n").start();
    let host = one(lab.gsctl().args(["exec", "--pty", "touch ran"]), 4);
    says(&host, "unreachable", "lost", "it gives no terminal (PermitTTY");
    assert!(!lab.node(1).exists("home/ran"), "{host:#}");
}
