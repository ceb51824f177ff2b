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

/// What openGauss' OM makes of a run: its `SshTool`, written anew. The lines are split at blanks: the third field is the result,
/// the fourth the host; then come the files of each host.
struct SshTool<'lab> {
    lab: &'lab Lab,
    bin: std::path::PathBuf,
    dir: std::path::PathBuf,
}

/// Each host with its result, and all that the hosts said.
type Collected = (Vec<(String, bool)>, String);

impl<'lab> SshTool<'lab> {
    /// The shim under the names that OM calls.
    fn new(lab: &'lab Lab) -> Self {
        let (bin, dir) = (lab.dir().join("client/om's bin"), lab.dir().join("client/om"));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&dir).unwrap();
        let shim = Gsctl::at_home(&lab.client_home()).args(["pssh", "--print-shim"]).run().expect(0).text();
        assert_eq!(shim.lines().count(), 3, "{shim}");
        for name in ["pssh", "pscp"] {
            std::fs::write(bin.join(name), &shim).unwrap();
        }
        Self { lab, bin, dir }
    }

    fn path(&self, name: &str) -> String {
        gsctl::testing::quote(self.dir.join(name).to_str().unwrap())
    }

    /// `subprocess.getstatusoutput`: both streams, without the last line end. tee's status is that of the whole.
    fn call(&self, program: &str, options: &str, hosts: &[String], words: &str) -> String {
        for name in ["result", "out", "err"] {
            let _ = std::fs::remove_dir_all(self.dir.join(name));
        }
        std::fs::write(self.dir.join("hosts"), hosts.join("\n") + "\n").unwrap();
        let reach: Vec<String> = reach(self.lab).iter().map(|word| gsctl::testing::quote(word)).collect();
        let text = format!(
            "source /etc/profile && python3 {} {} {options} -p 300 -h {} -o {} -e {} {words} 2>&1 | tee {}",
            gsctl::testing::quote(self.bin.join(program).to_str().unwrap()),
            reach.join(" "),
            self.path("hosts"),
            self.path("out"),
            self.path("err"),
            self.path("result"),
        );
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &text]).env("HOME", self.lab.client_home()).env_remove("GSCTL_PSSH_DIALECT");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    fn collect(&self, hosts: &[String]) -> Collected {
        let text = std::fs::read_to_string(self.dir.join("result")).unwrap();
        let results: Vec<(String, bool)> = text
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .filter(|fields| fields.len() >= 4 && ["[SUCCESS]", "[FAILURE]"].contains(&fields[2]))
            .map(|fields| (fields[3].to_owned(), fields[2] == "[SUCCESS]"))
            .collect();
        assert_eq!(results.len(), hosts.len(), "OM wants one result for each host\n{text}");
        let files = hosts.iter().flat_map(|host| ["out", "err"].map(|name| self.dir.join(name).join(host)));
        let said = files.map(|file| std::fs::read_to_string(file).unwrap_or_default()).collect();
        (results, said)
    }

    fn get_ssh_status_output(&self, command: &str, hosts: &[String], seconds: u32) -> Result<Collected, String> {
        let words = format!("\"source /etc/profile;source ~/.bashrc;{command}\"");
        let output = self.call("pssh", &format!("-t {seconds} -P"), hosts, &words);
        if output.contains("Timed out, Killed by signal 9") { Err(output) } else { Ok(self.collect(hosts)) }
    }

    /// With `checkenv` each line must be a success: what a profile prints is an error then.
    fn execute_command(&self, command: &str, hosts: &[String]) -> Result<(), String> {
        let words = format!("\"source /etc/profile;source ~/.bashrc;{command}\"");
        let output = self.call("pssh", "-t 40 -P", hosts, &words);
        let (results, said) = self.collect(hosts);
        if results.iter().any(|(_, success)| !success) {
            return Err(said);
        }
        match output.lines().find(|line| !line.is_empty() && !line.contains("[SUCCESS]")) {
            Some(line) => Err(line.to_owned()),
            None => Ok(()),
        }
    }

    fn scp_files(&self, from: &str, to: &str, hosts: &[String]) -> Collected {
        self.call("pscp", "-r -v -t 40", hosts, &format!("{from} {to}"));
        self.collect(hosts)
    }
}

#[test]
fn om_calls_it_through_python() {
    let lab = Lab::builder().nodes(2).shell("/bin/bash").start();
    (1..=2).for_each(|number| lab.node(number).write("home/.bashrc", "export GREETING=hello\n"));
    let hosts = [1, 2].map(|number| lab.node(number).address().ip().to_string());
    let tool = SshTool::new(&lab);

    let (results, said) = tool.get_ssh_status_output("echo \\$GREETING; echo oops >&2", &hosts, 40).unwrap();
    assert!(results.iter().all(|(_, success)| *success), "{results:?}");
    assert_eq!((said.matches("hello").count(), said.matches("oops").count()), (2, 2), "{said}");
    let (results, said) = tool.get_ssh_status_output("echo GAUSS-51100 >&2; exit 3", &hosts, 40).unwrap();
    assert!(results.iter().all(|(_, success)| !success) && said.contains("GAUSS-51100"), "{said}");

    assert_eq!(tool.execute_command("true", &hosts), Ok(()));
    assert!(tool.execute_command("echo a profile that talks", &hosts).unwrap_err().contains("talks"));
    assert!(tool.execute_command("echo why >&2; exit 1", &hosts).unwrap_err().contains("why"));

    let output = tool.get_ssh_status_output("sleep 4777", &hosts, 1).unwrap_err();
    assert!(output.contains("Timed out, Killed by signal 9"), "{output}");
    for number in 1..=2 {
        crate::failures::until_gone(lab.node(number), "sleep 4777");
    }

    std::fs::create_dir_all(tool.dir.join("files")).unwrap();
    std::fs::write(tool.dir.join("files/one"), "text").unwrap();
    let (results, _) = tool.scp_files(&tool.path("files"), ".", &hosts);
    assert!(results.iter().all(|(_, success)| *success), "{results:?}");
    (1..=2).for_each(|number| assert_eq!(lab.node(number).text("home/files/one"), "text"));
}

#[test]
fn names_are_no_options_of_rsync() {
    let lab = Lab::start(1);
    let (dir, mark) = (lab.dir().join("client"), lab.dir().join("client/mark"));
    let (file, rsh) = (dir.join("-e"), format!("--rsh=touch {}", mark.display()));
    std::fs::write(file, "").unwrap();
    let hosts = lab.write_hosts_file("-eid\n--rsh=id\n");
    let prsync = |words: &[&str]| {
        Gsctl::at_home(&lab.client_home()).arg("prsync").args(reach(&lab)).args(words).current_dir(&dir).run()
    };
    let run = prsync(&["-h", hosts.to_str().unwrap(), "hosts", "/tmp/x"]).expect(2);
    assert!(run.stderr.contains("more than a name to a shell"), "{run}");
    let one = lab.node(1).address().ip().to_string();
    prsync(&["-H", &one, "hosts", &rsh, "/tmp/x"]).expect(4);
    assert!(!mark.exists());
}

#[test]
fn pslurp_stays_in_each_hosts_own_directory() {
    let lab = Lab::start(1);
    lab.node(1).write("data/file", "text");
    let remote = lab.node(1).base().join("data/file").display().to_string();
    let here = lab.dir().join("client/slurp");
    std::fs::create_dir(&here).unwrap();
    let one = lab.node(1).address().ip().to_string();
    let pslurp = |host: &str, local: &str| {
        let words = ["-L", "in", "-H", host, &remote, local];
        Gsctl::at_home(&lab.client_home()).arg("pslurp").args(reach(&lab)).args(words).current_dir(&here).run()
    };
    for local in ["../../out", "/tmp/gsctl-out", ".."] {
        let run = pslurp(&one, local).expect(2);
        assert!(run.stderr.contains("leads out of"), "{run}");
    }
    pslurp("../../up", "file");
    assert_eq!(
        std::fs::read_dir(lab.dir().join("client"))
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("up") })
            .count(),
        0
    );
    pslurp(&one, "file").expect(0);
    assert_eq!(std::fs::read_to_string(here.join(format!("in/{one}:None/file"))).unwrap(), "text");
}
