//! `cm_ctl check -B <program> -T <path>`: is it running, and is it meant to (facts 1.3).

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::Answer;
use crate::conf::Conf;
use crate::database;
use crate::home::{Home, MANUAL_START, instance_marker};
use crate::process;

/// Between the two looks at a running process; `CmSleep(10)` of the real one.
const SECOND_LOOK: Duration = Duration::from_millis(10);

/// Answers with the exit code alone.
pub(super) fn check(home: &Home, conf: &Conf, options: &[String]) -> Answer {
    let value = |option: &str| options.iter().position(|o| o == option).and_then(|at| options.get(at + 1));
    let (Some(program), Some(path)) = (value("-B"), value("-T")) else {
        return Answer::refused(1, "cm_ctl: no program or path specified.\n");
    };
    if program.contains('%') || path.contains('%') {
        // The spelling is the real one's.
        return Answer::error(255, "input constains invalid character.\n");
    }
    let mut running = is_running(program, path);
    if running {
        thread::sleep(SECOND_LOOK);
        running = is_running(program, path);
    }
    Answer::silent(match (running, is_stopping(home, conf, program)) {
        (true, false) => 2,
        (false, true) => 0,
        (true, true) => 3,
        (false, false) => 4,
    })
}

/// A process of this user with this name that was given this path.
fn is_running(program: &str, path: &str) -> bool {
    let user = rustix::process::getuid().as_raw().to_string();
    process::all().any(|(pid, directory)| {
        let status = fs::read_to_string(directory.join("status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        field("Name:") == Some(program)
            && field("Uid:") == Some(user.as_str())
            && process::arguments(&directory).iter().any(|argument| names(argument, path))
            && (program != "gaussdb" || database::postmaster(&database::pid_file(Path::new(path))) == Some(pid))
    })
}

/// The real one also takes any argument that begins with 'l' and contains the path.
fn names(argument: &[u8], path: &str) -> bool {
    let Ok(argument) = str::from_utf8(argument) else { return false };
    argument == path || (argument.starts_with('l') && argument.contains(path))
}

fn is_stopping(home: &Home, conf: &Conf, program: &str) -> bool {
    match program {
        "etcd" => is_there(home, conf, "etcd_manual_start"),
        "ltran" => is_there(home, conf, "ltran_manual_start"),
        "gaussdb" => is_there(home, conf, MANUAL_START) || is_there(home, conf, &instance_marker(conf.node)),
        _ => is_there(home, conf, MANUAL_START),
    }
}

/// Looks for a marker the way the real one does: through a shell, and one `result` file that all checks share. So they
/// disturb each other, and with dash, whose `echo` prints the "-e", every marker is there (measured 1.1).
fn is_there(home: &Home, conf: &Conf, marker: &str) -> bool {
    let result = home.bin("result");
    let script = format!("ls {} > /dev/null 2>&1 \n echo  -e  $? > {}", home.bin(marker).display(), result.display());
    let _ = Command::new(&conf.sh).arg("-c").arg(script).status();
    atoi(&fs::read_to_string(result).unwrap_or_default()) == 0
}

/// C's: what is no number is 0.
fn atoi(text: &str) -> i64 {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().unwrap_or(0)
}
