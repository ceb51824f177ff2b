//! The exit status table, row by row, against real nodes.

use rustix::process::Signal;

use crate::gsctl::Run;
use crate::lab::{Lab, faults, opengauss};

/// The status in the JSON report is the one that the shell saw.
#[track_caller]
fn reported(run: &Run, code: i32, name: &str) {
    assert_eq!(run.status, code, "{run}");
    assert_eq!(run.json()["status"], serde_json::json!({ "code": code, "name": name }), "{run}");
}

#[test]
fn zero_to_seven() {
    let lab = Lab::start(3);
    let json = || lab.gsctl().args(["--json", "-"]);

    // 0: everybody did it, and a change counts as that.
    reported(&json().args(["exec", "true"]).run(), 0, "success");
    reported(&json().args(["touch", "/tmp/exit-status"]).run(), 0, "success");

    // 1: a report could not be written; what happened on the hosts is said all the same.
    let run = lab.gsctl().args(["--json", "/dev/full", "exec", "echo done"]).run().expect(1);
    assert!(run.text().contains("done") && run.stderr.contains("`/dev/full`: No space left"), "{run}");
    // It is a greater concern than what the hosts did.
    lab.gsctl().args(["--jsonl", "/dev/full", "exec", "exit 3"]).run().expect(1);

    // 2: wrong before anybody was asked.
    let logins = || lab.nodes().iter().map(|node| node.sshd_log().matches("Accepted").count()).sum::<usize>();
    let before = logins();
    for wrong in [
        &["--no-such-option"][..],
        &["exec"],
        &["-f", "/nonexistent", "ping"],
        &["-i", "/nonexistent", "ping"],
        &["-o", "NoSuchOption=1", "ping"],
        &["--json", "/nonexistent/report", "ping"],
        &["--output-dir", "/dev/null/x", "ping"],
        &["play", "/nonexistent.yaml"],
        &["play", "opengauss/start", "--var", "nope=1"],
        &["start", "--system", "nope"],
        &["-w", "node[3-1]", "ping"],
        &["--timeout", "soon", "ping"],
        &["rm", "/"],
    ] {
        let run = lab.gsctl().args(wrong).run().expect(2);
        assert!(run.stdout.is_empty() && run.stderr.starts_with("error: "), "{run}");
    }
    assert_eq!(logins(), before);

    // 3: out of time, or killed by a signal.
    reported(&json().args(["-t", "200ms", "exec", "sleep 60"]).run(), 3, "timed_out");
    reported(&json().args(["exec", "kill -9 $$"]).run(), 3, "timed_out");

    // 4: not reached. What failed elsewhere is the lesser concern.
    let closed = faults::closed_port();
    let file = lab.hosts_file_with(&lab.hosts_line("gone", closed.address()));
    let with_gone = || lab.gsctl().hosts_file(&file).args(["--connect-attempts", "1", "--json", "-"]);
    reported(&with_gone().args(["exec", "true"]).run(), 4, "unreachable");
    reported(&with_gone().args(["exec", "exit 5"]).run(), 4, "unreachable");
    // A timeout is the greater.
    reported(&with_gone().args(["-t", "200ms", "exec", "sleep 60"]).run(), 3, "timed_out");

    // 5: all answered, and one of them said no.
    reported(&json().args(["exec", "test $(hostname) != node2"]).run(), 5, "failed");
    reported(&json().args(["check", "--file", "/nonexistent"]).run(), 5, "failed");
    reported(&json().args(["touch", "/proc/nope"]).run(), 5, "failed");

    // 6: nobody was selected.
    let run = lab.gsctl().args(["-x", "node[1-3]", "ping"]).run().expect(6);
    assert!(run.stderr.starts_with("error: no host selected") && run.stderr.contains("\nhint: "), "{run}");
    lab.bare_gsctl().arg("ping").run().expect(6);
}

#[test]
fn refused() {
    let lab = Lab::start(1);
    let cluster = opengauss::install(&lab);
    let closed = faults::closed_port();
    let text = lab.hosts_line("gone", closed.address());
    let file = lab.hosts_file_with(&text);
    let run = lab.gsctl().hosts_file(file).args(["--connect-attempts", "1", "--json", "-", "start"]).run();
    reported(&run, 7, "refused");
    assert!(lab.node(1).exists(opengauss::MARKER), "{}\n{run}", cluster.census());
}

#[test]
fn interrupted_and_terminated() {
    let lab = Lab::start(2);
    for (signal, code, name) in
        [(Signal::INT, 130, "interrupted"), (Signal::TERM, 143, "terminated"), (Signal::HUP, 143, "terminated")]
    {
        let report = lab.dir().join(format!("{code}.json"));
        // node1 fails at once: being stopped is the greater concern.
        let mut running = lab
            .gsctl()
            .arg("--json")
            .arg(&report)
            .args(["--stream", "exec", "test $(hostname) != node1 || exit 5; echo node2 is up; sleep 60"])
            .spawn();
        running.wait_for_stdout("node2 is up");
        running.wait_for_stderr("FAILED");
        running.signal(signal);
        let run = running.wait().expect(code);
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
        assert_eq!(report["status"], serde_json::json!({ "code": code, "name": name }), "{run}");
        assert!(run.stderr.contains("2 hosts: 1 failed, 1 cancelled"), "{run}");
        let sleeping = |number: usize| lab.node(number).processes().iter().any(|process| process.comm == "sleep");
        assert!(!sleeping(2), "{run}");
    }
}

/// A library that notes in a file that exit handlers ran.
const AT_EXIT: &str = "#include <stdlib.h>\n#include <fcntl.h>\n\
    static void bye(void) { const char *to = getenv(\"BYE\"); if (to) creat(to, 0600); }\n\
    __attribute__((constructor)) static void hello(void) { atexit(bye); }\n";

/// OpenSSL's exit handler frees what threads may still use (rust-openssl#2256): a run that went well ended with SIGABRT, about
/// once in a thousand. So no exit handler runs, and what was written is there all the same.
#[test]
fn no_exit_handler_runs() {
    let lab = Lab::start(1);
    let (source, library, note) =
        (lab.dir().join("bye.c"), lab.dir().join("bye.so"), lab.dir().join("client/exit-handlers-ran"));
    std::fs::write(&source, AT_EXIT).unwrap();
    let mut cc = std::process::Command::new("cc");
    assert!(cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status().unwrap().success());
    let watched = |gsctl: crate::gsctl::Gsctl| gsctl.env("LD_PRELOAD", &library).env("BYE", &note);
    let place = format!("{}@{}", lab.user(), lab.node(1).address());
    let known = format!("UserKnownHostsFile={}", lab.known_hosts().display());
    let key = format!("IdentityFile={}", lab.key().display());
    for (gsctl, status, said) in [
        (lab.gsctl().args(["exec", "--", "seq 30000; exit 3"]), 5, "30000"),
        (lab.gsctl().args(["ping"]), 0, "node1"),
        (lab.gsctl().args(["hosts"]), 0, "node1"),
        (lab.bare_gsctl().arg("--help"), 0, "Usage"),
        (lab.bare_gsctl().arg("man"), 0, ".TH"),
        (lab.bare_gsctl().arg("--no-such"), 2, ""),
        (lab.bare_gsctl().args(["-w", "n1", "-i", "/no/such", "ping"]), 2, ""),
        (lab.bare_gsctl().args(["pssh", "-i", "-H", &place, "-O", &known, "-O", &key, "echo", "heard"]), 0, "heard"),
    ] {
        let run = watched(gsctl).run().expect(status);
        assert!(run.text().contains(said), "`{said}`\n{run}");
        // The library is there: the shell that it is loaded into runs its handlers.
        assert!(!note.exists(), "{run}");
    }
    let mut shell = std::process::Command::new("true");
    assert!(shell.env("LD_PRELOAD", &library).env("BYE", &note).status().unwrap().success());
    assert!(note.exists());
}

/// `make exits`: EXITS short runs, more at once than there are cores.
#[test]
#[ignore = "make exits"]
fn thousands_of_short_runs_end_with_their_status() {
    let count: usize = std::env::var("EXITS").map_or(10_000, |text| text.parse().unwrap());
    let lab = Lab::start(2);
    let done = std::sync::atomic::AtomicUsize::new(0);
    // What changes a node keeps others from changing it.
    let changing = std::sync::Mutex::new(());
    let file = lab.dir().join("client/small");
    std::fs::write(&file, "small\n").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let number = done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    if number >= count {
                        return;
                    }
                    let gsctl = lab.gsctl().args(["--connect-timeout", "60s", "-q"]);
                    let _alone = (number % 4 == 2).then(|| changing.lock().unwrap());
                    let (gsctl, status) = match number % 4 {
                        0 => (gsctl.args(["exec", "--", "true"]), 0),
                        1 => (gsctl.args(["exec", "--", "exit 3"]), 5),
                        2 => (gsctl.arg("push").arg(&file).arg(format!("small-{}", number % 7)), 0),
                        _ => (gsctl.arg("ping"), 0),
                    };
                    gsctl.run().expect(status);
                }
            });
        }
    });
}
