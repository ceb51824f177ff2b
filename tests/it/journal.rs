//! The journal: what is left of a run, and how it goes on.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::gsctl::{Gsctl, Run};
use crate::lab::process::Process;
use crate::lab::{Lab, Node, wait};

impl Lab {
    /// Writes a playbook; gives its path.
    fn playbook(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir().join("client").join(name);
        fs::write(&path, text).expect("the lab is writable");
        path
    }

    fn play(&self, playbook: &Path) -> Gsctl {
        self.gsctl().arg("play").arg(playbook)
    }

    fn runs_dir(&self) -> PathBuf {
        self.client_home().join(".local/state/gsctl/runs")
    }

    /// The last run, as `runs show` tells it.
    #[track_caller]
    fn last_run(&self) -> Value {
        self.bare_gsctl().args(["runs", "show", "--json", "-"]).run().expect(0).json()
    }
}

/// What a node has been told to do, in order.
fn diary(lab: &Lab, node: usize) -> String {
    let node = lab.node(node);
    if node.exists("data/diary") {
        node.text("data/diary").split_whitespace().collect::<Vec<_>>().join(" ")
    } else {
        String::new()
    }
}

/// Five steps that each write a line; a step whose file `block-N` is there waits for the file `go` first.
fn five_steps() -> String {
    let mut text = "name: five\nvars: { data: { check: abs-path } }\nsteps:\n".to_owned();
    for step in 1..=5 {
        text += &format!(
            "- name: step {step}\n  state: did-{step}\n  run: >-\n    if [ -e {{data}}/block-{step} ]; then while [ ! -e {{data}}/go ]; do sleep 0.05; done; fi;\n    echo {step} >> {{data}}/diary\n"
        );
    }
    text
}

fn hosts_with_data(lab: &Lab) -> PathBuf {
    let mut lines = String::new();
    for node in lab.nodes() {
        let line = lab.hosts_line(node.name(), node.address());
        let _ = writeln!(lines, "{} data={}", line.trim_end(), node.base().join("data").display());
    }
    lab.write_hosts_file(&lines)
}

#[track_caller]
fn killed(mut running: crate::gsctl::Running) -> Run {
    running.signal(Signal::KILL);
    wait::until("gsctl is gone", || running.has_ended());
    running.wait().expect(-9)
}

/// What carries commands of gsctl on a node, and all that descends from it.
fn commands(node: &Node) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut left = node.processes();
    loop {
        let is_one = |process: &Process| {
            let carries = process.cmdline.iter().any(|word| word.starts_with("gsctl-"));
            carries || found.iter().any(|parent| parent.pid == process.parent)
        };
        let (more, others): (Vec<_>, Vec<_>) = left.into_iter().partition(is_one);
        if more.is_empty() {
            return found;
        }
        found.extend(more);
        left = others;
    }
}

#[test]
fn killed_at_every_step_it_goes_on_where_it_was() {
    for blocked in 1..=5 {
        let lab = Lab::start(2);
        let playbook = lab.playbook("five.yaml", &five_steps());
        let hosts = hosts_with_data(&lab);
        lab.node(1).write(format!("data/block-{blocked}"), "");
        let running = lab.play(&playbook).hosts_file(&hosts).arg("-v").spawn();
        let before: Vec<String> = (1..blocked).map(|step| step.to_string()).collect();
        wait::until("the other node is done with the step", || {
            diary(&lab, 2) == [before.as_slice(), &[blocked.to_string()]].concat().join(" ")
        });
        // What node 2 did is written down as soon as it is heard.
        let heard =
            |text: String| text.lines().filter(|line| line.contains(&format!("\"step {blocked}\""))).count() == 1;
        let progress = || fs::read_dir(lab.runs_dir()).unwrap().next().unwrap().unwrap().path().join("progress.jsonl");
        wait::until("it is written down", || fs::read_to_string(progress()).is_ok_and(heard));
        killed(running);
        assert_eq!(diary(&lab, 1), before.join(" "));

        let run = lab.last_run();
        assert_eq!(run["schema"], "gsctl.journal/1");
        assert_eq!((&run["running"], &run["resumable"]), (&Value::from(false), &Value::from(true)), "{run:#}");
        let steps = run["playbook"]["steps"].as_array().unwrap();
        for (index, step) in steps.iter().enumerate() {
            let end = if index + 1 < blocked { Value::from("good") } else { Value::Null };
            assert_eq!(step["end"], end, "{run:#}");
        }
        assert_eq!(
            run.get("state").and_then(Value::as_str),
            (blocked > 1).then(|| format!("did-{}", blocked - 1)).as_deref()
        );
        let told = lab.bare_gsctl().args(["runs", "show"]).run().expect(0);
        assert!(told.text().contains("killed, can be resumed") && told.text().contains("--resume"), "{told}");

        // The command that gsctl left behind on node 1 must not write, too.
        lab.node(1).sh("pkill -f 'sleep 0.05' ; true");
        let left = || commands(lab.node(1));
        for process in left() {
            process.kill(Signal::KILL);
        }
        lab.node(1).write("data/go", "");
        let resumed = lab.play(&playbook).hosts_file(&hosts).args(["--resume", "--json", "-"]).run().expect(0);
        assert_eq!(resumed.json()["state"], "did-5", "{resumed}");
        assert_eq!(resumed.json()["run"], run["run"]);
        for node in [1, 2] {
            assert_eq!(diary(&lab, node), "1 2 3 4 5", "node {node}, blocked at {blocked}\n{resumed}");
        }
        let run = lab.last_run();
        assert_eq!(run["status"]["code"], 0);
        assert_eq!(run["report"]["schema"], "gsctl.run/1");
        let states: Vec<&str> = run["playbook"]["states"]
            .as_array()
            .unwrap()
            .iter()
            .map(|state| state["state"].as_str().unwrap())
            .collect();
        assert_eq!(states.last(), Some(&"did-5"));
        lab.play(&playbook).hosts_file(&hosts).arg("--resume").run().expect(2);
    }
}

/// Three nodes; step two fails on node 2 as long as `bad` is there.
const FAILS: &str = "name: fails
vars: { data: { check: abs-path }, word: { default: x } }
steps:
- { name: one, run: \"echo one{word} >> {data}/diary\" }
- { name: two, run: \"test ! -e {data}/bad && echo two >> {data}/diary\", state: done, on_failure_state: two_failed }
- { name: three, run: \"echo three >> {data}/diary\" }
";

#[test]
fn a_step_that_failed_on_one_host_is_done_again_there_only() {
    let lab = Lab::start(3);
    let playbook = lab.playbook("fails.yaml", FAILS);
    let hosts = hosts_with_data(&lab);
    lab.node(2).write("data/bad", "");
    let run = lab.play(&playbook).hosts_file(&hosts).args(["--var", "word=y", "--json", "-"]).run().expect(5);
    assert_eq!(run.json()["state"], "two_failed", "{run}");
    assert_eq!([1, 2, 3].map(|node| diary(&lab, node)), ["oney two", "oney", "oney two"]);
    let list = lab.bare_gsctl().arg("runs").run().expect(0);
    assert!(list.text().contains("failed, can be resumed") && list.text().contains("two_failed"), "{list}");

    let failed = lab.gsctl().hosts_file(&hosts).args(["-w", "@failed", "hosts"]).run().expect(0);
    assert!(failed.text().contains("node2") && !failed.text().contains("node1"), "{failed}");
    // The others did not come to the last step, so they are not ok.
    lab.gsctl().hosts_file(&hosts).args(["-g", "ok", "hosts"]).run().expect(6);
    let retry = lab.gsctl().hosts_file(&hosts).args(["-g", "retry", "hosts"]).run().expect(0);
    assert!([1, 2, 3].iter().all(|node| retry.text().contains(&format!("node{node}"))), "{retry}");
    // Of a run that is named, and not the last.
    let id = list.text().lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    lab.gsctl().hosts_file(&hosts).args(["exec", "true"]).run().expect(0);
    for (set, want) in [
        (format!("@failed:{id}"), "node2\n"),
        (format!("@retry:{id}!node3"), "node1\nnode2\n"),
        (format!("@retry:{id}!node1"), "node2\nnode3\n"),
    ] {
        let run = lab.bare_gsctl().hosts_file(&hosts).args(["-w", &set, "hosts", "--expand"]).run().expect(0);
        assert_eq!(run.text(), want, "{set}: {run}");
    }
    let run = lab.bare_gsctl().hosts_file(&hosts).args(["-w", &format!("@unreachable:{id}"), "hosts"]).run().expect(6);
    assert!(run.stderr.contains(&format!("gsctl runs show {id}")), "{run}");
    for set in ["@failed:1999", "@failed:"] {
        let run = lab.bare_gsctl().hosts_file(&hosts).args(["-w", set, "hosts"]).run().expect(2);
        assert!(
            run.stderr.contains(set) && run.stderr.contains("there is no run") && run.stderr.contains("gsctl runs"),
            "{run}"
        );
    }

    lab.node(2).remove("data/bad");
    // Its variables are those of the run that goes on.
    let run = lab.play(&playbook).hosts_file(&hosts).args(["--resume", "--json", "-"]).run().expect(0);
    assert_eq!(run.json()["state"], "done");
    assert_eq!([1, 2, 3].map(|node| diary(&lab, node)), ["oney two three"; 3]);
}

#[test]
fn what_changed_is_not_resumed() {
    let lab = Lab::start(2);
    let playbook = lab.playbook("fails.yaml", FAILS);
    let hosts = hosts_with_data(&lab);
    lab.node(2).write("data/bad", "");
    lab.play(&playbook).hosts_file(&hosts).run().expect(5);

    let run = lab.play(&playbook).hosts_file(&hosts).args(["--resume", "--var", "word=z"]).run().expect(2);
    assert!(run.stderr.contains("variable `word` has changed") && run.stderr.contains("--force"), "{run}");
    let run = lab.play(&playbook).hosts_file(&hosts).args(["--resume", "-w", "node1"]).run().expect(2);
    assert!(run.stderr.contains("`node2` is not selected now"), "{run}");
    lab.playbook("fails.yaml", &FAILS.replace("three >>", "trois >>"));
    let run = lab.play(&playbook).hosts_file(&hosts).arg("--resume").run().expect(2);
    assert!(run.stderr.contains("the playbook, or a script that it uses, has changed"), "{run}");
    let run = lab.play(&playbook).hosts_file(&hosts).args(["--resume", "20990101"]).run().expect(2);
    assert!(run.stderr.contains("there is no run `20990101`"), "{run}");
    assert_eq!([1, 2].map(|node| diary(&lab, node)), ["onex two", "onex"], "nothing was done");

    lab.node(2).remove("data/bad");
    lab.play(&playbook).hosts_file(&hosts).args(["--resume", "--force"]).run().expect(0);
    assert_eq!([1, 2].map(|node| diary(&lab, node)), ["onex two trois"; 2]);
}

#[test]
fn from_a_step() {
    let lab = Lab::start(1);
    let playbook = lab.playbook("fails.yaml", FAILS);
    let hosts = hosts_with_data(&lab);
    lab.play(&playbook).hosts_file(&hosts).args(["--from", "three"]).run().expect(0);
    assert_eq!(diary(&lab, 1), "three");
    lab.node(1).write("data/bad", "");
    lab.play(&playbook).hosts_file(&hosts).args(["--from", "2"]).run().expect(5);
    lab.node(1).remove("data/bad");
    lab.play(&playbook).hosts_file(&hosts).arg("--resume").run().expect(0);
    assert_eq!(diary(&lab, 1), "three two three");
    let run = lab.play(&playbook).hosts_file(&hosts).args(["--from", "four"]).run().expect(2);
    assert!(run.stderr.contains("3 `three`"), "{run}");
}

#[test]
fn one_run_at_a_time() {
    let lab = Lab::start(2);
    let playbook = lab.playbook("five.yaml", &five_steps());
    let hosts = hosts_with_data(&lab);
    lab.node(1).write("data/block-1", "");
    let first = lab.play(&playbook).hosts_file(&hosts).spawn();
    wait::until("it is at work", || diary(&lab, 2) == "1");
    // One host in common is enough; another one is not in the way, and neither is looking.
    let other = lab.playbook("other.yaml", "steps: [{ name: say, run: echo hello }]");
    let run = lab.play(&other).hosts_file(&hosts).args(["-w", "node1"]).run().expect(7);
    assert!(run.stderr.contains(&format!("pid {}", first.pid())) && run.stderr.contains("user "), "{run}");
    assert!(run.stderr.contains("nothing was changed"), "{run}");
    lab.gsctl().args(["exec", "true"]).run().expect(0);
    let list = lab.bare_gsctl().arg("runs").run().expect(0);
    assert!(list.text().contains("running"), "{list}");
    killed(first);
    // A killed run leaves no lock behind.
    lab.play(&other).hosts_file(&hosts).args(["-w", "node1"]).run().expect(0);
}

#[test]
fn cleanups_of_a_killed_run_are_made_up_for() {
    let lab = Lab::start(1);
    let text = "vars: { data: { check: abs-path } }
steps:
- { name: mark, touch: \"{data}/marker\", cleanup: remove }
- { name: block, run: \"while [ ! -e {data}/go ]; do sleep 0.05; done\" }
";
    let playbook = lab.playbook("mark.yaml", text);
    let hosts = hosts_with_data(&lab);
    let running = lab.play(&playbook).hosts_file(&hosts).spawn();
    wait::until("it is marked", || lab.node(1).exists("data/marker"));
    wait::until("it blocks", || lab.node(1).processes().iter().any(|process| process.comm == "sleep"));
    killed(running);
    assert!(lab.node(1).exists("data/marker"));
    lab.node(1).write("data/go", "");
    lab.play(&playbook).hosts_file(&hosts).arg("--resume").run().expect(0);
    assert!(!lab.node(1).exists("data/marker"));
}

/// A marker that is removed at the end of the run, made on a node whose answers come late.
struct Late {
    lab: Lab,
    proxy: crate::lab::proxy::Proxy,
    hosts: PathBuf,
    playbook: PathBuf,
}

impl Late {
    fn start() -> Self {
        let lab = Lab::start(1);
        let proxy =
            crate::lab::proxy::Proxy::to(lab.node(1).address()).late(std::time::Duration::from_millis(500)).start();
        lab.trust("node1", proxy.address(), lab.node(1));
        let data = lab.node(1).base().join("data");
        let line = lab.hosts_line("node1", proxy.address());
        let hosts = lab.write_hosts_file(&format!("{} data={}", line.trim_end(), data.display()));
        let text = "vars: { data: { check: abs-path } }
steps:
- { name: mark, touch: \"{data}/marker\", cleanup: remove }
- { name: more, run: \"true\" }
";
        let playbook = lab.playbook("mark.yaml", text);
        Self { lab, proxy, hosts, playbook }
    }

    /// The run, at a time at which the marker is there and nobody has heard of it.
    fn marked(&self) -> crate::gsctl::Running {
        let running = self.lab.play(&self.playbook).hosts_file(&self.hosts).arg("--connect-timeout").arg("30s").spawn();
        wait::until("it is marked", || self.lab.node(1).exists("data/marker"));
        running
    }
}

#[test]
fn what_was_made_when_the_connection_was_lost_is_removed() {
    let late = Late::start();
    let running = late.marked();
    late.proxy.cut();
    let run = running.wait().expect(4);
    assert!(!late.lab.node(1).exists("data/marker"), "{run}");
}

#[test]
fn what_a_killed_run_may_have_made_is_removed_when_it_goes_on() {
    let late = Late::start();
    killed(late.marked());
    assert!(late.lab.node(1).exists("data/marker"));
    late.lab
        .play(&late.playbook)
        .hosts_file(&late.hosts)
        .args(["--connect-timeout", "30s", "--resume"])
        .run()
        .expect(0);
    assert!(!late.lab.node(1).exists("data/marker"));
    // What somebody else made is not touched, also where nobody heard that it was there.
    late.lab.node(1).write("data/marker", "");
    late.lab.play(&late.playbook).hosts_file(&late.hosts).args(["--connect-timeout", "30s"]).run().expect(0);
    assert!(late.lab.node(1).exists("data/marker"));
}

#[test]
fn what_one_host_had_for_all_is_known_when_the_run_goes_on() {
    let lab = Lab::start(2);
    let text = "vars: { data: { check: abs-path }, share_number: { default: \"\" } }
steps:
- { name: tell, on: first, run: { script: tell.sh } }
- { name: block, run: \"while [ -e {data}/block ]; do sleep 0.05; done\" }
- { name: use, run: \"echo {share_number} >> {data}/diary\" }
";
    let playbook = lab.playbook("share.yaml", text);
    lab.playbook("tell.sh", "echo share_number=42\necho share_secret_word=hush\n");
    let mut lines = fs::read_to_string(hosts_with_data(&lab)).unwrap();
    lines += "[first]\nnode1\n";
    let hosts = lab.write_hosts_file(&lines);
    for number in 1..=2 {
        lab.node(number).write("data/block", "");
    }
    let running = lab.play(&playbook).hosts_file(&hosts).spawn();
    wait::until("it blocks", || lab.node(2).processes().iter().any(|process| process.comm == "sleep"));
    killed(running);
    let journal: String = fs::read_dir(lab.runs_dir())
        .unwrap()
        .map(|run| {
            let run = run.unwrap().path();
            ["run.json", "progress.jsonl"].map(|file| fs::read_to_string(run.join(file)).unwrap()).concat()
        })
        .collect();
    assert!(!journal.contains("hush"), "{journal}");
    for number in 1..=2 {
        lab.node(number).remove("data/block");
    }
    // The one that told it is not asked again.
    lab.playbook("tell.sh", "echo share_number=42\necho share_secret_word=hush\n");
    lab.play(&playbook).hosts_file(&hosts).arg("--resume").run().expect(0);
    assert_eq!([1, 2].map(|node| diary(&lab, node)), ["42"; 2]);
}

#[test]
fn commands_go_on_without_a_journal_and_playbooks_that_name_states_do_not() {
    let lab = Lab::start(1);
    let hosts = hosts_with_data(&lab);
    // A file where the directory should be: not even root can write there.
    let state = lab.dir().join("client/no-state");
    fs::write(&state, "").unwrap();
    let run = lab.gsctl().env("XDG_STATE_HOME", &state).args(["exec", "echo hello"]).run().expect(0);
    assert!(run.stderr.contains("cannot write the journal"), "{run}");
    let playbook = lab.playbook("fails.yaml", FAILS);
    let run = lab.play(&playbook).hosts_file(&hosts).env("XDG_STATE_HOME", &state).run().expect(2);
    assert!(run.stderr.contains("relies on its journal"), "{run}");
    assert_eq!(diary(&lab, 1), "");
}

#[test]
fn a_full_disk_stops_the_run_before_its_next_step() {
    let lab = Lab::start(1);
    let text = "vars: { data: { check: abs-path } }
steps:
- { name: mark, touch: \"{data}/marker\", cleanup: remove, state: marked }
- { name: one, run: \"echo one >> {data}/diary; while [ ! -e {data}/go ]; do sleep 0.05; done\", state: one }
- { name: two, run: \"echo two >> {data}/diary\", state: two }
";
    let playbook = lab.playbook("full.yaml", text);
    let hosts = hosts_with_data(&lab);
    let state = lab.dir().join("client/state");
    fs::create_dir(&state).unwrap();
    // The mount is gone with its namespace, so gsctl and all who look at its files run in there.
    let gsctl = env!("CARGO_BIN_EXE_gsctl");
    let script = format!(
        "mount -t tmpfs -o size=256k,mode=700 none {state} || exit 99
         play() {{ {gsctl} play {playbook} -f {hosts} -i {key} -o UserKnownHostsFile={known} \"$@\"; }}
         play & gsctl=$!
         until grep -q one {diary} 2>/dev/null; do sleep 0.05; done
         cat /dev/zero > {state}/filler 2>/dev/null
         : > {go}
         wait $gsctl; echo \"exit $?\"
         {gsctl} runs show --json - || echo unreadable
         rm {state}/filler; echo ----
         play --resume; echo \"resumed $?\"",
        state = state.display(),
        playbook = playbook.display(),
        hosts = hosts.display(),
        key = lab.key().display(),
        known = lab.known_hosts().display(),
        diary = lab.node(1).outside("data/diary").display(),
        go = lab.node(1).outside("data/go").display(),
    );
    let mut command = Command::new("unshare");
    // An ordinary user can mount where he is root in a namespace of users.
    command.arg(if lab.is_private() { "-m" } else { "-rm" });
    command.args(["sh", "-c", &script]).env("XDG_STATE_HOME", &state).env("HOME", lab.client_home());
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let said = format!("{out}\n{err}");
    let (full, after) = out.split_once("----").expect(&said);
    assert!(full.contains("exit 1\n"), "{said}");
    assert!(err.contains("the journal cannot be written") && err.contains("stops before its next step"), "{said}");
    let json = full.split_once("exit 1\n").unwrap().1;
    let run: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}\n{said}"));
    assert_eq!(run["state"], "marked", "{said}");
    assert_eq!(run["resumable"], true);
    assert!(after.contains("resumed 0"), "{said}");
    // Step one was over on the node, but that could not be written down.
    assert_eq!(diary(&lab, 1), "one one two", "{said}");
    assert!(!lab.node(1).exists("data/marker"));
}

#[test]
fn secrets_stay_out_of_the_journal() {
    let lab = Lab::start(1);
    let text = "vars: { db_password: {}, data: { check: abs-path } }
steps: [{ name: fail, run: \"test {db_password} = right && echo ok >> {data}/diary\" }]
";
    let playbook = lab.playbook("secret.yaml", text);
    let hosts = hosts_with_data(&lab);
    lab.play(&playbook).hosts_file(&hosts).args(["--var", "db_password=open-sesame"]).run().expect(5);
    for entry in fs::read_dir(lab.runs_dir()).unwrap() {
        for file in fs::read_dir(entry.unwrap().path()).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            assert!(!text.contains("open-sesame"), "{text}");
        }
    }
    let run = lab.play(&playbook).hosts_file(&hosts).arg("--resume").run().expect(2);
    assert!(run.stderr.contains("give it again: --var db_password=..."), "{run}");
    lab.play(&playbook).hosts_file(&hosts).args(["--resume", "--var", "db_password=right"]).run().expect(0);
    assert_eq!(diary(&lab, 1), "ok");
}

#[test]
fn a_journal_that_is_broken_is_said() {
    let lab = Lab::start(1);
    lab.gsctl().args(["exec", "true"]).run().expect(0);
    lab.gsctl().args(["exec", "false"]).run().expect(5);
    let mut runs: Vec<PathBuf> = fs::read_dir(lab.runs_dir()).unwrap().map(|entry| entry.unwrap().path()).collect();
    runs.sort();
    assert_eq!(lab.last_run()["run"], runs[1].file_name().unwrap().to_str().unwrap());
    let file = runs[1].join("run.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, &text[..text.len() / 2]).unwrap();
    let run = lab.bare_gsctl().args(["runs", "show"]).run().expect(2);
    assert!(run.stderr.contains("the file ends too early") && run.stderr.contains("run.json"), "{run}");
    let run = lab.bare_gsctl().arg("runs").run().expect(0);
    assert!(run.text().contains("unreadable") && run.text().contains("success"), "{run}");
    let run = lab.gsctl().args(["-w", "@unreachable", "hosts"]).run().expect(6);
    assert!(run.stderr.contains("nobody of that run is in `@unreachable`"), "{run}");
    fs::write(&file, text.replace("gsctl.journal/1", "gsctl.journal/9")).unwrap();
    let run = lab.bare_gsctl().args(["runs", "show"]).run().expect(2);
    assert!(run.stderr.contains("another version of gsctl"), "{run}");
}

#[test]
fn hosts_of_a_batch_that_are_done_are_not_done_again() {
    let lab = Lab::start(3);
    let text = "vars: { data: { check: abs-path } }
steps:
- name: one by one
  serial: 1
  run: \"while [ -e {data}/block ]; do sleep 0.05; done; echo did >> {data}/diary\"
";
    let playbook = lab.playbook("serial.yaml", text);
    let hosts = hosts_with_data(&lab);
    lab.node(2).write("data/block", "");
    let running = lab.play(&playbook).hosts_file(&hosts).spawn();
    wait::until("the second one is at it", || lab.node(2).processes().iter().any(|process| process.comm == "sleep"));
    killed(running);
    for process in commands(lab.node(2)) {
        process.kill(Signal::KILL);
    }
    lab.node(2).remove("data/block");
    lab.play(&playbook).hosts_file(&hosts).arg("--resume").run().expect(0);
    assert_eq!([1, 2, 3].map(|node| diary(&lab, node)), ["did"; 3]);
}

#[test]
fn a_preflight_that_let_pass_does_not_refuse_what_the_run_did_itself() {
    let lab = Lab::start(2);
    lab.playbook(
        "look.sh",
        "if [ -e \"$data/begun\" ]; then echo state=begun; else echo state=clean; fi; echo role=main\n",
    );
    let text = "vars: { data: { check: abs-path } }
probes: { node: { script: look.sh, facts: [state, role] } }
steps:
- name: look
  probe: node
  refuse: [{ when: { state: begun }, because: it has begun already }]
- { name: begin, write: { path: \"{data}/begun\", content: x }, state: begun }
- { name: block, run: \"test -e {data}/go && echo block >> {data}/diary\", on_failure_state: begun_fail }
- { name: end, run: \"echo end >> {data}/diary\", when: { fact: role, is: main } }
- { name: not so, state: odd, when: { fact: role, is: other } }
- { name: over, state: over, when: { fact: role, is: main } }
";
    let playbook = lab.playbook("preflight.yaml", text);
    let hosts = hosts_with_data(&lab);
    lab.node(1).write("data/go", "");
    lab.play(&playbook).hosts_file(&hosts).run().expect(5);
    // A run that was refused does not hide the one that stopped.
    let refused = lab.play(&playbook).hosts_file(&hosts).args(["--json", "-"]).run().expect(7);
    assert_eq!(refused.json().get("state"), None, "{refused}");
    lab.node(2).write("data/go", "");
    let run = lab.play(&playbook).hosts_file(&hosts).args(["--resume", "--json", "-"]).run().expect(0);
    assert_eq!([1, 2].map(|node| diary(&lab, node)), ["block end"; 2], "{run}");
    let record = lab.last_run();
    let states = record["playbook"]["states"].as_array().unwrap();
    let states: Vec<&str> = states.iter().map(|state| state["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["begun", "begun_fail", "begun", "over"], "{record:#}");
}

#[test]
fn interrupted_it_goes_on_too() {
    let lab = Lab::start(1);
    let playbook = lab.playbook("five.yaml", &five_steps());
    let hosts = hosts_with_data(&lab);
    lab.node(1).write("data/block-3", "");
    let running = lab.play(&playbook).hosts_file(&hosts).spawn();
    wait::until("it blocks", || lab.node(1).processes().iter().any(|process| process.comm == "sleep"));
    running.signal(Signal::INT);
    running.wait().expect(130);
    assert_eq!(lab.last_run()["state"], "did-2");
    lab.node(1).write("data/go", "");
    // Without a playbook: the last run that can go on.
    lab.gsctl().hosts_file(&hosts).args(["play", "--resume"]).run().expect(0);
    assert_eq!(diary(&lab, 1), "1 2 3 4 5");
}
