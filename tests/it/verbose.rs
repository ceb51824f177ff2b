//! `-v`: what each phase of a connection took, host by host, and nothing that is secret.

use std::path::Path;

use crate::gsctl::Gsctl;
use crate::lab::Lab;

/// The phases of a line, in order; panics where one has no time.
fn phases(line: &str) -> Vec<String> {
    let (_, phases) = line.rsplit_once(": ").unwrap_or_else(|| panic!("no phases: {line}"));
    let phase = |part: &str| {
        let (name, time) = part.rsplit_once(' ').unwrap_or_else(|| panic!("no time: {part}"));
        let seconds = time.strip_suffix('s').and_then(|time| time.parse::<f64>().ok());
        assert!(seconds.is_some_and(|seconds| seconds >= 0.0), "{part} of {line}");
        name.to_owned()
    };
    phases.split(", ").map(phase).collect()
}

#[test]
fn each_phase_once_in_order_with_its_time() {
    let lab = Lab::start(3);
    let run = lab.gsctl().args(["-v", "exec", "--env", "SECRET=hunter2", "true # hunter3"]).run().expect(0);
    let key = std::fs::read_to_string(lab.key()).unwrap();
    let secret = key.lines().nth(1).unwrap();
    for (number, node) in (1..).zip(lab.nodes()) {
        let name = format!("node{number}");
        let lines: Vec<&str> = run.stderr.lines().filter(|line| line.contains(&format!(" {name} "))).collect();
        let connected: Vec<&&str> = lines.iter().filter(|line| line.trim_start().starts_with("Connected")).collect();
        assert_eq!(connected.len(), 1, "{run}");
        assert!(connected[0].contains(&node.address().ip().to_string()) && connected[0].contains("OpenSSH_"), "{run}");
        assert_eq!(phases(connected[0]), ["resolve", "connect", "host key", "auth"], "{run}");
        let done: Vec<&&str> = lines.iter().filter(|line| line.trim_start().starts_with("OK ")).collect();
        let time = done.first().and_then(|line| line.rsplit_once(" command ")).map(|(_, time)| time);
        let seconds = time.and_then(|time| time.strip_suffix('s')?.parse::<f64>().ok());
        assert!(done.len() == 1 && seconds.is_some(), "{run}");
    }
    for secret in ["hunter2", "hunter3", secret] {
        assert!(!run.stderr.contains(secret) && !run.text().contains(secret), "{secret}\n{run}");
    }
    // With one more each phase is said as it begins.
    let run = lab.gsctl().args(["-vv", "-w", "node1", "exec", "true"]).run().expect(0);
    let begun = run.stderr.lines().filter(|line| line.trim_start().starts_with("Phase"));
    let begun: Vec<String> = begun.map(|line| line.rsplit_once("node1").unwrap().1.trim().to_owned()).collect();
    assert_eq!(begun, ["resolve", "connect", "host key", "auth"], "{run}");
    // And without it none.
    let run = lab.gsctl().args(["exec", "true"]).run().expect(0);
    assert!(!run.stderr.contains("host key") && !run.stderr.contains("Connected"), "{run}");
}

#[test]
fn wait_refuses_what_it_would_not_do() {
    let gsctl = || Gsctl::at_home(Path::new("/")).args(["-w", "127.0.0.1"]);
    for option in [["--serial", "2"], ["--max-fail", "1"], ["--canary", "1"]] {
        for arguments in
            [vec!["wait", "--port", "1", option[0], option[1]], vec![option[0], option[1], "wait", "--port", "1"]]
        {
            let run = gsctl().args(&arguments).run().expect(2);
            assert!(run.stderr.contains(&format!("`{}` has no meaning for `wait`", option[0])), "{run}");
            assert!(run.stderr.contains("hint: --quorum"), "{run}");
        }
    }
    // As a default of other commands it is no mistake.
    gsctl().env("GSCTL_SERIAL", "2").args(["wait", "--port", "1", "--dry-run"]).run().expect(0);
}
