//! pssh and its siblings of Debian, and gsctl in their place: the same invocations, the same lines, exit statuses and files.
//! What is different is listed in `docs/pssh.md`, and nothing else is.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::gsctl::Gsctl;
use crate::lab::{Lab, faults};
use crate::pssh::{plain, reach};

/// How far an invocation is the same with both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Same {
    /// Status, standard output and standard error.
    All,
    /// Not standard error, which is what this row of the document is about.
    ButStderr(&'static str),
    /// Not standard output either.
    ButLines(&'static str),
    /// Nothing, not even the status.
    Nothing(&'static str),
}

impl Same {
    fn row(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::ButStderr(row) | Self::ButLines(row) | Self::Nothing(row) => Some(row),
        }
    }
}

use Same::{All, ButLines, ButStderr, Nothing};

const USAGE: &str = "errors of the command line, and `Could not open hosts file`";
const SSH: &str = "words of ssh itself (`-i`, `-e`)";
const TIMEOUT: &str = "a timeout";
const PYTHON: &str = "warnings of Python with `-o` and `-e`";
const HERE: &str = "`pscp`: a file here that cannot be read";

/// Rows that no invocation here shows, and why.
const UNSHOWN: [&str; 16] = [
    "`-p 0`",                                            // it would hang for ever
    "a command that times out, or is interrupted",       // tests of timeouts and interrupts show it
    "`-t`",                                              // a question of when
    "`-P`",                                              // pssh cuts where the network does
    "an IPv6 address without brackets",                  // the lab has none
    "host keys, keys, `ssh_config`",                     // tests of their own
    "colours",                                           // for a terminal
    "warnings",                                          // there are none
    "`-A`",                                              // on a terminal: a test of passwords shows it
    "`-A` with `prsync`",                                // pssh would ask
    "`-x`, `-X`",                                        // what cannot be honoured: a test of its own
    "`--fileappend`, `--no-headers`, `--dialect`, `-s`", // pssh 2.3.4 has none of them
    "`pscp`, `pslurp`: how",                             // what the files are is compared below
    "`pslurp`: a host named twice",                      // pssh's own two race
    "`pslurp`: `*` in the path",                         // the remote shell of an old scp
    "a program that `prsync` cannot find",               // both need it here
];

struct Invocation<'a> {
    program: &'a str,
    words: Vec<String>,
    env: &'a [(&'a str, &'a str)],
    stdin: &'a str,
    same: Same,
}

fn row<'a>(program: &'a str, words: &[&str], same: Same) -> Invocation<'a> {
    let stdin = if words.contains(&"-I") { "echo read\n" } else { "" };
    Invocation { program, words: words.iter().map(|&word| word.to_owned()).collect(), env: &[], stdin, same }
}

fn debian(program: &str) -> String {
    match program {
        "prsync" => "parallel-rsync".to_owned(),
        program => program.replacen('p', "parallel-", 1),
    }
}

/// The words for one of the two: `@` is its own name, so that files do not meet.
fn words(invocation: &Invocation<'_>, whose: &str, lab: &Lab) -> Vec<String> {
    let own = invocation.words.iter().map(|word| word.replace('@', whose));
    reach(lab).into_iter().chain(own).collect()
}

fn peer(invocation: &Invocation<'_>, lab: &Lab) -> Output {
    let program = debian(invocation.program);
    let mut command = Command::new(&program);
    command.args(words(invocation, "real", lab)).envs(invocation.env.iter().copied()).current_dir(lab.client_home());
    command.env("HOME", lab.client_home()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn();
    let mut child = child.unwrap_or_else(|error| panic!("`{program}`: {error}; apt-get install -y pssh"));
    // One that does not read is not waited for.
    let _ = child.stdin.take().unwrap().write_all(invocation.stdin.as_bytes());
    child.wait_with_output().unwrap()
}

/// The same with gsctl, under the name of the program.
fn ours(invocation: &Invocation<'_>, lab: &Lab) -> crate::gsctl::Run {
    let gsctl = Gsctl::at_home(&lab.client_home()).arg(invocation.program).args(words(invocation, "ours", lab));
    invocation.env.iter().fold(gsctl, |gsctl, (name, value)| gsctl.env(name, value)).stdin(invocation.stdin).run()
}

/// Whether both did the same, as far as they should.
fn differs(invocation: &Invocation<'_>, lab: &Lab) -> Option<String> {
    let (real, run) = (peer(invocation, lab), ours(invocation, lab));
    // Which of its two processes rsync listens to when the connection fails is a race of its own.
    let raced =
        |text: String| if invocation.program == "prsync" { text.replace("code 12\n", "code 255\n") } else { text };
    let text = |bytes: &[u8], whose: &str| plain(&raced(String::from_utf8_lossy(bytes).replace(whose, "@")));
    let status = Some(run.status) == real.status.code();
    let stdout = text(&run.stdout, "ours") == text(&real.stdout, "real");
    let stderr = text(run.stderr.as_bytes(), "ours") == text(&real.stderr, "real");
    let fine = match invocation.same {
        All => status && stdout && stderr,
        // A difference that is none any more must not stay in the list.
        ButStderr(row) => status && stdout && (!stderr || row == PYTHON),
        ButLines(row) => status && (!stdout || row == TIMEOUT),
        Nothing(_) => !status,
    };
    let program = invocation.program;
    (!fine).then(|| format!("{program} {:?} {:?}\n{run}\n{real:#?}", invocation.words, invocation.same))
}

fn file_list(dir: &Path) -> String {
    let find = "find . -type f -exec sha256sum {} + | sort";
    String::from_utf8(Command::new("sh").args(["-c", find]).current_dir(dir).output().unwrap().stdout).unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table, one lab")]
fn the_lines_statuses_and_files_are_those_of_pssh() {
    let lab = Lab::builder().nodes(3).sshd_config("AcceptEnv PSSH_*\n").start();
    let hosts = [1, 2, 3].map(|number| lab.node(number).address().ip().to_string());
    let [one, two, _] = hosts.each_ref().map(String::as_str);
    let listed = lab.write_hosts_file(&format!("# nodes\n{one}\n\n{two} # the second\n{}\na b c\n", hosts[2]));
    let file = listed.to_str().unwrap();
    let clean = lab.client_home().join("clean");
    fs::write(&clean, hosts.join("\n")).unwrap();
    let clean = clean.to_str().unwrap();
    let both = format!("{one} {two}");
    let closed = faults::closed_port();
    let gone = closed.address().to_string();
    let (user, port) = (lab.user().to_owned(), lab.port());
    let at = format!("{user}@{one}");
    let (with_port, twice) = (format!("{one}:{port}"), format!("{one} {one}"));
    let last = format!("*.{}", one.rsplit('.').next().unwrap());
    let home = lab.client_home();
    let tree = home.join("tree/sub");
    fs::create_dir_all(&tree).unwrap();
    fs::write(tree.join("a b"), "one").unwrap();
    fs::write(home.join("tree/c"), "two").unwrap();
    fs::write(home.join("plain"), "three").unwrap();
    for node in lab.nodes() {
        node.sh(
            "mkdir -m 777 /tmp/real /tmp/ours; mkdir -p /tmp/from/sub; echo a >/tmp/from/a; echo b >/tmp/from/sub/b",
        );
        node.sh("chmod -R a+rX /tmp/from");
    }
    let mut invocations = vec![
        row("pssh", &["-h", file, "true"], All),
        row("pssh", &["-h", file, "-i", "echo out; echo err >&2"], All),
        row("pssh", &["-h", file, "--inline-stdout", "echo out; echo err >&2"], All),
        row("pssh", &["-H", one, "-i", "printf no-newline"], All),
        row("pssh", &["-H", one, "-i", "printf 'a\\377\\000b\\n'"], All),
        row("pssh", &["-H", one, "-H", two, "exit 3"], All),
        row("pssh", &["-H", one, "-i", "exit 255"], All),
        row("pssh", &["-H", one, "kill -9 $$"], All),
        row("pssh", &["-H", one, "-i", "kill -9 $$"], ButLines(SSH)),
        row("pssh", &["-H", one, "-P", "echo", "one  line"], All),
        row("pssh", &["-h", "/nonexistent/hosts", "true"], ButStderr(USAGE)),
        row("pssh", &["-i", "-p", "1", "-H", &both, "echo", "-p", "-i", "x"], All),
        row("pssh", &["-t", "0", "-iH", one, "echo one; exit 1"], All),
        row("pssh", &["--hosts", clean, "--par=1", "--timeout=30", "--inline", "false"], All),
        row("pssh", &["-H", &twice, "-i", "echo twice"], All),
        row("pssh", &["-l", &user, "-H", &at, "true"], All),
        row("pssh", &["-H", &at, "true"], All),
        row("pssh", &["-H", &with_port, "true"], All),
        row("pssh", &["-t", "1", "-H", one, "sleep 600"], ButLines(TIMEOUT)),
        row("pssh", &["true"], ButStderr(USAGE)),
        row("pssh", &["-H", one], ButStderr(USAGE)),
        row("pssh", &["--nonsense", "-H", one, "true"], ButStderr(USAGE)),
        row("pssh", &["-p", "x", "-H", one, "true"], ButStderr(USAGE)),
        row("pssh", &["--version"], ButLines("`--version`, `--help`")),
        row("pssh", &["-h", "/dev/null", "true"], ButStderr("no host left in the hosts file")),
        row("pssh", &["-x", "-o ConnectTimeout=9 -q", "-H", one, "-i", "echo x"], All),
        row("pssh", &["-X", "-q", "-X", "-oConnectTimeout=9", "-H", one, "true"], All),
        row("pssh", &["-g", &last, "-h", clean, "-i", "echo globbed"], All),
        row("pssh", &["-g", "nothing[!x]*", "-h", clean, "-H", two, "true"], All),
        row("pssh", &["-p", "1", "-i", "-h", clean, "echo $PSSH_NODENUM $PSSH_NUMNODES $PSSH_HOST"], All),
        row("pssh", &["-I", "-i", "-h", clean, "cat"], All),
        row("pssh", &["-I", "-i", "-H", one], All),
        row("pssh", &["-v", "-H", one, "true"], All),
        row("pssh", &["-H", &gone, "true"], All),
        row("pssh", &["-H", &gone, "-H", one, "-i", "true"], ButLines(SSH)),
        row("pssh", &["-o", "@/out", "-e", "@/err", "-h", clean, "echo out; echo err >&2; exit 2"], ButStderr(PYTHON)),
        row("pssh", &["-o", "@/out2", "-H", &twice, "echo once more"], ButStderr(PYTHON)),
        row("pnuke", &["-h", clean, "no_such_program"], All),
        row("pnuke", &["-H", one], ButStderr(USAGE)),
        row("pnuke", &["-H", &gone, "x"], All),
        row("pscp", &["-h", clean, "plain", "/tmp/@/plain"], All),
        row("pscp", &["-H", one, "plain", "tree/c", "/tmp/@"], All),
        row("pscp", &["-r", "-h", clean, "tree", "/tmp/@/"], All),
        row("pscp", &["-rH", one, "tree", "/tmp/@/renamed"], All),
        row("pscp", &["-H", one, "tree", "/tmp/@/"], All),
        row("pscp", &["-H", one, "missing", "/tmp/@/"], All),
        row("pscp", &["-H", &gone, "tree", "/tmp/@/"], ButLines(HERE)),
        row("pscp", &["-H", one, "plain", "/no/such/dir/x"], All),
        row("pscp", &["-H", &gone, "-H", one, "plain", "/tmp/@/late"], All),
        row("pscp", &["-H", one, "plain"], ButStderr(USAGE)),
        row("pslurp", &["-h", clean, "/tmp/from/a", "a"], Nothing("`pslurp` without `-L`")),
        row("pslurp", &["-L", "@/slurped", "-r", "-h", clean, "/tmp/from", "all"], All),
        row("pslurp", &["-L", "@/with-port", "-H", &with_port, "/tmp/from/a", "."], All),
        row("pslurp", &["-L", "@/x", "-H", one, "/tmp/from", "nothing"], All),
        row("pslurp", &["-L", "@/x", "-h", clean, "/tmp/missing", "nothing"], All),
        row("pslurp", &["-L", "@/x", "-H", &gone, "/tmp/from/a", "a"], All),
        row("pslurp", &["-H", one, "a", "b", "c"], ButStderr(USAGE)),
        row("prsync", &["-r", "-h", clean, "tree", "/tmp/@/synced"], All),
        row("prsync", &["-a", "-z", "-v", "-H", one, "-x", "--delete --exclude 'a b'", "tree/", "/tmp/@/mirror/"], All),
        row("prsync", &["-H", one, "missing", "/tmp/@/"], All),
        row("prsync", &["-H", &gone, "plain", "/tmp/@/"], All),
        row("prsync", &["plain", "/tmp/@/"], ButStderr(USAGE)),
    ];
    invocations.push(Invocation {
        env: &[("PSSH_INLINE", "1"), ("PSSH_PAR", "1")],
        ..row("pssh", &["-H", one, "echo x"], All)
    });
    invocations.push(Invocation {
        env: &[("PSSH_TIMEOUT", "9"), ("PSSH_OPTIONS", "ConnectTimeout=9")],
        ..row("pssh", &["-H", one, "true"], All)
    });
    let listed_there = [("PSSH_HOSTS", clean)];
    invocations.push(Invocation { env: &listed_there, ..row("pssh", &["-i", "echo old"], All) });
    assert!(invocations.len() >= 40);
    fs::create_dir_all(home.join("real")).unwrap();
    fs::create_dir_all(home.join("ours")).unwrap();
    let wrong: Vec<String> = invocations.iter().filter_map(|invocation| differs(invocation, &lab)).collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), invocations.len(), wrong.join("\n\n"));

    // What they left behind.
    assert_eq!(file_list(&home.join("ours")), file_list(&home.join("real")));
    assert!(home.join("ours/slurped").exists() && home.join(format!("{one}:None/a")).exists());
    for node in lab.nodes() {
        let sums = |whose: &str| {
            let find = format!("cd /tmp/{whose} && find . -type f -exec sha256sum {{}} + | sort");
            String::from_utf8(node.sh(&find).stdout).unwrap()
        };
        assert_eq!(sums("ours"), sums("real"), "{}", node.name());
        assert!(sums("ours").contains("synced/tree/sub/a b"), "{}", sums("ours"));
    }

    // The document lists what is different here, and nothing else.
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/pssh.md")).unwrap();
    let table = text.split("\n## ").find(|part| part.starts_with("What is different")).unwrap();
    let listed: BTreeSet<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).skip(1).collect();
    let known: BTreeSet<&str> = invocations.iter().filter_map(|one| one.same.row()).chain(UNSHOWN).collect();
    assert_eq!(listed, known);
}

#[test]
fn they_go_by_their_names() {
    let lab = Lab::start(1);
    let one = lab.node(1).address().ip().to_string();
    lab.node(1).sh_as_user("cp /bin/sleep /tmp/gsctl-victim && /tmp/gsctl-victim 2000 >/dev/null 2>&1 &");
    fs::write(lab.client_home().join("here"), "").unwrap();
    for name in ["parallel-nuke", "pscp"] {
        let link = lab.client_home().join(name);
        symlink(env!("CARGO_BIN_EXE_gsctl"), &link).unwrap();
        let words: &[&str] =
            if name == "pscp" { &["-H", &one, "here", "/tmp/here"] } else { &["-H", &one, "gsctl-victim"] };
        let run = Command::new(&link).args(reach(&lab)).args(words).current_dir(lab.client_home()).output().unwrap();
        let said = plain(&String::from_utf8(run.stdout.clone()).unwrap());
        assert_eq!((run.status.code(), said), (Some(0), vec![format!("[SUCCESS] {one}")]), "{run:?}");
    }
    assert!(lab.node(1).exists("/tmp/here"));
    let left = lab.node(1).processes();
    assert!(!left.iter().any(|process| process.cmdline.join(" ").contains("gsctl-victim")), "{left:?}");
    // What cannot be done is said before anybody is contacted.
    for (words, said) in [
        (&["pssh", "-H", &one, "-x", "-t", "true"][..], "gsctl starts no such program"),
        (&["pscp", "-H", &one, "-X", "-l5", "a", "b"], "for scp"),
        (&["prsync", "-A", "-H", &one, "a", "b"], "hands no password"),
    ] {
        let run = Gsctl::at_home(&lab.client_home()).args(words).run().expect(2);
        assert!(run.stderr.contains(said) && run.stdout.is_empty(), "{run}");
    }
}
