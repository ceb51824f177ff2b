//! `gsctl pssh`: the lines and exit statuses of Debian's pssh, and what the parsers of openGauss make of the other dialect.

use crate::gsctl::{Gsctl, Run};
use crate::lab::Lab;

/// Options that bring any ssh to the lab, and to nobody else.
pub(crate) fn reach(lab: &Lab) -> Vec<String> {
    let options = [
        format!("UserKnownHostsFile={}", lab.known_hosts().display()),
        format!("IdentityFile={}", lab.key().display()),
        format!("Port={}", lab.port()),
        format!("User={}", lab.user()),
        "IdentitiesOnly=yes".to_owned(),
        "BatchMode=yes".to_owned(),
    ];
    options.into_iter().flat_map(|option| ["-O".to_owned(), option]).collect()
}

pub(crate) fn ours(lab: &Lab, words: &[&str]) -> Gsctl {
    Gsctl::at_home(&lab.client_home()).arg("pssh").args(reach(lab)).args(words)
}

/// Lines without their number and time, in an order that does not depend on who was first.
pub(crate) fn plain(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| match line.split_once("] ") {
            Some((number, rest)) if number.starts_with('[') => rest.get(9..).unwrap_or(rest).to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn files_hold_what_the_hosts_said() {
    let lab = Lab::start(1);
    let one = lab.node(1).address().ip().to_string();
    let [out, err] = ["out", "err"].map(|name| lab.dir().join("client").join(name));
    let words = ["-o", out.to_str().unwrap(), "-e", err.to_str().unwrap(), "-H", &one, "-H", &one, "ls /no/such/file"];
    ours(&lab, &words).run().expect(5);
    // pssh's test.py: standard error holds the message, and there is no file for standard output, which is empty.
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
    for name in [one.clone(), format!("{one}.1")] {
        assert!(std::fs::read_to_string(err.join(&name)).unwrap().contains("No such file"), "{name}");
    }
    let run = ours(&lab, &["-I", "-i", "-H", &one, "cat"]).stdin("to all\n").run().expect(0);
    assert!(run.text().ends_with("to all\n"), "{run}");
    let run = ours(&lab, &["-p", "0", "-H", &one, "true"]).run().expect(2);
    assert!(run.stdout.is_empty(), "{run}");
}

/// `CheckClusterRunningStatus` of `cm_ctl`: what each line means, and the node by its address between spaces.
fn cm_ctl(run: &Run, host: &str) -> Vec<String> {
    let text = run.text();
    let lines = text.lines().filter_map(|line| {
        assert!(line.contains(&format!(" {host}")), "{line}");
        if line.contains("SUCCESS") {
            Some("stopped".to_owned())
        } else if line.contains("Timed out") {
            assert!(line.contains(&format!(" {host} ")), "{line}");
            Some("timeout".to_owned())
        } else {
            let at = line.find("Exited with error code")?;
            assert!(line.contains(&format!(" {host} ")), "{line}");
            Some(line[at..].trim_start_matches(|c: char| !('1'..='9').contains(&c)).to_owned())
        }
    });
    lines.collect()
}

#[test]
fn the_parsers_of_opengauss_read_it_right() {
    let lab = Lab::start(2);
    let hosts = [1, 2].map(|number| lab.node(number).address().ip().to_string());
    let one = &hosts[0];
    let timeouts = ["-t", "60", "-O", "ConnectTimeout=5", "-O", "ConnectionAttempts=3", "-O", "ServerAliveInterval=15"];
    let run = |words: &[&str]| {
        let run = ours(&lab, &[&timeouts[..], &["-O", "ServerAliveCountMax=3"], words].concat());
        run.env("GSCTL_PSSH_DIALECT", "opengauss").env("GSCTL_JSON", "-").env("GSCTL_TIMEOUT", "x").run()
    };
    for (command, said, status) in
        [("true", "stopped", 0), ("exit 1", "1", 5), ("exit 4", "4", 5), ("exit 127", "127", 5), ("exit 255", "255", 4)]
    {
        let run = run(&["-H", one, command]).expect(status);
        assert_eq!(cm_ctl(&run, one), [said], "{run}");
    }
    assert_eq!(cm_ctl(&run(&["-t", "1", "-H", one, "sleep 600"]).expect(3), one), ["timeout"]);
    // `cm_ctl list`: sed '1d;$d'.
    let list = run(&["-H", one, "echo head; echo a = 1; echo b = 2"]).expect(0).text();
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines[1..lines.len() - 1], ["a = 1", "b = 2"], "{list}");
    // `ctl_switch`: sed '$d', then "%s %d".
    let switch = run(&["-H", one, "echo 0"]).expect(0).text();
    assert_eq!(switch.lines().next().unwrap(), format!("{one}: 0"));
    // `-s`: the output alone, and the host's own status.
    let shell = run(&["-s", "--trace-id", "7", "-H", one, "printf x; echo e >&2; exit 9"]).expect(9);
    assert_eq!((shell.text().as_str(), shell.stderr.as_str()), ("x\n", "e\n"));
    // OM's SshTool: a result for each host, in the third and fourth field, and its files, empty ones too.
    let file = lab.write_hosts_file(&hosts.join("\n"));
    let [out, err] = ["og-out", "og-err"].map(|name| lab.dir().join("client").join(name));
    let words =
        ["-h", file.to_str().unwrap(), "-P", "-p", "300", "-o", out.to_str().unwrap(), "-e", err.to_str().unwrap()];
    let tool = run(&[&words[..], &["echo some words of four fields"]].concat()).expect(0).text();
    let mut found: Vec<&str> = tool
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| fields.len() >= 4 && fields[2] == "[SUCCESS]")
        .map(|fields| fields[3])
        .collect();
    found.sort_unstable();
    assert_eq!(found, [hosts[0].as_str(), hosts[1].as_str()], "{tool}");
    for host in &hosts {
        assert_eq!(std::fs::read_to_string(out.join(host)).unwrap(), "some words of four fields\n");
        assert_eq!(std::fs::read(err.join(host)).unwrap(), b"");
    }
}
