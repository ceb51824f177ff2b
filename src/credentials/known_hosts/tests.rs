//! `known_hosts` against files as people and ssh's own tools write them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A key blob of a type, whose body is `seed` over and over.
fn blob(key_type: &str, seed: u8) -> Vec<u8> {
    let mut blob = Vec::new();
    blob.extend(u32::try_from(key_type.len()).unwrap().to_be_bytes());
    blob.extend(key_type.as_bytes());
    blob.extend(32_u32.to_be_bytes());
    blob.extend([seed; 32]);
    blob
}

fn ed(seed: u8) -> Vec<u8> {
    blob("ssh-ed25519", seed)
}

fn line(names: &str, blob: &[u8]) -> String {
    format!("{names} {} {}\n", line::key_type(blob).unwrap(), STANDARD.encode(blob))
}

fn hosts(text: &str) -> (TempDir, PathBuf, KnownHosts) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    fs::write(&path, text).unwrap();
    let hosts = KnownHosts::load(std::slice::from_ref(&path), &[]).unwrap();
    (folder, path, hosts)
}

fn word(verdict: &HostKeyVerdict) -> String {
    match verdict {
        HostKeyVerdict::Known => "known".into(),
        HostKeyVerdict::Unknown => "unknown".into(),
        HostKeyVerdict::OtherType { known, line, .. } => format!("other type {known:?} line {line}"),
        HostKeyVerdict::Changed { line, .. } => format!("changed line {line}"),
        HostKeyVerdict::Revoked { line, .. } => format!("revoked line {line}"),
    }
}

#[track_caller]
fn case(text: &str, name: &str, port: u16, key: &[u8], want: &str) {
    let (_folder, _, hosts) = hosts(text);
    assert_eq!(word(&hosts.check(name, port, key)), want, "{name}:{port} in\n{text}");
}

#[test]
fn verdicts() {
    let good = line("node01", &ed(1));
    case(&good, "node01", 22, &ed(1), "known");
    case(&good, "NODE01", 22, &ed(1), "known");
    case(&good, "node02", 22, &ed(1), "unknown");
    case(&good, "node01", 22, &ed(2), "changed line 1");
    case(&good, "node01", 22, &blob("ssh-rsa", 2), "other type [\"ssh-ed25519\"] line 1");
    case("", "node01", 22, &ed(1), "unknown");
    case(&format!("# old\r\n\r\nbad line\r\n{good}"), "node01", 22, &ed(2), "changed line 4");
    case(&good.replace('\n', "\r\n"), "node01", 22, &ed(1), "known");
    case(good.trim_end(), "node01", 22, &ed(1), "known");
}

#[test]
fn any_of_several_keys_will_do() {
    let text = [line("n", &ed(1)), line("n", &ed(2)), line("n", &blob("ssh-rsa", 3))].concat();
    case(&text, "n", 22, &ed(1), "known");
    case(&text, "n", 22, &ed(2), "known");
    case(&text, "n", 22, &blob("ssh-rsa", 3), "known");
    case(&text, "n", 22, &ed(4), "changed line 1");
    case(&text, "n", 22, &blob("ssh-rsa", 4), "changed line 3");
    case(&text, "n", 22, &blob("ecdsa-sha2-nistp256", 4), "other type [\"ssh-ed25519\", \"ssh-rsa\"] line 1");
}

#[test]
fn ports_are_looked_up_as_ssh_does() {
    let with_port = line("[n]:2222", &ed(1));
    case(&with_port, "n", 2222, &ed(1), "known");
    case(&with_port, "n", 2222, &ed(2), "changed line 1");
    case(&with_port, "n", 22, &ed(1), "unknown");
    case(&with_port, "n", 2223, &ed(1), "unknown");
    // ssh: "found matching key w/out port". Another key there says nothing about this port.
    let without = line("n", &ed(1));
    case(&without, "n", 2222, &ed(1), "known");
    case(&without, "n", 2222, &ed(2), "unknown");
}

#[test]
fn a_revoked_key_is_never_known() {
    let revoked = format!("@revoked {}", line("*", &ed(1)));
    let good = line("n", &ed(1));
    case(&revoked, "n", 22, &ed(1), "revoked line 1");
    case(&format!("{good}{revoked}"), "n", 22, &ed(1), "revoked line 2");
    case(&format!("{revoked}{good}"), "n", 22, &ed(1), "revoked line 1");
    case(&format!("{revoked}{good}"), "n", 22, &ed(2), "changed line 2");
    case(&revoked, "n", 22, &ed(2), "unknown");
    let one_host = format!("@revoked {}", line("n", &ed(1)));
    case(&one_host, "n", 2222, &ed(1), "revoked line 1");
    case(&one_host, "m", 22, &ed(1), "unknown");
}

#[test]
fn an_authority_is_no_host_key() {
    let text = format!("@cert-authority {}", line("*.example.com", &ed(1)));
    case(&text, "n.example.com", 22, &ed(1), "unknown");
    let (_folder, _, hosts) = hosts(&text);
    assert!(hosts.has_authority("n.example.com", 22));
    assert!(!hosts.has_authority("n", 22));
}

#[test]
fn a_line_whose_key_is_of_another_type_than_it_says_is_passed_over() {
    let text = line("n", &ed(1)).replace("ssh-ed25519", "ssh-rsa");
    case(&text, "n", 22, &ed(1), "unknown");
    case(&text, "n", 22, &blob("ssh-rsa", 1), "unknown");
}

#[test]
fn fingerprints_and_types_are_told() {
    let (_folder, path, hosts) = hosts(&[line("n", &ed(1)), line("[n]:2222", &blob("ssh-rsa", 1))].concat());
    let HostKeyVerdict::Changed { file, known_fingerprint, offered_fingerprint, key_type, .. } =
        hosts.check("n", 22, &ed(2))
    else {
        panic!("not changed");
    };
    assert_eq!((file, key_type.as_str()), (path, "ssh-ed25519"));
    assert_eq!(known_fingerprint, fingerprint(&ed(1)));
    assert_eq!(offered_fingerprint, fingerprint(&ed(2)));
    assert_eq!(hosts.key_types("n", 22), ["ssh-ed25519"]);
    assert_eq!(hosts.key_types("n", 2222), ["ssh-rsa"]);
    assert_eq!(hosts.key_types("n", 2223), ["ssh-ed25519"], "as with the bare name's key");
    assert!(hosts.key_types("m", 22).is_empty());
}

#[test]
fn files_that_are_missing_are_empty_and_those_that_cannot_be_read_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no/such/file");
    assert_eq!(KnownHosts::load(&[missing], &[]).unwrap().check("n", 22, &ed(1)), HostKeyVerdict::Unknown);
    let error = KnownHosts::load(&[folder.path().to_owned()], &[]).unwrap_err().to_string();
    assert!(error.contains(folder.path().to_str().unwrap()), "{error}");
}

#[test]
fn the_global_file_counts_too() {
    let folder = tempfile::tempdir().unwrap();
    let (user, global) = (folder.path().join("user"), folder.path().join("global"));
    fs::write(&user, line("n", &ed(1))).unwrap();
    fs::write(&global, line("n", &ed(2))).unwrap();
    let hosts = KnownHosts::load(&[user], std::slice::from_ref(&global)).unwrap();
    assert_eq!(hosts.check("n", 22, &ed(2)), HostKeyVerdict::Known);
    assert_eq!(word(&hosts.check("n", 22, &ed(3))), "changed line 1");
}

#[test]
fn accept_makes_the_folder_and_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".ssh/known_hosts");
    let hosts = KnownHosts::load(std::slice::from_ref(&path), &[]).unwrap();
    assert_eq!(hosts.accept("Node01", 2222, &ed(1)).unwrap(), Accepted::Added { file: path.clone() });
    assert_eq!(fs::read_to_string(&path).unwrap(), line("[node01]:2222", &ed(1)));
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(hosts.check("node01", 2222, &ed(1)), HostKeyVerdict::Known);
    assert_eq!(hosts.accept("node01", 2222, &ed(1)).unwrap(), Accepted::AlreadyKnown);
    assert_eq!(word(&hosts.check("node01", 2222, &ed(2))), "changed line 1");
}

#[test]
fn accept_records_nothing_against_what_is_recorded() {
    let before = [line("n", &ed(1)), format!("@revoked {}", line("*", &ed(9)))].concat();
    let (_folder, path, hosts) = hosts(&before);
    for (name, key, want) in [
        ("n", ed(2), "changed line 1"),
        ("n", blob("ssh-rsa", 2), "other type [\"ssh-ed25519\"] line 1"),
        ("m", ed(9), "revoked line 2"),
    ] {
        let Accepted::Against(verdict) = hosts.accept(name, 22, &key).unwrap() else { panic!("{want}: recorded") };
        assert_eq!(word(&verdict), want);
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn accept_leaves_what_is_there_alone() {
    let before = format!("# mine\n\nnot a line\n{}", line("a,b", &ed(1)).trim_end());
    let (_folder, path, hosts) = hosts(&before);
    hosts.accept("c", 22, &ed(2)).unwrap();
    hosts.accept("d", 22, &ed(3)).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!("{before}\n{}{}", line("c", &ed(2)), line("d", &ed(3))),
        "the last line had no newline"
    );
    assert_eq!(word(&hosts.check("c", 22, &ed(9))), "changed line 5");
    assert_eq!(word(&hosts.check("d", 22, &ed(9))), "changed line 6");
}

#[test]
fn accept_sees_what_others_did_meanwhile() {
    let (_folder, path, ours) = hosts(&line("a", &ed(1)));
    let theirs = KnownHosts::load(std::slice::from_ref(&path), &[]).unwrap();
    theirs.accept("n", 22, &ed(2)).unwrap();
    assert_eq!(ours.accept("n", 22, &ed(2)).unwrap(), Accepted::AlreadyKnown);
    theirs.accept("m", 22, &ed(3)).unwrap();
    let Accepted::Against(verdict) = ours.accept("m", 22, &ed(4)).unwrap() else { panic!("recorded") };
    assert_eq!(word(&verdict), "changed line 3");
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);

    // Replaced, as `ssh-keygen -R` does: what was known is no more.
    let replacement = path.with_extension("new");
    fs::write(&replacement, format!("# new\n{}", line("z", &ed(9)))).unwrap();
    fs::rename(&replacement, &path).unwrap();
    ours.accept("y", 22, &ed(8)).unwrap();
    assert_eq!(ours.check("a", 22, &ed(1)), HostKeyVerdict::Unknown);
    assert_eq!(word(&ours.check("y", 22, &ed(1))), "changed line 3");
}

#[test]
fn hundreds_of_hosts_at_once_and_two_runs_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    let runs: Vec<Arc<KnownHosts>> =
        (0..2).map(|_| Arc::new(KnownHosts::load(std::slice::from_ref(&path), &[]).unwrap())).collect();
    thread::scope(|scope| {
        for worker in 0..8 {
            let hosts = &runs[worker % 2];
            scope.spawn(move || {
                for host in 0..100 {
                    hosts.accept(&format!("node{host}"), 22, &ed(host)).unwrap();
                }
            });
        }
    });
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!((lines.len(), text.lines().count()), (100, 100));
}

#[test]
fn names_that_would_break_the_file_are_refused() {
    let (_folder, path, hosts) = hosts("");
    for name in ["", "a b", "a\nb", "a,b", "*", "!a", "|1|x", "#a", "@revoked"] {
        assert!(hosts.accept(name, 22, &ed(1)).is_err(), "{name:?}");
    }
    assert!(hosts.accept("n", 22, b"").is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
    assert!(KnownHosts::load(&[], &[]).unwrap().accept("n", 22, &ed(1)).is_err());
}

#[test]
fn a_key_can_be_taken_without_a_file() {
    let hosts = KnownHosts::load(&["/dev/null".into()], &[]).unwrap();
    assert_eq!(hosts.accept("n", 22, &ed(1)).unwrap(), Accepted::Added { file: "/dev/null".into() });
    assert_eq!(word(&hosts.check("n", 22, &ed(2))), "changed line 1", "for the rest of the run");
}

/// Runs ssh-keygen and returns its output. Its being missing is a failure: install openssh-client.
fn ssh_keygen(args: &[&str]) -> String {
    let output = Command::new("ssh-keygen").args(args).output().expect("ssh-keygen: install openssh-client");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn hashes_agree_with_ssh_keygen() {
    let (_folder, path, before) = hosts(&[line("n", &ed(1)), line("[n]:2222", &ed(2))].concat());
    let file = path.to_str().unwrap();
    ssh_keygen(&["-H", "-f", file]);
    assert!(!fs::read_to_string(&path).unwrap().contains("[n]"), "ssh-keygen hashed nothing");
    let hosts = KnownHosts::load(std::slice::from_ref(&path), &[]).unwrap().hash_names(true);
    assert_eq!((before.hashed_lines(), hosts.hashed_lines()), (0, 2));
    assert_eq!(hosts.check("n", 22, &ed(1)), HostKeyVerdict::Known);
    assert_eq!(hosts.check("n", 2222, &ed(2)), HostKeyVerdict::Known);
    assert_eq!(word(&hosts.check("n", 22, &ed(3))), "changed line 1");
    assert_eq!(hosts.key_types("n", 2222), ["ssh-ed25519"]);

    hosts.accept("m", 22, &ed(4)).unwrap();
    hosts.accept("m", 2222, &ed(5)).unwrap();
    assert!(ssh_keygen(&["-F", "m", "-f", file]).contains("found: line 3"));
    assert!(ssh_keygen(&["-F", "[m]:2222", "-f", file]).contains("found: line 4"));
    ssh_keygen(&["-R", "m", "-f", file]);
    let after = KnownHosts::load(&[path], &[]).unwrap();
    assert_eq!(after.check("m", 22, &ed(4)), HostKeyVerdict::Unknown);
    assert_eq!(after.check("m", 2222, &ed(5)), HostKeyVerdict::Known);
}

#[test]
fn fingerprints_agree_with_ssh_keygen() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()]);
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    let blob = STANDARD.decode(public.split(' ').nth(1).unwrap()).unwrap();
    let printed = ssh_keygen(&["-l", "-f", key.to_str().unwrap()]);
    assert!(printed.contains(&fingerprint(&blob)), "{printed}");
}

proptest! {
    #[test]
    fn no_file_and_no_key_makes_it_panic(text in any::<Vec<u8>>(), name in any::<String>(), port: u16, key in any::<Vec<u8>>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        fs::write(&path, text).unwrap();
        let hosts = KnownHosts::load(&[path], &[]).unwrap();
        let _ = (hosts.check(&name, port, &key), hosts.key_types(&name, port), hosts.accept(&name, port, &key));
    }
}
