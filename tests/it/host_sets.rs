//! Host sets as `gsctl hosts` expands and folds them. Cases that come from suites of peers name their origin.

use std::fs;

use crate::gsctl::Gsctl;

const FILE: &str = "node[01-06]\ndb7\n[primary]\nnode[01-02]\n[az1]\nnode[02-04]\n";

fn names(arguments: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("hosts"), FILE).unwrap();
    let run = Gsctl::at_home(home.path()).arg("hosts").args(arguments).run().expect(0);
    run.text().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn expands(origin: &str, set: &str, want: &str) {
    let home = tempfile::tempdir().unwrap();
    let run = Gsctl::at_home(home.path()).args(["hosts", "--expand", set]).run().expect(0);
    let said: Vec<String> = run.text().lines().map(str::to_owned).collect();
    assert_eq!(said.join(","), want, "{origin}: {set}");
}

#[test]
fn sets_expand_as_in_the_peers() {
    // pdsh t0003-wcoll.
    expands("pdsh: -w with a range", "foo[1-3]", "foo1,foo2,foo3");
    expands("pdsh: leading zeros are kept", "foo[01-03]", "foo01,foo02,foo03");
    expands("pdsh: mixed widths", "foo[9-11]", "foo9,foo10,foo11");
    expands("pdsh: a comma in a range", "foo[1-3,5]", "foo1,foo2,foo3,foo5");
    expands("pdsh: two brackets", "foo[1-2]-[0-1]", "foo1-0,foo1-1,foo2-0,foo2-1");
    expands("pdsh: text after the bracket", "foo[1-2]-ib", "foo1-ib,foo2-ib");
    expands("pdsh: several sets", "foo[1-2],bar5", "foo1,foo2,bar5");
    expands("pdsh: a user is not part of the name", "omm@foo[1-2]", "foo1,foo2");
    // ClusterShell, NodeSetTest and RangeSetTest.
    expands("NodeSetTest.testSimpleNodeSetUpdates", "cluster[115-117]", "cluster115,cluster116,cluster117");
    expands("RangeSetTest.testStepSimple", "n[0-4/2]", "n0,n2,n4");
    expands("RangeSetTest.testStepAdvanced", "n[1-5/2,6]", "n1,n3,n5,n6");
    expands("NodeSetTest.testFoldingSanity: a host twice is once", "yeti[2-3],yeti2", "yeti2,yeti3");
    expands("NodeSetTest.testDifference", "a[1-5]!a[2-3]", "a1,a4,a5");
    expands("NodeSetTest.testIntersection", "a[1-5]&a[4-9]", "a4,a5");
    expands("NodeSetTest.testSymmetricDifference", "a[1-3]^a[3-4]", "a1,a2,a4");
    expands("NodeSetTest: operators bind from left to right", "a[1-9]!a5,a5", "a1,a2,a3,a4,a6,a7,a8,a9,a5");
}

#[track_caller]
fn folds(origin: &str, names: &str, want: &str) {
    let home = tempfile::tempdir().unwrap();
    let run = Gsctl::at_home(home.path()).args(["hosts", "--fold", "-"]).stdin(names).run().expect(0);
    assert_eq!(run.text().trim_end(), want, "{origin}");
}

#[test]
fn sets_fold_as_in_dshbak() {
    // pdsh t5000-dshbak: what `dshbak -c` writes into its header.
    folds("dshbak: suffixes", "foo0\nfoo1\nfoo2\nfoo10\n", "foo[0-2,10]");
    folds("dshbak: 00 is not 0", "foo00 foo01 foo0", "foo[0,00-01]");
    folds("dshbak: 09,10 is one range", "foo09\nfoo10\n", "foo[09-10]");
    folds("dshbak: 099,100", "foo099 foo100", "foo[099-100]");
    folds("dshbak: a prefix with digits", "node1a1 node1a2", "node1a[1-2]");
    folds("dshbak: suffixes after the number", "foo1-bar foo2-bar", "foo[1-2]-bar");
    folds("dshbak: a host named 0", "0", "0");
    folds("dshbak: one host is not folded", "foo7", "foo7");
    let home = tempfile::tempdir().unwrap();
    let empty = Gsctl::at_home(home.path()).args(["hosts", "--fold", "-"]).stdin("").run().expect(6);
    assert_eq!(empty.text(), "", "dshbak: empty input");
}

#[test]
fn groups_and_operators_work_together() {
    assert_eq!(names(&["--expand", "@primary&@az1"]), "node02");
    assert_eq!(names(&["--expand", "-w", "@az1!@primary"]), "node03 node04");
    assert_eq!(names(&["--fold", "@primary^@az1"]), "node[01,03-04]");
    assert_eq!(names(&["--fold", "--intersect", "node0[3-9],@primary"]), "node[01-06]");
    assert_eq!(names(&["--fold", "--intersect", "@primary,db*"]), "db7,node[01-02]");
    assert_eq!(names(&["--fold", "-x", "@primary&@az1"]), "db7,node[01,03-06]");
    assert_eq!(names(&["--fold", "node*!node0[1-5]", "db7"]), "db7,node06");
}

#[test]
fn what_is_wrong_with_an_operator_is_said() {
    let home = tempfile::tempdir().unwrap();
    let run = Gsctl::at_home(home.path()).args(["hosts", "--expand", "a!"]).run().expect(2);
    assert_eq!(
        run.stderr,
        "error: host set `a!`, column 2: an operator needs hosts on both sides\n\
         hint: `a,b` is both, `a!b` a without b, `a&b` what is in both, `a^b` what is in one of them\n"
    );
}
