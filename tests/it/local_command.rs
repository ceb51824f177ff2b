//! `gsctl local`: a command of this machine for each host. Nobody is connected to, so there is no lab.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::gsctl::Gsctl;
use crate::lab::wait;

const HOSTS: &str = "n1 address=192.0.2.1 rack=\"r 1; touch bad\"\nomm@n2:2222 rack=$(touch${IFS}bad)\nn3 rack='r3'\n";

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("hosts"), HOSTS).unwrap();
    home
}

fn local(home: &TempDir) -> Gsctl {
    Gsctl::at_home(home.path()).args(["-f", "hosts", "-F", "none", "-l", "omm"])
}

/// Whether a process with this number is there.
fn is_there(pid: &str) -> bool {
    Path::new("/proc").join(pid.trim()).join("exe").read_link().is_ok()
}

#[test]
fn variables_are_put_in_and_quoted() {
    let home = home();
    let line = ["local", "printf '%s|' {host}-bmc {address} {user} {port} {rack} {{host}}; echo"];
    let run = local(&home).arg("--stream").args(line).run().expect(0);
    for want in [
        "n1: n1-bmc|192.0.2.1|omm|22|r 1; touch bad|{host}|",
        "n2: n2-bmc|n2|omm|2222|$(touch${IFS}bad)|{host}|",
        "n3: n3-bmc|n3|omm|22|r3|{host}|",
    ] {
        assert!(run.text().lines().any(|line| line == want), "{want}\n{run}");
    }
    assert!(!home.path().join("bad").exists());
    // What is not right is said before anything is run.
    for (command, wanted) in [
        ("echo '{host}'", "variable `host` stands inside quotes"),
        ("touch ran; echo {zone}", "host `n1`: variable `zone` has no value"),
    ] {
        let run = local(&home).args(["local", command]).run().expect(2);
        assert!(run.stderr.contains(wanted), "{run}");
    }
    let run =
        local(&home).args(["-w", "n1", "--dry-run", "local", "ipmitool", "-H", "{host}-bmc", "power", "on"]).run();
    assert!(run.expect(0).text().contains("ipmitool -H n1-bmc power on"));
    assert!(!home.path().join("ran").exists());
}

#[test]
fn reports_and_statuses_are_those_of_a_run() {
    let home = home();
    let files = ["--json", "r.json", "--junit", "r.xml", "--output-dir", "out"];
    let line = ["local", "echo {host}; echo oops >&2; cat; test {host} != n2 || exit 7; test {host} != n3 || exit 8"];
    let run = local(&home).args(files).args(line).run().expect(5);
    let json: serde_json::Value = serde_json::from_slice(&fs::read(home.path().join("r.json")).unwrap()).unwrap();
    let hosts = json["hosts"].as_array().unwrap();
    let outcomes: Vec<&str> = hosts.iter().map(|host| host["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["ok", "failed", "failed"], "{run}");
    assert_eq!((hosts[0]["stdout"].as_str(), hosts[0]["stderr"].as_str()), (Some("n1\n"), Some("oops\n")));
    assert_eq!(hosts[1]["exit_status"], 7);
    assert!(
        hosts[0].get("connect_ms").is_none() && hosts[0].get("address").is_none(),
        "nobody was connected to: {json}"
    );
    assert_eq!(fs::read_to_string(home.path().join("out/n2.stdout")).unwrap(), "n2\n");
    assert!(fs::read_to_string(home.path().join("r.xml")).unwrap().contains("testcase name=\"n2\""));
    let run = local(&home).args(["-w", "@failed", "local", "echo again {host}"]).run().expect(0);
    assert!(run.text().contains("n2") && run.text().contains("n3") && !run.text().contains("n1"), "{run}");
    local(&home).args(["-w", "n2", "local", "-S", "exit 9"]).run().expect(9);
    // A daemon that holds the output open holds nobody up, and stays.
    let run = local(&home).args(["-w", "n1", "local", "sleep 500 & echo $!"]).run().expect(0);
    let pid = run.text().trim_start_matches("n1: ").to_owned();
    assert!(is_there(&pid), "{run}");
    Command::new("kill").arg(pid.trim()).status().unwrap();
}

#[test]
fn what_takes_too_long_is_killed_with_what_it_started() {
    let home = home();
    let pids = || {
        let of = |host: &str| fs::read_to_string(home.path().join(host)).unwrap_or_default();
        ["n1", "n2", "n3"].map(of).iter().flat_map(|pids| pids.lines().map(str::to_owned)).collect::<Vec<_>>()
    };
    let line = "trap '' TERM; sleep 500 & echo $! >>{host}; echo $$ >>{host}; sleep 500";
    let run = local(&home).args(["-t", "1s", "--json", "-", "local", line]).run().expect(3);
    assert_eq!(pids().len(), 6, "{run}");
    assert!(pids().iter().all(|pid| !is_there(pid)), "{run}");
    assert!(run.json()["hosts"].as_array().unwrap().iter().all(|host| host["remote_killed"] == true), "{run}");
    for host in ["n1", "n2", "n3"] {
        fs::remove_file(home.path().join(host)).unwrap();
    }
    let running = local(&home).args(["local", line]).spawn();
    wait::until("they run", || pids().len() == 6);
    running.signal_group(Signal::INT);
    let run = running.wait().expect(130);
    assert!(pids().iter().all(|pid| !is_there(pid)), "{run}");
}
