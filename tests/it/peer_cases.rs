//! What the suites of pdsh, dshbak, clush and pssh expect of their programs, asked of gsctl on real nodes. Each case names
//! its origin. Lists of hosts are in `host_sets`, the lines of pssh in `pssh`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::gsctl::{Gsctl, Run};
use crate::lab::Lab;

/// The header of a group of hosts with the same output, then that output.
fn blocks(run: &Run) -> Vec<(String, String)> {
    let text = run.text();
    let lines: Vec<&str> = text.lines().collect();
    let rule = |line: &str| line.len() > 2 && line.bytes().all(|b| b == b'-');
    // A rule is as long as the header between two of them.
    let is_head =
        |at: usize| rule(lines[at - 1]) && lines[at + 1] == lines[at - 1] && lines[at].len() == lines[at - 1].len();
    let heads: Vec<usize> = (1..lines.len().saturating_sub(1)).filter(|at| is_head(*at)).collect();
    let ends = heads.iter().skip(1).map(|next| next - 1).chain([lines.len()]);
    heads.iter().zip(ends).map(|(at, end)| (lines[*at].to_owned(), lines[at + 2..end].join("\n"))).collect()
}

fn gathered(lab: &Lab, command: &str, status: i32) -> Vec<(String, String)> {
    blocks(&lab.gsctl().args(["--gather", "exec", "--", command]).run().expect(status))
}

fn pair(head: &str, body: &str) -> (String, String) {
    (head.to_owned(), body.to_owned())
}

#[test]
fn dshbak_gathers_what_is_the_same() {
    let lab = Lab::start(3);
    // t5000-dshbak: the same output stands once, under the folded hosts.
    assert_eq!(gathered(&lab, "echo bar", 0), [pair("node[1-3] (3 hosts)", "bar")]);
    // t5000-dshbak, "does not coalesce different length output": a beginning in common is not the same.
    let command = "echo bar; test $(hostname) != node1 || echo baz";
    assert_eq!(gathered(&lab, command, 0), [pair("node[2-3] (2 hosts)", "bar"), pair("node1 (1 host)", "bar\nbaz")]);
    // t5000-dshbak, issue 19: hosts that do not follow each other are parted by commas.
    let command = "test $(hostname) = node2 && echo x || echo bar";
    assert_eq!(gathered(&lab, command, 0), [pair("node[1,3] (2 hosts)", "bar"), pair("node2 (1 host)", "x")]);
    // t5000-dshbak, `test_input`: blanks at both ends of a line, and empty lines, are part of it.
    let file = lab.dir().join("client/want");
    lab.gsctl()
        .args(["--output-dir", file.to_str().unwrap(), "exec", "--", r"printf 'test\ninput\n foo\nbar  \n\n'"])
        .run()
        .expect(0);
    for node in ["node1", "node2", "node3"] {
        let text = fs::read_to_string(file.join(format!("{node}.stdout"))).unwrap();
        assert_eq!(text, "test\ninput\n foo\nbar  \n\n", "dshbak -d: {node}");
    }
    // t5000-dshbak, "-d fails gracefully": a folder that cannot be made is said, and nobody is asked to do anything.
    let run = lab.gsctl().args(["--output-dir", "/dev/null/out", "exec", "touch ran"]).run().expect(2);
    assert!(run.stderr.contains("/dev/null/out"), "{run}");
    assert!(!lab.node(1).exists(lab.node(1).account().home.join("ran")));
    // CLIClushTest.test_006: one host's output is no different gathered, and each line has its host when it is not.
    let alone = |option: &str| lab.gsctl().args([option, "-w", "node1", "exec", "echo ok"]).run().expect(0);
    assert_eq!(blocks(&alone("--gather")), [pair("node1 (1 host)", "ok")]);
    assert_eq!(alone("--stream").text(), "node1: ok\n");
    assert_eq!(lab.gsctl().args(["--stream", "exec", "echo ok"]).run().expect(0).text().matches(": ok\n").count(), 3);
}

#[test]
fn long_lines_and_lines_without_an_end() {
    let lab = Lab::start(2);
    // pdsh t6036-long-output-lines: a line of a mebibyte is one line, with its host once.
    let command = "head -c 1048576 /dev/zero | tr '\\0' x; echo";
    let text = lab.gsctl().args(["--stream", "exec", "--", command]).run().expect(0).text();
    let mut lines: Vec<(&str, usize)> = text.lines().map(|line| (&line[..7], line.len())).collect();
    lines.sort_unstable();
    assert_eq!(lines, [("node1: ", 7 + (1 << 20)), ("node2: ", 7 + (1 << 20))]);
    // pdsh t6114-no-newline-corruption: what has no line end at all is whole, however long it is.
    for length in [1 << 10, 8191, 8192, 1 << 16, 1 << 20] {
        let command = format!("head -c {length} /dev/zero | tr '\\0' y");
        let text = lab.gsctl().args(["--stream", "exec", "--", &command]).run().expect(0).text();
        assert_eq!((text.matches('y').count(), text.matches("node1: ").count()), (2 * length, 1), "{length}");
    }
}

#[test]
fn clush_diff_stdin_and_stderr() {
    let lab = Lab::start(2);
    let diff = |command: &str| lab.gsctl().args(["--diff", "exec", "--", command]).run().expect(0).text();
    // CLIClushTest.test_010_diff: nothing differs.
    assert!(!diff("echo ok").contains("\n-ok") && diff("echo ok").contains("all the same"));
    // CLIClushTest.test_012_diff_null: one host says something, the other nothing.
    let run = lab.gsctl().args(["--diff", "exec", "--", "test $(hostname) = node2 || echo ok"]).run().expect(0);
    assert_eq!(blocks(&run), [pair("node1 (1 host)", "ok")]);
    assert!(run.stderr.contains("no output: node2"), "{run}");
    // CLIClushTest.test_013_stdin: every host reads all of it, bytes that are no text among them.
    let gzip = b"\x1f\x8b\x08\x00\x86\x9a\x74\x4f\x00\x03\x4b\xcb\xcf\x57\x48\x4a\x2c\xe2\x02\x00\x27\xb4\xdd\x13\x08\x00\x00\x00";
    for (command, input, want) in [
        ("cat", &b"ok"[..], "node1: ok\nnode2: ok\n"),
        ("cat", b"ok\nok", "node1: ok\nnode1: ok\nnode2: ok\nnode2: ok\n"),
        ("gzip -d", gzip, "node1: foo bar\nnode2: foo bar\n"),
    ] {
        let run = lab.gsctl().args(["--stream", "exec", "--stdin", "-", "--", command]).stdin(input).run().expect(0);
        let mut lines: Vec<String> = run.text().lines().map(|line| format!("{line}\n")).collect();
        lines.sort();
        assert_eq!(lines.concat(), want, "{command}");
    }
    // CLIClushTest.test_035/036 and test_014 (nostdin): a command that reads finds the end at once.
    lab.gsctl().args(["exec", "cat"]).stdin("not for it").run().expect(0);
    // CLIClushTest.test_015_stderr: it is told from standard output.
    let run = lab.gsctl().args(["--stream", "-w", "node1", "exec", "--", "echo err >&2"]).run().expect(0);
    assert!(run.stdout.is_empty() && run.stderr.contains("err\n"), "{run}");
}

#[test]
fn return_codes_timeouts_and_limits() {
    let lab = Lab::start(3);
    let outcome = |run: &Run, host: usize, key: &str| run.json()["hosts"][host - 1][key].clone();
    // CLIClushTest.test_017_retcodes, pdsh t2001-ssh `-S`: whatever the status, it is told, and none is a success. 255 is
    // no lost connection.
    for status in [1, 2, 127, 128, 254, 255] {
        let run = lab.gsctl().args(["--json", "-", "-w", "node1", "exec", &format!("exit {status}")]).run().expect(5);
        assert_eq!(outcome(&run, 1, "exit_status"), status, "{run}");
        assert_eq!(outcome(&run, 1, "outcome"), "failed", "{run}");
    }
    // pdsh t2001-ssh, "-S and multiple targets": one that fails among many is enough, whichever it is.
    for failing in 1..=3 {
        let command = format!("test $(hostname) != node{failing} || exit 42");
        let run = lab.gsctl().args(["--json", "-", "exec", &command]).run().expect(5);
        for host in 1..=3 {
            assert_eq!(outcome(&run, host, "exit_status"), if host == failing { 42 } else { 0 }, "{run}");
        }
    }
    // CLIClushTest.test_017_retcodes: hosts with the same status are named together.
    let run = lab.gsctl().args(["exec", "exit 3"]).run().expect(5);
    assert!(run.stderr.contains("FAILED node[1-3] (3 hosts)  command: exit status 3"), "{run}");
    // CLIClushTest.test_019_timeout: named as such, gathered or not.
    for mode in ["--stream", "--gather"] {
        let run = lab.gsctl().args([mode, "-t", "1", "-w", "node1", "exec", "sleep 600"]).run().expect(3);
        assert!(run.stderr.contains("TIMED OUT node1"), "{run}");
    }
    // pdsh t0001-basic: the time is none if nobody says one, and comes from the environment too.
    lab.gsctl().env("GSCTL_TIMEOUT", "1").args(["-w", "node1", "exec", "sleep 600"]).run().expect(3);
    // CLIClushTest.test_002_fanout: all are done, however few at once.
    for fanout in ["1", "2", "10"] {
        let run = lab.gsctl().args(["--fanout", fanout, "--stream", "exec", "echo ok"]).run().expect(0);
        assert_eq!(run.text().matches(": ok\n").count(), 3, "{run}");
    }
    // With one at once nobody begins before the one before has ended.
    let order = lab.gsctl().args(["--fanout", "1", "--jsonl", "-", "exec", "true"]).run().expect(0).text();
    let turns: Vec<String> = order
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|event| matches!(event["event"].as_str(), Some("host_started" | "host_finished")))
        .map(|event| format!("{} {}", event["event"].as_str().unwrap(), event["host"].as_str().unwrap()))
        .collect();
    let hosts: Vec<&str> = turns.iter().map(|turn| turn.split_once(' ').unwrap().1).collect();
    assert!(hosts.chunks(2).all(|pair| pair.len() == 2 && pair[0] == pair[1]) && hosts.len() == 6, "{turns:?}");
    // CLIClushTest.test_038_rlimits: few descriptors are said, and the run goes on with as many hosts as they allow.
    let line = format!(
        "ulimit -n 60; exec {} -f {} -i {} -o UserKnownHostsFile={} exec true",
        env!("CARGO_BIN_EXE_gsctl"),
        lab.hosts_file().display(),
        lab.key().display(),
        lab.known_hosts().display(),
    );
    let limited = Command::new("sh").args(["-c", &line]).env("HOME", lab.client_home()).output().unwrap();
    assert!(limited.status.success(), "{}", String::from_utf8_lossy(&limited.stderr));
}

#[test]
fn pssh_options_long_and_short() {
    let lab = Lab::start(2);
    let hosts = [1, 2].map(|number| lab.node(number).address().ip().to_string());
    let [out, err] = ["out", "err"].map(|name| lab.dir().join("client").join(name));
    let reach = [
        format!("UserKnownHostsFile={}", lab.known_hosts().display()),
        format!("IdentityFile={}", lab.key().display()),
        format!("Port={}", lab.port()),
        format!("User={}", lab.user()),
    ];
    let file = lab.write_hosts_file(&hosts.join("\n"));
    let (file, out_name, err_name) = (file.to_str().unwrap(), out.to_str().unwrap(), err.to_str().unwrap());
    // pssh test.py, testShortOpts and testLongOpts: the same run by either name of each option.
    let short =
        vec!["-h", file, "-p", "64", "-o", out_name, "-e", err_name, "-t", "60", "-v", "-P", "-i", "echo load average"];
    let [hosts_option, out_option, err_option] =
        [format!("--hosts={file}"), format!("--outdir={out_name}"), format!("--errdir={err_name}")];
    let long = vec![
        &*hosts_option,
        "--par=64",
        &*out_option,
        &*err_option,
        "--timeout=60",
        "--verbose",
        "--print",
        "--inline",
        "echo load average",
    ];
    for words in [short, long] {
        for dir in [&out, &err] {
            let _ = fs::remove_dir_all(dir);
        }
        let options = reach.iter().flat_map(|option| ["-O", option]);
        Gsctl::at_home(&lab.client_home()).arg("pssh").args(options).args(&words).run().expect(0);
        for host in &hosts {
            let text = fs::read_to_string(Path::new(&out).join(host)).unwrap();
            assert!(text.contains("load average"), "{words:?}: {text}");
        }
    }
}
