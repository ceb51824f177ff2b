//! The lab tested by itself, with OpenSSH's own client.

use crate::lab::{Lab, wait};

#[test]
fn three_nodes_come_up_and_ssh_gets_in() {
    let lab = Lab::start(3);
    for node in lab.nodes() {
        let output = lab.ssh(node).arg("echo $USER; pwd; hostname; exit 7").output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{stderr}");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(stdout.lines().next(), Some(lab.user()), "{stdout}");
    }
}

#[test]
fn files_and_processes_differ_per_node() {
    let lab = Lab::start(3);
    let marker = lab.node(1).gausshome().join("marker");
    lab.node(2).write("app/marker", "two");
    assert_eq!([1, 2, 3].map(|number| lab.node(number).exists("app/marker")), [false, true, false]);
    let node = lab.node(2);
    let output = lab.ssh(node).arg(format!("cat {}; rm {0}", node.gausshome().join("marker").display())).output();
    assert_eq!(String::from_utf8_lossy(&output.unwrap().stdout), "two");
    assert!(!node.exists("app/marker"), "{}", marker.display());

    let node = lab.node(3);
    node.sh_as_user("sleep 1000 >/dev/null 2>&1 &");
    let sleeps = |number: usize| {
        let processes = lab.node(number).processes();
        processes.into_iter().filter(|process| process.comm == "sleep").count()
    };
    wait::until("sleep runs", || sleeps(3) == 1);
    assert_eq!([1, 2].map(sleeps), [0, 0]);
    let sleep = node.processes().into_iter().find(|process| process.comm == "sleep").unwrap();
    assert_eq!(sleep.cmdline, ["sleep", "1000"]);
    assert_eq!(sleep.uid, node.account().uid);
}
