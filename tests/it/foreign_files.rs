//! Hosts files of other tools, and arguments in another encoding: what was taken for what is said, and how it is said here.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use crate::gsctl::Gsctl;

#[track_caller]
fn says(text: &str, status: i32, wanted: &[&str]) {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), text).unwrap();
    fs::write(home.path().join("more"), "n9\n").unwrap();
    let run = Gsctl::at_home(home.path()).args(["-f", "file", "hosts"]).run().expect(status);
    for want in wanted {
        assert!(run.stderr.contains(want), "`{want}` is missing\n{text}\n{run}");
    }
    assert_eq!(run.stderr.is_empty(), wanted.is_empty(), "{text}\n{run}");
}

#[test]
fn what_may_be_a_line_of_another_tool_s_file_is_said() {
    // /etc/hosts, without a word that gives it away.
    says(
        "10.0.0.1 node01\n10.0.0.2 node02\n",
        0,
        &[
            "line 1: `node01` is taken as the login name on `10.0.0.1` (likewise on 1 more line)",
            "`node01 address=10.0.0.1`",
        ],
    );
    says("db7\nnode1 db7\n", 0, &["line 2: `db7` is taken as the login name on `node1`"]);
    says("10.0.0.1 omm\n10.0.0.2 omm\n", 0, &[]);
    // genders
    says("node1 all,web\n", 2, &["`all,web` stands where the user is expected", "-f genders:FILE"]);
    says("node1 web,cpus=4\n", 2, &["`web,cpus` is not a name for a setting", "-f genders:FILE"]);
    // A line that goes on in the next one.
    says("node1 \\\n", 2, &["line 1, column 7: a `\\` at the end of a line", "all settings of a host on its line"]);
    says("node1 omm \\\n  az=AZ1\n", 2, &["line 1, column 11: a `\\` at the end of a line"]);
    // pdsh
    says(
        "n1\n#include more\n",
        0,
        &["line 2: `#include more` is a comment, so its hosts are not taken", "-f file -f more"],
    );
    says("n1\n# include more\n", 0, &[]);
    // Ranges as other tools have them.
    says(
        "10.0.0.1-10.0.0.5\n",
        2,
        &["`10.0.0.1-10.0.0.5` is a range of addresses", "hint: a range is written `10.0.0.[1-5]`"],
    );
    says("node01-node05\n", 0, &["`node01-node05` is taken as the name of one host; a range is written `node[01-05]`"]);
    // tidb-ansible's hosts.ini
    says(
        "[servers]\n10.0.0.1\n\n[all:vars]\nusername = tidb\n",
        2,
        &["line 5, column 1: `username`", "-f ansible:file"],
    );
}

#[test]
fn both_files_of_a_pdsh_include_are_taken_where_both_are_named() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "n1\n").unwrap();
    fs::write(home.path().join("more"), "n9\n").unwrap();
    let run = Gsctl::at_home(home.path()).args(["-f", "file", "-f", "more", "hosts", "--expand"]).run().expect(0);
    assert_eq!(run.text(), "n1\nn9\n");
}

#[test]
fn arguments_in_gbk_are_named() {
    let home = tempfile::tempdir().unwrap();
    let gbk = OsStr::from_bytes(b"echo \xd6\xd0\xce\xc4");
    let run = Gsctl::at_home(home.path()).args(["-w", "n1", "exec"]).arg(gbk).run().expect(2);
    assert!(run.stderr.starts_with("error: argument `echo \\xd6\\xd0\\xce\\xc4` is not UTF-8\nhint: "), "{run}");
    assert!(run.stderr.contains("iconv -f GBK") && run.stderr.contains("`script FILE`"), "{run}");
    let run = Gsctl::at_home(home.path()).args(["pssh", "-H", "n1"]).arg(gbk).run().expect(2);
    assert!(run.stderr.contains("argument `echo \\xd6\\xd0\\xce\\xc4` is not UTF-8"), "{run}");
    // A file may have any name.
    let run = Gsctl::at_home(home.path()).arg("-f").arg(gbk).arg("hosts").run().expect(2);
    assert!(run.stderr.contains("there is no such file"), "{run}");
}

#[test]
fn nobody_is_selected_for_the_reason_that_is_said() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("hosts"), "n[1-8]\n[empty]\n[primary]\nn1\n").unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["-w", ""], "no host selected from `hosts`: -w names nobody\nhint: "),
        (&["-w", " , "], "no host selected from `hosts`: -w names nobody\nhint: "),
        (
            &["-w", "n1&n2"],
            "no host selected from `hosts`: `n1&n2` comes to nobody\nhint: `gsctl hosts` shows who there is",
        ),
        (&["-g", "empty"], "no host selected from `hosts`: group `empty` has no hosts\nhint: "),
        (&["-w", "@empty"], "no host selected from `hosts`: group `empty` has no hosts\nhint: "),
        (&["-w", "n1", "-x", "n1"], "no host selected from `hosts`: -g, --intersect and -x leave nobody\nhint: "),
    ];
    for (arguments, want) in cases {
        let run = Gsctl::at_home(home.path()).args(arguments).arg("hosts").run().expect(6);
        assert!(run.stderr.contains(want), "{arguments:?}\n{run}");
    }
    let run = Gsctl::at_home(home.path()).args(["-w", "primary", "hosts"]).run().expect(0);
    assert!(run.stderr.contains("-w primary: taken as the name of a host; the group `primary` is `@primary`"), "{run}");
}
