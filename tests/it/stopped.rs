//! gsctl stopped (Ctrl-Z) while its limits pass: what had arrived by then is heard before a limit is judged.

use rustix::process::{Pid, Signal, kill_process};

use crate::gsctl::{Gsctl, Run};
use crate::lab::{Lab, Node, wait};

/// On the node: the command ends well within its limit, and long after that limit something appears.
const COMMAND: &str = "touch begun; while [ ! -e go ]; do sleep 0.1; done; seq 2000; touch ended; \
    setsid sh -c 'sleep 4; touch late' </dev/null >/dev/null 2>&1 &";

/// Runs it, stops it once the command has begun, and lets it go on when the limit is long past.
#[track_caller]
fn stopped(node: &Node, gsctl: Gsctl) -> Run {
    for name in ["begun", "go", "ended", "late"] {
        let _ = std::fs::remove_file(node.base().join("home").join(name));
    }
    let run = gsctl.spawn();
    wait::until("the command has begun", || node.exists("home/begun"));
    let process = Pid::from_raw(i32::try_from(run.pid()).unwrap()).unwrap();
    kill_process(process, Signal::STOP).unwrap();
    node.write("home/go", "");
    wait::until("the command has ended, and its limit is past", || {
        node.exists("home/ended") && node.exists("home/late")
    });
    kill_process(process, Signal::CONT).unwrap();
    run.wait()
}

#[test]
fn a_command_that_ended_in_time_is_heard_before_its_limit_is_judged() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let limits: [&[&str]; 3] = [&["-t", "3s"], &["--deadline", "3s"], &["-t", "3s", "--transport", "openssh"]];
    for limit in limits {
        let run = stopped(node, lab.gsctl().json().args(limit).args(["exec", "--", COMMAND])).expect(0);
        let host = &run.json()["hosts"][0];
        assert_eq!(host["outcome"], "ok", "{limit:?}\n{run}");
        assert!(host["stdout"].as_str().unwrap().ends_with("\n2000\n"), "{limit:?}\n{run}");
        assert!(host.get("remote_killed").is_none(), "{limit:?}\n{run}");
    }
}

#[test]
fn a_wait_hears_the_look_that_had_come_back() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let book = lab.dir().join("client/wait.yaml");
    let look = COMMAND.replace("seq 2000", "echo state=there");
    let text = format!(
        "name: wait\nsummary: for a test\nsteps:\n  - name: wait\n    wait: {{ run: \"{look}\", until: {{ fact: state, is: there }}, \
         every: 1s, timeout: 3s }}\n"
    );
    std::fs::write(&book, text).unwrap();
    let run = stopped(node, lab.gsctl().json().arg("play").arg(&book)).expect(0);
    assert_eq!(run.json()["hosts"][0]["outcome"], "ok", "{run}");
}

#[test]
fn what_runs_on_is_still_cut_off_and_killed() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let command = format!("{} sleep 5061", COMMAND.replace("seq 2000;", ""));
    let run = stopped(node, lab.gsctl().json().args(["-t", "3s", "exec", "--", &command])).expect(3);
    let host = &run.json()["hosts"][0];
    assert_eq!((&host["outcome"], &host["remote_killed"]), (&"timed_out".into(), &true.into()), "{run}");
    wait::until("it is gone", || crate::failures::running(node, "sleep 5061") == 0);
}
