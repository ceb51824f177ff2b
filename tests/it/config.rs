//! The config file: who is stronger than whom, and what is wrong with some files. Nobody is contacted.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use crate::gsctl::{Gsctl, Run};

/// A home with a config file, and a hosts file that says nothing of the host.
fn home(config: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    write(&home, ".config/gsctl/config.toml", config);
    write(&home, "hosts", "node1\n");
    home
}

fn write(home: &TempDir, name: &str, text: &str) {
    let path = home.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn gsctl(home: &TempDir) -> Gsctl {
    Gsctl::at_home(home.path())
}

/// Value and origin of a setting, as `gsctl config` shows them.
fn setting(run: &Run, name: &str) -> (String, String) {
    let text = run.text();
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("no {name}\n{run}"));
    let mut columns = line.split("  ").map(str::trim).filter(|column| !column.is_empty()).skip(1);
    (columns.next().unwrap().to_owned(), columns.next().unwrap().to_owned())
}

#[test]
fn the_command_line_is_stronger_than_the_environment_and_that_than_the_file() {
    let home = home(
        "# ours\nuser = \"omm\"\nport = 2222\nfanout = 7\nconnect-timeout = \"9s\"\nhosts-file = [\"~/one\", \"~/two\"]\n",
    );
    write(&home, "one", "node1\n");
    write(&home, "two", "node2\n");
    let file = home.path().join(".config/gsctl/config.toml").display().to_string();
    let run = gsctl(&home).arg("config").run().expect(0);
    for (name, want) in [("user", "omm"), ("port", "2222"), ("fanout", "7"), ("connect-timeout", "9s")] {
        let (value, from) = setting(&run, name);
        assert_eq!((value.as_str(), from.starts_with(&format!("{file}:"))), (want, true), "{name}\n{run}");
    }
    assert_eq!(setting(&run, "user").1, format!("{file}:2"));
    assert_eq!(setting(&run, "color"), ("auto".to_owned(), "default".to_owned()));
    assert_eq!(setting(&run, "keepalive"), ("15sx3".to_owned(), "default".to_owned()));
    let run =
        gsctl(&home).env("GSCTL_FANOUT", "8").env("GSCTL_USER", "dba").args(["config", "-l", "root"]).run().expect(0);
    assert_eq!(setting(&run, "fanout"), ("8".to_owned(), "GSCTL_FANOUT".to_owned()));
    assert_eq!(setting(&run, "user"), ("root".to_owned(), "command line".to_owned()));

    // And that is what a command does.
    let place = |gsctl: Gsctl| {
        let run = gsctl.args(["hosts", "--json", "-"]).run().expect(0);
        let hosts = run.json()["hosts"].as_array().unwrap().clone();
        let names: Vec<String> = hosts.iter().map(|host| host["host"].as_str().unwrap().to_owned()).collect();
        format!("{} {} {}", names.join(","), hosts[0]["user"].as_str().unwrap(), hosts[0]["port"])
    };
    assert_eq!(place(gsctl(&home)), "node1,node2 omm 2222");
    assert_eq!(place(gsctl(&home).env("GSCTL_PORT", "23")), "node1,node2 omm 23");
    assert_eq!(place(gsctl(&home).env("GSCTL_PORT", "23").args(["-p", "24", "-f", "two"])), "node2 omm 24");
    assert_eq!(place(gsctl(&home).args(["-w", "node1", "-l", "x"])), "node1 x 2222");
    // What a hosts file says of its hosts is stronger, too: the config file has defaults.
    write(&home, "three", "node3 user=root\n[all:vars]\nport=25\n");
    assert_eq!(place(gsctl(&home).args(["-f", "three"])), "node3 root 25");
    assert_eq!(place(gsctl(&home).args(["-f", "three", "-w", "node9"])), "node9 omm 25");
    let run = gsctl(&home).args(["--no-config", "config"]).run().expect(0);
    assert_eq!(setting(&run, "fanout"), ("128".to_owned(), "default".to_owned()));
    let other = home.path().join("other.toml");
    write(&home, "other.toml", "\u{feff}user = \"other\"\r\n");
    assert_eq!(
        place(gsctl(&home).env("GSCTL_CONFIG", other.to_str().unwrap()).args(["-w", "node1"])),
        "node1 other 22"
    );
    let run = gsctl(&home).args(["config", "--path"]).run().expect(0);
    assert_eq!(run.text(), format!("{file}\n"));
}

#[test]
fn what_is_wrong_has_its_place() {
    for (text, place, wanted) in [
        ("fanot = 7\n", "line 1, column 1", "there is no setting `fanot`\nhint: did you mean `fanout`?"),
        ("connect_timeout = 7\n", "line 1, column 1", "did you mean `connect-timeout`?"),
        ("\n[hosts]\nx = 1\n", "line 2, column ", "`hosts` must be text or a number\nhint: hosts = [\"node[1-3]\"]"),
        ("user = \"a\"\nfanout = 0\n", "line 2, column 10", "`fanout` cannot be `0`: 0 is not in 1.."),
        ("fanout = true\n", "line 1, column 10", "`fanout` must be text or a number\nhint: fanout = 128"),
        ("timeout = \"5x\"\n", "line 1, column 11", "`5x` is not a duration"),
        ("color = \"blue\"\n", "line 1, column 9", "expected one of auto, always, never"),
        ("user = [\"a\", \"b\"]\n", "line 1, column 8", "`user` takes one value, not a list"),
        ("yes = true\n", "line 1, column 1", "`yes` cannot have a default"),
        ("dry-run = true\n", "line 1, column 1", "`dry-run` cannot have a default"),
        ("host-key-policy = \"off\"\n", "line 1, column 19", "no host would ever be known again"),
        (
            "hosts-file = \"hosts\"\n",
            "line 1, column 14",
            "another file in every directory\nhint: write it from `/` or `~/`",
        ),
        ("user = \"a\"\nuser = \"b\"\n", "line 2, column 1", "duplicate key"),
        ("user = a\n", "line 1, column 8", "string"),
        ("user = \"a\n", "line 1, column ", ""),
    ] {
        let home = home(text);
        let run = gsctl(&home).args(["hosts"]).run().expect(2);
        let file = home.path().join(".config/gsctl/config.toml");
        let want = format!("error: config file `{}`, {place}", file.display());
        assert!(run.stderr.starts_with(&want) && run.stderr.contains(wanted), "{text}: `{want}`, `{wanted}`\n{run}");
        gsctl(&home).args(["config"]).run().expect(2);
        // The ways out do not need a file that is right.
        gsctl(&home).args(["hosts", "--no-config"]).run().expect(0);
        for arguments in [&["--help"][..], &["config", "--path"], &["config", "--example"], &["completions", "bash"]] {
            gsctl(&home).args(arguments).run().expect(0);
        }
    }
}

#[test]
fn files_that_cannot_be_used() {
    let home = home("user = \"omm\"\n");
    let path = home.path().join(".config/gsctl/config.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let run = gsctl(&home).arg("hosts").run().expect(2);
    assert!(run.stderr.contains("others could write it\nhint: chmod 600 "), "{run}");
    for (value, said) in [("/none.toml", "there is no such file"), ("/", "it is a directory")] {
        let run = gsctl(&home).env("GSCTL_CONFIG", value).arg("hosts").run().expect(2);
        assert!(
            run.stderr.contains(&format!("config file `{value}`: {said}")) && run.stderr.contains("--no-config"),
            "{run}"
        );
    }
    fs::remove_file(&path).unwrap();
    gsctl(&home).arg("hosts").run().expect(0);
}

#[test]
fn every_line_of_the_example_is_taken() {
    let home = home("");
    let example = gsctl(&home).args(["config", "--example"]).run().expect(0).text();
    let shown = gsctl(&home).arg("config").run().expect(0);
    let mut all = String::new();
    for line in example.lines().filter_map(|line| line.strip_prefix("# ")) {
        let Some((name, _)) = line.split_once(" = ").filter(|(name, _)| !name.contains([' ', '`'])) else { continue };
        setting(&shown, name);
        all += &format!("{line}\n");
    }
    assert_eq!(all.lines().count(), shown.text().lines().count() - 1, "{all}\n{shown}");
    write(&home, ".config/gsctl/config.toml", &all);
    let run = gsctl(&home).arg("config").run().expect(0);
    assert!(!run.text().lines().skip(1).any(|line| line.ends_with("default")), "{run}");
}
