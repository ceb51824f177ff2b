//! The scripts, run for real: every shell a node may have, real files, real processes, with and without privileges.

mod push;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::slice::from_ref;
use std::time::{Duration, Instant};

use super::*;
use crate::outcome::change::{Change, ChangeKind};

/// Shells that a node may have as /bin/sh.
const SHELLS: [&[&str]; 4] = [&["dash"], &["bash"], &["bash", "--posix"], &["busybox", "sh"]];

/// Names that have broken scripts before.
const HOSTILE: [&str; 14] = [
    "plain",
    "two words",
    " lead and trail ",
    "it's",
    "say \"hi\"",
    "$HOME",
    "`id`",
    "back\\slash",
    "-rf",
    "ünïcödé-北京",
    "semi;colon&",
    "tab\there",
    "#hash",
    "~tilde",
];

#[track_caller]
fn need(program: &str) {
    let found =
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|d| d.join(program).exists()));
    assert!(found, "`{program}` is missing; install it: apt-get install -y busybox dash bash util-linux");
}

/// Runs a script as a node would: a session of its own, nothing on standard input.
#[track_caller]
fn run_in(shell: &[&str], script: &str, dir: &Path, unprivileged: bool) -> Output {
    need(shell[0]);
    need("setsid");
    let mut command = Command::new("setsid");
    command.arg("--wait");
    if unprivileged && rustix::process::geteuid().is_root() {
        need("setpriv");
        command.args(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    }
    command.args(shell).arg("-c").arg(script).current_dir(dir).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A directory that everybody may use, as /tmp is.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        self.name(name)
    }

    fn dir(&self, name: &str, mode: u32) -> String {
        fs::create_dir_all(self.path(name)).unwrap();
        self.mode(name, mode)
    }

    fn mode(&self, name: &str, mode: u32) -> String {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        self.name(name)
    }

    #[track_caller]
    fn run(&self, shell: &[&str], script: &str) -> (Vec<Change>, i32) {
        self.run_as(shell, script, false)
    }

    #[track_caller]
    fn run_as(&self, shell: &[&str], script: &str, unprivileged: bool) -> (Vec<Change>, i32) {
        let output = run_in(shell, script, self.0.path(), unprivileged);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
        (parse_changes(&output.stdout), output.status.code().unwrap())
    }
}

#[track_caller]
fn is(change: &Change, action: ChangeKind, path: &str) {
    assert_eq!((change.action, change.path.as_str()), (action, path), "{change:?}");
    assert_eq!(change.note.is_some(), action.is_refused(), "{change:?}");
}

/// Nothing came of it, for this reason; only one who may not is denied it.
#[track_caller]
fn refused(change: &Change, path: &str, reason: &str) {
    let kind = if reason.contains("ermission") || reason.contains("may not") {
        ChangeKind::Denied
    } else {
        ChangeKind::Failed
    };
    is(change, kind, path);
    let said = change.note.as_deref().unwrap_or_default();
    assert!(said.contains(reason), "`{said}` does not say `{reason}`");
}

#[test]
fn removes_hostile_names_and_only_those() {
    for shell in SHELLS {
        let place = Place::new();
        let bystander = place.file("bystander", "");
        let paths: Vec<String> = HOSTILE.iter().map(|name| place.file(name, "")).collect();
        let (changes, rc) = place.run(shell, &remove(&paths));
        assert_eq!((rc, changes.len()), (0, paths.len()), "{shell:?} {changes:?}");
        for (change, path) in changes.iter().zip(&paths) {
            is(change, ChangeKind::Removed, path);
            assert!(!Path::new(path).exists());
        }
        let (changes, rc) = place.run(shell, &remove(&paths));
        assert_eq!(rc, 0);
        for (change, path) in changes.iter().zip(&paths) {
            is(change, ChangeKind::Absent, path);
        }
        assert!(Path::new(&bystander).exists());
    }
}

#[test]
fn removes_relative_names() {
    for shell in SHELLS {
        let place = Place::new();
        for name in HOSTILE {
            place.file(name, "");
            let (changes, rc) = place.run(shell, &remove(&[name.to_owned()]));
            assert_eq!((rc, changes.len()), (0, 1), "{shell:?} {name}");
            is(&changes[0], ChangeKind::Removed, name);
            assert!(!place.path(name).exists());
        }
    }
}

#[test]
fn removes_by_pattern() {
    for shell in SHELLS {
        let place = Place::new();
        place.dir("a b*", 0o755);
        let names = ["x_1", "x_2 $(id)", "x_-n", "x_é"];
        for name in names {
            place.file(&format!("a b*/{name}"), "");
        }
        symlink("/nowhere", place.path("a b*/x_dangling")).unwrap();
        place.dir("a b*/x_dir", 0o755);
        place.file("a b*/y_1", "");
        let pattern = place.name("a b*/x_*");
        let (mut changes, rc) = place.run(shell, &remove(from_ref(&pattern)));
        assert_eq!(rc, 1);
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        let mut expected: Vec<String> = names.iter().map(|n| place.name(&format!("a b*/{n}"))).collect();
        expected.extend([place.name("a b*/x_dangling"), place.name("a b*/x_dir")]);
        expected.sort();
        assert_eq!(
            changes.iter().map(|c| &c.path).collect::<Vec<_>>(),
            expected.iter().collect::<Vec<_>>(),
            "{shell:?}"
        );
        for change in &changes {
            if change.path.ends_with("x_dir") {
                refused(change, &place.name("a b*/x_dir"), "is a directory");
            } else {
                is(change, ChangeKind::Removed, &change.path);
            }
        }
        assert!(place.path("a b*/y_1").exists() && place.path("a b*/x_dir").exists());
        fs::remove_dir(place.path("a b*/x_dir")).unwrap();
        let (changes, rc) = place.run(shell, &remove(from_ref(&pattern)));
        assert_eq!((rc, changes.len()), (0, 1));
        is(&changes[0], ChangeKind::Absent, &pattern);
    }
}

#[test]
fn a_name_with_a_newline_is_one_line() {
    for shell in SHELLS {
        let place = Place::new();
        place.dir("x_\nremoved ", 0o755);
        place.file("x_\nremoved /f\nremoved x", "");
        let (changes, _) = place.run(shell, &remove(&[place.name("x_\nremoved /*")]));
        assert_eq!(changes.len(), 1, "{changes:?}");
        is(&changes[0], ChangeKind::Removed, &place.name("x_?removed /f?removed x"));
    }
}

#[test]
fn missing_parents_are_absence() {
    for shell in SHELLS {
        let place = Place::new();
        place.file("file", "");
        for path in ["no/such/file", "no/such*", "file/below"] {
            let path = place.name(path);
            let (changes, rc) = place.run(shell, &remove(from_ref(&path)));
            assert_eq!((rc, changes.len()), (0, 1), "{shell:?} {changes:?}");
            is(&changes[0], ChangeKind::Absent, &path);
        }
    }
}

#[test]
fn what_may_not_be_removed_is_denied() {
    for shell in SHELLS {
        let place = Place::new();
        place.dir("readonly", 0o755);
        let file = place.file("readonly/f", "");
        place.mode("readonly", 0o555);
        let (changes, rc) = place.run_as(shell, &remove(from_ref(&file)), true);
        assert_eq!((rc, changes.len()), (1, 1), "{shell:?}");
        refused(&changes[0], &file, "ermission denied");
        assert!(Path::new(&file).exists());

        // Where nobody may look, nothing is known to be absent.
        place.dir("closed", 0o755);
        place.file("closed/f", "");
        place.mode("closed", 0o000);
        for name in ["closed/f", "closed/none", "closed/x*"] {
            let (changes, rc) = place.run_as(shell, &remove(&[place.name(name)]), true);
            assert_eq!((rc, changes.len()), (1, 1), "{shell:?} {name} {changes:?}");
            refused(&changes[0], &place.name(name), "ermission denied");
        }
        place.mode("closed", 0o755);

        let (changes, rc) = place.run(shell, &remove(&[place.name("closed")]));
        assert_eq!(rc, 1);
        refused(&changes[0], &place.name("closed"), "is a directory");
    }
}

#[test]
fn an_rm_that_lies_is_found_out() {
    for shell in &SHELLS[..3] {
        let place = Place::new();
        let file = place.file("f", "");
        place.file("rm", "#!/bin/sh\nexit 0\n");
        place.mode("rm", 0o755);
        let script = format!("PATH={}:$PATH\n{}", place.name(""), remove(from_ref(&file)));
        let (changes, rc) = place.run(shell, &script);
        assert_eq!(rc, 1);
        refused(&changes[0], &file, "still there");
    }
}

#[test]
fn touches() {
    for shell in SHELLS {
        let place = Place::new();
        for name in HOSTILE {
            for (path, real) in [
                (name.to_owned(), place.path(name)),
                (place.name(&format!("x{name}")), place.path(&format!("x{name}"))),
            ] {
                let (changes, rc) = place.run(shell, &touch(from_ref(&path), None));
                assert_eq!((rc, changes.len()), (0, 1));
                is(&changes[0], ChangeKind::Created, &path);
                assert!(real.exists());
                fs::write(&real, "kept").unwrap();
                let (changes, _) = place.run(shell, &touch(from_ref(&path), None));
                is(&changes[0], ChangeKind::Present, &path);
                assert_eq!(fs::read_to_string(&real).unwrap(), "kept");
            }
        }
    }
}

#[test]
fn touch_tells_what_stands_in_the_way() {
    for shell in SHELLS {
        let place = Place::new();
        place.dir("dir", 0o755);
        place.dir("readonly", 0o555);
        place.dir("closed", 0o000);
        symlink("/nowhere", place.path("dangling")).unwrap();
        for (name, reason) in [
            ("dir", "is a directory"),
            ("readonly/f", "ermission denied"),
            ("closed/f", "ermission denied"),
            ("no/such", "o such file"),
            ("dangling", "link to nowhere"),
        ] {
            let (changes, rc) = place.run_as(shell, &touch(&[place.name(name)], None), true);
            assert_eq!((rc, changes.len()), (1, 1), "{shell:?} {name}");
            if name == "no/such" {
                // busybox and dash word it differently.
                is(&changes[0], ChangeKind::Failed, &place.name(name));
            } else {
                refused(&changes[0], &place.name(name), reason);
            }
        }
        place.mode("closed", 0o755);
    }
}

#[test]
fn touch_waits_for_its_condition() {
    for shell in SHELLS {
        let place = Place::new();
        let (file, condition) = (place.name("f"), place.name("pause it's"));
        let script = touch(from_ref(&file), Some(&condition));
        let output = run_in(shell, &script, place.0.path(), false);
        assert_eq!((stdout(&output), output.status.code()), (format!("skipped {file}\n"), Some(0)));
        assert!(!Path::new(&file).exists());
        place.file("pause it's", "");
        let (changes, _) = place.run(shell, &script);
        is(&changes[0], ChangeKind::Created, &file);

        place.dir("closed", 0o000);
        let script = touch(&[place.name("g")], Some(&place.name("closed/pause")));
        let (changes, rc) = place.run_as(shell, &script, true);
        assert_eq!(rc, 1);
        refused(&changes[0], &place.name("g"), "may not search");
        place.mode("closed", 0o755);
    }
}

#[test]
fn one_of_many_creates() {
    for shell in SHELLS {
        let place = Place::new();
        let script = touch(&[place.name("f")], None);
        let runs: Vec<Child> = (0..8)
            .map(|_| {
                let mut command = Command::new(shell[0]);
                command.args(&shell[1..]).arg("-c").arg(&script).stdin(Stdio::null()).stdout(Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        let said: Vec<ChangeKind> = runs
            .into_iter()
            .flat_map(|run| parse_changes(&run.wait_with_output().unwrap().stdout))
            .map(|change| change.action)
            .collect();
        let created = said.iter().filter(|&&action| action == ChangeKind::Created).count();
        assert_eq!((created, said.len()), (1, 8), "{shell:?} {said:?}");
    }
}

#[test]
fn writes_to_the_byte() {
    let large = "0123456789abcde\n".repeat(4096);
    let contents =
        ["", "1\n1\n2\n", "no newline", "\n\n\n", "it's $HOME `id` \\ \\n %s \r\n\té\u{7f}\u{1b}[0m", "-e x", &large];
    for shell in SHELLS {
        let place = Place::new();
        for (n, content) in contents.iter().enumerate() {
            let path = place.name(&format!("{n} it's"));
            let script = write(&path, content, 0o600);
            let (changes, rc) = place.run(shell, &script);
            assert_eq!((rc, changes.len()), (0, 1), "{shell:?} {n} {changes:?}");
            is(&changes[0], ChangeKind::Written, &path);
            assert_eq!(fs::read_to_string(&path).unwrap(), *content, "{shell:?}");
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
            let (changes, _) = place.run(shell, &script);
            is(&changes[0], ChangeKind::Same, &path);
            let (changes, _) = place.run(shell, &write(&path, content, 0o644));
            is(&changes[0], ChangeKind::Written, &path);
            // As many bytes, but NULs, which no shell variable holds.
            fs::write(&path, vec![0; content.len()]).unwrap();
            if !content.is_empty() {
                let (changes, _) = place.run(shell, &write(&path, content, 0o644));
                is(&changes[0], ChangeKind::Written, &path);
                assert_eq!(fs::read_to_string(&path).unwrap(), *content, "{shell:?}");
            }
        }
        let left = fs::read_dir(place.0.path()).unwrap().count();
        assert_eq!(left, contents.len(), "{shell:?} left something behind");
    }
}

#[test]
fn writes_odd_modes_and_names() {
    for shell in SHELLS {
        let place = Place::new();
        for name in HOSTILE {
            for mode in [0o400, 0o755, 0o4710, 0o1666, 0o000] {
                let (changes, rc) = place.run_as(shell, &write(name, "x\n", mode), true);
                assert_eq!((rc, changes.len()), (0, 1), "{shell:?} {name} {mode:o} {changes:?}");
                is(&changes[0], ChangeKind::Written, name);
                assert_eq!(fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o7777, mode);
            }
        }
    }
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    for shell in SHELLS {
        let place = Place::new();
        place.dir("dir", 0o777);
        place.dir("readonly", 0o755);
        let old = place.file("readonly/f", "old");
        place.mode("readonly", 0o555);
        let (changes, rc) = place.run_as(shell, &write(&old, "new", 0o600), true);
        assert_eq!(rc, 1);
        refused(&changes[0], &old, "ermission denied");
        assert_eq!(fs::read_to_string(&old).unwrap(), "old");
        let (changes, _) = place.run(shell, &write(&place.name("dir"), "new", 0o600));
        refused(&changes[0], &place.name("dir"), "is a directory");
        let (changes, _) = place.run(shell, &write(&place.name("no/f"), "new", 0o600));
        is(&changes[0], ChangeKind::Failed, &place.name("no/f"));
        // Room for nothing: the content cannot be written.
        let script =
            format!("ulimit -f 8\ntrap '' XFSZ\n{}", write(&place.name("dir/big"), &"x".repeat(60_000), 0o600));
        let (changes, rc) = place.run_as(shell, &script, true);
        assert_eq!(rc, 1, "{shell:?} {changes:?}");
        is(&changes[0], ChangeKind::Failed, &place.name("dir/big"));
        assert_eq!(fs::read_dir(place.path("dir")).unwrap().count(), 0, "{shell:?}");
    }
}

#[test]
fn file_tests() {
    for shell in SHELLS {
        let place = Place::new();
        place.file("it's", "");
        place.dir("closed", 0o000);
        let (here, gone, hidden) = (place.name("it's"), place.name("gone"), place.name("closed/f"));
        let fails = |path: &str, reason: &str| Tested::Fails(format!("`{path}`: {reason}"));
        for (exists, missing, want, rc) in [
            (vec![], vec![], Tested::Holds, 0),
            (vec![here.clone()], vec![gone.clone()], Tested::Holds, 0),
            (vec![here.clone(), gone.clone()], vec![], fails(&gone, "is not there"), 1),
            (vec![], vec![here.clone()], fails(&here, "is there"), 1),
        ] {
            let output = run_in(shell, &super::tests(&exists, &missing), place.0.path(), true);
            assert_eq!((parse_tests(&output.stdout), output.status.code()), (want, Some(rc)), "{shell:?}");
        }
        for (exists, missing) in [(vec![hidden.clone()], vec![]), (vec![], vec![hidden.clone()])] {
            let output = run_in(shell, &super::tests(&exists, &missing), place.0.path(), true);
            assert!(matches!(parse_tests(&output.stdout), Tested::Unknown(_)), "{shell:?}");
            assert_eq!(output.status.code(), Some(2));
        }
        place.mode("closed", 0o755);
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// A copy of `sleep` under another name, really running.
    fn copy(path: &str) -> Self {
        fs::copy("/bin/sleep", path).unwrap();
        loop {
            // Another test's fork may still hold the file open for writing.
            match Command::new(path).arg("60").stdin(Stdio::null()).spawn() {
                Ok(child) => return Self(child),
                Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(e) => panic!("{path}: {e}"),
            }
        }
    }
}

#[track_caller]
fn checks(shell: &[&str], proc: &str, list: &[Check]) -> Vec<Result<(), String>> {
    let output = run_in(shell, &check_with(proc, list, ""), Path::new("/"), false);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
    let results = parse_checks(&output.stdout, list.len());
    assert_eq!(output.status.code(), Some(i32::from(!results.iter().all(Result::is_ok))), "{shell:?} {results:?}");
    results
}

#[track_caller]
fn wrong(result: &Result<(), String>, reason: &str) {
    let said = result.as_ref().expect_err(reason);
    assert!(said.contains(reason), "`{said}` does not say `{reason}`");
}

fn process(name: &str, path: Option<&str>) -> Check {
    Check::Process { name: name.to_owned(), path: path.map(ToOwned::to_owned) }
}

#[test]
fn checks_processes() {
    let place = Place::new();
    let (odd, long) = (place.name("gs) Z 1 (x"), place.name("gsctl-long-name-a"));
    let odd_name = "gs) Z 1 (x";
    let _odd = Running::copy(&odd);
    let _long = Running::copy(&long);
    let _moved = Running::copy(&place.name("gsctl-moved"));
    fs::rename(place.path("gsctl-moved"), place.path("gsctl-other")).unwrap();
    symlink(&odd, place.path("link")).unwrap();
    // Ended, and nobody has asked for its status: a zombie until this test ends.
    let mut zombie = Running::copy(&place.name("gsctl-zombie"));
    zombie.0.kill().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    for shell in SHELLS {
        let results = checks(
            shell,
            "/proc",
            &[
                process(odd_name, None),
                process(odd_name, Some(&odd)),
                process(odd_name, Some(&place.name("link"))),
                process("gsctl-long-name-a", None),
                process(odd_name, Some("/bin/sleep")),
                process("gsctl-long-name-b", None),
                process("gsctl-long-name", None),
                process("gsctl-zombie", None),
                process("gsctl-no-such", None),
                process("gsctl.moved", None),
            ],
        );
        assert!(results[..4].iter().all(Result::is_ok), "{shell:?} {results:?}");
        wrong(&results[4], &format!("runs from {odd}"));
        wrong(&results[5], "no process named");
        // 15 bytes: what the kernel calls both long names.
        assert!(results[6].is_ok(), "{shell:?}");
        wrong(&results[7], "is a zombie");
        wrong(&results[8], "no process named gsctl-no-such");
        wrong(&results[9], "no process named");
        let by_ps = checks(
            shell,
            "/no/proc",
            &[
                process("gsctl-long-name-a", None),
                process("gsctl-long-name-a", Some(&long)),
                process("gsctl-zombie", None),
                process("gsctl-long-name-a", Some("/bin/sleep")),
            ],
        );
        assert!(by_ps[0].is_ok() && by_ps[1].is_ok(), "{shell:?} {by_ps:?}");
        wrong(&by_ps[2], "no process named");
        wrong(&by_ps[3], "no process named");
    }
    let _ = zombie.0.wait();
}

#[test]
fn a_check_does_not_find_itself() {
    for shell in ["dash", "bash"] {
        let place = Place::new();
        // A name that no test running beside this one has.
        let (name, path) = (format!("gs-own-{shell}"), place.name(&format!("gs-own-{shell}")));
        need(shell);
        fs::copy(format!("/bin/{shell}"), &path).unwrap();
        let script = format!("{}{}", check(&[process(&name, None)]), check(&[process(&name, Some(&path))]));
        let output = loop {
            let output = run_in(&[&path], &script, Path::new("/"), false);
            // Another test's fork may still hold the file open for writing.
            if !String::from_utf8_lossy(&output.stderr).contains("busy") {
                break output;
            }
        };
        let want = format!("failed 0\tno process named {name}\n");
        assert_eq!(stdout(&output), want.repeat(2));
    }
}

#[test]
fn checks_commands_ports_and_files() {
    let place = Place::new();
    let file = place.file("it's", "");
    let link = place.name("link");
    std::os::unix::fs::symlink("/no/such", &link).unwrap();
    let v4 = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let v6 = std::net::TcpListener::bind("[::1]:0").unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mark = place.name("mark");
    for shell in SHELLS {
        let results = checks(
            shell,
            "/proc",
            &[
                Check::Command(format!("printf '%s' \"it's\" > '{mark}'; cat; echo noise >&2")),
                Check::Port(v4.local_addr().unwrap().port()),
                Check::Port(v6.local_addr().unwrap().port()),
                Check::File(file.clone()),
                Check::Command("exit 7".to_owned()),
                Check::Command("no-such-program".to_owned()),
                Check::Command("if then".to_owned()),
                Check::Port(closed),
                Check::File(place.name("none")),
                // Leaves a child that holds whatever output there is.
                Check::Command("sleep 30 & true".to_owned()),
                Check::NoFile(place.name("none")),
                Check::NoFile(file.clone()),
                Check::NoFile(link.clone()),
            ],
        );
        assert!(results[..4].iter().all(Result::is_ok), "{shell:?} {results:?}");
        assert_eq!(fs::read_to_string(&mark).unwrap(), "it's");
        wrong(&results[4], "exit status 7");
        wrong(&results[5], "command not found");
        wrong(&results[6], "exit status");
        wrong(&results[7], &format!("nothing listens on TCP port {closed}"));
        wrong(&results[8], "is not there");
        assert!(results[9].is_ok() && results[10].is_ok());
        wrong(&results[11], "is still there");
        wrong(&results[12], "is still there");
        let by_tool = checks(shell, "/no/proc", &[Check::Port(closed)]);
        wrong(&by_tool[0], "nothing listens");
    }
}

/// A command in a session of its own, as sshd starts one; its pid leads the session.
fn session(script: &str) -> Child {
    Command::new("setsid").args(["bash", "-c", script]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

fn alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with('Z'))
}

/// Runs a killer, which must not find the id in its own arguments: on a node it comes on standard input.
fn run_killer(shell: &[&str], script: &str, folder: &Path, as_nobody: bool) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), script).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
    run_in(shell, &format!("eval \"$(/bin/cat {})\"", file.path().display()), folder, as_nobody)
}

/// The process of that number, of which nothing else is known.
fn victim(pid: u32) -> Victim<'static> {
    Victim { id: "gsctl-of-nobody", pid, start: 0, boot: "0", lead: pid, same_connection: true }
}

/// When a process was started, and in which life of the machine.
fn began(pid: u32) -> (u64, String) {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start = line.rsplit(") ").next().unwrap().split(' ').nth(19).unwrap().parse().unwrap();
    (start, fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned())
}

#[track_caller]
fn kill_with(shell: &[&str], pid: u32) -> String {
    let output = run_killer(shell, &killer(&victim(pid)), Path::new("/"), false);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
    assert_eq!(output.status.code(), Some(0));
    stdout(&output)
}

#[track_caller]
fn read_when_there(path: &Path, lines: usize) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= lines && text.ends_with('\n') {
            return text.lines().map(ToOwned::to_owned).collect();
        }
        assert!(Instant::now() < end, "{}: {text:?}", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn kills_a_session_and_spares_a_daemon() {
    for shell in SHELLS {
        let place = Place::new();
        let pids = place.path("pids");
        // A child in the group, one in a job's group of its own, one with a session of its own.
        let mut leader = session(&format!(
            "exec 3>'{}'; sleep 60 & echo $! >&3; set -m; sleep 61 & echo $! >&3; setsid sh -c 'echo $$ >&3; exec sleep 62' & wait; wait",
            pids.display()
        ));
        let pids = read_when_there(&pids, 3);
        let killed = kill_with(shell, leader.id());
        let _ = leader.wait();
        assert_eq!(killed, "killed\n", "{shell:?}");
        assert_eq!(pids.iter().map(|pid| alive(pid)).collect::<Vec<_>>(), [false, false, true], "{shell:?}");
        assert_eq!(kill_with(shell, leader.id()), "gone\n");
        Command::new("kill").arg(&pids[2]).status().unwrap();
    }
}

#[test]
fn kills_a_command_that_leads_no_session_and_no_group() {
    for shell in SHELLS {
        let place = Place::new();
        let pids = place.path("pids");
        // A child that is deaf, a grandchild, a daemon; and beside them, in the same session, what is none of its own.
        let script = format!(
            "exec 3>'{}'; (trap '' TERM; sleep 60 & echo $! >&3; wait; sleep 61) & echo $! >&3; \
             setsid sh -c 'echo $$ >&3; exec sleep 62' & wait; wait",
            pids.display()
        );
        let start = |program: &str, arguments: &[&str]| {
            Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
        };
        let mut beside = start("sleep", &["63"]);
        let mut leaderless = start("bash", &["-c", &script]);
        let pids = read_when_there(&pids, 3);
        let daemon = pids.iter().find(|pid| {
            let line = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            line.rsplit(") ").next().unwrap().split(' ').nth(3) == Some(pid.as_str())
        });
        let killed = kill_with(shell, leaderless.id());
        let _ = leaderless.wait();
        assert_eq!(killed, "killed\n", "{shell:?}");
        for pid in &pids {
            assert_eq!(alive(pid), Some(pid) == daemon, "{shell:?}");
        }
        assert!(alive(&beside.id().to_string()), "{shell:?}");
        assert_eq!(kill_with(shell, leaderless.id()), "gone\n");
        Command::new("kill").arg(daemon.unwrap()).status().unwrap();
        beside.kill().unwrap();
        beside.wait().unwrap();
    }
}

#[test]
fn kills_what_ignores_or_cannot_hear_it() {
    for shell in SHELLS {
        let place = Place::new();
        let ready = place.path("ready");
        let mut deaf =
            session(&format!("trap '' TERM INT HUP; echo $$ > '{}'; while :; do sleep 1; done", ready.display()));
        read_when_there(&ready, 1);
        let mut stopped = session("sleep 60; :");
        std::thread::sleep(Duration::from_millis(100));
        // Not kill(1): procps reads `-STOP -1234` as `-STOP -1`.
        let group = rustix::process::Pid::from_child(&stopped);
        rustix::process::kill_process_group(group, rustix::process::Signal::STOP).unwrap();
        assert_eq!(kill_with(shell, deaf.id()), "killed\n", "{shell:?}");
        assert_eq!(kill_with(shell, stopped.id()), "killed\n", "{shell:?}");
        // Both are zombies now, which is as good as gone.
        assert_eq!(kill_with(shell, deaf.id()), "gone\n", "{shell:?}");
        let _ = (deaf.wait(), stopped.wait());
    }
}

#[test]
fn says_so_when_it_may_not_kill() {
    // Only root can start a process that the one who kills may not touch.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for shell in SHELLS {
        let mut other = session("sleep 60; :");
        std::thread::sleep(Duration::from_millis(50));
        let output = run_killer(shell, &killer(&victim(other.id())), Path::new("/"), true);
        assert_eq!((stdout(&output).as_str(), output.status.code()), ("alive\n", Some(1)), "{shell:?}");
        kill_with(shell, other.id());
        let _ = other.wait();
    }
}

#[test]
fn spares_a_stranger_that_has_the_number_now() {
    for shell in SHELLS {
        let mut stranger = session("sleep 60; :");
        std::thread::sleep(Duration::from_millis(50));
        let (start, boot) = began(stranger.id());
        let said = |victim: Victim<'_>| stdout(&run_killer(shell, &killer(&victim), Path::new("/"), false));
        let other = "00000000-0000-0000-0000-000000000000";
        for same_connection in [true, false] {
            let victim = Victim { start, boot: &boot, same_connection, ..victim(stranger.id()) };
            assert_eq!(said(Victim { start: start + 1, ..victim }), "gone\n", "{shell:?}: started at another time");
            assert_eq!(said(Victim { boot: other, ..victim }), "gone\n", "{shell:?}: the node was started anew");
        }
        // Over another connection a number alone is nobody's.
        for (start, boot) in [(0, boot.as_str()), (start, "0"), (0, "0")] {
            let victim = Victim { start, boot, same_connection: false, ..victim(stranger.id()) };
            assert_eq!(said(victim), "gone\n", "{shell:?}");
        }
        assert!(alive(&stranger.id().to_string()), "{shell:?}");
        let victim = Victim { start, boot: &boot, same_connection: false, ..victim(stranger.id()) };
        assert_eq!(said(victim), "killed\n", "{shell:?}");
        let _ = stranger.wait();
    }
}

#[test]
fn finds_what_carries_the_id_in_its_arguments() {
    for shell in SHELLS {
        let place = Place::new();
        let pids = place.path("pids");
        let id = format!("gsctl-{}", std::process::id());
        // As a login shell that waits for what it was given to run; a child of that, which is named like nothing.
        let mut login = Command::new("setsid")
            .args(["bash", "-c", &format!("sleep 60 & echo $! >'{}'; wait; : {id}", pids.display())])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let child = read_when_there(&pids, 1).remove(0);
        let victim = Victim { id: &id, same_connection: false, ..victim(0) };
        let said = stdout(&run_killer(shell, &killer(&victim), Path::new("/"), false));
        assert_eq!((said.as_str(), alive(&child)), ("never begun\n", false), "{shell:?}");
        let _ = login.wait();
    }
}

#[test]
fn a_helper_that_is_missing_or_fails_is_told() {
    for shell in SHELLS {
        let mut session = session("sleep 60; :");
        let text = killer(&victim(session.id()));
        let without = stdout(&run_killer(shell, &format!("PATH=/nowhere\n{text}"), Path::new("/"), false));
        // busybox has helpers of its own.
        assert!(shell.len() > 1 || without == "unknown\tthere is no cat on the node\n", "{shell:?}: {without}");
        let said = stdout(&run_killer(shell, &format!("cat() {{ return 1; }}\n{text}"), Path::new("/"), false));
        assert_eq!(said, "unknown\tthe processes of the node cannot be listed\n", "{shell:?}");
        assert!(alive(&session.id().to_string()));
        session.kill().unwrap();
        session.wait().unwrap();
    }
}

#[test]
fn never_kills_everybody() {
    for shell in SHELLS {
        for pid in [0, 1] {
            assert_eq!(kill_with(shell, pid), "gone\n", "{shell:?}");
        }
        let nobody = Victim { id: "", ..victim(0) };
        assert_eq!(stdout(&run_killer(shell, &killer(&nobody), Path::new("/"), false)), "gone\n", "{shell:?}");
    }
}

#[test]
fn paths_that_rm_takes() {
    for path in
        ["/a/b", "a", "-x", "/opt/x/instance_manual_start_*", "/a b/it's", "/x/[0-9]a*", "/x/..a", "/x/*~", "./a"]
    {
        assert_eq!(validate_rm_path(path), Ok(()), "{path}");
    }
    for (path, reason) in [
        ("", "empty"),
        ("/", "root"),
        ("//", "root"),
        ("/a/", "slash"),
        ("/a/../b", "goes up"),
        ("..", "goes up"),
        ("/a/.", "directory"),
        ("/a/*", "everything"),
        ("*", "everything"),
        ("/a/.*", "everything"),
        ("/a/?*", "everything"),
        ("/*/b", "above"),
        ("/a[1]/b", "above"),
        ("/a\nb", "newline"),
        ("/a\0b", "NUL"),
        ("~/a", "not expanded"),
    ] {
        let said = validate_rm_path(path).expect_err(path);
        assert!(said.contains(reason), "{path}: `{said}`");
    }
}

#[test]
fn modes_in_words() {
    for (mode, words) in [
        (0o600, "-rw-------"),
        (0o755, "-rwxr-xr-x"),
        (0o6711, "-rws--s--x"),
        (0o1644, "-rw-r--r-T"),
        (0o4644, "-rwSr--r--"),
    ] {
        assert_eq!(mode_words(mode), words);
    }
}

#[test]
fn the_boot_is_told_before_the_checks() {
    let place = Place::new();
    fs::create_dir_all(place.name("sys/kernel/random")).unwrap();
    fs::write(place.name("sys/kernel/random/boot_id"), "1b4e28ba-2fa1\n").unwrap();
    fs::write(place.name("uptime"), "61.93 100.00\n").unwrap();
    for shell in SHELLS {
        let told = |proc: &str| {
            let script = check_with(proc, &[Check::Command("true".to_owned())], "gs_boot\n");
            let output = run_in(shell, &script, Path::new("/"), false);
            assert!(output.status.success() && output.stderr.is_empty(), "{shell:?} {output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let proc = Path::new(&place.name("uptime")).parent().unwrap().display().to_string();
        assert_eq!(told(&proc), "boot_id=1b4e28ba-2fa1\nuptime=61\nok 0\n");
        assert_eq!(told("/no/proc"), "ok 0\n");
    }
}
