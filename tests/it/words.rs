//! What is said: the first line of a run, phases of what is no command, a chain that goes down, one host, past runs, `--sudo USER`.

use crate::gsctl::{Gsctl, Run};
use crate::lab::{Lab, opengauss};

#[track_caller]
fn has(run: &Run, wanted: &[&str]) {
    for want in wanted {
        assert!(run.stderr.contains(want), "`{want}` is missing\n{run}");
    }
}

#[track_caller]
fn has_not(run: &Run, unwanted: &[&str]) {
    for not in unwanted {
        assert!(!run.stderr.contains(not) && !run.text().contains(not), "`{not}` is there\n{run}");
    }
}

/// In the directory with `./hosts`, and no option that says which hosts are meant.
fn here(lab: &Lab) -> Gsctl {
    let known_hosts = format!("UserKnownHostsFile={}", lab.known_hosts().display());
    lab.bare_gsctl().current_dir(lab.dir().join("client")).arg("-i").arg(lab.key()).args(["-o", &known_hosts])
}

#[test]
fn a_run_says_what_it_does_on_which_hosts_of_which_file() {
    let lab = Lab::start(3);
    let file = lab.hosts_file().display().to_string();
    let run = lab.gsctl().args(["exec", "true"]).run().expect(0);
    has(&run, &[&format!("     Running node[1-3] (3 hosts of {file})\n")]);
    // All of a file that happened to be there, and nothing says so: what changes something says it.
    for (command, line) in [
        (&["touch", "/tmp/x"][..], "    Touching node[1-3] (all 3 hosts of ./hosts, as nothing says which)\n"),
        (&["ping"], "     Pinging node[1-3] (3 hosts of ./hosts)\n"),
        (&["-x", "node2", "exec", "true"], "     Running node[1,3] (2 hosts of ./hosts)\n"),
    ] {
        has(&here(&lab).args(command).run().expect(0), &[line]);
    }
    let run = here(&lab).args(["-q", "touch", "/tmp/x"]).run().expect(0);
    assert_eq!(run.stderr, "", "{run}");
    // One that was named is said nowhere else.
    let run = here(&lab).args(["-w", "node1", "exec", "true"]).run().expect(0);
    assert_eq!(run.stderr, "", "{run}");
}

#[test]
fn the_sentences_of_a_stop_are_those_of_a_stop() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    let started = lab.gsctl().args(["start", "--wait", "60s"]).run().expect(0);
    has(&started, &["    Starting node[1-3] (3 hosts of ", "all 5 stages up"]);
    let stopped = lab.gsctl().args(["stop", "--wait", "60s"]).run().expect(0);
    has(&stopped, &["    Stopping node[1-3] (3 hosts of ", "all 4 stages done", "of 4 stages done)"]);
    has_not(&stopped, &["stages up", "Starting", "there missing", "gone missing"]);
    let status = lab.gsctl().arg("status").run().expect(0);
    has(&status, &["      Asking node[1-3] (3 hosts of "]);
    has_not(&status, &["Starting"]);
}

#[test]
fn the_phase_is_command_only_for_commands() {
    let lab = Lab::start(1);
    let phase = |arguments: &[&str], phase: &str| {
        let run = lab.gsctl().json().args(arguments).run().expect(5);
        let host = &run.json()["hosts"][0];
        assert_eq!(host["phase"], phase, "{run}");
        if phase != "command" {
            has_not(&run, &[&format!("command: {}", host["error"].as_str().unwrap())]);
        }
        host["error"].as_str().unwrap().to_owned()
    };
    assert_eq!(phase(&["check", "--process", "appd"], "check"), "no process named appd");
    phase(&["wait", "--file", "/nonexistent", "-t", "1s", "--every", "200ms"], "check");
    let said = phase(&["touch", "/proc/nope"], "marker");
    // No line of our own script.
    assert!(
        (said.starts_with("denied: /proc/nope: ") || said.starts_with("failed: /proc/nope: "))
            && !said.contains("sh: ")
            && !said.contains("eval"),
        "{said}"
    );
    phase(&["exec", "exit 3"], "command");
    let schema = lab.bare_gsctl().args(["runs", "--schema"]).run().expect(0).json();
    let phases = schema["$defs"]["phase"]["enum"].as_array().unwrap();
    for word in ["check", "marker", "chain", "local"] {
        assert!(phases.iter().any(|phase| phase == word), "{word}: {phases:?}");
    }

    let lab = Lab::start(1);
    let cluster = opengauss::install(&lab);
    // Nothing starts it: no om_monitor.
    let run = lab.gsctl().json().args(["start", "--wait", "1s"]).run().expect(5);
    let host = &run.json()["hosts"][0];
    assert_eq!(host["phase"], "chain", "{run}\n{}", cluster.census());
    has(&run, &["chain: first missing stage: om_monitor"]);
}

#[test]
fn with_one_host_nothing_is_said_twice() {
    let lab = Lab::start(1);
    let run = lab.gsctl().args(["exec", "exit 3"]).run().expect(5);
    assert_eq!(run.stderr.matches("exit status 3").count(), 1, "{run}");
    has(&run, &["FAILED node1  command: exit status 3\n"]);
    let run = lab.gsctl().args(["touch", "/proc/nope"]).run().expect(5);
    assert_eq!(run.stderr.matches("FAILED").count(), 1, "{run}");
}

#[test]
fn reports_of_a_check_hold_no_protocol() {
    let lab = Lab::start(2);
    let (junit, dir) = (lab.dir().join("client/junit.xml"), lab.dir().join("client/output"));
    let gsctl = lab.gsctl().json().arg("--junit").arg(&junit).arg("--output-dir").arg(&dir);
    let run = gsctl.args(["check", "--command", "test $(hostname) = node1", "--port", "1"]).run().expect(5);
    let text = std::fs::read_to_string(&junit).unwrap();
    assert!(text.contains("check: ") && !text.contains("system-out") && !text.contains("failed 0"), "{text}");
    for node in ["node1", "node2"] {
        assert_eq!(std::fs::read(dir.join(format!("{node}.stdout"))).unwrap(), b"", "{run}");
    }
    assert!(run.json()["hosts"][1].get("stdout").is_none_or(|text| text == ""), "{run}");
}

#[test]
fn past_runs_show_what_was_run() {
    let lab = Lab::start(1);
    lab.gsctl().args(["exec", "--", "echo one; echo two\necho three"]).run().expect(0);
    lab.gsctl().args(["wait", "--no-file", "/tmp/a"]).run().expect(0);
    lab.gsctl().args(["touch", "/tmp/a", "/tmp/b"]).run().expect(0);
    let list = lab.bare_gsctl().arg("runs").run().expect(0);
    assert!(list.text().contains("wait --no-file /tmp/a\n"), "{list}");
    assert!(list.text().contains("exec echo one; echo two ...\n"), "{list}");
    assert!(list.text().contains("touch /tmp/a /tmp/b\n"), "{list}");
    let shown = lab.bare_gsctl().args(["runs", "show"]).run().expect(0);
    assert!(shown.text().contains("command   touch /tmp/a /tmp/b\n"), "{shown}");
    let json = lab.bare_gsctl().args(["runs", "--json", "-"]).run().expect(0).json();
    assert_eq!(json["runs"][0]["what"], "echo one; echo two ...", "{json:#}");
}

#[test]
fn a_user_behind_a_blank_is_no_command() {
    let lab = Lab::start(1);
    let run = lab.gsctl().args(["exec", "--sudo", "postgres", "--", "touch ran"]).run().expect(2);
    has(&run, &["`--sudo postgres --`: `postgres` would be the command", "hint: ", "`--sudo=postgres --`"]);
    let run = lab.gsctl().args(["script", "--sudo", "postgres", "check.sh"]).run().expect(2);
    has(&run, &["script `postgres` can't be read", "`--sudo=postgres`"]);
    let run = lab.gsctl().args(["push", "--sudo", "postgres", "app.conf", "/etc/"]).run().expect(2);
    has(&run, &["`postgres` can't be read", "`--sudo=postgres`"]);
    assert!(!lab.node(1).exists("home/ran"));
}
