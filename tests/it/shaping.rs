//! `--tail`, `--grep` and `--diff`: what is shown is less, what is reported is not, and what was left out is said.

use crate::lab::Lab;

#[test]
fn less_is_shown_and_everything_is_reported() {
    let lab = Lab::start(3);
    let command = "seq 5; test $(hostname) != node2 || echo other; test $(hostname) != node3 || exit 9";

    let json = lab.dir().join("client/report.json");
    let run = lab.gsctl().args(["--tail", "2"]).arg("--json").arg(&json).args(["exec", command]).run().expect(5);
    let text = run.text();
    assert!(text.contains("4\n5\n") && text.contains("5\nother\n") && !text.contains("\n3\n"), "{run}");
    assert!(run.stderr.contains("6 of 16 lines shown; reports keep everything"), "{run}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(report["hosts"][1]["stdout"], "1\n2\n3\n4\n5\nother\n");

    let run = lab.gsctl().args(["--stream", "--grep", "^(5|o)", "exec", command]).run().expect(5);
    let mut lines: Vec<String> = run.text().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["node1: 5", "node2: 5", "node2: other", "node3: 5"], "{run}");
    assert!(run.stderr.contains("4 of 16 lines shown"), "{run}");

    let run = lab.gsctl().args(["--diff", "exec", command]).run().expect(5);
    let text = run.text();
    assert!(text.contains("node2 (1 host), differs from node1\n"), "{run}");
    assert!(text.contains("\n 5\n+other\n"), "{run}");
    assert!(text.contains("node3 (1 host), exit status 9, same output as node1\n"), "{run}");
    // With and without an end of its last line, it looks the same.
    let run = lab.gsctl().args(["--gather", "exec", "printf one; test $(hostname) = node2 || echo"]).run().expect(0);
    assert_eq!(run.text().matches("\none\n").count(), 1, "{run}");
    assert!(run.text().contains("node[1-3] (3 hosts)\n"), "{run}");
    let run = lab.gsctl().args(["--diff", "exec", "echo one"]).run().expect(0);
    assert!(run.text().contains("node[1-3] (3 hosts), all the same\n"), "{run}");

    let run = lab.gsctl().args(["--grep", "ab(c", "exec", "true"]).run().expect(2);
    assert!(run.stderr.contains("`--grep ab(c`, column 3: unclosed group"), "{run}");
    assert!(run.stderr.contains("hint: "), "{run}");
}
