//! An operator's everyday jobs, as scripts that use nothing but what is documented: `tests/jobs/*.sh`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::lab::{Lab, opengauss};

/// Runs a job as its operator would: in a directory with `./hosts`, keys and known hosts in `~/.ssh/config`.
#[track_caller]
fn job(lab: &Lab, name: &str) {
    let (key, known_hosts) = (lab.key(), lab.known_hosts());
    let config =
        format!("Host *\n    IdentityFile {}\n    UserKnownHostsFile {}\n", key.display(), known_hosts.display());
    job_with(lab, name, &config);
}

#[track_caller]
fn job_with(lab: &Lab, name: &str, config: &str) {
    let home = lab.client_home();
    let bin = home.join("bin");
    for dir in [&bin, &home.join(".ssh")] {
        fs::create_dir_all(dir).unwrap();
    }
    let file = home.join(".ssh/config");
    fs::write(&file, config).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(env!("CARGO_BIN_EXE_gsctl"), bin.join("gsctl")).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jobs").join(format!("{name}.sh"));
    let mut command = Command::new("timeout");
    // Signals as a shell on a terminal has them; what a script leaves behind ends with it.
    command
        .args(["180", "env", "--default-signal", "sh", "-eux"])
        .arg(&script)
        .env_clear()
        .current_dir(lab.dir().join("client"));
    let secret = fs::read_to_string(lab.known_hosts()).unwrap();
    command
        .env("KNOWN_HOSTS_SECRET", secret.trim_end())
        .env("HOME", &home)
        .env("LC_ALL", "C.UTF-8")
        .env("TERM", "dumb");
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{name}: {}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
}

#[test]
fn first_contact() {
    let lab = Lab::start(8);
    let config = format!("Host *\n    IdentityFile {}\n", lab.key().display());
    let hosts = fs::read_to_string(lab.hosts_file()).unwrap();
    let lines: Vec<String> = hosts
        .lines()
        .map(|line| if line.starts_with("node8 ") { format!("{line} jump=node1") } else { line.to_owned() })
        .collect();
    fs::write(lab.hosts_file(), lines.join("\n") + "\n").unwrap();
    job_with(&lab, "01-first-contact", &config);
    // Each was logged in to, the last one through the first.
    assert!(lab.node(8).sshd_log().contains("Accepted publickey"));
}

#[test]
fn start_with_a_node_down() {
    let lab = Lab::start(4);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    lab.node(3).stop_sshd();
    job(&lab, "02-start-with-a-node-down");
    assert!(!cluster.running(1, "gaussdb").is_empty());
    assert!(cluster.running(3, "gaussdb").is_empty(), "nobody could start it there");
}

#[test]
fn the_odd_file() {
    let lab = Lab::start(4);
    job(&lab, "03-the-odd-file");
    assert_eq!(lab.node(3).text("home/app.conf"), "limit=50\n");
}

#[test]
fn rolling_restart() {
    let lab = Lab::start(6);
    lab.node(4).write("home/broken", "");
    job(&lab, "04-rolling-restart");
    assert_eq!(lab.node(4).text("home/log"), "restarted\n");
}

#[test]
fn follow_a_log() {
    let lab = Lab::start(3);
    job(&lab, "05-follow-a-log");
}

#[test]
fn kill_a_runaway() {
    let lab = Lab::start(3);
    job(&lab, "06-kill-a-runaway");
    for node in lab.nodes() {
        assert!(node.processes().iter().all(|process| process.comm != "runaway"));
    }
}

#[test]
fn collect_files() {
    let lab = Lab::start(3);
    for node in lab.nodes() {
        node.write("home/conf/postgresql.conf", "shared_buffers = 1GB\n");
        node.write("home/conf/pg_hba.conf", "local all all trust\n");
    }
    lab.node(3).write("home/conf/postgresql.conf", "shared_buffers = 8MB\n");
    job(&lab, "07-collect-files");
}

#[test]
fn in_a_script() {
    let lab = Lab::start(3);
    for node in lab.nodes() {
        node.write("home/ready", "");
        node.write("home/name", format!("{}\n", node.name()));
    }
    lab.node(2).remove("home/ready");
    job(&lab, "08-in-a-script");
    assert!(lab.node(2).exists("home/ready"));
}

#[test]
fn in_ci() {
    let lab = Lab::start(3);
    lab.node(1).write("home/healthy", "");
    lab.node(3).write("home/healthy", "");
    let config = format!("Host *\n    IdentityFile {}\n", lab.key().display());
    job_with(&lab, "09-in-ci", &config);
}

#[test]
fn an_own_playbook() {
    let lab = Lab::start(2);
    job(&lab, "10-an-own-playbook");
}

#[test]
fn migration() {
    let lab = Lab::start(3);
    job(&lab, "11-migration");
}

#[test]
fn mistakes() {
    let lab = Lab::start(2);
    let hosts = fs::read_to_string(lab.hosts_file()).unwrap();
    fs::write(lab.hosts_file(), format!("{hosts}[empty]\n")).unwrap();
    job(&lab, "12-mistakes");
    // The only run that contacted anybody was the last one.
    assert_eq!(lab.node(1).sshd_log().matches("Accepted publickey").count(), 1);
}

#[test]
fn every_job_is_run() {
    let own = include_str!("jobs.rs");
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jobs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".sh").unwrap();
        assert!(own.contains(&format!("\"{name}\"")), "{name}");
    }
}
