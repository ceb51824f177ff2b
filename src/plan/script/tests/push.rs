//! The scripts of `push`, in every shell: what is said of a place that others write to as well.

use super::*;
use crate::plan::Template;
use crate::plan::push::{Content, Push, PushFile};
use crate::plan::script::copy::{self, CopyAnswer};
use crate::plan::script::push::{ArrivedFile, PushScripts};

const SIZE: u64 = 4;
const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"; // of `test`

fn order(place: &Place) -> Push {
    let content = Content::File { size: SIZE, sha256: SHA.to_owned(), tag: "tag".to_owned() };
    let copy =
        PushFile { local: place.path("local"), name: "f".to_owned(), content, mode: 0o640, modified: 1_000_000_000 };
    Push::new(vec![vec![copy]], Template::literal(place.name("f")), false).unwrap()
}

fn answers(shell: &[&str], script: &str) -> Vec<(usize, CopyAnswer)> {
    let output = run_in(shell, script, Path::new("/"), false);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
    assert_eq!(output.status.code(), Some(0), "{shell:?}");
    copy::parse(&output.stdout).into_iter().collect()
}

#[track_caller]
fn says(shell: &[&str], script: &str, word: &str, rest: &str) {
    let answers = answers(shell, script);
    let [(0, answer)] = &answers[..] else { panic!("{shell:?} {answers:?}") };
    assert_eq!((answer.word.as_str(), answer.rest.as_str()), (word, rest), "{shell:?}");
}

#[test]
fn who_was_replaced_says_so() {
    for shell in SHELLS {
        let place = Place::new();
        let push = order(&place);
        let dest = place.name("f");
        let scripts = PushScripts { push: &push, dest: &dest, writer: "run-0", ended: &[], secret: None };
        let places = push.places(&dest, false, "run-0");
        let finish = |is_new| scripts.finish(&places, &[ArrivedFile { n: 0, sent: true, is_new }], &[], None);
        let arrives = || fs::write(&places[0].part, "test").unwrap();

        arrives();
        says(shell, &finish(true), "created", "");
        let known = fs::metadata(&dest).unwrap();
        assert_eq!(known.permissions().mode() & 0o7777, 0o640, "{shell:?}");
        // Somebody was faster with the same, and then with something else.
        arrives();
        says(shell, &finish(true), "same", "");
        assert!(!Path::new(&places[0].part).exists());
        fs::write(&dest, "else").unwrap();
        arrives();
        says(shell, &finish(true), "written", "");
        assert_eq!(fs::read_to_string(&dest).unwrap(), "test");
        // Somebody comes between the rename and the look: with other content, the same, a directory.
        for (after, word, rest) in [
            (
                "printf else >\"$4.new\" && /bin/mv -f \"$4.new\" \"$4\"",
                "denied",
                "another writer has replaced it meanwhile",
            ),
            ("printf test >\"$4.new\" && /bin/mv -f \"$4.new\" \"$4\"", "written", ""),
            ("rm -f \"$4\"; mkdir \"$4\"", "denied", "another writer has replaced it meanwhile"),
        ] {
            arrives();
            let script = finish(false).replacen(
                "(\n",
                &format!("(\nmv() {{ /bin/mv \"$@\" && set -- - \"$@\" && {{ {after}; }}; }}\n"),
                1,
            );
            says(shell, &script, word, rest);
        }
        fs::remove_dir(&dest).unwrap();
        // Half of it, or something else, has arrived.
        for wrong in ["tes", "tesu"] {
            fs::write(&places[0].part, wrong).unwrap();
            says(shell, &finish(true), "mismatch", "");
            assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 0, "{shell:?}");
        }
    }
}

#[test]
fn only_parts_of_ended_runs_are_taken_over() {
    for shell in SHELLS {
        let place = Place::new();
        let push = order(&place);
        let dest = place.name("f");
        let ended = ["20260101T000000Z-aaaaa".to_owned(), "20260102T000000Z-bbbbb".to_owned()];
        let scripts = PushScripts { push: &push, dest: &dest, writer: "run-0", ended: &ended, secret: None };
        let left = |name: &str, text: &str| place.file(&format!(".gsctl-{name}.part"), text);
        let lives = left("tag.20260103T000000Z-ccccc-0", "tes");
        let other = left("other.20260101T000000Z-aaaaa-0", "tes");
        let (short, long) = (left("tag.20260101T000000Z-aaaaa-7", "t"), left("tag.20260102T000000Z-bbbbb-12", "te"));
        says(shell, &scripts.prepare(), "absent", "2");
        let places = push.places(&dest, false, "run-0");
        assert_eq!(fs::read_to_string(&places[0].part).unwrap(), "te", "{shell:?}");
        assert!(!Path::new(&short).exists() && !Path::new(&long).exists(), "{shell:?}");
        assert!(Path::new(&lives).exists() && Path::new(&other).exists(), "{shell:?}");
        // A link in such a place is nobody's part.
        symlink(&other, &short).unwrap();
        says(shell, &scripts.prepare(), "absent", "2");
        assert!(Path::new(&short).is_symlink(), "{shell:?}");
    }
}

#[test]
fn a_check_changes_nothing() {
    for shell in SHELLS {
        let place = Place::new();
        let push = order(&place);
        let dest = place.name("f");
        let scripts = PushScripts { push: &push, dest: &dest, writer: "run-0", ended: &[], secret: None };
        says(shell, &scripts.check(), "absent", "0");
        assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 0, "{shell:?}");
        place.file("f", "else");
        says(shell, &scripts.check(), "differs", "0");
        place.file("f", "test");
        says(shell, &scripts.check(), "labels", "0");
        place.mode("f", 0o640);
        Command::new("touch").args(["-d", "@1000000000", &dest]).status().unwrap();
        says(shell, &scripts.check(), "same", "0");
        fs::remove_file(&dest).unwrap();
        place.dir("f", 0o755);
        // Into it, then.
        let answers = answers(shell, &scripts.check());
        assert!(answers.iter().any(|(n, answer)| *n == 0 && answer.word == "absent"), "{shell:?} {answers:?}");
        let none = place.name("no/such/f");
        let scripts = PushScripts { dest: &none, ..scripts };
        says(shell, &scripts.check(), "denied", "No such file or directory");
    }
}
