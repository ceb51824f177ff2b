//! `gsctl hosts`, and how hosts files are found, read and complained about. Nobody is contacted.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::gsctl::{Gsctl, Run};
use crate::lab::{Lab, opengauss};

/// A home with files in it.
fn home(files: &[(&str, &[u8])]) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    home
}

fn hosts(home: &TempDir) -> Gsctl {
    Gsctl::at_home(home.path()).arg("hosts")
}

/// The first column of the table.
fn names(run: &Run) -> Vec<String> {
    run.text().lines().skip(1).filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

const FILE: &[u8] = b"omm@node1:2222 az=AZ1\nnode[2-3]\ndb address=10.0.0.7\n[primary]\nnode1\n[standby]\nnode[2-3]\n\
    [cluster:children]\nprimary\nstandby\n[all:vars]\nuser=dba\ngausshome=/opt/gauss\n";

#[test]
fn the_table_shows_where_each_host_is() {
    let home = home(&[("hosts", FILE)]);
    let run = hosts(&home).run().expect(0);
    assert_eq!(
        run.text(),
        "HOST   ADDRESS   PORT  USER  GROUPS           SETTINGS\n\
         node1  node1     2222  omm   primary,cluster  az=AZ1 gausshome=/opt/gauss\n\
         node2  node2     22    dba   standby,cluster  gausshome=/opt/gauss\n\
         node3  node3     22    dba   standby,cluster  gausshome=/opt/gauss\n\
         db     10.0.0.7  22    dba   -                gausshome=/opt/gauss\n"
    );
    assert_eq!(run.stderr, "");
    // The command line is stronger, and -v says where the rest comes from.
    let run = hosts(&home).args(["-l", "root", "-p", "23", "-v"]).run().expect(0);
    assert!(run.text().lines().skip(1).all(|line| line.contains(" 23 ") && line.contains(" root ")), "{run}");
    assert!(run.text().contains("az=AZ1 (hosts:1)") && run.text().contains("(group all, hosts:13)"), "{run}");
}

#[test]
fn json_has_the_same() {
    let home = home(&[("hosts", FILE)]);
    let run = hosts(&home).args(["-w", "db", "--json", "-"]).run().expect(0);
    let want = serde_json::json!({"schema": "gsctl.hosts/1", "hosts": [{
        "host": "db", "address": "10.0.0.7", "port": 22, "user": "dba", "groups": [], "vars": {"gausshome": "/opt/gauss"},
    }]});
    assert_eq!(run.json(), want, "{run}");
    hosts(&home).args(["--json", "out.json"]).run().expect(0);
    let file: serde_json::Value = serde_json::from_slice(&fs::read(home.path().join("out.json")).unwrap()).unwrap();
    assert_eq!(file["hosts"].as_array().unwrap().len(), 4);
    hosts(&home).args(["--json", "/dev/full"]).run().expect(1);
}

#[test]
fn selection() {
    let home = home(&[("hosts", FILE)]);
    for (arguments, want) in [
        (&["-w", "node[1-2]"][..], &["node1", "node2"][..]),
        (&["-w", "node3,node1"], &["node1", "node3"]),
        (&["-w", "node1", "-w", "db"], &["node1", "db"]),
        (&["-w", "other9,db"], &["db", "other9"]),
        (&["-g", "standby"], &["node2", "node3"]),
        (&["-g", "cluster", "-x", "node2"], &["node1", "node3"]),
        (&["-g", "primary", "-g", "standby"], &["node1", "node2", "node3"]),
        (&["-x", "node[1-3]"], &["db"]),
        (&["-x", "node1", "-x", "db"], &["node2", "node3"]),
    ] {
        let run = hosts(&home).args(arguments).run().expect(0);
        assert_eq!(names(&run), want, "{run}");
        assert_eq!(run.stderr, "", "{run}");
    }
    // A name that the file knows keeps its settings there; options may stand before the command.
    let run = Gsctl::at_home(home.path()).args(["-w", "node1", "hosts"]).run().expect(0);
    assert!(run.text().contains("2222  omm"), "{run}");

    let run = hosts(&home).args(["-x", "zzz"]).run().expect(0);
    assert!(run.stderr.contains("warning: `--exclude zzz` leaves nobody out"), "{run}");
    let run = hosts(&home).args(["-x", "node[1-3],db"]).run().expect(6);
    assert!(
        run.stderr.contains("error: no host selected from `hosts`: -g, --intersect and -x leave nobody\nhint: "),
        "{run}"
    );
    let run = hosts(&home).args(["-g", "primry"]).run().expect(2);
    assert!(run.stderr.contains("there is no group `primry`") && run.stderr.contains("primary"), "{run}");
}

#[test]
fn the_example_parses_and_lists() {
    let home = home(&[]);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("hosts.example");
    let run = hosts(&home).hosts_file(&example).run().expect(0);
    assert_eq!(run.stderr, "");
    let names = names(&run);
    assert_eq!(names.len(), 32, "{run}");
    for name in
        ["10.0.0.1", "2001:db8::9", "fe80::1%eth0", "node09", "rack2n3", "10.0.1.4", "192.0.2.1:2203", "bastion"]
    {
        assert!(names.iter().any(|host| host == name), "`{name}` is missing\n{run}");
    }
}

#[test]
fn where_the_file_is_looked_for() {
    let home = home(&[
        ("hosts", b"here\n"),
        (".config/gsctl/hosts", b"own\n"),
        ("named", b"named\n"),
        ("env", b"env\n"),
        ("elsewhere/x", b""),
    ]);
    let elsewhere = home.path().join("elsewhere");
    assert_eq!(names(&hosts(&home).run().expect(0)), ["here"]);
    assert_eq!(names(&hosts(&home).current_dir(&elsewhere).run().expect(0)), ["own"]);
    assert_eq!(names(&hosts(&home).env("GSCTL_HOSTS_FILE", "env").run().expect(0)), ["env"]);
    assert_eq!(names(&hosts(&home).env("GSCTL_HOSTS_FILE", "env").args(["-f", "named"]).run().expect(0)), ["named"]);
    assert_eq!(names(&hosts(&home).args(["-f", "named", "-f", "env"]).run().expect(0)), ["named", "env"]);
    assert_eq!(names(&hosts(&home).env("GSCTL_HOSTS", "db[1-2]").run().expect(0)), ["db1", "db2"]);
    assert_eq!(names(&hosts(&home).args(["-f", "-"]).stdin("a\nb:23\n").run().expect(0)), ["a", "b"]);
    let run = hosts(&home).args(["-f", "-"]).stdin("a\nb[\n").run().expect(2);
    assert!(run.stderr.contains("hosts file `-`, line 2, column 2"), "{run}");

    let empty = tempfile::tempdir().unwrap();
    let run = hosts(&empty).run().expect(6);
    assert!(run.stderr.contains("there is no hosts file\nhint: name one with -f"), "{run}");
    assert_eq!(names(&hosts(&empty).args(["-w", "a,b"]).run().expect(0)), ["a", "b"]);
}

#[test]
fn files_that_are_none() {
    let binary: Vec<u8> = (0..=255).cycle().take(2_000).collect();
    let home = home(&[
        ("empty", b""),
        ("comments", b"# nobody\n\n  # here\n"),
        ("range", b"node1\n  node[3-1]\n"),
        ("bracket", b"node[1-2\n"),
        ("setting", b"node1 port=99999\n"),
        ("binary", &binary),
        ("crlf", b"node1\r\nomm@node2:23 az=AZ1\r\n[g]\r\nnode1\r\n"),
        ("bom", b"\xef\xbb\xbfnode1\n"),
        ("latin1", b"node1 # caf\xe9\n"),
        ("folder/x", b""),
    ]);
    for (file, status, said) in [
        ("missing", 2, "hosts file `missing`: there is no such file"),
        ("folder", 2, "hosts file `folder` is a directory\nhint: "),
        ("empty", 6, "no host selected from `empty`: the hosts file has no hosts\nhint: one host a line"),
        ("comments", 6, "no host selected from `comments`: the hosts file has no hosts\nhint: "),
        (
            "range",
            2,
            "hosts file `range`, line 2, column 7: `node[3-1]` is an empty range\nhint: write the smaller number first",
        ),
        ("bracket", 2, "hosts file `bracket`, line 1, column 5: `node[1-2` has a `[` that is not closed\nhint: "),
        ("setting", 2, "hosts file `setting`, line 1, column "),
        ("binary", 2, "the file is binary: it holds a NUL byte\nhint: a hosts file is text"),
    ] {
        let run = hosts(&home).args(["-f", file]).run().expect(status);
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains(said), "`{said}` is missing\n{run}");
        assert!(run.stdout.is_empty(), "{run}");
    }
    let run = hosts(&home).args(["-f", "crlf"]).run().expect(0);
    assert!(run.text().contains("node2  node2    23    omm") && !run.text().contains('\r'), "{run}");
    assert_eq!(names(&hosts(&home).args(["-f", "bom"]).run().expect(0)), ["node1"]);
}

#[test]
fn a_file_that_may_not_be_read() {
    let home = home(&[("secret", b"node1\n")]);
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(home.path().join("secret"), Permissions::from_mode(0o000)).unwrap();
    // root may read everything, so gsctl runs as somebody else, from where he can reach it.
    let program = home.path().join("gsctl");
    fs::copy(env!("CARGO_BIN_EXE_gsctl"), &program).unwrap();
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    let output =
        command.args(["-f", "secret", "hosts"]).current_dir(home.path()).env("HOME", home.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "error: hosts file `secret`: permission denied\n");
}

/// An account that is in no `/etc/passwd`, but that the name service knows: here through `nss-systemd`, whose records are files.
#[test]
fn an_account_of_the_name_service_has_its_name() {
    assert!(
        rustix::process::geteuid().is_root(),
        "needs root, for a mount of its own: run the tests as root, or in `unshare -r`"
    );
    let home = home(&[
        ("hosts", b"node1\n"),
        ("nsswitch.conf", b"passwd: files systemd\ngroup: files\n"),
        (
            "userdb/ldapuser.user",
            br#"{"userName":"ldapuser","uid":54321,"gid":54321,"homeDirectory":"/","disposition":"regular"}"#,
        ),
    ]);
    std::os::unix::fs::symlink("ldapuser.user", home.path().join("userdb/54321.user")).unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    // gsctl runs from where that account can reach it.
    fs::copy(env!("CARGO_BIN_EXE_gsctl"), home.path().join("gsctl")).unwrap();
    let script = "mkdir -p /run/userdb && mount --bind userdb /run/userdb && mount --bind nsswitch.conf /etc/nsswitch.conf && \
                  exec setpriv --reuid=54321 --regid=54321 --clear-groups ./gsctl -f hosts hosts -v";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).current_dir(home.path()).env("HOME", home.path());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.lines().any(|line| line.starts_with("node1 ") && line.contains(" ldapuser ")), "{output:?}");
}

#[test]
fn ten_thousand_hosts() {
    let line = |n| format!("omm@host{n:05}:2222 az=AZ{} rack=r{}\n", n % 3, n % 50);
    let text = (1..=10_000).fold(String::new(), |text, n| text + &line(n));
    let home = home(&[("hosts", text.as_bytes())]);
    let run = hosts(&home).args(["--json", "-"]).run().expect(0);
    assert_eq!(run.json()["hosts"].as_array().unwrap().len(), 10_000);
    let run = hosts(&home).args(["-x", "host[00001-09999]"]).run().expect(0);
    assert_eq!(names(&run), ["host10000"]);
}

#[test]
fn from_cm_view() {
    let view = "\n[  CMServer State   ]\n";
    let home = home(&[("nonsense", view.as_bytes())]);
    let run = hosts(&home).args(["--from-cm-view", "nonsense"]).run().expect(2);
    assert!(run.stderr.starts_with("error: "), "{run}");
    hosts(&home).args(["--from-cm-view", "missing"]).run().expect(2);
}

#[test]
fn from_cm_view_of_a_cluster() {
    let lab = Lab::start(3);
    opengauss::install(&lab);
    let view =
        lab.gsctl().args(["-w", "node1", "--quiet", "--gather", "exec", ". ~/.bashrc; cm_ctl view"]).run().expect(0);
    let file = lab.bare_gsctl().args(["hosts", "--from-cm-view", "-"]).stdin(view.stdout.clone()).run().expect(0);
    let listed = lab.bare_gsctl().args(["-f", "-", "hosts", "--json", "-"]).stdin(file.stdout.clone()).run().expect(0);
    let json = listed.json();
    let hosts = json["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 3, "{file}");
    for (host, node) in hosts.iter().zip(lab.nodes()) {
        assert_eq!(host["address"], node.address().ip().to_string(), "{file}");
    }
}
