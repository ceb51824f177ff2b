//! What people see: gsctl in real terminals of several widths, in a dumb one, and in a pipe.

use std::fmt::Write as _;
use std::process::Command;

use crate::lab::{Lab, faults, opengauss, wait};

/// What every shell line of a test begins with: gsctl with the lab's files, as words for a shell.
pub(crate) fn gsctl(lab: &Lab) -> String {
    format!(
        "'{}' -f '{}' -i '{}' -F none -o UserKnownHostsFile='{}' --connect-attempts 1",
        env!("CARGO_BIN_EXE_gsctl"),
        lab.hosts_file().display(),
        lab.key().display(),
        lab.known_hosts().display()
    )
}

/// A terminal in a server of its own, with a shell in it.
pub(crate) struct Terminal {
    server: String,
    home: std::path::PathBuf,
}

impl Terminal {
    #[track_caller]
    pub(crate) fn open(lab: &Lab, columns: usize) -> Self {
        let server = format!("gsctl-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let this = Self { server, home: lab.client_home() };
        let mut command = this.command();
        command.args(["-f", "/dev/null", "new-session", "-d", "-x", &columns.to_string(), "-y", "50"]);
        command.args(["env", "-i", "TERM=screen-256color", "LC_ALL=C.UTF-8", "PS1=prompt> "]);
        command
            .arg(format!("HOME={}", this.home.display()))
            .arg("PATH=/usr/bin:/bin")
            .arg("sh")
            .env("LC_ALL", "C.UTF-8");
        assert!(command.status().expect("tmux is there: `make tools` installs it").success());
        this.wait_for("the prompt", |text| text.contains("prompt>"));
        this
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-u", "-L", &self.server]).env_remove("TMUX");
        command
    }

    pub(crate) fn tmux(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// All that the terminal shows and has shown.
    pub(crate) fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-S", "-"]).trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, there: impl Fn(&str) -> bool) {
        let came = wait::within(std::time::Duration::from_secs(60), || there(&self.text()));
        assert!(came, "{what} did not come:\n{}", self.text());
    }

    /// Types a line; gives what is seen below it once the prompt is back.
    #[track_caller]
    fn run(&self, line: &str) -> String {
        self.begin(line);
        self.end()
    }

    pub(crate) fn begin(&self, line: &str) {
        // A script keeps the line short, so that its echo is not broken over lines.
        std::fs::write(self.home.join("run"), line).unwrap();
        self.tmux(&["send-keys", "-l", "clear; sh $HOME/run; echo 'status' $?"]);
        self.tmux(&["send-keys", "Enter"]);
    }

    #[track_caller]
    pub(crate) fn end(&self) -> String {
        self.wait_for("the end", |text| {
            text.lines().any(|line| line.starts_with("status ")) && text.ends_with("prompt>")
        });
        self.text()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.command().arg("kill-server").status();
    }
}

/// Remote output that would like to do something to the terminal.
const HOSTILE: &str = r"printf '\033[2J\033[31mred\rhead\a\t漢字\tend \377\n'; test $(hostname) != node2";

fn seen(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[test]
fn terminals_of_several_widths() {
    let lab = Lab::start(3);
    for columns in [40, 80, 200] {
        let terminal = Terminal::open(&lab, columns);
        let text = terminal.run(&format!("exec {} exec '{}'", gsctl(&lab), HOSTILE.replace('\'', "'\\''")));
        let lines = seen(&text);
        // What nodes print is harmless, and told apart.
        assert!(text.contains("\\x1b[2J\\x1b[31mred\\rhead\\x07"), "{text}");
        assert!(text.contains("漢字") && text.contains("\\xff"), "{text}");
        // Nothing is left of the live view; what failed stands last, by name; the status and the prompt follow.
        assert!(!lines.iter().any(|line| line.contains("running: ") || line.contains('━')), "{text}");
        let summary = lines.iter().position(|line| line.contains("Summary")).unwrap_or_else(|| panic!("{text}"));
        let after = lines[summary..].join(" ");
        assert!(after.contains("FAILED node2"), "{text}");
        assert_eq!(&lines[lines.len() - 2..], ["status 5", "prompt>"], "{text}");
        let rules: Vec<&String> = lines.iter().filter(|line| line.starts_with("-----")).collect();
        assert!(rules.len() >= 4 && rules.iter().all(|rule| rule.chars().count() <= columns), "{text}");
        // No line was broken by the terminal: gsctl's own end between words.
        let joined = terminal.tmux(&["capture-pane", "-p", "-J", "-S", "-"]);
        let wide = |line: &&str| {
            !line.contains("x1b[2J")
                && !line.starts_with("prompt>")
                && unicode_width::UnicodeWidthStr::width(line.trim_end()) > columns
        };
        assert_eq!(joined.lines().find(wide), None, "{joined}");
    }
}

#[test]
fn a_terminal_that_changes_its_size() {
    let lab = Lab::start(3);
    let terminal = Terminal::open(&lab, 120);
    let go = lab.node(1).base().join("go");
    let line = format!("while [ ! -e {} ]; do sleep 0.1; done; echo done", go.display());
    terminal.begin(&format!("exec {} exec '{line}'", gsctl(&lab)));
    for columns in [40, 100, 60] {
        terminal.wait_for("the live view", |text| text.contains("running: ") && text.contains("0/3 "));
        terminal.tmux(&["resize-window", "-x", &columns.to_string()]);
        // The view comes anew, in the new width, and each host has no more than its one line.
        let (mut last, fits) = (String::new(), |text: &str| {
            let lines = seen(text);
            let bars = lines.iter().filter(|line| line.contains("0/3 ")).count();
            bars == 1 && lines.iter().all(|line| line.chars().count() <= columns)
        });
        let fitted = wait::within(std::time::Duration::from_secs(60), || {
            last = terminal.tmux(&["capture-pane", "-p"]);
            fits(&last)
        });
        assert!(fitted, "{columns} columns:\n{last}");
    }
    lab.nodes().iter().for_each(|node| node.write(&go, ""));
    let text = terminal.end();
    let lines = seen(&text);
    assert!(text.contains("3 hosts: 3 ok") && text.contains("node[1-3]"), "{text}");
    assert_eq!(&lines[lines.len() - 2..], ["status 0", "prompt>"], "{text}");
}

#[test]
fn no_escape_sequence_where_none_is_wanted() {
    let lab = Lab::start(2);
    let command = || lab.gsctl().args(["exec", "echo hi; test $(hostname) != node2"]);
    for variable in [("TERM", "dumb"), ("NO_COLOR", "1"), ("TERM", "xterm")] {
        let run = command().env(variable.0, variable.1).run().expect(5);
        assert!(!run.stdout.contains(&0x1b) && !run.stderr.contains(['\x1b', '\r']), "{run}");
    }
    // On a terminal, `script` shows every byte.
    for (variable, wanted) in [("TERM=dumb", false), ("NO_COLOR=1 TERM=dumb", false), ("TERM=xterm", true)] {
        let line = format!("env {variable} {} exec 'echo hi; test $(hostname) != node2'", gsctl(&lab));
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &line, "/dev/null"]).env("HOME", lab.client_home());
        let output = script.stdin(std::process::Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("hi") && text.contains("FAILED"), "{text}");
        assert_eq!(text.contains('\x1b'), wanted, "{variable}: {text:?}");
    }
}

#[test]
fn past_runs_and_states_fit_narrow_terminals() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    lab.gsctl().args(["start", "--wait", "60s"]).run().expect(0);
    lab.gsctl().args(["exec", &format!("true {}", "word ".repeat(40))]).run().expect(0);
    for columns in [40, 80] {
        let terminal = Terminal::open(&lab, columns);
        let fits = |text: &str| {
            let wide = |line: &str| unicode_width::UnicodeWidthStr::width(line.trim_end()) > columns;
            let whole = terminal.tmux(&["capture-pane", "-p", "-J", "-S", "-"]);
            let broken = whole.lines().filter(|line| !line.contains("prompt>")).find(|line| wide(line));
            assert_eq!(broken, None, "{columns} columns:\n{text}");
        };
        // The id of a run takes half of forty columns.
        if columns == 80 {
            let text = terminal.run(&format!("exec '{}' runs", env!("CARGO_BIN_EXE_gsctl")));
            assert!(text.contains("exec true word") && text.contains("opengauss/start"), "{text}");
            fits(&text);
        }
        let text = terminal.run(&format!("exec {} status", gsctl(&lab)));
        fits(&text);
        assert!(text.contains("node3"), "{text}");
        assert_eq!(text.contains("✓✓✓✓✓"), columns == 40, "{text}");
        assert_eq!(text.contains("GAUSSDB"), columns == 80, "{text}");
    }
}

#[test]
fn a_thousand_hosts_fit_a_terminal() {
    let lab = Lab::start(1);
    let closed = faults::closed_port();
    let lines = (1..=1000).fold(String::new(), |mut text, number| {
        let _ = write!(text, "{}", lab.hosts_line(&format!("many{number:04}"), closed.address()));
        text
    });
    std::fs::write(lab.hosts_file(), lines).unwrap();
    let terminal = Terminal::open(&lab, 80);
    let line = format!("exec {} exec true", gsctl(&lab));
    let lines = seen(&terminal.run(&line));
    assert!(lines.len() < 40, "{lines:#?}");
    let text = lines.join("\n");
    assert!(text.contains("1000 hosts: 1000 unreachable"), "{text}");
    assert!(text.contains("many[0001-1000]") && text.contains("connection refused"), "{text}");
    assert_eq!(&lines[lines.len() - 2..], ["status 4", "prompt>"], "{text}");
}

/// What a question hides is seen again, whatever ended it.
#[test]
fn a_question_that_is_cut_short_leaves_the_echo_on() {
    let lab = Lab::start(1);
    let encrypted = lab.add_key(&crate::lab::Key::ed25519().passphrase("open sesame"));
    let line = gsctl(&lab);
    let passphrase = format!("{} -i {} ping", line, encrypted.display());
    for (line, question, ends) in [
        (format!("{line} --ask-password ping"), "Password for the hosts: ", "C-c"),
        (format!("{line} --ask-password ping"), "Password for the hosts: ", "TERM"),
        (format!("{line} --ask-password ping"), "Password for the hosts: ", "HUP"),
        (passphrase, "Passphrase for key ", "C-c"),
    ] {
        let terminal = Terminal::open(&lab, 100);
        terminal.begin(&format!("exec {line}"));
        terminal.wait_for("the question", |text| text.contains(question.trim_end()));
        if ends == "C-c" {
            terminal.tmux(&["send-keys", "C-c"]);
        } else {
            let pane = terminal.tmux(&["display-message", "-p", "#{pane_pid}"]);
            let children = format!("/proc/{0}/task/{0}/children", pane.trim());
            let child = std::fs::read_to_string(children).unwrap();
            assert!(std::process::Command::new("kill").args(["-s", ends, child.trim()]).status().unwrap().success());
        }
        let text = terminal.end();
        let status = if ends == "C-c" { "status 130" } else { "status 143" };
        assert!(text.contains(status), "{ends}: {text}");
        // The shell's own line editing would set it again: ask before.
        let text = terminal.run("stty -a");
        assert!(text.contains(" echo ") && !text.contains("-echo "), "{ends}: {text}");
    }
}

/// What a terminal gets of a shell line.
fn in_terminal(lab: &Lab, line: &str) -> String {
    let mut command = Command::new("script");
    command.args(["-qec", line, "/dev/null"]).env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "xterm");
    command.env("HOME", lab.client_home()).env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1").env("CI", "1");
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn nothing_that_a_node_or_a_name_says_moves_the_cursor() {
    let lab = Lab::start(1);
    let gsctl = env!("CARGO_BIN_EXE_gsctl");
    let reach: Vec<String> = crate::pssh::reach(&lab).iter().map(|word| format!("'{word}'")).collect();
    let reach = reach.join(" ");
    let one = lab.node(1).address().ip();
    let evil = "$(printf 'x\\033[2Jy\\007')";
    let printf = "'printf \"a\\033[2Jb\\007\\n\"; printf \"c\\033[2Jd\\n\" >&2'";
    for (line, want) in [
        (format!("{gsctl} pssh {reach} -i -H {one} {printf}"), "a\\x1b[2Jb\\x07"),
        (format!("{gsctl} pssh {reach} -P -H {one} {printf}"), "a\\x1b[2Jb\\x07"),
        (format!("{gsctl} pssh --dialect opengauss {reach} -s -H {one} {printf}"), "c\\x1b[2Jd"),
        (format!("{gsctl} -w n1 --dry-run exec {evil}"), "x\\x1b[2Jy\\x07"),
        (format!("{gsctl} -w n1 --dry-run touch /tmp/{evil}"), "x\\x1b[2Jy\\x07"),
        (format!("{gsctl} --no{evil}"), "error: "),
        (format!("{gsctl} --fanout {evil} ping"), "error: "),
        (format!("{gsctl} pssh -p {evil} -H a b"), "error: "),
    ] {
        let text = in_terminal(&lab, &line);
        assert!(text.contains(want), "{line}\n{text:?}");
        assert!(!text.contains(['\x1b', '\x07']), "{line}\n{text:?}");
    }
}
