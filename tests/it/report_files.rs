//! Reports never destroy what the run reads, and output that cannot be written is said.

use std::fs;
use std::os::unix::fs::symlink;

use crate::lab::Lab;

#[test]
fn a_report_never_overwrites_an_input() {
    let lab = Lab::start(1);
    let home = lab.client_home();
    let write = |name: &str, text: &str| {
        fs::write(home.join(name), text).expect("the lab is writable");
        home.join(name)
    };
    let script = write("s.sh", "echo hi\n");
    let playbook = write("book.yaml", "name: x\nsteps:\n- { name: a, run: 'true' }\n");
    let hosts = lab.write_hosts_file(&fs::read_to_string(lab.hosts_file()).expect("it is there"));
    symlink(&hosts, home.join("link")).expect("the lab is writable");
    let (key, known) = (lab.key(), lab.known_hosts());
    let name = |path: &std::path::Path| path.display().to_string();
    for (report, command) in [
        (name(&hosts), vec!["ping".to_owned()]),
        (name(&home.join("link")), vec!["ping".to_owned()]),
        (name(&hosts).replacen("/client/", "/client/./", 1), vec!["hosts".to_owned()]),
        (name(&key), vec!["exec".to_owned(), "true".to_owned()]),
        (name(&known), vec!["ping".to_owned()]),
        (name(&script), vec!["script".to_owned(), name(&script)]),
        (name(&script), vec!["push".to_owned(), name(&script), "/tmp/".to_owned()]),
        (name(&script), vec!["exec".to_owned(), "--stdin".to_owned(), name(&script), "cat".to_owned()]),
        (name(&playbook), vec!["play".to_owned(), name(&playbook)]),
    ] {
        let before = fs::read(&report).expect("it is there");
        for option in ["--json", "--jsonl", "--junit", "--html"] {
            if command[0] == "hosts" && option != "--json" {
                continue;
            }
            let run = lab.gsctl().hosts_file(&hosts).arg(option).arg(&report).args(&command).run().expect(2);
            assert!(run.stderr.contains("would overwrite") && run.stderr.contains("hint:"), "{run}");
            assert_eq!(fs::read(&report).expect("it is there still"), before, "{option} {report}");
        }
    }
    let run = lab.gsctl().args(["--json", "r", "--junit", "./r", "ping"]).run().expect(2);
    assert!(run.stderr.contains("write into each other"), "{run}");
}

#[test]
fn standard_output_on_a_full_disk_is_said() {
    let lab = Lab::start(1);
    for arguments in [
        &["exec", "echo hi"][..],
        &["--gather", "exec", "echo hi"],
        &["ping"],
        &["--dry-run", "exec", "true"],
        &["--json", "-", "exec", "true"],
        &["hosts"],
        &["play", "--list"],
        &["--help"],
        &["exec", "--help"],
        &["--version"],
    ] {
        let run = lab.gsctl().args(arguments).full_stdout().run();
        assert_eq!(run.status, 1, "{run}");
        assert!(
            run.stderr.contains("standard output") && run.stderr.contains("No space left on device"),
            "stderr names stream and reason\n{run}"
        );
    }
}
