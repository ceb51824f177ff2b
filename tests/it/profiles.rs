//! Profiles, forced commands and login shells as people have them: what gsctl runs depends on none of them, its word is true with
//! each of them, and a command finds what it would find under `ssh`.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::failures::{one, running, says, until_gone, until_running};
use crate::gsctl::Run;
use crate::lab::opengauss;
use crate::lab::{Lab, Node, need_root};

/// A lab whose user has bash, with this in the file that bash reads under sshd.
fn bash(profile: &str) -> Lab {
    need_root();
    let lab = Lab::builder().shell("/bin/bash").start();
    lab.node(1).write("home/.bashrc", profile);
    lab
}

fn exec(lab: &Lab, command: &str, status: i32) -> Value {
    one(lab.gsctl().args(["exec", "--", command]), status)
}

/// No mark of gsctl's reaches whoever reads its output.
#[track_caller]
fn no_marks(text: &str) {
    let marks = regex::Regex::new("gsctl-?[0-9a-f]{12}").unwrap();
    assert!(!marks.is_match(text), "{text}");
}

/// What `ssh` says to the same command: standard output, standard error, status.
fn ssh(lab: &Lab, user: &str, command: &str) -> (String, String, i32) {
    let address = lab.node(1).address();
    let output = Command::new("ssh")
        .args(["-F", "none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"])
        .args(["-o", &format!("UserKnownHostsFile={}", lab.known_hosts().display()), "-i"])
        .arg(lab.key())
        .args(["-p", &address.port().to_string(), "-l", user, &address.ip().to_string(), command])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code().unwrap())
}

/// The main commands do what they do anywhere.
#[track_caller]
fn main_commands(lab: &Lab, node: &Node, user: &str) {
    let home = if user == lab.user() { "home".to_owned() } else { format!("home-{user}") };
    let gsctl = || lab.gsctl().args(["-l", user]);
    let host = one(gsctl().args(["exec", "--", "/bin/sh -c 'echo out; echo err >&2; exit 3'"]), 5);
    let seen = (&host["stdout"], &host["stderr"], &host["exit_status"]);
    assert_eq!(seen, (&"out\n".into(), &"err\n".into(), &3.into()), "{user}: {host:#}");
    let changed = |what: &str, word: &str| {
        let run = gsctl().json().args([what, "a marker"]).run().expect(0);
        assert_eq!(run.json()["hosts"][0]["steps"][0]["changes"][0]["action"], word, "{user}: {run}");
    };
    changed("touch", "created");
    changed("touch", "present");
    assert!(node.exists(format!("{home}/a marker")), "{user}");
    one(gsctl().args(["check", "--file", "a marker", "--command", "/usr/bin/test 1 = 1", "--process", "sshd"]), 0);
    let host = one(gsctl().args(["check", "--command", "/bin/sh -c 'exit 7'"]), 5);
    assert!(host["error"].as_str().unwrap().contains("exit status 7"), "{user}: {host:#}");
    one(gsctl().args(["wait", "--command", "/usr/bin/test 1 = 1", "--file", "a marker"]), 0);
    changed("rm", "removed");
    changed("rm", "absent");
    assert!(!node.exists(format!("{home}/a marker")), "{user}");
    let file = lab.dir().join("client/s.sh");
    std::fs::write(&file, "#!/bin/sh\nfor a; do echo \"[$a]\"; done\ncat\nexit 4\n").unwrap();
    let host = one(gsctl().arg("script").arg(&file).args(["a b", "it's"]), 5);
    assert_eq!((&host["stdout"], &host["exit_status"]), (&"[a b]\n[it's]\n".into(), &4.into()), "{user}: {host:#}");
    let late = one(gsctl().args(["-t", "2s", "exec", "--", "/bin/sleep 5411"]), 3);
    says(&late, "timed_out", "timeout", "no end within 2s");
    assert_eq!(late["remote_killed"], true, "{user}: {late:#}");
    until_gone(node, "sleep 5411");
}

#[test]
fn every_login_shell_is_served_alike() {
    need_root();
    let shells = ["tcsh", "fish", "zsh", "bash", "dash"];
    let mut builder = Lab::builder();
    for shell in shells {
        builder = builder.user(&format!("{shell}y"), &format!("/usr/bin/{shell}"));
    }
    let lab = builder.user("busy", "/usr/local/bin/ash").start();
    let node = lab.node(1);
    node.sh("mkdir -p /usr/local/bin; ln -sf /usr/bin/busybox /usr/local/bin/ash");
    for user in shells.map(|shell| format!("{shell}y")).iter().map(String::as_str).chain(["busy"]) {
        main_commands(&lab, node, user);
        // A playbook's look, with everything that it asks the node.
        let run = lab.gsctl().args(["-l", user, "--json", "-", "status"]).run();
        let state = run.json()["hosts"][0]["facts"]["state"].clone();
        assert!(state.is_string(), "{user}: {run}");
    }
}

#[test]
fn no_word_of_ours_is_one_that_a_profile_has_taken() {
    let words = "g dd cat kill command exec trap read echo printf test grep tr sleep set unset head cd";
    let lab = bash(&format!(
        "shopt -s expand_aliases nocasematch failglob\nreadonly s gs_s=1 gs_p\nset -o noclobber\n\
         for word in {words}; do eval \"function $word {{ builtin echo taken-function; }}\"; export -f $word; done\n\
         for word in {words}; do alias $word='echo taken'; done\n\
         alias g='git status' sh='echo taken'\nexport IFS=x CDPATH=/ TMOUT=1 GREP_OPTIONS=-v BASH_ENV=/no/such\n"
    ));
    let node = lab.node(1);
    main_commands(&lab, node, lab.user());
    // The user's own words are there as under ssh.
    for command in ["g deploy", "type -t cat", "git nosuch; /bin/echo $?"] {
        same_as_ssh(&lab, lab.user(), command);
    }
}

#[test]
fn helpers_are_found_whatever_the_path_says() {
    let lab = bash("export PATH=/opt/app/bin\n");
    let node = lab.node(1);
    node.mkdir("/opt/app/bin");
    node.write("/opt/app/bin/mytool", "#!/bin/sh\necho mine\n");
    node.chmod("/opt/app/bin/mytool", 0o755);
    main_commands_with_path(&lab, node);
    // A command has the PATH of the login, and so has a script.
    assert_eq!(exec(&lab, "mytool; echo $PATH", 0)["stdout"], "mine\n/opt/app/bin\n");
    says(&exec(&lab, "ls", 5), "failed", "command", "exit status 127");
    let file = lab.dir().join("client/path.sh");
    std::fs::write(&file, "#!/bin/bash\nmytool\n").unwrap();
    assert_eq!(one(lab.gsctl().arg("script").arg(&file), 0)["stdout"], "mine\n");
}

/// As [`main_commands`], for an account that finds no program but its own.
fn main_commands_with_path(lab: &Lab, node: &Node) {
    let run = lab.gsctl().json().args(["touch", "marker"]).run().expect(0);
    assert_eq!(run.json()["hosts"][0]["steps"][0]["changes"][0]["action"], "created", "{run}");
    let run = lab.gsctl().json().args(["rm", "marker"]).run().expect(0);
    assert_eq!(run.json()["hosts"][0]["steps"][0]["changes"][0]["action"], "removed", "{run}");
    one(lab.gsctl().args(["check", "--process", "sshd", "--command", "[ 1 = 1 ]"]), 0);
    let late = one(lab.gsctl().args(["-t", "2s", "exec", "--", "/bin/sleep 5421"]), 3);
    assert_eq!(late["remote_killed"], true, "{late:#}");
    until_gone(node, "/bin/sleep 5421");
}

#[test]
fn a_profile_that_ends_at_errors_changes_no_status() {
    for profile in ["set -e\ntrap 'echo trapped' ERR\n", "set -e\ntrap 'exit 9' ERR\n"] {
        let lab = bash(profile);
        let host = exec(&lab, "exit 3", 5);
        assert_eq!(host["exit_status"], 3, "{host:#}");
        for command in ["false; echo on", "trap - ERR; set +e; false; echo on"] {
            let (out, _, status) = ssh(&lab, lab.user(), command);
            let host = exec(&lab, command, if status == 0 { 0 } else { 5 });
            assert_eq!((&host["stdout"], &host["exit_status"]), (&out.into(), &status.into()), "{command}: {host:#}");
        }
    }
}

fn changes(run: &Run) -> Vec<Value> {
    run.json()["hosts"][0]["steps"][0]["changes"].as_array().cloned().unwrap_or_default()
}

#[test]
fn what_comes_back_changed_is_no_answer() {
    let lab = bash("exec > >(sed -u 's/^/[audit] /')\n");
    let node = lab.node(1);
    // A command has its status, and what it printed, as the profile wants it; of the marks nothing is left.
    let host = exec(&lab, "echo hi; exit 3", 5);
    assert_eq!(host["exit_status"], 3, "{host:#}");
    assert!(host["stdout"].as_str().unwrap().ends_with("[audit] hi\n"), "{host:#}");
    no_marks(&host.to_string());
    for what in ["touch", "rm"] {
        let run = lab.gsctl().json().args([what, "marker"]).run().expect(5);
        assert!(changes(&run).is_empty(), "{run}");
        let error = run.json()["hosts"][0]["error"].to_string();
        assert!(error.contains("did not say what became of `marker`"), "{run}");
    }
    // Nobody knows in which state the node is.
    opengauss::install(&lab);
    let profile = if node.exists("home/.bashrc") { node.text("home/.bashrc") } else { String::new() };
    node.write("home/.bashrc", format!("{profile}\nexec > >(sed -u 's/^/[audit] /')\n"));
    let marker = "app/bin/cluster_manual_start";
    assert!(node.exists(marker));
    let run = lab.gsctl().args(["start", "--wait", "0"]).run().expect(7);
    assert!(node.exists(marker), "{run}");
    assert!(run.stderr.contains("was not heard whole"), "{run}");
}

#[test]
fn both_streams_in_one_or_one_of_them_lost() {
    for (profile, stdout, note) in [
        ("exec 2>&1\n", "out\nerr\n", "standard error comes in standard output"),
        ("exec 2> >(tee -a ~/log)\n", "", ""),
        ("exec 2>/dev/null\n", "out\n", "standard error does not come back"),
    ] {
        let lab = bash(profile);
        let node = lab.node(1);
        let host = exec(&lab, "echo out; echo err >&2; exit 3", 5);
        assert_eq!(host["exit_status"], 3, "{profile}{host:#}");
        assert!(host["stdout"].as_str().unwrap().contains("out\n"), "{profile}{host:#}");
        no_marks(&host.to_string());
        if !note.is_empty() {
            assert_eq!(host["stdout"], stdout, "{profile}{host:#}");
            let notes = host["notes"].to_string();
            assert!(notes.contains(note), "{profile}{host:#}");
            let run = lab.gsctl().args(["exec", "true"]).run().expect(0);
            assert!(run.stderr.contains(note), "{run}");
        }
        let late = one(lab.gsctl().args(["-t", "2s", "exec", "--", "sleep 5431"]), 3);
        assert_eq!(
            (&late["outcome"], &late["remote_killed"]),
            (&"timed_out".into(), &true.into()),
            "{profile}{late:#}"
        );
        no_marks(&late.to_string());
        until_gone(node, "sleep 5431");
    }
    let lab = bash("exec >/dev/null\n");
    let node = lab.node(1);
    // It was begun, and that is not denied.
    let host = exec(&lab, "echo ran >>ran; exit 3", 4);
    says(&host, "unreachable", "lost", "how it ended is not known: standard output does not come back");
    assert_eq!(node.text("home/ran"), "ran\n");
    node.write("home/.bashrc", "exec 2>&-\n");
    let host = exec(&lab, "echo out; exit 3", 5);
    assert_eq!((&host["stdout"], &host["exit_status"]), (&"out\n".into(), &3.into()), "{host:#}");
    // What the shell shows of what it runs is the command's, and nothing of ours.
    node.write("home/.bashrc", "set -x\n");
    let host = exec(&lab, "echo out; exit 3", 5);
    no_marks(&host.to_string());
    assert_eq!((&host["stdout"], &host["stderr"]), (&"out\n".into(), &"++ echo out\n++ exit 3\n".into()), "{host:#}");
}

#[test]
fn forced_commands_that_join_streams_or_hold_them_back() {
    need_root();
    let force = |filter: &str| {
        Lab::builder()
            .shell("/bin/bash")
            .sshd_config(&format!("ForceCommand sh -c \"$SSH_ORIGINAL_COMMAND\" {filter}\n"))
            .start()
    };
    for filter in ["2>&1 | tee -a /tmp/session", "| cat"] {
        let lab = force(filter);
        let host = exec(&lab, "echo out; exit 3", 5);
        assert_eq!((&host["stdout"], &host["exit_status"]), (&"out\n".into(), &3.into()), "{filter}: {host:#}");
        no_marks(&host.to_string());
    }
    // sed gives nothing away before its end.
    let lab = force("| sed s/x/x/");
    let node = lab.node(1);
    assert_eq!(exec(&lab, "echo out", 0)["stdout"], "out\n");
    let late = one(lab.gsctl().args(["-t", "2s", "exec", "--", "sleep 5441; echo never >>never"]), 3);
    says(&late, "timed_out", "timeout", "nothing was heard of the command within 2s, though it ran on the node");
    assert_eq!(late["remote_killed"], true, "{late:#}");
    until_gone(node, "sleep 5441");
    assert!(!node.exists("home/never"));
    // Lost before anything was heard: it is looked for over another connection.
    let report = lab.dir().join("client/lost.json");
    let run = lab.gsctl().arg("--json").arg(&report).args(["exec", "--", "sleep 5442; echo never >>never"]).spawn();
    until_running(node, "sleep 5442");
    node.kill_sessions();
    run.wait().expect(4);
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let host = &report["hosts"][0];
    says(host, "unreachable", "lost", "what carries it was found on the node");
    assert_eq!(host["remote_killed"], true, "{host:#}");
    until_gone(node, "sleep 5442");
    assert!(!node.exists("home/never"));
}

#[test]
fn nobody_on_the_node_can_forge_an_end() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    // All that another user could see of it, in its arguments and its environment, and lines like the wrapper's made of that.
    let forge = "for word in $(cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0 ' '\\n\\n' | grep -a gsctl | sort -u); do \
                 for end in '=0' '=~9' '.' '>' '?' '<1 1 1'; do echo \"$word$end\"; echo \"$word$end\" >&2; done; done; echo after; exit 3";
    let host = exec(&lab, forge, 5);
    assert_eq!(host["exit_status"], 3, "{host:#}");
    assert!(host["stdout"].as_str().unwrap().ends_with("after\n"), "{host:#}");
    let _ = node;
}

#[test]
fn the_text_is_in_no_argument_and_no_variable() {
    need_root();
    let lab = Lab::builder()
        .user("basher", "/bin/bash")
        .user("zsher", "/usr/bin/zsh")
        .user("fisher", "/usr/bin/fish")
        .start();
    let node = lab.node(1);
    for user in [lab.user(), "basher", "zsher", "fisher"] {
        let gsctl = || lab.gsctl().args(["-l", user]);
        // pgrep does not find what asks it, and pkill not its own shell.
        let host = one(gsctl().args(["exec", "--", "pgrep -f canary-5451"]), 5);
        assert_eq!((&host["stdout"], &host["exit_status"]), (&"".into(), &1.into()), "{user}: {host:#}");
        let host = one(gsctl().args(["exec", "--", "pkill -f canary-5451"]), 5);
        assert_eq!(host["exit_status"], 1, "{user}: {host:#}");
        one(gsctl().args(["wait", "--command", "! pgrep -f canary-5452"]).arg("--no-file").arg("/no/such"), 0);
        let run = gsctl()
            .args(["exec", "--env", "SECRET=canary-5453", "--", "/usr/bin/touch ready; /bin/sleep 5453; : canary-5454"])
            .spawn();
        until_running(node, "/bin/sleep 5453");
        for process in node.processes() {
            let environ = std::fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
            let environ = String::from_utf8_lossy(&environ).into_owned();
            let words = process.cmdline.join(" ");
            assert!(!words.contains("canary") && !environ.contains("canary-5454"), "{user}: {process:?} {environ}");
        }
        node.sh("pkill -f 'sleep 5453'");
        run.wait();
        until_gone(node, "sleep 5453");
    }
}

#[test]
fn what_a_child_prints_after_the_end_is_heard_for_a_while() {
    let lab = Lab::start(1);
    let node = lab.node(1);
    let late = "(sleep 0.3; echo late) & echo first";
    let with = |arguments: &[&str]| one(lab.gsctl().args(arguments).args(["exec", "--", late]), 0);
    assert_eq!(with(&["--linger", "20s"])["stdout"], "first\nlate\n");
    let host = with(&["--linger", "0"]);
    assert_eq!(host["stdout"], "first\n");
    assert!(host["notes"].is_null(), "{host:#}");
    let run = lab.gsctl().json().args(["exec", "--", "sleep 5461 & echo first"]).run().expect(0);
    let host = run.json()["hosts"][0].clone();
    assert_eq!(host["stdout"], "first\n");
    assert!(host["notes"].to_string().contains("still holds its output open"), "{host:#}");
    assert!(run.stderr.contains("still holds its output open"), "{run}");
    assert_eq!(running(node, "sleep 5461"), 1, "it goes on");
    node.sh("pkill -f 'sleep 5461'");
}

/// Both streams and the status, as `ssh` has them.
pub(crate) fn same_as_ssh(lab: &Lab, user: &str, command: &str) {
    let (out, err, status) = ssh(lab, user, command);
    let run = lab.gsctl().json().args(["-l", user, "exec", "--", command]).run();
    let host = run.json()["hosts"][0].clone();
    let text = |name: &str| host[name].as_str().unwrap_or_default().to_owned();
    // Some messages name a process.
    let numbers = regex::Regex::new(" [0-9]{2,} ").unwrap();
    let plain = |text: String| numbers.replace_all(&text, " N ").into_owned();
    assert_eq!((plain(text("stdout")), plain(text("stderr"))), (plain(out), plain(err)), "{user}: {command}\n{run}");
    // ssh has 255 for every signal.
    let got = host["exit_status"].as_i64().unwrap_or(255);
    assert!(got == i64::from(status) || status == 255 && got > 128, "{user}: {command}: ssh {status}\n{run}");
}

#[test]
fn commands_mean_what_they_mean_to_ssh() {
    need_root();
    let lab = Lab::builder()
        .user("basher", "/bin/bash")
        .user("zsher", "/usr/bin/zsh")
        .user("dasher", "/usr/bin/dash")
        .start();
    lab.node(1).write(
        lab.node(1).base().join("home-basher/.bashrc"),
        "alias ll='echo alias'; shopt -s expand_aliases; f() { echo function; }\n",
    );
    for user in ["dasher", "basher", "zsher", lab.user()] {
        for command in [
            "nosuch",
            "echo one; nosuch; echo two",
            "echo $0 $# $-",
            "kill $$; echo on",
            "trap 'echo caught; exit 7' TERM; kill $$; echo on",
            "trap 'echo bye' EXIT; false; exit",
            "echo $$ >pidfile; exec sh -c '[ $$ = $(cat pidfile) ] && echo same'",
            "set -e; false; echo on",
            "set -u; echo $unset; echo on",
            "cat <<end\nhere $HOME\nend",
            "umask; ulimit -n; pwd; echo $SHLVL",
            "ls -l /proc/self/fd | wc -l",
            "echo 'it'\"'\"'s' \\\\ '!' \"$((1 + 2))\"",
            "exit 255",
            "exec sh -c 'kill -9 $$'",
            "sh -c 'kill -9 $$'; echo $?",
            "echo a >&2; echo b; exec 1>&2; echo c",
            "grep Sig[IC] /proc/self/status",
            "# only a comment",
            "",
            "f; ll",
        ] {
            if !command.is_empty() {
                same_as_ssh(&lab, user, command);
            }
        }
    }
}
