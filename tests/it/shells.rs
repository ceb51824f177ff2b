//! Completions as bash, zsh and fish ask for them, and manual pages as man(1) reads them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::gsctl::Gsctl;

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("hosts"), "node[01-03]\ndb7 address=10.0.0.7\n[primary]\nnode01\n").unwrap();
    home
}

/// What may follow the words, the last of which is being typed.
fn candidates(home: &Path, words: &[&str]) -> Vec<String> {
    let run = Gsctl::at_home(home)
        .env("GSCTL_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .env("_CLAP_IFS", "\n")
        .env("_CLAP_COMPLETE_SPACE", "false")
        .arg("--")
        .arg("gsctl")
        .args(words)
        .run()
        .expect(0);
    run.text().lines().map(str::to_owned).collect()
}

#[test]
fn hosts_groups_and_playbooks_are_known() {
    let home = home();
    let at = home.path();
    assert_eq!(candidates(at, &["exec", "-w", "node0"]), ["node01", "node02", "node03"]);
    assert_eq!(
        candidates(at, &["exec", "-w", "db7,node02,n"]),
        ["db7,node02,node01", "db7,node02,node02", "db7,node02,node03"]
    );
    assert_eq!(
        candidates(at, &["exec", "-w", "@"]),
        ["@primary", "@failed", "@not-begun", "@ok", "@retry", "@unreachable"]
    );
    assert_eq!(candidates(at, &["-x", "db"]), ["db7"]);
    assert_eq!(candidates(at, &["ping", "-g", ""]), ["primary"]);
    assert_eq!(candidates(at, &["sta"]), ["start", "status"]);
    assert!(candidates(at, &["play", "opengauss/st"]).starts_with(&["opengauss/start".to_owned()]));
    assert!(candidates(at, &["exec", "--fan"]).iter().any(|word| word == "--fanout"));
    // A file that is named on the line counts, not the one that lies there.
    fs::write(at.join("others"), "web1\nweb2\n").unwrap();
    assert_eq!(candidates(at, &["-f", "others", "exec", "-w", "w"]), ["web1", "web2"]);
    // A wrong one is no reason to print into the line that is being typed.
    fs::write(at.join("broken"), "node[3-1]\n").unwrap();
    assert_eq!(candidates(at, &["-f", "broken", "exec", "-w", "n"]), [""; 0]);
}

#[test]
fn bash_asks_and_is_answered() {
    let home = home();
    let bin = Path::new(env!("CARGO_BIN_EXE_gsctl")).parent().unwrap();
    let script = r#"
        source <(gsctl completions bash)
        COMP_WORDS=(gsctl exec -w db) COMP_CWORD=3 COMP_TYPE=9
        handler=$(complete -p gsctl | sed 's/.*-F \([^ ]*\).*/\1/')
        "$handler" gsctl db -w
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let said = Command::new("bash")
        .args(["--norc", "-c", script])
        .env_clear()
        .env("PATH", &path)
        .env("HOME", home.path())
        .current_dir(home.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "db7", "{said:?}");
    let fish = "gsctl completions fish | source; complete -C 'gsctl exec -w db'";
    let said = Command::new("fish")
        .args(["--no-config", "-c", fish])
        .env_clear()
        .env("PATH", &path)
        .env("HOME", home.path())
        .current_dir(home.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "db7", "{said:?}");
}

#[test]
fn what_zsh_gets_is_zsh() {
    let home = home();
    let text = Gsctl::at_home(home.path()).args(["completions", "zsh"]).run().expect(0).text();
    assert!(text.starts_with("#compdef gsctl"), "{text}");
    let script = "autoload -U compinit; compinit -u -D; source <(gsctl completions zsh); echo $_comps[gsctl]";
    let bin = Path::new(env!("CARGO_BIN_EXE_gsctl")).parent().unwrap();
    let said = Command::new("zsh")
        .args(["-fc", script])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("HOME", home.path())
        .output()
        .unwrap();
    assert!(said.stderr.is_empty() && String::from_utf8_lossy(&said.stdout).contains("gsctl"), "{said:?}");
    let run = Gsctl::at_home(home.path()).args(["completions", "tcsh"]).run().expect(2);
    assert!(run.stderr.contains("possible values: bash, zsh, fish"), "{run}");
}

#[test]
fn every_command_has_a_manual_page_without_a_mistake_in_it() {
    let home = home();
    let page = Gsctl::at_home(home.path()).args(["man", "exec"]).run().expect(0).text();
    assert!(page.contains("gsctl\\-exec") && page.contains("\\-\\-timeout"), "{page}");
    let run = Gsctl::at_home(home.path()).args(["man", "exce"]).run().expect(2);
    assert!(run.stderr.contains("hint: commands: exec,"), "{run}");
    let pages = home.path().join("pages");
    Gsctl::at_home(home.path()).args(["man", "--dir"]).arg(pages.to_str().unwrap()).run().expect(0);
    let mut names: Vec<_> = fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() > 12 && names[0].ends_with("gsctl-check.1"), "{names:?}");
    for page in names {
        let said = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(&page).output().unwrap();
        assert!(said.status.success() && said.stderr.is_empty(), "{}: {said:?}", page.display());
    }
}
