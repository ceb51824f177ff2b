//! `--junit`: what CI reads is what happened, also of a run that was cut short, and whatever the nodes print.

use std::fs;

use quick_junit::{NonSuccessKind, Report, TestCaseStatus};
use rustix::process::Signal;

use crate::lab::{Lab, faults, wait};

#[test]
fn hosts_and_steps_are_test_cases() {
    let lab = Lab::start(2);
    let closed = faults::closed_port();
    let hosts = lab.hosts_file_with(&lab.hosts_line("gone", closed.address()));
    let file = lab.dir().join("client/junit.xml");
    let read = || {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(['\x1b', '\0', '\u{fffe}', '\u{ffff}']), "{text:?}");
        let report = Report::deserialize_from_str(&text).unwrap();
        let suite = report.test_suites[0].clone();
        assert_eq!((report.tests, report.failures, report.errors), (suite.tests, suite.failures, suite.errors));
        assert_eq!(suite.tests, suite.test_cases.len());
        suite
    };
    let gsctl = || lab.gsctl().hosts_file(&hosts).args(["--connect-attempts", "1"]).arg("--junit").arg(&file);

    gsctl()
        .args(["exec", "printf 'a\\033[2J]]>\\0<b>\\357\\277\\276\\357\\277\\277\\n'; test $(hostname) != node2"])
        .run()
        .expect(4);
    let suite = read();
    assert_eq!((suite.tests, suite.failures, suite.errors, suite.name.as_str()), (3, 1, 1, "exec"));
    let names: Vec<&str> = suite.test_cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["node1", "node2", "gone"]);
    assert_eq!(suite.test_cases[0].system_out.as_ref().unwrap().as_str(), "a\\x1b[2J]]>\\x00<b>\\u{fffe}\\u{ffff}");
    let TestCaseStatus::NonSuccess { kind, ty, message, .. } = &suite.test_cases[2].status else { panic!("{suite:?}") };
    assert_eq!((*kind, ty.as_ref().unwrap().as_str()), (NonSuccessKind::Error, "unreachable"));
    assert!(message.as_ref().unwrap().as_str().contains("connection refused"), "{message:?}");

    let book = lab.dir().join("client/two.yaml");
    let steps =
        "name: two\nsummary: for a test\nsteps:\n  - { name: a, run: \"true\" }\n  - { name: b, run: \"false\" }\n";
    fs::write(&book, steps).unwrap();
    lab.gsctl().arg("--junit").arg(&file).arg("play").arg(&book).run().expect(5);
    let suite = read();
    let cases = suite.test_cases.iter().map(|case| {
        let class = case.classname.as_ref().unwrap().as_str();
        format!("{class} {} {}", case.name.as_str(), matches!(case.status, TestCaseStatus::Success { .. }))
    });
    assert_eq!(cases.collect::<Vec<_>>(), ["node1 a true", "node1 b false", "node2 a true", "node2 b false"]);

    // Nothing of a run that was cut short is green.
    let running = lab.gsctl().arg("--junit").arg(&file).args(["exec", ": >began; exec sleep 1000"]).spawn();
    wait::until("both have begun", || (1..=2).all(|number| lab.node(number).exists("home/began")));
    running.signal(Signal::INT);
    running.wait().expect(130);
    let suite = read();
    assert_eq!((suite.tests, suite.errors), (2, 2), "{suite:?}");

    for other in ["--json", "--jsonl", "--html"] {
        let run = lab.gsctl().args(["--junit", "x", other, "x", "ping"]).run().expect(2);
        assert!(run.stderr.contains("would write into each other"), "{run}");
    }
    let pure = lab.gsctl().args(["--junit", "-", "exec", "echo hi"]).run().expect(0);
    assert_eq!(Report::deserialize_from_str(&pure.text()).unwrap().tests, 2, "{pure}");
}
