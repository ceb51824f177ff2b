//! `gsctl shell`: one login, many lines; at a prompt, with `-c` and in a pipe.

use std::fs;

use crate::lab::{Lab, wait};
use crate::terminal::{Terminal, gsctl};

fn logins(lab: &Lab) -> Vec<usize> {
    lab.nodes().iter().map(|node| node.sshd_log().matches("Accepted publickey").count()).collect()
}

#[test]
fn lines_share_a_login_and_the_worst_of_them_counts() {
    let lab = Lab::start(2);
    let home = lab.client_home();
    fs::write(home.join("数据"), "pushed\n").unwrap();
    let lines = "# a comment\n\necho 'one\nline' $PWD\necho zwei é\n:hosts node2\nexit 7\n:timeout 1s\nsleep 300 & echo $! >child; \
        wait\n:timeout 0\n:hosts @all\n:push 数据 there\ncat there\n:save kept\n:pull there here\n:nothing\n:save kept\n";
    let run = lab.gsctl().args(["--stream", "shell"]).stdin(lines).run().expect(2);
    assert_eq!(logins(&lab), [1, 1], "{run}");
    let said = run.text();
    for node in ["node1", "node2"] {
        assert!(said.contains(&format!("{node}: one\n")) && said.contains(&format!("{node}: zwei é\n")), "{run}");
        assert_eq!(fs::read_to_string(home.join("here").join(node).join("there")).unwrap(), "pushed\n", "{run}");
    }
    assert!(run.stderr.contains("no end within 1s") && run.stderr.contains("exit status 7"), "{run}");
    assert!(
        run.stderr.contains("there is no word `:nothing`") && run.stderr.contains("name a file that is not there yet")
    );
    assert_eq!(fs::read_to_string(home.join("kept")).unwrap(), "== node1 ==\npushed\n== node2 ==\npushed\n");
    let in_home = |number: usize| lab.node(number).account().home.join("child");
    let child = lab.node(2).text(in_home(2));
    assert!(!lab.node(1).exists(in_home(1)), "node1 was not chosen");
    assert!(!lab.node(2).processes().iter().any(|process| process.node_pid.to_string() == child.trim()), "{run}");
    // The worst of all lines; `:quit` ends.
    for (lines, status) in [(&["true"][..], 0), (&["exit 1", "true"], 5), (&["true", ":quit", "exit 1"], 0)] {
        let lines = lines.iter().flat_map(|line| ["-c", line]);
        lab.gsctl().arg("shell").args(lines).run().expect(status);
    }
    let run = lab.gsctl().args(["--json", "x", "shell", "-c", "true"]).run().expect(2);
    assert!(run.stderr.contains("`--json` has no meaning for `shell`"), "{run}");
}

#[test]
fn a_host_that_is_lost_is_left_out_until_it_is_asked_for() {
    let lab = Lab::start(2);
    let lines = "touch began; while [ ! -e go ]; do sleep 0.1; done; echo first\necho second\ntouch asked; while [ ! -e back ]; do \
        sleep 0.1; done\n:reconnect\necho third\n";
    let running = lab.gsctl().args(["--stream", "--connect-attempts", "1", "shell"]).stdin(lines).spawn();
    wait::until("both began", || lab.nodes().iter().all(|node| node.exists(node.account().home.join("began"))));
    lab.node(2).stop_sshd();
    lab.node(2).kill_sessions();
    lab.node(1).sh_as_user("touch ~/go");
    wait::until("the third line", || lab.node(1).exists(lab.node(1).account().home.join("asked")));
    lab.node(2).start_sshd();
    lab.node(1).sh_as_user("touch ~/back");
    let run = running.wait().expect(4);
    let said = run.text();
    assert!(said.contains("node1: first\n") && said.contains("node1: second\n"), "{run}");
    assert!(!said.contains("node2: second") && run.stderr.contains("connection lost"), "{run}");
    assert!(said.contains("node1: third\n") && said.contains("node2: third\n"), "{run}");
    assert_eq!(logins(&lab)[0], 1, "{run}");
}

#[test]
fn at_a_prompt() {
    let lab = Lab::start(3);
    for columns in [80, 40] {
        let terminal = Terminal::open(&lab, columns);
        let before = logins(&lab);
        terminal.begin(&format!("exec {} shell", gsctl(&lab)));
        let keys = |keys: &[&str]| drop(terminal.tmux(&[&["send-keys"], keys].concat()));
        let typed = |text: &str| {
            terminal.tmux(&["send-keys", "-l", text]);
            keys(&["Enter"]);
        };
        let last_is = |want: &str| terminal.wait_for(want, |text| text.lines().last() == Some(want));
        last_is("3 hosts>");
        typed("echo 漢字-é-$((40 + 2))");
        terminal.wait_for("the output", |text| text.contains("漢字-é-42") && text.lines().last() == Some("3 hosts>"));
        // Ctrl-C in a command: it is gone on the nodes, and the shell is there.
        typed("sleep 4321");
        let sleeps = || {
            let is_it = |words: &Vec<String>| words.iter().any(|word| word == "4321");
            let nodes = lab.nodes().iter();
            nodes.filter(|node| node.processes().iter().any(|process| is_it(&process.cmdline))).count()
        };
        wait::until("they sleep", || sleeps() == 3);
        keys(&["C-c"]);
        last_is("3 hosts>");
        assert_eq!(sleeps(), 0, "{}", terminal.text());
        // Ctrl-C at the prompt throws a line away.
        terminal.tmux(&["send-keys", "-l", "touch thrown"]);
        keys(&["C-c"]);
        last_is("3 hosts>");
        // What is pasted is one command, however many lines it has.
        terminal.tmux(&["set-buffer", "for n in 1 2; do\n  echo pasted-$n\ndone"]);
        terminal.tmux(&["paste-buffer", "-p"]);
        keys(&["Enter"]);
        terminal.wait_for("what was pasted", |text| {
            text.contains("pasted-1") && text.contains("pasted-2") && text.lines().last() == Some("3 hosts>")
        });
        // What is typed while a command runs is the next one.
        terminal.tmux(&["send-keys", "-l", "sleep 1; echo first-$((1 + 0))\recho second-$((1 + 1))\r"]);
        terminal.wait_for("what was typed ahead", |text| {
            text.contains("first-1") && text.contains("second-2") && text.lines().last() == Some("3 hosts>")
        });
        // Completion.
        terminal.tmux(&["send-keys", "-l", ":ho"]);
        keys(&["Tab"]);
        terminal.tmux(&["send-keys", "-l", "node[1-2]"]);
        keys(&["Enter"]);
        last_is("2 of 3 hosts>");
        assert_eq!(logins(&lab).iter().zip(&before).map(|(now, was)| now - was).collect::<Vec<_>>(), [1, 1, 1]);
        // A host that dies while nothing runs is named.
        lab.node(2).stop_sshd();
        lab.node(2).kill_sessions();
        terminal.wait_for("the loss", |text| {
            keys(&["Enter"]);
            text.lines().last() == Some("1 of 3 hosts, node2 lost>")
        });
        typed("echo still-$((1 + 1))-here");
        terminal.wait_for("the others", |text| {
            text.contains("still-2-here") && text.lines().last() == Some("1 of 3 hosts, node2 lost>")
        });
        lab.node(2).start_sshd();
        typed(":reconnect");
        last_is("2 of 3 hosts>");
        keys(&["C-d"]);
        let text = terminal.end();
        assert!(text.contains("status 0"), "{text}");
        assert!(lab.nodes().iter().all(|node| !node.exists(node.account().home.join("thrown"))));
    }
    let history = fs::read_to_string(lab.client_home().join(".local/state/gsctl/shell_history")).unwrap();
    assert!(history.contains("sleep 4321") && history.contains("pasted"), "{history}");
}

#[test]
fn at_a_prompt_with_two_hundred_hosts() {
    let lab = Lab::one_sshd_many_hosts(200);
    let node = lab.node(1);
    let terminal = Terminal::open(&lab, 80);
    terminal.begin(&format!("exec {} --fanout 200 --connect-timeout 60s shell", gsctl(&lab)));
    let typed = |text: &str| {
        terminal.tmux(&["send-keys", "-l", text]);
        terminal.tmux(&["send-keys", "Enter"]);
    };
    let last_is = |want: &str| terminal.wait_for(want, |text| text.lines().last() == Some(want));
    last_is("200 hosts>");
    // What all say alike is said once, under the names of all; who says something else stands by itself.
    typed("echo >>n; echo 漢字-$((40 + 2))");
    terminal.wait_for("the output", |text| text.contains("漢字-42") && text.lines().last() == Some("200 hosts>"));
    let text = terminal.text();
    assert_eq!(text.lines().filter(|line| *line == "漢字-42").count(), 1, "{text}");
    assert!(text.contains("node[1-200] (200 hosts)"), "{text}");
    assert_eq!(node.text(node.account().home.join("n")).lines().count(), 200);
    // In half the width, with a line that is longer than that.
    terminal.tmux(&["resize-window", "-x", "40"]);
    typed("echo half-the-width-$((1 + 1)) >/dev/null; echo narrow-$((1 + 1)), as this line is longer than that");
    terminal.wait_for("the output in half the width", |text| {
        text.contains("narrow-2, as this line") && text.lines().last() == Some("200 hosts>")
    });
    terminal.tmux(&["set-buffer", "for n in 1 2; do\n  echo pasted-$n\ndone"]);
    terminal.tmux(&["paste-buffer", "-p"]);
    terminal.tmux(&["send-keys", "Enter"]);
    terminal.wait_for("what was pasted", |text| text.contains("pasted-2") && text.lines().last() == Some("200 hosts>"));
    // Ctrl-C: the command is gone. On some of them: their processes are all on one node, and each look for one sees all.
    typed(":hosts node[1-20]");
    last_is("20 of 200 hosts>");
    let sleeps = || node.processes().iter().filter(|process| process.cmdline.iter().any(|word| word == "4322")).count();
    typed("sleep 4322");
    wait::until("they sleep", || sleeps() >= 20);
    terminal.tmux(&["send-keys", "C-c"]);
    last_is("20 of 200 hosts>");
    assert_eq!(sleeps(), 0, "{}", terminal.text());
    typed(":hosts @all");
    last_is("200 hosts>");
    // One of them dies.
    node.sessions().last().unwrap().kill(rustix::process::Signal::KILL);
    let lost = |text: &str| {
        let line = text.lines().last()?;
        let name = line.strip_prefix("199 of 200 hosts, ")?.strip_suffix(" lost>")?;
        name.starts_with("node").then(|| line.to_owned())
    };
    terminal.wait_for("the loss", |text| {
        terminal.tmux(&["send-keys", "Enter"]);
        lost(text).is_some()
    });
    let prompt = lost(&terminal.text()).unwrap();
    typed("echo rest-$((1 + 1))");
    terminal.wait_for("the others", |text| text.contains("rest-2") && text.lines().last() == Some(&prompt));
    terminal.tmux(&["send-keys", "C-d"]);
    assert!(terminal.end().contains("status 0"));
}
