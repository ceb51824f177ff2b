//! The host in front of streamed lines does not depend on how many hosts there turn out to be; words of other tools.

use std::fs;

use crate::lab::Lab;

#[test]
fn only_one_plain_name_has_no_host_in_front() {
    let lab = Lab::start(2);
    let one = lab.hosts_file_with("");
    let known_hosts = format!("UserKnownHostsFile={}", lab.known_hosts().display());
    let said = |arguments: &[&str]| {
        let gsctl = lab.bare_gsctl().hosts_file(&one).arg("-i").arg(lab.key()).args(["-o", &known_hosts]);
        gsctl.args(arguments).args(["exec", "echo hi"]).run().expect(0).text()
    };
    for with in [
        &["-w", "node[1]"][..],
        &["-w", "node1,node1"],
        &["-w", "node1!node2"],
        &["-w", "node1*"],
        &["-x", "node2"],
        &["-g", "all", "-x", "node2"],
        &["-w", "node1", "--stream"],
    ] {
        assert_eq!(said(with), "node1: hi\n", "{with:?}");
    }
    for without in [&["-w", "node1"][..], &["-w", "node[1]", "-N"], &["-w", "node1", "--stream", "--no-prefix"]] {
        assert_eq!(said(without), "hi\n", "{without:?}");
    }
    assert_eq!(said(&["-N"]), "hi\nhi\n");
}

#[test]
fn a_name_that_the_shell_made_of_a_pattern_is_pointed_out() {
    let lab = Lab::start(2);
    let home = lab.client_home();
    let run = lab.gsctl().args(["-w", "node1", "exec", "true"]).run().expect(0);
    assert!(!run.stderr.contains("expand a pattern"), "{run}");
    fs::write(home.join("node1"), "").expect("the lab is writable");
    let run = lab.gsctl().args(["-w", "node1", "exec", "true"]).run().expect(0);
    assert!(run.stderr.contains("there is a file `node1` here; did the shell expand a pattern?"), "{run}");
    let run = lab.gsctl().args(["-w", "node[1-2]", "exec", "true"]).run().expect(0);
    assert!(!run.stderr.contains("expand a pattern"), "{run}");
}

#[test]
fn options_of_other_tools_that_are_ours_in_another_sense_have_a_hint() {
    let lab = Lab::start(1);
    let home = lab.client_home();
    fs::write(home.join("list"), "node1\n").expect("the lab is writable");
    for (arguments, status, hint) in [
        (&["-f", "4", "ping"][..], 2, "--fanout 4"),
        (&["-w", "x", "-o", "outdir", "ping"], 2, "--output-dir outdir"),
        (&["-h", "list", "ping"], 0, "-f list names a hosts file"),
    ] {
        let run = lab.bare_gsctl().args(arguments).run().expect(status);
        assert!(run.stderr.contains("hint: ") && run.stderr.contains(hint), "{run}");
    }
}
