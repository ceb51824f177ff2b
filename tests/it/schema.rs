//! Real reports are what `runs --schema` says, and the journal gives back what hosts said.

use serde_json::Value;

use crate::lab::{Lab, faults, opengauss};

#[test]
fn real_reports_are_what_the_schema_says() {
    let lab = Lab::start(2);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    let closed = faults::closed_port();
    let hosts = lab.hosts_file_with(&lab.hosts_line("gone", closed.address()));
    let schema = lab.gsctl().args(["runs", "--schema"]).run().expect(0).json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let check = |report: &Value| {
        let wrong: Vec<String> =
            validator.iter_errors(report).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{wrong:#?}\n{report:#}");
    };
    let all = || lab.gsctl().hosts_file(&hosts).json().args(["--connect-attempts", "1"]);
    check(&all().args(["exec", "printf 'a\\377'; kill -9 $$"]).run().expect(3).json());
    check(&all().args(["touch", "/tmp/there", "/no/such/directory/x"]).run().expect(4).json());
    check(&lab.gsctl().json().args(["exec", "--timeout", "1s", "sleep 100"]).run().expect(3).json());
    check(&lab.gsctl().json().arg("start").run().expect(0).json());
    check(&all().arg("start").run().expect(7).json());

    let mut wrong = lab.gsctl().json().arg("ping").run().expect(0).json();
    check(&wrong);
    wrong["hosts"][0]["surprise"] = 1.into();
    assert!(!validator.is_valid(&wrong), "the schema lets everything pass");
}

#[test]
fn what_hosts_said_is_kept() {
    let lab = Lab::start(2);
    lab.gsctl().args(["exec", "echo first"]).run().expect(0);
    lab.gsctl().args(["exec", "echo out $(hostname); echo err >&2; test $(hostname) = node1"]).run().expect(5);
    let outputs = |more: &[&str]| lab.bare_gsctl().args(["runs", "outputs"]).args(more).run();
    assert_eq!(outputs(&[]).expect(0).text(), "node1: out node1\nnode1: err\nnode2: out node2\nnode2: err\n");
    assert_eq!(outputs(&["--failed"]).expect(0).text(), "node2: out node2\nnode2: err\n");
    assert_eq!(outputs(&["-w", "node1"]).expect(0).text(), "node1: out node1\nnode1: err\n");
    let stranger = outputs(&["-w", "node7"]).expect(2);
    assert!(stranger.stderr.contains("host `node7` is not in this run"), "{stranger}");

    let all = lab.bare_gsctl().arg("runs").run().expect(0).text();
    let failed = lab.bare_gsctl().args(["runs", "--failed"]).run().expect(0).text();
    assert_eq!((all.lines().count(), failed.lines().count()), (3, 2), "{all}\n{failed}");
    assert!(failed.contains(" failed"), "{failed}");
    let shown = lab.bare_gsctl().args(["runs", "show", "--failed"]).run().expect(0).text();
    assert!(shown.contains("node2") && !shown.contains("ok          node1"), "{shown}");
}
