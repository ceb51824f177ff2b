//! `pg_ctl` and `pg_controldata`.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{self, Said};
use crate::data::{Data, program};
use crate::{complain, option, say};

pub(crate) fn pg_ctl(arguments: &[String]) -> u8 {
    let Some(data) = option(arguments, "-D").map(Data::at) else {
        complain("pg_ctl: no database directory specified and environment variable PGDATA unset");
        return 1;
    };
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let limit = Duration::from_secs(option(arguments, "-t").and_then(|t| t.parse().ok()).unwrap_or(60));
    let wait = !has("-W");
    if has("status") {
        status(&data)
    } else if has("start") {
        let log = option(arguments, "-l");
        start(&data, log, option(arguments, "-o").unwrap_or_default(), wait.then_some(limit))
    } else if has("stop") {
        let mode = option(arguments, "-m").unwrap_or("fast");
        stop(&data, mode, wait.then_some(limit))
    } else if has("promote") {
        promote(&data, wait.then_some(limit))
    } else {
        1
    }
}

fn status(data: &Data) -> u8 {
    if !data.0.is_dir() {
        complain(&format!("pg_ctl: directory \"{}\" does not exist", data.0.display()));
        return 4;
    }
    if !data.is_there() {
        complain(&format!("pg_ctl: directory \"{}\" is not a database cluster directory", data.0.display()));
        return 4;
    }
    let Some(pid) = data.postmaster() else {
        say("pg_ctl: no server running");
        return 3;
    };
    say(&format!("pg_ctl: server is running (PID: {pid})"));
    0
}

/// Starts a postmaster; with a limit it waits until that has come as far as it does.
pub(crate) fn start(data: &Data, log: Option<&str>, options: &str, limit: Option<Duration>) -> u8 {
    if data.postmaster().is_some() {
        complain("pg_ctl: another server might be running; trying to start server anyway");
        return 1;
    }
    let mut command = Command::new(program("postgres"));
    command.arg("-D").arg(&data.0).args(options.split_whitespace());
    let output = log.and_then(|log| OpenOptions::new().create(true).append(true).open(log).ok());
    match output.as_ref().map(fs::File::try_clone) {
        Some(Ok(copy)) => command.stderr(copy).stdout(Stdio::null()),
        _ => command.stderr(Stdio::null()).stdout(Stdio::null()),
    };
    // The real one makes a session; a group is enough to be spared with whoever ran us.
    let Ok(mut child) = command.stdin(Stdio::null()).process_group(0).spawn() else {
        complain("pg_ctl: could not start server");
        return 1;
    };
    let Some(limit) = limit else {
        say("server starting");
        return 0;
    };
    let began = Instant::now();
    while began.elapsed() < limit {
        if matches!(child.try_wait(), Ok(Some(_))) {
            complain("pg_ctl: could not start server\nExamine the log output.");
            return 1;
        }
        if is_up(data) {
            let how = if data.follows() { " in mirror mode" } else { "" };
            say(&format!("waiting for server to start.... done\nserver started{how}"));
            return 0;
        }
        thread::sleep(Duration::from_millis(50));
    }
    complain("pg_ctl: server did not start in time");
    1
}

/// As far up as it gets: by its port, it accepts; a follower follows.
fn is_up(data: &Data) -> bool {
    let Some(port) = data.port().filter(|_| data.postmaster().is_some()) else { return false };
    // pg_ctl looks at the pid file's status line, and so is not held up by a server that hangs.
    if data.fails("hang") {
        return true;
    }
    match client::ask(None, &port.to_string(), client::utility(), "select 1") {
        Said::Rows(_) => true,
        Said::Fatal(said) => data.follows() && !said.contains("starting up"),
        Said::Error(_) | Said::NoServer(_) => false,
    }
}

/// Stops a postmaster.
pub(crate) fn stop(data: &Data, mode: &str, limit: Option<Duration>) -> u8 {
    let Some(pid) = data.postmaster() else {
        complain(&format!(
            "pg_ctl: PID file \"{}\" does not exist\nIs server running?",
            data.0.join("postmaster.pid").display()
        ));
        return 1;
    };
    let signal = match mode {
        "immediate" => Signal::QUIT,
        "smart" => Signal::TERM,
        _ => Signal::INT,
    };
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
    let Some(limit) = limit else {
        say("server shutting down");
        return 0;
    };
    let began = Instant::now();
    while data.postmaster().is_some() {
        if began.elapsed() >= limit {
            complain("pg_ctl: server does not shut down");
            return 1;
        }
        thread::sleep(Duration::from_millis(30));
    }
    say("waiting for server to shut down.... done\nserver stopped");
    0
}

/// As PostgreSQL's `do_promote`.
pub(crate) fn promote(data: &Data, limit: Option<Duration>) -> u8 {
    let Some(pid) = data.postmaster().and_then(Pid::from_raw) else {
        complain("pg_ctl: PID file does not exist\nIs server running?");
        return 1;
    };
    if data.control("state") != "in archive recovery" {
        complain("pg_ctl: cannot promote server; server is not in standby mode");
        return 1;
    }
    if fs::write(data.0.join("promote"), "").is_err() || kill_process(pid, Signal::USR1).is_err() {
        return 1;
    }
    let Some(limit) = limit else {
        say("server promoting");
        return 0;
    };
    let began = Instant::now();
    while data.control("state") != "in production" {
        if began.elapsed() >= limit {
            complain("pg_ctl: server did not promote in time");
            return 1;
        }
        thread::sleep(Duration::from_millis(30));
    }
    say("waiting for server to promote.... done\nserver promoted");
    0
}

pub(crate) fn pg_controldata(arguments: &[String]) -> u8 {
    let Some(data) = arguments.iter().rfind(|argument| !argument.starts_with('-')).map(|path| Data::at(path)) else {
        return 1;
    };
    if !data.is_there() {
        complain(
            "pg_controldata: fatal: could not open file \"global/pg_control\" for reading: No such file or directory",
        );
        return 1;
    }
    say("pg_control version number:            12010700");
    say(&format!("Database cluster state:               {}", data.control("state")));
    say("Latest checkpoint location:           0/C000060");
    say(&format!("Latest checkpoint's TimeLineID:       {}", data.control("timeline")));
    say(&format!("Latest checkpoint's PrevTimeLineID:   {}", data.control("timeline")));
    0
}
