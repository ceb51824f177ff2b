//! `--help` is a promise: the goldens show every word of it. `GSCTL_BLESS=1` writes them anew.

use std::fs;
use std::path::Path;

use crate::gsctl::Gsctl;

const COMMANDS: [&str; 20] = [
    "exec",
    "script",
    "ping",
    "check",
    "wait",
    "touch",
    "rm",
    "push",
    "pull",
    "start",
    "stop",
    "restart",
    "status",
    "promote",
    "play",
    "hosts",
    "runs",
    "config",
    "completions",
    "man",
];

fn gsctl() -> Gsctl {
    // Clap asks for the width of the terminal; the variable stands in for it.
    Gsctl::at_home(Path::new("/")).env("COLUMNS", "100")
}

#[track_caller]
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/help").join(format!("{name}.txt"));
    if std::env::var_os("GSCTL_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let want = fs::read_to_string(&path).unwrap_or_default();
    assert!(want == text, "{} is out of date: run this test with GSCTL_BLESS=1\n{text}", path.display());
}

/// A command's help without the options that every command has, where it has them as they are in the help of gsctl itself.
fn own_part(text: &str, top: &str) -> String {
    let (_, common) = top.split_once("\nHosts:\n").expect("options for every command");
    let (common, _) = common.split_once("\nExit status").expect("the exit statuses come last");
    match text.strip_suffix(&format!("\nHosts:\n{common}")) {
        Some(own) => format!("{own}\n(and the options for every command: see gsctl.txt)\n"),
        None => text.to_owned(),
    }
}

#[test]
fn help_says_what_it_has_said() {
    let run = gsctl().arg("--help").run().expect(0);
    golden("gsctl", &run.text());
    assert_eq!(run.stderr, "");
    let top = run.text();
    for command in COMMANDS {
        let run = gsctl().args([command, "--help"]).run().expect(0);
        golden(command, &own_part(&run.text(), &top));
        let short = gsctl().args([command, "-h"]).run().expect(0);
        assert!(short.text().contains(&format!("Usage: gsctl {command}")), "{short}");
    }
    for sibling in ["pssh", "pscp", "pslurp", "prsync", "pnuke"] {
        golden(sibling, &gsctl().args([sibling, "--help"]).run().expect(0).text());
    }
    let top = gsctl().arg("-h").run().expect(0).text();
    for command in COMMANDS {
        assert!(top.contains(&format!("\n  {command} ")), "`{command}` is not in the list:\n{top}");
    }
}

#[test]
fn no_line_of_help_is_wider_than_asked() {
    for command in ["exec", "check", "start", "play"] {
        let text = gsctl().env("COLUMNS", "80").args([command, "--help"]).run().expect(0).text();
        // clap does not wrap the usage line.
        let wide: Vec<_> =
            text.lines().filter(|line| line.chars().count() > 80 && !line.starts_with("Usage")).collect();
        assert!(wide.is_empty(), "{wide:#?}");
    }
}

#[test]
fn version() {
    for arguments in [&["--version"][..], &["-V"], &["exec", "--version"]] {
        let run = gsctl().args(arguments).run().expect(0);
        let text = run.text();
        assert!(text.starts_with("gsctl") && text.trim_end().ends_with(env!("CARGO_PKG_VERSION")), "{run}");
    }
}

#[test]
fn the_version_in_full_says_what_it_is_made_of() {
    for arguments in [["--version", "-v"], ["-v", "-V"]] {
        let text = gsctl().args(arguments).run().expect(0).text();
        let [version, commit, target, libraries] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert_eq!(version, concat!("gsctl ", env!("CARGO_PKG_VERSION")));
        assert!(commit.starts_with("commit: "), "{text}");
        assert!(target.starts_with(&format!("target: {}-unknown-linux-", std::env::consts::ARCH)), "{text}");
        assert!(libraries.starts_with("libraries: libssh2 1.") && libraries.contains(", OpenSSL 3."), "{text}");
    }
}

#[test]
fn what_is_not_understood_is_2_and_says_the_nearest() {
    for (arguments, said) in [
        (&["--hots", "x"][..], "--hosts"),
        (&["strat"], "start"),
        (&["exec"], "<COMMAND>"),
        (&["check"], "--process"),
        (&["wait"], "--rebooted"),
        (&["wait", "--file", "x", "--quorum", "most"], "`5` or `20%`"),
        (&["--port", "99999", "ping"], "99999"),
        (&["--fanout", "0", "ping"], "'0'"),
        (&["--keepalive", "15sx0", "ping"], "15sx3"),
        (&["--serial", "120%", "ping"], "`5` or `20%`"),
        (&["--gather", "--stream", "ping"], "cannot be used with"),
        (&["start", "--allow-unreachable", "few"], "minority"),
        (&["start", "--accept", "dead"], "degraded"),
        (&["play"], "<PLAYBOOK>"),
        (&["play", "--var", "novalue", "x"], "NAME=VALUE"),
        (&[], "Usage"),
    ] {
        let run = gsctl().args(arguments).run().expect(2);
        assert!(run.stderr.contains(said) && run.stdout.is_empty(), "`{said}` is missing\n{run}");
    }
}
