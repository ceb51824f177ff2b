//! Output that is too long for memory: it is whole, wherever it goes, and gsctl stays small.

use std::fs;
use std::process::Command;

use crate::gsctl::{Gsctl, Run};
use crate::lab::Lab;

/// Runs it to its end, and says how many bytes of memory it had at most.
fn peak(gsctl: Gsctl) -> (u64, Run) {
    let mut run = gsctl.spawn();
    let mut most = 0;
    while !run.has_ended() {
        let status = fs::read_to_string(format!("/proc/{}/status", run.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        most = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(most);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    (most * 1024, run.wait())
}

/// The hash of what a shell command prints.
fn sha256(command: &str) -> String {
    let done = Command::new("/bin/sh").args(["-c", &format!("{command} | sha256sum")]).output().unwrap();
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn a_hundred_megabytes_take_no_more_memory_than_one() {
    let lab = Lab::start(1);
    let dir = lab.dir().join("client/out");
    let report = lab.dir().join("client/report.json");
    let node = lab.node(1).name();
    let run = |bytes: u64| {
        let command = format!("yes 'a line of \"output\" \u{6f22}' | head -c {bytes}");
        let files = ["--output-dir", dir.to_str().unwrap(), "--json", report.to_str().unwrap()];
        let gsctl = lab.gsctl().args(files).args(["--gather", "--tail", "2", "exec", &command]);
        let (most, run) = peak(gsctl);
        let run = run.expect(0);
        let file = dir.join(format!("{node}.stdout"));
        assert_eq!(fs::metadata(&file).unwrap().len(), bytes);
        assert_eq!(sha256(&format!("cat {}", file.display())), sha256(&command), "what arrived is not what was sent");
        assert!(run.text().contains("a line of \"output\" \u{6f22}\n"), "{run}");
        assert!(fs::metadata(&report).unwrap().len() > bytes);
        most
    };
    let (little, much) = (run(1_000_000), run(100_000_000));
    assert!(much < little + 24_000_000, "{much} bytes of memory, and {little} for a hundredth");
}

#[test]
fn output_for_which_there_is_no_room_is_never_silently_short() {
    let lab = Lab::start(1);
    let gsctl = || lab.gsctl().json().env("TMPDIR", lab.dir().join("none"));
    let run = gsctl().args(["exec", "head -c 5000000 /dev/zero; echo done >&2"]).run().expect(1);
    let host = &run.json()["hosts"][0];
    assert_eq!((&host["outcome"], &host["stderr"]), (&"ok".into(), &"done\n".into()));
    let said = host["stdout_cut"].as_str().unwrap();
    assert!(said.starts_with("cut after ") && said.contains("none: "), "{said}");
    assert!(run.stderr.contains("warning") && run.stderr.contains(said), "{}", run.stderr);

    // What fits needs no file.
    let run = gsctl().args(["exec", "head -c 900000 /dev/zero"]).run().expect(0);
    assert_eq!(run.json()["hosts"][0]["stdout"].as_str().unwrap().len(), 900_000);
}
