//! `gsctl status`: one row per node, whatever state it is in, and an exit status.

use crate::lab::Lab;
use crate::lab::opengauss;
use crate::start::reported;

/// The row of a node: its words.
#[track_caller]
fn row<'t>(text: &'t str, node: &str) -> Vec<&'t str> {
    let rows: Vec<_> = text.lines().filter(|line| line.split_whitespace().next() == Some(node)).collect();
    assert_eq!(rows.len(), 1, "rows of {node} in\n{text}");
    rows[0].split_whitespace().collect()
}

#[test]
fn a_row_for_every_node() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    let text = lab.gsctl().arg("status").run().expect(0).text();
    assert!(text.starts_with("HOST"), "{text}");
    for node in ["node1", "node2", "node3"] {
        assert_eq!(row(&text, node), [node, "stopped", "present", "none", "none", "stopped", "stopped"], "{text}");
    }
    assert!(text.contains("cluster: stopped"), "{text}");

    cluster.start_monitors();
    reported(&lab, lab.gsctl().arg("start"), &["--wait", "30s"]).expect(0);
    let run = lab.gsctl().arg("status").run().expect(0);
    for node in ["node1", "node2", "node3"] {
        assert_eq!(row(&run.text(), node)[..2], [node, "running"], "{run}");
    }
    assert!(run.text().contains("cluster: Normal"), "{run}");

    // A node that is not up is what was asked about, one that can't be reached is a failure.
    cluster.kill(2, "om_monitor");
    cluster.kill(2, "cm_agent");
    lab.node(3).halt();
    let gsctl = lab.gsctl().args(["status", "--connect-attempts", "1", "--connect-timeout", "2s"]);
    let run = reported(&lab, gsctl, &[]).expect(4);
    let text = run.run.text();
    assert_eq!(row(&text, "node1")[1], "running", "{text}");
    // Its instances run, and nothing looks after them.
    assert_eq!(row(&text, "node2")[1], "unmanaged", "{text}");
    assert_eq!(row(&text, "node3")[1], "unreachable", "{text}");
    assert_eq!(run.host(3)["outcome"], "unreachable");
}

#[test]
fn nothing_is_installed() {
    let lab = Lab::start(2);
    let run = lab.gsctl().arg("status").run().expect(0);
    for node in ["node1", "node2"] {
        assert_eq!(row(&run.text(), node)[1], "not-installed", "{run}");
    }
}
